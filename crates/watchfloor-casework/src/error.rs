//! Why a call on cases failed.

use watchfloor_model::{IllegalMove, Permission};
use watchfloor_store::StoreError;

/// Why a call on cases failed.
#[derive(Debug, thiserror::Error)]
pub enum CaseworkError {
    /// The actor has not the right.
    #[error("this needs the permission {permission}")]
    Forbidden {
        /// The right.
        permission: Permission,
    },
    /// No such record in the tenant.
    #[error("no {kind} {id}")]
    Missing {
        /// What kind of record.
        kind: &'static str,
        /// Its id.
        id: String,
    },
    /// The record changed since the caller read it.
    #[error("{kind} {id} is at version {current}, not {expected}")]
    VersionConflict {
        /// What kind of record.
        kind: &'static str,
        /// Its id.
        id: String,
        /// Version that the caller knew.
        expected: u64,
        /// Version now.
        current: u64,
    },
    /// A value does not do.
    #[error("{field}: {reason}")]
    Invalid {
        /// Field of the call.
        field: &'static str,
        /// Why not.
        reason: String,
    },
    /// The state machine refuses.
    #[error("the change is not possible in this state")]
    Illegal(#[from] IllegalMove),
    /// Another record has this name.
    #[error("{field} '{value}' is taken")]
    Taken {
        /// Field of the call.
        field: &'static str,
        /// The value.
        value: String,
    },
    /// The records failed.
    #[error("the records could not be used")]
    Store(#[source] StoreError),
    /// The report could not be made.
    #[error("the report could not be made")]
    Report(#[from] watchfloor_report::PdfError),
    /// The operating system gave no random bytes, or a worker thread was lost.
    #[error("the system failed: {what}")]
    System {
        /// What failed.
        what: &'static str,
    },
}

impl From<StoreError> for CaseworkError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing { kind, id } => Self::Missing { kind, id },
            error @ (StoreError::Database(_)
            | StoreError::Unavailable(_)
            | StoreError::Corrupt { .. }) => Self::Store(error),
        }
    }
}

/// Checks a text that a person typed: not blank, not longer than `bytes_max`.
pub(crate) fn checked_text(
    field: &'static str,
    text: &str,
    bytes_max: usize,
) -> Result<String, CaseworkError> {
    let text = text.trim();
    let reason = if text.is_empty() {
        "must not be empty".to_owned()
    } else if text.len() > bytes_max {
        format!("must be at most {bytes_max} bytes")
    } else {
        return Ok(text.to_owned());
    };
    Err(CaseworkError::Invalid { field, reason })
}
