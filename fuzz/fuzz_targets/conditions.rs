//! Any text as the condition of a rule, and as the key and value of a selection.
#![no_main]

#[path = "support_rules.rs"]
mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    support::load(&support::rule_with(&text, "a", "1"), "");
    let (key, value) = text.split_once('\n').unwrap_or((&text, "x"));
    support::load(&support::rule_with("s and not _f", key, value), "");
});
