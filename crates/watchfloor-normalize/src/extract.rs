//! Fields drawn out of text: named groups of a regular expression, and key-value pairs.

use std::sync::Arc;

use regex::Regex;
use watchfloor_event::{EventBatch, Namespace, ValueRef};

/// Most pairs that are drawn out of one text.
const PAIRS_MAX: usize = 128;
/// Longest text that is matched, in bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// A regular expression over one field, whose named groups become fields.
#[derive(Debug)]
pub(crate) struct Matching {
    field: Arc<str>,
    regex: Regex,
    groups: Vec<(usize, Arc<str>)>,
}

impl Matching {
    pub(crate) fn new(field: &str, regex: Regex) -> Self {
        let groups = regex
            .capture_names()
            .enumerate()
            .filter_map(|(index, name)| Some((index, Arc::from(name?))))
            .collect();
        Self {
            field: Arc::from(field),
            regex,
            groups,
        }
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
        let Some(captures) = self.regex.captures(text) else {
            return false;
        };
        for (index, name) in &self.groups {
            if let Some(found) = captures.get(*index).filter(|found| !found.is_empty()) {
                batch.set(Namespace::Source, name, row, ValueRef::str(found.as_str()));
            }
        }
        true
    }
}

/// Sets the pairs of a text as source fields; fields that exist are left as they are.
pub(crate) fn key_values(batch: &mut EventBatch, rows: &[u32], field: &str) {
    for row in rows {
        let row = *row as usize;
        let Some(value) = batch.get(Namespace::Source, field, row) else {
            continue;
        };
        let text = value.text.to_owned();
        for (key, value) in watchfloor_decode::pairs(&text).take(PAIRS_MAX) {
            let is_name = key.len() <= 64
                && key
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
            if is_name && batch.get(Namespace::Source, key, row).is_none() {
                batch.set(Namespace::Source, key, row, ValueRef::str(value));
            }
        }
    }
}
