//! What operators do, with the types that Kusto's rules give them.

use arrow::datatypes::DataType;
use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn as df;
use datafusion::logical_expr::{Expr as DfExpr, cast, lit, try_cast};
use watchfloor_query::pipe::Binary;

use super::expression::{is_number, is_span, is_text, is_time, long, shown, span_type, text};
use super::functions;
use crate::schema;

/// Both sides as what they are compared as.
pub(super) fn comparable(
    left: DfExpr,
    right: DfExpr,
    kinds: &(DataType, DataType),
) -> (DfExpr, DfExpr) {
    let (of_left, of_right) = kinds;
    let both = |kind: DataType| {
        (
            try_cast(left.clone(), kind.clone()),
            try_cast(right.clone(), kind),
        )
    };
    let is_null = *of_left == DataType::Null || *of_right == DataType::Null;
    if of_left == of_right || is_null || (is_number(of_left) && is_number(of_right)) {
        (left, right)
    } else if (is_time(of_left) || is_time(of_right)) && !is_span(of_left) && !is_span(of_right) {
        (time_of(left, of_left), time_of(right, of_right))
    } else if is_span(of_left) || is_span(of_right) {
        (span_of(left, of_left), span_of(right, of_right))
    } else if is_number(of_left) || is_number(of_right) {
        both(DataType::Float64)
    } else {
        (shown(left, of_left), shown(right, of_right))
    }
}

/// As a time; a text in any form that is known.
pub(super) fn time_of(expr: DfExpr, kind: &DataType) -> DfExpr {
    if is_text(kind) {
        return functions::call("todatetime", vec![expr]);
    }
    try_cast(expr, schema::time_type())
}

pub(super) fn span_of(expr: DfExpr, kind: &DataType) -> DfExpr {
    if is_text(kind) {
        return functions::call("totimespan", vec![expr]);
    }
    try_cast(expr, span_type())
}

pub(super) fn equal(left: DfExpr, right: DfExpr, kinds: &(DataType, DataType)) -> DfExpr {
    // An absent text is an empty one.
    if matches!(&right, DfExpr::Literal(ScalarValue::Utf8(Some(text)), _) if text.is_empty()) {
        return left.clone().is_null().or(text(left).eq(right));
    }
    let (left, right) = comparable(left, right, kinds);
    left.eq(right)
}

pub(super) fn sum(
    left: DfExpr,
    right: DfExpr,
    kinds: &(DataType, DataType),
    is_plus: bool,
) -> DfExpr {
    let join = |left: DfExpr, right: DfExpr| if is_plus { left + right } else { left - right };
    let (of_left, of_right) = kinds;
    let result = match (is_time(of_left), is_time(of_right)) {
        (true, true) => Some(span_type()),
        (true, false) | (false, true) => Some(schema::time_type()),
        (false, false) if is_span(of_left) || is_span(of_right) => Some(span_type()),
        (false, false) => None,
    };
    match result {
        Some(kind) => cast(join(long(left), long(right)), kind),
        None => {
            let (left, right) = (number(left, of_left), number(right, of_right));
            join(left, right)
        }
    }
}

/// As a number: a text that is none is absent.
pub(super) fn number(expr: DfExpr, kind: &DataType) -> DfExpr {
    if is_number(kind) {
        return expr;
    }
    try_cast(expr, DataType::Float64)
}

pub(super) fn product(
    left: DfExpr,
    right: DfExpr,
    (of_left, of_right): &(DataType, DataType),
    operator: Binary,
) -> DfExpr {
    if operator == Binary::Divide && is_span(of_left) && is_span(of_right) {
        let real = |expr| cast(long(expr), DataType::Float64);
        return real(left) / real(right);
    }
    let has_span = is_span(of_left) || is_span(of_right);
    let plain = |expr: DfExpr, kind: &DataType| {
        if is_span(kind) {
            long(expr)
        } else {
            number(expr, kind)
        }
    };
    let (left, right) = (plain(left, of_left), plain(right, of_right));
    // A division by nothing has no value.
    let right = match operator {
        Binary::Multiply => right,
        _ => df::nullif(right, lit(0_i64)),
    };
    let value = match operator {
        Binary::Multiply => left * right,
        Binary::Divide => left / right,
        _ => left % right,
    };
    if has_span {
        return cast(long(value), span_type());
    }
    value
}

/// A test of two texts; with a text that is known beforehand as the engine's own pattern.
pub(super) fn text_test(test: &str, left: DfExpr, right: DfExpr) -> DfExpr {
    let known = match &right {
        DfExpr::Literal(ScalarValue::Utf8(Some(text)), _) => Some(text.clone()),
        _ => None,
    };
    if let Some(known) = known {
        let escaped = known
            .replace('\\', "\\\\")
            .replace('%', "\\%")
            .replace('_', "\\_");
        let pattern = match test.trim_end_matches("_cs") {
            "contains" => Some(format!("%{escaped}%")),
            "startswith" => Some(format!("{escaped}%")),
            "endswith" => Some(format!("%{escaped}")),
            _ => None,
        };
        if let Some(pattern) = pattern {
            let left = text(left);
            return if test.ends_with("_cs") {
                left.like(lit(pattern))
            } else {
                left.ilike(lit(pattern))
            };
        }
    }
    functions::call(&test.replace(' ', "_"), vec![left, right])
}
