//! The columns of the table.
//!
//! A promoted OCSF attribute is a column named by its path with `_` for `.`, since dots in
//! names have to be quoted in most engines. Source fields without an attribute stand in the
//! map `unmapped`, so that any number of them, of any type, fits without a change of schema.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::logical_expr::{Expr, col, lit};
use deltalake::kernel::{DataType as DeltaType, MapType, PrimitiveType, StructField};
use watchfloor_event::ocsf::{Attribute, AttributeType, PROMOTED};

pub(crate) const DAY: &str = "day";
pub(crate) const TIME: &str = "time";
pub(crate) const POSITION: &str = "position";
pub(crate) const PART: &str = "part";
pub(crate) const KIND: &str = "kind";
pub(crate) const CLASS: &str = "class_uid";
pub(crate) const RAW: &str = "raw";
pub(crate) const RAW_BYTES: &str = "raw_bytes";
pub(crate) const CONTEXT: &str = "context";
/// The attribute that says what was added from elsewhere.
pub(crate) const ENRICHMENTS: &str = "enrichments";
pub(crate) const UNMAPPED: &str = "unmapped";
/// The kind of our findings; findings of other tools are events of their packs.
pub(crate) const FINDING: &str = "watchfloor/finding";

/// Whether a row is a finding of ours.
pub(crate) fn is_finding() -> Expr {
    col(KIND).eq(lit(FINDING))
}

/// Whether a row is an event.
pub(crate) fn is_event() -> Expr {
    col(KIND).not_eq(lit(FINDING))
}

/// How a column is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stored {
    Text,
    Int,
    Long,
    Time,
    Bytes,
    Map,
}

/// Columns that every event has, besides the promoted attributes.
const CORE: &[(&str, Stored)] = &[
    (DAY, Stored::Text),
    (TIME, Stored::Time),
    ("received_at", Stored::Time),
    (POSITION, Stored::Long),
    (PART, Stored::Long),
    ("source", Stored::Text),
    ("format", Stored::Text),
    ("product", Stored::Text),
    (KIND, Stored::Text),
    (CLASS, Stored::Int),
    ("activity_id", Stored::Int),
    ("severity_id", Stored::Int),
    ("status_id", Stored::Int),
    ("anomalies", Stored::Text),
    (RAW, Stored::Text),
    (RAW_BYTES, Stored::Bytes),
    (UNMAPPED, Stored::Map),
    // What stood before the record in its file, such as a Zeek log's head: without it the raw
    // line could not be decoded again.
    (CONTEXT, Stored::Text),
];

/// The column of a promoted attribute.
///
/// ```
/// assert_eq!(watchfloor_lake::column_name("process.cmd_line"), "process_cmd_line");
/// ```
pub fn column_name(path: &str) -> String {
    path.replace('.', "_")
}

/// Whether a column is that of a promoted attribute.
pub(crate) fn is_attribute(column: &str) -> bool {
    kinds().contains_key(column)
}

/// Whether a column is that of a promoted attribute whose values are texts.
pub(crate) fn is_text_attribute(column: &str) -> bool {
    kinds().get(column) == Some(&AttributeType::Text)
}

fn kinds() -> &'static HashMap<String, AttributeType> {
    static KINDS: LazyLock<HashMap<String, AttributeType>> = LazyLock::new(|| {
        let kinds = PROMOTED.iter();
        kinds
            .map(|attribute| (column_name(attribute.path), attribute.kind))
            .collect()
    });
    &KINDS
}

/// Every column with its type as text, for documentation.
pub fn table_columns() -> Vec<(String, String)> {
    let fields = arrow_schema();
    fields
        .fields()
        .iter()
        .map(|field| (field.name().clone(), field.data_type().to_string()))
        .collect()
}

/// The schema as Arrow has it; the names inside the map are those that Delta uses.
pub(crate) fn arrow_schema() -> SchemaRef {
    let core = CORE
        .iter()
        .map(|(name, stored)| Field::new(*name, arrow_type(*stored), true));
    let promoted = PROMOTED.iter().map(|attribute| {
        Field::new(
            column_name(attribute.path),
            arrow_type(attribute_type(attribute)),
            true,
        )
    });
    Arc::new(Schema::new(core.chain(promoted).collect::<Vec<_>>()))
}

/// The schema as Delta has it.
pub(crate) fn delta_columns() -> Vec<StructField> {
    let core = CORE
        .iter()
        .map(|(name, stored)| StructField::nullable(*name, delta_type(*stored)));
    let promoted = PROMOTED.iter().map(|attribute| {
        StructField::nullable(
            column_name(attribute.path),
            delta_type(attribute_type(attribute)),
        )
    });
    core.chain(promoted).collect()
}

fn attribute_type(attribute: &Attribute) -> Stored {
    match attribute.kind {
        AttributeType::Text => Stored::Text,
        AttributeType::Integer => Stored::Long,
    }
}

/// The type of an instant.
pub(crate) fn time_type() -> DataType {
    arrow_type(Stored::Time)
}

fn arrow_type(stored: Stored) -> DataType {
    match stored {
        Stored::Text => DataType::Utf8,
        Stored::Int => DataType::Int32,
        Stored::Long => DataType::Int64,
        Stored::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        Stored::Bytes => DataType::Binary,
        Stored::Map => {
            let entry = DataType::Struct(
                vec![
                    Field::new("key", DataType::Utf8, false),
                    Field::new("value", DataType::Utf8, true),
                ]
                .into(),
            );
            DataType::Map(Arc::new(Field::new("key_value", entry, false)), false)
        }
    }
}

fn delta_type(stored: Stored) -> DeltaType {
    let primitive = |primitive| DeltaType::Primitive(primitive);
    match stored {
        Stored::Text => primitive(PrimitiveType::String),
        Stored::Int => primitive(PrimitiveType::Integer),
        Stored::Long => primitive(PrimitiveType::Long),
        Stored::Time => primitive(PrimitiveType::Timestamp),
        Stored::Bytes => primitive(PrimitiveType::Binary),
        Stored::Map => DeltaType::from(MapType::new(DeltaType::STRING, DeltaType::STRING, true)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_unique() {
        let schema = arrow_schema();
        let mut names: Vec<_> = schema
            .fields()
            .iter()
            .map(|field| field.name().clone())
            .collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
