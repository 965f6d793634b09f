//! Alerts of other tools: an event that is a detection of its product is a finding as it comes,
//! under the product's own name for it. No rule has to be written for each tool.
//!
//! # Source
//! OCSF class 2004, Detection Finding.

use std::collections::BTreeSet;

use watchfloor_event::{
    EventBatch, EventId, Finding, FindingLevel, MatchReason, Namespace, ValueRef,
};

use crate::describe::describe;
use crate::entities::entities_of;
use crate::finding::finding_id;

/// OCSF Detection Finding.
const CLASS: u32 = 2004;
/// OCSF `severity_id` Informational: what a tool merely notes stays an event.
const INFORMATIONAL: i32 = 1;
/// Longest name of a detection, in characters.
const MAX_TITLE: usize = 200;
/// Most techniques of a finding.
const MAX_TECHNIQUES: usize = 16;

/// Findings of the events of a batch that are detections of another tool, but for those of which
/// a rule has told already.
pub fn foreign_findings(batch: &EventBatch, told: &[Finding]) -> Vec<Finding> {
    if !batch.kinds().iter().any(|kind| kind.class_uid == CLASS) {
        return Vec::new();
    }
    let told = told.iter().filter(|finding| finding.event_count == 1);
    let told: BTreeSet<EventId> = told.flat_map(|one| one.event_ids.clone()).collect();
    let rows = 0..batch.len();
    rows.filter(|row| is_detection(batch, *row) && !told.contains(&batch.rows()[*row].id))
        .map(|row| finding(batch, row))
        .collect()
}

fn is_detection(batch: &EventBatch, row: usize) -> bool {
    batch.kind_of(row).class_uid == CLASS && batch.rows()[row].severity_id != INFORMATIONAL
}

fn finding(batch: &EventBatch, row: usize) -> Finding {
    let text = |path: &str| {
        let value = batch.get(Namespace::Ocsf, path, row)?;
        (!value.text.is_empty()).then(|| value.text.to_owned())
    };
    let names = ["finding_info.title", "rule.name", "message"];
    let named = names.iter().find_map(|path| Some((*path, text(path)?)));
    let meta = &batch.rows()[row];
    let kind = batch.kind_of(row);
    // A detection without a name is one all the same.
    let (field, name) = named.unwrap_or_else(|| {
        let number = text("rule.uid").unwrap_or_default();
        ("rule.uid", format!("{} detection {number}", kind.product))
    });
    let first = name.lines().next().unwrap_or_default();
    let title: String = first.trim().chars().take(MAX_TITLE).collect();
    let pack = kind.name.split('/').next().unwrap_or_default();
    // The tool's own number if it has one, so that a detection that is worded anew stays one.
    let number = text("rule.uid").unwrap_or_else(|| title.clone());
    let rule_id = format!("{pack}:{number}");
    let reason = |path: &str| {
        text(path).map(|value| MatchReason {
            selection: "detection".to_owned(),
            field: path.to_owned(),
            value,
            pattern: format!("told by {}", kind.product),
        })
    };
    let mut fields = vec![field, "rule.uid", "rule.category", "disposition"];
    fields.dedup();
    Finding {
        id: finding_id(&rule_id, &[meta.id]),
        rule_id,
        rule_version: String::new(),
        level: level(meta.severity_id),
        time: meta.time,
        first_time: meta.time,
        source: meta.source.to_string(),
        event_ids: vec![meta.id],
        event_count: 1,
        summary: describe(batch, row).sentence(&title),
        reasons: fields.into_iter().filter_map(reason).collect(),
        entities: entities_of(batch, row),
        tactics: Vec::new(),
        techniques: techniques(batch, row),
        title,
    }
}

/// # Source
/// OCSF `severity_id`: 0 unknown, 2 low, 3 medium, 4 high, 5 critical, 6 fatal.
fn level(severity_id: i32) -> FindingLevel {
    match severity_id {
        1 => FindingLevel::Informational,
        2 => FindingLevel::Low,
        4 => FindingLevel::High,
        5 | 6 => FindingLevel::Critical,
        _ => FindingLevel::Medium,
    }
}

/// ATT&CK techniques that the tool names, wherever its record does.
fn techniques(batch: &EventBatch, row: usize) -> Vec<String> {
    let columns = batch.columns(Namespace::Source);
    let places = batch.source_columns_of(row);
    let named = places.filter_map(|place| {
        let column = columns.get(place)?;
        let name = column.name().to_ascii_lowercase();
        let tells = ["mitre", "technique", "attack", "tags"];
        tells
            .iter()
            .any(|word| name.contains(word))
            .then(|| column.get(row))?
    });
    let mut found = BTreeSet::new();
    for value in named {
        found.extend(technique_ids(value));
    }
    found.into_iter().take(MAX_TECHNIQUES).collect()
}

/// Words of the form `T1059` or `T1059.001`, in capitals.
fn technique_ids(value: ValueRef<'_>) -> Vec<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '.';
    let words = value.text.split(|letter| !is_part(letter));
    let words = words.map(|word| word.trim_matches('.').to_ascii_uppercase());
    let is_technique = |word: &String| {
        let Some(rest) = word.strip_prefix('T') else {
            return false;
        };
        let (main, sub) = rest.split_once('.').unwrap_or((rest, "000"));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        main.len() == 4 && sub.len() == 3 && digits(main) && digits(sub)
    };
    words.filter(is_technique).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn techniques_are_found_in_texts() {
        let ids = |text| technique_ids(ValueRef::str(text));
        assert_eq!(ids("[\"T1059.001\",\"mitre_execution\"]"), ["T1059.001"]);
        assert_eq!(ids("t1110, TA0006 T10590 T1059.1."), ["T1110"]);
        assert!(ids("Test 1234").is_empty());
    }
}
