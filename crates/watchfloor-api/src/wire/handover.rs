//! Shift handovers. The snapshot is kept as it was sent, so its types read what they write.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::clock::{ClockFace, Escalation};
use super::duty::Turn;
use super::{Severity, Verdict};

/// An incident in a handover.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HandoverIncident {
    pub(crate) id: String,
    pub(crate) number: u64,
    pub(crate) title: String,
    pub(crate) severity: Severity,
    #[schema(required)]
    pub(crate) assignee: Option<String>,
    #[schema(required)]
    pub(crate) verdict: Option<Verdict>,
    /// When it reached what it stands here for.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) at: Option<Timestamp>,
    /// The clock that runs out next, or that was broken.
    #[schema(required)]
    pub(crate) clock: Option<ClockFace>,
}

impl HandoverIncident {
    fn of(times: casework::IncidentTimes) -> Self {
        Self {
            id: times.id.to_string(),
            number: times.number,
            title: times.title,
            severity: times.severity.into(),
            assignee: times.assignee,
            verdict: times.verdict.map(Into::into),
            at: None,
            clock: None,
        }
    }
}

/// Incidents, and how many there are.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HandoverIncidents {
    pub(crate) items: Vec<HandoverIncident>,
    pub(crate) total: u64,
}

/// An action or run that needs somebody.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HandoverWork {
    pub(crate) id: String,
    pub(crate) text: String,
    /// Such as `proposed`, `uncertain`, `running`.
    pub(crate) status: String,
    pub(crate) by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) since: Timestamp,
    #[schema(required)]
    pub(crate) incident_id: Option<String>,
    /// Why it is stuck.
    #[schema(required)]
    pub(crate) trouble: Option<String>,
}

/// Who is on call.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HandoverDuty {
    pub(crate) rotation: String,
    #[schema(required)]
    pub(crate) now: Option<Turn>,
    #[schema(required)]
    pub(crate) next: Option<Turn>,
}

/// A source or rule that needs somebody.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HandoverTrouble {
    pub(crate) id: String,
    pub(crate) text: String,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) since: Option<Timestamp>,
}

/// What stands and what changed in a span.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct HandoverSnapshot {
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    /// Open incidents, by when their clock runs out.
    pub(crate) open: HandoverIncidents,
    /// Open alerts by severity.
    pub(crate) alerts: BTreeMap<String, u64>,
    pub(crate) new: HandoverIncidents,
    pub(crate) contained: HandoverIncidents,
    pub(crate) resolved: HandoverIncidents,
    /// Clocks whose time ended in the span.
    pub(crate) breaches: HandoverIncidents,
    pub(crate) escalations: Vec<Escalation>,
    /// Waiting for an approval, or for somebody to settle them.
    pub(crate) actions: Vec<HandoverWork>,
    /// Runs of playbooks that are not over.
    pub(crate) runs: Vec<HandoverWork>,
    pub(crate) on_call: Vec<HandoverDuty>,
    /// Sources that went quiet; `null` where the caller may not see them.
    #[schema(required)]
    pub(crate) quiet_sources: Option<Vec<HandoverTrouble>>,
    /// Rules that are not evaluated; `null` where the caller may not see them.
    #[schema(required)]
    pub(crate) suspended_rules: Option<Vec<HandoverTrouble>>,
}

fn changes(part: casework::HandoverPart<casework::HandoverChange>) -> HandoverIncidents {
    let items = part.items.into_iter().map(|change| HandoverIncident {
        at: Some(change.at),
        ..HandoverIncident::of(change.times)
    });
    HandoverIncidents {
        items: items.collect(),
        total: part.total,
    }
}

fn action(action: model::Action) -> HandoverWork {
    HandoverWork {
        id: action.id.to_string(),
        text: action.in_words(),
        status: action.status.to_string(),
        by: action.proposed_by.name,
        since: action.proposed_at,
        incident_id: action.incident_id.map(|id| id.to_string()),
        trouble: action.error,
    }
}

fn run(run: model::PlaybookRun) -> HandoverWork {
    HandoverWork {
        id: run.id.to_string(),
        text: run.playbook_name,
        status: run.status.to_string(),
        by: run.started_by.name,
        since: run.updated_at,
        incident_id: run.incident_id.map(|id| id.to_string()),
        trouble: run.stuck,
    }
}

impl From<casework::HandoverState> for HandoverSnapshot {
    fn from(state: casework::HandoverState) -> Self {
        let open = state.open.items.into_iter().map(|one| HandoverIncident {
            clock: one.clock.map(Into::into),
            ..HandoverIncident::of(one.times)
        });
        let breaches = state
            .breaches
            .items
            .into_iter()
            .map(|one| HandoverIncident {
                at: Some(one.face.due_at),
                clock: Some(one.face.into()),
                ..HandoverIncident::of(one.times)
            });
        let alerts = state.alerts.into_iter();
        let on_call = state.on_call.into_iter().map(|(rotation, on_call)| {
            let (now, next) = on_call.map_or((None, None), |one| (Some(one.now), one.next));
            HandoverDuty {
                rotation,
                now: now.map(Into::into),
                next: next.map(Into::into),
            }
        });
        Self {
            from: state.from,
            to: state.to,
            open: HandoverIncidents {
                items: open.collect(),
                total: state.open.total,
            },
            alerts: alerts.map(|(level, n)| (level.to_string(), n)).collect(),
            new: changes(state.new),
            contained: changes(state.contained),
            resolved: changes(state.resolved),
            breaches: HandoverIncidents {
                items: breaches.collect(),
                total: state.breaches.total,
            },
            escalations: state
                .escalations
                .items
                .into_iter()
                .map(Into::into)
                .collect(),
            actions: state.actions.items.into_iter().map(action).collect(),
            runs: state.runs.items.into_iter().map(run).collect(),
            on_call: on_call.collect(),
            quiet_sources: None,
            suspended_rules: None,
        }
    }
}

/// A handover, as a row.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandoverRow {
    pub(crate) id: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    pub(crate) given_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) given_at: Timestamp,
    #[schema(required)]
    pub(crate) accepted_by: Option<String>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) accepted_at: Option<Timestamp>,
    pub(crate) notes: String,
    /// SHA-256 of notes and snapshot, as the audit chain names it.
    pub(crate) digest: String,
}

impl From<&model::Handover> for HandoverRow {
    fn from(one: &model::Handover) -> Self {
        Self {
            id: one.id.to_string(),
            from: one.from,
            to: one.to,
            given_by: one.given_by.clone(),
            given_at: one.given_at,
            accepted_by: one.accepted_by.clone(),
            accepted_at: one.accepted_at,
            notes: one.notes.clone(),
            digest: one.digest.clone(),
        }
    }
}

/// A handover with what was shown.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HandoverDetail {
    #[serde(flatten)]
    pub(crate) row: HandoverRow,
    /// Whether it is the one that the audit chain names.
    pub(crate) is_sealed: bool,
    pub(crate) snapshot: HandoverSnapshot,
}

/// Since when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct HandoverQuery {
    /// From this time; default since the last handover, or 12 hours.
    pub(crate) from: Option<String>,
}

/// A handover to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewHandover {
    /// Since the last handover without.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Timestamp>,
    /// What the next shift should know besides.
    #[serde(default)]
    pub(crate) notes: String,
}
