//! Any text as a rule file, and as a processing pipeline over one.
#![no_main]

#[path = "support_rules.rs"]
mod support;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (rules, pipeline) = text.split_once('\0').unwrap_or((&text, ""));
    let set = support::load(rules, pipeline);
    assert!(set.refused.iter().all(|refusal| refusal.line > 0 && !refusal.reason.is_empty()));
});
