//! Native rules over several events: bounded state per rule and entity, in event time.
//!
//! Each type has a file of its own with what it keeps of an entity and how it concludes. A match
//! may come as late as [`LATENESS_US`] behind the newest of its rule; one that lies ahead of the
//! time at which it was received is not taken, since it would make all others late. All state
//! can be saved between any two events and taken up again without a finding missed or doubled.

mod beaconing;
mod conclusion;
mod dns_tunnelling;
mod groups;
mod impossible_travel;
mod index;
mod new_terms;
mod password_spraying;
mod rare_terms;
mod rate_baseline;
mod replay;
mod sequence;
mod words;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use watchfloor_event::{Entity, EventId, Finding};
use watchfloor_rules::{Analytic, AnalyticKind, RuleMeta, RuleSet};

use crate::correlate::codec::Reader;

use conclusion::Conclusion;
use groups::Groups;
use index::Index;
use replay::Watched;

/// How far behind the newest match of its rule a match may come and still count, and how far
/// ahead of its receipt, in microseconds: ten minutes.
pub(crate) const LATENESS_US: i64 = 600 * 1_000_000;

/// Who feeds an analytic.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Feeder {
    /// Index of a rule in the rule set.
    Rule(usize),
    /// Index of a correlation in the rule set.
    Correlation(usize),
}

/// A match that is given to analytics.
pub(crate) struct Sighting<'a> {
    /// The rule or correlation that matched.
    pub meta: &'a RuleMeta,
    /// Event time, microseconds since 1970.
    pub time_us: i64,
    /// When the record was received, microseconds since 1970.
    pub received_us: i64,
    /// The events that it stands for; at least one.
    pub events: &'a [EventId],
    /// Where they came from.
    pub source: &'a str,
    /// Who and what took part.
    pub entities: &'a [Entity],
    /// The event's fields by name.
    pub fields: &'a dyn Fn(&str) -> Option<String>,
}

/// All analytics with their state.
#[derive(Debug, Default)]
pub(crate) struct Analytics {
    index: Arc<Index>,
    states: States,
    /// The matches since state was last saved; `None` where it never was.
    since_saved: Option<Vec<u8>>,
}

/// What is saved of analytics.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct States {
    /// By rule id, so that a changed rule set keeps the state of the rules that stay.
    by_rule: BTreeMap<String, State>,
    /// Matches not taken because they came too late.
    late: u64,
    /// Matches not taken because their time lies ahead of their receipt.
    ahead: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct State {
    version: String,
    newest_us: i64,
    kind: KindState,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum KindState {
    NewTerms(Groups<new_terms::Group>),
    RareTerms(Groups<rare_terms::Group>),
    RateBaseline(Groups<rate_baseline::Group>),
    ImpossibleTravel(Groups<impossible_travel::Group>),
    Beaconing(Groups<beaconing::Group>),
    DnsTunnelling(Groups<dns_tunnelling::Group>),
    PasswordSpraying(Groups<password_spraying::Group>),
    Sequence(Groups<sequence::Group>),
}

/// What a type's file is given beside its parameters.
pub(crate) struct Ctx<'a> {
    pub analytic: &'a Analytic,
    /// Group names and values.
    pub key: &'a [(String, String)],
    /// Title of the rule at each place.
    pub titles: &'a [String],
    /// Place of the rule that matched, in the analytic's list.
    pub place: usize,
    pub timespan_us: i64,
    /// Older than that nothing is needed.
    pub horizon_us: i64,
}

impl Analytics {
    /// The analytics of a rule set, without state.
    pub(crate) fn new(set: &RuleSet) -> Self {
        Self {
            index: Arc::new(Index::of(set)),
            states: States::default(),
            since_saved: None,
        }
    }

    /// The same rules without state.
    pub(crate) fn share(&self) -> Self {
        Self {
            index: Arc::clone(&self.index),
            states: States::default(),
            since_saved: None,
        }
    }

    /// Takes other rules; the state of those that stay as they are is kept.
    pub(crate) fn replace(&mut self, set: &RuleSet) {
        self.adopt(&Self::new(set));
    }

    /// As [`Analytics::replace`], with the rules of another one.
    pub(crate) fn adopt(&mut self, other: &Self) {
        self.index = Arc::clone(&other.index);
        let index = &self.index;
        self.states
            .by_rule
            .retain(|id, _| index.analytics.iter().any(|one| one.meta.id == *id));
    }

    /// The rules.
    pub(crate) fn all(&self) -> &[Analytic] {
        &self.index.analytics
    }

    /// Number of analytics.
    pub(crate) fn len(&self) -> usize {
        self.index.analytics.len()
    }

    /// Whether an analytic keeps a rule or correlation from making findings of its own.
    pub(crate) fn silences(&self, feeder: Feeder) -> bool {
        self.index.silences(feeder)
    }

    /// Whether an analytic rests on a rule or correlation.
    pub(crate) fn is_fed_by(&self, feeder: Feeder) -> bool {
        !self.index.fed_by(feeder).is_empty()
    }

    /// All state as JSON.
    pub(crate) fn save(&self) -> Vec<u8> {
        serde_json::to_vec(&self.states).unwrap_or_default()
    }

    /// The matches since state was last saved, for [`Analytics::restore_changes`].
    pub(crate) fn save_changes(&mut self) -> Vec<u8> {
        self.since_saved.replace(Vec::new()).unwrap_or_default()
    }

    /// All state was saved; from now on matches are kept for [`Analytics::save_changes`].
    pub(crate) fn mark_saved(&mut self) {
        self.since_saved = Some(Vec::new());
    }

    /// Takes up all state.
    pub(crate) fn restore(&mut self, states: States) {
        self.states = states;
    }

    /// Takes up what changed; `None` where the bytes are not those of matches.
    pub(crate) fn restore_changes(&mut self, matches: &[u8]) -> Option<()> {
        let mut reader = Reader(matches);
        while !reader.is_empty() {
            self.take_again(&mut reader)?;
        }
        Some(())
    }

    /// Gives a match to the analytics that rest on its rule.
    pub(crate) fn take(
        &mut self,
        feeder: Feeder,
        sighting: &Sighting<'_>,
        findings: &mut Vec<Finding>,
    ) {
        let Some(mut since_saved) = self.since_saved.take() else {
            self.judge(feeder, sighting, findings);
            return;
        };
        let watched = Watched::new(sighting);
        let fields = |name: &str| watched.field(name);
        let is_taken = self.judge(
            feeder,
            &Sighting {
                fields: &fields,
                ..*sighting
            },
            findings,
        );
        if is_taken {
            watched.put(&mut since_saved);
        }
        self.since_saved = Some(since_saved);
    }

    /// Whether an analytic took the match.
    fn judge(
        &mut self,
        feeder: Feeder,
        sighting: &Sighting<'_>,
        findings: &mut Vec<Finding>,
    ) -> bool {
        let index = Arc::clone(&self.index);
        let mut is_taken = false;
        for &(number, place) in index.fed_by(feeder) {
            let analytic = &index.analytics[number];
            let Some(key) = key_of(analytic, sighting) else {
                continue;
            };
            is_taken = true;
            let titles = &index.titles[number];
            let concluded = self.states.take(analytic, &key, titles, place, sighting);
            findings.extend(
                concluded
                    .into_iter()
                    .map(|one| one.into_finding(analytic, &key, sighting)),
            );
        }
        is_taken
    }
}

/// The group of a match; one without the group's fields belongs to none.
fn key_of(analytic: &Analytic, sighting: &Sighting<'_>) -> Option<Vec<(String, String)>> {
    let value = |group: &watchfloor_rules::GroupBy| {
        let names = group.fields_of(&sighting.meta.id, &sighting.meta.name);
        let value = names.iter().find_map(|name| sighting.field(name))?;
        Some((group.name.clone(), value))
    };
    analytic.group_by.iter().map(value).collect()
}

impl Sighting<'_> {
    /// A field's value, where there is one.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        (self.fields)(name).filter(|value| !value.is_empty() && value != "-")
    }

    /// The first of these fields that is there.
    pub(crate) fn first_of(&self, names: &[String]) -> Option<String> {
        names.iter().find_map(|name| self.field(name))
    }

    /// The values of all fields, joined; nothing where one is missing.
    pub(crate) fn tuple(&self, names: &[String]) -> Option<String> {
        let values: Option<Vec<String>> = names.iter().map(|name| self.field(name)).collect();
        Some(values?.join(", "))
    }

    /// The event that stands for the match.
    pub(crate) fn event(&self) -> EventId {
        self.events
            .first()
            .copied()
            .unwrap_or_else(|| EventId::new(0, 0))
    }
}

impl KindState {
    fn empty(kind: &AnalyticKind) -> Self {
        match kind {
            AnalyticKind::NewTerms(_) => Self::NewTerms(Groups::default()),
            AnalyticKind::RareTerms(_) => Self::RareTerms(Groups::default()),
            AnalyticKind::RateBaseline(_) => Self::RateBaseline(Groups::default()),
            AnalyticKind::ImpossibleTravel(_) => Self::ImpossibleTravel(Groups::default()),
            AnalyticKind::Beaconing(_) => Self::Beaconing(Groups::default()),
            AnalyticKind::DnsTunnelling(_) => Self::DnsTunnelling(Groups::default()),
            AnalyticKind::PasswordSpraying(_) => Self::PasswordSpraying(Groups::default()),
            AnalyticKind::Sequence(_) => Self::Sequence(Groups::default()),
        }
    }
}

impl States {
    fn take(
        &mut self,
        analytic: &Analytic,
        key: &[(String, String)],
        titles: &[String],
        place: usize,
        sighting: &Sighting<'_>,
    ) -> Option<Conclusion> {
        if sighting.time_us > sighting.received_us.saturating_add(LATENESS_US) {
            self.ahead += 1;
            return None;
        }
        let fresh = || State {
            version: analytic.meta.version.clone(),
            newest_us: i64::MIN,
            kind: KindState::empty(&analytic.kind),
        };
        let state = self
            .by_rule
            .entry(analytic.meta.id.clone())
            .or_insert_with(fresh);
        if state.version != analytic.meta.version {
            *state = fresh();
        }
        let timespan_us = i64::try_from(analytic.timespan.as_micros()).unwrap_or(i64::MAX);
        state.newest_us = state.newest_us.max(sighting.time_us);
        let limit_us = state.newest_us.saturating_sub(LATENESS_US);
        let horizon_us = limit_us.saturating_sub(timespan_us);
        if sighting.time_us < horizon_us {
            self.late += 1;
            return None;
        }
        let ctx = Ctx {
            analytic,
            key,
            titles,
            place,
            timespan_us,
            horizon_us,
        };
        state.kind.take(&ctx, sighting)
    }
}

impl KindState {
    fn take(&mut self, ctx: &Ctx<'_>, sighting: &Sighting<'_>) -> Option<Conclusion> {
        match (&ctx.analytic.kind, self) {
            (AnalyticKind::NewTerms(rule), Self::NewTerms(groups)) => {
                new_terms::take(rule, groups, ctx, sighting)
            }
            (AnalyticKind::RareTerms(rule), Self::RareTerms(groups)) => {
                rare_terms::take(rule, groups, ctx, sighting)
            }
            (AnalyticKind::RateBaseline(rule), Self::RateBaseline(groups)) => {
                rate_baseline::take(rule, groups, ctx, sighting)
            }
            (AnalyticKind::ImpossibleTravel(rule), Self::ImpossibleTravel(groups)) => {
                impossible_travel::take(rule, groups, ctx, sighting)
            }
            (AnalyticKind::Beaconing(rule), Self::Beaconing(groups)) => {
                beaconing::take(rule, groups, ctx, sighting)
            }
            (AnalyticKind::DnsTunnelling(rule), Self::DnsTunnelling(groups)) => {
                dns_tunnelling::take(rule, groups, ctx, sighting)
            }
            (AnalyticKind::PasswordSpraying(rule), Self::PasswordSpraying(groups)) => {
                password_spraying::take(rule, groups, ctx, sighting)
            }
            (AnalyticKind::Sequence(rule), Self::Sequence(groups)) => {
                sequence::take(rule, groups, ctx, sighting)
            }
            // A rule of the same version has the same type; saved state of another is forgotten.
            (kind, state) => {
                *state = Self::empty(kind);
                None
            }
        }
    }
}

impl Ctx<'_> {
    /// The group's key as one text.
    pub(crate) fn group(&self) -> String {
        let values: Vec<&str> = self.key.iter().map(|(_, value)| value.as_str()).collect();
        serde_json::to_string(&values).unwrap_or_default()
    }

    /// The group for a sentence, such as `user.name bob`; `all events` where there is none.
    pub(crate) fn who(&self) -> String {
        if self.key.is_empty() {
            return "all events".to_owned();
        }
        let pairs: Vec<String> = self
            .key
            .iter()
            .map(|(name, value)| format!("{name} {}", words::piece(value)))
            .collect();
        pairs.join(", ")
    }
}

#[cfg(test)]
mod tests;
