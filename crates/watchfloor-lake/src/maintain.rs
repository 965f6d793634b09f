//! Keeping the table in shape: small files of a day become large ones in time order, and files
//! that no version needs go.

use std::collections::{BTreeMap, HashSet};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, Schema};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::col;
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake::DeltaTableError;
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Remove};
use deltalake::protocol::DeltaOperation;
use futures::StreamExt;
use jiff::civil::Date;

use crate::encode::{DayFile, DayWriter, ROW_GROUP_ROWS};
use crate::files::DataFile;
use crate::needles;
use crate::schema;
use crate::search::query_error;
use crate::table::{self, CommitError, Lake, ReadError};

/// Files that make compaction worth its while.
const MIN_FILES: usize = 16;
/// Files of fewer rows are small.
const SMALL_ROWS: u64 = 256 * 1024;
/// Most rows of a file that replaces small ones.
const MAX_ROWS: u64 = 1 << 20;
/// How long replaced files stay for readers of older versions, in hours.
const KEPT_HOURS: i64 = 1;
/// Memory that sorting takes before it spills to disk, in bytes.
const SORT_BYTES: usize = 256 << 20;
/// Share of the time of one core that compaction takes, in percent, while not too many small
/// files wait.
const SHARE_PERCENT: u32 = 50;
/// Small files of a day that wait when compaction no longer rests.
const HURRY_FILES: usize = 64;

/// What maintenance did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintained {
    /// Small files that were replaced.
    pub replaced: u64,
    /// Large files that replace them.
    pub written: u64,
    /// Old files that were deleted.
    pub deleted: u64,
}

/// Why maintenance stopped; the table stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum MaintainError {
    /// The small files cannot be read.
    #[error("files cannot be compacted")]
    Read(#[from] ReadError),
    /// The large one cannot be written.
    #[error("a compacted file cannot be written")]
    Write(#[from] CommitError),
}

impl Lake {
    /// Compacts days with enough small files. Appends go on meanwhile: they and a compaction do
    /// not touch the same files, so whoever comes second to the log is put after the other.
    ///
    /// # Errors
    /// If files cannot be read or written, or the log refuses; the table stays as it was.
    pub async fn maintain(&self) -> Result<Maintained, MaintainError> {
        self.shape(MIN_FILES, true).await
    }

    /// Compacts every day with more than one small file, as fast as it can be done.
    ///
    /// # Errors
    /// As [`Lake::maintain`].
    pub async fn compact(&self) -> Result<Maintained, MaintainError> {
        self.shape(2, false).await
    }

    async fn shape(&self, min_files: usize, may_rest: bool) -> Result<Maintained, MaintainError> {
        let mut done = Maintained::default();
        while let Some((files, is_late)) = self.due(min_files) {
            let rests = may_rest && !is_late;
            let file = self.merge(files.clone(), rests).await?;
            self.replace(&files, file).await?;
            done.replaced += files.len() as u64;
            done.written += 1;
        }
        if done.replaced > 0 {
            done.deleted = self.remove_old().await?;
        }
        Ok(done)
    }

    /// Small files of one day that are to be one, and whether many more wait.
    fn due(&self, min_files: usize) -> Option<(Vec<DataFile>, bool)> {
        let snapshot = self.snapshot();
        let mut by_day: BTreeMap<&str, Vec<&DataFile>> = BTreeMap::new();
        let small = |file: &&DataFile| file.extent.rows < SMALL_ROWS;
        for file in snapshot.files().iter().filter(small) {
            by_day.entry(&file.day).or_default().push(file);
        }
        let mut files = by_day
            .into_values()
            .find(|files| files.len() >= min_files)?;
        let is_late = files.len() >= HURRY_FILES;
        files.sort_by_key(|file| file.extent.time_us);
        let mut rows = 0;
        let fitting = files.into_iter().take_while(|file| {
            rows += file.extent.rows;
            rows <= MAX_ROWS
        });
        Some((fitting.cloned().collect(), is_late))
    }

    /// The rows of some files of one day as one file, in time order.
    async fn merge(&self, files: Vec<DataFile>, rests: bool) -> Result<DayFile, MaintainError> {
        let day = files.first().map_or("", |file| file.day.as_str());
        let day: Date = day.parse().unwrap_or(Date::ZERO);
        let runtime = RuntimeEnvBuilder::from_runtime_env(&self.runtime)
            .with_memory_limit(SORT_BYTES, 1.0)
            .build_arc()
            .map_err(query_error)?;
        let config = SessionConfig::new().with_target_partitions(1);
        let context = SessionContext::new_with_config_rt(config, runtime);
        let provider = Arc::new(self.snapshot().only(files));
        let order = [schema::TIME, schema::POSITION, schema::PART];
        let mut rows = context
            .read_table(provider)
            .and_then(|frame| frame.drop_columns(&[schema::DAY]))
            .and_then(|frame| frame.sort(order.map(|name| col(name).sort(true, true)).to_vec()))
            .map_err(query_error)?
            .execute_stream()
            .await
            .map_err(query_error)?;
        let columns = Arc::new(plain(&rows.schema()));
        let mut writer = DayWriter::new(day, Arc::clone(&columns)).map_err(CommitError::Encode)?;
        let (mut window, mut waiting) = (Vec::new(), 0);
        let mut begin = Instant::now();
        while let Some(batch) = rows.next().await {
            let batch = with_columns(&batch.map_err(query_error)?, &columns);
            let batch = batch.map_err(ReadError::Rows)?;
            let free = ROW_GROUP_ROWS - waiting;
            let taken = free.min(batch.num_rows());
            window.push(batch.slice(0, taken));
            waiting += taken;
            if waiting == ROW_GROUP_ROWS {
                write_window(&mut writer, &columns, &mut window)?;
                window.push(batch.slice(taken, batch.num_rows() - taken));
                waiting = batch.num_rows() - taken;
            }
            if rests {
                tokio::time::sleep(rest_after(begin.elapsed())).await;
                begin = Instant::now();
            }
        }
        write_window(&mut writer, &columns, &mut window)?;
        Ok(writer.finish().map_err(CommitError::Encode)?)
    }

    /// Puts a file in the place of others, in one entry of the log.
    async fn replace(&self, files: &[DataFile], file: DayFile) -> Result<(), CommitError> {
        let name = format!("merged-{}", file_key(files));
        let folder = self.folder.clone();
        let add =
            tokio::task::spawn_blocking(move || table::write_file(&folder, &name, &file, false));
        let add = add.await.map_err(|_| CommitError::Stopped)??;
        let removed = files.iter().map(|file| Action::Remove(removal(file)));
        let actions = removed.chain([Action::Add(add)]).collect();
        let table = self.table();
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: MAX_ROWS as i64,
        };
        let state = table.snapshot().map_err(log_error)?.clone();
        CommitBuilder::from(CommitProperties::default())
            .with_actions(actions)
            .build(Some(&state), table.log_store(), operation)
            .await
            .map_err(log_error)?;
        self.refresh().await.map_err(log_error)
    }

    /// Takes up what the log holds now.
    pub(crate) async fn refresh(&self) -> Result<(), DeltaTableError> {
        let _writer = self.writer.lock().await;
        let mut table = self.table();
        table.update_state().await?;
        self.set_table(table)
    }

    /// Deletes files that were replaced some time ago, and the filters of files that are gone.
    async fn remove_old(&self) -> Result<u64, CommitError> {
        let (_, vacuumed) = self
            .table()
            .vacuum()
            .with_retention_period(chrono::Duration::hours(KEPT_HOURS))
            .with_enforce_retention_duration(false)
            .await
            .map_err(log_error)?;
        for file in &vacuumed.files_deleted {
            let needles = needles::path_beside(&file.as_str().into());
            // One that is not there any more is as good as deleted.
            let _ = std::fs::remove_file(self.folder.join(needles.as_ref()));
        }
        Ok(vacuumed.files_deleted.len() as u64)
    }
}

/// Writes the rows of a row group, those of a kind together. Row groups follow each other in
/// time, so that a search of an hour reads few; within one, what is alike packs well: a third less
/// than in time order.
fn write_window(
    writer: &mut DayWriter,
    columns: &Arc<Schema>,
    window: &mut Vec<RecordBatch>,
) -> Result<(), MaintainError> {
    let rows = concat_batches(columns, window.iter()).map_err(ReadError::Rows)?;
    window.clear();
    let keys = ["kind", schema::TIME].map(|name| {
        let index = columns.index_of(name)?;
        Ok(SortColumn {
            values: Arc::clone(rows.column(index)),
            options: None,
        })
    });
    let keys: Result<Vec<_>, arrow::error::ArrowError> = keys.into_iter().collect();
    let order = keys.and_then(|keys| lexsort_to_indices(&keys, None));
    let order = order.map_err(ReadError::Rows)?;
    for start in (0..rows.num_rows()).step_by(needles::BLOCK_ROWS) {
        let count = needles::BLOCK_ROWS.min(rows.num_rows() - start);
        let part = take_record_batch(&rows, &order.slice(start, count));
        let part = part.map_err(ReadError::Rows)?;
        writer.write(&part).map_err(CommitError::Encode)?;
    }
    Ok(())
}

/// How long to rest after some work, so that both together keep the share.
fn rest_after(work: Duration) -> Duration {
    work * (100 - SHARE_PERCENT) / SHARE_PERCENT
}

/// A name that no other set of files has: positions and rows are theirs alone.
fn file_key(files: &[DataFile]) -> String {
    let first = files.iter().map(|file| file.extent.position.0).min();
    let last = files.iter().map(|file| file.extent.position.1).max();
    let rows: u64 = files.iter().map(|file| file.extent.rows).sum();
    format!(
        "{:020}-{:020}-{rows}",
        first.unwrap_or(0),
        last.unwrap_or(0)
    )
}

pub(crate) fn removal(file: &DataFile) -> Remove {
    Remove {
        path: file.path.to_string(),
        data_change: false,
        deletion_timestamp: Some(jiff::Timestamp::now().as_millisecond()),
        extended_file_metadata: Some(true),
        partition_values: Some([(schema::DAY.to_owned(), Some(file.day.clone()))].into()),
        size: Some(file.bytes as i64),
        ..Remove::default()
    }
}

/// The types that files hold.
fn plain(columns: &Schema) -> Schema {
    let field = |field: &Arc<arrow::datatypes::Field>| {
        let kind = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            other => other.clone(),
        };
        field.as_ref().clone().with_data_type(kind)
    };
    Schema::new(columns.fields().iter().map(field).collect::<Vec<_>>())
}

fn with_columns(
    batch: &RecordBatch,
    columns: &Arc<Schema>,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    let fields = columns.fields().iter().zip(batch.columns());
    let arrays = fields.map(|(field, array)| cast(array, field.data_type()));
    RecordBatch::try_new(Arc::clone(columns), arrays.collect::<Result<_, _>>()?)
}

pub(crate) fn log_error(error: DeltaTableError) -> CommitError {
    CommitError::Log(Box::new(error))
}

/// Filters that have no data file, left behind by a crash.
pub(crate) fn remove_lonely_needles(folder: &FilePath, known: &HashSet<std::path::PathBuf>) {
    let days = std::fs::read_dir(folder.join("_needles"))
        .into_iter()
        .flatten()
        .flatten();
    let files = days.flat_map(|day| {
        std::fs::read_dir(day.path())
            .into_iter()
            .flatten()
            .flatten()
    });
    for file in files {
        let path = file.path();
        let data_file = path.strip_prefix(folder.join("_needles")).ok();
        let data_file = data_file.map(|path| folder.join(path.with_extension("")));
        if data_file.is_some_and(|data| !known.contains(&data) && !data.exists()) {
            let removed = std::fs::remove_file(&path);
            tracing::info!(path = %path.display(), ?removed, "a filter without its file is removed");
        }
    }
}
