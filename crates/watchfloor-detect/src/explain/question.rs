//! One question to one event: where the field stands, what it holds, and what that lacks.

use watchfloor_event::{Column, EventBatch, Namespace, ValueKind, ValueRef};
use watchfloor_rules::{FieldCompare, Leaf, Matcher, Part, Pattern, TimePart};

use super::{Answered, Read};
use crate::evaluate;
use crate::resolve::{self, Resolution};
use crate::scanner;

/// What an event has for a field.
pub(super) fn read(field: Option<&str>, batch: &EventBatch, row: usize) -> Read {
    let Some(field) = field else {
        return Read {
            field: None,
            place: None,
            value: None,
            kind: ValueKind::Null,
            places: Vec::new(),
        };
    };
    let found = column(field, batch, row);
    let value = found.and_then(|column| column.get(row));
    Read {
        field: Some(field.to_owned()),
        place: found.map(|column| resolve::stored_name(batch, column, row)),
        value: value.map(|value| value.text.to_owned()),
        kind: value.map_or(ValueKind::Null, |value| value.kind),
        places: watchfloor_event::ocsf::full_names(field),
    }
}

/// The column in which a row has the field's value: the first that has one, as the engine takes
/// it.
fn column<'a>(field: &str, batch: &'a EventBatch, row: usize) -> Option<&'a Column> {
    let columns = Resolution::of(field).columns(batch);
    columns.into_iter().find(|column| column.code(row) != 0)
}

/// Asks a question of an event.
pub(super) fn ask(leaf: &Leaf, batch: &EventBatch, row: usize) -> (bool, Answered) {
    let (holds, why) = match &leaf.field {
        None => keyword(&leaf.matcher, batch, row),
        Some(field) => {
            let value = column(field, batch, row).and_then(|column| column.get(row));
            of_field(&leaf.matcher, value, batch, row)
        }
    };
    let answered = Answered {
        written: leaf.written.clone(),
        compared: compared(&leaf.matcher),
        why,
    };
    (holds, answered)
}

fn keyword(matcher: &Matcher, batch: &EventBatch, row: usize) -> (bool, String) {
    let columns = batch.columns(Namespace::Source).iter();
    let mut values = columns.filter_map(|column| Some((column, column.get(row)?)));
    match values.find(|(_, value)| evaluate::ask(matcher, *value, &mut String::new())) {
        Some((column, _)) => {
            let name = resolve::stored_name(batch, column, row);
            (true, format!("found in {name}"))
        }
        None => (false, "stands in no value of the event".to_owned()),
    }
}

fn of_field(
    matcher: &Matcher,
    value: Option<ValueRef<'_>>,
    batch: &EventBatch,
    row: usize,
) -> (bool, String) {
    let Some(value) = value else {
        let holds = matches!(matcher, Matcher::Null | Matcher::Exists(false));
        return (holds, "field is absent in the event".to_owned());
    };
    if let Matcher::Field {
        other,
        compare,
        cased,
    } = matcher
    {
        let found = column(other, batch, row).and_then(|column| column.get(row));
        let Some(found) = found else {
            return (false, format!("the other field, {other}, is absent"));
        };
        let found = ValueRef::str(found.text);
        let holds = evaluate::compare_fields(value, found, *compare, *cased);
        return (holds, format!("{other} is '{}'", found.text));
    }
    let holds = evaluate::ask(matcher, value, &mut String::new());
    let why = if holds {
        why_yes(matcher, value)
    } else {
        why_no(matcher, value)
    };
    (holds, why)
}

fn why_yes(matcher: &Matcher, value: ValueRef<'_>) -> String {
    let text = match value.kind {
        ValueKind::List => {
            let elements = value.elements();
            let one = elements.iter().find(|(kind, text)| {
                let element = ValueRef { kind: *kind, text };
                evaluate::ask(matcher, element, &mut String::new())
            });
            let text = one.map_or("", |(_, text)| text.as_str());
            return format!("the element '{text}' of the list meets it");
        }
        _ => value.text,
    };
    match matcher {
        Matcher::Regex(regex) => match regex.find(text) {
            Some(found) => format!("finds '{}'", found.as_str()),
            None => "finds it".to_owned(),
        },
        Matcher::Null => "the value is null".to_owned(),
        Matcher::Exists(_) => "the field is there".to_owned(),
        Matcher::Compare(op, number) => format!("{text} {} {number}", op.as_str()),
        Matcher::Cidr(network) => format!("{text} lies in {network}"),
        _ => "the value meets it".to_owned(),
    }
}

fn why_no(matcher: &Matcher, value: ValueRef<'_>) -> String {
    if value.kind == ValueKind::Null && !matches!(matcher, Matcher::Exists(_)) {
        return "the value is null".to_owned();
    }
    if value.kind == ValueKind::List {
        return "no element of the list meets it".to_owned();
    }
    match matcher {
        Matcher::Text { pattern, cased } => differs(pattern, *cased, value.text),
        Matcher::Regex(_) => "the expression finds nothing in the value".to_owned(),
        Matcher::Cidr(network) => match value.text.parse::<std::net::IpAddr>() {
            Ok(_) => format!("the address lies outside {network}"),
            Err(_) => "the value is no IP address".to_owned(),
        },
        Matcher::Compare(op, number) => match value.text.trim().parse::<f64>() {
            Ok(left) => format!("{left} {} {number} does not hold", op.as_str()),
            Err(_) => "the value is no number".to_owned(),
        },
        Matcher::Null => "the field has a value".to_owned(),
        Matcher::Exists(true) => "the list is empty".to_owned(),
        Matcher::Exists(false) => "the field is there".to_owned(),
        Matcher::Time(part, number) => match evaluate::time_part(value.text, *part) {
            Some(found) => format!("the {} is {found}, not {number}", part_name(*part)),
            None => "the value is no time stamp".to_owned(),
        },
        Matcher::Never => "the placeholder has no values".to_owned(),
        Matcher::Field { .. } => "the value differs".to_owned(),
    }
}

/// In what a text differs: letter case alone is what people look for longest.
fn differs(pattern: &Pattern, cased: bool, value: &str) -> String {
    if !cased {
        return "the value differs".to_owned();
    }
    let folded = pattern.map_literals(str::to_lowercase);
    let mut lower = String::new();
    scanner::lower_into(value, &mut lower);
    if folded.is_match(&lower) {
        "the value differs in letter case alone, which counts here".to_owned()
    } else {
        "the value differs".to_owned()
    }
}

/// What a matcher compares, in words.
fn compared(matcher: &Matcher) -> String {
    match matcher {
        Matcher::Text { pattern, cased } => {
            let case = if *cased {
                "letter case counts"
            } else {
                "in lower case"
            };
            format!("{}, {case}", pattern_words(pattern))
        }
        Matcher::Regex(regex) => format!("finds /{}/", regex.as_str()),
        Matcher::Cidr(network) => format!("is an address in {network}"),
        Matcher::Compare(op, number) => format!("is a number {} {number}", op.as_str()),
        Matcher::Null => "is absent or null".to_owned(),
        Matcher::Exists(true) => "is there".to_owned(),
        Matcher::Exists(false) => "is absent".to_owned(),
        Matcher::Field {
            other,
            compare,
            cased,
        } => {
            let how = match compare {
                FieldCompare::Equal => "equals",
                FieldCompare::Contains => "contains",
                FieldCompare::StartsWith => "starts with",
                FieldCompare::EndsWith => "ends with",
            };
            let case = if *cased { ", letter case counts" } else { "" };
            format!("{how} the field {other}{case}")
        }
        Matcher::Time(part, number) => format!("has {} {number} (UTC)", part_name(*part)),
        Matcher::Never => "never: a placeholder without values".to_owned(),
    }
}

fn part_name(part: TimePart) -> &'static str {
    match part {
        TimePart::Minute => "minute",
        TimePart::Hour => "hour",
        TimePart::Day => "day",
        TimePart::Week => "week",
        TimePart::Month => "month",
        TimePart::Year => "year",
    }
}

fn pattern_words(pattern: &Pattern) -> String {
    match pattern.parts() {
        [] => "is empty".to_owned(),
        [Part::Literal(text)] => format!("is '{text}'"),
        [Part::Any] => "is anything".to_owned(),
        [Part::Any, Part::Literal(text), Part::Any] => format!("contains '{text}'"),
        [Part::Literal(text), Part::Any] => format!("starts with '{text}'"),
        [Part::Any, Part::Literal(text)] => format!("ends with '{text}'"),
        parts => {
            let piece = |part: &Part| match part {
                Part::Literal(text) => text.clone(),
                Part::Any => "*".to_owned(),
                Part::One => "?".to_owned(),
            };
            let text: String = parts.iter().map(piece).collect();
            format!("has the form '{text}'")
        }
    }
}
