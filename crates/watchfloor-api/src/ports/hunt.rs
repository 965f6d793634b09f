//! What is asked of events bit by bit: searches that answer as they go, what arrives, exports,
//! and help for those who write a question.

use bytes::Bytes;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Chart, Event, FieldSummary, HistogramBucket, RowsColumn, RowsResult, SearchError};

/// What one query may use; a role has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryLimits {
    /// Rows in an answer.
    pub rows: u32,
    /// Rows of an export.
    pub export_rows: u32,
    /// Bytes read of files.
    pub bytes: u64,
    /// Time.
    pub seconds: u32,
    /// Memory in bytes; beyond it, a query spills to disk.
    pub memory_bytes: u64,
}

impl QueryLimits {
    /// What every role may use unless told otherwise.
    pub const STANDARD: Self = Self {
        rows: 10_000,
        export_rows: 1_000_000,
        bytes: 1 << 40,
        seconds: 60,
        memory_bytes: 512 << 20,
    };
}

/// The limit that cut an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct LimitCut {
    /// `rows`, `bytes`, `time` or `memory`.
    pub limit: String,
    /// What is missing, and what to do.
    pub detail: String,
}

/// What was found so far.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SearchPart {
    /// Files of the asked time that were looked at.
    pub files_read: u64,
    /// Files of the asked time.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
    /// Events found so far.
    pub total: u64,
    /// Events over time so far.
    pub histogram: Vec<HistogramBucket>,
    /// Width of a bucket.
    pub bucket_seconds: u64,
    /// Further events; the first ones of all parts, in the asked order, are the answer.
    pub events: Vec<Event>,
}

/// How a search ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SearchEnd {
    /// How many match in all; where `cut` says so, at least.
    pub total: u64,
    /// Whether there are more events than were asked for.
    pub capped: bool,
    /// The limit that cut the answer.
    pub cut: Option<LimitCut>,
    /// Files of the asked time that cannot be read.
    pub unread: Vec<String>,
    /// Time taken.
    pub took_ms: u64,
}

/// A piece of the answer to a search.
#[derive(Clone, Debug)]
pub enum SearchPiece {
    /// What was found so far.
    Part(SearchPart),
    /// The end.
    End(SearchEnd),
    /// It failed.
    Failed(SearchError),
}

/// How far a query with verbs is.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct RowsProgress {
    /// Files that were read.
    pub files_read: u64,
    /// Files that are to be read, as far as is known.
    pub files: u64,
    /// Bytes that were read.
    pub bytes: u64,
}

/// Rows follow; those that came before, if any, do not count.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RowsHead {
    /// Columns in their order.
    pub columns: Vec<RowsColumn>,
    /// How rows are to be drawn.
    pub render: Option<Chart>,
}

/// How a query with verbs ended.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RowsEnd {
    /// Whether there are more rows.
    pub capped: bool,
    /// The limit that cut the answer.
    pub cut: Option<LimitCut>,
    /// Files of the asked time that cannot be read.
    pub unread: Vec<String>,
    /// Time taken.
    pub took_ms: u64,
}

/// A piece of the answer to a query with verbs.
#[derive(Clone, Debug)]
pub enum RowsPiece {
    /// How far it is.
    Progress(RowsProgress),
    /// The columns.
    Head(RowsHead),
    /// Rows.
    Rows(Vec<Vec<serde_json::Value>>),
    /// The end.
    End(RowsEnd),
    /// It failed.
    Failed(SearchError),
}

/// Asks to follow what arrives.
#[derive(Clone, Debug)]
pub struct TailRequest {
    /// A query of any form.
    pub query: String,
    /// Where an earlier tail began, so that a query that is asked again and again goes on.
    pub since: Option<u64>,
    /// What one run may use.
    pub limits: QueryLimits,
}

/// A tail began.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TailBegun {
    /// `events`, `rows`, or `replaced` where all of the query is asked again every second over
    /// what arrived since.
    pub mode: String,
    /// Where it began.
    pub since: u64,
    /// Events or rows that are sent in a second at most.
    pub rows_per_second: u64,
}

/// Events that arrived.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TailEvents {
    /// Oldest first.
    pub events: Vec<Event>,
    /// Further ones that were not sent, since more arrived than a second may have.
    pub left_out: u64,
}

/// Rows that arrived.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct TailRows {
    /// Columns in their order.
    pub columns: Vec<RowsColumn>,
    /// Rows.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Further ones that were not sent, since more arrived than a second may have.
    pub left_out: u64,
}

/// What a tail gives.
#[derive(Clone, Debug)]
pub enum TailPiece {
    /// It began.
    Begun(TailBegun),
    /// Events arrived.
    Events(TailEvents),
    /// Rows arrived.
    Rows(TailRows),
    /// The answer as it is now, in place of the one before.
    Replaced(RowsResult),
    /// So many events arrived too fast for whoever follows.
    Lagged(u64),
    /// It ended with this.
    Failed(SearchError),
}

/// Asks what the fields of events hold.
#[derive(Clone, Debug)]
pub struct FieldsRequest {
    /// Words and `field:value`.
    pub query: String,
    /// From this event time (inclusive).
    pub from: Timestamp,
    /// To this event time (exclusive).
    pub to: Timestamp,
    /// What it may use.
    pub limits: QueryLimits,
}

/// What the fields of events hold.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldsResult {
    /// Events that were counted.
    pub events: u64,
    /// Whether these are all events that match; if not, the counts are those of a part that is
    /// spread over the asked time.
    pub exact: bool,
    /// Fields, those that most events have first.
    pub fields: Vec<FieldSummary>,
}

/// A form of exported data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// Comma-separated values.
    Csv,
    /// One JSON object per line.
    Ndjson,
    /// Apache Parquet.
    Parquet,
}

/// Asks for all that a query finds.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// A query of any form.
    pub query: String,
    /// From this event time (inclusive).
    pub from: Timestamp,
    /// To this event time (exclusive).
    pub to: Timestamp,
    /// Form of the data.
    pub format: ExportFormat,
    /// Most rows.
    pub limit: u32,
    /// What it may use.
    pub limits: QueryLimits,
}

/// Pieces of an export; an error in their midst means that what came is not whole.
pub type ExportPieces = BoxStream<'static, Result<Bytes, SearchError>>;

/// Asks what can stand at a place of a query.
#[derive(Clone, Debug)]
pub struct CompletionRequest {
    /// The query as far as it is written.
    pub query: String,
    /// Byte at which the caret stands.
    pub at: usize,
}

/// Something that can stand at the place.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Completion {
    /// What is put in.
    pub insert: String,
    /// What is shown.
    pub label: String,
    /// `field`, `verb`, `function`, `table`, `keyword` or `value`.
    pub kind: String,
    /// Signature, or other names.
    pub detail: String,
    /// What it means, in a line.
    pub about: String,
}

/// What can stand at a place of a query.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Completions {
    /// First byte of what is replaced.
    pub start: usize,
    /// Byte behind it.
    pub end: usize,
    /// The likeliest first.
    pub items: Vec<Completion>,
}
