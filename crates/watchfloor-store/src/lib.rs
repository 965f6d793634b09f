//! Transactional records of the SOC on SQLite or PostgreSQL: repositories, migrations, audit
//! chain, outbox.
//!
//! One writer per tenant and a pool of readers. Every read and write carries a tenant; every
//! change writes its audit entry and outbox row in the same transaction. Repositories are one
//! text for both databases (`sql.rs`).

mod access;
mod actions;
mod alert_lookups;
mod alerts;
mod audit;
mod clocks;
mod connectors;
mod corrections;
mod duty;
mod error;
mod fleet;
mod incidents;
mod ledger;
mod lists;
mod mentions;
mod page;
mod playbooks;
mod pool;
mod retention;
mod row;
mod rule_versions;
mod searches;
mod sql;
mod suppressions;
mod tx;
mod work;

pub use access::{NewSession, NewToken, SessionOwner, TokenOwner};
pub use alerts::{AlertFilter, AlertSort, AlertSortKey, FindingOutcome, IncidentPart};
pub use audit::AuditFault;
pub use clocks::{IncidentTimes, LoneAlert, TIMES_MAX};
pub use corrections::CorrectionKind;
pub use error::{OpenError, StoreError};
pub use fleet::AgentFilter;
pub use incidents::{ClockFilter, IncidentFilter, IncidentSort};
pub use ledger::LedgerRow;
pub use page::{Cursor, InvalidCursor, Page, PageRequest};
pub use pool::{PostgresOptions, SCHEMA_VERSION, Store};
pub use tx::{Change, Queries, Reader, WriteTx};
