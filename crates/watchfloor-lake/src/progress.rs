//! How far a query is, and what it may use: files and bytes are counted as they are read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetFileReaderFactory;
use datafusion::physical_plan::metrics::ExecutionPlanMetricsSet;
use futures::FutureExt;
use futures::future::BoxFuture;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ArrowReaderOptions;
use parquet::arrow::async_reader::AsyncFileReader;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ParquetMetaData;

/// Most memory that one query works in unless told otherwise, in bytes.
const MEMORY_BYTES: usize = 512 << 20;

/// A limit that a query ran into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// Rows of the answer.
    Rows,
    /// Bytes read of files.
    Bytes,
    /// Time.
    Time,
    /// Memory.
    Memory,
}

impl Limit {
    /// Its stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Bytes => "bytes",
            Self::Time => "time",
            Self::Memory => "memory",
        }
    }
}

/// What a query may use.
#[derive(Clone, Debug)]
pub struct Run {
    /// Most time.
    pub timeout: Duration,
    /// Most memory in bytes; beyond it, it spills to disk.
    pub memory_bytes: usize,
    /// How far it is, and how much it may read.
    pub progress: Arc<Progress>,
}

impl Run {
    /// With a limit of time, the usual memory and no limit of bytes.
    pub fn within(timeout: Duration) -> Self {
        Self {
            timeout,
            memory_bytes: MEMORY_BYTES,
            progress: Arc::default(),
        }
    }
}

/// How far a query is. A file counts as read once it was opened and is no longer being read.
#[derive(Debug)]
pub struct Progress {
    files: AtomicU64,
    bytes: AtomicU64,
    bytes_max: u64,
    is_given_up: AtomicBool,
    /// How often the cluster failed the query.
    failures: AtomicU64,
    stays_here: AtomicBool,
    /// Bytes of the files that workers would read, which count for themselves.
    shared_bytes: AtomicU64,
    is_shared: AtomicBool,
    seen: Mutex<Seen>,
}

impl Default for Progress {
    fn default() -> Self {
        Self::up_to(u64::MAX)
    }
}

/// Files by the scan that reads them; a query may have several.
#[derive(Debug, Default)]
struct Seen {
    scans: u64,
    opened: BTreeSet<(u64, Path)>,
    open: BTreeMap<(u64, Path), usize>,
}

impl Progress {
    /// Of a query that may read so many bytes.
    pub fn up_to(bytes_max: u64) -> Self {
        Self {
            files: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_max,
            is_given_up: AtomicBool::new(false),
            failures: AtomicU64::new(0),
            stays_here: AtomicBool::new(false),
            shared_bytes: AtomicU64::new(0),
            is_shared: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    /// Files that were read, of those that are to be read; filters took others out before.
    pub fn files(&self) -> (u64, u64) {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let read = seen.opened.len().saturating_sub(seen.open.len()) as u64;
        (read, self.files.load(Ordering::Relaxed))
    }

    /// Bytes that were read.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Whether it was to read more bytes than it may.
    pub fn is_over(&self) -> bool {
        self.bytes() > self.bytes_max
    }

    /// Most bytes that it may read.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max
    }

    /// Lets what still reads for the query stop at its next read.
    pub(crate) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Whether the query runs on this machine alone.
    pub(crate) fn stays_here(&self) -> bool {
        self.stays_here.load(Ordering::Relaxed)
    }

    pub(crate) fn stay_here(&self) {
        self.stays_here.store(true, Ordering::Relaxed);
        self.is_shared.store(false, Ordering::Relaxed);
    }

    /// Says that workers help with the query: bytes are counted where they are read, so that it
    /// may be shared only as long as its whole files are within its limit.
    pub(crate) fn share(&self) {
        self.is_shared.store(true, Ordering::Relaxed);
    }

    /// Takes files of a scan into the account; false if they are too much to be read elsewhere.
    pub(crate) fn may_share(&self, bytes: u64) -> bool {
        self.shared_bytes.fetch_add(bytes, Ordering::Relaxed);
        !self.is_too_much_to_share()
    }

    /// Whether it must run here, where what it reads is counted.
    pub(crate) fn is_too_much_to_share(&self) -> bool {
        self.is_shared.load(Ordering::Relaxed)
            && self.shared_bytes.load(Ordering::Relaxed) > self.bytes_max
    }

    /// Counts a failure of the cluster; how many there were.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// A scan over so many files.
    pub(crate) fn scan(
        self: &Arc<Self>,
        inner: Arc<dyn ParquetFileReaderFactory>,
        files: u64,
    ) -> WatchedFiles {
        self.files.fetch_add(files, Ordering::Relaxed);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.scans += 1;
        WatchedFiles {
            inner,
            progress: Arc::clone(self),
            scan: seen.scans,
        }
    }

    fn opened(&self, key: &(u64, Path)) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.opened.insert(key.clone());
        *seen.open.entry(key.clone()).or_default() += 1;
    }

    fn closed(&self, key: &(u64, Path)) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(readers) = seen.open.get_mut(key) {
            *readers -= 1;
            if *readers == 0 {
                seen.open.remove(key);
            }
        }
    }

    fn take(&self, bytes: u64) -> Result<()> {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if self.is_over() || self.is_given_up.load(Ordering::Relaxed) {
            // Whoever runs the query asks `is_over` before it looks at the error.
            return Err(ParquetError::General("the limit of bytes".to_owned()));
        }
        Ok(())
    }
}

/// Opens files and counts what is read of them.
pub(crate) struct WatchedFiles {
    inner: Arc<dyn ParquetFileReaderFactory>,
    progress: Arc<Progress>,
    scan: u64,
}

impl fmt::Debug for WatchedFiles {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("WatchedFiles")
            .field("scan", &self.scan)
            .finish_non_exhaustive()
    }
}

impl ParquetFileReaderFactory for WatchedFiles {
    fn create_reader(
        &self,
        partition: usize,
        file: PartitionedFile,
        hint: Option<usize>,
        metrics: &ExecutionPlanMetricsSet,
    ) -> datafusion::error::Result<Box<dyn AsyncFileReader + Send>> {
        let key = (self.scan, file.object_meta.location.clone());
        let inner = self.inner.create_reader(partition, file, hint, metrics)?;
        self.progress.opened(&key);
        Ok(Box::new(WatchedFile {
            inner,
            progress: Arc::clone(&self.progress),
            key,
        }))
    }
}

struct WatchedFile {
    inner: Box<dyn AsyncFileReader + Send>,
    progress: Arc<Progress>,
    key: (u64, Path),
}

impl Drop for WatchedFile {
    fn drop(&mut self) {
        self.progress.closed(&self.key);
    }
}

impl AsyncFileReader for WatchedFile {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, Result<Bytes>> {
        match self.progress.take(range.end.saturating_sub(range.start)) {
            Ok(()) => self.inner.get_bytes(range),
            Err(error) => futures::future::ready(Err(error)).boxed(),
        }
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, Result<Vec<Bytes>>> {
        let bytes = ranges
            .iter()
            .map(|range| range.end.saturating_sub(range.start));
        match self.progress.take(bytes.sum()) {
            Ok(()) => self.inner.get_byte_ranges(ranges),
            Err(error) => futures::future::ready(Err(error)).boxed(),
        }
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, Result<Arc<ParquetMetaData>>> {
        self.inner.get_metadata(options)
    }
}
