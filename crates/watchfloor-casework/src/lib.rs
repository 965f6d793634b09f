//! Triage, incidents, permissions and clocks: the control plane's decisions.
//!
//! Everything is a method of [`Casework`] that checks an actor's permission once, changes the
//! records through a state machine, and leaves an audit entry in the same transaction.

mod access;
mod alerts;
mod binding;
mod clock;
mod clocks;
mod detail;
mod duty;
mod error;
mod escalation;
mod exceptions;
mod findings;
mod fleet;
mod handover;
mod incidents;
mod known_tokens;
mod limiter;
mod live;
mod merge;
mod overview;
mod password;
mod performance;
mod playbooks;
mod presence;
mod report;
mod response;
mod retention;
mod rules;
mod searches;
mod secret;
mod service;
mod suppressions;
mod timeline;
mod tokens;
mod triage;
mod users;

pub use access::{Credential, Peer, SignInError, SignedIn};
pub use alerts::{BulkAction, BulkOutcome};
pub use clock::{Clock, FixedClock, SystemClock};
pub use detail::{AlertDetail, AlertWithReasons, IncidentDetail, SimilarIncident};
pub use duty::{NewRotation, NewStandIn, OnCall, Roster, Turn, on_call_at, turns};
pub use error::CaseworkError;
pub use exceptions::{
    EventFields, EventFieldsFuture, EventLookup, VulnerabilitiesFuture, forecast_alerts,
    is_held_back, minute_of_day,
};
pub use findings::{FINDINGS_CURSOR, Taken, take_error_is_transient};
pub use fleet::{AgentRefusal, Certified, GroupPatch, NewEnrolment};
pub use handover::{
    HandoverAction, HandoverBreach, HandoverChange, HandoverIncident, HandoverPart, HandoverRun,
    HandoverState,
};
pub use incidents::IncidentPatch;
pub use live::{DutyNotice, FleetNotice, LiveChange, ResponseNotice, RuleNotice};
pub use overview::{CaseOverview, MedianTimes};
pub use performance::{Figure, Figures, Measure, Performance, PerformanceQuery};
pub use playbooks::{CheckedPlaybook, RunDetail, StepAnswer, TrialAction, TrialRun, TrialStep};
pub use report::ReportFormat;
pub use response::{
    Acted, ActedFuture, ActionRecord, AgentFuture, ConnectorPatch, Neighbor, NeighborsFuture,
    NewAction, NewConnector, Rehearsal, Responder, Settlement, Touched, Vault, VaultError, Way,
};
pub use retention::{ErasureEnd, NewLegalHold};
pub use rules::RuleVersionWithAlerts;
pub use searches::{NewSearch, next_run, span_of};
pub use service::{Casework, CaseworkSettings};
pub use suppressions::{NewSuppression, SuppressionPreview, check_conditions};
pub use timeline::{TimelineEntry, TimelineKind};
pub use tokens::NewApiToken;
pub use triage::risk::OpenVulnerability;
pub use triage::scope::Touch;
/// Reading and checking of playbooks.
pub use watchfloor_playbook as playbook;

/// The store's types that appear in this crate's methods.
pub use watchfloor_store::{
    AgentFilter, AlertFilter, AlertSort, AlertSortKey, AuditFault, ClockFilter, Cursor,
    IncidentFilter, IncidentPart, IncidentSort, IncidentTimes, InvalidCursor, OpenError, Page,
    PageRequest, PostgresOptions, Store, StoreError,
};
