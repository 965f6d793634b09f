//! Masking: values are replaced in the record's bytes and in every field of the event that
//! holds them, so that no copy is left.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use regex::bytes::{Captures, Regex};
use sha2::Sha256;
use watchfloor_event::{EventBatch, Namespace, ValueKind, ValueRef};

/// Shortest value that is replaced inside other texts, in bytes: a shorter one would be found
/// where it does not stand.
const MIN_WITHIN_BYTES: usize = 4;
/// Hex digits of a hash.
const HASH_DIGITS: usize = 16;
/// What stands where something was removed.
const REMOVED: &str = "[removed]";

/// A secret of the installation, so that hashes cannot be found by trying names.
#[derive(Clone, Default)]
pub struct MaskKey(Vec<u8>);

impl std::fmt::Debug for MaskKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MaskKey")
    }
}

impl MaskKey {
    /// A key of some random bytes.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The first 16 hex digits of HMAC-SHA-256 (RFC 2104), the same for the same value.
    fn hash(&self, value: &[u8]) -> String {
        // HMAC takes keys of any length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return REMOVED.to_owned();
        };
        mac.update(value);
        let mut digits = hex::encode(mac.finalize().into_bytes());
        digits.truncate(HASH_DIGITS);
        digits
    }
}

/// What becomes of a masked value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskStyle {
    /// A hash stands for it: equal values stay equal, and what it was is not told.
    Hash,
    /// Its first characters stay; of an address, its network (/24, /48).
    Truncate(usize),
    /// It is gone.
    Remove,
}

impl MaskStyle {
    fn apply(self, key: &MaskKey, value: &str) -> String {
        match self {
            Self::Hash => key.hash(value.as_bytes()),
            Self::Remove => REMOVED.to_owned(),
            Self::Truncate(kept) => match value.parse::<IpAddr>() {
                Ok(address) => network_of(address).to_string(),
                Err(_) => value.chars().take(kept).collect::<String>() + "…",
            },
        }
    }
}

fn network_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            IpAddr::from([a, b, c, 0])
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            IpAddr::from([a, b, c, 0, 0, 0, 0, 0])
        }
    }
}

/// What an expression finds, masked.
#[derive(Clone, Debug)]
pub(super) struct TextMask {
    regex: Regex,
    style: MaskStyle,
}

impl TextMask {
    pub(super) fn new(regex: Regex, style: MaskStyle) -> Self {
        Self { regex, style }
    }

    /// The bytes with what was found replaced: the expression's first group where it has one,
    /// else all of it.
    pub(super) fn apply(&self, key: &MaskKey, bytes: &Bytes) -> Bytes {
        match self.replaced(key, bytes) {
            Cow::Borrowed(_) => bytes.clone(),
            Cow::Owned(masked) => Bytes::from(masked),
        }
    }

    fn replaced<'a>(&self, key: &MaskKey, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        self.regex.replace_all(bytes, |found: &Captures<'_>| {
            let whole = found.get(0).map_or(0..0, |whole| whole.range());
            let part = found.get(1).map_or(whole.clone(), |part| part.range());
            let text = bytes.get(part.clone()).unwrap_or_default();
            let masked = self.style.apply(key, &String::from_utf8_lossy(text));
            let before = bytes.get(whole.start..part.start).unwrap_or_default();
            let after = bytes.get(part.end..whole.end).unwrap_or_default();
            [before, masked.as_bytes(), after].concat()
        })
    }
}

/// Masks what an expression finds in the raw record and all fields of an event.
pub(super) fn mask_text(batch: &mut EventBatch, row: usize, mask: &TextMask, key: &MaskKey) {
    let raw = mask.apply(key, &batch.rows()[row].raw);
    batch.row_mut(row).raw = raw;
    change_texts(
        batch,
        row,
        &|text| match mask.replaced(key, text.as_bytes()) {
            Cow::Borrowed(_) => None,
            Cow::Owned(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        },
    );
}

/// Masks the values of fields in the raw record and wherever else they stand in an event.
pub(super) fn mask_fields(
    batch: &mut EventBatch,
    row: usize,
    fields: &[String],
    style: MaskStyle,
    key: &MaskKey,
) {
    for field in fields {
        for namespace in [Namespace::Ocsf, Namespace::Source] {
            let value = batch.get(namespace, field, row);
            let Some(value) = value.filter(|value| !value.text.is_empty()) else {
                continue;
            };
            let parts: Vec<String> = value.elements().into_iter().map(|(_, text)| text).collect();
            for value in parts.iter().filter(|part| !part.is_empty()) {
                let masked = style.apply(key, value);
                replace(batch, row, value, &masked);
            }
        }
    }
}

fn replace(batch: &mut EventBatch, row: usize, value: &str, masked: &str) {
    let is_long = value.len() >= MIN_WITHIN_BYTES;
    change_texts(batch, row, &|text| {
        if text == value {
            return Some(masked.to_owned());
        }
        (is_long && text.contains(value)).then(|| text.replace(value, masked))
    });
    let raw = String::from_utf8_lossy(&batch.rows()[row].raw).into_owned();
    // In JSON the value may stand with escapes.
    let escaped = serde_json::to_string(value).unwrap_or_default();
    let escaped = escaped.trim_matches('"');
    let mut changed = raw.replace(&format!("\"{escaped}\""), &format!("\"{masked}\""));
    let is_number = value.parse::<f64>().is_ok() && raw.trim_start().starts_with(['{', '[']);
    if is_number {
        // A number of a JSON record becomes a text, so that the record stays JSON.
        changed = replace_words(&changed, value, &format!("\"{masked}\""));
    } else if is_long {
        changed = changed.replace(value, masked).replace(escaped, masked);
    } else {
        changed = replace_words(&changed, value, masked);
    }
    if changed != raw {
        batch.row_mut(row).raw = Bytes::from(changed);
    }
}

/// Replaces a short value where nothing that belongs to a word stands beside it.
fn replace_words(text: &str, value: &str, masked: &str) -> String {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(value) {
        let (before, found) = rest.split_at(at);
        let after = found.get(value.len()..).unwrap_or("");
        let last = before
            .chars()
            .next_back()
            .or_else(|| result.chars().next_back());
        let stands_alone = !last.is_some_and(is_word) && !after.chars().next().is_some_and(is_word);
        result.push_str(before);
        result.push_str(if stands_alone { masked } else { value });
        rest = after;
    }
    result + rest
}

/// Changes the texts of an event for which `change` gives another.
fn change_texts(batch: &mut EventBatch, row: usize, change: &dyn Fn(&str) -> Option<String>) {
    for namespace in [Namespace::Ocsf, Namespace::Source] {
        let mut changed = Vec::new();
        for column in batch.columns(namespace) {
            let Some(value) = column.get(row) else {
                continue;
            };
            if let Some(text) = change(value.text) {
                let kind = match value.kind {
                    ValueKind::List => ValueKind::List,
                    _ => ValueKind::Str,
                };
                changed.push((column.name().to_string(), kind, text));
            }
        }
        for (name, kind, text) in changed {
            batch.set(namespace, &name, row, ValueRef { kind, text: &text });
        }
    }
}
