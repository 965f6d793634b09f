//! What an action step really does: one unit per command, or per command and target.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use watchfloor_model::{ActionKind, ArgumentKind, ArgumentValue};

use crate::command::plain_or_base64;
use crate::variable::fill;
use crate::{AgentTarget, Command, CommandKind, Playbook, Step, StepKind};

/// Word of our commands in the open vocabulary of command types.
pub const WATCHFLOOR_COMMAND: &str = "watchfloor-action";
/// Id of our extension of steps: `rounds_max`, `retries`, `retry_wait_s`.
pub const WATCHFLOOR_EXTENSION: &str = "extension-definition--5b7c9a1e-0d6f-4b7e-9d43-6a1f0c2e8b90";

/// Our extension of a step.
pub(crate) fn step_extension(object: &Map<String, Value>) -> Option<&Value> {
    object.get("step_extensions")?.get(WATCHFLOOR_EXTENSION)
}

/// An action with texts that may use variables.
#[derive(Clone, Debug, PartialEq)]
pub struct NativeCommand {
    /// Which.
    pub kind: ActionKind,
    /// With what.
    pub arguments: BTreeMap<String, ArgumentValue>,
    /// Undone after so many seconds.
    pub time_limit_s: Option<u32>,
    /// Name of the connector; whichever serves it without.
    pub connector: Option<String>,
    /// What a person reads where no connector serves it.
    pub by_hand: String,
}

/// What a unit does.
#[derive(Clone, Debug, PartialEq)]
pub enum UnitKind {
    /// An action of the closed list.
    Native(NativeCommand),
    /// A person does it.
    Person {
        /// What to do.
        text: String,
        /// Why a person, where the playbook did not ask for one.
        why: Option<String>,
    },
}

/// A piece of work of a step.
#[derive(Clone, Debug, PartialEq)]
pub struct Unit {
    /// Number of the command, from 0.
    pub command: usize,
    /// What it does.
    pub kind: UnitKind,
}

/// The units of a step, in their order.
pub fn units_of(playbook: &Playbook, step: &Step) -> Vec<Unit> {
    let StepKind::Action {
        commands,
        agent,
        targets,
        ..
    } = &step.kind
    else {
        return Vec::new();
    };
    let agent = agent.as_ref().and_then(|id| playbook.agents.get(id));
    let targets: Vec<&AgentTarget> = targets
        .iter()
        .filter_map(|id| playbook.targets.get(id))
        .collect();
    if commands.is_empty() {
        let why = "the step has no commands".to_owned();
        return vec![Unit {
            command: 0,
            kind: person(step, "", Some(why)),
        }];
    }
    let mut units = Vec::new();
    for (index, command) in commands.iter().enumerate() {
        let mut push = |kind| {
            units.push(Unit {
                command: index,
                kind,
            })
        };
        match command.kind {
            CommandKind::Watchfloor => native(step, command, &targets, &mut push),
            CommandKind::HttpApi | CommandKind::Openc2Http => {
                push(request(step, command, agent, &targets));
            }
            CommandKind::Manual => push(person(step, shown(command), None)),
            CommandKind::Bash | CommandKind::Powershell | CommandKind::Ssh => {
                let why = format!("lines for a shell ({}) are never run", command.word);
                push(person(step, shown(command), Some(why)));
            }
            CommandKind::CalderaCmd
            | CommandKind::Elastic
            | CommandKind::Jupyter
            | CommandKind::Kestrel
            | CommandKind::Sigma
            | CommandKind::Yara
            | CommandKind::Other => {
                let why = format!("no connector serves '{}' commands", command.word);
                push(person(step, shown(command), Some(why)));
            }
        }
    }
    units
}

fn shown(command: &Command) -> &str {
    if command.text.is_empty() {
        &command.description
    } else {
        &command.text
    }
}

fn person(step: &Step, text: &str, why: Option<String>) -> UnitKind {
    let parts = [step.name.as_str(), step.description.as_str(), text];
    let mut lines: Vec<&str> = Vec::new();
    for part in parts {
        if !part.trim().is_empty() && !lines.contains(&part) {
            lines.push(part);
        }
    }
    UnitKind::Person {
        text: lines.join("\n"),
        why,
    }
}

/// An action, or one per target where the argument that names whom it is done to is left out.
fn native(
    step: &Step,
    command: &Command,
    targets: &[&AgentTarget],
    push: &mut impl FnMut(UnitKind),
) {
    let Some(kind) = ActionKind::parse(command.text.trim()) else {
        let why = format!("'{}' is none of the actions", command.text);
        return push(person(step, shown(command), Some(why)));
    };
    let mut arguments = BTreeMap::new();
    let given = command.raw.get("arguments").and_then(Value::as_object);
    for (name, value) in given.into_iter().flatten() {
        let value = match value {
            Value::String(text) => ArgumentValue::One(text.clone()),
            Value::Array(list) => {
                let list = list.iter();
                ArgumentValue::Many(
                    list.map(|one| one.as_str().map_or_else(|| one.to_string(), str::to_owned))
                        .collect(),
                )
            }
            other => ArgumentValue::One(other.to_string()),
        };
        arguments.insert(name.clone(), value);
    }
    let command = NativeCommand {
        kind,
        arguments,
        time_limit_s: command
            .raw
            .get("time_limit_s")
            .and_then(Value::as_u64)
            .and_then(|seconds| u32::try_from(seconds).ok()),
        connector: command
            .raw
            .get("connector")
            .and_then(Value::as_str)
            .map(str::to_owned),
        by_hand: format!("{}: {}", step.name, kind.in_words()),
    };
    let target = kind.target_argument();
    if command.arguments.contains_key(target) || targets.is_empty() {
        return push(UnitKind::Native(command));
    }
    for one in targets {
        let mut command = command.clone();
        command.arguments.insert(
            target.to_owned(),
            ArgumentValue::One(one.label().to_owned()),
        );
        push(UnitKind::Native(command));
    }
}

/// A request to the HTTP API of the first target that has one, or of the agent.
fn request(
    step: &Step,
    command: &Command,
    agent: Option<&AgentTarget>,
    targets: &[&AgentTarget],
) -> UnitKind {
    let hand = |why: &str| person(step, shown(command), Some(why.to_owned()));
    let mut words = command.text.split_whitespace();
    let (Some(method), Some(path)) = (words.next(), words.next()) else {
        return hand("the command is no start line such as 'GET /path HTTP/1.1'");
    };
    let api = targets
        .iter()
        .copied()
        .chain(agent)
        .find(|one| one.kind == "http-api");
    let is_whole = path.starts_with("http://") || path.starts_with("https://");
    let url = match api.and_then(AgentTarget::base_url) {
        _ if is_whole => path.to_owned(),
        Some(base) => format!("{base}/{}", path.trim_start_matches('/')),
        None => return hand("neither a target nor the agent has the address of an HTTP API"),
    };
    let mut arguments = BTreeMap::from([
        (
            "method".to_owned(),
            ArgumentValue::One(method.to_ascii_uppercase()),
        ),
        ("url".to_owned(), ArgumentValue::One(url)),
    ]);
    let headers = command.raw.get("headers").and_then(Value::as_object);
    let lines: Vec<String> = headers
        .into_iter()
        .flatten()
        .flat_map(|(name, values)| {
            let list = match values {
                Value::Array(list) => list.clone(),
                other => vec![other.clone()],
            };
            list.into_iter()
                .filter_map(move |value| Some(format!("{name}: {}", value.as_str()?)))
        })
        .collect();
    if !lines.is_empty() {
        arguments.insert("headers".to_owned(), ArgumentValue::Many(lines));
    }
    if let Some(body) = plain_or_base64(&command.raw, "content", "content_b64") {
        arguments.insert("body".to_owned(), ArgumentValue::One(body));
    }
    UnitKind::Native(NativeCommand {
        kind: ActionKind::HttpRequest,
        arguments,
        time_limit_s: None,
        connector: None,
        by_hand: format!("{}: {}", step.name, command.text),
    })
}

impl NativeCommand {
    /// Its arguments with the values of variables. A value fills exactly the argument that it
    /// stands in: in a URL it is encoded, in a JSON body it stays within its string.
    ///
    /// # Errors
    /// Which variable has no value.
    pub fn filled(
        &self,
        value_of: &dyn Fn(&str) -> Option<String>,
    ) -> Result<BTreeMap<String, ArgumentValue>, String> {
        let specs = self.kind.arguments();
        let mut out = BTreeMap::new();
        for (name, value) in &self.arguments {
            let spec = specs.iter().find(|spec| spec.name == name);
            let one = |text: &String| match spec.map(|spec| spec.kind) {
                Some(ArgumentKind::Url) => fill_url(text, value_of),
                Some(ArgumentKind::Text) if self.kind == ActionKind::HttpRequest => {
                    fill_body(text, value_of)
                }
                Some(_) | None => fill(text, value_of),
            };
            let value = match value {
                ArgumentValue::One(text) => ArgumentValue::One(one(text)?),
                ArgumentValue::Many(list) => {
                    ArgumentValue::Many(list.iter().map(one).collect::<Result<_, _>>()?)
                }
            };
            out.insert(name.clone(), value);
        }
        Ok(out)
    }
}

/// Before the path a value is as it is (a base address may be a variable); in path and query it
/// is encoded.
fn fill_url(text: &str, value_of: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let scheme_end = text.find("://").map_or(0, |at| at + 3);
    let path_at = text
        .get(scheme_end..)
        .and_then(|rest| rest.find('/'))
        .map_or(text.len(), |at| scheme_end + at);
    let (base, path) = text.split_at_checked(path_at).unwrap_or((text, ""));
    let path = fill(path, |name| {
        value_of(name).map(|value| percent_encoded(&value))
    })?;
    Ok(fill(base, value_of)? + &path)
}

fn percent_encoded(value: &str) -> String {
    let mut out = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn fill_body(text: &str, value_of: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    match serde_json::from_str::<Value>(text) {
        Ok(mut json) => {
            fill_json(&mut json, value_of)?;
            Ok(json.to_string())
        }
        Err(_) => fill(text, value_of),
    }
}

fn fill_json(json: &mut Value, value_of: &dyn Fn(&str) -> Option<String>) -> Result<(), String> {
    match json {
        Value::String(text) => *text = fill(text, value_of)?,
        Value::Array(items) => {
            for item in items {
                fill_json(item, value_of)?;
            }
        }
        Value::Object(map) => {
            for value in map.values_mut() {
                fill_json(value, value_of)?;
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
    Ok(())
}
