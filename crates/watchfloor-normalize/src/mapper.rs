//! Applies packs to a batch: rows by kind, then each map column by column.

use std::sync::Arc;

use watchfloor_decode::PRODUCT_CONTEXT;
use watchfloor_event::{Anomaly, AnomalyCode, Column, EventBatch, Namespace, ValueKind, ValueRef};

use crate::convert::{Convert, whole_number};
use crate::event_time::{self, Asked};
use crate::native;
use crate::pack::{FieldMap, Join, Kind, PackSet};

/// Longest text that a join makes, in bytes.
const JOINED_BYTES_MAX: usize = 64 * 1024;

pub(crate) fn normalize(set: &PackSet, batch: &mut EventBatch) {
    let products = products(set, batch);
    let (routed, lists) = set.router.route(batch, products.as_deref());
    let classes = native::classes(batch);
    let mut by_kind: Vec<Vec<u32>> = vec![Vec::new(); set.kinds.len()];
    let mut unknown: Vec<u32> = Vec::new();
    let mut natives: Vec<(u32, u32)> = Vec::new();
    let mut text = String::new();
    for (row, list) in routed.iter().enumerate() {
        let class = classes.as_ref().and_then(|classes| *classes.get(row)?);
        if let Some(class_uid) = class {
            natives.push((u32::try_from(row).unwrap_or(u32::MAX), class_uid));
            continue;
        }
        let candidates = lists.get(*list as usize).map_or(&[][..], Vec::as_slice);
        let chosen = candidates.iter().find(|kind| {
            set.kinds.get(**kind as usize).is_some_and(|kind| {
                let mut matching = kind.matching.iter();
                kind.matching.is_empty()
                    || matching.any(|matching| matching.apply(batch, row, &mut text))
            })
        });
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        match chosen.and_then(|kind| by_kind.get_mut(*kind as usize)) {
            Some(rows) => rows.push(row),
            None => unknown.push(row),
        }
    }
    let mut remap = Vec::new();
    for (kind, rows) in set.kinds.iter().zip(&by_kind) {
        if !rows.is_empty() {
            apply(kind, batch, rows, &mut remap);
        }
    }
    if !natives.is_empty() {
        native::apply(&set.native, batch, &natives);
    }
    finish_unknown(batch, &unknown);
    settle_anomalies(batch);
}

/// The pack of each row whose context names its product; nothing if no row's does.
fn products(set: &PackSet, batch: &EventBatch) -> Option<Vec<Option<u32>>> {
    let mut last: Option<(&Arc<str>, Option<u32>)> = None;
    let mut any = false;
    let found = batch.rows().iter().map(|row| {
        let context = row.context.as_ref()?;
        if let Some((known, pack)) = last
            && Arc::ptr_eq(known, context)
        {
            return pack;
        }
        let name = context
            .strip_prefix(PRODUCT_CONTEXT)
            .and_then(|rest| rest.lines().next());
        let pack = name.and_then(|name| set.pack_index(name.trim()));
        any |= pack.is_some();
        last = Some((context, pack));
        pack
    });
    let found: Vec<Option<u32>> = found.collect();
    any.then_some(found)
}

/// Takes back what a decoder found odd and a pack has understood: text of no known form, and a
/// time that stood inside the message.
fn settle_anomalies(batch: &mut EventBatch) {
    let is_settled = |batch: &EventBatch, row: usize, code: AnomalyCode| {
        let meta = batch.rows().get(row);
        meta.is_some_and(|meta| match code {
            AnomalyCode::Undecoded => meta.kind != 0,
            AnomalyCode::TimeMissing => meta.has_own_time,
            _ => false,
        })
    };
    let any = batch.anomalies().iter();
    if any
        .clone()
        .any(|(row, anomaly)| is_settled(batch, *row, anomaly.code))
    {
        let settled: Vec<bool> = any
            .map(|(row, anomaly)| is_settled(batch, *row, anomaly.code))
            .collect();
        let mut settled = settled.into_iter();
        batch.retain_anomalies(|_, _| !settled.next().unwrap_or(false));
    }
}

fn apply(kind: &Kind, batch: &mut EventBatch, rows: &[u32], remap: &mut Vec<u32>) {
    let index = batch.intern_kind(&kind.event);
    for row in rows {
        batch.row_mut(*row as usize).kind = index;
    }
    for extraction in &kind.extractions {
        extraction.apply(batch, rows);
    }
    for map in kind.all_maps() {
        map_field(batch, rows, map, remap);
    }
    for join in &kind.joins {
        apply_join(batch, rows, join);
    }
    for (target, value) in &kind.constants {
        let column = batch.ocsf_column_mut(target);
        let code = column.dictionary_mut().intern(ValueRef::str(value));
        for row in rows {
            if column.code(*row as usize) == 0 {
                column.set_code(*row as usize, code);
            }
        }
    }
    kind.activity.apply(batch, rows, |batch, row, number| {
        batch.row_mut(row).activity_id = number;
    });
    kind.severity.apply(batch, rows, |batch, row, number| {
        batch.row_mut(row).severity_id = number;
    });
    kind.status.apply(batch, rows, |batch, row, number| {
        batch.row_mut(row).status_id = number;
    });
    let prefers = kind.prefers_time;
    event_time::apply(
        batch,
        rows,
        &kind.times,
        Asked {
            is_known: true,
            prefers,
        },
    );
}

/// What became of a source value, packed: the attribute's code above two bits of outcome.
const UNSEEN: u32 = 0;
const NOTHING: u32 = 1;
const MISMATCH: u32 = 2;
const CHANGED: u32 = 3;
const SAME: u32 = 4;
const OUTCOMES: u32 = 5;

/// Maps one field of many rows; the converter runs once per distinct value.
pub(crate) fn map_field(
    batch: &mut EventBatch,
    rows: &[u32],
    map: &FieldMap,
    remap: &mut Vec<u32>,
) {
    if batch.column(Namespace::Source, &map.source).is_none() {
        return;
    }
    let (from, to) = batch.mapping_columns(&map.source, &map.target);
    remap.clear();
    remap.resize(from.dictionary().len() + 1, UNSEEN);
    let mut mismatched: Vec<(usize, String)> = Vec::new();
    for row in rows {
        let row = *row as usize;
        let code = from.code(row);
        if code == 0 {
            continue;
        }
        if to.code(row) != 0 {
            if map.is_gathered {
                gather(from, code, to, row, map);
            }
            continue;
        }
        let Some(slot) = remap.get_mut(code as usize) else {
            continue;
        };
        if *slot == UNSEEN {
            *slot = outcome(from, code, to, map);
        }
        match *slot % OUTCOMES {
            NOTHING | UNSEEN => {}
            MISMATCH => {
                let shown: String = from
                    .get(row)
                    .map(|value| value.text.chars().take(80).collect())
                    .unwrap_or_default();
                mismatched.push((row, shown));
            }
            same_or_changed => {
                to.set_code(row, *slot / OUTCOMES);
                // A hash that others may be put behind stays where it was as well: a rule that
                // wants just this one finds it there, in the stream and in the lake.
                let stays =
                    |row| map.is_gathered && from.get(row).is_some_and(|hash| is_hash(hash.text));
                if same_or_changed == SAME && map.is_alias && !stays(row) {
                    from.mark_moved(row);
                }
            }
        }
    }
    for (row, shown) in mismatched {
        let detail = format!("'{shown}' in {} is no {}", map.source, map.target);
        batch.add_anomaly(row, Anomaly::new(AnomalyCode::ValueMismatch, detail));
    }
}

fn outcome(from: &Column, code: u32, to: &mut Column, map: &FieldMap) -> u32 {
    let Some(value) = from.dictionary().get(code) else {
        return NOTHING;
    };
    // A dash is how Windows, Zeek and web servers write "none", `N/A` how firewalls do, and the
    // others how the Linux audit log does.
    let is_none = matches!(
        value.text,
        "" | "-" | "[]" | "N/A" | "n/a" | "?" | "unset" | "(null)"
    );
    if value.kind == ValueKind::Null || is_none {
        return NOTHING;
    }
    let Some(mut converted) = map.convert.apply(value) else {
        return NOTHING;
    };
    let kind = if map.is_integer {
        let number = whole_number(&converted).map(std::borrow::Cow::into_owned);
        match number {
            Some(number) if number == *converted => {}
            Some(number) => converted = number.into(),
            None => return MISMATCH,
        }
        ValueKind::Int
    } else if value.kind == ValueKind::List && matches!(map.convert, Convert::Copy) {
        ValueKind::List
    } else {
        ValueKind::Str
    };
    let is_same = *converted == *value.text;
    let code = to.dictionary_mut().intern(ValueRef {
        kind,
        text: &converted,
    });
    code * OUTCOMES + if is_same { SAME } else { CHANGED }
}

/// Lengths in hex of MD5, SHA-1, SHA-256 and SHA-512.
const HASH_LENGTHS: [usize; 4] = [32, 40, 64, 128];

/// Puts a hash behind those of other lengths, so that of MD5 and SHA-256 none is lost.
fn gather(from: &Column, code: u32, to: &mut Column, row: usize, map: &FieldMap) {
    let Some(hash) = from.dictionary().get(code) else {
        return;
    };
    let Some(hash) = map.convert.apply(hash) else {
        return;
    };
    let known = to.get(row).map_or("", |known| known.text);
    let mut parts = known.split(',');
    if !is_hash(&hash) || parts.any(|part| !is_hash(part) || part.len() == hash.len()) {
        return;
    }
    let all = format!("{known},{hash}");
    let code = to.dictionary_mut().intern(ValueRef::str(&all));
    to.set_code(row, code);
}

fn is_hash(text: &str) -> bool {
    HASH_LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn apply_join(batch: &mut EventBatch, rows: &[u32], join: &Join) {
    let mut joined = String::new();
    for row in rows {
        let row = *row as usize;
        joined.clear();
        for source in &join.sources {
            let Some(value) = batch.get(Namespace::Source, source, row) else {
                continue;
            };
            if joined.len() + value.text.len() > JOINED_BYTES_MAX {
                break;
            }
            if !joined.is_empty() {
                joined.push_str(&join.with);
            }
            joined.push_str(value.text);
        }
        if !joined.is_empty() && batch.get(Namespace::Ocsf, &join.target, row).is_none() {
            batch.set(Namespace::Ocsf, &join.target, row, ValueRef::str(&joined));
        }
    }
}

/// Events of no known product: their time by the usual names, their text as message.
fn finish_unknown(batch: &mut EventBatch, rows: &[u32]) {
    if rows.is_empty() {
        return;
    }
    event_time::apply(batch, rows, &[], Asked::default());
    let message = FieldMap {
        source: Arc::from("message"),
        target: Arc::from("message"),
        is_integer: false,
        is_alias: true,
        is_gathered: false,
        convert: Convert::Copy,
    };
    map_field(batch, rows, &message, &mut Vec::new());
    let mut undecoded = vec![false; batch.len()];
    for (row, anomaly) in batch.anomalies() {
        if anomaly.code == AnomalyCode::Undecoded
            && let Some(slot) = undecoded.get_mut(*row)
        {
            *slot = true;
        }
    }
    for row in rows {
        if !undecoded.get(*row as usize).copied().unwrap_or(true) {
            let anomaly = Anomaly::new(AnomalyCode::Unmapped, "no mapping pack knows the product");
            batch.add_anomaly(*row as usize, anomaly);
        }
    }
}
