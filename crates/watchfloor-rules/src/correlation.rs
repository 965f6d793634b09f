//! Correlation rules: conditions over several events.
//!
//! # Source
//! Sigma specification 2.1, "Sigma Correlation Rules".

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::matcher::CompareOp;
use crate::rule::{RuleMeta, text, texts};

/// Longest window.
const MAX_TIMESPAN: Duration = Duration::from_secs(366 * 24 * 3600);

/// What is measured over the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CorrelationKind {
    /// Number of events.
    EventCount,
    /// Number of distinct values of a field.
    ValueCount(String),
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
    /// Field by rule reference (id or name); a rule that is absent uses `name`.
    pub by_rule: BTreeMap<String, String>,
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

/// Reads a correlation document.
pub(crate) fn parse(meta: RuleMeta, map: &Map<String, Value>) -> Result<Correlation, String> {
    let body = map
        .get("correlation")
        .and_then(Value::as_object)
        .ok_or("correlation must be a map")?;
    let rules = texts(body, "rules");
    if rules.is_empty() {
        return Err("correlation names no rules".to_owned());
    }
    let condition = body.get("condition");
    let kind = kind(&text(body, "type"), condition)?;
    let temporal = matches!(
        kind,
        CorrelationKind::Temporal | CorrelationKind::TemporalOrdered
    );
    let bounds = bounds(condition)?;
    if bounds.is_empty() && !temporal {
        return Err("correlation has no condition such as 'gte: 10'".to_owned());
    }
    Ok(Correlation {
        meta,
        kind,
        rules,
        group_by: group_by(body)?,
        timespan: timespan(&text(body, "timespan"))?,
        bounds,
        generate: truth(body, "generate") || truth(map, "generate"),
    })
}

fn truth(map: &Map<String, Value>, key: &str) -> bool {
    map.get(key).and_then(Value::as_bool).unwrap_or(false)
}

fn kind(word: &str, condition: Option<&Value>) -> Result<CorrelationKind, String> {
    let condition_map = condition.and_then(Value::as_object);
    let field = || {
        let field = condition_map
            .map(|map| text(map, "field"))
            .unwrap_or_default();
        if field.is_empty() {
            Err(format!(
                "correlation type '{word}' needs 'field' in its condition"
            ))
        } else {
            Ok(field)
        }
    };
    Ok(match word {
        "event_count" => CorrelationKind::EventCount,
        "value_count" => CorrelationKind::ValueCount(field()?),
        "value_sum" => CorrelationKind::ValueSum(field()?),
        "value_avg" => CorrelationKind::ValueAvg(field()?),
        "value_median" => CorrelationKind::ValueMedian(field()?),
        "value_percentile" => {
            let percentile = condition_map.and_then(|map| map.get("percentile"));
            let percentile = percentile
                .and_then(Value::as_u64)
                .filter(|number| *number <= 100);
            let percentile =
                percentile.ok_or("value_percentile needs 'percentile' from 0 to 100")?;
            CorrelationKind::ValuePercentile(field()?, percentile as u8)
        }
        "temporal" => CorrelationKind::Temporal,
        "temporal_ordered" => CorrelationKind::TemporalOrdered,
        other => return Err(format!("unknown correlation type '{other}'")),
    })
}

fn bounds(condition: Option<&Value>) -> Result<Vec<Bound>, String> {
    let Some(map) = condition.and_then(Value::as_object) else {
        return Ok(Vec::new());
    };
    let mut bounds = Vec::new();
    for (key, value) in map {
        let op: fn(f64) -> Bound = match key.as_str() {
            "gt" => |number| Bound::Compare(CompareOp::Greater, number),
            "gte" => |number| Bound::Compare(CompareOp::GreaterOrEqual, number),
            "lt" => |number| Bound::Compare(CompareOp::Less, number),
            "lte" => |number| Bound::Compare(CompareOp::LessOrEqual, number),
            "eq" => Bound::Equal,
            "neq" => Bound::NotEqual,
            "field" | "percentile" => continue,
            other => return Err(format!("unknown correlation condition '{other}'")),
        };
        let number = value
            .as_f64()
            .ok_or_else(|| format!("'{key}' needs a number"))?;
        bounds.push(op(number));
    }
    Ok(bounds)
}

fn group_by(body: &Map<String, Value>) -> Result<Vec<GroupBy>, String> {
    let aliases = body.get("aliases").and_then(Value::as_object);
    texts(body, "group-by")
        .into_iter()
        .map(|name| {
            let alias = aliases.and_then(|aliases| aliases.get(&name));
            let by_rule = match alias {
                None => BTreeMap::new(),
                Some(Value::Object(map)) => map
                    .keys()
                    .map(|rule| (rule.clone(), text(map, rule)))
                    .collect(),
                Some(_) => return Err(format!("alias '{name}' must map rules to fields")),
            };
            Ok(GroupBy { name, by_rule })
        })
        .collect()
}

/// Reads `15s`, `10m`, `1h`, `7d`.
pub(crate) fn timespan(text: &str) -> Result<Duration, String> {
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
        return Err(format!("timespan '{text}' is not between 1 s and a year"));
    }
    Ok(span)
}
