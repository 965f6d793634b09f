//! Rows of a result as JSON.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use arrow::error::ArrowError;
use datafusion::common::DFSchema;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::PipeColumn;
use crate::schema;

/// The columns of a plan.
pub(crate) fn columns(schema: &DFSchema) -> Vec<PipeColumn> {
    let fields = schema.fields().iter();
    fields
        .map(|field| PipeColumn {
            name: field.name().clone(),
            kind: kind(field.data_type()),
        })
        .collect()
}

pub(super) fn kind(kind: &DataType) -> &'static str {
    match kind {
        DataType::Boolean => "bool",
        DataType::Float16 | DataType::Float32 | DataType::Float64 => "real",
        kind if kind.is_numeric() => "long",
        DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => "time",
        DataType::Duration(_) | DataType::Interval(_) => "span",
        DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..) => "list",
        DataType::Map(..) | DataType::Struct(_) => "map",
        _ => "text",
    }
}

/// The type as Kusto names it.
pub(super) fn kusto_kind(of: &DataType) -> &'static str {
    match kind(of) {
        "text" => "string",
        "time" => "datetime",
        "span" => "timespan",
        "list" | "map" => "dynamic",
        other => other,
    }
}

/// Adds the rows of a batch.
pub(crate) fn rows(batch: &RecordBatch, rows: &mut Vec<Vec<Value>>) -> Result<(), ArrowError> {
    let columns: Result<Vec<Vec<Value>>, ArrowError> = batch
        .columns()
        .iter()
        .map(|column| values(column))
        .collect();
    let mut columns: Vec<_> = columns?.into_iter().map(Vec::into_iter).collect();
    for _ in 0..batch.num_rows() {
        let row = columns
            .iter_mut()
            .map(|column| column.next().unwrap_or(Value::Null));
        rows.push(row.collect());
    }
    Ok(())
}

pub(super) fn values(column: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    Ok(match kind(column.data_type()) {
        "bool" => column.as_boolean().iter().map(Value::from).collect(),
        "long" => {
            let numbers = cast(column, &DataType::Int64)?;
            numbers
                .as_primitive::<Int64Type>()
                .iter()
                .map(Value::from)
                .collect()
        }
        "real" => {
            let numbers = cast(column, &DataType::Float64)?;
            numbers
                .as_primitive::<Float64Type>()
                .iter()
                .map(Value::from)
                .collect()
        }
        "time" => {
            let times = cast(&cast(column, &schema::time_type())?, &DataType::Int64)?;
            let shown =
                |micros: Option<i64>| Some(Timestamp::from_microsecond(micros?).ok()?.to_string());
            times
                .as_primitive::<Int64Type>()
                .iter()
                .map(|micros| Value::from(shown(micros)))
                .collect()
        }
        "span" => {
            let micros = cast(
                &cast(column, &super::expression::span_type())?,
                &DataType::Int64,
            )?;
            micros
                .as_primitive::<Int64Type>()
                .iter()
                .map(|micros| Value::from(micros.map(span)))
                .collect()
        }
        "list" => lists(column)?,
        "map" if matches!(column.data_type(), DataType::Map(..)) => maps(column)?,
        _ => {
            let texts = cast(column, &DataType::Utf8)?;
            texts
                .as_string::<i32>()
                .iter()
                .map(|text| json!(text))
                .collect()
        }
    })
}

fn lists(column: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    let lists = cast(
        column,
        &DataType::new_list(item_type(column.data_type()), true),
    )?;
    let lists = lists.as_list::<i32>();
    let one = |index: usize| match lists.is_null(index) {
        true => Ok(Value::Null),
        false => Ok(Value::Array(values(&lists.value(index))?)),
    };
    (0..lists.len()).map(one).collect()
}

fn maps(column: &dyn Array) -> Result<Vec<Value>, ArrowError> {
    let maps = column.as_map();
    let one = |index: usize| {
        let entry = maps.value(index);
        let (keys, items) = (values(entry.column(0))?, values(entry.column(1))?);
        let pairs = keys.into_iter().zip(items);
        let pairs = pairs.filter_map(|(key, item)| Some((key.as_str()?.to_owned(), item)));
        Ok(Value::Object(pairs.collect::<Map<_, _>>()))
    };
    (0..maps.len()).map(one).collect()
}

fn item_type(kind: &DataType) -> DataType {
    match kind {
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            item.data_type().clone()
        }
        _ => DataType::Utf8,
    }
}

/// A span as Kusto shows it: `1.02:03:04.5`, days first where there are some.
pub(super) fn span(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let micros = micros.unsigned_abs();
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let days = seconds / 86_400;
    let days = if days > 0 {
        format!("{days}.")
    } else {
        String::new()
    };
    let rest = if rest > 0 {
        format!(".{rest:06}").trim_end_matches('0').to_owned()
    } else {
        String::new()
    };
    let clock = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!(
        "{sign}{days}{:02}:{:02}:{:02}{rest}",
        clock.0, clock.1, clock.2
    )
}

#[cfg(test)]
mod tests {
    #[test]
    fn spans_are_shown_with_days_first() {
        assert_eq!(super::span(93_784_500_000), "1.02:03:04.5");
        assert_eq!(super::span(-1_000_000), "-00:00:01");
    }
}
