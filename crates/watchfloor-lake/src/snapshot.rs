//! What a query sees: the files of one version of the table, and the events that arrived after
//! it and are no files yet.
//!
//! Both come from one look at [`Current`], so a reader never sees an event twice nor misses one
//! while it goes from memory to a file.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::{Result, exec_err};
use datafusion::datasource::TableType;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::datasource::physical_plan::parquet::{
    CachedParquetFileReaderFactory, ParquetAccessPlan, ParquetFileReaderFactory, RowGroupAccess,
};
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::datasource::table_schema::TableSchema;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::empty::EmptyExec;
use datafusion::physical_plan::union::UnionExec;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use object_store::ObjectStore;
use object_store::path::Path;
use parquet::arrow::arrow_reader::RowSelector;
use watchfloor_event::{EventBatch, EventId};

use crate::conditions::{Conditions, Containers, Left};
use crate::encode;
use crate::files::DataFile;
use crate::needles::{Ask, BLOCK_ROWS, Blocks, NeedleFiles};
use crate::place::Tier;
use crate::progress::Progress;
use crate::rows::{self, StoredEvent};
use crate::schema;

/// Files whose filters are asked at the same time.
const FILES_AT_ONCE: usize = 16;

/// The lake as it is now: what the log holds, and what waits to be written.
#[derive(Debug)]
pub(crate) struct Current {
    pub(crate) tables: Vec<deltalake::DeltaTable>,
    /// The files of the tables' versions.
    pub(crate) files: Arc<Vec<DataFile>>,
    /// Events that are no files yet, in journal order.
    pub(crate) recent: Vec<Recent>,
    /// Files that cannot be read, and why; queries pass over them.
    pub(crate) broken: BTreeMap<Path, String>,
}

/// Events in memory.
#[derive(Clone, Debug)]
pub(crate) struct Recent {
    pub(crate) batch: Arc<EventBatch>,
    pub(crate) extent: Extent,
}

/// Between which values the rows of a file or batch lie; both ends are in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Event time in microseconds since 1970.
    pub(crate) time_us: (i64, i64),
    /// Journal positions.
    pub(crate) position: (i64, i64),
    pub(crate) rows: u64,
}

/// Whether events that are no files yet are meant too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecentRows {
    /// They are.
    With,
    /// They are not.
    Without,
}

impl Extent {
    /// Of no rows.
    pub(crate) const EMPTY: Self = Self {
        time_us: (i64::MAX, i64::MIN),
        position: (i64::MAX, i64::MIN),
        rows: 0,
    };
    /// Of rows of which nothing is known.
    pub(crate) const UNKNOWN: Self = Self {
        time_us: (i64::MIN, i64::MAX),
        position: (i64::MIN, i64::MAX),
        rows: 0,
    };

    pub(crate) fn add(&mut self, time_us: i64, position: i64) {
        self.time_us = (self.time_us.0.min(time_us), self.time_us.1.max(time_us));
        self.position = (self.position.0.min(position), self.position.1.max(position));
        self.rows += 1;
    }
}

impl Recent {
    /// The first journal position.
    pub(crate) fn position(&self) -> u64 {
        self.extent.position.0.unsigned_abs()
    }

    pub(crate) fn new(batch: Arc<EventBatch>) -> Self {
        let mut extent = Extent::EMPTY;
        for meta in batch.rows() {
            extent.add(meta.time.as_microsecond(), meta.id.position() as i64);
        }
        Self { batch, extent }
    }
}

/// One version of the table and the events after it, as a table of the query engine.
#[derive(Debug)]
pub(crate) struct Snapshot {
    files: Arc<Vec<DataFile>>,
    recent: Vec<Recent>,
    /// Where the files of each tier stand.
    stores: Vec<ObjectStoreUrl>,
    needles: Arc<NeedleFiles>,
    columns: TableSchema,
    /// Counts what is read, where somebody wants to know.
    progress: Option<Arc<Progress>>,
}

impl Snapshot {
    pub(crate) fn of(current: &Current, tiers: &[Tier], needles: &Arc<NeedleFiles>) -> Self {
        let files = if current.broken.is_empty() {
            Arc::clone(&current.files)
        } else {
            let files = current.files.iter();
            let whole = files.filter(|file| !current.broken.contains_key(&file.path));
            Arc::new(whole.cloned().collect())
        };
        Self {
            files,
            recent: current.recent.clone(),
            stores: tiers.iter().map(|tier| tier.url.clone()).collect(),
            needles: Arc::clone(needles),
            columns: columns(),
            progress: None,
        }
    }

    /// The same, with what is read counted.
    pub(crate) fn watched(self, progress: &Arc<Progress>) -> Self {
        Self {
            progress: Some(Arc::clone(progress)),
            ..self
        }
    }

    /// Nothing but these events.
    pub(crate) fn of_batches(&self, batches: &[Arc<EventBatch>]) -> Self {
        Self {
            files: Arc::default(),
            recent: batches.iter().cloned().map(Recent::new).collect(),
            stores: self.stores.clone(),
            needles: Arc::clone(&self.needles),
            columns: self.columns.clone(),
            progress: None,
        }
    }

    /// Some files of the version, and what is no file yet if that is wanted as well.
    pub(crate) fn part(&self, files: Vec<DataFile>, recent: RecentRows) -> Self {
        Self {
            files: Arc::new(files),
            recent: match recent {
                RecentRows::With => self.recent.clone(),
                RecentRows::Without => Vec::new(),
            },
            stores: self.stores.clone(),
            needles: Arc::clone(&self.needles),
            columns: self.columns.clone(),
            progress: self.progress.clone(),
        }
    }

    /// The first journal position that none of its events has.
    pub(crate) fn end(&self) -> u64 {
        let files = self.files.iter().map(|file| file.extent.position.1);
        let recent = self.recent.iter().map(|recent| recent.extent.position.1);
        let last = files.chain(recent).filter(|last| *last < i64::MAX).max();
        last.map_or(0, |last| last.unsigned_abs() + 1)
    }

    /// Only some files of the version.
    pub(crate) fn only(self, files: Vec<DataFile>) -> Self {
        Self {
            files: Arc::new(files),
            recent: Vec::new(),
            ..self
        }
    }

    pub(crate) fn files(&self) -> &[DataFile] {
        &self.files
    }

    /// How many events are no files yet.
    pub(crate) fn recent_rows(&self) -> u64 {
        self.recent.iter().map(|recent| recent.extent.rows).sum()
    }

    /// An instant in microseconds such that all events after it (or before it) are in memory
    /// and in so many files; none if there are not that many.
    pub(crate) fn cut(&self, is_newest: bool, files: usize) -> Option<i64> {
        let mut ends: Vec<i64> = self
            .files
            .iter()
            .map(|file| match is_newest {
                true => file.extent.time_us.1,
                false => file.extent.time_us.0,
            })
            .collect();
        ends.sort_unstable();
        if is_newest {
            ends.reverse();
        }
        ends.get(files).copied()
    }

    /// The events with some ids that are no files yet.
    pub(crate) fn recent_events(&self, ids: &[EventId]) -> Result<Vec<StoredEvent>> {
        let mut found = Vec::new();
        for recent in &self.recent {
            let (first, last) = recent.extent.position;
            let is_in = |id: &&EventId| (first..=last).contains(&(id.position() as i64));
            let wanted: HashSet<EventId> = ids.iter().filter(is_in).copied().collect();
            if wanted.is_empty() {
                continue;
            }
            let metas = recent.batch.rows().iter().enumerate();
            let rows: Vec<u32> = metas
                .filter(|(_, meta)| wanted.contains(&meta.id))
                .map(|(row, _)| row as u32)
                .collect();
            let batch = recent.to_record_batch(&rows, &schema::arrow_schema())?;
            found.extend(rows::events(&[batch])?);
        }
        Ok(found)
    }

    /// Plans that read the files that may hold rows for the conditions: one for each tier and each
    /// set of conditions that are left to be asked of rows.
    async fn read_files(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        conditions: &Conditions,
        limit: Option<usize>,
    ) -> Result<Vec<Arc<dyn ExecutionPlan>>> {
        let extents: Vec<Extent> = self.files.iter().map(|file| file.extent).collect();
        let days = self.files.iter();
        let days = days.map(|file| (file.day.as_str(), file.day.as_str()));
        let rows = Containers::new(&extents, days.unzip());
        let (kept, left) = (conditions.prune(&rows)?, conditions.left(&rows)?);
        let mut plans = Vec::new();
        for (tier, url) in self.stores.iter().enumerate() {
            let files = self.files.iter().zip(&kept).zip(&left);
            let files: Vec<(DataFile, Left)> = files
                .filter(|((file, is_kept), _)| **is_kept && file.tier == tier)
                .map(|((file, _), left)| (file.clone(), left.clone()))
                .collect();
            if files.is_empty() {
                continue;
            }
            let store = state.runtime_env().object_store(url)?;
            let mut groups: BTreeMap<Left, Vec<PartitionedFile>> = BTreeMap::new();
            for (left, file) in self.narrow(state, &store, files, conditions).await {
                groups.entry(left).or_default().push(file);
            }
            let bytes = groups.values().flatten();
            let bytes = bytes.map(|file| file.object_meta.size).sum();
            if let Some(progress) = &self.progress
                && !progress.may_share(bytes)
            {
                return exec_err!("too much to be read by workers within its limit");
            }
            for (left, files) in groups {
                let exact = limit.filter(|_| left.is_empty());
                let place = (url, Arc::clone(&store));
                let plan = conditions.ask(projection, &left, |read| {
                    self.scan_files(state, read, exact, place, files)
                })?;
                plans.push(plan);
            }
        }
        Ok(plans)
    }

    /// Which parts of files of one store are to be read, after their filters were asked.
    async fn narrow(
        &self,
        state: &dyn Session,
        store: &Arc<dyn ObjectStore>,
        files: Vec<(DataFile, Left)>,
        conditions: &Conditions,
    ) -> Vec<(Left, PartitionedFile)> {
        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let reads = files.into_iter().map(|(file, mut left)| {
            let (store, footers) = (Arc::clone(store), Arc::clone(&footers));
            let needles = Arc::clone(&self.needles);
            async move {
                if conditions.asks_of_findings() && file.is_free_of_findings(&store, &footers).await
                {
                    if conditions.only_findings.is_some() {
                        return None;
                    }
                    left.retain(|one| Some(*one) != conditions.no_findings);
                }
                let ask = conditions.needles.clone();
                let read = read_file(store, footers, needles, file, ask).await?;
                Some((left, read))
            }
        });
        stream::iter(reads)
            .buffered(FILES_AT_ONCE)
            .filter_map(std::future::ready)
            .collect()
            .await
    }

    /// Reads columns of files. Conditions above it come down to it by the engine's own means.
    fn scan_files(
        &self,
        state: &dyn Session,
        read: Option<Vec<usize>>,
        limit: Option<usize>,
        (url, store): (&ObjectStoreUrl, Arc<dyn ObjectStore>),
        files: Vec<PartitionedFile>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut options = state.table_options().parquet.clone();
        options.global.pushdown_filters = true;
        options.global.reorder_filters = true;
        let footers = state.runtime_env().cache_manager.get_file_metadata_cache();
        let reader = Arc::new(CachedParquetFileReaderFactory::new(store, footers));
        let reader: Arc<dyn ParquetFileReaderFactory> = match &self.progress {
            Some(progress) => Arc::new(progress.scan(reader, files.len() as u64)),
            None => reader,
        };
        let source = ParquetSource::new(self.columns.clone())
            .with_table_parquet_options(options)
            .with_parquet_file_reader_factory(reader);
        let groups = FileGroup::new(files).split_files(state.config().target_partitions());
        let scan = FileScanConfigBuilder::new(url.clone(), Arc::new(source))
            .with_file_groups(groups)
            .with_projection_indices(read)?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(scan))
    }

    /// The events in memory that may be rows for the conditions.
    fn read_recent(
        &self,
        projection: Option<&Vec<usize>>,
        conditions: &Conditions,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let extents: Vec<Extent> = self.recent.iter().map(|recent| recent.extent).collect();
        let days: Vec<(String, String)> = extents
            .iter()
            .map(|extent| (day_of(extent.time_us.0), day_of(extent.time_us.1)))
            .collect();
        let days = days
            .iter()
            .map(|(first, last)| (first.as_str(), last.as_str()))
            .unzip();
        let kept = conditions.prune(&Containers::new(&extents, days))?;
        let kept: Vec<&Recent> = self
            .recent
            .iter()
            .zip(kept)
            .filter(|(_, is_kept)| *is_kept)
            .map(|(recent, _)| recent)
            .collect();
        if kept.is_empty() {
            return Ok(None);
        }
        let plan = conditions.ask(projection, &conditions.all(), |read| {
            let wanted = self.projected(read.as_ref())?;
            let batches = kept.iter().map(|recent| {
                let rows: Vec<u32> = (0..recent.batch.len() as u32).collect();
                recent.to_record_batch(&rows, &wanted)
            });
            let batches = batches.collect::<Result<Vec<_>>>()?;
            let plan = MemorySourceConfig::try_new_exec(&[batches], wanted, None)?;
            Ok(plan as Arc<dyn ExecutionPlan>)
        })?;
        Ok(Some(plan))
    }

    fn projected(&self, columns: Option<&Vec<usize>>) -> Result<SchemaRef> {
        let whole = self.columns.table_schema();
        Ok(match columns {
            Some(columns) => Arc::new(whole.project(columns)?),
            None => Arc::clone(whole),
        })
    }
}

#[async_trait::async_trait]
impl TableProvider for Snapshot {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.columns.table_schema())
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    /// What a file's statistics do not answer is asked of its rows.
    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Exact; filters.len()])
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let columns = self.columns.table_schema();
        let conditions = Conditions::new(state, columns, projection, filters)?;
        let mut plans = self
            .read_files(state, projection, &conditions, limit)
            .await?;
        plans.extend(self.read_recent(projection, &conditions)?);
        match plans.len() {
            0 => Ok(Arc::new(EmptyExec::new(self.projected(projection)?))),
            1 => Ok(plans.remove(0)),
            _ => UnionExec::try_new(plans),
        }
    }
}

impl Recent {
    fn to_record_batch(&self, rows: &[u32], wanted: &SchemaRef) -> Result<RecordBatch> {
        let batch = &self.batch;
        let columns = wanted.fields().iter().map(|field| -> Result<ArrayRef> {
            let column = if field.name() == schema::DAY {
                let times = rows.iter().map(|row| batch.rows()[*row as usize].time);
                let days = times.map(|time| day_of(time.as_microsecond()));
                Arc::new(StringArray::from_iter_values(days)) as ArrayRef
            } else {
                encode::column(batch, rows, field.name())
            };
            Ok(cast(&column, field.data_type())?)
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let options = arrow::array::RecordBatchOptions::new().with_row_count(Some(rows.len()));
        Ok(RecordBatch::try_new_with_options(
            Arc::clone(wanted),
            columns,
            &options,
        )?)
    }
}

/// The columns as queries have them: texts and bytes as views, which are cheap to filter, and
/// the day, which no file holds, behind the others.
fn columns() -> TableSchema {
    static COLUMNS: LazyLock<TableSchema> = LazyLock::new(make_columns);
    COLUMNS.clone()
}

fn make_columns() -> TableSchema {
    let viewed = |field: &Arc<Field>| {
        let kind = match field.data_type() {
            DataType::Utf8 => DataType::Utf8View,
            DataType::Binary => DataType::BinaryView,
            other => other.clone(),
        };
        field.as_ref().clone().with_data_type(kind)
    };
    let whole = schema::arrow_schema();
    let in_files = whole
        .fields()
        .iter()
        .filter(|field| field.name() != schema::DAY);
    let in_files = Schema::new(in_files.map(viewed).collect::<Vec<_>>());
    let day = Arc::new(Field::new(schema::DAY, DataType::Utf8View, true));
    TableSchema::builder(Arc::new(in_files))
        .with_table_partition_cols(vec![day])
        .build()
}

/// What is to be read of a file, if anything.
async fn read_file(
    store: Arc<dyn ObjectStore>,
    footers: Arc<FileMetadataCache>,
    needles: Arc<NeedleFiles>,
    file: DataFile,
    ask: Ask,
) -> Option<PartitionedFile> {
    let whole = file.to_read();
    if ask == Ask::Whatever {
        return Some(whole);
    }
    let rows = file.extent.rows;
    let blocks = needles.ask(&store, &file.path, rows, &ask).await;
    let Some(blocks) = blocks.filter(|blocks| !blocks.is_all()) else {
        return Some(whole);
    };
    if blocks.is_empty() {
        return None;
    }
    // With the places of pages at hand, only those of the blocks are read.
    match file.footer(&store, &footers).await {
        Ok(footer) => {
            let groups = footer.row_groups().iter();
            let groups = groups.map(|group| group.num_rows() as usize);
            let access = access(groups, &blocks);
            Some(whole.with_extension(access))
        }
        // Reading the file says what is wrong with it.
        Err(_) => Some(whole),
    }
}

/// Which rows of each row group are to be read.
fn access(groups: impl Iterator<Item = usize>, blocks: &Blocks) -> ParquetAccessPlan {
    let mut start = 0;
    let groups = groups.map(|rows| {
        let end = start + rows;
        let mut selectors: Vec<RowSelector> = Vec::new();
        let mut at = start;
        while at < end {
            let block = at / BLOCK_ROWS;
            let next = ((block + 1) * BLOCK_ROWS).min(end);
            let skip = !blocks.has(block);
            match selectors.last_mut() {
                Some(last) if last.skip == skip => last.row_count += next - at,
                _ => selectors.push(match skip {
                    true => RowSelector::skip(next - at),
                    false => RowSelector::select(next - at),
                }),
            }
            at = next;
        }
        start = end;
        match selectors.as_slice() {
            [] => RowGroupAccess::Skip,
            [one] if one.skip => RowGroupAccess::Skip,
            [_] => RowGroupAccess::Scan,
            _ => RowGroupAccess::Selection(selectors.into()),
        }
    });
    ParquetAccessPlan::new(groups.collect())
}

/// The day of an instant, as the table's folders name it.
pub(crate) fn day_of(time_us: i64) -> String {
    let time = Timestamp::from_microsecond(time_us).unwrap_or(if time_us < 0 {
        Timestamp::MIN
    } else {
        Timestamp::MAX
    });
    TimeZone::UTC.to_datetime(time).date().to_string()
}
