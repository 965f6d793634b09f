//! Loading rules: every file's documents become rules, or are refused by name and reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};
use watchfloor_event::Logsource;

use crate::correlation::{self, Correlation};
use crate::detection;
use crate::document::{self, Document};
use crate::expr::Expr;
use crate::legacy;
use crate::modifiers::Placeholders;
use crate::rule::{self, Rule, RuleMeta};

/// A rule file as read by the caller.
#[derive(Clone, Debug)]
pub struct RuleFile {
    /// Path shown to people.
    pub path: Arc<str>,
    /// Content.
    pub text: String,
}

/// A rule that is not loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Its file.
    pub path: Arc<str>,
    /// Line of the trouble, or of the rule's start, from 1.
    pub line: usize,
    /// Id or title, where known.
    pub rule: String,
    /// What is wrong and how to mend it.
    pub reason: String,
}

/// A rule that is loaded, with something to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// Its id.
    pub rule_id: String,
    /// What to know.
    pub reason: String,
}

/// All loaded rules.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// Rules over single events, in the order of loading.
    pub rules: Vec<Rule>,
    /// Rules over several events, each after those it rests on.
    pub correlations: Vec<Correlation>,
    /// What is not loaded.
    pub refused: Vec<Refusal>,
    /// What to know about what is loaded.
    pub warnings: Vec<Warning>,
}

struct Filter {
    meta: RuleMeta,
    logsource: Logsource,
    rules: Vec<String>,
    expr: Expr,
}

#[derive(Default)]
struct Loader {
    set: RuleSet,
    filters: Vec<Filter>,
    ids: BTreeSet<String>,
    placeholders: Placeholders,
}

impl RuleSet {
    /// Loads rule files. `placeholders` gives the values for `%name%` under the `expand`
    /// modifier.
    pub fn load(
        files: impl IntoIterator<Item = RuleFile>,
        placeholders: BTreeMap<String, Vec<String>>,
    ) -> Self {
        let mut loader = Loader {
            placeholders,
            ..Loader::default()
        };
        for file in files {
            loader.file(&file);
        }
        loader.finish()
    }

    /// Number of loaded rules of both kinds.
    pub fn len(&self) -> usize {
        self.rules.len() + self.correlations.len()
    }

    /// Whether no rule is loaded.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What each loaded rule says about itself.
    pub fn metas(&self) -> impl Iterator<Item = &RuleMeta> {
        let rules = self.rules.iter().map(|rule| &rule.meta);
        rules.chain(
            self.correlations
                .iter()
                .map(|correlation| &correlation.meta),
        )
    }
}

impl Loader {
    fn file(&mut self, file: &RuleFile) {
        for document in document::split(&file.text) {
            match document {
                Ok(document) => self.document(&file.path, &document),
                Err(bad) => self.set.refused.push(Refusal {
                    path: Arc::clone(&file.path),
                    line: bad.line,
                    rule: String::new(),
                    reason: bad.reason,
                }),
            }
        }
    }

    fn document(&mut self, path: &Arc<str>, document: &Document) {
        if let Err(reason) = self.try_document(path, document) {
            let named = ["id", "title"].map(|key| rule::text(&document.map, key));
            let rule = named
                .into_iter()
                .find(|name| !name.is_empty())
                .unwrap_or_default();
            let line = document.line + line_of(&document.yaml, &reason);
            self.set.refused.push(Refusal {
                path: Arc::clone(path),
                line,
                rule,
                reason,
            });
        }
    }

    fn try_document(&mut self, path: &Arc<str>, document: &Document) -> Result<(), String> {
        let map = &document.map;
        let meta = RuleMeta::parse(map, path, document.line, &document.yaml)?;
        if self.ids.contains(&meta.id) {
            return Err(format!(
                "id '{}' is used by an earlier rule; give this one its own",
                meta.id
            ));
        }
        let id = meta.id.clone();
        if map.contains_key("correlation") {
            self.set.correlations.push(correlation::parse(meta, map)?);
        } else if let Some(filter) = map.get("filter") {
            let filter = filter.as_object().ok_or("filter must be a map")?;
            self.filter(meta, map, filter)?;
        } else {
            self.rule(meta, map)?;
        }
        self.ids.insert(id);
        Ok(())
    }

    fn rule(&mut self, meta: RuleMeta, map: &Map<String, Value>) -> Result<(), String> {
        let detection = map
            .get("detection")
            .and_then(Value::as_object)
            .ok_or("has no detection; a rule needs 'detection', 'correlation' or 'filter'")?;
        let logsource = rule::logsource(map)?;
        if let Some(aggregation) = legacy::split(detection)? {
            let (base, counted) = aggregation.into_rules(meta);
            let expr = self.expr(&base, &aggregation_detection(detection, &base.condition))?;
            self.set.rules.push(Rule {
                meta: base.meta,
                logsource,
                expr,
            });
            self.set.correlations.push(counted);
            return Ok(());
        }
        let mut unresolved = Vec::new();
        let expr = detection::parse(detection, &self.placeholders, &mut unresolved)?;
        self.warn_unresolved(&meta, unresolved);
        self.set.rules.push(Rule {
            meta,
            logsource,
            expr,
        });
        Ok(())
    }

    fn expr(
        &mut self,
        base: &legacy::Base,
        detection: &Map<String, Value>,
    ) -> Result<Expr, String> {
        let mut unresolved = Vec::new();
        let expr = detection::parse(detection, &self.placeholders, &mut unresolved)?;
        self.warn_unresolved(&base.meta, unresolved);
        Ok(expr)
    }

    fn warn_unresolved(&mut self, meta: &RuleMeta, mut unresolved: Vec<String>) {
        unresolved.sort();
        unresolved.dedup();
        for name in unresolved {
            self.set.warnings.push(Warning {
                rule_id: meta.id.clone(),
                reason: format!("placeholder %{name}% has no values, so the part that names it cannot match; give them in the configuration"),
            });
        }
    }

    fn filter(
        &mut self,
        meta: RuleMeta,
        map: &Map<String, Value>,
        filter: &Map<String, Value>,
    ) -> Result<(), String> {
        let mut selections = filter.clone();
        selections.remove("rules");
        let mut unresolved = Vec::new();
        let expr = detection::parse(&selections, &self.placeholders, &mut unresolved)?;
        self.warn_unresolved(&meta, unresolved);
        let rules = rule::texts(filter, "rules");
        self.filters.push(Filter {
            logsource: rule::logsource(map)?,
            rules: if rules == ["any"] { Vec::new() } else { rules },
            expr,
            meta,
        });
        Ok(())
    }

    fn finish(mut self) -> RuleSet {
        for filter in std::mem::take(&mut self.filters) {
            self.apply_filter(filter);
        }
        self.order_correlations();
        self.set
    }

    fn apply_filter(&mut self, filter: Filter) {
        let mut used = false;
        for rule in &mut self.set.rules {
            let named = filter.rules.is_empty()
                || filter
                    .rules
                    .iter()
                    .any(|name| *name == rule.meta.id || *name == rule.meta.name);
            if named && narrows(&filter.logsource, &rule.logsource) {
                rule.expr = rule.expr.clone().and(filter.expr.clone());
                used = true;
            }
        }
        if !used {
            self.set.refused.push(Refusal {
                path: Arc::clone(&filter.meta.path),
                line: filter.meta.line,
                rule: filter.meta.id,
                reason: "filter meets no loaded rule; check its 'rules' and logsource".to_owned(),
            });
        }
    }

    /// Puts each correlation after those it rests on; cycles and unknown rules are refused.
    fn order_correlations(&mut self) {
        let mut known: BTreeSet<String> = BTreeSet::new();
        for rule in &self.set.rules {
            known.extend([rule.meta.id.clone(), rule.meta.name.clone()]);
        }
        let mut waiting = std::mem::take(&mut self.set.correlations);
        loop {
            let before = waiting.len();
            let (ready, rest): (Vec<_>, Vec<_>) = waiting
                .into_iter()
                .partition(|one| one.rules.iter().all(|rule| known.contains(rule)));
            for one in ready {
                known.extend([one.meta.id.clone(), one.meta.name.clone()]);
                self.set.correlations.push(one);
            }
            waiting = rest;
            if waiting.len() == before {
                break;
            }
        }
        for one in waiting {
            let missing = one.rules.iter().find(|rule| !known.contains(*rule));
            let missing = missing.cloned().unwrap_or_default();
            self.set.refused.push(Refusal {
                path: Arc::clone(&one.meta.path),
                line: one.meta.line,
                rule: one.meta.id,
                reason: format!(
                    "rests on rule '{missing}', which is not loaded or rests on this one in turn"
                ),
            });
        }
    }
}

fn aggregation_detection(detection: &Map<String, Value>, condition: &str) -> Map<String, Value> {
    let mut plain = detection.clone();
    plain.insert("condition".to_owned(), Value::String(condition.to_owned()));
    plain
}

/// Whether a filter for `filter` may narrow a rule for `rule`.
fn narrows(filter: &Logsource, rule: &Logsource) -> bool {
    let agrees = |filter: &Option<String>, rule: &Option<String>| {
        filter.is_none() || filter.as_deref() == rule.as_deref()
    };
    agrees(&filter.product, &rule.product)
        && agrees(&filter.category, &rule.category)
        && agrees(&filter.service, &rule.service)
}

/// Lines from the document's start to the first thing that the reason quotes.
fn line_of(yaml: &str, reason: &str) -> usize {
    let quoted: Vec<&str> = reason.split('\'').skip(1).step_by(2).collect();
    let found = quoted.iter().rev().find_map(|text| {
        yaml.lines()
            .position(|line| !text.is_empty() && line.contains(text))
    });
    found.unwrap_or(0)
}

#[cfg(test)]
mod tests;
