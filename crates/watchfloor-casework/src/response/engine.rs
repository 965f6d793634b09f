//! Doing what is ready, undoing what is over its time, and never doing twice what may not be
//! done twice.
//!
//! An action is written as running, with its key, before it is begun. After a crash it is begun
//! again only where whoever does it promises to do one key once; otherwise a person decides.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{
    Action, ActionFailure, ActionStatus, Connector, OpenConnector, Principal, RunId, TenantId,
};
use watchfloor_store::WriteTx;

use super::{APPROVAL_LIFE, Acted, Way, request_of, seal};
use crate::{Casework, CaseworkError};

/// Longest time that one action may take; connectors have shorter limits of their own.
const PERFORM_MAX: Duration = Duration::from_secs(150);
/// The same for an agent, which says all the while that it is at work.
const AGENT_PERFORM_MAX: Duration = Duration::from_secs(3 * 3_600);
/// A running action of another server is taken for lost after this time.
const LOST_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// A failed undo is tried again after this time, for as long as it takes.
const UNDO_AGAIN: SignedDuration = SignedDuration::from_mins(5);

impl Casework {
    /// Waits until something may be to do.
    pub async fn response_wake(&self) {
        self.response().wake.notified().await;
    }

    /// Looks after what an earlier process left running: once, before the first round.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn recover_actions(&self) -> Result<u64, CaseworkError> {
        let tenant = self.settings().tenant.clone();
        let mut tx = self.store().write(&tenant).await?;
        let running = tx
            .q()
            .due_actions(ActionStatus::Running, Timestamp::MAX)
            .await?;
        let (place, boot) = self.worker();
        let mut count = 0;
        let mut told = Vec::new();
        for mut action in running {
            let worker = action.worker.clone().unwrap_or_default();
            let is_ours = worker == format!("{place} {boot}");
            let is_of_this_place = worker.starts_with(&format!("{place} "));
            let started = action.started_at.unwrap_or(Timestamp::MIN);
            let is_old = self.now().duration_since(started) > LOST_AFTER;
            if is_ours || !(is_of_this_place || is_old) {
                continue;
            }
            count += 1;
            let responder = self.responder()?;
            let way = self.way_of(&mut tx.q(), &tenant, &action).await;
            let is_repeatable = way.is_ok_and(|way| responder.is_repeatable(&way, action.kind));
            let why = "the server ended while it was being done";
            let detail = if is_repeatable {
                action.set_status(ActionStatus::Ready)?;
                format!(
                    "{}: {why}; it is begun again with the same key",
                    action.in_words()
                )
            } else {
                action.set_status(ActionStatus::Uncertain)?;
                action.error = Some(format!(
                    "{why}, and nobody knows how far it came; look at {} and settle it",
                    action.target
                ));
                format!("{}: {why}; a person decides", action.in_words())
            };
            action.worker = None;
            let change = self.change_by("watchfloor", "action.recover", detail);
            tx.save_action(&action, &change).await?;
            told.push(action);
        }
        tx.commit().await?;
        for action in &told {
            self.tell_action(&tenant, action);
        }
        Ok(count)
    }

    fn worker(&self) -> (String, String) {
        self.response().worker.get().cloned().unwrap_or_default()
    }

    /// One round: begins what is ready, undoes what is over its time, goes on with runs. Returns
    /// how many actions were begun.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn response_round(&self) -> Result<usize, CaseworkError> {
        self.undo_expired().await?;
        self.lapse_approvals().await?;
        self.wake_runs().await?;
        let begun = self.begin_ready().await?;
        let count = begun.len();
        for (action, permit) in begun {
            let casework = self.clone();
            tokio::spawn(async move {
                casework.do_action(action).await;
                drop(permit);
                casework.response().wake.notify_one();
            });
        }
        Ok(count)
    }

    /// Marks ready actions as running, as many as there are free slots.
    async fn begin_ready(
        &self,
    ) -> Result<Vec<(Action, tokio::sync::OwnedSemaphorePermit)>, CaseworkError> {
        let tenant = self.settings().tenant.clone();
        let waiting = {
            let mut reader = self.store().read(&tenant).await?;
            reader
                .q()
                .due_actions(ActionStatus::Ready, self.now())
                .await?
        };
        if waiting.is_empty() {
            return Ok(Vec::new());
        }
        let mut begun = Vec::new();
        let mut tx = self.store().write(&tenant).await?;
        let (place, boot) = self.worker();
        for waiting in waiting {
            let Ok(permit) = self.response().slots_of(waiting.kind).try_acquire_owned() else {
                continue;
            };
            // Read again: another server may have begun it meanwhile.
            let mut action = tx.q().action(&waiting.id).await?;
            if action.status != ActionStatus::Ready {
                continue;
            }
            action.set_status(ActionStatus::Running)?;
            action.attempts += 1;
            action.started_at = Some(self.now());
            action.worker = Some(format!("{place} {boot}"));
            // The other side is told when it ends, so that it ends there too if we are away.
            action.undo_at = self.undo_time(&action, self.now());
            let detail = format!(
                "{}: attempt {}; request sha256:{}",
                action.in_words(),
                action.attempts,
                action.request_hash
            );
            let change = self.change_by("watchfloor", "action.begin", detail);
            tx.save_action(&action, &change).await?;
            begun.push((action, permit));
        }
        tx.commit().await?;
        Ok(begun)
    }

    pub(crate) fn undo_time(&self, action: &Action, from: Timestamp) -> Option<Timestamp> {
        let seconds = i64::from(action.time_limit_s?);
        from.saturating_add(SignedDuration::from_secs(seconds)).ok()
    }

    async fn do_action(&self, action: Action) {
        let tenant = self.settings().tenant.clone();
        let acted = self.perform(&tenant, &action).await;
        // The outcome is kept in mind until the records take it: it cannot be had again.
        let mut wait = Duration::from_millis(200);
        loop {
            match self.note_acted(&tenant, &action, &acted).await {
                Ok(()) => return,
                Err(CaseworkError::Illegal(_)) => return,
                Err(error) => {
                    tracing_error(&action, &error);
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(Duration::from_secs(30));
                }
            }
        }
    }

    async fn perform(&self, tenant: &TenantId, action: &Action) -> Acted {
        if seal::request_hash(action) != action.request_hash {
            return Err(ActionFailure::refused(
                "the action is not the one that was asked for: its hash differs; ask for it anew",
            ));
        }
        let failed = |error: CaseworkError| ActionFailure::failed(error.to_string());
        let way = self.open_way(tenant, action).await.map_err(failed)?;
        let request = request_of(tenant, action);
        let responder = self.responder().map_err(failed)?;
        let most = match way {
            Way::Agent => AGENT_PERFORM_MAX,
            Way::Connector(_) => PERFORM_MAX,
        };
        match tokio::time::timeout(most, responder.perform(&way, &request)).await {
            Ok(acted) => acted,
            Err(_) => Err(ActionFailure::unknown(format!(
                "it was not over within {} s",
                most.as_secs()
            ))),
        }
    }

    async fn open_way(
        &self,
        tenant: &TenantId,
        action: &Action,
    ) -> Result<Way<OpenConnector>, CaseworkError> {
        let mut reader = self.store().read(tenant).await?;
        match self.way_of(&mut reader.q(), tenant, action).await? {
            Way::Agent => Ok(Way::Agent),
            Way::Connector(connector) => {
                let sealed = reader.q().sealed_secrets(connector.id.as_str()).await?;
                Ok(Way::Connector(self.opened(connector, sealed)?))
            }
        }
    }

    fn opened(
        &self,
        connector: Connector,
        sealed: Vec<(String, String)>,
    ) -> Result<OpenConnector, CaseworkError> {
        let vault = self.vault()?;
        let mut secrets = std::collections::BTreeMap::new();
        for (name, sealed) in sealed {
            let Some(secret) = vault.unseal(connector.id.as_str(), &name, &sealed) else {
                return Err(super::invalid(
                    "secret",
                    format!(
                        "secret {name} of connector '{}' was sealed under another key; set it again",
                        connector.name
                    ),
                ));
            };
            secrets.insert(name, secret);
        }
        Ok(OpenConnector { connector, secrets })
    }

    /// Writes how an action went, and lets the step that waits for it go on.
    async fn note_acted(
        &self,
        tenant: &TenantId,
        begun: &Action,
        acted: &Acted,
    ) -> Result<(), CaseworkError> {
        let way = {
            let mut reader = self.store().read(tenant).await?;
            self.way_of(&mut reader.q(), tenant, begun).await.ok()
        };
        let mut tx = self.store().write(tenant).await?;
        let mut action = tx.q().action(&begun.id).await?;
        let now = self.now();
        let mut detail = String::new();
        match acted {
            Ok(outcome) => {
                action.set_status(ActionStatus::Done)?;
                let result = seal::result_hash(outcome);
                detail = format!("{}; result sha256:{result}", outcome.summary);
                action.result_hash = Some(result);
                action.outcome = Some(outcome.clone());
                action.error = None;
                action.ended_at = Some(now);
                action.undo_at = self.undo_time(&action, now);
            }
            Err(failure) => {
                let is_repeatable = match (&way, self.responder()) {
                    (Some(way), Ok(responder)) => responder.is_repeatable(way, action.kind),
                    _ => false,
                };
                self.take_failure(&mut action, failure, is_repeatable, &mut detail)?;
            }
        }
        action.worker = None;
        let verb = match action.status {
            ActionStatus::Done => "action.done",
            ActionStatus::Uncertain => "action.uncertain",
            ActionStatus::Ready => "action.retry",
            _ => "action.failed",
        };
        let change = self.change_by(
            "watchfloor",
            verb,
            format!("{}: {detail}", action.in_words()),
        );
        tx.save_action(&action, &change).await?;
        if action.status == ActionStatus::Done {
            self.mark_undone(&mut tx, &action, "watchfloor").await?;
        }
        let told = self.step_follows(&mut tx, tenant, &action).await?;
        tx.commit().await?;
        self.tell_runs(tenant, &told);
        self.tell_action(tenant, &action);
        Ok(())
    }

    fn take_failure(
        &self,
        action: &mut Action,
        failure: &ActionFailure,
        is_repeatable: bool,
        detail: &mut String,
    ) -> Result<(), CaseworkError> {
        let now = self.now();
        let has_retries = action.attempts <= action.retries_max;
        let wait = SignedDuration::from_secs(i64::from(action.retry_wait_s));
        let again = now.saturating_add(wait).ok();
        *detail = failure.to_string();
        action.error = Some(failure.to_string());
        action.undo_at = None;
        match failure {
            ActionFailure::NotDone {
                may_retry: true, ..
            } if has_retries => {
                action.set_status(ActionStatus::Ready)?;
                action.not_before = again;
            }
            // One key is done once over there, so asking again is how to find out.
            ActionFailure::Unknown { .. } if is_repeatable && has_retries => {
                action.set_status(ActionStatus::Ready)?;
                action.not_before = again;
            }
            // An undo is owed: it is tried until it is done.
            ActionFailure::NotDone {
                may_retry: true, ..
            } if action.undo_of.is_some() => {
                action.set_status(ActionStatus::Ready)?;
                action.not_before = now.saturating_add(UNDO_AGAIN).ok();
            }
            ActionFailure::NotDone { .. } => {
                action.set_status(ActionStatus::Failed)?;
                action.ended_at = Some(now);
            }
            ActionFailure::Unknown { .. } => {
                action.set_status(ActionStatus::Uncertain)?;
            }
        }
        Ok(())
    }

    /// When an undo is done, what it undid is undone.
    pub(crate) async fn mark_undone(
        &self,
        tx: &mut WriteTx,
        undo: &Action,
        by: &str,
    ) -> Result<(), CaseworkError> {
        let Some(id) = &undo.undo_of else {
            return Ok(());
        };
        let mut action = tx.q().action(id).await?;
        if action.status == ActionStatus::Done {
            action.set_status(ActionStatus::Undone)?;
            action.undo_at = None;
            let detail = format!("{}: undone by {}", action.in_words(), undo.id);
            let change = self.change_by(by, "action.undone", detail);
            tx.save_action(&action, &change).await?;
        }
        Ok(())
    }

    /// Begins the undo of what is over its time. Time goes on while the server is away: what came
    /// due meanwhile is undone first.
    async fn undo_expired(&self) -> Result<(), CaseworkError> {
        let tenant = self.settings().tenant.clone();
        let due = {
            let mut reader = self.store().read(&tenant).await?;
            reader.q().actions_to_undo(self.now()).await?
        };
        for action in due
            .into_iter()
            .filter(|one| one.status == ActionStatus::Done)
        {
            let mut tx = self.store().write(&tenant).await?;
            let mut current = tx.q().action(&action.id).await?;
            if current.status != ActionStatus::Done || current.undo_at.is_none() {
                continue;
            }
            let system = Principal {
                id: "system".to_owned(),
                name: "watchfloor".to_owned(),
                person: "system".to_owned(),
            };
            let reason = format!("the time limit of {} is over", current.id);
            match self
                .add_undo(&mut tx, &tenant, current.clone(), system, reason)
                .await
            {
                Ok(undo) => {
                    tx.commit().await?;
                    self.tell_action(&tenant, &undo);
                }
                Err(error) => {
                    // No way to undo it just now: shown, and tried again.
                    drop(tx);
                    let mut tx = self.store().write(&tenant).await?;
                    current.error =
                        Some(format!("its time is over and it cannot be undone: {error}"));
                    current.undo_at = self.now().saturating_add(UNDO_AGAIN).ok();
                    current.version += 1;
                    let change =
                        self.change_by("watchfloor", "action.undo_failed", error.to_string());
                    tx.save_action(&current, &change).await?;
                    tx.commit().await?;
                    self.tell_action(&tenant, &current);
                }
            }
        }
        Ok(())
    }

    /// An approval that nobody gave for a day is not given any more.
    async fn lapse_approvals(&self) -> Result<(), CaseworkError> {
        let tenant = self.settings().tenant.clone();
        let proposed = {
            let mut reader = self.store().read(&tenant).await?;
            reader
                .q()
                .due_actions(ActionStatus::Proposed, self.now())
                .await?
        };
        let now = self.now();
        for action in proposed {
            if now.duration_since(action.proposed_at) < APPROVAL_LIFE {
                continue;
            }
            let mut tx = self.store().write(&tenant).await?;
            let action = tx.q().action(&action.id).await?;
            if action.status != ActionStatus::Proposed {
                continue;
            }
            let why =
                "nobody agreed to it within a day; ask again if it is still wanted".to_owned();
            let action = self.withdraw(&mut tx, action, "watchfloor", why).await?;
            let told = self.step_follows(&mut tx, &tenant, &action).await?;
            tx.commit().await?;
            self.tell_runs(&tenant, &told);
            self.tell_action(&tenant, &action);
        }
        Ok(())
    }

    pub(crate) fn tell_runs(&self, tenant: &TenantId, runs: &[RunId]) {
        for run in runs {
            self.tell_run(tenant, run);
        }
    }
}

/// Casework has no log of its own; what cannot be written down anywhere else goes to stderr.
fn tracing_error(action: &Action, error: &CaseworkError) {
    eprintln!(
        "watchfloor: the outcome of {} is not written down yet: {error}",
        action.id
    );
}
