//! Nouns of the SOC and their state machines.
//!
//! Pure: no clock, no I/O, no serialisation. Rows belong to the store, wire types to the API.

mod access;
mod action;
mod alert;
mod argument;
mod audit;
mod connector;
mod criticality;
mod duty;
mod entity;
mod fleet;
mod grade;
mod id;
mod incident;
mod playbook;
mod retention;
mod risk;
mod rule_version;
mod search;
mod service_level;
mod suppression;
mod work;

pub use access::{Actor, ActorKind, Permission, Role, Scope, Session, Token, User};
pub use action::{
    Action, ActionFailure, ActionKind, ActionOutcome, ActionPolicy, ActionRequest, ActionStatus,
    Principal,
};
pub use alert::{Alert, AlertStatus, Attachment, Judgement, MatchedField};
pub use argument::{ArgumentFault, ArgumentKind, ArgumentSpec, ArgumentValue, check_arguments};
pub use audit::{AuditEntry, GENESIS_HASH};
pub use connector::{Connector, ConnectorKind, OpenConnector};
pub use criticality::Criticality;
pub use duty::{
    Contact, Escalation, EscalationLevel, EscalationPolicy, Handover, Recipient, Rotation, StandIn,
};
pub use entity::{Entity, EntityKind, EntityRef};
pub use fleet::{Agent, AgentDoubt, AgentFile, AgentGroup, AgentState, AgentStatus, Enrolment};
pub use grade::{Severity, Tlp, Verdict};
pub use id::{
    ActionId, AgentGroupId, AgentId, AlertId, ConnectorId, EnrolmentId, ErasureId, EscalationId,
    HandoverId, IncidentId, InvalidId, LegalHoldId, NoteId, ObservableId, RotationId, RunId,
    SearchId, SessionId, StandInId, SuppressionId, TaskId, TenantId, TokenId, UserId,
};
pub use incident::{Clocks, Incident, IncidentStatus};
pub use playbook::{PlaybookRecord, PlaybookRun, RunStatus, RunStep, StepStatus, WaitsFor};
pub use retention::{Erasure, ErasureState, LegalHold, Retention, RetentionRule};
pub use risk::{Risk, RiskKind, RiskPart};
pub use rule_version::RuleVersion;
pub use search::{SavedSearch, SearchAlarm, SearchRun, SearchSchedule, SearchSharing};
pub use service_level::{
    AT_RISK_PERCENT, ClockFace, ClockKind, ClockState, ServiceLevels, Targets,
};
pub use suppression::{Condition, ConditionOp, DayWindow, Facts, Suppression, Threshold};
pub use work::{IllegalMove, Mention, Note, Observable, Task, TaskStatus, mentioned_in};
