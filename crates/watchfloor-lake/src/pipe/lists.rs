//! Functions of lists and documents, which stand as JSON.

use serde_json::{Map, Value, json};

use super::row_functions::{Entry, MANY, Row, Texts, real, whole};
use super::texts::items;

pub(super) const ROWS: &[Entry] = &[
    (
        "bag_keys",
        1,
        1,
        Row::List(|row| Some(bag(row[0]?)?.keys().cloned().collect())),
    ),
    ("bag_pack", 0, MANY, Row::Text(|row| Some(packed(row)))),
    (
        "array_of",
        0,
        MANY,
        Row::Text(|row| {
            Some(
                row.iter()
                    .map(|one| value(*one))
                    .collect::<Value>()
                    .to_string(),
            )
        }),
    ),
    ("as_value", 1, 1, Row::Text(|row| Some(as_value(row[0]?)))),
    ("bag_merge", 1, MANY, Row::Text(|row| Some(merged(row)))),
    (
        "bags_of_list",
        1,
        1,
        Row::Text(|row| {
            let bags = items(row[0].unwrap_or("[]"))?;
            let bags: Vec<Option<&str>> = bags.iter().map(|bag| Some(bag.as_str())).collect();
            Some(merged(&bags))
        }),
    ),
    (
        "bag_remove_keys",
        2,
        2,
        Row::Text(|row| {
            let keys = items(row[1]?)?;
            let mut bag = bag(row[0]?)?;
            bag.retain(|key, _| !keys.contains(key));
            Some(Value::Object(bag).to_string())
        }),
    ),
    (
        "bag_set_key",
        3,
        3,
        Row::Text(|row| {
            let mut bag = bag(row[0]?)?;
            bag.insert(row[1]?.to_owned(), value(row[2]));
            Some(Value::Object(bag).to_string())
        }),
    ),
    (
        "bag_has_key",
        2,
        2,
        Row::Bool(|row| Some(bag(row[0]?)?.contains_key(row[1]?))),
    ),
    (
        "bag_zip",
        2,
        2,
        Row::Text(|row| {
            let (keys, values) = (items(row[0]?)?, list(row[1]?)?);
            let pairs: Map<String, Value> = keys.into_iter().zip(values).collect();
            Some(Value::Object(pairs).to_string())
        }),
    ),
    (
        "array_length",
        1,
        1,
        Row::Long(|row| Some(list(row[0]?)?.len() as i64)),
    ),
    (
        "array_index_of",
        2,
        4,
        Row::Long(|row| {
            let list = list(row[0]?)?;
            let start = row
                .get(2)
                .copied()
                .flatten()
                .and_then(|start| start.parse().ok());
            let sought = value(row[1]);
            let found = list
                .iter()
                .enumerate()
                .skip(start.unwrap_or(0))
                .find(|(_, item)| are_equal(item, &sought));
            Some(found.map_or(-1, |(index, _)| index as i64))
        }),
    ),
    (
        "set_has_element",
        2,
        2,
        Row::Bool(|row| {
            let sought = value(row[1]);
            Some(list(row[0]?)?.iter().any(|item| are_equal(item, &sought)))
        }),
    ),
    (
        "strcat_array",
        2,
        2,
        Row::Text(|row| Some(items(row[0]?)?.join(row[1].unwrap_or_default()))),
    ),
    (
        "array_concat",
        1,
        MANY,
        Row::Text(|row| {
            let lists = row.iter().flatten().filter_map(|one| list(one));
            Some(Value::Array(lists.flatten().collect()).to_string())
        }),
    ),
    (
        "array_slice",
        3,
        3,
        Row::Text(|row| {
            let list = list(row[0]?)?;
            let length = list.len() as i64;
            let place = |at: i64| if at < 0 { (length + at).max(0) } else { at };
            let from = usize::try_from(place(whole(row[1])?)).ok()?;
            let to = usize::try_from(place(whole(row[2])?)).ok()?;
            let kept = list
                .into_iter()
                .skip(from)
                .take((to + 1).saturating_sub(from));
            Some(Value::Array(kept.collect()).to_string())
        }),
    ),
    (
        "array_reverse",
        1,
        1,
        Row::Text(|row| {
            let mut list = list(row[0]?)?;
            list.reverse();
            Some(Value::Array(list).to_string())
        }),
    ),
    (
        "array_sort_asc",
        1,
        2,
        Row::Text(|row| sorted(row[0]?, false)),
    ),
    (
        "array_sort_desc",
        1,
        2,
        Row::Text(|row| sorted(row[0]?, true)),
    ),
    (
        "array_sum",
        1,
        1,
        Row::Real(|row| list(row[0]?)?.iter().map(number).sum()),
    ),
    (
        "array_rotate_left",
        2,
        2,
        Row::Text(|row| {
            let mut list = list(row[0]?)?;
            if !list.is_empty() {
                let by = whole(row[1])?.rem_euclid(list.len() as i64);
                list.rotate_left(usize::try_from(by).ok()?);
            }
            Some(Value::Array(list).to_string())
        }),
    ),
    (
        "array_iff",
        3,
        3,
        Row::Text(|row| {
            let conditions = list(row[0]?)?;
            let (yes, no) = (list(row[1]?)?, list(row[2]?)?);
            let choice = |(index, condition): (usize, Value)| {
                let from = if condition == json!(true) { &yes } else { &no };
                from.get(index).cloned().unwrap_or(Value::Null)
            };
            let chosen = conditions.into_iter().enumerate().map(choice);
            Some(Value::Array(chosen.collect()).to_string())
        }),
    ),
    (
        "array_split",
        2,
        2,
        Row::Text(|row| {
            let list = list(row[0]?)?;
            let at = usize::try_from(whole(row[1])?).ok()?.min(list.len());
            let (first, rest) = list.split_at(at);
            Some(json!([first, rest]).to_string())
        }),
    ),
    ("zip", 2, MANY, Row::Text(zipped)),
    (
        "set_union",
        1,
        MANY,
        Row::Text(|row| {
            let lists = row.iter().flatten().filter_map(|one| list(one));
            Some(set(lists.flatten()).to_string())
        }),
    ),
    (
        "set_intersect",
        1,
        MANY,
        Row::Text(|row| {
            let rest: Vec<Vec<Value>> = row[1..]
                .iter()
                .flatten()
                .filter_map(|one| list(one))
                .collect();
            let first = list(row[0]?)?.into_iter();
            let kept = first.filter(|item| rest.iter().all(|list| list.contains(item)));
            Some(set(kept).to_string())
        }),
    ),
    (
        "set_difference",
        1,
        MANY,
        Row::Text(|row| {
            let rest: Vec<Vec<Value>> = row[1..]
                .iter()
                .flatten()
                .filter_map(|one| list(one))
                .collect();
            let first = list(row[0]?)?.into_iter();
            let kept = first.filter(|item| !rest.iter().any(|list| list.contains(item)));
            Some(set(kept).to_string())
        }),
    ),
    (
        "jaccard_index",
        2,
        2,
        Row::Real(|row| {
            let (one, two) = (list(row[0]?)?, list(row[1]?)?);
            let shared = one.iter().filter(|item| two.contains(item)).count() as f64;
            let all = (one.len() + two.len()) as f64 - shared;
            (all > 0.0).then(|| shared / all)
        }),
    ),
    ("range", 2, 3, Row::Text(numbers)),
    (
        "repeat",
        2,
        2,
        Row::Text(|row| {
            let count = usize::try_from(whole(row[1])?).ok()?.min(MAX_ITEMS);
            Some(Value::Array(vec![value(row[0]); count]).to_string())
        }),
    ),
    (
        "item_numbers",
        1,
        1,
        Row::List(|row| {
            let count = super::texts::rows_of(row[0]?)?.len();
            Some((0..count).map(|index| index.to_string()).collect())
        }),
    ),
    (
        "dynamic_to_json",
        1,
        1,
        Row::Text(|row| Some(value(row[0]).to_string())),
    ),
    (
        "gettype_of_text",
        1,
        1,
        Row::Text(|row| {
            let kind = match serde_json::from_str(row[0].unwrap_or_default()) {
                Ok(Value::Array(_)) => "array",
                Ok(Value::Object(_)) => "dictionary",
                _ => "string",
            };
            Some(kind.to_owned())
        }),
    ),
];

/// Most items of a list that a function makes.
const MAX_ITEMS: usize = 1 << 20;

/// A text as a value: a number, a list and the like where it is written as one.
pub(super) fn value(text: Option<&str>) -> Value {
    let Some(text) = text else {
        return Value::Null;
    };
    match serde_json::from_str(text) {
        Ok(value) => value,
        Err(_) => Value::String(text.to_owned()),
    }
}

/// A text within a document: a list or a document is one, all else is a text.
fn as_value(text: &str) -> String {
    let is_document = text.starts_with(['{', '[']);
    if is_document && serde_json::from_str::<Value>(text).is_ok() {
        return text.to_owned();
    }
    Value::String(text.to_owned()).to_string()
}

pub(super) fn list(json: &str) -> Option<Vec<Value>> {
    match serde_json::from_str(json) {
        Ok(Value::Array(items)) => Some(items),
        _ => None,
    }
}

fn bag(json: &str) -> Option<Map<String, Value>> {
    match serde_json::from_str(json) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_f64(),
    }
}

/// Items are texts where a list was made of texts, so that `5` and `"5"` are alike.
fn are_equal(one: &Value, two: &Value) -> bool {
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    one == two || shown(one) == shown(two)
}

/// Names and values in turn as a document.
fn packed(row: Texts<'_>) -> String {
    let pairs = row.chunks(2).filter_map(|pair| {
        let name = pair.first().copied().flatten()?;
        Some((name.to_owned(), value(pair.get(1).copied().flatten())))
    });
    Value::Object(pairs.collect()).to_string()
}

/// Members of all documents; of two with one name the first counts.
fn merged(row: Texts<'_>) -> String {
    let mut whole = Map::new();
    for bag in row.iter().flatten().filter_map(|one| bag(one)) {
        for (key, value) in bag {
            whole.entry(key).or_insert(value);
        }
    }
    Value::Object(whole).to_string()
}

fn set(items: impl Iterator<Item = Value>) -> Value {
    let mut kept: Vec<Value> = Vec::new();
    let mut known = std::collections::HashSet::new();
    for item in items {
        if known.insert(item.to_string()) {
            kept.push(item);
        }
    }
    Value::Array(kept)
}

fn sorted(json: &str, is_descending: bool) -> Option<String> {
    let mut items = list(json)?;
    items.sort_by(|one, two| {
        let order = match (one.as_f64(), two.as_f64()) {
            (Some(one), Some(two)) => one.total_cmp(&two),
            _ => match (one.as_str(), two.as_str()) {
                (Some(one), Some(two)) => one.cmp(two),
                _ => one.to_string().cmp(&two.to_string()),
            },
        };
        if is_descending {
            order.reverse()
        } else {
            order
        }
    });
    Some(Value::Array(items).to_string())
}

fn zipped(row: Texts<'_>) -> Option<String> {
    let lists: Vec<Vec<Value>> = row
        .iter()
        .map(|one| one.and_then(list).unwrap_or_default())
        .collect();
    let longest = lists.iter().map(Vec::len).max()?;
    let tuple = |index: usize| -> Value {
        let items = lists.iter();
        items
            .map(|list| list.get(index).cloned().unwrap_or(Value::Null))
            .collect()
    };
    Some((0..longest).map(tuple).collect::<Value>().to_string())
}

/// Numbers from one to another, as a list.
fn numbers(row: Texts<'_>) -> Option<String> {
    let (from, to) = (real(row[0])?, real(row[1])?);
    let step = match row.get(2) {
        Some(step) => real(*step)?,
        None => 1.0,
    };
    if step == 0.0 {
        return None;
    }
    let are_whole = [from, step].iter().all(|number| number.fract() == 0.0);
    let mut items = Vec::new();
    let mut at = from;
    while (step > 0.0 && at <= to || step < 0.0 && at >= to) && items.len() < MAX_ITEMS {
        items.push(if are_whole {
            json!(at as i64)
        } else {
            json!(at)
        });
        at += step;
    }
    Some(Value::Array(items).to_string())
}
