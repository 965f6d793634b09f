//! Kept questions.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::Severity;

mirrored!(
    /// Who sees a kept question.
    SearchSharing = model::SearchSharing { Own, Tenant }
);

/// When a question is asked by itself.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum SearchSchedule {
    /// Every so many minutes.
    Every {
        /// 1 to 10,080.
        minutes: u32,
    },
    /// Once a day.
    Daily {
        /// Minute of the day, 0 to 1439.
        minute: u16,
        /// Time zone, as in the IANA database.
        zone: String,
    },
}

/// When an answer is worth an alert.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchAlarm {
    /// As soon as there are so many rows.
    pub(crate) rows: u64,
    /// How grave.
    pub(crate) severity: Severity,
    /// Columns whose values tell one alert from another; all rows together if there are none.
    #[serde(default)]
    pub(crate) key: Vec<String>,
}

/// How the last asking went.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SearchRun {
    /// When it began.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    /// How long it took.
    pub(crate) took_ms: u64,
    /// Rows or events that were found.
    pub(crate) rows: u64,
    /// Whether there were more rows than are looked at.
    pub(crate) capped: bool,
    /// Alerts and repeats of alerts that it raised.
    pub(crate) alerts: u64,
    /// Why it failed, if it did.
    #[schema(required)]
    pub(crate) error: Option<String>,
}

/// A kept question.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SavedSearch {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) query: String,
    /// The time that it looks back over, such as `24h`, or `all`.
    pub(crate) span: String,
    pub(crate) sharing: SearchSharing,
    pub(crate) created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) updated_at: Timestamp,
    /// Whether it stands on the first page.
    pub(crate) panel: bool,
    #[schema(required)]
    pub(crate) schedule: Option<SearchSchedule>,
    #[schema(required)]
    pub(crate) alarm: Option<SearchAlarm>,
    #[schema(required)]
    pub(crate) last_run: Option<SearchRun>,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) next_run_at: Option<Timestamp>,
    pub(crate) version: u64,
}

impl From<model::SavedSearch> for SavedSearch {
    fn from(search: model::SavedSearch) -> Self {
        Self {
            id: search.id.to_string(),
            name: search.name,
            description: search.description,
            query: search.query,
            span: search.span,
            sharing: search.sharing.into(),
            created_by: search.created_by,
            created_at: search.created_at,
            updated_at: search.updated_at,
            panel: search.is_panel,
            schedule: search.schedule.map(|schedule| match schedule {
                model::SearchSchedule::Every { minutes } => SearchSchedule::Every { minutes },
                model::SearchSchedule::Daily { minute, zone } => {
                    SearchSchedule::Daily { minute, zone }
                }
            }),
            alarm: search.alarm.map(|alarm| SearchAlarm {
                rows: alarm.rows,
                severity: alarm.severity.into(),
                key: alarm.key,
            }),
            last_run: search.last_run.map(|run| SearchRun {
                at: run.at,
                took_ms: run.took_ms,
                rows: run.rows,
                capped: run.capped,
                alerts: run.alerts,
                error: run.error,
            }),
            next_run_at: search.next_run_at,
            version: search.version,
        }
    }
}

fn own() -> SearchSharing {
    SearchSharing::Own
}

/// A question to be kept.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewSearch {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    /// In any form of the hunt language.
    pub(crate) query: String,
    /// The time that it looks back over, such as `24h`, or `all`.
    pub(crate) span: String,
    #[serde(default = "own")]
    pub(crate) sharing: SearchSharing,
    /// Whether it stands on the first page.
    #[serde(default)]
    pub(crate) panel: bool,
    pub(crate) schedule: Option<SearchSchedule>,
    /// Needs a schedule.
    pub(crate) alarm: Option<SearchAlarm>,
}

impl From<NewSearch> for casework::NewSearch {
    fn from(new: NewSearch) -> Self {
        Self {
            name: new.name,
            description: new.description,
            query: new.query,
            span: new.span,
            sharing: new.sharing.into(),
            is_panel: new.panel,
            schedule: new.schedule.map(|schedule| match schedule {
                SearchSchedule::Every { minutes } => model::SearchSchedule::Every { minutes },
                SearchSchedule::Daily { minute, zone } => {
                    model::SearchSchedule::Daily { minute, zone }
                }
            }),
            alarm: new.alarm.map(|alarm| model::SearchAlarm {
                rows: alarm.rows,
                severity: alarm.severity.into(),
                key: alarm.key,
            }),
        }
    }
}

/// A question that becomes a rule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DraftRule {
    /// Title of the rule.
    pub(crate) title: String,
    /// Words and `field:value`.
    pub(crate) query: String,
}

/// A rule made of a question.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RuleDraft {
    /// In Sigma's YAML.
    pub(crate) yaml: String,
}
