//! From finding to alert: suppression, the key of repeats, the first shape of the alert.

use jiff::Timestamp;
use sha2::{Digest, Sha256};
use watchfloor_event::{EntityKind as EventEntityKind, Finding, FindingLevel};
use watchfloor_model::{
    Alert, AlertId, AlertStatus, Entity, EntityKind, EntityRef, InvalidId, MatchedField, Risk,
    Severity, TenantId,
};

/// Hex digits of an alert id.
const ALERT_ID_DIGITS: usize = 16;

pub(crate) const fn severity_of(level: FindingLevel) -> Severity {
    match level {
        FindingLevel::Informational => Severity::Informational,
        FindingLevel::Low => Severity::Low,
        FindingLevel::Medium => Severity::Medium,
        FindingLevel::High => Severity::High,
        FindingLevel::Critical => Severity::Critical,
    }
}

const fn kind_of(kind: EventEntityKind) -> EntityKind {
    match kind {
        EventEntityKind::Host => EntityKind::Host,
        EventEntityKind::User => EntityKind::User,
        EventEntityKind::Process => EntityKind::Process,
        EventEntityKind::Address => EntityKind::Address,
        EventEntityKind::Domain => EntityKind::Domain,
        EventEntityKind::File => EntityKind::File,
        EventEntityKind::Hash => EntityKind::Hash,
        EventEntityKind::Url => EntityKind::Url,
    }
}

pub(crate) fn entities_of(finding: &Finding) -> Vec<Entity> {
    let mut entities: Vec<Entity> = finding
        .entities
        .iter()
        .filter(|entity| !entity.value.trim().is_empty())
        .map(|entity| Entity {
            kind: kind_of(entity.kind),
            value: entity.value.clone(),
            role: entity.role.clone(),
        })
        .collect();
    entities.sort();
    entities.dedup();
    entities
}

fn digest(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_le_bytes());
        hasher.update(part);
    }
    hex::encode(hasher.finalize())
}

/// Findings with the same key repeat each other: same rule, same host, user and address; other
/// entities only where none of these is known; the source where no entity is known at all.
pub(crate) fn repeat_key(finding: &Finding, entities: &[Entity]) -> String {
    let is_principal = |entity: &&Entity| {
        matches!(
            entity.kind,
            EntityKind::Host | EntityKind::User | EntityKind::Address
        )
    };
    let mut keys: Vec<EntityRef> = entities
        .iter()
        .filter(is_principal)
        .map(Entity::key)
        .collect();
    if keys.is_empty() {
        keys = entities.iter().map(Entity::key).collect();
    }
    keys.sort();
    keys.dedup();
    let mut parts: Vec<String> = keys.iter().map(EntityRef::to_string).collect();
    if parts.is_empty() {
        parts.push(format!("source {}", finding.source));
    }
    let mut texts = vec![finding.rule_id.as_str()];
    texts.extend(parts.iter().map(String::as_str));
    digest(&texts)
}

/// The first shape of an alert.
///
/// # Errors
/// [`InvalidId`] never in practice: the id is hex.
pub(crate) fn alert_of(
    tenant: &TenantId,
    finding: &Finding,
    entities: Vec<Entity>,
    repeat_key: String,
    now: Timestamp,
) -> Result<Alert, InvalidId> {
    let hash = digest(&[tenant.as_str(), &finding.id]);
    let digits: String = hash.chars().take(ALERT_ID_DIGITS).collect();
    Ok(Alert {
        id: AlertId::new(format!("alr-{digits}"))?,
        rule_id: finding.rule_id.clone(),
        rule_title: finding.title.clone(),
        rule_version: finding.rule_version.clone(),
        title: finding.title.clone(),
        severity: severity_of(finding.level),
        status: AlertStatus::New,
        verdict: None,
        verdict_reason: None,
        assignee: None,
        attachment: None,
        time: finding.time,
        first_time: finding.first_time.min(finding.time),
        last_time: finding.time,
        created_at: now,
        updated_at: now,
        acknowledged_at: None,
        closed_at: None,
        count: 1,
        source: finding.source.clone(),
        summary: finding.summary.clone(),
        entities,
        tactics: finding.tactics.clone(),
        techniques: finding.techniques.clone(),
        reasons: finding
            .reasons
            .iter()
            .map(|reason| MatchedField {
                selection: reason.selection.clone(),
                field: reason.field.clone(),
                value: reason.value.clone(),
                pattern: reason.pattern.clone(),
            })
            .collect(),
        event_ids: event_ids_of(finding),
        repeat_key,
        traces: Vec::new(),
        risk: Risk::default(),
        version: 1,
    })
}

/// The event whose fields stand for a finding: its first, as with the alert that it becomes.
pub(crate) fn event_of(finding: &Finding) -> Option<String> {
    finding.event_ids.first().map(ToString::to_string)
}

fn event_ids_of(finding: &Finding) -> Vec<String> {
    finding
        .event_ids
        .iter()
        .take(Alert::MAX_EVENT_IDS)
        .map(ToString::to_string)
        .collect()
}

/// Takes a finding into the alert that it repeats.
pub(crate) fn raise(alert: &mut Alert, finding: &Finding, entities: Vec<Entity>, now: Timestamp) {
    alert.count = alert.count.saturating_add(1);
    alert.time = alert.time.min(finding.time);
    alert.first_time = alert.first_time.min(finding.first_time);
    alert.last_time = alert.last_time.max(finding.time);
    alert.severity = alert.severity.max(severity_of(finding.level));
    alert.updated_at = now;
    alert.version += 1;
    for id in event_ids_of(finding) {
        if alert.event_ids.len() >= Alert::MAX_EVENT_IDS {
            break;
        }
        if !alert.event_ids.contains(&id) {
            alert.event_ids.push(id);
        }
    }
    alert.entities.extend(entities);
    alert.entities.sort();
    alert.entities.dedup();
}
