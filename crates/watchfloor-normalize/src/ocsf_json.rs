//! One event as an OCSF object, for people and for other programs.

use serde_json::{Map, Value, json};
use watchfloor_event::{EventBatch, Namespace, ValueKind, ValueRef, ocsf};

use crate::native;
use crate::ocsf_complete::complete;

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
            insert(&mut object, column.name(), attribute(column.name(), value));
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
    if native::is_native(kind) {
        native::restore(&mut object, unmapped);
    } else if !unmapped.is_empty() {
        object.insert("unmapped".to_owned(), Value::Object(unmapped));
    }
    object.insert(
        "raw_data".to_owned(),
        json!(String::from_utf8_lossy(&meta.raw)),
    );
    complete(&mut object, class_uid);
    Value::Object(object)
}

/// An attribute in the form that the schema gives it; the lake keeps such lists as text.
fn attribute(path: &str, value: ValueRef<'_>) -> Value {
    let texts = || value.elements().into_iter().map(|(_, text)| text);
    match path {
        _ if path.ends_with(".hashes") => texts().flat_map(|text| fingerprints(&text)).collect(),
        "answers" => texts().map(|text| json!({"rdata": text})).collect(),
        "email.to" => texts().map(Value::String).collect(),
        "http_request.x_forwarded_for" => texts()
            .flat_map(|text| {
                let parts = text.split(',').map(|part| json!(part.trim()));
                parts.collect::<Vec<_>>()
            })
            .collect(),
        _ => to_json(value),
    }
}

/// Hashes such as `SHA1=…,SHA256=…`, or a bare one that its length tells.
///
/// # Source
/// OCSF object `fingerprint`.
fn fingerprints(text: &str) -> Vec<Value> {
    let parts = text.split([',', ' ', '|']).filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, hash) = part.split_once(['=', ':']).unwrap_or(("", part));
            let (algorithm, id) = match (name.to_ascii_uppercase().as_str(), hash.len()) {
                ("MD5", _) | ("", 32) => ("MD5", 1),
                ("SHA1" | "SHA-1", _) | ("", 40) => ("SHA-1", 2),
                ("SHA256" | "SHA-256", _) | ("", 64) => ("SHA-256", 3),
                ("SHA512" | "SHA-512", _) | ("", 128) => ("SHA-512", 4),
                ("", _) => ("Unknown", 0),
                _ => (name, 99),
            };
            json!({"algorithm": algorithm, "algorithm_id": id, "value": hash})
        })
        .collect()
}

/// Puts a value at a dotted path. Where a step is taken by a value already, the rest of the
/// path becomes one name, so that nothing is lost.
pub(crate) fn insert(object: &mut Map<String, Value>, path: &str, value: Value) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_become_fingerprints() {
        let found = attribute("file.hashes", ValueRef::str("SHA1=AB,IMPHASH=CD"));
        let expected = json!([
            {"algorithm": "SHA-1", "algorithm_id": 2, "value": "AB"},
            {"algorithm": "IMPHASH", "algorithm_id": 99, "value": "CD"},
        ]);
        assert_eq!(found, expected);
        let bare = "d41d8cd98f00b204e9800998ecf8427e";
        let found = attribute("file.hashes", ValueRef::str(bare));
        let expected = json!([{"algorithm": "MD5", "algorithm_id": 1, "value": bare}]);
        assert_eq!(found, expected);
    }
}
