//! Following what arrives: events that can be searched from now on are asked the same questions
//! as those that are stored, without a file being read.
//!
//! A follower that is too slow for what arrives is told how many events it missed; nobody waits
//! for it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use datafusion::logical_expr::col;
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use futures::StreamExt;
use jiff::Timestamp;
use tokio::sync::broadcast::{self, error::RecvError};
use watchfloor_event::{EventBatch, EventId};
use watchfloor_query::pipe::{self, Program};
use watchfloor_query::{Diagnostic, Query, is_sql};

use crate::lower;
use crate::pipe::{PipeColumn, PipeError, PipeRequest, RowsQuery, output, stopped};
use crate::progress::Run;
use crate::rows::StoredEvent;
use crate::schema;
use crate::search::{long_column, query_error};
use crate::snapshot::{Recent, Snapshot};
use crate::table::{Lake, ReadError};

/// Groups of batches that wait for a slow follower; one comes every 100 ms at most.
const WAITING: usize = 64;

/// Events that arrived together.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Events that arrived before.
    before: u64,
    rows: u64,
    batches: Vec<Arc<EventBatch>>,
}

/// Tells followers what arrives.
#[derive(Debug)]
pub(crate) struct Arrivals {
    sender: broadcast::Sender<Arc<Arrival>>,
    shown: AtomicU64,
}

impl Default for Arrivals {
    fn default() -> Self {
        Self {
            sender: broadcast::channel(WAITING).0,
            shown: AtomicU64::new(0),
        }
    }
}

impl Arrivals {
    /// What is to be told once the events can be searched; nothing where nobody follows.
    pub(crate) fn of(&self, recent: &[Recent]) -> Option<Arc<Arrival>> {
        let rows = recent.iter().map(|recent| recent.extent.rows).sum();
        let before = self.shown.fetch_add(rows, Ordering::Relaxed);
        (rows > 0 && self.sender.receiver_count() > 0).then(|| {
            Arc::new(Arrival {
                before,
                rows,
                batches: recent.iter().map(|one| Arc::clone(&one.batch)).collect(),
            })
        })
    }

    pub(crate) fn tell(&self, arrival: Option<Arc<Arrival>>) {
        if let Some(arrival) = arrival {
            // Without a follower it is nobody's.
            let _ = self.sender.send(arrival);
        }
    }
}

/// How a query is followed.
#[derive(Clone, Debug)]
pub enum TailPlan {
    /// Events that it finds, as they arrive.
    Events(Query),
    /// Rows that it makes of events, as they arrive.
    Rows(Box<Program>),
    /// It looks at several events at once, so all of it is asked again over what arrived.
    Whole(RowsQuery),
}

impl TailPlan {
    /// Reads a query of any form.
    ///
    /// # Errors
    /// With place and hint, if the text is no query.
    pub fn parse(text: &str) -> Result<Self, Diagnostic> {
        if !is_sql(text) && !pipe::is_pipe(text) {
            return watchfloor_query::parse(text).map(Self::Events);
        }
        Ok(match RowsQuery::parse(text)? {
            RowsQuery::Pipe(program) if pipe::is_per_row(&program) => Self::Rows(program),
            whole => Self::Whole(whole),
        })
    }
}

/// What arrived for a follower.
#[derive(Clone, Debug, PartialEq)]
pub enum Tailed {
    /// Events, oldest first: the last of those that are asked for, and how many there are.
    Events(Vec<StoredEvent>, u64),
    /// Rows: the first of those that are asked for, and how many there are.
    Rows(Vec<PipeColumn>, Vec<Vec<serde_json::Value>>, u64),
    /// Something arrived; all of the query is to be asked again.
    Again,
    /// So many events arrived too fast to be looked at.
    Missed(u64),
}

/// Follows what arrives.
#[derive(Debug)]
pub struct Tail {
    lake: Arc<Lake>,
    plan: TailPlan,
    arrivals: broadcast::Receiver<Arc<Arrival>>,
    /// Events that arrived up to here.
    seen: Option<u64>,
}

impl Lake {
    /// Follows what arrives from now on.
    pub fn tail(self: &Arc<Self>, plan: TailPlan) -> Tail {
        Tail {
            lake: Arc::clone(self),
            plan,
            arrivals: self.arrivals.sender.subscribe(),
            seen: None,
        }
    }

    /// The journal position from which on events have not arrived yet.
    pub fn arrived(&self) -> u64 {
        self.snapshot().end()
    }
}

impl Tail {
    /// What arrives next for the query, with at most so many rows; none once the lake is gone.
    ///
    /// # Errors
    /// If the query cannot be run.
    pub async fn next(&mut self, limit: usize) -> Result<Option<Tailed>, PipeError> {
        loop {
            let arrival = match self.arrivals.recv().await {
                Ok(arrival) => arrival,
                // What comes next says how many events that were.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(None),
            };
            let missed = self
                .seen
                .map_or(0, |seen| arrival.before.saturating_sub(seen));
            self.seen = Some(arrival.before + arrival.rows);
            if missed > 0 {
                // This one is lost as well, so that the caller is told at once.
                return Ok(Some(Tailed::Missed(missed + arrival.rows)));
            }
            let found = match &self.plan {
                TailPlan::Events(query) => self.events(query, &arrival.batches, limit).await?,
                TailPlan::Rows(program) => self.rows(program, &arrival.batches, limit).await?,
                TailPlan::Whole(_) => Some(Tailed::Again),
            };
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    async fn events(
        &self,
        query: &Query,
        batches: &[Arc<EventBatch>],
        limit: usize,
    ) -> Result<Option<Tailed>, PipeError> {
        let snapshot = self.lake.snapshot().of_batches(batches);
        let frame = frame(&self.lake, snapshot).map_err(query_error)?;
        let filter = schema::is_event();
        let filter = match query {
            Query::All => filter,
            query => filter.and(lower::query(query)),
        };
        let keys = vec![col(schema::POSITION), col(schema::PART)];
        let frame = frame.filter(filter).and_then(|frame| frame.select(keys));
        let frame = frame.map_err(query_error)?;
        let mut ids = Vec::new();
        for batch in frame.collect().await.map_err(query_error)? {
            let [positions, parts] =
                [schema::POSITION, schema::PART].map(|name| long_column(&batch, name));
            let (positions, parts) = (
                positions.map_err(ReadError::Rows)?,
                parts.map_err(ReadError::Rows)?,
            );
            let positions = positions.as_primitive::<Int64Type>().values();
            let parts = parts.as_primitive::<Int64Type>().values();
            let pairs = positions.iter().zip(parts.iter());
            ids.extend(pairs.map(|(position, part)| EventId::new(*position as u64, *part as u32)));
        }
        if ids.is_empty() {
            return Ok(None);
        }
        ids.sort_unstable();
        let count = ids.len() as u64;
        let kept = ids.split_off(ids.len().saturating_sub(limit));
        let snapshot = self.lake.snapshot().of_batches(batches);
        let mut events = snapshot.recent_events(&kept).map_err(query_error)?;
        events.sort_by_key(|event| event.id);
        Ok(Some(Tailed::Events(events, count)))
    }

    async fn rows(
        &self,
        program: &Program,
        batches: &[Arc<EventBatch>],
        limit: usize,
    ) -> Result<Option<Tailed>, PipeError> {
        /// Longest that one lot of events may take; a query that takes longer cannot keep up.
        const EACH: std::time::Duration = std::time::Duration::from_secs(10);
        let request = PipeRequest {
            query: RowsQuery::Sql(String::new()),
            from: Timestamp::MIN,
            to: Timestamp::MAX,
            since: None,
            limit,
            run: Run::within(EACH),
        };
        let snapshot = self.lake.snapshot().of_batches(batches);
        let start = Instant::now();
        let lowered = self.lake.lowered(program, &request, start, snapshot);
        let (frame, _) = lowered.await?;
        let columns = output::columns(frame.schema());
        let mut stream = frame.execute_stream().await.map_err(stopped)?;
        let (mut rows, mut count) = (Vec::new(), 0);
        while let Some(batch) = stream.next().await {
            let batch = batch.map_err(stopped)?;
            count += batch.num_rows() as u64;
            let left = limit.saturating_sub(rows.len()).min(batch.num_rows());
            output::rows(&batch.slice(0, left), &mut rows).map_err(ReadError::Rows)?;
        }
        Ok((count > 0).then_some(Tailed::Rows(columns, rows, count)))
    }
}

/// The rows of a snapshot.
fn frame(lake: &Lake, snapshot: Snapshot) -> datafusion::error::Result<DataFrame> {
    let config = SessionConfig::new().with_target_partitions(2);
    let context = SessionContext::new_with_config_rt(config, Arc::clone(&lake.runtime));
    context.read_table(Arc::new(snapshot))
}
