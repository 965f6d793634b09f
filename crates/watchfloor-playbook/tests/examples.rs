//! Documents of the form of the specification's examples, and documents with faults.

#![allow(
    clippy::disallowed_methods,
    reason = "tests read their examples from files"
)]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use watchfloor_playbook::{
    Fault, Gravity, Playbook, call_faults, check, read, rehearse, take_secrets,
};

fn examples() -> Vec<(String, Vec<u8>)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/examples");
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                std::fs::read(path).unwrap(),
            )
        })
        .collect();
    found.sort();
    assert!(found.len() >= 6, "{}", found.len());
    found
}

fn checked(bytes: &[u8]) -> (Option<Playbook>, Vec<Fault>) {
    let (playbook, mut faults) = read(bytes);
    faults.extend(playbook.as_ref().map(check).unwrap_or_default());
    (playbook, faults)
}

#[test]
fn the_examples_load_without_errors_and_nothing_of_them_is_lost() {
    for (name, bytes) in examples() {
        let (playbook, faults) = checked(&bytes);
        let errors: Vec<_> = faults
            .iter()
            .filter(|fault| fault.gravity == Gravity::Error)
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
        let playbook = playbook.unwrap();
        let given: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(playbook.document, given, "{name}");
        // What is given out reads as the same playbook.
        let (again, _) = read(playbook.document.to_string().as_bytes());
        assert_eq!(again.as_ref(), Some(&playbook), "{name}");
        let mut document = playbook.document.clone();
        assert!(take_secrets(&mut document, &mut |_, _| {}).is_empty());
        assert_eq!(document, given, "{name}");
    }
}

#[test]
fn the_examples_are_rehearsed() {
    for (name, bytes) in examples() {
        let playbook = checked(&bytes).0.unwrap();
        let inputs: BTreeMap<String, String> = playbook
            .variables
            .iter()
            .filter(|(_, variable)| variable.is_external)
            .map(|(name, variable)| {
                let value = if variable.kind == "bool" {
                    "true"
                } else {
                    "siem"
                };
                (name.clone(), value.to_owned())
            })
            .collect();
        let steps = rehearse(&playbook, &inputs, &[]);
        assert!(steps.len() >= 3, "{name}: {steps:?}");
        assert_eq!(steps[0].kind, "start", "{name}");
        assert!(steps.iter().any(|step| step.kind == "end"), "{name}");
    }
    let (_, bytes) = examples().remove(0);
    let playbook = checked(&bytes).0.unwrap();
    let names = |place: &str| {
        let inputs = BTreeMap::from([("__place__".to_owned(), place.to_owned())]);
        let steps = rehearse(&playbook, &inputs, &[]);
        steps.into_iter().map(|step| step.name).collect::<Vec<_>>()
    };
    let siem = names("siem");
    assert!(
        siem.contains(&"Look through logs".to_owned())
            && !siem.contains(&"Look through captures".to_owned()),
        "{siem:?}"
    );
    let network = names("network");
    assert!(
        network.contains(&"Look through captures".to_owned())
            && !network.contains(&"Look through logs".to_owned()),
        "{network:?}"
    );
}

/// The second example with a change.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<Fault> {
    let (_, bytes) = examples().remove(1);
    let mut document: Value = serde_json::from_slice(&bytes).unwrap();
    change(&mut document);
    checked(document.to_string().as_bytes()).1
}

fn step<'d>(document: &'d mut Value, name: &str) -> &'d mut Value {
    let steps = document["workflow"].as_object_mut().unwrap();
    steps
        .values_mut()
        .find(|step| step["name"] == name)
        .unwrap()
}

fn id_of(document: &Value, name: &str) -> String {
    let steps = document["workflow"].as_object().unwrap();
    steps
        .iter()
        .find(|(_, step)| step["name"] == name)
        .unwrap()
        .0
        .clone()
}

#[test]
fn faults_are_named_with_their_place_and_mend() {
    type Change = Box<dyn FnOnce(&mut Value)>;
    let cases: Vec<(&str, &str, Change)> = vec![
        (
            "unknown_step",
            "which is none of CACAO",
            Box::new(|d| step(d, "Scan")["type"] = json!("teleport")),
        ),
        (
            "missing_step",
            "is not in the workflow",
            Box::new(|d| step(d, "Scan")["on_completion"] = json!("action--nowhere")),
        ),
        (
            "missing_variable",
            "__nobody__ is used and not declared",
            Box::new(|d| step(d, "Scan")["description"] = json!("see __nobody__:value")),
        ),
        (
            "constant",
            "__tries__ is a constant",
            Box::new(|d| step(d, "Scan")["out_args"] = json!(["__clean__", "__tries__"])),
        ),
        (
            "endless_loop",
            "follow each other without end",
            Box::new(|d| {
                let to = id_of(d, "Isolate");
                step(d, "By hand")["on_completion"] = json!(to);
            }),
        ),
        (
            "endless_loop",
            "the condition always holds",
            Box::new(|d| step(d, "Until clean")["condition"] = json!("__tries__:value >= 1")),
        ),
        (
            "condition",
            "cannot be read",
            Box::new(|d| step(d, "Until clean")["condition"] = json!("is it clean?")),
        ),
        (
            "missing_agent",
            "is not defined",
            Box::new(|d| step(d, "Scan")["agent"] = json!("group--nobody")),
        ),
        (
            "playbook_cycle",
            "calls itself",
            Box::new(|d| {
                let id = d["id"].clone();
                let scan = step(d, "Scan");
                *scan = json!({ "type": "playbook-action", "name": "Scan", "playbook_id": id, "on_completion": scan["on_completion"] });
            }),
        ),
        (
            "variable_name",
            "is no name of a variable",
            Box::new(|d| d["playbook_variables"]["host"] = json!({ "type": "string" })),
        ),
        (
            "variable_value",
            "is not a whole number",
            Box::new(|d| d["playbook_variables"]["__tries__"]["value"] = json!("many")),
        ),
        (
            "version",
            "spec_version",
            Box::new(|d| d["spec_version"] = json!("cacao-1.1")),
        ),
        (
            "no_playbook",
            "is not 'playbook'",
            Box::new(|d| d["type"] = json!("bundle")),
        ),
        (
            "start",
            "is not in the workflow",
            Box::new(|d| d["workflow_start"] = json!("start--x")),
        ),
        (
            "next",
            "stands beside",
            Box::new(|d| {
                let to = id_of(d, "Until clean");
                step(d, "Isolate")["on_completion"] = json!(to);
            }),
        ),
        (
            "unreachable",
            "no step leads to",
            Box::new(|d| {
                d["workflow"]["action--lonely"] = json!({ "type": "action", "name": "Lonely", "commands": [{ "type": "manual", "command": "x" }] });
            }),
        ),
        (
            "unknown_action",
            "is none of the actions",
            Box::new(
                |d| step(d, "Scan")["commands"] = json!([{ "type": "watchfloor-action", "command": "format_disk", "arguments": {} }]),
            ),
        ),
        (
            "argument",
            "it takes host",
            Box::new(
                |d| step(d, "Scan")["commands"] = json!([{ "type": "watchfloor-action", "command": "isolate_host", "arguments": { "host": "__host__:value", "shell": "sh" } }]),
            ),
        ),
    ];
    for (code, part, change) in cases {
        let faults = changed(change);
        let fault = faults.iter().find(|fault| {
            fault.code == code && fault.message.contains(part) | fault.mend.contains(part)
        });
        let fault = fault.unwrap_or_else(|| panic!("{code} {part}: {faults:?}"));
        assert!(!fault.mend.is_empty());
        assert!(fault.place.starts_with('/'), "{fault:?}");
    }
    for bad in ["", "[]", "{", "null", "{\"type\":\"playbook\"}"] {
        assert!(!checked(bad.as_bytes()).1.is_empty(), "{bad}");
    }
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    assert!(!checked(deep.as_bytes()).1.is_empty());
}

#[test]
fn playbooks_that_call_each_other_in_a_circle_are_refused() {
    let (_, bytes) = examples().remove(3);
    let playbook = checked(&bytes).0.unwrap();
    let loop_id = playbook
        .steps
        .values()
        .find_map(|step| match &step.kind {
            watchfloor_playbook::StepKind::PlaybookAction { playbook_id, .. } => {
                Some(playbook_id.clone())
            }
            _ => None,
        })
        .unwrap();
    let codes = |known: &dyn Fn(&str) -> Option<Vec<String>>| {
        call_faults(&playbook, known)
            .into_iter()
            .map(|fault| fault.code)
            .collect::<Vec<_>>()
    };
    assert_eq!(codes(&|_| None), ["missing_playbook"]);
    assert_eq!(codes(&|_| Some(Vec::new())), [""; 0]);
    assert_eq!(
        codes(&|id| (id == loop_id).then(|| vec![playbook.id.clone()])),
        ["playbook_cycle"]
    );
    // A chain that never comes back, and never ends.
    let next = |id: &str| Some(vec![format!("{id}x")]);
    assert_eq!(codes(&next), ["calls_too_deep"]);
}

#[test]
fn secrets_are_taken_out() {
    let (_, bytes) = examples().remove(4);
    let mut document: Value = serde_json::from_slice(&bytes).unwrap();
    let infos = document["authentication_info_definitions"]
        .as_object_mut()
        .unwrap();
    let name = infos
        .keys()
        .find(|name| name.starts_with("http-basic"))
        .unwrap()
        .clone();
    infos[&name]["password"] = json!("hunter2");
    let mut kept = Vec::new();
    let places = take_secrets(&mut document, &mut |name, secret| {
        kept.push((name.to_owned(), secret.to_owned()))
    });
    assert_eq!(places.len(), 1);
    assert_eq!(kept[0].1, "hunter2");
    assert!(!document.to_string().contains("hunter2"));
    assert!(
        document["authentication_info_definitions"][&name]["kms_key_identifier"]
            .as_str()
            .unwrap()
            .starts_with("watchfloor-secret:")
    );
}

/// A playbook of a draft's words: hyphens in the names of steps, lists of one step, `agents` and
/// `targets` at the top.
fn draft() -> Value {
    let id = |kind: &str, number: u32| format!("{kind}--00000000-0000-4000-8000-{number:012}");
    json!({
        "type": "playbook", "spec_version": "cacao-2.0", "id": id("playbook", 1),
        "name": "Shut a port", "created_by": id("identity", 1),
        "created": "2023-01-31T10:00:00.000Z", "modified": "2023-01-31T10:00:00.000Z",
        "playbook_variables": { "__known__": { "type": "bool", "value": "true" } },
        "workflow_start": id("start", 1),
        "workflow": {
            id("start", 1): { "type": "start", "on-completion": id("if-condition", 1) },
            id("if-condition", 1): {
                "type": "if-condition", "condition": "__known__:value = 'true'",
                "on_true": [id("action", 1)], "on-completion": id("end", 2),
            },
            id("action", 1): {
                "type": "action", "name": "Shut it",
                "commands": [{ "type": "ssh", "command": "interface eth7 shutdown" }],
                "agent": id("individual", 1), "targets": [id("security-category", 1)],
                "on-completion": id("end", 1),
            },
            id("end", 1): { "type": "end" },
            id("end", 2): { "type": "end" },
        },
        "agents": { id("individual", 1): { "type": "individual", "name": "Network desk" } },
        "targets": { id("security-category", 1): { "type": "security-category", "name": "Switch" } },
    })
}

#[test]
fn words_of_drafts_are_read_and_given_out_as_the_specification_has_them() {
    let (playbook, faults) = checked(draft().to_string().as_bytes());
    let playbook = playbook.unwrap();
    assert!(
        faults.iter().all(|fault| fault.gravity == Gravity::Warning),
        "{faults:?}"
    );
    let brought: Vec<&str> = faults
        .iter()
        .filter(|fault| fault.code == "draft")
        .map(|fault| fault.place.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        brought,
        [
            "agents",
            "targets",
            "on-completion",
            "on-completion",
            "on_true",
            "on-completion"
        ]
    );
    let steps = rehearse(&playbook, &BTreeMap::new(), &[]);
    let names: Vec<&str> = steps.iter().map(|step| step.kind).collect();
    assert_eq!(names, ["start", "if-condition", "action", "end", "end"]);

    // What is given out has no word of a draft left.
    let given_out = playbook.document.to_string();
    assert!(!given_out.contains("on-completion") && !given_out.contains("\"agents\""));
    let again = checked(given_out.as_bytes()).1;
    assert!(again.iter().all(|fault| fault.code != "draft"), "{again:?}");
}

#[test]
fn a_switch_without_a_variable_needs_a_default() {
    let mut document = draft();
    let id = document["workflow"]
        .as_object()
        .unwrap()
        .keys()
        .find(|id| id.starts_with("if-"))
        .unwrap()
        .clone();
    let action = document["workflow"][&id]["on_true"][0].clone();
    let step = &mut document["workflow"][&id];
    step["type"] = json!("switch-condition");
    step["cases"] = json!({ "1": action, "default": action });
    let faults = |document: &Value| {
        let faults = checked(document.to_string().as_bytes()).1;
        let mut found = faults.into_iter().filter(|fault| fault.code == "switch");
        found.next().map(|fault| fault.gravity)
    };
    assert_eq!(faults(&document), Some(Gravity::Warning));
    document["workflow"][&id]["cases"] = json!({ "1": action });
    assert_eq!(faults(&document), Some(Gravity::Error));
}
