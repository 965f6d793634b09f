//! The data plane in memory: the twin of lake, pipeline and journal for end-to-end tests over
//! HTTP, of this crate and of others.
//!
//! [`MemoryServer::start`] gives a router over fresh records in a folder.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use watchfloor_casework::{Casework, CaseworkSettings, Clock, OpenError, Store};
use watchfloor_model::{ActionId, AgentGroup, AgentId, LegalHold, TenantId};

use crate::ports::{
    BacktestCount, BacktestError, BacktestReport, BacktestRequest, Canary, CompletionRequest,
    Completions, ConnectedAgent, DataPlaneStatus, EnrichmentFile, EnrolmentLine, ErasureCount,
    Event, EventOrder, EventReader, EventsOverview, ExplainError, ExplainedEvent, ExportPieces,
    ExportRequest, FieldInfo, FieldSummary, FieldsRequest, FieldsResult, FleetDesk, FleetStatus,
    ForwardState, HistogramBucket, IndicatorList, IngestItem, Intake, IntakeError, ItemOutcome,
    LakeKeeper, LakeStats, LedgerEntry, LiveCounters, LivenessReport, MappingPacks, Metric,
    MetricKind, PipelineStatus, RefusedRule, RelatedEvents, RelatedRequest, RowsColumn, RowsEnd,
    RowsHead, RowsPiece, RowsRequest, RowsResult, RuleCounts, RuleDesk, RuleDetail, RuleFacts,
    RuleInfo, RuleReload, SearchEnd, SearchError, SearchPart, SearchPiece, SearchRequest,
    SearchResult, SourceInfo, StatusError, StorageUsage, TailBegun, TailEvents, TailPiece,
    TailRequest, ValueCount,
};
use crate::{ApiParts, ApiSettings, ApiState, CookieTransport, HostPolicy, RoleLimits, router};

/// Width of a histogram bucket.
const BUCKET_SECONDS: i64 = 3_600;

/// Values shown per field.
const TOP_VALUES: usize = 5;

/// What the twin holds; tests fill and read it.
#[derive(Debug, Default)]
pub struct MemoryContents {
    /// Events that can be searched.
    pub events: Vec<Event>,
    /// Records that were taken.
    pub taken: Vec<IngestItem>,
    /// Records that never became an item: source, reason, how many.
    pub rejected: Vec<(String, &'static str, u64)>,
    /// The ledger.
    pub ledger: Vec<LedgerEntry>,
    /// The sources.
    pub sources: Vec<SourceInfo>,
    /// Loaded rules.
    pub rules: Vec<RuleInfo>,
    /// Loaded rules in full, by id.
    pub rule_details: BTreeMap<String, RuleDetail>,
    /// Refused rules.
    pub refused: Vec<RefusedRule>,
    /// What the pages of rules show besides their text, by id.
    pub rule_facts: BTreeMap<String, RuleFacts>,
    /// Suspended rules with the reason.
    pub suspended: BTreeMap<String, String>,
    /// Lists of indicators.
    pub indicators: Vec<IndicatorList>,
    /// Files that events are enriched from.
    pub enrichment_files: Vec<EnrichmentFile>,
    /// Mapping packs.
    pub mapping_packs: MappingPacks,
    /// Systems that copies of records are sent to.
    pub forwards: Vec<ForwardState>,
    /// Times that rules were read, newest first.
    pub reloads: Vec<RuleReload>,
    /// Whether the journal is full.
    pub busy: bool,
    keys: BTreeSet<String>,
}

/// The data plane in memory.
#[derive(Debug, Default)]
pub struct MemoryDataPlane(Mutex<MemoryContents>);

impl MemoryDataPlane {
    /// What it holds.
    pub fn contents(&self) -> MutexGuard<'_, MemoryContents> {
        self.0.lock().unwrap_or_else(|e| e.into_inner())
    }
}

fn matches(event: &Event, query: &str) -> bool {
    query
        .split_whitespace()
        .all(|word| match word.split_once(':') {
            Some((field, value)) => event.fields.get(field).is_some_and(|found| found == value),
            None => {
                let wanted = word.to_lowercase();
                event.raw.to_lowercase().contains(&wanted)
                    || event.message.to_lowercase().contains(&wanted)
            }
        })
}

fn histogram(events: &[Event]) -> Vec<HistogramBucket> {
    let mut counts: BTreeMap<i64, u64> = BTreeMap::new();
    for event in events {
        let start = event.time.as_second().div_euclid(BUCKET_SECONDS) * BUCKET_SECONDS;
        *counts.entry(start).or_default() += 1;
    }
    counts
        .into_iter()
        .filter_map(|(start, count)| {
            let start = Timestamp::from_second(start).ok()?;
            Some(HistogramBucket { start, count })
        })
        .collect()
}

fn summaries(events: &[Event]) -> Vec<FieldSummary> {
    let mut counts: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for event in events {
        for (field, value) in &event.fields {
            *counts.entry(field).or_default().entry(value).or_default() += 1;
        }
    }
    counts
        .into_iter()
        .map(|(name, values)| {
            let mut top: Vec<ValueCount> = values
                .iter()
                .map(|(value, count)| ValueCount {
                    value: (*value).to_owned(),
                    count: *count,
                })
                .collect();
            top.sort_by_key(|value| std::cmp::Reverse(value.count));
            top.truncate(TOP_VALUES);
            FieldSummary {
                name: name.to_owned(),
                count: values.values().sum(),
                distinct: values.len() as u64,
                more: false,
                top,
            }
        })
        .collect()
}

fn ready<T: Send + 'static>(value: T) -> BoxFuture<'static, T> {
    futures::future::ready(value).boxed()
}

/// What is said of a future of this twin that waits, which none does.
fn late() -> SearchError {
    SearchError::Unavailable("the twin waits".to_owned())
}

/// Knows one mistake: a parenthesis.
fn check(query: &str) -> Result<(), SearchError> {
    match query.find('(') {
        None => Ok(()),
        Some(at) => Err(SearchError::Invalid {
            detail: "a parenthesis is not closed".to_owned(),
            start: at,
            end: at + 1,
            hint: Some("close it with )".to_owned()),
        }),
    }
}

impl EventReader for MemoryDataPlane {
    fn search(&self, request: SearchRequest) -> BoxFuture<'_, Result<SearchResult, SearchError>> {
        if let Err(error) = check(&request.query) {
            return ready(Err(error));
        }
        let mut events: Vec<Event> = self
            .contents()
            .events
            .iter()
            .filter(|event| event.time >= request.from && event.time < request.to)
            .filter(|event| matches(event, &request.query))
            .cloned()
            .collect();
        events.sort_by(|left, right| (left.time, &left.id).cmp(&(right.time, &right.id)));
        if request.order == EventOrder::Descending {
            events.reverse();
        }
        let total = events.len();
        let histogram = histogram(&events);
        let fields = summaries(&events);
        events.truncate(request.limit as usize);
        ready(Ok(SearchResult {
            unread: Vec::new(),
            capped: events.len() < total,
            events,
            total: total as u64,
            histogram,
            bucket_seconds: BUCKET_SECONDS.unsigned_abs(),
            took_ms: 0,
            fields,
            cut: None,
        }))
    }

    /// Knows one verb: `count`.
    fn rows(&self, request: RowsRequest) -> BoxFuture<'_, Result<RowsResult, SearchError>> {
        let Some(words) = request.query.strip_suffix("| count") else {
            return ready(Err(SearchError::Invalid {
                detail: "only count is known here".to_owned(),
                start: 0,
                end: request.query.len(),
                hint: None,
            }));
        };
        let contents = self.contents();
        let events = contents.events.iter();
        let found = events
            .filter(|event| event.time >= request.from && event.time < request.to)
            .filter(|event| matches(event, words.trim()))
            .count();
        ready(Ok(RowsResult {
            columns: vec![RowsColumn {
                name: "Count".to_owned(),
                kind: "long".to_owned(),
            }],
            rows: vec![vec![found.into()]],
            capped: false,
            unread: Vec::new(),
            render: None,
            took_ms: 1,
            cut: None,
        }))
    }

    fn search_stream(
        &self,
        request: SearchRequest,
    ) -> Result<BoxStream<'static, SearchPiece>, SearchError> {
        let found = self.search(request).now_or_never().unwrap_or(Err(late()))?;
        let part = SearchPart {
            files_read: 1,
            files: 1,
            bytes: 0,
            total: found.total,
            histogram: found.histogram,
            bucket_seconds: found.bucket_seconds,
            events: found.events,
        };
        let end = SearchEnd {
            total: found.total,
            capped: found.capped,
            cut: None,
            unread: Vec::new(),
            took_ms: 0,
        };
        let pieces = [SearchPiece::Part(part), SearchPiece::End(end)];
        Ok(futures::stream::iter(pieces).boxed())
    }

    fn rows_stream(
        &self,
        request: RowsRequest,
    ) -> Result<BoxStream<'static, RowsPiece>, SearchError> {
        let found = self.rows(request).now_or_never().unwrap_or(Err(late()))?;
        let head = RowsHead {
            columns: found.columns,
            render: None,
        };
        let end = RowsEnd {
            capped: false,
            cut: None,
            unread: Vec::new(),
            took_ms: 0,
        };
        let pieces = [
            RowsPiece::Head(head),
            RowsPiece::Rows(found.rows),
            RowsPiece::End(end),
        ];
        Ok(futures::stream::iter(pieces).boxed())
    }

    /// Follows the events that it holds already.
    fn tail(&self, request: TailRequest) -> Result<BoxStream<'static, TailPiece>, SearchError> {
        let all = SearchRequest {
            query: request.query,
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            limit: request.limits.rows,
            order: EventOrder::Ascending,
            limits: request.limits,
        };
        let found = self.search(all).now_or_never().unwrap_or(Err(late()))?;
        let begun = TailBegun {
            mode: "events".to_owned(),
            since: request.since.unwrap_or_default(),
            rows_per_second: 1,
        };
        let events = TailEvents {
            events: found.events,
            left_out: 0,
        };
        let pieces = [TailPiece::Begun(begun), TailPiece::Events(events)];
        Ok(futures::stream::iter(pieces).boxed())
    }

    fn field_statistics(
        &self,
        request: FieldsRequest,
    ) -> BoxFuture<'_, Result<FieldsResult, SearchError>> {
        let all = SearchRequest {
            query: request.query,
            from: request.from,
            to: request.to,
            limit: 1,
            order: EventOrder::Ascending,
            limits: request.limits,
        };
        async move {
            let found = self.search(all).await?;
            Ok(FieldsResult {
                events: found.total,
                exact: true,
                fields: found.fields,
            })
        }
        .boxed()
    }

    /// Knows one form: the raw records, a line each.
    fn export(&self, request: ExportRequest) -> Result<ExportPieces, SearchError> {
        let all = SearchRequest {
            query: request.query,
            from: request.from,
            to: request.to,
            limit: request.limit,
            order: EventOrder::Ascending,
            limits: request.limits,
        };
        let found = self.search(all).now_or_never().unwrap_or(Err(late()))?;
        let lines = found.events.into_iter();
        let lines = lines.map(|event| Ok(bytes::Bytes::from(format!("{}\n", event.raw))));
        Ok(futures::stream::iter(lines.collect::<Vec<_>>()).boxed())
    }

    fn check(&self, query: &str) -> Result<(), SearchError> {
        check(query)
    }

    /// Makes a rule of words only.
    fn draft_rule(&self, title: &str, query: &str) -> Result<String, SearchError> {
        check(query)?;
        Ok(format!(
            "title: {title}\ndetection:\n  keywords: [{query}]\n  condition: keywords\n"
        ))
    }

    fn complete(&self, request: CompletionRequest) -> BoxFuture<'_, Completions> {
        ready(Completions {
            start: 0,
            end: request.at,
            items: Vec::new(),
        })
    }

    fn event(&self, id: String) -> BoxFuture<'_, Result<Option<Event>, SearchError>> {
        let found = self.contents().events.iter().find(|e| e.id == id).cloned();
        ready(Ok(found))
    }

    fn related(
        &self,
        request: RelatedRequest,
    ) -> BoxFuture<'_, Result<RelatedEvents, SearchError>> {
        let mut events: Vec<Event> = self
            .contents()
            .events
            .iter()
            .filter(|event| event.time >= request.from && event.time <= request.to)
            .filter(|event| event.fields.values().any(|v| request.values.contains(v)))
            .cloned()
            .collect();
        events.sort_by(|left, right| (left.time, &left.id).cmp(&(right.time, &right.id)));
        let total = events.len();
        events.truncate(request.limit as usize);
        ready(Ok(RelatedEvents {
            capped: events.len() < total,
            events,
            total: total as u64,
        }))
    }

    fn fields(&self) -> BoxFuture<'_, Result<Vec<FieldInfo>, SearchError>> {
        ready(Ok(vec![FieldInfo {
            name: "process.cmd_line".to_owned(),
            kind: "text".to_owned(),
            description: "Command line of the process.".to_owned(),
            aliases: vec!["process.command_line".to_owned(), "CommandLine".to_owned()],
        }]))
    }
}

impl PipelineStatus for MemoryDataPlane {
    fn ledger(
        &self,
        from: Timestamp,
        to: Timestamp,
        source: Option<String>,
    ) -> BoxFuture<'_, Result<Vec<LedgerEntry>, StatusError>> {
        let rows = self
            .contents()
            .ledger
            .iter()
            .filter(|row| row.hour >= from && row.hour < to)
            .filter(|row| source.as_ref().is_none_or(|source| *source == row.source))
            .cloned()
            .collect();
        ready(Ok(rows))
    }

    fn sources(&self) -> BoxFuture<'_, Result<Vec<SourceInfo>, StatusError>> {
        ready(Ok(self.contents().sources.clone()))
    }

    fn status(&self) -> BoxFuture<'_, Result<DataPlaneStatus, StatusError>> {
        let contents = self.contents();
        ready(Ok(DataPlaneStatus {
            listeners: Vec::new(),
            lake: LakeStats {
                events: contents.events.len() as u64,
                files: 0,
                bytes: 0,
            },
            rules: RuleCounts {
                loaded: contents.rules.len() as u64,
                refused: contents.refused.len() as u64,
                suspended: contents.suspended.len() as u64,
            },
        }))
    }

    fn events_overview(&self) -> BoxFuture<'_, Result<EventsOverview, StatusError>> {
        let contents = self.contents();
        ready(Ok(EventsOverview {
            events_last_24h: contents.events.len() as u64,
            events_rate: histogram(&contents.events),
        }))
    }

    fn indicators(&self) -> Vec<IndicatorList> {
        self.contents().indicators.clone()
    }

    fn enrichment_files(&self) -> Vec<EnrichmentFile> {
        self.contents().enrichment_files.clone()
    }

    fn mapping_packs(&self) -> MappingPacks {
        self.contents().mapping_packs.clone()
    }

    fn forwards(&self) -> Vec<ForwardState> {
        self.contents().forwards.clone()
    }

    fn counters(&self) -> LiveCounters {
        let contents = self.contents();
        LiveCounters {
            received: contents.taken.len() as u64,
            stored: contents.events.len() as u64,
            lag_ms: 0,
            journal_pending: 0,
        }
    }

    fn metrics(&self) -> Vec<Metric> {
        vec![Metric {
            name: "watchfloor_records_received_total",
            help: "Records received.",
            kind: MetricKind::Counter,
            labels: Vec::new(),
            value: self.contents().taken.len() as f64,
        }]
    }
}

impl RuleDesk for MemoryDataPlane {
    fn explain(
        &self,
        rule: String,
        event: ExplainedEvent,
    ) -> BoxFuture<'_, Result<serde_json::Value, ExplainError>> {
        let contents = self.contents();
        if !contents.rule_details.contains_key(&rule) {
            return ready(Err(ExplainError::NoRule));
        }
        let is_there = match &event {
            ExplainedEvent::Stored(id) => contents.events.iter().any(|event| event.id == *id),
            ExplainedEvent::Raw { .. } => true,
        };
        ready(if is_there {
            Ok(serde_json::json!({"rule_id": rule, "matched": false}))
        } else {
            Err(ExplainError::NoEvent)
        })
    }

    fn coverage(&self) -> BoxFuture<'_, Result<serde_json::Value, StatusError>> {
        ready(Ok(
            serde_json::json!({"versions": {"layer": "4.5"}, "techniques": []}),
        ))
    }

    fn rules(&self) -> BoxFuture<'_, Result<Vec<RuleInfo>, StatusError>> {
        ready(Ok(self.contents().rules.clone()))
    }

    fn rule(&self, id: String) -> BoxFuture<'_, Result<Option<RuleDetail>, StatusError>> {
        ready(Ok(self.contents().rule_details.get(&id).cloned()))
    }

    fn refused(&self) -> BoxFuture<'_, Result<Vec<RefusedRule>, StatusError>> {
        ready(Ok(self.contents().refused.clone()))
    }

    fn reloads(&self) -> BoxFuture<'_, Result<Vec<RuleReload>, StatusError>> {
        ready(Ok(self.contents().reloads.clone()))
    }

    fn liveness(&self) -> BoxFuture<'_, Result<LivenessReport, StatusError>> {
        let facts = self.contents().rule_facts.clone();
        ready(Ok(LivenessReport {
            since: Timestamp::UNIX_EPOCH,
            items: facts.into_values().map(|facts| facts.liveness).collect(),
            next: None,
        }))
    }

    fn facts(&self, id: String) -> BoxFuture<'_, Result<Option<RuleFacts>, StatusError>> {
        ready(Ok(self.contents().rule_facts.get(&id).cloned()))
    }

    fn run_canary(&self, id: String) -> BoxFuture<'_, Result<Option<Canary>, StatusError>> {
        let contents = self.contents();
        let facts = contents.rule_facts.get(&id);
        ready(Ok(facts.map(|facts| facts.liveness.canary.clone())))
    }

    fn backtest(
        &self,
        request: BacktestRequest,
    ) -> BoxFuture<'_, Result<BacktestReport, BacktestError>> {
        let contents = self.contents();
        let id = request.rule_id.unwrap_or_default();
        let Some(rule) = contents.rule_details.get(&id) else {
            return ready(Err(BacktestError::Missing));
        };
        ready(Ok(BacktestReport {
            title: rule.title.clone(),
            from: request.from,
            to: request.to,
            before: BacktestCount::default(),
            after: request.exception.map(|_| BacktestCount::default()),
            per_day: Vec::new(),
            hosts: Vec::new(),
            users: Vec::new(),
            examples: Vec::new(),
            events_judged: contents.events.len() as u64,
            events_in_range: contents.events.len() as u64,
            reached: None,
            is_whole: true,
            took_ms: 0,
        }))
    }

    fn suspend(
        &self,
        id: String,
        reason: String,
        _: String,
    ) -> BoxFuture<'_, Result<bool, StatusError>> {
        let mut contents = self.contents();
        let is_known = contents.rule_details.contains_key(&id);
        ready(Ok(
            is_known && contents.suspended.insert(id, reason).is_none()
        ))
    }

    fn resume(&self, id: String, _: String) -> BoxFuture<'_, Result<bool, StatusError>> {
        ready(Ok(self.contents().suspended.remove(&id).is_some()))
    }

    fn reload(&self, _: String) -> BoxFuture<'_, Result<RuleReload, StatusError>> {
        let mut contents = self.contents();
        let reload = RuleReload {
            at: Timestamp::UNIX_EPOCH,
            took_ms: 0,
            loaded: contents.rules.len() as u64,
            changes: Vec::new(),
            refused: contents.refused.clone(),
            unreadable: Vec::new(),
        };
        contents.reloads.insert(0, reload.clone());
        ready(Ok(reload))
    }
}

impl Intake for MemoryDataPlane {
    fn take(&self, items: Vec<IngestItem>) -> BoxFuture<'_, Result<Vec<ItemOutcome>, IntakeError>> {
        let mut contents = self.contents();
        if contents.busy {
            return ready(Err(IntakeError::Busy { retry_after_s: 1 }));
        }
        let outcomes = vec![ItemOutcome::Durable; items.len()];
        for item in items {
            let known = item
                .idempotency
                .as_ref()
                .is_some_and(|key| !contents.keys.insert(key.clone()));
            if !known {
                contents.taken.push(item);
            }
        }
        ready(Ok(outcomes))
    }

    fn check_product(&self, product: &str) -> Result<(), String> {
        if product == "cisco" {
            return Ok(());
        }
        Err(format!(
            "there is no mapping pack '{product}'; there is cisco"
        ))
    }

    fn count_rejected(&self, source: &str, reason: &'static str, records: u64) {
        let row = (source.to_owned(), reason, records);
        self.contents().rejected.push(row);
    }
}

impl FleetDesk for MemoryDataPlane {
    fn status(&self, _tenant: &TenantId, _groups: &[AgentGroup]) -> FleetStatus {
        FleetStatus::default()
    }

    fn connected(&self, _tenant: &TenantId, agents: &[AgentId]) -> Vec<Option<ConnectedAgent>> {
        agents.iter().map(|_| None).collect()
    }

    fn policy_of(&self, _tenant: &TenantId, _group: &AgentGroup) -> Option<u64> {
        None
    }

    fn enrolment_line(&self, secret: &str, base: &str) -> EnrolmentLine {
        EnrolmentLine {
            token: secret.to_owned(),
            command: format!("watchfloor-agent enrol --server {base} --token {secret}"),
        }
    }

    fn binary(&self, _target: &str) -> Option<std::path::PathBuf> {
        None
    }

    fn has_version(&self, _version: &str) -> bool {
        false
    }

    fn collected(
        &self,
        _tenant: &TenantId,
        _action: &ActionId,
        _name: &str,
    ) -> Option<std::path::PathBuf> {
        None
    }
}

impl LakeKeeper for MemoryDataPlane {
    fn usage(&self) -> BoxFuture<'_, Result<StorageUsage, SearchError>> {
        let contents = self.contents();
        let raw = |event: &Event| event.raw.len() as u64;
        let bytes: u64 = contents.events.iter().map(raw).sum();
        ready(Ok(StorageUsage {
            rows: contents.events.len() as u64,
            bytes,
            raw_bytes: bytes,
            ..StorageUsage::default()
        }))
    }

    fn check(&self, query: &str) -> Result<(), SearchError> {
        check(query)
    }

    fn would_erase(
        &self,
        query: String,
        _holds: Vec<LegalHold>,
    ) -> BoxFuture<'_, Result<ErasureCount, SearchError>> {
        let contents = self.contents();
        let found = contents
            .events
            .iter()
            .filter(|event| matches(event, &query));
        ready(Ok(ErasureCount {
            events: found.count() as u64,
            held: 0,
            files: 0,
        }))
    }

    fn erase(
        &self,
        query: String,
        _holds: Vec<LegalHold>,
    ) -> BoxFuture<'static, Result<ErasureCount, SearchError>> {
        let mut contents = self.contents();
        let before = contents.events.len();
        contents.events.retain(|event| !matches(event, &query));
        ready(Ok(ErasureCount {
            events: (before - contents.events.len()) as u64,
            held: 0,
            files: 0,
        }))
    }

    fn wake(&self) {}
}

/// A server over records in a folder and the data plane in memory.
#[derive(Debug)]
pub struct MemoryServer {
    /// Answers requests, e.g. by `tower::ServiceExt::oneshot`.
    pub router: Router,
    /// The control plane.
    pub casework: Casework,
    /// The data plane.
    pub plane: Arc<MemoryDataPlane>,
}

impl MemoryServer {
    /// Opens records in a folder and builds the routes over them, answering on loopback names.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn start(folder: &Path, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        let store = Store::open(folder).await?;
        let casework = Casework::new(store, CaseworkSettings::standard(), clock);
        let plane = Arc::new(MemoryDataPlane::default());
        let settings = ApiSettings {
            hosts: HostPolicy::Loopback,
            cookie: CookieTransport::Plain,
            version: "0.0.0-test".to_owned(),
            limits: RoleLimits::STANDARD,
        };
        let parts = ApiParts {
            casework: casework.clone(),
            events: plane.clone(),
            pipeline: plane.clone(),
            intake: plane.clone(),
            rules: plane.clone(),
            keeper: plane.clone(),
            fleet: plane.clone(),
        };
        let state = ApiState::new(parts, settings);
        Ok(Self {
            router: router(state),
            casework,
            plane,
        })
    }
}
