//! Everything that one page shows, read in one consistent view.

use watchfloor_model::{
    Actor, Alert, AlertId, AuditEntry, ClockFace, Escalation, Incident, IncidentId, Judgement,
    Note, Observable, Permission, Task, Verdict,
};

use crate::timeline;
use crate::{Casework, CaseworkError, TimelineEntry};

/// Earlier conclusions shown.
const JUDGEMENTS_MAX: u32 = 20;

/// Alerts of the same rule shown as context.
const SAME_RULE_MAX: u32 = 10;

/// An alert with what is known of it here.
#[derive(Clone, Debug)]
pub struct AlertDetail {
    /// The alert.
    pub alert: Alert,
    /// What happened to it, oldest first.
    pub history: Vec<AuditEntry>,
    /// Its notes.
    pub notes: Vec<Note>,
    /// Earlier conclusions on the same rule, newest first.
    pub judgements: Vec<Judgement>,
    /// How many of each verdict.
    pub judgement_counts: Vec<(Verdict, u64)>,
    /// Other alerts of the same rule, newest first.
    pub same_rule: Vec<Alert>,
}

/// An alert of an incident, with why it belongs there.
#[derive(Clone, Debug)]
pub struct AlertWithReasons {
    /// The alert.
    pub alert: Alert,
    /// Sentences.
    pub reasons: Vec<String>,
}

/// An incident with all its work.
#[derive(Clone, Debug)]
pub struct IncidentDetail {
    /// The incident.
    pub incident: Incident,
    /// Its alerts, by event time.
    pub alerts: Vec<AlertWithReasons>,
    /// What happened and what was done, oldest first.
    pub timeline: Vec<TimelineEntry>,
    /// Tasks.
    pub tasks: Vec<Task>,
    /// Notes.
    pub notes: Vec<Note>,
    /// Observables.
    pub observables: Vec<Observable>,
    /// Every change, oldest first.
    pub history: Vec<AuditEntry>,
    /// Its clocks that have a target.
    pub faces: Vec<ClockFace>,
    /// Whom was told that a clock runs out, newest first.
    pub escalations: Vec<Escalation>,
}

impl Casework {
    /// An alert with what is known of it here.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn alert_detail(
        &self,
        actor: &Actor,
        id: &AlertId,
    ) -> Result<AlertDetail, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let alert = reader.q().alert(id).await?;
        let history = reader.q().history_of(id.as_str()).await?;
        let notes = reader.q().notes_of(id.as_str()).await?;
        let (judgements, judgement_counts) = reader
            .q()
            .judgements_of(&alert.rule_id, id, JUDGEMENTS_MAX)
            .await?;
        let mut same_rule = reader
            .q()
            .recent_alerts(
                Some(&alert.rule_id),
                jiff::Timestamp::UNIX_EPOCH,
                SAME_RULE_MAX + 1,
            )
            .await?;
        same_rule.retain(|other| other.id != *id);
        same_rule.truncate(SAME_RULE_MAX as usize);
        Ok(AlertDetail {
            alert,
            history,
            notes,
            judgements,
            judgement_counts,
            same_rule,
        })
    }

    /// An incident with all its work.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn incident_detail(
        &self,
        actor: &Actor,
        id: &IncidentId,
    ) -> Result<IncidentDetail, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let incident = reader.q().incident(id).await?;
        let alerts = reader.q().alerts_of(id).await?;
        let tasks = reader.q().tasks_of(id).await?;
        let notes = reader.q().notes_of(id.as_str()).await?;
        let observables = reader.q().observables_of(id).await?;
        let history = reader.q().history_of(id.as_str()).await?;
        let levels = reader.q().service_levels().await?;
        let faces = levels.faces(incident.severity, &incident.clocks, self.now());
        let escalations = reader
            .q()
            .escalations(jiff::Timestamp::MIN, Some(id.as_str()))
            .await?;
        let timeline = timeline::build(&alerts, &notes, &tasks, &history);
        let alerts = alerts
            .into_iter()
            .map(|alert| AlertWithReasons {
                reasons: alert
                    .attachment
                    .as_ref()
                    .map_or_else(Vec::new, |a| a.reasons.clone()),
                alert,
            })
            .collect();
        Ok(IncidentDetail {
            incident,
            alerts,
            timeline,
            tasks,
            notes,
            observables,
            history,
            faces,
            escalations,
        })
    }
}
