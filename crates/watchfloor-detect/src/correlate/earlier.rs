//! State as earlier versions saved it: JSON, all of it with every commit.

use std::collections::BTreeMap;

use serde::Deserialize;
use watchfloor_event::{EntityKind, EventId};
use watchfloor_rules::{Correlation, CorrelationKind};

use super::Correlator;
use super::member::{Member, Parties, Value, hash, hash_of_all, put_entity, put_events};

/// State of all correlations by their ids.
#[derive(Debug, Deserialize)]
pub(crate) struct EarlierStates {
    states: BTreeMap<String, EarlierState>,
    groups_dropped: u64,
}

#[derive(Debug, Deserialize)]
struct EarlierState {
    version: String,
    newest_us: i64,
    /// By the JSON of names and values of the group.
    groups: BTreeMap<String, EarlierGroup>,
}

#[derive(Debug, Deserialize)]
struct EarlierGroup {
    members: Vec<EarlierMember>,
    /// Kind, value and role.
    entities: Vec<(String, String, String)>,
}

#[derive(Debug, Deserialize)]
struct EarlierMember {
    time_us: i64,
    rule: usize,
    value: Option<String>,
    events: Vec<String>,
}

impl Correlator {
    /// Takes up the state of an earlier version. Groups whose key or event ids cannot be read are
    /// left out.
    pub(crate) fn restore_earlier(&mut self, earlier: EarlierStates, rules: &[Correlation]) {
        self.groups_dropped = earlier.groups_dropped;
        for (place, rule) in rules.iter().enumerate() {
            let saved = earlier.states.get(&rule.meta.id);
            let Some(saved) = saved.filter(|saved| saved.version == rule.meta.version) else {
                continue;
            };
            let Some(salt) = self.states.get(place).map(|state| state.salt) else {
                continue;
            };
            self.states[place].newest_us = saved.newest_us;
            for (key, group) in &saved.groups {
                let Ok(key) = serde_json::from_str::<Vec<(String, String)>>(key) else {
                    continue;
                };
                let values = hash_of_all(key.iter().map(|(_, value)| hash(value)));
                let members = group.members.iter();
                let members = members.filter_map(|one| one.member(rule, &group.entities));
                self.put_back(place, values ^ salt, members.collect());
            }
        }
    }
}

impl EarlierMember {
    fn member(&self, rule: &Correlation, entities: &[(String, String, String)]) -> Option<Member> {
        let events: Result<Vec<EventId>, _> =
            self.events.iter().map(|event| event.parse()).collect();
        let events = events.ok()?;
        let first = *events.first()?;
        let mut bytes = Vec::new();
        for (kind, value, role) in entities {
            if let Some(kind) = EntityKind::parse(kind) {
                put_entity(&mut bytes, kind, role, value);
            }
        }
        put_events(&mut bytes, events.get(1..)?);
        let value = self.value.as_deref();
        let place = u16::try_from(self.rule).ok()?;
        Some(Member::new(
            self.time_us,
            place,
            value.map_or(Value::None, |value| measured(rule, value)),
            first,
            Parties::of(&bytes),
        ))
    }
}

fn measured(rule: &Correlation, value: &str) -> Value {
    match &rule.kind {
        CorrelationKind::ValueCount(names) if names.len() > 1 => {
            let texts: Vec<String> = serde_json::from_str(value).unwrap_or_default();
            Value::of_texts(texts.iter().map(String::as_str))
        }
        CorrelationKind::ValueCount(_) => Value::of_texts([value].into_iter()),
        _ => Value::of_number(value),
    }
}
