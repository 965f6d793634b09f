//! The data files of the table, as its log names them.

use chrono::{DateTime, Utc};
use datafusion::common::ScalarValue;
use datafusion::datasource::listing::PartitionedFile;
use deltalake::DeltaTable;
use deltalake::kernel::Add;
use jiff::Timestamp;
use object_store::ObjectMeta;
use object_store::path::Path;
use serde_json::Value;

use crate::schema;
use crate::snapshot::Extent;

/// A Parquet file of one day.
#[derive(Clone, Debug)]
pub(crate) struct DataFile {
    /// Below the table's folder.
    pub(crate) path: Path,
    pub(crate) bytes: u64,
    pub(crate) modified: DateTime<Utc>,
    pub(crate) day: String,
    pub(crate) extent: Extent,
}

impl DataFile {
    /// The file that a log entry adds.
    pub(crate) fn added(add: &Add) -> Self {
        let day = add.partition_values.get(schema::DAY).cloned().flatten();
        Self::new(
            Path::from(add.path.as_str()),
            add.size,
            add.modification_time,
            day,
            add.stats.as_deref(),
        )
    }

    fn new(
        path: Path,
        size: i64,
        modified_ms: i64,
        day: Option<String>,
        stats: Option<&str>,
    ) -> Self {
        Self {
            path,
            bytes: size.unsigned_abs(),
            modified: DateTime::from_timestamp_millis(modified_ms).unwrap_or_default(),
            day: day.unwrap_or_default(),
            extent: stats.map_or(Extent::UNKNOWN, extent),
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

/// All files of the table's version.
pub(crate) fn of_table(table: &DeltaTable) -> Result<Vec<DataFile>, deltalake::DeltaTableError> {
    let files = table.snapshot()?.log_data();
    let file = |view: deltalake::kernel::LogicalFileView| {
        let day = view.partition_values_map().remove(schema::DAY).flatten();
        DataFile::new(
            view.object_store_path(),
            view.size(),
            view.modification_time(),
            day,
            view.stats().as_deref(),
        )
    };
    Ok(files.iter().map(file).collect())
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
