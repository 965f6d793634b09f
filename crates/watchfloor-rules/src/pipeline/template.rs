//! Conditions that pipelines add to a rule.

use serde_json::{Map, Value};
use watchfloor_event::Logsource;

use crate::detection::{self, Added};

/// What `add_condition` adds.
#[derive(Debug)]
pub(super) struct Addition {
    pub conditions: Map<String, Value>,
    pub name: String,
    pub template: bool,
    pub negated: bool,
}

/// The condition for a rule of that log source.
pub(super) fn added(
    addition: &Addition,
    logsource: &Logsource,
    item_id: &str,
) -> Result<Added, String> {
    let mut conditions = addition.conditions.clone();
    if addition.template {
        conditions
            .values_mut()
            .for_each(|value| fill(value, logsource));
    }
    let name = match (addition.name.as_str(), item_id) {
        ("", "") => "_added".to_owned(),
        ("", id) => format!("_added_{id}"),
        (name, _) => name.to_owned(),
    };
    Ok(Added {
        block: detection::selection(&Value::Object(conditions))?,
        name,
        negated: addition.negated,
    })
}

fn fill(value: &mut Value, logsource: &Logsource) {
    match value {
        Value::String(text) => {
            let parts = [
                ("category", &logsource.category),
                ("product", &logsource.product),
                ("service", &logsource.service),
            ];
            for (name, part) in parts {
                let part = part.as_deref().unwrap_or_default();
                *text = text
                    .replace(&format!("${{{name}}}"), part)
                    .replace(&format!("${name}"), part);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| fill(value, logsource)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {}
    }
}
