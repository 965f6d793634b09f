//! What a run would do, as far as it can be known before it is begun.

use std::collections::{BTreeMap, BTreeSet};

use watchfloor_model::{ActionKind, ArgumentValue, EntityKind};

use crate::check::assigned;
use crate::{Condition, Facts, Playbook, Step, StepKind, UnitKind, fill, units_of};

/// Most steps that are listed.
const STEPS_MAX: usize = 1_000;

/// A step as it would go.
#[derive(Clone, Debug, PartialEq)]
pub struct RehearsedStep {
    /// Its id.
    pub step: String,
    /// Its name.
    pub name: String,
    /// Its kind in CACAO's words.
    pub kind: &'static str,
    /// Whether it is certain that it is reached.
    pub is_certain: bool,
    /// In words: what is decided, waited for or called.
    pub detail: String,
    /// What it does outside, or asks of a person.
    pub does: Vec<Rehearsed>,
}

/// A piece of work as it would be done.
#[derive(Clone, Debug, PartialEq)]
pub enum Rehearsed {
    /// An action.
    Action {
        /// Which.
        kind: ActionKind,
        /// With what; texts may still name variables that have no value yet.
        arguments: BTreeMap<String, ArgumentValue>,
        /// Undone after so many seconds.
        time_limit_s: Option<u32>,
        /// Name of the connector.
        connector: Option<String>,
        /// Why the arguments are not known yet.
        unknown: Option<String>,
    },
    /// A person does it.
    Person {
        /// What.
        text: String,
        /// Why a person, where the playbook did not ask for one.
        why: Option<String>,
    },
}

/// Walks through a playbook without doing anything. Where a condition rests on what is known,
/// only the branch that would be taken is listed; otherwise both are, as uncertain.
pub fn rehearse(
    playbook: &Playbook,
    inputs: &BTreeMap<String, String>,
    observed: &[(EntityKind, String)],
) -> Vec<RehearsedStep> {
    let mut walk = Walk {
        playbook,
        inputs,
        observed,
        changing: assigned(playbook),
        seen: BTreeSet::new(),
        steps: Vec::new(),
    };
    walk.from(&playbook.start, true);
    if let Some(exception) = &playbook.exception {
        walk.from(exception, false);
    }
    walk.steps
}

fn wait_words(step: &Step) -> String {
    match step.delay_ms {
        0 => String::new(),
        ms => format!("waits {} s first", ms.div_ceil(1_000)),
    }
}

struct Walk<'p> {
    playbook: &'p Playbook,
    inputs: &'p BTreeMap<String, String>,
    observed: &'p [(EntityKind, String)],
    /// Variables that steps set: their values are not known before.
    changing: BTreeSet<String>,
    seen: BTreeSet<&'p str>,
    steps: Vec<RehearsedStep>,
}

impl<'p> Walk<'p> {
    fn from(&mut self, first: &'p str, is_certain: bool) {
        // Depth first, in the order in which a run would go.
        let mut open = vec![(first, is_certain)];
        while let Some((id, is_certain)) = open.pop() {
            let Some(step) = self.playbook.steps.get(id) else {
                continue;
            };
            if self.steps.len() >= STEPS_MAX || !self.seen.insert(&step.id) {
                continue;
            }
            let (detail, branches) = self.look(step, is_certain);
            let does = self.does(step);
            self.steps.push(RehearsedStep {
                step: step.id.clone(),
                name: step.name.clone(),
                kind: step.kind.as_str(),
                is_certain,
                detail,
                does,
            });
            let next = step.on_success.as_deref().or(step.on_completion.as_deref());
            open.extend(step.on_failure.as_deref().map(|next| (next, false)));
            open.extend(next.map(|next| (next, is_certain)));
            open.extend(branches.into_iter().rev());
        }
    }

    fn value(&self, step: &Step, name: &str) -> Option<String> {
        if self.changing.contains(name) {
            return None;
        }
        if let Some(local) = step.variables.get(name) {
            return local.value.clone();
        }
        let given = self.inputs.get(name).cloned();
        given.or_else(|| self.playbook.variables.get(name)?.value.clone())
    }

    fn verdict(&self, step: &Step, condition: &str) -> Result<bool, String> {
        let facts = Facts {
            value_of: &|name| self.value(step, name),
            observed: self.observed,
        };
        Condition::parse(condition)
            .and_then(|condition| condition.holds(&facts))
            .map_err(|error| error.to_string())
    }

    fn look(&self, step: &'p Step, is_certain: bool) -> (String, Vec<(&'p str, bool)>) {
        let verdict = |condition: &str| self.verdict(step, condition);
        match &step.kind {
            StepKind::If {
                condition,
                on_true,
                on_false,
            } => {
                let on_false = on_false.as_deref();
                match verdict(condition) {
                    Ok(true) => (
                        "the condition holds".to_owned(),
                        vec![(on_true, is_certain)],
                    ),
                    Ok(false) => (
                        "the condition does not hold".to_owned(),
                        on_false
                            .map(|step| (step, is_certain))
                            .into_iter()
                            .collect(),
                    ),
                    Err(why) => {
                        let both = [Some(on_true.as_str()), on_false];
                        let both = both.into_iter().flatten().map(|step| (step, false));
                        (format!("not known yet: {why}"), both.collect())
                    }
                }
            }
            StepKind::While { condition, on_true } => match verdict(condition) {
                Ok(false) => (
                    "the condition does not hold: no round".to_owned(),
                    Vec::new(),
                ),
                Ok(true) => (
                    format!("at least one round, at most {}", step.rounds_max),
                    vec![(on_true, is_certain)],
                ),
                Err(why) => (format!("not known yet: {why}"), vec![(on_true, false)]),
            },
            StepKind::Switch { switch, cases } => match fill(switch, |name| self.value(step, name))
            {
                Ok(value) => {
                    let case = cases.get(&value).or_else(|| cases.get("default"));
                    let branches = case.map(|step| (step.as_str(), is_certain));
                    (
                        format!("the value is '{value}'"),
                        branches.into_iter().collect(),
                    )
                }
                Err(why) => {
                    let all = cases.values().map(|step| (step.as_str(), false));
                    (format!("not known yet: {why}"), all.collect())
                }
            },
            StepKind::Parallel { next_steps } => (
                format!("{} branches at the same time", next_steps.len()),
                next_steps
                    .iter()
                    .map(|step| (step.as_str(), is_certain))
                    .collect(),
            ),
            StepKind::PlaybookAction { playbook_id, .. } => {
                (format!("runs the playbook {playbook_id}"), Vec::new())
            }
            StepKind::Start | StepKind::End | StepKind::Action { .. } => {
                (wait_words(step), Vec::new())
            }
        }
    }

    fn does(&self, step: &Step) -> Vec<Rehearsed> {
        let value_of = |name: &str| self.value(step, name);
        let units = units_of(self.playbook, step).into_iter();
        units
            .map(|unit| match unit.kind {
                UnitKind::Native(command) => {
                    let (arguments, unknown) = match command.filled(&value_of) {
                        Ok(arguments) => (arguments, None),
                        Err(why) => (command.arguments.clone(), Some(why)),
                    };
                    Rehearsed::Action {
                        kind: command.kind,
                        arguments,
                        time_limit_s: command.time_limit_s,
                        connector: command.connector,
                        unknown,
                    }
                }
                UnitKind::Person { text, why } => {
                    let text = fill(&text, value_of).unwrap_or(text);
                    Rehearsed::Person { text, why }
                }
            })
            .collect()
    }
}
