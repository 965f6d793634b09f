//! The timeline of an incident: what happened, and what people did about it.

use jiff::Timestamp;
use watchfloor_model::{Alert, AuditEntry, Note, Severity, Task};

/// What a line is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimelineKind {
    /// An alert, at its event time.
    Alert,
    /// A note.
    Note,
    /// A change of state.
    Status,
    /// A task made, done or opened again.
    Task,
    /// Another change.
    Action,
}

impl TimelineKind {
    /// The word used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Note => "note",
            Self::Status => "status",
            Self::Task => "task",
            Self::Action => "action",
        }
    }
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEntry {
    /// When.
    pub at: Timestamp,
    /// About what.
    pub kind: TimelineKind,
    /// One line.
    pub title: String,
    /// More.
    pub detail: String,
    /// Gravity, for alerts.
    pub severity: Option<Severity>,
    /// Id of the record.
    pub ref_id: Option<String>,
    /// Who.
    pub actor: Option<String>,
}

/// What an action is called on a timeline; `None` leaves it out.
fn action_title(action: &str) -> Option<(TimelineKind, &'static str)> {
    Some(match action {
        "incident.open" => (TimelineKind::Action, "Incident opened"),
        "incident.status" => (TimelineKind::Status, "Status changed"),
        "incident.merge" => (TimelineKind::Action, "Incidents merged"),
        "incident.split" => (TimelineKind::Action, "Incident split"),
        "incident.attach" => (TimelineKind::Action, "Alerts attached"),
        "incident.detach" => (TimelineKind::Action, "Alert taken out"),
        "incident.acknowledge" => (TimelineKind::Action, "First look"),
        "incident.escalate" => (TimelineKind::Action, "Escalated"),
        "observable.add" => (TimelineKind::Action, "Observable added"),
        "task.create" => (TimelineKind::Task, "Task added"),
        "task.done" => (TimelineKind::Task, "Task done"),
        "task.reopen" => (TimelineKind::Task, "Task opened again"),
        _ => return None,
    })
}

/// Builds the timeline, oldest first.
pub(crate) fn build(
    alerts: &[Alert],
    notes: &[Note],
    tasks: &[Task],
    history: &[AuditEntry],
) -> Vec<TimelineEntry> {
    let mut lines: Vec<TimelineEntry> = alerts
        .iter()
        .map(|alert| TimelineEntry {
            at: alert.time,
            kind: TimelineKind::Alert,
            title: alert.title.clone(),
            detail: alert.summary.clone(),
            severity: Some(alert.severity),
            ref_id: Some(alert.id.to_string()),
            actor: None,
        })
        .collect();
    lines.extend(notes.iter().map(|note| TimelineEntry {
        at: note.created_at,
        kind: TimelineKind::Note,
        title: "Note".to_owned(),
        detail: note.text.clone(),
        severity: None,
        ref_id: Some(note.id.to_string()),
        actor: Some(note.author.clone()),
    }));
    for entry in history {
        let by_hand = entry.action == "incident.update" && entry.detail != "alerts changed";
        let known = action_title(&entry.action)
            .or_else(|| by_hand.then_some((TimelineKind::Action, "Incident changed")));
        if let Some((kind, title)) = known {
            let task = tasks
                .iter()
                .find(|task| kind == TimelineKind::Task && task.title == entry.detail);
            lines.push(TimelineEntry {
                at: entry.at,
                kind,
                title: title.to_owned(),
                detail: entry.detail.clone(),
                severity: None,
                ref_id: task.map(|task| task.id.to_string()),
                actor: Some(entry.actor.clone()),
            });
        }
    }
    lines.sort_by(|left, right| {
        (left.at, left.kind, &left.ref_id).cmp(&(right.at, right.kind, &right.ref_id))
    });
    lines
}
