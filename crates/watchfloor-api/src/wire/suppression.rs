//! Suppressions: exceptions to rules, each with a reason.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::alert::Alert;

mirrored!(
    /// How a condition's value is compared, regardless of case. `is` takes `*` for any run of
    /// characters.
    ConditionOp = model::ConditionOp { Is, Contains, StartsWith, EndsWith }
);

fn is() -> ConditionOp {
    ConditionOp::Is
}

/// One condition; all of a suppression's must hold.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Condition {
    /// `entity.<kind>`, `entity.any`, `source`, or the full name of a field of the event.
    pub(crate) field: String,
    #[serde(default = "is")]
    pub(crate) op: ConditionOp,
    pub(crate) value: String,
}

/// Hours of the day.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DayWindow {
    /// First minute of the day, 0 to 1439.
    pub(crate) from_minute: u16,
    /// Minute after the last, up to 1440; before the first, it is on the next day.
    pub(crate) to_minute: u16,
    /// Time zone of both, as in the IANA database.
    pub(crate) zone: String,
}

/// Only so many findings within a time are worth an alert.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Threshold {
    /// Findings that make the first alert, at least 2.
    pub(crate) count: u32,
    /// Within so many seconds of event time, at most a week.
    pub(crate) within_s: u32,
    /// Counted per value of this field, named as in a condition; all together if empty.
    #[serde(default)]
    pub(crate) per: String,
}

/// What shall not become an alert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Suppression {
    pub(crate) id: String,
    #[schema(required)]
    pub(crate) rule_id: Option<String>,
    pub(crate) conditions: Vec<Condition>,
    /// Hours of the day in which it holds; `null` for all.
    #[schema(required)]
    pub(crate) window: Option<DayWindow>,
    /// How many findings it holds back before it lets one through; `null` for all.
    #[schema(required)]
    pub(crate) threshold: Option<Threshold>,
    pub(crate) reason: String,
    pub(crate) created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    /// `null` for never.
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<Timestamp>,
    /// Findings held back.
    pub(crate) count: u64,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) last_at: Option<Timestamp>,
    /// Whether it is in force.
    pub(crate) active: bool,
}

/// A suppression to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSuppression {
    /// `null` for all rules; then conditions are needed.
    pub(crate) rule_id: Option<String>,
    #[serde(default)]
    pub(crate) conditions: Vec<Condition>,
    pub(crate) window: Option<DayWindow>,
    pub(crate) threshold: Option<Threshold>,
    pub(crate) reason: String,
    /// `null` for never.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) expires_at: Option<Timestamp>,
}

/// A suppression to be tried; what else a suppression has is accepted and not looked at.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TrySuppression {
    pub(crate) rule_id: Option<String>,
    #[serde(default)]
    pub(crate) conditions: Vec<Condition>,
    pub(crate) window: Option<DayWindow>,
}

/// What a suppression would have held back.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SuppressionPreview {
    pub(crate) alerts_matched: u64,
    /// Alerts that were looked at: of its rule, or of all.
    pub(crate) alerts_total: u64,
    pub(crate) days: u32,
    /// Whether there are more alerts than were looked at.
    pub(crate) capped: bool,
    /// The newest of those it would have held back.
    pub(crate) examples: Vec<Alert>,
}

impl From<model::Condition> for Condition {
    fn from(condition: model::Condition) -> Self {
        Self {
            field: condition.field,
            op: condition.op.into(),
            value: condition.value,
        }
    }
}

impl From<Condition> for model::Condition {
    fn from(condition: Condition) -> Self {
        Self {
            field: condition.field,
            op: condition.op.into(),
            value: condition.value,
        }
    }
}

pub(crate) fn conditions(list: Vec<Condition>) -> Vec<model::Condition> {
    list.into_iter().map(Into::into).collect()
}

impl From<DayWindow> for model::DayWindow {
    fn from(window: DayWindow) -> Self {
        Self {
            from_minute: window.from_minute,
            to_minute: window.to_minute,
            zone: window.zone,
        }
    }
}

impl From<Threshold> for model::Threshold {
    fn from(threshold: Threshold) -> Self {
        Self {
            count: threshold.count,
            within_s: threshold.within_s,
            per: threshold.per,
        }
    }
}

impl Suppression {
    pub(crate) fn new(suppression: model::Suppression, now: Timestamp) -> Self {
        Self {
            active: suppression.is_active(now),
            id: suppression.id.to_string(),
            rule_id: suppression.rule_id,
            conditions: suppression.conditions.into_iter().map(Into::into).collect(),
            window: suppression.window.map(|window| DayWindow {
                from_minute: window.from_minute,
                to_minute: window.to_minute,
                zone: window.zone,
            }),
            threshold: suppression.threshold.map(|threshold| Threshold {
                count: threshold.count,
                within_s: threshold.within_s,
                per: threshold.per,
            }),
            reason: suppression.reason,
            created_by: suppression.created_by,
            created_at: suppression.created_at,
            expires_at: suppression.expires_at,
            count: suppression.count,
            last_at: suppression.last_at,
        }
    }
}

impl From<NewSuppression> for casework::NewSuppression {
    fn from(new: NewSuppression) -> Self {
        Self {
            rule_id: crate::routes::not_blank(new.rule_id),
            conditions: conditions(new.conditions),
            window: new.window.map(Into::into),
            threshold: new.threshold.map(Into::into),
            reason: new.reason,
            expires_at: new.expires_at,
        }
    }
}

impl From<casework::SuppressionPreview> for SuppressionPreview {
    fn from(preview: casework::SuppressionPreview) -> Self {
        Self {
            alerts_matched: preview.alerts_matched,
            alerts_total: preview.alerts_total,
            days: preview.days,
            capped: preview.capped,
            examples: preview.examples.iter().map(Alert::from).collect(),
        }
    }
}
