//! Fields drawn out of text: named groups of regular expressions (also written as grok),
//! separated values, pairs, and whole forms (JSON, XML, CEF, LEEF, syslog) inside a field.

use std::sync::Arc;

use watchfloor_decode::Part;
use watchfloor_event::{Anomaly, AnomalyCode, EventBatch, Namespace, ValueRef};

use crate::lazy_regex::LazyRegex;

/// Most pairs that are drawn out of one text.
const PAIRS_MAX: usize = 128;
/// Longest text that is matched, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A regular expression over one field, whose named groups become fields.
#[derive(Debug)]
pub(crate) struct Matching {
    pub(crate) field: Arc<str>,
    regex: LazyRegex,
    groups: Vec<(usize, Arc<str>)>,
}

impl Matching {
    pub(crate) fn new(field: &str, regex: LazyRegex) -> Self {
        // `src_ip__2` is another place of `src_ip`: a group's name may stand only once.
        let groups = regex
            .capture_names()
            .enumerate()
            .filter_map(|(index, name)| {
                let name = name?;
                let plain = name
                    .rsplit_once("__")
                    .filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()))
                    .map_or(name, |(plain, _)| plain);
                Some((index, Arc::from(plain)))
            })
            .collect();
        Self {
            field: Arc::from(field),
            regex,
            groups,
        }
    }

    /// The expression as it runs.
    pub(crate) fn pattern(&self) -> &str {
        self.regex.as_str()
    }

    /// Whether the row's text matches.
    pub(crate) fn is_match(&self, batch: &EventBatch, row: usize) -> bool {
        batch
            .get(Namespace::Source, &self.field, row)
            .is_some_and(|value| {
                value.text.len() <= TEXT_BYTES_MAX && self.regex.is_match(value.text)
            })
    }

    /// Whether the row's text matches; its groups are then set as source fields.
    pub(crate) fn apply(&self, batch: &mut EventBatch, row: usize, text: &mut String) -> bool {
        let Some(value) = batch.get(Namespace::Source, &self.field, row) else {
            return false;
        };
        if value.text.len() > TEXT_BYTES_MAX {
            return false;
        }
        if self.groups.is_empty() {
            return self.regex.is_match(value.text);
        }
        text.clear();
        text.push_str(value.text);
        let Some(regex) = self.regex.get() else {
            return false;
        };
        let mut places = regex.capture_locations();
        if regex.captures_read(&mut places, text).is_none() {
            return false;
        }
        for (index, name) in &self.groups {
            let found = places.get(*index).and_then(|(from, to)| text.get(from..to));
            if let Some(found) = found.filter(|found| !found.is_empty()) {
                batch.set(Namespace::Source, name, row, ValueRef::str(found));
            }
        }
        true
    }
}

/// What draws fields out of a field once the kind is known.
#[derive(Debug)]
pub(crate) enum Extraction {
    /// Separated values, named by the pack; an empty name leaves a value out.
    Values {
        field: Arc<str>,
        separator: char,
        columns: Vec<Arc<str>>,
    },
    /// Pairs.
    Pairs {
        field: Arc<str>,
        assign: char,
        separator: Option<char>,
    },
    /// A whole form.
    Form { field: Arc<str>, part: Part },
    /// Named groups, if the text matches.
    Groups(Matching),
}

impl Extraction {
    pub(crate) fn apply(&self, batch: &mut EventBatch, rows: &[u32]) {
        match self {
            Self::Values {
                field,
                separator,
                columns,
            } => values(batch, rows, field, *separator, columns),
            Self::Pairs {
                field,
                assign,
                separator,
            } => pairs(batch, rows, field, *assign, *separator),
            Self::Form { field, part } => form(batch, rows, field, *part),
            Self::Groups(matching) => {
                let mut text = String::new();
                for row in rows {
                    matching.apply(batch, *row as usize, &mut text);
                }
            }
        }
    }
}

fn values(
    batch: &mut EventBatch,
    rows: &[u32],
    field: &str,
    separator: char,
    columns: &[Arc<str>],
) {
    let places: Vec<Option<usize>> = columns
        .iter()
        .map(|name| (!name.is_empty()).then(|| batch.source_column_index(name)))
        .collect();
    let mut text = String::new();
    for row in rows {
        let row = *row as usize;
        if !copy(batch, row, field, &mut text) {
            continue;
        }
        let mut found = watchfloor_decode::values(&text, separator);
        for place in &places {
            let Some(value) = found.next() else { break };
            let value = value.trim();
            if let (Some(place), false) = (place, value.is_empty()) {
                batch.set_source(*place, row, ValueRef::str(value));
            }
        }
        // Newer versions of products append columns; they are kept by their number.
        for (index, value) in found.enumerate().take(64) {
            let value = value.trim();
            if !value.is_empty() && value != "-" {
                let name = format!("column_{}", columns.len() + index + 1);
                batch.set(Namespace::Source, &name, row, ValueRef::str(value));
            }
        }
    }
}

fn form(batch: &mut EventBatch, rows: &[u32], field: &str, part: Part) {
    let mut text = String::new();
    for row in rows {
        let row = *row as usize;
        if !copy(batch, row, field, &mut text) {
            continue;
        }
        if !watchfloor_decode::extract(batch, row, part, &text) {
            let detail = format!("'{field}' does not hold the form that its pack expects");
            batch.add_anomaly(row, Anomaly::new(AnomalyCode::Malformed, detail));
        }
    }
}

fn copy(batch: &EventBatch, row: usize, field: &str, into: &mut String) -> bool {
    let Some(value) = batch.get(Namespace::Source, field, row) else {
        return false;
    };
    into.clear();
    into.push_str(value.text);
    true
}

/// Sets the pairs of a text as source fields; fields that exist are left as they are.
fn pairs(batch: &mut EventBatch, rows: &[u32], field: &str, assign: char, separator: Option<char>) {
    let mut text = String::new();
    for row in rows {
        let row = *row as usize;
        if !copy(batch, row, field, &mut text) {
            continue;
        }
        let mut put = |key: &str, value: &str| {
            let is_name = !key.is_empty()
                && key.len() <= 64
                && key.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-' | b'/')
                });
            if is_name && batch.get(Namespace::Source, key, row).is_none() {
                batch.set(Namespace::Source, key, row, ValueRef::str(value));
            }
        };
        match separator {
            None if assign == '=' => {
                for (key, value) in watchfloor_decode::pairs(&text).take(PAIRS_MAX) {
                    put(key, value);
                }
            }
            _ => {
                for (key, value) in
                    separated_pairs(&text, assign, separator.unwrap_or(' ')).take(PAIRS_MAX)
                {
                    put(key, value);
                }
            }
        }
    }
}

/// `key:"value"; key:value;` with any two marks; a value in quotes may hold the separator.
fn separated_pairs(
    text: &str,
    assign: char,
    separator: char,
) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([separator, ' ', '[', ']']);
            if rest.is_empty() {
                return None;
            }
            let is_mark = |character| character == assign || character == separator;
            let end = rest.find(is_mark).unwrap_or(rest.len());
            let (key, tail) = rest.split_at_checked(end)?;
            let Some(after) = tail.strip_prefix(assign) else {
                rest = tail;
                continue;
            };
            let after = after.trim_start_matches(' ');
            let (value, tail) = match after.strip_prefix('"') {
                Some(inside) => inside.split_once('"').unwrap_or((inside, "")),
                None => after.split_once(separator).unwrap_or((after, "")),
            };
            rest = tail;
            return Some((key.trim(), value.trim().trim_end_matches(']')));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_with_any_marks() {
        let text = r#"[action:"Accept"; flags:"4; x"; src:192.0.2.1; open:"y]"#;
        let found: Vec<_> = separated_pairs(text, ':', ';').collect();
        let expected = [
            ("action", "Accept"),
            ("flags", "4; x"),
            ("src", "192.0.2.1"),
            ("open", "y"),
        ];
        assert_eq!(found, expected);
        assert_eq!(separated_pairs(";;;::", ':', ';').count(), 1);
    }
}
