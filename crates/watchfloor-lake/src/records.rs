//! Stored records in the order in which they came, to be decoded and judged again.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMicrosecondType};
use datafusion::functions_aggregate::expr_fn::{count, max, min};
use datafusion::logical_expr::{Expr, cast as cast_expr, col, lit};
use jiff::Timestamp;
use watchfloor_event::{EventId, Format};
use watchfloor_query::Query;

use crate::schema;
use crate::search::{SearchRequest, SortOrder, long_column, query_error};
use crate::table::{Lake, ReadError};

/// Which stored records.
#[derive(Clone, Debug)]
pub struct RecordScope {
    /// First instant of event time.
    pub from: Timestamp,
    /// First instant of event time that is left out.
    pub to: Timestamp,
    /// Journal positions.
    pub positions: Range<u64>,
    /// Only events of these kinds; `None` for all.
    pub kinds: Option<Vec<String>>,
}

/// How many records a scope holds, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordSpan {
    /// Events.
    pub events: u64,
    /// First journal position.
    pub first: u64,
    /// Last journal position.
    pub last: u64,
}

/// An event's record as it came: what decoding it again needs. Of a record that held several
/// events, each has its own part, or all have the whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Identity of the event.
    pub id: EventId,
    /// Source.
    pub source: Arc<str>,
    /// The form that it was decoded as.
    pub format: Format,
    /// What stood before it in its file and belongs to it.
    pub context: Option<Arc<str>>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What was added to the event from elsewhere, as the JSON list that it was stored with.
    pub enrichments: Option<String>,
}

impl Lake {
    /// How many events a scope holds, and between which positions; `None` if it is empty.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn record_span(&self, scope: &RecordScope) -> Result<Option<RecordSpan>, ReadError> {
        let frame = self.frame().await?;
        let frame = frame
            .filter(self.record_filter(scope))
            .and_then(|frame| {
                frame.aggregate(
                    vec![],
                    vec![
                        count(lit(1)).alias("events"),
                        min(col(schema::POSITION)).alias("first"),
                        max(col(schema::POSITION)).alias("last"),
                    ],
                )
            })
            .map_err(query_error)?;
        for batch in frame.collect().await.map_err(query_error)? {
            let number = |name: &str| -> Result<Option<u64>, ReadError> {
                let column = long_column(&batch, name).map_err(ReadError::Rows)?;
                let column = column.as_primitive::<Int64Type>();
                let value = (!column.is_empty() && column.is_valid(0)).then(|| column.value(0));
                Ok(value.map(i64::unsigned_abs))
            };
            if let (Some(events @ 1..), Some(first), Some(last)) =
                (number("events")?, number("first")?, number("last")?)
            {
                return Ok(Some(RecordSpan {
                    events,
                    first,
                    last,
                }));
            }
        }
        Ok(None)
    }

    /// The records of a scope by position, then part. The caller asks for as many positions as
    /// it can hold the records of.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub async fn records(&self, scope: &RecordScope) -> Result<Vec<StoredRecord>, ReadError> {
        let frame = self.frame().await?;
        let frame = frame
            .filter(self.record_filter(scope))
            .and_then(|frame| {
                frame.select([
                    col(schema::POSITION),
                    col(schema::PART),
                    col("source"),
                    col("format"),
                    col(schema::CONTEXT),
                    cast_expr(
                        col("received_at"),
                        DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
                    )
                    .alias("received_at"),
                    col(schema::RAW),
                    col(schema::RAW_BYTES),
                    col(schema::ENRICHMENTS),
                ])
            })
            .map_err(query_error)?;
        let mut records = Vec::new();
        for batch in frame.collect().await.map_err(query_error)? {
            read(&batch, &mut records).map_err(ReadError::Rows)?;
        }
        records.sort_by_key(|record| record.id);
        Ok(records)
    }

    fn record_filter(&self, scope: &RecordScope) -> Expr {
        let request = SearchRequest {
            query: Query::All,
            from: scope.from,
            to: scope.to,
            limit: 0,
            order: SortOrder::OldestFirst,
            with_findings: false,
            bucket_seconds: 0,
        };
        let position = |position: u64| lit(i64::try_from(position).unwrap_or(i64::MAX));
        let filter = self
            .filter(&request)
            .and(col(schema::POSITION).gt_eq(position(scope.positions.start)))
            .and(col(schema::POSITION).lt(position(scope.positions.end)));
        match &scope.kinds {
            None => filter,
            Some(kinds) => {
                let kinds = kinds.iter().map(|kind| lit(kind.as_str())).collect();
                filter.and(col("kind").in_list(kinds, false))
            }
        }
    }
}

fn read(
    batch: &RecordBatch,
    records: &mut Vec<StoredRecord>,
) -> Result<(), arrow::error::ArrowError> {
    let get = |name: &str, data_type: &DataType| -> Result<ArrayRef, arrow::error::ArrowError> {
        let index = batch.schema().index_of(name)?;
        cast(batch.column(index), data_type)
    };
    let micros = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
    let positions = get(schema::POSITION, &DataType::Int64)?;
    let parts = get(schema::PART, &DataType::Int64)?;
    let received = get("received_at", &micros)?;
    let raw = get(schema::RAW, &DataType::Utf8)?;
    let raw_bytes = get(schema::RAW_BYTES, &DataType::Binary)?;
    let texts = ["source", "format", schema::CONTEXT, schema::ENRICHMENTS];
    let [sources, formats, contexts, enrichments] = texts.map(|name| get(name, &DataType::Utf8));
    let (sources, formats, contexts) = (sources?, formats?, contexts?);
    let enrichments = enrichments?;
    let (mut source, mut context) = (Arc::<str>::from(""), None::<Arc<str>>);
    for row in 0..batch.num_rows() {
        let long = |array: &ArrayRef| array.as_primitive::<Int64Type>().value(row);
        let text = |array: &ArrayRef| {
            let array = array.as_string::<i32>();
            array.is_valid(row).then(|| array.value(row).to_owned())
        };
        let name = text(&sources).unwrap_or_default();
        if *source != *name {
            source = Arc::from(name);
        }
        let head = text(&contexts);
        if context.as_deref() != head.as_deref() {
            context = head.map(Arc::from);
        }
        let bytes = raw_bytes.as_binary::<i32>();
        let bytes = if bytes.is_valid(row) {
            bytes.value(row).to_vec()
        } else {
            text(&raw).unwrap_or_default().into_bytes()
        };
        let micros = received
            .as_primitive::<TimestampMicrosecondType>()
            .value(row);
        let format = text(&formats).and_then(|word| Format::parse(&word));
        records.push(StoredRecord {
            id: EventId::new(long(&positions).unsigned_abs(), long(&parts) as u32),
            source: Arc::clone(&source),
            format: format.unwrap_or(Format::Auto),
            context: context.clone(),
            received_at: Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH),
            bytes,
            enrichments: text(&enrichments),
        });
    }
    Ok(())
}
