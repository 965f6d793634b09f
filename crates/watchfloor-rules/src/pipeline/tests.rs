//! Pipelines over rules: what a rule asks for before and after.

use std::sync::Arc;

use crate::pattern::Part;
use crate::{Expr, LoadOptions, Matcher, RuleFile, RuleSet};

fn file(path: &str, text: &str) -> RuleFile {
    RuleFile {
        path: Arc::from(path),
        text: text.to_owned(),
    }
}

fn load(pipelines: &[&str], rules: &str) -> RuleSet {
    let options = LoadOptions {
        placeholders: [("Own".to_owned(), vec!["own".to_owned()])].into(),
        pipelines: pipelines
            .iter()
            .enumerate()
            .map(|(number, text)| file(&format!("p{number}.yml"), text))
            .collect(),
    };
    RuleSet::load_with([file("r.yml", rules)], options)
}

/// An expression in one line: `field=pattern`, `&`, `|`, `!`.
fn shape(expr: &Expr) -> String {
    let join = |items: &[Expr], sign: &str| {
        let items: Vec<String> = items.iter().map(shape).collect();
        format!("({})", items.join(sign))
    };
    match expr {
        Expr::And(items) => join(items, " & "),
        Expr::Or(items) => join(items, " | "),
        Expr::Not(item) => format!("!{}", shape(item)),
        Expr::Leaf(leaf) => {
            let field = leaf.field.as_deref().unwrap_or("*any*");
            let asked = match &leaf.matcher {
                Matcher::Text { pattern, .. } => {
                    let part = |part: &Part| match part {
                        Part::Literal(text) => text.clone(),
                        Part::Any => "*".to_owned(),
                        Part::One => "?".to_owned(),
                    };
                    pattern.parts().iter().map(part).collect()
                }
                other => format!("<{}>", other.key()),
            };
            format!("{field}={asked}")
        }
    }
}

fn rule(logsource: &str, detection: &str) -> String {
    format!(
        "title: T\nid: r\nname: rule_name\nstatus: test\nlevel: high\ndate: 2026-05-01\ntags: [attack.t1059]\nlogsource: {{{logsource}}}\ndetection:\n{detection}"
    )
}

const PROCESS: &str = "product: windows, category: process_creation";

fn check(pipeline: &str, detection: &str, expected: &str) {
    check_all(&[pipeline], &rule(PROCESS, detection), expected);
}

fn check_all(pipelines: &[&str], rule: &str, expected: &str) {
    let set = load(pipelines, rule);
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    assert_eq!(shape(&set.rules[0].expr), expected, "{pipelines:?}");
}

/// The rule or the pipeline is refused, and the reason holds the words.
fn check_refused(pipeline: &str, detection: &str, path: &str, words: &[&str]) {
    let set = load(&[pipeline], &rule(PROCESS, detection));
    assert_eq!(set.refused.len(), 1, "{pipeline}: {:?}", set.refused);
    let refusal = &set.refused[0];
    assert_eq!(&*refusal.path, path);
    for word in words {
        assert!(refusal.reason.contains(word), "{}", refusal.reason);
    }
}

/// Items of a pipeline named `p`.
fn items(items: &str) -> String {
    format!("name: p\npriority: 10\ntransformations:\n{items}")
}

const SYSMON: &str = r"
name: Sysmon by generic log sources
priority: 10
transformations:
  - id: process_creation
    type: add_condition
    conditions: {EventID: 1}
    rule_conditions:
      - {type: logsource, category: process_creation, product: windows}
  - id: registry
    type: add_condition
    conditions: {EventID: [12, 13, 14]}
    rule_conditions:
      - {type: logsource, category: registry_event, product: windows}
  - id: to_sysmon
    type: change_logsource
    product: windows
    service: sysmon
    rule_cond_op: or
    rule_conditions:
      - {type: processing_item_applied, processing_item_id: process_creation}
      - {type: processing_item_applied, processing_item_id: registry}
";

const AUDIT: &str = r"
name: Windows audit instead of Sysmon
priority: 20
vars:
  admins: [root, adm_*]
transformations:
  - id: fields
    type: field_name_mapping
    mapping:
      Image: NewProcessName
      ParentImage: ParentProcessName
      User: [SubjectUserName, TargetUserName]
      LogonId: SubjectLogonId
    rule_conditions:
      - {type: logsource, category: process_creation, product: windows}
  - id: event
    type: add_condition
    conditions: {Channel: '$service/$product', EventID: 4688}
    template: true
    rule_conditions:
      - {type: processing_item_applied, processing_item_id: fields}
  - id: levels
    type: map_string
    mapping: {High: S-1-16-12288, System: [S-1-16-16384, S-1-16-20480]}
    field_name_conditions:
      - {type: include_fields, fields: [IntegrityLevel]}
  - id: admins
    type: value_placeholders
    include: [admins]
  - id: source
    type: change_logsource
    product: windows
    service: security
    rule_conditions:
      - {type: logsource, category: process_creation}
";

#[test]
fn a_pipeline_for_sysmon_adds_the_event_and_moves_the_log_source() {
    let set = load(
        &[SYSMON],
        &rule(
            PROCESS,
            "  s: {Image|endswith: '\\cmd.exe'}\n  f: {User: x}\n  condition: s and not f\n",
        ),
    );
    assert!(set.refused.is_empty() && set.warnings.is_empty(), "{set:?}");
    let one = &set.rules[0];
    assert_eq!(
        shape(&one.expr),
        r"(EventID=1 & (Image=*\cmd.exe & !User=x))"
    );
    assert_eq!(one.logsource.service.as_deref(), Some("sysmon"));
    assert_eq!(one.logsource.category, None);
    let other = rule(
        "product: linux, category: process_creation",
        "  s: {Image: a}\n  condition: s\n",
    );
    let set = load(&[SYSMON], &other);
    assert_eq!(shape(&set.rules[0].expr), "Image=a");
    assert_eq!(
        set.rules[0].logsource.category.as_deref(),
        Some("process_creation")
    );
}

#[test]
fn a_pipeline_for_windows_audit_maps_fields_values_and_placeholders() {
    let detection = "
  s:
    Image|endswith: '\\cmd.exe'
    IntegrityLevel: [High, System, Low]
    User|contains: [adm, root]
  f:
    ParentImage|fieldref: Image
    User|expand: '%admins%'
  condition: s and not f
";
    check(
        AUDIT,
        detection,
        r"((Channel=/windows & EventID=4688) & ((NewProcessName=*\cmd.exe & (IntegrityLevel=low | IntegrityLevel=s-1-16-12288 | IntegrityLevel=s-1-16-16384 | IntegrityLevel=s-1-16-20480) & ((SubjectUserName=*adm* | SubjectUserName=*root*) | (TargetUserName=*adm* | TargetUserName=*root*))) & !(ParentProcessName=<f0Equal NewProcessName> & ((SubjectUserName=root | SubjectUserName=adm_*) | (TargetUserName=root | TargetUserName=adm_*)))))",
    );
}

#[test]
fn field_names_take_each_transformation() {
    let detection = "  k: [word]\n  s: {win.a: 1, win.bC: 2}\n  condition: s or k\n";
    let check = |item: &str, expected: &str| {
        check(&items(item), detection, expected);
    };
    check(
        "  - {type: field_name_prefix_mapping, mapping: {win.: [w., windows.], wi: x}}\n",
        "(((w.a=1 | windows.a=1) & (w.bC=2 | windows.bC=2)) | *any*=*word*)",
    );
    check(
        "  - {type: field_name_suffix, suffix: .keyword}\n",
        "((win.a.keyword=1 & win.bC.keyword=2) | *any*=*word*)",
    );
    check(
        "  - {type: field_name_prefix, prefix: e.}\n",
        "((e.win.a=1 & e.win.bC=2) | *any*=*word*)",
    );
    check(
        "  - {type: field_name_transform, transform_func: snake_case, mapping: {win.a: A}}\n",
        "((A=1 & win.b_c=2) | *any*=*word*)",
    );
    check(
        "  - {type: field_name_transform, transform_func: upper, field_name_conditions: [{type: include_fields, fields: ['win[.]b'], mode: re}]}\n",
        "((win.a=1 & WIN.BC=2) | *any*=*word*)",
    );
    check(
        "  - {type: field_name_suffix, suffix: _x, field_name_conditions: [{type: exclude_fields, fields: [win.a]}]}\n",
        "((win.a=1 & win.bC_x=2) | *any*=*word*)",
    );
}

#[test]
fn one_field_to_many_keeps_the_meaning_of_negation_and_all() {
    let mapping = items("  - {type: field_name_mapping, mapping: {a: [b, c]}}\n");
    check(
        &mapping,
        "  s: {a|neq: 1}\n  condition: s\n",
        "(!b=1 & !c=1)",
    );
    check(
        &mapping,
        "  s: {a|contains|all: [1, 2]}\n  condition: not s\n",
        "!((b=*1* & b=*2*) | (c=*1* & c=*2*))",
    );
    check(
        &mapping,
        "  s: {d|fieldref: a}\n  condition: s\n",
        "(d=<f0Equal b> | d=<f0Equal c>)",
    );
}

#[test]
fn dropped_items_leave_what_the_rest_asks_for() {
    let drop = items(
        "  - {type: drop_detection_item, field_name_conditions: [{type: include_fields, fields: [d]}]}\n",
    );
    check(&drop, "  s: {a: 1, d: 2}\n  condition: s\n", "a=1");
    check(
        &drop,
        "  s: {d: 2}\n  t: {a: 1}\n  condition: s and t\n",
        "a=1",
    );
    check(
        &drop,
        "  s: {d: 2}\n  t: {a: 1}\n  condition: t and not s\n",
        "a=1",
    );
    check(
        &drop,
        "  s: [{d: 2}, {a: 1}]\n  condition: 1 of them\n",
        "a=1",
    );
    check_refused(
        &drop,
        "  s: {d: 2}\n  condition: s\n",
        "r.yml",
        &["pipelines drop all that the rule asks for"],
    );
}

#[test]
fn values_take_each_transformation() {
    let check = |item: &str, detection: &str, expected: &str| {
        let detection = format!("  s: {{{detection}}}\n  condition: s\n");
        check(&items(&format!("  - {{{item}}}\n")), &detection, expected);
    };
    let replace = r"type: replace_string, regex: '(\w+)\.exe', replacement: '\1.bin'";
    check(replace, r"a|endswith: '\x.exe'", r"a=*\x.bin");
    check(replace, r"a: ['C:\\x.exe', 'y']", r"(a=y | a=c:\x.bin)");
    check(replace, r"a|re: 'x\.exe'", r"a=<rx\.exe>");
    check(
        "type: replace_string, regex: '[*]', replacement: 'X', skip_special: true",
        r"a|contains: 'p\*q*r'",
        "a=*pxq*r*",
    );
    check(
        "type: replace_string, regex: '^[*]x', replacement: 'x'",
        "a|contains: xy",
        "a=xy*",
    );
    check(
        "type: map_string, mapping: {'*a*': [b, c]}",
        "f|contains: [a, d]",
        "(f=*d* | (f=b | f=c))",
    );
    check(
        "type: map_string, mapping: {'1': one}",
        "f: [1, 2]",
        "(f=2 | f=one)",
    );
    check("type: set_value, value: 5", "f|contains: [a, b]", "f=5");
    check(
        "type: set_value, value: '7', force_type: num",
        "f|re: a",
        "f=7",
    );
    check("type: convert_type, target_type: num", "f: '07'", "f=7");
    check(
        "type: convert_type, target_type: str",
        "f: [1, null]",
        "(f=1 | f=<0>)",
    );
    check(
        "type: case, method: snake_case",
        "f|cased: CamelCase",
        "f=camel_case",
    );
    check("type: case, method: upper", "f|cased: a*b", "f=A*B");
    check("type: regex", r"f|endswith: '\a.b'", r"f=<r(?is)\\a\.b$>");
    check(
        "type: regex, method: plain",
        "f: [a?b*c, 1]",
        "(f=1 | f=<r(?s)^a.b.*c$>)",
    );
}

#[test]
fn placeholders_are_filled_or_left_for_later() {
    let detection = "  s: {a|expand: 'x%one%-%Own%%'}\n  condition: s\n";
    let check = |pipeline: &str, expected: &str| check(pipeline, detection, expected);
    let vars = "vars: {one: [1, 50%]}\n";
    check(
        &format!("{vars}{}", items("  - {type: value_placeholders}\n")),
        "(a=x1-own% | a=x50%-own%)",
    );
    check(
        &format!(
            "{vars}{}",
            items("  - {type: wildcard_placeholders, exclude: [Own]}\n")
        ),
        "a=x*-own%",
    );
    check(&items("  - {type: wildcard_placeholders}\n"), "a=x*-*%");
    check_refused(&items(""), detection, "r.yml", &["%one% has no values"]);
}

#[test]
fn hashes_become_a_field_for_each_kind() {
    let hashes = items(
        "  - type: hashes_fields\n    valid_hash_algos: [MD5, SHA1, IMPHASH]\n    field_prefix: File\n    field_name_conditions: [{type: include_fields, fields: [Hashes]}]\n",
    );
    let md5 = "0123456789abcdef0123456789abcdef";
    check(
        &hashes,
        &format!(
            "  s: {{Hashes|contains: ['MD5={md5}', 'imphash=AA', '{md5}']}}\n  condition: s\n"
        ),
        &format!("(FileIMPHASH=aa | (FileMD5={md5} | FileMD5={md5}))"),
    );
    check(
        &hashes,
        &format!("  s: {{Hashes|contains: ['MD5={md5}', 'CRC=1']}}\n  condition: s\n"),
        &format!("(FileMD5={md5} | Hashes=*crc=1*)"),
    );
    check_refused(
        &hashes,
        "  s: {Hashes: 'CRC=1'}\n  condition: s\n",
        "r.yml",
        &[
            "pipeline 'p'",
            "item 'hashes_fields'",
            "no hash of the kinds MD5",
        ],
    );
}

/// Whether an item with these rule conditions is applied to the rule.
fn applies(conditions: &str) -> bool {
    let pipeline = items(&format!(
        "  - {{id: before, type: set_state, key: k, val: 3}}\n  - {{type: set_custom_attribute, attribute: mine, value: 7}}\n  - type: field_name_suffix\n    suffix: _x\n{conditions}"
    ));
    let set = load(
        &[&pipeline],
        &rule(PROCESS, "  s: {a: 1, b: null}\n  condition: s\n"),
    );
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    shape(&set.rules[0].expr).contains("a_x")
}

#[test]
fn rule_conditions_and_how_they_are_linked() {
    let one = |condition: &str| applies(&format!("    rule_conditions: [{{{condition}}}]\n"));
    for (condition, expected) in [
        ("type: logsource, product: windows", true),
        ("type: logsource, product: linux", false),
        ("type: logsource, product: windows, service: x", false),
        ("type: contains_detection_item, field: a, value: 1", true),
        ("type: contains_detection_item, field: a, value: 2", false),
        ("type: contains_field, field: b", true),
        ("type: contains_field, field: c", false),
        (
            "type: processing_item_applied, processing_item_id: before",
            true,
        ),
        (
            "type: processing_item_applied, processing_item_id: other",
            false,
        ),
        ("type: processing_state, key: k, val: 3", true),
        ("type: processing_state, key: k, val: 4, op: lt", true),
        ("type: processing_state, key: other, val: 3, op: ne", false),
        ("type: is_sigma_rule", true),
        ("type: is_sigma_correlation_rule", false),
        (
            "type: rule_attribute, attribute: level, value: medium, op: gte",
            true,
        ),
        (
            "type: rule_attribute, attribute: level, value: critical, op: gte",
            false,
        ),
        (
            "type: rule_attribute, attribute: status, value: experimental, op: gt",
            true,
        ),
        (
            "type: rule_attribute, attribute: date, value: 2026-01-01, op: lt",
            false,
        ),
        (
            "type: rule_attribute, attribute: tags, value: attack.t1059, op: in",
            true,
        ),
        (
            "type: rule_attribute, attribute: tags, value: attack.t1059",
            false,
        ),
        ("type: rule_attribute, attribute: mine, value: 7", true),
        (
            "type: rule_attribute, attribute: absent, value: 7, op: ne",
            false,
        ),
        ("type: tag, tag: attack.t1059", true),
        ("type: tag, tag: attack.t1060", false),
        ("type: taxonomy, taxonomy: sigma", true),
        ("type: taxonomy, taxonomy: ecs", false),
    ] {
        assert_eq!(one(condition), expected, "{condition}");
    }
    let two = "    rule_conditions: [{type: is_sigma_rule}, {type: tag, tag: x.y}]\n";
    assert!(!applies(two));
    assert!(applies(&format!("{two}    rule_cond_op: or\n")));
    assert!(applies(&format!("{two}    rule_cond_not: true\n")));
    let named = "    rule_conditions: {r: {type: is_sigma_rule}, t: {type: tag, tag: x.y}}\n";
    assert!(applies(&format!(
        "{named}    rule_cond_expr: r and not t\n"
    )));
    assert!(!applies(&format!(
        "{named}    rule_cond_expression: not (r or t)\n"
    )));
}

#[test]
fn conditions_on_items_choose_what_is_changed() {
    let check = |conditions: &str, expected: &str| {
        let pipeline = items(&format!(
            "  - {{id: first, type: field_name_prefix, prefix: p., field_name_conditions: [{{type: include_fields, fields: [a]}}]}}\n  - {{type: field_name_suffix, suffix: _x, {conditions}}}\n"
        ));
        let detection =
            "  s: {a|startswith: [foo, bar], b: null, c|re: foo, d: 5}\n  condition: s\n";
        let set = load(&[&pipeline], &rule(PROCESS, detection));
        assert!(set.refused.is_empty(), "{:?}", set.refused);
        let mut changed = Vec::new();
        set.rules[0].expr.for_each_leaf(&mut |leaf| {
            let field = leaf.field.clone().unwrap_or_default();
            if field.ends_with("_x") && !changed.contains(&field) {
                changed.push(field);
            }
        });
        assert_eq!(changed.join(" "), expected, "{conditions}");
    };
    let item = |condition: &str| format!("detection_item_conditions: [{{{condition}}}]");
    check(&item("type: match_string, pattern: 'fo+[*]$'"), "p.a_x");
    check(&item("type: match_string, pattern: 'fo', cond: all"), "");
    check(
        &item("type: match_string, pattern: 'fo', cond: all, negate: true"),
        "b_x c_x d_x",
    );
    check(&item("type: is_null"), "b_x");
    check(&item("type: match_value, value: 5"), "d_x");
    check(&item("type: contains_wildcard"), "p.a_x");
    check(
        &item("type: processing_item_applied, processing_item_id: first"),
        "p.a_x",
    );
    check(
        &format!("{}, detection_item_cond_not: true", item("type: is_null")),
        "p.a_x c_x d_x",
    );
    check(
        "field_name_conditions: [{type: processing_item_applied, processing_item_id: first}]",
        "p.a_x",
    );
    check(
        "field_name_conditions: [{type: processing_state, key: k, val: 1}]",
        "",
    );
}

#[test]
fn pipelines_follow_their_priority_and_nest() {
    let second =
        "name: b\npriority: 20\ntransformations:\n  - {type: field_name_suffix, suffix: .second}\n";
    let first = "name: a\npriority: 10\ntransformations:\n  - type: nest\n    items:\n      - {type: field_name_suffix, suffix: .first}\n      - {type: set_field, fields: [x]}\n";
    let zero = "name: z\ntransformations:\n  - {type: field_name_mapping, mapping: {a: b}}\n";
    check_all(
        &[second, first, zero],
        &rule(PROCESS, "  s: {a: 1}\n  condition: s\n"),
        "b.first.second=1",
    );
}

#[test]
fn failures_name_pipeline_item_and_message() {
    let detection = "  s: {a: 1, b: 2}\n  condition: s\n";
    check_refused(
        &items("  - {id: no, type: rule_failure, message: not for us}\n"),
        detection,
        "r.yml",
        &["pipeline 'p': item 'no': not for us"],
    );
    check_refused(
        &items(
            "  - {type: detection_item_failure, message: no field of ours, field_name_conditions: [{type: include_fields, fields: [b]}]}\n",
        ),
        detection,
        "r.yml",
        &["item 'detection_item_failure': 'b': no field of ours"],
    );
    check_refused(
        &items(
            "  - {type: field_name_mapping, mapping: {a: x}}\n  - {type: strict_field_mapping_failure}\n",
        ),
        detection,
        "r.yml",
        &["fields without a mapping: b; add them"],
    );
}

#[test]
fn pipelines_that_cannot_be_read_are_refused_by_name() {
    for (text, words) in [
        ("- a\n".to_owned(), vec!["must be a map"]),
        (
            "transformation: []\n".to_owned(),
            vec!["'transformation'", "did you mean transformations"],
        ),
        (
            items("  - {id: x, type: field_name_maping, mapping: {}}\n"),
            vec!["item 'x'", "did you mean field_name_mapping"],
        ),
        (items("  - {id: x}\n"), vec!["has no 'type'"]),
        (
            items("  - {type: query_expression_placeholders, expression: e}\n"),
            vec!["item number 1", "no meaning here", "value_placeholders"],
        ),
        (
            items("  - {type: field_name_suffix}\n"),
            vec!["missing field `suffix`"],
        ),
        (
            items("  - {type: field_name_suffix, suffix: a, sufix: b}\n"),
            vec!["unknown field `sufix`"],
        ),
        (
            items("  - {type: field_name_mapping, mapping: {a: []}}\n"),
            vec!["maps 'a' to no field"],
        ),
        (
            items("  - {type: field_name_mapping, mapping: [a]}\n"),
            vec!["invalid type"],
        ),
        (
            items("  - {type: field_name_transform, transform_func: reverse}\n"),
            vec!["'reverse' is none of lower"],
        ),
        (
            items("  - {type: replace_string, regex: '(?=a)', replacement: b}\n"),
            vec!["'(?=a)' cannot be used", "look-around"],
        ),
        (
            items("  - {type: case, rule_conditions: [{type: logsorce}]}\n"),
            vec!["'rule_conditions' number 1", "logsorce"],
        ),
        (
            items("  - {type: case, rule_conditions: 5}\n"),
            vec!["must be a list"],
        ),
        (
            items("  - {type: case, rule_cond_op: xor}\n"),
            vec!["must be and or or"],
        ),
        (
            items("  - {type: case, rule_cond_op: or, rule_cond_expr: a}\n"),
            vec!["keep one"],
        ),
        (
            items(
                "  - {type: case, rule_conditions: {a: {type: is_sigma_rule}}, rule_cond_expr: b}\n",
            ),
            vec!["'b', which is not"],
        ),
        (
            items("  - {type: add_condition}\n"),
            vec!["needs 'conditions'"],
        ),
        (
            "priority: high\n".to_owned(),
            vec!["'priority' must be a whole number"],
        ),
        ("vars: [a]\n".to_owned(), vec!["'vars' must be a map"]),
    ] {
        check_refused(&text, "  s: {a: 1}\n  condition: s\n", "p0.yml", &words);
    }
    let deep = format!(
        "{}[]{}",
        "[{type: nest, items: ".repeat(20),
        "}]".repeat(20)
    );
    check_refused(
        &format!("transformations: {deep}\n"),
        "  s: {a: 1}\n  condition: s\n",
        "p0.yml",
        &["nested deeper than 8"],
    );
}

#[test]
fn what_shapes_queries_is_passed_over_with_a_word() {
    let pipeline = "name: q\nallowed_backends: [splunk]\npostprocessing: [{type: embed, prefix: x}]\nfinalizers: [{type: concat}]\n";
    let set = load(&[pipeline], &rule(PROCESS, "  s: {a: 1}\n  condition: s\n"));
    let warnings: Vec<&str> = set.warnings.iter().map(|one| one.reason.as_str()).collect();
    assert_eq!(warnings.len(), 3);
    assert!(set.refused.is_empty());
    assert_eq!(set.warnings[0].rule_id, "pipeline q");
}

#[test]
fn correlations_are_mapped_as_the_rules_that_they_rest_on() {
    let base = rule(PROCESS, "  s: {Image: a}\n  condition: s\n");
    let correlations = "---
title: C
id: c
name: counted
correlation: {type: value_count, rules: [rule_name], group-by: [User, who], aliases: {who: {rule_name: LogonId}}, timespan: 5m, condition: {gte: 2, field: Image}}
---
title: D
id: d
correlation: {type: temporal, rules: [counted], group-by: [User], timespan: 5m}
";
    let set = load(&[AUDIT], &format!("{base}{correlations}"));
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    let counted = &set.correlations[0];
    assert_eq!(
        counted.group_by[0].fields_of("r", "rule_name"),
        ["SubjectUserName", "TargetUserName"]
    );
    assert_eq!(counted.group_by[0].name, "User");
    assert_eq!(
        counted.group_by[1].fields_of("r", "rule_name"),
        ["SubjectLogonId"]
    );
    assert_eq!(
        counted.kind,
        crate::CorrelationKind::ValueCount(vec!["NewProcessName".to_owned()])
    );
    assert_eq!(
        set.correlations[1].group_by[0].fields,
        ["SubjectUserName", "TargetUserName"]
    );
    let many = correlations.replace("field: Image", "field: User");
    let set = load(&[AUDIT], &format!("{base}{many}"));
    let reasons: Vec<&str> = set.refused.iter().map(|one| one.reason.as_str()).collect();
    assert!(
        reasons[0].contains("maps counted field 'User' to several fields"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].contains("'counted', which is not loaded"),
        "{reasons:?}"
    );
}

#[test]
fn filters_are_mapped_as_the_rules_that_they_narrow() {
    let base = rule(PROCESS, "  s: {Image: a}\n  condition: s\n");
    let filter = "---\ntitle: F\nid: f\nlogsource: {product: windows}\nfilter: {rules: any, known: {ParentImage: b}, condition: not known}\n";
    let set = load(&[AUDIT], &format!("{base}{filter}"));
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    let found = shape(&set.rules[0].expr);
    assert!(found.contains("!ParentProcessName=b"), "{found}");
}
