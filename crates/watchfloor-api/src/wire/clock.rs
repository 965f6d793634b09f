//! Service levels, escalation and times.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::{ClockKind, ClockState, Recipient, Severity};
use crate::extract::id;
use crate::problem::ApiError;

/// A clock as it stands.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct ClockFace {
    pub(crate) kind: ClockKind,
    pub(crate) target_min: u32,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) due_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) reached_at: Option<Timestamp>,
    /// Time that ran on it.
    pub(crate) elapsed_s: i64,
    pub(crate) state: ClockState,
}

impl From<model::ClockFace> for ClockFace {
    fn from(face: model::ClockFace) -> Self {
        Self {
            kind: face.kind.into(),
            target_min: face.target_min,
            due_at: face.due_at,
            reached_at: face.reached_at,
            elapsed_s: face.elapsed.as_secs(),
            state: face.state.into(),
        }
    }
}

/// Targets of a severity in minutes from detection; `null` sets none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Targets {
    #[schema(required)]
    pub(crate) acknowledge: Option<u32>,
    #[schema(required)]
    pub(crate) contain: Option<u32>,
    #[schema(required)]
    pub(crate) resolve: Option<u32>,
}

impl From<model::Targets> for Targets {
    fn from(targets: model::Targets) -> Self {
        Self {
            acknowledge: targets.acknowledge,
            contain: targets.contain,
            resolve: targets.resolve,
        }
    }
}

impl From<Targets> for model::Targets {
    fn from(targets: Targets) -> Self {
        Self {
            acknowledge: targets.acknowledge,
            contain: targets.contain,
            resolve: targets.resolve,
        }
    }
}

/// Targets by severity.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TargetsBySeverity {
    pub(crate) informational: Targets,
    pub(crate) low: Targets,
    pub(crate) medium: Targets,
    pub(crate) high: Targets,
    pub(crate) critical: Targets,
}

/// Until when what is to be reached.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ServiceLevels {
    pub(crate) targets: TargetsBySeverity,
    /// 0 while nobody changed them.
    pub(crate) version: u64,
    #[schema(required)]
    pub(crate) changed_by: Option<String>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) changed_at: Option<Timestamp>,
}

impl From<model::ServiceLevels> for ServiceLevels {
    fn from(levels: model::ServiceLevels) -> Self {
        let of = |severity| Targets::from(*levels.of(severity));
        Self {
            targets: TargetsBySeverity {
                informational: of(model::Severity::Informational),
                low: of(model::Severity::Low),
                medium: of(model::Severity::Medium),
                high: of(model::Severity::High),
                critical: of(model::Severity::Critical),
            },
            version: levels.version,
            changed_by: levels.changed_by,
            changed_at: levels.changed_at,
        }
    }
}

/// Targets that are to hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewServiceLevels {
    pub(crate) targets: TargetsBySeverity,
}

impl From<NewServiceLevels> for model::ServiceLevels {
    fn from(new: NewServiceLevels) -> Self {
        let by = new.targets;
        let targets = [by.informational, by.low, by.medium, by.high, by.critical];
        Self {
            targets: targets.map(Into::into),
            ..Self::standard()
        }
    }
}

/// One level of an escalation.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct EscalationLevel {
    pub(crate) clock: ClockKind,
    /// Once so many percent of the target are over.
    #[schema(required)]
    pub(crate) after_percent: Option<u32>,
    /// Or once so many minutes are over.
    #[schema(required)]
    pub(crate) after_minutes: Option<u32>,
    pub(crate) severity_min: Severity,
    pub(crate) recipient: Recipient,
    /// In the console alone without.
    #[schema(required)]
    pub(crate) connector_id: Option<String>,
}

/// Whom to tell, and when, if nobody answers.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EscalationPolicy {
    pub(crate) is_on: bool,
    #[schema(required)]
    pub(crate) primary: Option<String>,
    #[schema(required)]
    pub(crate) secondary: Option<String>,
    /// Whether alerts that belong to no incident count too.
    pub(crate) with_alerts: bool,
    pub(crate) levels: Vec<EscalationLevel>,
    pub(crate) version: u64,
    #[schema(required)]
    pub(crate) changed_by: Option<String>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) changed_at: Option<Timestamp>,
}

impl From<model::EscalationPolicy> for EscalationPolicy {
    fn from(policy: model::EscalationPolicy) -> Self {
        let levels = policy.levels.into_iter().map(|level| EscalationLevel {
            clock: level.clock.into(),
            after_percent: level.after_percent,
            after_minutes: level.after_minutes,
            severity_min: level.severity_min.into(),
            recipient: level.recipient.into(),
            connector_id: level.connector_id.map(|id| id.to_string()),
        });
        Self {
            is_on: policy.is_on,
            primary: policy.primary.map(|id| id.to_string()),
            secondary: policy.secondary.map(|id| id.to_string()),
            with_alerts: policy.with_alerts,
            levels: levels.collect(),
            version: policy.version,
            changed_by: policy.changed_by,
            changed_at: policy.changed_at,
        }
    }
}

/// Whom to tell from now on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEscalationPolicy {
    pub(crate) is_on: bool,
    pub(crate) primary: Option<String>,
    pub(crate) secondary: Option<String>,
    #[serde(default)]
    pub(crate) with_alerts: bool,
    pub(crate) levels: Vec<EscalationLevel>,
}

impl TryFrom<NewEscalationPolicy> for model::EscalationPolicy {
    type Error = ApiError;

    fn try_from(new: NewEscalationPolicy) -> Result<Self, ApiError> {
        let rotation = |text: Option<String>| text.map(|text| id(&text)).transpose();
        let levels = new.levels.into_iter().map(|level| {
            Ok(model::EscalationLevel {
                clock: level.clock.into(),
                after_percent: level.after_percent,
                after_minutes: level.after_minutes,
                severity_min: level.severity_min.into(),
                recipient: level.recipient.into(),
                connector_id: level.connector_id.map(|text| id(&text)).transpose()?,
            })
        });
        Ok(Self {
            is_on: new.is_on,
            primary: rotation(new.primary)?,
            secondary: rotation(new.secondary)?,
            with_alerts: new.with_alerts,
            levels: levels.collect::<Result<_, ApiError>>()?,
            ..Self::default()
        })
    }
}

/// That somebody was told.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct Escalation {
    pub(crate) id: String,
    /// Id of the incident or alert.
    pub(crate) subject: String,
    pub(crate) title: String,
    pub(crate) severity: Severity,
    pub(crate) clock: ClockKind,
    pub(crate) level: u32,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) due_at: Timestamp,
    pub(crate) recipients: Vec<String>,
    /// The action that tells them.
    #[schema(required)]
    pub(crate) action_id: Option<String>,
    /// Why nobody could be told outside of the console.
    #[schema(required)]
    pub(crate) trouble: Option<String>,
}

impl From<model::Escalation> for Escalation {
    fn from(one: model::Escalation) -> Self {
        Self {
            id: one.id.to_string(),
            subject: one.subject,
            title: one.title,
            severity: one.severity.into(),
            clock: one.clock.into(),
            level: one.level,
            at: one.at,
            due_at: one.due_at,
            recipients: one.recipients,
            action_id: one.action_id.map(|id| id.to_string()),
            trouble: one.trouble,
        }
    }
}

/// Which escalations.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct EscalationQuery {
    /// From this time; default seven days ago.
    pub(crate) from: Option<String>,
    /// Of one incident or alert.
    pub(crate) subject: Option<String>,
}

/// Which times.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PerformanceQuery {
    /// Detected from this time; default 12 weeks ago.
    pub(crate) from: Option<String>,
    /// Detected before this time; default now.
    pub(crate) to: Option<String>,
    /// Conclusions, comma-separated; `none` for none yet. All by default.
    pub(crate) verdict: Option<String>,
    /// Time zone in which weeks begin; default UTC.
    pub(crate) zone: Option<String>,
}

/// One figure.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TimesFigure {
    /// Incidents behind it.
    pub(crate) count: u64,
    pub(crate) median_s: i64,
    /// Nine of ten took no longer.
    pub(crate) p90_s: i64,
    /// How many kept the target that holds now; `null` where there is none.
    #[schema(required)]
    pub(crate) in_time: Option<u64>,
    /// How many of them had a target.
    pub(crate) with_target: u64,
}

/// Figures of some incidents.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct TimesFigures {
    pub(crate) incidents: u64,
    /// Times that one was opened again.
    pub(crate) reopened: u64,
    /// From the earliest evidence to detection.
    #[schema(required)]
    pub(crate) detect: Option<TimesFigure>,
    #[schema(required)]
    pub(crate) acknowledge: Option<TimesFigure>,
    #[schema(required)]
    pub(crate) contain: Option<TimesFigure>,
    #[schema(required)]
    pub(crate) resolve: Option<TimesFigure>,
}

impl From<casework::Figures> for TimesFigures {
    fn from(figures: casework::Figures) -> Self {
        let of = |measure| {
            let figure = figures.figures.get(&measure);
            figure.map(|figure| TimesFigure {
                count: figure.count,
                median_s: figure.median_s,
                p90_s: figure.p90_s,
                in_time: figure.in_time,
                with_target: figure.with_target,
            })
        };
        Self {
            incidents: figures.incidents,
            reopened: figures.reopened,
            detect: of(casework::Measure::Detect),
            acknowledge: of(casework::Measure::Acknowledge),
            contain: of(casework::Measure::Contain),
            resolve: of(casework::Measure::Resolve),
        }
    }
}

/// A week.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimesWeek {
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    pub(crate) figures: TimesFigures,
}

/// Times over a span.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Performance {
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    pub(crate) all: TimesFigures,
    /// Severities that occur.
    pub(crate) by_severity: BTreeMap<String, TimesFigures>,
    /// Weeks that occur, in order.
    pub(crate) by_week: Vec<TimesWeek>,
    /// Incidents of the span by conclusion, whatever was asked for; `none` for none yet.
    pub(crate) verdicts: BTreeMap<String, u64>,
    /// There are more incidents than are looked at; the latest are left out.
    pub(crate) capped: bool,
}
