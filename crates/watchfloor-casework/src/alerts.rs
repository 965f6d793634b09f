//! What people do with alerts.

use std::sync::Arc;

use jiff::Timestamp;
use watchfloor_model::{
    Actor, Alert, AlertId, AlertStatus, Attachment, Clocks, IllegalMove, Incident, IncidentId,
    IncidentStatus, Note, NoteId, Permission, Risk, Severity, Verdict,
};
use watchfloor_store::{AlertFilter, AlertSort, AlertSortKey, Page, PageRequest, WriteTx};

use crate::error::checked_text;
use crate::findings::redraw_saved;
use crate::{Casework, CaseworkError, LiveChange};

/// Longest note in bytes.
pub(crate) const NOTE_BYTES_MAX: usize = 16 * 1024;

/// Longest one-line text in bytes.
pub(crate) const LINE_BYTES_MAX: usize = 500;

/// Most alerts of one bulk call.
const BULK_MAX: usize = 1_000;

/// Most alerts of one call that names a filter.
const MATCHING_MAX: u64 = 20_000;

/// What to do with several alerts.
#[derive(Clone, Debug)]
pub enum BulkAction {
    /// Acknowledge each.
    Acknowledge,
    /// Give each to somebody, or to nobody.
    Assign(Option<String>),
    /// Close each.
    Close(Verdict, Option<String>),
    /// Attach all to one incident, to a new one when `None`; and why.
    Attach(Option<IncidentId>, Option<String>),
}

/// What became of several alerts.
#[derive(Clone, Debug, Default)]
pub struct BulkOutcome {
    /// Changed.
    pub done: Vec<AlertId>,
    /// Not changed, and why.
    pub failed: Vec<(String, String)>,
    /// The incident they were attached to.
    pub incident_id: Option<IncidentId>,
}

impl Casework {
    /// A page of the queue.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn alerts(
        &self,
        actor: &Actor,
        filter: &AlertFilter,
        sort: AlertSort,
        page: &PageRequest,
    ) -> Result<Page<Alert>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().alert_page(filter, sort, page).await?)
    }

    /// One alert.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn alert(&self, actor: &Actor, id: &AlertId) -> Result<Alert, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().alert(id).await?)
    }

    /// Notes that the actor has seen an alert.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn acknowledge_alert(
        &self,
        actor: &Actor,
        id: &AlertId,
        expected: Option<u64>,
    ) -> Result<Alert, CaseworkError> {
        self.change_alert(actor, id, expected, "alert.acknowledge", |alert, now| {
            alert.acknowledge(now)?;
            Ok("acknowledged".to_owned())
        })
        .await
    }

    /// Gives an alert to somebody, or to nobody.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn assign_alert(
        &self,
        actor: &Actor,
        id: &AlertId,
        assignee: Option<String>,
        expected: Option<u64>,
    ) -> Result<Alert, CaseworkError> {
        let assignee = self.checked_assignee(actor, assignee).await?;
        self.change_alert(actor, id, expected, "alert.assign", move |alert, now| {
            let detail = match &assignee {
                Some(name) => format!("to {name}"),
                None => "to nobody".to_owned(),
            };
            alert.assign(assignee, now)?;
            Ok(detail)
        })
        .await
    }

    /// Closes an alert with a verdict.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn close_alert(
        &self,
        actor: &Actor,
        id: &AlertId,
        verdict: Verdict,
        reason: Option<String>,
        expected: Option<u64>,
    ) -> Result<Alert, CaseworkError> {
        if let Some(text) = reason.as_deref().filter(|text| !text.trim().is_empty()) {
            checked_text("reason", text, NOTE_BYTES_MAX)?;
        }
        self.change_alert(actor, id, expected, "alert.close", move |alert, now| {
            let detail = match &reason {
                Some(reason) if !reason.trim().is_empty() => format!("as {verdict}: {reason}"),
                Some(_) | None => format!("as {verdict}"),
            };
            alert.close(verdict, reason, now)?;
            Ok(detail)
        })
        .await
    }

    /// Takes a closed alert up again.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn reopen_alert(
        &self,
        actor: &Actor,
        id: &AlertId,
        expected: Option<u64>,
    ) -> Result<Alert, CaseworkError> {
        self.change_alert(actor, id, expected, "alert.reopen", |alert, _| {
            alert.reopen()?;
            Ok("reopened".to_owned())
        })
        .await
    }

    /// Writes a note on an alert.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn note_alert(
        &self,
        actor: &Actor,
        id: &AlertId,
        text: &str,
    ) -> Result<Note, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let text = checked_text("text", text, NOTE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        tx.q().alert(id).await?;
        let note = self.new_note(&mut tx, actor, text).await?;
        let change = self.change(actor, "alert.note", note.text.clone());
        tx.add_note(id.as_str(), &note, &change).await?;
        let mentioned = self.mention(&mut tx, id.as_str(), &note).await?;
        tx.commit().await?;
        self.tell_mentions(&actor.tenant, mentioned, id.as_str());
        Ok(note)
    }

    pub(crate) async fn new_note(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        text: String,
    ) -> Result<Note, CaseworkError> {
        Ok(Note {
            id: NoteId::numbered(tx.next_number("note").await?),
            text,
            author: actor.name.clone(),
            created_at: self.now(),
        })
    }

    /// Attaches an alert to an incident, or to a new one.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn attach_alert(
        &self,
        actor: &Actor,
        id: &AlertId,
        incident: Option<&IncidentId>,
        reason: Option<&str>,
        expected: Option<u64>,
    ) -> Result<Alert, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let alert = tx.q().alert(id).await?;
        check_version("alert", id.as_str(), alert.version, expected)?;
        let (home, touched) = self
            .attach_all(&mut tx, actor, vec![alert], incident, reason)
            .await?;
        let alert = tx.q().alert(id).await?;
        tx.commit().await?;
        self.tell_alert(&actor.tenant, &alert);
        for incident in touched.iter().chain([&home]) {
            self.tell_incident(&actor.tenant, incident);
        }
        Ok(alert)
    }

    /// Takes an alert out of its incident; it is not put back automatically.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn detach_alert(
        &self,
        actor: &Actor,
        id: &AlertId,
        reason: Option<&str>,
        expected: Option<u64>,
    ) -> Result<Alert, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut alert = tx.q().alert(id).await?;
        check_version("alert", id.as_str(), alert.version, expected)?;
        let Some(attachment) = alert.attachment.take() else {
            return Err(CaseworkError::Invalid {
                field: "id",
                reason: "the alert belongs to no incident".to_owned(),
            });
        };
        let incident = attachment.incident_id;
        let detail = with_reason(format!("from {incident}"), reason);
        let change = self.change(actor, "alert.detach", detail);
        tx.keep_out(id, &incident, &change).await?;
        alert.version += 1;
        alert.updated_at = change.at;
        tx.save_alert(&alert, &change).await?;
        let change = change.with(
            "incident.detach",
            with_reason(format!("alert {id} taken out"), reason),
        );
        let incident = redraw_saved(&mut tx, &incident, &change).await?;
        tx.commit().await?;
        self.tell_alert(&actor.tenant, &alert);
        self.tell_incident(&actor.tenant, &incident);
        Ok(alert)
    }

    /// Does one thing to several alerts; each stands for itself, but attaching is for all.
    ///
    /// # Errors
    /// [`CaseworkError`] when nothing could be tried.
    pub async fn bulk_alerts(
        &self,
        actor: &Actor,
        ids: &[String],
        action: BulkAction,
    ) -> Result<BulkOutcome, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        if ids.is_empty() || ids.len() > BULK_MAX {
            return Err(CaseworkError::Invalid {
                field: "ids",
                reason: format!("must hold 1 to {BULK_MAX} ids"),
            });
        }
        let mut outcome = BulkOutcome::default();
        let mut known = Vec::new();
        for text in ids {
            match AlertId::new(text.clone()) {
                Ok(id) => known.push(id),
                Err(error) => outcome.failed.push((text.clone(), error.to_string())),
            }
        }
        match action {
            BulkAction::Attach(incident, reason) => {
                let to = (incident.as_ref(), reason.as_deref());
                self.bulk_attach(actor, known, to, &mut outcome).await?;
            }
            action @ (BulkAction::Acknowledge | BulkAction::Assign(_) | BulkAction::Close(..)) => {
                for id in known {
                    let done = match &action {
                        BulkAction::Assign(to) => {
                            self.assign_alert(actor, &id, to.clone(), None).await
                        }
                        BulkAction::Close(verdict, reason) => {
                            self.close_alert(actor, &id, *verdict, reason.clone(), None)
                                .await
                        }
                        BulkAction::Acknowledge | BulkAction::Attach(..) => {
                            self.acknowledge_alert(actor, &id, None).await
                        }
                    };
                    note_outcome(&mut outcome, id, done.map(|_| ()))?;
                }
            }
        }
        Ok(outcome)
    }

    /// Does one thing to all alerts that match a filter.
    ///
    /// # Errors
    /// [`CaseworkError::Invalid`] when more match than one call may change, and others when
    /// nothing could be tried.
    pub async fn bulk_matching(
        &self,
        actor: &Actor,
        filter: &AlertFilter,
        mut action: BulkAction,
    ) -> Result<BulkOutcome, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let sort = AlertSort {
            key: AlertSortKey::Time,
            descending: false,
        };
        let mut ids: Vec<String> = Vec::new();
        let mut after = None;
        // All are found before the first is changed: what is changed may match no more.
        loop {
            let page = PageRequest::new(after, u32::try_from(BULK_MAX).ok());
            let found = self.alerts(actor, filter, sort, &page).await?;
            if found.total > MATCHING_MAX {
                return Err(CaseworkError::Invalid {
                    field: "matching",
                    reason: format!(
                        "matches {} alerts; at most {MATCHING_MAX} at once",
                        found.total
                    ),
                });
            }
            ids.extend(found.items.iter().map(|alert| alert.id.to_string()));
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        let mut outcome = BulkOutcome::default();
        for chunk in ids.chunks(BULK_MAX) {
            let done = self.bulk_alerts(actor, chunk, action.clone()).await?;
            outcome.done.extend(done.done);
            outcome.failed.extend(done.failed);
            outcome.incident_id = done.incident_id.or(outcome.incident_id);
            // What opened an incident goes on with it.
            if let BulkAction::Attach(home, _) = &mut action {
                *home = outcome.incident_id.clone();
            }
        }
        Ok(outcome)
    }

    async fn bulk_attach(
        &self,
        actor: &Actor,
        ids: Vec<AlertId>,
        (incident, reason): (Option<&IncidentId>, Option<&str>),
        outcome: &mut BulkOutcome,
    ) -> Result<(), CaseworkError> {
        if let Some(reason) = reason {
            checked_text("reason", reason, NOTE_BYTES_MAX)?;
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut alerts = Vec::new();
        for id in ids {
            match tx.q().alert(&id).await.map_err(CaseworkError::from) {
                Ok(alert) => alerts.push(alert),
                Err(error) => note_outcome(outcome, id, Err(error))?,
            }
        }
        if alerts.is_empty() {
            return Ok(());
        }
        outcome.done = alerts.iter().map(|alert| alert.id.clone()).collect();
        let (home, touched) = self
            .attach_all(&mut tx, actor, alerts, incident, reason)
            .await?;
        let alerts = tx.q().alerts_of(&home.id).await?;
        tx.commit().await?;
        for alert in alerts.iter().filter(|a| outcome.done.contains(&a.id)) {
            self.tell_alert(&actor.tenant, alert);
        }
        for incident in touched.iter().chain([&home]) {
            self.tell_incident(&actor.tenant, incident);
        }
        outcome.incident_id = Some(home.id);
        Ok(())
    }

    /// Attaches alerts by hand. Returns their incident and those they were taken from.
    pub(crate) async fn attach_all(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        alerts: Vec<Alert>,
        incident: Option<&IncidentId>,
        reason: Option<&str>,
    ) -> Result<(Incident, Vec<Incident>), CaseworkError> {
        let home = match incident {
            Some(id) => {
                let incident = tx.q().incident(id).await?;
                match incident.merged_into {
                    Some(into) => into,
                    None => incident.id,
                }
            }
            None => self.blank_incident(tx, actor, &alerts).await?.id,
        };
        let mut left: Vec<IncidentId> = Vec::new();
        for mut alert in alerts {
            if alert.incident_id() == Some(&home) {
                continue;
            }
            let detail = with_reason(format!("to {home}"), reason);
            let change = self.change(actor, "alert.attach", detail);
            if let Some(before) = alert.incident_id() {
                tx.keep_out(&alert.id, before, &change).await?;
                left.push(before.clone());
            }
            tx.let_in(&alert.id, &home).await?;
            alert.attachment = Some(Attachment {
                incident_id: home.clone(),
                reasons: vec![with_reason(format!("attached by {}", actor.name), reason)],
            });
            alert.version += 1;
            alert.updated_at = change.at;
            tx.save_alert(&alert, &change).await?;
        }
        left.sort();
        left.dedup();
        let mut touched = Vec::new();
        let detail = with_reason("alerts attached or taken out".to_owned(), reason);
        let change = self.change(actor, "incident.attach", detail);
        for id in left {
            touched.push(redraw_saved(tx, &id, &change).await?);
        }
        let home = redraw_saved(tx, &home, &change).await?;
        Ok((home, touched))
    }

    /// Opens an incident by hand around alerts, which are attached afterwards.
    pub(crate) async fn blank_incident(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        alerts: &[Alert],
    ) -> Result<Incident, CaseworkError> {
        let number = tx.next_number("incident").await?;
        let now = self.now();
        let times = |pick: fn(&Alert) -> Timestamp| alerts.iter().map(pick);
        let incident = Incident {
            id: IncidentId::numbered(number),
            number,
            title: format!("Incident {number}"),
            title_by_hand: false,
            summary: String::new(),
            summary_by_hand: false,
            severity: Severity::Medium,
            severity_by_hand: false,
            severity_reasons: Vec::new(),
            risk: Risk::default(),
            status: IncidentStatus::New,
            verdict: None,
            assignee: None,
            created_at: now,
            updated_at: now,
            first_time: times(|a| a.first_time).min().unwrap_or(now),
            last_time: times(|a| a.last_time).max().unwrap_or(now),
            alert_ids: Vec::new(),
            entities: Vec::new(),
            tactics: Vec::new(),
            techniques: Vec::new(),
            clocks: Clocks {
                detected_at: times(|a| a.created_at).min().unwrap_or(now),
                acknowledged_at: Some(now),
                contained_at: None,
                resolved_at: None,
                away: Vec::new(),
            },
            merged_into: None,
            version: 1,
        };
        let change = self.change(actor, "incident.open", "by hand");
        tx.save_incident(&incident, &change).await?;
        Ok(incident)
    }

    async fn change_alert(
        &self,
        actor: &Actor,
        id: &AlertId,
        expected: Option<u64>,
        action: &'static str,
        mutate: impl FnOnce(&mut Alert, Timestamp) -> Result<String, IllegalMove> + Send,
    ) -> Result<Alert, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut alert = tx.q().alert(id).await?;
        check_version("alert", id.as_str(), alert.version, expected)?;
        let now = self.now();
        let was_new = alert.status == AlertStatus::New;
        let detail = mutate(&mut alert, now)?;
        alert.version += 1;
        alert.updated_at = now;
        let change = self.change(actor, action, detail);
        tx.save_alert(&alert, &change).await?;
        let incident = match alert.incident_id().filter(|_| was_new) {
            Some(incident) => self.start_clock(&mut tx, actor, incident).await?,
            None => None,
        };
        tx.commit().await?;
        self.tell_alert(&actor.tenant, &alert);
        if let Some(incident) = incident {
            self.tell(LiveChange::Incident(
                actor.tenant.clone(),
                Arc::new(incident),
            ));
        }
        Ok(alert)
    }

    /// The first look at one of its alerts is the first look at an incident.
    async fn start_clock(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        id: &IncidentId,
    ) -> Result<Option<Incident>, CaseworkError> {
        let mut incident = tx.q().incident(id).await?;
        if incident.clocks.acknowledged_at.is_some() {
            return Ok(None);
        }
        let change = self.change(
            actor,
            "incident.acknowledge",
            "by the first look at an alert",
        );
        incident.clocks.acknowledged_at = Some(change.at);
        incident.version += 1;
        incident.updated_at = change.at;
        tx.save_incident(&incident, &change).await?;
        Ok(Some(incident))
    }

    /// Checks that an assignee is a user who can sign in.
    pub(crate) async fn checked_assignee(
        &self,
        actor: &Actor,
        assignee: Option<String>,
    ) -> Result<Option<String>, CaseworkError> {
        let Some(name) = assignee.filter(|name| !name.trim().is_empty()) else {
            return Ok(None);
        };
        let mut reader = self.store().read(&actor.tenant).await?;
        match reader.q().user_by_name(&name).await? {
            Some((user, _)) if !user.disabled => Ok(Some(user.name)),
            Some(_) | None => Err(CaseworkError::Invalid {
                field: "assignee",
                reason: "is no user who can sign in".to_owned(),
            }),
        }
    }
}

/// A failed item is an outcome, unless the records themselves failed.
fn note_outcome(
    outcome: &mut BulkOutcome,
    id: AlertId,
    result: Result<(), CaseworkError>,
) -> Result<(), CaseworkError> {
    match result {
        Ok(()) => outcome.done.push(id),
        Err(error @ CaseworkError::Store(_)) => return Err(error),
        Err(CaseworkError::Illegal(cause)) => {
            outcome.failed.push((id.to_string(), cause.to_string()));
        }
        Err(error) => outcome.failed.push((id.to_string(), error.to_string())),
    }
    Ok(())
}

/// A sentence, and the reason that somebody gave for it.
pub(crate) fn with_reason(what: String, reason: Option<&str>) -> String {
    match reason.map(str::trim).filter(|reason| !reason.is_empty()) {
        Some(reason) => format!("{what}: {reason}"),
        None => what,
    }
}

pub(crate) fn check_version(
    kind: &'static str,
    id: &str,
    current: u64,
    expected: Option<u64>,
) -> Result<(), CaseworkError> {
    match expected {
        Some(expected) if expected != current => Err(CaseworkError::VersionConflict {
            kind,
            id: id.to_owned(),
            expected,
            current,
        }),
        Some(_) | None => Ok(()),
    }
}
