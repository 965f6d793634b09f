//! What a pack does to a batch: choice of kind, maps, moved values, times, anomalies.
#![allow(missing_docs)]

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::decode;
use watchfloor_event::{AnomalyCode, EventBatch, Format, Namespace, RawRecord};
use watchfloor_normalize::{PackSet, to_ocsf_json};

const PACK: &str = r#"
product: test
title: Test Server
versions: "1"
documentation: []
recognize: [{app: Test}]
sets:
  common: {host: device.hostname, EventID: metadata.event_code}
kinds:
  - name: logon
    when: {action: [login, logout]}
    class: authentication
    activity: {field: action, map: {login: 1, logout: 2}}
    severity: 1
    status: {field: ok, map: {"true": 1, "false": 2}}
    logsources: [test/-/auth]
    time: [at]
    include: [common]
    fields:
      who: [{to: user.name, as: user_name}, {to: user.domain, as: user_domain}]
      second: user.name
      src_ip: src_endpoint.ip
      port: src_endpoint.port
      SourcePort: dst_endpoint.port
      file.hash.sha256: file.hashes
      md5: file.hashes
  - name: spoken
    when: {text: {exists: true}}
    match: {field: text, regex: '^(?P<verb>\w+) (?P<thing>\w+)$'}
    class: api_activity
    fields: {verb: api.operation, thing: resource.name}
    join: [{from: [verb, thing], with: "+", to: api.request.uid}]
    set: {cloud.provider: none}
  - name: silent
    when: {text: {exists: true}, action: {exists: false}}
"#;

fn normalized(lines: &[&str]) -> EventBatch {
    let (set, errors) = PackSet::load([("test/pack.yaml", PACK)]);
    assert_eq!(errors, []);
    assert_eq!(set.lint(), []);
    let mut batch = EventBatch::new();
    for line in lines {
        let record = RawRecord {
            source: "test".into(),
            format: Format::Auto,
            context: None,
            position: 0,
            received_at: "2026-11-24T12:00:00Z".parse::<Timestamp>().expect("a time"),
            bytes: Bytes::copy_from_slice(line.as_bytes()),
        };
        decode(&mut batch, &record);
    }
    set.normalize(&mut batch);
    batch
}

fn ocsf(batch: &EventBatch, row: usize, path: &str) -> Option<String> {
    batch
        .get(Namespace::Ocsf, path, row)
        .map(|value| value.text.to_owned())
}

fn codes(line: &str) -> Vec<AnomalyCode> {
    let batch = normalized(&[line]);
    batch
        .anomalies()
        .iter()
        .map(|(_, anomaly)| anomaly.code)
        .collect()
}

#[test]
fn kinds_are_chosen_and_values_mapped() {
    let batch = normalized(&[
        r#"{"app":"TEST","action":"login","ok":true,"who":"CORP\\eve","second":"x","src_ip":"10.0.0.1","port":"0x16","SourcePort":22,"at":"2026-11-24T11:00:00Z","host":"h"}"#,
        r#"{"app":"test","action":"logout","ok":"false","who":"eve","src_ip":"-","at":1795518000}"#,
        r#"{"app":"test","text":"open door","at":1}"#,
        r#"{"app":"test","text":"nothing matches here"}"#,
        r#"{"app":"other","@timestamp":"2026-11-24T11:00:00Z"}"#,
    ]);
    let kinds: Vec<&str> = (0..5).map(|row| &*batch.kind_of(row).name).collect();
    let expected = [
        "test/logon",
        "test/logon",
        "test/spoken",
        "test/silent",
        "unknown",
    ];
    assert_eq!(kinds, expected);
    let first = &batch.rows()[0];
    assert_eq!(
        (first.activity_id, first.severity_id, first.status_id),
        (1, 1, 1)
    );
    assert_eq!(first.time.to_string(), "2026-11-24T11:00:00Z");
    assert_eq!(ocsf(&batch, 0, "user.name").as_deref(), Some("eve"));
    assert_eq!(ocsf(&batch, 0, "user.domain").as_deref(), Some("CORP"));
    assert_eq!(ocsf(&batch, 0, "src_endpoint.port").as_deref(), Some("22"));
    let second = &batch.rows()[1];
    assert_eq!((second.activity_id, second.status_id), (2, 2));
    assert_eq!(second.time.to_string(), "2026-11-24T11:00:00Z");
    assert_eq!(ocsf(&batch, 1, "src_endpoint.ip"), None);
    assert_eq!(ocsf(&batch, 2, "api.operation").as_deref(), Some("open"));
    assert_eq!(
        ocsf(&batch, 2, "api.request.uid").as_deref(),
        Some("open+door")
    );
    assert_eq!(ocsf(&batch, 2, "cloud.provider").as_deref(), Some("none"));
    assert!(batch.rows()[4].has_own_time);
    // Unchanged and known by an alias: stored once. Changed, or no alias: the source stays.
    for (name, moved) in [
        ("src_ip", true),
        ("SourcePort", false),
        ("who", false),
        ("host", false),
    ] {
        let column = batch.column(Namespace::Source, name).expect("a column");
        assert_eq!(column.is_moved(0), moved, "{name}");
    }
}

#[test]
fn times_are_judged() {
    let line = |at: &str| format!(r#"{{"app":"test","action":"login","at":{at}}}"#);
    for (at, expected) in [
        ("\"1601-01-01T00:00:00Z\"", AnomalyCode::TimeImplausible),
        ("\"9999-12-31T23:59:59Z\"", AnomalyCode::TimeImplausible),
        ("\"2026-11-26T12:00:00Z\"", AnomalyCode::TimeImplausible),
        ("\"yesterday\"", AnomalyCode::TimeUnreadable),
        ("null", AnomalyCode::TimeMissing),
    ] {
        assert_eq!(codes(&line(at)), [expected], "{at}");
        let batch = normalized(&[&line(at)]);
        assert_eq!(batch.rows()[0].time, batch.rows()[0].received_at);
    }
    assert_eq!(codes(&line("\"2026-11-25T11:00:00Z\"")), []);
}

#[test]
fn what_does_not_fit_is_named_and_kept() {
    let line = r#"{"app":"test","action":"login","at":1795518000,"port":"many"}"#;
    assert_eq!(codes(line), [AnomalyCode::ValueMismatch]);
    let batch = normalized(&[line]);
    let json = to_ocsf_json(&batch, 0);
    assert_eq!(json["unmapped"]["port"], "many");
    assert_eq!(codes(r#"{"app":"other"}"#), [AnomalyCode::Unmapped]);
    assert_eq!(codes("no form at all"), [AnomalyCode::Undecoded]);
}

#[test]
fn an_event_is_shown_as_ocsf() {
    let batch = normalized(&[
        r#"{"app":"test","action":"login","ok":true,"who":"eve","src_ip":"10.0.0.1","at":1795518000,"extra":[1,"a"]}"#,
    ]);
    let json = to_ocsf_json(&batch, 0);
    let expected = [
        ("/class_uid", serde_json::json!(3002)),
        ("/class_name", serde_json::json!("Authentication")),
        ("/category_uid", serde_json::json!(3)),
        ("/type_uid", serde_json::json!(300_201)),
        ("/time", serde_json::json!(1_795_518_000_000_i64)),
        ("/status_id", serde_json::json!(1)),
        ("/metadata/product/name", serde_json::json!("Test Server")),
        ("/user/name", serde_json::json!("eve")),
        ("/src_endpoint/ip", serde_json::json!("10.0.0.1")),
        ("/unmapped/extra", serde_json::json!([1, "a"])),
    ];
    for (path, value) in expected {
        assert_eq!(json.pointer(path), Some(&value), "{path} in {json:#}");
    }
    assert!(json.pointer("/unmapped/src_ip").is_none());
}

/// A rule that wants one hash exactly finds it under the source's name, also in what is stored.
#[test]
fn hashes_of_a_file_stand_together_and_each_stays_where_it_was() {
    let (sha256, md5) = ("ab".repeat(32), "cd".repeat(16));
    let line = format!(
        r#"{{"app":"Test","action":"login","file":{{"hash":{{"sha256":"{sha256}"}}}},"md5":"{md5}"}}"#
    );
    let batch = normalized(&[&line]);
    let hashes = batch.get(Namespace::Ocsf, "file.hashes", 0).unwrap();
    assert_eq!(hashes.text, format!("{sha256},{md5}"));
    let stored = to_ocsf_json(&batch, 0)["unmapped"].to_string();
    assert!(
        stored.contains(&sha256) && stored.contains(&md5),
        "{stored}"
    );
}
