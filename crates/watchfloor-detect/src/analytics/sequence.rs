//! `sequence`: steps in an order, tied by values that may go from host to host.
//!
//! Matches of all steps are kept by time; with each new one, a chain of steps is looked for that
//! holds it, so that it does not matter in which order matches come. What made a chain is used
//! up. Values are compared without regard to letter case, those named in `hosts` by their first
//! label, so that `WS-042` and `ws-042.corp.example` are one host.

use std::cmp::Ordering;
use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use watchfloor_rules::Sequence;

use super::conclusion::{Conclusion, Evidence};
use super::groups::{self, Groups};
use super::{Ctx, Sighting, words};

/// Most matches kept of one step of a group; the oldest give way.
const MAX_MATCHES: usize = 10_000;
/// Most matches that are looked at in search of one chain.
const MAX_VISITS: usize = 10_000;

/// What is kept of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    /// By step; each by time.
    steps: Vec<VecDeque<Seen>>,
    /// Searches that were given up for their length.
    given_up: u64,
}

/// A match of a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Seen {
    time_us: i64,
    /// Values that it must share with steps before, by name.
    matches: BTreeMap<String, String>,
    /// Values that it gives to later steps, by name.
    binds: BTreeMap<String, String>,
    evidence: Evidence,
}

impl groups::Group for Group {
    fn items(&self) -> usize {
        self.steps.iter().map(VecDeque::len).sum()
    }
}

pub(super) fn take(
    rule: &Sequence,
    groups: &mut Groups<Group>,
    ctx: &Ctx<'_>,
    sighting: &Sighting<'_>,
) -> Option<Conclusion> {
    let name = ctx.analytic.rules.get(ctx.place)?;
    let mut seen: Vec<(usize, Seen)> = Vec::new();
    for (index, step) in rule.steps.iter().enumerate() {
        if step.rule != *name {
            continue;
        }
        let values = |pairs: &[(String, String)]| -> Option<BTreeMap<String, String>> {
            let value = |(name, field): &(String, String)| {
                let value = sighting.field(field)?;
                Some((name.clone(), compared(&value, rule.hosts.contains(name))))
            };
            pairs.iter().map(value).collect()
        };
        // A match without one of the values is no such step.
        if let (Some(matches), Some(binds)) = (values(&step.matches), values(&step.binds)) {
            let one = Seen {
                time_us: sighting.time_us,
                matches,
                binds,
                evidence: Evidence::of(sighting),
            };
            seen.push((index, one));
        }
    }
    if seen.is_empty() {
        return None;
    }
    groups.with(ctx.group(), sighting.time_us, ctx.horizon_us, |group| {
        group.take(rule, ctx, seen)
    })
}

/// A value in the form in which it is compared.
fn compared(value: &str, is_host: bool) -> String {
    let lower = value.to_lowercase();
    if !is_host || lower.parse::<std::net::IpAddr>().is_ok() {
        return lower;
    }
    let label = lower.split('.').next().unwrap_or_default();
    label.to_owned()
}

impl Group {
    fn take(
        &mut self,
        rule: &Sequence,
        ctx: &Ctx<'_>,
        seen: Vec<(usize, Seen)>,
    ) -> Option<Conclusion> {
        self.steps.resize_with(rule.steps.len(), VecDeque::new);
        let mut places = Vec::with_capacity(seen.len());
        for (step, one) in seen {
            let kept = &mut self.steps[step];
            while kept.len() >= MAX_MATCHES
                || kept
                    .front()
                    .is_some_and(|oldest| oldest.time_us < ctx.horizon_us)
            {
                kept.pop_front();
            }
            let at = kept.partition_point(|other| other.time_us <= one.time_us);
            kept.insert(at, one);
            places.push((step, at));
        }
        for fixed in places {
            let mut search = Search {
                steps: &self.steps,
                fixed,
                timespan_us: ctx.timespan_us,
                visits: 0,
                chain: Vec::new(),
            };
            let found = search.can_end() && search.extend(&BTreeMap::new());
            self.given_up += u64::from(search.visits >= MAX_VISITS);
            if found {
                let chain = search.chain;
                return Some(self.conclude(rule, ctx, &chain));
            }
        }
        None
    }

    fn conclude(&mut self, rule: &Sequence, ctx: &Ctx<'_>, chain: &[usize]) -> Conclusion {
        let taken: Vec<Seen> = chain
            .iter()
            .enumerate()
            .filter_map(|(step, at)| self.steps[step].remove(*at))
            .collect();
        // The same event must not stand for another step of a later chain.
        for one in &taken {
            for kept in &mut self.steps {
                kept.retain(|other| !other.is_same(one));
            }
        }
        let mut evidence = Evidence::default();
        let mut told = Vec::with_capacity(taken.len());
        let mut reasons = Vec::with_capacity(taken.len());
        let mut before_us = None;
        for (index, (one, step)) in taken.iter().zip(&rule.steps).enumerate() {
            evidence.merge(&one.evidence);
            let title = ctx.title(&step.rule);
            let values: Vec<String> = one
                .matches
                .iter()
                .chain(&one.binds)
                .map(|(name, value)| format!("{name} {}", words::piece(value)))
                .collect();
            let values = values.join(", ");
            let with = if values.is_empty() {
                String::new()
            } else {
                format!(" ({values})")
            };
            told.push(match before_us {
                None => format!("{title}{with}"),
                Some(before) => {
                    format!("{} later {title}{with}", words::span(one.time_us - before))
                }
            });
            before_us = Some(one.time_us);
            reasons.push((
                format!("step {}", index + 1),
                title.to_owned(),
                format!("at {}{with}", words::time(one.time_us)),
            ));
        }
        let who = if ctx.key.is_empty() {
            String::new()
        } else {
            format!("{}: ", ctx.who())
        };
        Conclusion {
            evidence,
            sentence: format!("{who}{}", told.join(", ")),
            reasons,
            raised: false,
        }
    }
}

impl Seen {
    fn is_same(&self, other: &Self) -> bool {
        self.time_us == other.time_us && self.evidence == other.evidence
    }
}

impl Ctx<'_> {
    /// The title of a rule of the analytic.
    fn title<'a>(&'a self, rule: &'a str) -> &'a str {
        let place = self.analytic.rules.iter().position(|name| name == rule);
        let title = place.and_then(|place| self.titles.get(place));
        title.map_or(rule, String::as_str)
    }
}

/// The search for a chain through a given match.
struct Search<'a> {
    steps: &'a [VecDeque<Seen>],
    /// Step and place of the match.
    fixed: (usize, usize),
    timespan_us: i64,
    visits: usize,
    /// Place by step, so far.
    chain: Vec<usize>,
}

impl Search<'_> {
    fn fixed(&self) -> &Seen {
        &self.steps[self.fixed.0][self.fixed.1]
    }

    /// Whether each other step has a match on its side of the fixed one. Where events come in
    /// order, this spares nearly all searches: the last step was not met yet.
    fn can_end(&self) -> bool {
        let fixed_us = self.fixed().time_us;
        let mut steps = self.steps.iter().enumerate();
        steps.all(|(step, kept)| match step.cmp(&self.fixed.0) {
            Ordering::Less => kept.front().is_some_and(|one| one.time_us <= fixed_us),
            Ordering::Equal => true,
            Ordering::Greater => kept.back().is_some_and(|one| one.time_us >= fixed_us),
        })
    }

    /// Whether a match of a step before the fixed one binds a value that the fixed one must
    /// share, as another value, and no step between binds it anew.
    fn contradicts(&self, step: usize, one: &Seen) -> bool {
        if step >= self.fixed.0 {
            return false;
        }
        let binds_anew = |name: &String| {
            let between = self.steps[step + 1..self.fixed.0].iter();
            let mut fronts = between.filter_map(VecDeque::front);
            fronts.any(|front| front.binds.contains_key(name))
        };
        let wanted = self.fixed().matches.iter();
        let mut others = wanted.filter(|(name, value)| {
            let bound = one.binds.get(*name);
            bound.is_some_and(|bound| bound != *value)
        });
        others.any(|(name, _)| !binds_anew(name))
    }

    /// Tries to go on with the next step, given the values that those before have bound.
    fn extend(&mut self, bound: &BTreeMap<String, String>) -> bool {
        let step = self.chain.len();
        let Some(kept) = self.steps.get(step) else {
            return true;
        };
        let (fixed_step, fixed_place) = self.fixed;
        let fixed_us = self.steps[fixed_step][fixed_place].time_us;
        let time_of = |step: usize, place: usize| self.steps[step][place].time_us;
        let first_us = self.chain.first().map(|place| time_of(0, *place));
        let last_us = self.chain.last().map(|place| time_of(step - 1, *place));
        let from_us = last_us.unwrap_or_else(|| fixed_us.saturating_sub(self.timespan_us));
        let to_us = first_us.map_or(fixed_us, |first| first.saturating_add(self.timespan_us));
        let to_us = if step < fixed_step {
            to_us.min(fixed_us)
        } else {
            to_us
        };
        let places = if step == fixed_step {
            fixed_place..fixed_place + 1
        } else {
            kept.partition_point(|one| one.time_us < from_us)
                ..kept.partition_point(|one| one.time_us <= to_us)
        };
        for place in places {
            self.visits += 1;
            if self.visits >= MAX_VISITS {
                return false;
            }
            let one = &kept[place];
            let is_in_time = one.time_us >= from_us && one.time_us <= to_us;
            let meets = one
                .matches
                .iter()
                .all(|(name, value)| bound.get(name) == Some(value));
            let is_used = self
                .chain
                .iter()
                .enumerate()
                .any(|(step, place)| self.steps[step][*place].is_same(one));
            if !is_in_time || !meets || is_used || self.contradicts(step, one) {
                continue;
            }
            let mut bound = bound.clone();
            bound.extend(one.binds.clone());
            self.chain.push(place);
            if self.extend(&bound) {
                return true;
            }
            self.chain.pop();
        }
        false
    }
}
