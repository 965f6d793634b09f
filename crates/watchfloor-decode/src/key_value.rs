//! `key=value` text with quoted values, as firewalls and many programs write it.

use crate::sink::Sink;
use crate::time::{parse_epoch, parse_iso};

/// Iterates over the pairs of a text; words without `=` are stepped over. A value ends at a
/// blank, or at its closing quote (`"` or `'`).
pub fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        loop {
            rest = rest.trim_start_matches([' ', '\t', ',', ';']);
            if rest.is_empty() {
                return None;
            }
            let end = memchr::memchr3(b'=', b' ', b'\t', rest.as_bytes()).unwrap_or(rest.len());
            let (key, tail) = rest.split_at_checked(end)?;
            let Some(after) = tail.strip_prefix('=') else {
                rest = tail;
                continue;
            };
            let (value, tail) = value(after);
            rest = tail;
            if !key.is_empty() {
                return Some((key, value));
            }
        }
    })
}

fn value(text: &str) -> (&str, &str) {
    match text.as_bytes().first() {
        Some(quote @ (b'"' | b'\'')) => return quoted(text.get(1..).unwrap_or(""), *quote),
        Some(_) => {}
        None => return (text, ""),
    }
    let end = memchr::memchr3(b' ', b'\t', b'\n', text.as_bytes()).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    (value.trim_end_matches([',', ';']), rest)
}

/// Reads up to the closing quote; between double quotes a backslash takes the next character
/// as it is.
fn quoted(inside: &str, quote: u8) -> (&str, &str) {
    let bytes = inside.as_bytes();
    let mut from = 0;
    while let Some(found) = bytes
        .get(from..)
        .and_then(|rest| memchr::memchr2(quote, b'\\', rest))
    {
        let at = from + found;
        if bytes.get(at) == Some(&quote) {
            let value = inside.get(..at).unwrap_or("");
            return (value, inside.get(at + 1..).unwrap_or(""));
        }
        from = at + if quote == b'"' { 2 } else { 1 };
    }
    (inside, "")
}

/// Whether a line is made of pairs: its first word is one, and two more follow.
pub(crate) fn looks_like(text: &str) -> bool {
    let head = crate::sink::clip(text, 512);
    let Some(first) = head.split([' ', '\t']).next() else {
        return false;
    };
    let Some((key, _)) = first.split_once('=') else {
        return false;
    };
    let named = key
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'));
    named && !key.is_empty() && pairs(head).take(3).count() == 3
}

/// Decodes one line of pairs.
pub(crate) fn decode(sink: &mut Sink<'_>, text: &str) -> bool {
    let mut count = 0;
    for (key, value) in pairs(text.trim_end()) {
        sink.scalar(key, value);
        count += 1;
    }
    if count == 0 {
        return false;
    }
    if !sink.has_own_time() {
        pair_time(sink);
    }
    if sink.get("message").is_none() {
        sink.text("message", text.trim_end());
    }
    true
}

/// The time of a record of pairs, from one field or from a date and a time of day.
fn pair_time(sink: &mut Sink<'_>) {
    let value = |name: &str| sink.get(name).map(|value| value.text.to_owned());
    let named = ["eventtime", "timestamp", "ts", "time", "date"]
        .iter()
        .filter_map(|name| value(name))
        .find_map(|text| Some((parse_iso(&text).or_else(|| parse_epoch(&text))?, text)));
    let joined = || {
        let text = format!("{} {}", value("date")?, value("time")?);
        Some((parse_iso(&text)?, text))
    };
    if let Some((moment, text)) = named.or_else(joined) {
        sink.own_time(Some(moment), &text);
    }
}

/// Appends a JSON string.
pub(crate) fn push_json_string(into: &mut String, text: &str) {
    into.push('"');
    for character in text.chars() {
        match character {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            control if (control as u32) < 0x20 => {
                into.push_str(&format!("\\u{:04x}", control as u32));
            }
            other => into.push(other),
        }
    }
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_read_with_quotes() {
        let found: Vec<_> = pairs(r#"a=1 word b="x y" c='p q=2' d= e="un\"esc", f=end"#).collect();
        let expected = [
            ("a", "1"),
            ("b", "x y"),
            ("c", "p q=2"),
            ("d", ""),
            ("e", "un\\\"esc"),
            ("f", "end"),
        ];
        assert_eq!(found, expected);
        assert_eq!(pairs("a=\"open").collect::<Vec<_>>(), [("a", "open")]);
        assert_eq!(pairs("====").count(), 0);
    }
}
