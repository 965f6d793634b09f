//! How long events are kept, holds, and deletions on demand.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use watchfloor_casework as casework;
use watchfloor_model as model;

use crate::ports::{ErasureCount, StorageUsage};

mirrored!(
    /// Where a deletion stands.
    ErasureState = model::ErasureState { Running, Done, Failed }
);

/// How long the events of some sources or of a class are kept.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RetentionRule {
    /// Sources, with `*` and `?`; all, if left out.
    #[serde(default)]
    #[schema(required)]
    pub(crate) source: Option<String>,
    /// OCSF class; all, if left out.
    #[serde(default)]
    #[schema(required)]
    pub(crate) class_uid: Option<i32>,
    /// Days after receipt, 1 to 36,500.
    pub(crate) days: u32,
}

/// What is kept for how long.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(crate) struct Retention {
    /// The first that fits an event counts.
    pub(crate) rules: Vec<RetentionRule>,
    /// Days after receipt for events that no rule fits; `null` for ever.
    #[schema(required)]
    pub(crate) default_days: Option<u32>,
    /// Days after which events go to the cold table, if there is one.
    #[schema(required)]
    pub(crate) cold_after_days: Option<u32>,
    /// Grows with each change.
    pub(crate) version: u64,
    #[schema(required)]
    pub(crate) changed_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub(crate) changed_at: Option<Timestamp>,
}

/// A change of what is kept for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewRetention {
    pub(crate) rules: Vec<RetentionRule>,
    #[serde(default)]
    pub(crate) default_days: Option<u32>,
    #[serde(default)]
    pub(crate) cold_after_days: Option<u32>,
    /// The version that was read.
    pub(crate) version: u64,
}

/// Events that nothing deletes until somebody releases them.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LegalHold {
    pub(crate) id: String,
    /// Which events, in the hunt language; empty for all.
    pub(crate) query: String,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub(crate) from: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub(crate) to: Option<Timestamp>,
    pub(crate) reason: String,
    pub(crate) created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(required)]
    pub(crate) released_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub(crate) released_at: Option<Timestamp>,
}

/// A new legal hold.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewLegalHold {
    /// Which events, in the hunt language; all in the time, if left out.
    #[serde(default)]
    pub(crate) query: String,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) from: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub(crate) to: Option<Timestamp>,
    pub(crate) reason: String,
}

/// Why a hold ends.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseHold {
    pub(crate) reason: String,
}

/// A deletion of what a search finds.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Erasure {
    pub(crate) id: String,
    /// Which events, until it is done, for those who may delete.
    #[schema(required)]
    pub(crate) query: Option<String>,
    /// SHA-256 of the query's text, in hexadecimal.
    pub(crate) digest: String,
    pub(crate) reason: String,
    pub(crate) created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    pub(crate) state: ErasureState,
    /// Events deleted.
    pub(crate) events: u64,
    /// Events that a hold keeps.
    pub(crate) held: u64,
    pub(crate) files: u64,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    pub(crate) ended_at: Option<Timestamp>,
    #[schema(required)]
    pub(crate) error: Option<String>,
}

/// Asks for a deletion.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewErasure {
    /// Which events, in the hunt language.
    pub(crate) query: String,
    /// Why, such as the number of a request.
    pub(crate) reason: String,
}

/// Asks what a deletion would do.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TryErasure {
    /// Which events, in the hunt language.
    pub(crate) query: String,
}

/// The lake: what it takes, and what is kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Storage {
    pub(crate) usage: StorageUsage,
    pub(crate) retention: Retention,
    /// Newest first, released ones too.
    pub(crate) holds: Vec<LegalHold>,
    /// Newest first.
    pub(crate) erasures: Vec<Erasure>,
}

impl From<model::Retention> for Retention {
    fn from(retention: model::Retention) -> Self {
        let rules = retention.rules.into_iter().map(|rule| RetentionRule {
            source: rule.source,
            class_uid: rule.class_uid,
            days: rule.days,
        });
        Self {
            rules: rules.collect(),
            default_days: retention.default_days,
            cold_after_days: retention.cold_after_days,
            version: retention.version,
            changed_by: retention.changed_by,
            changed_at: retention.changed_at,
        }
    }
}

impl From<NewRetention> for model::Retention {
    fn from(new: NewRetention) -> Self {
        let rules = new.rules.into_iter().map(|rule| model::RetentionRule {
            source: rule.source,
            class_uid: rule.class_uid,
            days: rule.days,
        });
        Self {
            rules: rules.collect(),
            default_days: new.default_days,
            cold_after_days: new.cold_after_days,
            version: new.version,
            changed_by: None,
            changed_at: None,
        }
    }
}

impl From<model::LegalHold> for LegalHold {
    fn from(hold: model::LegalHold) -> Self {
        Self {
            id: hold.id.to_string(),
            query: hold.query,
            from: hold.from,
            to: hold.to,
            reason: hold.reason,
            created_by: hold.created_by,
            created_at: hold.created_at,
            released_by: hold.released_by,
            released_at: hold.released_at,
        }
    }
}

impl From<NewLegalHold> for casework::NewLegalHold {
    fn from(new: NewLegalHold) -> Self {
        Self {
            query: new.query,
            from: new.from,
            to: new.to,
            reason: new.reason,
        }
    }
}

impl From<model::Erasure> for Erasure {
    fn from(erasure: model::Erasure) -> Self {
        Self {
            id: erasure.id.to_string(),
            query: erasure.query,
            digest: erasure.digest,
            reason: erasure.reason,
            created_by: erasure.created_by,
            created_at: erasure.created_at,
            state: erasure.state.into(),
            events: erasure.events,
            held: erasure.held,
            files: erasure.files,
            ended_at: erasure.ended_at,
            error: erasure.error,
        }
    }
}

/// How a deletion ended, for its record.
pub(crate) fn end_of<E: std::fmt::Display>(
    outcome: Result<ErasureCount, E>,
) -> casework::ErasureEnd {
    match outcome {
        Ok(count) => casework::ErasureEnd {
            events: count.events,
            held: count.held,
            files: count.files,
            error: None,
        },
        Err(error) => casework::ErasureEnd {
            error: Some(error.to_string()),
            ..casework::ErasureEnd::default()
        },
    }
}
