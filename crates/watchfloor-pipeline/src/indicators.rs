//! How often the indicators of each list were met.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts since start.
#[derive(Debug, Default)]
pub struct IndicatorMatches {
    by_list: Mutex<BTreeMap<Arc<str>, u64>>,
}

impl IndicatorMatches {
    pub(crate) fn count(&self, lists: Vec<Arc<str>>) {
        if lists.is_empty() {
            return;
        }
        let mut by_list = self.by_list.lock().unwrap_or_else(PoisonError::into_inner);
        for list in lists {
            *by_list.entry(list).or_default() += 1;
        }
    }

    /// Matches since start by list: one per event and indicator.
    pub fn read(&self) -> BTreeMap<Arc<str>, u64> {
        let by_list = self.by_list.lock().unwrap_or_else(PoisonError::into_inner);
        by_list.clone()
    }
}
