//! ArcSight's Common Event Format: a header of seven parts between bars, then `key=value`
//! pairs whose values may hold blanks.
//!
//! Header parts become `cef.version`, `cef.device_vendor`, `cef.device_product`,
//! `cef.device_version`, `cef.signature_id`, `cef.name` and `cef.severity`; pairs keep their
//! own names. A pair that has a label (`cs1=…`, `cs1Label=…`) is also set under its label, with
//! `_` for blanks.
//!
//! # Source
//! Micro Focus Security ArcSight, "Common Event Format: Implementing ArcSight CEF", version 25.

use watchfloor_event::AnomalyCode;

use crate::sink::{Sink, clip};
use crate::time::parse_any;

/// How far into a line its header is looked for, in bytes: a syslog header may stand before.
const PREFIX_BYTES_MAX: usize = 256;
/// Longest name of a pair, in bytes. What is longer belongs to the value before it.
const KEY_BYTES_MAX: usize = 128;

const HEADER: [&str; 7] = [
    "cef.version",
    "cef.device_vendor",
    "cef.device_product",
    "cef.device_version",
    "cef.signature_id",
    "cef.name",
    "cef.severity",
];

/// Where `CEF:0|` begins in a line, if it does near the start.
pub(crate) fn find(text: &str) -> Option<usize> {
    find_header(text, "CEF:")
}

/// Where a header word, a version and a bar begin near the start of a line.
pub(crate) fn find_header(text: &str, word: &str) -> Option<usize> {
    let head = clip(text, PREFIX_BYTES_MAX);
    let mut from = 0;
    while let Some(at) = head.get(from..)?.find(word) {
        let start = from + at;
        let before = head.as_bytes().get(start.wrapping_sub(1));
        let follows_blank = start == 0 || before.is_some_and(u8::is_ascii_whitespace);
        let rest = head.get(start + word.len()..)?.trim_start();
        let version = rest.find('|').and_then(|bar| rest.get(..bar));
        let is_version = version.is_some_and(|version| {
            !version.is_empty()
                && version.len() <= 8
                && version
                    .bytes()
                    .all(|byte| byte.is_ascii_digit() || byte == b'.' || byte == b' ')
        });
        if follows_blank && is_version {
            return Some(start);
        }
        from = start + word.len();
    }
    None
}

/// Decodes from `CEF:` on; false if there is no header at all.
pub(crate) fn decode(sink: &mut Sink<'_>, text: &str) -> bool {
    let Some(rest) = text.strip_prefix("CEF:") else {
        return false;
    };
    let rest = rest.trim_end_matches(['\r', '\n']);
    let mut value = String::new();
    let mut rest = Some(rest.trim_start());
    let mut parts = 0;
    for name in HEADER {
        let Some(text) = rest else { break };
        rest = header_part(text, &mut value);
        sink.scalar(name, value.trim());
        parts += 1;
    }
    if parts < HEADER.len() {
        sink.note(AnomalyCode::Malformed, || {
            format!("the CEF header has {parts} of 7 parts")
        });
    }
    if let Some(extension) = rest {
        self::extension(sink, extension, &mut value);
        labels(sink);
        own_time(sink, &["rt", "deviceReceiptTime", "start", "end"]);
    }
    if sink.get("message").is_none() {
        sink.text("message", text.trim_end_matches(['\r', '\n']));
    }
    true
}

/// Reads one part of the header, `\|` and `\\` resolved; gives what follows the bar.
pub(crate) fn header_part<'a>(text: &'a str, into: &mut String) -> Option<&'a str> {
    into.clear();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '|' => return text.get(at + 1..),
            '\\' => match characters.next() {
                Some((_, mark @ ('|' | '\\'))) => into.push(mark),
                Some((_, other)) => {
                    into.push('\\');
                    into.push(other);
                }
                None => into.push('\\'),
            },
            other => into.push(other),
        }
    }
    None
}

/// Reads `key=value key=value`; a value ends where a blank and the next key begin.
pub(crate) fn extension(sink: &mut Sink<'_>, text: &str, value: &mut String) {
    let bytes = text.as_bytes();
    let mut key: Option<&str> = None;
    let mut value_start = 0;
    let mut at = 0;
    while let Some(found) = bytes
        .get(at..)
        .and_then(|rest| memchr::memchr2(b'=', b'\\', rest))
    {
        let place = at + found;
        if bytes.get(place) == Some(&b'\\') {
            at = place + 2;
            continue;
        }
        at = place + 1;
        let head = text.get(value_start..place).unwrap_or("");
        let word_start = head
            .rfind([' ', '\t'])
            .map_or(value_start, |blank| value_start + blank + 1);
        let word = text.get(word_start..place).unwrap_or("");
        // The first key needs no blank before it; every other one does.
        if !is_key(word) || (key.is_some() && word_start == value_start) {
            continue;
        }
        if let Some(key) = key {
            put(sink, key, text.get(value_start..word_start), value);
        }
        key = Some(word);
        value_start = place + 1;
    }
    match key {
        Some(key) => put(sink, key, text.get(value_start..), value),
        None if !text.trim().is_empty() => sink.note(AnomalyCode::Malformed, || {
            format!("no pairs in '{}'", clip(text, 80))
        }),
        None => {}
    }
}

fn is_key(word: &str) -> bool {
    !word.is_empty()
        && word.len() <= KEY_BYTES_MAX
        && word.bytes().all(|byte| {
            byte.is_ascii_alphanumeric()
                || matches!(byte, b'_' | b'.' | b'-' | b'[' | b']' | b'/' | b':' | b'?')
        })
}

fn put(sink: &mut Sink<'_>, key: &str, raw: Option<&str>, value: &mut String) {
    let raw = raw.unwrap_or("").trim_end_matches([' ', '\t']);
    if !raw.contains('\\') {
        sink.scalar(key, raw);
        return;
    }
    value.clear();
    let mut characters = raw.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            value.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => value.push('\n'),
            Some('r') => value.push('\r'),
            Some(mark @ ('=' | '\\' | '|')) => value.push(mark),
            Some(other) => {
                value.push('\\');
                value.push(other);
            }
            None => value.push('\\'),
        }
    }
    sink.scalar(key, value);
}

/// Sets labelled values under their labels too, as `Policy_Name` for `cs1` with `cs1Label`.
fn labels(sink: &mut Sink<'_>) {
    const LABELLED: [(&str, &str); 20] = [
        ("cs1", "cs1Label"),
        ("cs2", "cs2Label"),
        ("cs3", "cs3Label"),
        ("cs4", "cs4Label"),
        ("cs5", "cs5Label"),
        ("cs6", "cs6Label"),
        ("cn1", "cn1Label"),
        ("cn2", "cn2Label"),
        ("cn3", "cn3Label"),
        ("cfp1", "cfp1Label"),
        ("cfp2", "cfp2Label"),
        ("cfp3", "cfp3Label"),
        ("cfp4", "cfp4Label"),
        ("c6a1", "c6a1Label"),
        ("c6a2", "c6a2Label"),
        ("c6a3", "c6a3Label"),
        ("c6a4", "c6a4Label"),
        ("flexString1", "flexString1Label"),
        ("flexString2", "flexString2Label"),
        ("deviceCustomDate1", "deviceCustomDate1Label"),
    ];
    for (key, label) in LABELLED {
        let Some(name) = sink.get(label).map(|name| name.text.replace(' ', "_")) else {
            continue;
        };
        let Some(value) = sink.get(key).map(|value| value.text.to_owned()) else {
            continue;
        };
        if is_key(&name) && sink.get(&name).is_none() {
            sink.scalar(&name, &value);
        }
    }
}

/// Sets the own time from the first of these fields that holds one.
pub(crate) fn own_time(sink: &mut Sink<'_>, names: &[&str]) {
    let Some(received_at) = sink.received_at() else {
        return;
    };
    let found = names.iter().find_map(|name| {
        let text = sink.get(name)?.text.to_owned();
        Some((parse_any(&text, received_at)?, text))
    });
    if let Some((moment, text)) = found {
        sink.own_time(Some(moment), &text);
    }
}
