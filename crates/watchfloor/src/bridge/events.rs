//! Reading events for the API, over the lake.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use watchfloor_api::ports::{
    Chart, ChartProperty, Completion, CompletionRequest, Completions, Event, EventOrder,
    EventReader, ExportPieces, ExportRequest, FieldInfo, FieldSummary, FieldsRequest, FieldsResult,
    HistogramBucket, LimitCut, RelatedEvents, RelatedRequest, RowsColumn, RowsPiece, RowsRequest,
    RowsResult, SearchError, SearchPiece, SearchRequest, SearchResult, TailPiece, TailRequest,
    ValueCount,
};
use watchfloor_event::EventId;
use watchfloor_event::ocsf::{AttributeType, PROMOTED};
use watchfloor_lake::{
    Bucket, Lake, Limit, PipeColumn, PipeError, PipeResult, Run, SortOrder, StoredEvent,
};
use watchfloor_query::pipe::Render;
use watchfloor_query::{CompletionKind, CoreField, Query, TextPattern};

pub(super) use super::convert::invalid;
use super::convert::{self, unavailable};
use super::exports;
use super::hunting::{self, Queries};
use super::values::KnownValues;

/// Buckets that a histogram aims at.
const BUCKETS: i64 = 120;
/// Longest that the fields of all events that match are counted.
const COUNTING: Duration = Duration::from_millis(1_500);
/// Values that are offered to those who write a query.
const VALUES: usize = 12;
/// Values named per field.
const TOP_VALUES: usize = 10;

/// The lake as the API reads it.
pub(crate) struct LakeEvents {
    lake: Arc<Lake>,
    queries: Arc<Queries>,
    values: Arc<KnownValues>,
}

impl LakeEvents {
    pub(crate) fn new(lake: Arc<Lake>, queries: Arc<Queries>) -> Self {
        Self {
            lake,
            queries,
            values: Arc::default(),
        }
    }

    async fn find(lake: Arc<Lake>, request: SearchRequest) -> Result<SearchResult, SearchError> {
        let start = Instant::now();
        let asked = lake_search(&request)?;
        let run = hunting::run(&request.limits);
        let events: Mutex<Vec<StoredEvent>> = Mutex::default();
        let histogram = Mutex::default();
        let end = lake.search_parts(&asked, &run, |part| {
            lock(&events).extend(part.events);
            *lock(&histogram) = part.histogram;
            std::future::ready(())
        });
        let end = end.await.map_err(failure)?;
        let mut events = std::mem::take(&mut *lock(&events));
        events.sort_by_key(|event| (event.time, event.id));
        if asked.order == SortOrder::NewestFirst {
            events.reverse();
        }
        events.truncate(asked.limit);
        let fields = summaries(&events);
        Ok(SearchResult {
            total: end.total,
            unread: end.unread,
            capped: (events.len() as u64) < end.total,
            cut: end
                .cut
                .map(|limit| cut(limit, &run))
                .or_else(|| rows_cut(&request)),
            histogram: buckets(&lock(&histogram)),
            bucket_seconds: asked.bucket_seconds,
            fields,
            events: events.into_iter().map(convert::event).collect(),
            took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn find_rows(lake: Arc<Lake>, request: RowsRequest) -> Result<RowsResult, SearchError> {
        let asked = hunting::rows_request(&request)?;
        let found = lake.pipe(&asked).await.map_err(failure)?;
        Ok(rows_result(found))
    }

    async fn count_fields(
        lake: Arc<Lake>,
        request: FieldsRequest,
    ) -> Result<FieldsResult, SearchError> {
        let asked = lake_search(&SearchRequest {
            query: request.query,
            from: request.from,
            to: request.to,
            limit: 0,
            order: EventOrder::Descending,
            limits: request.limits,
        })?;
        let run = hunting::run(&request.limits);
        let counted = lake
            .statistics(&asked, (&run, COUNTING), TOP_VALUES)
            .await
            .map_err(failure)?;
        let fields = counted.fields.into_iter().map(|field| FieldSummary {
            name: field.name,
            count: field.count,
            distinct: field.distinct,
            more: field.has_more,
            top: field.top.into_iter().map(value_count).collect(),
        });
        Ok(FieldsResult {
            events: counted.events,
            exact: counted.is_whole,
            fields: fields.collect(),
        })
    }

    async fn completions(&self, request: CompletionRequest) -> Completions {
        let found = watchfloor_query::complete(&request.query, request.at);
        let mut items = Vec::new();
        if let Some(wanted) = found.values {
            let asked = (wanted.begin.as_str(), VALUES);
            let values = self.values.of(&self.lake, &wanted.field, asked).await;
            items.extend(values.into_iter().map(|(value, count)| Completion {
                insert: wanted.insert(&value),
                label: value,
                kind: CompletionKind::Value.as_str().to_owned(),
                detail: format!("{count}×"),
                about: String::new(),
            }));
        }
        items.extend(found.items.into_iter().map(|item| Completion {
            insert: item.insert,
            label: item.label,
            kind: item.kind.as_str().to_owned(),
            detail: item.detail,
            about: item.about,
        }));
        Completions {
            start: found.replace.start,
            end: found.replace.end,
            items,
        }
    }

    async fn find_related(
        lake: Arc<Lake>,
        request: RelatedRequest,
    ) -> Result<RelatedEvents, SearchError> {
        let contains = |value: String| Query::Contains(TextPattern::Exact(value));
        let query = Query::Or(
            request
                .values
                .into_iter()
                .filter(|value| !value.is_empty())
                .map(contains)
                .collect(),
        );
        let found = lake
            .search(&watchfloor_lake::SearchRequest {
                query,
                from: request.from,
                // The lake's end is exclusive; an event at the very end is meant.
                to: request
                    .to
                    .saturating_add(SignedDuration::from_micros(1))
                    .unwrap_or(Timestamp::MAX),
                limit: request.limit as usize,
                order: SortOrder::OldestFirst,
                with_findings: false,
                bucket_seconds: 0,
            })
            .await
            .map_err(unavailable)?;
        Ok(RelatedEvents {
            total: found.total,
            capped: (found.events.len() as u64) < found.total,
            events: found.events.into_iter().map(convert::event).collect(),
        })
    }
}

impl EventReader for LakeEvents {
    fn search(&self, request: SearchRequest) -> BoxFuture<'_, Result<SearchResult, SearchError>> {
        let work = Self::find(Arc::clone(&self.lake), request);
        self.queries.work(work).boxed()
    }

    fn rows(&self, request: RowsRequest) -> BoxFuture<'_, Result<RowsResult, SearchError>> {
        let work = Self::find_rows(Arc::clone(&self.lake), request);
        self.queries.work(work).boxed()
    }

    fn search_stream(
        &self,
        request: SearchRequest,
    ) -> Result<BoxStream<'static, SearchPiece>, SearchError> {
        hunting::search(Arc::clone(&self.lake), &self.queries, &request)
    }

    fn rows_stream(
        &self,
        request: RowsRequest,
    ) -> Result<BoxStream<'static, RowsPiece>, SearchError> {
        hunting::rows(Arc::clone(&self.lake), &self.queries, &request)
    }

    fn tail(&self, request: TailRequest) -> Result<BoxStream<'static, TailPiece>, SearchError> {
        hunting::tail(&self.lake, &self.queries, request)
    }

    fn field_statistics(
        &self,
        request: FieldsRequest,
    ) -> BoxFuture<'_, Result<FieldsResult, SearchError>> {
        let work = Self::count_fields(Arc::clone(&self.lake), request);
        self.queries.work(work).boxed()
    }

    fn export(&self, request: ExportRequest) -> Result<ExportPieces, SearchError> {
        exports::export(Arc::clone(&self.lake), &self.queries, &request)
    }

    fn check(&self, query: &str) -> Result<(), SearchError> {
        exports::export_query(query).map(drop).map_err(invalid)
    }

    fn draft_rule(&self, title: &str, query: &str) -> Result<String, SearchError> {
        watchfloor_query::sigma_rule(title, query).map_err(invalid)
    }

    fn complete(&self, request: CompletionRequest) -> BoxFuture<'_, Completions> {
        self.completions(request).boxed()
    }

    fn event(&self, id: String) -> BoxFuture<'_, Result<Option<Event>, SearchError>> {
        async move {
            let Ok(id) = id.parse::<EventId>() else {
                return Ok(None);
            };
            let found = self.lake.event(id).await.map_err(unavailable)?;
            Ok(found.map(convert::event))
        }
        .boxed()
    }

    fn related(
        &self,
        request: RelatedRequest,
    ) -> BoxFuture<'_, Result<RelatedEvents, SearchError>> {
        let work = Self::find_related(Arc::clone(&self.lake), request);
        self.queries.work(work).boxed()
    }

    fn fields(&self) -> BoxFuture<'_, Result<Vec<FieldInfo>, SearchError>> {
        async move { Ok(field_infos()) }.boxed()
    }
}

fn field_infos() -> Vec<FieldInfo> {
    let core = CoreField::ALL.iter().map(|(_, name, about)| FieldInfo {
        name: (*name).to_owned(),
        kind: if name.ends_with("_id") {
            "number"
        } else {
            "text"
        }
        .to_owned(),
        description: (*about).to_owned(),
        aliases: Vec::new(),
    });
    let promoted = PROMOTED.iter().map(|attribute| FieldInfo {
        name: attribute.path.to_owned(),
        kind: match attribute.kind {
            AttributeType::Text => "text",
            AttributeType::Integer => "number",
        }
        .to_owned(),
        description: attribute.about.to_owned(),
        aliases: attribute
            .ecs
            .iter()
            .chain(attribute.sigma)
            .map(|name| (*name).to_owned())
            .collect(),
    });
    core.chain(promoted).collect()
}

/// A width that people read easily and that gives about [`BUCKETS`] buckets.
pub(super) fn bucket_seconds(from: Timestamp, to: Timestamp) -> u64 {
    const WIDTHS: [i64; 14] = [
        1, 2, 5, 10, 30, 60, 300, 600, 1800, 3600, 10_800, 21_600, 86_400, 604_800,
    ];
    let wanted = (to.as_second() - from.as_second()) / BUCKETS;
    let width = WIDTHS
        .into_iter()
        .find(|width| *width >= wanted)
        .unwrap_or(2_592_000);
    width.unsigned_abs()
}

/// What the fields of the events hold, by how many events have the field.
fn summaries(events: &[StoredEvent]) -> Vec<FieldSummary> {
    let mut by_field: BTreeMap<&str, HashMap<&str, u64>> = BTreeMap::new();
    for event in events {
        let fields = event
            .fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in fields.chain([
            ("source", event.source.as_str()),
            ("product", event.product.as_str()),
        ]) {
            *by_field.entry(name).or_default().entry(value).or_default() += 1;
        }
    }
    let mut summaries: Vec<FieldSummary> = by_field
        .into_iter()
        .map(|(name, values)| {
            let count = values.values().sum();
            let distinct = values.len() as u64;
            let values = values.into_iter();
            let mut top: Vec<(String, u64)> = values
                .map(|(value, count)| (value.to_owned(), count))
                .collect();
            top.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
            top.truncate(TOP_VALUES);
            FieldSummary {
                name: name.to_owned(),
                count,
                distinct,
                more: false,
                top: top.into_iter().map(value_count).collect(),
            }
        })
        .collect();
    summaries.sort_by(|left, right| {
        right
            .count
            .cmp(&left.count)
            .then_with(|| left.name.cmp(&right.name))
    });
    summaries
}

fn value_count((value, count): (String, u64)) -> ValueCount {
    ValueCount { value, count }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a search is for the lake.
pub(super) fn lake_search(
    request: &SearchRequest,
) -> Result<watchfloor_lake::SearchRequest, SearchError> {
    Ok(watchfloor_lake::SearchRequest {
        query: watchfloor_query::parse(&request.query).map_err(invalid)?,
        from: request.from,
        to: request.to,
        limit: request.limit.min(request.limits.rows) as usize,
        order: match request.order {
            EventOrder::Ascending => SortOrder::OldestFirst,
            EventOrder::Descending => SortOrder::NewestFirst,
        },
        with_findings: false,
        bucket_seconds: bucket_seconds(request.from, request.to),
    })
}

pub(super) fn buckets(buckets: &[Bucket]) -> Vec<HistogramBucket> {
    let buckets = buckets.iter().map(|bucket| HistogramBucket {
        start: bucket.start,
        count: bucket.count,
    });
    buckets.collect()
}

pub(super) fn column(column: PipeColumn) -> RowsColumn {
    RowsColumn {
        name: column.name,
        kind: column.kind.to_owned(),
    }
}

pub(super) fn chart(render: Render) -> Chart {
    let property = |(name, value)| ChartProperty { name, value };
    Chart {
        kind: render.kind,
        with: render.with.into_iter().map(property).collect(),
    }
}

pub(super) fn rows_result(found: PipeResult) -> RowsResult {
    RowsResult {
        columns: found.columns.into_iter().map(column).collect(),
        rows: found.rows,
        capped: found.is_capped,
        cut: None,
        unread: found.unread,
        render: found.render.map(chart),
        took_ms: u64::try_from(found.took.as_millis()).unwrap_or(u64::MAX),
    }
}

/// A limit that ended a search before all files were looked at.
pub(super) fn cut(limit: Limit, run: &Run) -> LimitCut {
    let reached = match limit {
        Limit::Time => format!("the limit of {} s was reached", run.timeout.as_secs()),
        Limit::Bytes => {
            let megabytes = run.progress.bytes_max() >> 20;
            format!("the limit of {megabytes} MiB read of files was reached")
        }
        Limit::Rows => "the limit of rows was reached".to_owned(),
        Limit::Memory => "the limit of memory was reached".to_owned(),
    };
    LimitCut {
        limit: limit.as_str().to_owned(),
        detail: format!(
            "{reached}: some files were not looked at; ask for less time, or a rarer value"
        ),
    }
}

/// Fewer rows than were asked for, since the role may not have more.
pub(super) fn rows_cut(request: &SearchRequest) -> Option<LimitCut> {
    let most = request.limits.rows;
    (request.limit > most).then(|| LimitCut {
        limit: Limit::Rows.as_str().to_owned(),
        detail: format!("your role may have {most} rows in an answer"),
    })
}

pub(super) fn failure(error: PipeError) -> SearchError {
    match error {
        PipeError::Query(error) => invalid(error),
        PipeError::Stopped(detail) | PipeError::Limited(_, detail) => {
            SearchError::TooCostly { detail }
        }
        PipeError::Read(error) => unavailable(error),
    }
}
