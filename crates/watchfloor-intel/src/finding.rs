//! Findings: what is told of events that met indicators.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use watchfloor_event::{Entity, EntityKind, EventBatch, Finding, FindingLevel, MatchReason};

use crate::matcher::{EventMatches, Matcher, Met};
use crate::{Held, IndicatorKind, IndicatorSet};

/// Role of the entity that an indicator names.
const ROLE: &str = "indicator";

/// Who and what took part in an event; given by the caller, who knows it for rules as well.
pub type EntitiesOf = fn(&EventBatch, usize) -> Vec<Entity>;

/// What a batch gave.
#[derive(Debug, Default)]
pub struct Findings {
    /// One finding per event that met an indicator, in the order of the batch.
    pub findings: Vec<Finding>,
    /// Lists whose indicators were met, once per event and indicator.
    pub lists: Vec<Arc<str>>,
}

impl Matcher {
    /// Findings of a batch.
    pub fn findings(&mut self, batch: &EventBatch, entities: EntitiesOf) -> Findings {
        let matches = self.matches(batch);
        self.findings_of(batch, &matches, entities)
    }

    /// Findings of what the events of a batch met.
    pub fn findings_of(
        &self,
        batch: &EventBatch,
        matches: &[EventMatches],
        entities: EntitiesOf,
    ) -> Findings {
        let mut found = Findings::default();
        let set = self.set();
        for event in matches {
            let met: Vec<(&Met, Held<'_>)> = event
                .met
                .iter()
                .filter_map(|one| Some((one, one.indicator(set)?)))
                .collect();
            found
                .lists
                .extend(met.iter().map(|(_, held)| Arc::clone(held.list)));
            found.findings.extend(finding(batch, event, &met, entities));
        }
        found
    }
}

/// The finding of one event: that of its gravest indicator, with the others as reasons.
fn finding(
    batch: &EventBatch,
    matches: &EventMatches,
    met: &[(&Met, Held<'_>)],
    entities: EntitiesOf,
) -> Option<Finding> {
    let gravity = |(at, (_, held)): &(usize, &(&Met, Held<'_>))| {
        (
            held.level,
            held.indicator.confidence,
            std::cmp::Reverse(*at),
        )
    };
    let (_, (first, gravest)) = met.iter().enumerate().max_by_key(gravity)?;
    let event = batch.rows().get(matches.row)?;
    let kind = gravest.indicator.value.kind();
    let value = gravest.indicator.value.to_string();
    let rule_id = format!("indicator:{kind}:{}", gravest.list);
    let mut entities = entities(batch, matches.row);
    entities.extend(met.iter().filter_map(|(_, held)| entity(held)));
    entities.sort();
    entities.dedup_by(|left, right| left.kind == right.kind && left.value == right.value);
    let mut id = Sha256::new();
    for part in [rule_id.as_bytes(), &[0], value.as_bytes()] {
        id.update(part);
    }
    id.update(event.id.position().to_le_bytes());
    id.update(event.id.part().to_le_bytes());
    let version = Sha256::digest(described(gravest).as_bytes());
    Some(Finding {
        id: hex::encode(id.finalize().get(..16)?),
        rule_id,
        rule_version: hex::encode(version.get(..6)?),
        title: format!("Indicator met: {value}"),
        level: met
            .iter()
            .map(|(_, held)| held.level)
            .max()
            .unwrap_or(FindingLevel::Medium),
        time: event.time,
        first_time: event.time,
        source: event.source.to_string(),
        event_ids: vec![event.id],
        event_count: 1,
        summary: summary(first, gravest, met.len()),
        reasons: met.iter().map(|(one, held)| reason(one, held)).collect(),
        entities,
        tactics: Vec::new(),
        techniques: Vec::new(),
    })
}

fn summary(met: &Met, held: &Held<'_>, count: usize) -> String {
    let indicator = &held.indicator;
    let value = indicator.value.to_string();
    let name = indicator.name.as_deref().filter(|name| !name.is_empty());
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let others = match count {
        0 | 1 => String::new(),
        2 => ", and 1 more indicator".to_owned(),
        _ => format!(", and {} more indicators", count - 1),
    };
    let kind = indicator.value.kind();
    if met.value == value {
        return format!(
            "{} is {value}, {kind} of the list {}{name}{others}",
            met.field, held.list
        );
    }
    format!(
        "{} {} meets {value}, {kind} of the list {}{name}{others}",
        met.field, met.value, held.list
    )
}

fn reason(met: &Met, held: &Held<'_>) -> MatchReason {
    MatchReason {
        selection: "indicator".to_owned(),
        field: met.field.clone(),
        value: met.value.clone(),
        pattern: described(held),
    }
}

/// All that is known of an indicator, in one line.
fn described(held: &Held<'_>) -> String {
    let indicator = &held.indicator;
    let mut text = format!(
        "{} {} \u{b7} list {}",
        indicator.value.kind(),
        indicator.value,
        held.list
    );
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            text.push_str(&format!(" \u{b7} {name} {value}"));
        }
    };
    add("source", Some(indicator.source.to_string()));
    add(
        "confidence",
        indicator.confidence.map(|number| number.to_string()),
    );
    add("name", indicator.name.clone());
    add("id", indicator.id.clone());
    add(
        "valid from",
        indicator.valid_from.map(|time| time.to_string()),
    );
    add(
        "valid until",
        indicator.valid_until.map(|time| time.to_string()),
    );
    add("", indicator.tlp.map(|tlp| tlp.as_str().to_owned()));
    text
}

/// The entity that an indicator names, so that findings about one attacker come together.
fn entity(held: &Held<'_>) -> Option<Entity> {
    use IndicatorKind as K;
    let value = &held.indicator.value;
    let kind = match value.kind() {
        K::Address | K::Network => EntityKind::Address,
        K::Domain => EntityKind::Domain,
        K::Url => EntityKind::Url,
        K::Md5 | K::Sha1 | K::Sha256 | K::Sha512 => EntityKind::Hash,
        K::Email | K::Ja3 | K::Ja3s | K::Ja4 => return None,
    };
    Some(Entity {
        kind,
        value: value.to_string(),
        role: ROLE.to_owned(),
    })
}

impl IndicatorSet {
    /// Lists by name, with how many indicators each has.
    pub fn list_sizes(&self) -> impl Iterator<Item = (&Arc<str>, u64)> {
        self.counts()
            .iter()
            .map(|(list, counts)| (list, counts.total()))
    }
}
