//! The table: opening it, and commits that carry the journal position.
//!
//! A commit is durable before it is reported: the Parquet files, the log entry and their
//! folders are synced, in that order. The journal position stands in the same log entry as
//! the files (Delta's application transaction), so after a crash either both are there or
//! neither is.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use datafusion::error::DataFusionError;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use deltalake::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake::kernel::{Action, Add, Transaction};
use deltalake::protocol::{DeltaOperation, SaveMode};
use deltalake::{DeltaTable, DeltaTableError};
use jiff::Timestamp;
use tokio::sync::Mutex;
use watchfloor_event::{EventBatch, Finding, JournalPlace, partition_of};

use crate::cluster::Cluster;
use crate::encode::{self, DayFile};
use crate::files::{self, DataFile};
use crate::findings;
use crate::needles::{self, NeedleFiles};
use crate::place::{Place, Tier};
use crate::progress::Run;
use crate::schema;
use crate::snapshot::{Current, Recent, Snapshot};
use crate::tail::Arrivals;

/// The tier that events are written to.
pub(crate) const HOT: usize = 0;
/// Name of the application whose transactions carry the journal position.
const JOURNAL_APP: &str = "watchfloor-journal";

/// Each partition of a journal is an application of its own.
fn app_of(partition: u16) -> String {
    match partition {
        0 => JOURNAL_APP.to_owned(),
        partition => format!("{JOURNAL_APP}-{partition}"),
    }
}

/// Who else writes to the tables of a lake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Writers {
    /// Nobody.
    #[default]
    One,
    /// Other processes of the cluster, each to partitions of its own.
    Many,
}

/// Why the lake cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder cannot be made.
    #[error("lake folder {path} cannot be used")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The table cannot be made, read or widened.
    #[error("lake table in {place} cannot be opened")]
    Table {
        /// Where it stands.
        place: String,
        /// The cause.
        #[source]
        source: Box<DeltaTableError>,
    },
    /// What stands there cannot be listed.
    #[error("lake files in {place} cannot be listed")]
    List {
        /// Where they stand.
        place: String,
        /// The cause.
        #[source]
        source: Box<object_store::Error>,
    },
}

/// Why a commit did not happen. Nothing of it is visible.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// The columns cannot be written as Parquet.
    #[error("events cannot be encoded")]
    Encode(#[source] parquet::errors::ParquetError),
    /// A file cannot be written.
    #[error("lake file {path} cannot be written")]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The table's log refuses.
    #[error("lake log refuses the commit")]
    Log(#[source] Box<DeltaTableError>),
    /// The encoder stopped.
    #[error("encoding of events was stopped")]
    Stopped,
    /// Another process works on the partition now.
    #[error(
        "partition {partition} was taken over by another process, which committed up to {position}"
    )]
    TakenOver {
        /// The partition.
        partition: u16,
        /// Its position now.
        position: u64,
    },
}

/// Why the lake cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The table cannot be read.
    #[error("lake table cannot be read")]
    Table(#[source] Box<DeltaTableError>),
    /// A query over it failed.
    #[error("lake query failed")]
    Query(#[source] Box<datafusion::error::DataFusionError>),
    /// What came back is no event.
    #[error("lake rows cannot be understood")]
    Rows(#[source] arrow::error::ArrowError),
}

impl ReadError {
    /// Whether a damaged or missing file may be to blame.
    pub(crate) fn is_of_files(&self) -> bool {
        match self {
            Self::Query(error) => is_of_files(error.find_root()),
            Self::Table(_) | Self::Rows(_) => false,
        }
    }
}

/// Whether a bucket did not answer, which says nothing about its files.
pub(crate) fn is_of_bucket(root: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(root);
    while let Some(error) = cause {
        let of_store = error.downcast_ref::<object_store::Error>();
        if matches!(
            of_store,
            Some(object_store::Error::Generic { store: "S3", .. })
        ) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// Whether what an engine's error rests on is a file that cannot be read, and not the query.
pub(crate) fn is_of_files(root: &DataFusionError) -> bool {
    if is_of_bucket(root) {
        return false;
    }
    matches!(
        root,
        DataFusionError::ObjectStore(_)
            | DataFusionError::IoError(_)
            | DataFusionError::ParquetError(_)
            | DataFusionError::ArrowError(..)
            | DataFusionError::External(_)
    )
}

/// What one commit adds.
#[derive(Debug, Default)]
pub struct PendingCommit {
    /// Events.
    pub batches: Vec<Arc<EventBatch>>,
    /// Findings with the position of the last record of the batch that gave them.
    pub findings: Vec<(u64, Finding)>,
    /// Journal position after the last record that the commit covers.
    pub end: u64,
}

/// Figures of the lake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LakeStats {
    /// Events and findings.
    pub rows: u64,
    /// Parquet files.
    pub files: u64,
    /// Bytes of these files.
    pub bytes: u64,
    /// Files that cannot be read; they are among the others.
    pub unread: u64,
}

/// What the table itself says about a source and hour of receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerCount {
    /// Source.
    pub source: String,
    /// Start of the hour, seconds since 1970.
    pub hour: i64,
    /// Raw records.
    pub records: u64,
    /// Events.
    pub stored: u64,
    /// Events that no decoder understood.
    pub undecoded: u64,
}

/// The tables of a lake.
#[derive(Clone, Debug)]
pub struct Places {
    /// The table that events are written to.
    pub hot: Place,
    /// The table that old events are moved to.
    pub cold: Option<Place>,
    /// Tables that were written to before, and are read only.
    pub former: Vec<Place>,
}

impl From<&Path> for Places {
    /// One folder for all.
    fn from(folder: &Path) -> Self {
        Self {
            hot: Place::Folder(folder.to_owned()),
            cold: None,
            former: Vec::new(),
        }
    }
}

/// The event lake.
#[derive(Debug)]
pub struct Lake {
    /// The first is written to.
    pub(crate) tiers: Vec<Tier>,
    /// Which of them old events are moved to.
    pub(crate) cold: Option<usize>,
    current: RwLock<Current>,
    /// Footers of files that were read, for all queries.
    pub(crate) runtime: Arc<RuntimeEnv>,
    needles: Arc<NeedleFiles>,
    /// Machines that help with queries.
    cluster: Option<Arc<Cluster>>,
    /// Tells those who follow what arrives.
    pub(crate) arrivals: Arrivals,
    /// Held by whoever changes a table's log and takes up what came of it: the position of each
    /// partition that this process works on.
    pub(crate) writer: Mutex<BTreeMap<u16, u64>>,
    /// Whether others write, too.
    pub(crate) writers: Writers,
    /// Tells the files of this process from those of others.
    nonce: u64,
    /// Held by whoever puts files in the place of others.
    pub(crate) maintainer: Mutex<()>,
}

impl Lake {
    /// Opens the table in a folder, making it if need be and adding columns that it lacks.
    ///
    /// # Errors
    /// If folder or table cannot be used.
    pub async fn open(folder: &Path) -> Result<Self, OpenError> {
        Self::open_at(&folder.into()).await
    }

    /// Opens tables, making those that are missing and adding columns that they lack.
    ///
    /// # Errors
    /// If a place or its table cannot be used.
    pub async fn open_at(places: &Places) -> Result<Self, OpenError> {
        Self::open_among(places, Writers::One).await
    }

    /// As [`Lake::open_at`], where other processes may write to the same tables.
    ///
    /// # Errors
    /// If a place or its table cannot be used.
    pub async fn open_among(places: &Places, writers: Writers) -> Result<Self, OpenError> {
        let mut opened = Vec::new();
        for place in places.all() {
            let table_error = |source| table_error(place, source);
            if let Place::Folder(path) = place {
                let path = path.clone();
                std::fs::create_dir_all(&path)
                    .map_err(|source| OpenError::Folder { path, source })?;
            }
            let table = open_or_create(place).await.map_err(table_error)?;
            let table = widen(table).await.map_err(table_error)?;
            opened.push((Tier::of(place, &table), table));
        }
        let lake = Self {
            writers,
            ..Self::over(places, opened).await?
        };
        // A file without a log entry may be another's commit on its way.
        if writers == Writers::One {
            lake.tidy_up().await?;
        }
        Ok(lake)
    }

    /// Opens the table in a folder to read it only, beside whoever writes to it.
    ///
    /// # Errors
    /// If there is no table, or it cannot be read.
    pub async fn open_to_read(folder: &Path) -> Result<Self, OpenError> {
        Self::open_to_read_at(&folder.into()).await
    }

    /// Opens tables to read them only, beside whoever writes to them.
    ///
    /// # Errors
    /// If the first is missing, or one cannot be read.
    pub async fn open_to_read_at(places: &Places) -> Result<Self, OpenError> {
        let mut opened = Vec::new();
        for place in places.all() {
            let table_error = |source| table_error(place, source);
            let mut table = place.table().map_err(table_error)?;
            let is_first = opened.is_empty();
            if !is_first
                && !table
                    .verify_deltatable_existence()
                    .await
                    .map_err(table_error)?
            {
                continue;
            }
            table.load().await.map_err(table_error)?;
            opened.push((Tier::of(place, &table), table));
        }
        Self::over(places, opened).await
    }

    async fn over(places: &Places, opened: Vec<(Tier, DeltaTable)>) -> Result<Self, OpenError> {
        let runtime = RuntimeEnvBuilder::new()
            .build_arc()
            .map_err(DeltaTableError::generic);
        let runtime = runtime.map_err(|source| table_error(&places.hot, source))?;
        let mut committed = 0;
        for (tier, table) in &opened {
            runtime.register_object_store(tier.url.as_ref(), Arc::clone(&tier.store));
            let position = position(table, 0).await;
            committed = committed.max(position.map_err(|source| table_error(&tier.place, source))?);
        }
        let (tiers, tables): (Vec<Tier>, Vec<DeltaTable>) = opened.into_iter().unzip();
        let files = files::of_tables(&tables);
        let files = files.map_err(|source| table_error(&places.hot, source))?;
        let cold = places.cold.as_ref();
        Ok(Self {
            cold: cold.and_then(|cold| tiers.iter().position(|tier| tier.place == *cold)),
            tiers,
            current: RwLock::new(Current {
                tables,
                files: Arc::new(files),
                recent: Vec::new(),
                broken: BTreeMap::new(),
            }),
            runtime,
            needles: Arc::default(),
            cluster: None,
            arrivals: Arrivals::default(),
            writer: Mutex::new(BTreeMap::from([(0, committed)])),
            writers: Writers::One,
            nonce: std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0),
            maintainer: Mutex::default(),
        })
    }

    /// Lets other machines help with queries.
    #[must_use]
    pub fn with_cluster(self, cluster: Option<Arc<Cluster>>) -> Self {
        Self { cluster, ..self }
    }

    /// How often the cluster could not answer a query; none without one.
    pub fn cluster_failures(&self) -> Option<u64> {
        self.cluster.as_ref().map(|cluster| cluster.failures())
    }

    /// The machines that may help with a query.
    pub(crate) fn helpers(&self, run: &Run) -> Option<&Arc<Cluster>> {
        let cluster = self.cluster.as_ref();
        cluster.filter(|cluster| !run.progress.stays_here() && cluster.reaches(&self.tiers))
    }

    /// Lets events and findings be searched before they are committed; they go over into the
    /// files of the commit that covers them.
    pub fn show(&self, batches: &[Arc<EventBatch>], findings: &[(u64, Finding)]) {
        let findings = (!findings.is_empty())
            .then(|| Arc::new(findings::to_batch(findings, Timestamp::now())));
        let recent = batches.iter().cloned().chain(findings).map(Recent::new);
        let recent: Vec<Recent> = recent.collect();
        let arrived = self.arrivals.of(&recent);
        self.current_mut().recent.extend(recent);
        self.arrivals.tell(arrived);
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Snapshot::of(&current, &self.tiers, &self.needles)
    }

    /// All files of the table, those that cannot be read among them.
    pub(crate) fn all_files(&self) -> Arc<Vec<DataFile>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current.files)
    }

    /// Files that cannot be read, and why.
    pub(crate) fn broken(&self) -> BTreeMap<object_store::path::Path, String> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.broken.clone()
    }

    pub(crate) fn set_broken(&self, more: BTreeMap<object_store::path::Path, String>) {
        self.current_mut().broken.extend(more);
    }

    pub(crate) fn tier_of(&self, file: &DataFile) -> &Tier {
        &self.tiers[file.tier]
    }

    pub(crate) fn needles(&self) -> &NeedleFiles {
        &self.needles
    }

    pub(crate) fn table(&self, tier: usize) -> DeltaTable {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.tables[tier].clone()
    }

    /// Takes up what the log of a table holds now.
    pub(crate) async fn refresh(&self, tier: usize) -> Result<(), DeltaTableError> {
        let _writer = self.writer.lock().await;
        let mut table = self.table(tier);
        let before = table.version();
        table.update_state().await?;
        if table.version() == before {
            return Ok(());
        }
        let mut tables = {
            let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
            current.tables.clone()
        };
        tables[tier] = table;
        let files = Arc::new(files::of_tables(&tables)?);
        let mut current = self.current_mut();
        current.tables = tables;
        current.files = files;
        Ok(())
    }

    /// Takes up what other processes committed.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn follow(&self) -> Result<(), ReadError> {
        let followed = self.refresh(HOT).await;
        followed.map_err(|error| ReadError::Table(Box::new(error)))
    }

    /// The position of a partition as the log has it now; commits of it go on from there.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn take_partition(&self, partition: u16) -> Result<u64, ReadError> {
        self.follow().await?;
        let found = position(&self.table(HOT), partition).await;
        let found = found.map_err(|error| ReadError::Table(Box::new(error)))?;
        let found = found.max(JournalPlace::start_of(partition));
        self.forget_recent(partition);
        self.writer.lock().await.insert(partition, found);
        Ok(found)
    }

    /// This process no longer works on a partition.
    pub async fn leave_partition(&self, partition: u16) {
        self.writer.lock().await.remove(&partition);
        self.forget_recent(partition);
    }

    /// Events of a partition that were shown and are not committed: whoever works on it shows
    /// them again.
    fn forget_recent(&self, partition: u16) {
        let mut current = self.current_mut();
        let is_other = |recent: &Recent| partition_of(recent.position()) != partition;
        current.recent.retain(is_other);
    }

    /// The position of a partition as the log that was read last has it.
    ///
    /// # Errors
    /// If the log cannot be read.
    pub async fn position_of(&self, partition: u16) -> Result<u64, ReadError> {
        let found = position(&self.table(HOT), partition).await;
        found.map_err(|error| ReadError::Table(Box::new(error)))
    }

    fn current_mut(&self) -> std::sync::RwLockWriteGuard<'_, Current> {
        self.current.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Journal position after the last record that the lake holds.
    pub async fn committed(&self) -> u64 {
        self.committed_of(0).await
    }

    /// As [`Lake::committed`], of a partition that this process works on.
    pub async fn committed_of(&self, partition: u16) -> u64 {
        let committed = self.writer.lock().await;
        committed.get(&partition).copied().unwrap_or(0)
    }

    /// Adds events and findings, durably and at once. A commit that ends at or before the
    /// committed position was made before and adds nothing.
    ///
    /// # Errors
    /// If encoding, writing or the log fails; then nothing is added.
    pub async fn commit(&self, pending: PendingCommit) -> Result<(), CommitError> {
        self.commit_shared(Arc::new(pending)).await
    }

    /// As [`Lake::commit`]; the caller keeps the pending commit to try again.
    ///
    /// # Errors
    /// As [`Lake::commit`].
    pub async fn commit_shared(&self, pending: Arc<PendingCommit>) -> Result<(), CommitError> {
        let end = pending.end;
        let partition = partition_of(end);
        let mut all = self.writer.lock().await;
        let Some(committed) = all.get_mut(&partition) else {
            let position = 0;
            return Err(CommitError::TakenOver {
                partition,
                position,
            });
        };
        if end <= *committed {
            return Ok(());
        }
        let files = tokio::task::spawn_blocking(move || encode_all(&pending));
        let files = files
            .await
            .map_err(|_| CommitError::Stopped)?
            .map_err(CommitError::Encode)?;
        // Two processes that take each other for gone must not write to one file.
        let name = match self.writers {
            Writers::One => format!("commit-{end:020}"),
            Writers::Many => format!("commit-{end:020}-{:016x}", self.nonce),
        };
        let mut adds = Vec::new();
        for file in files {
            let what = if file.holds_findings { "-findings" } else { "" };
            let name = format!("{name}{what}");
            adds.push(self.tiers[HOT].write_file(&name, file, true).await?);
        }
        let added: Vec<DataFile> = adds.iter().map(DataFile::added).collect();
        let table = self.table(HOT);
        if self.writers == Writers::Many {
            // Who took the partition over may have committed in what was read since.
            self.still_ours(&table, partition, *committed).await?;
        }
        let table = match append(table.clone(), adds, end).await {
            Ok(table) => table,
            Err(error) => match self.settled(table, end).await {
                Some(table) => table,
                None => {
                    if self.writers == Writers::Many {
                        let mut newest = self.table(HOT);
                        if newest.update_state().await.is_ok() {
                            self.still_ours(&newest, partition, *committed).await?;
                        }
                    }
                    return Err(CommitError::Log(Box::new(error)));
                }
            },
        };
        // From here on the commit is in the log, so trying again would add it twice.
        *committed = end;
        self.take_up(table.clone(), added, end)
            .map_err(|error| CommitError::Log(Box::new(error)))?;
        self.tiers[HOT].sync_log(&table)
    }

    /// Only who works on a partition moves its position.
    async fn still_ours(
        &self,
        table: &DeltaTable,
        partition: u16,
        expected: u64,
    ) -> Result<(), CommitError> {
        let found = position(table, partition).await;
        let found = found.map_err(|error| CommitError::Log(Box::new(error)))?;
        match found.max(JournalPlace::start_of(partition)) == expected {
            true => Ok(()),
            false => Err(CommitError::TakenOver {
                partition,
                position: found,
            }),
        }
    }

    /// Events that a commit brought into files leave the memory in the same moment.
    fn take_up(
        &self,
        table: DeltaTable,
        added: Vec<DataFile>,
        end: u64,
    ) -> Result<(), DeltaTableError> {
        let mut current = self.current_mut();
        let next = current.tables[HOT].version().map(|version| version + 1);
        // What others committed meanwhile comes with it.
        let is_next = table.version() == next;
        current.tables[HOT] = table;
        let files = match is_next {
            true => {
                let mut files = current.files.as_ref().clone();
                files.extend(added);
                Ok(files)
            }
            false => files::of_tables(&current.tables),
        };
        let partition = partition_of(end);
        current.recent.retain(|recent| {
            partition_of(recent.position()) != partition || recent.position() >= end
        });
        current.files = Arc::new(files?);
        Ok(())
    }

    /// After an error, the table as the log has it now, if the commit went in all the same
    /// (what follows a commit, such as a checkpoint, may fail by itself).
    async fn settled(&self, mut table: DeltaTable, end: u64) -> Option<DeltaTable> {
        table.update_state().await.ok()?;
        (position(&table, partition_of(end)).await.ok()? == end).then_some(table)
    }

    /// Figures of the lake.
    ///
    /// # Errors
    /// If the table's log cannot be read.
    pub async fn stats(&self) -> Result<LakeStats, ReadError> {
        let snapshot = self.snapshot();
        let mut stats = LakeStats::default();
        for file in self.all_files().iter() {
            stats.rows += file.extent.rows;
            stats.files += 1;
            stats.bytes += file.bytes;
        }
        stats.rows += snapshot.recent_rows();
        stats.unread = self.broken().len() as u64;
        Ok(stats)
    }
}

impl Places {
    /// The one that is written to first.
    fn all(&self) -> impl Iterator<Item = &Place> {
        [&self.hot]
            .into_iter()
            .chain(&self.former)
            .chain(&self.cold)
    }
}

pub(crate) fn table_error(place: &Place, source: DeltaTableError) -> OpenError {
    OpenError::Table {
        place: place.to_string(),
        source: Box::new(source),
    }
}

async fn open_or_create(place: &Place) -> Result<DeltaTable, DeltaTableError> {
    let mut table = place.table()?;
    if table.version().is_some() || table.verify_deltatable_existence().await? {
        table.load().await?;
        return Ok(table);
    }
    table
        .create()
        .with_table_name("events")
        .with_comment("Watchfloor events and findings")
        .with_columns(schema::delta_columns())
        .with_partition_columns([schema::DAY])
        .with_configuration(HashMap::from([
            // Statistics are written by hand for the columns that prune; see `add`.
            (
                "delta.dataSkippingNumIndexedCols".to_owned(),
                Some("5".to_owned()),
            ),
            ("delta.checkpointInterval".to_owned(), Some("50".to_owned())),
            (
                "delta.logRetentionDuration".to_owned(),
                Some("interval 1 days".to_owned()),
            ),
        ]))
        .await
}

/// Adds the columns of a newer version of the program.
async fn widen(table: DeltaTable) -> Result<DeltaTable, DeltaTableError> {
    let known = table.snapshot()?.schema();
    let missing: Vec<_> = schema::delta_columns()
        .into_iter()
        .filter(|field| known.field(field.name()).is_none())
        .collect();
    if missing.is_empty() {
        return Ok(table);
    }
    table.add_columns().with_fields(missing).await
}

async fn position(table: &DeltaTable, partition: u16) -> Result<u64, DeltaTableError> {
    let log_store = table.log_store();
    let version = table
        .snapshot()?
        .transaction_version(log_store.as_ref(), app_of(partition))
        .await?;
    Ok(version.unwrap_or(0).unsigned_abs())
}

fn encode_all(pending: &PendingCommit) -> Result<Vec<DayFile>, parquet::errors::ParquetError> {
    let findings = (!pending.findings.is_empty())
        .then(|| findings::to_batch(&pending.findings, Timestamp::now()));
    let events = pending.batches.iter().map(Arc::as_ref);
    let batches: Vec<&EventBatch> = events.chain(&findings).collect();
    encode::day_files(&batches)
}

impl Tier {
    /// Writes a file and the filter beside it, durably, and gives what the log needs to know of it.
    pub(crate) async fn write_file(
        &self,
        name: &str,
        file: DayFile,
        is_new_data: bool,
    ) -> Result<Add, CommitError> {
        let relative = format!("day={}/{name}.parquet", file.day);
        let mut add = add(relative.clone(), &file);
        add.data_change = is_new_data;
        let path = object_store::path::Path::from(relative);
        self.put(&needles::path_beside(&path), file.needles).await?;
        self.put(&path, file.bytes).await?;
        Ok(add)
    }
}

fn add(path: String, file: &DayFile) -> Add {
    let time = |micros: i64| {
        let time = Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH);
        format!("{time:.6}")
    };
    let stats = serde_json::json!({
        "numRecords": file.extent.rows,
        "minValues": {"time": time(file.extent.time_us.0), "position": file.extent.position.0},
        "maxValues": {"time": time(file.extent.time_us.1), "position": file.extent.position.1},
        "nullCount": {"time": 0, "position": 0},
    });
    Add {
        path,
        partition_values: HashMap::from([(schema::DAY.to_owned(), Some(file.day.to_string()))]),
        size: file.bytes.len() as i64,
        modification_time: Timestamp::now().as_millisecond(),
        data_change: true,
        stats: Some(stats.to_string()),
        tags: None,
        deletion_vector: None,
        base_row_id: None,
        default_row_commit_version: None,
        clustering_provider: None,
    }
}

async fn append(
    mut table: DeltaTable,
    adds: Vec<Add>,
    end: u64,
) -> Result<DeltaTable, DeltaTableError> {
    let transaction = Transaction::new(app_of(partition_of(end)), end as i64);
    let properties = CommitProperties::default().with_application_transaction(transaction);
    let operation = DeltaOperation::Write {
        mode: SaveMode::Append,
        partition_by: Some(vec![schema::DAY.to_owned()]),
        predicate: None,
    };
    let state = table.snapshot()?.clone();
    let finalized = CommitBuilder::from(properties)
        .with_actions(adds.into_iter().map(Action::Add).collect())
        .build(Some(&state), Arc::clone(&table.log_store()), operation)
        .await?;
    table.state = Some(finalized.snapshot());
    Ok(table)
}
