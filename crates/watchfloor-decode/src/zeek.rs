//! One line of a Zeek TSV log, read by the header of its file.
//!
//! # Source
//! Zeek manual, "Zeek TSV format logs".

use watchfloor_event::{AnomalyCode, ValueKind};

use crate::key_value::push_json_string;
use crate::sink::Sink;
use crate::time::parse_epoch;

/// What the `#` lines of a file say.
#[derive(Debug)]
pub(crate) struct Header {
    separator: String,
    set_separator: String,
    empty: String,
    unset: String,
    path: Option<String>,
    fields: Vec<(String, Shape)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Whole,
    Decimal,
    Truth,
    TextSet,
    NumberSet,
}

impl Header {
    /// Reads the header; what is missing has Zeek's defaults.
    pub(crate) fn parse(text: &str) -> Self {
        let mut header = Self {
            separator: "\t".to_owned(),
            set_separator: ",".to_owned(),
            empty: "(empty)".to_owned(),
            unset: "-".to_owned(),
            path: None,
            fields: Vec::new(),
        };
        let mut types: Vec<&str> = Vec::new();
        let mut names: Vec<&str> = Vec::new();
        for line in text.lines() {
            let line = line.trim_end_matches('\r');
            if let Some(value) = line.strip_prefix("#separator ") {
                header.separator = unescape(value.trim());
                continue;
            }
            let mut words = line.split(header.separator.as_str());
            match words.next() {
                Some("#set_separator") => {
                    header.set_separator = words.next().unwrap_or(",").to_owned()
                }
                Some("#empty_field") => header.empty = words.next().unwrap_or("(empty)").to_owned(),
                Some("#unset_field") => header.unset = words.next().unwrap_or("-").to_owned(),
                Some("#path") => header.path = words.next().map(str::to_owned),
                Some("#fields") => names = words.collect(),
                Some("#types") => types = words.collect(),
                _ => {}
            }
        }
        header.fields = names
            .iter()
            .enumerate()
            .map(|(index, name)| ((*name).to_owned(), shape(types.get(index).copied())))
            .collect();
        header
    }
}

fn shape(kind: Option<&str>) -> Shape {
    match kind {
        Some("count" | "int" | "port") => Shape::Whole,
        Some("double" | "interval" | "time") => Shape::Decimal,
        Some("bool") => Shape::Truth,
        Some(set) if set.starts_with("set[") || set.starts_with("vector[") => {
            if ["count", "int", "port", "double", "interval", "time"]
                .iter()
                .any(|number| set.contains(number))
            {
                Shape::NumberSet
            } else {
                Shape::TextSet
            }
        }
        _ => Shape::Text,
    }
}

/// Decodes one line; false if its header names no fields.
pub(crate) fn decode(sink: &mut Sink<'_>, header: &Header, line: &str) -> bool {
    if header.fields.is_empty() || line.starts_with('#') {
        return false;
    }
    let line = line.trim_end_matches(['\r', '\n']);
    if let Some(path) = &header.path {
        sink.text("_path", path);
    }
    let mut values = line.split(header.separator.as_str());
    let mut missing = 0;
    for (name, shape) in &header.fields {
        let Some(value) = values.next() else {
            missing += 1;
            continue;
        };
        if value == header.unset {
            continue;
        }
        put(sink, header, name, *shape, value);
        if name == "ts" {
            sink.own_time(parse_epoch(value), value);
        }
    }
    if missing > 0 || values.next().is_some() {
        sink.note(AnomalyCode::Malformed, || {
            "the line has not as many values as the header has names".to_owned()
        });
    }
    true
}

fn put(sink: &mut Sink<'_>, header: &Header, name: &str, shape: Shape, value: &str) {
    match shape {
        Shape::Whole => sink.put(name, ValueKind::Int, value),
        Shape::Decimal => sink.put(name, ValueKind::Float, value),
        Shape::Truth => {
            let word = if value == "T" { "true" } else { "false" };
            sink.put(name, ValueKind::Bool, word);
        }
        Shape::Text if value == header.empty => sink.text(name, ""),
        Shape::Text if value.contains("\\x") => sink.text(name, &unescape(value)),
        Shape::Text => sink.text(name, value),
        Shape::TextSet | Shape::NumberSet => {
            let mut list = String::from("[");
            if value != header.empty {
                for (index, element) in value.split(header.set_separator.as_str()).enumerate() {
                    if index > 0 {
                        list.push(',');
                    }
                    let is_number = shape == Shape::NumberSet && element.parse::<f64>().is_ok();
                    if is_number {
                        list.push_str(element);
                    } else {
                        push_json_string(&mut list, &unescape(element));
                    }
                }
            }
            list.push(']');
            sink.put(name, ValueKind::List, &list);
        }
    }
}

/// Resolves `\xNN`.
fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if let [b'\\', b'x', high, low, after @ ..] = rest
            && let (Some(high), Some(low)) = (
                char::from(*high).to_digit(16),
                char::from(*low).to_digit(16),
            )
        {
            bytes.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
            rest = after;
            continue;
        }
        bytes.push(*first);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
