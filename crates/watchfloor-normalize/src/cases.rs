//! Cases beside a pack: a real line, and what it must become.
//!
//! A case file is NDJSON: `{"line": …, "format": "syslog", "context": …, "kind": …,
//! "time": …, "expect": {attribute: value}}`; `product` beside them names the product, as a
//! source can. `line` is a text, or an object that stands for
//! its JSON; an expected value of `null` means that the attribute must be absent. Beside
//! attributes, `class_uid`, `activity_id`, `severity_id` and `status_id` can be expected, and
//! source fields as `unmapped.<name>`.

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use watchfloor_decode::{PRODUCT_CONTEXT, decode};
use watchfloor_event::{EventBatch, Format, Namespace, RawRecord};

use crate::PackSet;

/// Why a line is no case.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// The line does not have the form of a case.
    #[error("not a case: {0}")]
    Form(#[from] serde_json::Error),
    /// The named format does not exist.
    #[error("no format '{0}'")]
    Format(String),
    /// The time cannot be read.
    #[error("not a time: '{0}'")]
    Time(String),
}

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    record: RawRecord,
    kind: Option<String>,
    time: Option<Timestamp>,
    expect: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseText {
    line: Value,
    format: Option<String>,
    context: Option<String>,
    /// Short name of the pack that the source names as its product.
    product: Option<String>,
    received_at: Option<String>,
    kind: Option<String>,
    time: Option<String>,
    #[serde(default)]
    expect: Map<String, Value>,
}

impl Case {
    /// Reads one line of a case file. Cases are received at 2026-11-24T12:00:00Z unless they
    /// say otherwise.
    ///
    /// # Errors
    /// If the line does not have the form of a case.
    pub fn parse(line: &str) -> Result<Self, CaseError> {
        let text: CaseText = serde_json::from_str(line)?;
        let format = match text.format {
            None => Format::Auto,
            Some(word) => Format::parse(&word).ok_or(CaseError::Format(word))?,
        };
        let time = |text: String| text.parse().map_err(|_| CaseError::Time(text));
        let received_at = text.received_at.map(time).transpose()?;
        let named = text
            .product
            .map(|name| format!("{PRODUCT_CONTEXT}{name}\n"));
        let context = match (named, text.context) {
            (Some(named), Some(context)) => Some(named + &context),
            (named, context) => named.or(context),
        };
        Ok(Self {
            record: RawRecord {
                source: "case".into(),
                format,
                context: context.map(Into::into),
                position: 0,
                received_at: received_at.unwrap_or(Timestamp::constant(1_795_521_600, 0)),
                bytes: Bytes::from(match text.line {
                    Value::String(line) => line,
                    other => other.to_string(),
                }),
            },
            kind: text.kind,
            time: text.time.map(time).transpose()?,
            expect: text.expect,
        })
    }

    /// The record that the case decodes.
    pub fn record(&self) -> &RawRecord {
        &self.record
    }

    /// What the record becomes.
    pub fn batch(&self, packs: &PackSet) -> EventBatch {
        let mut batch = EventBatch::new();
        decode(&mut batch, &self.record);
        packs.normalize(&mut batch);
        batch
    }

    /// What differs from what is expected; nothing if all is well.
    pub fn check(&self, packs: &PackSet) -> Vec<String> {
        let batch = self.batch(packs);
        let mut found = Vec::new();
        let mut differ = |what: &str, expected: String, got: String| {
            if expected != got {
                found.push(format!("{what}: expected {expected}, got {got}"));
            }
        };
        let Some(meta) = batch.rows().first() else {
            return vec!["no event".to_owned()];
        };
        let kind = batch.kind_of(0);
        if let Some(expected) = &self.kind {
            differ("kind", expected.clone(), kind.name.to_string());
        }
        if let Some(expected) = self.time {
            differ("time", expected.to_string(), meta.time.to_string());
        }
        for (path, expected) in &self.expect {
            let got = match path.as_str() {
                "class_uid" => Some(kind.class_uid.to_string()),
                "activity_id" => Some(meta.activity_id.to_string()),
                "severity_id" => Some(meta.severity_id.to_string()),
                "status_id" => Some(meta.status_id.to_string()),
                path => {
                    let (namespace, name) = match path.strip_prefix("unmapped.") {
                        Some(name) => (Namespace::Source, name),
                        None => (Namespace::Ocsf, path),
                    };
                    batch
                        .get(namespace, name, 0)
                        .map(|value| value.text.to_owned())
                }
            };
            let expected = match expected {
                Value::Null => "nothing".to_owned(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            differ(path, expected, got.unwrap_or_else(|| "nothing".to_owned()));
        }
        for (_, anomaly) in batch.anomalies() {
            if !self.expect.contains_key("anomalies") {
                found.push(format!("anomaly {}: {}", anomaly.code, anomaly.detail));
            }
        }
        found
    }
}
