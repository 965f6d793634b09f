//! Plain text: one value per line, comments, and a head that says what holds for all of them.
//!
//! ```text
//! # source: Example CERT
//! # confidence: 80
//! # level: high
//! # valid_until: 2027-01-01
//! hxxp://evil[.]example/a    # seen in March
//! 203.0.113.7
//! 0.0.0.0 evil.example
//! ```
//! The last line is that of a hosts file that blocks a name.

use std::io::{self, BufRead};
use std::sync::Arc;

use super::{Sink, lines, words};
use crate::{Indicator, IndicatorKind, Value};

/// Addresses that hosts files give to names that shall not be reached.
const BLOCKED: [&str; 5] = ["0.0.0.0", "127.0.0.1", "::", "::1", "255.255.255.255"];

pub(super) fn read(reader: &mut dyn BufRead, sink: &mut Sink<'_>) -> io::Result<()> {
    sink.report.format = Some(super::ListFormat::Text);
    let mut head = Head::default();
    lines(reader, sink, &mut |line, number, sink| {
        let line = line.trim();
        if let Some(comment) = line.strip_prefix('#') {
            head.note(comment, number, sink);
            return;
        }
        if line.is_empty()
            || line.starts_with(';')
            || line.starts_with("//")
            || line.starts_with('!')
        {
            return;
        }
        let value = value_of(line);
        let parsed = match head.kind {
            Some(kind) => Value::parse(kind, value),
            None => Value::detect(value),
        };
        match parsed {
            Ok(value) => sink.take(head.indicator(value)),
            Err(error) => sink.report.refuse(number, error),
        }
    })
}

/// What holds for all values that follow.
#[derive(Default)]
struct Head {
    kind: Option<IndicatorKind>,
    common: Option<Indicator>,
}

impl Head {
    fn indicator(&self, value: Value) -> Indicator {
        match &self.common {
            Some(common) => Indicator {
                value,
                ..common.clone()
            },
            None => Indicator::of(value),
        }
    }

    /// Takes a comment of the form `key: value`; others say nothing to us.
    fn note(&mut self, comment: &str, number: u64, sink: &mut Sink<'_>) {
        let Some((key, text)) = comment.split_once(':') else {
            return;
        };
        let (key, text) = (key.trim().to_ascii_lowercase(), text.trim());
        if key == "kind" {
            match words::kind(text) {
                Some(kind) => self.kind = Some(kind),
                None => sink
                    .report
                    .refuse(number, format!("there is no kind '{}'", cut(text))),
            }
            return;
        }
        let Ok(any) = Value::detect("203.0.113.1") else {
            return;
        };
        let mut common = self.common.clone().unwrap_or_else(|| Indicator::of(any));
        let is_read = match key.as_str() {
            "source" => {
                common.source = Arc::from(text);
                true
            }
            "name" => {
                common.name = Some(text.to_owned());
                true
            }
            "confidence" => set(&mut common.confidence, words::confidence(text)),
            "level" => set(&mut common.level, words::level(text)),
            "tlp" => set(&mut common.tlp, words::tlp(text)),
            "valid_from" => set(&mut common.valid_from, words::time(text)),
            "valid_until" => set(&mut common.valid_until, words::time(text)),
            _ => return,
        };
        if is_read {
            self.common = Some(common);
        } else {
            sink.report
                .refuse(number, format!("'{}' is no {key}", cut(text)));
        }
    }
}

fn set<T>(place: &mut Option<T>, value: Option<T>) -> bool {
    let is_there = value.is_some();
    *place = value;
    is_there
}

/// The value of a line without its comment; the name of a hosts file's line.
fn value_of(line: &str) -> &str {
    let line = line.split(" #").next().unwrap_or(line);
    let line = line.split("\t#").next().unwrap_or(line).trim();
    let mut tokens = line.split_whitespace();
    match (tokens.next(), tokens.next(), tokens.next()) {
        (Some(address), Some(name), _) if BLOCKED.contains(&address) => name,
        (Some(value), Some(comment), _) if comment.starts_with([';', '/']) => value,
        _ => line,
    }
}

/// A piece of the line for a reason.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(80).collect()
}
