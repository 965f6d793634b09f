//! Decides to which incident a new alert belongs: `triage/bind.rs` judges pairs of alerts, this
//! looks for them and joins what belongs together.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use watchfloor_model::{
    Actor, Alert, AlertId, Attachment, Clocks, EntityKind, EntityRef, Incident, IncidentId,
    IncidentStatus, Risk, Severity,
};
use watchfloor_store::WriteTx;

use crate::findings::Touched;
use crate::triage::bind::{self, Bond, Ground, Hands, Shared};
use crate::triage::portrait;
use crate::{Casework, CaseworkError};

/// Alerts looked at per shared entity.
const CANDIDATES_PER_ENTITY: u32 = 50;

/// Entities of an alert by which others are looked for.
const LOOKED_UP_ENTITIES_MAX: usize = 40;

/// An incident takes no more alerts by itself beyond this: it could no longer be read, nor
/// computed anew with every alert.
const INCIDENT_ALERTS_MAX: usize = 2_000;

/// Machines beside a name from which on it serves everybody.
const HUB_MACHINES: usize = 8;

/// A rule of no great gravity with so many alerts in a day tells of every day: only the same
/// process or session, or an account of one incident, binds its alerts.
pub(crate) const EVERYDAY_ALERTS: usize = 8;

/// Sentences kept per attachment.
const REASONS_MAX: usize = 3;

/// An alert that the new one is bound to.
struct Bound {
    alert: Alert,
    shared: Shared,
    bond: Bond,
}

/// Alerts that share something with a new one, by id.
type Found = BTreeMap<AlertId, (Alert, Shared)>;

/// An open incident that a new alert is bound to, by its strongest bond.
struct Candidate {
    incident: Incident,
    bond: Bond,
}

/// What a new alert is bound to.
#[derive(Default)]
struct Sorted {
    candidates: Vec<Candidate>,
    /// Alerts in no incident.
    loose: Vec<Bound>,
    /// Why it belongs to which incident, the nearest first.
    reasons: Vec<(IncidentId, String)>,
}

impl Casework {
    /// Finds the alerts that a new one is bound to, the nearest in time first.
    async fn bound_alerts(
        &self,
        tx: &mut WriteTx,
        alert: &Alert,
        same_rule: &[Alert],
    ) -> Result<Vec<Bound>, CaseworkError> {
        let mut found = self.sharing_alerts(tx, alert).await?;
        mark_own(&mut found);
        if alert.severity <= Severity::Medium && same_rule.len() >= EVERYDAY_ALERTS {
            found.retain(|_, (_, shared)| !shared.traces.is_empty() || !shared.own.is_empty());
        }
        // What only tells what happened belongs to what the same process or session did.
        if alert.severity == Severity::Informational {
            found.retain(|_, (_, shared)| !shared.traces.is_empty());
        }
        let hands = hands_of(alert, &found);
        let known = hands_on_shared_machines(&found);
        let nobody = Hands::default();
        let mut bound: Vec<Bound> = found
            .into_values()
            .map(|(other, shared)| {
                let known = other.incident_id().and_then(|id| known.get(id));
                let bond = bind::bond((alert, &hands), (&other, known.unwrap_or(&nobody)), &shared);
                Bound {
                    bond,
                    alert: other,
                    shared,
                }
            })
            .filter(|bound| bound.bond.binds())
            .collect();
        bound.sort_by(|left, right| {
            bind::distance(alert, &left.alert)
                .cmp(&bind::distance(alert, &right.alert))
                .then_with(|| left.alert.id.cmp(&right.alert.id))
        });
        Ok(bound)
    }

    /// Alerts near enough in time that share something with a new one.
    async fn sharing_alerts(
        &self,
        tx: &mut WriteTx,
        alert: &Alert,
    ) -> Result<Found, CaseworkError> {
        let settings = self.settings();
        let window = settings.incident_window;
        let from = alert.first_time.saturating_sub(window);
        let from = from.unwrap_or(alert.first_time);
        let to = alert.last_time.saturating_add(window);
        let to = to.unwrap_or(alert.last_time);
        let keys: BTreeSet<EntityRef> = alert
            .entities
            .iter()
            .map(|entity| entity.key())
            .filter(|key| !bind::is_commonplace(key))
            .take(LOOKED_UP_ENTITIES_MAX)
            .collect();
        let mut found = Found::new();
        for key in keys {
            let alerts = tx
                .q()
                .alerts_with_entity(&key, from, to, CANDIDATES_PER_ENTITY)
                .await?;
            let incidents: BTreeSet<&IncidentId> =
                alerts.iter().filter_map(Alert::incident_id).collect();
            if incidents.len() > settings.entity_incidents_max || is_hub(&key, &alerts) {
                continue;
            }
            for other in alerts.into_iter().filter(|other| other.id != alert.id) {
                let entry = found.entry(other.id.clone());
                let (_, shared) = entry.or_insert_with(|| (other, Shared::default()));
                shared.entities.insert(key.clone());
            }
        }
        for trace in &alert.traces {
            let alerts = tx
                .q()
                .alerts_with_trace(trace, from, to, CANDIDATES_PER_ENTITY)
                .await?;
            for other in alerts.into_iter().filter(|other| other.id != alert.id) {
                let entry = found.entry(other.id.clone());
                let (_, shared) = entry.or_insert_with(|| (other, Shared::default()));
                shared.traces.insert(trace.clone());
            }
        }
        Ok(found)
    }

    /// Decides to which incident a new alert belongs, beside the latest alerts of its rule.
    /// Returns whether one was opened.
    pub(crate) async fn place(
        &self,
        tx: &mut WriteTx,
        actor: &Actor,
        alert: &mut Alert,
        same_rule: &[Alert],
        touched: &mut Touched,
    ) -> Result<bool, CaseworkError> {
        let bound = self.bound_alerts(tx, alert, same_rule).await?;
        let Sorted {
            mut candidates,
            loose,
            reasons,
        } = self.sorted(tx, alert, bound).await?;
        let is_common = |incident: &IncidentId| is_seen_elsewhere(alert, same_rule, incident);
        candidates.retain(|one| one.bond.ground > Ground::Place || !is_common(&one.incident.id));
        let incidents = chosen(candidates);
        let mut reasons: Vec<String> = reasons
            .into_iter()
            .filter(|(id, _)| incidents.iter().any(|incident| incident.id == *id))
            .map(|(_, sentence)| sentence)
            .collect();
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

    /// Parts what an alert is bound to into open incidents and loose alerts.
    async fn sorted(
        &self,
        tx: &mut WriteTx,
        alert: &Alert,
        bound: Vec<Bound>,
    ) -> Result<Sorted, CaseworkError> {
        let mut sorted = Sorted::default();
        for bound in bound {
            let Some(id) = bound.alert.incident_id() else {
                let is_free = bound.alert.closed_at.is_none()
                    && !tx.q().was_detached(&bound.alert.id).await?;
                if is_free {
                    sorted.loose.push(bound);
                }
                continue;
            };
            let mut known = sorted.candidates.iter_mut();
            match known.find(|one| one.incident.id == *id) {
                Some(known) => known.bond = known.bond.max(bound.bond),
                None => {
                    let incident = tx.q().incident(id).await?;
                    let is_full = incident.alert_ids.len() >= INCIDENT_ALERTS_MAX;
                    if is_full || !incident.status.is_open() {
                        continue;
                    }
                    sorted.candidates.push(Candidate {
                        incident,
                        bond: bound.bond,
                    });
                }
            }
            let sentence = bind::sentence(alert, &bound.alert, &bound.shared);
            sorted.reasons.push((id.clone(), sentence));
        }
        Ok(sorted)
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
        let mut incident = blank(number, alert, self.now());
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
}

/// Whether a rule of no great gravity fired on other machines as well, outside an incident: then
/// the place alone does not make its alert part of that incident.
fn is_seen_elsewhere(alert: &Alert, same_rule: &[Alert], incident: &IncidentId) -> bool {
    alert.severity <= Severity::Medium
        && same_rule.iter().any(|other| {
            other.incident_id() != Some(incident) && other.repeat_key != alert.repeat_key
        })
}

/// Whether a name or an address serves everybody: many machines are told beside it, and nothing
/// grave is.
fn is_hub(key: &EntityRef, alerts: &[Alert]) -> bool {
    let may_be = matches!(
        key.kind,
        EntityKind::Address | EntityKind::Domain | EntityKind::Host
    );
    let machines: BTreeSet<EntityRef> = alerts
        .iter()
        .flat_map(|alert| &alert.entities)
        .filter(|one| one.kind == EntityKind::Host || one.kind == EntityKind::Address)
        .map(watchfloor_model::Entity::key)
        .filter(|one| one != key && !bind::is_commonplace(one))
        .collect();
    may_be
        && machines.len() >= HUB_MACHINES
        && alerts.iter().all(|alert| alert.severity < Severity::High)
}

/// The incidents that a new alert joins: all whose bonds make them one; else the one with the
/// strongest bond, the nearest of equals.
fn chosen(candidates: Vec<Candidate>) -> Vec<Incident> {
    if candidates.iter().any(|one| one.bond.merges) {
        let merging = candidates.into_iter().filter(|one| one.bond.merges);
        return merging.map(|one| one.incident).collect();
    }
    let best = candidates
        .into_iter()
        .reduce(|best, one| if one.bond > best.bond { one } else { best });
    best.into_iter().map(|one| one.incident).collect()
}

/// Marks the accounts of which every alert that matters belongs to one incident: an account that
/// nobody else knows tells more than one that works everywhere.
fn mark_own(found: &mut Found) {
    let mut homes: BTreeMap<EntityRef, BTreeSet<Option<IncidentId>>> = BTreeMap::new();
    for (other, shared) in found.values() {
        let counts = other.severity >= Severity::Medium;
        let accounts = shared
            .entities
            .iter()
            .filter(|one| one.kind == EntityKind::User);
        for account in accounts.filter(|_| counts) {
            let home = other.incident_id().cloned();
            homes.entry(account.clone()).or_default().insert(home);
        }
    }
    homes.retain(|_, homes| homes.len() == 1 && !homes.contains(&None));
    for (other, shared) in found.values_mut() {
        let home = other.incident_id().cloned();
        let own = shared
            .entities
            .iter()
            .filter(|one| homes.get(*one).is_some_and(|homes| homes.contains(&home)));
        shared.own = own.cloned().collect();
    }
}

/// Who is named by a new alert, and who was at work on its machine in the same moment: many an
/// alert names nobody.
fn hands_of(alert: &Alert, found: &Found) -> Hands {
    let mut hands = Hands::of(alert);
    for (other, shared) in found.values() {
        if is_of_one_machine(shared) && bind::is_of_the_moment(alert, other) {
            hands.extend(Hands::of(other));
        }
    }
    hands
}

fn is_of_one_machine(shared: &Shared) -> bool {
    let mut all = shared.entities.iter();
    all.any(|one| one.kind == EntityKind::Host)
}

/// Of whom alerts of each incident tell on the machines of the new alert.
fn hands_on_shared_machines(found: &Found) -> BTreeMap<IncidentId, Hands> {
    let mut hands: BTreeMap<IncidentId, Hands> = BTreeMap::new();
    for (other, shared) in found.values() {
        if let Some(id) = other.incident_id().filter(|_| is_of_one_machine(shared)) {
            let known = hands.entry(id.clone()).or_default();
            known.extend(Hands::of(other));
        }
    }
    hands
}

/// An incident around its first alert.
fn blank(number: u64, alert: &Alert, now: Timestamp) -> Incident {
    Incident {
        id: IncidentId::numbered(number),
        number,
        title: alert.title.clone(),
        title_by_hand: false,
        summary: String::new(),
        summary_by_hand: false,
        severity: alert.severity,
        severity_by_hand: false,
        severity_reasons: Vec::new(),
        risk: Risk::default(),
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
    }
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
