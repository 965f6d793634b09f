//! Wire types of cases and access: what the console reads and writes.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfloor_model as model;

macro_rules! mirrored {
    ($(#[$doc:meta])* $name:ident = $model:path { $($variant:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        #[allow(missing_docs)]
        pub(crate) enum $name { $($variant),+ }

        impl From<$model> for $name {
            fn from(value: $model) -> Self {
                match value { $(<$model>::$variant => Self::$variant),+ }
            }
        }

        impl From<$name> for $model {
            fn from(value: $name) -> Self {
                match value { $($name::$variant => Self::$variant),+ }
            }
        }
    };
}

pub(crate) mod access;
pub(crate) mod alert;
pub(crate) mod clock;
pub(crate) mod duty;
pub(crate) mod fleet;
pub(crate) mod handover;
pub(crate) mod incident;
pub(crate) mod playbook;
pub(crate) mod response;
pub(crate) mod rule;
pub(crate) mod search;
pub(crate) mod storage;
pub(crate) mod suppression;

mirrored!(
    /// How grave.
    Severity = model::Severity { Informational, Low, Medium, High, Critical }
);
mirrored!(
    /// What a person concluded.
    Verdict = model::Verdict { TruePositive, BenignPositive, FalsePositive, Inconclusive }
);
mirrored!(
    /// State of an alert.
    AlertStatus = model::AlertStatus { New, Acknowledged, InProgress, Closed }
);
mirrored!(
    /// State of an incident.
    IncidentStatus = model::IncidentStatus { New, InProgress, Contained, Resolved, Closed }
);
mirrored!(
    /// State of a task.
    TaskStatus = model::TaskStatus { Open, Done }
);
mirrored!(
    /// What is to be reached in time.
    ClockKind = model::ClockKind { Acknowledge, Contain, Resolve }
);
mirrored!(
    /// How a clock stands.
    ClockState = model::ClockState { Running, AtRisk, Breached, Met, Missed }
);
mirrored!(
    /// Whom an escalation goes to.
    Recipient = model::Recipient { Primary, Secondary, Leads }
);
mirrored!(
    /// What a user is.
    Role = model::Role { Viewer, Analyst, Lead, Admin }
);
mirrored!(
    /// What an API token is for.
    Scope = model::Scope { Ingest, Read, Write, Admin }
);
mirrored!(
    /// Kind of an entity or observable.
    EntityKind = model::EntityKind { Host, User, Process, Address, Domain, File, Hash, Url }
);

mirrored!(
    /// What a part of a risk is about.
    RiskKind = model::RiskKind { Severity, Criticality, Indicator, Rarity, Vulnerability, Progress }
);

/// One part of a risk.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct RiskPart {
    /// What it is about.
    pub(crate) kind: RiskKind,
    /// Its points.
    pub(crate) points: u8,
    /// Most points that it can have.
    pub(crate) max: u8,
    /// Why it has them.
    pub(crate) reason: String,
}

pub(crate) fn risk_parts(risk: &model::Risk) -> Vec<RiskPart> {
    risk.parts
        .iter()
        .map(|part| RiskPart {
            kind: part.kind.into(),
            points: part.points,
            max: part.max,
            reason: part.reason.clone(),
        })
        .collect()
}

/// A list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct List<T> {
    /// The rows.
    pub(crate) items: Vec<T>,
    /// Cursor of the next page.
    #[schema(required)]
    pub(crate) next: Option<String>,
}

impl<T> List<T> {
    /// A list that is whole.
    pub(crate) const fn whole(items: Vec<T>) -> Self {
        Self { items, next: None }
    }
}

/// A list with its exact length.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CountedList<T> {
    /// The rows of this page.
    pub(crate) items: Vec<T>,
    /// Cursor of the next page.
    #[schema(required)]
    pub(crate) next: Option<String>,
    /// Rows of the whole list.
    pub(crate) total: u64,
}

/// Somebody or something that took part.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Entity {
    /// Kind.
    pub(crate) kind: EntityKind,
    /// Name.
    pub(crate) value: String,
    /// Part, such as `source`, `target`.
    pub(crate) role: String,
}

impl From<&model::Entity> for Entity {
    fn from(entity: &model::Entity) -> Self {
        Self {
            kind: entity.kind.into(),
            value: entity.value.clone(),
            role: entity.role.clone(),
        }
    }
}

pub(crate) fn entities(list: &[model::Entity]) -> Vec<Entity> {
    list.iter().map(Entity::from).collect()
}

/// A change in the history of a record.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HistoryEntry {
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: jiff::Timestamp,
    /// Who.
    pub(crate) actor: String,
    /// What, as `noun.verb`.
    pub(crate) action: String,
    /// In words.
    pub(crate) detail: String,
}

pub(crate) fn history(entries: Vec<model::AuditEntry>) -> Vec<HistoryEntry> {
    entries
        .into_iter()
        .map(|entry| HistoryEntry {
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            detail: entry.detail,
        })
        .collect()
}

/// A note.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Note {
    /// Its id.
    pub(crate) id: String,
    /// The text.
    pub(crate) text: String,
    /// Who wrote it.
    pub(crate) author: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: jiff::Timestamp,
}

impl From<model::Note> for Note {
    fn from(note: model::Note) -> Self {
        Self {
            id: note.id.to_string(),
            text: note.text,
            author: note.author,
            created_at: note.created_at,
        }
    }
}

/// A note to be written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewNote {
    /// The text.
    pub(crate) text: String,
}
