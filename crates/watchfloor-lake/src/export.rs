//! What a query finds as a Parquet file, written as it is found.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use datafusion::logical_expr::col;
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use watchfloor_query::Query;

use crate::lower;
use crate::pipe::{PipeError, PipeRequest, RowsQuery, asked, stopped};
use crate::rows::{self, StoredEvent};
use crate::schema;
use crate::search::query_error;
use crate::table::{Lake, ReadError};

/// Rows that are gathered before they are written, which bounds what is held of them.
const GROUP_ROWS: usize = 65_536;

/// What is exported.
#[derive(Clone, Debug)]
pub enum ExportQuery {
    /// Events with all columns of the lake, newest first.
    Events(Query),
    /// Rows.
    Rows(RowsQuery),
}

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Rows.
    pub rows: u64,
    /// Whether there were more than the limit.
    pub is_capped: bool,
    /// Files of the asked time that cannot be read: what they hold was not written.
    pub unread: Vec<String>,
}

impl Lake {
    /// Writes what a query finds as Parquet, in pieces; the query of the request is not looked
    /// at.
    ///
    /// # Errors
    /// If the query is wrong, runs into a limit, or the lake cannot be read; what was written
    /// until then is no whole file.
    pub async fn export_parquet<F: Future<Output = ()>>(
        &self,
        query: &ExportQuery,
        request: &PipeRequest,
        take: impl FnMut(Bytes) -> F,
    ) -> Result<Exported, PipeError> {
        let start = Instant::now();
        // What was handed on cannot be taken back, so no worker may fail in the middle.
        request.run.progress.stay_here();
        let frame = match query {
            ExportQuery::Rows(rows) => {
                let request = PipeRequest {
                    query: rows.clone(),
                    ..request.clone()
                };
                self.planned_rows(&request, start).await?.0
            }
            ExportQuery::Events(query) => self.whole_events(query, request)?,
        };
        let frame = frame
            .limit(0, Some(request.limit + 1))
            .map_err(query_error)?;
        let left = request.run.timeout.saturating_sub(start.elapsed());
        let written = tokio::time::timeout(left, written(frame, request.limit, take)).await;
        let (rows, is_capped) =
            written.map_err(|_| crate::pipe::too_long(request.run.timeout))??;
        Ok(Exported {
            rows,
            is_capped,
            unread: self.unread(request.from, request.to),
        })
    }

    /// Hands on the events that a query finds, newest first, as they are read.
    ///
    /// # Errors
    /// If the query runs into a limit, or the lake cannot be read.
    pub async fn export_events<F: Future<Output = ()>>(
        &self,
        query: &Query,
        request: &PipeRequest,
        mut take: impl FnMut(Vec<StoredEvent>) -> F,
    ) -> Result<Exported, PipeError> {
        request.run.progress.stay_here();
        let frame = self.whole_events(query, request)?;
        let frame = frame
            .limit(0, Some(request.limit + 1))
            .map_err(query_error)?;
        let (mut left, mut is_capped) = (request.limit, false);
        let all = async {
            let mut stream = frame.execute_stream().await.map_err(stopped)?;
            while let Some(batch) = stream.next().await {
                let mut events =
                    rows::events(&[batch.map_err(stopped)?]).map_err(ReadError::Rows)?;
                is_capped |= events.len() > left;
                events.truncate(left);
                left -= events.len();
                take(events).await;
            }
            Ok::<(), PipeError>(())
        };
        let all = tokio::time::timeout(request.run.timeout, all).await;
        all.map_err(|_| crate::pipe::too_long(request.run.timeout))??;
        Ok(Exported {
            rows: (request.limit - left) as u64,
            is_capped,
            unread: self.unread(request.from, request.to),
        })
    }

    fn whole_events(&self, query: &Query, request: &PipeRequest) -> Result<DataFrame, PipeError> {
        let snapshot = self.snapshot().watched(&request.run.progress);
        let filter = asked(request).and(schema::is_event());
        let filter = match query {
            Query::All => filter,
            query => filter.and(lower::query(query)),
        };
        let order = vec![
            col(schema::TIME).sort(false, false),
            col(schema::POSITION).sort(false, false),
            col(schema::PART).sort(false, false),
        ];
        Ok(self
            .pipe_context(&request.run)?
            .read_table(Arc::new(snapshot))
            .and_then(|frame| frame.filter(filter))
            .and_then(|frame| frame.sort(order))
            .map_err(query_error)?)
    }
}

async fn written<F: Future<Output = ()>>(
    frame: DataFrame,
    limit: usize,
    mut take: impl FnMut(Bytes) -> F,
) -> Result<(u64, bool), PipeError> {
    let failed = |error: ParquetError| PipeError::Stopped(error.to_string());
    let held = Held::default();
    let columns = Arc::new(frame.schema().as_arrow().clone());
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .build();
    let writer = ArrowWriter::try_new(held.clone(), columns, Some(properties));
    let mut writer = writer.map_err(failed)?;
    let mut stream = frame.execute_stream().await.map_err(stopped)?;
    let (mut left, mut is_capped) = (limit, false);
    while let Some(batch) = stream.next().await {
        let batch = batch.map_err(stopped)?;
        is_capped |= batch.num_rows() > left;
        let batch = batch.slice(0, batch.num_rows().min(left));
        left -= batch.num_rows();
        writer.write(&batch).map_err(failed)?;
        let piece = held.taken();
        if !piece.is_empty() {
            take(piece).await;
        }
    }
    writer.close().map_err(failed)?;
    take(held.taken()).await;
    Ok(((limit - left) as u64, is_capped))
}

/// Bytes that were written and not yet taken.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<Vec<u8>>>);

impl Held {
    fn taken(&self) -> Bytes {
        let mut bytes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Bytes::from(std::mem::take(&mut *bytes))
    }
}

impl Write for Held {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        held.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
