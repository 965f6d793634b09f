//! Looking for runs that do not go on: each is shown with what it waits for, and since when.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{
    ActionStatus, PlaybookRun, RunStatus, RunStep, StepStatus, TenantId, WaitsFor,
};
use watchfloor_store::Queries;

use super::session::machine_of;
use crate::{Casework, CaseworkError};

/// A person or an approval that is waited for this long makes a run stuck.
const PERSON_AFTER: SignedDuration = SignedDuration::from_mins(60);
/// An action that is waited for this long without an end makes a run stuck.
const ACTION_AFTER: SignedDuration = SignedDuration::from_mins(10);
/// A look that takes longer is followed by a pause of so many times its length.
const SLOW: Duration = Duration::from_millis(100);
const PAUSE_FACTOR: u32 = 20;
/// Steps that are named.
const REASONS_MAX: usize = 5;

impl Casework {
    /// Marks open runs as stuck, or as going on again.
    pub(super) async fn watch_runs(&self, tenant: &TenantId) -> Result<(), CaseworkError> {
        if self.watched_just_now() {
            return Ok(());
        }
        let begun = Instant::now();
        let now = self.now();
        let mut changed = Vec::new();
        {
            let mut reader = self.store().read(tenant).await?;
            for run in reader.q().open_runs().await? {
                let stuck = stuck(&mut reader.q(), &run, now).await?;
                if stuck != run.stuck {
                    changed.push((run.id, stuck));
                }
            }
        }
        for (id, stuck) in changed {
            let mut tx = self.store().write(tenant).await?;
            let mut run = tx.q().run(&id).await?;
            if run.status != RunStatus::Running {
                continue;
            }
            let detail = match &stuck {
                Some(reason) => format!("{} is stuck: {reason}", run.playbook_name),
                None => format!("{} goes on", run.playbook_name),
            };
            run.stuck = stuck;
            run.version += 1;
            let change = self.change_by("watchfloor", "run.stuck", detail);
            tx.save_run(&run, Some(&change)).await?;
            tx.commit().await?;
            self.tell_run(tenant, &id);
        }
        let took = begun.elapsed();
        if took > SLOW
            && let Ok(mut next) = self.response().next_watch.lock()
        {
            *next = Instant::now().checked_add(took * PAUSE_FACTOR);
        }
        Ok(())
    }

    fn watched_just_now(&self) -> bool {
        let next = self.response().next_watch.lock();
        next.is_ok_and(|next| next.is_some_and(|next| Instant::now() < next))
    }
}

/// Why a run does not go on; `None` while it does.
async fn stuck(
    queries: &mut Queries<'_>,
    run: &PlaybookRun,
    now: Timestamp,
) -> Result<Option<String>, CaseworkError> {
    let steps = queries.run_steps(&run.id).await?;
    let waiting: Vec<&RunStep> = steps
        .iter()
        .filter(|step| step.status == StepStatus::Waiting)
        .collect();
    // What the machine thinks and what is written must agree, or nothing would ever come.
    let open = machine_of(&run.machine)
        .map(|machine| machine.open_steps().keys().copied().collect::<Vec<_>>());
    let written: Vec<u64> = waiting.iter().map(|step| step.instance).collect();
    if open.as_ref() != Some(&written) {
        return Ok(Some(format!(
            "its steps do not agree with its state ({written:?} and {open:?}), so that nothing comes next; end it and begin it again"
        )));
    }
    let mut reasons = Vec::new();
    for step in waiting {
        if let Some(reason) = step_stuck(queries, step, now).await? {
            reasons.push(reason);
        }
    }
    reasons.truncate(REASONS_MAX);
    Ok((!reasons.is_empty()).then(|| reasons.join("; ")))
}

async fn step_stuck(
    queries: &mut Queries<'_>,
    step: &RunStep,
    now: Timestamp,
) -> Result<Option<String>, CaseworkError> {
    let name = &step.name;
    let since = step.since;
    let waited = |limit: SignedDuration| now.duration_since(since) >= limit;
    Ok(match step.waits_for {
        Some(WaitsFor::Person) => {
            waited(PERSON_AFTER).then(|| format!("'{name}' waits for a person since {since}"))
        }
        Some(WaitsFor::Action) => {
            let Some(id) = &step.action else {
                return Ok(Some(format!(
                    "'{name}' waits for an action that is not there"
                )));
            };
            let action = queries.action(id).await?;
            match action.status {
                ActionStatus::Uncertain => Some(format!(
                    "'{name}': nobody knows whether {id} was done; a person settles it"
                )),
                ActionStatus::Proposed => waited(PERSON_AFTER).then(|| {
                    format!("'{name}' waits for a second person's approval of {id} since {since}")
                }),
                ActionStatus::Ready | ActionStatus::Running => {
                    let last = action
                        .error
                        .map_or(String::new(), |error| format!("; last: {error}"));
                    waited(ACTION_AFTER).then(|| {
                        format!(
                            "'{name}' waits for {id} ({}, attempt {}) since {since}{last}",
                            action.status, action.attempts
                        )
                    })
                }
                status => Some(format!("'{name}' waits for {id}, which is {status}")),
            }
        }
        Some(WaitsFor::Run) => match &step.child {
            Some(child) => {
                let run = queries.run(child).await?;
                match (run.status, run.stuck) {
                    (RunStatus::Running, Some(reason)) => {
                        Some(format!("'{name}' waits for {child}: {reason}"))
                    }
                    (RunStatus::Running, None) => None,
                    (status, _) => Some(format!("'{name}' waits for {child}, which is {status}")),
                }
            }
            None => Some(format!("'{name}' waits for a run that is not there")),
        },
        Some(WaitsFor::Time | WaitsFor::Branches) => None,
        None => Some(format!(
            "'{name}' was entered at {since} and waits for nothing"
        )),
    })
}
