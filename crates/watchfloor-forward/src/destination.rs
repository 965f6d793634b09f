//! What every destination can do.

use bytes::Bytes;
use futures::future::BoxFuture;

/// Another system that takes records.
pub trait Destination: Send + Sync {
    /// Sends a group of records in their order; done when the other side has them, as far as its
    /// protocol can tell. `last` is the place of the group's last record: a group that is sent
    /// again has the same one. Of a group that is refused as too large, nothing was taken.
    fn send<'a>(&'a self, last: u64, records: &'a [Bytes]) -> BoxFuture<'a, Result<(), SendError>>;

    /// Bytes of records, with what each weighs beside them, that it is given at once; one record
    /// that has more goes alone.
    fn group_bytes_max(&self) -> usize {
        usize::MAX
    }

    /// What and where it is, for people; without credentials.
    fn describe(&self) -> String;
}

/// Why a group was not taken; it is sent again later, in smaller ones if it was too large.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error(
        "{target} cannot be reached: {reason}; is it running, and does a firewall stand between?"
    )]
    Unreachable {
        /// The destination.
        target: String,
        /// The cause.
        reason: String,
    },
    /// It answered, and not well.
    #[error("{target} refused: {reason}")]
    Refused {
        /// The destination.
        target: String,
        /// What it said.
        reason: String,
    },
    /// It takes none of that size; a record that is too large alone is left out.
    #[error("{target} takes none of that size: {reason}")]
    TooLarge {
        /// The destination.
        target: String,
        /// What it said.
        reason: String,
    },
    /// It took too long.
    #[error("{target} did not answer within {seconds} s")]
    Slow {
        /// The destination.
        target: String,
        /// The limit.
        seconds: u64,
    },
}

/// Why a destination cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {reason}")]
pub struct SetUpError {
    what: String,
    reason: String,
}

impl SetUpError {
    pub(crate) fn new(what: impl Into<String>, reason: impl ToString) -> Self {
        Self {
            what: what.into(),
            reason: reason.to_string(),
        }
    }
}

/// The process's choice of cryptography: dependencies bring more than one.
pub(crate) fn choose_cryptography() {
    // An error says that the choice is made already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}
