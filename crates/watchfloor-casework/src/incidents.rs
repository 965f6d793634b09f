//! What people do with incidents.

use watchfloor_model::{
    Actor, Alert, AlertId, AlertStatus, EntityKind, Incident, IncidentId, IncidentStatus, Note,
    Observable, ObservableId, Permission, Severity, Task, TaskId, TaskStatus, Verdict,
};
use watchfloor_store::{IncidentFilter, IncidentSort, Page, PageRequest, WriteTx};

use crate::alerts::{LINE_BYTES_MAX, NOTE_BYTES_MAX, check_version};
use crate::error::checked_text;
use crate::{Casework, CaseworkError};

/// Longest observable in bytes.
const OBSERVABLE_BYTES_MAX: usize = 4 * 1024;

/// What to change of an incident; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct IncidentPatch {
    /// One line.
    pub title: Option<String>,
    /// What happened.
    pub summary: Option<String>,
    /// Gravity.
    pub severity: Option<Severity>,
    /// State.
    pub status: Option<IncidentStatus>,
    /// Who leads it; `Some(None)` for nobody.
    pub assignee: Option<Option<String>>,
    /// Conclusion; `Some(None)` takes it back.
    pub verdict: Option<Option<Verdict>>,
}

impl Casework {
    /// A page of incidents in an order.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn incidents(
        &self,
        actor: &Actor,
        filter: &IncidentFilter,
        sort: &IncidentSort,
        page: &PageRequest,
    ) -> Result<Page<Incident>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().incident_page(filter, sort, page).await?)
    }

    /// One incident.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn incident(
        &self,
        actor: &Actor,
        id: &IncidentId,
    ) -> Result<Incident, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().incident(id).await?)
    }

    /// Opens an incident by hand, around alerts or without any.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn create_incident(
        &self,
        actor: &Actor,
        title: &str,
        severity: Option<Severity>,
        alert_ids: &[AlertId],
    ) -> Result<Incident, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let title = checked_text("title", title, LINE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut alerts = Vec::new();
        for id in alert_ids {
            alerts.push(tx.q().alert(id).await?);
        }
        let mut incident = self.blank_incident(&mut tx, actor, &alerts).await?;
        incident.title = title;
        incident.title_by_hand = true;
        if let Some(severity) = severity {
            incident.severity = severity;
            incident.severity_by_hand = true;
        }
        let change = self.change(actor, "incident.update", "title and severity by hand");
        tx.save_incident(&incident, &change).await?;
        let (incident, left) = self
            .attach_all(&mut tx, actor, alerts, Some(&incident.id), None)
            .await?;
        let alerts = tx.q().alerts_of(&incident.id).await?;
        tx.commit().await?;
        for alert in &alerts {
            self.tell_alert(&actor.tenant, alert);
        }
        for changed in left.iter().chain([&incident]) {
            self.tell_incident(&actor.tenant, changed);
        }
        Ok(incident)
    }

    /// Changes an incident. The verdict is set before the state, so that one call resolves.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn patch_incident(
        &self,
        actor: &Actor,
        id: &IncidentId,
        patch: IncidentPatch,
        expected: Option<u64>,
    ) -> Result<Incident, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let assignee = match patch.assignee.clone() {
            Some(name) => Some(self.checked_assignee(actor, name).await?),
            None => None,
        };
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut incident = tx.q().incident(id).await?;
        check_version("incident", id.as_str(), incident.version, expected)?;
        let now = self.now();
        let mut details = apply_texts(&mut incident, &patch)?;
        let was_open = incident.status.is_open();
        if let Some(assignee) = assignee {
            details.push(match &assignee {
                Some(name) => format!("assigned to {name}"),
                None => "assigned to nobody".to_owned(),
            });
            incident.assign(assignee, now);
        }
        let mut action = "incident.update";
        if let Some(status) = patch.status
            && status != incident.status
        {
            details.push(format!("{} to {status}", incident.status));
            incident.set_status(status, now)?;
            action = "incident.status";
        }
        if patch.verdict == Some(None) {
            if !incident.status.is_open() {
                return Err(CaseworkError::Invalid {
                    field: "verdict",
                    reason: "a resolved or closed incident keeps a verdict".to_owned(),
                });
            }
            incident.verdict = None;
            details.push("verdict taken back".to_owned());
        }
        incident.version += 1;
        incident.updated_at = now;
        let change = self.change(actor, action, details.join("; "));
        tx.save_incident(&incident, &change).await?;
        let alerts = match (was_open, incident.status.is_open()) {
            (true, false) => self.close_with(&mut tx, actor, &incident).await?,
            (false, true) => self.reopen_with(&mut tx, actor, &incident).await?,
            (true, true) | (false, false) => Vec::new(),
        };
        tx.commit().await?;
        for alert in &alerts {
            self.tell_alert(&actor.tenant, alert);
        }
        self.tell_incident(&actor.tenant, &incident);
        Ok(incident)
    }

    /// Closes the alerts of an incident that is over, with its verdict: else they would stay in
    /// the queue, and repeats of them would vanish into an incident that nobody looks at.
    async fn close_with(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        incident: &Incident,
    ) -> Result<Vec<Alert>, CaseworkError> {
        let mut closed = Vec::new();
        let Some(verdict) = incident.verdict else {
            return Ok(closed);
        };
        for mut alert in tx.q().alerts_of(&incident.id).await? {
            if alert.status == AlertStatus::Closed {
                continue;
            }
            let reason = closing_reason(incident);
            let change = self.change(actor, "alert.close", format!("as {verdict}: {reason}"));
            alert.close(verdict, Some(reason), change.at)?;
            alert.version += 1;
            alert.updated_at = change.at;
            tx.save_alert(&alert, &change).await?;
            closed.push(alert);
        }
        Ok(closed)
    }

    /// Opens those alerts again that were closed with their incident.
    async fn reopen_with(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        incident: &Incident,
    ) -> Result<Vec<Alert>, CaseworkError> {
        let reason = closing_reason(incident);
        let mut opened = Vec::new();
        for mut alert in tx.q().alerts_of(&incident.id).await? {
            if alert.verdict_reason.as_ref() != Some(&reason) {
                continue;
            }
            let change = self.change(actor, "alert.reopen", "with its incident");
            alert.reopen()?;
            alert.version += 1;
            alert.updated_at = change.at;
            tx.save_alert(&alert, &change).await?;
            opened.push(alert);
        }
        Ok(opened)
    }

    /// Writes a note on an incident.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn note_incident(
        &self,
        actor: &Actor,
        id: &IncidentId,
        text: &str,
    ) -> Result<Note, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let text = checked_text("text", text, NOTE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let incident = tx.q().incident(id).await?;
        let note = self.new_note(&mut tx, actor, text).await?;
        let change = self.change(actor, "incident.note", note.text.clone());
        tx.add_note(id.as_str(), &note, &change).await?;
        let mentioned = self.mention(&mut tx, id.as_str(), &note).await?;
        tx.commit().await?;
        self.tell_mentions(&actor.tenant, mentioned, id.as_str());
        self.tell_incident(&actor.tenant, &incident);
        Ok(note)
    }

    /// Adds a task.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_task(
        &self,
        actor: &Actor,
        id: &IncidentId,
        title: &str,
        assignee: Option<String>,
    ) -> Result<Task, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let title = checked_text("title", title, LINE_BYTES_MAX)?;
        let assignee = self.checked_assignee(actor, assignee).await?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let incident = tx.q().incident(id).await?;
        let task = Task {
            id: TaskId::numbered(tx.next_number("task").await?),
            title,
            status: TaskStatus::Open,
            assignee,
            created_by: actor.name.clone(),
            created_at: self.now(),
            done_at: None,
        };
        let change = self.change(actor, "task.create", task.title.clone());
        tx.save_task(id, &task, &change).await?;
        tx.commit().await?;
        self.tell_incident(&actor.tenant, &incident);
        Ok(task)
    }

    /// Changes a task.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn patch_task(
        &self,
        actor: &Actor,
        id: &IncidentId,
        task: &TaskId,
        status: Option<TaskStatus>,
        title: Option<&str>,
        assignee: Option<Option<String>>,
    ) -> Result<Task, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let assignee = match assignee {
            Some(name) => Some(self.checked_assignee(actor, name).await?),
            None => None,
        };
        let mut tx = self.store().write(&actor.tenant).await?;
        let incident = tx.q().incident(id).await?;
        let mut task = tx.q().task(id, task).await?;
        let mut action = "task.update";
        if let Some(status) = status {
            if status != task.status {
                action = match status {
                    TaskStatus::Open => "task.reopen",
                    TaskStatus::Done => "task.done",
                };
            }
            task.set_status(status, self.now());
        }
        if let Some(title) = title {
            task.title = checked_text("title", title, LINE_BYTES_MAX)?;
        }
        if let Some(assignee) = assignee {
            task.assignee = assignee;
        }
        let change = self.change(actor, action, task.title.clone());
        tx.save_task(id, &task, &change).await?;
        tx.commit().await?;
        self.tell_incident(&actor.tenant, &incident);
        Ok(task)
    }

    /// Keeps a value with an incident.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_observable(
        &self,
        actor: &Actor,
        id: &IncidentId,
        kind: EntityKind,
        value: &str,
        note: Option<&str>,
    ) -> Result<Observable, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let value = checked_text("value", value, OBSERVABLE_BYTES_MAX)?;
        let note = match note.filter(|note| !note.trim().is_empty()) {
            Some(note) => Some(checked_text("note", note, NOTE_BYTES_MAX)?),
            None => None,
        };
        let mut tx = self.store().write(&actor.tenant).await?;
        let incident = tx.q().incident(id).await?;
        let known = tx.q().observables_of(id).await?;
        if known.iter().any(|o| o.kind == kind && o.value == value) {
            return Err(CaseworkError::Taken {
                field: "value",
                value,
            });
        }
        let observable = Observable {
            id: ObservableId::numbered(tx.next_number("observable").await?),
            kind,
            value,
            note,
            added_by: actor.name.clone(),
            added_at: self.now(),
        };
        let detail = format!("{kind} {}", observable.value);
        let change = self.change(actor, "observable.add", detail);
        tx.add_observable(id, &observable, &change).await?;
        tx.commit().await?;
        self.tell_incident(&actor.tenant, &incident);
        Ok(observable)
    }
}

fn closing_reason(incident: &Incident) -> String {
    format!("closed with incident #{}", incident.number)
}

fn apply_texts(
    incident: &mut Incident,
    patch: &IncidentPatch,
) -> Result<Vec<String>, CaseworkError> {
    let mut details = Vec::new();
    if let Some(title) = &patch.title {
        incident.title = checked_text("title", title, LINE_BYTES_MAX)?;
        incident.title_by_hand = true;
        details.push(format!("title “{}”", incident.title));
    }
    if let Some(summary) = &patch.summary {
        incident.summary = checked_text("summary", summary, NOTE_BYTES_MAX)?;
        incident.summary_by_hand = true;
        details.push("summary changed".to_owned());
    }
    if let Some(severity) = patch.severity {
        incident.severity = severity;
        incident.severity_by_hand = true;
        details.push(format!("severity {severity}"));
    }
    if let Some(Some(verdict)) = patch.verdict {
        incident.verdict = Some(verdict);
        details.push(format!("verdict {verdict}"));
    }
    Ok(details)
}
