//! What the control plane keeps of rules: the texts that alerts rest on, and who changed what
//! is in force.

use std::sync::Arc;

use jiff::SignedDuration;
use watchfloor_model::{Actor, Permission, RuleVersion};

use crate::live::RuleNotice;
use crate::{Casework, CaseworkError, LiveChange};

/// How long a text that made no alert is kept after it was last taken into force.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);
/// Texts written in one transaction; others may write between two.
const VERSIONS_PER_TX: usize = 500;

/// A text that a rule had, and how many alerts rest on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleVersionWithAlerts {
    /// The text.
    pub version: RuleVersion,
    /// Alerts that this text made.
    pub alerts: u64,
}

impl Casework {
    /// The program itself as actor, in the tenant of this installation.
    pub fn system(&self) -> Actor {
        Actor::system(self.settings().tenant.clone())
    }

    /// Keeps the texts of rules now in force, and forgets old ones that made no alert.
    ///
    /// # Errors
    /// [`CaseworkError::Store`].
    pub async fn keep_rule_versions(&self, versions: &[RuleVersion]) -> Result<(), CaseworkError> {
        let tenant = self.settings().tenant.clone();
        for part in versions.chunks(VERSIONS_PER_TX) {
            let mut tx = self.store().write(&tenant).await?;
            tx.save_rule_versions(part).await?;
            tx.commit().await?;
        }
        let before = self.now().saturating_sub(KEPT).unwrap_or(self.now());
        let mut tx = self.store().write(&tenant).await?;
        tx.forget_rule_versions(before).await?;
        tx.commit().await?;
        Ok(())
    }

    /// The texts that a rule had, newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn rule_versions(
        &self,
        actor: &Actor,
        rule_id: &str,
    ) -> Result<Vec<RuleVersionWithAlerts>, CaseworkError> {
        self.authorize(actor, Permission::ReadMonitor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let versions = reader.q().rule_versions(rule_id).await?;
        Ok(versions
            .into_iter()
            .map(|(version, alerts)| RuleVersionWithAlerts { version, alerts })
            .collect())
    }

    /// One text of a rule.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn rule_version(
        &self,
        actor: &Actor,
        rule_id: &str,
        version: &str,
    ) -> Result<Option<RuleVersion>, CaseworkError> {
        self.authorize(actor, Permission::ReadMonitor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().rule_version(rule_id, version).await?)
    }

    /// Writes a change of the rules in force to the audit log and tells whoever watches.
    ///
    /// # Errors
    /// [`CaseworkError::Store`].
    pub async fn record_rule_change(
        &self,
        actor: &Actor,
        target: &str,
        notice: RuleNotice,
    ) -> Result<(), CaseworkError> {
        let change = self.change(actor, notice.action, notice.text.clone());
        let mut tx = self.store().write(&actor.tenant).await?;
        tx.record(&change, target).await?;
        tx.commit().await?;
        self.tell(LiveChange::Rules(actor.tenant.clone(), Arc::new(notice)));
        Ok(())
    }
}
