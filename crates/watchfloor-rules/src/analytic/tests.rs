//! Analytic documents: defaults, limits, and what is refused.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::{LoadOptions, RuleFile, RuleSet};

const BASE: &str = "title: B\nid: b\nname: base\nlogsource: {product: windows}\ndetection: {s: {a: 1}, condition: s}\n---\ntitle: B2\nid: b2\nname: other\nlogsource: {product: windows}\ndetection: {s: {a: 2}, condition: s}\n---\ntitle: A\nid: a\n";

fn load(body: &str) -> RuleSet {
    let file = RuleFile {
        path: Arc::from("a.yml"),
        text: format!("{BASE}analytic: {{{body}}}\n"),
    };
    RuleSet::load([file], BTreeMap::new())
}

fn loaded(body: &str) -> Analytic {
    let mut set = load(body);
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    assert_eq!((set.len(), set.metas().count()), (3, 3));
    set.analytics.remove(0)
}

fn check_refused(body: &str, word: &str) {
    let set = load(body);
    assert_eq!(set.refused.len(), 1, "{body}: {:?}", set.refused);
    let refusal = &set.refused[0];
    assert_eq!(refusal.rule, "a");
    assert!((13..=15).contains(&refusal.line), "{refusal:?}");
    assert!(refusal.reason.contains(word), "{body}: {}", refusal.reason);
}

#[test]
fn each_type_has_defaults() {
    let one = loaded("type: new_terms, rules: [base], field: Image");
    let AnalyticKind::NewTerms(terms) = &one.kind else {
        panic!("{one:?}");
    };
    assert_eq!(terms.fields, ["Image"]);
    assert_eq!(terms.learn, Duration::from_secs(DAY));
    assert_eq!(one.timespan, Duration::from_secs(30 * DAY));
    assert!(!one.generate);
    for body in [
        "type: rare_terms, rules: [base], field: [a, b]",
        "type: rate_baseline, rules: [base]",
        "type: impossible_travel, rules: [base], group-by: user.name",
        "type: beaconing, rules: [base], group-by: [src_endpoint.ip, dst_endpoint.ip]",
        "type: dns_tunnelling, rules: [base], group-by: [src_endpoint.ip]",
        "type: password_spraying, rules: [base, other], success: other, group-by: [src_endpoint.ip]",
        "type: sequence, steps: [{rule: base, bind: {h: x}}, {rule: other, match: {h: y}}], hosts: [h]",
    ] {
        let one = loaded(body);
        assert!(body.contains(one.kind.as_str()));
    }
    let one = loaded(
        "type: sequence, timespan: 5m, generate: true, steps: [{rule: base}, {rule: base}, {rule: other}]",
    );
    assert_eq!(one.rules, ["base", "other"]);
    assert!(one.generate);
}

#[test]
fn wrong_parameters_are_named() {
    for (body, word) in [
        ("rules: [base]", "has no 'type'"),
        ("type: new_term, rules: [base]", "did you mean new_terms?"),
        ("type: new_terms, rules: [base]", "needs 'field'"),
        ("type: new_terms, field: a", "names no rules"),
        (
            "type: new_terms, rules: [zzz], field: a",
            "'zzz', which is not loaded",
        ),
        (
            "type: new_terms, rules: [base], field: a, timespan: 1h, learn: 2h",
            "'learn' must not be longer",
        ),
        (
            "type: new_terms, rules: [base], field: {a: 1}",
            "'field' must be a list of texts",
        ),
        (
            "type: new_terms, rules: [base], field: a, learn: soon",
            "'learn': timespan 'soon'",
        ),
        (
            "type: new_terms, rules: [base], feild: a, field: b",
            "unknown key 'feild' (did you mean field?)",
        ),
        (
            "type: new_terms, rules: [base], field: a, min_events: 5",
            "unknown key 'min_events'",
        ),
        (
            "type: rare_terms, rules: [base], field: a, max_share: 0.9",
            "'max_share' must be a number from 0.000001 to 0.5",
        ),
        (
            "type: rare_terms, rules: [base], field: a, max_share: few",
            "not a text",
        ),
        (
            "type: rare_terms, rules: [base], field: a, min_events: 1.5",
            "'min_events' must be a whole number",
        ),
        (
            "type: rate_baseline, rules: [base], bucket: 1s",
            "604800 spans of 'bucket'",
        ),
        (
            "type: rate_baseline, rules: [base], timespan: 1d, bucket: 2h",
            "fewer than 'min_buckets'",
        ),
        ("type: impossible_travel, rules: [base]", "needs 'group-by'"),
        (
            "type: beaconing, rules: [base], group-by: [a], min_period: 1h, max_period: 1m",
            "'min_period' must be shorter",
        ),
        (
            "type: beaconing, rules: [base], group-by: [a], timespan: 1m",
            "'timespan' is too short",
        ),
        (
            "type: dns_tunnelling, rules: [base], group-by: [a], min_length: 0",
            "'min_length' must be a whole number from 1 to 253",
        ),
        (
            "type: password_spraying, rules: [base], group-by: [a], success: other",
            "'other', which is not among 'rules'",
        ),
        ("type: sequence, rules: [base]", "needs 'steps'"),
        (
            "type: sequence, steps: [{rule: base}]",
            "'steps' must be 2 to 16",
        ),
        (
            "type: sequence, steps: [{rule: base}, {rule: other, match: {h: x}}]",
            "step 2: matches 'h'",
        ),
        (
            "type: sequence, steps: [{rule: base}, {rule: other, mtach: {h: x}}]",
            "did you mean match?",
        ),
        (
            "type: sequence, steps: [{rule: base}, {bind: {h: x}}]",
            "step 2: names no 'rule'",
        ),
        (
            "type: sequence, steps: [base, other]",
            "step 1: must be a map",
        ),
        (
            "type: sequence, steps: [{rule: base}, {rule: other}], hosts: [h]",
            "'h', which no step binds",
        ),
    ] {
        check_refused(body, word);
    }
}

#[test]
fn pipelines_map_the_fields_of_analytics() {
    let file = |path: &str, text: String| RuleFile {
        path: Arc::from(path),
        text,
    };
    let rules = format!(
        "{BASE}analytic: {{type: new_terms, rules: [base], group-by: [User], field: [Image, b]}}\n"
    );
    let pipeline = "transformations: [{type: field_name_mapping, mapping: {Image: process.file.path, User: [u, v]}, rule_conditions: [{type: logsource, product: windows}]}]\n";
    let options = LoadOptions {
        pipelines: vec![file("p.yml", pipeline.to_owned())],
        ..LoadOptions::default()
    };
    let set = RuleSet::load_with([file("a.yml", rules)], options);
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    let AnalyticKind::NewTerms(terms) = &set.analytics[0].kind else {
        panic!("{set:?}");
    };
    assert_eq!(terms.fields, ["process.file.path", "b"]);
    assert_eq!(set.analytics[0].group_by[0].fields, ["u", "v"]);
}
