//! From step to step, as far as nothing outside is needed.

use std::collections::VecDeque;

use super::{Context, ENTERED_MAX, Effect, Machine, OPEN_MAX, OpenStep, Outcome, Waits};
use crate::{Condition, Facts, Step, StepKind, UnitKind, Values, fill, units_of};

/// A piece of the way.
pub(super) enum Task {
    Enter {
        step: String,
        parent: Option<u64>,
    },
    Activate(u64),
    NextUnit(u64),
    Succeed {
        instance: u64,
        detail: String,
    },
    Fail {
        instance: u64,
        reason: String,
    },
    BranchOver {
        parent: Option<u64>,
        failed: Option<String>,
    },
}

/// Goes on until every open step waits for something. A queue and no recursion: a loop may have
/// ten thousand rounds.
pub(super) fn run(machine: &mut Machine, context: Context<'_>, first: Task) -> Vec<Effect> {
    let mut walk = Walk {
        machine,
        context,
        effects: Vec::new(),
        tasks: VecDeque::from([first]),
    };
    while let Some(task) = walk.tasks.pop_front() {
        if walk.machine.outcome.is_some() {
            break;
        }
        walk.take(task);
    }
    walk.effects
}

struct Walk<'m, 'c> {
    machine: &'m mut Machine,
    context: Context<'c>,
    effects: Vec<Effect>,
    tasks: VecDeque<Task>,
}

impl<'c> Walk<'_, 'c> {
    fn take(&mut self, task: Task) {
        match task {
            Task::Enter { step, parent } => self.enter(step, parent),
            Task::Activate(instance) => self.activate(instance),
            Task::NextUnit(instance) => self.next_unit(instance),
            Task::Succeed { instance, detail } => self.succeed(instance, detail),
            Task::Fail { instance, reason } => self.fail(instance, reason),
            Task::BranchOver { parent, failed } => self.branch_over(parent, failed),
        }
    }

    fn step_of(&self, instance: u64) -> Option<&'c Step> {
        let open = self.machine.open.get(&instance)?;
        self.context.playbook.steps.get(&open.step)
    }

    fn fail_with(&mut self, instance: u64, reason: impl Into<String>) {
        self.tasks.push_front(Task::Fail {
            instance,
            reason: reason.into(),
        });
    }

    fn enter(&mut self, id: String, parent: Option<u64>) {
        let Some(step) = self.context.playbook.steps.get(&id) else {
            let failed = Some(format!("step {id} is not in the workflow"));
            return self.tasks.push_front(Task::BranchOver { parent, failed });
        };
        if self.machine.entered >= ENTERED_MAX || self.machine.open.len() >= OPEN_MAX {
            let reason = format!(
                "at '{}' the run entered {} steps, {} of them open: more than a run may ({ENTERED_MAX}, {OPEN_MAX})",
                step.name,
                self.machine.entered,
                self.machine.open.len()
            );
            return self.finish(Outcome::Failed(reason));
        }
        self.machine.entered += 1;
        let instance = self.machine.entered;
        let locals: Values = step
            .variables
            .iter()
            .map(|(name, variable)| (name.clone(), variable.value.clone()))
            .collect();
        let ms = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
        let begins_ms = self.context.now_ms.saturating_add(ms(step.delay_ms));
        let due_ms = step
            .timeout_ms
            .map(|limit| begins_ms.saturating_add(ms(limit)));
        let waits = Waits::Until(begins_ms);
        self.machine.open.insert(
            instance,
            OpenStep {
                step: id.clone(),
                parent,
                locals,
                waits,
            },
        );
        self.effects.push(Effect::Entered {
            instance,
            step: id,
            due_ms,
        });
        if step.delay_ms > 0 {
            self.effects.push(Effect::Wait {
                instance,
                until_ms: begins_ms,
            });
        } else {
            self.tasks.push_front(Task::Activate(instance));
        }
    }

    fn activate(&mut self, instance: u64) {
        let Some(step) = self.step_of(instance) else {
            return;
        };
        match &step.kind {
            StepKind::Start | StepKind::End => {
                self.tasks.push_front(Task::Succeed {
                    instance,
                    detail: String::new(),
                });
            }
            StepKind::Action { .. } => self.unit(instance, step, 0),
            StepKind::PlaybookAction { .. } => self.call(instance, step),
            StepKind::Parallel { next_steps } => {
                let detail = format!("{} branches", next_steps.len());
                self.branch(instance, next_steps.clone(), 0, detail);
            }
            StepKind::If {
                condition,
                on_true,
                on_false,
            } => match self.holds(instance, condition) {
                Ok(true) => self.branch(
                    instance,
                    vec![on_true.clone()],
                    0,
                    "the condition holds".to_owned(),
                ),
                Ok(false) => {
                    let steps = on_false.iter().cloned().collect();
                    self.branch(instance, steps, 0, "the condition does not hold".to_owned());
                }
                Err(reason) => self.fail_with(instance, reason),
            },
            StepKind::While { .. } => self.round(instance, step, 0),
            StepKind::Switch { switch, cases } => {
                let filled = fill(switch, |name| self.machine.value(instance, name));
                match filled {
                    Ok(value) => {
                        let found = cases.get(&value).or_else(|| cases.get("default"));
                        let shown: String = value.chars().take(100).collect();
                        let detail = match found {
                            Some(_) => format!("the value is '{shown}'"),
                            None => format!("no case for '{shown}'"),
                        };
                        self.branch(instance, found.cloned().into_iter().collect(), 0, detail);
                    }
                    Err(reason) => self.fail_with(instance, reason),
                }
            }
        }
    }

    fn call(&mut self, instance: u64, step: &Step) {
        let StepKind::PlaybookAction {
            playbook_id,
            playbook_version,
            in_args,
            ..
        } = &step.kind
        else {
            return;
        };
        let mut inputs = Values::new();
        for name in in_args {
            let name = name.trim_end_matches(":value");
            let value = self.machine.value(instance, name);
            if value.is_none() {
                return self.fail_with(
                    instance,
                    format!("variable {name} has no value, and the called playbook needs it"),
                );
            }
            inputs.insert(name.to_owned(), value);
        }
        self.set_waits(instance, Waits::Call);
        self.effects.push(Effect::Call {
            instance,
            playbook_id: playbook_id.clone(),
            version: playbook_version.clone(),
            inputs,
        });
    }

    fn holds(&self, instance: u64, condition: &str) -> Result<bool, String> {
        let facts = Facts {
            value_of: &|name| self.machine.value(instance, name),
            observed: self.context.observed,
        };
        Condition::parse(condition)
            .and_then(|condition| condition.holds(&facts))
            .map_err(|error| format!("the condition has no value: {error}"))
    }

    fn round(&mut self, instance: u64, step: &Step, rounds: u32) {
        let StepKind::While { condition, on_true } = &step.kind else {
            return;
        };
        match self.holds(instance, condition) {
            Ok(false) => self.tasks.push_front(Task::Succeed {
                instance,
                detail: format!("the condition does not hold after {rounds} rounds"),
            }),
            Ok(true) if rounds >= step.rounds_max => self.fail_with(
                instance,
                format!("the condition still holds after {rounds} rounds, which are the most; raise rounds_max, or let the loop change a variable of the condition"),
            ),
            Ok(true) => {
                let detail = format!("round {}", rounds + 1);
                self.branch(instance, vec![on_true.clone()], rounds + 1, detail);
            }
            Err(reason) => self.fail_with(instance, reason),
        }
    }

    fn branch(&mut self, instance: u64, steps: Vec<String>, rounds: u32, detail: String) {
        if steps.is_empty() {
            return self.tasks.push_front(Task::Succeed { instance, detail });
        }
        let open = u32::try_from(steps.len()).unwrap_or(u32::MAX);
        self.set_waits(
            instance,
            Waits::Branches {
                open,
                failed: None,
                rounds,
            },
        );
        self.effects.push(Effect::Branched { instance, detail });
        for step in steps {
            self.tasks.push_back(Task::Enter {
                step,
                parent: Some(instance),
            });
        }
    }

    fn set_waits(&mut self, instance: u64, waits: Waits) {
        if let Some(open) = self.machine.open.get_mut(&instance) {
            open.waits = waits;
        }
    }

    fn unit(&mut self, instance: u64, step: &Step, index: usize) {
        let Some(unit) = units_of(self.context.playbook, step).into_iter().nth(index) else {
            return self.tasks.push_front(Task::Succeed {
                instance,
                detail: String::new(),
            });
        };
        self.set_waits(instance, Waits::Unit(index));
        let value_of = |name: &str| self.machine.value(instance, name);
        match unit.kind {
            UnitKind::Native(command) => match command.filled(&value_of) {
                Ok(arguments) => {
                    let by_hand = fill(&command.by_hand, value_of).unwrap_or(command.by_hand);
                    self.effects.push(Effect::Act {
                        instance,
                        kind: command.kind,
                        arguments,
                        time_limit_s: command.time_limit_s,
                        connector: command.connector,
                        by_hand,
                        retries: step.retries,
                        retry_wait_s: step.retry_wait_s,
                    });
                }
                Err(reason) => self.fail_with(instance, reason),
            },
            UnitKind::Person { text, why } => match fill(&text, value_of) {
                Ok(text) => self.effects.push(Effect::Ask {
                    instance,
                    text,
                    why,
                }),
                Err(reason) => self.fail_with(instance, reason),
            },
        }
    }

    fn next_unit(&mut self, instance: u64) {
        let waits = self
            .machine
            .open
            .get(&instance)
            .map(|open| open.waits.clone());
        match (waits, self.step_of(instance)) {
            (Some(Waits::Unit(index)), Some(step)) => self.unit(instance, step, index + 1),
            (Some(_), _) => self.tasks.push_front(Task::Succeed {
                instance,
                detail: String::new(),
            }),
            (None, _) => {}
        }
    }

    fn succeed(&mut self, instance: u64, detail: String) {
        let step = self.step_of(instance);
        let Some(open) = self.machine.open.remove(&instance) else {
            return;
        };
        self.effects.push(Effect::Ended {
            instance,
            failed: None,
            detail,
        });
        let next = step.and_then(|step| step.on_success.as_ref().or(step.on_completion.as_ref()));
        self.tasks.push_front(match next {
            Some(next) => Task::Enter {
                step: next.clone(),
                parent: open.parent,
            },
            None => Task::BranchOver {
                parent: open.parent,
                failed: None,
            },
        });
    }

    fn fail(&mut self, instance: u64, reason: String) {
        let step = self.step_of(instance);
        let Some(open) = self.machine.open.remove(&instance) else {
            return;
        };
        self.give_up_below(instance);
        let name = step.map_or("", |step| step.name.as_str());
        self.effects.push(Effect::Ended {
            instance,
            failed: Some(reason.clone()),
            detail: String::new(),
        });
        self.tasks
            .push_front(match step.and_then(|step| step.on_failure.clone()) {
                Some(next) => Task::Enter {
                    step: next,
                    parent: open.parent,
                },
                None => Task::BranchOver {
                    parent: open.parent,
                    failed: Some(format!("'{name}' failed: {reason}")),
                },
            });
    }

    /// Gives up what is open in the branches of a step.
    fn give_up_below(&mut self, instance: u64) {
        let mut above = vec![instance];
        while let Some(parent) = above.pop() {
            let children: Vec<u64> = self
                .machine
                .open
                .iter()
                .filter(|(_, open)| open.parent == Some(parent))
                .map(|(child, _)| *child)
                .collect();
            for child in children {
                self.machine.open.remove(&child);
                self.effects.push(Effect::GivenUp { instance: child });
                above.push(child);
            }
        }
    }

    fn branch_over(&mut self, parent: Option<u64>, failed: Option<String>) {
        let Some(parent) = parent else {
            return self.root_over(failed);
        };
        let step = self.step_of(parent);
        let Some(Waits::Branches {
            open,
            failed: known,
            rounds,
        }) = self
            .machine
            .open
            .get_mut(&parent)
            .map(|open| &mut open.waits)
        else {
            // The step above was given up meanwhile.
            return;
        };
        *open = open.saturating_sub(1);
        if known.is_none() {
            *known = failed;
        }
        if *open > 0 {
            return;
        }
        let (known, rounds) = (known.take(), *rounds);
        match (known, step) {
            (Some(reason), _) => self.fail_with(parent, reason),
            (None, Some(step)) if matches!(step.kind, StepKind::While { .. }) => {
                self.round(parent, step, rounds);
            }
            (None, _) => self.tasks.push_front(Task::Succeed {
                instance: parent,
                detail: "its branches are over".to_owned(),
            }),
        }
    }

    fn root_over(&mut self, failed: Option<String>) {
        match (failed, self.machine.exception.clone()) {
            (None, None) => self.finish(Outcome::Done),
            (None, Some(reason)) => self.finish(Outcome::Failed(reason)),
            (Some(reason), Some(first)) => {
                self.finish(Outcome::Failed(format!(
                    "{first}; then, while that was taken care of, {reason}"
                )));
            }
            (Some(reason), None) => match self.context.playbook.exception.clone() {
                Some(step) => {
                    self.machine.exception = Some(reason);
                    self.tasks.push_front(Task::Enter { step, parent: None });
                }
                None => self.finish(Outcome::Failed(reason)),
            },
        }
    }

    fn finish(&mut self, outcome: Outcome) {
        let open: Vec<u64> = self.machine.open.keys().copied().collect();
        for instance in open {
            self.machine.open.remove(&instance);
            self.effects.push(Effect::GivenUp { instance });
        }
        self.tasks.clear();
        self.machine.outcome = Some(outcome.clone());
        self.effects.push(Effect::Finished(outcome));
    }
}
