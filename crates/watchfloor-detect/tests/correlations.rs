//! Correlations behind the detector: however events are cut into batches and wherever state is
//! saved and restored, the findings are the same, with the same ids, events and entities.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Finding, Format, Namespace, RawRecord, ValueRef};
use watchfloor_rules::{RuleFile, RuleSet};

const START: Timestamp = Timestamp::constant(1_795_500_000, 0);

const RULES: &str = "
title: Failed
id: failed
name: failed
detection: {s: {action: failed}, condition: s}
---
title: Worked
id: worked
detection: {s: {action: worked}, condition: s}
---
title: Many Failed
id: many
correlation: {type: event_count, rules: [failed], group-by: [user], timespan: 60s, condition: {gte: 3}}
---
title: On Many Hosts
id: hosts
correlation: {type: value_count, rules: [failed, worked], group-by: [user], timespan: 90s, condition: {gte: 3, field: [host, action]}}
---
title: Much
id: much
correlation: {type: value_sum, rules: [failed], timespan: 60s, condition: {gt: 9, field: size}}
---
title: Failed, then Worked
id: then
correlation:
  type: temporal_ordered
  rules: [many, worked]
  group-by: [who, account]
  aliases: {who: {many: user, worked: user}, account: {many: user, worked: user}}
  timespan: 5m
";

fn rules() -> RuleSet {
    let file = RuleFile {
        path: Arc::from("r.yml"),
        text: RULES.to_owned(),
    };
    let set = RuleSet::load([file], BTreeMap::new());
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    set
}

/// Second, action, user, host, size.
type Event = (i64, &'static str, &'static str, &'static str, u8);

fn batch(first: usize, events: &[Event]) -> EventBatch {
    let mut batch = EventBatch::new();
    for (number, (second, action, user, host, size)) in events.iter().enumerate() {
        let time = START + SignedDuration::from_secs(*second);
        let record = RawRecord {
            source: Arc::from("test"),
            format: Format::Json,
            context: None,
            position: (first + number) as u64,
            received_at: START + SignedDuration::from_hours(1),
            bytes: bytes::Bytes::new(),
        };
        let row = batch.push_row(&record, 0);
        batch.row_mut(row).time = time;
        let fields = [("action", action), ("user", user), ("host", host)];
        for (name, value) in fields {
            batch.set(Namespace::Source, name, row, ValueRef::str(value));
        }
        let size = size.to_string();
        batch.set(Namespace::Source, "size", row, ValueRef::str(&size));
        batch.set(Namespace::Ocsf, "user.name", row, ValueRef::str(user));
        batch.set(Namespace::Ocsf, "device.hostname", row, ValueRef::str(host));
    }
    batch
}

fn told(mut findings: Vec<Finding>) -> Vec<Finding> {
    findings.sort_by(|left, right| (&left.rule_id, &left.id).cmp(&(&right.rule_id, &right.id)));
    findings
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = (
        0_i64..400,
        prop::sample::select(&["failed", "failed", "worked", "other"][..]),
        prop::sample::select(&["ann", "bob"][..]),
        prop::sample::select(&["a", "b", "c"][..]),
        0_u8..6,
    );
    prop::collection::vec(event, 1..80)
}

#[test]
fn a_chain_tells_of_all_events_and_of_those_who_took_part() {
    let events = [
        (0, "failed", "ann", "a", 1),
        (1, "failed", "ann", "b", 1),
        (2, "failed", "ann", "a", 1),
        (3, "worked", "bob", "a", 1),
        (4, "worked", "ann", "c", 1),
    ];
    let findings = Detector::new(rules()).evaluate(&batch(0, &events)).findings;
    let chain = findings.iter().find(|one| one.rule_id == "then");
    let chain = chain.expect("the chain holds");
    let positions: Vec<u64> = chain.event_ids.iter().map(|id| id.position()).collect();
    assert_eq!(positions, [0, 1, 2, 4]);
    let entities: Vec<&str> = chain
        .entities
        .iter()
        .map(|one| one.value.as_str())
        .collect();
    assert_eq!(entities, ["a", "b", "c", "ann"]);
    assert_eq!(
        chain.summary,
        "4 events within 300 s for who ann, account ann: Failed, then Worked"
    );
    // What a correlation rests on is silent, and the tuples of host and action are counted.
    let mut rules: Vec<&str> = findings.iter().map(|one| one.rule_id.as_str()).collect();
    rules.sort_unstable();
    assert_eq!(rules, ["hosts", "then"]);
}

#[test]
fn state_of_the_last_version_goes_on() {
    let version = |id: &str| {
        let set = rules();
        let found = set.correlations.iter().find(|one| one.meta.id == id);
        found.expect("a rule").meta.version.clone()
    };
    let saved = serde_json::json!({
        "correlations": {"groups_dropped": 0, "states": {"much": {
            "version": version("much"),
            "newest_us": START.as_microsecond(),
            "groups": {"[]": {"entities": [], "members": [
                {"time_us": START.as_microsecond(), "rule": 0, "value": "7", "events": ["1-0"]},
            ]}},
        }}},
        "analytics": {"by_rule": {}, "late": 0, "ahead": 0},
    });
    let mut detector = Detector::new(rules());
    detector
        .restore(saved.to_string().as_bytes())
        .expect("the last version's state");
    let found = detector.evaluate(&batch(2, &[(1, "failed", "ann", "a", 3)]));
    assert_eq!(found.findings.len(), 1);
    assert_eq!(found.findings[0].rule_id, "much");
    assert_eq!(found.findings[0].event_count, 2);
}

#[test]
fn state_that_was_damaged_is_refused_and_leaves_nothing() {
    let mut detector = Detector::new(rules());
    detector.evaluate(&batch(0, &[(0, "failed", "ann", "a", 1)]));
    let mut saved = detector.save();
    detector.restore(&saved).expect("what it saved");
    assert_eq!(detector.correlation_size().groups, 3);
    let middle = saved.len() / 2;
    saved[middle] ^= 1;
    detector.restore(&saved).expect_err("one bit is another");
    assert_eq!(detector.correlation_size().groups, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn batches_and_restarts_change_nothing(
        events in events(),
        cuts in prop::collection::vec(0_u8..8, 80),
    ) {
        let mut whole = Detector::new(rules());
        let expected = told(whole.evaluate(&batch(0, &events)).findings);
        let mut detector = Detector::new(rules());
        let mut pieces = vec![detector.save_changes().bytes];
        let (mut found, mut from) = (Vec::new(), 0);
        for end in 1..=events.len() {
            if cuts[end - 1] > 2 && end < events.len() {
                continue;
            }
            found.extend(detector.evaluate(&batch(from, &events[from..end])).findings);
            from = end;
            let saved = detector.save_changes();
            if saved.is_whole {
                pieces.clear();
            }
            pieces.push(saved.bytes);
            if cuts[end - 1] == 0 {
                detector = Detector::new(rules());
                for piece in &pieces {
                    detector.restore(piece).expect("what was saved");
                }
            }
        }
        prop_assert_eq!(told(found), expected);
        let groups = |detector: &Detector| detector.correlation_size().groups;
        prop_assert_eq!(groups(&detector), groups(&whole));
    }
}
