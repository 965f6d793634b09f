//! What enrichment learnt from events, kept over restarts: which machine or person held which
//! address when.
//!
//! Written now and then and at the end, not with each commit: after a crash the journal's last
//! events teach the same again, and what is older than the last writing is at most a minute.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use watchfloor_enrich::Enricher;

/// Time between two writings.
const WRITE_WAIT: Duration = Duration::from_secs(60);

/// The file of what was learnt.
#[derive(Debug)]
pub(crate) struct Learnt {
    path: PathBuf,
    written: Mutex<Option<Instant>>,
}

impl Learnt {
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            written: Mutex::default(),
        }
    }

    /// Gives an enricher what was learnt before.
    pub(crate) fn restore(&self, enricher: &mut Enricher) {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => enricher.restore(&text),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(path = %self.path.display(), %error, "leases learnt before cannot be read");
            }
        }
    }

    /// Writes what was learnt, if it is time.
    pub(crate) fn keep(&self, enricher: &Enricher) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = written.get_or_insert_with(Instant::now).elapsed() >= WRITE_WAIT;
        if is_due {
            *written = Some(Instant::now());
            self.write(enricher);
        }
    }

    /// Writes what was learnt.
    pub(crate) fn write(&self, enricher: &Enricher) {
        let text = enricher.learnt();
        if text.is_empty() {
            return;
        }
        let temporary = self.path.with_extension("new");
        let done =
            std::fs::write(&temporary, text).and_then(|()| std::fs::rename(&temporary, &self.path));
        if let Err(error) = done {
            tracing::warn!(path = %self.path.display(), %error, "learnt leases cannot be written");
        }
    }
}
