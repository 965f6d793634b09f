//! Takes findings into the queue: once each, however often they are handed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use watchfloor_event::{Finding, partition_of};
use watchfloor_model::{
    Actor, Alert, AlertId, Attachment, Clocks, EntityRef, Incident, IncidentId, IncidentStatus,
    Severity, Suppression,
};
use watchfloor_store::{Change, FindingOutcome, WriteTx};

use crate::exceptions::{self, EventFields};
use crate::triage::bind::{self, BINDING_WEIGHT};
use crate::triage::{intake, portrait};
use crate::{Casework, CaseworkError, LiveChange};

/// Name of the cursor that says up to which position findings were taken.
pub const FINDINGS_CURSOR: &str = "findings";

/// Each partition of a journal has a cursor of its own.
fn cursor_name(partition: u16) -> String {
    match partition {
        0 => FINDINGS_CURSOR.to_owned(),
        partition => format!("{FINDINGS_CURSOR}-{partition}"),
    }
}

/// Findings of one transaction.
const FINDINGS_PER_TX: usize = 200;

/// Alerts looked at per shared entity.
const CANDIDATES_PER_ENTITY: u32 = 50;

/// Entities of an alert by which others are looked for.
const LOOKED_UP_ENTITIES_MAX: usize = 40;

/// An incident takes no more alerts by itself beyond this: it could no longer be read, nor
/// computed anew with every alert.
const INCIDENT_ALERTS_MAX: usize = 2_000;

/// Sentences kept per attachment.
const REASONS_MAX: usize = 3;

/// What became of findings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// New alerts.
    pub alerts: u64,
    /// Repeats of an alert that is open.
    pub repeats: u64,
    /// Held back by a suppression.
    pub suppressed: u64,
    /// Taken before; nothing changed.
    pub known: u64,
    /// Incidents opened.
    pub incidents: u64,
}

/// Whether handing the same findings over again later may help.
pub const fn take_error_is_transient(error: &CaseworkError) -> bool {
    matches!(
        error,
        CaseworkError::Store(_) | CaseworkError::System { .. }
    )
}

/// An alert that the new one is bound to.
struct Bound {
    alert: Alert,
    shared: BTreeSet<EntityRef>,
    weight: u8,
}

/// What a transaction touched, to be told once it is committed.
#[derive(Default)]
struct Touched {
    new: BTreeSet<AlertId>,
    changed: BTreeSet<AlertId>,
    incidents: BTreeSet<IncidentId>,
    /// Alerts that were seen again, by their repeat keys, to be saved once for all findings that
    /// repeat them: a noisy rule repeats few alerts many times.
    repeated: BTreeMap<String, Alert>,
    outcomes: Vec<FindingOutcome>,
}

impl Touched {
    fn note(&mut self, finding: &Finding, outcome: &'static str, record: &str) {
        self.outcomes.push(FindingOutcome {
            finding: finding.id.clone(),
            outcome,
            record: record.to_owned(),
        });
    }
}

impl Casework {
    /// Position up to which findings were taken; `None` before the first.
    ///
    /// # Errors
    /// [`CaseworkError::Store`].
    pub async fn cursor(&self, partition: u16) -> Result<Option<u64>, CaseworkError> {
        let mut reader = self.store().read(&self.settings().tenant).await?;
        Ok(reader.q().cursor(&cursor_name(partition)).await?)
    }

    /// Takes findings and then saves the cursor, the position of the data plane behind them.
    /// Each finding is taken once per id, so that a repeat after a crash changes nothing; the
    /// cursor is saved in the transaction of the last of them.
    ///
    /// # Errors
    /// [`CaseworkError`]; those of finished transactions stay taken, the cursor does not move.
    pub async fn take_findings(
        &self,
        cursor: u64,
        findings: Vec<Finding>,
    ) -> Result<Taken, CaseworkError> {
        let mut taken = Taken::default();
        let mut chunks = findings.chunks(FINDINGS_PER_TX).peekable();
        if chunks.peek().is_none() {
            self.take_chunk(&[], Some(cursor), &mut taken).await?;
        }
        while let Some(chunk) = chunks.next() {
            let last = chunks.peek().is_none();
            self.take_chunk(chunk, last.then_some(cursor), &mut taken)
                .await?;
        }
        Ok(taken)
    }

    /// Takes findings that were made later, over stored events. The cursor stays where it is:
    /// it belongs to the stream.
    ///
    /// # Errors
    /// [`CaseworkError`]; those of finished transactions stay taken.
    pub async fn take_late_findings(&self, findings: Vec<Finding>) -> Result<Taken, CaseworkError> {
        let mut taken = Taken::default();
        for chunk in findings.chunks(FINDINGS_PER_TX) {
            self.take_chunk(chunk, None, &mut taken).await?;
        }
        Ok(taken)
    }

    /// Fields of the events of findings that suppressions in force ask for. Read before the
    /// transaction begins, so that no one waits for the lake.
    async fn events_of(&self, findings: &[Finding]) -> Result<EventFields, CaseworkError> {
        let mut reader = self.store().read(&self.settings().tenant).await?;
        let suppressions = reader.q().active_suppressions(self.now()).await?;
        drop(reader);
        let all: Vec<&Suppression> = suppressions.iter().collect();
        let ids: Vec<(&str, String)> = findings
            .iter()
            .filter_map(|finding| Some((finding.rule_id.as_str(), intake::event_of(finding)?)))
            .collect();
        let asked = ids.iter().map(|(rule, id)| (*rule, id));
        self.fields_asked(&all, asked).await
    }

    async fn take_chunk(
        &self,
        findings: &[Finding],
        cursor: Option<u64>,
        taken: &mut Taken,
    ) -> Result<(), CaseworkError> {
        let actor = Actor::system(self.settings().tenant.clone());
        let events = self.events_of(findings).await?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut count = *taken;
        let mut touched = Touched::default();
        let suppressions = tx.q().active_suppressions(self.now()).await?;
        let ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
        let mut known = tx.q().taken_findings(&ids).await?;
        for finding in findings {
            if !known.insert(finding.id.clone()) {
                count.known += 1;
                continue;
            }
            self.take_one(
                &mut tx,
                &actor,
                finding,
                &Exceptions {
                    suppressions: &suppressions,
                    events: &events,
                },
                &mut count,
                &mut touched,
            )
            .await?;
        }
        self.save_repeated(&mut tx, &actor, &mut touched).await?;
        tx.save_finding_outcomes(&touched.outcomes, self.now())
            .await?;
        let incidents = self.redraw_touched(&mut tx, &actor, &touched).await?;
        let (new, changed) = read_touched(&mut tx, &touched).await?;
        if let Some(cursor) = cursor {
            let name = cursor_name(partition_of(cursor));
            tx.save_cursor(&name, cursor).await?;
        }
        tx.commit().await?;
        *taken = count;
        for alert in new {
            self.tell(LiveChange::AlertNew(actor.tenant.clone(), Arc::new(alert)));
        }
        for alert in &changed {
            self.tell_alert(&actor.tenant, alert);
        }
        for incident in &incidents {
            self.tell_incident(&actor.tenant, incident);
        }
        Ok(())
    }

    async fn take_one(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        finding: &Finding,
        exceptions: &Exceptions<'_>,
        count: &mut Taken,
        touched: &mut Touched,
    ) -> Result<(), CaseworkError> {
        let now = self.now();
        let entities = intake::entities_of(finding);
        let key = intake::repeat_key(finding, &entities);
        let mut alert = intake::alert_of(&actor.tenant, finding, entities, key, now)
            .map_err(|_| CaseworkError::System { what: "alert id" })?;
        if let Some(held) = hold_back(tx, exceptions, &mut alert, finding).await? {
            let detail = held.detail(&alert.rule_title);
            let change = self.change(actor, "suppression.hold_back", detail);
            let id = &held.suppression.id;
            tx.count_suppressed(id, &change).await?;
            touched.note(finding, "suppressed", id.as_str());
            count.suppressed += 1;
            return Ok(());
        }
        if let Some(mut open) = self
            .repeated(tx, actor, finding, &alert.repeat_key, touched)
            .await?
        {
            intake::raise(&mut open, finding, alert.entities, now);
            touched.note(finding, "repeat", open.id.as_str());
            touched.incidents.extend(open.incident_id().cloned());
            touched.repeated.insert(alert.repeat_key, open);
            count.repeats += 1;
            return Ok(());
        }
        // What binds alerts is read from the store.
        self.save_repeated(tx, actor, touched).await?;
        let opened = self.place(tx, actor, &mut alert, touched).await?;
        count.incidents += u64::from(opened);
        let change = self.change(actor, "alert.create", format!("finding {}", finding.id));
        tx.save_alert(&alert, &change).await?;
        touched.note(finding, "alert", alert.id.as_str());
        touched.new.insert(alert.id);
        count.alerts += 1;
        Ok(())
    }

    /// The open alert that a finding repeats, as this transaction left it.
    async fn repeated(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        finding: &Finding,
        key: &str,
        touched: &mut Touched,
    ) -> Result<Option<Alert>, CaseworkError> {
        let window = self.settings().repeat_window;
        let from = finding
            .first_time
            .saturating_sub(window)
            .unwrap_or(finding.first_time);
        let to = finding.time.saturating_add(window).unwrap_or(finding.time);
        match touched.repeated.remove(key) {
            Some(open) if open.last_time >= from && open.first_time <= to => {
                return Ok(Some(open));
            }
            Some(open) => self.save_repeat(tx, actor, &open, touched).await?,
            None => {}
        }
        Ok(tx.q().repeated_alert(key, from, to).await?)
    }

    async fn save_repeated(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        touched: &mut Touched,
    ) -> Result<(), CaseworkError> {
        for open in std::mem::take(&mut touched.repeated).into_values() {
            self.save_repeat(tx, actor, &open, touched).await?;
        }
        Ok(())
    }

    async fn save_repeat(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        open: &Alert,
        touched: &mut Touched,
    ) -> Result<(), CaseworkError> {
        let detail = format!("seen again, {} times in all", open.count);
        let change = self.change(actor, "alert.repeat", detail);
        tx.save_alert(open, &change).await?;
        touched.changed.insert(open.id.clone());
        Ok(())
    }

    /// Finds the alerts that a new one is bound to.
    async fn bound_alerts(
        &self,
        tx: &mut WriteTx,
        alert: &Alert,
    ) -> Result<Vec<Bound>, CaseworkError> {
        let settings = self.settings();
        let window = settings.incident_window;
        let from = alert
            .first_time
            .saturating_sub(window)
            .unwrap_or(alert.first_time);
        let to = alert
            .last_time
            .saturating_add(window)
            .unwrap_or(alert.last_time);
        let keys: BTreeSet<EntityRef> = alert
            .entities
            .iter()
            .map(|entity| entity.key())
            .filter(|key| !bind::is_commonplace(key))
            .take(LOOKED_UP_ENTITIES_MAX)
            .collect();
        let mut found: BTreeMap<AlertId, (Alert, BTreeSet<EntityRef>)> = BTreeMap::new();
        for key in keys {
            let alerts = tx
                .q()
                .alerts_with_entity(&key, from, to, CANDIDATES_PER_ENTITY)
                .await?;
            let incidents: BTreeSet<&IncidentId> =
                alerts.iter().filter_map(Alert::incident_id).collect();
            if incidents.len() > settings.entity_incidents_max {
                continue;
            }
            for other in alerts.into_iter().filter(|other| other.id != alert.id) {
                found
                    .entry(other.id.clone())
                    .or_insert_with(|| (other, BTreeSet::new()))
                    .1
                    .insert(key.clone());
            }
        }
        let mut bound: Vec<Bound> = found
            .into_values()
            .map(|(other, shared)| Bound {
                weight: bind::weight(alert, &other, &shared),
                alert: other,
                shared,
            })
            .filter(|bound| bound.weight >= BINDING_WEIGHT)
            .collect();
        bound.sort_by(|left, right| {
            bind::distance(alert, &left.alert)
                .cmp(&bind::distance(alert, &right.alert))
                .then_with(|| left.alert.id.cmp(&right.alert.id))
        });
        Ok(bound)
    }

    /// Decides to which incident a new alert belongs. Returns whether one was opened.
    async fn place(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        alert: &mut Alert,
        touched: &mut Touched,
    ) -> Result<bool, CaseworkError> {
        let bound = self.bound_alerts(tx, alert).await?;
        let mut incidents: Vec<Incident> = Vec::new();
        let mut loose: Vec<Bound> = Vec::new();
        let mut reasons: Vec<String> = Vec::new();
        for bound in bound {
            match bound.alert.incident_id() {
                Some(id) => {
                    let known = incidents.iter().any(|incident| incident.id == *id);
                    if !known {
                        let incident = tx.q().incident(id).await?;
                        let is_full = incident.alert_ids.len() >= INCIDENT_ALERTS_MAX;
                        if is_full || !incident.status.is_open() {
                            continue;
                        }
                        incidents.push(incident);
                    }
                    reasons.push(bind::sentence(alert, &bound.alert, &bound.shared));
                }
                None if bound.alert.closed_at.is_none() => {
                    let detached = tx.q().was_detached(&bound.alert.id).await?;
                    if !detached {
                        loose.push(bound);
                    }
                }
                None => {}
            }
        }
        reasons.extend(
            loose
                .iter()
                .map(|bound| bind::sentence(alert, &bound.alert, &bound.shared)),
        );
        reasons.truncate(REASONS_MAX);
        let opened = incidents.is_empty();
        let home = if opened {
            if !opens_incident(alert, &loose) {
                return Ok(false);
            }
            if reasons.is_empty() {
                reasons.push(format!("opens the incident, being {}", alert.severity));
            }
            self.open_incident(tx, actor, alert).await?
        } else {
            self.join(tx, actor, alert, incidents, touched).await?
        };
        for bound in loose {
            self.adopt(tx, actor, alert, bound, &home, touched).await?;
        }
        alert.attachment = Some(Attachment {
            incident_id: home.clone(),
            reasons,
        });
        touched.incidents.insert(home);
        Ok(opened)
    }

    /// Takes a loose alert into the incident of the new one.
    async fn adopt(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        new: &Alert,
        bound: Bound,
        home: &IncidentId,
        touched: &mut Touched,
    ) -> Result<(), CaseworkError> {
        let mut other = bound.alert;
        let reason = bind::sentence(&other, new, &bound.shared);
        let change = self.change(actor, "alert.attach", format!("to {home}: {reason}"));
        other.attachment = Some(Attachment {
            incident_id: home.clone(),
            reasons: vec![reason],
        });
        other.version += 1;
        other.updated_at = change.at;
        tx.save_alert(&other, &change).await?;
        touched.changed.insert(other.id);
        Ok(())
    }

    async fn open_incident(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        alert: &Alert,
    ) -> Result<IncidentId, CaseworkError> {
        let number = tx.next_number("incident").await?;
        let now = self.now();
        let mut incident = Incident {
            id: IncidentId::numbered(number),
            number,
            title: alert.title.clone(),
            title_by_hand: false,
            summary: String::new(),
            summary_by_hand: false,
            severity: alert.severity,
            severity_by_hand: false,
            status: IncidentStatus::New,
            verdict: None,
            assignee: None,
            created_at: now,
            updated_at: now,
            first_time: alert.first_time,
            last_time: alert.last_time,
            alert_ids: Vec::new(),
            entities: Vec::new(),
            tactics: Vec::new(),
            techniques: Vec::new(),
            clocks: Clocks {
                detected_at: now,
                acknowledged_at: None,
                contained_at: None,
                resolved_at: None,
                away: Vec::new(),
            },
            merged_into: None,
            version: 1,
        };
        portrait::redraw(&mut incident, std::slice::from_ref(alert));
        let change = self.change(actor, "incident.open", format!("by alert {}", alert.id));
        tx.save_incident(&incident, &change).await?;
        Ok(incident.id)
    }

    /// Joins an alert to open incidents: to the nearest, and merges the others into the oldest,
    /// unless a person parted them.
    async fn join(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        alert: &Alert,
        incidents: Vec<Incident>,
        touched: &mut Touched,
    ) -> Result<IncidentId, CaseworkError> {
        let nearest = incidents.first().map(|incident| incident.id.clone());
        let mut group: Vec<Incident> = Vec::new();
        for incident in incidents {
            let mut parted = false;
            for member in &group {
                parted |= tx.q().kept_apart(&member.id, &incident.id).await?;
            }
            if !parted {
                group.push(incident);
            }
        }
        group.sort_by_key(|incident| incident.number);
        let mut group = group.into_iter();
        let Some(oldest) = group.next() else {
            return nearest.ok_or(CaseworkError::System { what: "merge" });
        };
        for incident in group {
            let reason = format!("alert “{}” ({}) connects both", alert.title, alert.id);
            touched.incidents.remove(&incident.id);
            let moved = self
                .fold_into(tx, actor, incident, &oldest, &reason)
                .await?;
            touched.changed.extend(moved);
        }
        Ok(oldest.id)
    }

    async fn redraw_touched(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        touched: &Touched,
    ) -> Result<Vec<Incident>, CaseworkError> {
        let mut incidents = Vec::new();
        for id in &touched.incidents {
            let change = self.change(actor, "incident.update", "alerts changed");
            incidents.push(redraw_saved(tx, id, &change).await?);
        }
        Ok(incidents)
    }
}

/// Computes an incident anew from its alerts and writes it.
pub(crate) async fn redraw_saved(
    tx: &mut WriteTx,
    id: &IncidentId,
    change: &Change,
) -> Result<Incident, CaseworkError> {
    let mut incident = tx.q().incident(id).await?;
    let alerts = tx.q().alerts_of(id).await?;
    portrait::redraw(&mut incident, &alerts);
    incident.version += 1;
    incident.updated_at = change.at;
    tx.save_incident(&incident, change).await?;
    Ok(incident)
}

async fn read_touched(
    tx: &mut WriteTx,
    touched: &Touched,
) -> Result<(Vec<Alert>, Vec<Alert>), CaseworkError> {
    let mut new = Vec::with_capacity(touched.new.len());
    for id in &touched.new {
        new.push(tx.q().alert(id).await?);
    }
    let mut changed = Vec::new();
    for id in touched.changed.difference(&touched.new) {
        changed.push(tx.q().alert(id).await?);
    }
    Ok((new, changed))
}

/// What findings are judged by before they become alerts.
struct Exceptions<'a> {
    suppressions: &'a [Suppression],
    events: &'a EventFields,
}

/// A finding that does not become an alert.
struct HeldBack<'a> {
    suppression: &'a Suppression,
    /// How many there are towards its threshold.
    counted: Option<u64>,
}

impl HeldBack<'_> {
    fn detail(&self, rule_title: &str) -> String {
        match (&self.suppression.threshold, self.counted) {
            (Some(threshold), Some(counted)) => format!(
                "held back a finding of “{rule_title}”, {counted} of {}",
                threshold.count
            ),
            _ => format!("held back a finding of “{rule_title}”"),
        }
    }
}

/// The first suppression that holds a finding back. One with a threshold counts it, and lets it
/// through once there are enough; the alert then says how many there were.
async fn hold_back<'a>(
    tx: &mut WriteTx,
    exceptions: &Exceptions<'a>,
    alert: &mut Alert,
    finding: &Finding,
) -> Result<Option<HeldBack<'a>>, CaseworkError> {
    let events = exceptions.events;
    for suppression in exceptions.suppressions {
        if !exceptions::meets(suppression, alert, events) {
            continue;
        }
        let Some(threshold) = &suppression.threshold else {
            return Ok(Some(HeldBack {
                suppression,
                counted: None,
            }));
        };
        let per = &threshold.per;
        let key = exceptions::with_facts(alert, events, |facts| facts.value(per));
        let key = key.filter(|_| !per.is_empty()).unwrap_or_default();
        let counted = tx
            .count_towards(
                &suppression.id,
                &key,
                &finding.id,
                finding.time,
                threshold.within_s,
            )
            .await?;
        if counted < u64::from(threshold.count) {
            return Ok(Some(HeldBack {
                suppression,
                counted: Some(counted),
            }));
        }
        let whose = if key.is_empty() {
            String::new()
        } else {
            format!(" for {key}")
        };
        alert.summary = format!(
            "{} ({counted} findings within {} s{whose})",
            alert.summary, threshold.within_s
        );
    }
    Ok(None)
}

/// High and critical alerts open an incident by themselves; a medium one with a second alert
/// that is at least low; low and informational ones never.
fn opens_incident(alert: &Alert, loose: &[Bound]) -> bool {
    let severities = || {
        loose
            .iter()
            .map(|bound| bound.alert.severity)
            .chain([alert.severity])
    };
    let gravest = severities().max().unwrap_or(Severity::Informational);
    let counted = severities().filter(|s| *s >= Severity::Low).count();
    gravest >= Severity::High || (gravest == Severity::Medium && counted >= 2)
}
