//! From the hunt language to DataFusion expressions over the table's columns.

use datafusion::common::ScalarValue;
use datafusion::functions::expr_fn::lower;
use datafusion::functions_nested::expr_fn::{array_element, map_extract};
use datafusion::logical_expr::{Expr, cast, col, lit, not};
use ipnet::IpNet;
use watchfloor_event::EventId;
use watchfloor_event::ocsf::{self, Attribute, AttributeType};
use watchfloor_query::{CoreField, FieldTarget, Query, Test, TextPattern, field_targets};

use crate::needles;
use crate::schema;

/// The expression that holds for the rows that a query asks for. An absent value never
/// matches, and its negation does.
pub(crate) fn query(query: &Query) -> Expr {
    match query {
        Query::All => lit(true),
        Query::And(items) => join(items, Expr::and, true),
        Query::Or(items) => join(items, Expr::or, false),
        Query::Not(item) => not(self::query(item)),
        Query::Contains(TextPattern::Exact(words)) => {
            holds(needles::has_word().call(vec![col(schema::RAW), lit(words.as_str())]))
        }
        Query::Contains(pattern) => holds(contains(col(schema::RAW), pattern)),
        Query::Field { name, test } => {
            let targets = field_targets(name);
            let tests = targets.iter().map(|target| holds(field(target, test)));
            tests.reduce(Expr::or).unwrap_or_else(|| lit(false))
        }
    }
}

/// The expression that holds for the rows of some sources.
pub(crate) fn source(pattern: &TextPattern) -> Expr {
    holds(text_field(col("source"), &Test::Text(pattern.clone())))
}

fn join(items: &[Query], with: fn(Expr, Expr) -> Expr, empty: bool) -> Expr {
    items
        .iter()
        .map(query)
        .reduce(with)
        .unwrap_or_else(|| lit(empty))
}

/// Makes the unknown of SQL a plain no.
fn holds(expr: Expr) -> Expr {
    Expr::IsTrue(Box::new(expr))
}

fn field(target: &FieldTarget, test: &Test) -> Expr {
    match target {
        FieldTarget::Core(core) => core_field(*core, test),
        FieldTarget::Attribute(attribute) => attribute_field(attribute, test),
        FieldTarget::Unmapped(name) => text_field(unmapped(name), test),
    }
}

/// A source field of the row.
pub(crate) fn unmapped(name: &str) -> Expr {
    array_element(map_extract(col(schema::UNMAPPED), lit(name)), lit(1_i64))
}

fn attribute_field(attribute: &Attribute, test: &Test) -> Expr {
    let column = col(schema::column_name(attribute.path));
    match attribute.kind {
        AttributeType::Text => text_field(column, test),
        AttributeType::Integer => integer_field(column, test),
    }
}

fn core_field(core: CoreField, test: &Test) -> Expr {
    match core {
        CoreField::Id => match test {
            Test::Text(TextPattern::Exact(text)) => match text.parse::<EventId>() {
                Ok(id) => event_id(id),
                Err(_) => lit(false),
            },
            _ => lit(matches!(test, Test::Exists)),
        },
        CoreField::Class => match test {
            Test::Text(TextPattern::Exact(text)) => class(text),
            other => integer_field(col(schema::CLASS), other),
        },
        CoreField::Source => text_field(col("source"), test),
        CoreField::Product => text_field(col("product"), test),
        CoreField::Kind => text_field(col("kind"), test),
        CoreField::Severity => integer_field(col("severity_id"), test),
        CoreField::Status => integer_field(col("status_id"), test),
        CoreField::Activity => integer_field(col("activity_id"), test),
        // Anomalies are a list of code and detail: a word is looked for within.
        CoreField::Anomalies => match test {
            Test::Text(pattern) => contains(col("anomalies"), pattern),
            other => text_field(col("anomalies"), other),
        },
        CoreField::Raw => text_field(col(schema::RAW), test),
    }
}

fn class(text: &str) -> Expr {
    let by_name = ocsf::class_uid(&text.to_lowercase().replace(' ', "_"));
    match by_name.or_else(|| text.parse().ok()) {
        Some(uid) => col(schema::CLASS).eq(lit(uid as i32)),
        None => lit(false),
    }
}

/// The row of an event.
pub(crate) fn event_id(id: EventId) -> Expr {
    let position = col(schema::POSITION).eq(lit(id.position() as i64));
    position.and(col(schema::PART).eq(lit(i64::from(id.part()))))
}

fn text_field(value: Expr, test: &Test) -> Expr {
    match test {
        Test::Exists => value.is_not_null(),
        Test::Text(TextPattern::Exact(text)) => lower(value).eq(lit(text.to_lowercase())),
        Test::Text(TextPattern::Wildcard(text)) => value.ilike(lit(like(text))),
        Test::Network(network) => network_test(value, network),
        Test::AtLeast { .. } | Test::AtMost { .. } => {
            let number =
                datafusion::logical_expr::try_cast(value, arrow::datatypes::DataType::Float64);
            compare(number, test)
        }
    }
}

fn integer_field(value: Expr, test: &Test) -> Expr {
    match test {
        Test::Exists => value.is_not_null(),
        Test::Text(TextPattern::Exact(text)) => match text.parse::<i64>() {
            Ok(number) => value.eq(lit(number)),
            Err(_) => lit(false),
        },
        Test::Text(TextPattern::Wildcard(text)) => {
            cast(value, arrow::datatypes::DataType::Utf8).ilike(lit(like(text)))
        }
        Test::Network(_) => lit(false),
        Test::AtLeast { .. } | Test::AtMost { .. } => compare(value, test),
    }
}

fn compare(value: Expr, test: &Test) -> Expr {
    match test {
        Test::AtLeast {
            bound,
            inclusive: true,
        } => value.gt_eq(lit(*bound)),
        Test::AtLeast {
            bound,
            inclusive: false,
        } => value.gt(lit(*bound)),
        Test::AtMost {
            bound,
            inclusive: true,
        } => value.lt_eq(lit(*bound)),
        Test::AtMost {
            bound,
            inclusive: false,
        } => value.lt(lit(*bound)),
        Test::Text(_) | Test::Exists | Test::Network(_) => lit(false),
    }
}

fn contains(value: Expr, pattern: &TextPattern) -> Expr {
    let inner = match pattern {
        TextPattern::Exact(text) => escape(text),
        TextPattern::Wildcard(text) => like(text),
    };
    value.ilike(lit(format!("%{inner}%")))
}

/// A wildcard pattern as SQL writes it.
fn like(text: &str) -> String {
    escape(text).replace('*', "%").replace('?', "_")
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('%', "\\%")
        .replace('_', "\\_")
}

fn network_test(value: Expr, network: &IpNet) -> Expr {
    crate::search::in_network().call(vec![
        value,
        lit(ScalarValue::Utf8(Some(network.to_string()))),
    ])
}
