//! Hunting bit by bit, over the lake: each stream is worked on by a task of its own, which ends
//! when nobody reads the stream any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{BoxStream, unfold};
use jiff::Timestamp;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::task::AbortOnDropHandle;
use watchfloor_api::ports::{
    QueryLimits, RowsEnd, RowsHead, RowsPiece, RowsProgress, RowsRequest, SearchEnd, SearchError,
    SearchPart, SearchPiece, SearchRequest, TailBegun, TailEvents, TailPiece, TailRequest,
    TailRows,
};
use watchfloor_lake::{
    Lake, PipePart, PipeRequest, Progress, RowsQuery, Run, Tail, TailPlan, Tailed,
};

use super::convert;
use super::events::{
    bucket_seconds, buckets, chart, column, cut, failure, invalid, lake_search, rows_result,
};

/// Pieces that wait for a reader.
const WAITING: usize = 8;
/// How often the progress of a query with verbs is told.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Events or rows of a tail in a second.
const TAIL_ROWS: u64 = 200;
/// How often all of a followed query is asked again.
const AGAIN_EVERY: Duration = Duration::from_secs(1);

/// What the threads of queries give way by to those that take events in and judge them: the
/// kernel gives them a tenth of a processor that both want, and all of one that is free.
const NICENESS: i32 = 10;

/// Queries that are being worked on, and that were given up because nobody waited for them.
#[derive(Debug)]
pub(crate) struct Queries {
    running: AtomicU64,
    given_up: AtomicU64,
    /// Threads of their own; none once the server ends.
    runtime: Option<Runtime>,
}

impl Queries {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system gives none.
    pub(crate) fn start() -> std::io::Result<Arc<Self>> {
        let give_way = || {
            if let Err(error) = rustix::process::nice(NICENESS) {
                tracing::debug!(%error, "queries run at normal priority");
            }
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("queries")
            .enable_all()
            .on_thread_start(give_way)
            .build()?;
        Ok(Arc::new(Self {
            running: AtomicU64::new(0),
            given_up: AtomicU64::new(0),
            runtime: Some(runtime),
        }))
    }

    /// Works on a query, which is given up when nobody waits for it any more.
    pub(super) async fn work<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl Future<Output = Result<T, SearchError>> + Send + 'static,
    ) -> Result<T, SearchError> {
        let running = self.begin();
        let found = match self.spawn(work).await {
            Ok(found) => found,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(ended) => Err(SearchError::Unavailable(ended.to_string())),
            },
        };
        running.done();
        found
    }

    fn spawn<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> AbortOnDropHandle<T> {
        AbortOnDropHandle::new(match &self.runtime {
            Some(runtime) => runtime.spawn(work),
            None => tokio::spawn(work),
        })
    }

    /// How many are being worked on.
    pub(crate) fn running(&self) -> u64 {
        self.running.load(Ordering::Relaxed)
    }

    /// How many were given up.
    pub(crate) fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Counts a query until the guard goes.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running {
            queries: Arc::clone(self),
            is_done: false,
        }
    }
}

impl Drop for Queries {
    fn drop(&mut self) {
        // The last of those that hold it may be a task, which must not wait for threads.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A query that is being worked on.
pub(super) struct Running {
    queries: Arc<Queries>,
    is_done: bool,
}

impl Running {
    pub(super) fn done(mut self) {
        self.is_done = true;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.queries.running.fetch_sub(1, Ordering::Relaxed);
        if !self.is_done {
            self.queries.given_up.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// What a query may use, as the lake takes it.
pub(super) fn run(limits: &QueryLimits) -> Run {
    Run {
        timeout: Duration::from_secs(u64::from(limits.seconds)),
        memory_bytes: usize::try_from(limits.memory_bytes).unwrap_or(usize::MAX),
        progress: Arc::new(Progress::up_to(limits.bytes)),
    }
}

/// The pieces that a task sends; the task ends when they are no longer read.
pub(super) fn pieces<T, F>(
    queries: &Arc<Queries>,
    work: impl FnOnce(mpsc::Sender<T>) -> F,
) -> BoxStream<'static, T>
where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let (sender, receiver) = mpsc::channel(WAITING);
    let work = work(sender.clone());
    let running = queries.begin();
    // It ends by itself, when its pieces are no longer read.
    let _ = queries
        .spawn(async move {
            tokio::select! {
                () = sender.closed() => {}
                () = work => running.done(),
            }
        })
        .detach();
    unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    })
    .boxed()
}

/// A search that answers as it goes.
pub(super) fn search(
    lake: Arc<Lake>,
    queries: &Arc<Queries>,
    request: &SearchRequest,
) -> Result<BoxStream<'static, SearchPiece>, SearchError> {
    let asked = lake_search(request)?;
    let run = run(&request.limits);
    let limit = asked.limit as u64;
    let seconds = bucket_seconds(request.from, request.to);
    Ok(pieces(queries, |sender| async move {
        let start = Instant::now();
        let parts = lake.search_parts(&asked, &run, |part| {
            let part = SearchPart {
                files_read: part.files_read,
                files: part.files,
                bytes: part.bytes,
                total: part.total,
                histogram: buckets(&part.histogram),
                bucket_seconds: seconds,
                events: part.events.into_iter().map(convert::event).collect(),
            };
            send(&sender, SearchPiece::Part(part))
        });
        let last = match parts.await {
            Ok(end) => SearchPiece::End(SearchEnd {
                total: end.total,
                capped: end.total > limit,
                cut: end.cut.map(|limit| cut(limit, &run)),
                unread: end.unread,
                took_ms: millis(start),
            }),
            Err(error) => SearchPiece::Failed(failure(error)),
        };
        send(&sender, last).await;
    }))
}

/// A query with verbs that answers as it goes.
pub(super) fn rows(
    lake: Arc<Lake>,
    queries: &Arc<Queries>,
    request: &RowsRequest,
) -> Result<BoxStream<'static, RowsPiece>, SearchError> {
    let asked = rows_request(request)?;
    Ok(pieces(queries, |sender| async move {
        let run = asked.run.clone();
        let mut told = interval(PROGRESS_EVERY);
        told.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let found = lake.pipe_into(&asked, |part| {
            let piece = match part {
                PipePart::Columns(columns, render) => RowsPiece::Head(RowsHead {
                    columns: columns.into_iter().map(column).collect(),
                    render: render.map(chart),
                }),
                PipePart::Rows(rows) => RowsPiece::Rows(rows),
            };
            send(&sender, piece)
        });
        tokio::pin!(found);
        let found = loop {
            tokio::select! {
                found = &mut found => break found,
                _ = told.tick() => send(&sender, RowsPiece::Progress(progress(&run))).await,
            }
        };
        let last = match found {
            Ok(end) => {
                send(&sender, RowsPiece::Progress(progress(&run))).await;
                RowsPiece::End(RowsEnd {
                    capped: end.is_capped,
                    cut: None,
                    unread: end.unread,
                    took_ms: u64::try_from(end.took.as_millis()).unwrap_or(u64::MAX),
                })
            }
            Err(error) => RowsPiece::Failed(failure(error)),
        };
        send(&sender, last).await;
    }))
}

/// What a request for rows is for the lake.
pub(super) fn rows_request(request: &RowsRequest) -> Result<PipeRequest, SearchError> {
    Ok(PipeRequest {
        query: RowsQuery::parse(&request.query).map_err(invalid)?,
        from: request.from,
        to: request.to,
        since: None,
        limit: request.limit.min(request.limits.rows) as usize,
        run: run(&request.limits),
    })
}

fn progress(run: &Run) -> RowsProgress {
    let (files_read, files) = run.progress.files();
    RowsProgress {
        files_read,
        files,
        bytes: run.progress.bytes(),
    }
}

fn millis(start: Instant) -> u64 {
    u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// Where nobody reads any more, the task is about to end.
async fn send<T>(sender: &mpsc::Sender<T>, piece: T) {
    let _ = sender.send(piece).await;
}

/// What arrives for a query.
pub(super) fn tail(
    lake: &Arc<Lake>,
    queries: &Arc<Queries>,
    request: TailRequest,
) -> Result<BoxStream<'static, TailPiece>, SearchError> {
    let plan = TailPlan::parse(&request.query).map_err(invalid)?;
    let follower = lake.tail(plan.clone());
    let since = request.since.unwrap_or_else(|| lake.arrived());
    let mode = match plan {
        TailPlan::Events(_) => "events",
        TailPlan::Rows(_) => "rows",
        TailPlan::Whole(_) => "replaced",
    };
    let begun = TailBegun {
        mode: mode.to_owned(),
        since,
        rows_per_second: TAIL_ROWS,
    };
    let lake = Arc::clone(lake);
    Ok(pieces(queries, |sender| async move {
        send(&sender, TailPiece::Begun(begun)).await;
        match plan {
            TailPlan::Events(_) | TailPlan::Rows(_) => follow(follower, &sender).await,
            TailPlan::Whole(query) => {
                let again = Again {
                    lake,
                    query,
                    since,
                    limits: request.limits,
                };
                again.follow(follower, &sender).await;
            }
        }
    }))
}

/// How many rows this second may still have.
struct Allowance {
    second: Instant,
    left: u64,
}

impl Allowance {
    fn new() -> Self {
        Self {
            second: Instant::now(),
            left: TAIL_ROWS,
        }
    }

    fn left(&mut self) -> usize {
        if self.second.elapsed() >= Duration::from_secs(1) {
            *self = Self::new();
        }
        usize::try_from(self.left).unwrap_or(usize::MAX)
    }

    fn take(&mut self, rows: usize) {
        self.left = self.left.saturating_sub(rows as u64);
    }
}

async fn follow(mut follower: Tail, sender: &mpsc::Sender<TailPiece>) {
    let mut allowance = Allowance::new();
    loop {
        let piece = match follower.next(allowance.left()).await {
            Ok(None) => return,
            Ok(Some(Tailed::Again)) => continue,
            Ok(Some(Tailed::Missed(events))) => TailPiece::Lagged(events),
            Ok(Some(Tailed::Events(events, count))) => {
                allowance.take(events.len());
                TailPiece::Events(TailEvents {
                    left_out: count.saturating_sub(events.len() as u64),
                    events: events.into_iter().map(convert::event).collect(),
                })
            }
            Ok(Some(Tailed::Rows(columns, rows, count))) => {
                allowance.take(rows.len());
                TailPiece::Rows(TailRows {
                    left_out: count.saturating_sub(rows.len() as u64),
                    columns: columns.into_iter().map(column).collect(),
                    rows,
                })
            }
            Err(error) => {
                send(sender, TailPiece::Failed(failure(error))).await;
                return;
            }
        };
        send(sender, piece).await;
    }
}

/// A followed query that looks at several events at once.
struct Again {
    lake: Arc<Lake>,
    query: RowsQuery,
    since: u64,
    limits: QueryLimits,
}

impl Again {
    /// Asks all of it again, a second after the last time at the earliest, and only if something
    /// arrived.
    async fn follow(&self, mut follower: Tail, sender: &mpsc::Sender<TailPiece>) {
        let mut pace = interval(AGAIN_EVERY);
        pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            pace.tick().await;
            let request = PipeRequest {
                query: self.query.clone(),
                from: Timestamp::MIN,
                to: Timestamp::MAX,
                since: Some(self.since),
                limit: self.limits.rows as usize,
                run: run(&self.limits),
            };
            let piece = match self.lake.pipe(&request).await {
                Ok(found) => TailPiece::Replaced(rows_result(found)),
                Err(error) => {
                    send(sender, TailPiece::Failed(failure(error))).await;
                    return;
                }
            };
            send(sender, piece).await;
            // Whatever was missed meanwhile is in the next answer.
            match follower.next(0).await {
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return,
            }
        }
    }
}
