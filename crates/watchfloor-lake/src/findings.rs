//! Findings as rows of OCSF class 2004, and back.
//!
//! A finding stands at the position of the last record of the batch that gave it, with a part
//! number that no event of that record has.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};
use watchfloor_event::{
    Entity, EntityKind, EventBatch, EventKind, Finding, FindingLevel, Format, MatchReason,
    Namespace, RawRecord, ValueRef, ocsf,
};

use crate::rows::StoredEvent;
use crate::schema;

/// First part number of findings.
const FIRST_PART: u32 = 0x8000_0000;

/// The rows of findings; each with the position that it stands at.
pub(crate) fn to_batch(findings: &[(u64, Finding)], now: Timestamp) -> EventBatch {
    let kind = Arc::new(EventKind {
        name: Arc::from(schema::FINDING),
        product: Arc::from("Watchfloor"),
        class_uid: ocsf::DETECTION_FINDING,
        logsources: Vec::new(),
    });
    let mut batch = EventBatch::new();
    let kind = batch.intern_kind(&kind);
    let (mut last_position, mut part) = (u64::MAX, FIRST_PART);
    for (position, finding) in findings {
        part = if *position == last_position {
            part + 1
        } else {
            FIRST_PART
        };
        last_position = *position;
        let record = RawRecord {
            source: Arc::from(finding.source.as_str()),
            format: Format::Auto,
            context: None,
            position: *position,
            received_at: now,
            bytes: Default::default(),
        };
        let row = batch.push_row(&record, part);
        let meta = batch.row_mut(row);
        meta.kind = kind;
        meta.time = finding.time;
        meta.has_own_time = true;
        meta.activity_id = 1;
        meta.severity_id = severity_id(finding.level);
        set_columns(&mut batch, row, finding);
    }
    batch
}

fn set_columns(batch: &mut EventBatch, row: usize, finding: &Finding) {
    let related: Vec<String> = finding.event_ids.iter().map(ToString::to_string).collect();
    let attacks = json!({"tactics": finding.tactics, "techniques": finding.techniques});
    let columns = [
        ("finding_info.uid", finding.id.clone()),
        ("finding_info.title", finding.title.clone()),
        ("finding_info.analytic.uid", finding.rule_id.clone()),
        (
            "finding_info.analytic.version",
            finding.rule_version.clone(),
        ),
        ("finding_info.related_events", json!(related).to_string()),
        ("finding_info.evidence", evidence(finding).to_string()),
        ("finding_info.attacks", attacks.to_string()),
        ("message", finding.summary.clone()),
    ];
    for (name, value) in columns {
        batch.set(Namespace::Ocsf, name, row, ValueRef::str(&value));
    }
}

fn evidence(finding: &Finding) -> Value {
    let reasons = finding.reasons.iter().map(|reason| {
        json!({
            "selection": reason.selection, "field": reason.field,
            "value": reason.value, "pattern": reason.pattern,
        })
    });
    let entities = finding.entities.iter().map(
        |entity| json!({"kind": entity.kind.as_str(), "value": entity.value, "role": entity.role}),
    );
    json!({
        "level": finding.level.as_str(),
        "first_time": finding.first_time.to_string(),
        "event_count": finding.event_count,
        "reasons": reasons.collect::<Vec<_>>(),
        "entities": entities.collect::<Vec<_>>(),
    })
}

/// The finding of a stored row; `None` if the row holds none that can be read.
pub(crate) fn from_event(event: &StoredEvent) -> Option<Finding> {
    let field = |name: &str| event.field(name).map(str::to_owned);
    let evidence: Value = serde_json::from_str(&field("finding_info.evidence")?).ok()?;
    let attacks: Value = serde_json::from_str(&field("finding_info.attacks")?).ok()?;
    let related: Vec<String> = serde_json::from_str(&field("finding_info.related_events")?).ok()?;
    Some(Finding {
        id: field("finding_info.uid")?,
        rule_id: field("finding_info.analytic.uid")?,
        rule_version: field("finding_info.analytic.version")?,
        title: field("finding_info.title")?,
        level: FindingLevel::parse(evidence["level"].as_str()?)?,
        time: event.time,
        first_time: evidence["first_time"].as_str()?.parse().ok()?,
        source: event.source.clone(),
        event_ids: related.iter().filter_map(|id| id.parse().ok()).collect(),
        event_count: evidence["event_count"].as_u64()?,
        summary: field("message")?,
        reasons: list(&evidence["reasons"], |reason| {
            Some(MatchReason {
                selection: text(reason, "selection")?,
                field: text(reason, "field")?,
                value: text(reason, "value")?,
                pattern: text(reason, "pattern")?,
            })
        }),
        entities: list(&evidence["entities"], |entity| {
            Some(Entity {
                kind: EntityKind::parse(&text(entity, "kind")?)?,
                value: text(entity, "value")?,
                role: text(entity, "role")?,
            })
        }),
        tactics: list(&attacks["tactics"], |tactic| {
            tactic.as_str().map(str::to_owned)
        }),
        techniques: list(&attacks["techniques"], |technique| {
            technique.as_str().map(str::to_owned)
        }),
    })
}

fn list<T>(value: &Value, item: impl Fn(&Value) -> Option<T>) -> Vec<T> {
    value
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(item)
        .collect()
}

fn text(value: &Value, key: &str) -> Option<String> {
    value[key].as_str().map(str::to_owned)
}

fn severity_id(level: FindingLevel) -> i32 {
    match level {
        FindingLevel::Informational => 1,
        FindingLevel::Low => 2,
        FindingLevel::Medium => 3,
        FindingLevel::High => 4,
        FindingLevel::Critical => 5,
    }
}
