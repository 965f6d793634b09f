//! Comma-separated values with a head line: MISP's export, and any table whose columns have
//! usual names.
//!
//! A column is known by its name. One named `value` takes its kind from the column `type` or
//! from its form; columns named for a kind (`dst_ip`, `sha256_hash`) give an indicator each. Some
//! producers put the head into the last comment.
//!
//! # Source
//! RFC 4180; MISP's CSV export (`uuid,event_id,category,type,value,comment,to_ids,date,…`).

use std::io::{self, BufRead};
use std::sync::Arc;

use super::text::cut;
use super::{ListFormat, MAX_LINE_BYTES, Sink, lines, words};
use crate::{Indicator, IndicatorKind, Value};

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Value,
    Kind,
    Of(IndicatorKind),
    Id,
    Name,
    Source,
    Confidence,
    Level,
    Tlp,
    From,
    Until,
    ForDetection,
    Other,
}

fn role(name: &str) -> Role {
    let name = name
        .trim()
        .trim_matches(['"', '#', ' '])
        .to_ascii_lowercase();
    match name.as_str() {
        "value" | "indicator" | "ioc" | "ioc_value" | "observable" => Role::Value,
        "type" | "kind" | "indicator_type" | "ioc_type" => Role::Kind,
        "id" | "uuid" | "indicator_id" => Role::Id,
        "name" | "description" | "comment" | "malware" | "threat" | "malware_printable" => {
            Role::Name
        }
        "source" | "reporter" | "feed" => Role::Source,
        "confidence" | "confidence_level" => Role::Confidence,
        "level" | "severity" => Role::Level,
        "tlp" => Role::Tlp,
        "valid_from" | "first_seen" | "first_seen_utc" | "date" | "dateadded" => Role::From,
        "valid_until" | "expires" | "expiration" => Role::Until,
        "to_ids" => Role::ForDetection,
        name => words::kind(name).map_or(Role::Other, Role::Of),
    }
}

/// Whether a line is a head: it names a column of values, and more than one column or exactly
/// `value`.
pub(super) fn is_head(line: &str) -> bool {
    let separator = separator(line);
    let cells = cells(line.trim_start_matches('#').trim(), separator);
    let roles: Vec<Role> = cells.iter().map(|cell| role(cell)).collect();
    let has_value = roles
        .iter()
        .any(|role| matches!(role, Role::Value | Role::Of(_)));
    has_value && (cells.len() > 1 || roles == [Role::Value])
}

/// Whether one of these comments is a head.
pub(super) fn has_head_comment(text: &str) -> bool {
    text.lines()
        .any(|line| line.starts_with('#') && line.contains(',') && is_head(line))
}

fn separator(line: &str) -> char {
    let count = |separator: char| line.matches(separator).count();
    let all = [',', ';', '\t'];
    all.into_iter()
        .max_by_key(|separator| (count(*separator), *separator == ','))
        .unwrap_or(',')
}

/// The cells of a record; `""` inside quotes is a quote.
fn cells(record: &str, separator: char) -> Vec<String> {
    let mut cells = vec![String::new()];
    let mut is_quoted = false;
    let mut rest = record.chars().peekable();
    while let Some(next) = rest.next() {
        let Some(cell) = cells.last_mut() else {
            break;
        };
        match next {
            '"' if is_quoted && rest.peek() == Some(&'"') => {
                rest.next();
                cell.push('"');
            }
            '"' if is_quoted => is_quoted = false,
            '"' if cell.trim().is_empty() => {
                is_quoted = true;
                cell.clear();
            }
            _ if next == separator && !is_quoted => cells.push(String::new()),
            _ => cell.push(next),
        }
    }
    cells
}

pub(super) fn read(reader: &mut dyn BufRead, sink: &mut Sink<'_>) -> io::Result<()> {
    sink.report.format = Some(ListFormat::Csv);
    let mut table = Table::default();
    let mut open = String::new();
    let mut open_since = 0;
    lines(reader, sink, &mut |line, number, sink| {
        if open.is_empty() {
            if line.trim().is_empty() {
                return;
            }
            if line.starts_with('#') {
                table.note_comment(line);
                return;
            }
            open_since = number;
        } else {
            open.push('\n');
        }
        open.push_str(line);
        // An odd number of quotes: the record goes on in the next line.
        let is_open = open.matches('"').count() % 2 == 1;
        if is_open && open.len() < MAX_LINE_BYTES {
            return;
        }
        let record = std::mem::take(&mut open);
        table.record(&record, open_since, sink);
    })?;
    if !open.is_empty() {
        sink.report.refuse(open_since, "a quote is not closed");
    }
    Ok(())
}

#[derive(Default)]
struct Table {
    roles: Vec<Role>,
    separator: char,
    /// The head of a comment, until a record shows whether it is one.
    is_from_comment: bool,
}

impl Table {
    fn note_comment(&mut self, line: &str) {
        if line.contains(',') && is_head(line) && (self.roles.is_empty() || self.is_from_comment) {
            self.is_from_comment = true;
            self.set_head(line);
        }
    }

    fn set_head(&mut self, line: &str) {
        let line = line.trim_start_matches('#').trim();
        self.separator = separator(line);
        self.roles = cells(line, self.separator)
            .iter()
            .map(|cell| role(cell))
            .collect();
    }

    fn record(&mut self, record: &str, number: u64, sink: &mut Sink<'_>) {
        if self.roles.is_empty() || (self.is_from_comment && is_head(record)) {
            self.is_from_comment = false;
            if is_head(record) {
                self.set_head(record);
                return;
            }
            // Without a head the first cell is the value.
            self.separator = separator(record);
            self.roles = vec![Role::Value];
        }
        let cells = cells(record, self.separator);
        let cell = |wanted: Role| {
            let place = self.roles.iter().position(|role| *role == wanted);
            let text = place
                .and_then(|place| cells.get(place))
                .map(|cell| cell.trim());
            text.filter(|text| !text.is_empty())
        };
        if cell(Role::ForDetection).is_some_and(|word| matches!(word, "0" | "false" | "False")) {
            sink.report.pass_over("not meant for detection (to_ids)");
            return;
        }
        let mut found = 0;
        if let Some(text) = cell(Role::Value) {
            found += 1;
            match value_of(cell(Role::Kind), text) {
                Ok(value) => self.take(value, &cell, number, sink),
                Err(Fault::Refused(reason)) => sink.report.refuse(number, reason),
                Err(Fault::NotUnderstood(reason)) => sink.report.pass_over(&reason),
            }
        }
        for kind in IndicatorKind::ALL {
            let Some(text) = cell(Role::Of(kind)) else {
                continue;
            };
            found += 1;
            match Value::parse(kind, text) {
                Ok(value) => self.take(value, &cell, number, sink),
                Err(error) => sink.report.refuse(number, error),
            }
        }
        if found == 0 {
            sink.report.refuse(number, "no value in this line");
        }
    }

    fn take<'a>(
        &self,
        value: Value,
        cell: &impl Fn(Role) -> Option<&'a str>,
        number: u64,
        sink: &mut Sink<'_>,
    ) {
        let mut indicator = Indicator::of(value);
        indicator.id = cell(Role::Id).map(str::to_owned);
        indicator.name = cell(Role::Name).map(str::to_owned);
        indicator.source = Arc::from(cell(Role::Source).unwrap_or_default());
        indicator.confidence = cell(Role::Confidence).and_then(words::confidence);
        indicator.level = cell(Role::Level).and_then(words::level);
        indicator.tlp = cell(Role::Tlp).and_then(words::tlp);
        indicator.valid_from = cell(Role::From).and_then(words::time);
        if let Some(text) = cell(Role::Until) {
            indicator.valid_until = words::time(text);
            if indicator.valid_until.is_none() {
                // Without its end it would be met for ever.
                sink.report
                    .refuse(number, format!("'{}' is no time for the end", cut(text)));
                return;
            }
        }
        sink.take(indicator);
    }
}

enum Fault {
    Refused(String),
    NotUnderstood(String),
}

fn value_of(word: Option<&str>, text: &str) -> Result<Value, Fault> {
    let refused = |error: crate::ValueError| Fault::Refused(error.to_string());
    let Some(word) = word else {
        return Value::detect(text).map_err(refused);
    };
    match words::kind(word) {
        Some(kind) => Value::parse(kind, words::part(word, text)).map_err(refused),
        None => Err(Fault::NotUnderstood(format!("type {}", cut(word)))),
    }
}
