//! An explanation says what the engine says: over the cases of all rules of the repository, and
//! over the recordings of Sigma's regression corpus with all of its rules.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

mod content;
#[path = "../../watchfloor-normalize/tests/packs/mod.rs"]
mod packs;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_detect::{Body, Detector, explain};
use watchfloor_event::{EventBatch, Format, RawRecord};
use watchfloor_normalize::PackSet;
use watchfloor_rules::{RuleSet, from_yaml};

use content::{CASE_TIME, files, is_cases, root, rules_below};

/// Rows that are tried with all rules, and rules of other log sources that are tried.
const ONE_IN: usize = 16;

/// The rules over single events alone, each with findings of its own.
fn alone(set: &RuleSet) -> RuleSet {
    RuleSet {
        rules: set.rules.clone(),
        ..RuleSet::default()
    }
}

/// What the engine finds: row and rule.
fn found(detector: &mut Detector, batch: &EventBatch) -> BTreeSet<(usize, String)> {
    let row_of = |id| batch.rows().iter().position(|row| row.id == id);
    let findings = detector.evaluate(batch).findings;
    findings
        .into_iter()
        .map(|finding| {
            let row = row_of(finding.event_ids[0]).expect("of this batch");
            (row, finding.rule_id)
        })
        .collect()
}

/// Holds explanations against what the engine finds: every pair that it finds, all rules that may
/// meet the event in one row of so many, and of the other rules one in so many. Gives the numbers
/// of pairs and of matches.
fn check(set: &RuleSet, detector: &mut Detector, batch: &EventBatch, name: &str) -> [usize; 2] {
    let expected = found(detector, batch);
    let mut pairs = 0;
    for row in 0..batch.len() {
        let kind = batch.kind_of(row);
        for (number, rule) in set.rules.iter().enumerate() {
            let id = &rule.meta.id;
            let is_far = !kind.answers_to(&rule.logsource);
            let is_tried = expected.contains(&(row, id.clone()))
                || (if is_far { number + row } else { row }) % ONE_IN == 0;
            if !is_tried {
                continue;
            }
            let explained = explain(set, id, batch, row).expect("a rule of the set");
            let is_found = expected.contains(&(row, id.clone()));
            assert_eq!(
                explained.matched, is_found,
                "{name} row {row}: {explained:#?}"
            );
            let Body::Event { gate, tree, .. } = &explained.body else {
                panic!("{id} looks at single events");
            };
            assert_eq!(explained.matched, gate.passed && tree.holds);
            pairs += 1;
        }
    }
    [pairs, expected.len()]
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn case_batch(case: &Value, packs: &PackSet) -> EventBatch {
    let mut batch = EventBatch::new();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let records = case["records"].as_array().into_iter().flatten();
    for (position, one) in records.enumerate() {
        let format = match text(one, "format") {
            "" => Format::Auto,
            word => Format::parse(word).expect("a known format"),
        };
        let record = RawRecord {
            source: Arc::from("case"),
            format,
            context: one["context"].as_str().map(Arc::from),
            position: position as u64,
            received_at: CASE_TIME,
            bytes: Bytes::copy_from_slice(text(one, "line").as_bytes()),
        };
        decoder.decode(&mut batch, &record);
    }
    packs.normalize(&mut batch);
    batch
}

#[test]
fn explanations_agree_with_the_engine_over_all_cases() {
    let packs = packs::load();
    let set = rules_below(&root().join("content/rules"));
    let single = alone(&set);
    let mut detector = Detector::new(single.clone());
    let mut paths = Vec::new();
    files(&root().join("content/rules"), &mut paths);
    let (mut totals, mut over_several) = ([0; 2], 0);
    for path in paths.into_iter().filter(|path| is_cases(path)) {
        let cases: Value =
            from_yaml(&std::fs::read_to_string(&path).expect("readable")).expect("YAML");
        for case in cases["cases"].as_array().into_iter().flatten() {
            let batch = case_batch(case, &packs);
            let name = format!("{}: {}", path.display(), text(case, "name"));
            for (total, more) in totals
                .iter_mut()
                .zip(check(&single, &mut detector, &batch, &name))
            {
                *total += more;
            }
            over_several += check_several(&set, &batch, &name);
        }
    }
    println!("{totals:?} pairs and matches, {over_several} events of rules over several");
    assert!(
        totals[1] > 50 && over_several > 50,
        "{totals:?} {over_several}"
    );
}

/// Every event that a correlation or analytic names in a finding counts for it by its
/// explanation.
fn check_several(set: &RuleSet, batch: &EventBatch, name: &str) -> usize {
    let mut checked = 0;
    for finding in Detector::new(set.clone()).evaluate(batch).findings {
        let is_single = set.rules.iter().any(|rule| rule.meta.id == finding.rule_id);
        if is_single {
            continue;
        }
        for id in &finding.event_ids {
            let row = batch.rows().iter().position(|row| row.id == *id);
            let row = row.expect("of this batch");
            let explained = explain(set, &finding.rule_id, batch, row).expect("in the set");
            assert!(explained.matched, "{name} row {row}: {explained:#?}");
            let Body::Several { needs, bases, .. } = &explained.body else {
                panic!("{} looks at several events", finding.rule_id);
            };
            assert!(!needs.is_empty() && !bases.is_empty(), "{name}");
            checked += 1;
        }
    }
    checked
}

fn file_batch(path: &Path, packs: &PackSet) -> EventBatch {
    let mut batch = EventBatch::new();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let file = std::fs::File::open(path).expect("readable");
    let mut position = 0;
    framing::read_records(file, &path.to_string_lossy(), None, &mut |framed| {
        let record = RawRecord {
            source: "regression".into(),
            format: framed.format,
            context: framed.context,
            position,
            received_at: CASE_TIME,
            bytes: Bytes::copy_from_slice(framed.bytes),
        };
        position += 1;
        decoder.decode(&mut batch, &record);
        ControlFlow::Continue(())
    })
    .expect("readable");
    packs.normalize(&mut batch);
    batch
}

#[test]
fn explanations_agree_with_the_engine_over_sigma_s_recordings() {
    let corpus = root().join("../shared/corpus");
    if !corpus.join("sigma-regression").is_dir() {
        println!("skipped: {} is absent", corpus.display());
        return;
    }
    let packs = packs::load();
    let set = alone(&rules_below(&corpus.join("sigma-rules")));
    let mut detector = Detector::new(set.clone());
    let mut paths = Vec::new();
    files(&corpus.join("sigma-regression"), &mut paths);
    let is_recording = |path: &PathBuf| path.extension().is_none_or(|end| end != "yml");
    let mut totals = [0; 2];
    for path in paths.into_iter().filter(is_recording) {
        let batch = file_batch(&path, &packs);
        let name = path.to_string_lossy().into_owned();
        for (total, more) in totals
            .iter_mut()
            .zip(check(&set, &mut detector, &batch, &name))
        {
            *total += more;
        }
    }
    println!("{totals:?} pairs and matches");
    assert!(totals[1] >= 200, "{totals:?}");
}
