//! Any rules over any event: the detector ends, and no finding is without event or rule.
#![no_main]

mod support;
#[path = "support_rules.rs"]
mod support_rules;

use libfuzzer_sys::fuzz_target;
use watchfloor_detect::Detector;
use watchfloor_event::Format;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (rules, event) = text.split_once('\0').unwrap_or((
        "title: t\nid: t\ndetection: {s: {a|contains: b}, condition: s}\n",
        &text,
    ));
    let mut detector = Detector::new(support_rules::load(rules, ""));
    let batch = support::decoded(Format::Json, None, event.as_bytes());
    let saved = detector.save();
    for finding in detector.evaluate(&batch).findings {
        assert!(!finding.event_ids.is_empty() && !finding.rule_id.is_empty());
    }
    detector.restore(&saved).expect("what it saved");
});
