//! Correlations: bounded state per rule and group, in event time.
//!
//! A match is put in its place by time. The windows that hold it, up to one timespan after it,
//! are looked at: the one that ends at the match where it came in order, several where it came
//! late. The earliest that keeps the bounds is a finding; its matches are used up, so that each
//! finding rests on matches of its own, and the windows that they were part of are looked at
//! again. What is found hangs on the order in which matches come and on nothing else: not on how
//! they are cut into batches, not on when state was saved and restored. See `docs/adr/0007`.
//!
//! All groups of all correlations are in one table with one limit of bytes. `plan.rs` is what a
//! rule asks, `member.rs` a match, `group.rs` the windows of a group, `tally.rs` their measure,
//! `ages.rs` finds the quiet groups, `saved.rs` writes and reads state, `earlier.rs` reads that
//! of earlier versions.

pub(crate) mod codec;

mod ages;
mod earlier;
mod group;
mod member;
mod plan;
mod saved;
mod slots;

use foldhash::fast::FixedState;
use hashbrown::{HashMap, HashTable};
use watchfloor_rules::Correlation;

use ages::Ages;
pub(crate) use earlier::EarlierStates;
pub(crate) use group::Fired;
use group::Group;
pub(crate) use member::{
    EMPTY_LIST, Member, Parties, Value, hash, hash_of_all, put_entity, put_events, with_hash,
};
use plan::Plan;
use slots::Slots;

mod tally;

/// How far behind the newest match of its rule a match may come and still be looked at as if it
/// had come in time, in microseconds: ten minutes. Matches of one more timespan before that are
/// kept for its windows.
pub(crate) const LATENESS_US: i64 = 600 * 1_000_000;
/// Most bytes of all groups, about. Beyond it the groups that were quiet longest give way, those
/// of the correlation first that takes most.
const MAX_BYTES: u64 = 448 << 20;
/// Share of the bytes, one part in so many, that is made free at once.
const GIVE_WAY: u64 = 64;

/// How much correlations keep, and what they had to leave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CorrelationSize {
    /// Live groups of all correlations.
    pub groups: usize,
    /// Their bytes in memory, about.
    pub bytes: u64,
    /// Groups that gave way for want of room, since state was first saved.
    pub groups_dropped: u64,
    /// Matches that came later than the limit and were not taken, since state was first saved.
    pub late: u64,
}

/// State of all correlations.
#[derive(Debug)]
pub(crate) struct Correlator {
    /// By place of the correlation in the rule set.
    states: Vec<State>,
    /// Slots by the low half of the groups' keys.
    table: HashTable<u32>,
    slots: Slots,
    /// Bytes of all groups, about.
    bytes: u64,
    max_bytes: u64,
    /// Slots that changed since state was last saved.
    changed: Vec<u32>,
    /// Keys of groups that the last saved state has and that are gone.
    gone: Vec<u128>,
    /// Groups that gave way for want of room.
    groups_dropped: u64,
    /// Matches that came later than the limit and were not taken.
    late: u64,
}

/// State of one correlation.
#[derive(Debug)]
struct State {
    id: String,
    version: String,
    plan: Plan,
    /// Makes keys of the group's values keys of the correlation's groups.
    salt: u128,
    /// The latest match, as far as it does not lie ahead of its receipt.
    newest_us: i64,
    ages: Ages,
    groups: usize,
    bytes: u64,
}

impl State {
    fn of(correlation: &Correlation) -> Self {
        let meta = &correlation.meta;
        let plan = Plan::of(correlation);
        Self {
            id: meta.id.clone(),
            version: meta.version.clone(),
            salt: hash_of_all([hash(&meta.id), hash(&meta.version)].into_iter()),
            newest_us: i64::MIN,
            ages: Ages::new(plan.span_us.saturating_add(LATENESS_US)),
            plan,
            groups: 0,
            bytes: 0,
        }
    }

    /// Matches before that are of no use any more.
    fn horizon_us(&self) -> i64 {
        let limit_us = self.newest_us.saturating_sub(LATENESS_US);
        limit_us.saturating_sub(self.plan.span_us)
    }
}

impl Correlator {
    /// No state, for these correlations.
    pub(crate) fn new(correlations: &[Correlation]) -> Self {
        Self {
            states: correlations.iter().map(State::of).collect(),
            table: HashTable::new(),
            slots: Slots::default(),
            bytes: 0,
            max_bytes: MAX_BYTES,
            changed: Vec::new(),
            gone: Vec::new(),
            groups_dropped: 0,
            late: 0,
        }
    }

    /// Takes other correlations; the state of those that stay as they are is kept.
    pub(crate) fn follow(&mut self, correlations: &[Correlation]) {
        let new: Vec<State> = correlations.iter().map(State::of).collect();
        let mut old = std::mem::replace(&mut self.states, new);
        let key = |state: &State| (state.id.clone(), state.version.clone());
        let states = self.states.iter().enumerate();
        let places: HashMap<(String, String), usize, FixedState> =
            states.map(|(place, state)| (key(state), place)).collect();
        let moved: Vec<Option<usize>> = old
            .iter()
            .map(|state| places.get(&key(state)).copied())
            .collect();
        for (state, place) in old.iter_mut().zip(&moved) {
            if let Some(place) = place {
                std::mem::swap(state, &mut self.states[*place]);
            }
        }
        for slot in self.slots.all() {
            let Some(group) = self.slots.get_mut(slot) else {
                continue;
            };
            match moved.get(group.state as usize).copied().flatten() {
                Some(place) => group.state = place as u32,
                None => {
                    group.state = u32::MAX;
                    self.drop_slot(slot);
                }
            }
        }
    }

    /// How much there is.
    pub(crate) fn size(&self) -> CorrelationSize {
        CorrelationSize {
            groups: self.table.len(),
            bytes: self.bytes,
            groups_dropped: self.groups_dropped,
            late: self.late,
        }
    }

    /// Reads what matches of these groups will need, given the place of the correlation and the
    /// hash of the group's values, and gives something that hangs on all of it. Step by step for
    /// all groups, so that many reads are under way at once.
    pub(crate) fn fetch(&self, groups: &[(usize, u128)]) -> i64 {
        let slot = |&(place, values): &(usize, u128)| {
            let salt = self.states.get(place)?.salt;
            self.find(values ^ salt)
        };
        let slots: Vec<u32> = groups.iter().filter_map(slot).collect();
        let groups = slots.iter().filter_map(|slot| self.slots.get(*slot));
        groups.fold(0, |all, group| all ^ group.fetch())
    }

    /// Gives a match to a correlation, given its place in the rule set and the hash of the
    /// group's values. Windows that now hold are added to `fired`.
    ///
    /// A match that lies more than [`LATENESS_US`] ahead of its receipt is taken, but does not
    /// make others late.
    pub(crate) fn take(
        &mut self,
        place: usize,
        values: u128,
        member: Member,
        received_us: i64,
        fired: &mut Vec<Fired>,
    ) {
        let Some(state) = self.states.get_mut(place) else {
            return;
        };
        let seen_us = member.time_us.min(received_us.saturating_add(LATENESS_US));
        state.newest_us = state.newest_us.max(seen_us);
        let horizon_us = state.horizon_us();
        if member.time_us < horizon_us {
            self.late += 1;
            return;
        }
        if state.ages.is_due(horizon_us) {
            self.forget_idle(place, horizon_us);
        }
        let slot = self.slot(place, values);
        let (Some(state), Some(group)) = (self.states.get_mut(place), self.slots.get_mut(slot))
        else {
            return;
        };
        let before = u64::from(group.bytes);
        group.take(&state.plan, member, horizon_us, fired);
        if before == 0 {
            group.listed = state.ages.list(slot, group.newest_us());
        }
        if !group.is_changed {
            group.is_changed = true;
            self.changed.push(slot);
        }
        let now = u64::from(group.bytes);
        state.bytes = (state.bytes + now).saturating_sub(before);
        self.bytes = (self.bytes + now).saturating_sub(before);
        if group.is_empty() {
            self.drop_slot(slot);
        }
        if before == 0 {
            self.tidy(place);
        }
        if self.bytes > self.max_bytes {
            self.make_room();
        }
    }

    /// The slot of a group, which is made where there is none.
    fn slot(&mut self, place: usize, values: u128) -> u32 {
        let state = &mut self.states[place];
        let key = values ^ state.salt;
        let Self { table, slots, .. } = self;
        let is_it = |slot: &u32| slots.get(*slot).is_some_and(|group| group.key() == key);
        if let Some(slot) = table.find(key as u64, is_it) {
            return *slot;
        }
        let slot = slots.put(Group::new(key, place as u32));
        table.insert_unique(key as u64, slot, |slot| {
            slots.get(*slot).map_or(0, |group| group.key() as u64)
        });
        state.groups += 1;
        slot
    }

    fn find(&self, key: u128) -> Option<u32> {
        let is_it = |slot: &u32| {
            self.slots
                .get(*slot)
                .is_some_and(|group| group.key() == key)
        };
        self.table.find(key as u64, is_it).copied()
    }

    fn drop_slot(&mut self, slot: u32) {
        let Some(group) = self.slots.take(slot) else {
            return;
        };
        let is_it = |other: &u32| *other == slot;
        if let Ok(entry) = self.table.find_entry(group.key() as u64, is_it) {
            entry.remove();
        }
        let bytes = u64::from(group.bytes);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(state) = self.states.get_mut(group.state as usize) {
            state.groups = state.groups.saturating_sub(1);
            state.bytes = state.bytes.saturating_sub(bytes);
        }
        if group.is_saved {
            self.gone.push(group.key());
        }
    }

    /// Whether a listed slot still holds the group that was listed.
    fn is_listed(slots: &Slots, place: usize, bucket: i64, slot: u32) -> bool {
        slots
            .get(slot)
            .is_some_and(|group| group.state == place as u32 && group.listed == bucket as u32)
    }

    /// Forgets the groups of a correlation that had no match since the horizon.
    fn forget_idle(&mut self, place: usize, horizon_us: i64) {
        while let Some((bucket, listed)) = self.states[place].ages.take_due(horizon_us) {
            for slot in listed {
                if !Self::is_listed(&self.slots, place, bucket, slot) {
                    continue;
                }
                let Some(group) = self.slots.get_mut(slot) else {
                    continue;
                };
                if group.newest_us() < horizon_us {
                    self.drop_slot(slot);
                } else {
                    group.listed = self.states[place].ages.list(slot, group.newest_us());
                }
            }
        }
    }

    /// Groups that are gone leave their place in the lists behind until there are too many.
    fn tidy(&mut self, place: usize) {
        let state = &mut self.states[place];
        let slots = &self.slots;
        state.ages.tidy(state.groups, |bucket, slot| {
            Self::is_listed(slots, place, bucket, slot)
        });
    }

    /// Lets groups give way: of the correlation that takes most, those that were quiet longest.
    fn make_room(&mut self) {
        let goal = self.max_bytes - self.max_bytes / GIVE_WAY;
        while self.bytes > goal {
            let states = self.states.iter().enumerate();
            let largest = states.max_by_key(|(_, state)| state.bytes);
            let Some((place, _)) = largest else {
                return;
            };
            let Some((bucket, listed)) = self.states[place].ages.take_oldest() else {
                return;
            };
            for (index, slot) in listed.iter().copied().enumerate() {
                if self.bytes <= goal {
                    let rest = listed[index..].to_vec();
                    self.states[place].ages.put_back(bucket, rest);
                    break;
                }
                if !Self::is_listed(&self.slots, place, bucket, slot) {
                    continue;
                }
                let Some(group) = self.slots.get_mut(slot) else {
                    continue;
                };
                let ages = &mut self.states[place].ages;
                if ages.bucket(group.newest_us()) > bucket {
                    group.listed = ages.list(slot, group.newest_us());
                } else {
                    self.groups_dropped += 1;
                    self.drop_slot(slot);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
