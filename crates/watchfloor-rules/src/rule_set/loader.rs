//! From files to a rule set: documents become rules, correlations and filters, pipelines are
//! applied, and what cannot be loaded is refused by name.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};
use watchfloor_event::Logsource;

use super::filter::Filter;
use super::{LoadOptions, Refusal, RuleFile, RuleSet, Warning, order, version};
use crate::analytic::{self, Analytic};
use crate::correlation::{self, Correlation};
use crate::detection::Detection;
use crate::document::{self, Document, Documents};
use crate::expr::Expr;
use crate::legacy;
use crate::matcher::Matcher;
use crate::modifiers::{Notes, Placeholders};
use crate::near;
use crate::pipeline::{Pipeline, Pipelines, Subject};
use crate::rule::{self, Rule, RuleMeta};

/// Taxonomies whose field names are resolved; others are taken as written.
const TAXONOMIES: [&str; 3] = ["sigma", "ecs", "ocsf"];
/// Top-level keys that say what a document is.
const KINDS: [&str; 4] = ["detection", "correlation", "filter", "analytic"];

/// A rule as it was before pipelines changed it.
pub(super) struct Original {
    pub logsource: Logsource,
    pub document: Map<String, Value>,
}

pub(super) struct Loader {
    pub set: RuleSet,
    pub filters: Vec<Filter>,
    pub placeholders: Placeholders,
    pub pipelines: Pipelines,
    /// By rule id; kept only where pipelines need them.
    pub originals: BTreeMap<String, Original>,
    /// File and line of each id.
    ids: BTreeMap<String, (Arc<str>, usize)>,
    /// Id and file of each name.
    names: BTreeMap<String, (String, Arc<str>)>,
    /// Documents without an id in the file that is read.
    without_id: usize,
    /// What every rule's version holds beside its text; empty without pipelines.
    shaping: Vec<u8>,
}

impl Loader {
    pub(super) fn new(options: LoadOptions) -> Self {
        let shaping = version::of_pipelines(&options);
        let mut loader = Self {
            set: RuleSet::default(),
            filters: Vec::new(),
            placeholders: options.placeholders,
            pipelines: Pipelines::default(),
            originals: BTreeMap::new(),
            ids: BTreeMap::new(),
            names: BTreeMap::new(),
            without_id: 0,
            shaping,
        };
        for file in &options.pipelines {
            loader.pipeline(file);
        }
        loader
    }

    fn pipeline(&mut self, file: &RuleFile) {
        let read = Pipeline::parse(&file.text).and_then(|mut pipeline| {
            if pipeline.name.is_empty() {
                pipeline.name = file.path.to_string();
            }
            let remarks = std::mem::take(&mut pipeline.remarks);
            let name = pipeline.name.clone();
            self.pipelines.add(pipeline)?;
            Ok((name, remarks))
        });
        match read {
            Ok((name, remarks)) => {
                let name = format!("pipeline {name}");
                self.warn(&name, remarks);
            }
            Err(reason) => self.set.refused.push(Refusal {
                path: Arc::clone(&file.path),
                line: 1 + line_of(&file.text, &reason),
                rule: String::new(),
                reason: format!("pipeline is not applied: {reason}"),
            }),
        }
    }

    pub(super) fn file(&mut self, file: &RuleFile, documents: Documents) {
        self.without_id = 0;
        for document in documents {
            match document {
                Ok(document) => self.document(&file.path, &document),
                Err(bad) => self.set.refused.push(Refusal {
                    path: Arc::clone(&file.path),
                    line: bad.line,
                    rule: bad.rule,
                    reason: bad.reason,
                }),
            }
        }
    }

    fn document(&mut self, path: &Arc<str>, document: &Document) {
        if let Err(reason) = self.try_document(path, document) {
            self.set.refused.push(Refusal {
                path: Arc::clone(path),
                line: document.line + line_of(&document.yaml, &reason),
                rule: document::name_of(&document.map),
                reason,
            });
        }
    }

    fn try_document(&mut self, path: &Arc<str>, document: &Document) -> Result<(), String> {
        let map = &document.map;
        let text = format!("{}{}", document.merged, document.yaml);
        let mut meta = RuleMeta::parse(map, path, document.line, &text)?;
        if let Some(version) = version::of_rule(&text, &self.shaping, &self.placeholders) {
            meta.version = version;
        }
        if rule::text(map, "id").is_empty() {
            self.without_id += 1;
            if self.without_id > 1 {
                meta.id = format!("{path}#{}", self.without_id);
            }
        }
        if let Some((first, line)) = self.ids.get(&meta.id) {
            return Err(format!(
                "id '{}' is used by an earlier rule, in {first} line {line}; give this one its own",
                meta.id
            ));
        }
        let (id, name, line) = (meta.id.clone(), meta.name.clone(), meta.line);
        let mut remarks = Vec::new();
        self.check_head(&meta, map, &mut remarks);
        if map.contains_key("correlation") {
            let read = correlation::parse(meta, map, &mut remarks)?;
            if !self.pipelines.is_empty() {
                self.keep_original(&id, Logsource::default(), map);
            }
            self.set.correlations.push(read);
        } else if map.contains_key("analytic") {
            let read = analytic::parse(meta, map)?;
            if !self.pipelines.is_empty() {
                self.keep_original(&id, Logsource::default(), map);
            }
            self.set.analytics.push(read);
        } else if map.contains_key("filter") {
            let filter = Filter::read(meta, map)?;
            self.filters.push(filter);
        } else {
            self.rule(meta, map, &mut remarks)?;
        }
        self.warn(&id, remarks);
        if !name.is_empty() {
            self.names
                .entry(name)
                .or_insert_with(|| (id.clone(), Arc::clone(path)));
        }
        self.ids.insert(id, (Arc::clone(path), line));
        Ok(())
    }

    fn check_head(&self, meta: &RuleMeta, map: &Map<String, Value>, remarks: &mut Vec<String>) {
        if let Some((id, path)) = self.names.get(&meta.name) {
            remarks.push(format!(
                "name '{}' is also that of rule {id} in {path}; references by this name mean both",
                meta.name
            ));
        }
        let taxonomy = rule::text(map, "taxonomy");
        if !taxonomy.is_empty() && !TAXONOMIES.contains(&taxonomy.as_str()) {
            remarks.push(format!(
                "taxonomy '{taxonomy}' is not known ({}); its fields are taken as they are written",
                TAXONOMIES.join(", ")
            ));
        }
    }

    fn rule(
        &mut self,
        meta: RuleMeta,
        map: &Map<String, Value>,
        remarks: &mut Vec<String>,
    ) -> Result<(), String> {
        let detection = match map.get("detection") {
            Some(Value::Object(detection)) => detection,
            Some(other) => {
                return Err(format!(
                    "'detection' must be a map of selections and a condition, not {}",
                    rule::kind(other)
                ));
            }
            None => return Err(no_detection(map)),
        };
        let logsource = rule::logsource(map)?;
        if logsource == Logsource::default() {
            remarks.push("has no logsource, so it meets the events of every source".to_owned());
        }
        let (meta, detection, counted) = match legacy::split(detection)? {
            None => (meta, Detection::read(detection)?, None),
            Some(aggregation) => {
                let (base, counted) = aggregation.into_rules(meta);
                let mut plain = detection.clone();
                plain.insert("condition".to_owned(), base.condition.into());
                (base.meta, Detection::read(&plain)?, Some(counted))
            }
        };
        let conditions = detection.conditions.clone();
        let (logsource, expr) = self.compiled(&meta, map, logsource, detection, remarks)?;
        if let Some(counted) = counted {
            if !self.pipelines.is_empty() {
                self.keep_original(&counted.meta.id, Logsource::default(), map);
            }
            self.set.correlations.push(counted);
        }
        self.set.rules.push(Rule {
            meta,
            logsource,
            expr,
            conditions,
        });
        Ok(())
    }

    fn keep_original(&mut self, id: &str, logsource: Logsource, map: &Map<String, Value>) {
        let original = Original {
            logsource,
            document: map.clone(),
        };
        self.originals.insert(id.to_owned(), original);
    }

    /// Applies pipelines to a detection and compiles it.
    fn compiled(
        &mut self,
        meta: &RuleMeta,
        map: &Map<String, Value>,
        logsource: Logsource,
        detection: Detection,
        remarks: &mut Vec<String>,
    ) -> Result<(Logsource, Expr), String> {
        if !self.pipelines.is_empty() {
            self.keep_original(&meta.id, logsource.clone(), map);
        }
        self.piped(meta, map, logsource, detection, remarks)
    }

    pub(super) fn piped(
        &self,
        meta: &RuleMeta,
        map: &Map<String, Value>,
        logsource: Logsource,
        detection: Detection,
        remarks: &mut Vec<String>,
    ) -> Result<(Logsource, Expr), String> {
        let mut subject = Subject {
            meta,
            document: map,
            logsource,
            rests_on: Vec::new(),
            detection: Some(detection),
            correlation: None,
            analytic: None,
        };
        self.pipelines.apply(&mut subject)?;
        let detection = subject.detection.unwrap_or_default();
        let mut notes = Notes::default();
        let expr = detection.compile(&self.placeholders, &mut notes)?;
        remarks.append(&mut notes.remarks);
        remarks.extend(unresolved(notes.unresolved, &expr)?);
        Ok((subject.logsource, expr))
    }

    pub(super) fn warn(&mut self, rule_id: &str, remarks: Vec<String>) {
        for reason in remarks {
            self.set.warnings.push(Warning {
                rule_id: rule_id.to_owned(),
                reason,
            });
        }
    }

    pub(super) fn finish(mut self) -> RuleSet {
        for filter in std::mem::take(&mut self.filters) {
            self.apply_filter(filter);
        }
        order::correlations(&mut self.set);
        if !self.pipelines.is_empty() {
            self.pipe_correlations();
            self.pipe_analytics();
        }
        order::analytics(&mut self.set);
        self.set
    }

    fn pipe_correlations(&mut self) {
        let mut kept = Vec::new();
        for correlation in std::mem::take(&mut self.set.correlations) {
            let meta = correlation.meta.clone();
            let rests_on = self.rests_on(&correlation.rules, &kept);
            let subject = |subject: &mut Subject<'_>| subject.correlation = Some(correlation);
            let piped = self.pipe_rule(&meta, rests_on, subject);
            kept.extend(piped.and_then(|(correlation, _)| correlation));
        }
        self.set.correlations = kept;
        order::correlations(&mut self.set);
    }

    fn pipe_analytics(&mut self) {
        let mut kept = Vec::new();
        for analytic in std::mem::take(&mut self.set.analytics) {
            let meta = analytic.meta.clone();
            let rests_on = self.rests_on(&analytic.rules, &self.set.correlations);
            let subject = |subject: &mut Subject<'_>| subject.analytic = Some(analytic);
            let piped = self.pipe_rule(&meta, rests_on, subject);
            kept.extend(piped.and_then(|(_, analytic)| analytic));
        }
        self.set.analytics = kept;
    }

    /// Applies pipelines to a rule over several events; `None` where they refuse it.
    fn pipe_rule(
        &mut self,
        meta: &RuleMeta,
        rests_on: Vec<Logsource>,
        put: impl FnOnce(&mut Subject<'_>),
    ) -> Option<(Option<Correlation>, Option<Analytic>)> {
        let empty = Map::new();
        let original = self.originals.get(&meta.id);
        let mut subject = Subject {
            meta,
            document: original.map_or(&empty, |original| &original.document),
            logsource: Logsource::default(),
            rests_on,
            detection: None,
            correlation: None,
            analytic: None,
        };
        put(&mut subject);
        let applied = self.pipelines.apply(&mut subject);
        let (correlation, analytic) = (subject.correlation, subject.analytic);
        match applied {
            Ok(()) => Some((correlation, analytic)),
            Err(reason) => {
                self.set.refused.push(Refusal {
                    path: Arc::clone(&meta.path),
                    line: meta.line,
                    rule: meta.id.clone(),
                    reason,
                });
                None
            }
        }
    }

    /// The log sources of rules, before and after pipelines, also through correlations.
    fn rests_on(&self, names: &[String], before: &[Correlation]) -> Vec<Logsource> {
        let mut sources = Vec::new();
        for name in names {
            for rule in &self.set.rules {
                if rule.meta.answers_to(name) {
                    sources.push(rule.logsource.clone());
                    let original = self.originals.get(&rule.meta.id);
                    sources.extend(original.map(|original| original.logsource.clone()));
                }
            }
            // Correlations stand after those that they rest on, so this comes to an end.
            if let Some(place) = before.iter().position(|one| one.meta.answers_to(name)) {
                sources.extend(self.rests_on(&before[place].rules, &before[..place]));
            }
        }
        sources
    }
}

/// What to say of placeholders without values.
///
/// # Errors
/// If the condition needs one of them: it would ask for what nothing can be ("If the tool isn't
/// able to handle placeholders, it must reject the rule"). Where one only narrows what is left
/// out, the rule can do without, and says more than it would with the values.
///
/// # Source
/// Sigma specification 2.1, "Placeholders".
pub(super) fn unresolved(mut names: Vec<String>, expr: &Expr) -> Result<Vec<String>, String> {
    names.sort();
    names.dedup();
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<String> = names.iter().map(|name| format!("%{name}%")).collect();
    let (all, have) = (all.join(", "), if all.len() == 1 { "has" } else { "have" });
    let mend = "give them with --placeholders, or by a pipeline with value_placeholders";
    if asks_for_never(expr, true) {
        return Err(format!(
            "placeholder {all} {have} no values, and the condition needs them; {mend}"
        ));
    }
    Ok(vec![format!(
        "placeholder {all} {have} no values, so the exception that names it lets nothing through; {mend}"
    )])
}

/// Whether a question that nothing meets stands where the condition asks for it, and not below
/// a `not`.
fn asks_for_never(expr: &Expr, wanted: bool) -> bool {
    match expr {
        Expr::And(items) | Expr::Or(items) => items.iter().any(|item| asks_for_never(item, wanted)),
        Expr::Not(item) => asks_for_never(item, !wanted),
        Expr::Leaf(leaf) => wanted && matches!(leaf.matcher, Matcher::Never),
    }
}

fn no_detection(map: &Map<String, Value>) -> String {
    let mistyped = map.keys().find_map(|key| {
        let hint = near::hint(key, KINDS);
        (!hint.is_empty()).then(|| format!(", but '{key}'{hint}"))
    });
    let mistyped = mistyped.unwrap_or_default();
    format!(
        "has no detection{mistyped}; a rule needs 'detection', 'correlation', 'filter' or 'analytic'"
    )
}

/// Lines from the document's start to what the reason quotes: the last quotation that the text
/// has, as a key if it is one, else as a word.
fn line_of(yaml: &str, reason: &str) -> usize {
    let quoted: Vec<&str> = reason.split('\'').skip(1).step_by(2).collect();
    let found = quoted
        .iter()
        .rev()
        .filter(|text| !text.is_empty())
        .find_map(|text| line_with(yaml, text));
    found.unwrap_or(0)
}

fn line_with(yaml: &str, text: &str) -> Option<usize> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let is_key = |line: &str| {
        let line = line.trim_start_matches([' ', '-', '{', '\'', '"']);
        let rest = line.strip_prefix(text);
        rest.is_some_and(|rest| rest.trim_start_matches(['\'', '"']).starts_with(':'))
    };
    let is_whole = |line: &str| {
        line.match_indices(text).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + text.len()..].chars().next();
            !before.is_some_and(is_word) && !after.is_some_and(is_word)
        })
    };
    let position = |wanted: &dyn Fn(&str) -> bool| yaml.lines().position(wanted);
    position(&is_key)
        .or_else(|| position(&is_whole))
        .or_else(|| position(&|line: &str| line.contains(text)))
}
