//! What this crate needs of the data plane. The binary implements these traits over lake and
//! pipeline; [`crate::memory`] implements them for tests.
//!
//! The structs here are also wire types: what a port gives is what the console reads.

mod explain;
mod fleet;
mod hunt;
mod indicators;
mod rules;
mod storage;
mod treatment;

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
pub use watchfloor_event::Format;

pub use explain::{ExplainError, ExplainedEvent};
pub use fleet::{
    AgentArtifact, AgentBinary, ConnectedAgent, EnrolmentLine, FleetDesk, FleetStatus,
    RefusedAgents,
};
pub use hunt::{
    Completion, CompletionRequest, Completions, ExportFormat, ExportPieces, ExportRequest,
    FieldsRequest, FieldsResult, LimitCut, QueryLimits, RowsEnd, RowsHead, RowsPiece, RowsProgress,
    SearchEnd, SearchPart, SearchPiece, TailBegun, TailEvents, TailPiece, TailRequest, TailRows,
};
pub use indicators::{IndicatorList, RefusedIndicator};
pub use rules::{
    BacktestCount, BacktestDay, BacktestError, BacktestExample, BacktestReport, BacktestRequest,
    BacktestValue, Canary, CanaryOutcome, FieldCount, KindCount, LivenessReport, RefusedRule,
    RuleCase, RuleChange, RuleDesk, RuleDetail, RuleFacts, RuleHold, RuleInfo, RuleLiveness,
    RuleReload, RuleState, RuleSuspension,
};
pub use storage::{ErasureCount, LakeKeeper, StorageShare, StorageTier, StorageUsage};
pub use treatment::{EnrichmentFile, ForwardState, MappingPack, MappingPacks};

/// An oddity of an event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventAnomaly {
    /// Stable word.
    pub code: String,
    /// What and where.
    pub detail: String,
}

/// A stored event.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Event {
    /// Its id.
    pub id: String,
    /// When it happened.
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// When it was received.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// Its source.
    pub source: String,
    /// OCSF class.
    pub class_uid: u32,
    /// OCSF class in words.
    pub class_name: String,
    /// Product, where known.
    pub product: String,
    /// One line for a person.
    pub message: String,
    /// The raw record; bytes that are no UTF-8 are replaced.
    pub raw: String,
    /// Oddities.
    pub anomalies: Vec<EventAnomaly>,
    /// Fields by full name, as text.
    pub fields: BTreeMap<String, String>,
}

/// Order of events by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOrder {
    /// Oldest first.
    Ascending,
    /// Newest first.
    Descending,
}

/// A search over events.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// Text of the query; empty for all events.
    pub query: String,
    /// From this event time (inclusive).
    pub from: Timestamp,
    /// To this event time (exclusive).
    pub to: Timestamp,
    /// Most events in the answer, 1 to 10,000.
    pub limit: u32,
    /// Order.
    pub order: EventOrder,
    /// What it may use.
    pub limits: QueryLimits,
}

/// Events in a bucket of time.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct HistogramBucket {
    /// Start of the bucket.
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    /// Events in it.
    pub count: u64,
}

/// A value and how often it occurs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ValueCount {
    /// The value.
    pub value: String,
    /// Events with it.
    pub count: u64,
}

/// A field among the events found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldSummary {
    /// Full name.
    pub name: String,
    /// Events with it.
    pub count: u64,
    /// Distinct values.
    pub distinct: u64,
    /// Whether there are more than could be told apart.
    pub more: bool,
    /// Most frequent values.
    pub top: Vec<ValueCount>,
}

/// What a search found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SearchResult {
    /// The events, in the order asked for.
    pub events: Vec<Event>,
    /// How many match in all, exactly.
    pub total: u64,
    /// Whether `events` holds fewer than match.
    pub capped: bool,
    /// The limit that cut the answer.
    pub cut: Option<LimitCut>,
    /// Events over time.
    pub histogram: Vec<HistogramBucket>,
    /// Width of a bucket.
    pub bucket_seconds: u64,
    /// Time taken.
    pub took_ms: u64,
    /// Fields of the events found.
    pub fields: Vec<FieldSummary>,
    /// Files of the asked time that cannot be read: what they hold is missing from the answer.
    pub unread: Vec<String>,
}

/// Asks for the rows of a query with verbs.
#[derive(Clone, Debug)]
pub struct RowsRequest {
    /// In the pipe form of the hunt language.
    pub query: String,
    /// From this event time (inclusive).
    pub from: Timestamp,
    /// To this event time (exclusive).
    pub to: Timestamp,
    /// Most rows in the answer.
    pub limit: u32,
    /// What it may use.
    pub limits: QueryLimits,
}

/// A column of rows.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RowsColumn {
    /// Its name.
    pub name: String,
    /// `text`, `long`, `real`, `bool`, `time`, `span`, `list` or `map`.
    pub kind: String,
}

/// A property of a chart, as written.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ChartProperty {
    /// Such as `title`.
    pub name: String,
    /// As written.
    pub value: String,
}

/// How rows are to be drawn.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Chart {
    /// Such as `timechart`.
    pub kind: String,
    /// Its properties.
    pub with: Vec<ChartProperty>,
}

/// What a query with verbs found.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RowsResult {
    /// Columns in their order.
    pub columns: Vec<RowsColumn>,
    /// Rows, each with a value per column.
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Whether there are more rows.
    pub capped: bool,
    /// The limit that cut the answer.
    pub cut: Option<LimitCut>,
    /// How they are to be drawn.
    pub render: Option<Chart>,
    /// Files of the asked time that cannot be read: what they hold is missing from the answer.
    pub unread: Vec<String>,
    /// Time taken.
    pub took_ms: u64,
}

/// Why a search failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SearchError {
    /// The query does not parse or type; the caller can mend it.
    #[error("the query cannot be understood: {detail}")]
    Invalid {
        /// What is wrong.
        detail: String,
        /// First byte of the place.
        start: usize,
        /// Byte after the place.
        end: usize,
        /// How to mend it.
        hint: Option<String>,
    },
    /// It would take longer or more memory than allowed.
    #[error("the search was stopped: {detail}")]
    TooCostly {
        /// Which limit.
        detail: String,
    },
    /// The lake failed; the chain is for the log.
    #[error("events could not be read: {0}")]
    Unavailable(String),
}

/// Asks for events around an alert.
#[derive(Clone, Debug)]
pub struct RelatedRequest {
    /// Values of entities; an event with any of them in any field is related.
    pub values: Vec<String>,
    /// From this event time (inclusive).
    pub from: Timestamp,
    /// To this event time (inclusive).
    pub to: Timestamp,
    /// Most events in the answer.
    pub limit: u32,
}

/// Events around an alert.
#[derive(Clone, Debug)]
pub struct RelatedEvents {
    /// Oldest first.
    pub events: Vec<Event>,
    /// How many there are in all.
    pub total: u64,
    /// Whether `events` holds fewer.
    pub capped: bool,
}

/// A field that events can have.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldInfo {
    /// Full name.
    pub name: String,
    /// Type in words, such as `text`, `number`, `time`, `address`.
    #[serde(rename = "type")]
    pub kind: String,
    /// What it means.
    pub description: String,
    /// Other names by which it can be asked for (ECS, Sigma).
    pub aliases: Vec<String>,
}

/// Reads events. Implemented over the lake.
pub trait EventReader: Send + Sync {
    /// Searches events.
    fn search(&self, request: SearchRequest) -> BoxFuture<'_, Result<SearchResult, SearchError>>;

    /// Runs a query with verbs.
    fn rows(&self, request: RowsRequest) -> BoxFuture<'_, Result<RowsResult, SearchError>>;

    /// Searches events and answers bit by bit; who drops the stream ends the search.
    ///
    /// # Errors
    /// If the query is wrong.
    fn search_stream(
        &self,
        request: SearchRequest,
    ) -> Result<BoxStream<'static, SearchPiece>, SearchError>;

    /// Runs a query with verbs and answers bit by bit; who drops the stream ends it.
    ///
    /// # Errors
    /// If the query is wrong.
    fn rows_stream(
        &self,
        request: RowsRequest,
    ) -> Result<BoxStream<'static, RowsPiece>, SearchError>;

    /// Follows what arrives; who drops the stream ends it.
    ///
    /// # Errors
    /// If the query is wrong.
    fn tail(&self, request: TailRequest) -> Result<BoxStream<'static, TailPiece>, SearchError>;

    /// What the fields of all events that match hold.
    fn field_statistics(
        &self,
        request: FieldsRequest,
    ) -> BoxFuture<'_, Result<FieldsResult, SearchError>>;

    /// All that a query finds, as a file.
    ///
    /// # Errors
    /// If the query is wrong.
    fn export(&self, request: ExportRequest) -> Result<ExportPieces, SearchError>;

    /// Whether a query of any form can be read.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] if not.
    fn check(&self, query: &str) -> Result<(), SearchError>;

    /// A Sigma rule, as YAML, that finds what a search finds.
    ///
    /// # Errors
    /// [`SearchError::Invalid`] with the part that a rule cannot say.
    fn draft_rule(&self, title: &str, query: &str) -> Result<String, SearchError>;

    /// What can stand at a place of a query; takes no longer than 100 ms.
    fn complete(&self, request: CompletionRequest) -> BoxFuture<'_, Completions>;

    /// One event by id; `None` when it does not exist (any more) or the id is no id.
    fn event(&self, id: String) -> BoxFuture<'_, Result<Option<Event>, SearchError>>;

    /// Events that name one of some values, within a span.
    fn related(&self, request: RelatedRequest)
    -> BoxFuture<'_, Result<RelatedEvents, SearchError>>;

    /// The fields that can be asked for, by name.
    fn fields(&self) -> BoxFuture<'_, Result<Vec<FieldInfo>, SearchError>>;
}

/// One source in one hour of the completeness ledger; received = stored + dropped.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LedgerEntry {
    /// The source.
    pub source: String,
    /// Start of the hour.
    #[schema(value_type = String, format = DateTime)]
    pub hour: Timestamp,
    /// Records received.
    pub received: u64,
    /// Records a decoder understood.
    pub decoded: u64,
    /// Records stored as base events.
    pub undecoded: u64,
    /// Records stored.
    pub stored: u64,
    /// Records that rules looked at.
    pub evaluated: u64,
    /// Records dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

/// A kind of oddity of a source.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AnomalyCount {
    /// Stable word.
    pub code: String,
    /// Events with it.
    pub count: u64,
    /// The detail of one of them.
    pub example: String,
}

/// How a configured source stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SourceLink {
    /// Its name in the configuration.
    pub name: String,
    /// `starting`, `listening`, `connected`, `retrying` or `ended`.
    pub state: String,
    /// Where it listens, or what it reads from.
    pub place: Option<String>,
    /// What went wrong.
    pub error: Option<String>,
    /// How a person mends it.
    pub mend: Option<String>,
    /// Since when it stands so.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
}

/// Trouble of a source that cost no record that is known of.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SourceTrouble {
    /// Stable word, such as `tls_refused`.
    pub word: String,
    /// Times since start.
    pub count: u64,
    /// Last time.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// What happened last, and how to mend it.
    pub message: String,
}

/// A source that used to speak and stopped.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct SourceQuiet {
    /// Its last record.
    #[schema(value_type = String, format = DateTime)]
    pub since: Timestamp,
    /// Its longest silence of the last days before, in seconds.
    pub usual_silence_s: u64,
}

/// A source of events.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SourceInfo {
    /// Its name.
    pub name: String,
    /// How it arrives, such as `http`, `syslog`, `file`.
    pub kind: String,
    /// First record.
    #[schema(value_type = String, format = DateTime)]
    pub first_seen: Timestamp,
    /// Last record.
    #[schema(value_type = String, format = DateTime)]
    pub last_seen: Timestamp,
    /// Events in the last 60 minutes.
    pub events_last_hour: u64,
    /// Events in all.
    pub events_total: u64,
    /// Share of events that were decoded and mapped, 0 to 1.
    pub understood_share: f64,
    /// Oddities, most frequent first.
    pub anomalies: Vec<AnomalyCount>,
    /// Records dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Events per minute of the last 60, oldest first.
    pub rate: Vec<u64>,
    /// Products seen.
    pub products: Vec<String>,
    /// Milliseconds from an event's own time to its receipt, the median of the last ones; `null`
    /// if none had a time.
    pub delay_ms: Option<i64>,
    /// How the configured source stands that its records come by, if there is one.
    pub link: Option<SourceLink>,
    /// Trouble of that configured source, by word.
    pub troubles: Vec<SourceTrouble>,
    /// That it went quiet, if it did.
    pub quiet: Option<SourceQuiet>,
}

/// What listens where.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Listener {
    /// Such as `http`, `syslog-tcp`.
    pub kind: String,
    /// Address and port.
    pub address: String,
}

/// Size of the lake.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct LakeStats {
    /// Events.
    pub events: u64,
    /// Files.
    pub files: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// How many rules.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct RuleCounts {
    /// Loaded.
    pub loaded: u64,
    /// Refused.
    pub refused: u64,
    /// Loaded and not evaluated.
    pub suspended: u64,
}

/// State of the data plane.
#[derive(Clone, Debug)]
pub struct DataPlaneStatus {
    /// What listens where.
    pub listeners: Vec<Listener>,
    /// The lake.
    pub lake: LakeStats,
    /// The rules.
    pub rules: RuleCounts,
}

/// Figures of the first page that the data plane gives.
#[derive(Clone, Debug)]
pub struct EventsOverview {
    /// Events of the last 24 hours.
    pub events_last_24h: u64,
    /// Events over the last 24 hours, oldest first.
    pub events_rate: Vec<HistogramBucket>,
}

/// Counters since start, read every two seconds by each open console: must be cheap.
#[derive(Clone, Copy, Debug, Default)]
pub struct LiveCounters {
    /// Records received.
    pub received: u64,
    /// Events stored.
    pub stored: u64,
    /// Age of the oldest record that is not yet in the lake; 0 when none waits.
    pub lag_ms: u64,
    /// Records in the journal that are not yet in the lake.
    pub journal_pending: u64,
}

/// Kind of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A value for Prometheus.
#[derive(Clone, Debug)]
pub struct Metric {
    /// Name, such as `watchfloor_records_received_total`.
    pub name: &'static str,
    /// What it counts, one line.
    pub help: &'static str,
    /// Kind.
    pub kind: MetricKind,
    /// Labels.
    pub labels: Vec<(&'static str, String)>,
    /// Value.
    pub value: f64,
}

/// The data plane could not answer; the text is for the log.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the data plane could not answer: {0}")]
pub struct StatusError(pub String);

/// Answers about the data plane. Implemented over pipeline and lake.
pub trait PipelineStatus: Send + Sync {
    /// The completeness ledger of `[from, to)`, by hour and source.
    fn ledger(
        &self,
        from: Timestamp,
        to: Timestamp,
        source: Option<String>,
    ) -> BoxFuture<'_, Result<Vec<LedgerEntry>, StatusError>>;

    /// The sources, by name.
    fn sources(&self) -> BoxFuture<'_, Result<Vec<SourceInfo>, StatusError>>;

    /// State.
    fn status(&self) -> BoxFuture<'_, Result<DataPlaneStatus, StatusError>>;

    /// Figures of the first page.
    fn events_overview(&self) -> BoxFuture<'_, Result<EventsOverview, StatusError>>;

    /// Counters since start.
    fn counters(&self) -> LiveCounters;

    /// The lists of indicators that are looked for, in the order in which they were read.
    fn indicators(&self) -> Vec<IndicatorList>;

    /// The files that events are enriched from.
    fn enrichment_files(&self) -> Vec<EnrichmentFile>;

    /// The mapping packs.
    fn mapping_packs(&self) -> MappingPacks;

    /// The systems that copies of records are sent to.
    fn forwards(&self) -> Vec<ForwardState>;

    /// Values for `/metrics`.
    fn metrics(&self) -> Vec<Metric>;
}

/// One record from a sender.
#[derive(Clone, Debug)]
pub struct IngestItem {
    /// The raw record, as sent, without the line end.
    pub bytes: Bytes,
    /// Source it is counted under.
    pub source: String,
    /// Its form, if that is known.
    pub format: Format,
    /// The mapping pack of its product, if its sender names one.
    pub product: Option<String>,
    /// Two items with the same key are one record; the second is answered as durable and not
    /// stored again.
    pub idempotency: Option<String>,
}

/// What became of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemOutcome {
    /// It is on disk: it will be stored, whatever happens.
    Durable,
    /// It was not taken, and is counted as dropped under this reason.
    Rejected {
        /// Why, for the sender.
        reason: String,
    },
}

/// Why nothing was taken.
#[derive(Clone, Debug, thiserror::Error)]
pub enum IntakeError {
    /// The journal is full or shutting down; the sender may try again.
    #[error("no more records are taken just now; try again in {retry_after_s} s")]
    Busy {
        /// Seconds to wait.
        retry_after_s: u32,
    },
    /// The journal failed; the text is for the log.
    #[error("records could not be made durable: {0}")]
    Failed(String),
}

/// Takes records. Implemented over the journal.
pub trait Intake: Send + Sync {
    /// Makes records durable. Answers one outcome per item, in order.
    fn take(&self, items: Vec<IngestItem>) -> BoxFuture<'_, Result<Vec<ItemOutcome>, IntakeError>>;

    /// Whether there is a mapping pack of a name.
    ///
    /// # Errors
    /// If not: what there is, for the sender.
    fn check_product(&self, product: &str) -> Result<(), String>;

    /// Counts records that never became an item (too long, not well-formed), so that the ledger
    /// is complete. `reason` is a stable word: `too_long`, `malformed`, `malformed_json`.
    fn count_rejected(&self, source: &str, reason: &'static str, records: u64);
}
