//! Rules: their pages and the texts they had.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfloor_casework::RuleVersionWithAlerts;
use watchfloor_model as model;

use super::suppression::{Condition, DayWindow, Suppression};
use crate::ports::{RuleDetail, RuleFacts, RuleInfo};

/// Which rules.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RuleQuery {
    /// Text in title, id, tags, log source or path.
    pub(crate) q: Option<String>,
}

/// The event that a rule is explained on: one of `event_id` and `raw`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Explain {
    /// Id of a stored event.
    pub(crate) event_id: Option<String>,
    /// A raw record.
    pub(crate) raw: Option<String>,
    /// Format of the raw record, such as `json`; found from the text where none is named.
    pub(crate) format: Option<String>,
}

/// A text that a rule had, without the text.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleVersionRow {
    /// Hash of the text.
    pub(crate) version: String,
    pub(crate) title: String,
    /// When it was first in force.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) first_at: Timestamp,
    /// When it was last taken into force.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) last_at: Timestamp,
    /// Alerts that rest on it.
    pub(crate) alerts: u64,
}

impl From<RuleVersionWithAlerts> for RuleVersionRow {
    fn from(one: RuleVersionWithAlerts) -> Self {
        Self {
            version: one.version.version,
            title: one.version.title,
            first_at: one.version.first_at,
            last_at: one.version.last_at,
            alerts: one.alerts,
        }
    }
}

/// A text that a rule had.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleText {
    pub(crate) rule_id: String,
    /// Hash of the text.
    pub(crate) version: String,
    pub(crate) title: String,
    /// The file it came from.
    pub(crate) path: String,
    pub(crate) yaml: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) first_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) last_at: Timestamp,
}

impl From<model::RuleVersion> for RuleText {
    fn from(version: model::RuleVersion) -> Self {
        Self {
            rule_id: version.rule_id,
            version: version.version,
            title: version.title,
            path: version.path,
            yaml: version.yaml,
            first_at: version.first_at,
            last_at: version.last_at,
        }
    }
}

/// What a rule is to be tried on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backtest {
    /// A rule that is in force or suspended.
    pub(crate) rule_id: Option<String>,
    /// The text of a rule, which need not be in force; goes before `rule_id`.
    pub(crate) yaml: Option<String>,
    /// Days before now, 1 to 366; default 30.
    #[serde(default = "thirty")]
    pub(crate) days: u32,
    /// Conditions of a proposed exception.
    #[serde(default)]
    pub(crate) conditions: Vec<Condition>,
    /// Hours of the day of a proposed exception.
    pub(crate) window: Option<DayWindow>,
}

const fn thirty() -> u32 {
    30
}

/// Why a rule is to be suspended.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SuspendRule {
    pub(crate) reason: String,
}

/// A rule with everything its page shows at once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RulePage {
    pub(crate) id: String,
    pub(crate) title: String,
    /// As a row; `null` when it is not in force (any more).
    #[schema(required)]
    pub(crate) info: Option<RuleInfo>,
    /// In full; `null` when it is not in force (any more).
    #[schema(required)]
    pub(crate) detail: Option<RuleDetail>,
    /// What is known of it; `null` when it is not in force (any more).
    #[schema(required)]
    pub(crate) facts: Option<RuleFacts>,
    /// The texts it had, newest first.
    pub(crate) versions: Vec<RuleVersionRow>,
    /// Exceptions for this rule, ended ones too.
    pub(crate) exceptions: Vec<Suppression>,
}
