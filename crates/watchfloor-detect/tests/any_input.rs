//! What the fuzz targets `rules`, `conditions` and `evaluate` do, over pseudo-random input of a
//! fixed seed: rules of wild pieces, known rules with pieces exchanged, events of all shapes.
#![allow(clippy::disallowed_methods, missing_docs)]

#[path = "../../../fuzz/fuzz_targets/support.rs"]
mod support;
#[path = "../../../fuzz/fuzz_targets/support_rules.rs"]
mod support_rules;

use watchfloor_detect::{Detector, explain};
use watchfloor_event::{Finding, Format};

/// A generator of numbers that needs no state but one.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        ((self.0 >> 33) as usize) % end.max(1)
    }

    fn one<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    fn many(&mut self, of: &[&str], most: usize) -> String {
        (0..self.below(most)).map(|_| self.one(of)).collect()
    }
}

const WORDS: &[&str] = &[
    "s", "sel_1", "_f", "sel*", "and", "or", "not", "1 of", "all of", "them", "(", ")", " ", " ",
    "|", "count()", "by", ">", "5", "*", "'", "\u{e9}", "\u{202e}", "\\", "%name%", "%",
];
const KEYS: &[&str] = &[
    "a",
    "a.b",
    "Image",
    "",
    "a|contains",
    "a|startswith",
    "a|endswith",
    "a|all",
    "a|re",
    "a|re|i",
    "a|cidr",
    "a|exists",
    "a|gt",
    "a|lte",
    "a|hour",
    "a|year|gte",
    "a|base64offset|contains",
    "a|wide|base64",
    "a|utf16",
    "a|windash",
    "a|windash|contains|all",
    "a|expand",
    "a|fieldref",
    "a|fieldref|startswith",
    "a|cased",
    "a|neq",
    "|all",
    "a|neq|re",
    "\u{1f600}|contains",
];
const VALUES: &[&str] = &[
    "x",
    "",
    "null",
    "true",
    "5",
    "-1",
    "1e308",
    "*",
    "?",
    "\\*",
    "\\\\*",
    "a*b?c",
    "-x /y",
    "[a, b]",
    "[]",
    "{}",
    "[null, '']",
    "10.0.0.0/8",
    "::/0",
    "(a|b)+",
    "(",
    "%name%",
    "b",
    "2026-11-24T12:00:00Z",
    "\u{130}\u{df}",
    "[1, 2, 3]",
    "---",
    "&x y",
    "*x",
    "!!binary aGk=",
    "<<",
    "|",
    "a.b",
];
const LINES: &[&str] = &[
    "title: t\n",
    "id: a\n",
    "name: n\n",
    "level: high\n",
    "logsource: {product: windows}\n",
    "detection: {s: {a: 1}, condition: s}\n",
    "---\n",
    "action: global\n",
    "action: reset\n",
    "action: repeat\n",
    "tags: [attack.t1059]\n",
    "\t",
    "  ",
    "detection:\n",
    "  s: [x, y]\n",
    "  condition: s\n",
    "correlation: {type: event_count, rules: [n], timespan: 5m, condition: {gte: 1}}\n",
    "correlation: {type: temporal, rules: [n, a], group-by: [a], timespan: 1h}\n",
    "analytic: {type: new_terms, rules: [n], field: a}\n",
    "analytic: {type: sequence, steps: [{rule: n, bind: {x: a}}, {rule: a, match: {x: b}}]}\n",
    "analytic: {type: beaconing, rules: [n], group-by: [a], min_events: 5, timespan: 1d}\n",
    "filter: {rules: any, f: {b: 2}, condition: not f}\n",
    "taxonomy: x\n",
    "\u{feff}",
    "...\n",
    "#\n",
    "fields: &x [a]\n",
    "author: *x\n",
    "\0",
    "? \n",
];
const PIPELINE: &[&str] = &[
    "name: p\n",
    "priority: 1\n",
    "vars: {name: [x]}\n",
    "transformations:\n",
    "  - {type: field_name_mapping, mapping: {a: [b, c]}}\n",
    "  - {type: drop_detection_item}\n",
    "  - {type: field_name_suffix, suffix: .x}\n",
    "  - {type: replace_string, regex: '(.)', replacement: '\\1\\1'}\n",
    "  - {type: regex}\n",
    "  - {type: case, method: upper}\n",
    "  - {type: value_placeholders}\n",
    "  - {type: set_value, value: 5}\n",
    "  - {type: map_string, mapping: {x: [y, z]}}\n",
    "  - {type: add_condition, conditions: {n: 1}, negated: true}\n",
    "  - {type: hashes_fields, valid_hash_algos: [MD5]}\n",
    "  - {type: convert_type, target_type: num}\n",
    "    rule_conditions: [{type: logsource, product: windows}]\n",
];
const EVENTS: &[&str] = &[
    "{}",
    "{\"a\":1}",
    "{\"a\":\"x\",\"b\":\"x\"}",
    "{\"a\":[\"x\",null,{\"b\":1}]}",
    "{\"a\":null}",
    "{\"a\":{\"b\":{\"c\":\"10.1.2.3\"}}}",
    "{\"a\":\"2026-11-24T22:00:00Z\",\"Image\":\"C:\\\\x.exe\"}",
    "{\"a\":true,\"a\":false}",
    "{\"\":\"\"}",
    "{\"a\":1e999}",
    "[1,2]",
    "nonsense",
    "{\"a\":\"\\ud800\"}",
    "{\"a\":\"\u{130}\u{df}-x /y aa\"}",
];

fn rule(dice: &mut Dice) -> String {
    let condition = match dice.below(3) {
        0 => "s".to_owned(),
        1 => "s and not _f or 1 of sel*".to_owned(),
        _ => dice.many(WORDS, 12),
    };
    support_rules::rule_with(&condition, dice.one(KEYS), dice.one(VALUES))
        // Some values come as YAML, not as text.
        .replace(": 'null'", ": null")
        .replace(": '[", ": [")
        .replace("]'", "]")
}

/// A good file in which a few lines are left out, doubled or exchanged.
fn changed(dice: &mut Dice) -> String {
    const GOOD: &str = "title: t\nid: a\nname: n\nlogsource: {product: windows}\ndetection: {s: {a: 1}, condition: s}\n---\ntitle: u\nid: b\ncorrelation: {type: event_count, rules: [n], timespan: 5m, condition: {gte: 1}}\n---\ntitle: v\nid: c\nlogsource: {product: windows}\nfilter: {rules: any, f: {b: 2}, condition: not f}\n---\ntitle: w\nid: d\ndetection:\n  s: [x, y]\n  condition: s\n";
    let mut text = String::new();
    for line in GOOD.split_inclusive('\n') {
        match dice.below(20) {
            0 => {}
            1 => text.push_str(&line.repeat(2)),
            2 => text.push_str(dice.one(LINES)),
            3 => text.push_str(&line.replacen(['t', 'i', ':', '['], dice.one(WORDS), 1)),
            _ => text.push_str(line),
        }
    }
    text
}

#[test]
fn any_text_loads_or_is_refused_with_line_and_reason() {
    let mut dice = Dice(1);
    let mut loaded = 0;
    for _ in 0..6_000 {
        let rules = match dice.below(2) {
            0 => dice.many(LINES, 12),
            _ => changed(&mut dice),
        };
        let pipeline = dice.many(PIPELINE, 8);
        let set = support_rules::load(&rules, &pipeline);
        loaded += set.len();
        for refusal in &set.refused {
            assert!(
                refusal.line > 0 && refusal.reason.len() > 10,
                "{rules:?}: {refusal:?}"
            );
        }
    }
    assert!(loaded > 2_000, "only {loaded} load, so little is tried");
}

#[test]
fn any_rule_over_any_event_ends_and_findings_are_whole() {
    let mut dice = Dice(2);
    let (mut loaded, mut found) = (0, 0);
    for _ in 0..6_000 {
        let rules = rule(&mut dice);
        let pipeline = if dice.below(4) == 0 {
            format!("transformations:\n{}", dice.many(&PIPELINE[4..], 4))
        } else {
            String::new()
        };
        let set = support_rules::load(&rules, &pipeline);
        loaded += set.len();
        let mut detector = Detector::new(set.clone());
        let batch = support::decoded(Format::Json, None, dice.one(EVENTS).as_bytes());
        let findings = detector.evaluate(&batch).findings;
        for finding in &findings {
            assert!(!finding.event_ids.is_empty(), "{rules}");
            assert!(!finding.summary.is_empty(), "{rules}");
            found += 1;
        }
        for rule in &set.rules {
            for row in 0..batch.len() {
                let id = batch.rows()[row].id;
                let of_row = |one: &&Finding| {
                    one.rule_id == rule.meta.id && one.event_ids.first() == Some(&id)
                };
                let is_found = findings.iter().any(|one| of_row(&one));
                let explained = explain(&set, &rule.meta.id, &batch, row).expect("it is there");
                assert_eq!(explained.matched, is_found, "{rules}: {explained:#?}");
            }
        }
        let saved = detector.save();
        detector.restore(&saved).expect("what it saved");
    }
    assert!(
        loaded > 1_500 && found > 100,
        "{loaded} rules, {found} findings"
    );
}
