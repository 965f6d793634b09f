//! The event lake: one Delta table of Parquet files for events and findings, written in
//! commits that carry the journal position, and searched by DataFusion. Knows no rules and no
//! incidents.
//!
//! Start at [`Lake`].

mod cluster;
mod conditions;
mod encode;
mod export;
mod files;
mod findings;
mod functions;
mod health;
mod keep;
mod lower;
mod maintain;
mod needles;
mod parts;
mod pipe;
mod place;
mod progress;
mod records;
mod rows;
mod schema;
mod search;
mod shared;
mod snapshot;
mod sql;
mod statistics;
mod table;
mod tail;
mod usage;
mod values;

pub use cluster::{Cluster, ClusterError, ClusterOptions, NodeIdentity, work};
pub use export::{ExportQuery, Exported};
pub use health::Damage;
pub use keep::{Erased, Hold, Kept, Policy, RetentionRule};
pub use maintain::{MaintainError, Maintained};
pub use parts::{Part, PartsEnd};
pub use pipe::{PipeColumn, PipeError, PipePart, PipeRequest, PipeResult, RowsQuery};
pub use place::{Place, PlaceError};
pub use progress::{Limit, Progress, Run};
pub use records::{RecordScope, RecordSpan, StoredRecord};
pub use rows::StoredEvent;
pub use schema::{column_name, table_columns};
pub use search::{Bucket, RuleCount, SearchRequest, SearchResult, SortOrder};
pub use statistics::{FieldStatistics, Statistics};
pub use table::{
    CommitError, Lake, LakeStats, LedgerCount, OpenError, PendingCommit, Places, ReadError, Writers,
};
pub use tail::{Tail, TailPlan, Tailed};
pub use usage::{Amount, TierUsage, Usage};
