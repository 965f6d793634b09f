//! Correlation rules: conditions over several events.
//!
//! # Source
//! Sigma specification 2.1, "Sigma Correlation Rules".

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::matcher::CompareOp;
use crate::near;
use crate::rule::{self, RuleMeta, required_text, texts};

/// Percentile that is taken where `value_percentile` names none, as in the specification's own
/// example ("median is a percentile 50").
const DEFAULT_PERCENTILE: u8 = 50;
/// Every correlation type.
const TYPES: [&str; 8] = [
    "event_count",
    "value_count",
    "value_sum",
    "value_avg",
    "value_median",
    "value_percentile",
    "temporal",
    "temporal_ordered",
];
/// Every key of a correlation.
const KEYS: [&str; 7] = [
    "type",
    "rules",
    "group-by",
    "timespan",
    "condition",
    "aliases",
    "generate",
];
/// Longest window.
const MAX_TIMESPAN: Duration = Duration::from_secs(366 * 24 * 3600);

/// What is measured over the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorrelationKind {
    /// Number of events.
    EventCount,
    /// Number of distinct values of a field, or of the tuples of several fields.
    ValueCount(Vec<String>),
    /// Sum of a field.
    ValueSum(String),
    /// Mean of a field.
    ValueAvg(String),
    /// Median of a field.
    ValueMedian(String),
    /// A percentile of a field, 0 to 100.
    ValuePercentile(String, u8),
    /// All rules fired, in any order.
    Temporal,
    /// All rules fired, in the order of the list.
    TemporalOrdered,
}

/// A bound on the measure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Compared so.
    Compare(CompareOp, f64),
    /// Equal.
    Equal(f64),
    /// Different.
    NotEqual(f64),
}

impl Bound {
    /// Whether the measure keeps the bound.
    pub fn holds(self, measure: f64) -> bool {
        match self {
            Self::Compare(op, number) => op.holds(measure, number),
            Self::Equal(number) => measure == number,
            Self::NotEqual(number) => measure != number,
        }
    }
}

/// One field of the group key: per rule its own name where an alias says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupBy {
    /// The name in `group-by`.
    pub name: String,
    /// Field by rule reference (id or name); a rule that is absent uses `fields`.
    pub by_rule: BTreeMap<String, String>,
    /// The fields that may hold the value, the first that is there counts: `name`, or what a
    /// processing pipeline maps it to.
    pub fields: Vec<String>,
}

impl GroupBy {
    /// A group by a field of the same name in the events of each rule.
    pub fn plain(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            by_rule: BTreeMap::new(),
            fields: vec![name.to_owned()],
        }
    }

    /// The fields that may hold the value in the events of a rule, given its id and name; the
    /// first that is there counts.
    pub fn fields_of(&self, id: &str, name: &str) -> &[String] {
        let by_name = || (!name.is_empty()).then(|| self.by_rule.get(name)).flatten();
        match self.by_rule.get(id).or_else(by_name) {
            Some(field) => std::slice::from_ref(field),
            None => &self.fields,
        }
    }
}

/// A correlation rule.
#[derive(Clone, Debug)]
pub struct Correlation {
    /// What it says about itself.
    pub meta: RuleMeta,
    /// What is measured.
    pub kind: CorrelationKind,
    /// Ids or names of the rules it rests on, in order.
    pub rules: Vec<String>,
    /// The group key.
    pub group_by: Vec<GroupBy>,
    /// Length of the window.
    pub timespan: Duration,
    /// All must hold.
    pub bounds: Vec<Bound>,
    /// Whether the rules it rests on make findings of their own.
    pub generate: bool,
}

/// Reads a correlation document. What its author should know is added to `remarks`.
pub(crate) fn parse(
    meta: RuleMeta,
    map: &Map<String, Value>,
    remarks: &mut Vec<String>,
) -> Result<Correlation, String> {
    let body = map.get("correlation").and_then(Value::as_object);
    let body = body.ok_or("'correlation' must be a map with type, rules, group-by and timespan")?;
    known_keys(body, &KEYS, "correlation")?;
    let rules = rule_names(body, "correlation")?;
    let condition = condition(body.get("condition"))?;
    let kind = kind(&required_text(body, "type")?, &condition, remarks)?;
    let bounds = bounds(&condition)?;
    let temporal = matches!(
        kind,
        CorrelationKind::Temporal | CorrelationKind::TemporalOrdered
    );
    if bounds.is_empty() && !temporal {
        return Err("correlation has no condition; add one such as 'gte: 10'".to_owned());
    }
    let group_by = group_by(body)?;
    Ok(Correlation {
        meta,
        kind,
        group_by,
        rules,
        timespan: timespan(&required_text(body, "timespan")?)?,
        bounds,
        generate: truth(body, "generate")? || truth(map, "generate")?,
    })
}

/// The names in `rules`; at least one, none twice.
pub(crate) fn rule_names(body: &Map<String, Value>, what: &str) -> Result<Vec<String>, String> {
    let rules = texts(body, "rules")?;
    if rules.is_empty() {
        return Err(format!(
            "{what} names no rules; list ids or names under 'rules'"
        ));
    }
    for (index, rule) in rules.iter().enumerate() {
        if rules[..index].contains(rule) {
            return Err(format!("{what} names rule '{rule}' twice; name it once"));
        }
    }
    Ok(rules)
}

/// Refuses keys that are not known, since a mistyped one would change the meaning.
pub(crate) fn known_keys(
    body: &Map<String, Value>,
    known: &[&str],
    what: &str,
) -> Result<(), String> {
    match body.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(format!(
            "{what} has the unknown key '{key}'{}; known are {}",
            near::hint(key, known.iter().copied()),
            known.join(", ")
        )),
    }
}

pub(crate) fn truth(map: &Map<String, Value>, key: &str) -> Result<bool, String> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(false),
        Some(Value::Bool(truth)) => Ok(*truth),
        Some(other) => Err(format!(
            "'{key}' must be true or false, not {}",
            rule::kind(other)
        )),
    }
}

fn condition(value: Option<&Value>) -> Result<Map<String, Value>, String> {
    match value {
        None | Some(Value::Null) => Ok(Map::new()),
        Some(Value::Object(map)) => Ok(map.clone()),
        Some(Value::String(_)) => Err(
            "correlation 'condition' is an expression, which version 2.1 of the specification does not have; write a map such as 'gte: 2', or chain correlations"
                .to_owned(),
        ),
        Some(other) => Err(format!(
            "correlation 'condition' must be a map such as 'gte: 10', not {}",
            rule::kind(other)
        )),
    }
}

fn kind(
    word: &str,
    condition: &Map<String, Value>,
    remarks: &mut Vec<String>,
) -> Result<CorrelationKind, String> {
    let fields = || {
        let fields = texts(condition, "field")?;
        if fields.is_empty() {
            return Err(format!(
                "correlation type '{word}' needs 'field' in its condition"
            ));
        }
        Ok(fields)
    };
    let field = || {
        let mut fields = fields()?;
        if fields.len() > 1 {
            return Err(format!(
                "correlation type '{word}' measures one 'field'; only value_count takes several"
            ));
        }
        Ok(fields.remove(0))
    };
    let counts = matches!(word, "event_count" | "temporal" | "temporal_ordered");
    if counts && condition.contains_key("field") {
        return Err(format!(
            "correlation type '{word}' measures no 'field'; remove it, or use value_count"
        ));
    }
    if word != "value_percentile" && condition.contains_key("percentile") {
        return Err(format!(
            "correlation type '{word}' has no 'percentile'; use value_percentile"
        ));
    }
    Ok(match word {
        "event_count" => CorrelationKind::EventCount,
        "value_count" => CorrelationKind::ValueCount(fields()?),
        "value_sum" => CorrelationKind::ValueSum(field()?),
        "value_avg" => CorrelationKind::ValueAvg(field()?),
        "value_median" => CorrelationKind::ValueMedian(field()?),
        "value_percentile" => {
            CorrelationKind::ValuePercentile(field()?, percentile(condition, remarks)?)
        }
        "temporal" => CorrelationKind::Temporal,
        "temporal_ordered" => CorrelationKind::TemporalOrdered,
        "" => {
            return Err(format!(
                "correlation has no 'type'; give it one of {}",
                TYPES.join(", ")
            ));
        }
        other => {
            return Err(format!(
                "unknown correlation type '{other}'{}; known are {}",
                near::hint(other, TYPES),
                TYPES.join(", ")
            ));
        }
    })
}

fn percentile(condition: &Map<String, Value>, remarks: &mut Vec<String>) -> Result<u8, String> {
    let Some(value) = condition.get("percentile") else {
        remarks.push(format!(
            "value_percentile names no 'percentile'; {DEFAULT_PERCENTILE}, the median, is taken"
        ));
        return Ok(DEFAULT_PERCENTILE);
    };
    let number = value.as_u64().filter(|number| *number <= 100);
    let number = number.ok_or("'percentile' must be a whole number from 0 to 100")?;
    Ok(number as u8)
}

fn bounds(condition: &Map<String, Value>) -> Result<Vec<Bound>, String> {
    let mut bounds = Vec::new();
    for (key, value) in condition {
        let op: fn(f64) -> Bound = match key.as_str() {
            "gt" => |number| Bound::Compare(CompareOp::Greater, number),
            "gte" => |number| Bound::Compare(CompareOp::GreaterOrEqual, number),
            "lt" => |number| Bound::Compare(CompareOp::Less, number),
            "lte" => |number| Bound::Compare(CompareOp::LessOrEqual, number),
            "eq" => Bound::Equal,
            "neq" => Bound::NotEqual,
            "field" | "percentile" => continue,
            other => {
                return Err(format!(
                    "unknown correlation condition '{other}'; use gt, gte, lt, lte, eq or neq"
                ));
            }
        };
        let number = value.as_f64().ok_or_else(|| {
            format!(
                "'{key}' in the condition must be a number, not {}",
                rule::kind(value)
            )
        })?;
        bounds.push(op(number));
    }
    Ok(bounds)
}

/// Reads `group-by` and `aliases`.
pub(crate) fn group_by(body: &Map<String, Value>) -> Result<Vec<GroupBy>, String> {
    let none = Map::new();
    let aliases = match body.get("aliases") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(map)) => map,
        Some(other) => {
            return Err(format!(
                "'aliases' must map names to rules and their fields, not be {}",
                rule::kind(other)
            ));
        }
    };
    let mut groups: Vec<GroupBy> = texts(body, "group-by")?
        .iter()
        .map(|name| GroupBy::plain(name))
        .collect();
    for (alias, map) in aliases {
        let map = map
            .as_object()
            .ok_or_else(|| format!("alias '{alias}' must map rules to fields"))?;
        let by_rule: BTreeMap<String, String> = map
            .keys()
            .map(|rule| Ok((rule.clone(), required_text(map, rule)?)))
            .collect::<Result<_, String>>()?;
        for group in groups.iter_mut().filter(|group| group.name == *alias) {
            group.by_rule.clone_from(&by_rule);
        }
    }
    Ok(groups)
}

/// Reads `15s`, `10m`, `1h`, `7d`.
pub(crate) fn timespan(text: &str) -> Result<Duration, String> {
    if text.is_empty() {
        return Err("has no 'timespan'; give it one such as 15s, 10m, 1h or 7d".to_owned());
    }
    let error = || format!("timespan '{text}' is not of the form 15s, 10m, 1h or 7d");
    let unit = text.chars().last().ok_or_else(error)?;
    let number: u64 = text[..text.len() - unit.len_utf8()]
        .parse()
        .map_err(|_| error())?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'M' => 30 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(error()),
    };
    let span = Duration::from_secs(number.saturating_mul(seconds));
    if span.is_zero() || span > MAX_TIMESPAN {
        return Err(format!(
            "timespan '{text}' is not between 1 s and a year; choose another"
        ));
    }
    Ok(span)
}
