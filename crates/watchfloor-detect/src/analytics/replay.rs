//! Matches as bytes, to be taken once more: what changed of the state since it was last saved.
//!
//! State follows from the matches and nothing else, so a commit writes those that came since the
//! commit before it, however much state they changed.

use std::cell::RefCell;
use std::collections::BTreeMap;

use watchfloor_event::{Entity, EntityKind, EventId};

use super::{Analytics, Sighting};
use crate::correlate::codec::{Reader, put_bytes, put_number, put_signed};

/// Fields that were asked for, with their values.
type Fields = RefCell<BTreeMap<String, String>>;

/// A match that notes which of its fields are looked at, since only these are needed again.
pub(super) struct Watched<'a> {
    sighting: &'a Sighting<'a>,
    asked: Fields,
}

impl<'a> Watched<'a> {
    pub(super) fn new(sighting: &'a Sighting<'a>) -> Self {
        Self {
            sighting,
            asked: Fields::default(),
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<String> {
        let value = (self.sighting.fields)(name)?;
        self.asked
            .borrow_mut()
            .insert(name.to_owned(), value.clone());
        Some(value)
    }

    /// Writes the match.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let sighting = self.sighting;
        put_bytes(out, sighting.meta.id.as_bytes());
        put_signed(out, sighting.time_us);
        put_signed(out, sighting.received_us);
        put_bytes(out, sighting.source.as_bytes());
        put_number(out, sighting.events.len() as u64);
        for event in sighting.events {
            put_number(out, event.position());
            put_number(out, u64::from(event.part()));
        }
        put_number(out, sighting.entities.len() as u64);
        for entity in sighting.entities {
            put_bytes(out, entity.kind.as_str().as_bytes());
            put_bytes(out, entity.value.as_bytes());
            put_bytes(out, entity.role.as_bytes());
        }
        let asked = self.asked.borrow();
        put_number(out, asked.len() as u64);
        for (name, value) in asked.iter() {
            put_bytes(out, name.as_bytes());
            put_bytes(out, value.as_bytes());
        }
    }
}

impl Analytics {
    /// Takes the next match of those that were written; what it led to was told of then.
    pub(super) fn take_again(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let rule = reader.text()?;
        let (time_us, received_us) = (reader.signed()?, reader.signed()?);
        let source = reader.text()?;
        let events = list(reader, |reader| {
            let position = reader.number()?;
            Some(EventId::new(
                position,
                u32::try_from(reader.number()?).ok()?,
            ))
        })?;
        let entities = list(reader, |reader| {
            Some(Entity {
                kind: EntityKind::parse(reader.text()?)?,
                value: reader.text()?.to_owned(),
                role: reader.text()?.to_owned(),
            })
        })?;
        let fields = list(reader, |reader| Some((reader.text()?, reader.text()?)))?;
        let field = |name: &str| {
            let found = fields.iter().find(|(other, _)| *other == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let index = std::sync::Arc::clone(&self.index);
        // A rule that is gone feeds nothing any more.
        if let Some((feeder, meta)) = index.feeder(rule) {
            let sighting = Sighting {
                meta,
                time_us,
                received_us,
                events: &events,
                source,
                entities: &entities,
                fields: &field,
            };
            self.judge(*feeder, &sighting, &mut Vec::new());
        }
        Some(())
    }
}

fn list<'a, T>(
    reader: &mut Reader<'a>,
    mut one: impl FnMut(&mut Reader<'a>) -> Option<T>,
) -> Option<Vec<T>> {
    let count = reader.number()?;
    (0..count).map(|_| one(reader)).collect()
}
