//! The observation side of the SOC: raw records, columnar batches of events, anomalies and
//! findings, and the part of the OCSF catalogue that the rest of the program needs.
//!
//! Nothing here knows a vendor's format, a clock, a file or a socket.

mod anomaly;
mod batch;
mod column;
mod finding;
mod id;
mod kind;
pub mod ocsf;
mod raw_record;

pub use anomaly::{Anomaly, AnomalyCode};
pub use batch::{EventBatch, MAX_BATCH_EVENTS, Namespace, RowMeta};
pub use column::{Column, Dictionary, ValueKind, ValueRef};
pub use finding::{Entity, EntityKind, Finding, FindingLevel, MatchReason};
pub use id::{EventId, JournalPlace, ParseEventIdError, partition_of};
pub use kind::{EventKind, Logsource};
pub use raw_record::{Format, RawRecord};
