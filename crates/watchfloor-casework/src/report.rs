//! The incident report: gathers what is known and hands it to the report crate.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use watchfloor_model::{
    Actor, Alert, AuditEntry, EntityRef, IncidentId, IncidentStatus, Tlp, Verdict,
};
use watchfloor_report::{
    IncidentReport, ReportAlert, ReportClock, ReportDecision, ReportNote, ReportObservable,
    ReportScope, ReportTask, ReportTechnique, ReportTimelineEntry, incident_html, incident_pdf,
};

use crate::triage::bind::is_commonplace;
use crate::triage::portrait::{TACTICS, tactic_in_words};
use crate::{Casework, CaseworkError, IncidentDetail};

/// Entities in the scope table.
const SCOPE_MAX: usize = 60;

/// Matched fields shown per alert.
const MATCHED_MAX: usize = 8;

/// Form of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportFormat {
    /// One self-contained page.
    Html,
    /// A4 pages.
    Pdf,
}

impl Casework {
    /// Makes the report of an incident. Returns its number and the bytes.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn incident_report(
        &self,
        actor: &Actor,
        id: &IncidentId,
        format: ReportFormat,
    ) -> Result<(u64, Vec<u8>), CaseworkError> {
        let detail = self.incident_detail(actor, id).await?;
        let report = gather(&detail, actor, self.now());
        let number = report.number;
        let work = move || match format {
            ReportFormat::Html => Ok(incident_html(&report).into_bytes()),
            ReportFormat::Pdf => incident_pdf(&report),
        };
        let bytes =
            tokio::task::spawn_blocking(work)
                .await
                .map_err(|_| CaseworkError::System {
                    what: "report worker",
                })??;
        Ok((number, bytes))
    }
}

fn clock(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

fn words(text: &str) -> String {
    text.replace('_', " ")
}

const fn status_in_words(status: IncidentStatus) -> &'static str {
    match status {
        IncidentStatus::New => "New",
        IncidentStatus::InProgress => "In progress",
        IncidentStatus::Contained => "Contained",
        IncidentStatus::Resolved => "Resolved",
        IncidentStatus::Closed => "Closed",
    }
}

const fn verdict_in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TruePositive => "True positive",
        Verdict::BenignPositive => "Benign positive",
        Verdict::FalsePositive => "False positive",
        Verdict::Inconclusive => "Inconclusive",
    }
}

fn span_in_words(from: Timestamp, to: Timestamp) -> String {
    let seconds = to.duration_since(from).as_secs().max(0);
    match seconds {
        0..=89 => format!("{seconds} s"),
        90..=5_399 => format!("{} min", (seconds + 30) / 60),
        5_400..=172_799 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

fn gather(detail: &IncidentDetail, actor: &Actor, now: Timestamp) -> IncidentReport {
    let incident = &detail.incident;
    IncidentReport {
        number: incident.number,
        title: incident.title.clone(),
        summary: incident.summary.clone(),
        severity: incident.severity,
        status: status_in_words(incident.status).to_owned(),
        verdict: incident
            .verdict
            .map_or_else(String::new, |v| verdict_in_words(v).to_owned()),
        assignee: incident.assignee.clone().unwrap_or_default(),
        marking: Tlp::Amber,
        made_at: clock(now),
        made_by: actor.name.clone(),
        first_time: clock(incident.first_time),
        last_time: clock(incident.last_time),
        clocks: clocks(detail),
        path: path(detail),
        scope: scope(detail),
        timeline: timeline(detail),
        alerts: detail.alerts.iter().map(|row| alert(&row.alert)).collect(),
        tasks: detail
            .tasks
            .iter()
            .map(|task| ReportTask {
                title: task.title.clone(),
                status: task.status.to_string(),
                assignee: task.assignee.clone().unwrap_or_default(),
            })
            .collect(),
        notes: detail
            .notes
            .iter()
            .map(|note| ReportNote {
                at: clock(note.created_at),
                author: note.author.clone(),
                text: note.text.clone(),
            })
            .collect(),
        observables: detail
            .observables
            .iter()
            .map(|observable| ReportObservable {
                kind: observable.kind.to_string(),
                value: observable.value.clone(),
                note: observable.note.clone().unwrap_or_default(),
            })
            .collect(),
        decisions: detail.history.iter().filter_map(decision).collect(),
    }
}

fn clocks(detail: &IncidentDetail) -> Vec<ReportClock> {
    let clocks = &detail.incident.clocks;
    let began = detail.incident.first_time;
    let since = |at: Timestamp| Some(span_in_words(clocks.detected_at, at));
    let mut list = vec![
        ReportClock {
            name: "First event".to_owned(),
            at: clock(began),
            after: None,
        },
        ReportClock {
            name: "Detected".to_owned(),
            at: clock(clocks.detected_at),
            after: None,
        },
    ];
    for (name, at) in [
        ("Acknowledged", clocks.acknowledged_at),
        ("Contained", clocks.contained_at),
        ("Resolved", clocks.resolved_at),
    ] {
        list.push(ReportClock {
            name: name.to_owned(),
            at: at.map_or_else(|| "not yet".to_owned(), clock),
            after: at.and_then(since),
        });
    }
    list
}

fn path(detail: &IncidentDetail) -> Vec<ReportTechnique> {
    let mut steps: BTreeMap<&str, (BTreeSet<&str>, u64)> = BTreeMap::new();
    for row in &detail.alerts {
        for tactic in &row.alert.tactics {
            let step = steps.entry(tactic).or_default();
            step.0
                .extend(row.alert.techniques.iter().map(String::as_str));
            step.1 += 1;
        }
    }
    let mut list: Vec<_> = steps.into_iter().collect();
    list.sort_by_key(|(tactic, _)| {
        TACTICS
            .iter()
            .position(|(id, _)| id == tactic)
            .unwrap_or(TACTICS.len())
    });
    list.into_iter()
        .map(|(tactic, (techniques, alerts))| ReportTechnique {
            tactic: tactic_in_words(tactic),
            techniques: techniques.into_iter().map(str::to_owned).collect(),
            alerts,
        })
        .collect()
}

fn scope(detail: &IncidentDetail) -> Vec<ReportScope> {
    let mut rows: BTreeMap<EntityRef, (String, BTreeSet<&str>, BTreeSet<&str>)> = BTreeMap::new();
    for row in &detail.alerts {
        for entity in &row.alert.entities {
            let entry = rows
                .entry(entity.key())
                .or_insert_with(|| (entity.value.clone(), BTreeSet::new(), BTreeSet::new()));
            if !entity.role.is_empty() {
                entry.1.insert(&entity.role);
            }
            entry.2.insert(row.alert.id.as_str());
        }
    }
    let mut list: Vec<_> = rows
        .into_iter()
        .filter(|(key, _)| !is_commonplace(key))
        .collect();
    list.sort_by(|left, right| {
        (left.0.kind, right.1.2.len(), &left.0).cmp(&(right.0.kind, left.1.2.len(), &right.0))
    });
    list.into_iter()
        .take(SCOPE_MAX)
        .map(|(key, (value, roles, alerts))| ReportScope {
            kind: key.kind.to_string(),
            value,
            roles: roles.into_iter().collect::<Vec<_>>().join(", "),
            alerts: alerts.len() as u64,
        })
        .collect()
}

fn timeline(detail: &IncidentDetail) -> Vec<ReportTimelineEntry> {
    detail
        .timeline
        .iter()
        .map(|line| ReportTimelineEntry {
            at: clock(line.at),
            kind: line.kind.as_str().to_owned(),
            title: line.title.clone(),
            detail: line.detail.clone(),
            actor: line.actor.clone().unwrap_or_default(),
            severity: line.severity,
        })
        .collect()
}

fn alert(alert: &Alert) -> ReportAlert {
    ReportAlert {
        id: alert.id.to_string(),
        title: alert.title.clone(),
        severity: alert.severity,
        at: clock(alert.time),
        summary: alert.summary.clone(),
        rule: format!("{} ({})", alert.rule_title, alert.rule_id),
        count: alert.count,
        verdict: alert
            .verdict
            .map_or_else(String::new, |v| verdict_in_words(v).to_owned()),
        techniques: alert.techniques.clone(),
        matched: alert
            .reasons
            .iter()
            .take(MATCHED_MAX)
            .map(|reason| (reason.field.clone(), reason.value.clone()))
            .collect(),
        reasons: alert
            .attachment
            .as_ref()
            .map_or_else(Vec::new, |a| a.reasons.clone()),
    }
}

/// Decisions are what people did, but for notes, which have their own section.
fn decision(entry: &AuditEntry) -> Option<ReportDecision> {
    let by_program = entry.actor == "watchfloor" && entry.action == "incident.update";
    if by_program || entry.action == "incident.note" {
        return None;
    }
    Some(ReportDecision {
        at: clock(entry.at),
        actor: entry.actor.clone(),
        text: format!(
            "{}: {}",
            words(&entry.action.replace('.', " ")),
            entry.detail
        ),
    })
}
