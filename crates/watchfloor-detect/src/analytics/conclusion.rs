//! What an analytic concludes, and the finding that becomes of it.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use watchfloor_event::{Entity, EntityKind, EventId, Finding, FindingLevel, MatchReason};
use watchfloor_rules::Analytic;

use super::Sighting;

/// Most event ids kept; the count tells the whole number.
pub(super) const MAX_EVENT_IDS: usize = 100;
/// Most entities kept.
const MAX_ENTITIES: usize = 64;
/// Most bytes of a value in a reason.
const MAX_VALUE_BYTES: usize = 4096;

/// What an analytic concludes.
#[derive(Debug)]
pub(super) struct Conclusion {
    pub evidence: Evidence,
    /// One sentence with the figures, without the rule's title.
    pub sentence: String,
    /// Field or figure, its value, and what was asked of it.
    pub reasons: Vec<(String, String, String)>,
    /// Whether the level is one higher than the rule's.
    pub raised: bool,
}

/// The events that a conclusion rests on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Evidence {
    /// In the order in which they came, the first [`MAX_EVENT_IDS`].
    events: Vec<(i64, Id)>,
    pub count: u64,
    pub first_us: i64,
    pub last_us: i64,
    /// Kind, value and role.
    entities: BTreeSet<(String, String, String)>,
}

/// An event id as its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub(super) struct Id(pub EventId);

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = watchfloor_event::ParseEventIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

impl Evidence {
    /// The evidence of one match.
    pub(super) fn of(sighting: &Sighting<'_>) -> Self {
        let mut evidence = Self::default();
        evidence.note(sighting);
        evidence
    }

    /// Adds a match.
    pub(super) fn note(&mut self, sighting: &Sighting<'_>) {
        for event in sighting.events {
            self.event(sighting.time_us, *event);
        }
        self.note_entities(sighting.entities);
    }

    /// Adds an event.
    pub(super) fn event(&mut self, time_us: i64, event: EventId) {
        if self.count == 0 {
            (self.first_us, self.last_us) = (time_us, time_us);
        }
        self.first_us = self.first_us.min(time_us);
        self.last_us = self.last_us.max(time_us);
        self.count += 1;
        if self.events.len() < MAX_EVENT_IDS {
            self.events.push((time_us, Id(event)));
        }
    }

    /// Adds entities.
    pub(super) fn note_entities(&mut self, entities: &[Entity]) {
        for entity in entities {
            if self.entities.len() >= MAX_ENTITIES {
                return;
            }
            let kind = entity.kind.as_str().to_owned();
            self.entities
                .insert((kind, entity.value.clone(), entity.role.clone()));
        }
    }

    /// Adds other evidence.
    pub(super) fn merge(&mut self, other: &Self) {
        if self.count == 0 {
            (self.first_us, self.last_us) = (other.first_us, other.last_us);
        }
        self.first_us = self.first_us.min(other.first_us);
        self.last_us = self.last_us.max(other.last_us);
        self.count += other.count;
        let room = MAX_EVENT_IDS.saturating_sub(self.events.len());
        self.events.extend(other.events.iter().take(room));
        for entity in &other.entities {
            if self.entities.len() < MAX_ENTITIES {
                self.entities.insert(entity.clone());
            }
        }
    }

    fn entities(&self) -> Vec<Entity> {
        let entity = |(kind, value, role): &(String, String, String)| {
            Some(Entity {
                kind: EntityKind::parse(kind)?,
                value: value.clone(),
                role: role.clone(),
            })
        };
        let mut entities: Vec<Entity> = self.entities.iter().filter_map(entity).collect();
        entities.sort();
        entities.dedup_by(|left, right| left.kind == right.kind && left.value == right.value);
        entities
    }
}

impl Conclusion {
    pub(super) fn into_finding(
        self,
        analytic: &Analytic,
        key: &[(String, String)],
        sighting: &Sighting<'_>,
    ) -> Finding {
        let meta = &analytic.meta;
        let mut events = self.evidence.events.clone();
        events.sort();
        events.dedup();
        let ids: Vec<EventId> = events.iter().map(|(_, id)| id.0).collect();
        let time = |us| Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH);
        let selection = analytic.kind.as_str();
        let group = key.iter().map(|(name, value)| MatchReason {
            selection: "group-by".to_owned(),
            field: name.clone(),
            value: cut(value),
            pattern: "the entity that was looked at".to_owned(),
        });
        let reasons = self
            .reasons
            .into_iter()
            .map(|(field, value, pattern)| MatchReason {
                selection: selection.to_owned(),
                field,
                value: cut(&value),
                pattern,
            });
        Finding {
            id: finding_id(&meta.id, self.raised, &ids),
            rule_id: meta.id.clone(),
            rule_version: meta.version.clone(),
            title: meta.title.clone(),
            level: if self.raised {
                raised(meta.level)
            } else {
                meta.level
            },
            time: time(self.evidence.last_us),
            first_time: time(self.evidence.first_us),
            source: sighting.source.to_owned(),
            event_ids: ids,
            event_count: self.evidence.count,
            summary: format!("{}: {}", self.sentence, meta.title),
            reasons: group.chain(reasons).collect(),
            entities: self.evidence.entities(),
            tactics: meta.tactics.clone(),
            techniques: meta.techniques.clone(),
        }
    }
}

fn raised(level: FindingLevel) -> FindingLevel {
    let above = FindingLevel::ALL.into_iter().find(|other| *other > level);
    above.unwrap_or(level)
}

fn cut(value: &str) -> String {
    let mut end = value.len().min(MAX_VALUE_BYTES);
    while !value.is_char_boundary(end) {
        end -= 1;
    }
    value[..end].to_owned()
}

/// The same conclusion from the same events has the same id.
fn finding_id(rule_id: &str, raised: bool, events: &[EventId]) -> String {
    let mut hasher = Sha256::new();
    hasher.update(rule_id.as_bytes());
    hasher.update([u8::from(raised)]);
    for event in events {
        hasher.update(event.position().to_le_bytes());
        hasher.update(event.part().to_le_bytes());
    }
    hex::encode(&hasher.finalize()[..16])
}

/// A value as a number that is the same in every process: the first 64 bits of its SHA-256.
/// State keeps these instead of values, which may be long.
pub(super) fn fingerprint(value: &str) -> u64 {
    let digest = Sha256::digest(value.as_bytes());
    digest
        .iter()
        .take(8)
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
}
