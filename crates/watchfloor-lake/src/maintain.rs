//! Keeping the table in shape: small files of a day become large ones in time order, and files
//! that no version needs go.

use std::collections::{BTreeMap, HashSet};
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
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};

use crate::encode::{DayFile, DayWriter, ROW_GROUP_ROWS};
use crate::files::{self, DataFile};
use crate::health;
use crate::needles;
use crate::place::Tier;
use crate::schema;
use crate::search::query_error;
use crate::table::{CommitError, Lake, OpenError, ReadError, table_error};

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

/// How the names of data files begin: written by commits, by compaction, and after deletions.
const OUR_FILES: [&str; 3] = ["commit-", "merged-", "kept-"];

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
    /// Some files cannot be read, and what is to be deleted may be in them.
    #[error(
        "{0} files of the lake cannot be read and may hold what is to be deleted; stop the server and run watchfloor lake repair first"
    )]
    Unread(usize),
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
        let _maintainer = self.maintainer.lock().await;
        let mut done = Maintained::default();
        while let Some((files, is_late)) = self.due(min_files).await {
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

    /// Small files of one day that are to be one, and whether many more wait. Those with findings
    /// stay apart.
    async fn due(&self, min_files: usize) -> Option<(Vec<DataFile>, bool)> {
        let snapshot = self.snapshot();
        let footers = self.runtime.cache_manager.get_file_metadata_cache();
        let mut by_day: BTreeMap<(usize, &str, bool), Vec<&DataFile>> = BTreeMap::new();
        let small = |file: &&DataFile| file.extent.rows < SMALL_ROWS;
        for file in snapshot.files().iter().filter(small) {
            let store = &self.tier_of(file).store;
            let is_free = file.is_free_of_findings(store, &footers).await;
            let alike = by_day.entry((file.tier, &file.day, is_free));
            alike.or_default().push(file);
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

    /// Puts a file in the place of others of its tier, in one entry of the log.
    async fn replace(&self, files: &[DataFile], file: DayFile) -> Result<(), CommitError> {
        let Some(tier) = files.first().map(|file| file.tier) else {
            return Ok(());
        };
        let name = format!("merged-{}", file_key(files));
        let add = self.tiers[tier].write_file(&name, file, false).await?;
        let removed = files.iter().map(|file| Action::Remove(removal(file)));
        let actions = removed.chain([Action::Add(add)]).collect();
        let operation = DeltaOperation::Optimize {
            predicate: None,
            target_size: MAX_ROWS as i64,
        };
        self.change(tier, actions, operation).await
    }

    /// Adds an entry to a table's log and takes it up.
    pub(crate) async fn change(
        &self,
        tier: usize,
        actions: Vec<Action>,
        operation: DeltaOperation,
    ) -> Result<(), CommitError> {
        let table = self.table(tier);
        let state = table.snapshot().map_err(log_error)?.clone();
        CommitBuilder::from(CommitProperties::default())
            .with_actions(actions)
            .build(Some(&state), table.log_store(), operation)
            .await
            .map_err(log_error)?;
        self.refresh(tier).await.map_err(log_error)?;
        self.tiers[tier].sync_log(&self.table(tier))
    }

    /// Deletes files that were replaced some time ago, and the filters of files that are gone.
    pub(crate) async fn remove_old(&self) -> Result<u64, CommitError> {
        let mut deleted = 0;
        for (index, tier) in self.tiers.iter().enumerate() {
            let (_, vacuumed) = self
                .table(index)
                .vacuum()
                .with_retention_period(chrono::Duration::hours(KEPT_HOURS))
                .with_enforce_retention_duration(false)
                .await
                .map_err(log_error)?;
            for file in &vacuumed.files_deleted {
                let needles = needles::path_beside(&file.as_str().into());
                tier.delete(&needles).await?;
            }
            deleted += vacuumed.files_deleted.len() as u64;
        }
        Ok(deleted)
    }

    /// What a crash left behind goes; files of the tables that are gone are passed over.
    pub(crate) async fn tidy_up(&self) -> Result<(), OpenError> {
        for (index, tier) in self.tiers.iter().enumerate() {
            let listed = tier.list().await.map_err(|source| OpenError::List {
                place: tier.place.to_string(),
                source: Box::new(source),
            })?;
            let known = files::paths(&self.table(index));
            let known = known.map_err(|source| table_error(&tier.place, source))?;
            self.remove_orphans(tier, &listed, &known).await;
            self.note_missing(tier, &listed, &known).await;
        }
        Ok(())
    }

    /// Files that a crash left between writing and the log entry belong to no version. Files that
    /// compaction replaced are older than the log's last entry and stay for readers of older
    /// versions until the vacuum takes them.
    async fn remove_orphans(&self, tier: &Tier, listed: &[ObjectMeta], known: &HashSet<Path>) {
        let log = listed.iter().filter(|file| is_below(file, "_delta_log"));
        let Some(newest) = log.map(|file| file.last_modified).max() else {
            return;
        };
        let there: HashSet<&Path> = listed.iter().map(|file| &file.location).collect();
        let is_orphan = |file: &&ObjectMeta| match needles::data_file_of(&file.location) {
            Some(data) => !there.contains(&data),
            None => file.last_modified >= newest,
        };
        for file in unlisted(listed, known).filter(is_orphan) {
            let removed = tier.delete(&file.location).await;
            tracing::info!(path = %file.location, ?removed, "file of an unfinished commit is removed");
        }
    }

    /// Deletes at once what is in no table's newest version, what compaction left to readers of
    /// older ones among it.
    pub(crate) async fn remove_unlisted(&self) -> Result<(), MaintainError> {
        // No commit may stand between its files and its log entry.
        let _writer = self.writer.lock().await;
        for (index, tier) in self.tiers.iter().enumerate() {
            let known = files::paths(&self.table(index)).map_err(log_error)?;
            let listed = tier.list().await;
            let listed = listed.map_err(|error| query_error(error.into()))?;
            // Another's commit may be on its way.
            let oldest = chrono::Utc::now() - chrono::Duration::hours(KEPT_HOURS);
            let is_ours = |file: &&ObjectMeta| {
                self.writers == crate::table::Writers::One || file.last_modified < oldest
            };
            for file in unlisted(&listed, &known).filter(is_ours) {
                tier.delete(&file.location).await?;
            }
        }
        Ok(())
    }

    /// Files that are gone are passed over from the start. A listing may be old, so each is asked
    /// for by itself.
    async fn note_missing(&self, tier: &Tier, listed: &[ObjectMeta], known: &HashSet<Path>) {
        let there: HashSet<&Path> = listed.iter().map(|file| &file.location).collect();
        let mut gone = BTreeMap::new();
        for path in known.iter().filter(|path| !there.contains(path)) {
            let found = tier.store.head(path).await;
            if matches!(found, Err(object_store::Error::NotFound { .. })) {
                tracing::error!(%path, "a file of the lake is missing and is passed over; watchfloor lake repair takes it out");
                gone.insert(path.clone(), "is missing".to_owned());
            }
        }
        self.set_broken(gone);
    }
}

/// Data files and filters of ours that a version of the table does not hold.
fn unlisted<'a>(
    listed: &'a [ObjectMeta],
    known: &'a HashSet<Path>,
) -> impl Iterator<Item = &'a ObjectMeta> {
    listed.iter().filter(|file| {
        let name = file.location.filename().unwrap_or_default();
        let is_data = OUR_FILES.iter().any(|prefix| name.starts_with(prefix));
        let is_aside = is_below(file, "_delta_log") || is_below(file, health::DAMAGED);
        let data = needles::data_file_of(&file.location);
        let data = data.unwrap_or_else(|| file.location.clone());
        is_data && !is_aside && !known.contains(&data)
    })
}

fn is_below(file: &ObjectMeta, folder: &str) -> bool {
    let first = file.location.parts().next();
    first.is_some_and(|part| part.as_ref() == folder)
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
pub(crate) fn plain(columns: &Schema) -> Schema {
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

pub(crate) fn with_columns(
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
