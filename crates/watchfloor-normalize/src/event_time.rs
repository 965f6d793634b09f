//! The time of an event from the fields that a kind names, or from the usual names where no
//! pack knows the product.

use std::sync::Arc;

use jiff::Timestamp;
use watchfloor_decode::time::{
    Moment, parse_clf, parse_ctime, parse_epoch, parse_iso, parse_rfc3164_prefix,
};
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

/// Sets the time of rows that have none of their own yet.
pub(crate) fn apply(batch: &mut EventBatch, rows: &[u32], names: &[Arc<str>], is_known: bool) {
    for row in rows {
        let row = *row as usize;
        let Some(meta) = batch.rows().get(row).filter(|meta| !meta.has_own_time) else {
            continue;
        };
        let received_at = meta.received_at;
        let found = if names.is_empty() {
            USUAL
                .iter()
                .find_map(|name| read(batch, name, row, received_at))
        } else {
            names
                .iter()
                .find_map(|name| read(batch, name, row, received_at))
        };
        let anomaly = match found {
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

fn read(
    batch: &EventBatch,
    name: &str,
    row: usize,
    received_at: Timestamp,
) -> Option<(Option<Moment>, String)> {
    let value = batch.get(Namespace::Source, name, row)?;
    if matches!(value.kind, ValueKind::Null | ValueKind::Bool) || value.text.is_empty() {
        return None;
    }
    let moment = parse_any(value.text, received_at);
    let shown = if moment.is_none() { value.text } else { name };
    let shown: String = shown.chars().take(80).collect();
    Some((moment, shown))
}

/// Reads a time in any of the known forms.
pub(crate) fn parse_any(text: &str, received_at: Timestamp) -> Option<Moment> {
    let text = text.trim();
    match text.as_bytes().first()? {
        b'0'..=b'9' => parse_iso(text)
            .or_else(|| parse_epoch(text))
            .or_else(|| parse_clf(text)),
        _ => parse_rfc3164_prefix(text, received_at)
            .map(|(moment, _)| moment)
            .or_else(|| parse_ctime(text)),
    }
}
