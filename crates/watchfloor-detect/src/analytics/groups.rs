//! Groups of an analytic: a bounded number of them, with a bounded number of items in all.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Most groups per analytic; those that were quiet longest give way.
const MAX_GROUPS: usize = 100_000;
/// Most items (values, times, attempts) of all groups of an analytic.
const MAX_ITEMS: usize = 1_000_000;
/// Share of the groups, one in so many, that gives way at once when there is no room.
const GIVE_WAY: usize = 16;

/// What a type keeps of one entity.
pub(super) trait Group: Default {
    /// Number of items that it holds.
    fn items(&self) -> usize;
}

/// The groups of an analytic.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Groups<G> {
    by_key: BTreeMap<String, Kept<G>>,
    items: usize,
    /// When groups without a recent match were last looked for.
    swept_us: i64,
    /// Groups that gave way for want of room.
    dropped: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept<G> {
    newest_us: i64,
    group: G,
}

impl<G> Default for Groups<G> {
    fn default() -> Self {
        Self {
            by_key: BTreeMap::new(),
            items: 0,
            swept_us: i64::MIN,
            dropped: 0,
        }
    }
}

impl<G: Group> Groups<G> {
    /// Lets `change` work on a group, which is made where there is none.
    pub(super) fn with<R>(
        &mut self,
        key: String,
        time_us: i64,
        horizon_us: i64,
        change: impl FnOnce(&mut G) -> R,
    ) -> R {
        self.make_room(&key, horizon_us);
        let fresh = || Kept {
            newest_us: time_us,
            group: G::default(),
        };
        let kept = self.by_key.entry(key).or_insert_with(fresh);
        kept.newest_us = kept.newest_us.max(time_us);
        let before = kept.group.items();
        let result = change(&mut kept.group);
        self.items = (self.items + kept.group.items()).saturating_sub(before);
        result
    }

    /// Forgets groups without a match since the horizon, from time to time and where room is
    /// needed, and then those that were quiet longest.
    fn make_room(&mut self, key: &str, horizon_us: i64) {
        let is_full = self.items >= MAX_ITEMS
            || (self.by_key.len() >= MAX_GROUPS && !self.by_key.contains_key(key));
        // Looking for idle groups goes through all; the more there are, the rarer it is done.
        let wait_us = (self.by_key.len() as i64).saturating_mul(10_000);
        let is_due = horizon_us > self.swept_us.saturating_add(wait_us);
        if !is_full && !is_due {
            return;
        }
        self.swept_us = horizon_us;
        self.by_key.retain(|_, kept| kept.newest_us >= horizon_us);
        self.count();
        if self.items < MAX_ITEMS && self.by_key.len() < MAX_GROUPS {
            return;
        }
        let mut times: Vec<i64> = self.by_key.values().map(|kept| kept.newest_us).collect();
        times.sort_unstable();
        let bound = times.get(times.len() / GIVE_WAY).copied();
        let bound = bound.unwrap_or(i64::MAX);
        let before = self.by_key.len();
        self.by_key.retain(|_, kept| kept.newest_us > bound);
        self.dropped += (before - self.by_key.len()) as u64;
        self.count();
    }

    fn count(&mut self) {
        self.items = self.by_key.values().map(|kept| kept.group.items()).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct One(usize);

    impl Group for One {
        fn items(&self) -> usize {
            self.0
        }
    }

    #[test]
    fn the_quietest_groups_give_way_and_idle_ones_are_forgotten() {
        let mut groups: Groups<One> = Groups::default();
        for number in 0..(MAX_GROUPS as i64 + 10) {
            groups.with(number.to_string(), number, 0, |one| one.0 = 1);
        }
        assert!(groups.by_key.len() <= MAX_GROUPS);
        assert!(!groups.by_key.contains_key("0") && groups.dropped > 0);
        groups.with("last".to_owned(), 1 << 50, 1 << 49, |one| one.0 = 1);
        assert_eq!(groups.by_key.len(), 1);
        groups.with("big".to_owned(), 1 << 50, 1 << 49, |one| one.0 = MAX_ITEMS);
        groups.with("next".to_owned(), (1 << 50) + 1, 1 << 49, |one| one.0 = 1);
        assert!(groups.items < MAX_ITEMS, "{}", groups.items);
    }
}
