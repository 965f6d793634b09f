//! Analytics behind the detector: batches in, findings out, however the events are cut into
//! batches and wherever state is saved and restored.
#![allow(missing_docs)]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Finding, Format, Namespace, RawRecord, ValueRef};
use watchfloor_rules::{LoadOptions, RuleFile, RuleSet};

const START: Timestamp = Timestamp::constant(1_795_500_000, 0);

/// Position, second, action, user.
type Event = (u64, i64, &'static str, &'static str);

const RULES: &str = "
title: Failed
id: failed
detection: {s: {action: failed}, condition: s}
---
title: Worked
id: worked
detection: {s: {action: worked}, condition: s}
---
title: Many Failed
id: many
correlation: {type: event_count, rules: [failed], group-by: [user], timespan: 10m, condition: {gte: 3}}
---
title: Failed Often, then Worked
id: chain
level: high
analytic:
  type: sequence
  group-by: [user]
  timespan: 10m
  steps: [{rule: many}, {rule: worked}]
---
title: New User
id: new
analytic: {type: new_terms, rules: [worked], field: user, learn: 30s, generate: true}
";

fn rules(text: &str, pipeline: Option<&str>) -> RuleSet {
    let file = |path: &str, text: &str| RuleFile {
        path: Arc::from(path),
        text: text.to_owned(),
    };
    let options = LoadOptions {
        pipelines: pipeline
            .map(|text| file("p.yml", text))
            .into_iter()
            .collect(),
        placeholders: BTreeMap::new(),
    };
    let set = RuleSet::load_with([file("r.yml", text)], options);
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    set
}

fn batch(events: &[Event]) -> EventBatch {
    let mut batch = EventBatch::new();
    for (position, seconds, action, user) in events {
        let time = START + SignedDuration::from_secs(*seconds);
        let record = RawRecord {
            source: Arc::from("test"),
            format: Format::Json,
            context: None,
            position: *position,
            received_at: START + SignedDuration::from_hours(1),
            bytes: bytes::Bytes::new(),
        };
        let row = batch.push_row(&record, 0);
        batch.row_mut(row).time = time;
        batch.set(Namespace::Source, "action", row, ValueRef::str(action));
        batch.set(Namespace::Source, "user", row, ValueRef::str(user));
    }
    batch
}

fn told(findings: &[Finding]) -> Vec<(&str, Vec<u64>)> {
    let events = |one: &Finding| one.event_ids.iter().map(|id| id.position()).collect();
    let mut told: Vec<(&str, Vec<u64>)> = findings
        .iter()
        .map(|one| (one.rule_id.as_str(), events(one)))
        .collect();
    told.sort();
    told
}

const STORY: [Event; 7] = [
    (0, 0, "failed", "ann"),
    (1, 5, "failed", "ann"),
    (2, 8, "worked", "bob"),
    (3, 9, "failed", "ann"),
    (4, 20, "worked", "ann"),
    (5, 50, "worked", "cid"),
    (6, 60, "failed", "ann"),
];

#[test]
fn analytics_rest_on_rules_and_correlations_and_silence_them() {
    let mut detector = Detector::new(rules(RULES, None));
    assert_eq!(detector.rule_count(), 5);
    let findings = detector.evaluate(&batch(&STORY)).findings;
    assert_eq!(
        told(&findings),
        [
            ("chain", vec![0, 1, 3, 4]),
            ("new", vec![5]),
            // `generate` lets the rule speak though another analytic rests on it as well: that
            // one keeps it silent.
        ]
    );
    let chain = findings.iter().find(|one| one.rule_id == "chain");
    assert_eq!(
        chain.map(|one| one.summary.as_str()),
        Some("user ann: Many Failed, 11 s later Worked: Failed Often, then Worked")
    );
}

#[test]
fn generate_lets_the_rules_speak() {
    let alone = RULES.replace(
        "steps: [{rule: many}, {rule: worked}]",
        "steps: [{rule: many}, {rule: many}]",
    );
    let findings = Detector::new(rules(&alone, None))
        .evaluate(&batch(&STORY))
        .findings;
    assert_eq!(
        told(&findings),
        [
            ("new", vec![5]),
            ("worked", vec![2]),
            ("worked", vec![4]),
            ("worked", vec![5]),
        ]
    );
}

#[test]
fn pipelines_reach_correlations_and_analytics() {
    let mapped = RULES.replace("user", "account").replace("action", "what");
    let pipeline = "transformations: [{type: field_name_mapping, mapping: {account: [absent, user], what: action}}]\n";
    let single = mapped.replace("field: account", "field: user");
    let findings = Detector::new(rules(&single, Some(pipeline)))
        .evaluate(&batch(&STORY))
        .findings;
    assert_eq!(
        told(&findings),
        [("chain", vec![0, 1, 3, 4]), ("new", vec![5])]
    );
}

#[test]
fn state_of_earlier_versions_is_taken_up() {
    let mut detector = Detector::new(rules(RULES, None));
    let earlier = br#"{"states":{},"groups_dropped":0}"#;
    detector.restore(earlier).expect("correlations alone");
    detector.restore(b"[]").expect_err("no state");
    assert_eq!(detector.evaluate(&batch(&STORY)).findings.len(), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Cut into batches anywhere, saved and restored between them: the same findings.
    #[test]
    fn batches_and_restarts_change_nothing(cuts in prop::collection::vec(any::<bool>(), 6)) {
        let mut detector = Detector::new(rules(RULES, None));
        let whole = detector.evaluate(&batch(&STORY)).findings;
        let mut parts: Vec<Vec<Event>> = vec![Vec::new()];
        for (number, event) in STORY.iter().enumerate() {
            parts.last_mut().expect("one").push(*event);
            if cuts.get(number) == Some(&true) {
                parts.push(Vec::new());
            }
        }
        let mut writer = Detector::new(rules(RULES, None));
        let mut pieces = vec![writer.save_changes().bytes];
        let mut found = Vec::new();
        for part in parts.iter().filter(|part| !part.is_empty()) {
            // One goes on and saves what changed; the other starts from what was saved.
            let mut reader = Detector::new(rules(RULES, None));
            for piece in &pieces {
                reader.restore(piece).expect("what was saved");
            }
            found.extend(reader.evaluate(&batch(part)).findings);
            writer.evaluate(&batch(part));
            pieces.push(writer.save_changes().bytes);
            prop_assert_eq!(reader.save(), writer.save());
        }
        prop_assert_eq!(told(&found), told(&whole));
        let ids = |findings: &[Finding]| {
            let mut ids: Vec<String> = findings.iter().map(|one| one.id.clone()).collect();
            ids.sort();
            ids
        };
        prop_assert_eq!(ids(&found), ids(&whole));
    }
}
