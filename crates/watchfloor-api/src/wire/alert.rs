//! Alerts and suppressions.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfloor_model as model;

use super::{AlertStatus, Entity, HistoryEntry, Note, RiskPart, Severity, Verdict};
use crate::extract::present;
use crate::ports::{Event, RuleDetail};

/// An alert, as a row of the queue.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Alert {
    pub(crate) id: String,
    pub(crate) rule_id: String,
    pub(crate) rule_title: String,
    pub(crate) title: String,
    pub(crate) severity: Severity,
    /// How much it matters, from 0 to 100.
    pub(crate) risk: u8,
    pub(crate) status: AlertStatus,
    /// Event time of the first finding.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) time: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) updated_at: Timestamp,
    #[schema(required)]
    pub(crate) incident_id: Option<String>,
    #[schema(required)]
    pub(crate) assignee: Option<String>,
    #[schema(required)]
    pub(crate) verdict: Option<Verdict>,
    /// Findings it stands for.
    pub(crate) count: u64,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) first_time: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) last_time: Timestamp,
    pub(crate) source: String,
    pub(crate) summary: String,
    pub(crate) entities: Vec<Entity>,
    pub(crate) tactics: Vec<String>,
    pub(crate) techniques: Vec<String>,
    pub(crate) version: u64,
}

impl From<&model::Alert> for Alert {
    fn from(alert: &model::Alert) -> Self {
        Self {
            id: alert.id.to_string(),
            rule_id: alert.rule_id.clone(),
            rule_title: alert.rule_title.clone(),
            title: alert.title.clone(),
            severity: alert.severity.into(),
            risk: alert.risk.score,
            status: alert.status.into(),
            time: alert.time,
            created_at: alert.created_at,
            updated_at: alert.updated_at,
            incident_id: alert.incident_id().map(ToString::to_string),
            assignee: alert.assignee.clone(),
            verdict: alert.verdict.map(Into::into),
            count: alert.count,
            first_time: alert.first_time,
            last_time: alert.last_time,
            source: alert.source.clone(),
            summary: alert.summary.clone(),
            entities: super::entities(&alert.entities),
            tactics: alert.tactics.clone(),
            techniques: alert.techniques.clone(),
            version: alert.version,
        }
    }
}

/// One matched field: why the rule fired.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MatchedField {
    /// Name of the field in the event's `fields`; empty for a keyword.
    pub(crate) field: String,
    pub(crate) value: String,
    pub(crate) pattern: String,
    pub(crate) selection: String,
}

/// The incident it belongs to, and why.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Attachment {
    pub(crate) incident_id: String,
    /// Sentences.
    pub(crate) reasons: Vec<String>,
}

/// An earlier conclusion on the same rule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Judgement {
    pub(crate) alert_id: String,
    pub(crate) verdict: Verdict,
    #[schema(required)]
    pub(crate) reason: Option<String>,
    pub(crate) actor: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
}

/// An alert with everything its page shows at once.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertDetail {
    #[serde(flatten)]
    pub(crate) alert: Alert,
    pub(crate) reasons: Vec<MatchedField>,
    /// The parts of its risk.
    pub(crate) risk_parts: Vec<RiskPart>,
    /// The last event; `null` when the lake holds it no more.
    #[schema(required)]
    pub(crate) event: Option<Event>,
    /// The rule; `null` when it is not loaded any more.
    #[schema(required)]
    pub(crate) rule: Option<RuleDetail>,
    /// Hash of the rule's text when it fired.
    pub(crate) rule_version: String,
    #[schema(required)]
    pub(crate) verdict_reason: Option<String>,
    #[schema(required)]
    pub(crate) attachment: Option<Attachment>,
    pub(crate) history: Vec<HistoryEntry>,
    pub(crate) notes: Vec<Note>,
    pub(crate) judgements: Vec<Judgement>,
    /// How many of each verdict there are on this rule.
    pub(crate) judgement_counts: BTreeMap<String, u64>,
    pub(crate) event_ids: Vec<String>,
}

/// A process, as a node of a tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct ProcessNode {
    pub(crate) id: String,
    #[schema(required)]
    pub(crate) parent_id: Option<String>,
    pub(crate) name: String,
    pub(crate) cmd_line: String,
    pub(crate) user: String,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) time: Option<Timestamp>,
    /// Whether an event of the alert shows it.
    pub(crate) is_alerted: bool,
    /// The event that shows it; `null` for a parent known only by name.
    #[schema(required)]
    pub(crate) event_id: Option<String>,
}

/// What happened around an alert.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AlertContext {
    pub(crate) events: Vec<Event>,
    pub(crate) total: u64,
    pub(crate) capped: bool,
    pub(crate) process_tree: Vec<ProcessNode>,
    pub(crate) same_rule: Vec<Alert>,
}

/// Which alerts, in which order.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AlertQuery {
    /// States, comma-separated.
    pub(crate) status: Option<String>,
    /// Severities, comma-separated.
    pub(crate) severity: Option<String>,
    /// Name of a user, or `none`.
    pub(crate) assignee: Option<String>,
    /// Id of an incident, or `none`.
    pub(crate) incident_id: Option<String>,
    /// Id of a rule.
    pub(crate) rule_id: Option<String>,
    /// Value of an entity, or `kind:value`.
    pub(crate) entity: Option<String>,
    /// Text in title, summary, rule, source or entities.
    pub(crate) q: Option<String>,
    /// Event time from (inclusive).
    pub(crate) from: Option<String>,
    /// Event time to (exclusive).
    pub(crate) to: Option<String>,
    /// `time`, `last_time`, `created_at`, `updated_at`, `severity`, `count`, `risk` or `due`; `-` before it for descending. Default `-time`.
    pub(crate) sort: Option<String>,
    /// `at_risk` (breached ones too) or `breached`: how the clock of a first look stands, where
    /// the alert belongs to no incident.
    pub(crate) clock: Option<String>,
    /// From `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Rows of a page, 1 to 1,000; default 100.
    pub(crate) limit: Option<u32>,
}

/// How far around an alert.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ContextQuery {
    /// Minutes before and after, 1 to 1,440; default 15.
    pub(crate) minutes: Option<u32>,
}

/// To whom.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    /// Name of a user; `null` for nobody.
    pub(crate) assignee: Option<String>,
}

/// With which conclusion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    pub(crate) verdict: Verdict,
    /// Needed for `false_positive`.
    pub(crate) reason: Option<String>,
}

/// To which incident.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attach {
    /// Id of an incident; `null` opens a new one.
    pub(crate) incident_id: Option<String>,
    /// Why; remembered with the correction.
    pub(crate) reason: Option<String>,
}

/// Why somebody corrects.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct Because {
    /// Why; remembered with the correction.
    pub(crate) reason: Option<String>,
}

/// What to do with several alerts.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum BulkActionName {
    Acknowledge,
    Assign,
    Close,
    Attach,
}

/// Several alerts and what to do with them.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bulk {
    /// At most 1,000; none if `matching` is given.
    #[serde(default)]
    pub(crate) ids: Vec<String>,
    /// All that match, as the queue is filtered, instead of `ids`.
    pub(crate) matching: Option<BulkFilter>,
    pub(crate) action: BulkActionName,
    /// For `assign`; `null` for nobody.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    pub(crate) assignee: Option<Option<String>>,
    /// For `close`.
    pub(crate) verdict: Option<Verdict>,
    /// For `close` and `attach`.
    pub(crate) reason: Option<String>,
    /// For `attach`; absent or `null` opens a new one.
    pub(crate) incident_id: Option<String>,
}

/// Which alerts a bulk action is for; each as in the query of the queue.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct BulkFilter {
    pub(crate) status: Option<String>,
    pub(crate) severity: Option<String>,
    pub(crate) assignee: Option<String>,
    pub(crate) incident_id: Option<String>,
    pub(crate) rule_id: Option<String>,
    pub(crate) entity: Option<String>,
    pub(crate) q: Option<String>,
    pub(crate) from: Option<String>,
    pub(crate) to: Option<String>,
    pub(crate) clock: Option<String>,
}

impl From<BulkFilter> for AlertQuery {
    fn from(filter: BulkFilter) -> Self {
        Self {
            status: filter.status,
            severity: filter.severity,
            assignee: filter.assignee,
            incident_id: filter.incident_id,
            rule_id: filter.rule_id,
            entity: filter.entity,
            q: filter.q,
            from: filter.from,
            to: filter.to,
            clock: filter.clock,
            sort: None,
            cursor: None,
            limit: None,
        }
    }
}

/// An alert that was not changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkFailure {
    pub(crate) id: String,
    pub(crate) reason: String,
}

/// What became of several alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BulkResult {
    pub(crate) done: Vec<String>,
    pub(crate) failed: Vec<BulkFailure>,
    /// For `attach`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) incident_id: Option<String>,
}
