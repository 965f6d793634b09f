//! Takes findings into the queue: once each, however often they are handed over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use watchfloor_event::{Finding, partition_of};
use watchfloor_model::{
    Actor, Alert, AlertId, Entity, EntityKind, EntityRef, Incident, IncidentId, Suppression,
};
use watchfloor_store::{Change, FindingOutcome, WriteTx};

use crate::binding::EVERYDAY_ALERTS;
use crate::exceptions::{self, EventFields};
use crate::triage::bind::is_commonplace;
use crate::triage::risk::OpenVulnerability;
use crate::triage::{evidence, intake, portrait, risk};
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
/// Longest that findings wait for what is open on their machines.
const VULNERABILITIES_WITHIN: Duration = Duration::from_millis(500);

/// Alerts so far back tell how rare a rule or an entity is.
const RARITY_SPAN: SignedDuration = SignedDuration::from_hours(30 * 24);

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

/// What a transaction touched, to be told once it is committed.
#[derive(Default)]
pub(crate) struct Touched {
    new: BTreeSet<AlertId>,
    pub(crate) changed: BTreeSet<AlertId>,
    pub(crate) incidents: BTreeSet<IncidentId>,
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

    /// Fields of the events of findings: suppressions ask for them, and new alerts take from them
    /// what binds them and what they matter. Read before the transaction begins, so that no one
    /// waits for the lake. Findings that repeat each other are looked at once, unless a
    /// suppression asks.
    async fn events_of(&self, findings: &[Finding]) -> Result<EventFields, CaseworkError> {
        let Some(lookup) = self.event_lookup() else {
            return Ok(EventFields::new());
        };
        let mut reader = self.store().read(&self.settings().tenant).await?;
        let suppressions = reader.q().active_suppressions(self.now()).await?;
        let ids: Vec<&str> = findings.iter().map(|finding| finding.id.as_str()).collect();
        let known = reader.q().taken_findings(&ids).await?;
        let mut keys: BTreeSet<String> = BTreeSet::new();
        let mut wanted: BTreeSet<String> = BTreeSet::new();
        for finding in findings.iter().filter(|one| !known.contains(&one.id)) {
            let key = intake::repeat_key(finding, &intake::entities_of(finding));
            let is_first = if keys.contains(&key) {
                false
            } else {
                let (from, to) = self.repeat_span(finding);
                let open = reader.q().repeated_alert(&key, from, to).await?;
                keys.insert(key) && open.is_none()
            };
            let is_asked = suppressions
                .iter()
                .any(|one| one.asks_event(&finding.rule_id));
            if is_first || is_asked {
                wanted.extend(intake::event_of(finding));
            }
        }
        drop(reader);
        if wanted.is_empty() {
            return Ok(EventFields::new());
        }
        let found = lookup.fields(wanted.into_iter().collect()).await;
        found.map_err(|_| CaseworkError::System {
            what: "the events of findings could not be read",
        })
    }

    /// What is open on the machines of findings, the gravest of each machine. A lake that is busy
    /// does not hold alerts up: they are then weighed without it.
    async fn open_on_machines_of(
        &self,
        findings: &[Finding],
    ) -> BTreeMap<EntityRef, OpenVulnerability> {
        let Some(lookup) = self.event_lookup() else {
            return BTreeMap::new();
        };
        let hosts: BTreeSet<String> = findings
            .iter()
            .flat_map(intake::entities_of)
            .filter(|one| one.kind == EntityKind::Host && !is_commonplace(&one.key()))
            .map(|one| one.key().value)
            .collect();
        if hosts.is_empty() {
            return BTreeMap::new();
        }
        let asked = lookup.vulnerabilities(hosts.into_iter().collect());
        let found = tokio::time::timeout(VULNERABILITIES_WITHIN, asked).await;
        let mut open: BTreeMap<EntityRef, OpenVulnerability> = BTreeMap::new();
        for one in found.unwrap_or_default() {
            let key = EntityRef::new(EntityKind::Host, &one.host);
            let rank = |one: &OpenVulnerability| (one.is_exploited, one.severity);
            if open.get(&key).is_none_or(|known| rank(known) < rank(&one)) {
                open.insert(key, one);
            }
        }
        open
    }

    /// Between which times an alert is repeated by a finding.
    fn repeat_span(&self, finding: &Finding) -> (Timestamp, Timestamp) {
        let window = self.settings().repeat_window;
        let from = finding.first_time.saturating_sub(window);
        let to = finding.time.saturating_add(window);
        (
            from.unwrap_or(finding.first_time),
            to.unwrap_or(finding.time),
        )
    }

    async fn take_chunk(
        &self,
        findings: &[Finding],
        cursor: Option<u64>,
        taken: &mut Taken,
    ) -> Result<(), CaseworkError> {
        let actor = Actor::system(self.settings().tenant.clone());
        let events = self.events_of(findings).await?;
        let open = self.open_on_machines_of(findings).await;
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
                    open: &open,
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
        let same_rule = self.weigh(tx, &mut alert, finding, exceptions).await?;
        let opened = self
            .place(tx, actor, &mut alert, &same_rule, touched)
            .await?;
        count.incidents += u64::from(opened);
        let change = self.change(actor, "alert.create", format!("finding {}", finding.id));
        tx.save_alert(&alert, &change).await?;
        touched.note(finding, "alert", alert.id.as_str());
        touched.new.insert(alert.id);
        count.alerts += 1;
        Ok(())
    }

    /// Adds to a new alert what its event says beside who took part, and how much it matters.
    /// Returns the latest alerts of its rule.
    async fn weigh(
        &self,
        tx: &mut WriteTx,
        alert: &mut Alert,
        finding: &Finding,
        known_of: &Exceptions<'_>,
    ) -> Result<Vec<Alert>, CaseworkError> {
        let fields = intake::event_of(finding).and_then(|id| known_of.events.get(&id));
        let known: BTreeSet<EntityRef> = alert.entities.iter().map(Entity::key).collect();
        let named = evidence::named_in(finding, fields);
        let new = named.into_iter().filter(|one| !known.contains(&one.key()));
        alert.entities.extend(new);
        alert.entities.sort();
        let since = alert.time.saturating_sub(RARITY_SPAN);
        let since = since.unwrap_or(alert.time);
        let rule_alerts = tx.q().alerts_of_rule_since(&alert.rule_id, since).await?;
        let mut rarest_entity = None;
        for key in alert.entities.iter().map(Entity::key) {
            let counts = matches!(key.kind, EntityKind::Host | EntityKind::User);
            if !counts || is_commonplace(&key) {
                continue;
            }
            let seen = tx.q().alerts_of_entity_since(&key, since).await?;
            if rarest_entity
                .as_ref()
                .is_none_or(|(_, least)| seen < *least)
            {
                rarest_entity = Some((key.to_string(), seen));
            }
        }
        let facts = risk::RiskFacts {
            criticality: fields.and_then(evidence::criticality_of),
            indicator: fields.and_then(evidence::indicator_of),
            rule_alerts,
            rarest_entity,
            vulnerability: alert
                .entities
                .iter()
                .filter_map(|one| known_of.open.get(&one.key()))
                .max_by_key(|open| (open.is_exploited, open.severity))
                .cloned(),
        };
        alert.traces = fields.map_or_else(Vec::new, evidence::traces_of);
        alert.risk = risk::of_alert(alert, &facts);
        let window = self.settings().incident_window;
        let lately = alert.time.saturating_sub(window).unwrap_or(alert.time);
        let limit = u32::try_from(EVERYDAY_ALERTS).unwrap_or(u32::MAX);
        let rule = Some(alert.rule_id.as_str());
        Ok(tx.q().recent_alerts(rule, lately, limit).await?)
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
        let (from, to) = self.repeat_span(finding);
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

/// What findings are judged and weighed by before they become alerts.
struct Exceptions<'a> {
    suppressions: &'a [Suppression],
    events: &'a EventFields,
    /// The gravest that is open on each machine.
    open: &'a BTreeMap<EntityRef, OpenVulnerability>,
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
