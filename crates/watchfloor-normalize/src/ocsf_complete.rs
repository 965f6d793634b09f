//! What an OCSF object needs so that it validates: attributes that its class or objects require
//! and that follow from what is known, the schema's own word for "unknown" where nothing is,
//! and values in the types that the schema gives them.
//!
//! Columns hold values as texts at a path; the schema wants objects and numbers at some of them.
//! Nothing that the record says is lost: a value that does not fit its type moves to
//! `unmapped`.
//!
//! # Source
//! OCSF schema (version in `ocsf::VERSION`): class requirements by `ocsf::requirements`; objects
//! `device`, `file`, `process`, `user`, `network_endpoint`, `network_connection_info`, `script`,
//! `certificate`, `fingerprint`, `reg_value`.

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use watchfloor_event::ocsf;

type Object = Map<String, Value>;

/// What stands where the schema wants a name and nothing is known.
const UNKNOWN: &str = "unknown";
/// What stands where it wants an e-mail address; the domain cannot exist (RFC 2606).
const UNKNOWN_ADDRESS: &str = "unknown@unknown.invalid";
/// Hex digits of an id that is made from the record.
const MADE_ID_DIGITS: usize = 16;

/// Attributes of which an end point must have one.
const ENDPOINT: [&str; 9] = [
    "ip",
    "uid",
    "name",
    "hostname",
    "svc_name",
    "instance_uid",
    "interface_uid",
    "interface_name",
    "domain",
];
/// The same for a device.
const DEVICE: [&str; 8] = [
    "ip",
    "uid",
    "name",
    "hostname",
    "instance_uid",
    "interface_uid",
    "interface_name",
    "domain",
];

/// Completes an event of a class.
pub(crate) fn complete(event: &mut Object, class_uid: u32) {
    list_vulnerabilities(event);
    complete_objects(event);
    settle_types(event);
    let (required, one_of) = ocsf::requirements(class_uid);
    for name in required {
        if !event.contains_key(*name)
            && let Some(value) = required_value(event, name)
        {
            event.insert((*name).to_owned(), value);
        }
    }
    if !one_of.is_empty() && !has_any(event, one_of) {
        add_one_of(event, one_of);
    }
    // What was put in has its own requirements.
    complete_objects(event);
    if let Some(finding) = event.get("finding_info")
        && finding.get("uid").is_none()
    {
        let uid = made_id(event);
        if let Some(finding) = object_at(event, "finding_info") {
            finding.insert("uid".to_owned(), json!(uid));
        }
    }
}

/// An id that is the same for the same record.
fn made_id(event: &Object) -> String {
    let raw = event.get("raw_data").and_then(Value::as_str);
    let mut digits = hex::encode(Sha256::digest(raw.unwrap_or_default()));
    digits.truncate(MADE_ID_DIGITS);
    digits
}

fn has_any(object: &Object, names: &[&str]) -> bool {
    names.iter().any(|name| object.contains_key(*name))
}

fn object_at<'a>(object: &'a mut Object, name: &str) -> Option<&'a mut Object> {
    object.get_mut(name)?.as_object_mut()
}

fn set_default(object: &mut Object, name: &str, value: Value) {
    object.entry(name.to_owned()).or_insert(value);
}

fn text_of(object: &Object, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

/// Goes through all objects below an object; `unmapped` is the source's own.
fn complete_objects(object: &mut Object) {
    for (name, value) in object.iter_mut() {
        if name == "unmapped" || name == "enrichments" {
            continue;
        }
        let objects: Vec<&mut Object> = match value {
            Value::Object(inner) => vec![inner],
            Value::Array(list) => list.iter_mut().filter_map(Value::as_object_mut).collect(),
            _ => continue,
        };
        for inner in objects {
            complete_objects(inner);
            complete_one(name, inner);
        }
    }
}

/// The columns hold one list per attribute of the vulnerabilities; the schema wants one object
/// for each vulnerability.
///
/// # Source
/// OCSF objects `vulnerability`, `cve`, `affected_package`.
fn list_vulnerabilities(event: &mut Object) {
    let Some(columns @ Value::Object(_)) = event.get("vulnerabilities").cloned() else {
        return;
    };
    let made = (0..longest(&columns)).filter_map(|place| {
        let Value::Object(mut one) = at_place(&columns, place)? else {
            return None;
        };
        if let Some(package) = one.remove("affected_packages") {
            one.insert("affected_packages".to_owned(), json!([package]));
        }
        if let Some(word) = text_of(&one, "is_exploit_available") {
            let is_exploited = matches!(word.to_ascii_lowercase().as_str(), "true" | "yes" | "1");
            one.insert("is_exploit_available".to_owned(), json!(is_exploited));
        }
        Some(Value::Object(one))
    });
    let made: Vec<Value> = made.collect();
    event.insert("vulnerabilities".to_owned(), Value::Array(made));
}

/// The length of the longest list below a value; 1 where there is none.
fn longest(value: &Value) -> usize {
    match value {
        Value::Array(list) => list.len(),
        Value::Object(map) => map.values().map(longest).max().unwrap_or(1),
        _ => 1,
    }
}

/// What stands at a place of all lists below a value; what is no list stands at each.
fn at_place(value: &Value, place: usize) -> Option<Value> {
    match value {
        Value::Array(list) => list.get(place).cloned(),
        Value::Object(map) => {
            let inner = map
                .iter()
                .filter_map(|(name, value)| Some((name.clone(), at_place(value, place)?)));
            let inner: Object = inner.collect();
            (!inner.is_empty()).then_some(Value::Object(inner))
        }
        other => Some(other.clone()),
    }
}

/// Completes one object, whose kind its name tells.
fn complete_one(name: &str, object: &mut Object) {
    match name {
        "file" => file(object),
        "process" | "parent_process" | "logon_process" => {
            if !has_any(object, &["pid", "uid", "cpid"]) {
                object.insert("uid".to_owned(), json!(UNKNOWN));
            }
        }
        "user" | "owner" => {
            if !has_any(object, &["account", "name", "uid"]) {
                let name = text_of(object, "email_addr");
                let name = name.unwrap_or_else(|| UNKNOWN.to_owned());
                object.insert("name".to_owned(), json!(name));
            }
        }
        "device" => {
            set_default(object, "type_id", json!(0));
            if !has_any(object, &DEVICE) {
                object.insert("name".to_owned(), json!(UNKNOWN));
            }
        }
        "src_endpoint" | "dst_endpoint" => {
            if !has_any(object, &ENDPOINT) {
                let name = text_of(object, "mac").unwrap_or_else(|| UNKNOWN.to_owned());
                object.insert("name".to_owned(), json!(name));
            }
        }
        "connection_info" => {
            let direction = text_of(object, "direction").unwrap_or_default();
            set_default(object, "direction_id", json!(direction_id(&direction)));
        }
        "script" => {
            set_default(object, "type_id", json!(0));
            as_long_string(object, "script_content");
        }
        "certificate" => {
            for needed in ["issuer", "serial_number"] {
                set_default(object, needed, json!(UNKNOWN));
            }
        }
        // JA3 and JA3S are MD5.
        "ja3_hash" | "ja3s_hash" => set_default(object, "algorithm_id", json!(1)),
        "module" => set_default(object, "load_type_id", json!(0)),
        "win_service" => set_default(object, "service_type_id", json!(0)),
        "win_resource" | "job" | "kernel" => set_default(object, "type_id", json!(0)),
        "email" => {
            if !has_any(object, &["from", "to"]) {
                object.insert("from".to_owned(), json!(UNKNOWN_ADDRESS));
            }
        }
        "affected_packages" => {
            for needed in ["name", "version"] {
                set_default(object, needed, json!(UNKNOWN));
            }
        }
        "cve" => set_default(object, "uid", json!(UNKNOWN)),
        "cloud" => set_default(object, "provider", json!(UNKNOWN)),
        "api" => set_default(object, "operation", json!(UNKNOWN)),
        "tls" => set_default(object, "version", json!(UNKNOWN)),
        _ => {}
    }
}

/// # Source
/// OCSF `network_connection_info.direction_id`.
fn direction_id(direction: &str) -> u8 {
    match direction.to_ascii_lowercase().as_str() {
        "inbound" => 1,
        "outbound" => 2,
        "lateral" => 3,
        "local" => 4,
        _ => 0,
    }
}

fn file(object: &mut Object) {
    set_default(object, "type_id", json!(0));
    if !object.contains_key("name") {
        let path = text_of(object, "path").unwrap_or_default();
        let last = path
            .trim_end_matches(['/', '\\'])
            .rsplit(['/', '\\'])
            .next();
        let name = last.filter(|name| !name.is_empty()).unwrap_or(UNKNOWN);
        object.insert("name".to_owned(), json!(name));
    }
    if let Some(Value::String(product)) = object.get("product") {
        let product = json!({"name": product});
        object.insert("product".to_owned(), product);
    }
    if let Some(Value::String(signer)) = object.get("signature") {
        let certificate = json!({"subject": signer, "issuer": UNKNOWN, "serial_number": UNKNOWN});
        let signature = json!({"algorithm_id": 0, "certificate": certificate});
        object.insert("signature".to_owned(), signature);
    }
}

/// A text of any length, as the schema has it: an object with its value.
///
/// # Source
/// OCSF object `long_string`.
fn as_long_string(object: &mut Object, name: &str) {
    let text = match object.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(Value::as_str).collect(),
        _ => return,
    };
    object.insert(name.to_owned(), json!({"value": text}));
}

/// Brings values of single attributes into the type that the schema gives them.
fn settle_types(event: &mut Object) {
    if let Some(name) = event.get("share").and_then(|share| share.get("name")) {
        let name = name.clone();
        event.insert("share".to_owned(), name);
    }
    if let Some(Value::Array(codes)) = event.get("status_code") {
        let codes: Vec<String> = codes
            .iter()
            .map(|code| code.to_string().trim_matches('"').to_owned())
            .collect();
        event.insert("status_code".to_owned(), json!(codes.join(",")));
    }
    let permissions = event.get("requested_permissions").and_then(Value::as_str);
    if let Some(text) = permissions.map(str::to_owned) {
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
        let number = match digits {
            Some(digits) => i64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        match number {
            Some(number) => {
                event.insert("requested_permissions".to_owned(), json!(number));
            }
            None => move_to_unmapped(event, &["requested_permissions"]),
        }
    }
    let reg_path = event
        .get("reg_key")
        .and_then(|key| key.get("path"))
        .cloned();
    if let Some(value) = object_at(event, "reg_value") {
        set_default(value, "path", reg_path.unwrap_or_else(|| json!(UNKNOWN)));
        set_default(value, "name", json!(UNKNOWN));
    }
    for side in ["src_endpoint", "dst_endpoint"] {
        let is_mac = |text: &str| {
            let digits = text.split([':', '-']);
            digits.clone().count() == 6
                && digits
                    .into_iter()
                    .all(|one| one.len() == 2 && u8::from_str_radix(one, 16).is_ok())
        };
        let mac = event.get(side).and_then(|side| side.get("mac"));
        if mac.and_then(Value::as_str).is_some_and(|mac| !is_mac(mac)) {
            move_to_unmapped(event, &[side, "mac"]);
        }
    }
    email(event);
}

/// Senders and receivers that are no addresses, such as bounces without one, are kept as the
/// source wrote them.
fn email(event: &mut Object) {
    let is_address = |value: &Value| {
        value.as_str().is_some_and(|text| {
            let at = text.rsplit_once('@');
            at.is_some_and(|(name, domain)| {
                !name.is_empty() && domain.contains('.') && !text.contains(['<', ' '])
            })
        })
    };
    let email = event.get("email").and_then(Value::as_object);
    let from = email.and_then(|email| email.get("from"));
    if from.is_some_and(|from| !is_address(from)) {
        move_to_unmapped(event, &["email", "from"]);
    }
    let to = event.get("email").and_then(|email| email.get("to"));
    if to
        .and_then(Value::as_array)
        .is_some_and(|list| !list.iter().all(is_address))
    {
        move_to_unmapped(event, &["email", "to"]);
    }
}

/// Moves the value at a path to `unmapped`, under the path joined by dots.
fn move_to_unmapped(event: &mut Object, path: &[&str]) {
    let Some((last, above)) = path.split_last() else {
        return;
    };
    let mut place = Some(&mut *event);
    for step in above {
        place = place.and_then(|object| object_at(object, step));
    }
    let Some(value) = place.and_then(|object| object.remove(*last)) else {
        return;
    };
    let unmapped = event.entry("unmapped").or_insert_with(|| json!({}));
    if let Some(unmapped) = unmapped.as_object_mut() {
        unmapped.insert(path.join("."), value);
    }
}

fn product(event: &Object) -> Value {
    let name = event
        .get("metadata")
        .and_then(|metadata| metadata.get("product"));
    let name = name.and_then(|product| product.get("name")).cloned();
    name.unwrap_or_else(|| json!(UNKNOWN))
}

/// How the machine that saw the event is called, as an end point.
fn own_endpoint(event: &Object) -> Value {
    let mut endpoint = Object::new();
    if let Some(device) = event.get("device").and_then(Value::as_object) {
        for name in ["hostname", "ip", "name"] {
            let value = device
                .get(name)
                .filter(|value| value.as_str() != Some(UNKNOWN));
            if let Some(value) = value {
                endpoint.insert(name.to_owned(), value.clone());
            }
        }
    }
    Value::Object(endpoint)
}

/// A value for an attribute that a class requires; `None` for those that every pack gives.
fn required_value(event: &Object, name: &str) -> Option<Value> {
    let resource = || {
        let resource = event
            .get("resource")
            .and_then(|resource| resource.get("name"));
        json!({"name": resource.cloned().unwrap_or_else(|| json!(UNKNOWN))})
    };
    Some(match name {
        // Who acted is who it was done to, where the record names one account only.
        "user" => {
            let actor = event
                .get("actor")
                .and_then(|actor| actor.get("user"))
                .cloned();
            actor.unwrap_or_else(|| json!({"name": UNKNOWN}))
        }
        "actor" => json!({"app_name": product(event)}),
        "app" => json!({"name": product(event)}),
        "src_endpoint" | "dst_endpoint" => json!({"name": UNKNOWN}),
        "device" | "process" | "finding_info" | "clipboard" | "api" | "cloud" => json!({}),
        "file" | "job" | "kernel" | "module" | "driver" | "group" | "script" => {
            json!({"name": UNKNOWN})
        }
        "entity" | "win_resource" | "peripheral_device" | "resource" => resource(),
        "direction_id" => json!(0),
        "email" => json!({}),
        "vulnerabilities" => {
            let finding = event.get("finding_info");
            let title = finding.and_then(|finding| finding.get("title")).cloned();
            json!([{"title": title.unwrap_or_else(|| json!(UNKNOWN))}])
        }
        _ => return None,
    })
}

/// Adds one of some attributes, the one that says most of what is known.
fn add_one_of(event: &mut Object, names: &[&str]) {
    let own = own_endpoint(event);
    let is_known = own.as_object().is_some_and(|own| !own.is_empty());
    let (name, value) = if names.contains(&"service") && !is_known {
        ("service", json!({"name": product(event)}))
    } else if names.contains(&"service") {
        // An account proves itself to the machine that says so.
        ("dst_endpoint", own)
    } else if names.contains(&"src_endpoint") {
        ("src_endpoint", own)
    } else if names.contains(&"database") {
        ("database", json!({"name": UNKNOWN, "type_id": 0}))
    } else if names.contains(&"log_type_id") {
        let log = event
            .get("metadata")
            .and_then(|metadata| metadata.get("log_name"));
        match log {
            Some(log) => ("log_name", log.clone()),
            None => ("log_type_id", json!(0)),
        }
    } else if names.contains(&"http_request") {
        ("http_request", json!({}))
    } else if names.contains(&"privileges") {
        ("privileges", json!([UNKNOWN]))
    } else {
        return;
    };
    event.insert(name.to_owned(), value);
}
