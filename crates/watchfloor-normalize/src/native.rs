//! Records that are OCSF already: their class says what they are, and their paths are ours.
//!
//! Security lakes, scanners and other tools send such records; no pack has to be written for
//! them. What a record says of its class is believed only as far as the schema knows the class.
//!
//! # Source
//! OCSF schema, classes and `metadata` object; Sigma taxonomy for the log sources.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use serde_json::{Map, Value};
use watchfloor_event::ocsf::{self, AttributeType};
use watchfloor_event::{EventBatch, EventKind, Logsource, Namespace, ValueRef};

use crate::convert::Convert;
use crate::event_time::{self, Asked, TimeSource};
use crate::mapper;
use crate::ocsf_json::insert;
use crate::pack::FieldMap;

/// Most kinds that are kept by name; events of further products are called by the schema alone.
const KINDS_MAX: usize = 1_000;
/// What stands before the class in the names of their kinds, where a pack has its product.
pub(crate) const PRODUCT: &str = "ocsf";
/// Product of events whose record names none.
const NAMELESS: &str = "OCSF";

/// Attributes of which our columns hold what lies inside the record's objects.
const INSIDE: [(&str, &str); 4] = [
    ("answers", "answers.rdata"),
    (
        "module.file.signature",
        "module.file.signature.certificate.subject",
    ),
    ("process.file.product", "process.file.product.name"),
    ("script.script_content", "script.script_content.value"),
];
/// Lists of `fingerprint` objects, of which our columns hold texts such as `MD5=…,SHA256=…`.
const FINGERPRINTS: [&str; 2] = ["process.file.hashes", "file.hashes"];
/// Attributes that other versions of the schema, or our columns, have in another place than the
/// record; they count where the path itself is empty.
const ELSEWHERE: [(&str, &str); 18] = [
    ("actor.process.cmd_line", "process.parent_process.cmd_line"),
    ("actor.process.file.name", "actor.process.name"),
    ("actor.process.file.name", "process.parent_process.name"),
    (
        "actor.process.file.path",
        "process.parent_process.file.path",
    ),
    ("actor.process.pid", "process.parent_process.pid"),
    ("actor.process.uid", "process.parent_process.uid"),
    ("device.hostname", "resources.hostname"),
    ("device.ip", "resources.ip"),
    ("finding_info.title", "finding.title"),
    ("message", "finding_info.desc"),
    ("process.file.name", "process.name"),
    ("resource.name", "resources.name"),
    ("resource.name", "resources.uid"),
    ("resource.type", "resources.type"),
    ("rule.name", "finding_info.analytic.name"),
    ("rule.uid", "finding_info.analytic.uid"),
    ("rule.uid", "finding.uid"),
    ("share.name", "share"),
];

/// Attributes that only our own findings set.
const OF_OUR_FINDINGS: [&str; 5] = [
    "finding_info.analytic.uid",
    "finding_info.analytic.version",
    "finding_info.related_events",
    "finding_info.evidence",
    "finding_info.attacks",
];

static MAPS: LazyLock<Vec<FieldMap>> = LazyLock::new(|| {
    let own = ocsf::PROMOTED.iter().map(|one| (one.path, one.path));
    let all = INSIDE.into_iter().chain(own).chain(ELSEWHERE);
    all.filter(|(target, source)| target != source || !OF_OUR_FINDINGS.contains(source))
        .map(|(target, source)| FieldMap {
            source: Arc::from(source),
            target: Arc::from(target),
            is_integer: ocsf::promoted(target)
                .is_some_and(|one| one.kind == AttributeType::Integer),
            is_alias: target == source,
            is_gathered: false,
            // A finding may name several resources; an event of ours has one.
            convert: if source.starts_with("resources.") {
                Convert::First
            } else {
                Convert::Copy
            },
        })
        .collect()
});

/// What the numbers of a row say already.
const NUMBERS: [&str; 7] = [
    "class_uid",
    "category_uid",
    "type_uid",
    "activity_id",
    "severity_id",
    "status_id",
    "time",
];

/// Operating systems as Sigma names them, by what `device.os` says, in small letters.
const SYSTEMS: [(&str, &str); 4] = [
    ("windows", "windows"),
    ("linux", "linux"),
    ("macos", "macos"),
    ("mac os", "macos"),
];

/// What tells kinds apart: class, operating system, product.
type Key = (u32, &'static str, String);

/// The kinds of native records that were met.
#[derive(Debug, Default)]
pub(crate) struct NativeKinds {
    known: Mutex<BTreeMap<Key, Arc<EventKind>>>,
}

impl NativeKinds {
    fn kind(&self, class_uid: u32, system: &'static str, product: &str) -> Arc<EventKind> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut key = (class_uid, system, product.to_owned());
        if known.len() >= KINDS_MAX && !known.contains_key(&key) {
            NAMELESS.clone_into(&mut key.2);
        }
        let product = key.2.clone();
        let kind = known.entry(key).or_insert_with(|| {
            Arc::new(EventKind {
                name: Arc::from(name(class_uid, system)),
                product: Arc::from(product.as_str()),
                class_uid,
                logsources: logsources(class_uid, system),
            })
        });
        Arc::clone(kind)
    }
}

fn name(class_uid: u32, system: &str) -> String {
    let class = ocsf::class_name(class_uid)
        .to_ascii_lowercase()
        .replace([' ', '/', ':'], "_");
    match system {
        "" => format!("{PRODUCT}/{class}"),
        system => format!("{PRODUCT}/{class}.{system}"),
    }
}

/// The Sigma log sources of a class on a system.
fn logsources(class_uid: u32, system: &str) -> Vec<Logsource> {
    let categories: &[&str] = match class_uid {
        1001 => &["file_event", "file_delete", "file_change", "file_rename"],
        1005 => &["image_load"],
        1007 => &["process_creation", "process_termination"],
        4001 => &["network_connection", "firewall"],
        4002 => &["webserver", "proxy"],
        4003 => &["dns", "dns_query"],
        201_001 => &["registry_event", "registry_add", "registry_delete"],
        201_002 => &["registry_event", "registry_set", "registry_delete"],
        _ => &[],
    };
    let product = (!system.is_empty()).then(|| system.to_owned());
    let offered = categories.iter().map(|category| Logsource {
        product: product.clone(),
        category: Some((*category).to_owned()),
        service: None,
    });
    let of_system = product.iter().map(|product| Logsource {
        product: Some(product.clone()),
        ..Logsource::default()
    });
    offered.chain(of_system).collect()
}

/// The class of each row that is a native record; nothing if none is.
pub(crate) fn classes(batch: &EventBatch) -> Option<Vec<Option<u32>>> {
    let class = batch.column(Namespace::Source, "class_uid")?;
    // A field of that name alone may be anything.
    let beside = ["type_uid", "category_uid", "metadata.version"]
        .map(|name| batch.column(Namespace::Source, name));
    let mut any = false;
    let found: Vec<Option<u32>> = (0..batch.len())
        .map(|row| {
            let uid: u32 = class.get(row)?.text.parse().ok()?;
            let is_beside = beside
                .iter()
                .flatten()
                .any(|column| column.get(row).is_some());
            let is_known = uid == ocsf::BASE_EVENT || ocsf::class_name(uid) != "Base Event";
            let found = (is_beside && is_known).then_some(uid);
            any |= found.is_some();
            found
        })
        .collect();
    any.then_some(found)
}

/// Sets what the schema's own fields say of rows with their classes.
pub(crate) fn apply(kinds: &NativeKinds, batch: &mut EventBatch, rows: &[(u32, u32)]) {
    for (row, class_uid) in rows {
        let at = *row as usize;
        let product = text(batch, "metadata.product.name", at).unwrap_or(NAMELESS);
        let kind = kinds.kind(*class_uid, system(batch, at), product);
        let number = |name: &str| text(batch, name, at).and_then(|text| text.parse::<i32>().ok());
        let [activity, severity, status] =
            ["activity_id", "severity_id", "status_id"].map(|name| number(name).unwrap_or(0));
        let index = batch.intern_kind(&kind);
        let meta = batch.row_mut(at);
        meta.kind = index;
        meta.activity_id = activity;
        meta.severity_id = severity;
        meta.status_id = status;
    }
    let rows: Vec<u32> = rows.iter().map(|(row, _)| *row).collect();
    for path in FINGERPRINTS {
        write_hashes(batch, &rows, path);
    }
    let mut remap = Vec::new();
    for map in MAPS.iter() {
        mapper::map_field(batch, &rows, map, &mut remap);
    }
    let times = ["time", "time_dt", "start_time"].map(TimeSource::field);
    event_time::apply(
        batch,
        &rows,
        &times,
        Asked {
            is_known: true,
            prefers: true,
        },
    );
    for name in NUMBERS {
        let Some(column) = batch.source_column_mut(name) else {
            continue;
        };
        for row in &rows {
            if column.code(*row as usize) != 0 {
                column.mark_moved(*row as usize);
            }
        }
    }
}

/// Whether a kind is one of native records.
pub(crate) fn is_native(kind: &EventKind) -> bool {
    let product = kind.name.split_once('/').map(|(product, _)| product);
    product == Some(PRODUCT)
}

/// Puts what no attribute took back to where the record has it. Lists of objects are there as
/// they were, and the lists that the decoder made of their insides are left out.
pub(crate) fn restore(object: &mut Map<String, Value>, rest: Map<String, Value>) {
    let lists: Vec<String> = rest
        .iter()
        .filter(|(_, value)| value.is_array())
        .map(|(name, _)| format!("{name}."))
        .collect();
    for (path, value) in rest {
        if !lists.iter().any(|list| path.starts_with(list)) {
            insert(object, &path, value);
        }
    }
}

/// # Source
/// OCSF object `fingerprint`; the text is Sysmon's form, which rules look into.
fn write_hashes(batch: &mut EventBatch, rows: &[u32], path: &str) {
    for row in rows {
        let at = *row as usize;
        let Some(list) = text(batch, path, at) else {
            continue;
        };
        let Ok(Value::Array(list)) = serde_json::from_str(list) else {
            continue;
        };
        let written: Vec<String> = list.iter().filter_map(hash).collect();
        if !written.is_empty() {
            let written = written.join(",");
            batch.set(Namespace::Ocsf, path, at, ValueRef::str(&written));
        }
    }
}

fn hash(fingerprint: &Value) -> Option<String> {
    let value = fingerprint.get("value")?.as_str()?;
    let named = fingerprint.get("algorithm").and_then(Value::as_str);
    let algorithm = match fingerprint.get("algorithm_id").and_then(Value::as_u64) {
        Some(1) => "MD5".to_owned(),
        Some(2) => "SHA1".to_owned(),
        Some(3) => "SHA256".to_owned(),
        Some(4) => "SHA512".to_owned(),
        _ => named
            .unwrap_or_default()
            .to_ascii_uppercase()
            .replace('-', ""),
    };
    Some(match algorithm.as_str() {
        "" | "UNKNOWN" => value.to_owned(),
        algorithm => format!("{algorithm}={value}"),
    })
}

fn text<'b>(batch: &'b EventBatch, name: &str, row: usize) -> Option<&'b str> {
    let value = batch.get(Namespace::Source, name, row)?;
    (!value.text.is_empty()).then_some(value.text)
}

fn system(batch: &EventBatch, row: usize) -> &'static str {
    let said = ["device.os.type", "device.os.name"]
        .iter()
        .find_map(|name| text(batch, name, row));
    let said = said.unwrap_or_default().to_ascii_lowercase();
    let mut known = SYSTEMS.iter();
    known
        .find(|(word, _)| said.contains(word))
        .map_or("", |(_, system)| system)
}
