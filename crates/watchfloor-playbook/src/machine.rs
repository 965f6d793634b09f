//! Stepping through a run: which steps are open, what each waits for, what comes next.
//!
//! The machine does nothing itself. It is saved together with what it asks for, so that after a
//! crash the run goes on at the step at which it was.

mod walk;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchfloor_model::{ActionKind, ArgumentValue, EntityKind};

use crate::variable::check_value;
use crate::{Playbook, Step, StepKind, Values};

/// Most steps that a run enters.
const ENTERED_MAX: u64 = 10_000;
/// Most steps that are open at the same time.
const OPEN_MAX: usize = 200;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// All steps are over.
    Done,
    /// A step failed, and no other took care of it.
    Failed(String),
}

/// How a step went, as whoever did it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepResult {
    /// It succeeded, with values for its variables.
    Done(BTreeMap<String, String>),
    /// It failed.
    Failed(String),
}

/// What an open step waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Waits {
    /// A time, in milliseconds since 1970.
    Until(i64),
    /// An action or a person: number of the unit.
    Unit(usize),
    /// Another playbook's run.
    Call,
    /// So many branches.
    Branches {
        /// Still open.
        open: u32,
        /// Why one of them failed.
        failed: Option<String>,
        /// Rounds begun, of a loop.
        rounds: u32,
    },
}

/// A step that was entered and is not over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenStep {
    /// Id in the playbook.
    pub step: String,
    /// Instance of the step whose branch it is in.
    pub parent: Option<u64>,
    /// Variables of the step alone.
    locals: Values,
    /// What it waits for.
    pub waits: Waits,
}

/// What the machine asks for, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// A step was entered.
    Entered {
        /// Its number in the run.
        instance: u64,
        /// Its id.
        step: String,
        /// When it failed if it is not over, in milliseconds since 1970.
        due_ms: Option<i64>,
    },
    /// A step waits for its time.
    Wait {
        /// Its number.
        instance: u64,
        /// Until when, in milliseconds since 1970.
        until_ms: i64,
    },
    /// An action is to be done; [`Machine::finish`] when it is over.
    Act {
        /// Number of the step.
        instance: u64,
        /// Which.
        kind: ActionKind,
        /// With what.
        arguments: BTreeMap<String, ArgumentValue>,
        /// Undone after so many seconds.
        time_limit_s: Option<u32>,
        /// Name of the connector.
        connector: Option<String>,
        /// What a person reads where no connector serves it.
        by_hand: String,
        /// How often it is tried again.
        retries: u32,
        /// Seconds between tries.
        retry_wait_s: u32,
    },
    /// A person is to do something; [`Machine::finish`] when they said how it went.
    Ask {
        /// Number of the step.
        instance: u64,
        /// What.
        text: String,
        /// Why a person, where the playbook did not ask for one.
        why: Option<String>,
    },
    /// Another playbook is to be run; [`Machine::finish`] when it is over.
    Call {
        /// Number of the step.
        instance: u64,
        /// Which.
        playbook_id: String,
        /// Which version; the latest without.
        version: Option<String>,
        /// Values that go in.
        inputs: Values,
    },
    /// A step branches; it is over when its branches are.
    Branched {
        /// Its number.
        instance: u64,
        /// In words.
        detail: String,
    },
    /// A step is over.
    Ended {
        /// Its number.
        instance: u64,
        /// Why it failed, if it did.
        failed: Option<String>,
        /// In words.
        detail: String,
    },
    /// A step is given up.
    GivenUp {
        /// Its number.
        instance: u64,
    },
    /// The run is over.
    Finished(Outcome),
}

/// Why a call does not fit the run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MachineError {
    /// The step is over, or was never entered.
    #[error("step {0} of the run is not open")]
    NotOpen(u64),
    /// A value does not do.
    #[error("{0}")]
    Value(String),
}

/// What a call needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The playbook as it was when the run began.
    pub playbook: &'a Playbook,
    /// Now, in milliseconds since 1970.
    pub now_ms: i64,
    /// What was observed in the incident.
    pub observed: &'a [(EntityKind, String)],
}

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    values: Values,
    open: BTreeMap<u64, OpenStep>,
    entered: u64,
    outcome: Option<Outcome>,
    /// Why the step for exceptions was begun.
    exception: Option<String>,
}

/// Names of the variables that have to be given when a run begins.
pub fn missing_inputs(playbook: &Playbook, inputs: &BTreeMap<String, String>) -> Vec<String> {
    let variables = playbook.variables.iter();
    variables
        .filter(|(name, variable)| {
            variable.is_external && variable.value.is_none() && !inputs.contains_key(*name)
        })
        .map(|(name, _)| name.clone())
        .collect()
}

impl Machine {
    /// A run that did not begin yet, with values for external variables.
    ///
    /// # Errors
    /// [`MachineError::Value`] names the variable and what would do.
    pub fn new(
        playbook: &Playbook,
        inputs: &BTreeMap<String, String>,
    ) -> Result<Self, MachineError> {
        let mut values: Values = playbook
            .variables
            .iter()
            .map(|(name, variable)| (name.clone(), variable.value.clone()))
            .collect();
        for (name, value) in inputs {
            let Some(variable) = playbook.variables.get(name) else {
                let known: Vec<_> = playbook.variables.keys().cloned().collect();
                let message = format!(
                    "the playbook has no variable {name}; it has {}",
                    known.join(", ")
                );
                return Err(MachineError::Value(message));
            };
            if !variable.is_external {
                return Err(MachineError::Value(format!(
                    "{name} is set by the playbook and not from outside"
                )));
            }
            check_value(&variable.kind, value)
                .map_err(|reason| MachineError::Value(format!("{name}: {reason}")))?;
            values.insert(name.clone(), Some(value.clone()));
        }
        if let Some(name) = missing_inputs(playbook, inputs).first() {
            let what = playbook
                .variables
                .get(name)
                .map_or("", |one| one.description.as_str());
            return Err(MachineError::Value(format!("{name} needs a value: {what}")));
        }
        Ok(Self {
            values,
            open: BTreeMap::new(),
            entered: 0,
            outcome: None,
            exception: None,
        })
    }

    /// Begins.
    pub fn begin(&mut self, context: Context<'_>) -> Vec<Effect> {
        let first = context.playbook.start.clone();
        walk::run(
            self,
            context,
            walk::Task::Enter {
                step: first,
                parent: None,
            },
        )
    }

    /// Goes on with steps whose time has come.
    pub fn wake(&mut self, context: Context<'_>) -> Vec<Effect> {
        let due: Vec<u64> = self
            .open
            .iter()
            .filter(
                |(_, open)| matches!(open.waits, Waits::Until(until) if until <= context.now_ms),
            )
            .map(|(instance, _)| *instance)
            .collect();
        due.into_iter()
            .flat_map(|instance| walk::run(self, context, walk::Task::Activate(instance)))
            .collect()
    }

    /// Takes how an action, a person or another run went.
    ///
    /// # Errors
    /// [`MachineError`]; then nothing changed.
    pub fn finish(
        &mut self,
        context: Context<'_>,
        instance: u64,
        result: StepResult,
    ) -> Result<Vec<Effect>, MachineError> {
        let open = self
            .open
            .get(&instance)
            .ok_or(MachineError::NotOpen(instance))?;
        let step = context.playbook.steps.get(&open.step);
        let step = step.ok_or(MachineError::NotOpen(instance))?;
        let task = match result {
            StepResult::Failed(reason) => walk::Task::Fail { instance, reason },
            StepResult::Done(values) => {
                for (name, value) in &values {
                    self.check_output(context.playbook, step, name, value)?;
                }
                self.set_all(instance, &values);
                walk::Task::NextUnit(instance)
            }
        };
        Ok(walk::run(self, context, task))
    }

    /// Lets a step fail because its time is over.
    ///
    /// # Errors
    /// [`MachineError::NotOpen`].
    pub fn time_out(
        &mut self,
        context: Context<'_>,
        instance: u64,
    ) -> Result<Vec<Effect>, MachineError> {
        if !self.open.contains_key(&instance) {
            return Err(MachineError::NotOpen(instance));
        }
        let reason = "it took longer than its timeout (ACTION_TIMEOUT)".to_owned();
        Ok(walk::run(
            self,
            context,
            walk::Task::Fail { instance, reason },
        ))
    }

    /// Names of the variables that a step gives out, by their types.
    pub fn outputs(playbook: &Playbook, step: &str) -> BTreeMap<String, String> {
        let Some(step) = playbook.steps.get(step) else {
            return BTreeMap::new();
        };
        let names = match &step.kind {
            StepKind::Action { out_args, .. } | StepKind::PlaybookAction { out_args, .. } => {
                out_args
            }
            _ => return BTreeMap::new(),
        };
        let known = |name: &str| {
            let variable = step
                .variables
                .get(name)
                .or_else(|| playbook.variables.get(name));
            variable.map(|variable| variable.kind.clone())
        };
        names
            .iter()
            .map(|name| name.trim_end_matches(":value"))
            .filter_map(|name| Some((name.to_owned(), known(name)?)))
            .collect()
    }

    fn check_output(
        &self,
        playbook: &Playbook,
        step: &Step,
        name: &str,
        value: &str,
    ) -> Result<(), MachineError> {
        let outputs = Self::outputs(playbook, &step.id);
        let Some(kind) = outputs.get(name) else {
            let names: Vec<_> = outputs.into_keys().collect();
            let message = format!(
                "step '{}' gives no {name}; it gives {}",
                step.name,
                names.join(", ")
            );
            return Err(MachineError::Value(message));
        };
        check_value(kind, value).map_err(|reason| MachineError::Value(format!("{name}: {reason}")))
    }

    fn set_all(&mut self, instance: u64, values: &BTreeMap<String, String>) {
        for (name, value) in values {
            let locals = self.open.get_mut(&instance).map(|open| &mut open.locals);
            let slot = match locals.and_then(|locals| locals.get_mut(name)) {
                Some(slot) => slot,
                None => self.values.entry(name.clone()).or_default(),
            };
            *slot = Some(value.clone());
        }
    }

    /// Value of a variable as a step sees it.
    pub fn value(&self, instance: u64, name: &str) -> Option<String> {
        let locals = self.open.get(&instance).map(|open| &open.locals);
        match locals.and_then(|locals| locals.get(name)) {
            Some(value) => value.clone(),
            None => self.values.get(name)?.clone(),
        }
    }

    /// Values of the whole playbook's variables.
    pub const fn values(&self) -> &Values {
        &self.values
    }

    /// Steps that are not over, by their number in the run.
    pub const fn open_steps(&self) -> &BTreeMap<u64, OpenStep> {
        &self.open
    }

    /// How it ended, if it did.
    pub const fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }
}

#[cfg(test)]
mod tests;
