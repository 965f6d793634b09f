//! State as bytes: all of it, or what changed since it was last saved.
//!
//! A piece is: late and dropped matches; correlations by id and version with their newest match;
//! keys of groups that are gone; groups with all of their members. A later piece replaces the
//! groups that it has. Times and positions are written as differences, and who took part only
//! where it is another than in the member before. Tallies are not written: they follow from the
//! members.

use super::codec::{Reader, put_bytes, put_number, put_signed};
use super::group::Group;
use super::member::{Member, Parties};
use super::{Correlator, State};
use watchfloor_event::EventId;

/// The same who and what as in the member before.
const SAME_PARTIES: u8 = 1;
/// There is a value.
const HAS_VALUE: u8 = 2;

impl Correlator {
    /// All state.
    pub(crate) fn save(&self, out: &mut Vec<u8>) {
        let groups: Vec<&Group> = self.slots.groups().collect();
        let states: Vec<&State> = self.states.iter().collect();
        self.put(&states, &[], &groups, out);
    }

    /// What changed since the last piece, which is then the last one.
    pub(crate) fn save_changes(&mut self, out: &mut Vec<u8>) {
        let changed = std::mem::take(&mut self.changed);
        let gone = std::mem::take(&mut self.gone);
        let is_changed = |slot: &u32| {
            let group = self.slots.get(*slot)?;
            group.is_changed.then_some(group)
        };
        let groups: Vec<&Group> = changed.iter().filter_map(is_changed).collect();
        let states: Vec<&State> = self.states.iter().collect();
        self.put(&states, &gone, &groups, out);
        for slot in changed {
            self.mark_saved(slot);
        }
    }

    /// All state, which is then the last piece.
    pub(crate) fn save_all(&mut self, out: &mut Vec<u8>) {
        self.save(out);
        self.gone.clear();
        self.changed.clear();
        for slot in self.slots.all() {
            self.mark_saved(slot);
        }
    }

    fn mark_saved(&mut self, slot: u32) {
        if let Some(group) = self.slots.get_mut(slot) {
            group.is_changed = false;
            group.is_saved = true;
        }
    }

    fn put(&self, states: &[&State], gone: &[u128], groups: &[&Group], out: &mut Vec<u8>) {
        put_number(out, self.late);
        put_number(out, self.groups_dropped);
        put_number(out, states.len() as u64);
        for state in states {
            put_bytes(out, state.id.as_bytes());
            put_bytes(out, state.version.as_bytes());
            put_signed(out, state.newest_us);
        }
        put_number(out, gone.len() as u64);
        for key in gone {
            out.extend_from_slice(&key.to_le_bytes());
        }
        put_number(out, groups.len() as u64);
        for group in groups {
            out.extend_from_slice(&group.key().to_le_bytes());
            put_number(out, u64::from(group.state));
            put_members(group, out);
        }
    }

    /// Takes up a piece that was saved after what is there now. `None` if the bytes are no such
    /// piece; what is there is then not to be used.
    pub(crate) fn restore(&mut self, saved: &[u8]) -> Option<()> {
        let mut reader = Reader(saved);
        self.late = reader.number()?;
        self.groups_dropped = reader.number()?;
        let mut places = Vec::new();
        for _ in 0..reader.number()? {
            let (id, version) = (reader.text()?, reader.text()?);
            let newest_us = reader.signed()?;
            let is_it = |state: &State| state.id == id && state.version == version;
            let place = self.states.iter().position(is_it);
            if let Some(place) = place {
                self.states[place].newest_us = newest_us;
            }
            places.push(place);
        }
        for _ in 0..reader.number()? {
            let key = reader.u128()?;
            if let Some(slot) = self.find(key) {
                self.drop_slot(slot);
            }
        }
        for _ in 0..reader.number()? {
            let key = reader.u128()?;
            let place = usize::try_from(reader.number()?).ok()?;
            let members = members(&mut reader)?;
            if let Some(place) = *places.get(place)? {
                self.put_back(place, key, members);
            }
        }
        // All that is there is in the pieces so far.
        self.gone.clear();
        self.changed.clear();
        reader.is_empty().then_some(())
    }

    /// Puts a group in as it was saved.
    pub(super) fn put_back(&mut self, place: usize, key: u128, members: Vec<Member>) {
        if let Some(slot) = self.find(key) {
            self.drop_slot(slot);
        }
        let slot = self.slot(place, key ^ self.states[place].salt);
        let (Some(state), Some(group)) = (self.states.get_mut(place), self.slots.get_mut(slot))
        else {
            return;
        };
        for member in members {
            group.put_back(member);
        }
        group.is_saved = true;
        group.listed = state.ages.list(slot, group.newest_us());
        state.bytes += u64::from(group.bytes);
        self.bytes += u64::from(group.bytes);
        if group.is_empty() {
            self.drop_slot(slot);
        }
    }
}

fn put_members(group: &Group, out: &mut Vec<u8>) {
    put_number(out, group.members().len() as u64);
    let (mut time_us, mut position) = (0_i64, 0_i64);
    let mut before: Option<&Member> = None;
    for member in group.members() {
        let same = before.is_some_and(|before| before.parties.is_same(&member.parties));
        let mut flags = 0;
        flags |= if same { SAME_PARTIES } else { 0 };
        flags |= if member.has_value { HAS_VALUE } else { 0 };
        out.push(flags);
        let event = member.event();
        put_signed(out, member.time_us.wrapping_sub(time_us));
        put_signed(out, (event.position() as i64).wrapping_sub(position));
        put_number(out, u64::from(event.part()));
        put_number(out, u64::from(member.rule));
        if member.has_value {
            out.extend_from_slice(&member.value.to_le_bytes());
        }
        if !same {
            put_bytes(out, member.parties.bytes());
        }
        (time_us, position) = (member.time_us, event.position() as i64);
        before = Some(member);
    }
}

fn members(reader: &mut Reader<'_>) -> Option<Vec<Member>> {
    let mut members: Vec<Member> = Vec::new();
    let (mut time_us, mut position) = (0_i64, 0_i64);
    for _ in 0..reader.number()? {
        let flags = reader.byte()?;
        time_us = time_us.wrapping_add(reader.signed()?);
        position = position.wrapping_add(reader.signed()?);
        let part = u32::try_from(reader.number()?).ok()?;
        let rule = u16::try_from(reader.number()?).ok()?;
        let value = match flags & HAS_VALUE {
            0 => None,
            _ => Some(reader.u64()?),
        };
        let parties = match members.last() {
            Some(before) if flags & SAME_PARTIES != 0 => before.parties.clone(),
            _ => Parties::of(reader.bytes()?),
        };
        let event = EventId::new(position as u64, part);
        members.push(Member::restored(time_us, rule, value, event, parties));
    }
    Some(members)
}
