//! Indicators in the stream: what events say of those they met, and how often each list was.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use watchfloor_enrich::{Note, NoteKind, Notes};
use watchfloor_event::EventBatch;
use watchfloor_intel::{EventMatches, IndicatorSet};

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

/// Says in events which indicators they met, beside the findings that are made of them.
pub(crate) fn note(batch: &mut EventBatch, matches: &[EventMatches], set: &IndicatorSet) {
    if matches.is_empty() {
        return;
    }
    let mut notes = Notes::default();
    for event in matches {
        for met in &event.met {
            let Some(held) = met.indicator(set) else {
                continue;
            };
            let mut added = vec![("indicator.list".to_owned(), held.list.to_string())];
            let name = held.indicator.name.clone();
            added.extend(name.map(|name| ("indicator.name".to_owned(), name)));
            let confidence = held.indicator.confidence;
            added.extend(
                confidence.map(|sure| ("indicator.confidence".to_owned(), sure.to_string())),
            );
            let note = notes.intern(Note {
                about: met.field.clone(),
                value: met.value.clone(),
                kind: NoteKind::Indicator,
                provider: Arc::clone(held.list),
                added,
            });
            notes.give(event.row, note);
        }
    }
    notes.write(batch);
}
