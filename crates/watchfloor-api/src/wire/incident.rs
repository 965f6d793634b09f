//! Incidents and their work.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::alert::{Alert, ProcessNode};
use super::clock::{ClockFace, Escalation};
use super::{
    Entity, EntityKind, HistoryEntry, IncidentStatus, Note, RiskPart, Severity, TaskStatus, Verdict,
};
use crate::extract::present;

/// An incident, as a row.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Incident {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) severity: Severity,
    /// How much it matters, from 0 to 100.
    pub(crate) risk: u8,
    pub(crate) status: IncidentStatus,
    #[schema(required)]
    pub(crate) verdict: Option<Verdict>,
    #[schema(required)]
    pub(crate) assignee: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) updated_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) first_time: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) last_time: Timestamp,
    pub(crate) alert_count: u64,
    /// Ids, in time order.
    pub(crate) alerts: Vec<String>,
    pub(crate) entities: Vec<Entity>,
    /// In the order of an attack.
    pub(crate) tactics: Vec<String>,
    pub(crate) techniques: Vec<String>,
    /// The incident in which it lives on, once merged.
    #[schema(required)]
    pub(crate) merged_into: Option<String>,
    pub(crate) clocks: Clocks,
    pub(crate) version: u64,
}

impl From<&model::Incident> for Incident {
    fn from(incident: &model::Incident) -> Self {
        Self {
            id: incident.id.to_string(),
            number: incident.number,
            title: incident.title.clone(),
            severity: incident.severity.into(),
            risk: incident.risk.score,
            status: incident.status.into(),
            verdict: incident.verdict.map(Into::into),
            assignee: incident.assignee.clone(),
            created_at: incident.created_at,
            updated_at: incident.updated_at,
            first_time: incident.first_time,
            last_time: incident.last_time,
            alert_count: incident.alert_ids.len() as u64,
            alerts: incident.alert_ids.iter().map(ToString::to_string).collect(),
            entities: super::entities(&incident.entities),
            tactics: incident.tactics.clone(),
            techniques: incident.techniques.clone(),
            merged_into: incident.merged_into.as_ref().map(ToString::to_string),
            clocks: (&incident.clocks).into(),
            version: incident.version,
        }
    }
}

/// An alert of an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentAlert {
    #[serde(flatten)]
    pub(crate) alert: Alert,
    /// Why it belongs here.
    pub(crate) attachment_reasons: Vec<String>,
}

/// What a line of the timeline is about.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TimelineKind {
    Alert,
    Note,
    Status,
    Task,
    Action,
}

/// A line of the timeline.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineEntry {
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    pub(crate) kind: TimelineKind,
    pub(crate) title: String,
    pub(crate) detail: String,
    #[schema(required)]
    pub(crate) severity: Option<Severity>,
    #[schema(required)]
    pub(crate) ref_id: Option<String>,
    #[schema(required)]
    pub(crate) actor: Option<String>,
}

impl From<casework::TimelineEntry> for TimelineEntry {
    fn from(entry: casework::TimelineEntry) -> Self {
        Self {
            at: entry.at,
            kind: match entry.kind {
                casework::TimelineKind::Alert => TimelineKind::Alert,
                casework::TimelineKind::Note => TimelineKind::Note,
                casework::TimelineKind::Status => TimelineKind::Status,
                casework::TimelineKind::Task => TimelineKind::Task,
                casework::TimelineKind::Action => TimelineKind::Action,
            },
            title: entry.title,
            detail: entry.detail,
            severity: entry.severity.map(Into::into),
            ref_id: entry.ref_id,
            actor: entry.actor,
        }
    }
}

/// A task.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) status: TaskStatus,
    #[schema(required)]
    pub(crate) assignee: Option<String>,
    pub(crate) created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) done_at: Option<Timestamp>,
}

impl From<model::Task> for Task {
    fn from(task: model::Task) -> Self {
        Self {
            id: task.id.to_string(),
            title: task.title,
            status: task.status.into(),
            assignee: task.assignee,
            created_by: task.created_by,
            created_at: task.created_at,
            done_at: task.done_at,
        }
    }
}

/// An observable.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Observable {
    pub(crate) id: String,
    pub(crate) kind: EntityKind,
    pub(crate) value: String,
    #[schema(required)]
    pub(crate) note: Option<String>,
    pub(crate) added_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) added_at: Timestamp,
}

impl From<model::Observable> for Observable {
    fn from(observable: model::Observable) -> Self {
        Self {
            id: observable.id.to_string(),
            kind: observable.kind.into(),
            value: observable.value,
            note: observable.note,
            added_by: observable.added_by,
            added_at: observable.added_at,
        }
    }
}

/// When what was reached.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Clocks {
    #[schema(value_type = String, format = DateTime)]
    pub(crate) detected_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) acknowledged_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) contained_at: Option<Timestamp>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) resolved_at: Option<Timestamp>,
    /// Seconds that it stood resolved before it was opened again: no clock ran meanwhile.
    pub(crate) away_s: i64,
    /// How often it was opened again.
    pub(crate) reopened: u64,
}

impl From<&model::Clocks> for Clocks {
    fn from(clocks: &model::Clocks) -> Self {
        Self {
            detected_at: clocks.detected_at,
            acknowledged_at: clocks.acknowledged_at,
            contained_at: clocks.contained_at,
            resolved_at: clocks.resolved_at,
            away_s: clocks.away_time().as_secs(),
            reopened: clocks.away.len() as u64,
        }
    }
}

/// A thing that an incident touched.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Touch {
    pub(crate) kind: EntityKind,
    pub(crate) value: String,
    /// Its parts, such as `source` and `target`.
    pub(crate) roles: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) first_time: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) last_time: Timestamp,
    /// Alerts that tell of it, by time, the first twenty.
    pub(crate) alerts: Vec<String>,
    pub(crate) alert_count: u64,
    /// How it is known.
    pub(crate) known_from: String,
    /// Its risk by the open alerts here; `null` when none is open.
    #[schema(required)]
    pub(crate) risk: Option<u8>,
    pub(crate) risk_parts: Vec<RiskPart>,
}

impl From<casework::Touch> for Touch {
    fn from(touch: casework::Touch) -> Self {
        Self {
            kind: touch.entity.kind.into(),
            value: touch.entity.value,
            roles: touch.roles,
            first_time: touch.first_time,
            last_time: touch.last_time,
            alerts: touch.alert_ids.iter().map(ToString::to_string).collect(),
            alert_count: touch.alert_count,
            known_from: touch.known_from,
            risk: touch.risk.as_ref().map(|risk| risk.score),
            risk_parts: touch.risk.as_ref().map_or_else(Vec::new, super::risk_parts),
        }
    }
}

/// The processes that an incident's alerts rest on, of one machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostTree {
    pub(crate) host: String,
    /// Parents before children.
    pub(crate) processes: Vec<ProcessNode>,
}

/// A way from one machine to another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostStep {
    pub(crate) from: String,
    pub(crate) to: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    /// The alert that tells of it.
    pub(crate) alert_id: String,
    pub(crate) title: String,
}

/// A vulnerability that is open on a machine.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OpenVulnerability {
    pub(crate) host: String,
    pub(crate) name: String,
    pub(crate) severity: Severity,
    pub(crate) is_exploited: bool,
}

/// An indicator that an alert met.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IndicatorMet {
    /// What was met, in words.
    pub(crate) text: String,
    pub(crate) alert_id: String,
    pub(crate) title: String,
}

/// What lies around an incident.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentContext {
    /// Process trees, by machine.
    pub(crate) hosts: Vec<HostTree>,
    /// Ways between machines, by time.
    pub(crate) steps: Vec<HostStep>,
    pub(crate) vulnerabilities: Vec<OpenVulnerability>,
    pub(crate) indicators: Vec<IndicatorMet>,
    /// Events that were read for the trees; a part of them where it is at its most.
    pub(crate) events_read: u64,
    pub(crate) is_capped: bool,
}

/// An incident that is like another.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SimilarIncident {
    #[serde(flatten)]
    pub(crate) incident: Incident,
    /// What both have, in sentences.
    pub(crate) reasons: Vec<String>,
}

/// Who looks at an incident now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Present {
    /// Names of users.
    pub(crate) names: Vec<String>,
}

/// Whether the caller looks at an incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Presence {
    /// `false` when the page is left.
    pub(crate) is_there: bool,
}

/// A note in which the caller is mentioned.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Mention {
    pub(crate) note_id: String,
    /// The alert or incident on which it stands.
    pub(crate) parent_id: String,
    pub(crate) author: String,
    pub(crate) text: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) seen_at: Option<Timestamp>,
}

impl From<model::Mention> for Mention {
    fn from(mention: model::Mention) -> Self {
        Self {
            note_id: mention.note_id.to_string(),
            parent_id: mention.parent_id,
            author: mention.author,
            text: mention.text,
            at: mention.at,
            seen_at: mention.seen_at,
        }
    }
}

/// An incident with everything its page shows.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IncidentDetail {
    #[serde(flatten)]
    pub(crate) incident: Incident,
    pub(crate) summary: String,
    /// Why it is as grave as it is, by stated criteria.
    pub(crate) severity_reasons: Vec<String>,
    /// Whether a person set the severity.
    pub(crate) severity_by_hand: bool,
    /// The parts of its risk.
    pub(crate) risk_parts: Vec<RiskPart>,
    /// What it touched, and how that is known.
    pub(crate) scope: Vec<Touch>,
    /// Its gravest alerts, at most 400, by event time; `alert_count` says how many there are.
    pub(crate) alert_rows: Vec<IncidentAlert>,
    pub(crate) timeline: Vec<TimelineEntry>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) notes: Vec<Note>,
    pub(crate) observables: Vec<Observable>,
    pub(crate) history: Vec<HistoryEntry>,
    /// Its clocks that have a target.
    pub(crate) faces: Vec<ClockFace>,
    pub(crate) escalations: Vec<Escalation>,
}

impl From<casework::IncidentDetail> for IncidentDetail {
    fn from(detail: casework::IncidentDetail) -> Self {
        Self {
            incident: (&detail.incident).into(),
            severity_reasons: detail.incident.severity_reasons,
            severity_by_hand: detail.incident.severity_by_hand,
            risk_parts: super::risk_parts(&detail.incident.risk),
            scope: detail.scope.into_iter().map(Into::into).collect(),
            summary: detail.incident.summary,
            alert_rows: detail
                .alerts
                .into_iter()
                .map(|row| IncidentAlert {
                    alert: (&row.alert).into(),
                    attachment_reasons: row.reasons,
                })
                .collect(),
            timeline: detail.timeline.into_iter().map(Into::into).collect(),
            tasks: detail.tasks.into_iter().map(Into::into).collect(),
            notes: detail.notes.into_iter().map(Into::into).collect(),
            observables: detail.observables.into_iter().map(Into::into).collect(),
            history: super::history(detail.history),
            faces: detail.faces.into_iter().map(Into::into).collect(),
            escalations: detail.escalations.into_iter().map(Into::into).collect(),
        }
    }
}

/// Which incidents.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct IncidentQuery {
    /// States, comma-separated.
    pub(crate) status: Option<String>,
    /// Severities, comma-separated.
    pub(crate) severity: Option<String>,
    /// Name of a user, or `none`.
    pub(crate) assignee: Option<String>,
    /// Text in title, summary or entities.
    pub(crate) q: Option<String>,
    /// `at_risk` (breached ones too) or `breached`: how the clock that runs stands.
    pub(crate) clock: Option<String>,
    /// Conclusions, comma-separated; `none` for none yet.
    pub(crate) verdict: Option<String>,
    /// Detected from this time.
    pub(crate) detected_from: Option<String>,
    /// Detected before this time.
    pub(crate) detected_to: Option<String>,
    /// `acknowledge`, `contain` or `resolve`: only those that reached it.
    pub(crate) reached: Option<String>,
    /// `-last_time` (default), `-risk`, `-severity`, or `due`: whose clock runs out next.
    pub(crate) sort: Option<String>,
    /// From `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Rows of a page, 1 to 1,000; default 100.
    pub(crate) limit: Option<u32>,
}

/// An incident to be opened by hand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewIncident {
    pub(crate) title: String,
    pub(crate) severity: Option<Severity>,
    #[serde(default)]
    pub(crate) alert_ids: Vec<String>,
}

/// What to change; absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IncidentPatch {
    pub(crate) title: Option<String>,
    pub(crate) severity: Option<Severity>,
    /// `resolved` and `closed` need a verdict.
    pub(crate) status: Option<IncidentStatus>,
    /// `null` for nobody.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(crate) assignee: Option<Option<String>>,
    /// `null` takes it back.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Verdict>)]
    pub(crate) verdict: Option<Option<Verdict>>,
    pub(crate) summary: Option<String>,
}

/// A task to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewTask {
    pub(crate) title: String,
    pub(crate) assignee: Option<String>,
}

/// What to change of a task; absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TaskPatch {
    pub(crate) status: Option<TaskStatus>,
    pub(crate) title: Option<String>,
    /// `null` for nobody.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(crate) assignee: Option<Option<String>>,
}

/// An observable to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewObservable {
    pub(crate) kind: EntityKind,
    pub(crate) value: String,
    pub(crate) note: Option<String>,
}

/// Incidents to be merged in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Merge {
    pub(crate) from: Vec<String>,
    /// Why; remembered with the correction.
    pub(crate) reason: Option<String>,
}

/// Alerts to be taken out into an incident of their own.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Split {
    pub(crate) alert_ids: Vec<String>,
    /// Why; remembered with the correction.
    pub(crate) reason: Option<String>,
}

/// Form of a report.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ReportFormat {
    Html,
    Pdf,
}

/// Which form.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReportQuery {
    /// `html` or `pdf`.
    pub(crate) format: ReportFormat,
}
