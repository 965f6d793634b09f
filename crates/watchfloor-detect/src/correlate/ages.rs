//! Groups by the time of their latest match, so that the quiet ones are found without looking
//! at all of them.
//!
//! A group is listed once, when it is made, and stays there while matches come; when its list is
//! due it is looked at and listed again where it now belongs. A group is therefore touched at
//! most [`LISTS`] times while its window passes. Times are exact to one list.

use std::collections::BTreeMap;

/// Lists that the life of a quiet group spans.
const LISTS: i64 = 16;
/// Listed groups that are gone are only looked for when there are more than that.
const MIN_TIDY: usize = 1_024;

/// Slots by age.
#[derive(Debug)]
pub(super) struct Ages {
    width_us: i64,
    lists: BTreeMap<i64, Vec<u32>>,
    listed: usize,
    /// No list is due before that.
    due_us: i64,
}

impl Ages {
    /// For groups that live so long after their latest match, in microseconds.
    pub(super) const fn new(life_us: i64) -> Self {
        Self {
            width_us: life_us / LISTS + 1,
            lists: BTreeMap::new(),
            listed: 0,
            due_us: i64::MAX,
        }
    }

    /// The list of groups whose latest match is of this time.
    pub(super) const fn bucket(&self, newest_us: i64) -> i64 {
        newest_us.div_euclid(self.width_us)
    }

    /// Lists a group; gives the mark by which the group knows its list.
    pub(super) fn list(&mut self, slot: u32, newest_us: i64) -> u32 {
        let bucket = self.bucket(newest_us);
        self.lists.entry(bucket).or_default().push(slot);
        self.listed += 1;
        self.note_due();
        bucket as u32
    }

    /// Whether some list lies wholly before a time.
    pub(super) const fn is_due(&self, horizon_us: i64) -> bool {
        horizon_us >= self.due_us
    }

    /// Takes out the oldest list if it lies wholly before a time.
    pub(super) fn take_due(&mut self, horizon_us: i64) -> Option<(i64, Vec<u32>)> {
        if !self.is_due(horizon_us) {
            return None;
        }
        self.take_oldest()
    }

    /// Takes out the oldest list.
    pub(super) fn take_oldest(&mut self) -> Option<(i64, Vec<u32>)> {
        let oldest = self.lists.pop_first()?;
        self.listed -= oldest.1.len();
        self.note_due();
        Some(oldest)
    }

    /// Puts back what is left of a list.
    pub(super) fn put_back(&mut self, bucket: i64, slots: Vec<u32>) {
        self.listed += slots.len();
        self.lists.entry(bucket).or_default().extend(slots);
        self.note_due();
    }

    /// Leaves out what is listed no more, once that is more than the groups there are.
    pub(super) fn tidy(&mut self, groups: usize, is_listed: impl Fn(i64, u32) -> bool) {
        if self.listed <= 2 * groups + MIN_TIDY {
            return;
        }
        self.lists.retain(|bucket, slots| {
            slots.retain(|slot| is_listed(*bucket, *slot));
            // A slot that was taken again is listed twice.
            slots.sort_unstable();
            slots.dedup();
            slots.shrink_to_fit();
            !slots.is_empty()
        });
        self.listed = self.lists.values().map(Vec::len).sum();
        self.note_due();
    }

    /// Number of places in all lists.
    #[cfg(test)]
    pub(super) const fn listed(&self) -> usize {
        self.listed
    }

    fn note_due(&mut self) {
        let first = self.lists.keys().next();
        let end_us = |bucket: &i64| bucket.saturating_add(1).saturating_mul(self.width_us);
        self.due_us = first.map_or(i64::MAX, end_us);
    }
}
