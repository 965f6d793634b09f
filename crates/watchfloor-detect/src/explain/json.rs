//! An explanation as JSON, the same for the command line and the API.

use serde_json::{Value, json};
use watchfloor_event::Logsource;

use super::{Body, Explanation, Gate, Read, Step, What};

impl Explanation {
    /// The explanation as one JSON object: `rule_id`, `rule`, `rule_version`, `matched`, and
    /// either `logsource`, `conditions` and `tree`, or `type`, `needs`, `fields` and `rules`.
    pub fn to_json(&self) -> Value {
        let mut object = json!({
            "rule_id": self.rule_id,
            "rule": self.title,
            "rule_version": self.version,
            "matched": self.matched,
        });
        match &self.body {
            Body::Event {
                gate,
                conditions,
                tree,
            } => {
                object["logsource"] = gate_json(gate);
                object["conditions"] = json!(conditions);
                object["tree"] = step_json(tree);
            }
            Body::Several {
                kind,
                needs,
                fields,
                bases,
            } => {
                object["type"] = json!(kind);
                object["needs"] = json!(needs);
                object["fields"] = fields.iter().map(read_json).collect();
                object["rules"] = bases.iter().map(Self::to_json).collect();
            }
        }
        object
    }
}

fn gate_json(gate: &Gate) -> Value {
    json!({
        "asks": logsource_json(&gate.asks),
        "event_kind": gate.kind,
        "event_offers": gate.offers.iter().map(logsource_json).collect::<Vec<_>>(),
        "passed": gate.passed,
    })
}

fn logsource_json(source: &Logsource) -> Value {
    let parts = [
        ("product", &source.product),
        ("category", &source.category),
        ("service", &source.service),
    ];
    let there = parts
        .into_iter()
        .filter_map(|(name, part)| Some((name.to_owned(), json!(part.as_ref()?))));
    Value::Object(there.collect())
}

fn read_json(read: &Read) -> Value {
    json!({
        "field": read.field,
        "place": read.place,
        "value": read.value,
        "looked_in": read.places,
    })
}

fn step_json(step: &Step) -> Value {
    let mut object = match &step.what {
        What::All => json!({"is": "all"}),
        What::Any => json!({"is": "any"}),
        What::Not => json!({"is": "not"}),
        What::Selection(name) => json!({"is": "selection", "name": name}),
        What::Field(read) => {
            let mut object = read_json(read);
            object["is"] = json!(if read.field.is_some() {
                "field"
            } else {
                "keywords"
            });
            object
        }
        What::Question(answered) => json!({
            "is": "question",
            "written": answered.written,
            "compared": answered.compared,
            "why": answered.why,
        }),
    };
    object["matched"] = json!(step.holds);
    if !step.below.is_empty() {
        object["parts"] = step.below.iter().map(step_json).collect();
    }
    object
}
