//! The frame of everything that brings records in by itself: a listener, a watched folder, a
//! client of a queue. Each runs until it is told to stop, writes to the journal through its
//! [`SourceHandle`], is held back while the journal is full, counts what it cannot keep, and
//! says how it stands.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use watchfloor_event::Format;

use crate::journal::{AppendError, Journal};
use crate::products::Products;
use crate::record::NewRecord;

/// Wait before an append that met a full journal is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(200);

/// Told of records that are not kept: source, reason, count.
pub type DropSink = Arc<dyn Fn(&str, &str, u64) + Send + Sync>;

/// A source at work; it ends when its handle says so.
pub type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a source stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// It has not said anything yet.
    Starting,
    /// It waits for senders.
    Listening {
        /// Address and port, or a path.
        address: String,
    },
    /// It reads from somewhere.
    Connected {
        /// From where.
        to: String,
    },
    /// It cannot read just now and tries again.
    Retrying {
        /// What went wrong.
        error: String,
        /// How a person mends it.
        mend: String,
    },
    /// It has ended for good.
    Ended {
        /// What went wrong.
        error: String,
        /// How a person mends it.
        mend: String,
    },
}

impl Link {
    /// The stable word of the state.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Listening { .. } => "listening",
            Self::Connected { .. } => "connected",
            Self::Retrying { .. } => "retrying",
            Self::Ended { .. } => "ended",
        }
    }
}

/// Trouble that cost no record that is known of, such as a refused connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// How often since start.
    pub count: u64,
    /// When last.
    pub last_at: Timestamp,
    /// What happened last, and how to mend it.
    pub message: String,
}

/// How a source stands, for the Sources page.
#[derive(Clone, Debug)]
pub struct SourceReport {
    /// Its name in the configuration; its records' sources are this name, or begin with it and
    /// a colon, unless it names others in [`SourceReport::records_as`].
    pub name: Arc<str>,
    /// Its kind in the configuration.
    pub kind: &'static str,
    /// The product that the configuration names.
    pub product: Option<Arc<str>>,
    /// What the names of its records' sources begin with.
    pub records_as: Arc<str>,
    /// State.
    pub link: Link,
    /// Since when.
    pub since: Timestamp,
    /// Trouble by stable word.
    pub troubles: BTreeMap<&'static str, Trouble>,
}

/// The states of all sources.
#[derive(Clone, Debug, Default)]
pub struct SourceStates(Arc<Mutex<BTreeMap<Arc<str>, SourceReport>>>);

impl SourceStates {
    /// All of them, by name.
    pub fn read(&self) -> Vec<SourceReport> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Arc<str>, SourceReport>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What all sources share.
#[derive(Clone)]
pub struct SourceFrame {
    /// Where records go.
    pub journal: Journal,
    /// Told of drops.
    pub on_drop: DropSink,
    /// Where states stand.
    pub states: SourceStates,
    /// Products by names of sources.
    pub products: Arc<Products>,
    /// Ends all.
    pub stop: CancellationToken,
}

impl std::fmt::Debug for SourceFrame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceFrame")
            .field("states", &self.states)
            .finish_non_exhaustive()
    }
}

/// What is said of every source in the configuration.
#[derive(Clone, Debug)]
pub struct SourceOptions {
    /// Its name.
    pub name: Arc<str>,
    /// Its kind.
    pub kind: &'static str,
    /// What the names of its records' sources begin with: mostly its name.
    pub records_as: Arc<str>,
    /// The product that its records are of: its name, and the context that tells the decoder.
    pub product: Option<(Arc<str>, Arc<str>)>,
    /// The form of its records, if it is said.
    pub format: Option<Format>,
}

impl SourceFrame {
    /// The handle of a source; it is known to [`SourceStates`] from now on.
    pub fn handle(&self, options: SourceOptions) -> SourceHandle {
        let report = SourceReport {
            name: Arc::clone(&options.name),
            kind: options.kind,
            product: options.product.as_ref().map(|(name, _)| Arc::clone(name)),
            records_as: Arc::clone(&options.records_as),
            link: Link::Starting,
            since: Timestamp::now(),
            troubles: BTreeMap::new(),
        };
        self.states.lock().insert(Arc::clone(&options.name), report);
        SourceHandle {
            frame: self.clone(),
            options: Arc::new(options),
        }
    }

    /// Runs a source; one that ends before it was told to is shown as ended.
    pub fn spawn(&self, handle: SourceHandle, running: Running) -> tokio::task::JoinHandle<()> {
        let stop = self.stop.clone();
        tokio::spawn(async move {
            let task = tokio::spawn(running);
            let outcome = task.await;
            if stop.is_cancelled() {
                return;
            }
            let is_told = matches!(handle.link(), Some(Link::Ended { .. }));
            if outcome.is_err() || !is_told {
                tracing::error!(source = %handle.name(), "a source has ended by itself");
                handle.ended(
                    "it has ended by itself, which is a fault of the program",
                    "start the server again, and report what its log says",
                );
            }
        })
    }
}

/// What a source works with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SourceHandle {
    frame: SourceFrame,
    options: Arc<SourceOptions>,
}

impl SourceHandle {
    /// Its name in the configuration.
    pub fn name(&self) -> &Arc<str> {
        &self.options.name
    }

    /// What the names of its records' sources begin with.
    pub fn records_as(&self) -> &Arc<str> {
        &self.options.records_as
    }

    /// Cancelled when it is to end.
    pub fn stop(&self) -> &CancellationToken {
        &self.frame.stop
    }

    /// The name under which records of a sender are counted: the name of the source, a colon,
    /// the sender.
    pub fn source_of(&self, sender: impl std::fmt::Display) -> Arc<str> {
        Arc::from(format!("{}:{sender}", self.options.records_as))
    }

    /// The context that names the product of a source's records: that of the configured source,
    /// or what `[products]` says of the name.
    pub fn context_of(&self, source: &str) -> Option<Arc<str>> {
        match &self.options.product {
            Some((_, context)) => Some(Arc::clone(context)),
            None => self.frame.products.context_of(source),
        }
    }

    /// A record of now. `context` is what [`SourceHandle::context_of`] gives for its source, or
    /// that and more; a form that the configuration names goes before `format`.
    pub fn record(
        &self,
        source: &Arc<str>,
        context: Option<&Arc<str>>,
        format: Format,
        bytes: Bytes,
    ) -> NewRecord {
        NewRecord {
            source: Arc::clone(source),
            format: self.options.format.unwrap_or(format),
            context: context.map(Arc::clone),
            received_at: Timestamp::now(),
            idempotency_key: 0,
            bytes,
        }
    }

    /// Makes records durable and returns `true`; waits while the journal is full or the disk
    /// refuses. `false` if the program ends: then none of them is kept, and the caller counts
    /// them unless its sender has them still.
    pub async fn append(&self, records: Vec<NewRecord>) -> bool {
        if records.is_empty() {
            return true;
        }
        loop {
            match self.frame.journal.append(records.clone()).await {
                Ok(_) => return true,
                Err(AppendError::Closed) => return false,
                Err(
                    AppendError::Full { .. } | AppendError::Write { .. } | AppendError::Away { .. },
                ) => {
                    tokio::select! {
                        () = self.frame.stop.cancelled() => return false,
                        () = tokio::time::sleep(RETRY_WAIT) => {}
                    }
                }
            }
        }
    }

    /// Makes records durable without waiting for room, for senders that are told and send again.
    ///
    /// # Errors
    /// If none of them is kept, and why.
    pub async fn try_append(&self, records: Vec<NewRecord>) -> Result<(), AppendError> {
        self.frame.journal.append(records).await.map(|_| ())
    }

    /// As [`SourceHandle::append`], for senders that cannot send again: what is not kept when
    /// the program ends is counted.
    pub async fn append_or_count(&self, records: Vec<NewRecord>) {
        let count = records.len() as u64;
        let source = records.first().map(|record| Arc::clone(&record.source));
        if !self.append(records).await
            && let Some(source) = source
        {
            self.dropped(&source, "shutdown", count);
        }
    }

    /// Makes records durable without waiting for room, for senders that are never held back:
    /// what is not kept is counted, each under its source.
    pub async fn append_now(&self, records: Vec<NewRecord>) {
        let sources: Vec<Arc<str>> = records
            .iter()
            .map(|record| Arc::clone(&record.source))
            .collect();
        if let Err(error) = self.frame.journal.append(records).await {
            let reason = match error {
                AppendError::Full { .. } => "journal_full",
                AppendError::Write { .. } => "journal_write",
                AppendError::Away { .. } => "journal_away",
                AppendError::Closed => "shutdown",
            };
            for source in sources {
                self.dropped(&source, reason, 1);
            }
        }
    }

    /// Counts records that are not kept.
    pub fn dropped(&self, source: &str, reason: &str, count: u64) {
        (self.frame.on_drop)(source, reason, count);
    }

    /// Says that it waits for senders.
    pub fn listening(&self, address: impl std::fmt::Display) {
        let address = address.to_string();
        self.set(Link::Listening { address });
    }

    /// Says that it reads from somewhere.
    pub fn connected(&self, to: impl std::fmt::Display) {
        self.set(Link::Connected { to: to.to_string() });
    }

    /// Says that it cannot read just now, and how that is mended.
    pub fn retrying(&self, error: impl std::fmt::Display, mend: impl Into<String>) {
        let (error, mend) = (error.to_string(), mend.into());
        self.set(Link::Retrying { error, mend });
    }

    /// Says that it has ended for good, and how that is mended.
    pub fn ended(&self, error: impl std::fmt::Display, mend: impl Into<String>) {
        let (error, mend) = (error.to_string(), mend.into());
        self.set(Link::Ended { error, mend });
    }

    /// Counts trouble that cost no known record, under a stable word; the message says what
    /// happened and how to mend it.
    pub fn trouble(&self, word: &'static str, message: impl Into<String>) {
        let now = Timestamp::now();
        let message = message.into();
        self.with_report(|report| {
            let trouble = report.troubles.entry(word).or_insert_with(|| Trouble {
                count: 0,
                last_at: now,
                message: String::new(),
            });
            if trouble.count == 0 {
                tracing::warn!(source = %report.name, word, message, "trouble with a source");
            }
            trouble.count += 1;
            trouble.last_at = now;
            trouble.message = message;
        });
    }

    /// How it stands.
    pub fn link(&self) -> Option<Link> {
        let states = self.frame.states.lock();
        states
            .get(&self.options.name)
            .map(|report| report.link.clone())
    }

    fn set(&self, link: Link) {
        self.with_report(|report| {
            if report.link == link {
                return;
            }
            if let Link::Retrying { error, mend } | Link::Ended { error, mend } = &link {
                tracing::warn!(source = %report.name, error, mend, "a source cannot read");
            }
            if report.link.as_str() != link.as_str() {
                report.since = Timestamp::now();
            }
            report.link = link;
        });
    }

    fn with_report(&self, change: impl FnOnce(&mut SourceReport)) {
        if let Some(report) = self.frame.states.lock().get_mut(&self.options.name) {
            change(report);
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{JournalOptions, JournalReader};

    /// A handle over a journal in a folder, and the journal's reader.
    pub(crate) fn handle(
        folder: &std::path::Path,
        on_drop: DropSink,
    ) -> (SourceHandle, JournalReader) {
        let (journal, reader) = Journal::open(folder, JournalOptions::standard(), 0).unwrap();
        let frame = SourceFrame {
            journal,
            on_drop,
            states: SourceStates::default(),
            products: Arc::new(Products::default()),
            stop: CancellationToken::new(),
        };
        let options = SourceOptions {
            name: Arc::from("test"),
            kind: "test",
            records_as: Arc::from("test"),
            product: None,
            format: None,
        };
        (frame.handle(options), reader)
    }

    #[tokio::test]
    async fn a_source_that_ends_by_itself_is_shown_as_ended() {
        let folder = tempfile::tempdir().unwrap();
        let (handle, _reader) = handle(folder.path(), Arc::new(|_, _, _| {}));
        let frame = handle.frame.clone();
        handle.listening("127.0.0.1:1");
        assert_eq!(handle.link().unwrap().as_str(), "listening");
        let running = Box::pin(async { panic!("on purpose") });
        frame.spawn(handle.clone(), running).await.unwrap();
        assert_eq!(handle.link().unwrap().as_str(), "ended");
        handle.trouble("refused", "why");
        handle.trouble("refused", "why else");
        let report = &frame.states.read()[0];
        assert_eq!(report.troubles["refused"].count, 2);
        assert_eq!(report.troubles["refused"].message, "why else");
    }
}
