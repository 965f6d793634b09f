//! The demo's recordings: every record is understood, mapped and timed without an anomaly.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

mod packs;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_event::{EventBatch, Format, RawRecord};

const START: &str = "2026-11-24T11:00:00Z";

fn filled(line: &str, at: Timestamp) -> String {
    let show = |form: &str| at.strftime(form).to_string();
    [
        ("{{rfc3164}}", show("%b %e %H:%M:%S")),
        ("{{rfc5424}}", show("%Y-%m-%dT%H:%M:%S%.3fZ")),
        ("{{iso_ms}}", show("%Y-%m-%dT%H:%M:%S%.3fZ")),
        ("{{iso}}", show("%Y-%m-%dT%H:%M:%SZ")),
        ("{{windows}}", show("%Y-%m-%dT%H:%M:%S%.7fZ")),
        ("{{clf}}", show("%d/%b/%Y:%H:%M:%S +0000")),
        ("{{audit}}", show("%s%.3f")),
        ("{{epoch_ms}}", at.as_millisecond().to_string()),
        ("{{epoch}}", at.as_second().to_string()),
    ]
    .iter()
    .fold(line.to_owned(), |line, (name, value)| {
        line.replace(name, value)
    })
}

fn batch_of(name: &str) -> EventBatch {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../demo")
        .join(name);
    let file = std::fs::File::open(path).expect("part of the repository");
    let start: Timestamp = START.parse().expect("a time");
    let mut batch = EventBatch::new();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut position = 0;
    framing::read_records(file, name, None, &mut |framed| {
        let entry: serde_json::Value = serde_json::from_slice(framed.bytes).expect("JSON");
        let text = |name: &str| entry.get(name).and_then(serde_json::Value::as_str);
        let at_ms = entry["at_ms"].as_i64().expect("an offset");
        let at = Timestamp::from_millisecond(start.as_millisecond() + at_ms).expect("in range");
        let line = filled(text("line").expect("a line"), at);
        assert!(!line.contains("{{"), "{line}");
        let record = RawRecord {
            source: text("source").expect("a source").into(),
            format: Format::parse(text("format").expect("a format")).expect("a known format"),
            context: text("context").map(Into::into),
            position,
            received_at: at,
            bytes: Bytes::from(line),
        };
        position += 1;
        assert_eq!(decoder.decode(&mut batch, &record), 1);
        ControlFlow::Continue(())
    })
    .expect("readable");
    packs::load().normalize(&mut batch);
    batch
}

#[test]
fn every_record_is_understood() {
    for (name, least) in [("intrusion.ndjson", 300), ("background.ndjson.gz", 20_000)] {
        let batch = batch_of(name);
        assert!(batch.len() >= least);
        let mut kinds: BTreeMap<&str, usize> = BTreeMap::new();
        for row in 0..batch.len() {
            let meta = &batch.rows()[row];
            let kind = batch.kind_of(row);
            *kinds.entry(&kind.name).or_default() += 1;
            let raw = String::from_utf8_lossy(&meta.raw);
            assert_ne!(meta.kind, 0, "unknown: {raw}");
            let gap = meta.time.as_second() - meta.received_at.as_second();
            assert!(
                meta.has_own_time && gap.abs() <= 1,
                "time {}: {raw}",
                meta.time
            );
        }
        assert!(
            batch.anomalies().is_empty(),
            "{name}: {:?}",
            batch.anomalies().first()
        );
        println!("{name}: {kinds:#?}");
    }
}
