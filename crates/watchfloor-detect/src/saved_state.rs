//! The state of correlations and analytics as bytes: the whole of it now and then, and between
//! only what changed, so that a commit does not write again what a million groups hold.
//!
//! A piece is eight bytes that say what it is, the length of the correlations' part and that
//! part, those of the analytics (their state as JSON, or the matches that changed it), and the
//! first eight bytes of the SHA-256 of all of it. A piece of changes holds for the state that
//! the pieces before it give.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Detector;
use crate::analytics::States;
use crate::correlate::codec::{Reader, put_bytes};
use crate::correlate::{Correlator, EarlierStates};

/// What a piece begins with: its form, version 2.
const MAGIC: &[u8; 7] = b"WFSTAT2";
/// After it: all state.
const WHOLE: u8 = b'W';
/// After it: what changed.
const CHANGES: u8 = b'C';
/// Bytes of the checksum.
const SUM_BYTES: usize = 8;
/// Changes of so many bytes are written before all state is written again, at least; and as many
/// times what the whole state took.
const MIN_CHANGES: u64 = 16 << 20;
/// See [`MIN_CHANGES`].
const CHANGES_PER_WHOLE: u64 = 2;

/// Saved state that cannot be read.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the saved state of correlations cannot be read: {0}")]
pub struct RestoreError(&'static str);

/// State to be kept with the position up to which events were judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedState {
    /// Whether it is all state; else it holds only together with what was saved before it, from
    /// the last whole one on.
    pub is_whole: bool,
    /// For [`Detector::restore`].
    pub bytes: Vec<u8>,
}

/// How much was saved since state was last saved whole.
#[derive(Debug, Default)]
pub(crate) struct Saving {
    /// Bytes of the last whole state; `None` while there is none to add to.
    whole: Option<u64>,
    changes: u64,
}

/// What earlier versions saved.
#[derive(Deserialize)]
struct Earlier {
    correlations: EarlierStates,
    analytics: States,
}

impl Detector {
    /// All state, to be saved.
    pub fn save(&self) -> Vec<u8> {
        let mut part = Vec::new();
        self.correlator.save(&mut part);
        piece(WHOLE, &part, &self.analytics.save())
    }

    /// What changed since the last call, or all of it where that is due or the rules are others,
    /// to be saved with the
    /// position of the last event. Every piece must be kept, from the last whole one on.
    pub fn save_changes(&mut self) -> SavedState {
        let is_due = |whole: u64| {
            self.saving.changes > whole.saturating_mul(CHANGES_PER_WHOLE).max(MIN_CHANGES)
        };
        let is_whole = self.saving.whole.is_none_or(is_due);
        let mut part = Vec::new();
        let bytes = if is_whole {
            self.correlator.save_all(&mut part);
            let analytics = self.analytics.save();
            self.analytics.mark_saved();
            piece(WHOLE, &part, &analytics)
        } else {
            self.correlator.save_changes(&mut part);
            piece(CHANGES, &part, &self.analytics.save_changes())
        };
        let len = bytes.len() as u64;
        if is_whole {
            (self.saving.whole, self.saving.changes) = (Some(len), 0);
        } else {
            self.saving.changes += len;
        }
        SavedState { is_whole, bytes }
    }

    /// Takes up saved state: a whole one, and after it each piece of changes in the order in
    /// which they were saved. State that earlier versions saved is taken up as well.
    ///
    /// # Errors
    /// If the bytes were not made by [`Detector::save`] or [`Detector::save_changes`]. The state
    /// is then that of a detector that saw nothing.
    pub fn restore(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        self.saving = Saving::default();
        let result = match saved.strip_prefix(MAGIC) {
            Some(_) => self.restore_piece(saved),
            None => self.restore_earlier(saved),
        };
        if result.is_err() {
            self.correlator = Correlator::new(&self.program().correlations);
            self.analytics.restore(States::default());
        }
        result
    }

    fn restore_piece(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        let whole = saved.len().checked_sub(SUM_BYTES);
        let (content, sum) = saved.split_at(whole.ok_or(RestoreError("it is cut off"))?);
        if Sha256::digest(content)[..SUM_BYTES] != *sum {
            return Err(RestoreError("its checksum is wrong"));
        }
        let form = RestoreError("its form is not known");
        let mut reader = Reader(content);
        let head = reader.take(MAGIC.len() + 1);
        let parts = (head, reader.bytes(), reader.bytes());
        let (Some(head), Some(correlations), Some(analytics)) = parts else {
            return Err(form);
        };
        let is_whole = head.last() == Some(&WHOLE);
        if is_whole {
            self.correlator = Correlator::new(&self.program().correlations);
        }
        self.correlator.restore(correlations).ok_or(form)?;
        if is_whole {
            let states = serde_json::from_slice(analytics).map_err(|_| form)?;
            self.analytics.restore(states);
        } else {
            self.analytics.restore_changes(analytics).ok_or(form)?;
        }
        Ok(())
    }

    fn restore_earlier(&mut self, saved: &[u8]) -> Result<(), RestoreError> {
        let (correlations, analytics) = match serde_json::from_slice::<Earlier>(saved) {
            Ok(earlier) => (earlier.correlations, earlier.analytics),
            // Before there were analytics, correlations were saved alone.
            Err(_) => match serde_json::from_slice(saved) {
                Ok(alone) => (alone, States::default()),
                Err(_) => return Err(RestoreError("its form is not known")),
            },
        };
        let program = self.program();
        self.correlator = Correlator::new(&program.correlations);
        self.correlator
            .restore_earlier(correlations, &program.correlations);
        self.analytics.restore(analytics);
        Ok(())
    }
}

fn piece(kind: u8, correlations: &[u8], analytics: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(correlations.len() + analytics.len() + 64);
    out.extend_from_slice(MAGIC);
    out.push(kind);
    put_bytes(&mut out, correlations);
    put_bytes(&mut out, analytics);
    let sum = Sha256::digest(&out);
    out.extend_from_slice(&sum[..SUM_BYTES]);
    out
}
