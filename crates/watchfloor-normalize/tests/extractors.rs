//! What packs draw out of text, sources that name their product, and why an event is what it is.
#![allow(missing_docs)]

use bytes::Bytes;
use watchfloor_decode::{PRODUCT_CONTEXT, decode};
use watchfloor_event::{AnomalyCode, EventBatch, Format, Namespace, RawRecord};
use watchfloor_normalize::PackSet;

const PACK: &str = r#"
product: test
title: Test Server
versions: "1"
documentation: []
kinds:
  - name: table
    when: {message: {prefix: "T;"}}
    extract:
      - {as: csv, separator: ";", columns: ["-", day, clock, who, note]}
      - {as: key_values, field: note, separator: "|", assign: ":"}
      - {as: regex, field: note, regex: 'from (?P<src>\S+?)\|'}
    class: network_activity
    activity: {field: [verb, who], map: {"den*": 5, "*ob": 6}, default: 99}
    time: [{join: [day, clock], format: "%d.%m. %H:%M"}]
    fields: {who: actor.user.name, src: [{to: src_endpoint.ip, as: ip}, {to: src_endpoint.port, as: [trim, port]}]}
  - name: wrapped
    when: {message: {prefix: "J "}}
    extract: [{as: json}]
    time: [at]
    fields: {inner.user: user.name}
  - name: spoken
    when: {syslog.appname: speaker}
    match:
      - {grok: '^hello %{USER:who} at %{IP:src}$'}
      - {regex: '^bye (?P<who>\S+)$'}
    class: authentication
    fields: {who: user.name, src: src_endpoint.ip}
  - name: rest
    when: {syslog.appname: speaker}
"#;

fn normalized(line: &str, product: Option<&str>) -> (PackSet, EventBatch) {
    let (set, errors) = PackSet::load([("test/pack.yaml", PACK)]);
    assert_eq!(errors, []);
    let mut batch = EventBatch::new();
    let record = RawRecord {
        source: "test".into(),
        format: Format::Auto,
        context: product.map(|name| format!("{PRODUCT_CONTEXT}{name}\n").into()),
        position: 0,
        received_at: "2026-11-24T12:00:00Z".parse().expect("a time"),
        bytes: Bytes::copy_from_slice(line.as_bytes()),
    };
    decode(&mut batch, &record);
    set.normalize(&mut batch);
    (set, batch)
}

fn ocsf(batch: &EventBatch, path: &str) -> Option<String> {
    let value = batch.get(Namespace::Ocsf, path, 0)?;
    Some(value.text.to_owned())
}

#[test]
fn values_pairs_and_groups_become_fields() {
    let line = "T;24.11.;11:00;\"b;ob\";verb:denied|from 192.0.2.7:99|x:\"a|b\"";
    let (_, batch) = normalized(line, None);
    assert_eq!(batch.anomalies(), []);
    assert_eq!(&*batch.kind_of(0).name, "test/table");
    assert_eq!(batch.rows()[0].time.to_string(), "2026-11-24T11:00:00Z");
    assert_eq!(batch.rows()[0].activity_id, 5);
    assert_eq!(ocsf(&batch, "actor.user.name").as_deref(), Some("b;ob"));
    assert_eq!(
        ocsf(&batch, "src_endpoint.ip").as_deref(),
        Some("192.0.2.7")
    );
    assert_eq!(ocsf(&batch, "src_endpoint.port").as_deref(), Some("99"));
    let (_, batch) = normalized("T;24.11.;11:00;bob;", None);
    assert_eq!(batch.rows()[0].activity_id, 6);
}

#[test]
fn forms_inside_fields_are_decoded_and_faults_named() {
    let line = r#"J x {"at":"2026-11-24T11:00:00Z","inner":{"user":"eve"}}"#;
    let (_, batch) = normalized(line, None);
    assert_eq!(batch.anomalies(), []);
    assert_eq!(ocsf(&batch, "user.name").as_deref(), Some("eve"));
    let (_, batch) = normalized("J {\"at\":", None);
    let codes: Vec<_> = batch
        .anomalies()
        .iter()
        .map(|(_, found)| found.code)
        .collect();
    assert!(codes.contains(&AnomalyCode::Malformed), "{codes:?}");
}

#[test]
fn a_named_product_needs_no_header() {
    let line = "hello eve at 192.0.2.7";
    let (_, batch) = normalized(line, None);
    assert_eq!(&*batch.kind_of(0).name, "unknown");
    assert_eq!(batch.anomalies()[0].1.code, AnomalyCode::Undecoded);
    for (line, product, kind) in [
        (line, "test", "test/spoken"),
        ("bye eve", "test", "test/spoken"),
        ("something else", "test", "test/rest"),
        (line, "other", "unknown"),
        (
            "<13>Nov 24 11:00:00 h speaker: bye eve",
            "test",
            "test/spoken",
        ),
        ("T;24.11.;11:00;bob;", "test", "test/table"),
    ] {
        let (_, batch) = normalized(line, Some(product));
        assert_eq!(&*batch.kind_of(0).name, kind, "{line} of {product}");
    }
    let (_, batch) = normalized(line, Some("test"));
    let codes: Vec<_> = batch
        .anomalies()
        .iter()
        .map(|(_, found)| found.code)
        .collect();
    assert_eq!(
        codes,
        [AnomalyCode::TimeMissing],
        "the form is no longer odd"
    );
}

#[test]
fn an_event_says_why() {
    let (set, batch) = normalized("<13>Nov 24 11:00:00 h speaker: bye eve", None);
    let why = set.explain(&batch, 0);
    assert_eq!(why.kind, "test/spoken");
    assert_eq!(why.conditions, ["syslog.appname is speaker"]);
    assert_eq!(
        why.matched.as_deref(),
        Some("message ~ ^bye (?P<who>[^ \\t\\n\\r\\x0B\\x0C]+)$")
    );
    let left: Vec<&str> = why.unmapped.iter().map(|field| &*field.name).collect();
    assert!(
        left.contains(&"syslog.facility") && !left.contains(&"who"),
        "{left:?}"
    );
    let (set, batch) = normalized("<13>Nov 24 11:00:00 h speaker: hm", None);
    assert_eq!(set.explain(&batch, 0).refused, ["test/spoken"]);
    let (set, batch) = normalized("bye eve", Some("test"));
    assert_eq!(
        set.explain(&batch, 0).conditions,
        ["the source names the product"]
    );
}

#[test]
fn faults_of_extractors_are_named() {
    let head = "product: x\ntitle: X\nversions: '1'\ndocumentation: []\nkinds:\n  - name: a\n    when: {b: 1}\n";
    for (body, reason) in [
        ("    extract: [{as: magic}]\n", "no extractor 'magic'"),
        ("    extract: [{as: csv}]\n", "'columns' must name"),
        ("    match: {field: m}\n", "one of 'regex' and 'grok'"),
        ("    match: {grok: '%{NOPE}'}\n", "no grok pattern 'NOPE'"),
        (
            "    match: {regex: '(a{1000}){1000}'}\n",
            "regular expression",
        ),
        ("    time: [{format: '%Y'}]\n", "needs 'field' or 'join'"),
        (
            "    fields: {b: {to: message, as: [lower, magic]}}\n",
            "no converter 'magic'",
        ),
    ] {
        let (_, errors) = PackSet::load([("p.yaml", format!("{head}{body}"))]);
        assert_eq!(errors.len(), 1, "{body}");
        assert!(errors[0].reason.contains(reason), "{body}: {}", errors[0]);
    }
}
