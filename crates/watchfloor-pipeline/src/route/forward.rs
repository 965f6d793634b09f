//! Forwarding: copies of records on their way to another system.
//!
//! Each destination has a spool of its own on disk, so that one that is away holds nobody up and
//! loses nothing up to the spool's limit. A copy is taken out of the spool when the destination
//! has answered for it; after a crash the last group may be sent once more.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use watchfloor_event::Format;
use watchfloor_forward::Destination;
use watchfloor_ingest::{Journal, JournalOptions, JournalReader, NewRecord, OpenError};

/// Records sent at once.
const MAX_GROUP: usize = 1000;
/// First and longest wait after a destination failed.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The file that says how far a spool was sent.
const SENT: &str = "sent";

/// Limits of a destination's spool.
#[derive(Clone, Copy, Debug)]
pub struct ForwardOptions {
    /// Bytes that may wait; beyond, copies are left out with a count.
    pub spool_bytes_max: u64,
}

/// Why a destination cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("the spool for '{name}' in {path} cannot be opened")]
pub struct ForwardError {
    name: String,
    path: PathBuf,
    #[source]
    source: OpenError,
}

/// How a destination fares.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForwardStatus {
    /// Its name.
    pub name: String,
    /// What and where it is, without credentials.
    pub target: String,
    /// Copies that it has taken since start.
    pub sent: u64,
    /// Copies that were left out because the spool was full or could not be written.
    pub dropped: u64,
    /// Bytes that wait.
    pub pending_bytes: u64,
    /// Why it takes nothing at present.
    pub trouble: Option<String>,
}

/// A copy of a record.
pub(super) struct Parcel {
    pub position: u64,
    pub part: u32,
    pub bytes: Vec<u8>,
}

/// A destination with its spool.
pub struct Forwarder {
    name: String,
    spool: Journal,
    destination: Arc<dyn Destination>,
    runtime: Handle,
    sent: AtomicU64,
    dropped: AtomicU64,
    trouble: Mutex<Option<String>>,
}

impl std::fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Forwarder")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl Forwarder {
    /// Opens the spool in a folder and sends what it holds until `stop`.
    ///
    /// # Errors
    /// If the spool cannot be opened.
    pub fn start(
        name: &str,
        folder: &Path,
        destination: Arc<dyn Destination>,
        options: ForwardOptions,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, ForwardError> {
        let limits = JournalOptions {
            segment_bytes: (options.spool_bytes_max / 8).clamp(1 << 20, 64 << 20),
            pending_bytes_max: options.spool_bytes_max,
            released_segments_kept: 1,
        };
        let mark = folder.join(SENT);
        let from = std::fs::read_to_string(&mark).ok();
        let from = from.and_then(|text| text.trim().parse().ok()).unwrap_or(0);
        let opened = Journal::open(folder, limits, from);
        let (spool, reader) = opened.map_err(|source| ForwardError {
            name: name.to_owned(),
            path: folder.to_owned(),
            source,
        })?;
        let forwarder = Arc::new(Self {
            name: name.to_owned(),
            spool,
            destination,
            runtime: Handle::current(),
            sent: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            trouble: Mutex::default(),
        });
        tokio::spawn(Arc::clone(&forwarder).run(reader, mark, stop));
        Ok(forwarder)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it fares.
    pub fn status(&self) -> ForwardStatus {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        ForwardStatus {
            name: self.name.clone(),
            target: self.destination.describe(),
            sent: self.sent.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            pending_bytes: self.spool.stats().pending_bytes,
            trouble: trouble.clone(),
        }
    }

    /// Puts copies into the spool, on the pipeline's thread. A copy that is there already, from
    /// before a crash, is not put in again.
    pub(super) fn take(&self, parcels: Vec<Parcel>) {
        let count = parcels.len() as u64;
        let received_at = Timestamp::now();
        let source: Arc<str> = Arc::from(self.name.as_str());
        let records = parcels.into_iter().map(|parcel| NewRecord {
            source: Arc::clone(&source),
            format: Format::Auto,
            context: None,
            received_at,
            idempotency_key: key_of(parcel.position, parcel.part),
            bytes: Bytes::from(parcel.bytes),
        });
        let appended = self.runtime.block_on(self.spool.append(records.collect()));
        if let Err(error) = appended {
            self.dropped.fetch_add(count, Ordering::Relaxed);
            self.note(Some(format!("copies are left out: {error}")));
        }
    }

    fn note(&self, trouble: Option<String>) {
        let mut known = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(reason), true) = (&trouble, *known != trouble) {
            tracing::warn!(destination = %self.name, reason, "cannot forward");
        }
        *known = trouble;
    }

    async fn run(
        self: Arc<Self>,
        mut reader: JournalReader,
        mark: PathBuf,
        stop: CancellationToken,
    ) {
        let mut wait = FIRST_WAIT;
        loop {
            let is_open = tokio::select! {
                () = stop.cancelled() => false,
                is_open = reader.ready() => is_open,
            };
            if !is_open {
                return;
            }
            let records = match reader.read(MAX_GROUP) {
                Ok(records) => records,
                Err(error) => {
                    self.note(Some(format!("the spool cannot be read: {error}")));
                    tokio::time::sleep(LONGEST_WAIT).await;
                    continue;
                }
            };
            let Some(last) = records.last().map(|record| record.position) else {
                continue;
            };
            let bodies: Vec<Bytes> = records.into_iter().map(|record| record.bytes).collect();
            while let Err(error) = self.destination.send(last, &bodies).await {
                self.note(Some(error.to_string()));
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            wait = FIRST_WAIT;
            self.sent.fetch_add(bodies.len() as u64, Ordering::Relaxed);
            self.note(None);
            self.mark_sent(&mark, last + 1);
            self.spool.release(last + 1);
        }
    }

    /// A mark that is lost costs a repeat, so it is not synced.
    fn mark_sent(&self, mark: &Path, position: u64) {
        let temporary = mark.with_extension("new");
        let written = std::fs::write(&temporary, position.to_string())
            .and_then(|()| std::fs::rename(&temporary, mark));
        if let Err(error) = written {
            tracing::warn!(destination = %self.name, %error, "what was sent cannot be marked");
        }
    }
}

/// The key of a copy: its record and part, never 0.
fn key_of(position: u64, part: u32) -> u128 {
    (u128::from(position) << 64) | (u128::from(part) << 1) | 1
}
