//! Transactional records of the SOC on SQLite: repositories, migrations, audit chain, outbox.
//!
//! One writer connection and a pool of readers. Every read and write carries a tenant; every
//! change writes its audit entry and outbox row in the same transaction. The SQL is kept to
//! what PostgreSQL also understands, so that a second pool can stand behind the same methods.

mod access;
mod alerts;
mod audit;
mod corrections;
mod error;
mod incidents;
mod ledger;
mod page;
mod pool;
mod retention;
mod row;
mod rule_versions;
mod searches;
mod suppressions;
mod tx;
mod work;

pub use access::{NewSession, NewToken, SessionOwner, TokenOwner};
pub use alerts::{AlertFilter, AlertSort, AlertSortKey, FindingOutcome, IncidentPart};
pub use audit::AuditFault;
pub use corrections::CorrectionKind;
pub use error::{OpenError, StoreError};
pub use incidents::IncidentFilter;
pub use ledger::LedgerRow;
pub use page::{Cursor, InvalidCursor, Page, PageRequest};
pub use pool::{SCHEMA_VERSION, Store};
pub use tx::{Change, Queries, Reader, WriteTx};
