use std::collections::BTreeMap;
use std::sync::Arc;

use watchfloor_rules::{RuleFile, RuleSet};

use super::*;

fn correlation(body: &str) -> Correlation {
    let text = format!(
        "title: B\nid: a\ndetection: {{s: {{x: 1}}, condition: s}}\n---\ntitle: B2\nid: b\ndetection: {{s: {{x: 2}}, condition: s}}\n---\ntitle: C\nid: c\ncorrelation:\n  rules: [a, b]\n  group-by: [user]\n  timespan: 60s\n{body}"
    );
    let file = RuleFile {
        path: Arc::from("c.yml"),
        text,
    };
    let mut set = RuleSet::load([file], BTreeMap::new());
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    set.correlations.remove(0)
}

/// Feeds (seconds, rule, value) in order and returns the indices at which it fired.
fn check(body: &str, members: &[(i64, usize, &str)], expected: &[usize]) {
    let rule = correlation(body);
    let mut correlator = Correlator::default();
    let mut fired = Vec::new();
    for (index, (seconds, place, value)) in members.iter().enumerate() {
        let member = Member {
            time_us: seconds * 1_000_000,
            rule: *place,
            value: Some((*value).to_owned()),
            events: vec![EventId::new(index as u64, 0)],
        };
        if correlator.take(&rule, "g", member, &[]).is_some() {
            fired.push(index);
        }
        // State that is saved and restored between any two events gives the same answer.
        let saved = serde_json::to_vec(&correlator).unwrap();
        correlator = serde_json::from_slice(&saved).unwrap();
    }
    assert_eq!(fired, expected, "{body}");
}

const COUNT: &str = "  type: event_count\n  condition: {gte: 3}\n";

#[test]
fn counts_within_the_window_and_starts_anew_after_firing() {
    check(
        COUNT,
        &[
            (0, 0, ""),
            (10, 0, ""),
            (60, 0, ""),
            (61, 0, ""),
            (62, 0, ""),
            (63, 0, ""),
        ],
        &[2, 5],
    );
    check(COUNT, &[(0, 0, ""), (10, 0, ""), (61, 0, "")], &[]);
}

#[test]
fn a_late_event_reopens_its_window() {
    check(
        COUNT,
        &[(0, 0, ""), (300, 0, ""), (20, 0, ""), (40, 0, "")],
        &[3],
    );
    // Later than the stated limit it no longer counts.
    check(
        COUNT,
        &[(0, 0, ""), (5000, 0, ""), (20, 0, ""), (40, 0, "")],
        &[],
    );
}

#[test]
fn distinct_values_sums_and_percentiles() {
    let distinct = "  type: value_count\n  condition: {gte: 3, field: host}\n";
    check(
        distinct,
        &[(0, 0, "a"), (1, 0, "a"), (2, 0, "b"), (3, 0, "c")],
        &[3],
    );
    let sum = "  type: value_sum\n  condition: {gt: 10, field: bytes}\n";
    check(sum, &[(0, 0, "5"), (1, 0, "5"), (2, 0, "0.5")], &[2]);
    let median = "  type: value_median\n  condition: {gte: 6, field: bytes}\n";
    check(
        median,
        &[(0, 0, "1"), (1, 0, "5"), (2, 0, "7"), (3, 0, "9")],
        &[3],
    );
}

#[test]
fn order_counts_only_where_it_is_asked_for() {
    check("  type: temporal\n", &[(0, 1, ""), (1, 0, "")], &[1]);
    check(
        "  type: temporal_ordered\n",
        &[(0, 1, ""), (1, 0, ""), (2, 1, "")],
        &[2],
    );
}
