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
        "cannot open the records in {place}; check that the folder is writable and no other server uses it"
    )]
    Database {
        /// The file.
        place: String,
        /// Cause.
        source: sqlx::Error,
    },
    /// The address of the server cannot be read. It is not shown: it may hold a password.
    #[error(
        "the address of the record store is not of the form postgres://user@host:5432/database"
    )]
    Url,
    /// The server could not be reached, or does not let us in.
    #[error(
        "cannot open the records in {place}; check that PostgreSQL runs there and lets this user in: {source}"
    )]
    Server {
        /// Server and database.
        place: String,
        /// Cause.
        source: sqlx::Error,
    },
    /// The records were written by a newer program.
    #[error(
        "{place} has schema version {found}, and this program knows only up to {known}; use the newer program that wrote it, or another --data folder"
    )]
    Newer {
        /// Where.
        place: String,
        /// Version found.
        found: i64,
        /// Version of this program.
        known: i64,
    },
    /// A migration failed; nothing of it was kept.
    #[error(
        "cannot bring {place} to schema version {version}; the user must own the database or be allowed to create tables in it"
    )]
    Migration {
        /// Where.
        place: String,
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
    Database(#[source] sqlx::Error),
    /// The database is away; nothing was changed, and trying again later may do.
    #[error("the record store cannot be reached; see that its server runs and takes connections")]
    Unavailable(#[source] sqlx::Error),
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

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match is_away(&error) {
            true => Self::Unavailable(error),
            false => Self::Database(error),
        }
    }
}

/// Whether an error says that the server is away, rather than that it refused.
///
/// # Source
/// PostgreSQL's error codes: 08 connection exception, 53 insufficient resources, 57P operator
/// intervention, 55P03 lock not available, 25P03 idle in transaction for too long.
fn is_away(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let classes = ["08", "53", "57P", "55P03", "25P03"];
            code.len() == 5 && classes.iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    }
}

impl StoreError {
    /// Whether a uniqueness rule was broken.
    pub fn is_duplicate(&self) -> bool {
        match self {
            Self::Database(sqlx::Error::Database(error)) => error.is_unique_violation(),
            Self::Database(_)
            | Self::Unavailable(_)
            | Self::Corrupt { .. }
            | Self::Missing { .. } => false,
        }
    }
}
