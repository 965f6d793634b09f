//! Making, trying and ending suppressions.

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{Actor, Condition, EntityKind, Permission, Suppression, SuppressionId};

use crate::alerts::NOTE_BYTES_MAX;
use crate::error::checked_text;
use crate::triage::intake;
use crate::{Casework, CaseworkError};

/// Days that a preview looks back.
const PREVIEW_DAYS: u32 = 30;

/// Alerts that a preview looks at.
const PREVIEW_ALERTS_MAX: u32 = 20_000;

/// Most conditions.
const CONDITIONS_MAX: usize = 20;

/// Longest life of a suppression.
const LIFE_MAX: SignedDuration = SignedDuration::from_hours(24 * 366);

/// What is to be held back.
#[derive(Clone, Debug)]
pub struct NewSuppression {
    /// The rule; `None` for all.
    pub rule_id: Option<String>,
    /// Conditions, all of which must hold.
    pub conditions: Vec<Condition>,
    /// Why.
    pub reason: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// What a suppression would have held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SuppressionPreview {
    /// Alerts that it would have held back.
    pub alerts_matched: u64,
    /// Of how many days.
    pub days: u32,
}

impl Casework {
    /// All suppressions, newest first, expired ones too.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn suppressions(&self, actor: &Actor) -> Result<Vec<Suppression>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().suppressions().await?)
    }

    /// Makes a suppression.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_suppression(
        &self,
        actor: &Actor,
        new: NewSuppression,
    ) -> Result<Suppression, CaseworkError> {
        self.authorize(actor, Permission::ManageSuppressions)?;
        check_conditions(new.rule_id.as_deref(), &new.conditions)?;
        let reason = checked_text("reason", &new.reason, NOTE_BYTES_MAX)?;
        let now = self.now();
        let life = new.expires_at.duration_since(now);
        if life <= SignedDuration::ZERO || life > LIFE_MAX {
            return Err(CaseworkError::Invalid {
                field: "expires_at",
                reason: "must lie ahead, at most a year".to_owned(),
            });
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let suppression = Suppression {
            id: SuppressionId::numbered(tx.next_number("suppression").await?),
            rule_id: new.rule_id,
            conditions: new.conditions,
            reason,
            created_by: actor.name.clone(),
            created_at: now,
            expires_at: new.expires_at,
            count: 0,
            last_at: None,
        };
        let detail = format!("until {}: {}", suppression.expires_at, suppression.reason);
        let change = self.change(actor, "suppression.create", detail);
        tx.add_suppression(&suppression, &change).await?;
        tx.commit().await?;
        Ok(suppression)
    }

    /// Ends a suppression.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn remove_suppression(
        &self,
        actor: &Actor,
        id: &SuppressionId,
    ) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManageSuppressions)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(actor, "suppression.remove", "ended");
        tx.remove_suppression(id, &change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Says what a suppression would have held back.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn preview_suppression(
        &self,
        actor: &Actor,
        rule_id: Option<&str>,
        conditions: &[Condition],
    ) -> Result<SuppressionPreview, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        check_conditions(rule_id, conditions)?;
        let now = self.now();
        let trial = Suppression {
            id: SuppressionId::numbered(0),
            rule_id: rule_id.map(str::to_owned),
            conditions: conditions.to_vec(),
            reason: String::new(),
            created_by: actor.name.clone(),
            created_at: now,
            expires_at: now,
            count: 0,
            last_at: None,
        };
        let since = now
            .saturating_sub(SignedDuration::from_hours(24 * i64::from(PREVIEW_DAYS)))
            .unwrap_or(now);
        let mut reader = self.store().read(&actor.tenant).await?;
        let alerts = reader
            .q()
            .recent_alerts(rule_id, since, PREVIEW_ALERTS_MAX)
            .await?;
        let matched = alerts.iter().filter(|alert| {
            intake::is_suppressed(
                &trial,
                &alert.rule_id,
                &alert.source,
                &alert.entities,
                &alert.reasons,
            )
        });
        Ok(SuppressionPreview {
            alerts_matched: matched.count() as u64,
            days: PREVIEW_DAYS,
        })
    }
}

fn check_conditions(rule_id: Option<&str>, conditions: &[Condition]) -> Result<(), CaseworkError> {
    let invalid = |reason: String| CaseworkError::Invalid {
        field: "conditions",
        reason,
    };
    if rule_id.is_none() && conditions.is_empty() {
        return Err(invalid("without a rule, at least one is needed".to_owned()));
    }
    if conditions.len() > CONDITIONS_MAX {
        return Err(invalid(format!("at most {CONDITIONS_MAX}")));
    }
    for condition in conditions {
        if condition.value.trim().is_empty() || condition.field.trim().is_empty() {
            return Err(invalid("field and value must not be empty".to_owned()));
        }
        let kind = condition.field.strip_prefix("entity.");
        if kind.is_some_and(|kind| kind != "any" && EntityKind::parse(kind).is_none()) {
            return Err(invalid(format!("no entity kind in '{}'", condition.field)));
        }
        let all_rules_all_values = rule_id.is_none() && condition.value.chars().all(|c| c == '*');
        if all_rules_all_values && conditions.len() == 1 {
            return Err(invalid("would hold back everything".to_owned()));
        }
    }
    Ok(())
}
