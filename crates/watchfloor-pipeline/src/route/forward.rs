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
use watchfloor_forward::{Destination, SendError};
use watchfloor_ingest::{Journal, JournalOptions, JournalReader, NewRecord, OpenError};

/// Records sent at once.
const MAX_GROUP: usize = 1000;
/// What a record weighs beside its bytes in a group, in the protocols at hand.
const RECORD_OVERHEAD: usize = 64;
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
    /// Copies that were left out: the spool was full or could not be written, or the destination
    /// takes none of their size.
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
            let (places, bodies): (Vec<u64>, Vec<Bytes>) = records
                .into_iter()
                .map(|record| (record.position, record.bytes))
                .unzip();
            let mut sent = 0;
            while let (Some(rest), Some(places)) = (bodies.get(sent..), places.get(sent..)) {
                let Some(count) = self.send_some(places, rest, &stop).await else {
                    return;
                };
                let Some(last) = count.checked_sub(1).and_then(|last| places.get(last)) else {
                    break;
                };
                self.mark_sent(&mark, last + 1);
                self.spool.release(last + 1);
                sent += count;
            }
        }
    }

    /// Sends as many of the first copies as the destination takes at once, and gives how many are
    /// done with; `None` if it is to stop.
    async fn send_some(
        &self,
        places: &[u64],
        bodies: &[Bytes],
        stop: &CancellationToken,
    ) -> Option<usize> {
        let mut wait = FIRST_WAIT;
        let mut count = fitting(bodies, self.destination.group_bytes_max());
        loop {
            let Some((group, last)) = bodies
                .get(..count)
                .zip(count.checked_sub(1).and_then(|last| places.get(last)))
            else {
                return Some(0);
            };
            match self.destination.send(*last, group).await {
                Ok(()) => {
                    self.sent.fetch_add(count as u64, Ordering::Relaxed);
                    self.note(None);
                    return Some(count);
                }
                Err(SendError::TooLarge { .. }) if count > 1 => count /= 2,
                Err(error @ SendError::TooLarge { .. }) => {
                    let bytes: usize = group.iter().map(Bytes::len).sum();
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                    self.note(Some(format!(
                        "a copy of {bytes} bytes is left out: {error}"
                    )));
                    return Some(1);
                }
                Err(error) => {
                    self.note(Some(error.to_string()));
                    tokio::select! {
                        () = stop.cancelled() => return None,
                        () = tokio::time::sleep(wait) => {}
                    }
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
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

/// How many of the first bodies go together in so many bytes: at least one of any.
fn fitting(bodies: &[Bytes], bytes_max: usize) -> usize {
    let mut bytes: usize = 0;
    let fit = bodies.iter().take_while(|body| {
        bytes = bytes.saturating_add(body.len() + RECORD_OVERHEAD);
        bytes <= bytes_max
    });
    fit.count().max(bodies.len().min(1))
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use futures::future::BoxFuture;

    use super::*;

    /// Takes no group above some bytes, and keeps what it takes.
    struct Narrow {
        bytes_max: usize,
        taken: Mutex<Vec<Vec<usize>>>,
    }

    impl Destination for Narrow {
        fn send<'a>(
            &'a self,
            _: u64,
            records: &'a [Bytes],
        ) -> BoxFuture<'a, Result<(), SendError>> {
            async move {
                let lengths: Vec<usize> = records.iter().map(Bytes::len).collect();
                if lengths.iter().sum::<usize>() > self.bytes_max {
                    return Err(SendError::TooLarge {
                        target: self.describe(),
                        reason: "413".to_owned(),
                    });
                }
                self.taken.lock().unwrap().push(lengths);
                Ok(())
            }
            .boxed()
        }

        fn describe(&self) -> String {
            "a narrow place".to_owned()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_too_large_alone_is_left_out_and_the_rest_arrives_once() {
        let folder = tempfile::tempdir().unwrap();
        let narrow = Arc::new(Narrow {
            bytes_max: 100,
            taken: Mutex::default(),
        });
        let options = ForwardOptions {
            spool_bytes_max: 8 << 20,
        };
        let place = Arc::clone(&narrow) as Arc<dyn Destination>;
        let stop = CancellationToken::new();
        let forwarder =
            Forwarder::start("narrow", folder.path(), place, options, stop.clone()).unwrap();
        let lengths = [30, 31, 500, 32, 33, 34, 35];
        let parcels = (1..).zip(lengths).map(|(position, length)| Parcel {
            position,
            part: 0,
            bytes: vec![b'x'; length],
        });
        let parcels = parcels.collect();
        let taking = Arc::clone(&forwarder);
        tokio::task::spawn_blocking(move || taking.take(parcels))
            .await
            .unwrap();
        let mut status = forwarder.status();
        while status.sent + status.dropped < 7 {
            tokio::time::sleep(Duration::from_millis(5)).await;
            status = forwarder.status();
        }
        assert_eq!((status.sent, status.dropped), (6, 1));
        let taken: Vec<usize> = narrow.taken.lock().unwrap().concat();
        assert_eq!(taken, [30, 31, 32, 33, 34, 35]);
        stop.cancel();
    }

    #[test]
    fn a_group_is_what_its_destination_takes() {
        let bodies: Vec<Bytes> = [500, 300, 300]
            .map(|kib| Bytes::from(vec![0; kib << 10]))
            .into();
        assert_eq!(fitting(&bodies, 900 << 10), 2);
        assert_eq!(fitting(&bodies, usize::MAX), 3);
        assert_eq!(fitting(&bodies, 10), 1);
        assert_eq!(fitting(&[], 10), 0);
    }
}
