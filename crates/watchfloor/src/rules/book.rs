//! What is known of the rules in force, as the API shows it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use watchfloor_api::ports::{RefusedRule, RuleChange, RuleDetail, RuleHold, RuleSuspension};
use watchfloor_event::Logsource;
use watchfloor_rules::{Refusal, RuleMeta, RuleSet};

use super::library::{Held, Loaded};

/// A rule in force.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub meta: RuleMeta,
    /// Log source in words.
    pub logsource: String,
    /// Why its last good version is in force.
    pub hold: Option<RuleHold>,
}

/// The rules in force and those that are not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Book {
    /// By title.
    pub rules: Vec<Entry>,
    /// By path.
    pub refused: Vec<RefusedRule>,
    pub unreadable: Vec<String>,
}

impl Book {
    pub(crate) fn of(loaded: &Loaded, held: &BTreeMap<String, Held>) -> Self {
        let hold = |meta: &RuleMeta| {
            let held = held.get(&*meta.path)?;
            let refusals = &loaded.held_refusals;
            let refusal = refusals.iter().find(|one| one.path == meta.path)?;
            Some(RuleHold {
                since: held.since,
                line: u32::try_from(refusal.line).ok(),
                reason: refusal.reason.clone(),
            })
        };
        let entry = |meta: &RuleMeta, logsource: String| Entry {
            meta: meta.clone(),
            logsource,
            hold: hold(meta),
        };
        let set: &RuleSet = &loaded.set;
        let events = set
            .rules
            .iter()
            .map(|rule| entry(&rule.meta, logsource_text(&rule.logsource)));
        let correlations = set
            .correlations
            .iter()
            .map(|one| entry(&one.meta, "correlation".to_owned()));
        let analytics = set
            .analytics
            .iter()
            .map(|one| entry(&one.meta, format!("analytic: {}", one.kind.as_str())));
        let mut rules: Vec<Entry> = events.chain(correlations).chain(analytics).collect();
        rules.sort_by(|left, right| {
            (&left.meta.title, &left.meta.id).cmp(&(&right.meta.title, &right.meta.id))
        });
        let since = |refusal: &Refusal| held.get(&*refusal.path).map(|held| held.since);
        let refusals = loaded.held_refusals.iter().chain(&set.refused);
        let mut refused: Vec<RefusedRule> =
            refusals.map(|one| refused_rule(one, since(one))).collect();
        refused.sort_by(|left, right| (&left.path, left.line).cmp(&(&right.path, right.line)));
        Self {
            rules,
            refused,
            unreadable: loaded.unreadable.clone(),
        }
    }

    /// A rule in force.
    pub(crate) fn rule(&self, id: &str) -> Option<&Entry> {
        self.rules.iter().find(|entry| entry.meta.id == id)
    }

    /// What came, changed and went since an earlier book, by title.
    pub(crate) fn changes_since(&self, before: &Self) -> Vec<RuleChange> {
        let by_id = |book: &Self| -> BTreeMap<String, (String, String)> {
            let entries = book.rules.iter().map(|entry| {
                let meta = &entry.meta;
                (meta.id.clone(), (meta.title.clone(), meta.version.clone()))
            });
            entries.collect()
        };
        let (old, new) = (by_id(before), by_id(self));
        let mut changes = Vec::new();
        for (id, (title, version)) in &new {
            let from = old.get(id).map(|(_, version)| version.clone());
            if from.as_ref() != Some(version) {
                changes.push(RuleChange {
                    id: id.clone(),
                    title: title.clone(),
                    from,
                    to: Some(version.clone()),
                });
            }
        }
        for (id, (title, version)) in old {
            if !new.contains_key(&id) {
                changes.push(RuleChange {
                    id,
                    title,
                    from: Some(version),
                    to: None,
                });
            }
        }
        changes.sort_by(|left, right| (&left.title, &left.id).cmp(&(&right.title, &right.id)));
        changes
    }
}

impl Entry {
    pub(crate) fn detail(&self, suspension: Option<RuleSuspension>) -> RuleDetail {
        let meta = &self.meta;
        RuleDetail {
            id: meta.id.clone(),
            title: meta.title.clone(),
            description: meta.description.clone(),
            level: meta.level.as_str().to_owned(),
            version: meta.version.clone(),
            yaml: meta.yaml.to_string(),
            references: meta.references.clone(),
            falsepositives: meta.falsepositives.clone(),
            hold: self.hold.clone(),
            suspension,
        }
    }
}

fn refused_rule(refusal: &Refusal, held_since: Option<Timestamp>) -> RefusedRule {
    RefusedRule {
        path: refusal.path.to_string(),
        line: u32::try_from(refusal.line).ok(),
        rule: refusal.rule.clone(),
        reason: refusal.reason.clone(),
        held_since,
    }
}

/// A log source in words: `windows / process_creation`.
pub(crate) fn logsource_text(logsource: &Logsource) -> String {
    let parts = [&logsource.product, &logsource.category, &logsource.service];
    let parts: Vec<&str> = parts.into_iter().flatten().map(String::as_str).collect();
    parts.join(" / ")
}
