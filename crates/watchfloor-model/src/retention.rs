//! How long events are kept, what is held for a court, and what was deleted on demand.

use jiff::Timestamp;

use crate::grade::words;
use crate::{ErasureId, LegalHoldId};
use std::fmt;

/// How long the events of some sources or of a class are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetentionRule {
    /// Sources, with `*` and `?`; `None` for all.
    pub source: Option<String>,
    /// OCSF class; `None` for all.
    pub class_uid: Option<i32>,
    /// Days after receipt, 1 to 36,500.
    pub days: u32,
}

/// What is kept for how long.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// The first that fits an event counts.
    pub rules: Vec<RetentionRule>,
    /// Days after receipt for events that no rule fits; `None` for ever.
    pub default_days: Option<u32>,
    /// Days after which events go to the cold table, if there is one.
    pub cold_after_days: Option<u32>,
    /// Grows with each change.
    pub version: u64,
    /// Who changed it last.
    pub changed_by: Option<String>,
    /// When.
    pub changed_at: Option<Timestamp>,
}

/// Events that nothing deletes until somebody releases them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegalHold {
    /// Its id.
    pub id: LegalHoldId,
    /// Which events, in the hunt language.
    pub query: String,
    /// From this event time (inclusive).
    pub from: Option<Timestamp>,
    /// To this event time (exclusive).
    pub to: Option<Timestamp>,
    /// Why, such as a court's file number.
    pub reason: String,
    /// Who placed it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Who released it.
    pub released_by: Option<String>,
    /// When; `None` while it holds.
    pub released_at: Option<Timestamp>,
}

/// Where a deletion stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErasureState {
    /// Files are being written anew.
    Running,
    /// The events are gone.
    Done,
    /// It stopped; what was deleted until then is gone.
    Failed,
}

words!(ErasureState {
    Running = "running",
    Done = "done",
    Failed = "failed",
});

/// A deletion of the events that a query finds, such as one person's data. The query itself names
/// the person, so it goes when the deletion is done; its digest proves what was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// Its id.
    pub id: ErasureId,
    /// Which events, in the hunt language, until it is done.
    pub query: Option<String>,
    /// SHA-256 of the query's text, in hexadecimal.
    pub digest: String,
    /// Why, such as a request's number.
    pub reason: String,
    /// Who asked for it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Where it stands.
    pub state: ErasureState,
    /// Events that were deleted.
    pub events: u64,
    /// Events that the query finds and that a legal hold keeps.
    pub held: u64,
    /// Files that were written anew or taken out.
    pub files: u64,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub error: Option<String>,
}
