//! What one shift gives to the next: what stands, what changed, and a frozen copy of both.

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use watchfloor_model::{
    Action, ActionStatus, Actor, AuditEntry, ClockFace, ClockState, Escalation, Handover,
    HandoverId, Permission, PlaybookRun, RunStatus, ServiceLevels, Severity, Verdict,
};
use watchfloor_store::{IncidentTimes, PageRequest};

use crate::alerts::NOTE_BYTES_MAX;
use crate::{Casework, CaseworkError, OnCall};

/// Rows of each part that are shown.
const ROWS_MAX: usize = 200;
/// Hours looked back over where there is no earlier handover.
const FIRST_HOURS: i64 = 12;
/// Longest time that one handover covers, in days.
const DAYS_MAX: i64 = 31;
/// Largest snapshot in bytes.
const SNAPSHOT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Some rows, and how many there are.
#[derive(Clone, Debug)]
pub struct HandoverPart<T> {
    /// The first of them.
    pub items: Vec<T>,
    /// All.
    pub total: u64,
}

impl<T> HandoverPart<T> {
    fn of(mut items: Vec<T>) -> Self {
        let total = items.len() as u64;
        items.truncate(ROWS_MAX);
        Self { items, total }
    }
}

/// An open incident.
#[derive(Clone, Debug)]
pub struct HandoverIncident {
    /// The incident.
    pub times: IncidentTimes,
    /// The clock that runs out next.
    pub clock: Option<ClockFace>,
}

/// Something that an incident reached.
#[derive(Clone, Debug)]
pub struct HandoverChange {
    /// The incident.
    pub times: IncidentTimes,
    /// When.
    pub at: Timestamp,
    /// Conclusion, where it was resolved.
    pub verdict: Option<Verdict>,
}

/// A clock that was broken in the span.
#[derive(Clone, Debug)]
pub struct HandoverBreach {
    /// The incident.
    pub times: IncidentTimes,
    /// The clock.
    pub face: ClockFace,
}

/// An action that needs somebody.
pub type HandoverAction = Action;
/// A run that is not over.
pub type HandoverRun = PlaybookRun;

/// What stands and what changed in a span, as far as cases tell.
#[derive(Clone, Debug)]
pub struct HandoverState {
    /// From (inclusive).
    pub from: Timestamp,
    /// To (exclusive).
    pub to: Timestamp,
    /// Open incidents, by when their clock runs out.
    pub open: HandoverPart<HandoverIncident>,
    /// Open alerts by severity.
    pub alerts: Vec<(Severity, u64)>,
    /// Detected in the span.
    pub new: HandoverPart<HandoverChange>,
    /// Contained in the span.
    pub contained: HandoverPart<HandoverChange>,
    /// Resolved in the span.
    pub resolved: HandoverPart<HandoverChange>,
    /// Clocks whose time ended in the span, without being reached by then.
    pub breaches: HandoverPart<HandoverBreach>,
    /// Whom was told in the span.
    pub escalations: HandoverPart<Escalation>,
    /// Actions that wait for an approval or for somebody to settle them.
    pub actions: HandoverPart<HandoverAction>,
    /// Runs of playbooks that are not over.
    pub runs: HandoverPart<HandoverRun>,
    /// Who is on call, by rotation.
    pub on_call: Vec<(String, Option<OnCall>)>,
}

impl Casework {
    /// What a handover would say: since the last one unless told otherwise, until now.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn handover_state(
        &self,
        actor: &Actor,
        from: Option<Timestamp>,
    ) -> Result<HandoverState, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let now = self.now();
        let mut reader = self.store().read(&actor.tenant).await?;
        let from = match from {
            Some(from) => from,
            None => {
                let last = reader.q().handovers().await?;
                let first = now.saturating_sub(SignedDuration::from_hours(FIRST_HOURS));
                last.first().map_or(first.unwrap_or(now), |one| one.to)
            }
        };
        let span = now.duration_since(from);
        if span < SignedDuration::ZERO || span.as_hours() > DAYS_MAX * 24 {
            let reason = format!("must lie in the last {DAYS_MAX} days");
            return Err(invalid("from", reason));
        }
        let levels = reader.q().service_levels().await?;
        let times = reader.q().incidents_alive_since(from).await?;
        let open = reader.q().open_incident_times().await?;
        let alerts = reader.q().open_alerts_by_severity().await?;
        let escalations = reader.q().escalations(from, None).await?;
        let page = PageRequest::new(None, Some(1_000));
        let waiting = [ActionStatus::Proposed, ActionStatus::Uncertain];
        let actions = reader.q().actions(&waiting, None, &page).await?.items;
        let runs = reader.q().open_runs().await?;
        drop(reader);
        let rosters = self.rosters(actor, now, now).await?;
        let mut open: Vec<HandoverIncident> = open
            .into_iter()
            .map(|times| HandoverIncident {
                clock: levels.running(times.severity, &times.clocks, now),
                times,
            })
            .collect();
        open.sort_by_key(|one| one.clock.map_or(Timestamp::MAX, |face| face.due_at));
        let breaches = breaches(&levels, &times, (from, now));
        let runs = runs
            .into_iter()
            .filter(|run| run.status == RunStatus::Running);
        Ok(HandoverState {
            from,
            to: now,
            open: HandoverPart::of(open),
            alerts,
            new: changes(&times, from, |one| Some(one.clocks.detected_at)),
            contained: changes(&times, from, |one| one.clocks.contained_at),
            resolved: changes(&times, from, |one| one.clocks.resolved_at),
            breaches: HandoverPart::of(breaches),
            escalations: HandoverPart::of(escalations),
            actions: HandoverPart::of(actions),
            runs: HandoverPart::of(runs.collect()),
            on_call: rosters
                .into_iter()
                .map(|roster| (roster.rotation.name, roster.on_call))
                .collect(),
        })
    }

    /// Hands over: keeps what was shown, as it was shown, with a seal in the audit chain.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn give_handover(
        &self,
        actor: &Actor,
        (from, to): (Timestamp, Timestamp),
        notes: &str,
        snapshot: String,
    ) -> Result<Handover, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        if notes.len() > NOTE_BYTES_MAX {
            return Err(invalid(
                "notes",
                format!("must be at most {NOTE_BYTES_MAX} bytes"),
            ));
        }
        if snapshot.len() > SNAPSHOT_BYTES_MAX {
            return Err(invalid(
                "from",
                "there is too much to hand over; take a shorter time",
            ));
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let number = tx.next_number("handover").await?;
        let notes = notes.trim().to_owned();
        let handover = Handover {
            id: HandoverId::numbered(number),
            from,
            to,
            given_by: actor.name.clone(),
            given_at: self.now(),
            accepted_by: None,
            accepted_at: None,
            digest: digest_of(&notes, &snapshot),
            notes,
            snapshot,
        };
        let detail = format!("{from} to {to}; sha256:{}", handover.digest);
        let change = self.change(actor, "handover.give", detail);
        tx.add_handover(&handover, number, &change).await?;
        tx.commit().await?;
        self.tell_roster(&actor.tenant, &format!("{} hands over.", actor.name));
        Ok(handover)
    }

    /// Takes a handover of somebody else.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn accept_handover(
        &self,
        actor: &Actor,
        id: &HandoverId,
    ) -> Result<Handover, CaseworkError> {
        self.authorize(actor, Permission::WorkCases)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let handover = tx.q().handover(id).await?;
        if handover.given_by == actor.name {
            return Err(invalid(
                "id",
                "nobody takes their own handover; the next shift does",
            ));
        }
        if let Some(name) = &handover.accepted_by {
            return Err(invalid("id", format!("{name} took it already")));
        }
        let detail = format!("given by {}; sha256:{}", handover.given_by, handover.digest);
        let change = self.change(actor, "handover.accept", detail);
        tx.accept_handover(id, &actor.name, &change).await?;
        let handover = tx.q().handover(id).await?;
        tx.commit().await?;
        self.tell_roster(&actor.tenant, &format!("{} took over.", actor.name));
        Ok(handover)
    }

    /// Handovers, newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn handovers(&self, actor: &Actor) -> Result<Vec<Handover>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().handovers().await?)
    }

    /// One handover, and whether it is the one that the audit chain names.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn handover(
        &self,
        actor: &Actor,
        id: &HandoverId,
    ) -> Result<(Handover, bool), CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let handover = reader.q().handover(id).await?;
        let history = reader.q().history_of(id.as_str()).await?;
        let digest = digest_of(&handover.notes, &handover.snapshot);
        let seal = format!("sha256:{digest}");
        let names =
            |entry: &AuditEntry| entry.action == "handover.give" && entry.detail.ends_with(&seal);
        let is_sealed = digest == handover.digest && history.iter().any(names);
        Ok((handover, is_sealed))
    }
}

/// Clocks that ran out within a span, the earliest first.
fn breaches(
    levels: &ServiceLevels,
    times: &[IncidentTimes],
    (from, now): (Timestamp, Timestamp),
) -> Vec<HandoverBreach> {
    let mut breaches: Vec<HandoverBreach> = Vec::new();
    for one in times {
        let faces = levels.faces(one.severity, &one.clocks, now).into_iter();
        let broken = faces.filter(|face| {
            let is_broken = matches!(face.state, ClockState::Breached | ClockState::Missed);
            is_broken && face.due_at >= from && face.due_at < now
        });
        breaches.extend(broken.map(|face| HandoverBreach {
            times: one.clone(),
            face,
        }));
    }
    breaches.sort_by_key(|breach| breach.face.due_at);
    breaches
}

fn changes(
    times: &[IncidentTimes],
    from: Timestamp,
    at: fn(&IncidentTimes) -> Option<Timestamp>,
) -> HandoverPart<HandoverChange> {
    let reached = times.iter().filter_map(|one| {
        let at = at(one).filter(|at| *at >= from)?;
        Some(HandoverChange {
            times: one.clone(),
            at,
            verdict: one.verdict,
        })
    });
    let mut list: Vec<HandoverChange> = reached.collect();
    list.sort_by_key(|one| one.at);
    HandoverPart::of(list)
}

/// Each part is led by its length, so that no two handovers share a text.
fn digest_of(notes: &str, snapshot: &str) -> String {
    let mut hash = Sha256::new();
    for part in [notes, snapshot] {
        hash.update(format!("{}:{part}\n", part.len()));
    }
    hex::encode(hash.finalize())
}

fn invalid(field: &'static str, reason: impl Into<String>) -> CaseworkError {
    CaseworkError::Invalid {
        field,
        reason: reason.into(),
    }
}
