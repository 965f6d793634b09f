//! Normalised events in, what is known of them beside: each source of knowledge alone and
//! together.

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_enrich::{Context, Enricher, GeoBase, Table, TableKind};
use watchfloor_event::{EventBatch, EventKind, Format, Namespace, RawRecord, ValueRef};

/// An event: class, activity, second, fields (`unmapped.` before source fields).
type Event<'a> = (u32, i32, i64, &'a [(&'a str, &'a str)]);

fn batch(events: &[Event<'_>]) -> EventBatch {
    let mut batch = EventBatch::new();
    for (position, (class_uid, activity, second, fields)) in (1..).zip(events) {
        let record = RawRecord {
            source: Arc::from("test"),
            format: Format::Auto,
            context: None,
            position,
            received_at: Timestamp::from_second(*second).unwrap(),
            bytes: Bytes::from_static(b"{}"),
        };
        let row = batch.push_row(&record, 0);
        let kind = Arc::new(EventKind {
            name: Arc::from("dhcpd/dhcpd"),
            class_uid: *class_uid,
            ..EventKind::unknown()
        });
        let kind = batch.intern_kind(&kind);
        batch.row_mut(row).kind = kind;
        batch.row_mut(row).activity_id = *activity;
        for (name, value) in *fields {
            let (namespace, name) = match name.strip_prefix("unmapped.") {
                Some(name) => (Namespace::Source, name),
                None => (Namespace::Ocsf, *name),
            };
            batch.set(namespace, name, row, ValueRef::str(value));
        }
    }
    batch
}

fn get(batch: &EventBatch, row: usize, name: &str) -> Option<String> {
    let ocsf = batch.get(Namespace::Ocsf, name, row);
    let value = ocsf.or_else(|| batch.get(Namespace::Source, name, row));
    value.map(|value| value.text.to_owned())
}

fn base(name: &str) -> GeoBase {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    GeoBase::read(name, std::fs::read(path).unwrap()).unwrap()
}

fn context() -> Context {
    let assets = "hostname,ip,criticality\nws-042,,high\ndc01,10.0.0.2,critical\n";
    let people = "username,full name,department\nann,Ann Lee,Treasury\n";
    Context {
        geo: vec![
            base("GeoLite2-City-Test.mmdb"),
            base("GeoLite2-ASN-Test.mmdb"),
        ],
        assets: vec![Table::read("assets.csv", TableKind::Assets, assets).unwrap()],
        identities: vec![Table::read("hr.csv", TableKind::Identities, people).unwrap()],
        ..Context::default()
    }
}

/// Enriches events and compares fields of the last one.
fn check(events: &[Event<'_>], expected: &[(&str, Option<&str>)]) {
    let mut enricher = Enricher::new(Arc::new(context()));
    let mut batch = batch(events);
    enricher.enrich(&mut batch);
    let last = batch.len() - 1;
    for (name, value) in expected {
        assert_eq!(get(&batch, last, name).as_deref(), *value, "{name}");
    }
}

#[test]
fn addresses_have_a_place_and_a_network() {
    check(
        &[(
            4001,
            1,
            0,
            &[
                ("src_endpoint.ip", "81.2.69.142"),
                ("dst_endpoint.ip", "1.128.0.9"),
            ],
        )],
        &[
            ("src_endpoint.location.country", Some("GB")),
            ("src_endpoint.location.city", Some("London")),
            ("dst_endpoint.autonomous_system.number", Some("1221")),
            (
                "dst_endpoint.autonomous_system.name",
                Some("Telstra Pty Ltd"),
            ),
        ],
    );
}

#[test]
fn addresses_of_our_own_are_not_looked_up_in_the_world() {
    let event: Event<'_> = (4001, 1, 0, &[("src_endpoint.ip", "10.9.9.9")]);
    check(
        &[event],
        &[
            ("src_endpoint.location.country", None),
            ("enrichments", None),
        ],
    );
}

#[test]
fn machines_and_people_are_known() {
    check(
        &[(
            3002,
            1,
            0,
            &[
                ("device.hostname", "DC01.corp.example"),
                ("user.name", "CORP\\ann"),
            ],
        )],
        &[
            ("device.criticality", Some("critical")),
            ("user.full_name", Some("Ann Lee")),
            ("user.ldap_person.department", Some("Treasury")),
        ],
    );
}

#[test]
fn an_address_is_the_machine_that_held_it_then() {
    let lease: Event<'_> = (
        4004,
        5,
        100,
        &[
            ("src_endpoint.ip", "10.0.0.5"),
            ("src_endpoint.mac", "00-1b-63-84-45-e6"),
            ("src_endpoint.hostname", "ws-042"),
        ],
    );
    let other: Event<'_> = (
        4004,
        5,
        5000,
        &[
            ("src_endpoint.ip", "10.0.0.5"),
            ("src_endpoint.hostname", "ws-099"),
        ],
    );
    let at = |second| -> Event<'static> { (4001, 1, second, &[("src_endpoint.ip", "10.0.0.5")]) };
    check(
        &[lease, other, at(200)],
        &[
            ("src_endpoint.hostname", Some("ws-042")),
            ("src_endpoint.mac", Some("00:1b:63:84:45:e6")),
            ("src_endpoint.criticality", Some("high")),
        ],
    );
    check(
        &[lease, other, at(6000)],
        &[("src_endpoint.hostname", Some("ws-099"))],
    );
    check(&[lease, other, at(50)], &[("src_endpoint.hostname", None)]);
}

#[test]
fn a_vpn_session_gives_an_address_to_a_person() {
    let session: Event<'_> = (
        4014,
        1,
        100,
        &[("user.name", "ann"), ("unmapped.private_ip", "10.8.0.7")],
    );
    let over: Event<'_> = (
        4014,
        2,
        300,
        &[("user.name", "ann"), ("unmapped.private_ip", "10.8.0.7")],
    );
    let at = |second| -> Event<'static> { (4001, 1, second, &[("src_endpoint.ip", "10.8.0.7")]) };
    check(
        &[session, at(200)],
        &[("src_endpoint.owner.name", Some("ann"))],
    );
    check(
        &[session, over, at(400)],
        &[("src_endpoint.owner.name", None)],
    );
}

#[test]
fn what_stands_behind_a_translated_address_is_found() {
    let translated: Event<'_> = (
        4001,
        1,
        100,
        &[
            ("src_endpoint.ip", "10.0.0.2"),
            ("src_endpoint.port", "50123"),
            ("unmapped.natsrc", "203.0.113.4"),
            ("unmapped.natsport", "40001"),
        ],
    );
    let outside: &[(&str, &str)] = &[
        ("src_endpoint.ip", "203.0.113.4"),
        ("src_endpoint.port", "40001"),
    ];
    check(
        &[translated, (2004, 1, 160, outside)],
        &[
            ("src_endpoint.inside.ip", Some("10.0.0.2")),
            ("src_endpoint.inside.port", Some("50123")),
            ("src_endpoint.inside.criticality", Some("critical")),
        ],
    );
    let other: &[(&str, &str)] = &[
        ("src_endpoint.ip", "203.0.113.4"),
        ("src_endpoint.port", "40002"),
    ];
    check(
        &[translated, (2004, 1, 160, other)],
        &[("src_endpoint.inside.ip", None)],
    );
}

#[test]
fn every_added_value_says_where_it_came_from() {
    let mut enricher = Enricher::new(Arc::new(context()));
    let fields: &[(&str, &str)] = &[("src_endpoint.ip", "81.2.69.142"), ("user.name", "ann")];
    let mut batch = batch(&[(3002, 1, 0, fields)]);
    enricher.enrich(&mut batch);
    let text = get(&batch, 0, "enrichments").unwrap();
    let list: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let providers: Vec<&str> = list
        .iter()
        .map(|one| one["provider"].as_str().unwrap())
        .collect();
    assert_eq!(providers, ["GeoLite2-City-Test.mmdb", "hr.csv"]);
    for (path, value) in list.iter().flat_map(|one| one["data"].as_object().unwrap()) {
        assert_eq!(get(&batch, 0, path).as_deref(), value.as_str(), "{path}");
    }
}

#[test]
fn what_was_learnt_outlives_the_enricher() {
    let mut first = Enricher::new(Arc::default());
    let fields: &[(&str, &str)] = &[
        ("src_endpoint.ip", "10.0.0.5"),
        ("src_endpoint.hostname", "ws-042"),
    ];
    first.enrich(&mut batch(&[(4004, 5, 100, fields)]));
    let mut again = Enricher::new(Arc::default());
    again.restore(&(first.learnt() + "nonsense\n"));
    let mut later = batch(&[(4001, 1, 200, &[("dst_endpoint.ip", "10.0.0.5")])]);
    again.enrich(&mut later);
    assert_eq!(
        get(&later, 0, "dst_endpoint.hostname").as_deref(),
        Some("ws-042")
    );
}
