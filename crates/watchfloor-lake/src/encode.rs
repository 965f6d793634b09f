//! From event batches to Parquet bytes, one file per day of event time; findings of ours stand in
//! files of their own, so that a search of events reads none of them, nor one of findings events.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, DictionaryArray, Int32Array, Int64Array, MapBuilder,
    MapFieldNames, RecordBatch, StringArray, StringBuilder, TimestampMicrosecondArray, UInt32Array,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int64Type, Schema, UInt32Type};
use jiff::Timestamp;
use jiff::civil::Date;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use watchfloor_event::ocsf::{AttributeType, PROMOTED};
use watchfloor_event::{Anomaly, Column, EventBatch, Namespace, RowMeta};

use crate::needles::{self, Builder};
use crate::schema;
use crate::snapshot::Extent;
use crate::usage::Tally;

/// Level 3 is zstd's own default: half the time of level 6 for about 3 % more bytes.
const ZSTD_LEVEL: i32 = 3;
/// Rows in a row group.
pub(crate) const ROW_GROUP_ROWS: usize = 128 * 1024;

/// A Parquet file of one day.
#[derive(Debug)]
pub(crate) struct DayFile {
    pub day: Date,
    pub bytes: Vec<u8>,
    /// The filter beside the file.
    pub needles: Vec<u8>,
    pub extent: Extent,
    pub holds_findings: bool,
}

/// Writes batches as one file per day, and another for the day's findings.
pub(crate) fn day_files(
    batches: &[&EventBatch],
) -> Result<Vec<DayFile>, parquet::errors::ParquetError> {
    let mut by_day: BTreeMap<_, Vec<(usize, Vec<u32>)>> = BTreeMap::new();
    for (index, batch) in batches.iter().enumerate() {
        for (file, rows) in rows_by_file(batch) {
            by_day.entry(file).or_default().push((index, rows));
        }
    }
    by_day
        .into_iter()
        .map(|((day, _), parts)| day_file(batches, day, &parts))
        .collect()
}

/// Rows of each day, findings apart, those of a kind together and in time order: what is alike packs
/// well.
fn rows_by_file(batch: &EventBatch) -> BTreeMap<(Date, bool), Vec<u32>> {
    const DAY_SECONDS: i64 = 86_400;
    let mut by_number: BTreeMap<(i64, bool), Vec<u32>> = BTreeMap::new();
    for (row, meta) in batch.rows().iter().enumerate() {
        let number = meta.time.as_second().div_euclid(DAY_SECONDS);
        let is_finding = *batch.kind_of(row).name == *schema::FINDING;
        let rows = by_number.entry((number, is_finding)).or_default();
        rows.push(row as u32);
    }
    by_number
        .into_iter()
        .map(|((number, is_finding), mut rows)| {
            rows.sort_by_key(|row| {
                let meta = &batch.rows()[*row as usize];
                (meta.kind, meta.time)
            });
            let noon =
                Timestamp::from_second(number * DAY_SECONDS).unwrap_or(Timestamp::UNIX_EPOCH);
            let day = jiff::tz::TimeZone::UTC.to_datetime(noon).date();
            ((day, is_finding), rows)
        })
        .collect()
}

fn day_file(
    batches: &[&EventBatch],
    day: Date,
    parts: &[(usize, Vec<u32>)],
) -> Result<DayFile, parquet::errors::ParquetError> {
    let file_schema = Present::of(batches, parts).schema();
    let mut writer = DayWriter::new(day, Arc::clone(&file_schema))?;
    for (index, rows) in parts {
        writer.write(&record_batch(batches[*index], rows, &file_schema)?)?;
    }
    writer.finish()
}

/// Writes a file of one day and the filter beside it.
pub(crate) struct DayWriter {
    day: Date,
    parquet: ArrowWriter<Vec<u8>>,
    needles: Builder,
    tally: Tally,
    extent: Extent,
}

impl DayWriter {
    pub(crate) fn new(
        day: Date,
        file_schema: Arc<Schema>,
    ) -> Result<Self, parquet::errors::ParquetError> {
        // Without the Arrow schema in the file, readers see the plain types that Delta declares
        // and not the dictionaries that the columns are written from.
        let options = ArrowWriterOptions::new()
            .with_properties(properties()?)
            .with_skip_arrow_metadata(true);
        let bytes = Vec::with_capacity(1 << 16);
        Ok(Self {
            day,
            parquet: ArrowWriter::try_new_with_options(bytes, file_schema, options)?,
            needles: Builder::default(),
            tally: Tally::default(),
            extent: Extent::EMPTY,
        })
    }

    /// Takes rows with the file's columns.
    pub(crate) fn write(
        &mut self,
        batch: &RecordBatch,
    ) -> Result<(), parquet::errors::ParquetError> {
        let longs = |name: &str| -> Result<ArrayRef, parquet::errors::ParquetError> {
            let index = batch.schema().index_of(name)?;
            Ok(cast(batch.column(index), &DataType::Int64)?)
        };
        let (times, positions) = (longs(schema::TIME)?, longs(schema::POSITION)?);
        let times = times.as_primitive::<Int64Type>().values();
        let positions = positions.as_primitive::<Int64Type>().values();
        for (time, position) in times.iter().zip(positions) {
            self.extent.add(*time, *position);
        }
        self.needles.add(batch)?;
        self.tally.add(batch)?;
        self.parquet.write(batch)
    }

    pub(crate) fn finish(mut self) -> Result<DayFile, parquet::errors::ParquetError> {
        let holds_findings = self.tally.holds_findings();
        for entry in self.tally.finish() {
            self.parquet.append_key_value_metadata(entry);
        }
        let bytes = self.parquet.into_inner()?;
        Ok(DayFile {
            day: self.day,
            needles: self.needles.finish(crc32fast::hash(&bytes)),
            bytes,
            extent: self.extent,
            holds_findings,
        })
    }
}

/// How the columns are written: numbers that grow as what they grew by, and raw lines without an
/// attempt at a dictionary, since hardly one comes twice.
fn properties() -> Result<WriterProperties, parquet::errors::ParquetError> {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(needles::BLOCK_ROWS);
    for name in [schema::TIME, "received_at", schema::POSITION] {
        properties = properties
            .set_column_dictionary_enabled(name.into(), false)
            .set_column_encoding(name.into(), Encoding::DELTA_BINARY_PACKED);
    }
    let properties = properties
        .set_column_dictionary_enabled(schema::RAW.into(), false)
        .set_column_encoding(schema::RAW.into(), Encoding::DELTA_LENGTH_BYTE_ARRAY);
    Ok(properties.build())
}

/// Which optional columns a file has: those that are empty throughout are left out, readers
/// fill them with nulls.
struct Present {
    promoted: Vec<usize>,
    raw_bytes: bool,
}

impl Present {
    fn of(batches: &[&EventBatch], parts: &[(usize, Vec<u32>)]) -> Self {
        let used = |path: &str| {
            parts
                .iter()
                .any(|(index, _)| batches[*index].column(Namespace::Ocsf, path).is_some())
        };
        let is_text = |meta: &RowMeta| std::str::from_utf8(&meta.raw).is_ok();
        let all_text = parts.iter().all(|(index, rows)| {
            rows.iter()
                .all(|row| is_text(&batches[*index].rows()[*row as usize]))
        });
        Self {
            promoted: (0..PROMOTED.len())
                .filter(|index| used(PROMOTED[*index].path))
                .collect(),
            raw_bytes: !all_text,
        }
    }

    fn schema(&self) -> Arc<Schema> {
        let whole = schema::arrow_schema();
        let wanted: Vec<String> = self
            .promoted
            .iter()
            .map(|index| schema::column_name(PROMOTED[*index].path))
            .collect();
        let promoted: Vec<String> = PROMOTED
            .iter()
            .map(|attribute| schema::column_name(attribute.path))
            .collect();
        let keep = |field: &&Arc<Field>| match field.name().as_str() {
            // The day stands in the folder's name and the table's log.
            schema::DAY => false,
            schema::RAW_BYTES => self.raw_bytes,
            name => wanted.iter().any(|one| one == name) || !promoted.iter().any(|one| one == name),
        };
        let dictionary = DataType::Dictionary(Box::new(DataType::UInt32), Box::new(DataType::Utf8));
        let fields = whole.fields().iter().filter(keep).map(|field| {
            let is_dictionary = *field.data_type() == DataType::Utf8
                && !matches!(field.name().as_str(), schema::RAW | "anomalies");
            if is_dictionary {
                Arc::new(Field::new(field.name(), dictionary.clone(), true))
            } else {
                Arc::clone(field)
            }
        });
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }
}

fn record_batch(
    batch: &EventBatch,
    rows: &[u32],
    file_schema: &Arc<Schema>,
) -> Result<RecordBatch, parquet::errors::ParquetError> {
    let fields = file_schema.fields().iter();
    let columns = fields.map(|field| column(batch, rows, field.name()));
    let columns: Vec<ArrayRef> = columns.collect();
    Ok(RecordBatch::try_new(Arc::clone(file_schema), columns)?)
}

/// A column of the table but the day, for some rows of a batch; texts of few distinct values
/// as dictionaries.
pub(crate) fn column(batch: &EventBatch, rows: &[u32], name: &str) -> ArrayRef {
    let metas = || rows.iter().map(|row| &batch.rows()[*row as usize]);
    let kinds = || metas().map(|meta| &batch.kinds()[usize::from(meta.kind)]);
    let longs = |values: &mut dyn Iterator<Item = i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(values))
    };
    let ints = |values: &mut dyn Iterator<Item = i32>| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(values))
    };
    match name {
        schema::TIME => timestamps(metas().map(|meta| meta.time)),
        "received_at" => timestamps(metas().map(|meta| meta.received_at)),
        schema::POSITION => longs(&mut metas().map(|meta| meta.id.position() as i64)),
        schema::PART => longs(&mut metas().map(|meta| i64::from(meta.id.part()))),
        "source" => repeated(metas().map(|meta| &*meta.source)),
        "format" => repeated(metas().map(|meta| meta.format.as_str())),
        "product" => repeated(kinds().map(|kind| &*kind.product)),
        "kind" => repeated(kinds().map(|kind| &*kind.name)),
        schema::CLASS => ints(&mut kinds().map(|kind| kind.class_uid as i32)),
        "activity_id" => ints(&mut metas().map(|meta| meta.activity_id)),
        "severity_id" => ints(&mut metas().map(|meta| meta.severity_id)),
        "status_id" => ints(&mut metas().map(|meta| meta.status_id)),
        "anomalies" => anomalies(batch, rows),
        schema::RAW => Arc::new(StringArray::from_iter_values(
            metas().map(|meta| String::from_utf8_lossy(&meta.raw)),
        )),
        schema::RAW_BYTES => raw_bytes(metas()),
        schema::CONTEXT => contexts(metas()),
        schema::UNMAPPED => Arc::new(unmapped(batch, rows)),
        name => attribute(batch, rows, name),
    }
}

fn attribute(batch: &EventBatch, rows: &[u32], name: &str) -> ArrayRef {
    let mut promoted = PROMOTED.iter();
    let attribute = promoted.find(|attribute| schema::column_name(attribute.path) == name);
    let column = attribute.and_then(|attribute| batch.column(Namespace::Ocsf, attribute.path));
    match attribute.map(|attribute| attribute.kind) {
        Some(AttributeType::Integer) => integers(column, rows),
        _ => texts(column, rows),
    }
}

fn timestamps(times: impl Iterator<Item = Timestamp>) -> ArrayRef {
    let micros = times.map(Timestamp::as_microsecond);
    Arc::new(TimestampMicrosecondArray::from_iter_values(micros).with_timezone("UTC"))
}

/// A column of few distinct texts that come in runs.
fn repeated<'a>(texts: impl Iterator<Item = &'a str>) -> ArrayRef {
    let mut values: Vec<&str> = Vec::new();
    let mut keys = Vec::new();
    let mut last = 0;
    for text in texts {
        if values.get(last) != Some(&text) {
            last = values
                .iter()
                .position(|known| *known == text)
                .unwrap_or_else(|| {
                    values.push(text);
                    values.len() - 1
                });
        }
        keys.push(last as u32);
    }
    let values = Arc::new(StringArray::from(values));
    Arc::new(DictionaryArray::<UInt32Type>::new(
        UInt32Array::from(keys),
        values,
    ))
}

/// Heads of files: one per file, null where there is none.
fn contexts<'a>(metas: impl Iterator<Item = &'a RowMeta>) -> ArrayRef {
    let mut values: Vec<&str> = Vec::new();
    let mut keys: Vec<Option<u32>> = Vec::new();
    for meta in metas {
        keys.push(meta.context.as_deref().map(|context| {
            let known = values.iter().rposition(|known| *known == context);
            let place = known.unwrap_or_else(|| {
                values.push(context);
                values.len() - 1
            });
            place as u32
        }));
    }
    Arc::new(DictionaryArray::<UInt32Type>::new(
        UInt32Array::from(keys),
        Arc::new(StringArray::from(values)),
    ))
}

fn texts(column: Option<&Column>, rows: &[u32]) -> ArrayRef {
    let Some(column) = column else {
        let keys = UInt32Array::new_null(rows.len());
        return Arc::new(DictionaryArray::<UInt32Type>::new(
            keys,
            Arc::new(StringArray::from(Vec::<&str>::new())),
        ));
    };
    let values =
        StringArray::from_iter_values(column.dictionary().values().map(|value| value.text));
    let keys = rows
        .iter()
        .map(|row| column.code(*row as usize).checked_sub(1));
    Arc::new(DictionaryArray::<UInt32Type>::new(
        UInt32Array::from_iter(keys),
        Arc::new(values),
    ))
}

fn integers(column: Option<&Column>, rows: &[u32]) -> ArrayRef {
    let Some(column) = column else {
        return Arc::new(Int64Array::new_null(rows.len()));
    };
    let parsed: Vec<Option<i64>> = column
        .dictionary()
        .values()
        .map(|value| value.text.trim().parse().ok())
        .collect();
    let value = |row: &u32| *parsed.get((column.code(*row as usize) as usize).checked_sub(1)?)?;
    Arc::new(Int64Array::from_iter(rows.iter().map(value)))
}

/// Only records that are no UTF-8 need their bytes beside the text.
fn raw_bytes<'a>(metas: impl Iterator<Item = &'a RowMeta>) -> ArrayRef {
    let mut builder = BinaryBuilder::new();
    for meta in metas {
        match std::str::from_utf8(&meta.raw) {
            Ok(_) => builder.append_null(),
            Err(_) => builder.append_value(&meta.raw),
        }
    }
    Arc::new(builder.finish())
}

fn unmapped(batch: &EventBatch, rows: &[u32]) -> arrow::array::MapArray {
    let names = MapFieldNames {
        entry: "key_value".to_owned(),
        key: "key".to_owned(),
        value: "value".to_owned(),
    };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
    let mut columns: Vec<&Column> = batch.columns(Namespace::Source).iter().collect();
    columns.sort_by(|left, right| left.name().cmp(right.name()));
    for row in rows {
        let row = *row as usize;
        for column in &columns {
            if column.is_moved(row) {
                continue;
            }
            if let Some(value) = column.get(row) {
                builder.keys().append_value(column.name());
                builder.values().append_value(value.text);
            }
        }
        // Keys and values were added in pairs, so the row's end always fits.
        let _ = builder.append(true);
    }
    builder.finish()
}

/// What was odd about each row; null where nothing was.
fn anomalies(batch: &EventBatch, rows: &[u32]) -> ArrayRef {
    let by_row = anomalies_by_row(batch);
    let texts = rows.iter().map(|row| by_row.get(row).map(String::as_str));
    Arc::new(StringArray::from_iter(texts))
}

/// The anomalies of each row as a JSON list of code and detail.
fn anomalies_by_row(batch: &EventBatch) -> BTreeMap<u32, String> {
    let mut grouped: BTreeMap<u32, Vec<&Anomaly>> = BTreeMap::new();
    for (row, anomaly) in batch.anomalies() {
        grouped.entry(*row as u32).or_default().push(anomaly);
    }
    let text = |anomalies: Vec<&Anomaly>| {
        let items: Vec<_> = anomalies
            .iter()
            .map(|anomaly| serde_json::json!({"code": anomaly.code.as_str(), "detail": anomaly.detail}))
            .collect();
        serde_json::Value::Array(items).to_string()
    };
    grouped
        .into_iter()
        .map(|(row, anomalies)| (row, text(anomalies)))
        .collect()
}
