//! Playbooks that are kept, their runs, and the steps of runs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{
    IncidentId, PlaybookRecord, PlaybookRun, RunId, RunStatus, RunStep, StepStatus, WaitsFor,
};

use crate::actions::{PrincipalRow, number_of, version};
use crate::row::{from_json, id, micros, time, time_opt, to_json, unsigned, word};
use crate::sql::{self, Row};
use crate::{Change, Page, PageRequest, Queries, StoreError, WriteTx};

/// Most playbooks of a tenant.
const PLAYBOOKS_MAX: i64 = 2_000;
/// Most steps of a run that are listed.
const STEPS_MAX: i64 = 10_000;
/// Steps that are taken up in one go.
const DUE_MAX: i64 = 200;
/// Runs that are looked at in one go.
const RUNS_MAX: i64 = 1_000;

#[derive(Serialize, Deserialize)]
struct RunRow {
    playbook_name: String,
    started_by: PrincipalRow,
    started_at: i64,
    updated_at: i64,
    ended_at: Option<i64>,
    parent: Option<(String, u64)>,
    depth: u32,
    reason: Option<String>,
    stuck: Option<String>,
    version: u64,
}

#[derive(Serialize, Deserialize)]
struct StepRow {
    step: String,
    name: String,
    kind: String,
    detail: String,
    entered_at: i64,
    since: i64,
    ended_at: Option<i64>,
    action: Option<String>,
    child: Option<String>,
    decided_by: Option<String>,
}

fn playbook_from(row: &Row) -> Result<PlaybookRecord, StoreError> {
    let flag = |column: &'static str| row.try_get::<i64>(column).map(|value| value != 0);
    Ok(PlaybookRecord {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        document: row.try_get("document")?,
        is_built_in: flag("is_built_in")?,
        is_runnable: flag("is_runnable")?,
        changed_by: row.try_get("changed_by")?,
        changed_at: time("playbooks.changed_at", row.try_get("changed_at")?)?,
        version: unsigned("playbooks.version", row.try_get("version")?)?,
    })
}

fn run_from(row: &Row) -> Result<PlaybookRun, StoreError> {
    const BODY: &str = "playbook_runs.body";
    let body: RunRow = from_json(BODY, row.try_get("body")?)?;
    let incident: Option<String> = row.try_get("incident_id")?;
    let parent = body
        .parent
        .map(|(run, step)| Ok::<_, StoreError>((id(BODY, &run)?, step)))
        .transpose()?;
    Ok(PlaybookRun {
        id: id("playbook_runs.id", row.try_get("id")?)?,
        playbook_id: row.try_get("playbook_id")?,
        playbook_name: body.playbook_name,
        document: row.try_get("document")?,
        machine: row.try_get("machine")?,
        status: word(
            "playbook_runs.status",
            row.try_get("status")?,
            RunStatus::parse,
        )?,
        incident_id: incident
            .map(|text| id("playbook_runs.incident_id", &text))
            .transpose()?,
        started_by: body.started_by.into(),
        started_at: time(BODY, body.started_at)?,
        updated_at: time(BODY, body.updated_at)?,
        ended_at: time_opt(BODY, body.ended_at)?,
        parent,
        depth: body.depth,
        reason: body.reason,
        stuck: body.stuck,
        version: body.version,
    })
}

fn step_from(row: &Row) -> Result<RunStep, StoreError> {
    const BODY: &str = "run_steps.body";
    let body: StepRow = from_json(BODY, row.try_get("body")?)?;
    let waits_for: Option<String> = row.try_get("waits_for")?;
    Ok(RunStep {
        run: id("run_steps.run_id", row.try_get("run_id")?)?,
        instance: unsigned("run_steps.instance", row.try_get("instance")?)?,
        step: body.step,
        name: body.name,
        kind: body.kind,
        status: word(
            "run_steps.status",
            row.try_get("status")?,
            StepStatus::parse,
        )?,
        waits_for: waits_for
            .map(|text| word("run_steps.waits_for", &text, WaitsFor::parse))
            .transpose()?,
        detail: body.detail,
        entered_at: time(BODY, body.entered_at)?,
        since: time(BODY, body.since)?,
        due_at: time_opt("run_steps.due_at", row.try_get("due_at")?)?,
        ended_at: time_opt(BODY, body.ended_at)?,
        action: body.action.map(|text| id(BODY, &text)).transpose()?,
        child: body.child.map(|text| id(BODY, &text)).transpose()?,
        decided_by: body.decided_by,
    })
}

impl Queries<'_> {
    /// All playbooks, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn playbooks(&mut self) -> Result<Vec<PlaybookRecord>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM playbooks WHERE tenant = $1 ORDER BY LOWER(name), id LIMIT $2",
        )
        .bind(self.tenant)
        .bind(PLAYBOOKS_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(playbook_from).collect()
    }

    /// One playbook.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn playbook(&mut self, playbook: &str) -> Result<Option<PlaybookRecord>, StoreError> {
        let row = sql::query("SELECT * FROM playbooks WHERE tenant = $1 AND id = $2")
            .bind(self.tenant)
            .bind(playbook)
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(playbook_from).transpose()
    }

    /// One run.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn run(&mut self, run: &RunId) -> Result<PlaybookRun, StoreError> {
        let row = self
            .row_of("playbook_runs", "playbook run", run.as_str())
            .await?;
        run_from(&row)
    }

    /// Runs, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn runs(
        &mut self,
        status: Option<RunStatus>,
        incident: Option<&IncidentId>,
        page: &PageRequest,
    ) -> Result<Page<PlaybookRun>, StoreError> {
        let narrow = |query: &mut sql::Builder| {
            if let Some(status) = status {
                query.push(" AND status = ").push_bind(status.as_str());
            }
            if let Some(incident) = incident {
                query
                    .push(" AND incident_id = ")
                    .push_bind(incident.as_str());
            }
        };
        let id = |run: &PlaybookRun| run.id.to_string();
        self.numbered_page("playbook_runs", narrow, run_from, id, page)
            .await
    }

    /// Runs that are not over.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_runs(&mut self) -> Result<Vec<PlaybookRun>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM playbook_runs WHERE tenant = $1 AND status = $2 ORDER BY number LIMIT $3",
        )
        .bind(self.tenant)
        .bind(RunStatus::Running.as_str())
        .bind(RUNS_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(run_from).collect()
    }

    /// Steps of a run, in the order of entering.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run_steps(&mut self, run: &RunId) -> Result<Vec<RunStep>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM run_steps WHERE tenant = $1 AND run_id = $2 ORDER BY instance LIMIT $3",
        )
        .bind(self.tenant)
        .bind(run.as_str())
        .bind(STEPS_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(step_from).collect()
    }

    /// One step of a run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn run_step(
        &mut self,
        run: &RunId,
        instance: u64,
    ) -> Result<Option<RunStep>, StoreError> {
        let row = sql::query(
            "SELECT * FROM run_steps WHERE tenant = $1 AND run_id = $2 AND instance = $3",
        )
        .bind(self.tenant)
        .bind(run.as_str())
        .bind(version(instance))
        .fetch_optional(&mut *self.conn)
        .await?;
        row.as_ref().map(step_from).transpose()
    }

    /// Steps whose time has come: the end of a delay or of a timeout.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_steps(&mut self, now: Timestamp) -> Result<Vec<RunStep>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM run_steps WHERE tenant = $1 AND status = $2 AND due_at <= $3 \
             ORDER BY due_at LIMIT $4",
        )
        .bind(self.tenant)
        .bind(StepStatus::Waiting.as_str())
        .bind(micros(now))
        .bind(DUE_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(step_from).collect()
    }

    /// Steps that wait for something, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn waiting_steps(&mut self, what: WaitsFor) -> Result<Vec<RunStep>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM run_steps WHERE tenant = $1 AND status = $2 AND waits_for = $3 \
             ORDER BY run_id, instance LIMIT $4",
        )
        .bind(self.tenant)
        .bind(StepStatus::Waiting.as_str())
        .bind(what.as_str())
        .bind(RUNS_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(step_from).collect()
    }
}

impl WriteTx {
    /// Writes a playbook, new or changed, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_playbook(
        &mut self,
        playbook: &PlaybookRecord,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO playbooks (tenant, id, name, description, document, is_built_in, \
             is_runnable, changed_by, changed_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name, \
             description = excluded.description, document = excluded.document, \
             is_built_in = excluded.is_built_in, is_runnable = excluded.is_runnable, \
             changed_by = excluded.changed_by, changed_at = excluded.changed_at, \
             version = excluded.version",
        )
        .bind(tenant)
        .bind(&playbook.id)
        .bind(&playbook.name)
        .bind(&playbook.description)
        .bind(&playbook.document)
        .bind(i64::from(playbook.is_built_in))
        .bind(i64::from(playbook.is_runnable))
        .bind(&playbook.changed_by)
        .bind(micros(playbook.changed_at))
        .bind(version(playbook.version))
        .execute(self.conn())
        .await?;
        self.record(change, &playbook.id).await
    }

    /// Forgets a playbook; its runs stay.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_playbook(
        &mut self,
        playbook: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sql::query("DELETE FROM playbooks WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(playbook)
            .execute(self.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "playbook",
                id: playbook.to_owned(),
            });
        }
        self.record(change, playbook).await
    }

    /// Writes a run, new or changed, with an audit entry where the change is worth one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_run(
        &mut self,
        run: &PlaybookRun,
        change: Option<&Change>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let body = RunRow {
            playbook_name: run.playbook_name.clone(),
            started_by: (&run.started_by).into(),
            started_at: micros(run.started_at),
            updated_at: micros(run.updated_at),
            ended_at: run.ended_at.map(micros),
            parent: run
                .parent
                .as_ref()
                .map(|(run, step)| (run.to_string(), *step)),
            depth: run.depth,
            reason: run.reason.clone(),
            stuck: run.stuck.clone(),
            version: run.version,
        };
        sql::query(
            "INSERT INTO playbook_runs (tenant, id, number, status, playbook_id, incident_id, \
             parent_run, machine, document, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tenant, id) DO UPDATE SET status = excluded.status, \
             machine = excluded.machine, body = excluded.body",
        )
        .bind(tenant)
        .bind(run.id.as_str())
        .bind(number_of("playbook_runs.id", run.id.as_str())?)
        .bind(run.status.as_str())
        .bind(&run.playbook_id)
        .bind(run.incident_id.as_ref().map(IncidentId::as_str))
        .bind(run.parent.as_ref().map(|(run, _)| run.as_str()))
        .bind(&run.machine)
        .bind(&run.document)
        .bind(to_json(&body))
        .execute(self.conn())
        .await?;
        match change {
            Some(change) => self.record(change, run.id.as_str()).await,
            None => Ok(()),
        }
    }

    /// Writes a step of a run, new or changed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_run_step(&mut self, step: &RunStep) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let body = StepRow {
            step: step.step.clone(),
            name: step.name.clone(),
            kind: step.kind.clone(),
            detail: step.detail.clone(),
            entered_at: micros(step.entered_at),
            since: micros(step.since),
            ended_at: step.ended_at.map(micros),
            action: step.action.as_ref().map(ToString::to_string),
            child: step.child.as_ref().map(ToString::to_string),
            decided_by: step.decided_by.clone(),
        };
        sql::query(
            "INSERT INTO run_steps (tenant, run_id, instance, status, waits_for, due_at, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (tenant, run_id, instance) DO UPDATE SET status = excluded.status, \
             waits_for = excluded.waits_for, due_at = excluded.due_at, body = excluded.body",
        )
        .bind(tenant)
        .bind(step.run.as_str())
        .bind(version(step.instance))
        .bind(step.status.as_str())
        .bind(step.waits_for.map(WaitsFor::as_str))
        .bind(step.due_at.map(micros))
        .bind(to_json(&body))
        .execute(self.conn())
        .await?;
        Ok(())
    }
}
