//! MISP: events of feeds, and of the API's answers.
//!
//! # Source
//! MISP core format (draft-dulaunoy-misp-core-format-16), sections 2.2 to 2.6.

use std::sync::Arc;

use serde_json::Value as Json;
use watchfloor_event::FindingLevel;

use super::text::cut;
use super::{Sink, words};
use crate::{Indicator, Value};

/// Whether an object is an event, wrapped or not, or holds attributes.
pub(super) fn is_event(value: &Json) -> bool {
    value["Event"].is_object() || value["Attribute"].is_array() || value["Object"].is_array()
}

/// Takes the attributes of an event and of its objects.
pub(super) fn event(value: &Json, number: u64, sink: &mut Sink<'_>) {
    let event = if value["Event"].is_object() {
        &value["Event"]
    } else {
        value
    };
    let organisation = event["Orgc"]["name"].as_str().unwrap_or_default();
    let mut common = Common {
        source: Arc::from(organisation),
        info: event["info"].as_str(),
        level: threat_level(event),
        tags: event,
        number,
    };
    for attribute in attributes(event) {
        common.attribute(attribute, sink);
    }
    for object in event["Object"].as_array().into_iter().flatten() {
        for attribute in attributes(object) {
            common.attribute(attribute, sink);
        }
    }
}

fn attributes(holder: &Json) -> impl Iterator<Item = &Json> {
    holder["Attribute"].as_array().into_iter().flatten()
}

/// 1 is high, 2 medium, 3 low, 4 undefined.
fn threat_level(event: &Json) -> Option<FindingLevel> {
    let level = &event["threat_level_id"];
    match level.as_str().or(level.as_u64().and_then(|number| {
        ["", "1", "2", "3"]
            .get(usize::try_from(number).ok()?)
            .copied()
    })) {
        Some("1") => Some(FindingLevel::High),
        Some("2") => Some(FindingLevel::Medium),
        Some("3") => Some(FindingLevel::Low),
        _ => None,
    }
}

/// What holds for all attributes of an event.
struct Common<'a> {
    source: Arc<str>,
    info: Option<&'a str>,
    level: Option<FindingLevel>,
    tags: &'a Json,
    number: u64,
}

impl Common<'_> {
    fn attribute(&mut self, attribute: &Json, sink: &mut Sink<'_>) {
        let (Some(kind), Some(text)) = (attribute["type"].as_str(), attribute["value"].as_str())
        else {
            let reason = "an attribute without type or value";
            return sink.report.refuse(self.number, reason);
        };
        if attribute["deleted"] == true {
            return sink.report.pass_over("deleted");
        }
        if attribute["to_ids"] == false || attribute["to_ids"] == "0" || attribute["to_ids"] == 0 {
            return sink.report.pass_over("not meant for detection (to_ids)");
        }
        if kind == "domain|ip" {
            for (kind, part) in [("domain", 0), ("ip-dst", 1)] {
                let part = text.split('|').nth(part).unwrap_or_default();
                self.value(kind, part, attribute, sink);
            }
            return;
        }
        self.value(kind, words::part(kind, text), attribute, sink);
    }

    fn value(&self, kind: &str, text: &str, attribute: &Json, sink: &mut Sink<'_>) {
        let Some(known) = words::kind(kind) else {
            return sink.report.pass_over(&format!("type {}", cut(kind)));
        };
        let value = match Value::parse(known, text) {
            Ok(value) => value,
            Err(error) => {
                let reason = format!("'{}' ({}): {error}", cut(text), cut(kind));
                return sink.report.refuse(self.number, reason);
            }
        };
        let comment = attribute["comment"]
            .as_str()
            .filter(|comment| !comment.is_empty());
        let mut indicator = Indicator::of(value);
        indicator.source = Arc::clone(&self.source);
        indicator.id = attribute["uuid"].as_str().map(str::to_owned);
        indicator.name = self.info.or(comment).map(str::to_owned);
        indicator.level = self.level;
        indicator.tlp = tlp(attribute).or_else(|| tlp(self.tags));
        indicator.valid_from = attribute["first_seen"].as_str().and_then(words::time);
        sink.take(indicator);
    }
}

fn tlp(holder: &Json) -> Option<watchfloor_model::Tlp> {
    let tags = holder["Tag"].as_array().into_iter().flatten();
    tags.filter_map(|tag| tag["name"].as_str())
        .find_map(|name| {
            name.get(..4)
                .filter(|start| start.eq_ignore_ascii_case("tlp:"))?;
            words::tlp(name)
        })
}
