//! Values between separators, with or without quotes (CSV and its kin), and lines whose names
//! stand in a header: W3C extended logs (`#Fields:`) and tables with a first line of names.
//!
//! # Source
//! RFC 4180; W3C working draft "Extended Log File Format"; IIS, "W3C logging".

use std::borrow::Cow;

use watchfloor_event::{AnomalyCode, ValueKind};

use crate::sink::Sink;
use crate::time::{parse_any, parse_iso};

/// Most values of one line; what follows stays reachable in the raw bytes.
pub const VALUES_MAX: usize = 1024;

/// Iterates over the values of a line. A value in double quotes may hold the separator, and
/// two quotes stand for one; a quote that is never closed reaches to the end of the line.
/// With a blank as separator, several blanks count as one.
///
/// ```
/// let values: Vec<_> = watchfloor_decode::values(r#"a,"b ""c"", d",,e"#, ',').collect();
/// assert_eq!(values, ["a", "b \"c\", d", "", "e"]);
/// ```
pub fn values(text: &str, separator: char) -> impl Iterator<Item = Cow<'_, str>> {
    let mut rest = Some(text);
    let mut count = 0;
    std::iter::from_fn(move || {
        let mut text = rest?;
        if separator == ' ' {
            text = text.trim_start_matches(' ');
            if text.is_empty() && count > 0 {
                return None;
            }
        }
        count += 1;
        if count > VALUES_MAX {
            return None;
        }
        let (value, after) = match text.strip_prefix('"') {
            Some(inside) => quoted(inside, separator),
            None => match cut(text, separator) {
                Some((value, after)) => (Cow::Borrowed(value), Some(after)),
                None => (Cow::Borrowed(text), None),
            },
        };
        rest = after;
        Some(value)
    })
}

/// As `split_once`, faster for the separators that are met.
fn cut(text: &str, separator: char) -> Option<(&str, &str)> {
    let Ok(byte) = u8::try_from(separator) else {
        return text.split_once(separator);
    };
    if !byte.is_ascii() {
        return text.split_once(separator);
    }
    let at = memchr::memchr(byte, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Reads up to the closing quote, and steps over the separator after it.
fn quoted(inside: &str, separator: char) -> (Cow<'_, str>, Option<&str>) {
    let mut value = Cow::Borrowed("");
    let mut rest = inside;
    loop {
        let Some((piece, after)) = rest.split_once('"') else {
            append(&mut value, rest);
            return (value, None);
        };
        append(&mut value, piece);
        match after.strip_prefix('"') {
            Some(more) => {
                value.to_mut().push('"');
                rest = more;
            }
            None => {
                // Text between the quote and the separator belongs to no value.
                let next = after.split_once(separator).map(|(_, next)| next);
                return (value, next);
            }
        }
    }
}

fn append<'a>(value: &mut Cow<'a, str>, piece: &'a str) {
    if value.is_empty() {
        *value = Cow::Borrowed(piece);
    } else {
        value.to_mut().push_str(piece);
    }
}

/// The names of a table's columns, from the context of its lines.
#[derive(Debug)]
pub(crate) struct Header {
    separator: char,
    names: Vec<String>,
    is_w3c: bool,
}

impl Header {
    /// Whether a context holds a header of this kind.
    pub(crate) fn is_in(context: &str) -> bool {
        context.contains("#Fields:") || context.contains("#columns\t")
    }

    /// Reads `#Fields: date time …`, or `#columns` with the separator and a line of names.
    pub(crate) fn parse(context: &str) -> Self {
        let mut header = Self {
            separator: ' ',
            names: Vec::new(),
            is_w3c: true,
        };
        for line in context.lines() {
            if let Some(names) = line.strip_prefix("#Fields:") {
                // Exchange writes commas, in the names and in the lines.
                let has_commas = names.contains(',');
                let parts = names.split(|letter: char| letter.is_whitespace() || letter == ',');
                let parts = parts.filter(|name| !name.is_empty());
                header.names = parts.map(str::to_owned).collect();
                header.separator = if has_commas {
                    ','
                } else if names.trim().contains('\t') {
                    '\t'
                } else {
                    ' '
                };
                header.is_w3c = true;
            } else if let Some(rest) = line.strip_prefix("#columns\t") {
                let mut characters = rest.chars();
                header.separator = characters.next().unwrap_or(',');
                header.names = values(characters.as_str(), header.separator)
                    .map(|name| name.trim().to_owned())
                    .collect();
                header.is_w3c = false;
            }
        }
        header
    }
}

/// Decodes one line; false if its header names nothing.
pub(crate) fn decode(sink: &mut Sink<'_>, header: &Header, text: &str) -> bool {
    let text = text.trim_end_matches(['\r', '\n']);
    if header.names.is_empty() || text.starts_with('#') {
        return false;
    }
    let mut found = values(text, header.separator);
    let mut missing = 0;
    for name in &header.names {
        let Some(value) = found.next() else {
            missing += 1;
            continue;
        };
        let value = value.trim();
        if value.is_empty() || value == "-" || name.is_empty() {
            continue;
        }
        if header.is_w3c {
            put_w3c(sink, name, value);
        } else {
            sink.scalar(name, value);
        }
    }
    if missing > 0 || found.next().is_some() {
        sink.note(AnomalyCode::Malformed, || {
            "the line has not as many values as its header has names".to_owned()
        });
    }
    if header.is_w3c {
        w3c_time(sink);
    } else {
        usual_time(sink);
    }
    if sink.get("message").is_none() {
        sink.text("message", text);
    }
    true
}

/// Puts a value under the name that Sigma and the access log decoder have for it.
pub(crate) fn put_w3c(sink: &mut Sink<'_>, name: &str, value: &str) {
    let name = match name {
        "cs(User-Agent)" => "cs-user-agent",
        "cs(Referer)" | "cs(Referrer)" => "cs-referer",
        "cs(Cookie)" => "cs-cookie",
        "cs(Host)" => "cs-host",
        "X-Forwarded-For" | "cs(X-Forwarded-For)" => "x-forwarded-for",
        other => other,
    };
    // IIS writes blanks of these values as plus signs.
    if matches!(name, "cs-user-agent" | "cs-referer") && value.contains('+') {
        sink.text(name, &value.replace('+', " "));
    } else {
        sink.scalar(name, value);
    }
}

fn w3c_time(sink: &mut Sink<'_>) {
    let value = |name: &str| sink.get(name).map(|value| value.text.to_owned());
    let text = match (value("date"), value("time")) {
        (Some(date), Some(time)) => format!("{date} {time}"),
        _ => return usual_time(sink),
    };
    sink.own_time(parse_iso(&text), &text);
}

fn usual_time(sink: &mut Sink<'_>) {
    let Some(received_at) = sink.received_at() else {
        return;
    };
    let found = [
        "timestamp",
        "time",
        "datetime",
        "date",
        "start",
        "x-timestamp",
    ]
    .iter()
    .find_map(|name| {
        let value = sink.get(name)?;
        if value.kind != ValueKind::Str && value.kind != ValueKind::Int {
            return None;
        }
        let text = value.text.to_owned();
        Some((parse_any(&text, received_at)?, text))
    });
    if let Some((moment, text)) = found {
        sink.own_time(Some(moment), &text);
    }
}
