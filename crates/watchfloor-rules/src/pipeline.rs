//! Processing pipelines: what a site changes about rules before they are compiled, in the YAML
//! form of pySigma.
//!
//! A transformation changes the items of a detection (fields, modifiers, values), the log
//! source, or what a correlation is grouped by. Transformations that only shape the text of a
//! query have no meaning for an engine that evaluates rules; they are named and refused, or
//! passed over with a warning where leaving them out changes no result.
//!
//! # Source
//! pySigma documentation, "Processing Pipelines" (YAML keys, types, conditions).

mod condition;
mod fields;
mod item;
mod template;
mod values;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};
use watchfloor_event::Logsource;

use crate::analytic::Analytic;
use crate::correlation::{Correlation, CorrelationKind, GroupBy};
use crate::detection::{Block, Detection};
use crate::document;
use crate::rule::{self, RuleMeta, kind};
use item::{PipelineItem, Transformation};

/// Most transformations of all pipelines together.
const MAX_ITEMS: usize = 10_000;
/// Deepest nesting of `nest`.
const MAX_NESTING: usize = 8;
/// Longest regular expression of a pipeline, compiled, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// A pipeline, read and checked.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub name: String,
    priority: i64,
    vars: BTreeMap<String, Vec<String>>,
    items: Vec<PipelineItem>,
    /// What its author should know.
    pub remarks: Vec<String>,
}

/// All pipelines in the order of their priority.
#[derive(Debug, Default)]
pub(crate) struct Pipelines {
    pipelines: Vec<Pipeline>,
    vars: BTreeMap<String, Vec<String>>,
}

/// A rule on its way through the pipelines.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub meta: &'a RuleMeta,
    /// The whole document, for conditions on attributes.
    pub document: &'a Map<String, Value>,
    pub logsource: Logsource,
    /// Log sources of the rules that a correlation rests on.
    pub rests_on: Vec<Logsource>,
    pub detection: Option<Detection>,
    pub correlation: Option<Correlation>,
    pub analytic: Option<Analytic>,
}

/// What the items before have left for those that follow.
#[derive(Debug, Default)]
struct State<'a> {
    vars: Option<&'a BTreeMap<String, Vec<String>>>,
    values: BTreeMap<String, Value>,
    attributes: BTreeMap<String, Value>,
    applied: BTreeSet<String>,
    /// Items that changed a field of a correlation, by the new name.
    fields: BTreeMap<String, BTreeSet<String>>,
}

impl Pipeline {
    /// Reads a pipeline.
    ///
    /// # Errors
    /// With the item and the reason.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let value: Value = document::from_yaml(text)?;
        let Value::Object(map) = value else {
            return Err(format!(
                "a pipeline must be a map with 'transformations', not {}",
                kind(&value)
            ));
        };
        crate::correlation::known_keys(
            &map,
            &[
                "name",
                "priority",
                "vars",
                "transformations",
                "postprocessing",
                "finalizers",
                "allowed_backends",
            ],
            "pipeline",
        )?;
        let mut count = 0;
        let items = match map.get("transformations") {
            None | Some(Value::Null) => Vec::new(),
            Some(list) => item::list(list, 0, &mut count)?,
        };
        Ok(Self {
            name: rule::required_text(&map, "name")?,
            priority: priority(&map)?,
            vars: vars(&map)?,
            items,
            remarks: remarks(&map)?,
        })
    }
}

fn priority(map: &Map<String, Value>) -> Result<i64, String> {
    match map.get("priority") {
        None | Some(Value::Null) => Ok(0),
        Some(value) => value
            .as_i64()
            .ok_or_else(|| format!("'priority' must be a whole number, not {value}")),
    }
}

fn vars(map: &Map<String, Value>) -> Result<BTreeMap<String, Vec<String>>, String> {
    let Some(value) = map.get("vars").filter(|value| !value.is_null()) else {
        return Ok(BTreeMap::new());
    };
    let vars = value
        .as_object()
        .ok_or("'vars' must be a map of names to values")?;
    vars.keys()
        .map(|name| Ok((name.clone(), rule::texts(vars, name)?)))
        .collect()
}

fn remarks(map: &Map<String, Value>) -> Result<Vec<String>, String> {
    let mut remarks = Vec::new();
    for key in ["postprocessing", "finalizers"] {
        let filled = map.get(key).is_some_and(|value| match value {
            Value::Array(items) => !items.is_empty(),
            other => !other.is_null(),
        });
        if filled {
            remarks.push(format!(
                "'{key}' shapes the text of queries and is passed over, as rules are evaluated here"
            ));
        }
    }
    let backends = rule::texts(map, "allowed_backends")?;
    if !backends.is_empty() && !backends.iter().any(|name| name == "watchfloor") {
        remarks.push(format!(
            "was written for {}; check that the fields it maps to are those of the events here",
            backends.join(", ")
        ));
    }
    Ok(remarks)
}

impl Pipelines {
    /// Adds a pipeline behind those of the same or a lower priority.
    ///
    /// # Errors
    /// If there are too many items.
    pub(crate) fn add(&mut self, pipeline: Pipeline) -> Result<(), String> {
        let items: usize = self.pipelines.iter().map(|one| one.items.len()).sum();
        if items + pipeline.items.len() > MAX_ITEMS {
            return Err(format!(
                "all pipelines together have more than {MAX_ITEMS} transformations; leave some out"
            ));
        }
        let place = self
            .pipelines
            .partition_point(|one| one.priority <= pipeline.priority);
        self.pipelines.insert(place, pipeline);
        self.vars = BTreeMap::new();
        for pipeline in &self.pipelines {
            self.vars.extend(pipeline.vars.clone());
        }
        Ok(())
    }

    /// Whether there is nothing to apply.
    pub(crate) fn is_empty(&self) -> bool {
        self.pipelines.is_empty()
    }

    /// Applies all pipelines to a rule.
    ///
    /// # Errors
    /// With pipeline, item and reason, if a pipeline refuses the rule.
    pub(crate) fn apply(&self, subject: &mut Subject<'_>) -> Result<(), String> {
        let mut state = State {
            vars: Some(&self.vars),
            ..State::default()
        };
        for pipeline in &self.pipelines {
            apply_items(&pipeline.items, subject, &mut state)
                .map_err(|reason| format!("pipeline '{}': {reason}", pipeline.name))?;
        }
        Ok(())
    }
}

fn apply_items(
    items: &[PipelineItem],
    subject: &mut Subject<'_>,
    state: &mut State<'_>,
) -> Result<(), String> {
    for item in items {
        if !item.rule_conditions.hold(|one| one.of_rule(subject, state)) {
            continue;
        }
        apply_item(item, subject, state)
            .map_err(|reason| format!("item '{}': {reason}", item.shown()))?;
        if !item.id.is_empty() {
            state.applied.insert(item.id.clone());
        }
    }
    Ok(())
}

fn apply_item(
    item: &PipelineItem,
    subject: &mut Subject<'_>,
    state: &mut State<'_>,
) -> Result<(), String> {
    match &item.transformation {
        Transformation::Field(change) => {
            if let Some(detection) = &mut subject.detection {
                change_blocks(detection, item, state, |one| {
                    fields::rename(one, change, item, state)
                })?;
            }
            let mut renaming = Renaming {
                change,
                item,
                state,
            };
            if let Some(correlation) = &mut subject.correlation {
                renaming.correlation(correlation)?;
            }
            if let Some(analytic) = &mut subject.analytic {
                renaming.analytic(analytic)?;
            }
        }
        Transformation::Value(change) => {
            let vars = state.vars;
            if let Some(detection) = &mut subject.detection {
                change_blocks(detection, item, state, |one| {
                    values::change(one, change, vars)
                })?;
            }
        }
        Transformation::Drop => {
            if let Some(detection) = &mut subject.detection {
                change_blocks(detection, item, state, |_| Ok(Some(Block::dropped())))?;
            }
        }
        Transformation::ItemFailure { message } => {
            if let Some(detection) = &mut subject.detection {
                change_blocks(detection, item, state, |one| {
                    Err(format!("'{}': {message}", one.key()))
                })?;
            }
        }
        Transformation::RuleFailure { message } => return Err(message.clone()),
        Transformation::AddCondition(added) => {
            if let Some(detection) = &mut subject.detection {
                let added = template::added(added, &subject.logsource, &item.id)?;
                detection.added.push(added);
            }
        }
        Transformation::ChangeLogsource(logsource) => {
            if subject.detection.is_some() {
                subject.logsource = logsource.clone();
            }
        }
        Transformation::SetState { key, value } => {
            state.values.insert(key.clone(), value.clone());
        }
        Transformation::SetAttribute { attribute, value } => {
            state.attributes.insert(attribute.clone(), value.clone());
        }
        Transformation::StrictMapping => strict(subject)?,
        Transformation::OutputFields => {}
        Transformation::Nest(items) => apply_items(items, subject, state)?,
    }
    Ok(())
}

fn strict(subject: &Subject<'_>) -> Result<(), String> {
    let Some(detection) = &subject.detection else {
        return Ok(());
    };
    let unmapped: BTreeSet<&str> = detection
        .items()
        .into_iter()
        .filter(|item| !item.mapped)
        .filter_map(|item| item.field.as_deref())
        .collect();
    if unmapped.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = unmapped.into_iter().collect();
    Err(format!(
        "fields without a mapping: {}; add them to a field_name_mapping",
        names.join(", ")
    ))
}

/// Lets `change` replace the items that meet the conditions of the pipeline item.
fn change_blocks(
    detection: &mut Detection,
    item: &PipelineItem,
    state: &State<'_>,
    change: impl Fn(&crate::detection::DetectionItem) -> Result<Option<Block>, String>,
) -> Result<(), String> {
    for block in detection.blocks_mut() {
        change_block(block, item, state, &change)?;
    }
    Ok(())
}

fn change_block(
    block: &mut Block,
    item: &PipelineItem,
    state: &State<'_>,
    change: &impl Fn(&crate::detection::DetectionItem) -> Result<Option<Block>, String>,
) -> Result<(), String> {
    match block {
        Block::All(blocks) | Block::Any(blocks) => {
            for block in blocks.iter_mut() {
                change_block(block, item, state, change)?;
            }
            if blocks.iter().any(Block::is_dropped) {
                blocks.retain(|block| !block.is_dropped());
                if blocks.is_empty() {
                    *block = Block::dropped();
                }
            }
            Ok(())
        }
        Block::Item(one) => {
            if !item.meets(one, state) {
                return Ok(());
            }
            if let Some(mut changed) = change(one)? {
                mark(&mut changed, &item.id);
                *block = changed;
            }
            Ok(())
        }
    }
}

fn mark(block: &mut Block, id: &str) {
    match block {
        Block::Item(item) => {
            if !id.is_empty() {
                item.applied.insert(id.to_owned());
            }
        }
        Block::All(blocks) | Block::Any(blocks) => {
            blocks.iter_mut().for_each(|block| mark(block, id));
        }
    }
}

/// The renaming of fields in rules over several events.
struct Renaming<'r, 's> {
    change: &'r fields::FieldChange,
    item: &'r PipelineItem,
    state: &'r mut State<'s>,
}

impl Renaming<'_, '_> {
    fn names(&mut self, name: &str) -> Vec<String> {
        let conditions = &self.item.field_conditions;
        let meets = conditions.hold(|one| one.of_field(Some(name), self.state));
        let Some(names) = meets.then(|| self.change.names(name)).flatten() else {
            return vec![name.to_owned()];
        };
        for name in &names {
            let applied = self.state.fields.entry(name.clone()).or_default();
            applied.insert(self.item.id.clone());
        }
        names
    }

    fn single(&mut self, field: &mut String, what: &str) -> Result<(), String> {
        let mut names = self.names(field);
        if names.len() != 1 {
            return Err(format!(
                "maps {what} '{field}' to several fields; map it to one for rules over several events"
            ));
        }
        *field = names.remove(0);
        Ok(())
    }

    fn groups(&mut self, groups: &mut [GroupBy]) -> Result<(), String> {
        for group in groups {
            for field in group.by_rule.values_mut() {
                self.single(field, "alias field")?;
            }
            group.fields = group
                .fields
                .iter()
                .flat_map(|name| self.names(name))
                .collect();
        }
        Ok(())
    }

    fn correlation(&mut self, correlation: &mut Correlation) -> Result<(), String> {
        self.groups(&mut correlation.group_by)?;
        match &mut correlation.kind {
            CorrelationKind::ValueCount(fields) => fields
                .iter_mut()
                .try_for_each(|field| self.single(field, "counted field")),
            CorrelationKind::ValueSum(field)
            | CorrelationKind::ValueAvg(field)
            | CorrelationKind::ValueMedian(field)
            | CorrelationKind::ValuePercentile(field, _) => self.single(field, "measured field"),
            CorrelationKind::EventCount
            | CorrelationKind::Temporal
            | CorrelationKind::TemporalOrdered => Ok(()),
        }
    }

    fn analytic(&mut self, analytic: &mut Analytic) -> Result<(), String> {
        self.groups(&mut analytic.group_by)?;
        let mut fields = analytic.kind.fields_mut().into_iter();
        fields.try_for_each(|field| self.single(field, "field"))
    }
}

#[cfg(test)]
mod tests;
