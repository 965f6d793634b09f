//! The peers: rsigma-eval over serde_json, and a bare sonic-rs parse.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Result, anyhow};
use rsigma_eval::Engine;
use rsigma_eval::event::JsonEvent;
use rsigma_parser::{LogSource, SigmaCollection, parse_sigma_directory};
use serde_json::Value;
use watchfloor_event::EventKind;

pub struct Rsigma {
    pub engine: Engine,
}

impl Rsigma {
    pub fn load(rules: &Path) -> Result<Self> {
        let collection: SigmaCollection =
            parse_sigma_directory(rules).map_err(|error| anyhow!("{error}"))?;
        let mut engine = Engine::new();
        let failed = engine.add_rules(&collection.rules);
        if !failed.is_empty() {
            eprintln!("rsigma-eval refuses {} rules", failed.len());
        }
        Ok(Self { engine })
    }

    /// Ids of the rules that hold, for an event with this log source.
    pub fn evaluate(&self, event: &Value, logsource: &LogSource) -> Vec<String> {
        let event = JsonEvent::borrow(event);
        let results = self.engine.evaluate_pruned(&event, logsource);
        results
            .into_iter()
            .filter_map(|result| result.header.rule_id)
            .collect()
    }

    /// Number of rules that hold.
    pub fn count(&self, event: &Value, logsource: &LogSource) -> usize {
        let event = JsonEvent::borrow(event);
        self.engine.evaluate_pruned(&event, logsource).len()
    }
}

/// What is known of an event's log source, for the peer's routing: each part on which all
/// log sources of its kind agree.
pub fn logsource(kind: &EventKind) -> LogSource {
    let part = |pick: fn(&watchfloor_event::Logsource) -> &Option<String>| {
        let all: BTreeSet<&Option<String>> = kind.logsources.iter().map(pick).collect();
        match all.into_iter().collect::<Vec<_>>().as_slice() {
            [one] => (*one).clone(),
            _ => None,
        }
    };
    LogSource {
        product: part(|source| &source.product),
        category: part(|source| &source.category),
        service: part(|source| &source.service),
        ..LogSource::default()
    }
}

/// Sets of (event, rule) pairs with counts per rule, to show differences.
pub fn difference(
    ours: &BTreeSet<(u32, String)>,
    theirs: &BTreeSet<(u32, String)>,
) -> BTreeMap<String, (usize, usize, u32)> {
    let mut by_rule: BTreeMap<String, (usize, usize, u32)> = BTreeMap::new();
    for (event, rule) in ours.difference(theirs) {
        let entry = by_rule.entry(rule.clone()).or_insert((0, 0, *event));
        entry.0 += 1;
    }
    for (event, rule) in theirs.difference(ours) {
        let entry = by_rule.entry(rule.clone()).or_insert((0, 0, *event));
        entry.1 += 1;
    }
    by_rule
}
