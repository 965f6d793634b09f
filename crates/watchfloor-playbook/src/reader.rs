//! Reading a document: every fault is named with its place.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::command::plain_or_base64;
use crate::drafts;
use crate::fault::Fault;
use crate::unit::step_extension;
use crate::variable::{check_value, is_uuid, is_variable_name};
use crate::{AgentTarget, Command, CommandKind, Playbook, Step, StepKind, Variable};

/// Largest document in bytes.
pub const BYTES_MAX: usize = 1024 * 1024;
/// Most steps.
const STEPS_MAX: usize = 500;
/// Most variables, agents and targets each.
const ENTRIES_MAX: usize = 500;
/// Deepest nesting of the document.
const DEPTH_MAX: usize = 60;
/// Rounds of a loop where the document does not say.
const ROUNDS_STANDARD: u32 = 100;
/// Most rounds that a document can ask for.
const ROUNDS_MAX: u32 = 10_000;
/// Longest delay and timeout: 90 days in milliseconds.
const TIME_MS_MAX: u64 = 90 * 24 * 3_600 * 1_000;
/// Most commands of a step.
const COMMANDS_MAX: usize = 50;

const STEP_KINDS: &str = "start, end, action, playbook-action, parallel, if-condition, while-condition, switch-condition";

/// Reads a playbook. It is there whenever the document is one at all, however many faults it
/// has, so that it can be drawn and mended.
pub fn read(bytes: &[u8]) -> (Option<Playbook>, Vec<Fault>) {
    let mut faults = Vec::new();
    if bytes.len() > BYTES_MAX {
        let message = format!("the document has {} bytes", bytes.len());
        faults.push(Fault::error(
            "too_large",
            "",
            message,
            format!("keep it below {BYTES_MAX} bytes"),
        ));
        return (None, faults);
    }
    let mut document: Value = match serde_json::from_slice(bytes) {
        Ok(document) => document,
        Err(error) => {
            let message = format!("it is no JSON: {error}");
            faults.push(Fault::error("no_json", "", message, "give one JSON object"));
            return (None, faults);
        }
    };
    if depth(&document) > DEPTH_MAX {
        faults.push(Fault::error(
            "too_deep",
            "",
            "it is nested too deeply",
            "flatten it",
        ));
        return (None, faults);
    }
    faults.extend(drafts::bring_over(&mut document));
    let Some(object) = document.as_object() else {
        faults.push(Fault::error(
            "no_object",
            "",
            "it is no JSON object",
            "give one JSON object",
        ));
        return (None, faults);
    };
    let mut reader = Reader { faults };
    let playbook = reader.playbook(object, &document);
    (playbook, reader.faults)
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 1,
    }
}

struct Reader {
    faults: Vec<Fault>,
}

fn text(object: &Map<String, Value>, name: &str) -> Option<String> {
    object.get(name)?.as_str().map(str::to_owned)
}

fn texts(object: &Map<String, Value>, name: &str) -> Vec<String> {
    let list = object.get(name).and_then(Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// A key as a part of a JSON pointer.
pub(crate) fn pointer(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// The first value of a variable; an object is kept as its JSON text.
fn first_value(variable: &Value) -> Option<String> {
    match variable.get("value") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    }
}

/// A number of our extension of steps.
fn bounded(object: &Map<String, Value>, name: &str, standard: u32, most: u32) -> u32 {
    let value = step_extension(object).and_then(|extension| extension.get(name));
    let number = value.and_then(Value::as_u64);
    number.map_or(standard, |number| {
        u32::try_from(number).unwrap_or(most).min(most)
    })
}

fn is_identifier(id: &str, kind: &str) -> bool {
    id.strip_prefix(kind)
        .and_then(|rest| rest.strip_prefix("--"))
        .is_some_and(is_uuid)
}

impl Reader {
    fn error(&mut self, code: &'static str, place: &str, message: String, mend: &str) {
        self.faults.push(Fault::error(code, place, message, mend));
    }

    fn playbook(&mut self, object: &Map<String, Value>, document: &Value) -> Option<Playbook> {
        if object.get("type").and_then(Value::as_str) != Some("playbook") {
            self.error(
                "no_playbook",
                "/type",
                "its type is not 'playbook'".to_owned(),
                "set type to 'playbook'",
            );
            return None;
        }
        self.head(object);
        let variables = self.variables(object.get("playbook_variables"), "/playbook_variables");
        let mut steps = BTreeMap::new();
        match object.get("workflow").and_then(Value::as_object) {
            Some(workflow) if workflow.len() > STEPS_MAX => {
                let message = format!("it has {} steps", workflow.len());
                self.error(
                    "too_many_steps",
                    "/workflow",
                    message,
                    "split it with playbook-action steps; 500 are the most",
                );
            }
            Some(workflow) => {
                for (id, value) in workflow {
                    if let Some(step) = self.step(id, value) {
                        steps.insert(id.clone(), step);
                    }
                }
            }
            None => self.error(
                "no_workflow",
                "/workflow",
                "it has no workflow".to_owned(),
                "add an object of steps by id",
            ),
        }
        let start = text(object, "workflow_start").unwrap_or_default();
        Some(Playbook {
            id: text(object, "id").unwrap_or_default(),
            name: text(object, "name").unwrap_or_default(),
            description: text(object, "description").unwrap_or_default(),
            modified: text(object, "modified").unwrap_or_default(),
            is_revoked: object
                .get("revoked")
                .and_then(Value::as_bool)
                .unwrap_or(false),
            valid_from: text(object, "valid_from"),
            valid_until: text(object, "valid_until"),
            variables,
            start,
            exception: text(object, "workflow_exception"),
            steps,
            agents: self.agents(object, "agent_definitions"),
            targets: self.agents(object, "target_definitions"),
            authentications: object
                .get("authentication_info_definitions")
                .and_then(Value::as_object)
                .map(|map| map.keys().cloned().collect())
                .unwrap_or_default(),
            document: document.clone(),
        })
    }

    fn head(&mut self, object: &Map<String, Value>) {
        let version = text(object, "spec_version").unwrap_or_default();
        if version != "cacao-2.0" {
            let message = format!("spec_version is '{version}'");
            self.error(
                "version",
                "/spec_version",
                message,
                "only 'cacao-2.0' is read; bring older playbooks to it",
            );
        }
        let id = text(object, "id").unwrap_or_default();
        if !is_identifier(&id, "playbook") {
            let message = format!("the id '{id}' is none of a playbook");
            self.error("id", "/id", message, "use 'playbook--' and a UUID");
        }
        if text(object, "name").is_none_or(|name| name.trim().is_empty()) {
            self.error(
                "name",
                "/name",
                "it has no name".to_owned(),
                "give it a name",
            );
        }
        for name in ["created", "modified", "valid_from", "valid_until"] {
            let place = format!("/{name}");
            match object.get(name) {
                None if matches!(name, "valid_from" | "valid_until") => {}
                None => self.error(
                    "time",
                    &place,
                    format!("{name} is missing"),
                    "give the time as in RFC 3339",
                ),
                Some(value) => {
                    let is_time = value
                        .as_str()
                        .is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok());
                    if !is_time {
                        self.error(
                            "time",
                            &place,
                            format!("{name} is no time"),
                            "give the time as in RFC 3339",
                        );
                    }
                }
            }
        }
        if text(object, "created_by").is_none() {
            self.faults.push(Fault::warning(
                "created_by",
                "/created_by",
                "it does not say who made it",
                "give the id of a STIX identity",
            ));
        }
        for name in ["priority", "severity", "impact"] {
            if let Some(value) = object.get(name)
                && value.as_u64().is_none_or(|number| number > 100)
            {
                self.error(
                    "range",
                    &format!("/{name}"),
                    format!("{name} is not from 0 to 100"),
                    "use a whole number from 0 to 100",
                );
            }
        }
    }

    fn variables(&mut self, value: Option<&Value>, place: &str) -> BTreeMap<String, Variable> {
        let mut found = BTreeMap::new();
        let Some(value) = value else {
            return found;
        };
        let Some(map) = value.as_object().filter(|map| map.len() <= ENTRIES_MAX) else {
            self.error(
                "variables",
                place,
                "the variables are no object, or too many".to_owned(),
                "give an object of at most 500 variables by name",
            );
            return found;
        };
        for (name, value) in map {
            let place = format!("{place}/{}", pointer(name));
            if !is_variable_name(name) {
                let message = format!("'{name}' is no name of a variable");
                self.error(
                    "variable_name",
                    &place,
                    message,
                    "use letters, digits, _ and - between two double underscores, such as __host__",
                );
                continue;
            }
            let Some(kind) = value.get("type").and_then(Value::as_str) else {
                self.error(
                    "variable_type",
                    &place,
                    format!("{name} has no type"),
                    "give a type such as 'string'",
                );
                continue;
            };
            let first = first_value(value);
            if let Some(first) = &first
                && !first.is_empty()
                && let Err(reason) = check_value(kind, first)
                && crate::names_in(first).is_empty()
            {
                self.error(
                    "variable_value",
                    &format!("{place}/value"),
                    format!("{name}: {reason}"),
                    "give a value of its type",
                );
            }
            let flag = |name: &str| value.get(name).and_then(Value::as_bool).unwrap_or(false);
            found.insert(
                name.clone(),
                Variable {
                    kind: kind.to_owned(),
                    description: value
                        .get("description")
                        .and_then(Value::as_str)
                        .unwrap_or_default()
                        .to_owned(),
                    value: first,
                    is_constant: flag("constant"),
                    is_external: flag("external"),
                },
            );
        }
        found
    }

    fn agents(
        &mut self,
        object: &Map<String, Value>,
        name: &'static str,
    ) -> BTreeMap<String, AgentTarget> {
        let mut found = BTreeMap::new();
        let Some(map) = object.get(name).and_then(Value::as_object) else {
            return found;
        };
        if map.len() > ENTRIES_MAX {
            self.error(
                "too_many",
                &format!("/{name}"),
                format!("there are {} of {name}", map.len()),
                "keep at most 500",
            );
            return found;
        }
        for (id, value) in map {
            let Some(value) = value.as_object() else {
                self.error(
                    "agent",
                    &format!("/{name}/{}", pointer(id)),
                    format!("{id} is no object"),
                    "give an object with type and name",
                );
                continue;
            };
            let addresses = value.get("address").and_then(Value::as_object);
            let addresses = addresses.into_iter().flatten().map(|(kind, list)| {
                let list = list.as_array().into_iter().flatten();
                let list =
                    list.map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned));
                (kind.clone(), list.collect())
            });
            found.insert(
                id.clone(),
                AgentTarget {
                    // Some exporters leave the type to the id.
                    kind: text(value, "type")
                        .unwrap_or_else(|| id.split("--").next().unwrap_or_default().to_owned()),
                    name: text(value, "name").unwrap_or_else(|| id.clone()),
                    addresses: addresses.collect(),
                    port: value.get("port").map(|port| {
                        port.as_str()
                            .map_or_else(|| port.to_string(), str::to_owned)
                    }),
                    authentication: text(value, "authentication_info"),
                },
            );
        }
        found
    }

    fn step(&mut self, id: &str, value: &Value) -> Option<Step> {
        let place = format!("/workflow/{}", pointer(id));
        let first = self.faults.len();
        let step = self.step_at(id, value, &place);
        for fault in self.faults.iter_mut().skip(first) {
            fault.step = Some(id.to_owned());
        }
        step
    }

    fn step_at(&mut self, id: &str, value: &Value, place: &str) -> Option<Step> {
        let Some(object) = value.as_object() else {
            self.error(
                "step",
                place,
                format!("step {id} is no object"),
                "give an object with a type",
            );
            return None;
        };
        let word = text(object, "type").unwrap_or_default();
        let Some(kind) = self.kind(&word, object, place) else {
            let message = format!("step {id} is of type '{word}', which is none of CACAO 2.0");
            self.error(
                "unknown_step",
                &format!("{place}/type"),
                message,
                &format!("use one of: {STEP_KINDS}"),
            );
            return None;
        };
        if !is_identifier(id, &word) {
            let message = format!("the id {id} does not begin with '{word}--' and end with a UUID");
            self.faults.push(Fault::warning(
                "step_id",
                place,
                message,
                "rename it, if others are to read the playbook",
            ));
        }
        let mut time = |name: &str| {
            let value = object.get(name)?;
            let found = value.as_u64().filter(|ms| *ms <= TIME_MS_MAX);
            if found.is_none() {
                self.error(
                    "time_ms",
                    &format!("{place}/{name}"),
                    format!("{name} is no time in milliseconds"),
                    "use a whole number up to 90 days",
                );
            }
            found
        };
        let delay_ms = time("delay").unwrap_or(0);
        let timeout_ms = time("timeout").filter(|ms| *ms > 0);
        let variables = self.variables(
            object.get("step_variables"),
            &format!("{place}/step_variables"),
        );
        Some(Step {
            id: id.to_owned(),
            name: text(object, "name")
                .filter(|name| !name.trim().is_empty())
                .unwrap_or_else(|| word.clone()),
            description: text(object, "description").unwrap_or_default(),
            kind,
            delay_ms,
            timeout_ms,
            variables,
            on_completion: text(object, "on_completion"),
            on_success: text(object, "on_success"),
            on_failure: text(object, "on_failure"),
            rounds_max: bounded(object, "rounds_max", ROUNDS_STANDARD, ROUNDS_MAX),
            retries: bounded(object, "retries", 0, 20),
            retry_wait_s: bounded(object, "retry_wait_s", 10, 24 * 3_600),
        })
    }

    fn kind(&mut self, word: &str, object: &Map<String, Value>, place: &str) -> Option<StepKind> {
        let own = |name: &str| text(object, name).unwrap_or_default();
        Some(match word {
            "start" => StepKind::Start,
            "end" => StepKind::End,
            "action" => StepKind::Action {
                commands: self.commands(object, place),
                agent: text(object, "agent"),
                targets: texts(object, "targets"),
                out_args: texts(object, "out_args"),
            },
            "playbook-action" => StepKind::PlaybookAction {
                playbook_id: own("playbook_id"),
                playbook_version: text(object, "playbook_version"),
                in_args: texts(object, "in_args"),
                out_args: texts(object, "out_args"),
            },
            "parallel" => StepKind::Parallel {
                next_steps: texts(object, "next_steps"),
            },
            "if-condition" => StepKind::If {
                condition: own("condition"),
                on_true: own("on_true"),
                on_false: text(object, "on_false"),
            },
            "while-condition" => StepKind::While {
                condition: own("condition"),
                on_true: own("on_true"),
            },
            "switch-condition" => {
                let cases = object.get("cases").and_then(Value::as_object);
                let cases = cases
                    .into_iter()
                    .flatten()
                    .filter_map(|(value, step)| Some((value.clone(), step.as_str()?.to_owned())));
                StepKind::Switch {
                    switch: own("switch"),
                    cases: cases.collect(),
                }
            }
            _ => return None,
        })
    }

    fn commands(&mut self, object: &Map<String, Value>, place: &str) -> Vec<Command> {
        let list = object.get("commands").and_then(Value::as_array);
        let list: Vec<&Value> = list.into_iter().flatten().collect();
        if list.len() > COMMANDS_MAX {
            self.error(
                "commands",
                &format!("{place}/commands"),
                format!("there are {} commands", list.len()),
                "keep at most 50 in a step",
            );
        }
        let mut found = Vec::new();
        for (index, value) in list.into_iter().take(COMMANDS_MAX).enumerate() {
            let Some(word) = value.get("type").and_then(Value::as_str) else {
                self.error(
                    "command",
                    &format!("{place}/commands/{index}"),
                    "the command has no type".to_owned(),
                    "give a type such as 'manual'",
                );
                continue;
            };
            found.push(Command {
                kind: CommandKind::parse(word),
                word: word.to_owned(),
                description: value
                    .get("description")
                    .and_then(Value::as_str)
                    .unwrap_or_default()
                    .to_owned(),
                text: plain_or_base64(value, "command", "command_b64").unwrap_or_default(),
                raw: value.clone(),
            });
        }
        found
    }
}
