//! The matches of one group, and the windows over them.

use std::collections::VecDeque;

use watchfloor_event::{Entity, EventId};

use super::member::Member;
use super::plan::Plan;
use super::tally::{self, Tally};

/// Most entities told of a finding.
const MAX_ENTITIES: usize = 64;
/// Bytes that a group takes beside its members: its slot, its places in the table and among the
/// groups by age, and what the allocator adds.
const GROUP_BYTES: usize = 128;
/// Bytes of a shared piece of memory beside what is in it.
const SHARED_BYTES: usize = 32;

/// The matches of one group.
#[derive(Debug)]
pub(super) struct Group {
    /// Hash of the correlation and of the group's values; in two halves, which leaves no gaps.
    key: [u64; 2],
    /// By time; those of one time in the order in which they came.
    members: VecDeque<Member>,
    tally: Option<Box<Tally>>,
    /// Time of the first member, so that asking whether it is out of date does not fetch it.
    oldest_us: i64,
    /// Where the window that was looked at last began: the next one begins there or soon after.
    start: u32,
    /// Index of the correlation's state.
    pub state: u32,
    /// Bytes that it takes, about.
    pub bytes: u32,
    /// Bytes of who took part in the members.
    parties_bytes: u32,
    /// Under which age it is listed.
    pub listed: u32,
    /// Whether it changed since it was last saved.
    pub is_changed: bool,
    /// Whether the last saved state has it.
    pub is_saved: bool,
}

/// A window that holds, taken out of its group.
#[derive(Debug)]
pub(crate) struct Fired {
    /// The events in the order of time.
    pub events: Vec<EventId>,
    /// Number of matches.
    pub members: usize,
    /// Time of the first, microseconds since 1970.
    pub first_us: i64,
    /// Time of the last.
    pub last_us: i64,
    /// Who and what took part; sorted.
    pub entities: Vec<Entity>,
    /// The measure that kept the bounds.
    pub measure: f64,
}

impl Group {
    pub(super) fn new(key: u128, state: u32) -> Self {
        Self {
            key: [key as u64, (key >> 64) as u64],
            members: VecDeque::new(),
            tally: None,
            oldest_us: i64::MAX,
            start: 0,
            state,
            bytes: 0,
            parties_bytes: 0,
            listed: 0,
            is_changed: false,
            is_saved: false,
        }
    }

    pub(super) const fn key(&self) -> u128 {
        self.key[0] as u128 | (self.key[1] as u128) << 64
    }

    pub(super) fn members(&self) -> &VecDeque<Member> {
        &self.members
    }

    pub(super) fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Time of the latest match, microseconds since 1970.
    pub(super) fn newest_us(&self) -> i64 {
        self.members.back().map_or(i64::MIN, |last| last.time_us)
    }

    /// Reads what the next match will need.
    pub(super) fn fetch(&self) -> i64 {
        let first = self.members.get(self.start as usize);
        let first_us = first.map_or(0, |first| first.time_us);
        first_us ^ self.newest_us() ^ self.oldest_us
    }

    /// Puts a match in its place by time, forgets those before the horizon, and takes out the
    /// windows that now hold.
    pub(super) fn take(
        &mut self,
        plan: &Plan,
        member: Member,
        horizon_us: i64,
        fired: &mut Vec<Fired>,
    ) {
        let mut place = self.insert(member);
        while self.oldest_us < horizon_us || self.members.len() > plan.most {
            self.remove_first();
            place = place.saturating_sub(1);
        }
        self.fire(plan, place, fired);
        self.fit();
    }

    /// Puts a match in its place and looks at no window: for state that is restored.
    pub(super) fn put_back(&mut self, member: Member) {
        self.insert(member);
        self.fit();
    }

    fn insert(&mut self, mut member: Member) -> usize {
        let time_us = member.time_us;
        let place = match self.members.back() {
            Some(last) if last.time_us > time_us => self
                .members
                .partition_point(|other| other.time_us <= time_us),
            _ => self.members.len(),
        };
        // Who took part is the same in most matches of a group.
        let before = place.checked_sub(1).map(|before| &self.members[before]);
        match before {
            Some(before) if before.mark == member.mark && before.parties == member.parties => {
                member.parties = before.parties.clone();
            }
            _ => self.parties_bytes += parties_bytes(&member),
        }
        if let Some(tally) = &mut self.tally {
            tally.inserted(place, &member);
        }
        let room = self.members.capacity();
        if self.members.len() == room && room < 8 {
            self.members.reserve_exact(room.max(1));
        }
        if place == 0 {
            self.oldest_us = time_us;
        }
        if place < self.start as usize {
            self.start += 1;
        }
        if place == self.members.len() {
            self.members.push_back(member);
        } else {
            self.members.insert(place, member);
        }
        place
    }

    fn remove_first(&mut self) {
        let Some(first) = self.members.front() else {
            return;
        };
        if let Some(tally) = &mut self.tally {
            tally.removes_first(first);
        }
        let shared = self.members.get(1);
        if shared.is_none_or(|second| !second.parties.is_same(&first.parties)) {
            self.parties_bytes = self.parties_bytes.saturating_sub(parties_bytes(first));
        }
        self.members.pop_front();
        self.start = self.start.saturating_sub(1);
        self.note_oldest();
    }

    fn note_oldest(&mut self) {
        let first = self.members.front();
        self.oldest_us = first.map_or(i64::MAX, |first| first.time_us);
    }

    /// The place of the first member at a time or later.
    fn start_of(&mut self, start_us: i64) -> usize {
        let hint = self.start as usize;
        let is_before = |place: usize| {
            let member = self.members.get(place);
            member.is_some_and(|member| member.time_us < start_us)
        };
        let is_behind = hint == 0 || is_before(hint - 1);
        let near = (hint..hint + 4).find(|place| !is_before(*place));
        let start = match near.filter(|_| is_behind) {
            Some(start) => start,
            None => self
                .members
                .partition_point(|member| member.time_us < start_us),
        };
        self.start = start as u32;
        start
    }

    /// Looks at the windows that hold the member at a place, the earliest first; one that keeps
    /// the bounds is taken out, and the windows that it was part of are looked at again.
    fn fire(&mut self, plan: &Plan, place: usize, fired: &mut Vec<Fired>) {
        let Some(member) = self.members.get(place) else {
            return;
        };
        let mut place = place;
        let mut limit_us = member.time_us.saturating_add(plan.span_us);
        while self.members.len() >= plan.fewest {
            let Some((start, end, measure)) = self.first_that_holds(plan, place, limit_us) else {
                return;
            };
            limit_us = self.members[end].time_us.saturating_add(plan.span_us);
            place = start;
            fired.push(self.take_out(start, end, measure));
        }
    }

    /// The first window, by its last member, that keeps the bounds: places of its first and last
    /// member, and its measure. Windows end at members from a place on, up to a time.
    fn first_that_holds(
        &mut self,
        plan: &Plan,
        place: usize,
        limit_us: i64,
    ) -> Option<(usize, usize, f64)> {
        for end in place..self.members.len() {
            let end_us = self.members[end].time_us;
            if end_us > limit_us {
                return None;
            }
            // The window must reach back to this member at least.
            let Some(needed) = (end + 1).checked_sub(plan.fewest) else {
                continue;
            };
            let start_us = end_us.saturating_sub(plan.span_us);
            if self.members[needed].time_us < start_us {
                continue;
            }
            let start = self.start_of(start_us);
            if plan.is_plain_count {
                return Some((start, end, (end + 1 - start) as f64));
            }
            let measure = tally::measure(plan, &mut self.tally, &self.members, start..end + 1);
            if let Some(measure) = measure.filter(|measure| plan.holds(*measure)) {
                return Some((start, end, measure));
            }
        }
        None
    }

    fn take_out(&mut self, start: usize, end: usize, measure: f64) -> Fired {
        let mut fired = Fired {
            events: Vec::with_capacity(end + 1 - start),
            members: end + 1 - start,
            first_us: self.members[start].time_us,
            last_us: self.members[end].time_us,
            entities: Vec::new(),
            measure,
        };
        let mut before: Option<Member> = None;
        for member in self.members.drain(start..=end) {
            let first = member.event();
            fired.events.push(first);
            let is_known = before
                .as_ref()
                .is_some_and(|before| before.parties.is_same(&member.parties));
            let more = if is_known {
                Vec::new()
            } else {
                member.parties.read(&mut fired.entities, MAX_ENTITIES)
            };
            fired
                .events
                .extend(more.into_iter().filter(|event| *event != first));
            before = Some(member);
        }
        fired.entities.sort();
        self.tally = None;
        self.start = 0;
        self.note_oldest();
        self.parties_bytes = 0;
        for (place, member) in self.members.iter().enumerate() {
            let before = place.checked_sub(1).map(|before| &self.members[before]);
            if before.is_none_or(|before| !before.parties.is_same(&member.parties)) {
                self.parties_bytes += parties_bytes(member);
            }
        }
        fired
    }

    /// Gives room back and counts the bytes.
    fn fit(&mut self) {
        let (len, room) = (self.members.len(), self.members.capacity());
        if room > 8 && room > 4 * len {
            self.members.shrink_to(2 * len);
        }
        let tally = self.tally.as_ref().map_or(0, |tally| tally.bytes());
        let members = self.members.capacity() * size_of::<Member>();
        let bytes = GROUP_BYTES + members + self.parties_bytes as usize + tally;
        self.bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    }
}

fn parties_bytes(member: &Member) -> u32 {
    (member.parties.bytes().len() + SHARED_BYTES) as u32
}
