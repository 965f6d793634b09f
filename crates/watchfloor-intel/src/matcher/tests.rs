//! Events in, indicators met out; and the set against a naive matcher.

use std::net::IpAddr;

use bytes::Bytes;
use jiff::Timestamp;
use proptest::prelude::*;
use watchfloor_event::{FindingLevel, Format, RawRecord};

use super::*;
use crate::{Indicator, SetBuilder, Value};

const NOON: Timestamp = Timestamp::constant(1_795_521_600, 0);

fn batch(rows: &[&[(Namespace, &str, &str)]]) -> EventBatch {
    let mut batch = EventBatch::new();
    for (position, fields) in rows.iter().enumerate() {
        let record = RawRecord {
            source: "test".into(),
            format: Format::Json,
            context: None,
            position: position as u64,
            received_at: NOON,
            bytes: Bytes::from_static(b"{}"),
        };
        let row = batch.push_row(&record, 0);
        for (namespace, name, text) in *fields {
            let kind = if text.starts_with('[') && text.ends_with(']') {
                ValueKind::List
            } else {
                ValueKind::Str
            };
            batch.set(*namespace, name, row, ValueRef { kind, text });
        }
    }
    batch
}

fn set_of(values: &[&str]) -> Arc<IndicatorSet> {
    let mut builder = SetBuilder::new(7);
    for value in values {
        builder
            .add("test", &Indicator::parse(value).unwrap())
            .unwrap();
    }
    Arc::new(builder.build())
}

/// What an event with one field meets, of some indicators.
fn check(indicators: &[&str], namespace: Namespace, field: &str, value: &str, expected: &[&str]) {
    let set = set_of(indicators);
    let batch = batch(&[&[(namespace, field, value)]]);
    let found = Matcher::new(Arc::clone(&set)).matches(&batch);
    let mut shown: Vec<String> = found
        .iter()
        .flat_map(|event| &event.met)
        .map(|met| met.indicator(&set).unwrap().indicator.value.to_string())
        .collect();
    shown.sort();
    assert_eq!(shown, expected, "{field} {value}");
}

#[test]
fn each_kind_is_met_in_its_fields() {
    use Namespace::{Ocsf, Source};
    let all = [
        "203.0.113.7",
        "203.0.113.0/24",
        "2001:db8::/32",
        "evil.example",
        "http://evil2.example/a",
        "bad@person.example",
        "00112233445566778899aabbccddeeff",
        "t13d1516h2_8daaf6152771_b186095e22b6",
    ];
    let md5 = "00112233445566778899aabbccddeeff";
    check(
        &all,
        Ocsf,
        "dst_endpoint.ip",
        "203.0.113.7",
        &["203.0.113.0/24", "203.0.113.7"],
    );
    check(
        &all,
        Ocsf,
        "src_endpoint.ip",
        "::ffff:203.0.113.8",
        &["203.0.113.0/24"],
    );
    check(&all, Ocsf, "dst_endpoint.ip", "203.0.114.7", &[]);
    check(
        &all,
        Ocsf,
        "dst_endpoint.ip",
        "2001:db8:ffff::9",
        &["2001:db8::/32"],
    );
    check(&all, Ocsf, "dst_endpoint.ip", "2001:db9::9", &[]);
    check(
        &all,
        Ocsf,
        "query.hostname",
        "EVIL.example.",
        &["evil.example"],
    );
    check(
        &all,
        Ocsf,
        "query.hostname",
        "a.b.evil.example",
        &["evil.example"],
    );
    check(&all, Ocsf, "query.hostname", "notevil.example", &[]);
    check(&all, Ocsf, "query.hostname", "evil.example.com", &[]);
    check(
        &all,
        Ocsf,
        "dst_endpoint.hostname",
        "evil.example:443",
        &["evil.example"],
    );
    check(
        &all,
        Ocsf,
        "answers",
        "type:  5 a.evil.example;::ffff:203.0.113.7;",
        &["203.0.113.0/24", "203.0.113.7", "evil.example"],
    );
    check(
        &all,
        Ocsf,
        "answers",
        r#"["1.2.3.4","203.0.113.9"]"#,
        &["203.0.113.0/24"],
    );
    check(
        &all,
        Ocsf,
        "http_request.url.url_string",
        "HTTPS://Evil2.example:443/a#x",
        &["http://evil2.example/a"],
    );
    check(
        &all,
        Ocsf,
        "http_request.url.url_string",
        "http://evil2.example/A",
        &[],
    );
    check(
        &all,
        Ocsf,
        "http_request.url.url_string",
        "http://x.evil.example/",
        &["evil.example"],
    );
    check(
        &all,
        Ocsf,
        "http_request.url.url_string",
        "http://203.0.113.9:8080/",
        &["203.0.113.0/24"],
    );
    check(
        &all,
        Ocsf,
        "email.from",
        "Bad <BAD@person.example>",
        &["bad@person.example"],
    );
    check(
        &all,
        Ocsf,
        "email.from",
        "x@mail.evil.example",
        &["evil.example"],
    );
    check(
        &all,
        Ocsf,
        "process.file.hashes",
        &format!("SHA1=00,MD5={md5},IMPHASH=00"),
        &[md5],
    );
    check(
        &all,
        Ocsf,
        "process.file.hashes",
        &format!("IMPHASH={md5}"),
        &[],
    );
    check(&all, Source, "md5", &md5.to_uppercase(), &[md5]);
    check(
        &all,
        Source,
        "DestinationIp",
        "203.0.113.7",
        &["203.0.113.0/24", "203.0.113.7"],
    );
    check(
        &all,
        Source,
        "ja4",
        "T13D1516H2_8daaf6152771_b186095e22b6",
        &["t13d1516h2_8daaf6152771_b186095e22b6"],
    );
    check(
        &all,
        Ocsf,
        "process.cmd_line",
        "curl http://evil2.example/a",
        &[],
    );
    check(
        &["b\u{fc}cher.example"],
        Ocsf,
        "query.hostname",
        "www.xn--bcher-kva.EXAMPLE",
        &["xn--bcher-kva.example"],
    );
    check(
        &["xn--bcher-kva.example"],
        Ocsf,
        "query.hostname",
        "B\u{dc}CHER.example",
        &["xn--bcher-kva.example"],
    );
}

#[test]
fn host_and_path_are_joined() {
    let set = set_of(&["http://evil.example/a?b=1"]);
    let host = (Namespace::Ocsf, "http_request.url.hostname", "Evil.example");
    let uri = |text| (Namespace::Ocsf, "http_request.url.url_string", text);
    let path = (Namespace::Ocsf, "http_request.url.path", "/a");
    let query = (Namespace::Ocsf, "http_request.url.query_string", "b=1");
    let batch = batch(&[
        &[host, uri("/a?b=1")],
        &[host, path, query],
        &[host, path],
        &[host, uri("/a?b=2")],
        &[host, uri("/a?b=1")],
        &[uri("/a?b=1")],
    ]);
    let found = Matcher::new(set).matches(&batch);
    let rows: Vec<usize> = found.iter().map(|event| event.row).collect();
    assert_eq!(rows, [0, 1, 4]);
    assert_eq!(found[0].met[0].value, "Evil.example/a?b=1");
}

#[test]
fn an_indicator_ends_by_the_time_of_the_event() {
    let mut builder = SetBuilder::new(7);
    for (seconds, name) in [(0, "at"), (1, "after"), (-1, "before")] {
        let until = NOON + jiff::SignedDuration::from_secs(seconds);
        let indicator = Indicator {
            name: Some(name.to_owned()),
            valid_from: Some(until),
            valid_until: Some(until),
            ..Indicator::parse("203.0.113.7").unwrap()
        };
        builder.add("test", &indicator).unwrap();
    }
    let set = Arc::new(builder.build());
    let batch = batch(&[&[(Namespace::Ocsf, "dst_endpoint.ip", "203.0.113.7")]]);
    let found = Matcher::new(Arc::clone(&set)).matches(&batch);
    let held = found[0].met[0].indicator(&set).unwrap();
    assert_eq!(
        (found[0].met.len(), held.indicator.name.as_deref()),
        (1, Some("after"))
    );
}

#[test]
fn an_event_gives_one_finding_with_all_it_met() {
    let mut builder = SetBuilder::new(7);
    let low = Indicator {
        confidence: Some(10),
        ..Indicator::parse("evil.example").unwrap()
    };
    let high = Indicator {
        level: Some(FindingLevel::Critical),
        id: Some("indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f".to_owned()),
        name: Some("C2".to_owned()),
        ..Indicator::parse("203.0.113.7").unwrap()
    };
    builder.add("names", &low).unwrap();
    builder.add("addresses", &high).unwrap();
    builder.add("addresses", &high).unwrap();
    let set = Arc::new(builder.build());
    assert_eq!((set.len(), set.doubles()), (2, 1));
    let fields: &[_] = &[
        (Namespace::Ocsf, "query.hostname", "www.evil.example"),
        (Namespace::Ocsf, "answers", "203.0.113.7"),
        (Namespace::Source, "QueryName", "www.evil.example"),
    ];
    let events = batch(&[fields, &[], fields]);
    let mut matcher = Matcher::new(set);
    let found = matcher.findings(&events, |_, _| Vec::new());
    assert_eq!(found.findings.len(), 2);
    let finding = &found.findings[0];
    assert_eq!(finding.rule_id, "indicator:address:addresses");
    assert_eq!(finding.title, "Indicator met: 203.0.113.7");
    assert_eq!(finding.level, FindingLevel::Critical);
    assert_eq!(
        finding.summary,
        "answers is 203.0.113.7, address of the list addresses (C2), and 1 more indicator"
    );
    assert_eq!(finding.reasons.len(), 2);
    assert_eq!(finding.reasons[0].field, "query.hostname");
    assert!(
        finding.reasons[1]
            .pattern
            .contains("id indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f")
    );
    assert_eq!(finding.entities.len(), 2);
    assert_ne!(finding.id, found.findings[1].id);
    let again = matcher.findings(&events, |_, _| Vec::new());
    assert_eq!(again.findings, found.findings);
    let lists: Vec<&str> = found.lists.iter().map(|list| &**list).collect();
    assert_eq!(lists, ["names", "addresses", "names", "addresses"]);
}

#[test]
fn a_moved_source_field_is_told_under_its_attribute() {
    let set = set_of(&["203.0.113.7"]);
    let mut events = batch(&[&[
        (Namespace::Source, "DestinationIp", "203.0.113.7"),
        (Namespace::Ocsf, "dst_endpoint.ip", "203.0.113.7"),
    ]]);
    events
        .mapping_columns("DestinationIp", "dst_endpoint.ip")
        .0
        .mark_moved(0);
    let found = Matcher::new(set).matches(&events);
    assert_eq!(found[0].met.len(), 1);
    assert_eq!(found[0].met[0].field, "dst_endpoint.ip");
}

/// Whether a naive reading of an indicator meets an address or a name.
fn naive(indicator: &str, value: &str) -> bool {
    if let Ok(address) = value.parse::<IpAddr>() {
        let (net, prefix) = match indicator.split_once('/') {
            Some((net, prefix)) => (net, prefix.parse::<u32>().unwrap()),
            None => (indicator, 128),
        };
        let Ok(net) = net.parse::<IpAddr>() else {
            return false;
        };
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => (
                v4.octets()
                    .iter()
                    .map(|byte| format!("{byte:08b}"))
                    .collect::<String>(),
                4,
            ),
            IpAddr::V6(v6) => (
                v6.octets()
                    .iter()
                    .map(|byte| format!("{byte:08b}"))
                    .collect(),
                6,
            ),
        };
        let ((left, family), (right, other)) = (bits(address), bits(net));
        let length = (prefix as usize).min(left.len());
        return family == other && left[..length] == right[..length];
    }
    let value = value.trim_end_matches('.').to_lowercase();
    let indicator = indicator.to_lowercase();
    value == indicator || value.ends_with(&format!(".{indicator}"))
}

/// Few labels and few octets, so that many values meet.
fn name() -> impl Strategy<Value = String> {
    let label = prop_oneof![
        Just("a"),
        Just("b"),
        Just("ab"),
        Just("Evil"),
        Just("notevil"),
        Just("x-1")
    ];
    proptest::collection::vec(label, 1..4).prop_map(|labels| format!("{}.com", labels.join(".")))
}

fn v4() -> impl Strategy<Value = String> {
    let octet = || prop_oneof![Just(0_u8), Just(1), Just(127), Just(128), Just(255)];
    (octet(), octet(), octet()).prop_map(|(a, b, c)| format!("203.{a}.{b}.{c}"))
}

fn v6() -> impl Strategy<Value = String> {
    let part = || {
        prop_oneof![
            Just(0_u16),
            Just(1),
            Just(0x7fff),
            Just(0x8000),
            Just(0xffff)
        ]
    };
    (part(), part(), part()).prop_map(|(a, b, c)| format!("2001:{a:x}:{b:x}::{c:x}"))
}

fn indicator() -> impl Strategy<Value = String> {
    prop_oneof![
        name(),
        v4(),
        v6(),
        (v4(), 8..=32_u8).prop_map(|(net, prefix)| format!("{net}/{prefix}")),
        (v6(), 16..=128_u8).prop_map(|(net, prefix)| format!("{net}/{prefix}")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn the_set_agrees_with_a_naive_matcher(
        indicators in proptest::collection::vec(indicator(), 0..60),
        values in proptest::collection::vec(prop_oneof![name(), v4(), v6()], 1..20),
        dot in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut builder = SetBuilder::new(seed);
        for indicator in &indicators {
            builder.add("l", &Indicator::parse(indicator).unwrap()).unwrap();
        }
        let set = builder.build();
        for value in &values {
            let value = if dot && value.ends_with("com") { format!("{value}.") } else { value.clone() };
            let mut found = Vec::new();
            let mut key = Vec::new();
            let mut look = Look { set: &set, key: &mut key, take: &mut |place| found.push(place) };
            look.value(Shape::Name, &value);
            let mut found: Vec<String> = found
                .into_iter()
                .map(|place| set.at(place).unwrap().indicator.value.to_string())
                .collect();
            found.sort();
            let mut expected: Vec<String> = indicators
                .iter()
                .filter(|indicator| naive(indicator, &value))
                .map(|indicator| Value::detect(indicator).unwrap().to_string())
                .collect();
            expected.sort();
            expected.dedup();
            prop_assert_eq!(found, expected, "{}", value);
        }
    }

    #[test]
    fn exact_values_are_found_and_no_others(
        values in proptest::collection::btree_set("[0-9a-f]{32}|[0-9a-f]{64}", 1..200),
        others in proptest::collection::btree_set("[0-9a-f]{32}|[0-9a-f]{64}", 1..50),
    ) {
        let all: Vec<&str> = values.iter().map(String::as_str).collect();
        let set = set_of(&all);
        for value in values.iter().chain(&others) {
            let mut found = 0;
            let mut key = Vec::new();
            Look { set: &set, key: &mut key, take: &mut |_| found += 1 }.value(Shape::Hashes, value);
            prop_assert_eq!(found, usize::from(values.contains(value)));
        }
    }
}
