//! The streams of events: real recordings as flat JSON lines, the same bytes for every engine.
//!
//! A recording is short, so it is repeated until the stream is long enough; in each repetition
//! what is new in life is new (times, process ids, GUIDs, log-on ids, ports, record numbers),
//! so that nine of ten field values repeat, as in the recordings themselves.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value};
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_event::{EventBatch, Format, Namespace, RawRecord, ValueKind};

/// Names of fields whose values are new in every repetition.
const VOLATILE: [&str; 12] = [
    "time",
    "guid",
    "processid",
    "recordid",
    "recordnumber",
    "logonid",
    "port",
    "threadid",
    "eventrecordid",
    "handleid",
    "sequence",
    "uid",
];

/// Writes the three kinds of stream, each of `events` lines, as files into a folder.
pub fn prepare(corpus: &Path, demo: &Path, events: usize, out: &Path) -> Result<()> {
    let mut evtx = Vec::new();
    for folder in ["sigma-regression", "evtx-to-mitre"] {
        for path in files(&corpus.join(folder), "evtx") {
            evtx.extend(flat_file(&path)?);
        }
    }
    let mut otrf = Vec::new();
    for path in files(&corpus.join("otrf-atomic"), "zip") {
        otrf.extend(zipped_lines(&path)?);
    }
    let mut mixed = Vec::new();
    let others = flat_recording(&demo.join("background.ndjson.gz"))?;
    let longest = evtx.len().max(otrf.len()).max(others.len());
    for at in 0..longest {
        for source in [&evtx, &otrf, &others] {
            mixed.push(source[at % source.len()].clone());
        }
    }
    std::fs::create_dir_all(out)?;
    for (name, values) in [("evtx", evtx), ("mixed", mixed), ("otrf", otrf)] {
        let text = repeat(&values, events).join("\n");
        std::fs::write(out.join(format!("{name}.ndjson")), text)?;
    }
    Ok(())
}

fn repeat(values: &[Map<String, Value>], events: usize) -> Vec<String> {
    let mut lines = Vec::with_capacity(events);
    let mut round = 0;
    while lines.len() < events && !values.is_empty() {
        for value in values.iter().take(events - lines.len()) {
            let mut value = value.clone();
            if round > 0 {
                renew(&mut value, round);
            }
            lines.push(serde_json::to_string(&value).unwrap_or_default());
        }
        round += 1;
    }
    lines
}

fn renew(value: &mut Map<String, Value>, round: usize) {
    for (name, value) in value.iter_mut() {
        let folded = name.to_lowercase();
        if !VOLATILE.iter().any(|part| folded.contains(part)) {
            continue;
        }
        match value {
            Value::Number(number) => {
                if let Some(number) = number.as_i64() {
                    *value = (number + round as i64 * 4).into();
                }
            }
            Value::String(text) => {
                // The last digits carry the round; years and hours stay what they are.
                let mut carry = round as u32;
                let renewed: Vec<u8> = text
                    .bytes()
                    .rev()
                    .enumerate()
                    .map(|(at, byte)| {
                        if byte.is_ascii_digit() && at < 6 && text.len() > 3 {
                            let sum = u32::from(byte - b'0') + carry;
                            carry /= 10;
                            b'0' + (sum % 10) as u8
                        } else {
                            byte
                        }
                    })
                    .collect();
                *text = renewed.into_iter().rev().map(char::from).collect();
            }
            _ => {}
        }
    }
}

pub fn files(root: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.extension().is_some_and(|end| end == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn zipped_lines(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let mut archive = zip::ZipArchive::new(std::fs::File::open(path)?)?;
    let mut events = Vec::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index)?;
        if file.name().starts_with("__MACOSX") || !file.name().ends_with(".json") {
            continue;
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let text = String::from_utf8_lossy(&bytes);
        events.extend(
            text.lines()
                .filter_map(|line| serde_json::from_str(line).ok()),
        );
    }
    Ok(events)
}

/// The records of a file as flat objects of source fields.
fn flat_file(path: &Path) -> Result<Vec<Map<String, Value>>> {
    let file = std::fs::File::open(path).with_context(|| format!("{}", path.display()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut events = Vec::new();
    framing::read_records(file, &name, None, &mut |framed| {
        let context = framed.context.clone();
        events.extend(flat_record(
            &mut decoder,
            framed.format,
            context,
            framed.bytes,
        ));
        ControlFlow::Continue(())
    })?;
    Ok(events)
}

/// The records inside a recording of the demonstration, whose times are put in at replay.
fn flat_recording(path: &Path) -> Result<Vec<Map<String, Value>>> {
    const TIMES: [(&str, &str); 6] = [
        ("{{clf}}", "24/Nov/2026:11:00:00 +0000"),
        ("{{epoch}}", "1795518000"),
        ("{{iso_ms}}", "2026-11-24T11:00:00.000Z"),
        ("{{iso}}", "2026-11-24T11:00:00Z"),
        ("{{rfc3164}}", "Nov 24 11:00:00"),
        ("{{windows}}", "2026-11-24T11:00:00.0000000Z"),
    ];
    let file = std::fs::File::open(path).with_context(|| format!("{}", path.display()))?;
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut events = Vec::new();
    framing::read_records(file, "recording.ndjson.gz", None, &mut |framed| {
        let recorded: Value = serde_json::from_slice(framed.bytes).unwrap_or_default();
        let text = |key: &str| recorded[key].as_str();
        let mut line = text("line").unwrap_or_default().to_owned();
        for (mark, time) in TIMES {
            line = line.replace(mark, time);
        }
        let format = text("format")
            .and_then(Format::parse)
            .unwrap_or(Format::Auto);
        let context = text("context").map(Arc::from);
        events.extend(flat_record(&mut decoder, format, context, line.as_bytes()));
        ControlFlow::Continue(())
    })?;
    Ok(events)
}

fn flat_record(
    decoder: &mut Decoder,
    format: Format,
    context: Option<Arc<str>>,
    bytes: &[u8],
) -> Vec<Map<String, Value>> {
    let mut batch = EventBatch::new();
    decoder.decode(
        &mut batch,
        &RawRecord {
            source: Arc::from("bench"),
            format,
            context,
            position: 0,
            received_at: Timestamp::now(),
            bytes: Bytes::copy_from_slice(bytes),
        },
    );
    (0..batch.len()).map(|row| flat(&batch, row)).collect()
}

fn flat(batch: &EventBatch, row: usize) -> Map<String, Value> {
    let mut map = Map::new();
    for column in batch.columns(Namespace::Source) {
        let Some(value) = column.get(row) else {
            continue;
        };
        let json = match value.kind {
            ValueKind::Str => Value::String(value.text.to_owned()),
            ValueKind::Null => Value::Null,
            _ => serde_json::from_str(value.text).unwrap_or(Value::Null),
        };
        map.insert(column.name().to_string(), json);
    }
    map
}
