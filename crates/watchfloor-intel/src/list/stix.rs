//! STIX 2.1 indicators.
//!
//! # Source
//! STIX 2.1, sections 4.7 (Indicator) and 7.2.1.4 (TLP markings, with the ids of 2.0's and
//! TLP 2.0's definitions).

use std::sync::Arc;

use serde_json::Value as Json;
use watchfloor_model::Tlp;

use super::{Sink, pattern, words};
use crate::Indicator;

/// Ids of the marking definitions that everyone shares.
const MARKINGS: [(&str, Tlp); 9] = [
    (
        "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9",
        Tlp::Clear,
    ),
    (
        "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da",
        Tlp::Green,
    ),
    (
        "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82",
        Tlp::Amber,
    ),
    (
        "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed",
        Tlp::Red,
    ),
    (
        "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487",
        Tlp::Clear,
    ),
    (
        "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb",
        Tlp::Green,
    ),
    (
        "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421",
        Tlp::Amber,
    ),
    (
        "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003",
        Tlp::AmberStrict,
    ),
    (
        "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1",
        Tlp::Red,
    ),
];

/// Takes the indicators of an object; objects of other types are counted.
pub(super) fn object(value: &Json, number: u64, sink: &mut Sink<'_>) {
    let Some(kind) = value["type"].as_str() else {
        return sink.report.refuse(number, "an object without a type");
    };
    if kind != "indicator" {
        return sink
            .report
            .pass_over(&format!("object of the type {}", super::text::cut(kind)));
    }
    if value["revoked"] == true {
        return sink.report.pass_over("revoked");
    }
    let pattern_type = value["pattern_type"].as_str().unwrap_or("stix");
    if pattern_type != "stix" {
        let reason = format!("pattern of the type {}", super::text::cut(pattern_type));
        return sink.report.pass_over(&reason);
    }
    let Some(text) = value["pattern"].as_str() else {
        return sink.report.refuse(number, "an indicator without a pattern");
    };
    let until = value["valid_until"].as_str();
    let valid_until = until.and_then(words::time);
    if until.is_some() && valid_until.is_none() {
        // Without its end it would be met for ever.
        return sink.report.refuse(number, "valid_until is no time");
    }
    let values = match pattern::values(text) {
        Ok(values) => values,
        Err(pattern::Fault::NotUnderstood(reason)) => return sink.report.pass_over(&reason),
        Err(pattern::Fault::Refused(reason)) => return sink.report.refuse(number, reason),
    };
    let confidence = value["confidence"].as_u64();
    let extensions = &value["x_opencti_score"];
    let confidence = confidence.or_else(|| extensions.as_u64());
    let name = value["name"]
        .as_str()
        .or_else(|| value["description"].as_str());
    for found in values {
        let mut indicator = Indicator::of(found);
        indicator.source = Arc::from(source(value));
        indicator.id = value["id"].as_str().map(str::to_owned);
        indicator.name = name.map(str::to_owned);
        indicator.confidence = confidence.map(|number| number.min(100) as u8);
        indicator.level = value["x_watchfloor_level"].as_str().and_then(words::level);
        indicator.valid_from = value["valid_from"].as_str().and_then(words::time);
        indicator.valid_until = valid_until;
        indicator.tlp = tlp(value);
        sink.take(indicator);
    }
}

/// The producer, as far as the object itself names one.
fn source(value: &Json) -> &str {
    let named = value["x_watchfloor_source"].as_str();
    let references = value["external_references"]
        .as_array()
        .into_iter()
        .flatten();
    let referred = references
        .filter_map(|one| one["source_name"].as_str())
        .next();
    named.or(referred).unwrap_or_default()
}

fn tlp(value: &Json) -> Option<Tlp> {
    let ids = value["object_marking_refs"]
        .as_array()
        .into_iter()
        .flatten();
    ids.filter_map(Json::as_str).find_map(|id| {
        let known = MARKINGS.iter().find(|(known, _)| *known == id);
        known.map(|(_, tlp)| *tlp)
    })
}
/// The id of the marking definition of a traffic light.
pub(crate) fn marking(tlp: Tlp) -> &'static str {
    let known = MARKINGS.iter().rev().find(|(_, known)| *known == tlp);
    known.map_or("", |(id, _)| id)
}
