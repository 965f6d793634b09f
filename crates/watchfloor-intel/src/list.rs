//! Lists of indicators, read from whatever form producers give them.
//!
//! What cannot be read is refused with its line and a reason, what is no matter for this matcher
//! is counted with its reason, and nothing else of the list is lost for it.

mod csv;
mod json;
mod misp;
mod pattern;
mod stix;
mod text;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead, Cursor, Read};

use crate::{Indicator, KindCounts};

pub(crate) use stix::marking;

/// Longest line, in bytes.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Largest object of a JSON document, in bytes: an event of MISP with all of its attributes.
const MAX_OBJECT_BYTES: u64 = 256 << 20;
/// Refused lines of a list that are named; more are counted.
const MAX_REFUSED_NAMED: usize = 100;
/// Different reasons of a list that are counted one by one.
const MAX_REASONS: usize = 100;

/// The form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListFormat {
    /// One value per line.
    Text,
    /// Comma-separated values with a head line: MISP's export, and simple forms.
    Csv,
    /// STIX 2.1: a bundle, or an object per line.
    Stix,
    /// Events of MISP's feeds and API.
    Misp,
}

impl ListFormat {
    /// The word used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Csv => "csv",
            Self::Stix => "stix",
            Self::Misp => "misp",
        }
    }
}

impl fmt::Display for ListFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line that gave no indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedLine {
    /// Its number, from 1; for an object of a JSON document that of the object.
    pub line: u64,
    /// Why, for a person.
    pub reason: String,
}

/// What a list gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListReport {
    /// The form in which it was read.
    pub format: Option<ListFormat>,
    /// Indicators that were taken, by kind.
    pub taken: KindCounts,
    /// The first 100 refused lines.
    pub refused: Vec<RefusedLine>,
    /// How many lines were refused.
    pub refused_count: u64,
    /// What was well-formed and yet gave no indicator, by reason: patterns that are no plain
    /// comparisons, attributes that are not meant for detection, revoked indicators.
    pub not_understood: BTreeMap<String, u64>,
}

impl ListReport {
    fn refuse(&mut self, line: u64, reason: impl fmt::Display) {
        self.refused_count += 1;
        if self.refused.len() < MAX_REFUSED_NAMED {
            let reason = reason.to_string();
            self.refused.push(RefusedLine { line, reason });
        }
    }

    fn pass_over(&mut self, reason: &str) {
        let is_new = !self.not_understood.contains_key(reason);
        let reason = if is_new && self.not_understood.len() >= MAX_REASONS {
            "other reasons"
        } else {
            reason
        };
        *self.not_understood.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Where a reader puts what it finds.
struct Sink<'a> {
    report: ListReport,
    take: &'a mut dyn FnMut(Indicator),
}

impl Sink<'_> {
    fn take(&mut self, indicator: Indicator) {
        self.report.taken.add(indicator.value.kind());
        (self.take)(indicator);
    }
}

/// Reads a list and calls `take` for each indicator. The form is told by the content, and by the
/// end of the name where that leaves a doubt.
///
/// # Errors
/// If the reader fails; what was taken before stays taken.
pub fn read_list(
    name: &str,
    reader: &mut dyn BufRead,
    take: &mut dyn FnMut(Indicator),
) -> io::Result<ListReport> {
    let mut sink = Sink {
        report: ListReport::default(),
        take,
    };
    let head = head_of(reader)?;
    let form = form_of(name, &head);
    let mut whole = Cursor::new(head).chain(reader);
    match form {
        Form::Text => text::read(&mut whole, &mut sink)?,
        Form::Csv => csv::read(&mut whole, &mut sink)?,
        Form::JsonLines => json::read_lines(&mut whole, &mut sink)?,
        Form::JsonDocument => json::read_document(&mut whole, &mut sink)?,
    }
    Ok(sink.report)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Csv,
    JsonLines,
    JsonDocument,
}

/// The first lines, up to the first that is neither empty nor a comment.
fn head_of(reader: &mut dyn BufRead) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while head.len() < MAX_LINE_BYTES {
        let start = head.len();
        let rest = (MAX_LINE_BYTES - start) as u64;
        let read = (&mut *reader).take(rest).read_until(b'\n', &mut head)?;
        let line = head.get(start..).unwrap_or_default();
        let is_comment = line.starts_with(b"#") || line.trim_ascii().is_empty();
        if read == 0 || !is_comment {
            break;
        }
    }
    Ok(head)
}

fn form_of(name: &str, head: &[u8]) -> Form {
    let text = String::from_utf8_lossy(head);
    let text = text.trim_start_matches('\u{feff}').trim();
    let last = text.lines().last().unwrap_or_default();
    if last.starts_with(['{', '[']) && !name.ends_with(".txt") {
        return if last.starts_with('{') && is_line_of_its_own(last) {
            Form::JsonLines
        } else {
            Form::JsonDocument
        };
    }
    let is_csv = name.ends_with(".csv") && last.contains([',', ';', '\t']);
    if is_csv || csv::is_head(last) || csv::has_head_comment(text) {
        return Form::Csv;
    }
    Form::Text
}

/// Whether a line is a whole object that is no document of many.
fn is_line_of_its_own(line: &str) -> bool {
    let value: Result<serde_json::Value, _> = serde_json::from_str(line);
    value.is_ok_and(|value| {
        value["type"] != "bundle"
            && ["Event", "response", "objects"]
                .iter()
                .all(|key| value[key].is_null())
    })
}

/// Calls `each` with every line and its number, without its end. Lines that are too long are
/// refused.
fn lines(
    reader: &mut dyn BufRead,
    sink: &mut Sink<'_>,
    each: &mut dyn FnMut(&str, u64, &mut Sink<'_>),
) -> io::Result<()> {
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        if (&mut *reader).take(limit).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        number += 1;
        if line.len() > MAX_LINE_BYTES && !line.ends_with(b"\n") {
            reader.skip_until(b'\n')?;
            sink.report.refuse(
                number,
                format!("the line has more than {MAX_LINE_BYTES} bytes"),
            );
            continue;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        let text = if number == 1 {
            text.trim_start_matches('\u{feff}')
        } else {
            text
        };
        each(text, number, sink);
    }
}

#[cfg(test)]
mod tests;
