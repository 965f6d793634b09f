//! Logs of OpenTelemetry: `ExportLogsServiceRequest` as Protocol Buffers or JSON.
//!
//! # Source
//! opentelemetry-proto 1.7, `collector/logs/v1/logs_service.proto`, `logs/v1/logs.proto`,
//! `common/v1/common.proto`; OTLP specification, "JSON Protobuf Encoding".

use std::borrow::Cow;

use serde_json::Value;

use super::out::{Out, nanos};
use super::protobuf::{Field, Message};
use super::{DEPTH_MAX, EnvelopeError, Enveloped};

/// A value of any kind.
enum Any<'a> {
    None,
    Text(Cow<'a, str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    List(Vec<Any<'a>>),
    Map(Vec<(Cow<'a, str>, Any<'a>)>),
    Bytes(Cow<'a, [u8]>),
}

type Attributes<'a> = Vec<(Cow<'a, str>, Any<'a>)>;

/// What is said of many records.
#[derive(Default)]
struct Around<'a> {
    resource: Attributes<'a>,
    scope_name: Cow<'a, str>,
    scope_version: Cow<'a, str>,
    scope: Attributes<'a>,
}

#[derive(Default)]
struct Log<'a> {
    time: u64,
    observed: u64,
    severity: u64,
    severity_text: Cow<'a, str>,
    event_name: Cow<'a, str>,
    body: Option<Any<'a>>,
    attributes: Attributes<'a>,
    trace_id: String,
    span_id: String,
}

/// Reads the binary form.
///
/// # Errors
/// If it is not well-formed.
pub fn from_protobuf(body: &[u8]) -> Result<Vec<Enveloped>, EnvelopeError> {
    let mut records = Vec::new();
    let mut request = Message::new(body);
    while let Some((number, field)) = request.next()? {
        if number == 1 {
            resource_logs(field.bytes(), &mut records)?;
        }
    }
    Ok(records)
}

fn resource_logs(bytes: &[u8], records: &mut Vec<Enveloped>) -> Result<(), EnvelopeError> {
    let mut around = Around::default();
    let mut scopes = Vec::new();
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => around.resource = attributes(field.bytes(), 1, 0)?,
            2 => scopes.push(field.bytes()),
            _ => {}
        }
    }
    for scope in scopes {
        let mut logs = Vec::new();
        let mut message = Message::new(scope);
        while let Some((number, field)) = message.next()? {
            match number {
                1 => read_scope(field.bytes(), &mut around)?,
                2 => logs.push(field.bytes()),
                _ => {}
            }
        }
        for log in logs {
            records.push(written(&read_log(log)?, &around));
        }
    }
    Ok(())
}

fn read_scope<'a>(bytes: &'a [u8], around: &mut Around<'a>) -> Result<(), EnvelopeError> {
    around.scope = attributes(bytes, 3, 0)?;
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => around.scope_name = field.text(),
            2 => around.scope_version = field.text(),
            _ => {}
        }
    }
    Ok(())
}

fn read_log(bytes: &[u8]) -> Result<Log<'_>, EnvelopeError> {
    let mut log = Log::default();
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => log.time = field.number(),
            2 => log.severity = field.number(),
            3 => log.severity_text = field.text(),
            5 => log.body = Some(any(field.bytes(), 0)?),
            6 => log.attributes.push(key_value(field.bytes(), 0)?),
            9 => log.trace_id = hex(field.bytes()),
            10 => log.span_id = hex(field.bytes()),
            11 => log.observed = field.number(),
            12 => log.event_name = field.text(),
            _ => {}
        }
    }
    Ok(log)
}

/// The key-value pairs that a message has under a number.
fn attributes(bytes: &[u8], wanted: u32, depth: usize) -> Result<Attributes<'_>, EnvelopeError> {
    let mut pairs = Vec::new();
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next()? {
        if number == wanted {
            pairs.push(key_value(field.bytes(), depth)?);
        }
    }
    Ok(pairs)
}

fn key_value(bytes: &[u8], depth: usize) -> Result<(Cow<'_, str>, Any<'_>), EnvelopeError> {
    let mut pair = (Cow::Borrowed(""), Any::None);
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next()? {
        match number {
            1 => pair.0 = field.text(),
            2 => pair.1 = any(field.bytes(), depth)?,
            _ => {}
        }
    }
    Ok(pair)
}

fn any(bytes: &[u8], depth: usize) -> Result<Any<'_>, EnvelopeError> {
    if depth > DEPTH_MAX {
        return Err(EnvelopeError::TooDeep);
    }
    let mut value = Any::None;
    let mut message = Message::new(bytes);
    while let Some((number, field)) = message.next()? {
        value = match (number, &field) {
            (1, _) => Any::Text(field.text()),
            (2, _) => Any::Bool(field.number() != 0),
            (3, _) => Any::Int(field.number().cast_signed()),
            (4, Field::Fixed64(bits)) => Any::Double(f64::from_bits(*bits)),
            (5, _) => {
                let mut list = Vec::new();
                let mut values = Message::new(field.bytes());
                while let Some((number, field)) = values.next()? {
                    if number == 1 {
                        list.push(any(field.bytes(), depth + 1)?);
                    }
                }
                Any::List(list)
            }
            (6, _) => Any::Map(attributes(field.bytes(), 1, depth + 1)?),
            (7, _) => Any::Bytes(Cow::Borrowed(field.bytes())),
            _ => value,
        };
    }
    Ok(value)
}

/// Reads the JSON form; names may be in camel or snake case.
///
/// # Errors
/// If it is not well-formed.
pub fn from_json(body: &[u8]) -> Result<Vec<Enveloped>, EnvelopeError> {
    let request: Value =
        serde_json::from_slice(body).map_err(|error| EnvelopeError::Malformed {
            form: "JSON body of OTLP",
            reason: error.to_string(),
        })?;
    let known = member(&request, "resourceLogs", "resource_logs");
    if known.is_none() && !request.as_object().is_some_and(serde_json::Map::is_empty) {
        return Err(EnvelopeError::Malformed {
            form: "JSON body of OTLP",
            reason: "resourceLogs is missing".to_owned(),
        });
    }
    let mut records = Vec::new();
    for resource in list(known) {
        let mut around = Around {
            resource: json_attributes(resource.pointer("/resource/attributes"), 0),
            ..Around::default()
        };
        for scope in list(member(resource, "scopeLogs", "scope_logs")) {
            let named = |name: &str| Cow::Borrowed(text(scope.pointer(&format!("/scope/{name}"))));
            around.scope_name = named("name");
            around.scope_version = named("version");
            around.scope = json_attributes(scope.pointer("/scope/attributes"), 0);
            for log in list(member(scope, "logRecords", "log_records")) {
                records.push(written(&json_log(log), &around));
            }
        }
    }
    Ok(records)
}

fn json_log(log: &Value) -> Log<'_> {
    let number = |camel, snake| match member(log, camel, snake) {
        Some(Value::String(text)) => text.parse().unwrap_or(0),
        Some(value) => value.as_u64().unwrap_or(0),
        None => 0,
    };
    let words = |camel, snake| text(member(log, camel, snake));
    Log {
        time: number("timeUnixNano", "time_unix_nano"),
        observed: number("observedTimeUnixNano", "observed_time_unix_nano"),
        severity: number("severityNumber", "severity_number"),
        severity_text: Cow::Borrowed(words("severityText", "severity_text")),
        event_name: Cow::Borrowed(words("eventName", "event_name")),
        body: log.get("body").map(|body| json_any(body, 0)),
        attributes: json_attributes(log.get("attributes"), 0),
        trace_id: words("traceId", "trace_id").to_ascii_lowercase(),
        span_id: words("spanId", "span_id").to_ascii_lowercase(),
    }
}

fn member<'a>(value: &'a Value, camel: &str, snake: &str) -> Option<&'a Value> {
    value.get(camel).or_else(|| value.get(snake))
}

fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or("")
}

fn json_attributes(value: Option<&Value>, depth: usize) -> Attributes<'_> {
    let pairs = list(value).iter().map(|pair| {
        let value = pair
            .get("value")
            .map_or(Any::None, |value| json_any(value, depth + 1));
        (Cow::Borrowed(text(pair.get("key"))), value)
    });
    pairs.collect()
}

/// `serde_json` bounds how deep a value may be, so this ends.
fn json_any(value: &Value, depth: usize) -> Any<'_> {
    let get = |camel, snake| member(value, camel, snake);
    if let Some(text) = get("stringValue", "string_value") {
        return Any::Text(Cow::Borrowed(text.as_str().unwrap_or("")));
    }
    if let Some(value) = get("boolValue", "bool_value") {
        return Any::Bool(value.as_bool().unwrap_or(false));
    }
    if let Some(value) = get("intValue", "int_value") {
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok());
        return Any::Int(number.unwrap_or(0));
    }
    if let Some(value) = get("doubleValue", "double_value") {
        return Any::Double(value.as_f64().unwrap_or(0.0));
    }
    if let Some(values) = get("arrayValue", "array_value") {
        let values = list(values.get("values")).iter();
        return Any::List(values.map(|value| json_any(value, depth + 1)).collect());
    }
    if let Some(values) = get("kvlistValue", "kvlist_value") {
        return Any::Map(json_attributes(values.get("values"), depth + 1));
    }
    match get("bytesValue", "bytes_value") {
        Some(bytes) => Any::Text(Cow::Borrowed(bytes.as_str().unwrap_or(""))),
        None => Any::None,
    }
}

/// The record: the body, and under `otel` what is said around it.
fn written(log: &Log<'_>, around: &Around<'_>) -> Enveloped {
    let mut out = Out::default();
    out.open();
    match &log.body {
        Some(Any::Map(pairs)) => pairs.iter().for_each(|(name, value)| {
            out.name(name);
            write(&mut out, value);
        }),
        Some(Any::Text(text)) => out.member("message", text),
        None | Some(Any::None) => {}
        Some(other) => {
            let mut inner = Out::default();
            write(&mut inner, other);
            out.member("message", &String::from_utf8_lossy(&inner.bytes));
        }
    }
    out.name("otel");
    out.open();
    for (name, time) in [("time", log.time), ("observed_time", log.observed)] {
        if let Some(time) = nanos(time) {
            out.member(name, &time);
        }
    }
    if log.severity > 0 {
        out.name("severity_number");
        out.raw(&log.severity.to_string());
    }
    for (name, text) in [
        ("severity_text", &*log.severity_text),
        ("event_name", &log.event_name),
        ("trace_id", &log.trace_id),
        ("span_id", &log.span_id),
    ] {
        if !text.is_empty() {
            out.member(name, text);
        }
    }
    pairs(&mut out, "attributes", &log.attributes);
    pairs(&mut out, "resource", &around.resource);
    if !around.scope_name.is_empty() || !around.scope.is_empty() {
        out.name("scope");
        out.open();
        out.member("name", &around.scope_name);
        if !around.scope_version.is_empty() {
            out.member("version", &around.scope_version);
        }
        pairs(&mut out, "attributes", &around.scope);
        out.close();
    }
    out.close();
    out.close();
    let service = around
        .resource
        .iter()
        .find_map(|(name, value)| match value {
            Any::Text(text) if name == "service.name" => Some(text.clone().into_owned()),
            _ => None,
        });
    Enveloped {
        bytes: out.bytes,
        label: service,
    }
}

fn pairs(out: &mut Out, name: &str, pairs: &Attributes<'_>) {
    if pairs.is_empty() {
        return;
    }
    out.name(name);
    out.open();
    for (name, value) in pairs {
        out.name(name);
        write(out, value);
    }
    out.close();
}

fn write(out: &mut Out, value: &Any<'_>) {
    match value {
        Any::None => out.raw("null"),
        Any::Text(text) => out.text(text),
        Any::Bool(value) => out.raw(if *value { "true" } else { "false" }),
        Any::Int(value) => out.raw(&value.to_string()),
        Any::Double(value) if value.is_finite() => out.raw(&value.to_string()),
        Any::Double(value) => out.text(&value.to_string()),
        Any::List(values) => {
            out.bytes.push(b'[');
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    out.bytes.push(b',');
                }
                write(out, value);
            }
            out.bytes.push(b']');
        }
        Any::Map(members) => {
            out.open();
            for (name, value) in members {
                out.name(name);
                write(out, value);
            }
            out.close();
        }
        Any::Bytes(bytes) => out.text(&hex(bytes)),
    }
}

/// `ExportLogsServiceResponse`: empty if all was taken.
pub fn partial_success(rejected: u64, reason: Option<&str>) -> Vec<u8> {
    if rejected == 0 {
        return Vec::new();
    }
    let mut inner = vec![1 << 3];
    varint(rejected, &mut inner);
    bytes_field(2, reason.unwrap_or_default().as_bytes(), &mut inner);
    let mut out = Vec::new();
    bytes_field(1, &inner, &mut out);
    out
}

/// `google.rpc.Status`.
///
/// # Source
/// googleapis, `google/rpc/status.proto`.
pub fn status(code: u8, message: &str) -> Vec<u8> {
    let mut out = vec![1 << 3, code];
    bytes_field(2, message.as_bytes(), &mut out);
    out
}

fn bytes_field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2, u8::try_from(bytes.len()).unwrap()];
        out.extend_from_slice(bytes);
        out
    }

    fn text_value(text: &str) -> Vec<u8> {
        field(1, text.as_bytes())
    }

    fn pair(name: &str, value: &str) -> Vec<u8> {
        [field(1, name.as_bytes()), field(2, &text_value(value))].concat()
    }

    fn request(body: &[u8]) -> Vec<u8> {
        let mut log = vec![1 << 3 | 1];
        log.extend_from_slice(&1_700_000_000_000_000_000_u64.to_le_bytes());
        log.extend_from_slice(&[2 << 3, 9]);
        log.extend(field(3, b"INFO"));
        log.extend(field(5, body));
        log.extend(field(6, &pair("user", "eve")));
        log.extend(field(9, &[0xab; 16]));
        let resource = field(1, &pair("service.name", "shop"));
        let scope = [field(1, &field(1, b"lib")), field(2, &log)].concat();
        field(1, &[field(1, &resource), field(2, &scope)].concat())
    }

    const AROUND: &str = r#""otel":{"time":"2023-11-14T22:13:20Z","severity_number":9,"severity_text":"INFO","trace_id":"abababababababababababababababab","attributes":{"user":"eve"},"resource":{"service.name":"shop"},"scope":{"name":"lib"}}}"#;

    #[test]
    fn protobuf_and_json_give_the_same_record() {
        let records = from_protobuf(&request(&text_value("hello \"x\""))).unwrap();
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].label.as_deref(), Some("shop"));
        let expected = format!(r#"{{"message":"hello \"x\"",{AROUND}"#);
        assert_eq!(String::from_utf8_lossy(&records[0].bytes), expected);
        let json = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},
            "scopeLogs":[{"scope":{"name":"lib"},"logRecords":[{"timeUnixNano":"1700000000000000000","severityNumber":9,
            "severityText":"INFO","body":{"stringValue":"hello \"x\""},"attributes":[{"key":"user","value":{"stringValue":"eve"}}],
            "traceId":"ABABABABABABABABABABABABABABABAB"}]}]}]}"#;
        assert_eq!(from_json(json.as_bytes()).unwrap(), records);
    }

    #[test]
    fn a_body_of_fields_keeps_its_fields_where_packs_look() {
        let map = field(6, &field(1, &pair("eventName", "PutObject")));
        let records = from_protobuf(&request(&map)).unwrap();
        let expected = format!(r#"{{"eventName":"PutObject",{AROUND}"#);
        assert_eq!(String::from_utf8_lossy(&records[0].bytes), expected);
    }

    #[test]
    fn answers_are_well_formed() {
        assert_eq!(partial_success(0, None), b"");
        assert_eq!(
            partial_success(300, Some("no")),
            [10, 7, 8, 0xac, 2, 18, 2, b'n', b'o']
        );
        assert_eq!(status(3, "x"), [8, 3, 18, 1, b'x']);
    }

    #[test]
    fn cuts_and_depth_are_refused() {
        let whole = request(&text_value("x"));
        for end in 1..whole.len() {
            let _ = from_protobuf(&whole[..end]);
        }
        assert!(from_protobuf(&whole[..whole.len() - 1]).is_err());
        let mut deep = text_value("x");
        for _ in 0..70 {
            deep = long(5, &long(1, &deep));
        }
        let log = long(5, &deep);
        let body = long(1, &long(2, &long(2, &log)));
        assert_eq!(from_protobuf(&body), Err(EnvelopeError::TooDeep));
        assert!(from_json(b"[1]").is_err());
        assert_eq!(from_json(b"{}").unwrap(), []);
    }

    fn long(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![number << 3 | 2];
        let mut length = bytes.len();
        while length >= 0x80 {
            out.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
            length >>= 7;
        }
        out.push(u8::try_from(length).unwrap());
        out.extend_from_slice(bytes);
        out
    }
}
