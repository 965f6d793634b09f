//! Everything that one page shows, read in one consistent view.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{
    Actor, Alert, AlertId, AuditEntry, ClockFace, Entity, EntityKind, EntityRef, Escalation,
    Incident, IncidentId, Judgement, Note, Observable, Permission, Task, Verdict,
};

use crate::timeline;
use crate::triage::bind::is_commonplace;
use crate::triage::risk::OpenVulnerability;
use crate::triage::scope::{self, Touch};
use crate::{Casework, CaseworkError, TimelineEntry};

/// Earlier conclusions shown.
const JUDGEMENTS_MAX: u32 = 20;

/// Incidents shown as similar.
const SIMILAR_MAX: u32 = 10;

/// Rules and things by which similar incidents are looked for.
const SIMILAR_RULES_MAX: usize = 20;
const SIMILAR_ENTITIES_MAX: usize = 20;

/// How far back similar incidents are looked for.
const SIMILAR_SPAN: SignedDuration = SignedDuration::from_hours(24 * 180);

/// Things named per sentence.
const NAMED_MAX: usize = 4;

/// Alerts that the page of an incident shows, the gravest; the queue lists the others.
const ALERTS_SHOWN_MAX: u32 = 400;

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
    /// Its gravest alerts, by event time; most incidents have no others.
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
    /// What it touched, the riskiest of each kind first.
    pub scope: Vec<Touch>,
    /// Its clocks that have a target.
    pub faces: Vec<ClockFace>,
    /// Whom was told that a clock runs out, newest first.
    pub escalations: Vec<Escalation>,
}

/// An incident that is like another.
#[derive(Clone, Debug)]
pub struct SimilarIncident {
    /// It.
    pub incident: Incident,
    /// What both have, in sentences.
    pub reasons: Vec<String>,
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
        let alerts = reader.q().gravest_alerts_of(id, ALERTS_SHOWN_MAX).await?;
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
        let scope = scope::of(&alerts);
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
            scope,
            faces,
            escalations,
        })
    }

    /// What is open on the machines of an incident, the gravest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn vulnerabilities_of(
        &self,
        actor: &Actor,
        id: &IncidentId,
    ) -> Result<Vec<OpenVulnerability>, CaseworkError> {
        let incident = self.incident(actor, id).await?;
        let hosts = incident.entities.iter();
        let hosts = hosts.filter(|one| one.kind == EntityKind::Host);
        let hosts: BTreeSet<String> = hosts.map(|one| one.key().value).collect();
        let Some(lookup) = self.event_lookup().filter(|_| !hosts.is_empty()) else {
            return Ok(Vec::new());
        };
        let mut found = lookup.vulnerabilities(hosts.into_iter().collect()).await;
        found.sort_by(|left, right| {
            (right.is_exploited, right.severity, &left.name).cmp(&(
                left.is_exploited,
                left.severity,
                &right.name,
            ))
        });
        Ok(found)
    }

    /// Incidents like this one, of the last half year: with alerts of the same rules, about the
    /// same things, or with the same techniques.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn similar_incidents(
        &self,
        actor: &Actor,
        id: &IncidentId,
    ) -> Result<Vec<SimilarIncident>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let incident = reader.q().incident(id).await?;
        let alerts = reader.q().alerts_of(id).await?;
        let rules: BTreeSet<String> = alerts.iter().map(|alert| alert.rule_id.clone()).collect();
        let rules: Vec<String> = rules.into_iter().take(SIMILAR_RULES_MAX).collect();
        let entities: Vec<EntityRef> = incident
            .entities
            .iter()
            .filter(|entity| entity.kind != EntityKind::Process)
            .map(Entity::key)
            .filter(|key| !is_commonplace(key))
            .take(SIMILAR_ENTITIES_MAX)
            .collect();
        let since = self.now().saturating_sub(SIMILAR_SPAN);
        let since = since.unwrap_or(Timestamp::UNIX_EPOCH);
        let found = reader
            .q()
            .incidents_sharing(id, &rules, &entities, since, SIMILAR_MAX)
            .await?;
        let mut similar = Vec::with_capacity(found.len());
        for other in found {
            let other_alerts = reader.q().alerts_of(&other).await?;
            let other = reader.q().incident(&other).await?;
            let reasons = shared_reasons((&incident, &alerts), (&other, &other_alerts));
            similar.push(SimilarIncident {
                incident: other,
                reasons,
            });
        }
        Ok(similar)
    }
}

/// What two incidents have in common, in sentences.
fn shared_reasons(
    (left, left_alerts): (&Incident, &[Alert]),
    (right, right_alerts): (&Incident, &[Alert]),
) -> Vec<String> {
    let rules = |alerts: &[Alert]| -> BTreeSet<String> {
        alerts
            .iter()
            .map(|alert| alert.rule_title.clone())
            .collect()
    };
    let things = |incident: &Incident| -> BTreeSet<String> {
        let keys = incident.entities.iter().map(Entity::key);
        let keys = keys.filter(|key| key.kind != EntityKind::Process && !is_commonplace(key));
        keys.map(|key| key.to_string()).collect()
    };
    let techniques =
        |incident: &Incident| -> BTreeSet<String> { incident.techniques.iter().cloned().collect() };
    [
        ("rules", rules(left_alerts), rules(right_alerts)),
        ("things", things(left), things(right)),
        ("techniques", techniques(left), techniques(right)),
    ]
    .into_iter()
    .filter_map(|(what, left, right)| {
        let shared: Vec<&String> = left.intersection(&right).collect();
        let named: Vec<&str> = shared
            .iter()
            .take(NAMED_MAX)
            .map(|one| one.as_str())
            .collect();
        let more = match shared.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!shared.is_empty()).then(|| format!("same {what}: {}{more}", named.join(", ")))
    })
    .collect()
}
