//! Searching the lake.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::common::ScalarValue;
use datafusion::error::DataFusionError;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
    cast as cast_expr, col, lit,
};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use ipnet::IpNet;
use jiff::Timestamp;
use watchfloor_event::{EventId, Finding, JournalPlace, ocsf, partition_of};
use watchfloor_query::Query;

use crate::findings;
use crate::lower;
use crate::rows::{self, StoredEvent};
use crate::schema;
use crate::snapshot::day_of;
use crate::table::{Lake, LedgerCount, ReadError};

/// Order of the events of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortOrder {
    /// Newest first.
    NewestFirst,
    /// Oldest first.
    OldestFirst,
}

/// What is searched for.
#[derive(Clone, Debug)]
pub struct SearchRequest {
    /// In the hunt language.
    pub query: Query,
    /// First instant of event time.
    pub from: Timestamp,
    /// First instant of event time that is left out.
    pub to: Timestamp,
    /// Most events to return, at most 10,000.
    pub limit: usize,
    /// Which come first.
    pub order: SortOrder,
    /// Whether findings (class 2004) are searched too.
    pub with_findings: bool,
    /// Width of the histogram's buckets in seconds; 0 leaves it out.
    pub bucket_seconds: u64,
}

/// One bucket of the histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Its first instant.
    pub start: Timestamp,
    /// Events in it.
    pub count: u64,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SearchResult {
    /// Events in the asked order, at most the limit.
    pub events: Vec<StoredEvent>,
    /// How many there are in all.
    pub total: u64,
    /// Buckets that hold events, in time order.
    pub histogram: Vec<Bucket>,
    /// Files of the asked time that cannot be read: what they hold is not in the result.
    pub unread: Vec<String>,
}

/// Findings of one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleCount {
    /// The rule.
    pub rule_id: String,
    /// How many.
    pub findings: u64,
    /// Time of the last.
    pub last: Timestamp,
}

/// Most events of one result.
pub(crate) const MAX_LIMIT: usize = 10_000;

impl Lake {
    /// Searches events.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn search(&self, request: &SearchRequest) -> Result<SearchResult, ReadError> {
        let mut result = loop {
            match self.find(request).await {
                Err(error) if self.note_broken(&error).await => {}
                other => break other?,
            }
        };
        result.unread = self.unread(request.from, request.to);
        Ok(result)
    }

    async fn find(&self, request: &SearchRequest) -> Result<SearchResult, ReadError> {
        let filter = self.filter(request);
        let histogram = self
            .histogram(filter.clone(), request.bucket_seconds)
            .await?;
        let total = histogram.iter().map(|bucket| bucket.count).sum();
        let limit = request.limit.min(MAX_LIMIT);
        let events = if total == 0 || limit == 0 {
            Vec::new()
        } else {
            let is_whole = total <= limit as u64;
            self.first_events(request, filter, limit, is_whole).await?
        };
        Ok(SearchResult {
            events,
            total,
            unread: Vec::new(),
            histogram: if request.bucket_seconds == 0 {
                Vec::new()
            } else {
                histogram
            },
        })
    }

    /// One event by its id.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn event(&self, id: EventId) -> Result<Option<StoredEvent>, ReadError> {
        let frame = self
            .frame()
            .await?
            .filter(lower::event_id(id))
            .map_err(query_error)?;
        Ok(collect_events(frame).await?.pop())
    }

    /// Events by their ids, in time order; ids that the lake does not hold are left out.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn events(&self, ids: &[EventId]) -> Result<Vec<StoredEvent>, ReadError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        // What casework asks for just arrived, mostly.
        let mut events = self.snapshot().recent_events(ids).map_err(query_error)?;
        let found: HashSet<EventId> = events.iter().map(|event| event.id).collect();
        let rest: Vec<EventId> = ids
            .iter()
            .filter(|id| !found.contains(id))
            .copied()
            .collect();
        // Engines turn lists into trees, so each list is short.
        for part in rest.chunks(64) {
            let positions = part.iter().map(|id| lit(id.position() as i64)).collect();
            let frame = self
                .frame()
                .await?
                .filter(col(schema::POSITION).in_list(positions, false))
                .map_err(query_error)?;
            events.extend(collect_events(frame).await?);
        }
        events.retain(|event| ids.contains(&event.id));
        events.sort_by_key(|event| (event.time, event.id));
        Ok(events)
    }

    /// Findings that were committed at or after a journal position, with the position at which
    /// each stands, in that order.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn findings_from(&self, position: u64) -> Result<Vec<(u64, Finding)>, ReadError> {
        let end = JournalPlace::start_of(partition_of(position) + 1);
        let filter = col(schema::CLASS)
            .eq(lit(ocsf::DETECTION_FINDING as i32))
            .and(schema::is_finding())
            .and(col(schema::POSITION).gt_eq(lit(position as i64)))
            .and(col(schema::POSITION).lt(lit(end as i64)));
        let frame = self.frame().await?.filter(filter).map_err(query_error)?;
        let mut events = collect_events(frame).await?;
        events.sort_by_key(|event| event.id);
        let finding =
            |event: &StoredEvent| Some((event.id.position(), findings::from_event(event)?));
        Ok(events.iter().filter_map(finding).collect())
    }

    /// What the table itself says per source and hour about records at or after a position.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn ledger_counts(&self, from: u64) -> Result<Vec<LedgerCount>, ReadError> {
        let end = JournalPlace::start_of(partition_of(from) + 1);
        self.ledger_counts_between(from, end).await
    }

    /// As [`Lake::ledger_counts`], up to another position (exclusive).
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn ledger_counts_between(
        &self,
        from: u64,
        to: u64,
    ) -> Result<Vec<LedgerCount>, ReadError> {
        const HOUR_US: i64 = 3_600_000_000;
        let filter = col(schema::POSITION)
            .gt_eq(lit(from as i64))
            .and(col(schema::POSITION).lt(lit(to as i64)))
            .and(schema::is_event());
        let hour = cast_expr(col("received_at"), DataType::Int64) / lit(HOUR_US);
        let yes = |condition: Expr| cast_expr(condition, DataType::Int64);
        let undecoded = Expr::IsTrue(Box::new(col("anomalies").like(lit("%\"undecoded\"%"))));
        let sum = datafusion::functions_aggregate::expr_fn::sum;
        let frame = self.frame().await?.filter(filter).map_err(query_error)?;
        let frame = frame
            .aggregate(
                vec![col("source"), hour.alias("hour")],
                vec![
                    sum(yes(col(schema::PART).eq(lit(0_i64)))).alias("records"),
                    count(lit(1)).alias("stored"),
                    sum(yes(undecoded)).alias("undecoded"),
                ],
            )
            .map_err(query_error)?;
        let mut counts = Vec::new();
        for batch in frame.collect().await.map_err(query_error)? {
            counts.extend(ledger_rows(&batch).map_err(ReadError::Rows)?);
        }
        Ok(counts)
    }

    /// How many findings each rule gave since an instant, and the time of the last.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn findings_by_rule(&self, since: Timestamp) -> Result<Vec<RuleCount>, ReadError> {
        let max = datafusion::functions_aggregate::expr_fn::max;
        let request = SearchRequest {
            query: Query::All,
            from: since,
            to: Timestamp::MAX,
            limit: 0,
            order: SortOrder::NewestFirst,
            with_findings: true,
            bucket_seconds: 0,
        };
        let filter = self.filter(&request).and(schema::is_finding());
        let frame = self.frame().await?.filter(filter).map_err(query_error)?;
        let rule = col(schema::column_name("finding_info.analytic.uid")).alias("rule");
        let last = max(cast_expr(col(schema::TIME), DataType::Int64)).alias("last");
        let frame = frame
            .aggregate(vec![rule], vec![count(lit(1)).alias("findings"), last])
            .map_err(query_error)?;
        let mut counts = Vec::new();
        for batch in frame.collect().await.map_err(query_error)? {
            let rules = cast(batch.column(0), &DataType::Utf8).map_err(ReadError::Rows)?;
            let [findings, last] = ["findings", "last"].map(|name| long_column(&batch, name));
            let (findings, last) = (
                findings.map_err(ReadError::Rows)?,
                last.map_err(ReadError::Rows)?,
            );
            for row in 0..batch.num_rows() {
                counts.push(RuleCount {
                    rule_id: rules.as_string::<i32>().value(row).to_owned(),
                    findings: findings
                        .as_primitive::<Int64Type>()
                        .value(row)
                        .unsigned_abs(),
                    last: Timestamp::from_microsecond(last.as_primitive::<Int64Type>().value(row))
                        .unwrap_or(Timestamp::UNIX_EPOCH),
                });
            }
        }
        Ok(counts)
    }

    /// Findings of one rule per day of event time since an instant; days without one are left
    /// out.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn findings_per_day(
        &self,
        rule_id: &str,
        since: Timestamp,
    ) -> Result<Vec<Bucket>, ReadError> {
        const DAY_S: u64 = 86_400;
        let request = SearchRequest {
            query: Query::All,
            from: since,
            to: Timestamp::MAX,
            limit: 0,
            order: SortOrder::NewestFirst,
            with_findings: true,
            bucket_seconds: DAY_S,
        };
        let rule = col(schema::column_name("finding_info.analytic.uid")).eq(lit(rule_id));
        let filter = self.filter(&request).and(schema::is_finding()).and(rule);
        self.histogram(filter, DAY_S).await
    }

    pub(crate) fn filter(&self, request: &SearchRequest) -> Expr {
        let mut filter = in_time(request.from, request.to);
        if !request.with_findings {
            filter = filter.and(schema::is_event());
        }
        match &request.query {
            Query::All => filter,
            query => filter.and(lower::query(query)),
        }
    }

    pub(crate) async fn frame(&self) -> Result<DataFrame, ReadError> {
        let config = SessionConfig::new().with_target_partitions(2);
        let context = SessionContext::new_with_config_rt(config, Arc::clone(&self.runtime));
        let provider = Arc::new(self.snapshot());
        context.read_table(provider).map_err(query_error)
    }

    async fn histogram(&self, filter: Expr, bucket_seconds: u64) -> Result<Vec<Bucket>, ReadError> {
        histogram(self.frame().await?, filter, bucket_seconds).await
    }

    /// The first events in the asked order. Where there are more than are asked for, the files
    /// at that end of time are looked at first, and others only if these hold too few.
    async fn first_events(
        &self,
        request: &SearchRequest,
        filter: Expr,
        limit: usize,
        is_whole: bool,
    ) -> Result<Vec<StoredEvent>, ReadError> {
        let is_newest = request.order == SortOrder::NewestFirst;
        let mut files = 1;
        let span = loop {
            let cut = (!is_whole)
                .then(|| self.snapshot().cut(is_newest, files))
                .flatten();
            let Some(cut) = cut else {
                break None;
            };
            let side = match is_newest {
                true => col(schema::TIME).gt(micros(cut)),
                false => col(schema::TIME).lt(micros(cut)),
            };
            let times = self.first_times(side.and(filter.clone()), limit, is_newest);
            let times = times.await?;
            if let (true, [first, .., last]) = (times.len() >= limit, times.as_slice()) {
                break Some((*first.min(last), *first.max(last)));
            }
            files *= 4;
        };
        let span = match span {
            None if !is_whole => {
                let times = self.first_times(filter.clone(), limit, is_newest).await?;
                let ends = (times.iter().min(), times.iter().max());
                ends.0.zip(ends.1).map(|(least, most)| (*least, *most))
            }
            span => span,
        };
        let filter = match span {
            Some((least, most)) => col(schema::TIME)
                .gt_eq(micros(least))
                .and(col(schema::TIME).lt_eq(micros(most)))
                .and(filter),
            None => filter,
        };
        let frame = self.frame().await?.filter(filter).map_err(query_error)?;
        let mut events = collect_events(frame).await?;
        events.sort_by_key(|event| (event.time, event.id));
        if is_newest {
            events.reverse();
        }
        events.truncate(limit);
        Ok(events)
    }

    /// Times of the first events, in microseconds and in order, read from few columns. Their
    /// span is then read whole; a list of keys would be exact, but engines turn long lists into
    /// deep trees.
    async fn first_times(
        &self,
        filter: Expr,
        limit: usize,
        is_newest: bool,
    ) -> Result<Vec<i64>, ReadError> {
        first_times(self.frame().await?, filter, limit, is_newest).await
    }
}

/// Events of a frame over time.
pub(crate) async fn histogram(
    frame: DataFrame,
    filter: Expr,
    bucket_seconds: u64,
) -> Result<Vec<Bucket>, ReadError> {
    // Without a histogram, one bucket holds all and gives the total.
    let width_us = i64::try_from(bucket_seconds)
        .ok()
        .and_then(|seconds| seconds.checked_mul(1_000_000));
    let width_us = width_us.filter(|width| *width > 0).unwrap_or(i64::MAX);
    let bucket = cast_expr(col(schema::TIME), DataType::Int64) / lit(width_us);
    let frame = frame.filter(filter).map_err(query_error)?;
    let frame = frame
        .aggregate(
            vec![bucket.alias("bucket")],
            vec![count(lit(1)).alias("events")],
        )
        .map_err(query_error)?;
    let mut buckets = Vec::new();
    for batch in frame.collect().await.map_err(query_error)? {
        let [numbers, counts] = ["bucket", "events"].map(|name| long_column(&batch, name));
        let (numbers, counts) = (
            numbers.map_err(ReadError::Rows)?,
            counts.map_err(ReadError::Rows)?,
        );
        for row in 0..batch.num_rows() {
            let micros = numbers
                .as_primitive::<Int64Type>()
                .value(row)
                .saturating_mul(width_us);
            buckets.push(Bucket {
                start: Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH),
                count: counts.as_primitive::<Int64Type>().value(row).unsigned_abs(),
            });
        }
    }
    buckets.sort_by_key(|bucket| bucket.start);
    Ok(buckets)
}

/// Times of the first events of a frame; see [`Lake::first_times`].
pub(crate) async fn first_times(
    frame: DataFrame,
    filter: Expr,
    limit: usize,
    is_newest: bool,
) -> Result<Vec<i64>, ReadError> {
    let frame = frame.filter(filter).map_err(query_error)?;
    let frame = frame
        .select([cast_expr(col(schema::TIME), DataType::Int64).alias("micros")])
        .and_then(|frame| frame.sort(vec![col("micros").sort(!is_newest, false)]))
        .and_then(|frame| frame.limit(0, Some(limit)))
        .map_err(query_error)?;
    let mut times = Vec::new();
    for batch in frame.collect().await.map_err(query_error)? {
        let column = long_column(&batch, "micros").map_err(ReadError::Rows)?;
        times.extend(column.as_primitive::<Int64Type>().iter().flatten());
    }
    Ok(times)
}

/// Rows of a span of event time; the second instant is left out.
pub(crate) fn in_time(from: Timestamp, to: Timestamp) -> Expr {
    let (from, to) = (from.as_microsecond(), to.as_microsecond());
    col(schema::TIME)
        .gt_eq(micros(from))
        .and(col(schema::TIME).lt(micros(to)))
        .and(col(schema::DAY).gt_eq(lit(day_of(from))))
        .and(col(schema::DAY).lt_eq(lit(day_of(to))))
}

pub(crate) fn micros(micros: i64) -> Expr {
    lit(ScalarValue::TimestampMicrosecond(
        Some(micros),
        Some("UTC".into()),
    ))
}

pub(crate) async fn collect_events(frame: DataFrame) -> Result<Vec<StoredEvent>, ReadError> {
    let batches = frame.collect().await.map_err(query_error)?;
    rows::events(&batches).map_err(ReadError::Rows)
}

pub(crate) fn query_error(error: DataFusionError) -> ReadError {
    ReadError::Query(Box::new(error))
}

pub(crate) fn long_column(
    batch: &RecordBatch,
    name: &str,
) -> Result<arrow::array::ArrayRef, arrow::error::ArrowError> {
    let index = batch.schema().index_of(name)?;
    cast(batch.column(index), &DataType::Int64)
}

fn ledger_rows(batch: &RecordBatch) -> Result<Vec<LedgerCount>, arrow::error::ArrowError> {
    let index = batch.schema().index_of("source")?;
    let sources = cast(batch.column(index), &DataType::Utf8)?;
    let [hours, records, stored, undecoded] =
        ["hour", "records", "stored", "undecoded"].map(|name| long_column(batch, name));
    let columns = [hours?, records?, stored?, undecoded?];
    let number = |column: usize, row: usize| columns[column].as_primitive::<Int64Type>().value(row);
    Ok((0..batch.num_rows())
        .map(|row| LedgerCount {
            source: sources.as_string::<i32>().value(row).to_owned(),
            hour: number(0, row) * 3600,
            records: number(1, row).unsigned_abs(),
            stored: number(2, row).unsigned_abs(),
            undecoded: number(3, row).unsigned_abs(),
        })
        .collect())
}

/// `in_network(text, network)`: whether the text is an address in the network; null if it is
/// no address.
pub(crate) fn in_network() -> ScalarUDF {
    ScalarUDF::from(InNetwork {
        signature: Signature::any(2, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct InNetwork {
    signature: Signature,
}

impl ScalarUDFImpl for InNetwork {
    fn name(&self) -> &str {
        "in_network"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> datafusion::error::Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(
        &self,
        args: ScalarFunctionArgs,
    ) -> datafusion::error::Result<ColumnarValue> {
        let [values, network] = args.args.as_slice() else {
            return Err(DataFusionError::Execution(
                "in_network takes two arguments".to_owned(),
            ));
        };
        let ColumnarValue::Scalar(ScalarValue::Utf8(Some(network))) = network else {
            return Err(DataFusionError::Execution(
                "the network must be a text".to_owned(),
            ));
        };
        let network: IpNet = network
            .parse()
            .map_err(|_| DataFusionError::Execution(format!("'{network}' is no network")))?;
        let values = values.to_array(args.number_rows)?;
        let texts = cast(&values, &DataType::Utf8)?;
        let member = |text: Option<&str>| {
            let address: IpAddr = text?.parse().ok()?;
            Some(network.contains(&address))
        };
        let members: BooleanArray = texts.as_string::<i32>().iter().map(member).collect();
        Ok(ColumnarValue::Array(Arc::new(members)))
    }
}
