//! Loki's push: streams of lines with labels, as Protocol Buffers (unpacked) or JSON.
//!
//! # Source
//! Grafana Loki documentation, "Loki HTTP API, Ingest logs"; `pkg/push/push.proto`.

use serde_json::Value;

use super::out::{Out, nanos};
use super::protobuf::Message;
use super::{EnvelopeError, Enveloped};

type Labels = Vec<(String, String)>;

/// Reads the binary form, after Snappy.
///
/// # Errors
/// If it is not well-formed.
pub fn from_protobuf(body: &[u8]) -> Result<Vec<Enveloped>, EnvelopeError> {
    let mut records = Vec::new();
    let mut request = Message::new(body);
    while let Some((number, field)) = request.next()? {
        if number != 1 {
            continue;
        }
        let mut stream = Labels::new();
        let mut entries = Vec::new();
        let mut message = Message::new(field.bytes());
        while let Some((number, field)) = message.next()? {
            match number {
                1 => stream = parse_labels(&field.text()),
                2 => entries.push(field.bytes()),
                _ => {}
            }
        }
        for entry in entries {
            records.push(entry_of(entry, &stream)?);
        }
    }
    Ok(records)
}

fn entry_of(bytes: &[u8], labels: &Labels) -> Result<Enveloped, EnvelopeError> {
    let (mut time, mut line, mut metadata) = (0, String::new(), Labels::new());
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => {
                let mut parts = Message::new(field.bytes());
                while let Some((number, field)) = parts.next()? {
                    let factor = if number == 1 { 1_000_000_000 } else { 1 };
                    time += field.number().saturating_mul(factor).min(u64::MAX / 2);
                }
            }
            2 => line = field.text().into_owned(),
            3 => {
                let mut pair = (String::new(), String::new());
                let mut parts = Message::new(field.bytes());
                while let Some((number, field)) = parts.next()? {
                    match number {
                        1 => pair.0 = field.text().into_owned(),
                        2 => pair.1 = field.text().into_owned(),
                        _ => {}
                    }
                }
                metadata.push(pair);
            }
            _ => {}
        }
    }
    Ok(written(&line, nanos(time), labels, &metadata))
}

/// Reads the JSON form.
///
/// # Errors
/// If it is not well-formed.
pub fn from_json(body: &[u8]) -> Result<Vec<Enveloped>, EnvelopeError> {
    let malformed = |reason: String| EnvelopeError::Malformed {
        form: "JSON body of Loki's push",
        reason,
    };
    let request: Value =
        serde_json::from_slice(body).map_err(|error| malformed(error.to_string()))?;
    let streams = request.get("streams").and_then(Value::as_array);
    let streams = streams.ok_or_else(|| malformed("streams is missing".to_owned()))?;
    let mut records = Vec::new();
    for stream in streams {
        let labels = object(stream.get("stream"));
        let values = stream.get("values").and_then(Value::as_array);
        for value in values.into_iter().flatten() {
            let line = value.get(1).and_then(Value::as_str);
            let line = line.ok_or_else(|| malformed("a value is not [time, line]".to_owned()))?;
            let time = match value.get(0) {
                Some(Value::String(text)) => text.parse().unwrap_or(0),
                Some(other) => other.as_u64().unwrap_or(0),
                None => 0,
            };
            records.push(written(line, nanos(time), &labels, &object(value.get(2))));
        }
    }
    Ok(records)
}

fn object(value: Option<&Value>) -> Labels {
    let members = value.and_then(Value::as_object).into_iter().flatten();
    members
        .map(|(name, value)| {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            (name.clone(), text)
        })
        .collect()
}

/// Reads `{job="varlogs", host="web-01"}`.
fn parse_labels(text: &str) -> Labels {
    let mut labels = Labels::new();
    let mut rest = text.trim().trim_start_matches('{');
    while let Some((name, after)) = rest.split_once("=\"") {
        let name = name.trim_matches([',', ' ']).to_owned();
        let mut value = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, 't')) => value.push('\t'),
                    Some((_, other)) => value.push(other),
                    None => {}
                },
                '"' => {
                    end = at + 1;
                    break;
                }
                other => value.push(other),
            }
        }
        labels.push((name, value));
        rest = after.get(end..).unwrap_or("");
    }
    labels
}

/// Labels under which senders name the program, most telling first.
const PROGRAM: [&str; 5] = [
    "service_name",
    "app",
    "job",
    "syslog_identifier",
    "filename",
];

fn written(line: &str, time: Option<String>, labels: &Labels, metadata: &Labels) -> Enveloped {
    let mut out = Out::default();
    out.open();
    out.member("message", line.trim_end_matches(['\r', '\n']));
    out.name("loki");
    out.open();
    if let Some(time) = time {
        out.member("time", &time);
    }
    for (name, pairs) in [("labels", labels), ("metadata", metadata)] {
        if !pairs.is_empty() {
            out.name(name);
            out.open();
            for (name, value) in pairs {
                out.member(name, value);
            }
            out.close();
        }
    }
    out.close();
    out.close();
    let label = PROGRAM.iter().find_map(|wanted| {
        let found = labels.iter().find(|(name, _)| name == wanted);
        found.map(|(_, value)| value.clone())
    });
    Enveloped {
        bytes: out.bytes,
        label,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_labels() {
        let body = br#"{"streams":[{"stream":{"job":"j","host":"h"},"values":[["1700000000000000000","a \"b\""],["0","c",{"trace_id":"1"}]]}]}"#;
        let records = from_json(body).unwrap();
        let texts: Vec<_> = records
            .iter()
            .map(|record| String::from_utf8_lossy(&record.bytes).into_owned())
            .collect();
        assert_eq!(
            texts,
            [
                r#"{"message":"a \"b\"","loki":{"time":"2023-11-14T22:13:20Z","labels":{"job":"j","host":"h"}}}"#,
                r#"{"message":"c","loki":{"labels":{"job":"j","host":"h"},"metadata":{"trace_id":"1"}}}"#,
            ]
        );
        assert_eq!(records[0].label.as_deref(), Some("j"));
        assert!(from_json(b"{}").is_err());
        assert_eq!(
            parse_labels(r#"{job="a\"b", x="y"}"#),
            [
                ("job".to_owned(), "a\"b".to_owned()),
                ("x".to_owned(), "y".to_owned())
            ]
        );
        assert_eq!(parse_labels("{a=\"").len(), 1);
    }

    #[test]
    fn protobuf() {
        let entry = [
            &[0x0a, 6, 8, 0x80, 0xe2, 0xcf, 0xaa, 6][..],
            &[0x12, 2, b'h', b'i'],
        ]
        .concat();
        let labels = br#"{a="b"}"#;
        let mut stream = vec![0x0a, 7];
        stream.extend_from_slice(labels);
        stream.extend([0x12, u8::try_from(entry.len()).unwrap()]);
        stream.extend(&entry);
        let mut body = vec![0x0a, u8::try_from(stream.len()).unwrap()];
        body.extend(&stream);
        let records = from_protobuf(&body).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&records[0].bytes),
            r#"{"message":"hi","loki":{"time":"2023-11-14T22:13:20Z","labels":{"a":"b"}}}"#
        );
        assert!(from_protobuf(&body[..body.len() - 1]).is_err());
    }
}
