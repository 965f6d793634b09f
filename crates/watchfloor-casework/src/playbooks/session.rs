//! One transaction over runs: what the machine asks for is written down together with the
//! machine, so that neither is ever without the other.

use std::collections::{BTreeMap, VecDeque};

use jiff::SignedDuration;
use watchfloor_model::{
    Action, ActionStatus, ConnectorId, EntityKind, IncidentId, PlaybookRecord, PlaybookRun,
    Principal, RunId, RunStatus, RunStep, StepStatus, TenantId, WaitsFor,
};
use watchfloor_playbook::{
    Context, Effect, Machine, MachineError, Outcome, Playbook, StepResult, Values, read,
};
use watchfloor_store::WriteTx;

use crate::response::{FromStep, NewAction, Origin, invalid};
use crate::{Casework, CaseworkError};

/// Deepest chain of runs that call each other.
const DEPTH_MAX: u32 = 10;
/// Effects of one transaction; more is a fault of ours.
const EFFECTS_MAX: usize = 100_000;

struct Loaded {
    run: PlaybookRun,
    playbook: Playbook,
    machine: Machine,
    observed: Vec<(EntityKind, String)>,
}

/// A transaction over runs.
pub(super) struct Session<'t> {
    casework: &'t Casework,
    tx: &'t mut WriteTx,
    tenant: TenantId,
    by: String,
    loaded: BTreeMap<RunId, Loaded>,
    queue: VecDeque<(RunId, Effect)>,
}

/// What a new run is of.
pub(super) struct NewRun {
    pub(super) playbook_id: String,
    pub(super) document: String,
    pub(super) inputs: BTreeMap<String, String>,
    pub(super) incident_id: Option<IncidentId>,
    pub(super) started_by: Principal,
    pub(super) parent: Option<(RunId, u64)>,
    pub(super) depth: u32,
}

impl<'t> Session<'t> {
    pub(super) fn new(
        casework: &'t Casework,
        tx: &'t mut WriteTx,
        tenant: &TenantId,
        by: &str,
    ) -> Self {
        Self {
            casework,
            tx,
            tenant: tenant.clone(),
            by: by.to_owned(),
            loaded: BTreeMap::new(),
            queue: VecDeque::new(),
        }
    }

    async fn observed(
        &mut self,
        incident: Option<&IncidentId>,
    ) -> Result<Vec<(EntityKind, String)>, CaseworkError> {
        let Some(id) = incident else {
            return Ok(Vec::new());
        };
        let incident = self.tx.q().incident(id).await?;
        let mut found: Vec<_> = incident
            .entities
            .into_iter()
            .map(|one| (one.kind, one.value))
            .collect();
        let observables = self.tx.q().observables_of(id).await?;
        found.extend(observables.into_iter().map(|one| (one.kind, one.value)));
        Ok(found)
    }

    async fn load(&mut self, id: &RunId) -> Result<(), CaseworkError> {
        if self.loaded.contains_key(id) {
            return Ok(());
        }
        let run = self.tx.q().run(id).await?;
        let playbook = read(run.document.as_bytes()).0;
        let machine = machine_of(&run.machine);
        let (Some(playbook), Some(machine)) = (playbook, machine) else {
            return Err(CaseworkError::System {
                what: "a run cannot be read",
            });
        };
        let observed = self.observed(run.incident_id.as_ref()).await?;
        self.loaded.insert(
            id.clone(),
            Loaded {
                run,
                playbook,
                machine,
                observed,
            },
        );
        Ok(())
    }

    /// Lets the machine of a run do something, and takes what it asks for.
    fn with_machine<E>(
        &mut self,
        id: &RunId,
        call: impl FnOnce(&mut Machine, Context<'_>) -> Result<Vec<Effect>, E>,
    ) -> Result<(), E> {
        let now_ms = self.casework.now().as_millisecond();
        if let Some(loaded) = self.loaded.get_mut(id) {
            let context = Context {
                playbook: &loaded.playbook,
                now_ms,
                observed: &loaded.observed,
            };
            let effects = call(&mut loaded.machine, context)?;
            self.queue
                .extend(effects.into_iter().map(|effect| (id.clone(), effect)));
        }
        Ok(())
    }

    /// Writes a new run and begins it.
    pub(super) async fn begin(&mut self, new: NewRun) -> Result<RunId, CaseworkError> {
        let (Some(playbook), _) = read(new.document.as_bytes()) else {
            return Err(invalid("playbook", "the document cannot be read"));
        };
        check_validity(&playbook, self.casework.now())
            .map_err(|reason| invalid("playbook", reason))?;
        let machine =
            Machine::new(&playbook, &new.inputs).map_err(|error| invalid("inputs", error))?;
        let now = self.casework.now();
        let id = RunId::numbered(self.tx.next_number("run").await?);
        let run = PlaybookRun {
            id: id.clone(),
            playbook_id: new.playbook_id,
            playbook_name: playbook.name.clone(),
            document: new.document,
            machine: String::new(),
            status: RunStatus::Running,
            incident_id: new.incident_id,
            started_by: new.started_by,
            started_at: now,
            updated_at: now,
            ended_at: None,
            parent: new.parent,
            depth: new.depth,
            reason: None,
            stuck: None,
            version: 0,
        };
        let of = run
            .incident_id
            .as_ref()
            .map_or(String::new(), |id| format!(" for {id}"));
        let change =
            self.casework
                .change_by(&self.by, "run.start", format!("{}{of}", run.playbook_name));
        self.tx.save_run(&run, Some(&change)).await?;
        let observed = self.observed(run.incident_id.as_ref()).await?;
        self.loaded.insert(
            id.clone(),
            Loaded {
                run,
                playbook,
                machine,
                observed,
            },
        );
        self.with_machine(&id, |machine, context| {
            Ok::<_, CaseworkError>(machine.begin(context))
        })?;
        Ok(id)
    }

    /// Takes how a step went. A step that is not open any more is left alone.
    pub(super) async fn finish(
        &mut self,
        run: &RunId,
        instance: u64,
        result: StepResult,
    ) -> Result<(), CaseworkError> {
        self.load(run).await?;
        let done = self.with_machine(run, |machine, context| {
            machine.finish(context, instance, result)
        });
        match done {
            Ok(()) | Err(MachineError::NotOpen(_)) => Ok(()),
            Err(MachineError::Value(reason)) => Err(invalid("values", reason)),
        }
    }

    /// Goes on with a step whose time has come.
    pub(super) async fn step_due(&mut self, step: &RunStep) -> Result<(), CaseworkError> {
        self.load(&step.run).await?;
        let done = match step.waits_for {
            Some(WaitsFor::Time) => {
                self.with_machine(&step.run, |machine, context| Ok(machine.wake(context)))
            }
            _ => self.with_machine(&step.run, |machine, context| {
                machine.time_out(context, step.instance)
            }),
        };
        match done {
            Ok(()) | Err(MachineError::NotOpen(_)) => {}
            Err(MachineError::Value(reason)) => return Err(invalid("values", reason)),
        }
        // A row that the machine knows nothing of would come due for ever.
        if let Some(mut row) = self.tx.q().run_step(&step.run, step.instance).await?
            && row.due_at == step.due_at
        {
            row.due_at = None;
            self.tx.save_run_step(&row).await?;
        }
        Ok(())
    }

    /// Ends a run on behalf of somebody.
    pub(super) async fn cancel(&mut self, id: &RunId, reason: &str) -> Result<(), CaseworkError> {
        self.load(id).await?;
        let open: Vec<u64> = match self.loaded.get(id) {
            Some(loaded) => loaded.machine.open_steps().keys().copied().collect(),
            None => Vec::new(),
        };
        for instance in open {
            self.give_up(id, instance).await?;
        }
        self.end_run(id, RunStatus::Cancelled, Some(reason.to_owned()))
            .await
    }

    /// Does what the machines asked for, and writes all down. Returns the runs that changed.
    pub(super) async fn settle(mut self) -> Result<Vec<RunId>, CaseworkError> {
        let mut count = 0;
        while let Some((run, effect)) = self.queue.pop_front() {
            count += 1;
            if count > EFFECTS_MAX {
                return Err(CaseworkError::System {
                    what: "a run asked for too much at once",
                });
            }
            self.take(&run, effect).await?;
        }
        let now = self.casework.now();
        let mut changed = Vec::new();
        for (id, mut loaded) in std::mem::take(&mut self.loaded) {
            loaded.run.machine = machine_text(&loaded.machine);
            loaded.run.updated_at = now;
            loaded.run.version += 1;
            self.tx.save_run(&loaded.run, None).await?;
            changed.push(id);
        }
        Ok(changed)
    }

    async fn take(&mut self, run: &RunId, effect: Effect) -> Result<(), CaseworkError> {
        match effect {
            Effect::Entered { instance, step, .. } => self.entered(run, instance, &step).await,
            Effect::Wait { instance, until_ms } => {
                let until =
                    jiff::Timestamp::from_millisecond(until_ms).unwrap_or(jiff::Timestamp::MAX);
                let mut row = self.row(run, instance).await?;
                row.waits_for = Some(WaitsFor::Time);
                row.due_at = Some(until);
                row.detail = format!("waits until {until}");
                Ok(self.tx.save_run_step(&row).await?)
            }
            Effect::Act { .. } => self.act(run, effect).await,
            Effect::Ask {
                instance,
                text,
                why,
            } => {
                let why = why.map_or(String::new(), |why| {
                    format!("\n({why}, so a person does it)")
                });
                self.waits(
                    run,
                    instance,
                    WaitsFor::Person,
                    format!("{text}{why}"),
                    |_| {},
                )
                .await
            }
            Effect::Call {
                instance,
                playbook_id,
                version,
                inputs,
            } => {
                self.call(run, instance, &playbook_id, version, inputs)
                    .await
            }
            Effect::Branched { instance, detail } => {
                self.waits(run, instance, WaitsFor::Branches, detail, |_| {})
                    .await
            }
            Effect::Ended {
                instance,
                failed,
                detail,
            } => {
                let mut row = self.row(run, instance).await?;
                row.status = if failed.is_some() {
                    StepStatus::Failed
                } else {
                    StepStatus::Done
                };
                if let Some(text) = failed.or_else(|| (!detail.is_empty()).then_some(detail)) {
                    row.detail = text;
                }
                self.close(row).await
            }
            Effect::GivenUp { instance } => self.give_up(run, instance).await,
            Effect::Finished(outcome) => self.finished(run, outcome).await,
        }
    }

    async fn close(&mut self, mut row: RunStep) -> Result<(), CaseworkError> {
        row.waits_for = None;
        row.due_at = None;
        row.ended_at = Some(self.casework.now());
        Ok(self.tx.save_run_step(&row).await?)
    }

    async fn entered(&mut self, run: &RunId, instance: u64, id: &str) -> Result<(), CaseworkError> {
        let now = self.casework.now();
        let step = self
            .loaded
            .get(run)
            .and_then(|loaded| loaded.playbook.steps.get(id));
        let row = RunStep {
            run: run.clone(),
            instance,
            step: id.to_owned(),
            name: step.map_or(id.to_owned(), |step| step.name.clone()),
            kind: step.map_or(String::new(), |step| step.kind.as_str().to_owned()),
            status: StepStatus::Waiting,
            waits_for: None,
            detail: String::new(),
            entered_at: now,
            since: now,
            due_at: None,
            ended_at: None,
            action: None,
            child: None,
            decided_by: None,
        };
        Ok(self.tx.save_run_step(&row).await?)
    }

    async fn row(&mut self, run: &RunId, instance: u64) -> Result<RunStep, CaseworkError> {
        let found = self.tx.q().run_step(run, instance).await?;
        found.ok_or_else(|| CaseworkError::Missing {
            kind: "step",
            id: format!("{run}/{instance}"),
        })
    }

    /// Writes what a step waits for. Its time runs from when it began to wait for anything but
    /// its delay.
    async fn waits(
        &mut self,
        run: &RunId,
        instance: u64,
        what: WaitsFor,
        detail: String,
        set: impl FnOnce(&mut RunStep),
    ) -> Result<(), CaseworkError> {
        let now = self.casework.now();
        let mut row = self.row(run, instance).await?;
        let is_first = row.waits_for.is_none_or(|known| known == WaitsFor::Time);
        if is_first {
            let step = self
                .loaded
                .get(run)
                .and_then(|loaded| loaded.playbook.steps.get(&row.step));
            let limit = step.and_then(|step| step.timeout_ms);
            row.due_at = limit.and_then(|ms| {
                let limit = SignedDuration::from_millis(i64::try_from(ms).unwrap_or(i64::MAX));
                now.saturating_add(limit).ok()
            });
        }
        row.waits_for = Some(what);
        row.since = now;
        row.detail = detail;
        set(&mut row);
        Ok(self.tx.save_run_step(&row).await?)
    }

    /// The connector of a name; in words if there is none.
    async fn connector_named(
        &mut self,
        name: Option<String>,
    ) -> Result<Result<Option<ConnectorId>, String>, CaseworkError> {
        let Some(name) = name else {
            return Ok(Ok(None));
        };
        let known = self.tx.q().connectors().await?;
        let found = known
            .into_iter()
            .find(|one| one.name.eq_ignore_ascii_case(&name));
        Ok(match found {
            Some(found) => Ok(Some(found.id)),
            None => Err(format!("there is no connector '{name}'")),
        })
    }

    async fn act(&mut self, run: &RunId, effect: Effect) -> Result<(), CaseworkError> {
        let Effect::Act {
            instance,
            kind,
            arguments,
            time_limit_s,
            connector,
            by_hand,
            retries,
            retry_wait_s,
        } = effect
        else {
            return Ok(());
        };
        let Some(loaded) = self.loaded.get(run) else {
            return Ok(());
        };
        let by = loaded.run.started_by.clone();
        let reason = format!(
            "{}: {}",
            loaded.run.playbook_name,
            by_hand.lines().next().unwrap_or_default()
        );
        let incident_id = loaded.run.incident_id.clone();
        let connector = match self.connector_named(connector).await? {
            Ok(connector) => connector,
            Err(reason) => return self.finish(run, instance, StepResult::Failed(reason)).await,
        };
        let new = NewAction {
            kind,
            arguments,
            connector,
            incident_id,
            reason,
            time_limit_s: time_limit_s
                .map(|limit| Some(limit).filter(|_| kind.undo().is_some()))
                .filter(Option::is_some),
        };
        let step = FromStep {
            run: run.clone(),
            instance,
            retries,
            retry_wait_s,
        };
        self.ask_for(new, by, step, by_hand).await
    }

    /// Writes the action of a step; where nobody serves it, a person does it, and the run does
    /// not fail for it.
    async fn ask_for(
        &mut self,
        new: NewAction,
        by: Principal,
        step: FromStep,
        by_hand: String,
    ) -> Result<(), CaseworkError> {
        let (run, instance) = (step.run.clone(), step.instance);
        let tenant = self.tenant.clone();
        let made = self
            .casework
            .add_action(self.tx, &tenant, new, by, Origin::Step(step))
            .await;
        match made {
            Ok(action) => {
                let detail = action.in_words();
                self.waits(&run, instance, WaitsFor::Action, detail, |row| {
                    row.action = Some(action.id);
                })
                .await
            }
            Err(CaseworkError::Invalid {
                field: "kind",
                reason,
            }) => {
                let detail = format!("{by_hand}\n({reason})");
                self.waits(&run, instance, WaitsFor::Person, detail, |_| {})
                    .await
            }
            Err(CaseworkError::Invalid { reason, .. }) => {
                self.finish(&run, instance, StepResult::Failed(reason))
                    .await
            }
            Err(error) => Err(error),
        }
    }

    async fn call(
        &mut self,
        run: &RunId,
        instance: u64,
        playbook_id: &str,
        version: Option<String>,
        inputs: Values,
    ) -> Result<(), CaseworkError> {
        let Some(loaded) = self.loaded.get(run) else {
            return Ok(());
        };
        let (depth, started_by, incident_id) = (
            loaded.run.depth + 1,
            loaded.run.started_by.clone(),
            loaded.run.incident_id.clone(),
        );
        let record = self.tx.q().playbook(playbook_id).await?;
        let trouble = call_trouble(playbook_id, record.as_ref(), depth, version);
        let (Some(record), None) = (record, &trouble) else {
            return self
                .finish(
                    run,
                    instance,
                    StepResult::Failed(trouble.unwrap_or_default()),
                )
                .await;
        };
        let new = NewRun {
            playbook_id: record.id,
            document: record.document,
            inputs: inputs
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            incident_id,
            started_by,
            parent: Some((run.clone(), instance)),
            depth,
        };
        match Box::pin(self.begin(new)).await {
            Ok(child) => {
                let detail = format!("runs '{}'", record.name);
                self.waits(run, instance, WaitsFor::Run, detail, |row| {
                    row.child = Some(child)
                })
                .await
            }
            Err(CaseworkError::Invalid { reason, .. }) => {
                self.finish(run, instance, StepResult::Failed(reason)).await
            }
            Err(error) => Err(error),
        }
    }

    async fn give_up(&mut self, run: &RunId, instance: u64) -> Result<(), CaseworkError> {
        let mut row = self.row(run, instance).await?;
        if row.status != StepStatus::Waiting {
            return Ok(());
        }
        row.status = StepStatus::Cancelled;
        if let Some(id) = row.action.clone() {
            let action = self.tx.q().action(&id).await?;
            if matches!(action.status, ActionStatus::Proposed | ActionStatus::Ready) {
                let why = "the run that asked for it went on without it".to_owned();
                self.casework
                    .withdraw(self.tx, action, &self.by, why)
                    .await?;
            }
        }
        let child = row.child.clone();
        self.close(row).await?;
        if let Some(child) = child {
            Box::pin(self.cancel(&child, "the run that called it ended")).await?;
        }
        Ok(())
    }

    async fn end_run(
        &mut self,
        id: &RunId,
        status: RunStatus,
        reason: Option<String>,
    ) -> Result<(), CaseworkError> {
        let now = self.casework.now();
        let Some(loaded) = self.loaded.get_mut(id) else {
            return Ok(());
        };
        if loaded.run.status != RunStatus::Running {
            return Ok(());
        }
        loaded.run.end(status, reason.clone(), now)?;
        let detail = format!(
            "{} is {status}{}",
            loaded.run.playbook_name,
            reason.map_or(String::new(), |reason| format!(": {reason}"))
        );
        let change = self.casework.change_by(&self.by, "run.end", detail);
        let run = loaded.run.clone();
        self.tx.save_run(&run, Some(&change)).await?;
        Ok(())
    }

    async fn finished(&mut self, id: &RunId, outcome: Outcome) -> Result<(), CaseworkError> {
        let (status, reason) = match &outcome {
            Outcome::Done => (RunStatus::Done, None),
            Outcome::Failed(reason) => (RunStatus::Failed, Some(reason.clone())),
        };
        self.end_run(id, status, reason).await?;
        let parent = self
            .loaded
            .get(id)
            .and_then(|loaded| loaded.run.parent.clone());
        let Some((parent, instance)) = parent else {
            return Ok(());
        };
        let result = match outcome {
            Outcome::Failed(reason) => {
                StepResult::Failed(format!("the called playbook failed: {reason}"))
            }
            Outcome::Done => {
                let values = self
                    .loaded
                    .get(id)
                    .map(|loaded| loaded.machine.values().clone())
                    .unwrap_or_default();
                self.load(&parent).await?;
                let row = self.row(&parent, instance).await?;
                let outputs = self
                    .loaded
                    .get(&parent)
                    .map(|loaded| Machine::outputs(&loaded.playbook, &row.step));
                let given = outputs.unwrap_or_default().into_keys().filter_map(|name| {
                    let value = values.get(&name)?.clone()?;
                    Some((name, value))
                });
                StepResult::Done(given.collect())
            }
        };
        match self.finish(&parent, instance, result).await {
            Err(CaseworkError::Invalid { reason, .. }) => {
                self.finish(&parent, instance, StepResult::Failed(reason))
                    .await
            }
            other => other,
        }
    }
}

/// Why a playbook cannot be called.
fn call_trouble(
    id: &str,
    record: Option<&PlaybookRecord>,
    depth: u32,
    version: Option<String>,
) -> Option<String> {
    let Some(one) = record else {
        return Some(format!("playbook {id} is not here; import it"));
    };
    if !one.is_runnable {
        return Some(format!(
            "playbook '{}' has faults and cannot be run",
            one.name
        ));
    }
    if depth > DEPTH_MAX {
        return Some(format!(
            "more than {DEPTH_MAX} playbooks call each other in a row"
        ));
    }
    let modified = read(one.document.as_bytes())
        .0
        .map(|playbook| playbook.modified);
    version
        .filter(|wanted| modified.as_ref() != Some(wanted))
        .map(|wanted| format!("version {wanted} of playbook '{}' is not here", one.name))
}

/// A playbook that is revoked, or not of this time, is not run.
fn check_validity(playbook: &Playbook, now: jiff::Timestamp) -> Result<(), String> {
    if playbook.is_revoked {
        return Err("it is revoked by whoever made it".to_owned());
    }
    let time = |text: &Option<String>| {
        text.as_ref()
            .and_then(|text| text.parse::<jiff::Timestamp>().ok())
    };
    match (time(&playbook.valid_from), time(&playbook.valid_until)) {
        (Some(from), _) if now < from => Err(format!("it is valid from {from} on")),
        (_, Some(until)) if now >= until => Err(format!("it was valid until {until}")),
        _ => Ok(()),
    }
}

/// What a done action gives out: values by the name of its evidence, and the whole of what was
/// said to the first variable that has no other.
pub(super) fn result_of(action: &Action, outputs: &BTreeMap<String, String>) -> StepResult {
    match action.status {
        ActionStatus::Done | ActionStatus::Undone => {
            let evidence = action.outcome.as_ref().map(|outcome| &outcome.evidence);
            let mut values = BTreeMap::new();
            let mut is_output_given = false;
            for name in outputs.keys() {
                let plain = name.trim_matches('_');
                let known = evidence.and_then(|evidence| evidence.get(plain));
                let value = match known {
                    Some(value) => Some(value),
                    None if !is_output_given => {
                        is_output_given = true;
                        evidence.and_then(|evidence| evidence.get("output"))
                    }
                    None => None,
                };
                values.extend(value.map(|value| (name.clone(), value.clone())));
            }
            StepResult::Done(values)
        }
        _ => StepResult::Failed(
            action
                .error
                .clone()
                .unwrap_or_else(|| format!("{} is {}", action.id, action.status)),
        ),
    }
}

pub(super) fn machine_of(text: &str) -> Option<Machine> {
    serde_json::from_str(text).ok()
}

fn machine_text(machine: &Machine) -> String {
    serde_json::to_string(machine).unwrap_or_default()
}
