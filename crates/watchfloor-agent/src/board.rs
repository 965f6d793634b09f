//! How each collector stands, for the heartbeat and for `status`.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use watchfloor_link::CollectorState;

use crate::tell::tell;

/// How all collectors stand.
#[derive(Debug, Default)]
pub(crate) struct Board {
    states: Mutex<BTreeMap<&'static str, CollectorState>>,
}

impl Board {
    /// Counts records of a collector.
    pub(crate) fn count(&self, collector: &'static str, records: u64) {
        self.entry(collector, |state| state.records += records);
    }

    /// Notes what is wrong with a collector, and says so once.
    pub(crate) fn trouble(&self, collector: &'static str, words: &str) {
        self.entry(collector, |state| {
            if state.trouble.as_deref() != Some(words) {
                tell(format_args!("{collector}: {words}"));
                state.trouble = Some(words.to_owned());
            }
        });
    }

    /// Nothing is wrong with a collector any more.
    pub(crate) fn well(&self, collector: &'static str) {
        self.entry(collector, |state| state.trouble = None);
    }

    /// A collector is off.
    pub(crate) fn off(&self, collector: &'static str) {
        self.lock().remove(collector);
    }

    /// All of them.
    pub(crate) fn states(&self) -> Vec<CollectorState> {
        self.lock().values().cloned().collect()
    }

    fn entry(&self, collector: &'static str, change: impl FnOnce(&mut CollectorState)) {
        let mut states = self.lock();
        let state = states.entry(collector).or_insert_with(|| CollectorState {
            name: collector.to_owned(),
            ..CollectorState::default()
        });
        change(state);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, CollectorState>> {
        self.states.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
