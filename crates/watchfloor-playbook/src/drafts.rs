//! Spellings of the drafts of CACAO 2.0, brought to those of the specification.
//!
//! Published examples and the exports of some editors still use them. What is brought over is
//! said, and the document holds the specification's word from then on, so that an export is clean.

use serde_json::{Map, Value};

use crate::fault::Fault;
use crate::reader::pointer;

/// Names of a playbook in a draft, and what they are called now.
const OF_PLAYBOOKS: [(&str, &str); 4] = [
    ("agents", "agent_definitions"),
    ("targets", "target_definitions"),
    ("authentication_info", "authentication_info_definitions"),
    ("playbook_extension", "playbook_extensions"),
];
/// Names of a step in a draft, and what they are called now.
const OF_STEPS: [(&str, &str); 6] = [
    ("on-completion", "on_completion"),
    ("on-success", "on_success"),
    ("on-failure", "on_failure"),
    ("on-true", "on_true"),
    ("on-false", "on_false"),
    ("next-steps", "next_steps"),
];
/// What was a list of steps in a draft, and names one step now.
const ONE_STEP: [&str; 2] = ["on_true", "on_false"];

/// Brings a document to the specification's words, and says what it changed.
pub(crate) fn bring_over(document: &mut Value) -> Vec<Fault> {
    let mut faults = Vec::new();
    let Some(playbook) = document.as_object_mut() else {
        return faults;
    };
    rename(playbook, &OF_PLAYBOOKS, "", &mut faults);
    let workflow = playbook.get_mut("workflow").and_then(Value::as_object_mut);
    for (id, step) in workflow.into_iter().flatten() {
        let Some(step) = step.as_object_mut() else {
            continue;
        };
        let first = faults.len();
        let place = format!("/workflow/{}", pointer(id));
        rename(step, &OF_STEPS, &place, &mut faults);
        for name in ONE_STEP {
            unwrap_list(step, name, &place, &mut faults);
        }
        for fault in faults.iter_mut().skip(first) {
            fault.step = Some(id.clone());
        }
    }
    faults
}

/// A name that stands beside its newer one is left where it is.
fn rename(
    object: &mut Map<String, Value>,
    names: &[(&str, &str)],
    place: &str,
    faults: &mut Vec<Fault>,
) {
    for (old, new) in names {
        if object.contains_key(*new) {
            continue;
        }
        let Some(value) = object.remove(*old) else {
            continue;
        };
        object.insert((*new).to_owned(), value);
        faults.push(Fault::warning(
            "draft",
            format!("{place}/{old}"),
            format!("'{old}' is a draft's word for {new}"),
            "nothing is to be done: it was read, and is kept, as the newer one",
        ));
    }
}

fn unwrap_list(step: &mut Map<String, Value>, name: &str, place: &str, faults: &mut Vec<Fault>) {
    let Some(Value::Array(list)) = step.get(name) else {
        return;
    };
    let [Value::String(only)] = list.as_slice() else {
        return;
    };
    let only = Value::String(only.clone());
    step.insert(name.to_owned(), only);
    faults.push(Fault::warning(
        "draft",
        format!("{place}/{name}"),
        format!("{name} is a list of one step, as in a draft"),
        "nothing is to be done: it was read, and is kept, as that step",
    ));
}
