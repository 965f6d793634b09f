//! Splunk's HTTP Event Collector: objects one after another, each with an `event` and what is
//! said about it.
//!
//! # Source
//! Splunk Enterprise 9 documentation, "Format events for HTTP Event Collector", "Possible
//! error codes".

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Enveloped;
use super::out::Out;

/// One envelope as it was sent.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow, default)]
    time: Option<&'a RawValue>,
    #[serde(borrow, default)]
    host: Option<&'a RawValue>,
    #[serde(borrow, default)]
    source: Option<&'a RawValue>,
    #[serde(borrow, default)]
    sourcetype: Option<&'a RawValue>,
    #[serde(borrow, default)]
    index: Option<&'a RawValue>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    fields: Option<&'a RawValue>,
}

/// What a request says of all its events; an envelope's own word goes before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Host.
    pub host: Option<String>,
    /// Source.
    pub source: Option<String>,
    /// Kind of source.
    pub sourcetype: Option<String>,
    /// Index.
    pub index: Option<String>,
}

/// Why an event was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HecFault {
    /// It is not JSON, or no object.
    Malformed,
    /// It has no `event`.
    EventMissing,
    /// Its `event` is empty.
    EventBlank,
}

/// An event, or why there is none.
pub type HecEvent = Result<Enveloped, HecFault>;

/// Cuts a body into its events, in their order. What is not JSON costs itself and what stands
/// on its line.
pub fn events(body: &[u8], metadata: &Metadata) -> Vec<HecEvent> {
    let mut found = Vec::new();
    let mut rest = body;
    loop {
        let start = rest
            .iter()
            .position(|byte| !byte.is_ascii_whitespace() && *byte != b',');
        let Some(start) = start else {
            return found;
        };
        rest = rest.get(start..).unwrap_or(&[]);
        let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(value)) => {
                let end = values.byte_offset();
                one_or_list(value.get(), metadata, &mut found);
                rest = rest.get(end..).unwrap_or(&[]);
            }
            Some(Err(_)) => {
                found.push(Err(HecFault::Malformed));
                let end = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
                rest = rest.get(end..).unwrap_or(&[]);
            }
            None => return found,
        }
    }
}

/// Some senders put their envelopes into one list.
fn one_or_list(value: &str, metadata: &Metadata, found: &mut Vec<HecEvent>) {
    if !value.starts_with('[') {
        found.push(one(value, metadata));
        return;
    }
    match serde_json::from_str::<Vec<&RawValue>>(value) {
        Ok(values) => found.extend(values.iter().map(|value| one(value.get(), metadata))),
        Err(_) => found.push(Err(HecFault::Malformed)),
    }
}

fn one(value: &str, metadata: &Metadata) -> HecEvent {
    let envelope: Envelope<'_> = serde_json::from_str(value).map_err(|_| HecFault::Malformed)?;
    let event = envelope.event.ok_or(HecFault::EventMissing)?.get();
    if matches!(event, "\"\"" | "null" | "{}") {
        return Err(HecFault::EventBlank);
    }
    let mut out = Out::default();
    let inner = event
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'));
    let inner = inner.map(str::trim);
    match inner {
        Some("") => return Err(HecFault::EventBlank),
        // An object keeps its fields where packs look for them.
        Some(inner) => {
            out.open();
            out.raw(inner);
            out.bytes.push(b',');
        }
        None => {
            out.open();
            out.name("message");
            if event.starts_with('"') {
                out.raw(event);
            } else {
                out.text(event);
            }
            out.bytes.push(b',');
        }
    }
    out.text("hec");
    out.bytes.push(b':');
    out.open();
    if let Some(time) = envelope.time {
        out.name("time");
        out.raw(time.get());
    }
    for (name, own, of_all) in [
        ("host", envelope.host, &metadata.host),
        ("source", envelope.source, &metadata.source),
        ("sourcetype", envelope.sourcetype, &metadata.sourcetype),
        ("index", envelope.index, &metadata.index),
    ] {
        match (own, of_all) {
            (Some(own), _) => {
                out.name(name);
                out.raw(own.get());
            }
            (None, Some(text)) => out.member(name, text),
            (None, None) => {}
        }
    }
    if let Some(fields) = envelope.fields {
        out.name("fields");
        out.raw(fields.get());
    }
    out.close();
    out.close();
    let own = envelope
        .sourcetype
        .and_then(|own| serde_json::from_str::<String>(own.get()).ok());
    Ok(Enveloped {
        bytes: out.bytes,
        label: own.or_else(|| metadata.sourcetype.clone()),
    })
}

/// Cuts a raw body into its lines. They stay as they are, unless something is said of them.
pub fn lines(body: &[u8], metadata: &Metadata) -> Vec<Enveloped> {
    let lines = body.split(|byte| *byte == b'\n').filter_map(|line| {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.iter().all(u8::is_ascii_whitespace) {
            return None;
        }
        let is_plain = metadata.host.is_none() && metadata.source.is_none();
        let bytes = if is_plain {
            line.to_vec()
        } else {
            let mut out = Out::default();
            out.open();
            out.member("message", &String::from_utf8_lossy(line));
            out.name("hec");
            out.open();
            for (name, value) in [
                ("host", &metadata.host),
                ("source", &metadata.source),
                ("sourcetype", &metadata.sourcetype),
                ("index", &metadata.index),
            ] {
                if let Some(value) = value {
                    out.member(name, value);
                }
            }
            out.close();
            out.close();
            out.bytes
        };
        Some(Enveloped {
            bytes,
            label: metadata.sourcetype.clone(),
        })
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &[Result<&str, HecFault>]) {
        let found = events(body.as_bytes(), &Metadata::default());
        let found: Vec<Result<String, HecFault>> = found
            .into_iter()
            .map(|event| event.map(|event| String::from_utf8(event.bytes).unwrap()))
            .collect();
        let expected: Vec<Result<String, HecFault>> =
            expected.iter().map(|one| one.map(str::to_owned)).collect();
        assert_eq!(found, expected);
        for json in found.into_iter().flatten() {
            serde_json::from_str::<serde_json::Value>(&json).unwrap();
        }
    }

    #[test]
    fn envelopes_one_after_another() {
        check(
            r#"{"event":"a","host":"h"}{"event":{"x":1},"time":1.5}
               {"event":5,"sourcetype":"s","fields":{"k":"v"}}"#,
            &[
                Ok(r#"{"message":"a","hec":{"host":"h"}}"#),
                Ok(r#"{"x":1,"hec":{"time":1.5}}"#),
                Ok(r#"{"message":"5","hec":{"sourcetype":"s","fields":{"k":"v"}}}"#),
            ],
        );
        check(
            r#"[{"event":"a"},{"event":"b"}]"#,
            &[
                Ok(r#"{"message":"a","hec":{}}"#),
                Ok(r#"{"message":"b","hec":{}}"#),
            ],
        );
    }

    #[test]
    fn broken_ones_cost_themselves() {
        check(
            "{\"event\":\"a\"}\n{broken\n{\"x\":1}{\"event\":\"\"}\n{\"event\":\"b\"}",
            &[
                Ok(r#"{"message":"a","hec":{}}"#),
                Err(HecFault::Malformed),
                Err(HecFault::EventMissing),
                Err(HecFault::EventBlank),
                Ok(r#"{"message":"b","hec":{}}"#),
            ],
        );
        check("  \n", &[]);
        check("{\"event\":", &[Err(HecFault::Malformed)]);
    }
}
