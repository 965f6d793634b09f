//! Aggregations of the first Sigma specification, `selection | count(field) by group > n`,
//! turned into a rule and a correlation over it.
//!
//! # Source
//! Sigma specification 1.x, "Aggregation Expression".

use serde_json::{Map, Value};

use crate::correlation::{Bound, Correlation, CorrelationKind, GroupBy, timespan};
use crate::matcher::CompareOp;
use crate::rule::{RuleMeta, required_text};

/// The two halves of such a rule.
pub(crate) struct Aggregation {
    condition: String,
    kind: CorrelationKind,
    group_by: Vec<GroupBy>,
    bound: Bound,
    timespan: std::time::Duration,
}

/// The rule that is counted.
pub(crate) struct Base {
    pub meta: RuleMeta,
    pub condition: String,
}

/// Reads the aggregation of a detection, if it has one.
pub(crate) fn split(detection: &Map<String, Value>) -> Result<Option<Aggregation>, String> {
    let whole = detection.get("condition").and_then(Value::as_str);
    let Some((condition, aggregation)) = whole.and_then(|whole| whole.split_once('|')) else {
        return Ok(None);
    };
    if aggregation.trim_start().starts_with("near") {
        return Err(
            "'near' is no longer in the specification; write a correlation of type temporal"
                .to_owned(),
        );
    }
    let words: Vec<&str> = aggregation.split_whitespace().collect();
    let error = || {
        format!(
            "aggregation '{}' is not of the form count(field) by group > number; write it so, or as a correlation",
            aggregation.trim()
        )
    };
    let call = words.first().ok_or_else(error)?;
    let field = call
        .strip_prefix("count(")
        .and_then(|rest| rest.strip_suffix(')'))
        .ok_or_else(error)?;
    let (by, comparison) = match words.get(1) {
        Some(&"by") => (
            words.get(2..words.len().saturating_sub(2)),
            words.get(words.len().saturating_sub(2)..),
        ),
        _ => (None, words.get(1..)),
    };
    let [op, number] = comparison.unwrap_or_default() else {
        return Err(error());
    };
    let number: f64 = number.parse().map_err(|_| error())?;
    let bound = match *op {
        ">" => Bound::Compare(CompareOp::Greater, number),
        ">=" => Bound::Compare(CompareOp::GreaterOrEqual, number),
        "<" => Bound::Compare(CompareOp::Less, number),
        "<=" => Bound::Compare(CompareOp::LessOrEqual, number),
        "=" | "==" => Bound::Equal(number),
        _ => return Err(error()),
    };
    let frame = required_text(detection, "timeframe")?;
    let names = by
        .unwrap_or_default()
        .iter()
        .flat_map(|word| word.split(','));
    Ok(Some(Aggregation {
        condition: condition.trim().to_owned(),
        kind: if field.is_empty() {
            CorrelationKind::EventCount
        } else {
            CorrelationKind::ValueCount(vec![field.to_owned()])
        },
        group_by: names
            .filter(|name| !name.is_empty())
            .map(GroupBy::plain)
            .collect(),
        bound,
        timespan: timespan(if frame.is_empty() { "1h" } else { &frame })?,
    }))
}

impl Aggregation {
    /// The rule for single events, under an id of its own, and the correlation that keeps the
    /// rule's id.
    pub(crate) fn into_rules(self, meta: RuleMeta) -> (Base, Correlation) {
        let base_id = format!("{}/base", meta.id);
        let base = Base {
            meta: RuleMeta {
                id: base_id.clone(),
                ..meta.clone()
            },
            condition: self.condition,
        };
        let counted = Correlation {
            meta,
            kind: self.kind,
            rules: vec![base_id],
            group_by: self.group_by,
            timespan: self.timespan,
            bounds: vec![self.bound],
            generate: false,
        };
        (base, counted)
    }
}
