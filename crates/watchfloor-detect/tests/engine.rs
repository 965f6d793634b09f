//! Rules over batches: events in, findings out.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use watchfloor_detect::Detector;
use watchfloor_event::{
    EventBatch, EventKind, Format, Logsource, Namespace, RawRecord, ValueKind, ValueRef,
};
use watchfloor_rules::{RuleFile, RuleSet};

type Fields = &'static [(&'static str, Option<&'static str>)];

fn batch(events: &[Fields]) -> EventBatch {
    let mut batch = EventBatch::new();
    let kind = Arc::new(EventKind {
        name: Arc::from("test/kind"),
        logsources: vec![Logsource {
            product: Some("windows".to_owned()),
            ..Logsource::default()
        }],
        ..EventKind::unknown()
    });
    let kind = batch.intern_kind(&kind);
    for (position, fields) in events.iter().enumerate() {
        let record = RawRecord {
            source: Arc::from("test"),
            format: Format::Json,
            context: None,
            position: position as u64,
            received_at: Timestamp::UNIX_EPOCH,
            bytes: bytes::Bytes::new(),
        };
        let row = batch.push_row(&record, 0);
        batch.row_mut(row).kind = kind;
        for (name, value) in *fields {
            let value = match value {
                None => ValueRef {
                    kind: ValueKind::Null,
                    text: "",
                },
                Some(text) if text.starts_with('[') => ValueRef {
                    kind: ValueKind::List,
                    text,
                },
                Some(text) => ValueRef::str(text),
            };
            batch.set(Namespace::Source, name, row, value);
        }
    }
    batch
}

fn detector(detection: &str) -> Detector {
    let file = RuleFile {
        path: Arc::from("r.yml"),
        text: format!("title: T\nid: t\nlogsource: {{product: windows}}\ndetection:\n{detection}"),
    };
    let set = RuleSet::load([file], BTreeMap::new());
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    Detector::new(set)
}

fn check(detection: &str, events: &[Fields], expected: &[u64]) {
    let outcome = detector(detection).evaluate(&batch(events));
    let found: Vec<u64> = outcome
        .findings
        .iter()
        .map(|finding| finding.event_ids[0].position())
        .collect();
    assert_eq!(found, expected, "{detection}");
}

#[test]
fn selections_filters_and_lists() {
    let events: &[Fields] = &[
        &[
            ("Image", Some("C:\\Windows\\cmd.exe")),
            ("User", Some("bob")),
        ],
        &[
            ("Image", Some("C:\\WINDOWS\\CMD.EXE")),
            ("User", Some("SYSTEM")),
        ],
        &[("Image", Some("C:\\x\\calc.exe"))],
        &[("Image", Some("[\"a\",\"C:\\\\y\\\\cmd.exe\"]"))],
        &[("Image", None)],
        &[],
    ];
    check(
        "  s: {Image|endswith: '\\cmd.exe'}\n  f: {User: system}\n  condition: s and not f\n",
        events,
        &[0, 3],
    );
    check("  s: {Image: null}\n  condition: s\n", events, &[4, 5]);
    check("  s: {Image|exists: false}\n  condition: s\n", events, &[5]);
    check(
        "  s: {Image|exists: true}\n  condition: not s\n",
        events,
        &[5],
    );
    check(
        "  s: {Image|contains|all: [windows, cmd]}\n  condition: s\n",
        events,
        &[0, 1],
    );
    check(
        "  s: {Image|cased|contains: WINDOWS}\n  condition: s\n",
        events,
        &[1],
    );
    check(
        "  s: {Image|re: 'C:.[xy].c'}\n  condition: s\n",
        events,
        &[2, 3],
    );
    check("  s: {Image|re: '^.$'}\n  condition: s\n", events, &[3]);
    check("  k: [calc, system]\n  condition: k\n", events, &[1, 2]);
    check(
        "  k: [calc, system]\n  condition: not k\n",
        events,
        &[0, 3, 4, 5],
    );
}

#[test]
fn numbers_networks_and_other_fields() {
    let events: &[Fields] = &[
        &[
            ("n", Some("5")),
            ("ip", Some("10.1.2.3")),
            ("a", Some("x")),
            ("b", Some("X")),
        ],
        &[
            ("n", Some("50")),
            ("ip", Some("2001:db8::1")),
            ("a", Some("x")),
            ("b", Some("y")),
        ],
        &[("n", Some("many")), ("ip", Some("10.1.2.3.example"))],
    ];
    check("  s: {n: 5}\n  condition: s\n", events, &[0]);
    check("  s: {n|gte: 6}\n  condition: s\n", events, &[1]);
    check("  s: {ip|cidr: 10.0.0.0/8}\n  condition: s\n", events, &[0]);
    check(
        "  s: {ip|cidr: ['2001:db8::/32', 192.168.0.0/16]}\n  condition: s\n",
        events,
        &[1],
    );
    check("  s: {a|fieldref: b}\n  condition: s\n", events, &[0]);
    check("  s: {n|neq: 5}\n  condition: s\n", events, &[1, 2]);
}

#[test]
fn a_finding_says_why_it_fired() {
    let events: &[Fields] = &[&[
        ("Image", Some("C:\\a.exe")),
        ("CommandLine", Some("a -enc AAAA")),
    ]];
    let detection = "  s:\n    Image|endswith: ['\\a.exe', '\\b.exe']\n    CommandLine|contains: ' -enc '\n  condition: s\n";
    let outcome = detector(detection).evaluate(&batch(events));
    let mut reasons: Vec<_> = outcome.findings[0]
        .reasons
        .iter()
        .map(|reason| {
            (
                reason.field.as_str(),
                reason.value.as_str(),
                reason.pattern.as_str(),
            )
        })
        .collect();
    // The order within a selection is that of the YAML reader's map.
    reasons.sort_unstable();
    assert_eq!(
        reasons,
        [
            ("unmapped.CommandLine", "a -enc AAAA", "contains:  -enc "),
            ("unmapped.Image", "C:\\a.exe", "endswith: \\a.exe"),
        ]
    );
}
