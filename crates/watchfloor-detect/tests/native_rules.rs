//! The native rules of `content/rules/native`: their cases, through decoding and normalisation
//! like real records, and the demonstration's background, in which none of them fires.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

mod content;
#[path = "../../watchfloor-normalize/tests/packs/mod.rs"]
mod packs;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::Value;
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Finding, Format, RawRecord};
use watchfloor_rules::{RuleSet, from_yaml};

use content::{CASE_TIME, files, is_cases, root, rules_below};

/// Records of one batch.
const BATCH: usize = 4_096;

/// All rules of the repository.
fn rules() -> RuleSet {
    rules_below(&root().join("content/rules"))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn record(record: &Value, line: &str, at: Timestamp, position: usize) -> RawRecord {
    RawRecord {
        source: Arc::from("case"),
        format: Format::parse(text(record, "format")).expect("a known format"),
        context: record["context"].as_str().map(Arc::from),
        position: position as u64,
        received_at: at,
        bytes: Bytes::copy_from_slice(line.as_bytes()),
    }
}

#[test]
fn every_native_rule_loads_and_has_cases_of_both_kinds() {
    let set = rules();
    assert!(set.refused.is_empty(), "{:?}", set.refused);
    let is_native = |id: &String| {
        set.metas()
            .any(|meta| meta.id == *id && meta.path.contains("/native/"))
    };
    for warning in &set.warnings {
        assert!(!is_native(&warning.rule_id), "{warning:?}");
    }
    assert!(set.analytics.len() >= 8, "{}", set.analytics.len());
    for analytic in &set.analytics {
        let cases = Path::new(&*analytic.meta.path).with_extension("cases.yaml");
        assert!(cases.is_file(), "{} has no cases", analytic.meta.path);
    }
}

#[test]
fn the_cases_of_native_rules_hold() {
    let packs = packs::load();
    let set = rules();
    let mut found = Vec::new();
    files(&root().join("content/rules/native"), &mut found);
    let mut kinds: BTreeMap<&str, [usize; 2]> = BTreeMap::new();
    for path in found.into_iter().filter(|path| is_cases(path)) {
        let rule = path.to_string_lossy().replace(".cases.yaml", ".yml");
        let analytic = set.analytics.iter().find(|one| *one.meta.path == *rule);
        let analytic = analytic.unwrap_or_else(|| panic!("{rule} has no analytic"));
        let cases: Value =
            from_yaml(&std::fs::read_to_string(&path).expect("readable")).expect("YAML");
        for case in cases["cases"].as_array().into_iter().flatten() {
            let mut batch = EventBatch::new();
            let mut decoder = Decoder::new(Limits::STANDARD);
            let records = case["records"].as_array().into_iter().flatten();
            for (position, one) in records.enumerate() {
                let raw = record(one, text(one, "line"), CASE_TIME, position);
                decoder.decode(&mut batch, &raw);
            }
            packs.normalize(&mut batch);
            let findings = Detector::new(set.clone()).evaluate(&batch).findings;
            let of_rule: Vec<&Finding> = findings
                .iter()
                .filter(|finding| finding.rule_id == analytic.meta.id)
                .collect();
            let fires = case["fires"].as_bool().expect("true or false");
            let name = format!("{}: {}", path.display(), text(case, "name"));
            assert_eq!(!of_rule.is_empty(), fires, "{name}");
            for finding in of_rule {
                println!("{:?} {}", finding.level, finding.summary);
                assert!(!finding.entities.is_empty(), "{name}");
                assert!(finding.reasons.len() >= 3, "{name}");
            }
            kinds.entry(analytic.kind.as_str()).or_default()[usize::from(fires)] += 1;
        }
    }
    assert_eq!(kinds.len(), 8, "every type has a rule: {kinds:?}");
    assert!(
        kinds
            .values()
            .all(|[silent, fires]| *silent > 0 && *fires > 0),
        "{kinds:?}"
    );
}

/// The findings of native rules in a recording of the demonstration.
fn in_recording(name: &str) -> Vec<String> {
    let start: Timestamp = "2026-11-24T11:00:00Z".parse().expect("a time");
    let (packs, set) = (packs::load(), rules());
    let native: Vec<String> = set
        .analytics
        .iter()
        .map(|one| one.meta.id.clone())
        .collect();
    let mut detector = Detector::new(set);
    let mut batch = EventBatch::new();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let (mut position, mut found) = (0, Vec::new());
    let mut evaluate = |batch: &mut EventBatch| {
        packs.normalize(batch);
        let findings = detector.evaluate(batch).findings.into_iter();
        let of_native = findings.filter(|finding| native.contains(&finding.rule_id));
        found.extend(of_native.map(|finding| finding.summary));
    };
    let file = std::fs::File::open(root().join("demo").join(name)).expect("a recording");
    framing::read_records(file, name, None, &mut |framed| {
        let entry: Value = serde_json::from_slice(framed.bytes).expect("JSON");
        let at_ms = start.as_millisecond() + entry["at_ms"].as_i64().expect("an offset");
        let at = Timestamp::from_millisecond(at_ms).expect("in range");
        decoder.decode(
            &mut batch,
            &record(&entry, &filled(text(&entry, "line"), at), at, position),
        );
        position += 1;
        if batch.len() >= BATCH {
            evaluate(&mut batch);
            batch = EventBatch::new();
        }
        ControlFlow::Continue(())
    })
    .expect("readable");
    evaluate(&mut batch);
    assert!(position > 100);
    found
}

fn filled(line: &str, at: Timestamp) -> String {
    let show = |form: &str| at.strftime(form).to_string();
    [
        ("{{rfc3164}}", show("%b %e %H:%M:%S")),
        ("{{rfc5424}}", show("%Y-%m-%dT%H:%M:%S%.3fZ")),
        ("{{iso_ms}}", show("%Y-%m-%dT%H:%M:%S%.3fZ")),
        ("{{iso}}", show("%Y-%m-%dT%H:%M:%SZ")),
        ("{{windows}}", show("%Y-%m-%dT%H:%M:%S%.7fZ")),
        ("{{clf}}", show("%d/%b/%Y:%H:%M:%S +0000")),
        ("{{audit}}", show("%s%.3f")),
        ("{{epoch_ms}}", at.as_millisecond().to_string()),
        ("{{epoch}}", at.as_second().to_string()),
    ]
    .iter()
    .fold(line.to_owned(), |line, (name, value)| {
        line.replace(name, value)
    })
}

#[test]
fn native_rules_are_silent_in_the_demonstration() {
    for name in ["background.ndjson.gz", "intrusion.ndjson"] {
        assert_eq!(in_recording(name), Vec::<String>::new(), "{name}");
    }
}
