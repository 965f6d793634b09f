//! One event as an OCSF object, for people and for other programs.

use serde_json::{Map, Value, json};
use watchfloor_event::{EventBatch, Namespace, ValueKind, ValueRef, ocsf};

/// The event of a row as an OCSF object: the class's numbers and names, the attributes
/// nested by their paths, what is not mapped under `unmapped`, and the raw record.
///
/// # Panics
/// If there is no such row.
pub fn to_ocsf_json(batch: &EventBatch, row: usize) -> Value {
    let meta = &batch.rows()[row];
    let kind = batch.kind_of(row);
    let class_uid = kind.class_uid;
    let mut object = Map::new();
    object.insert("class_uid".to_owned(), json!(class_uid));
    object.insert("class_name".to_owned(), json!(ocsf::class_name(class_uid)));
    object.insert(
        "category_uid".to_owned(),
        json!(ocsf::category_uid(class_uid)),
    );
    object.insert("activity_id".to_owned(), json!(meta.activity_id));
    let type_uid = i64::from(class_uid) * 100 + i64::from(meta.activity_id);
    object.insert("type_uid".to_owned(), json!(type_uid));
    object.insert("severity_id".to_owned(), json!(meta.severity_id));
    if meta.status_id != 0 {
        object.insert("status_id".to_owned(), json!(meta.status_id));
    }
    object.insert("time".to_owned(), json!(meta.time.as_millisecond()));
    insert(&mut object, "metadata.version", json!(ocsf::VERSION));
    insert(&mut object, "metadata.product.name", json!(&*kind.product));
    insert(
        &mut object,
        "metadata.logged_time",
        json!(meta.received_at.as_millisecond()),
    );
    for column in batch.columns(Namespace::Ocsf) {
        if let Some(value) = column.get(row) {
            insert(&mut object, column.name(), to_json(value));
        }
    }
    let mut unmapped = Map::new();
    for column in batch.columns(Namespace::Source) {
        if let Some(value) = column.get(row)
            && !column.is_moved(row)
        {
            unmapped.insert(column.name().to_string(), to_json(value));
        }
    }
    if !unmapped.is_empty() {
        object.insert("unmapped".to_owned(), Value::Object(unmapped));
    }
    object.insert(
        "raw_data".to_owned(),
        json!(String::from_utf8_lossy(&meta.raw)),
    );
    Value::Object(object)
}

/// Puts a value at a dotted path. Where a step is taken by a value already, the rest of the
/// path becomes one name, so that nothing is lost.
fn insert(object: &mut Map<String, Value>, path: &str, value: Value) {
    let mut place = object;
    let mut rest = path;
    while let Some((step, after)) = rest.split_once('.') {
        let is_free = place.get(step).is_none_or(Value::is_object);
        if !is_free {
            break;
        }
        let next = place
            .entry(step.to_owned())
            .or_insert_with(|| Value::Object(Map::new()));
        match next {
            Value::Object(inner) => place = inner,
            _ => return,
        }
        rest = after;
    }
    place.insert(rest.to_owned(), value);
}

fn to_json(value: ValueRef<'_>) -> Value {
    match value.kind {
        ValueKind::Null => Value::Null,
        ValueKind::Bool => Value::Bool(value.text == "true"),
        ValueKind::Int | ValueKind::Float | ValueKind::List => {
            serde_json::from_str(value.text).unwrap_or_else(|_| json!(value.text))
        }
        ValueKind::Str => json!(value.text),
    }
}
