use serde_json::{Value, json};

use super::*;
use crate::read;

/// Name of a step, and what somebody says of it: values, or why not.
type Answer<'a> = (&'a str, Result<&'a [(&'a str, &'a str)], &'a str>);

fn id(kind: &str, number: u32) -> String {
    format!("{kind}--00000000-0000-4000-8000-{number:012}")
}

fn playbook(workflow: Value, variables: Value, exception: Option<String>) -> Playbook {
    let mut document = json!({
        "type": "playbook", "spec_version": "cacao-2.0", "id": id("playbook", 1), "name": "Test",
        "created_by": id("identity", 1), "created": "2026-01-01T00:00:00.000Z",
        "modified": "2026-01-01T00:00:00.000Z", "playbook_variables": variables,
        "workflow_start": id("start", 1), "workflow": workflow,
        "agent_definitions": { id("individual", 1): { "type": "individual", "name": "Analyst" } },
    });
    if let Some(exception) = exception {
        document["workflow_exception"] = json!(exception);
    }
    let (playbook, faults) = read(document.to_string().as_bytes());
    assert_eq!(faults, []);
    playbook.unwrap()
}

fn manual(number: u32, next: Option<String>, extra: Value) -> (String, Value) {
    let mut step = json!({
        "type": "action", "name": format!("m{number}"), "agent": id("individual", 1),
        "commands": [{ "type": "manual", "command": "do it" }],
    });
    if let Some(next) = next {
        step["on_completion"] = json!(next);
    }
    for (name, value) in extra.as_object().unwrap() {
        step[name] = value.clone();
    }
    (id("action", number), step)
}

fn workflow(first: String, steps: Vec<(String, Value)>) -> Value {
    let mut map = serde_json::Map::new();
    map.insert(
        id("start", 1),
        json!({ "type": "start", "on_completion": first }),
    );
    for number in 1..9 {
        map.insert(id("end", number), json!({ "type": "end" }));
    }
    map.extend(steps);
    Value::Object(map)
}

/// A run in which people answer as a table says, in the order of asking; the names of the steps
/// in the order in which they were entered and how the run ended.
fn play(
    playbook: &Playbook,
    inputs: &[(&str, &str)],
    answers: &[Answer<'_>],
) -> (Vec<String>, Option<Outcome>) {
    let inputs = inputs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut machine = Machine::new(playbook, &inputs).unwrap();
    let context = Context {
        playbook,
        now_ms: 0,
        observed: &[],
    };
    let mut log = Vec::new();
    let mut open = Vec::new();
    let mut names = BTreeMap::new();
    let mut effects = machine.begin(context);
    let mut answers = answers.iter();
    loop {
        for effect in effects {
            match effect {
                Effect::Entered { instance, step, .. } => {
                    let name = playbook.steps[&step].name.clone();
                    names.insert(instance, name.clone());
                    log.push(name);
                }
                Effect::Ask { instance, .. } => open.push(instance),
                Effect::GivenUp { instance } => open.retain(|one| *one != instance),
                _ => {}
            }
        }
        // What is saved and read again goes on the same way.
        let text = serde_json::to_string(&machine).unwrap();
        machine = serde_json::from_str(&text).unwrap();
        if open.is_empty() {
            break;
        }
        let instance = open.remove(0);
        let Some((name, answer)) = answers.next() else {
            break;
        };
        assert_eq!(names[&instance], *name, "{log:?}");
        let result = match answer {
            Ok(values) => StepResult::Done(
                values
                    .iter()
                    .map(|(n, v)| ((*n).to_owned(), (*v).to_owned()))
                    .collect(),
            ),
            Err(reason) => StepResult::Failed((*reason).to_owned()),
        };
        effects = machine.finish(context, instance, result).unwrap();
    }
    log.retain(|name| !matches!(name.as_str(), "start" | "end"));
    (log, machine.outcome().cloned())
}

fn check(playbook: &Playbook, answers: &[Answer<'_>], entered: &[&str], outcome: &str) {
    let (log, found) = play(playbook, &[], answers);
    assert_eq!(log, entered);
    assert_eq!(format!("{found:?}"), outcome);
}

#[test]
fn one_after_the_other() {
    let steps = vec![
        manual(1, Some(id("action", 2)), json!({})),
        manual(2, Some(id("end", 1)), json!({})),
    ];
    let playbook = playbook(workflow(id("action", 1), steps), json!({}), None);
    check(
        &playbook,
        &[("m1", Ok(&[])), ("m2", Ok(&[]))],
        &["m1", "m2"],
        "Some(Done)",
    );
    check(
        &playbook,
        &[("m1", Err("no"))],
        &["m1"],
        "Some(Failed(\"'m1' failed: no\"))",
    );
    check(&playbook, &[], &["m1"], "None");
}

#[test]
fn failures_go_their_own_way() {
    let ways = json!({ "on_success": id("action", 2), "on_failure": id("action", 3) });
    let steps = vec![
        manual(1, None, ways),
        manual(2, Some(id("end", 1)), json!({})),
        manual(3, Some(id("end", 2)), json!({})),
    ];
    let playbook = playbook(
        workflow(id("action", 1), steps),
        json!({}),
        Some(id("action", 3)),
    );
    check(
        &playbook,
        &[("m1", Ok(&[])), ("m2", Ok(&[]))],
        &["m1", "m2"],
        "Some(Done)",
    );
    check(
        &playbook,
        &[("m1", Err("no")), ("m3", Ok(&[]))],
        &["m1", "m3"],
        "Some(Done)",
    );
    // What no step takes care of goes to the step for exceptions, and the run has failed then.
    check(
        &playbook,
        &[("m1", Ok(&[])), ("m2", Err("bad")), ("m3", Ok(&[]))],
        &["m1", "m2", "m3"],
        "Some(Failed(\"'m2' failed: bad\"))",
    );
}

#[test]
fn branches_meet_again() {
    let steps = vec![
        (
            id("parallel", 1),
            json!({ "type": "parallel", "name": "p", "on_completion": id("action", 3), "next_steps": [id("action", 1), id("action", 2)] }),
        ),
        manual(1, Some(id("end", 1)), json!({})),
        manual(2, Some(id("end", 2)), json!({})),
        manual(3, Some(id("end", 3)), json!({})),
    ];
    let playbook = playbook(workflow(id("parallel", 1), steps), json!({}), None);
    check(
        &playbook,
        &[("m1", Ok(&[])), ("m2", Ok(&[])), ("m3", Ok(&[]))],
        &["p", "m1", "m2", "m3"],
        "Some(Done)",
    );
    check(&playbook, &[("m1", Ok(&[]))], &["p", "m1", "m2"], "None");
    // A branch that fails lets the others end; then the step has failed.
    check(
        &playbook,
        &[("m1", Err("no")), ("m2", Ok(&[]))],
        &["p", "m1", "m2"],
        "Some(Failed(\"'p' failed: 'm1' failed: no\"))",
    );
}

#[test]
fn loops_go_round_as_long_as_the_condition_holds() {
    let variables = json!({ "__go__": { "type": "bool", "value": "true" } });
    let extension = json!({ crate::WATCHFLOOR_EXTENSION: { "rounds_max": 3 } });
    let steps = vec![
        (
            id("while-condition", 1),
            json!({ "type": "while-condition", "name": "w", "condition": "__go__:value", "on_true": id("action", 1), "on_completion": id("end", 1), "step_extensions": extension }),
        ),
        manual(1, Some(id("end", 2)), json!({ "out_args": ["__go__"] })),
    ];
    let playbook = playbook(workflow(id("while-condition", 1), steps), variables, None);
    let no: &[(&str, &str)] = &[("__go__", "false")];
    check(
        &playbook,
        &[("m1", Ok(&[])), ("m1", Ok(no))],
        &["w", "m1", "m1"],
        "Some(Done)",
    );
    let (log, outcome) = play(
        &playbook,
        &[],
        &[("m1", Ok(&[])), ("m1", Ok(&[])), ("m1", Ok(&[]))],
    );
    assert_eq!(log, ["w", "m1", "m1", "m1"]);
    assert!(
        format!("{outcome:?}").contains("still holds after 3 rounds"),
        "{outcome:?}"
    );
}

#[test]
fn a_loop_without_a_pause_ends_at_its_bound_and_not_in_the_stack() {
    let variables = json!({ "__go__": { "type": "bool", "external": true } });
    let extension = json!({ crate::WATCHFLOOR_EXTENSION: { "rounds_max": 10_000 } });
    let steps = vec![(
        id("while-condition", 1),
        json!({ "type": "while-condition", "name": "w", "condition": "__go__:value", "on_true": id("end", 2), "on_completion": id("end", 1), "step_extensions": extension }),
    )];
    let playbook = playbook(workflow(id("while-condition", 1), steps), variables, None);
    let (_, outcome) = play(&playbook, &[("__go__", "true")], &[]);
    assert!(
        format!("{outcome:?}").contains("more than a run may"),
        "{outcome:?}"
    );
}

#[test]
fn one_case_of_several() {
    let variables = json!({ "__kind__": { "type": "string", "external": true } });
    let steps = vec![
        (
            id("switch-condition", 1),
            json!({ "type": "switch-condition", "name": "s", "switch": "__kind__:value", "cases": { "a": id("action", 1), "default": id("action", 2) }, "on_completion": id("end", 1) }),
        ),
        manual(1, Some(id("end", 2)), json!({})),
        manual(2, Some(id("end", 3)), json!({})),
    ];
    let playbook = playbook(workflow(id("switch-condition", 1), steps), variables, None);
    assert_eq!(play(&playbook, &[("__kind__", "a")], &[]).0, ["s", "m1"]);
    assert_eq!(play(&playbook, &[("__kind__", "x")], &[]).0, ["s", "m2"]);
    let missing = Machine::new(&playbook, &BTreeMap::new())
        .unwrap_err()
        .to_string();
    assert!(missing.contains("__kind__ needs a value"), "{missing}");
}

#[test]
fn times() {
    let steps = vec![
        manual(
            1,
            None,
            json!({ "delay": 5_000, "timeout": 1_000, "on_failure": id("action", 2) }),
        ),
        manual(2, Some(id("end", 1)), json!({})),
    ];
    let playbook = playbook(workflow(id("action", 1), steps), json!({}), None);
    let mut machine = Machine::new(&playbook, &BTreeMap::new()).unwrap();
    let at = |now_ms| Context {
        playbook: &playbook,
        now_ms,
        observed: &[],
    };
    let effects = machine.begin(at(1_000));
    assert!(
        effects.contains(&Effect::Wait {
            instance: 2,
            until_ms: 6_000
        }),
        "{effects:?}"
    );
    assert_eq!(machine.wake(at(5_999)), []);
    assert!(matches!(
        machine.wake(at(6_000))[..],
        [Effect::Ask { instance: 2, .. }]
    ));
    let effects = machine.time_out(at(7_000), 2).unwrap();
    assert!(
        matches!(&effects[0], Effect::Ended { failed: Some(reason), .. } if reason.contains("ACTION_TIMEOUT"))
    );
    assert!(
        matches!(effects.last(), Some(Effect::Ask { instance: 3, .. })),
        "{effects:?}"
    );
    assert_eq!(
        machine.finish(at(7_000), 2, StepResult::Failed(String::new())),
        Err(MachineError::NotOpen(2))
    );
}

#[test]
fn values_that_do_not_do_are_refused() {
    let variables = json!({ "__ip__": { "type": "ipv4-addr", "value": "10.0.0.1" }, "__x__": { "type": "string", "constant": true, "value": "x" } });
    let steps = vec![manual(
        1,
        Some(id("end", 1)),
        json!({ "out_args": ["__ip__"] }),
    )];
    let playbook = playbook(workflow(id("action", 1), steps), variables, None);
    let mut machine = Machine::new(&playbook, &BTreeMap::new()).unwrap();
    let context = Context {
        playbook: &playbook,
        now_ms: 0,
        observed: &[],
    };
    machine.begin(context);
    for (name, value, part) in [
        ("__ip__", "x", "an IPv4 address"),
        ("__x__", "y", "gives no __x__"),
    ] {
        let values = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let error = machine
            .finish(context, 2, StepResult::Done(values))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error}");
    }
    let outside = BTreeMap::from([("__ip__".to_owned(), "10.0.0.2".to_owned())]);
    assert!(
        Machine::new(&playbook, &outside)
            .unwrap_err()
            .to_string()
            .contains("not from outside")
    );
}
