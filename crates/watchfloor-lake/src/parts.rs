//! A search that answers bit by bit: first what is in memory and in the files at the asked end
//! of time, then the others in turn. What was sent stays true: the histogram grows, and rows
//! only move down as others come before them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::logical_expr::{Expr, col};
use datafusion::prelude::DataFrame;

use crate::PipeError;
use crate::files::DataFile;
use crate::pipe::stopped;
use crate::progress::{Limit, Run};
use crate::rows::StoredEvent;
use crate::schema;
use crate::search::{
    Bucket, MAX_LIMIT, SearchRequest, SortOrder, collect_events, first_times, histogram, micros,
    query_error,
};
use crate::snapshot::{RecentRows, Snapshot};
use crate::table::{Lake, ReadError};

/// A lot of files that took less time is followed by a larger one, one that took more by a
/// smaller one.
const QUICK: Duration = Duration::from_millis(150);
const SLOW: Duration = Duration::from_millis(800);

/// What a lot of files added.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Part {
    /// Files of the asked time that were looked at.
    pub files_read: u64,
    /// Files of the asked time.
    pub files: u64,
    /// Bytes that were read so far.
    pub bytes: u64,
    /// Events found so far.
    pub total: u64,
    /// The histogram so far.
    pub histogram: Vec<Bucket>,
    /// Events that belong among the first ones as far as is known; those that others pushed
    /// out are not taken back.
    pub events: Vec<StoredEvent>,
}

/// How a search in parts ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartsEnd {
    /// Events found.
    pub total: u64,
    /// Files of the asked time that cannot be read: what they hold is not in the result.
    pub unread: Vec<String>,
    /// The limit that ended it before all files were looked at.
    pub cut: Option<Limit>,
}

impl Lake {
    /// Searches events and hands parts of the result on as they are found. Where a limit ends
    /// it, what was handed on is the answer, and the end says which limit.
    ///
    /// # Errors
    /// If the lake cannot be read, or memory does not suffice.
    pub async fn search_parts<F: Future<Output = ()>>(
        &self,
        request: &SearchRequest,
        run: &Run,
        mut take: impl FnMut(Part) -> F,
    ) -> Result<PartsEnd, PipeError> {
        let until = Instant::now() + run.timeout;
        let mut search = Parts::new(self, request, run);
        let mut cut = None;
        let mut files = search.asked_files();
        // What is in memory comes first, by itself.
        let (mut lot, mut recent, mut size) = (Vec::new(), RecentRows::With, 1);
        loop {
            let begun = Instant::now();
            let left = until.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, search.add(lot, recent)).await {
                Err(_) => cut = Some(Limit::Time),
                Ok(Err(_)) if run.progress.is_over() => cut = Some(Limit::Bytes),
                Ok(Err(error)) => return Err(error),
                Ok(Ok(part)) => take(part).await,
            }
            if cut.is_some() || files.is_empty() {
                break;
            }
            if recent == RecentRows::Without {
                size = next_size(size, begun.elapsed());
            }
            let rest = files.split_off(size.min(files.len()));
            (lot, recent) = (std::mem::replace(&mut files, rest), RecentRows::Without);
        }
        Ok(PartsEnd {
            total: search.total(),
            unread: self.unread(request.from, request.to),
            cut,
        })
    }
}

/// How many files come next, so that a lot is neither long waited for nor too small to be worth
/// its plan.
fn next_size(size: usize, took: Duration) -> usize {
    match took {
        took if took < QUICK => size * 4,
        took if took > SLOW => size.div_ceil(2),
        _ => size,
    }
}

struct Parts<'a> {
    lake: &'a Lake,
    request: &'a SearchRequest,
    run: &'a Run,
    snapshot: Snapshot,
    filter: Expr,
    limit: usize,
    files: u64,
    files_read: u64,
    histogram: Vec<Bucket>,
    /// Times of the first events so far, in the asked order.
    first: Vec<i64>,
}

impl<'a> Parts<'a> {
    fn new(lake: &'a Lake, request: &'a SearchRequest, run: &'a Run) -> Self {
        Self {
            lake,
            request,
            run,
            snapshot: lake.snapshot().watched(&run.progress),
            filter: lake.filter(request),
            limit: request.limit.min(MAX_LIMIT),
            files: 0,
            files_read: 0,
            histogram: Vec::new(),
            first: Vec::new(),
        }
    }

    fn is_newest(&self) -> bool {
        self.request.order == SortOrder::NewestFirst
    }

    fn total(&self) -> u64 {
        self.histogram.iter().map(|bucket| bucket.count).sum()
    }

    /// The files of the asked time, those at the asked end first.
    fn asked_files(&mut self) -> Vec<DataFile> {
        let (from, to) = (
            self.request.from.as_microsecond(),
            self.request.to.as_microsecond(),
        );
        let files = self.snapshot.files().iter();
        let mut files: Vec<DataFile> = files
            .filter(|file| file.extent.time_us.1 >= from && file.extent.time_us.0 < to)
            .cloned()
            .collect();
        match self.is_newest() {
            true => files.sort_by_key(|file| std::cmp::Reverse(file.extent.time_us.1)),
            false => files.sort_by_key(|file| file.extent.time_us.0),
        }
        self.files = files.len() as u64;
        files
    }

    async fn add(&mut self, lot: Vec<DataFile>, recent: RecentRows) -> Result<Part, PipeError> {
        let files = lot.len() as u64;
        let events = loop {
            let broken = self.lake.broken();
            let lot = lot.iter().filter(|file| !broken.contains_key(&file.path));
            let snapshot = Arc::new(self.snapshot.part(lot.cloned().collect(), recent));
            match self.find(&snapshot).await {
                Err(error) if self.lake.tries_again(&error, self.run).await => {}
                found => break found?,
            }
        };
        self.files_read += files;
        Ok(Part {
            files_read: self.files_read,
            files: self.files,
            bytes: self.run.progress.bytes(),
            total: self.total(),
            histogram: match self.request.bucket_seconds {
                0 => Vec::new(),
                _ => self.histogram.clone(),
            },
            events,
        })
    }

    fn frame(&self, snapshot: &Arc<Snapshot>) -> Result<DataFrame, PipeError> {
        let context = self.lake.pipe_context(self.run)?;
        let provider: Arc<dyn datafusion::datasource::TableProvider> = Arc::clone(snapshot) as _;
        Ok(context.read_table(provider).map_err(query_error)?)
    }

    async fn find(&mut self, snapshot: &Arc<Snapshot>) -> Result<Vec<StoredEvent>, PipeError> {
        let frame = self.frame(snapshot)?;
        let found = histogram(frame, self.filter.clone(), self.request.bucket_seconds);
        let found = found.await.map_err(judged)?;
        let events = match found.is_empty() {
            true => Vec::new(),
            false => {
                let found = found.iter().map(|bucket| bucket.count).sum();
                self.first_events(snapshot, found).await?
            }
        };
        self.merge(&found);
        Ok(events)
    }

    /// The events of a lot, of which so many were found, that come before the last of those that
    /// are known.
    async fn first_events(
        &mut self,
        snapshot: &Arc<Snapshot>,
        found: u64,
    ) -> Result<Vec<StoredEvent>, PipeError> {
        if self.limit == 0 {
            return Ok(Vec::new());
        }
        let (is_newest, mut filter) = (self.is_newest(), self.filter.clone());
        let time = || col(schema::TIME);
        if self.first.len() >= self.limit
            && let Some(last) = self.first.last()
        {
            // An event of the very same instant may come before by its id.
            let is_before = match is_newest {
                true => time().gt_eq(micros(*last)),
                false => time().lt_eq(micros(*last)),
            };
            filter = is_before.and(filter);
        }
        // Where there are more than are asked for, few columns say which come first.
        if found > self.limit as u64 {
            let frame = self.frame(snapshot)?;
            let times = first_times(frame, filter.clone(), self.limit, is_newest);
            let times = times.await.map_err(judged)?;
            let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) else {
                return Ok(Vec::new());
            };
            let span = time()
                .gt_eq(micros(*least))
                .and(time().lt_eq(micros(*most)));
            filter = span.and(filter);
        }
        let frame = self.frame(snapshot)?.filter(filter);
        let frame = frame.map_err(query_error)?;
        let mut events = collect_events(frame).await.map_err(judged)?;
        events.sort_by_key(|event| (event.time, event.id));
        if is_newest {
            events.reverse();
        }
        events.truncate(self.limit);
        self.first
            .extend(events.iter().map(|event| event.time.as_microsecond()));
        self.first.sort_unstable();
        if is_newest {
            self.first.reverse();
        }
        self.first.truncate(self.limit);
        Ok(events)
    }

    fn merge(&mut self, more: &[Bucket]) {
        for bucket in more {
            match self
                .histogram
                .binary_search_by_key(&bucket.start, |known| known.start)
            {
                Ok(at) => self.histogram[at].count += bucket.count,
                Err(at) => self.histogram.insert(at, *bucket),
            }
        }
    }
}

/// What a failed search says: a limit of memory is the asker's to mend.
fn judged(error: ReadError) -> PipeError {
    match error {
        ReadError::Query(error) => match stopped(*error) {
            PipeError::Stopped(detail) => PipeError::Stopped(detail),
            other => other,
        },
        other => PipeError::Read(other),
    }
}
