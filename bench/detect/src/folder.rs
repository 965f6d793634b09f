//! A folder of EVTX files to findings: ours as `watchfloor detect` does it, and the evtx crate
//! with rsigma-eval, on one thread each.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use evtx::{EvtxParser, ParserSettings};
use jiff::Timestamp;
use serde_json::{Map, Value};
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_event::{EventBatch, Finding, RawRecord};

use crate::ours::Ours;
use crate::peers::{self, Rsigma};
use crate::streams;

const RECORDS_PER_BATCH: usize = 4096;

pub fn files(folder: &Path) -> Vec<PathBuf> {
    streams::files(folder, "evtx")
}

pub fn bytes(files: &[PathBuf]) -> u64 {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |data| data.len());
    files.iter().map(size).sum()
}

/// Reads, decodes and evaluates all files; events and findings.
pub fn ours(ours: &Ours, files: &[PathBuf], mut take: impl FnMut(&[Finding])) -> Result<usize> {
    let mut detector = ours.detector.share();
    let mut events = 0;
    batches(ours, files, |batch| {
        events += batch.len();
        take(&detector.evaluate(batch).findings);
    })?;
    Ok(events)
}

/// Normalised batches of all files, in order.
fn batches(ours: &Ours, files: &[PathBuf], mut take: impl FnMut(&EventBatch)) -> Result<()> {
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut batch = EventBatch::new();
    let source: Arc<str> = Arc::from("bench");
    let now = Timestamp::now();
    let mut position = 0;
    for path in files {
        let file = std::fs::File::open(path).with_context(|| format!("{}", path.display()))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        framing::read_records(file, &name, None, &mut |framed| {
            let record = RawRecord {
                source: Arc::clone(&source),
                format: framed.format,
                context: framed.context.clone(),
                position,
                received_at: now,
                bytes: Bytes::copy_from_slice(framed.bytes),
            };
            position += 1;
            decoder.decode(&mut batch, &record);
            if batch.len() >= RECORDS_PER_BATCH {
                ours.packs.normalize(&mut batch);
                take(&batch);
                batch.clear();
            }
            ControlFlow::Continue(())
        })?;
    }
    ours.packs.normalize(&mut batch);
    take(&batch);
    Ok(())
}

/// The log source of each event of all files, in order: what routing gives to the peer.
pub fn logsources(routing: &Ours, files: &[PathBuf]) -> Result<Vec<rsigma_parser::LogSource>> {
    let mut found = Vec::new();
    batches(routing, files, |batch| {
        let kinds = (0..batch.len()).map(|row| peers::logsource(batch.kind_of(row)));
        found.extend(kinds);
    })?;
    Ok(found)
}

/// The evtx crate's JSON of all files, flattened to the names that Sigma uses; number of events.
pub fn parse(files: &[PathBuf], mut take: impl FnMut(Value)) -> Result<usize> {
    let settings = ParserSettings::new().num_threads(1).indent(false);
    let mut events = 0;
    for path in files {
        let parser = EvtxParser::from_path(path).with_context(|| format!("{}", path.display()))?;
        let mut parser = parser.with_configuration(settings.clone());
        for record in parser.records_json_value().flatten() {
            events += 1;
            take(flat(record.data));
        }
    }
    Ok(events)
}

/// Evaluates all files with rsigma-eval; number of findings.
pub fn rsigma(
    peer: &Rsigma,
    files: &[PathBuf],
    logsources: &[rsigma_parser::LogSource],
) -> Result<usize> {
    let (mut event, mut found) = (0, 0);
    parse(files, |value| {
        if let Some(source) = logsources.get(event) {
            found += peer.count(&value, source);
        }
        event += 1;
    })?;
    Ok(found)
}

fn flat(record: Value) -> Value {
    let mut into = Map::new();
    let Value::Object(mut record) = record else {
        return Value::Null;
    };
    let Some(Value::Object(event)) = record.remove("Event") else {
        return Value::Null;
    };
    for (part, value) in event {
        let Value::Object(fields) = value else {
            continue;
        };
        for (name, value) in fields {
            match (part.as_str(), value) {
                ("UserData", Value::Object(inner)) => into.extend(inner),
                ("System", Value::Object(element)) => system(&name, element, &mut into),
                (_, value) => {
                    into.insert(name, value);
                }
            }
        }
    }
    Value::Object(into)
}

fn system(name: &str, element: Map<String, Value>, into: &mut Map<String, Value>) {
    for (key, value) in element {
        match (key.as_str(), value) {
            ("#attributes", Value::Object(attributes)) => {
                for (attribute, value) in attributes {
                    into.insert(format!("{name}_{attribute}"), value);
                }
            }
            ("#text", value) => {
                into.insert(name.to_owned(), value);
            }
            _ => {}
        }
    }
}
