//! Records that are OCSF already.
#![allow(clippy::disallowed_methods, missing_docs)]

mod packs;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchfloor_event::{EventBatch, Namespace, ocsf};
use watchfloor_normalize::{Case, PackSet, to_ocsf_json};

fn read(set: &PackSet, event: &Value) -> EventBatch {
    let case = json!({ "line": event }).to_string();
    Case::parse(&case).expect("a case").batch(set)
}

fn cases() -> Vec<Case> {
    let mut found = Vec::new();
    for pack in std::fs::read_dir(packs::folder())
        .expect("a folder")
        .flatten()
    {
        let files = std::fs::read_dir(pack.path().join("cases"));
        for file in files.into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(file.path()).expect("readable");
            let lines = text.lines().filter(|line| !line.is_empty());
            found.extend(lines.map(|line| Case::parse(line).expect("a case")));
        }
    }
    found
}

/// A value without the forms that the schema gives lists, and names to hashes that had none.
fn plain(path: &str, text: &str) -> Vec<String> {
    let drop = |letter: &char| !"[]\" ".contains(*letter);
    let text: String = text.chars().filter(drop).collect();
    if !path.ends_with(".hashes") {
        return vec![text];
    }
    let bare = |part: &str| part.rsplit(['=', ':']).next().map(str::to_owned);
    text.split([',', '|']).filter_map(bare).collect()
}

/// What a pack makes of a line, given out as OCSF and read again, is the same event.
#[test]
fn what_is_given_out_as_ocsf_is_read_back_as_it_was() {
    let set = packs::load();
    let (mut events, mut values) = (0_usize, 0_usize);
    let mut lost: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for case in cases() {
        let batch = case.batch(&set);
        if batch.is_empty() || batch.kind_of(0).class_uid == ocsf::BASE_EVENT {
            continue;
        }
        let mut event = to_ocsf_json(&batch, 0);
        event.as_object_mut().expect("an object").remove("raw_data");
        let again = read(&set, &event);
        let numbers = |batch: &EventBatch| {
            let meta = &batch.rows()[0];
            let class_uid = batch.kind_of(0).class_uid;
            (
                class_uid,
                meta.activity_id,
                meta.severity_id,
                meta.status_id,
            )
        };
        assert_eq!(numbers(&again), numbers(&batch), "{event}");
        let ms = |batch: &EventBatch| batch.rows()[0].time.as_millisecond();
        assert_eq!(ms(&again), ms(&batch), "{event}");
        events += 1;
        for column in batch.columns(Namespace::Ocsf) {
            let Some(value) = column.get(0) else { continue };
            let found = again.get(Namespace::Ocsf, column.name(), 0);
            values += 1;
            if found.is_none_or(|found| {
                plain(column.name(), found.text) != plain(column.name(), value.text)
            }) {
                let slot = lost.entry(column.name().to_string()).or_default();
                slot.0 += 1;
                slot.1 = value.text.to_owned();
            }
        }
    }
    println!("{events} events, {values} values; not read back as they were: {lost:#?}");
    assert!(events > 5_000);
    let missing: usize = lost.values().map(|(count, _)| count).sum();
    assert!(missing * 200 < values, "{missing} of {values}: {lost:#?}");
}

fn native() -> Value {
    json!({
        "class_uid": 2002, "activity_id": 1, "severity_id": 5, "status_id": 1, "type_uid": 200_201,
        "time": 1_764_500_000_000_i64,
        "metadata": { "version": "1.4.0", "product": { "name": "Scanner", "vendor_name": "Example" } },
        "finding_info": { "uid": "f-1", "title": "two holes", "analytic": { "uid": "watchfloor-rule" } },
        "device": { "hostname": "db-1", "os": { "type": "Linux", "type_id": 200 } },
        "vulnerabilities": [
            { "cve": { "uid": "CVE-2024-3094" }, "severity": "Critical", "is_exploit_available": true,
              "affected_packages": [{ "name": "xz-utils", "version": "5.6.0" }] },
            { "cve": { "uid": "CVE-2023-4911" }, "severity": "High" },
        ],
        "observables": [{ "name": "device.hostname", "type_id": 1, "value": "db-1" }],
        "unmapped": { "job": "nightly" },
    })
}

#[test]
fn lists_of_objects_are_kept_whole() {
    let set = packs::load();
    let batch = read(&set, &native());
    let kind = batch.kind_of(0);
    assert_eq!(&*kind.name, "ocsf/vulnerability_finding.linux");
    assert_eq!(&*kind.product, "Scanner");
    let text = |path: &str| {
        batch
            .get(Namespace::Ocsf, path, 0)
            .map(|value| value.text.to_owned())
    };
    assert_eq!(
        text("vulnerabilities.cve.uid").as_deref(),
        Some(r#"["CVE-2024-3094","CVE-2023-4911"]"#)
    );
    // What our own findings alone say is not taken from a record.
    assert_eq!(text("finding_info.analytic.uid"), None);
    assert_eq!(text("rule.uid").as_deref(), Some("watchfloor-rule"));

    let out = to_ocsf_json(&batch, 0);
    for name in ["vulnerabilities", "observables", "unmapped"] {
        assert_eq!(out[name], native()[name], "{name}");
    }
    assert_eq!(
        out["finding_info"]["analytic"],
        native()["finding_info"]["analytic"]
    );
}

#[test]
fn of_several_resources_the_first_is_the_one_of_the_event() {
    let set = packs::load();
    let mut event = native();
    event.as_object_mut().unwrap().remove("device");
    event["resources"] = json!([
        { "name": "db-1.example", "hostname": "db-1", "type": "host" },
        { "name": "bucket-7", "hostname": "db-2", "type": "bucket" },
    ]);
    let batch = read(&set, &event);
    let text = |path: &str| {
        let value = batch.get(Namespace::Ocsf, path, 0);
        value.map(|value| value.text.to_owned())
    };
    assert_eq!(text("device.hostname").as_deref(), Some("db-1"));
    assert_eq!(text("resource.name").as_deref(), Some("db-1.example"));
    assert_eq!(text("resource.type").as_deref(), Some("host"));
    assert_eq!(to_ocsf_json(&batch, 0)["resources"], event["resources"]);
}

#[test]
fn a_field_called_class_uid_makes_no_ocsf() {
    let set = packs::load();
    let is_native = |event: Value| {
        let batch = read(&set, &event);
        batch.kind_of(0).name.starts_with("ocsf/")
    };
    assert!(is_native(
        json!({"class_uid": 1007, "category_uid": 1, "time": 1})
    ));
    assert!(!is_native(json!({"class_uid": 1007, "room": "b2"})));
    assert!(!is_native(json!({"class_uid": 4_242, "category_uid": 4})));
    assert!(!is_native(
        json!({"class_uid": "maths", "metadata": {"version": "1.0.0"}})
    ));
}

/// A sender that names a new product in each record fills no memory.
#[test]
fn products_without_end_are_called_by_the_schema() {
    let set = packs::load();
    let product = |number: usize| {
        let mut event = native();
        event["metadata"]["product"]["name"] = json!(format!("p{number}"));
        read(&set, &event).kind_of(0).product.to_string()
    };
    assert_eq!(product(0), "p0");
    let last = (1..1_100).map(product).last();
    assert_eq!(last.as_deref(), Some("OCSF"));
    assert_eq!(product(5), "p5", "what is known stays known");
}
