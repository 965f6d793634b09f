//! Rules from fuzzed text. The tests of the crate drive the same functions with pseudo-random
//! input (`crates/watchfloor-detect/tests/any_input.rs`).

use std::sync::Arc;

use watchfloor_rules::{LoadOptions, RuleFile, RuleSet};

/// Loads one rule file, changed by a pipeline where there is one.
pub(crate) fn load(rules: &str, pipeline: &str) -> RuleSet {
    let file = |path: &str, text: &str| RuleFile {
        path: Arc::from(path),
        text: text.to_owned(),
    };
    let pipelines = (!pipeline.is_empty()).then(|| file("pipeline.yml", pipeline));
    let options = LoadOptions {
        placeholders: [("name".to_owned(), vec!["a".to_owned(), "b*".to_owned()])].into(),
        pipelines: pipelines.into_iter().collect(),
    };
    RuleSet::load_with([file("rule.yml", rules)], options)
}

/// A rule with that condition, and a selection with that key and value.
#[allow(dead_code, reason = "not every target needs it")]
pub(crate) fn rule_with(condition: &str, key: &str, value: &str) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    format!(
        "title: t\nid: t\ndetection:\n  s:\n    {}: {}\n  sel_1: [word]\n  _f: {{c: null}}\n  condition: {}\n",
        quoted(key),
        quoted(value),
        quoted(condition),
    )
}
