//! The data files of the tables, as their logs name them.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use chrono::{DateTime, Utc};
use datafusion::common::{Result, ScalarValue};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::metadata::DFParquetMetadata;
use datafusion::execution::cache::cache_manager::FileMetadataCache;
use deltalake::kernel::{Add, LogicalFileView};
use deltalake::{DeltaTable, DeltaTableError};
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use serde_json::Value;

use crate::schema;
use crate::snapshot::Extent;
use crate::table::HOT;
use crate::usage;

/// A Parquet file of one day.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    /// Of the lake's tables, the one that it belongs to.
    pub(crate) tier: usize,
    /// Below the table's folder.
    pub(crate) path: Path,
    pub(crate) bytes: u64,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) day: String,
    pub(crate) extent: Extent,
    /// Whether none of its rows is a finding of ours, once its footer was asked.
    is_free_of_findings: Arc<OnceLock<bool>>,
    /// Statistics as the log has them.
    stats: Option<String>,
}

impl DataFile {
    /// The file that an entry adds to the log of the table that is written to.
    pub(crate) fn added(add: &Add) -> Self {
        let day = add.partition_values.get(schema::DAY).cloned().flatten();
        Self::new(
            HOT,
            Path::from(add.path.as_str()),
            add.size,
            add.modification_time,
            day,
            add.stats.as_deref(),
        )
    }

    fn new(
        tier: usize,
        path: Path,
        size: i64,
        modified_ms: i64,
        day: Option<String>,
        stats: Option<&str>,
    ) -> Self {
        Self {
            tier,
            path,
            bytes: size.unsigned_abs(),
            modified: DateTime::from_timestamp_millis(modified_ms).unwrap_or_default(),
            day: day.unwrap_or_default(),
            extent: stats.map_or(Extent::UNKNOWN, extent),
            is_free_of_findings: Arc::default(),
            stats: stats.map(str::to_owned),
        }
    }

    /// Whether its footer says that none of its rows is a finding of ours.
    pub(crate) async fn is_free_of_findings(
        &self,
        store: &Arc<dyn ObjectStore>,
        footers: &Arc<FileMetadataCache>,
    ) -> bool {
        if let Some(known) = self.is_free_of_findings.get() {
            return *known;
        }
        let footer = self.footer(store, footers).await;
        // A footer that cannot be read now may be read later.
        let Ok(footer) = footer else { return false };
        let is_free = usage::findings(&footer) == Some(0);
        *self.is_free_of_findings.get_or_init(|| is_free)
    }

    /// Its footer, with the places of pages.
    pub(crate) async fn footer(
        &self,
        store: &Arc<dyn ObjectStore>,
        footers: &Arc<FileMetadataCache>,
    ) -> Result<Arc<ParquetMetaData>> {
        DFParquetMetadata::new(store, &self.to_read().object_meta)
            .with_file_metadata_cache(Some(Arc::clone(footers)))
            .with_page_index_policy(Some(PageIndexPolicy::Optional))
            .fetch_metadata()
            .await
    }

    /// The entry that adds it to another table's log.
    pub(crate) fn to_add(&self) -> Add {
        Add {
            path: self.path.to_string(),
            partition_values: [(schema::DAY.to_owned(), Some(self.day.clone()))].into(),
            size: self.bytes as i64,
            modification_time: self.modified.timestamp_millis(),
            data_change: true,
            stats: self.stats.clone(),
            tags: None,
            deletion_vector: None,
            base_row_id: None,
            default_row_commit_version: None,
            clustering_provider: None,
        }
    }

    /// As the query engine takes it.
    pub(crate) fn to_read(&self) -> PartitionedFile {
        let mut file = PartitionedFile::new_from_meta(ObjectMeta {
            location: self.path.clone(),
            last_modified: self.modified,
            size: self.bytes,
            e_tag: None,
            version: None,
        });
        file.partition_values = vec![ScalarValue::Utf8View(Some(self.day.clone()))];
        file
    }
}

/// All files of the tables' versions. While a file moves from one table to another it stands in
/// both; it is taken once.
pub(crate) fn of_tables(tables: &[DeltaTable]) -> Result<Vec<DataFile>, DeltaTableError> {
    let mut known = HashSet::new();
    let mut files = Vec::new();
    for (tier, table) in tables.iter().enumerate() {
        let views = table.snapshot()?.log_data();
        let of_tier = views.iter().map(|view| of_view(tier, &view));
        files.extend(of_tier.filter(|file| known.insert(file.path.clone())));
    }
    Ok(files)
}

/// Paths of the files of one table's version.
pub(crate) fn paths(table: &DeltaTable) -> Result<HashSet<Path>, DeltaTableError> {
    let views = table.snapshot()?.log_data();
    Ok(views.iter().map(|view| view.object_store_path()).collect())
}

fn of_view(tier: usize, view: &LogicalFileView) -> DataFile {
    DataFile::new(
        tier,
        view.object_store_path(),
        view.size(),
        view.modification_time(),
        view.partition_values_map().remove(schema::DAY).flatten(),
        view.stats().as_deref(),
    )
}

/// What the statistics of a log entry say; what they leave out may be anything.
fn extent(stats: &str) -> Extent {
    let Ok(stats) = serde_json::from_str::<Value>(stats) else {
        return Extent::UNKNOWN;
    };
    let ends = |column: &str, read: fn(&Value) -> Option<i64>| {
        let least = read(&stats["minValues"][column]);
        let most = read(&stats["maxValues"][column]);
        (least.unwrap_or(i64::MIN), most.unwrap_or(i64::MAX))
    };
    let micros = |value: &Value| {
        let time: Timestamp = value.as_str()?.parse().ok()?;
        Some(time.as_microsecond())
    };
    let (first, last) = ends(schema::TIME, micros);
    Extent {
        // Other writers may cut instants off to milliseconds.
        time_us: (first, last.saturating_add(999)),
        position: ends(schema::POSITION, Value::as_i64),
        rows: stats["numRecords"].as_u64().unwrap_or(0),
    }
}
