//! Rows of the table as events again.

use arrow::array::{Array, ArrayRef, AsArray, MapArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimestampMicrosecondType};
use jiff::Timestamp;
use serde_json::Value;
use watchfloor_event::ocsf::PROMOTED;
use watchfloor_event::{Anomaly, AnomalyCode, EventId};

use crate::schema;

/// An event as the lake holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Identity.
    pub id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// When its record arrived.
    pub received_at: Timestamp,
    /// Name of the source.
    pub source: String,
    /// Product.
    pub product: String,
    /// Kind as the mapping pack names it.
    pub kind: String,
    /// OCSF class.
    pub class_uid: u32,
    /// OCSF activity.
    pub activity_id: i32,
    /// OCSF severity.
    pub severity_id: i32,
    /// OCSF status.
    pub status_id: i32,
    /// The record as text; bytes that are no UTF-8 are replaced.
    pub raw: String,
    /// What was odd about it.
    pub anomalies: Vec<Anomaly>,
    /// Attributes by OCSF path and source fields by `unmapped.<name>`; sorted.
    pub fields: Vec<(String, String)>,
}

impl StoredEvent {
    /// A field by its full name.
    pub fn field(&self, name: &str) -> Option<&str> {
        let index = self
            .fields
            .binary_search_by(|(known, _)| known.as_str().cmp(name))
            .ok()?;
        Some(&self.fields[index].1)
    }
}

/// Reads the events of record batches.
pub(crate) fn events(
    batches: &[RecordBatch],
) -> Result<Vec<StoredEvent>, arrow::error::ArrowError> {
    let mut events = Vec::new();
    for batch in batches {
        let columns = Columns::of(batch)?;
        for row in 0..batch.num_rows() {
            events.push(columns.event(row));
        }
    }
    Ok(events)
}

struct Columns {
    position: ArrayRef,
    part: ArrayRef,
    time: ArrayRef,
    received_at: ArrayRef,
    integers: Vec<ArrayRef>,
    texts: Vec<ArrayRef>,
    promoted: Vec<(&'static str, ArrayRef)>,
    unmapped: Option<(MapArray, ArrayRef, ArrayRef)>,
}

const INTEGERS: [&str; 4] = [schema::CLASS, "activity_id", "severity_id", "status_id"];
const TEXTS: [&str; 5] = ["source", "product", "kind", schema::RAW, "anomalies"];

impl Columns {
    fn of(batch: &RecordBatch) -> Result<Self, arrow::error::ArrowError> {
        let get = |name: &str, data_type: &DataType| match batch.column_by_name(name) {
            Some(column) => cast(column, data_type),
            None => Ok(arrow::array::new_null_array(data_type, batch.num_rows())),
        };
        let micros = DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None);
        let mut promoted = Vec::new();
        for attribute in PROMOTED {
            if let Some(column) = batch.column_by_name(&schema::column_name(attribute.path))
                && column.null_count() < column.len()
            {
                promoted.push((attribute.path, cast(column, &DataType::Utf8)?));
            }
        }
        let map = batch
            .column_by_name(schema::UNMAPPED)
            .and_then(|column| column.as_map_opt());
        let unmapped = match map {
            Some(map) => Some((
                map.clone(),
                cast(map.keys(), &DataType::Utf8)?,
                cast(map.values(), &DataType::Utf8)?,
            )),
            None => None,
        };
        Ok(Self {
            position: get(schema::POSITION, &DataType::Int64)?,
            part: get(schema::PART, &DataType::Int64)?,
            time: get(schema::TIME, &micros)?,
            received_at: get("received_at", &micros)?,
            integers: INTEGERS
                .iter()
                .map(|name| get(name, &DataType::Int32))
                .collect::<Result<_, _>>()?,
            texts: TEXTS
                .iter()
                .map(|name| get(name, &DataType::Utf8))
                .collect::<Result<_, _>>()?,
            promoted,
            unmapped,
        })
    }

    fn event(&self, row: usize) -> StoredEvent {
        let long = |array: &ArrayRef| array.as_primitive::<Int64Type>().value(row);
        let time = |array: &ArrayRef| {
            let micros = array.as_primitive::<TimestampMicrosecondType>().value(row);
            Timestamp::from_microsecond(micros).unwrap_or(Timestamp::UNIX_EPOCH)
        };
        let integer = |index: usize| self.integers[index].as_primitive::<Int32Type>().value(row);
        let text = |index: usize| self.texts[index].as_string::<i32>().value(row).to_owned();
        StoredEvent {
            id: EventId::new(long(&self.position) as u64, long(&self.part) as u32),
            time: time(&self.time),
            received_at: time(&self.received_at),
            class_uid: integer(0).unsigned_abs(),
            activity_id: integer(1),
            severity_id: integer(2),
            status_id: integer(3),
            source: text(0),
            product: text(1),
            kind: text(2),
            raw: text(3),
            anomalies: anomalies(&text(4)),
            fields: self.fields(row),
        }
    }

    fn fields(&self, row: usize) -> Vec<(String, String)> {
        let mut fields = Vec::new();
        for (path, array) in &self.promoted {
            if array.is_valid(row) {
                fields.push((
                    (*path).to_owned(),
                    array.as_string::<i32>().value(row).to_owned(),
                ));
            }
        }
        if let Some((map, keys, values)) = &self.unmapped
            && map.is_valid(row)
        {
            let offsets = map.value_offsets();
            for index in offsets[row] as usize..offsets[row + 1] as usize {
                let name = format!("unmapped.{}", keys.as_string::<i32>().value(index));
                let value = if values.is_valid(index) {
                    values.as_string::<i32>().value(index)
                } else {
                    ""
                };
                fields.push((name, value.to_owned()));
            }
        }
        fields.sort();
        fields
    }
}

fn anomalies(text: &str) -> Vec<Anomaly> {
    let Ok(Value::Array(items)) = serde_json::from_str(text) else {
        return Vec::new();
    };
    let anomaly = |item: &Value| {
        let code = AnomalyCode::parse(item["code"].as_str()?)?;
        Some(Anomaly::new(
            code,
            item["detail"].as_str().unwrap_or_default(),
        ))
    };
    items.iter().filter_map(anomaly).collect()
}
