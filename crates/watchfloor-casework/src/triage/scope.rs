//! What an incident touched, and how that is known: from which alerts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use watchfloor_model::{Alert, AlertId, Entity, EntityRef, Risk};

use super::bind::is_commonplace;
use super::risk;

/// Most things that a scope lists.
const THINGS_MAX: usize = 500;

/// Alerts named per thing.
const ALERTS_MAX: usize = 20;

/// A thing that an incident touched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Touch {
    /// The thing, as it was first told.
    pub entity: Entity,
    /// Its parts, such as `source` and `target`; sorted.
    pub roles: Vec<String>,
    /// Earliest event that tells of it.
    pub first_time: Timestamp,
    /// Latest.
    pub last_time: Timestamp,
    /// Alerts that tell of it, by time, the first twenty.
    pub alert_ids: Vec<AlertId>,
    /// How many there are.
    pub alert_count: u64,
    /// How it is known, as a sentence.
    pub known_from: String,
    /// How much it matters, of its open alerts here.
    pub risk: Option<Risk>,
}

/// What alerts, given by time, tell that was touched; the riskiest first.
pub(crate) fn of(alerts: &[Alert]) -> Vec<Touch> {
    let mut things: BTreeMap<EntityRef, (Touch, Vec<&Risk>)> = BTreeMap::new();
    for alert in alerts {
        let mut seen = BTreeSet::new();
        for entity in &alert.entities {
            let key = entity.key();
            if is_commonplace(&key) {
                continue;
            }
            let (thing, risks) = things
                .entry(key.clone())
                .or_insert_with(|| (first_touch(entity, alert), Vec::new()));
            if !thing.roles.contains(&entity.role) {
                thing.roles.push(entity.role.clone());
                thing.roles.sort();
            }
            if !seen.insert(key) {
                continue;
            }
            thing.first_time = thing.first_time.min(alert.first_time);
            thing.last_time = thing.last_time.max(alert.last_time);
            thing.alert_count += 1;
            if thing.alert_ids.len() < ALERTS_MAX {
                thing.alert_ids.push(alert.id.clone());
            }
            if alert.closed_at.is_none() {
                risks.push(&alert.risk);
            }
        }
    }
    let mut list: Vec<Touch> = things
        .into_values()
        .map(|(mut thing, risks)| {
            thing.risk = risk::of_entity(&risks);
            thing
        })
        .collect();
    let score = |thing: &Touch| thing.risk.as_ref().map_or(0, |risk| risk.score);
    list.sort_by(|left, right| {
        (left.entity.kind, score(right), &left.entity).cmp(&(
            right.entity.kind,
            score(left),
            &right.entity,
        ))
    });
    list.truncate(THINGS_MAX);
    list
}

fn first_touch(entity: &Entity, alert: &Alert) -> Touch {
    Touch {
        entity: entity.clone(),
        roles: Vec::new(),
        first_time: alert.first_time,
        last_time: alert.last_time,
        alert_ids: Vec::new(),
        alert_count: 0,
        known_from: format!(
            "{} in alert “{}”, {}",
            entity.role, alert.title, alert.source
        ),
        risk: None,
    }
}
