//! Comparing values of conditions.

use std::cmp::Ordering;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use regex::{Regex, RegexBuilder};

use super::Operator;

/// Largest compiled expression in bytes.
const EXPRESSION_BYTES_MAX: usize = 256 * 1024;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    Text(String),
    Number(f64),
}

impl Literal {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Text(text) => text
                .trim()
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite()),
            Self::Number(number) => Some(*number),
        }
    }

    /// `true`, or a number other than zero.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Text(text) if text.trim().eq_ignore_ascii_case("true") => true,
            other => other.number().is_some_and(|number| number != 0.0),
        }
    }
}

pub(super) fn compare(left: &Literal, operator: Operator, right: &Literal) -> bool {
    let order = || order(left, right);
    match operator {
        Operator::Equal | Operator::In => order() == Ordering::Equal,
        Operator::Unequal => order() != Ordering::Equal,
        Operator::Less => order() == Ordering::Less,
        Operator::LessOrEqual => order() != Ordering::Greater,
        Operator::Greater => order() == Ordering::Greater,
        Operator::GreaterOrEqual => order() != Ordering::Less,
        Operator::Like => like(&right.text()).is_ok_and(|like| like.is_match(&left.text())),
        Operator::Matches => expression(&right.text()).is_ok_and(|one| one.is_match(&left.text())),
        Operator::Subset => contains(right, left),
        Operator::Superset => contains(left, right),
    }
}

/// As numbers or times where both are; as text otherwise.
fn order(left: &Literal, right: &Literal) -> Ordering {
    if let (Some(left), Some(right)) = (left.number(), right.number()) {
        return left.partial_cmp(&right).unwrap_or(Ordering::Equal);
    }
    let (left, right) = (left.text(), right.text());
    if let (Ok(left), Ok(right)) = (left.parse::<Timestamp>(), right.parse::<Timestamp>()) {
        return left.cmp(&right);
    }
    left.cmp(&right)
}

fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    text.parse::<IpNet>()
        .ok()
        .or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

fn contains(whole: &Literal, part: &Literal) -> bool {
    match (network(&whole.text()), network(&part.text())) {
        (Some(whole), Some(part)) => whole.contains(&part),
        _ => false,
    }
}

/// `%` for any text, `_` for any character.
fn like(pattern: &str) -> Result<Regex, String> {
    let mut text = String::from("(?s)^");
    for character in pattern.chars() {
        match character {
            '%' => text.push_str(".*"),
            '_' => text.push('.'),
            other => text.push_str(&regex::escape(&other.to_string())),
        }
    }
    text.push('$');
    expression(&text)
}

pub(super) fn expression(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(EXPRESSION_BYTES_MAX)
        .build()
        .map_err(|error| format!("the expression cannot be used: {error}"))
}
