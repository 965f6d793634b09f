//! Telling people that a clock runs out. What is due is written, with the action that tells them,
//! in one transaction before anything is sent; the engine of actions sends it, retries it and
//! keeps its record. A row per subject, clock and level makes each happen once, whatever crashes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{
    ActionId, ActionKind, ArgumentValue, ClockFace, ClockKind, Connector, Contact, Escalation,
    EscalationId, EscalationLevel, EscalationPolicy, IncidentId, Principal, Recipient, Role,
    RotationId, ServiceLevels, Severity, TenantId,
};
use watchfloor_store::{Queries, WriteTx};

use crate::response::Origin;
use crate::{Casework, CaseworkError, DutyNotice, LiveChange, NewAction, on_call_at};

/// Incidents and alerts that one message names; of more it says how many.
const NAMED_MAX: usize = 10;
/// Longest title in a message, in characters.
const TITLE_CHARS_MAX: usize = 120;

/// An incident or alert whose clock is due at a level.
struct Due {
    subject: String,
    incident: Option<IncidentId>,
    number: Option<u64>,
    title: String,
    severity: Severity,
    assignee: Option<String>,
    face: ClockFace,
}

/// The message action that a connector does.
pub(crate) fn action_of(connector: &Connector) -> Option<ActionKind> {
    let kinds = [
        ActionKind::SendMessage,
        ActionKind::SendEmail,
        ActionKind::CallWebhook,
    ];
    kinds
        .into_iter()
        .find(|kind| connector.serves.contains(kind))
}

/// Whether a level's time has come.
fn is_due(level: &EscalationLevel, severity: Severity, face: &ClockFace) -> bool {
    let by_share = level
        .after_percent
        .is_some_and(|percent| face.percent() >= i64::from(percent));
    let by_time = level
        .after_minutes
        .is_some_and(|minutes| face.elapsed >= SignedDuration::from_mins(i64::from(minutes)));
    severity >= level.severity_min && face.kind == level.clock && (by_share || by_time)
}

impl Casework {
    /// One round: tells those who are to be told by now. Returns how many clocks were escalated.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn escalation_round(&self) -> Result<usize, CaseworkError> {
        let tenant = self.settings().tenant.clone();
        let now = self.now();
        {
            // Most rounds find nothing, and hold no writer up.
            let mut reader = self.store().read(&tenant).await?;
            let policy = reader.q().escalation_policy().await?;
            if !policy.is_on || due(&mut reader.q(), &policy, now).await?.is_empty() {
                return Ok(0);
            }
        }
        let mut tx = self.store().write(&tenant).await?;
        let policy = tx.q().escalation_policy().await?;
        let found = due(&mut tx.q(), &policy, now).await?;
        let mut notices = Vec::new();
        let mut count = 0;
        for (number, list) in found {
            let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
            let Some(level) = policy.levels.get(index) else {
                continue;
            };
            count += list.len();
            notices.push(
                self.escalate(&mut tx, &policy, (number, level), &list)
                    .await?,
            );
        }
        tx.commit().await?;
        for notice in notices {
            self.tell(LiveChange::Duty(tenant.clone(), Arc::new(notice)));
        }
        if count > 0 {
            self.response().wake.notify_one();
        }
        Ok(count)
    }

    /// Writes one level for all that are due at it: one message, and a row for each.
    async fn escalate(
        &self,
        tx: &mut WriteTx,
        policy: &EscalationPolicy,
        (number, level): (u32, &EscalationLevel),
        list: &[Due],
    ) -> Result<DutyNotice, CaseworkError> {
        let now = self.now();
        let recipients = recipients(&mut tx.q(), policy, level.recipient, now).await?;
        let text = in_words(number, level, list, &recipients);
        let told = self.message(tx, level, list, &recipients, &text).await?;
        let (action_id, trouble) = match told {
            Ok(action) => (action, None),
            Err(trouble) => (None, Some(trouble)),
        };
        for due in list {
            let id_number = tx.next_number("escalation").await?;
            let names: Vec<String> = recipients.iter().map(|one| one.name.clone()).collect();
            let escalation = Escalation {
                id: EscalationId::numbered(id_number),
                subject: due.subject.clone(),
                title: due.title.clone(),
                severity: due.severity,
                clock: level.clock,
                level: number,
                at: now,
                due_at: due.face.due_at,
                recipients: names,
                action_id: action_id.clone(),
                trouble: trouble.clone(),
            };
            let verb = match due.incident {
                Some(_) => "incident.escalate",
                None => "alert.escalate",
            };
            let change = self.change_by("watchfloor", verb, detail_of(&escalation));
            tx.add_escalation(&escalation, id_number, &change).await?;
        }
        Ok(DutyNotice {
            recipients: recipients.into_iter().map(|one| one.name).collect(),
            subjects: list.iter().map(|due| due.subject.clone()).collect(),
            text,
        })
    }

    /// Asks for the action that tells people; the inner error says in words why nobody can be
    /// told that way. Errors of the records end the round, which comes again.
    async fn message(
        &self,
        tx: &mut WriteTx,
        level: &EscalationLevel,
        list: &[Due],
        recipients: &[Contact],
        text: &str,
    ) -> Result<Result<Option<ActionId>, String>, CaseworkError> {
        if recipients.is_empty() {
            return Ok(Err(nobody(level.recipient)));
        }
        let Some(id) = &level.connector_id else {
            return Ok(Ok(None));
        };
        let connector = match tx.q().connector(id).await.map_err(CaseworkError::from) {
            Ok(connector) => connector,
            Err(CaseworkError::Missing { .. }) => {
                return Ok(Err(
                    "its connector was closed; choose another one".to_owned()
                ));
            }
            Err(error) => return Err(error),
        };
        let Some(kind) = action_of(&connector) else {
            return Ok(Err(format!(
                "connector '{}' sends no messages",
                connector.name
            )));
        };
        let one = |name: &str, value: String| (name.to_owned(), ArgumentValue::One(value));
        let mut arguments = BTreeMap::from([one("text", text.to_owned())]);
        if kind == ActionKind::SendEmail {
            let emails = recipients.iter().map(|contact| contact.email.clone());
            let emails: Vec<String> = emails.filter(|email| !email.is_empty()).collect();
            if emails.is_empty() {
                return Ok(Err("nobody of them has an e-mail address".to_owned()));
            }
            let subject = format!("Watchfloor: {} to {}", list.len(), level.clock);
            arguments.extend([one("subject", subject)]);
            arguments.insert("to".to_owned(), ArgumentValue::Many(emails));
        }
        let incident = match list {
            [only] => only.incident.clone(),
            _ => None,
        };
        let new = NewAction {
            kind,
            arguments,
            connector: Some(id.clone()),
            incident_id: incident,
            reason: format!("escalation: {} is late", level.clock),
            time_limit_s: None,
        };
        let system = Principal {
            id: "system".to_owned(),
            name: "watchfloor".to_owned(),
            person: "system".to_owned(),
        };
        let tenant: TenantId = self.settings().tenant.clone();
        match self
            .add_action(tx, &tenant, new, system, Origin::Program)
            .await
        {
            Ok(action) => Ok(Ok(Some(action.id))),
            Err(error @ CaseworkError::Store(_)) => Err(error),
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

fn nobody(recipient: Recipient) -> String {
    match recipient {
        Recipient::Primary | Recipient::Secondary => {
            format!("nobody is on call as {recipient}; set a rotation")
        }
        Recipient::Leads => "there is no lead and no administrator".to_owned(),
    }
}

/// What is due and was not escalated yet, by level from 1.
async fn due(
    queries: &mut Queries<'_>,
    policy: &EscalationPolicy,
    now: Timestamp,
) -> Result<BTreeMap<u32, Vec<Due>>, CaseworkError> {
    let mut out: BTreeMap<u32, Vec<Due>> = BTreeMap::new();
    if !policy.is_on {
        return Ok(out);
    }
    let service = queries.service_levels().await?;
    let incidents = queries.open_incident_times().await?;
    let known: BTreeSet<(String, String, i64)> = queries.escalated().await?.into_iter().collect();
    for (number, level) in (1_u32..).zip(&policy.levels) {
        for incident in &incidents {
            let faces = service.faces(incident.severity, &incident.clocks, now);
            let open = faces.into_iter().filter(|face| face.reached_at.is_none());
            let late = open
                .into_iter()
                .find(|face| is_due(level, incident.severity, face));
            let key = (
                incident.id.to_string(),
                level.clock.to_string(),
                i64::from(number),
            );
            let Some(face) = late.filter(|_| !known.contains(&key)) else {
                continue;
            };
            out.entry(number).or_default().push(Due {
                subject: key.0,
                incident: Some(incident.id.clone()),
                number: Some(incident.number),
                title: incident.title.clone(),
                severity: incident.severity,
                assignee: incident.assignee.clone(),
                face,
            });
        }
        if policy.with_alerts && level.clock == ClockKind::Acknowledge {
            let list = lone_alerts(queries, &service, (number, level), now).await?;
            if !list.is_empty() {
                out.entry(number).or_default().extend(list);
            }
        }
    }
    Ok(out)
}

async fn lone_alerts(
    queries: &mut Queries<'_>,
    service: &ServiceLevels,
    (number, level): (u32, &EscalationLevel),
    now: Timestamp,
) -> Result<Vec<Due>, CaseworkError> {
    let alerts = queries.lone_alerts(level.severity_min, number).await?;
    let due = alerts.into_iter().filter_map(|alert| {
        let clocks = watchfloor_model::Clocks::begin(alert.created_at);
        let faces = service.faces(alert.severity, &clocks, now).into_iter();
        let mut late = faces.filter(|face| is_due(level, alert.severity, face));
        Some(Due {
            face: late.next()?,
            subject: alert.id,
            incident: None,
            number: None,
            title: alert.title,
            severity: alert.severity,
            assignee: None,
        })
    });
    Ok(due.collect())
}

/// Who is to be told, and how they are reached.
async fn recipients(
    queries: &mut Queries<'_>,
    policy: &EscalationPolicy,
    recipient: Recipient,
    now: Timestamp,
) -> Result<Vec<Contact>, CaseworkError> {
    let names = match recipient {
        Recipient::Primary => on_call(queries, policy.primary.as_ref(), now).await?.0,
        Recipient::Secondary => match &policy.secondary {
            Some(second) => on_call(queries, Some(second), now).await?.0,
            None => on_call(queries, policy.primary.as_ref(), now).await?.1,
        },
        Recipient::Leads => {
            let users = queries.users().await?;
            let of = |role: Role| -> Vec<String> {
                let list = users
                    .iter()
                    .filter(|user| user.role == role && !user.disabled);
                list.map(|user| user.name.clone()).collect()
            };
            match of(Role::Lead) {
                leads if leads.is_empty() => of(Role::Admin),
                leads => leads,
            }
        }
    };
    let known = queries.contacts().await?;
    let reached = names.into_iter().map(|name| {
        let contact = known.iter().find(|contact| contact.name == name);
        contact.cloned().unwrap_or(Contact {
            name,
            email: String::new(),
            mention: String::new(),
        })
    });
    Ok(reached.collect())
}

/// Who is on call in a rotation, and who is next.
async fn on_call(
    queries: &mut Queries<'_>,
    rotation: Option<&RotationId>,
    now: Timestamp,
) -> Result<(Vec<String>, Vec<String>), CaseworkError> {
    let Some(id) = rotation else {
        return Ok((Vec::new(), Vec::new()));
    };
    let rotations = queries.rotations().await?;
    let stand_ins = queries.stand_ins(now).await?;
    let rotation = rotations.iter().find(|one| one.id == *id);
    let found = rotation.and_then(|rotation| on_call_at(rotation, &stand_ins, now));
    Ok(match found {
        Some(found) => (
            vec![found.now.name],
            found.next.into_iter().map(|turn| turn.name).collect(),
        ),
        None => (Vec::new(), Vec::new()),
    })
}

/// What is said, as plain text.
fn in_words(number: u32, level: &EscalationLevel, list: &[Due], told: &[Contact]) -> String {
    let calls = told.iter().map(|contact| match contact.mention.as_str() {
        "" => contact.name.clone(),
        mention => mention.to_owned(),
    });
    let calls: Vec<String> = calls.collect();
    let mut lines = vec![format!(
        "{}: {} to {} (level {number})",
        calls.join(", "),
        match list.len() {
            1 => "one case".to_owned(),
            n => format!("{n} cases"),
        },
        level.clock,
    )];
    for due in list.iter().take(NAMED_MAX) {
        let title: String = due.title.chars().take(TITLE_CHARS_MAX).collect();
        let title = title.replace(char::is_control, " ");
        let number = due.number.map_or("alert".to_owned(), |n| format!("#{n}"));
        let by = due.assignee.as_deref().unwrap_or("nobody");
        lines.push(format!(
            "{number} {}: {title}; due {}, {} % of the time used, with {by}",
            due.severity,
            due.face.due_at.strftime("%Y-%m-%d %H:%M UTC"),
            due.face.percent(),
        ));
    }
    if list.len() > NAMED_MAX {
        lines.push(format!(
            "… and {} more in the console",
            list.len() - NAMED_MAX
        ));
    }
    lines.join("\n")
}

/// For the timeline and the audit log.
fn detail_of(escalation: &Escalation) -> String {
    let whom = match escalation.recipients.as_slice() {
        [] => "nobody".to_owned(),
        names => names.join(", "),
    };
    let way = match (&escalation.action_id, &escalation.trouble) {
        (Some(action), _) => format!("by {action}"),
        (None, Some(trouble)) => format!("not outside of the console: {trouble}"),
        (None, None) => "in the console".to_owned(),
    };
    format!(
        "level {} of the clock to {}, due {}: told {whom}, {way}",
        escalation.level,
        escalation.clock,
        escalation.due_at.strftime("%Y-%m-%d %H:%M UTC"),
    )
}
