//! One match as a correlation keeps it: 48 bytes, and who took part as bytes that equal matches
//! share.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use watchfloor_event::{Entity, EntityKind, EventId};

use super::codec::{Reader, put_bytes, put_number};

/// Roles that are written as their place in this list; others as their text.
const ROLES: [&str; 10] = [
    "host",
    "source",
    "target",
    "process",
    "actor",
    "file",
    "module",
    "asked for",
    "requested",
    "owner",
];
/// In place of a role: its text follows.
const OTHER_ROLE: u8 = 0xff;
/// In place of an entity's kind: event ids follow, to the end.
const EVENTS: u8 = 0xff;

/// One match of a rule that a correlation rests on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    /// Event time, microseconds since 1970.
    pub time_us: i64,
    /// What is measured: for distinct values a fingerprint, for numbers the bits of an `f64`.
    pub value: u64,
    position: u64,
    part: u32,
    /// Place of the rule in the correlation's list.
    pub rule: u16,
    /// Whether there is a value.
    pub has_value: bool,
    /// Equal for equal parties; tells most others apart without fetching them.
    pub(super) mark: u8,
    /// Who and what took part.
    pub parties: Parties,
}

/// A measured value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value {
    /// Not measured, or the event has none.
    None,
    /// Fingerprint of a text.
    Text(u64),
    /// A finite number.
    Number(f64),
}

/// Entities, and the events of a match that stands for several, as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parties(Arc<[u8]>);

impl Member {
    pub(crate) fn new(
        time_us: i64,
        rule: u16,
        value: Value,
        event: EventId,
        parties: Parties,
    ) -> Self {
        let (value, has_value) = match value {
            Value::None => (0, false),
            Value::Text(print) => (print, true),
            Value::Number(number) => (number.to_bits(), true),
        };
        Self {
            time_us,
            value,
            position: event.position(),
            part: event.part(),
            rule,
            has_value,
            mark: parties.mark(),
            parties,
        }
    }

    /// A member as it was saved.
    pub(super) fn restored(
        time_us: i64,
        rule: u16,
        value: Option<u64>,
        event: EventId,
        parties: Parties,
    ) -> Self {
        let member = Self::new(time_us, rule, Value::None, event, parties);
        Self {
            value: value.unwrap_or(0),
            has_value: value.is_some(),
            ..member
        }
    }

    /// The first event that it stands for.
    pub(crate) const fn event(&self) -> EventId {
        EventId::new(self.position, self.part)
    }

    /// The number, where one is measured.
    pub(super) fn number(&self) -> Option<f64> {
        self.has_value.then(|| f64::from_bits(self.value))
    }
}

impl Value {
    /// The text, or the tuple of several texts.
    pub(crate) fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        Self::of_hashes(texts.map(hash))
    }

    /// The same from the hashes of the texts.
    pub(crate) fn of_hashes(hashes: impl Iterator<Item = u128>) -> Self {
        Self::Text(hash_of_all(hashes) as u64)
    }

    /// The number that a text is, if it is one.
    pub(crate) fn of_number(text: &str) -> Self {
        let number = text.parse().ok().filter(|number: &f64| number.is_finite());
        number.map_or(Self::None, Self::Number)
    }
}

impl Parties {
    /// Bytes that [`put_entity`] and [`put_events`] wrote.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }

    fn mark(&self) -> u8 {
        let mark = |mark: u32, byte: &u8| mark.wrapping_mul(0x0100_0193) ^ u32::from(*byte);
        (self.0.iter().rev().take(48).fold(0x811c_9dc5, mark) >> 11) as u8
    }

    /// Whether both are one piece of memory.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Adds the entities to a list, as far as it may grow, and gives the events that the match
    /// stands for beside its first.
    pub(super) fn read(&self, entities: &mut Vec<Entity>, most: usize) -> Vec<EventId> {
        let mut reader = Reader(&self.0);
        let mut events = Vec::new();
        while let Some(kind) = reader.byte() {
            if kind == EVENTS {
                while let (Some(position), Some(part)) = (reader.number(), reader.number()) {
                    events.push(EventId::new(position, part as u32));
                }
                break;
            }
            let Some(entity) = entity(kind, &mut reader) else {
                break;
            };
            if entities.len() < most && !entities.contains(&entity) {
                entities.push(entity);
            }
        }
        events
    }
}

fn entity(kind: u8, reader: &mut Reader<'_>) -> Option<Entity> {
    let kind = *EntityKind::ALL.get(usize::from(kind))?;
    let role = match reader.byte()? {
        OTHER_ROLE => reader.text()?,
        place => ROLES.get(usize::from(place))?,
    };
    let role = role.to_owned();
    let value = reader.text()?.to_owned();
    Some(Entity { kind, value, role })
}

/// Writes an entity.
pub(crate) fn put_entity(out: &mut Vec<u8>, kind: EntityKind, role: &str, value: &str) {
    let kind = EntityKind::ALL.iter().position(|one| *one == kind);
    out.push(kind.unwrap_or(0) as u8);
    match ROLES.iter().position(|one| *one == role) {
        Some(place) => out.push(place as u8),
        None => {
            out.push(OTHER_ROLE);
            put_bytes(out, role.as_bytes());
        }
    }
    put_bytes(out, value.as_bytes());
}

/// Writes the events of a match that stands for several; after its entities.
pub(crate) fn put_events(out: &mut Vec<u8>, events: &[EventId]) {
    if events.is_empty() {
        return;
    }
    out.push(EVENTS);
    for event in events {
        put_number(out, event.position());
        put_number(out, u64::from(event.part()));
    }
}

/// A text as a number that is the same in every process: the first 128 bits of its SHA-256.
/// State keeps these instead of texts. A cryptographic hash, since whoever sends events chooses
/// the texts: with a weaker one they could make two groups one, or many values few.
pub(crate) fn hash(text: &str) -> u128 {
    let digest = Sha256::digest(text.as_bytes());
    digest
        .iter()
        .take(16)
        .fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// The hash of a list without texts.
pub(crate) const EMPTY_LIST: u128 = 1;

/// The hash of a list with one more text, from the text's hash.
pub(crate) const fn with_hash(list: u128, one: u128) -> u128 {
    const ODD: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;
    list.wrapping_mul(ODD).wrapping_add(one)
}

/// The hash of a list, from those of its texts.
pub(crate) fn hash_of_all(hashes: impl Iterator<Item = u128>) -> u128 {
    hashes.fold(EMPTY_LIST, with_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_and_events_come_back() {
        let one = |kind, value: &str, role: &str| Entity {
            kind,
            value: value.to_owned(),
            role: role.to_owned(),
        };
        let wanted = [
            one(EntityKind::User, "ann", "actor"),
            one(EntityKind::Url, "http://x/", "a role of its own"),
        ];
        let mut bytes = Vec::new();
        for entity in &wanted {
            put_entity(&mut bytes, entity.kind, &entity.role, &entity.value);
        }
        let events = [EventId::new(7, 1), EventId::new(1 << 40, 0)];
        put_events(&mut bytes, &events);
        let parties = Parties::of(&bytes);
        let mut entities = Vec::new();
        assert_eq!(parties.read(&mut entities, 64), events);
        assert_eq!(parties.read(&mut entities, 64), events);
        assert_eq!(entities, wanted);
    }

    #[test]
    fn a_member_is_small() {
        assert_eq!(size_of::<Member>(), 48);
    }

    #[test]
    fn lists_hash_by_their_order() {
        let of = |texts: &[&str]| hash_of_all(texts.iter().map(|text| hash(text)));
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a"]), of(&["", "a"]));
    }
}
