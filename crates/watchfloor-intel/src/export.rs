//! Indicators written out: as CSV that the reader takes back, and as STIX 2.1.

use jiff::Timestamp;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use crate::list::marking;
use crate::set::uuid_text;
use crate::{Held, Indicator, IndicatorKind};

/// The head of a CSV export.
pub fn csv_header() -> &'static str {
    "value,kind,source,id,name,confidence,level,tlp,valid_from,valid_until"
}

/// An indicator as a line of CSV, without its end.
pub fn csv_line(indicator: &Indicator) -> String {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string()).unwrap_or_default();
    let cells = [
        indicator.value.to_string(),
        indicator.value.kind().to_string(),
        indicator.source.to_string(),
        indicator.id.clone().unwrap_or_default(),
        indicator.name.clone().unwrap_or_default(),
        indicator
            .confidence
            .map(|number| number.to_string())
            .unwrap_or_default(),
        indicator
            .level
            .map(|level| level.to_string())
            .unwrap_or_default(),
        indicator
            .tlp
            .map(|tlp| tlp.as_str().to_owned())
            .unwrap_or_default(),
        time(indicator.valid_from),
        time(indicator.valid_until),
    ];
    cells.map(|cell| quoted(&cell)).join(",")
}

/// A cell that neither breaks the line nor runs as a formula in a spreadsheet.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if is_formula {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([',', ';', '"', '\n', '\r', '\t', '#']) {
        return format!("\"{}\"", cell.replace('"', "\"\""));
    }
    cell
}

/// An indicator as a STIX 2.1 object. One without an id of STIX's form gets one that its list and
/// value decide, so that exports of one indicator have one id. `now` stands where the list gives
/// no time.
pub fn stix_object(held: &Held<'_>, now: Timestamp) -> Json {
    let indicator = &held.indicator;
    let id = indicator
        .id
        .as_deref()
        .filter(|id| id.starts_with("indicator--"));
    let id = id.map_or_else(|| own_id(held), str::to_owned);
    let from = indicator.valid_from.unwrap_or(now);
    let mut object = json!({
        "type": "indicator",
        "spec_version": "2.1",
        "id": id,
        "created": from.to_string(),
        "modified": from.to_string(),
        "pattern": pattern(indicator),
        "pattern_type": "stix",
        "valid_from": from.to_string(),
    });
    let mut set = |key: &str, value: Json| {
        if !value.is_null() && value != "" {
            object[key] = value;
        }
    };
    set("name", json!(indicator.name));
    set("confidence", json!(indicator.confidence));
    set(
        "valid_until",
        json!(indicator.valid_until.map(|time| time.to_string())),
    );
    set("x_watchfloor_source", json!(*indicator.source));
    set(
        "x_watchfloor_level",
        json!(indicator.level.map(|level| level.as_str())),
    );
    if let Some(tlp) = indicator.tlp {
        set("object_marking_refs", json!([marking(tlp)]));
    }
    object
}

fn own_id(held: &Held<'_>) -> String {
    let text = format!(
        "{}\0{}\0{}",
        held.list,
        held.indicator.value.kind(),
        held.indicator.value
    );
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 16];
    for (byte, from) in bytes.iter_mut().zip(digest.iter()) {
        *byte = *from;
    }
    // RFC 9562: version 8 (own scheme), variant 10.
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    format!("indicator--{}", uuid_text(bytes))
}

fn pattern(indicator: &Indicator) -> String {
    use IndicatorKind as K;
    let value = indicator.value.to_string();
    let path = match indicator.value.kind() {
        K::Address | K::Network if value.contains(':') => "ipv6-addr:value",
        K::Address | K::Network => "ipv4-addr:value",
        K::Domain => "domain-name:value",
        K::Url => "url:value",
        K::Email => "email-addr:value",
        K::Md5 => "file:hashes.MD5",
        K::Sha1 => "file:hashes.'SHA-1'",
        K::Sha256 => "file:hashes.'SHA-256'",
        K::Sha512 => "file:hashes.'SHA-512'",
        K::Ja3 => "network-traffic:extensions.'x-tls-ext'.ja3",
        K::Ja3s => "network-traffic:extensions.'x-tls-ext'.ja3s",
        K::Ja4 => "network-traffic:extensions.'x-tls-ext'.ja4",
    };
    let value = value.replace('\\', "\\\\").replace('\'', "\\'");
    format!("[{path} = '{value}']")
}
