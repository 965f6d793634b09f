//! Deciding until when what is to be reached, and whom to tell if it is not.

use watchfloor_model::{
    Actor, ClockKind, Escalation, EscalationPolicy, Permission, ServiceLevels, Severity,
};

use crate::alerts::check_version;
use crate::{Casework, CaseworkError};

/// Longest target in minutes: 90 days.
const TARGET_MIN_MAX: u32 = 90 * 24 * 60;
/// Most levels of an escalation.
const LEVELS_MAX: usize = 20;
/// Most percent of a target after which somebody is told.
const PERCENT_MAX: u32 = 1_000;

impl Casework {
    /// Targets of all severities.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn service_levels(&self, actor: &Actor) -> Result<ServiceLevels, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().service_levels().await?)
    }

    /// Changes the targets. Clocks that run are measured by the new ones at once.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn set_service_levels(
        &self,
        actor: &Actor,
        mut wanted: ServiceLevels,
        expected: Option<u64>,
    ) -> Result<ServiceLevels, CaseworkError> {
        self.authorize(actor, Permission::ManageDuty)?;
        check_targets(&wanted)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let current = tx.q().service_levels().await?;
        check_version("service levels", "targets", current.version, expected)?;
        let detail = described(&wanted);
        let change = self.change(actor, "service_levels.change", detail);
        wanted.version = current.version + 1;
        wanted.changed_by = Some(actor.name.clone());
        wanted.changed_at = Some(change.at);
        tx.save_service_levels(&wanted, &change).await?;
        tx.commit().await?;
        self.tell_roster(&actor.tenant, "The service levels changed.");
        Ok(wanted)
    }

    /// Whom to tell, and when, if nobody answers.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn escalation_policy(
        &self,
        actor: &Actor,
    ) -> Result<EscalationPolicy, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().escalation_policy().await?)
    }

    /// Changes whom to tell. What was escalated before is not escalated again.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn set_escalation_policy(
        &self,
        actor: &Actor,
        mut wanted: EscalationPolicy,
        expected: Option<u64>,
    ) -> Result<EscalationPolicy, CaseworkError> {
        self.authorize(actor, Permission::ManageDuty)?;
        check_levels(&wanted)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        for rotation in [&wanted.primary, &wanted.secondary].into_iter().flatten() {
            tx.q().rotation(rotation).await?;
        }
        for level in &wanted.levels {
            if let Some(connector) = &level.connector_id {
                let connector = tx.q().connector(connector).await?;
                if crate::escalation::action_of(&connector).is_none() {
                    let name = connector.name;
                    let reason = format!("connector '{name}' sends no messages");
                    return Err(invalid("levels.connector_id", reason));
                }
            }
        }
        let current = tx.q().escalation_policy().await?;
        check_version("escalation", "policy", current.version, expected)?;
        let state = if wanted.is_on { "on" } else { "off" };
        let detail = format!("{state}, {} levels", wanted.levels.len());
        let change = self.change(actor, "escalation.change", detail);
        wanted.version = current.version + 1;
        wanted.changed_by = Some(actor.name.clone());
        wanted.changed_at = Some(change.at);
        tx.save_escalation_policy(&wanted, &change).await?;
        tx.commit().await?;
        Ok(wanted)
    }

    /// What was escalated since a time, or for one incident or alert; newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn escalations(
        &self,
        actor: &Actor,
        since: jiff::Timestamp,
        subject: Option<&str>,
    ) -> Result<Vec<Escalation>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().escalations(since, subject).await?)
    }
}

fn invalid(field: &'static str, reason: impl Into<String>) -> CaseworkError {
    CaseworkError::Invalid {
        field,
        reason: reason.into(),
    }
}

fn check_targets(levels: &ServiceLevels) -> Result<(), CaseworkError> {
    for severity in Severity::ALL {
        let targets = levels.of(*severity);
        let mut before = 0;
        for kind in ClockKind::ALL {
            let Some(minutes) = targets.of(*kind) else {
                continue;
            };
            if !(1..=TARGET_MIN_MAX).contains(&minutes) {
                let reason = format!("{severity}: must be 1 to {TARGET_MIN_MAX} minutes");
                return Err(invalid("targets", reason));
            }
            if minutes < before {
                let reason = format!("{severity}: {kind} must not come before what comes first");
                return Err(invalid("targets", reason));
            }
            before = minutes;
        }
    }
    Ok(())
}

fn check_levels(policy: &EscalationPolicy) -> Result<(), CaseworkError> {
    if policy.levels.len() > LEVELS_MAX {
        return Err(invalid("levels", format!("must be at most {LEVELS_MAX}")));
    }
    if policy.is_on && policy.levels.is_empty() {
        return Err(invalid("levels", "must hold at least one level"));
    }
    for level in &policy.levels {
        if level.after_percent.is_none() && level.after_minutes.is_none() {
            let reason = "needs a share of the target or a number of minutes";
            return Err(invalid("levels", reason));
        }
        if level.after_percent.is_some_and(|n| n > PERCENT_MAX) {
            let reason = format!("must be at most {PERCENT_MAX} percent");
            return Err(invalid("levels.after_percent", reason));
        }
        if level.after_minutes.is_some_and(|n| n > TARGET_MIN_MAX) {
            let reason = format!("must be at most {TARGET_MIN_MAX} minutes");
            return Err(invalid("levels.after_minutes", reason));
        }
    }
    Ok(())
}

/// For the audit log.
fn described(levels: &ServiceLevels) -> String {
    let minutes = |target: Option<u32>| target.map_or("none".to_owned(), |n| n.to_string());
    let parts = Severity::ALL.iter().rev().map(|severity| {
        let targets = levels.of(*severity);
        let list = ClockKind::ALL.iter().map(|kind| minutes(targets.of(*kind)));
        format!("{severity} {}", list.collect::<Vec<_>>().join("/"))
    });
    let parts: Vec<String> = parts.collect();
    format!(
        "minutes to acknowledge/contain/resolve: {}",
        parts.join(", ")
    )
}
