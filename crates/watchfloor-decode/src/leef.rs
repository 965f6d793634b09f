//! IBM's Log Event Extended Format, 1.0 and 2.0: a header between bars, then pairs between
//! tabs or another character that 2.0 names in its header.
//!
//! Header parts become `leef.version`, `leef.vendor`, `leef.product`, `leef.product_version`
//! and `leef.event_id`; pairs keep their own names.
//!
//! # Source
//! IBM QRadar, "Log Event Extended Format (LEEF)", version 2.

use watchfloor_event::AnomalyCode;

use crate::cef;
use crate::sink::{Sink, clip};

const HEADER: [&str; 5] = [
    "leef.version",
    "leef.vendor",
    "leef.product",
    "leef.product_version",
    "leef.event_id",
];

/// Where `LEEF:1.0|` begins in a line, if it does near the start.
pub(crate) fn find(text: &str) -> Option<usize> {
    cef::find_header(text, "LEEF:")
}

/// Decodes from `LEEF:` on; false if there is no header at all.
pub(crate) fn decode(sink: &mut Sink<'_>, text: &str) -> bool {
    let Some(rest) = text.strip_prefix("LEEF:") else {
        return false;
    };
    let rest = rest.trim_end_matches(['\r', '\n']);
    let mut value = String::new();
    let mut rest = Some(rest.trim_start());
    let mut parts = 0;
    let mut is_second = false;
    for (index, name) in HEADER.into_iter().enumerate() {
        let Some(text) = rest else { break };
        rest = cef::header_part(text, &mut value);
        if index == 0 {
            is_second = value.trim().starts_with('2');
            sink.text(name, value.trim());
        } else {
            sink.scalar(name, value.trim());
        }
        parts += 1;
    }
    if parts < HEADER.len() {
        sink.note(AnomalyCode::Malformed, || {
            format!("the LEEF header has {parts} of 5 parts")
        });
    }
    if let Some(extension) = rest {
        let (delimiter, extension) = if is_second {
            delimiter(extension)
        } else {
            ('\t', extension)
        };
        pairs(sink, extension, delimiter, &mut value);
        cef::own_time(sink, &["devTime", "eventTime", "calLogTime"]);
    }
    if sink.get("message").is_none() {
        sink.text("message", text.trim_end_matches(['\r', '\n']));
    }
    true
}

/// The delimiter of version 2.0 and what follows it: `^|`, `x09|`, `0x7C|`, or nothing for a
/// tab. Senders that leave the part out are met; then the first pair stands there.
fn delimiter(text: &str) -> (char, &str) {
    let Some((named, rest)) = text.split_once('|') else {
        return ('\t', text);
    };
    let hex = named
        .strip_prefix("0x")
        .or_else(|| named.strip_prefix('x'))
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .and_then(char::from_u32);
    let mut characters = named.chars();
    match (characters.next(), characters.next(), hex) {
        (_, _, Some(character)) => (character, rest),
        (None, _, None) => ('\t', rest),
        (Some(character), None, None) => (character, rest),
        _ if named.eq_ignore_ascii_case("tab") || named == "\\t" => ('\t', rest),
        _ => ('\t', text),
    }
}

fn pairs(sink: &mut Sink<'_>, text: &str, delimiter: char, value: &mut String) {
    // IBM's own form for PAN-OS has bars between the pairs of version 1.0.
    let bars = || text.split('|').filter(|part| !part.trim().is_empty());
    if delimiter == '\t'
        && !text.contains('\t')
        && bars().count() > 1
        && bars().all(|part| {
            part.split_once('=')
                .is_some_and(|(key, _)| !key.contains(' '))
        })
    {
        pairs(sink, text, '|', value);
        return;
    }
    // Some senders write blanks where the format wants tabs.
    if !text.contains(delimiter) && text.matches('=').count() > 1 {
        cef::extension(sink, text, value);
        return;
    }
    let mut without = None;
    for part in text.split(delimiter) {
        match part.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() && key.len() <= 128 => {
                sink.scalar(key.trim(), value.trim_end());
            }
            _ if part.trim().is_empty() => {}
            _ => without = Some(part),
        }
    }
    if let Some(part) = without {
        sink.note(AnomalyCode::Malformed, || {
            format!("no pair: '{}'", clip(part, 80))
        });
    }
}
