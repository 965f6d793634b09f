//! What people decide about actions: agreeing, refusing, taking back, undoing, and settling what
//! is uncertain.

use std::collections::BTreeMap;

use watchfloor_model::{
    Action, ActionId, ActionKind, ActionOutcome, ActionPolicy, ActionStatus, Actor, Permission,
    Principal, TenantId,
};
use watchfloor_store::WriteTx;

use super::{NewAction, Origin, TIME_LIMIT_S_MAX, TIME_LIMIT_S_MIN, invalid, principal_of, seal};
use crate::alerts::NOTE_BYTES_MAX;
use crate::error::checked_text;
use crate::{Casework, CaseworkError};

/// What a person found out about an action of which nobody knows whether it was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// It was done.
    Done,
    /// It was not done, and is not to be.
    NotDone,
    /// It was not done, and is to be done.
    Again,
}

impl Casework {
    /// Agrees to an action of somebody else.
    ///
    /// # Errors
    /// [`CaseworkError`]; nobody agrees to their own action.
    pub async fn approve_action(
        &self,
        actor: &Actor,
        id: &ActionId,
        note: &str,
    ) -> Result<Action, CaseworkError> {
        self.decide(actor, id, note, ActionStatus::Ready).await
    }

    /// Refuses an action.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn reject_action(
        &self,
        actor: &Actor,
        id: &ActionId,
        note: &str,
    ) -> Result<Action, CaseworkError> {
        checked_text("note", note, NOTE_BYTES_MAX)?;
        self.decide(actor, id, note, ActionStatus::Rejected).await
    }

    async fn decide(
        &self,
        actor: &Actor,
        id: &ActionId,
        note: &str,
        to: ActionStatus,
    ) -> Result<Action, CaseworkError> {
        self.authorize(actor, Permission::ApproveActions)?;
        let note = note.trim();
        if note.len() > NOTE_BYTES_MAX {
            return Err(invalid(
                "note",
                format!("must be at most {NOTE_BYTES_MAX} bytes"),
            ));
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut action = tx.q().action(id).await?;
        let principal = principal_of(&mut tx.q(), actor).await?;
        if to == ActionStatus::Ready && principal.is_same_person(&action.proposed_by) {
            let reason = "nobody agrees to their own action; ask a second person";
            return Err(invalid("approval", reason));
        }
        if action.status != ActionStatus::Proposed {
            return Err(invalid(
                "status",
                format!(
                    "only what is proposed is decided; this one is {}",
                    action.status
                ),
            ));
        }
        action.set_status(to)?;
        action.decided_by = Some(principal);
        action.decided_at = Some(self.now());
        action.decision_note = (!note.is_empty()).then(|| note.to_owned());
        let verb = if to == ActionStatus::Ready {
            "action.approve"
        } else {
            "action.reject"
        };
        let detail = format!(
            "{}; request sha256:{}; {note}",
            action.in_words(),
            action.request_hash
        );
        let change = self.change(actor, verb, detail);
        if to == ActionStatus::Rejected {
            action.ended_at = Some(self.now());
            action.error = Some(format!("refused by {}: {note}", actor.name));
        }
        tx.save_action(&action, &change).await?;
        let told = self.step_follows(&mut tx, &actor.tenant, &action).await?;
        tx.commit().await?;
        self.tell_runs(&actor.tenant, &told);
        self.tell_action(&actor.tenant, &action);
        Ok(action)
    }

    /// Takes an action back that was not begun: one's own, or as somebody who may agree.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn cancel_action(
        &self,
        actor: &Actor,
        id: &ActionId,
        note: &str,
    ) -> Result<Action, CaseworkError> {
        self.authorize(actor, Permission::ProposeActions)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let action = tx.q().action(id).await?;
        let principal = principal_of(&mut tx.q(), actor).await?;
        if !principal.is_same_person(&action.proposed_by) {
            self.authorize(actor, Permission::ApproveActions)?;
        }
        let why = format!("taken back by {}: {}", actor.name, note.trim());
        let action = self.withdraw(&mut tx, action, &actor.name, why).await?;
        let told = self.step_follows(&mut tx, &actor.tenant, &action).await?;
        tx.commit().await?;
        self.tell_runs(&actor.tenant, &told);
        self.tell_action(&actor.tenant, &action);
        Ok(action)
    }

    /// Takes an action back within a transaction.
    pub(crate) async fn withdraw(
        &self,
        tx: &mut WriteTx,
        mut action: Action,
        by: &str,
        why: String,
    ) -> Result<Action, CaseworkError> {
        action.set_status(ActionStatus::Cancelled)?;
        action.ended_at = Some(self.now());
        action.error = Some(why.clone());
        let change = self.change_by(by, "action.cancel", format!("{}; {why}", action.in_words()));
        tx.save_action(&action, &change).await?;
        Ok(action)
    }

    /// Undoes an action that was done, by the action that undoes it.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn undo_action(
        &self,
        actor: &Actor,
        id: &ActionId,
        reason: &str,
    ) -> Result<Action, CaseworkError> {
        self.authorize(actor, Permission::ProposeActions)?;
        let reason = checked_text("reason", reason, NOTE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let action = tx.q().action(id).await?;
        let principal = principal_of(&mut tx.q(), actor).await?;
        let undo = self
            .add_undo(&mut tx, &actor.tenant, action, principal, reason)
            .await?;
        tx.commit().await?;
        self.tell_action(&actor.tenant, &undo);
        Ok(undo)
    }

    /// Writes the action that undoes another.
    pub(crate) async fn add_undo(
        &self,
        tx: &mut WriteTx,
        tenant: &TenantId,
        mut action: Action,
        by: Principal,
        reason: String,
    ) -> Result<Action, CaseworkError> {
        let Some(kind) = action.kind.undo() else {
            return Err(invalid(
                "kind",
                format!("{} cannot be undone", action.kind.in_words()),
            ));
        };
        if action.status != ActionStatus::Done {
            return Err(invalid(
                "status",
                format!("only what is done is undone; this one is {}", action.status),
            ));
        }
        if let Some(earlier) = &action.undone_by {
            let earlier = tx.q().action(earlier).await?;
            let is_dead = matches!(
                earlier.status,
                ActionStatus::Failed | ActionStatus::Rejected | ActionStatus::Cancelled
            );
            if !is_dead {
                return Err(invalid(
                    "status",
                    format!("{} undoes it already and is {}", earlier.id, earlier.status),
                ));
            }
        }
        let new = NewAction {
            kind,
            arguments: action.arguments.clone(),
            // What was done by a connector is undone by it.
            connector: action.connector.clone(),
            incident_id: action.incident_id.clone(),
            reason,
            time_limit_s: Some(None),
        };
        let mut undo = self.add_action(tx, tenant, new, by, Origin::Person).await?;
        undo.undo_of = Some(action.id.clone());
        undo.retries_max = 5;
        undo.retry_wait_s = 60;
        let detail = format!("{} undoes {}", undo.id, action.id);
        let change = self.change_by(&undo.proposed_by.name, "action.undo", detail);
        tx.save_action(&undo, &change).await?;
        action.undone_by = Some(undo.id.clone());
        action.undo_at = None;
        action.version += 1;
        tx.save_action(&action, &change).await?;
        Ok(undo)
    }

    /// Settles what became of an action of which nobody knows whether it was done, or begins a
    /// failed one again.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn settle_action(
        &self,
        actor: &Actor,
        id: &ActionId,
        how: Settlement,
        note: &str,
    ) -> Result<Action, CaseworkError> {
        self.authorize(actor, Permission::ApproveActions)?;
        let note = checked_text("note", note, NOTE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut action = tx.q().action(id).await?;
        let now = self.now();
        match how {
            Settlement::Done => {
                action.set_status(ActionStatus::Done)?;
                let outcome = ActionOutcome {
                    summary: format!("{} found that it was done: {note}", actor.name),
                    evidence: BTreeMap::from([("settled_by".to_owned(), actor.name.clone())]),
                };
                action.result_hash = Some(seal::result_hash(&outcome));
                action.outcome = Some(outcome);
                action.error = None;
                action.ended_at = Some(now);
                action.undo_at = self.undo_time(&action, now);
            }
            Settlement::NotDone => {
                action.set_status(ActionStatus::Failed)?;
                action.error = Some(format!("{} found that it was not done: {note}", actor.name));
                action.ended_at = Some(now);
            }
            Settlement::Again => {
                action.set_status(ActionStatus::Ready)?;
                action.redone += 1;
                action.error = None;
                action.ended_at = None;
                action.not_before = None;
            }
        }
        let result = action.result_hash.as_deref().unwrap_or("none");
        let detail = format!(
            "{} is {}: {note}; result sha256:{result}",
            action.in_words(),
            action.status
        );
        let change = self.change(actor, "action.settle", detail);
        tx.save_action(&action, &change).await?;
        if action.status == ActionStatus::Done {
            self.mark_undone(&mut tx, &action, &actor.name).await?;
        }
        let told = self.step_follows(&mut tx, &actor.tenant, &action).await?;
        tx.commit().await?;
        self.tell_runs(&actor.tenant, &told);
        self.tell_action(&actor.tenant, &action);
        Ok(action)
    }

    /// What policy says of each kind of action.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn action_policies(
        &self,
        actor: &Actor,
    ) -> Result<BTreeMap<ActionKind, ActionPolicy>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().action_policies().await?)
    }

    /// Decides which kind of action needs a second person, and for how long it lasts.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn set_action_policy(
        &self,
        actor: &Actor,
        kind: ActionKind,
        policy: ActionPolicy,
    ) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManageConnectors)?;
        let limit = policy.time_limit_s;
        if limit.is_some() && kind.undo().is_none() {
            return Err(invalid(
                "time_limit_s",
                format!("{} cannot be undone", kind.in_words()),
            ));
        }
        if limit.is_some_and(|s| !(TIME_LIMIT_S_MIN..=TIME_LIMIT_S_MAX).contains(&s)) {
            let reason = format!("must be {TIME_LIMIT_S_MIN} to {TIME_LIMIT_S_MAX} seconds");
            return Err(invalid("time_limit_s", reason));
        }
        let approval = if policy.needs_approval {
            "a second person"
        } else {
            "nobody else"
        };
        let lasts = limit.map_or("for ever".to_owned(), |s| format!("{s} s"));
        let detail = format!("{} needs {approval} and lasts {lasts}", kind.in_words());
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(actor, "action.policy", detail);
        tx.save_action_policy(kind, policy, &change).await?;
        tx.commit().await?;
        Ok(())
    }
}
