//! How what was added to an event is written: typed attributes where the schema has them, and
//! the list `enrichments`, which says of every added value where it came from.
//!
//! # Source
//! OCSF base event, `enrichments`; OCSF object `enrichment`.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use serde_json::{Map, Value, json};
use watchfloor_event::ocsf::{AttributeType, promoted};
use watchfloor_event::{EventBatch, Namespace, ValueKind, ValueRef};

/// The attribute that holds the list.
const ENRICHMENTS: &str = "enrichments";

/// Most notes of one event; an event that has more is kept with these.
const MAX_NOTES: usize = 64;

/// What kind of knowledge a note holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NoteKind {
    /// Place and network of an address.
    Geo,
    /// The asset behind an address, a hardware address or a name.
    Asset,
    /// The person behind an account.
    Identity,
    /// Who held an address at that time.
    Lease,
    /// What stood behind a translated address.
    Nat,
    /// An indicator that the event met.
    Indicator,
}

impl NoteKind {
    /// The word in `enrichments[].type`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Geo => "geo",
            Self::Asset => "asset",
            Self::Identity => "identity",
            Self::Lease => "lease",
            Self::Nat => "nat",
            Self::Indicator => "indicator",
        }
    }
}

/// One piece of knowledge about one value of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// OCSF path (or source field) of the value it is about, e.g. `src_endpoint.ip`.
    pub about: String,
    /// That value.
    pub value: String,
    /// What kind of knowledge.
    pub kind: NoteKind,
    /// Where it came from: a file's name, the events of a product, a list.
    pub provider: Arc<str>,
    /// What is added: attribute path and value, in order.
    pub added: Vec<(String, String)>,
}

impl Note {
    fn to_json(&self) -> String {
        let data: Map<String, Value> = self
            .added
            .iter()
            .map(|(path, value)| (path.clone(), json!(value)))
            .collect();
        json!({
            "name": self.about, "value": self.value, "type": self.kind.as_str(),
            "provider": &*self.provider, "data": data,
        })
        .to_string()
    }
}

/// Notes on the events of one batch, gathered, then written.
#[derive(Debug, Default)]
pub struct Notes {
    /// Each distinct note once, with its JSON.
    known: Vec<(Arc<Note>, String)>,
    places: HashMap<String, u32, FixedState>,
    /// By row: which notes.
    rows: Vec<(u32, u32)>,
}

impl Notes {
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Takes up a note, to be given to any number of rows.
    pub fn intern(&mut self, note: Note) -> u32 {
        let json = note.to_json();
        if let Some(found) = self.places.get(&json) {
            return *found;
        }
        let place = u32::try_from(self.known.len()).unwrap_or(u32::MAX);
        self.places.insert(json.clone(), place);
        self.known.push((Arc::new(note), json));
        place
    }

    /// Gives a note to a row.
    pub fn give(&mut self, row: usize, note: u32) {
        self.rows
            .push((u32::try_from(row).unwrap_or(u32::MAX), note));
    }

    /// Writes everything onto the batch: attributes that have no value yet, then the list.
    pub fn write(&mut self, batch: &mut EventBatch) {
        self.rows.sort_unstable();
        self.rows.dedup();
        let mut lists: HashMap<Vec<u32>, String, FixedState> = HashMap::default();
        for of_row in self.rows.chunk_by(|left, right| left.0 == right.0) {
            let row = of_row.first().map_or(0, |(row, _)| *row as usize);
            let notes: Vec<u32> = of_row
                .iter()
                .take(MAX_NOTES)
                .map(|(_, note)| *note)
                .collect();
            let known = notes
                .iter()
                .filter_map(|note| self.known.get(*note as usize));
            for (note, _) in known.clone() {
                for (path, value) in &note.added {
                    set(batch, row, path, value);
                }
            }
            let text = match lists.get(&notes) {
                Some(text) => text.clone(),
                None => {
                    let parts: Vec<&str> = known.map(|(_, json)| json.as_str()).collect();
                    let text = format!("[{}]", parts.join(","));
                    lists.insert(notes, text.clone());
                    text
                }
            };
            write_list(batch, row, &text);
        }
        *self = Self::default();
    }
}

/// Puts the list behind one that the row has already.
fn write_list(batch: &mut EventBatch, row: usize, text: &str) {
    let joined = batch
        .get(Namespace::Ocsf, ENRICHMENTS, row)
        .and_then(|before| {
            let before = before.text.strip_suffix(']')?;
            let rest = text.strip_prefix('[')?;
            let comma = if before.ends_with('[') { "" } else { "," };
            Some(format!("{before}{comma}{rest}"))
        });
    let value = ValueRef {
        kind: ValueKind::List,
        text: joined.as_deref().unwrap_or(text),
    };
    batch.set(Namespace::Ocsf, ENRICHMENTS, row, value);
}

/// Adds a value unless the source gave one: an attribute if the lake has a column for it, a
/// source field otherwise.
fn set(batch: &mut EventBatch, row: usize, path: &str, value: &str) {
    let attribute = promoted(path);
    let namespace = match attribute {
        Some(_) => Namespace::Ocsf,
        None => Namespace::Source,
    };
    if batch.get(namespace, path, row).is_some() {
        return;
    }
    let is_number = attribute.is_some_and(|one| one.kind == AttributeType::Integer);
    let kind = match is_number {
        true if value.parse::<i64>().is_err() => return,
        true => ValueKind::Int,
        false => ValueKind::Str,
    };
    batch.set(namespace, path, row, ValueRef { kind, text: value });
}

/// Puts back what was added to an event when it was stored: whoever judges it again sees what
/// was known then, and not what is known today. Text that is no such list adds nothing.
pub fn apply_stored(batch: &mut EventBatch, row: usize, text: &str) {
    let Ok(Value::Array(list)) = serde_json::from_str(text) else {
        return;
    };
    for data in list.iter().filter_map(|note| note.get("data")?.as_object()) {
        for (path, value) in data {
            if let Some(value) = value.as_str() {
                set(batch, row, path, value);
            }
        }
    }
    write_list(batch, row, text);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use jiff::Timestamp;
    use watchfloor_event::{Format, RawRecord};

    use super::*;

    fn batch() -> EventBatch {
        let mut batch = EventBatch::new();
        let record = RawRecord {
            source: Arc::from("test"),
            format: Format::Auto,
            context: None,
            position: 1,
            received_at: Timestamp::UNIX_EPOCH,
            bytes: Bytes::from_static(b"{}"),
        };
        batch.push_row(&record, 0);
        batch
    }

    fn note(path: &str, value: &str) -> Note {
        Note {
            about: "src_endpoint.ip".to_owned(),
            value: "192.0.2.1".to_owned(),
            kind: NoteKind::Geo,
            provider: Arc::from("city.mmdb"),
            added: vec![(path.to_owned(), value.to_owned())],
        }
    }

    #[test]
    fn what_is_added_says_where_it_came_from_and_can_be_put_back() {
        let mut first = batch();
        let mut notes = Notes::default();
        for (path, value) in [
            ("src_endpoint.location.country", "SE"),
            ("src_endpoint.autonomous_system.number", "29518"),
            ("asset.criticality", "high"),
        ] {
            let note = notes.intern(note(path, value));
            notes.give(0, note);
        }
        notes.write(&mut first);
        let text = first.get(Namespace::Ocsf, "enrichments", 0).unwrap().text;
        let list: Value = serde_json::from_str(text).unwrap();
        assert_eq!(list.as_array().unwrap().len(), 3);
        assert_eq!(list[0]["provider"], "city.mmdb");
        let mut again = batch();
        apply_stored(&mut again, 0, text);
        for (namespace, path) in [
            (Namespace::Ocsf, "src_endpoint.location.country"),
            (Namespace::Ocsf, "src_endpoint.autonomous_system.number"),
            (Namespace::Source, "asset.criticality"),
            (Namespace::Ocsf, "enrichments"),
        ] {
            let (one, other) = (first.get(namespace, path, 0), again.get(namespace, path, 0));
            assert!(one.is_some() && one == other, "{path}");
        }
    }

    #[test]
    fn what_the_source_said_stays() {
        let mut batch = batch();
        let path = "src_endpoint.location.country";
        batch.set(Namespace::Ocsf, path, 0, ValueRef::str("NO"));
        let mut notes = Notes::default();
        let one = notes.intern(note(path, "SE"));
        notes.give(0, one);
        notes.write(&mut batch);
        assert_eq!(batch.get(Namespace::Ocsf, path, 0).unwrap().text, "NO");
    }

    #[test]
    fn later_notes_stand_behind_earlier_ones() {
        let mut batch = batch();
        for path in ["a.b", "c.d"] {
            let mut notes = Notes::default();
            let one = notes.intern(note(path, "x"));
            notes.give(0, one);
            notes.write(&mut batch);
        }
        let text = batch.get(Namespace::Ocsf, "enrichments", 0).unwrap().text;
        let list: Vec<Value> = serde_json::from_str(text).unwrap();
        assert_eq!(list.len(), 2);
        for hostile in ["", "[", "{}", "[1]", "[{\"data\":3}]", "nonsense"] {
            apply_stored(&mut batch, 0, hostile);
        }
    }
}
