//! Correlations: events per second and core, and the memory of a million groups.
//!
//! `correlate rules`: 1,000 correlations of all types, each over a rule of its own; a stream of
//! events of which each matches one of them. `correlate shared`: the same correlations over 100
//! rules, ten on each. `correlate groups`: one event for each of a million groups of 1,000
//! correlations. All through the detector, with batches made before the clock starts, so that the
//! time is that of matching the base rules, correlating and making findings.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Format, Namespace, RawRecord, ValueRef};
use watchfloor_rules::{RuleFile, RuleSet};

use crate::{memory_kb, thread_seconds};

/// Correlation rules.
const RULES: usize = 1_000;
/// Events of a run.
const EVENTS: usize = 2_000_000;
/// Events per second of event time.
const PER_SECOND: i64 = 4_000;
/// Distinct users per correlation; a fifth of the events are of the first of them.
const GROUPS: u64 = 50;
/// As the pipeline cuts them.
const BATCH: usize = 4_096;

/// A generator of numbers that needs no state but one.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// The types in turn, with bounds that hold now and then.
fn body(number: usize) -> &'static str {
    match number % 8 {
        0 => "type: event_count, condition: {gte: 50}",
        1 => "type: value_count, condition: {gte: 45, field: host}",
        2 => "type: value_sum, condition: {gt: 280000, field: bytes}",
        3 => "type: value_avg, condition: {gt: 9900, field: bytes}",
        4 => "type: value_median, condition: {gt: 9900, field: bytes}",
        5 => "type: value_percentile, condition: {gt: 9980, field: bytes, percentile: 90}",
        6 => "type: temporal",
        _ => "type: temporal_ordered",
    }
}

/// 1,000 correlations over so many rules.
fn detector(bases: usize) -> Result<Detector> {
    let mut text = String::new();
    for base in 0..bases {
        text.push_str(&format!(
            "title: B\nid: b{base}\ndetection: {{s: {{action: act{base}}}, condition: s}}\n---\n"
        ));
    }
    for number in 0..RULES {
        let first = number % bases;
        let body = body(number);
        let rules = match body.contains("temporal") {
            true => format!(
                "b{first}, b{}, b{}",
                (first + 8) % bases,
                (first + 16) % bases
            ),
            false => format!("b{first}"),
        };
        text.push_str(&format!(
            "title: C\nid: c{number}\ncorrelation: {{rules: [{rules}], group-by: [user], timespan: 1m, {body}}}\n---\n"
        ));
    }
    let file = RuleFile {
        path: Arc::from("bench.yml"),
        text: text.trim_end_matches("---\n").to_owned(),
    };
    let set = RuleSet::load([file], BTreeMap::new());
    ensure!(set.refused.is_empty(), "{:?}", set.refused);
    Ok(Detector::new(set))
}

/// Batches of events that each match one of the rules; `disorder` of them, in per cent, come up
/// to five seconds late.
fn batches(bases: usize, groups: u64, events: usize, disorder: u64) -> Vec<EventBatch> {
    let start = Timestamp::constant(1_795_500_000, 0);
    let source: Arc<str> = Arc::from("bench");
    let mut dice = Dice(1);
    let mut batches = Vec::new();
    for first in (0..events).step_by(BATCH) {
        let mut batch = EventBatch::new();
        for number in first..(first + BATCH).min(events) {
            let late_us = match dice.below(100) < disorder {
                true => dice.below(5_000_000) as i64,
                false => 0,
            };
            let at_us = number as i64 * 1_000_000 / PER_SECOND;
            let record = RawRecord {
                source: Arc::clone(&source),
                format: Format::Json,
                context: None,
                position: number as u64,
                received_at: start + SignedDuration::from_micros(at_us),
                bytes: Bytes::new(),
            };
            let row = batch.push_row(&record, 0);
            let time = start + SignedDuration::from_micros(at_us - late_us);
            batch.row_mut(row).time = time;
            let base = dice.below(bases as u64);
            let action = format!("act{base}");
            // Rules that a temporal correlation names share few users, so that it seldom holds.
            let user = match dice.below(100) {
                0 | 1 => format!("admin{}", dice.below(groups)),
                2..20 => format!("user{}-0", base / 8 % 3),
                _ => format!("user{}-{}", base / 8 % 3, dice.below(groups)),
            };
            let host = format!("ws-{}", dice.below(200));
            let bytes = dice.below(10_000).to_string();
            let fields = [
                (Namespace::Source, "action", &action),
                (Namespace::Source, "user", &user),
                (Namespace::Source, "host", &host),
                (Namespace::Source, "bytes", &bytes),
                (Namespace::Ocsf, "user.name", &user),
                (Namespace::Ocsf, "device.hostname", &host),
            ];
            for (namespace, name, value) in fields {
                batch.set(namespace, name, row, ValueRef::str(value));
            }
        }
        batches.push(batch);
    }
    batches
}

pub(crate) fn run(what: &str, rounds: usize) -> Result<()> {
    let report = match what {
        "rules" => rate(RULES, rounds, 0)?,
        "late" => rate(RULES, rounds, 20)?,
        "shared" => rate(RULES / 10, rounds, 0)?,
        "groups" => groups()?,
        other => bail!("no measurement '{other}'; rules, late, shared or groups"),
    };
    println!("{report}");
    Ok(())
}

fn rate(bases: usize, rounds: usize, disorder: u64) -> Result<Value> {
    let fresh = detector(bases)?;
    let bare = detector_without_correlations(bases)?;
    let batches = batches(bases, GROUPS, EVENTS, disorder);
    let mut by_type = [0; 8];
    let (mut best, mut best_bare, mut findings, mut size) = (f64::MAX, f64::MAX, 0, None);
    for _ in 0..rounds {
        let mut detector = fresh.share();
        let start = thread_seconds();
        findings = 0;
        for batch in &batches {
            let found = detector.evaluate(batch).findings;
            findings += found.len();
            for one in &found {
                let number: usize = one.rule_id[1..].parse().unwrap_or(0);
                by_type[number % 8] += 1;
            }
        }
        best = best.min(thread_seconds() - start);
        size = Some(detector.correlation_size());
        // The same base rules, silent, with nothing resting on them that holds.
        let mut detector = bare.share();
        let start = thread_seconds();
        for batch in &batches {
            findings += detector.evaluate(batch).findings.len();
        }
        best_bare = best_bare.min(thread_seconds() - start);
    }
    let size = size.unwrap_or_default();
    Ok(json!({
        "correlations": RULES, "rules": bases, "events": EVENTS, "late_percent": disorder,
        "cpu_seconds": best, "events_per_second": EVENTS as f64 / best,
        "cpu_seconds_of_base_rules": best_bare,
        "correlating_events_per_second": EVENTS as f64 / (best - best_bare),
        "findings": findings, "by_type": by_type, "groups": size.groups, "bytes": size.bytes,
        "late": size.late, "groups_dropped": size.groups_dropped,
    }))
}

/// The base rules under one correlation that no event belongs to a group of.
fn detector_without_correlations(bases: usize) -> Result<Detector> {
    let mut text = String::new();
    for base in 0..bases {
        text.push_str(&format!(
            "title: B\nid: b{base}\ndetection: {{s: {{action: act{base}}}, condition: s}}\n---\n"
        ));
    }
    let names: Vec<String> = (0..bases).map(|base| format!("b{base}")).collect();
    text.push_str(&format!(
        "title: C\nid: c\ncorrelation: {{rules: [{}], group-by: [absent], timespan: 5m, type: event_count, condition: {{gte: 2}}}}\n",
        names.join(", ")
    ));
    let file = RuleFile {
        path: Arc::from("bench.yml"),
        text,
    };
    let set = RuleSet::load([file], BTreeMap::new());
    ensure!(set.refused.is_empty(), "{:?}", set.refused);
    Ok(Detector::new(set))
}

/// Memory of a million groups: the process before and after, batches made and dropped one by one.
fn groups() -> Result<Value> {
    let mut detector = detector(RULES)?;
    let before_kb = memory_kb("VmRSS:");
    let start = Timestamp::constant(1_795_500_000, 0);
    let source: Arc<str> = Arc::from("bench");
    let mut report = Vec::new();
    let mut number = 0_u64;
    let mut seconds = 0.0;
    let mut saved_bytes = 0;
    for round in 0..3 {
        for first in (0..1_000_000_u64).step_by(BATCH) {
            let mut batch = EventBatch::new();
            for group in first..(first + BATCH as u64).min(1_000_000) {
                number += 1;
                let at_us = number as i64 * 60;
                let record = RawRecord {
                    source: Arc::clone(&source),
                    format: Format::Json,
                    context: None,
                    position: number,
                    received_at: start + SignedDuration::from_micros(at_us),
                    bytes: Bytes::new(),
                };
                let row = batch.push_row(&record, 0);
                batch.row_mut(row).time = record.received_at;
                let action = format!("act{}", group % 1_000 / 8 * 8);
                let user = format!("corp-user-{group:07}");
                let host = format!("workstation-{:05}", group % 50_000);
                let address = format!(
                    "10.{}.{}.{}",
                    group >> 16 & 255,
                    group >> 8 & 255,
                    group & 255
                );
                let fields = [
                    (Namespace::Source, "action", &action),
                    (Namespace::Source, "user", &user),
                    (Namespace::Ocsf, "user.name", &user),
                    (Namespace::Ocsf, "device.hostname", &host),
                    (Namespace::Ocsf, "src_endpoint.ip", &address),
                ];
                for (namespace, name, value) in fields {
                    batch.set(namespace, name, row, ValueRef::str(value));
                }
            }
            let start = thread_seconds();
            detector.evaluate(&batch);
            seconds += thread_seconds() - start;
        }
        let size = detector.correlation_size();
        let resident = memory_kb("VmRSS:").saturating_sub(before_kb) / 1024;
        let start = thread_seconds();
        let saved = detector.save_changes();
        let all = thread_seconds() - start;
        saved_bytes += saved.bytes.len();
        report.push(json!({
            "matches_per_group": round + 1, "groups": size.groups, "counted_mib": size.bytes >> 20,
            "resident_mib": resident, "saved_mib": saved.bytes.len() >> 20, "is_whole": saved.is_whole,
            "saving_cpu_seconds": all,
        }));
    }
    Ok(json!({
        "groups": report, "events": number, "cpu_seconds": seconds,
        "events_per_second": number as f64 / seconds, "saved_bytes": saved_bytes,
    }))
}
