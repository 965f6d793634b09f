//! What is wrong with a playbook that can be read: references that lead nowhere, loops without
//! end, variables that nobody declares, actions with wrong arguments.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use watchfloor_model::{ArgumentValue, check_arguments};

use crate::fault::Fault;
use crate::reader::pointer;
use crate::{Condition, Playbook, Step, StepKind, UnitKind, names_in, units_of};

/// Deepest chain of playbooks that call each other.
const CALLS_MAX: usize = 10;

/// Checks a playbook that was read.
pub fn check(playbook: &Playbook) -> Vec<Fault> {
    let mut faults = Vec::new();
    check_ends(playbook, &mut faults);
    for step in playbook.steps.values() {
        let first = faults.len();
        check_references(playbook, step, &mut faults);
        check_kind(playbook, step, &mut faults);
        check_names(playbook, step, &mut faults);
        check_units(playbook, step, &mut faults);
        for fault in faults.iter_mut().skip(first) {
            fault.step = Some(step.id.clone());
        }
    }
    faults.extend(loop_fault(playbook));
    check_reach(playbook, &mut faults);
    check_authentications(playbook, &mut faults);
    faults
}

fn place(step: &Step) -> String {
    format!("/workflow/{}", pointer(&step.id))
}

fn check_ends(playbook: &Playbook, faults: &mut Vec<Fault>) {
    match playbook.steps.get(&playbook.start).map(|step| &step.kind) {
        Some(StepKind::Start) => {}
        Some(_) => faults.push(Fault::warning(
            "start",
            "/workflow_start",
            "the first step is no start step",
            "let workflow_start name a step of type start",
        )),
        None => faults.push(Fault::error(
            "start",
            "/workflow_start",
            format!("the first step '{}' is not in the workflow", playbook.start),
            "let workflow_start name a step of type start",
        )),
    }
    if let Some(exception) = &playbook.exception
        && !playbook.steps.contains_key(exception)
    {
        faults.push(Fault::error(
            "missing_step",
            "/workflow_exception",
            format!("step {exception} is not in the workflow"),
            "name a step of the workflow, or leave it out",
        ));
    }
    if !playbook
        .steps
        .values()
        .any(|step| step.kind == StepKind::End)
    {
        faults.push(Fault::error(
            "no_end",
            "/workflow",
            "it has no end step",
            "add a step of type end",
        ));
    }
}

fn check_references(playbook: &Playbook, step: &Step, faults: &mut Vec<Fault>) {
    let followers = step
        .followers()
        .into_iter()
        .map(|(name, to)| (name.to_owned(), to));
    for (name, to) in followers.chain(step.branches()) {
        if !playbook.steps.contains_key(to) {
            faults.push(Fault::error(
                "missing_step",
                format!("{}/{name}", place(step)),
                format!("step {to} is not in the workflow"),
                "add the step, or name another",
            ));
        }
    }
    let mut bad = |name: &str, message: &str, mend: &str| {
        faults.push(Fault::error(
            "next",
            format!("{}/{name}", place(step)),
            message,
            mend,
        ));
    };
    if step.on_completion.is_some() && (step.on_success.is_some() || step.on_failure.is_some()) {
        bad(
            "on_completion",
            "on_completion stands beside on_success or on_failure",
            "keep either on_completion, or the two others",
        );
    }
    match step.kind {
        StepKind::End if !step.followers().is_empty() => {
            bad(
                "on_completion",
                "an end step has no step after it",
                "remove it",
            );
        }
        StepKind::Start if step.on_completion.is_none() => {
            bad(
                "on_completion",
                "the start step leads nowhere",
                "name the step after it",
            );
        }
        StepKind::Start if step.on_success.is_some() || step.on_failure.is_some() => {
            bad(
                "on_success",
                "a start step has only on_completion",
                "use on_completion",
            );
        }
        _ => {}
    }
}

fn check_kind(playbook: &Playbook, step: &Step, faults: &mut Vec<Fault>) {
    let mut bad = |code, name: &str, message: &str, mend: &str| {
        let place = format!("{}/{name}", place(step));
        faults.push(Fault::error(code, place, message, mend));
    };
    match &step.kind {
        StepKind::Action { .. } => check_action(playbook, step, faults),
        StepKind::If { .. } | StepKind::While { .. } => check_condition(playbook, step, faults),
        StepKind::PlaybookAction { playbook_id, .. } if playbook_id.is_empty() => {
            bad(
                "missing_playbook",
                "playbook_id",
                "it names no playbook",
                "name one",
            );
        }
        StepKind::PlaybookAction { playbook_id, .. } if *playbook_id == playbook.id => bad(
            "playbook_cycle",
            "playbook_id",
            "the playbook calls itself",
            "use a while-condition step",
        ),
        StepKind::Parallel { next_steps } if next_steps.is_empty() => bad(
            "no_branches",
            "next_steps",
            "it has no branches",
            "name their first steps",
        ),
        StepKind::Switch { switch, cases } => {
            faults.extend(switch_fault(step, switch, cases));
        }
        StepKind::Start
        | StepKind::End
        | StepKind::PlaybookAction { .. }
        | StepKind::Parallel { .. } => {}
    }
}

/// A switch without a variable goes the same way each time; where it has a default, that is a way.
fn switch_fault(step: &Step, switch: &str, cases: &BTreeMap<String, String>) -> Option<Fault> {
    let at = |name: &str| format!("{}/{name}", place(step));
    if cases.is_empty() {
        return Some(Fault::error(
            "no_branches",
            at("cases"),
            "it has no cases",
            "add cases by value; default is the one for all others",
        ));
    }
    if !names_in(switch).is_empty() {
        return None;
    }
    let make = match cases.contains_key("default") {
        true => Fault::warning,
        false => Fault::error,
    };
    Some(make(
        "switch",
        at("switch"),
        format!("'{switch}' uses no variable, so that it goes the same way each time"),
        "write a variable such as __severity__:value",
    ))
}

fn check_action(playbook: &Playbook, step: &Step, faults: &mut Vec<Fault>) {
    let StepKind::Action {
        commands,
        agent,
        targets,
        ..
    } = &step.kind
    else {
        return;
    };
    let agents = agent.iter().map(|id| ("agent", id, &playbook.agents));
    let targets = targets.iter().map(|id| ("targets", id, &playbook.targets));
    for (name, id, known) in agents.chain(targets) {
        if !known.contains_key(id) {
            faults.push(Fault::error(
                "missing_agent",
                format!("{}/{name}", place(step)),
                format!("{id} is not defined"),
                "define it, or name another",
            ));
        }
    }
    if commands.is_empty() {
        faults.push(Fault::warning(
            "no_commands",
            format!("{}/commands", place(step)),
            "it has no commands, so that a person does it",
            "add a command; 'manual' is the one for a person",
        ));
    }
}

fn check_condition(playbook: &Playbook, step: &Step, faults: &mut Vec<Fault>) {
    let (StepKind::If { condition, .. } | StepKind::While { condition, .. }) = &step.kind else {
        return;
    };
    let is_loop = matches!(step.kind, StepKind::While { .. });
    let (code, message, mend) = match Condition::parse(condition) {
        Ok(parsed) => match never_ends(playbook, &parsed).filter(|_| is_loop) {
            Some(message) => (
                "endless_loop",
                message,
                "let a step of the loop set a variable of the condition",
            ),
            None => return,
        },
        Err(error) => (
            "condition",
            format!("the condition cannot be read: {error}"),
            "write a comparison such as __severity__:value = 'high'",
        ),
    };
    let place = format!("{}/condition", place(step));
    faults.push(Fault::error(code, place, message, mend));
}

/// A loop whose condition rests on nothing that a step sets, and holds, has no end.
fn never_ends(playbook: &Playbook, condition: &Condition) -> Option<String> {
    let set = assigned(playbook);
    let names = condition.names();
    let is_fixed = |name: &String| {
        let variable = playbook.variables.get(name);
        variable.is_some_and(|variable| {
            !set.contains(name) && (variable.is_constant || !variable.is_external)
        })
    };
    if !names.iter().all(is_fixed) {
        return None;
    }
    let facts = crate::Facts {
        value_of: &|name| playbook.variables.get(name)?.value.clone(),
        observed: &[],
    };
    condition
        .holds(&facts)
        .is_ok_and(|holds| holds)
        .then(|| "the condition always holds, so that the loop has no end".to_owned())
}

/// Names of the variables that any step sets.
pub(crate) fn assigned(playbook: &Playbook) -> BTreeSet<String> {
    playbook
        .steps
        .values()
        .flat_map(|step| match &step.kind {
            StepKind::Action { out_args, .. } | StepKind::PlaybookAction { out_args, .. } => {
                out_args.clone()
            }
            _ => Vec::new(),
        })
        .map(|name| name.trim_end_matches(":value").to_owned())
        .collect()
}

fn check_names(playbook: &Playbook, step: &Step, faults: &mut Vec<Fault>) {
    let declared =
        |name: &str| step.variables.contains_key(name) || playbook.variables.contains_key(name);
    let mut used: BTreeMap<String, String> = BTreeMap::new();
    let object = playbook.document.pointer(&place(step));
    if let Some(object) = object {
        gather_names(object, &place(step), &mut used);
    }
    let (in_args, out_args): (&[String], &[String]) = match &step.kind {
        StepKind::Action { out_args, .. } => (&[], out_args),
        StepKind::PlaybookAction {
            in_args, out_args, ..
        } => (in_args, out_args),
        _ => (&[], &[]),
    };
    for name in in_args.iter().chain(out_args) {
        let name = name.trim_end_matches(":value").to_owned();
        used.entry(name).or_insert_with(|| place(step));
    }
    for (name, place) in &used {
        if !declared(name) {
            faults.push(Fault::error(
                "missing_variable",
                place.clone(),
                format!("variable {name} is used and not declared"),
                "declare it in playbook_variables or step_variables",
            ));
        }
    }
    for name in out_args {
        let name = name.trim_end_matches(":value");
        let variable = step
            .variables
            .get(name)
            .or_else(|| playbook.variables.get(name));
        if variable.is_some_and(|variable| variable.is_constant) {
            faults.push(Fault::error(
                "constant",
                format!("{}/out_args", place(step)),
                format!("{name} is a constant and would be set"),
                "leave it out of out_args, or let it be no constant",
            ));
        }
    }
}

/// Names used in any text of a value, with the place of each.
fn gather_names(value: &Value, at: &str, used: &mut BTreeMap<String, String>) {
    match value {
        Value::String(text) => {
            for name in names_in(text) {
                used.entry(name).or_insert_with(|| at.to_owned());
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                gather_names(item, &format!("{at}/{index}"), used);
            }
        }
        Value::Object(map) => {
            for (key, value) in map {
                gather_names(value, &format!("{at}/{}", pointer(key)), used);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Arguments of actions that use no variable are checked now, the others when their time comes.
fn check_units(playbook: &Playbook, step: &Step, faults: &mut Vec<Fault>) {
    for unit in units_of(playbook, step) {
        let place = format!("{}/commands/{}", place(step), unit.command);
        match unit.kind {
            UnitKind::Native(command) => {
                let uses = |value: &ArgumentValue| {
                    value.items().iter().any(|text| !names_in(text).is_empty())
                };
                let is_plain = !command.arguments.values().any(uses);
                if is_plain && let Err(fault) = check_arguments(command.kind, &command.arguments) {
                    faults.push(Fault::error(
                        "argument",
                        format!("{place}/arguments"),
                        fault.to_string(),
                        "mend the argument",
                    ));
                } else if !is_plain
                    && let Err(fault) = check_arguments(command.kind, &command.arguments)
                    && (fault.reason.contains("does not know it")
                        || fault.reason.contains("is missing"))
                {
                    faults.push(Fault::error(
                        "argument",
                        format!("{place}/arguments"),
                        fault.to_string(),
                        "mend the argument",
                    ));
                }
            }
            UnitKind::Person { why: Some(why), .. } => {
                let is_ours = why.contains("none of the actions");
                let mend = "use a connector, or let a person do it with a 'manual' command";
                let fault = if is_ours {
                    Fault::error(
                        "unknown_action",
                        place,
                        why,
                        "name one of the actions, such as isolate_host",
                    )
                } else {
                    Fault::warning(
                        "by_hand",
                        place,
                        format!("a person must do this: {why}"),
                        mend,
                    )
                };
                faults.push(fault);
            }
            UnitKind::Person { why: None, .. } => {}
        }
    }
}

/// Steps that follow each other in a circle without a while step have no end.
fn loop_fault(playbook: &Playbook) -> Option<Fault> {
    // What leads on without a condition that could end it: followers, and branches of all but
    // while steps, whose own rounds are counted.
    let next = |step: &Step| -> Vec<String> {
        let followers = step.followers().into_iter().map(|(_, to)| to.to_owned());
        let branches = step.branches().into_iter().map(|(_, to)| to.to_owned());
        followers.chain(branches).collect()
    };
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in playbook.steps.keys() {
        let mut path: Vec<(&str, Vec<String>)> = Vec::new();
        let mut at = Some(start.as_str());
        while let Some(id) = at {
            if let Some(from) = path.iter().position(|(known, _)| *known == id) {
                let circle: Vec<&str> = path.iter().skip(from).map(|(id, _)| *id).collect();
                let names: Vec<&str> = circle
                    .iter()
                    .filter_map(|id| playbook.steps.get(*id))
                    .map(|step| step.name.as_str())
                    .collect();
                let message = format!(
                    "the steps {} follow each other without end",
                    names.join(" → ")
                );
                let mend = "use a while-condition step, or let one of them lead to an end step";
                return Some(
                    Fault::error(
                        "endless_loop",
                        format!("/workflow/{}", pointer(id)),
                        message,
                        mend,
                    )
                    .at_step(id),
                );
            }
            if !done.contains(id)
                && let Some(step) = playbook.steps.get(id)
            {
                path.push((step.id.as_str(), next(step)));
            }
            at = loop {
                let Some((known, rest)) = path.last_mut() else {
                    break None;
                };
                match rest.pop().and_then(|to| playbook.steps.get_key_value(&to)) {
                    Some((to, _)) => break Some(to.as_str()),
                    None if rest.is_empty() => {
                        done.insert(known);
                        path.pop();
                    }
                    None => {}
                }
            };
        }
    }
    None
}

fn check_reach(playbook: &Playbook, faults: &mut Vec<Fault>) {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut open: Vec<&str> = vec![&playbook.start];
    open.extend(playbook.exception.as_deref());
    while let Some(id) = open.pop() {
        let Some(step) = playbook.steps.get(id).filter(|step| seen.insert(&step.id)) else {
            continue;
        };
        open.extend(step.followers().into_iter().map(|(_, to)| to));
        open.extend(step.branches().into_iter().map(|(_, to)| to));
    }
    for step in playbook
        .steps
        .values()
        .filter(|step| !seen.contains(step.id.as_str()))
    {
        faults.push(
            Fault::warning(
                "unreachable",
                place(step),
                format!("no step leads to '{}'", step.name),
                "connect it, or remove it",
            )
            .at_step(&step.id),
        );
    }
}

fn check_authentications(playbook: &Playbook, faults: &mut Vec<Fault>) {
    let lists = [
        ("agent_definitions", &playbook.agents),
        ("target_definitions", &playbook.targets),
    ];
    for (list, known) in lists {
        for (id, one) in known {
            if let Some(name) = &one.authentication
                && !playbook.authentications.contains(name)
            {
                faults.push(Fault::error(
                    "missing_authentication",
                    format!("/{list}/{}/authentication_info", pointer(id)),
                    format!("{name} is not defined"),
                    "define it in authentication_info_definitions",
                ));
            }
        }
    }
}

/// Follows the calls of a playbook through others: a call to a playbook that is not there, and a
/// chain that comes back or is too long, are faults.
pub fn call_faults(playbook: &Playbook, known: &dyn Fn(&str) -> Option<Vec<String>>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for step in playbook.steps.values() {
        let StepKind::PlaybookAction { playbook_id, .. } = &step.kind else {
            continue;
        };
        let mut chain = vec![playbook.id.clone()];
        if let Some((code, message)) = call_fault(playbook_id, known, &mut chain) {
            let mend = match code {
                "playbook_cycle" => "let one of them not call the other",
                "missing_playbook" => "import it, or name another",
                _ => "call fewer playbooks in a row",
            };
            faults.push(
                Fault::error(code, format!("{}/playbook_id", place(step)), message, mend)
                    .at_step(&step.id),
            );
        }
    }
    faults
}

fn call_fault(
    id: &str,
    known: &dyn Fn(&str) -> Option<Vec<String>>,
    chain: &mut Vec<String>,
) -> Option<(&'static str, String)> {
    if chain.iter().any(|one| one == id) {
        chain.push(id.to_owned());
        return Some((
            "playbook_cycle",
            format!(
                "playbooks call each other in a circle: {}",
                chain.join(" → ")
            ),
        ));
    }
    if chain.len() > CALLS_MAX {
        return Some((
            "calls_too_deep",
            format!("more than {CALLS_MAX} playbooks call each other in a row"),
        ));
    }
    let Some(calls) = known(id) else {
        return Some(("missing_playbook", format!("playbook {id} is not here")));
    };
    chain.push(id.to_owned());
    let found = calls.iter().find_map(|call| call_fault(call, known, chain));
    chain.pop();
    found
}
