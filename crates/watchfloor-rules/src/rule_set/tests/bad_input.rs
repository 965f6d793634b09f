//! What must not load, must load, or must load with a word about it.

use super::super::*;
use std::time::{Duration, Instant};

fn load(text: &str) -> RuleSet {
    load_files(&[("r.yml", text)])
}

fn load_files(files: &[(&str, &str)]) -> RuleSet {
    let files = files.iter().map(|(path, text)| RuleFile {
        path: Arc::from(*path),
        text: (*text).to_owned(),
    });
    RuleSet::load(files, BTreeMap::new())
}

/// A rule with this detection.
fn rule(detection: &str) -> String {
    format!("title: T\nid: r1\nlogsource: {{product: windows}}\ndetection:\n{detection}")
}

/// Refused once, naming each of the words, and what to do about it behind a `;` or in brackets.
fn check_refused(text: &str, line: usize, words: &[&str]) {
    let set = load(text);
    assert_eq!(set.len(), 0, "{text:.200} loads");
    assert_eq!(set.refused.len(), 1, "{:?}", set.refused);
    let refusal = &set.refused[0];
    assert_eq!(&*refusal.path, "r.yml");
    assert_eq!(refusal.line, line, "{}", refusal.reason);
    for word in words {
        assert!(refusal.reason.contains(word), "{}", refusal.reason);
    }
    assert!(refusal.reason.len() < 1000, "{}", refusal.reason.len());
}

fn check_loads(text: &str) {
    let set = load(text);
    assert_eq!((set.len(), &set.refused), (1, &Vec::new()), "{text:.200}");
}

fn quickly<T>(what: &str, work: impl FnOnce() -> T) -> T {
    #[expect(clippy::disallowed_methods, reason = "the test measures time")]
    let start = Instant::now();
    let result = work();
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "{what} takes {:?}",
        start.elapsed()
    );
    result
}

#[test]
fn wrong_types_are_named_with_their_key() {
    let detection = "detection: {s: {a: 1}, condition: s}\n";
    for (text, line, words) in [
        (
            format!("title: [a]\nid: r1\n{detection}"),
            1,
            vec!["'title' must be a text, not a list"],
        ),
        (
            format!("title: T\nid: {{a: 1}}\n{detection}"),
            2,
            vec!["'id' must be a text, not a map"],
        ),
        (
            format!("title: T\nid: r1\nlevel: [high]\n{detection}"),
            3,
            vec!["'level'", "not a list"],
        ),
        (
            format!("title: T\nid: r1\nlevel: hihg\n{detection}"),
            3,
            vec!["level 'hihg' is none of", "did you mean high?"],
        ),
        (
            format!("title: T\nid: r1\ntags: [[a]]\n{detection}"),
            3,
            vec!["'tags' must be a list of texts"],
        ),
        (
            format!("title: T\nid: r1\nlogsource: windows\n{detection}"),
            3,
            vec!["'logsource' must be a map", "not a text"],
        ),
        (
            format!("title: T\nid: r1\nlogsource:\n  product: 7\n{detection}"),
            4,
            vec!["logsource 'product' must be a text, not a number"],
        ),
        (
            "title: T\nid: r1\ndetection: [a]\n".to_owned(),
            3,
            vec!["'detection' must be a map", "not a list"],
        ),
        (
            "title: T\nid: r1\ndetektion: {s: {a: 1}}\n".to_owned(),
            3,
            vec!["did you mean detection?"],
        ),
        (
            "title: T\nid: r1\naction: [global]\ndetection: {s: {a: 1}, condition: s}\n".to_owned(),
            1,
            vec!["'action' must be one of the words"],
        ),
        (
            "just text\n".to_owned(),
            1,
            vec!["must be a map", "not a text"],
        ),
    ] {
        check_refused(&text, line, &words);
    }
}

#[test]
fn broken_detections_are_named_with_their_line() {
    for (detection, line, words) in [
        (
            "  s: {a: 1}\n  condition: 5\n",
            6,
            vec!["'condition'", "not a number"],
        ),
        (
            "  s: {a: 1}\n  condition: []\n",
            6,
            vec!["'condition' is an empty list"],
        ),
        ("  s: {a: 1}\n", 4, vec!["has no condition"]),
        ("  condition: s\n", 4, vec!["has no selection"]),
        (
            "  s:\n    a: {b: 1}\n  condition: s\n",
            6,
            vec!["field 'a'", "not a map"],
        ),
        (
            "  s:\n    a: []\n  condition: s\n",
            6,
            vec!["empty list of values"],
        ),
        (
            "  s: []\n  condition: s\n",
            5,
            vec!["selection 's'", "empty list"],
        ),
        ("  s: {}\n  condition: s\n", 5, vec!["empty map"]),
        ("  s:\n  condition: s\n", 5, vec!["is empty"]),
        (
            "  s: [[a]]\n  condition: s\n",
            5,
            vec!["list stands directly in a list"],
        ),
        (
            "  s: [null]\n  condition: s\n",
            5,
            vec!["keyword cannot be null"],
        ),
        (
            "  s:\n    a|contians: 1\n  condition: s\n",
            6,
            vec!["unknown modifier 'contians'", "did you mean contains"],
        ),
        (
            "  selection: {a: 1}\n  condition: selektion\n",
            6,
            vec![
                "'selektion', which is not a selection",
                "did you mean selection?",
            ],
        ),
        (
            "  s: {a: 1}\n  condition: (s or (s)\n",
            4,
            vec!["bracket", "not closed"],
        ),
        (
            "  s: {a: 1}\n  condition: s)\n",
            4,
            vec!["bracket", "not opened"],
        ),
        (
            "  s: {a: 1}\n  condition: 1 of nothing*\n",
            6,
            vec!["'nothing*'", "names no selection"],
        ),
        (
            "  _s: {a: 1}\n  condition: 1 of them\n",
            6,
            vec!["'them' names no selection"],
        ),
        ("  s: {a: 1}\n  condition: s near s\n", 4, vec!["'near'"]),
        (
            "  s: {a: 1}\n  condition: s | near s\n",
            4,
            vec!["correlation of type temporal"],
        ),
        (
            "  s: {a: 1}\n  condition: s | count() by\n",
            4,
            vec!["count(field) by group"],
        ),
    ] {
        let text = rule(detection);
        let set = load(&text);
        assert_eq!(set.refused.len(), 1, "{text}: {:?}", set.refused);
        assert_eq!(set.refused[0].rule, "r1");
        let found = set.refused[0].line;
        assert!(found.abs_diff(line) <= 2, "{detection}: line {found}");
        check_refused(&text, found, &words);
    }
}

#[test]
fn broken_correlations_are_named() {
    let base = "title: B\nid: b\nname: base\nlogsource: {product: windows}\ndetection: {s: {a: 1}, condition: s}\n---\ntitle: C\nid: c\n";
    for (body, words) in [
        ("correlation: [1]\n", vec!["'correlation' must be a map"]),
        (
            "correlation: {type: event_count, rules: [base], timespan: {m: 5}, condition: {gte: 1}}\n",
            vec!["'timespan' must be a text, not a map"],
        ),
        (
            "correlation: {type: event_count, rules: [base], timespan: 5x, condition: {gte: 1}}\n",
            vec!["timespan '5x'", "15s, 10m, 1h or 7d"],
        ),
        (
            "correlation: {type: event_count, rules: [base], condition: {gte: 1}}\n",
            vec!["has no 'timespan'"],
        ),
        (
            "correlation: {type: event_count, rules: [base], timespan: 0s, condition: {gte: 1}}\n",
            vec!["not between"],
        ),
        (
            "correlation: {type: event_cuont, rules: [base], timespan: 5m, condition: {gte: 1}}\n",
            vec!["'event_cuont'", "did you mean event_count"],
        ),
        (
            "correlation: {rules: [base], timespan: 5m, condition: {gte: 1}}\n",
            vec!["has no 'type'"],
        ),
        (
            "correlation: {type: event_count, timespan: 5m, condition: {gte: 1}}\n",
            vec!["names no rules"],
        ),
        (
            "correlation: {type: event_count, rules: [base, base], timespan: 5m, condition: {gte: 1}}\n",
            vec!["'base' twice"],
        ),
        (
            "correlation: {type: event_count, rules: {a: 1}, timespan: 5m, condition: {gte: 1}}\n",
            vec!["'rules' must be a list of texts"],
        ),
        (
            "correlation: {type: event_count, rules: [base], timespan: 5m}\n",
            vec!["no condition"],
        ),
        (
            "correlation: {type: event_count, rules: [base], timespan: 5m, condition: {gte: many}}\n",
            vec!["'gte'", "must be a number, not a text"],
        ),
        (
            "correlation: {type: event_count, rules: [base], timespan: 5m, condition: {ge: 1}}\n",
            vec!["'ge'", "use gt"],
        ),
        (
            "correlation: {type: event_count, rules: [base], timespan: 5m, condition: {gte: 1, field: a}}\n",
            vec!["measures no 'field'"],
        ),
        (
            "correlation: {type: value_count, rules: [base], timespan: 5m, condition: {gte: 1}}\n",
            vec!["needs 'field'"],
        ),
        (
            "correlation: {type: value_sum, rules: [base], timespan: 5m, condition: {gte: 1, field: [a, b]}}\n",
            vec!["measures one 'field'"],
        ),
        (
            "correlation: {type: value_percentile, rules: [base], timespan: 5m, condition: {gte: 1, field: a, percentile: 101}}\n",
            vec!["from 0 to 100"],
        ),
        (
            "correlation: {type: temporal, rules: [base], timespan: 5m, condition: base and not base}\n",
            vec!["'condition' is an expression"],
        ),
        (
            "correlation: {type: temporal, rules: [base], timespan: 5m, aliases: [a]}\n",
            vec!["'aliases' must map"],
        ),
        (
            "correlation: {type: temporal, rules: [base], timespan: 5m, group_by: [a]}\n",
            vec!["unknown key 'group_by'", "did you mean group-by"],
        ),
        (
            "correlation: {type: temporal, rules: [base], timespan: 5m, generate: 5}\n",
            vec!["'generate' must be true or false"],
        ),
        (
            "correlation: {type: temporal, rules: [other], timespan: 5m}\n",
            vec!["'other', which is not loaded", "load it"],
        ),
        ("filter: [a]\n", vec!["'filter' must be a map"]),
        (
            "filter: {s: {a: 1}, condition: s}\n",
            vec!["names no 'rules'"],
        ),
        (
            "filter: {rules: [zzz], s: {a: 1}, condition: s}\n",
            vec!["meets no loaded rule"],
        ),
        (
            "filter: {rules: any, s: {a: 1}, condition: t}\n",
            vec!["'t', which is not a selection"],
        ),
    ] {
        let set = load(&format!("{base}{body}"));
        assert_eq!(
            (set.len(), set.refused.len()),
            (1, 1),
            "{body}: {:?}",
            set.refused
        );
        let refusal = &set.refused[0];
        assert_eq!(refusal.rule, "c");
        assert!((7..=9).contains(&refusal.line), "{refusal:?}");
        for word in words {
            assert!(refusal.reason.contains(word), "{body}: {}", refusal.reason);
        }
    }
}

fn event_count(id: &str, on: &str) -> String {
    format!(
        "---\ntitle: {id}\nid: {id}\ncorrelation: {{type: event_count, rules: [{on}], timespan: 5m, condition: {{gte: 3}}}}\n"
    )
}

#[test]
fn a_cycle_of_correlations_is_written_out() {
    let set = load(&format!(
        "{}{}{}{}{}",
        event_count("x", "y"),
        event_count("y", "z"),
        event_count("z", "x"),
        event_count("above", "x"),
        event_count("self", "self"),
    ));
    let reasons: Vec<&str> = set.refused.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(
        reasons,
        [
            "is part of a cycle of correlations: x \u{2192} y \u{2192} z \u{2192} x; remove one of these references",
            "is part of a cycle of correlations: y \u{2192} z \u{2192} x \u{2192} y; remove one of these references",
            "is part of a cycle of correlations: z \u{2192} x \u{2192} y \u{2192} z; remove one of these references",
            "rests on a cycle of correlations: x \u{2192} y \u{2192} z \u{2192} x; remove one of these references",
            "is part of a cycle of correlations: self \u{2192} self; remove one of these references",
        ]
    );
    let set = load(&format!(
        "{}{}",
        event_count("top", "middle"),
        event_count("middle", "absent")
    ));
    assert_eq!(
        set.refused[0].reason,
        "rests on 'middle', which is refused; mend that one first"
    );
    assert!(
        set.refused[1]
            .reason
            .contains("'absent', which is not loaded")
    );
}

#[test]
fn long_chains_of_correlations_are_ordered_quickly() {
    let mut text = rule("  s: {a: 1}\n  condition: s\n");
    for number in (2..=20_000).rev() {
        text.push_str(&event_count(
            &format!("r{number}"),
            &format!("r{}", number - 1),
        ));
    }
    let set = quickly("a chain", || load(&text));
    assert_eq!((set.len(), set.refused.len()), (20_000, 0));
    assert_eq!(set.correlations[0].meta.id, "r2");
    let ring = text.replace("rules: [r1]", "rules: [r20000]");
    let set = quickly("a ring", || load(&ring));
    assert_eq!((set.len(), set.refused.len()), (1, 19_999));
}

#[test]
fn doubled_ids_name_the_first_file_and_doubled_keys_their_line() {
    let text = rule("  s: {a: 1}\n  condition: s\n");
    let set = load_files(&[("first.yml", &text), ("second.yml", &text)]);
    assert_eq!(set.len(), 1);
    assert_eq!(&*set.refused[0].path, "second.yml");
    assert_eq!(
        set.refused[0].reason,
        "id 'r1' is used by an earlier rule, in first.yml line 1; give this one its own"
    );
    check_refused(
        "title: T\nid: r1\ndetection:\n  s:\n    a: 1\n    a: 2\n  condition: s\n",
        6,
        &["no valid YAML", "doubled keys"],
    );
}

#[test]
fn documents_without_ids_are_told_apart() {
    let one = "title: T\nlogsource: {product: windows}\ndetection: {s: {a: 1}, condition: s}\n";
    let set = load(&format!("{one}---\n{one}"));
    let ids: Vec<&str> = set.metas().map(|meta| meta.id.as_str()).collect();
    assert_eq!(ids, ["r.yml", "r.yml#2"]);
    let named = format!("name: n\n{one}");
    let set = load(&format!("{named}---\n{named}"));
    assert_eq!(set.len(), 2);
    assert!(
        set.warnings[0]
            .reason
            .contains("name 'n' is also that of rule r.yml")
    );
}

#[test]
fn files_of_other_editors_load() {
    let text = rule("  s: {a: 1}\n  condition: s\n");
    check_loads(&format!("\u{feff}{text}"));
    check_loads(&text.replace('\n', "\r\n"));
    check_loads(&format!("\r\n---\r\n{}", text.replace('\n', "\r\n")));
    check_loads(&format!("# a comment\n---\n{text}...\n"));
    check_loads(&format!("--- # the rule\n{text}---\n"));
    check_loads("--- {title: T, id: r1, detection: {s: {a: 1}, condition: s}}\n");
    let set = load("\r\n\r\n---\r\n\r\ntitle: T\r\nid: x\r\ndetection: 5\r\n");
    assert_eq!(set.refused[0].line, 7);
}

#[test]
fn words_are_texts_and_zeros_stay() {
    let text = rule("  s:\n    a: [no, y, on, off, 007, 1_000, true, 1.5]\n  condition: s\n");
    let set = load(&text);
    let mut found = Vec::new();
    set.rules[0]
        .expr
        .for_each_leaf(&mut |leaf| found.push(leaf.written.as_str()));
    assert_eq!(
        found,
        ["no", "y", "on", "off", "007", "1_000", "true", "1.5"]
    );
}

#[test]
fn files_that_are_no_rules_are_named_or_empty() {
    for empty in ["", "\n", "# nothing\n", "---\n---\n", "null\n", "\u{feff}"] {
        let set = load(empty);
        assert!(
            set.is_empty() && set.refused.is_empty(),
            "{empty:?} {:?}",
            set.refused
        );
    }
    let binary: String = (0..4096_u32)
        .map(|byte| char::from((byte * 7 % 256) as u8))
        .collect();
    for text in [binary, "\0\0\0".to_owned(), "\u{fffd}PNG\0\r\n".to_owned()] {
        let set = load(&text);
        assert_eq!((set.len(), set.refused.len()), (0, 1));
    }
    check_refused(
        "title: T\nid: r1\ndetection:\n\ts: 1\n",
        4,
        &["no valid YAML", "indent with spaces, not with tabs"],
    );
    let set = load("title: T\nid: r1\ndetection: [\n");
    assert_eq!(
        set.refused[0].rule, "r1",
        "the rule is named though it cannot be parsed"
    );
}

#[test]
fn yaml_bombs_are_refused_quickly() {
    let mut aliases = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for level in 1..12 {
        let item = format!("*a{},", level - 1).repeat(9);
        aliases.push_str(&format!("a{level}: &a{level} [{item}]\n"));
    }
    let deep_flow = format!("title: {}{}\n", "[".repeat(100_000), "]".repeat(100_000));
    let deep_block: String = (0..2_000)
        .map(|depth| format!("{}a:\n", " ".repeat(depth)))
        .collect();
    let anchors: String = (0..100_000)
        .map(|number| format!("a{number}: &a{number} x\n"))
        .collect();
    for bomb in [aliases, deep_flow, deep_block, anchors] {
        let set = quickly("a bomb", || load(&bomb));
        assert_eq!((set.len(), set.refused.len()), (0, 1), "{bomb:.40}");
        assert!(
            set.refused[0].reason.contains("YAML"),
            "{}",
            set.refused[0].reason
        );
    }
    let global = format!(
        "action: global\ntitle: T\ndescription: {}\n",
        "x".repeat(4 << 20)
    );
    let many = format!(
        "{global}{}",
        "---\ndetection: {s: {a: 1}, condition: s}\n".repeat(1000)
    );
    let set = quickly("a repeated global part", || load(&many));
    assert!(
        set.refused
            .iter()
            .any(|one| one.reason.contains("'action' repeats more than"))
    );
}

#[test]
fn large_files_load_or_are_refused_quickly() {
    let text = rule("  s: {a: 1}\n  condition: s\n");
    let padded = format!("{text}# {}\n", "x".repeat((8 << 20) - text.len() - 3));
    assert_eq!(padded.len(), 8 << 20);
    quickly("8 MiB", || check_loads(&padded));
    check_refused(
        &format!("{padded}x"),
        1,
        &["8388609 bytes", "split it into several files"],
    );
    let huge = format!(
        "title: T\nid: r1\ndetection: {{s: {{a: {}}}, condition: s}}\n",
        "y".repeat(7 << 20)
    );
    quickly("a value of 7 MiB", || check_loads(&huge));
    let small =
        "---\ntitle: T\nlogsource: {product: windows}\ndetection: {s: {a: 1}, condition: s}\n";
    let many = small.repeat((8 << 20) / small.len());
    let set = quickly("100,000 rules", || load(&many));
    assert_eq!(
        (set.len(), set.refused.len()),
        (many.len() / small.len(), 0)
    );
}

#[test]
fn a_hundred_thousand_values_load_and_one_more_is_refused() {
    let values = |number: usize| {
        let values: String = (0..number)
            .map(|value| format!("      - v{value}\n"))
            .collect();
        rule(&format!("  s:\n    a|contains:\n{values}  condition: s\n"))
    };
    let set = quickly("100,000 values", || load(&values(100_000)));
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    let mut leaves = 0;
    set.rules[0].expr.for_each_leaf(&mut |_| leaves += 1);
    assert_eq!(leaves, 100_000);
    check_refused(
        &values(100_001),
        6,
        &["100001 values in one list", "split the rule"],
    );
    let dashes: String = (0..50_000)
        .map(|value| format!("      - -v{value}\n"))
        .collect();
    check_refused(
        &rule(&format!("  s:\n    a|windash:\n{dashes}  condition: s\n")),
        6,
        &["more than 100000"],
    );
}

#[test]
fn selections_that_multiply_in_the_condition_are_refused() {
    let selections: String = (0..20_000)
        .map(|number| format!("  s{number}: {{a: {number}}}\n"))
        .collect();
    let condition = "1 of s* and ".repeat(60);
    let text = rule(&format!("{selections}  condition: {condition}s1\n"));
    let set = quickly("a condition that multiplies", || load(&text));
    assert!(
        set.refused[0]
            .reason
            .contains("asks more than 400000 questions"),
        "{:?}",
        set.refused
    );
}

#[test]
fn deep_and_long_conditions_end() {
    let nested = format!("{}s{}", "(".repeat(10_000), ")".repeat(10_000));
    let text = rule(&format!("  s: {{a: 1}}\n  condition: {nested}\n"));
    check_refused(&text, 6, &["nested deeper than 64", "take brackets out"]);
    let text = rule(&format!(
        "  s: {{a: 1}}\n  condition: {}s\n",
        "not ".repeat(10_000)
    ));
    check_refused(&text, 6, &["nested deeper than 64"]);
    let text = rule(&format!(
        "  s: {{a: 1}}\n  condition: {}s\n",
        "s or ".repeat(50_000)
    ));
    quickly("a long condition", || check_loads(&text));
}

#[test]
fn what_is_odd_but_plain_loads_with_a_word() {
    for (text, word) in [
        (
            rule("  s:\n    a: ['', null]\n  condition: s\n"),
            "null in a list",
        ),
        (
            rule("  s:\n    a|contains|all: x\n  condition: s\n"),
            "'all' with a single value",
        ),
        (
            rule("  s:\n    b: 1\n  f:\n    a|expand: '%u%'\n  condition: s and not f\n"),
            "placeholder %u% has no values, so the exception",
        ),
        (
            "title: T\nid: r1\ndetection: {s: {a: 1}, condition: s}\n".to_owned(),
            "has no logsource",
        ),
        (
            format!(
                "taxonomy: splunk\n{}",
                rule("  s: {a: 1}\n  condition: s\n")
            ),
            "taxonomy 'splunk' is not known",
        ),
    ] {
        check_loads(&text);
        let warnings = load(&text).warnings;
        assert!(
            warnings.len() == 1 && warnings[0].reason.contains(word),
            "{text}: {warnings:?}"
        );
    }
}

#[test]
fn a_placeholder_without_values_refuses_the_rule_that_needs_it() {
    for detection in [
        "  s:\n    a|expand: '%u%'\n  condition: s\n",
        "  s:\n    a|expand: [x, 'y%u%']\n  condition: s\n",
        "  s:\n    a: 1\n  f:\n    a|neq|expand: '%u%'\n  condition: s and not f\n",
    ] {
        let set = load(&rule(detection));
        assert_eq!(set.len(), 0, "{detection}");
        let reason = &set.refused[0].reason;
        assert!(
            reason.contains("%u% has no values") && reason.contains("--placeholders"),
            "{reason}"
        );
    }
}

#[test]
fn a_version_tells_of_pipelines_and_of_the_placeholders_of_a_rule() {
    use crate::{LoadOptions, RuleFile, RuleSet};
    let file = |path: &str, text: &str| RuleFile {
        path: path.into(),
        text: text.to_owned(),
    };
    let version = |placeholders: &[(&str, &str)], pipelines: &[&str]| {
        let text = rule("  s:\n    a: 1\n    b|expand: '%u%'\n  condition: s\n");
        let values = |(name, value): &(&str, &str)| ((*name).to_owned(), vec![(*value).to_owned()]);
        let options = LoadOptions {
            placeholders: placeholders.iter().map(values).collect(),
            pipelines: pipelines.iter().map(|text| file("p.yml", text)).collect(),
        };
        let set = RuleSet::load_with([file("r.yml", &text)], options);
        assert_eq!(set.refused, []);
        set.rules[0].meta.version.clone()
    };
    let mapping = |to: &str| {
        format!("transformations: [{{type: field_name_mapping, mapping: {{a: {to}}}}}]\n")
    };
    let plain = version(&[("u", "x")], &[]);
    assert_eq!(plain, version(&[("u", "x"), ("other", "y")], &[]));
    assert_ne!(plain, version(&[("u", "y")], &[]));
    let piped = version(&[("u", "x")], &[&mapping("c")]);
    assert_ne!(plain, piped);
    assert_eq!(piped, version(&[("u", "x")], &[&mapping("c")]));
    assert_ne!(piped, version(&[("u", "x")], &[&mapping("d")]));
}
