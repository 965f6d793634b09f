//! Making, trying and ending suppressions.

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{
    Actor, Alert, Condition, DayWindow, EntityKind, Permission, Suppression, SuppressionId,
    Threshold,
};

use crate::alerts::NOTE_BYTES_MAX;
use crate::error::checked_text;
use crate::exceptions;
use crate::{Casework, CaseworkError};

/// Days that a preview looks back.
const PREVIEW_DAYS: u32 = 30;

/// Alerts that a preview looks at.
const PREVIEW_ALERTS_MAX: u32 = 20_000;

/// Most conditions.
const CONDITIONS_MAX: usize = 20;

/// Alerts whose events a preview reads, where conditions ask for fields of them.
const PREVIEW_EVENTS_MAX: usize = 2_000;

/// Alerts that a preview shows.
const PREVIEW_EXAMPLES: usize = 5;

/// Longest life of a suppression that ends.
const LIFE_MAX: SignedDuration = SignedDuration::from_hours(24 * 366);

/// Most findings that a threshold counts.
const THRESHOLD_COUNT_MAX: u32 = 100_000;

/// Longest time of a threshold, in seconds: a week.
const THRESHOLD_WITHIN_MAX: u32 = 7 * 86_400;

/// What is to be held back.
#[derive(Clone, Debug)]
pub struct NewSuppression {
    /// The rule; `None` for all.
    pub rule_id: Option<String>,
    /// Conditions, all of which must hold.
    pub conditions: Vec<Condition>,
    /// Hours of the day in which it holds; `None` for all.
    pub window: Option<DayWindow>,
    /// How many findings it holds back before it lets one through; `None` for all.
    pub threshold: Option<Threshold>,
    /// Why.
    pub reason: String,
    /// When it ends; `None` for never.
    pub expires_at: Option<Timestamp>,
}

/// What a suppression would have held back.
#[derive(Clone, Debug, PartialEq)]
pub struct SuppressionPreview {
    /// Alerts that it would have held back.
    pub alerts_matched: u64,
    /// Alerts that were looked at: of its rule, or of all.
    pub alerts_total: u64,
    /// Of how many days.
    pub days: u32,
    /// Whether there are more alerts than were looked at.
    pub capped: bool,
    /// The newest of those it would have held back.
    pub examples: Vec<Alert>,
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
        check_shape(&new)?;
        let reason = checked_text("reason", &new.reason, NOTE_BYTES_MAX)?;
        let now = self.now();
        let life = new.expires_at.map(|end| end.duration_since(now));
        if life.is_some_and(|life| life <= SignedDuration::ZERO || life > LIFE_MAX) {
            return Err(CaseworkError::Invalid {
                field: "expires_at",
                reason: "must lie ahead, at most a year; leave it out for one that never ends"
                    .to_owned(),
            });
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let suppression = Suppression {
            id: SuppressionId::numbered(tx.next_number("suppression").await?),
            rule_id: new.rule_id,
            conditions: new.conditions,
            window: new.window,
            threshold: new.threshold,
            reason,
            created_by: actor.name.clone(),
            created_at: now,
            expires_at: new.expires_at,
            count: 0,
            last_at: None,
        };
        let until = match suppression.expires_at {
            Some(end) => format!("until {end}"),
            None => "without an end".to_owned(),
        };
        let detail = format!("{until}: {}", suppression.reason);
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
        window: Option<DayWindow>,
    ) -> Result<SuppressionPreview, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        check_conditions(rule_id, conditions)?;
        let now = self.now();
        let trial = Suppression {
            rule_id: rule_id.map(str::to_owned),
            ..Suppression::proposed(conditions.to_vec(), window, now)
        };
        let since = now
            .saturating_sub(SignedDuration::from_hours(24 * i64::from(PREVIEW_DAYS)))
            .unwrap_or(now);
        let mut reader = self.store().read(&actor.tenant).await?;
        let mut alerts = reader
            .q()
            .recent_alerts(rule_id, since, PREVIEW_ALERTS_MAX)
            .await?;
        drop(reader);
        let mut capped = alerts.len() >= PREVIEW_ALERTS_MAX as usize;
        let asks = |alert: &&Alert| trial.asks_event(&alert.rule_id);
        if alerts.iter().filter(asks).count() > PREVIEW_EVENTS_MAX {
            alerts.truncate(PREVIEW_EVENTS_MAX);
            capped = true;
        }
        let of_events = alerts
            .iter()
            .filter_map(|alert| Some((alert.rule_id.as_str(), exceptions::event_of(alert)?)));
        let events = self.fields_asked(&[&trial], of_events).await?;
        let matched = alerts
            .iter()
            .filter(|alert| exceptions::meets(&trial, alert, &events));
        let matched: Vec<&Alert> = matched.collect();
        Ok(SuppressionPreview {
            alerts_matched: matched.len() as u64,
            alerts_total: alerts.len() as u64,
            days: PREVIEW_DAYS,
            capped,
            examples: matched
                .into_iter()
                .take(PREVIEW_EXAMPLES)
                .cloned()
                .collect(),
        })
    }
}

fn check_shape(new: &NewSuppression) -> Result<(), CaseworkError> {
    let invalid = |field, reason: &str| {
        Err(CaseworkError::Invalid {
            field,
            reason: reason.to_owned(),
        })
    };
    if let Some(window) = &new.window {
        if window.from_minute >= 1440 || window.to_minute > 1440 {
            return invalid("window", "minutes of the day go from 0 to 1440");
        }
        if window.from_minute == window.to_minute {
            return invalid("window", "begins and ends at the same minute");
        }
        if jiff::tz::TimeZone::get(&window.zone).is_err() {
            return invalid("window", "names no time zone of the IANA database");
        }
    }
    if let Some(threshold) = &new.threshold {
        if !(2..=THRESHOLD_COUNT_MAX).contains(&threshold.count) {
            return invalid("threshold", "counts 2 to 100,000 findings");
        }
        if !(1..=THRESHOLD_WITHIN_MAX).contains(&threshold.within_s) {
            return invalid("threshold", "counts within one second to a week");
        }
        if new.rule_id.is_none() {
            return invalid("threshold", "belongs to one rule");
        }
    }
    Ok(())
}

/// Checks the conditions of a suppression.
///
/// # Errors
/// [`CaseworkError::Invalid`].
pub fn check_conditions(
    rule_id: Option<&str>,
    conditions: &[Condition],
) -> Result<(), CaseworkError> {
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
