//! Correlations: bounded state per rule and group, in event time.
//!
//! A match that comes late is put in its place by time and the windows that hold it are looked
//! at again, as long as it is at most [`LATENESS`] behind the newest event of its rule.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use watchfloor_event::{Entity, EntityKind, EventId};
use watchfloor_rules::{Bound, Correlation, CorrelationKind};

/// How far behind the newest event of its rule a match may come and still count, in
/// microseconds: ten minutes.
pub(crate) const LATENESS_US: i64 = 600 * 1_000_000;
/// Most groups per correlation; the one that was quiet longest gives way.
const MAX_GROUPS: usize = 100_000;
/// Most matches kept in one group; the oldest give way.
const MAX_MEMBERS: usize = 10_000;
/// Most entities kept in one group.
const MAX_ENTITIES: usize = 64;

/// One match of a rule that a correlation rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// Event time, microseconds since 1970.
    pub time_us: i64,
    /// Place of the rule in the correlation's list.
    pub rule: usize,
    /// The measured field's value, where one is measured.
    pub value: Option<String>,
    /// The events that it stands for.
    #[serde(with = "ids")]
    pub events: Vec<EventId>,
}

/// State of all correlations.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Correlator {
    /// By rule id, so that a changed rule set keeps the state of the rules that stay.
    states: BTreeMap<String, State>,
    /// Groups that gave way because of [`MAX_GROUPS`].
    pub groups_dropped: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    version: String,
    newest_us: i64,
    groups: BTreeMap<String, Group>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Group {
    members: VecDeque<Member>,
    /// Kind, value and role of who and what took part in the members.
    entities: BTreeSet<(String, String, String)>,
}

/// A correlation that holds.
#[derive(Debug)]
pub(crate) struct Fired {
    pub members: Vec<Member>,
    /// Who and what took part; sorted.
    pub entities: Vec<Entity>,
    /// The measure that kept the bounds.
    pub measure: f64,
}

impl Correlator {
    /// Takes a match and says whether the correlation now holds. What made it hold is used up.
    pub(crate) fn take(
        &mut self,
        rule: &Correlation,
        group: &str,
        member: Member,
        entities: &[Entity],
    ) -> Option<Fired> {
        let state = self.states.entry(rule.meta.id.clone()).or_default();
        if state.version != rule.meta.version {
            *state = State {
                version: rule.meta.version.clone(),
                newest_us: i64::MIN,
                ..State::default()
            };
        }
        let span_us = i64::try_from(rule.timespan.as_micros()).unwrap_or(i64::MAX);
        state.newest_us = state.newest_us.max(member.time_us);
        let horizon = state
            .newest_us
            .saturating_sub(span_us)
            .saturating_sub(LATENESS_US);
        if member.time_us < horizon {
            return None;
        }
        if state.groups.len() >= MAX_GROUPS && !state.groups.contains_key(group) {
            self.groups_dropped += state.make_room(horizon);
        }
        let kept = state.groups.entry(group.to_owned()).or_default();
        kept.note(entities);
        let members = &mut kept.members;
        let place = members.partition_point(|other| other.time_us <= member.time_us);
        members.insert(place, member);
        while members
            .front()
            .is_some_and(|oldest| oldest.time_us < horizon)
            || members.len() > MAX_MEMBERS
        {
            members.pop_front();
        }
        let mut fired = check(rule, members, span_us)?;
        fired.entities = kept.entities();
        if kept.members.is_empty() {
            state.groups.remove(group);
        }
        Some(fired)
    }
}

impl Group {
    fn note(&mut self, entities: &[Entity]) {
        for entity in entities {
            if self.entities.len() >= MAX_ENTITIES {
                return;
            }
            let kind = entity.kind.as_str().to_owned();
            self.entities
                .insert((kind, entity.value.clone(), entity.role.clone()));
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
        entities
    }
}

impl State {
    /// Forgets groups whose newest member is past the horizon, else the quietest one.
    fn make_room(&mut self, horizon: i64) -> u64 {
        self.groups.retain(|_, group| {
            group
                .members
                .back()
                .is_some_and(|newest| newest.time_us >= horizon)
        });
        if self.groups.len() < MAX_GROUPS {
            return 0;
        }
        let quietest = self
            .groups
            .iter()
            .min_by_key(|(_, group)| group.members.back().map(|newest| newest.time_us))
            .map(|(group, _)| group.clone());
        if let Some(group) = quietest {
            self.groups.remove(&group);
        }
        1
    }
}

/// Looks at the window that ends at each member; the first that keeps the bounds is taken out.
fn check(rule: &Correlation, members: &mut VecDeque<Member>, span_us: i64) -> Option<Fired> {
    for end in 0..members.len() {
        let end_us = members[end].time_us;
        let start =
            members.partition_point(|member| member.time_us < end_us.saturating_sub(span_us));
        if let Some(measure) = measure(rule, members, start, end) {
            let taken: Vec<Member> = members.drain(start..=end).collect();
            return Some(Fired {
                members: taken,
                entities: Vec::new(),
                measure,
            });
        }
    }
    None
}

/// The measure of a window, if it keeps the bounds.
fn measure(
    rule: &Correlation,
    members: &VecDeque<Member>,
    start: usize,
    end: usize,
) -> Option<f64> {
    let window = || members.range(start..=end);
    let numbers = || {
        let mut numbers: Vec<f64> = window()
            .filter_map(|member| member.value.as_deref()?.parse().ok())
            .collect();
        numbers.sort_by(f64::total_cmp);
        numbers
    };
    let measure = match &rule.kind {
        CorrelationKind::EventCount => (end - start + 1) as f64,
        CorrelationKind::ValueCount(_) => {
            let distinct: BTreeSet<&str> = window()
                .filter_map(|member| member.value.as_deref())
                .collect();
            distinct.len() as f64
        }
        CorrelationKind::ValueSum(_) => numbers().iter().sum(),
        CorrelationKind::ValueAvg(_) => {
            let numbers = numbers();
            numbers.iter().sum::<f64>() / numbers.len().max(1) as f64
        }
        CorrelationKind::ValueMedian(_) => percentile(&numbers(), 50.0)?,
        CorrelationKind::ValuePercentile(_, wanted) => percentile(&numbers(), f64::from(*wanted))?,
        CorrelationKind::Temporal => {
            let distinct: BTreeSet<usize> = window().map(|member| member.rule).collect();
            return temporal(rule, distinct.len());
        }
        CorrelationKind::TemporalOrdered => {
            let mut next = 0;
            for member in window() {
                next += usize::from(member.rule == next);
            }
            return temporal(rule, next);
        }
    };
    rule.bounds
        .iter()
        .all(|bound: &Bound| bound.holds(measure))
        .then_some(measure)
}

fn temporal(rule: &Correlation, met: usize) -> Option<f64> {
    let enough = if rule.bounds.is_empty() {
        met == rule.rules.len()
    } else {
        rule.bounds.iter().all(|bound| bound.holds(met as f64))
    };
    enough.then_some(met as f64)
}

/// Linear interpolation between the two nearest ranks.
fn percentile(sorted: &[f64], wanted: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = wanted / 100.0 * last as f64;
    let below = sorted.get(rank.floor() as usize)?;
    let above = sorted.get(rank.ceil() as usize)?;
    Some(below + (above - below) * rank.fract())
}

mod ids {
    //! Event ids as their texts.

    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use watchfloor_event::EventId;

    pub(super) fn serialize<S: Serializer>(
        ids: &[EventId],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let texts: Vec<String> = ids.iter().map(EventId::to_string).collect();
        texts.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<EventId>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        texts
            .iter()
            .map(|text| text.parse().map_err(serde::de::Error::custom))
            .collect()
    }
}

#[cfg(test)]
mod tests;
