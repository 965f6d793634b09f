//! Reading events for the API, over the lake.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use watchfloor_api::ports::{
    Chart, ChartProperty, Event, EventOrder, EventReader, FieldInfo, FieldSummary, HistogramBucket,
    RelatedEvents, RelatedRequest, RowsColumn, RowsRequest, RowsResult, SearchError, SearchRequest,
    SearchResult, ValueCount,
};
use watchfloor_casework::{EventFieldsFuture, EventLookup};
use watchfloor_event::EventId;
use watchfloor_event::ocsf::{AttributeType, PROMOTED};
use watchfloor_lake::{
    Lake, PipeColumn, PipeError, PipeRequest, RowsQuery, SortOrder, StoredEvent,
};
use watchfloor_query::{CoreField, Query, TextPattern};

use super::convert::{self, invalid, unavailable};

/// Buckets that a histogram aims at.
const BUCKETS: i64 = 120;
/// Longest that a query with verbs may take.
const ROWS_TIMEOUT: Duration = Duration::from_secs(60);
/// Values named per field.
const TOP_VALUES: usize = 10;

/// The lake as the API reads it.
pub(crate) struct LakeEvents {
    lake: Arc<Lake>,
}

impl LakeEvents {
    pub(crate) fn new(lake: Arc<Lake>) -> Self {
        Self { lake }
    }

    async fn find(&self, request: SearchRequest) -> Result<SearchResult, SearchError> {
        let start = Instant::now();
        let query = watchfloor_query::parse(&request.query).map_err(invalid)?;
        let bucket_seconds = bucket_seconds(request.from, request.to);
        let found = self
            .lake
            .search(&watchfloor_lake::SearchRequest {
                query,
                from: request.from,
                to: request.to,
                limit: request.limit as usize,
                order: match request.order {
                    EventOrder::Ascending => SortOrder::OldestFirst,
                    EventOrder::Descending => SortOrder::NewestFirst,
                },
                with_findings: false,
                bucket_seconds,
            })
            .await
            .map_err(unavailable)?;
        let fields = summaries(&found.events);
        let histogram = found.histogram.iter().map(|bucket| HistogramBucket {
            start: bucket.start,
            count: bucket.count,
        });
        Ok(SearchResult {
            total: found.total,
            unread: found.unread,
            capped: (found.events.len() as u64) < found.total,
            histogram: histogram.collect(),
            bucket_seconds,
            fields,
            events: found.events.into_iter().map(convert::event).collect(),
            took_ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn find_rows(&self, request: RowsRequest) -> Result<RowsResult, SearchError> {
        let asked = PipeRequest {
            query: RowsQuery::parse(&request.query).map_err(invalid)?,
            from: request.from,
            to: request.to,
            limit: request.limit as usize,
            timeout: ROWS_TIMEOUT,
        };
        let found = self.lake.pipe(&asked).await.map_err(|error| match error {
            PipeError::Query(error) => invalid(error),
            PipeError::Stopped(detail) => SearchError::TooCostly { detail },
            PipeError::Read(error) => unavailable(error),
        })?;
        let column = |column: PipeColumn| RowsColumn {
            name: column.name,
            kind: column.kind.to_owned(),
        };
        let property = |(name, value)| ChartProperty { name, value };
        Ok(RowsResult {
            columns: found.columns.into_iter().map(column).collect(),
            rows: found.rows,
            capped: found.is_capped,
            unread: found.unread,
            render: found.render.map(|render| Chart {
                kind: render.kind,
                with: render.with.into_iter().map(property).collect(),
            }),
            took_ms: u64::try_from(found.took.as_millis()).unwrap_or(u64::MAX),
        })
    }

    async fn find_related(&self, request: RelatedRequest) -> Result<RelatedEvents, SearchError> {
        let contains = |value: String| Query::Contains(TextPattern::Exact(value));
        let query = Query::Or(
            request
                .values
                .into_iter()
                .filter(|value| !value.is_empty())
                .map(contains)
                .collect(),
        );
        let found = self
            .lake
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

/// Fields of stored events, as casework asks for them. The lake is there once the data plane has
/// started; until then findings wait.
#[derive(Default)]
pub(crate) struct LakeLookup {
    lake: OnceLock<Arc<Lake>>,
}

impl LakeLookup {
    pub(crate) fn set(&self, lake: Arc<Lake>) {
        // The first one stays.
        let _ = self.lake.set(lake);
    }
}

impl EventLookup for LakeLookup {
    fn fields(&self, event_ids: Vec<String>) -> EventFieldsFuture<'_> {
        Box::pin(async move {
            let lake = self.lake.get().ok_or("the lake is not open yet")?;
            let ids: Vec<EventId> = event_ids.iter().filter_map(|id| id.parse().ok()).collect();
            let events = lake.events(&ids).await.map_err(|error| error.to_string())?;
            let fields = events
                .into_iter()
                .map(|event| (event.id.to_string(), event.fields.into_iter().collect()));
            Ok(fields.collect())
        })
    }
}

impl EventReader for LakeEvents {
    fn search(&self, request: SearchRequest) -> BoxFuture<'_, Result<SearchResult, SearchError>> {
        self.find(request).boxed()
    }

    fn rows(&self, request: RowsRequest) -> BoxFuture<'_, Result<RowsResult, SearchError>> {
        self.find_rows(request).boxed()
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
        self.find_related(request).boxed()
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
fn bucket_seconds(from: Timestamp, to: Timestamp) -> u64 {
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
    let mut summaries: Vec<(u64, FieldSummary)> = by_field
        .into_iter()
        .map(|(name, values)| {
            let total = values.values().sum();
            let distinct = values.len() as u64;
            let mut top: Vec<ValueCount> = values
                .into_iter()
                .map(|(value, count)| ValueCount {
                    value: value.to_owned(),
                    count,
                })
                .collect();
            top.sort_by(|left, right| {
                right
                    .count
                    .cmp(&left.count)
                    .then_with(|| left.value.cmp(&right.value))
            });
            top.truncate(TOP_VALUES);
            let name = name.to_owned();
            (
                total,
                FieldSummary {
                    name,
                    distinct,
                    top,
                },
            )
        })
        .collect();
    summaries.sort_by(|left, right| {
        right
            .0
            .cmp(&left.0)
            .then_with(|| left.1.name.cmp(&right.1.name))
    });
    summaries.into_iter().map(|(_, summary)| summary).collect()
}
