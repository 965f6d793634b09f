//! The order of rules that rest on others: each after those it rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Refusal, RuleSet};
use crate::correlation::Correlation;
use crate::rule::RuleMeta;

/// Longest way through a cycle that a refusal writes out.
const MAX_SHOWN: usize = 20;

/// What answers to each id and name.
struct Names<'a> {
    rules: BTreeSet<&'a str>,
    correlations: BTreeMap<&'a str, Vec<usize>>,
}

/// Puts each correlation after those it rests on; cycles and unknown rules are refused.
pub(super) fn correlations(set: &mut RuleSet) {
    let all = std::mem::take(&mut set.correlations);
    let names = Names::of(set, &all);
    let order = order(&all, &names);
    let placed: BTreeSet<usize> = order.iter().copied().collect();
    let refusals: Vec<Refusal> = (0..all.len())
        .filter(|index| !placed.contains(index))
        .map(|index| Refusal {
            path: Arc::clone(&all[index].meta.path),
            line: all[index].meta.line,
            rule: all[index].meta.id.clone(),
            reason: reason(index, &all, &names, &placed),
        })
        .collect();
    set.refused.extend(refusals);
    let mut all: Vec<Option<Correlation>> = all.into_iter().map(Some).collect();
    set.correlations = order
        .into_iter()
        .filter_map(|index| all[index].take())
        .collect();
}

/// Refuses analytics that rest on what is not loaded.
pub(super) fn analytics(set: &mut RuleSet) {
    let all = std::mem::take(&mut set.analytics);
    let names = Names::of(set, &set.correlations);
    let is_missing = |name: &&String| names.is_missing(name);
    let missing: Vec<Option<String>> = all
        .iter()
        .map(|one| one.rules.iter().find(is_missing).cloned())
        .collect();
    for (one, missing) in all.into_iter().zip(missing) {
        let Some(missing) = missing else {
            set.analytics.push(one);
            continue;
        };
        set.refused.push(Refusal {
            path: Arc::clone(&one.meta.path),
            line: one.meta.line,
            rule: one.meta.id.clone(),
            reason: not_loaded(&missing),
        });
    }
}

fn not_loaded(name: &str) -> String {
    format!("rests on rule '{name}', which is not loaded; load it, or correct the name")
}

impl<'a> Names<'a> {
    fn of(set: &'a RuleSet, all: &'a [Correlation]) -> Self {
        let both = |meta: &'a RuleMeta| {
            let name = (!meta.name.is_empty()).then_some(meta.name.as_str());
            std::iter::once(meta.id.as_str()).chain(name)
        };
        let mut correlations: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, one) in all.iter().enumerate() {
            for name in both(&one.meta) {
                correlations.entry(name).or_default().push(index);
            }
        }
        Self {
            rules: set.rules.iter().flat_map(|rule| both(&rule.meta)).collect(),
            correlations,
        }
    }

    fn correlations_of(&self, name: &str) -> &[usize] {
        self.correlations.get(name).map_or(&[], Vec::as_slice)
    }

    fn is_missing(&self, name: &str) -> bool {
        !self.rules.contains(name) && !self.correlations.contains_key(name)
    }
}

/// Indices in an order in which each stands after those it rests on, as near to the given order
/// as can be; those that cannot be placed are left out.
fn order(all: &[Correlation], names: &Names<'_>) -> Vec<usize> {
    let mut waits_for: Vec<usize> = vec![0; all.len()];
    let mut awaited_by: Vec<Vec<usize>> = vec![Vec::new(); all.len()];
    let mut ready = BTreeSet::new();
    for (index, one) in all.iter().enumerate() {
        if one.rules.iter().any(|name| names.is_missing(name)) {
            continue;
        }
        let below: BTreeSet<usize> = one
            .rules
            .iter()
            .flat_map(|name| names.correlations_of(name))
            .copied()
            .collect();
        waits_for[index] = below.len();
        for other in &below {
            awaited_by[*other].push(index);
        }
        if below.is_empty() {
            ready.insert(index);
        }
    }
    let mut order = Vec::with_capacity(all.len());
    while let Some(index) = ready.pop_first() {
        order.push(index);
        for above in &awaited_by[index] {
            waits_for[*above] -= 1;
            if waits_for[*above] == 0 {
                ready.insert(*above);
            }
        }
    }
    order
}

/// Why a correlation cannot be placed.
fn reason(
    index: usize,
    all: &[Correlation],
    names: &Names<'_>,
    placed: &BTreeSet<usize>,
) -> String {
    if let Some(missing) = all[index].rules.iter().find(|name| names.is_missing(name)) {
        return not_loaded(missing);
    }
    // Each one that is not placed, and misses no rule, rests on another that is not placed.
    let next = |at: usize| {
        all[at]
            .rules
            .iter()
            .flat_map(|name| names.correlations_of(name))
            .copied()
            .find(|below| !placed.contains(below))
    };
    let mut way = vec![index];
    while way.len() <= MAX_SHOWN {
        let last = way[way.len() - 1];
        let Some(below) = next(last) else {
            return format!(
                "rests on '{}', which is refused; mend that one first",
                all[last].meta.id
            );
        };
        if let Some(place) = way.iter().position(|other| *other == below) {
            let cycle: Vec<&str> = way[place..]
                .iter()
                .chain(std::iter::once(&below))
                .map(|at| all[*at].meta.id.as_str())
                .collect();
            let part = if place == 0 { "is part of" } else { "rests on" };
            return format!(
                "{part} a cycle of correlations: {}; remove one of these references",
                cycle.join(" \u{2192} ")
            );
        }
        way.push(below);
    }
    format!(
        "is part of or rests on a cycle of more than {MAX_SHOWN} correlations, over '{}'; remove one of these references",
        all[way[1]].meta.id
    )
}
