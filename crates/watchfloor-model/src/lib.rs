//! Nouns of the SOC and their state machines.
//!
//! Pure: no clock, no I/O, no serialisation. Rows belong to the store, wire types to the API.

mod access;
mod alert;
mod audit;
mod entity;
mod grade;
mod id;
mod incident;
mod retention;
mod rule_version;
mod search;
mod suppression;
mod work;

pub use access::{Actor, ActorKind, Permission, Role, Scope, Session, Token, User};
pub use alert::{Alert, AlertStatus, Attachment, Judgement, MatchedField};
pub use audit::{AuditEntry, GENESIS_HASH};
pub use entity::{Entity, EntityKind, EntityRef};
pub use grade::{Severity, Tlp, Verdict};
pub use id::{
    AlertId, ErasureId, IncidentId, InvalidId, LegalHoldId, NoteId, ObservableId, SearchId,
    SessionId, SuppressionId, TaskId, TenantId, TokenId, UserId,
};
pub use incident::{Clocks, Incident, IncidentStatus};
pub use retention::{Erasure, ErasureState, LegalHold, Retention, RetentionRule};
pub use rule_version::RuleVersion;
pub use search::{SavedSearch, SearchAlarm, SearchRun, SearchSchedule, SearchSharing};
pub use suppression::{Condition, ConditionOp, DayWindow, Facts, Suppression, Threshold};
pub use work::{IllegalMove, Note, Observable, Task, TaskStatus};
