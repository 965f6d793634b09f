//! What an incident report says, as plain values: every time is already text in UTC.

use watchfloor_model::{Severity, Tlp};

/// A clock of the incident.
#[derive(Clone, Debug)]
pub struct ReportClock {
    /// Such as `Detected`.
    pub name: String,
    /// When, or `not yet`.
    pub at: String,
    /// Since detection, such as `14 min`.
    pub after: Option<String>,
}

/// A step of the attack.
#[derive(Clone, Debug)]
pub struct ReportTechnique {
    /// ATT&CK tactic, in words.
    pub tactic: String,
    /// ATT&CK technique ids.
    pub techniques: Vec<String>,
    /// How many alerts show it.
    pub alerts: u64,
}

/// Somebody or something that took part.
#[derive(Clone, Debug)]
pub struct ReportScope {
    /// Such as `host`.
    pub kind: String,
    /// Its name.
    pub value: String,
    /// Its parts, such as `source, target`.
    pub roles: String,
    /// How many alerts name it.
    pub alerts: u64,
}

/// A line of the timeline.
#[derive(Clone, Debug)]
pub struct ReportTimelineEntry {
    /// When.
    pub at: String,
    /// `alert`, `note`, `status`, `task`, `action`.
    pub kind: String,
    /// One line.
    pub title: String,
    /// More.
    pub detail: String,
    /// Who, or empty.
    pub actor: String,
    /// Gravity, for alerts.
    pub severity: Option<Severity>,
}

/// An alert, with why it belongs here.
#[derive(Clone, Debug)]
pub struct ReportAlert {
    /// Its id.
    pub id: String,
    /// One line.
    pub title: String,
    /// Gravity.
    pub severity: Severity,
    /// When.
    pub at: String,
    /// Who did what where.
    pub summary: String,
    /// The rule.
    pub rule: String,
    /// Findings it stands for.
    pub count: u64,
    /// Verdict, or empty.
    pub verdict: String,
    /// ATT&CK techniques.
    pub techniques: Vec<String>,
    /// Matched fields: name and value.
    pub matched: Vec<(String, String)>,
    /// Why it belongs to the incident.
    pub reasons: Vec<String>,
}

/// A task.
#[derive(Clone, Debug)]
pub struct ReportTask {
    /// What.
    pub title: String,
    /// `open` or `done`.
    pub status: String,
    /// Who, or empty.
    pub assignee: String,
}

/// A note.
#[derive(Clone, Debug)]
pub struct ReportNote {
    /// When.
    pub at: String,
    /// Who.
    pub author: String,
    /// The text.
    pub text: String,
}

/// An observable.
#[derive(Clone, Debug)]
pub struct ReportObservable {
    /// Kind.
    pub kind: String,
    /// Value.
    pub value: String,
    /// Why it is kept, or empty.
    pub note: String,
}

/// A decision: who changed what.
#[derive(Clone, Debug)]
pub struct ReportDecision {
    /// When.
    pub at: String,
    /// Who.
    pub actor: String,
    /// What, in words.
    pub text: String,
}

/// Everything an incident report says.
#[derive(Clone, Debug)]
pub struct IncidentReport {
    /// Number for people.
    pub number: u64,
    /// One line.
    pub title: String,
    /// What happened, in sentences.
    pub summary: String,
    /// Gravity.
    pub severity: Severity,
    /// State, in words.
    pub status: String,
    /// Verdict in words, or empty.
    pub verdict: String,
    /// Who leads it, or empty.
    pub assignee: String,
    /// With whom it may be shared.
    pub marking: Tlp,
    /// When the report was made.
    pub made_at: String,
    /// Who made it.
    pub made_by: String,
    /// Earliest event.
    pub first_time: String,
    /// Latest event.
    pub last_time: String,
    /// The clocks.
    pub clocks: Vec<ReportClock>,
    /// The path of the attack.
    pub path: Vec<ReportTechnique>,
    /// Who and what took part.
    pub scope: Vec<ReportScope>,
    /// What happened when.
    pub timeline: Vec<ReportTimelineEntry>,
    /// The alerts.
    pub alerts: Vec<ReportAlert>,
    /// The tasks.
    pub tasks: Vec<ReportTask>,
    /// The notes.
    pub notes: Vec<ReportNote>,
    /// The observables.
    pub observables: Vec<ReportObservable>,
    /// The decisions.
    pub decisions: Vec<ReportDecision>,
}
