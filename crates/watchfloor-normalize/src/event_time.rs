//! The time of an event from the fields that a kind names, or from the usual names where no
//! pack knows the product.

use std::sync::Arc;

use jiff::Timestamp;
use watchfloor_decode::time::{Moment, parse_any, parse_pattern};
use watchfloor_event::{Anomaly, AnomalyCode, EventBatch, Namespace, ValueKind};

/// Names under which programs write the time, most telling first.
pub(crate) const USUAL: [&str; 14] = [
    "@timestamp",
    "timestamp",
    "eventTime",
    "event_time",
    "time",
    "ts",
    "TimeCreated",
    "UtcTime",
    "created_at",
    "datetime",
    "date",
    "Timestamp",
    "TimeGenerated",
    "published",
];

/// Names under which the envelope of a protocol says the time; they stand behind all others.
const ENVELOPE: [&str; 4] = ["otel.time", "hec.time", "loki.time", "otel.observed_time"];

/// Where a kind's time stands.
#[derive(Clone, Debug)]
pub(crate) struct TimeSource {
    /// One field, or several that are put together with blanks between.
    pub(crate) fields: Vec<Arc<str>>,
    /// Patterns of `strptime`, tried before the usual forms.
    pub(crate) patterns: Vec<String>,
}

impl TimeSource {
    /// A field that holds the whole time in a usual form.
    pub(crate) fn field(name: &str) -> Self {
        Self {
            fields: vec![Arc::from(name)],
            patterns: Vec::new(),
        }
    }
}

/// What is asked of the times of events.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    /// Whether a pack knows the events, so that a missing time is odd.
    pub(crate) is_known: bool,
    /// Whether the fields go before the time of the syslog header.
    pub(crate) prefers: bool,
}

/// Sets the time of rows that have none of their own yet, or of all if the fields go first.
pub(crate) fn apply(batch: &mut EventBatch, rows: &[u32], sources: &[TimeSource], asked: Asked) {
    let is_known = asked.is_known;
    for row in rows {
        let row = *row as usize;
        let Some(meta) = batch.rows().get(row) else {
            continue;
        };
        let has_own_time = meta.has_own_time;
        if has_own_time && !asked.prefers {
            continue;
        }
        let received_at = meta.received_at;
        let found = if sources.is_empty() {
            USUAL
                .iter()
                .find_map(|name| read(batch, name, &[], row, received_at))
        } else {
            sources
                .iter()
                .find_map(|source| read_source(batch, source, row, received_at))
        };
        let found = match found {
            Some((Some(_), _)) => found,
            _ if has_own_time => found,
            _ => ENVELOPE
                .iter()
                .find_map(|name| read(batch, name, &[], row, received_at))
                .or(found),
        };
        let anomaly = match found {
            None | Some((None, _)) if has_own_time => continue,
            Some((Some(moment), shown)) => match moment.plausible(received_at) {
                Some(time) => {
                    let meta = batch.row_mut(row);
                    meta.time = time;
                    meta.has_own_time = true;
                    continue;
                }
                None => Anomaly::new(AnomalyCode::TimeImplausible, shown),
            },
            // A field of a usual name may be something else altogether.
            Some((None, _)) if !is_known => continue,
            Some((None, shown)) => Anomaly::new(AnomalyCode::TimeUnreadable, shown),
            None if is_known => Anomaly::new(AnomalyCode::TimeMissing, "no time in the record"),
            None => continue,
        };
        let is_noted = batch
            .anomalies()
            .iter()
            .rev()
            .take_while(|(at, _)| *at >= row)
            .any(|(at, known)| {
                let is_time = matches!(
                    known.code,
                    AnomalyCode::TimeMissing
                        | AnomalyCode::TimeUnreadable
                        | AnomalyCode::TimeImplausible
                );
                *at == row && is_time
            });
        if !is_noted {
            batch.add_anomaly(row, anomaly);
        }
    }
}

fn read_source(
    batch: &EventBatch,
    source: &TimeSource,
    row: usize,
    received_at: Timestamp,
) -> Option<(Option<Moment>, String)> {
    if let [name] = source.fields.as_slice() {
        return read(batch, name, &source.patterns, row, received_at);
    }
    let mut text = String::new();
    for name in &source.fields {
        let value = batch.get(Namespace::Source, name, row)?;
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend(value.text.chars().take(80));
    }
    let moment = parse(&text, &source.patterns, received_at);
    Some((moment, text))
}

fn parse(text: &str, patterns: &[String], received_at: Timestamp) -> Option<Moment> {
    patterns
        .iter()
        .find_map(|pattern| parse_pattern(pattern, text, received_at))
        .or_else(|| parse_any(text, received_at))
}

fn read(
    batch: &EventBatch,
    name: &str,
    patterns: &[String],
    row: usize,
    received_at: Timestamp,
) -> Option<(Option<Moment>, String)> {
    let value = batch.get(Namespace::Source, name, row)?;
    if matches!(value.kind, ValueKind::Null | ValueKind::Bool) || value.text.is_empty() {
        return None;
    }
    let moment = parse(value.text, patterns, received_at);
    let shown = if moment.is_none() { value.text } else { name };
    let shown: String = shown.chars().take(80).collect();
    Some((moment, shown))
}
