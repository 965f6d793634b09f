//! Sigma filters: exclusions for several rules, written once.
//!
//! # Source
//! Sigma specification 2.1, "Sigma Filters"; `rules: any` as in version 2.2.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value};
use watchfloor_event::Logsource;

use super::Refusal;
use super::loader::{Loader, unresolved};
use crate::detection::Detection;
use crate::expr::Expr;
use crate::rule::{self, RuleMeta, kind};

/// A filter.
pub(super) struct Filter {
    meta: RuleMeta,
    logsource: Logsource,
    /// Ids and names; empty for any rule.
    rules: Vec<String>,
    detection: Detection,
}

impl Filter {
    pub(super) fn read(meta: RuleMeta, map: &Map<String, Value>) -> Result<Self, String> {
        let body = match map.get("filter") {
            Some(Value::Object(body)) => body,
            other => {
                return Err(format!(
                    "'filter' must be a map with rules, selections and a condition, not {}",
                    kind(other.unwrap_or(&Value::Null))
                ));
            }
        };
        let rules = rule::texts(body, "rules")?;
        if rules.is_empty() {
            return Err(
                "filter names no 'rules'; list ids or names, or write 'rules: any'".to_owned(),
            );
        }
        let mut selections = body.clone();
        selections.remove("rules");
        let is_any = |name: &String| name.eq_ignore_ascii_case("any");
        Ok(Self {
            meta,
            logsource: rule::logsource(map)?,
            rules: if rules.iter().any(is_any) {
                Vec::new()
            } else {
                rules
            },
            detection: Detection::read(&selections)?,
        })
    }

    fn names(&self, meta: &RuleMeta) -> bool {
        // The counted part of a rule in the old form has an id of its own.
        let id = meta.id.strip_suffix("/base").unwrap_or(&meta.id);
        self.rules.is_empty()
            || self
                .rules
                .iter()
                .any(|name| meta.answers_to(name) || name == id)
    }
}

impl Loader {
    /// Narrows the rules that a filter names.
    pub(super) fn apply_filter(&mut self, filter: Filter) {
        match self.try_filter(&filter) {
            Ok(remarks) => self.warn(&filter.meta.id, remarks),
            Err(reason) => self.set.refused.push(Refusal {
                path: Arc::clone(&filter.meta.path),
                line: filter.meta.line,
                rule: filter.meta.id,
                reason,
            }),
        }
    }

    fn try_filter(&mut self, filter: &Filter) -> Result<Vec<String>, String> {
        let mut remarks = Vec::new();
        let none = Map::new();
        let plain = self.piped_filter(filter, &filter.meta, None, &none, &mut remarks)?;
        let (mut used, mut met) = (false, BTreeSet::new());
        let mut rules = std::mem::take(&mut self.set.rules);
        let mut failed = None;
        for rule in rules.iter_mut().filter(|rule| filter.names(&rule.meta)) {
            met.extend([rule.meta.id.clone(), rule.meta.name.clone()]);
            let original = self.originals.get(&rule.meta.id);
            let source = original.map_or(&rule.logsource, |original| &original.logsource);
            if !narrows(&filter.logsource, source) {
                continue;
            }
            // Pipelines change a filter as they change the rule that it narrows.
            let expr = match original {
                None => Ok(plain.clone()),
                Some(original) => self.piped_filter(
                    filter,
                    &rule.meta,
                    Some(source),
                    &original.document,
                    &mut Vec::new(),
                ),
            };
            match expr {
                Ok(expr) => {
                    let expr = of_filter(expr, &filter.meta.title);
                    rule.expr = rule.expr.clone().and(expr);
                }
                Err(reason) => failed = Some(format!("rule {}: {reason}", rule.meta.id)),
            }
            used = true;
        }
        self.set.rules = rules;
        if let Some(reason) = failed {
            return Err(reason);
        }
        if !used {
            return Err(
                "filter meets no loaded rule; check its 'rules' and 'logsource'".to_owned(),
            );
        }
        let is_met = |name: &&String| met.contains(*name) || met.contains(&format!("{name}/base"));
        remarks.extend(
            filter
                .rules
                .iter()
                .filter(|name| !is_met(name))
                .map(|name| format!("filter names rule '{name}', which is not loaded")),
        );
        Ok(remarks)
    }

    fn piped_filter(
        &self,
        filter: &Filter,
        meta: &RuleMeta,
        logsource: Option<&Logsource>,
        document: &Map<String, Value>,
        remarks: &mut Vec<String>,
    ) -> Result<Expr, String> {
        let detection = filter.detection.clone();
        let Some(logsource) = logsource else {
            let mut notes = crate::modifiers::Notes::default();
            let expr = detection.compile(&self.placeholders, &mut notes)?;
            remarks.append(&mut notes.remarks);
            remarks.extend(unresolved(notes.unresolved, &expr)?);
            return Ok(expr);
        };
        let (_, expr) = self.piped(meta, document, logsource.clone(), detection, remarks)?;
        Ok(expr)
    }
}

/// The condition with the filter's title beside its selections' names, which may be those of the
/// rule as well.
fn of_filter(expr: Expr, title: &str) -> Expr {
    let all = |items: Vec<Expr>| -> Vec<Expr> {
        items
            .into_iter()
            .map(|item| of_filter(item, title))
            .collect()
    };
    match expr {
        Expr::And(items) => Expr::And(all(items)),
        Expr::Or(items) => Expr::Or(all(items)),
        Expr::Not(item) => Expr::Not(Box::new(of_filter(*item, title))),
        Expr::Leaf(mut leaf) => {
            leaf.selection = format!("{} of filter “{title}”", leaf.selection);
            Expr::Leaf(leaf)
        }
    }
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
