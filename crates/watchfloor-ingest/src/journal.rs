//! The journal: a record is durable before its sender is answered.
//!
//! Two journals stand behind one trait: segments in the data folder (`embedded.rs`), for one
//! machine, and NATS JetStream (`nats.rs`), for a cluster.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use watchfloor_event::RawRecord;

use crate::record::NewRecord;
use embedded::Embedded;

pub use leases::{LEASE, LEASE_ROUND, Leases};
pub use nats::{NatsJournal, NatsLogin, NatsOptions};

mod embedded;
pub(crate) mod leases;
pub(crate) mod nats;
mod unresolved;

/// Limits of the embedded journal.
#[derive(Clone, Debug)]
pub struct JournalOptions {
    /// Size at which a new segment is begun, in bytes.
    pub segment_bytes: u64,
    /// Bytes that may wait for the pipeline before appends are refused.
    pub pending_bytes_max: u64,
    /// Segments kept after they were released: the memory of idempotency keys.
    pub released_segments_kept: usize,
}

impl JournalOptions {
    /// Segments of 64 MiB, 8 GiB of waiting records, two released segments.
    pub const fn standard() -> Self {
        Self {
            segment_bytes: 64 << 20,
            pending_bytes_max: 8 << 30,
            released_segments_kept: 2,
        }
    }
}

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made or read.
    #[error("journal folder {path} cannot be used")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// A segment cannot be read.
    #[error("journal segment {path} cannot be read")]
    Segment {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// NATS cannot be used.
    #[error("the journal in NATS at {place} cannot be used: {reason}")]
    Nats {
        /// Servers, without credentials.
        place: String,
        /// What is the matter, and how to mend it.
        reason: String,
    },
}

/// Why records are not in the journal. None of the append's records is.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The pipeline is behind by the limit; the sender should wait and try again.
    #[error("{pending_bytes} bytes wait to be processed, which is the limit; try again later")]
    Full {
        /// Bytes that wait.
        pending_bytes: u64,
    },
    /// The disk refused.
    #[error("journal cannot be written: {reason}")]
    Write {
        /// The operating system's words.
        reason: String,
    },
    /// The journal's server does not answer; the sender should wait and try again.
    #[error("the journal does not answer just now ({reason}); try again later")]
    Away {
        /// What was tried last.
        reason: String,
    },
    /// The journal is shutting down.
    #[error("journal is closed")]
    Closed,
}

/// Why the journal cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file of the embedded journal.
    #[error("journal segment {path} cannot be read at offset {offset}")]
    Segment {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// What became of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Records that are now durable, those known before by their key included.
    pub accepted: usize,
    /// Of these, records that were known by their key and are not stored again.
    pub repeated: usize,
}

/// Figures of a journal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JournalStats {
    /// Position of the next record; 0 in a cluster, whose partitions have one each.
    pub next_position: u64,
    /// Position up to which (exclusive) records are released; 0 in a cluster.
    pub released: u64,
    /// Records that wait for the pipeline; in a cluster, messages of records.
    pub pending_records: u64,
    /// Bytes that wait for the pipeline, about.
    pub pending_bytes: u64,
    /// Damaged or missing places that were met and stepped over.
    pub damaged: u64,
    /// Times that the journal's server did not take an append in time.
    pub away: u64,
}

/// A future of a journal's method.
type Later<'f, T> = Pin<Box<dyn Future<Output = T> + Send + 'f>>;

/// What every journal does.
trait Backend: Send + Sync {
    fn append(&self, records: Vec<NewRecord>) -> Later<'_, Result<Appended, AppendError>>;
    fn release(&self, position: u64);
    fn stats(&self) -> JournalStats;
}

/// What every reader of a journal does.
trait ReadBackend: Send {
    fn next_position(&self) -> u64;
    fn ready(&mut self) -> Later<'_, bool>;
    fn read(&mut self, most: usize) -> Result<Vec<RawRecord>, ReadError>;
}

/// The writing side of a journal; clones share it.
#[derive(Clone)]
pub struct Journal {
    backend: Arc<dyn Backend>,
}

impl std::fmt::Debug for Journal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Journal")
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the embedded journal in a folder, making it if need be, and a reader that starts at
    /// `from`, the position after the last record that the lake holds. A torn record at the end,
    /// left by a crash, was never answered for and is cut off.
    ///
    /// # Errors
    /// If the folder or a segment cannot be used.
    pub fn open(
        folder: &Path,
        options: JournalOptions,
        from: u64,
    ) -> Result<(Self, JournalReader), OpenError> {
        let (journal, reader) = Embedded::open(folder, options, from)?;
        Ok((Self::over(journal), JournalReader::over(reader)))
    }

    fn over(backend: impl Backend + 'static) -> Self {
        Self {
            backend: Arc::new(backend),
        }
    }

    /// Makes records durable. Returns when they are: on disk, or acknowledged by JetStream.
    ///
    /// # Errors
    /// If the journal is full, away, closed, or the disk refuses; then none of the records is
    /// kept, or, in a cluster, those that are kept are known again when they are sent again.
    pub async fn append(&self, records: Vec<NewRecord>) -> Result<Appended, AppendError> {
        self.backend.append(records).await
    }

    /// Lets go of records below `position` (of its partition), which the lake now holds.
    pub fn release(&self, position: u64) {
        self.backend.release(position);
    }

    /// Figures of the journal.
    pub fn stats(&self) -> JournalStats {
        self.backend.stats()
    }
}

/// The reading side: records in order, up to what is durable.
pub struct JournalReader {
    backend: Box<dyn ReadBackend>,
}

impl std::fmt::Debug for JournalReader {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("JournalReader")
            .field("next", &self.next_position())
            .finish_non_exhaustive()
    }
}

impl JournalReader {
    fn over(backend: impl ReadBackend + 'static) -> Self {
        Self {
            backend: Box::new(backend),
        }
    }

    /// Position of the next record to be read.
    pub fn next_position(&self) -> u64 {
        self.backend.next_position()
    }

    /// Waits until there is something to read; `false` when the journal is closed and read to
    /// its end.
    pub async fn ready(&mut self) -> bool {
        self.backend.ready().await
    }

    /// Up to `most` records that are durable and not yet read; empty when there are none.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub fn read(&mut self, most: usize) -> Result<Vec<RawRecord>, ReadError> {
        self.backend.read(most)
    }
}
