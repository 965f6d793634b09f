//! What can go wrong with the records.

use std::path::PathBuf;

/// Why the store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder could not be made.
    #[error("cannot create the data folder {path}; check its owner and rights")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The file could not be opened.
    #[error(
        "cannot open the records in {path}; check that the folder is writable and no other server uses it"
    )]
    Database {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: sqlx::Error,
    },
    /// The data folder was written by a newer program.
    #[error(
        "{path} has schema version {found}, and this program knows only up to {known}; use the newer program that wrote it, or another --data folder"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: i64,
        /// Version of this program.
        known: i64,
    },
    /// A migration failed; nothing of it was kept.
    #[error("cannot bring {path} to schema version {version}")]
    Migration {
        /// The file.
        path: PathBuf,
        /// Version that failed.
        version: i64,
        /// Cause.
        source: sqlx::Error,
    },
}

/// Why records could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error("the records could not be read or written")]
    Database(#[from] sqlx::Error),
    /// A stored value is not what this program writes.
    #[error("column {column} holds '{value}', which this program does not write")]
    Corrupt {
        /// The column.
        column: &'static str,
        /// The value, cut.
        value: String,
    },
    /// The record is not there.
    #[error("no {kind} {id}")]
    Missing {
        /// What kind of record.
        kind: &'static str,
        /// Its id.
        id: String,
    },
}

impl StoreError {
    /// Whether a uniqueness rule was broken.
    pub fn is_duplicate(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.is_unique_violation(),
            Self::Database(_) | Self::Corrupt { .. } | Self::Missing { .. } => false,
        }
    }
}
