//! ATT&CK coverage: how far each technique got, from data over a rule and a passed test to a
//! finding, as a layer of the ATT&CK Navigator.
//!
//! # Source
//! ATT&CK Navigator layer format 4.5; ATT&CK Enterprise 18.

mod attack;
mod layer;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use watchfloor_api::ports::CanaryOutcome;
use watchfloor_pipeline::Seen;
use watchfloor_rules::{RuleMeta, RuleSet};

use super::life::{self, Index, Looks};

pub(crate) use layer::LayerHead;

/// How far a technique got; each stage stands on top of the one before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// A rule for it is known, but neither in force nor fed with data.
    Known,
    /// The events and fields that a rule for it needs come in; no such rule is in force.
    Data,
    /// A rule for it is in force.
    Rule,
    /// The positive case of such a rule fires.
    Tested,
    /// Such a rule made a finding.
    Fired,
}

impl Stage {
    /// The four that a layer shows.
    pub(crate) const SHOWN: [Self; 4] = [Self::Data, Self::Rule, Self::Tested, Self::Fired];

    /// In words.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Known => "nothing",
            Self::Data => "data present",
            Self::Rule => "rule present",
            Self::Tested => "rule tested",
            Self::Fired => "fired",
        }
    }
}

/// What a rule that is known found and how it stands.
#[derive(Clone, Debug)]
pub(crate) struct RuleStanding {
    pub id: String,
    pub title: String,
    /// Whether it is in force.
    pub is_active: bool,
    /// Whether what it needs came in.
    pub has_data: bool,
    /// Positive and negative cases beside it.
    pub cases: usize,
    pub is_tested: bool,
    pub findings: u64,
    pub last_fired: Option<Timestamp>,
    /// The tag by which the rule names the technique, where that is an older one.
    pub named_as: Option<String>,
}

/// A technique or sub-technique.
#[derive(Clone, Debug)]
pub(crate) struct Technique {
    pub id: String,
    pub stage: Stage,
    /// By title.
    pub rules: Vec<RuleStanding>,
}

/// What a rule's positive case does, and how many cases it has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tested {
    pub cases: usize,
    pub outcome: CanaryOutcome,
}

/// What is known beside the rules in force.
pub(crate) struct Evidence<'a> {
    /// Kinds of event that came, with their fields.
    pub seen: &'a Seen,
    /// By rule: findings, and the newest.
    pub fired: &'a BTreeMap<String, (u64, Option<Timestamp>)>,
    /// What a rule's cases say.
    pub tested: &'a dyn Fn(&RuleMeta) -> Tested,
}

/// Coverage of all techniques that known rules name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Coverage {
    /// By id.
    pub techniques: Vec<Technique>,
    /// Tags of techniques that ATT&CK deprecated without a successor, with their rules.
    pub deprecated: BTreeMap<String, BTreeSet<String>>,
}

impl Coverage {
    /// Coverage by `rules`, which are in force; `others` are known and not in force.
    pub(crate) fn of(rules: &RuleSet, others: &RuleSet, evidence: &Evidence<'_>) -> Self {
        let mut coverage = Self::default();
        let mut by_id: BTreeMap<String, Vec<RuleStanding>> = BTreeMap::new();
        let active: BTreeSet<&str> = rules.metas().map(|meta| meta.id.as_str()).collect();
        for (set, is_active) in [(rules, true), (others, false)] {
            let looks: BTreeMap<String, Looks> = life::looks(set);
            let index = Index::new(&looks, evidence.seen);
            for meta in set.metas() {
                if meta.techniques.is_empty() || (!is_active && active.contains(meta.id.as_str())) {
                    continue;
                }
                let standing = standing(meta, is_active, &index, evidence);
                coverage.add(meta, &standing, &mut by_id);
            }
        }
        coverage.techniques = by_id
            .into_iter()
            .map(|(id, mut rules)| {
                rules
                    .sort_by(|left, right| (&left.title, &left.id).cmp(&(&right.title, &right.id)));
                rules.dedup_by(|left, right| left.id == right.id);
                let stage = rules.iter().map(stage_of).max().unwrap_or(Stage::Known);
                Technique { id, stage, rules }
            })
            .collect();
        coverage
    }

    fn add(
        &mut self,
        meta: &RuleMeta,
        standing: &RuleStanding,
        by_id: &mut BTreeMap<String, Vec<RuleStanding>>,
    ) {
        for tag in &meta.techniques {
            let Some(id) = current(tag) else {
                let rules = self.deprecated.entry(tag.clone()).or_default();
                rules.insert(meta.title.clone());
                continue;
            };
            let mut standing = standing.clone();
            standing.named_as = (id != *tag).then(|| tag.clone());
            by_id.entry(id.to_owned()).or_default().push(standing);
        }
    }

    /// Techniques by stage, those that a layer shows.
    pub(crate) fn counts(&self) -> Vec<(Stage, usize)> {
        let count = |stage| {
            self.techniques
                .iter()
                .filter(|one| one.stage == stage)
                .count()
        };
        Stage::SHOWN.map(|stage| (stage, count(stage))).to_vec()
    }
}

/// The id that stands for a technique now; `None` for one that was deprecated without a
/// successor.
fn current(tag: &str) -> Option<&str> {
    if attack::DEPRECATED.binary_search(&tag).is_ok() {
        return None;
    }
    let revoked = attack::REVOKED.binary_search_by_key(&tag, |(old, _)| *old);
    Some(revoked.map_or(tag, |place| attack::REVOKED[place].1))
}

fn standing(
    meta: &RuleMeta,
    is_active: bool,
    index: &Index<'_>,
    evidence: &Evidence<'_>,
) -> RuleStanding {
    let fired = evidence.fired.get(&meta.id).copied();
    let (findings, last_fired) = fired.unwrap_or_default();
    let tested = (evidence.tested)(meta);
    RuleStanding {
        id: meta.id.clone(),
        title: meta.title.clone(),
        is_active,
        has_data: index.life(&meta.id).dead.is_none(),
        cases: tested.cases,
        is_tested: is_active && tested.outcome == CanaryOutcome::Pass,
        findings,
        last_fired,
        named_as: None,
    }
}

fn stage_of(rule: &RuleStanding) -> Stage {
    if rule.findings > 0 {
        Stage::Fired
    } else if rule.is_tested {
        Stage::Tested
    } else if rule.is_active {
        Stage::Rule
    } else if rule.has_data {
        Stage::Data
    } else {
        Stage::Known
    }
}

#[cfg(test)]
mod tests;
