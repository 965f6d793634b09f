//! Loading: what becomes of files of all kinds.

mod bad_input;

use super::*;

fn load(text: &str) -> RuleSet {
    let file = RuleFile {
        path: Arc::from("r.yml"),
        text: text.to_owned(),
    };
    RuleSet::load([file], BTreeMap::new())
}

fn check_refused(text: &str, expected: &[(usize, &str)]) {
    let set = load(text);
    let found: Vec<_> = set
        .refused
        .iter()
        .map(|one| (one.line, one.reason.as_str()))
        .collect();
    assert_eq!(found, expected, "{text}");
}

const HEAD: &str = "title: T\nid: 1\nlogsource: {product: windows}\n";

#[test]
fn refusals_say_line_and_reason() {
    check_refused(
        &format!("{HEAD}detection:\n  sel:\n    Image|endwith: x\n  condition: sel\n"),
        &[(
            6,
            "selection 'sel': field 'Image|endwith': unknown modifier 'endwith' (did you mean endswith?); the modifiers are listed in the guide to rules",
        )],
    );
    check_refused(
        &format!("{HEAD}detection:\n  sel:\n    a: 1\n  condition: selection\n"),
        &[(
            7,
            "'condition' names 'selection', which is not a selection; name one that the detection has",
        )],
    );
    check_refused(
        "title: T\nid: 2\n",
        &[(
            1,
            "has no detection; a rule needs 'detection', 'correlation', 'filter' or 'analytic'",
        )],
    );
    check_refused(
        "- a\n",
        &[(
            1,
            "a rule must be a map that starts with its title, not a list",
        )],
    );
    let twice = format!(
        "{HEAD}detection: {{s: {{a: 1}}, condition: s}}\n---\n{HEAD}detection: {{s: {{a: 1}}, condition: s}}\n"
    );
    check_refused(
        &twice,
        &[(
            7,
            "id '1' is used by an earlier rule, in r.yml line 1; give this one its own",
        )],
    );
}

#[test]
fn broken_yaml_names_its_line() {
    let set = load("title: T\nid: [\n");
    assert_eq!(set.refused.len(), 1);
    assert!(
        set.refused[0].reason.starts_with("no valid YAML"),
        "{}",
        set.refused[0].reason
    );
}

#[test]
fn global_documents_are_merged_into_those_that_follow() {
    let text = "action: global\ntitle: G\nlogsource: {product: linux}\n---\nid: a\ndetection: {s: {x: 1}, condition: s}\n---\nid: b\ndetection: {s: {x: 2}, condition: s}\n";
    let set = load(text);
    let found: Vec<_> = set
        .rules
        .iter()
        .map(|rule| (rule.meta.id.as_str(), rule.meta.title.as_str()))
        .collect();
    assert_eq!(found, [("a", "G"), ("b", "G")]);
    assert!(set.refused.is_empty());
}

#[test]
fn correlations_stand_after_what_they_rest_on_and_cycles_are_refused() {
    let correlation = |id: &str, on: &str| {
        format!(
            "---\ntitle: {id}\nid: {id}\ncorrelation: {{type: event_count, rules: [{on}], group-by: [user], timespan: 5m, condition: {{gte: 3}}}}\n"
        )
    };
    let text = format!(
        "title: T\nid: base\ndetection: {{s: {{a: 1}}, condition: s}}\n{}{}{}{}",
        correlation("outer", "inner"),
        correlation("inner", "base"),
        correlation("x", "y"),
        correlation("y", "x"),
    );
    let set = load(&text);
    let order: Vec<_> = set
        .correlations
        .iter()
        .map(|one| one.meta.id.as_str())
        .collect();
    assert_eq!(order, ["inner", "outer"]);
    assert_eq!(set.refused.len(), 2);
}

#[test]
fn legacy_aggregation_becomes_a_correlation() {
    let text = format!(
        "{HEAD}detection:\n  sel: {{EventID: 4625}}\n  timeframe: 10m\n  condition: sel | count(TargetUserName) by IpAddress, Computer > 5\n"
    );
    let set = load(&text);
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    let one = &set.correlations[0];
    assert_eq!(
        one.kind,
        crate::CorrelationKind::ValueCount(vec!["TargetUserName".to_owned()])
    );
    let groups: Vec<_> = one
        .group_by
        .iter()
        .map(|group| group.name.as_str())
        .collect();
    assert_eq!(groups, ["IpAddress", "Computer"]);
    assert_eq!(one.rules, ["1/base"]);
}

#[test]
fn all_rules_of_the_corpus_load_or_are_named() {
    let root =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus/sigma-rules");
    if !root.is_dir() {
        println!("skipped: {} is absent", root.display());
        return;
    }
    let mut files = Vec::new();
    collect(&root, &mut files);
    let set = RuleSet::load(files, BTreeMap::new());
    for one in &set.refused {
        println!("{}:{}: {}", one.path, one.line, one.reason);
    }
    assert!(set.len() >= 3754, "{} loaded", set.len());
    assert_eq!(set.refused.len(), 0);
    for one in &set.warnings {
        println!("{}: {}", one.rule_id, one.reason);
    }
    assert!(set.warnings.len() < 20, "{} warnings", set.warnings.len());
}

/// The specification's own examples load, but for what they rest on.
#[test]
fn examples_of_the_specification_load() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/corpus/sigma-spec/tests/schema");
    if !root.is_dir() {
        println!("skipped: {} is absent", root.display());
        return;
    }
    let mut files = Vec::new();
    collect(&root, &mut files);
    assert!(files.len() >= 10);
    for file in files {
        let set = RuleSet::load([file], BTreeMap::new());
        for one in set.refused {
            let rests = one.reason.contains("which is not loaded")
                || one.reason.contains("filter meets no loaded rule");
            assert!(rests, "{}: {}", one.path, one.reason);
        }
    }
}

#[test]
fn chains_of_correlations_load_whatever_their_order() {
    let text = "title: Failed then successful
id: c1
correlation:
  type: temporal_ordered
  rules: [many_failed, successful]
  group-by: [User]
  timespan: 10m
---
title: Many failed
id: c2
name: many_failed
correlation: {type: event_count, rules: [failed], group-by: [User], timespan: 10m, condition: {gt: 10, lte: 200}}
---
title: Failed
id: r1
name: failed
logsource: {product: windows, service: security}
detection: {selection: {EventID: [529, 4625]}, condition: selection}
---
title: Successful
id: r2
name: successful
logsource: {product: windows, service: security}
detection: {selection: {EventID: [528, 4624]}, condition: selection}
";
    let set = load(text);
    assert!(
        set.refused.is_empty() && set.warnings.is_empty(),
        "{:?} {:?}",
        set.refused,
        set.warnings
    );
    assert_eq!(set.correlations[1].meta.id, "c1");
    assert_eq!(set.correlations[0].bounds.len(), 2);
}

#[test]
fn filters_narrow_the_rules_that_they_name() {
    let rules = "title: A\nid: a\nname: first\nlogsource: {product: windows, category: x}\ndetection: {s: {q: 1}, condition: s}\n---\ntitle: B\nid: b\nlogsource: {product: linux}\ndetection: {s: {q: 1}, timeframe: 5m, condition: s | count() > 3}\n";
    let narrowed = |filter: &str| {
        let set = load(&format!("{rules}---\ntitle: F\nid: f\n{filter}"));
        let is_narrowed = |rule: &&Rule| matches!(rule.expr, crate::Expr::And(_));
        let ids = set.rules.iter().filter(is_narrowed);
        let ids: Vec<&str> = ids.map(|rule| rule.meta.id.as_str()).collect();
        let reasons = set.refused.iter().map(|one| one.reason.clone());
        let warnings = set.warnings.iter().map(|one| one.reason.clone());
        (
            ids.join(" "),
            reasons.chain(warnings).collect::<Vec<_>>().join(" "),
        )
    };
    let with = |rules: &str, logsource: &str| {
        narrowed(&format!(
            "logsource: {{{logsource}}}\nfilter: {{rules: {rules}, k: {{u: 1}}, condition: not k}}\n"
        ))
    };
    assert_eq!(with("any", "product: windows").0, "a");
    assert_eq!(with("[first]", "product: windows").0, "a");
    assert_eq!(with("[a, b]", "").0, "a b/base");
    assert_eq!(with("[b]", "product: linux").0, "b/base");
    let (ids, reasons) = with("[a, zzz]", "product: windows");
    assert_eq!(ids, "a");
    assert!(reasons.contains("'zzz', which is not loaded"), "{reasons}");
    let (ids, reasons) = with("any", "product: macos");
    assert_eq!(ids, "");
    assert!(reasons.contains("filter meets no loaded rule"), "{reasons}");
}

#[expect(clippy::disallowed_methods, reason = "tests read the shared rules")]
fn collect(folder: &std::path::Path, files: &mut Vec<RuleFile>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "yml") {
            files.push(RuleFile {
                path: Arc::from(path.to_string_lossy()),
                text: std::fs::read_to_string(&path).unwrap(),
            });
        }
    }
}
