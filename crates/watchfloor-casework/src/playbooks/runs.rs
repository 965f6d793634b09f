//! Runs of playbooks: beginning, answering, ending, and going on after whatever happened.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchfloor_model::{
    Action, Actor, IncidentId, Permission, PlaybookRun, RunId, RunStatus, RunStep, StepStatus,
    TenantId, WaitsFor,
};
use watchfloor_playbook::{Machine, StepResult, UnitKind, read, units_of};
use watchfloor_store::{Page, PageRequest, WriteTx};

use super::record_of;
use super::session::{NewRun, Session, result_of};
use crate::alerts::NOTE_BYTES_MAX;
use crate::error::checked_text;
use crate::response::{invalid, principal_of};
use crate::{Casework, CaseworkError, LiveChange, ResponseNotice};

/// A run with its steps.
#[derive(Clone, Debug)]
pub struct RunDetail {
    /// The run.
    pub run: PlaybookRun,
    /// Its steps, in the order of entering.
    pub steps: Vec<RunStep>,
    /// Actions of its steps.
    pub actions: Vec<Action>,
    /// Variables that the open steps of persons give out, by step and with their types.
    pub outputs: BTreeMap<u64, BTreeMap<String, String>>,
}

/// How a person says that a step went.
#[derive(Clone, Debug)]
pub struct StepAnswer {
    /// Whether it was done.
    pub is_done: bool,
    /// Values for its variables.
    pub values: BTreeMap<String, String>,
    /// In words; needed where it was not done.
    pub note: String,
}

impl Casework {
    /// Begins a run.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn start_run(
        &self,
        actor: &Actor,
        playbook: &str,
        inputs: BTreeMap<String, String>,
        incident: Option<IncidentId>,
    ) -> Result<PlaybookRun, CaseworkError> {
        self.authorize(actor, Permission::RunPlaybooks)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let record = record_of(&mut tx.q(), playbook).await?;
        if !record.is_runnable {
            return Err(invalid(
                "playbook",
                format!("'{}' has faults; mend them first", record.name),
            ));
        }
        if let Some(incident) = &incident {
            tx.q().incident(incident).await?;
        }
        // Whoever begins a run asks for its actions: nobody may by a playbook what they may not.
        if acts(&record.document) {
            self.authorize(actor, Permission::ProposeActions)?;
        }
        let started_by = principal_of(&mut tx.q(), actor).await?;
        let mut session = Session::new(self, &mut tx, &actor.tenant, &actor.name);
        let id = session
            .begin(NewRun {
                playbook_id: record.id,
                document: record.document,
                inputs,
                incident_id: incident,
                started_by,
                parent: None,
                depth: 0,
            })
            .await?;
        let told = session.settle().await?;
        let run = tx.q().run(&id).await?;
        tx.commit().await?;
        self.tell_runs(&actor.tenant, &told);
        Ok(run)
    }

    /// A page of runs, newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn runs(
        &self,
        actor: &Actor,
        status: Option<RunStatus>,
        incident: Option<&IncidentId>,
        page: &PageRequest,
    ) -> Result<Page<PlaybookRun>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().runs(status, incident, page).await?)
    }

    /// One run with its steps.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn run(&self, actor: &Actor, id: &RunId) -> Result<RunDetail, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let run = reader.q().run(id).await?;
        let steps = reader.q().run_steps(id).await?;
        let mut actions = Vec::new();
        for action in steps.iter().filter_map(|step| step.action.as_ref()) {
            actions.push(reader.q().action(action).await?);
        }
        let playbook = read(run.document.as_bytes()).0;
        let asked = steps
            .iter()
            .filter(|step| step.waits_for == Some(WaitsFor::Person));
        let outputs = asked
            .filter_map(|step| {
                let outputs = Machine::outputs(playbook.as_ref()?, &step.step);
                Some((step.instance, outputs))
            })
            .collect();
        Ok(RunDetail {
            run,
            steps,
            actions,
            outputs,
        })
    }

    /// Steps of all runs that wait for a person, oldest first, each with its run.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn asked_steps(
        &self,
        actor: &Actor,
    ) -> Result<Vec<(PlaybookRun, RunStep)>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let steps = reader.q().waiting_steps(WaitsFor::Person).await?;
        let mut found = Vec::new();
        for step in steps {
            let run = reader.q().run(&step.run).await?;
            if run.status == RunStatus::Running {
                found.push((run, step));
            }
        }
        found.sort_by_key(|(_, step)| step.since);
        Ok(found)
    }

    /// Says how a step went that a person does.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn answer_step(
        &self,
        actor: &Actor,
        run: &RunId,
        instance: u64,
        answer: StepAnswer,
    ) -> Result<RunDetail, CaseworkError> {
        self.authorize(actor, Permission::RunPlaybooks)?;
        let note = answer.note.trim().to_owned();
        if !answer.is_done {
            checked_text("note", &note, NOTE_BYTES_MAX)?;
        }
        let mut tx = self.store().write(&actor.tenant).await?;
        let row = tx.q().run_step(run, instance).await?;
        let Some(mut row) = row.filter(|row| row.status == StepStatus::Waiting) else {
            return Err(invalid("step", "it is over, or there is no such step"));
        };
        if row.waits_for != Some(WaitsFor::Person) {
            let what = row.waits_for.map_or("nothing", WaitsFor::as_str);
            return Err(invalid(
                "step",
                format!("it waits for {what} and not for a person"),
            ));
        }
        row.decided_by = Some(actor.name.clone());
        tx.save_run_step(&row).await?;
        let how = if answer.is_done { "done" } else { "not done" };
        let change = self.change(actor, "run.answer", format!("{}: {how}. {note}", row.name));
        tx.record(&change, run.as_str()).await?;
        let result = match answer.is_done {
            true => StepResult::Done(answer.values),
            false => StepResult::Failed(format!("{} said: {note}", actor.name)),
        };
        let mut session = Session::new(self, &mut tx, &actor.tenant, &actor.name);
        session.finish(run, instance, result).await?;
        let told = session.settle().await?;
        tx.commit().await?;
        self.tell_runs(&actor.tenant, &told);
        self.run(actor, run).await
    }

    /// Ends a run: what is being done is done to its end, nothing more begins.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn cancel_run(
        &self,
        actor: &Actor,
        id: &RunId,
        reason: &str,
    ) -> Result<PlaybookRun, CaseworkError> {
        self.authorize(actor, Permission::RunPlaybooks)?;
        let reason = checked_text("reason", reason, NOTE_BYTES_MAX)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let run = tx.q().run(id).await?;
        if run.status != RunStatus::Running {
            return Err(invalid("status", format!("the run is {}", run.status)));
        }
        if let Some((parent, _)) = &run.parent {
            return Err(invalid(
                "run",
                format!("it was called by {parent}; end that one"),
            ));
        }
        let mut session = Session::new(self, &mut tx, &actor.tenant, &actor.name);
        session
            .cancel(id, &format!("ended by {}: {reason}", actor.name))
            .await?;
        let told = session.settle().await?;
        let run = tx.q().run(id).await?;
        tx.commit().await?;
        self.tell_runs(&actor.tenant, &told);
        Ok(run)
    }

    /// Lets the step that waits for an action go on when the action is over.
    pub(crate) async fn step_follows(
        &self,
        tx: &mut WriteTx,
        tenant: &TenantId,
        action: &Action,
    ) -> Result<Vec<RunId>, CaseworkError> {
        let Some((run, instance)) = action.step.clone().filter(|_| action.status.is_over()) else {
            return Ok(Vec::new());
        };
        let row = tx.q().run_step(&run, instance).await?;
        let Some(row) = row.filter(|row| {
            row.status == StepStatus::Waiting && row.action.as_ref() == Some(&action.id)
        }) else {
            return Ok(Vec::new());
        };
        let playbook = read(tx.q().run(&run).await?.document.as_bytes()).0;
        let outputs = playbook.map(|playbook| Machine::outputs(&playbook, &row.step));
        let result = result_of(action, &outputs.unwrap_or_default());
        let mut session = Session::new(self, tx, tenant, "watchfloor");
        match session.finish(&run, instance, result).await {
            Err(CaseworkError::Invalid { reason, .. }) => {
                let reason = format!("what came out does not do: {reason}");
                session
                    .finish(&run, instance, StepResult::Failed(reason))
                    .await?;
            }
            other => other?,
        }
        session.settle().await
    }

    /// Goes on with steps whose time has come, and looks for runs that are stuck.
    pub(crate) async fn wake_runs(&self) -> Result<(), CaseworkError> {
        let tenant = self.settings().tenant.clone();
        let due = {
            let mut reader = self.store().read(&tenant).await?;
            reader.q().due_steps(self.now()).await?
        };
        for step in due {
            let mut tx = self.store().write(&tenant).await?;
            let mut session = Session::new(self, &mut tx, &tenant, "watchfloor");
            session.step_due(&step).await?;
            let told = session.settle().await?;
            tx.commit().await?;
            self.tell_runs(&tenant, &told);
        }
        self.watch_runs(&tenant).await
    }

    pub(crate) fn tell_run(&self, tenant: &TenantId, run: &RunId) {
        self.tell(LiveChange::Response(
            tenant.clone(),
            Arc::new(ResponseNotice {
                kind: "run",
                id: run.to_string(),
                status: "changed",
                incident_id: None,
                text: String::new(),
            }),
        ));
        self.response().wake.notify_one();
    }
}

/// Whether a playbook asks for actions.
fn acts(document: &str) -> bool {
    read(document.as_bytes()).0.is_some_and(|playbook| {
        let mut units = playbook
            .steps
            .values()
            .flat_map(|step| units_of(&playbook, step));
        units.any(|unit| matches!(unit.kind, UnitKind::Native(_)))
    })
}
