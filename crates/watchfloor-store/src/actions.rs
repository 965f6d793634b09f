//! Actions on the outside world, and what policy says of them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{
    Action, ActionId, ActionKind, ActionOutcome, ActionPolicy, ActionStatus, ArgumentValue,
    IncidentId, Principal,
};

use crate::row::{corrupt, from_json, id, micros, signed, time, time_opt, to_json, unsigned, word};
use crate::sql::{self, Row};
use crate::{Change, Page, PageRequest, Queries, StoreError, WriteTx};

/// Most actions that are taken up in one go.
const DUE_MAX: i64 = 200;
/// Actions of an incident that are listed.
const OF_INCIDENT_MAX: i64 = 500;

/// Somebody, as a row holds them.
#[derive(Serialize, Deserialize)]
pub(crate) struct PrincipalRow {
    id: String,
    name: String,
    person: String,
}

impl From<&Principal> for PrincipalRow {
    fn from(one: &Principal) -> Self {
        Self {
            id: one.id.clone(),
            name: one.name.clone(),
            person: one.person.clone(),
        }
    }
}

impl From<PrincipalRow> for Principal {
    fn from(row: PrincipalRow) -> Self {
        Self {
            id: row.id,
            name: row.name,
            person: row.person,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum ArgumentRow {
    One(String),
    Many(Vec<String>),
}

#[derive(Serialize, Deserialize)]
struct OutcomeRow {
    summary: String,
    evidence: BTreeMap<String, String>,
}

#[derive(Serialize, Deserialize)]
struct ActionRow {
    kind: String,
    arguments: BTreeMap<String, ArgumentRow>,
    target: String,
    connector: Option<String>,
    step: Option<(String, u64)>,
    reason: String,
    proposed_by: PrincipalRow,
    needs_approval: bool,
    decided_by: Option<PrincipalRow>,
    decided_at: Option<i64>,
    decision_note: Option<String>,
    time_limit_s: Option<u32>,
    undo_at: Option<i64>,
    undo_of: Option<String>,
    undone_by: Option<String>,
    attempts: u32,
    #[serde(default)]
    redone: u32,
    retries_max: u32,
    retry_wait_s: u32,
    not_before: Option<i64>,
    started_at: Option<i64>,
    ended_at: Option<i64>,
    worker: Option<String>,
    outcome: Option<OutcomeRow>,
    error: Option<String>,
    request_hash: String,
    result_hash: Option<String>,
    version: u64,
}

fn row_of(action: &Action) -> ActionRow {
    let arguments = action.arguments.iter().map(|(name, value)| {
        let value = match value {
            ArgumentValue::One(text) => ArgumentRow::One(text.clone()),
            ArgumentValue::Many(list) => ArgumentRow::Many(list.clone()),
        };
        (name.clone(), value)
    });
    ActionRow {
        kind: action.kind.as_str().to_owned(),
        arguments: arguments.collect(),
        target: action.target.clone(),
        connector: action.connector.as_ref().map(ToString::to_string),
        step: action
            .step
            .as_ref()
            .map(|(run, step)| (run.to_string(), *step)),
        reason: action.reason.clone(),
        proposed_by: (&action.proposed_by).into(),
        needs_approval: action.needs_approval,
        decided_by: action.decided_by.as_ref().map(Into::into),
        decided_at: action.decided_at.map(micros),
        decision_note: action.decision_note.clone(),
        time_limit_s: action.time_limit_s,
        undo_at: action.undo_at.map(micros),
        undo_of: action.undo_of.as_ref().map(ToString::to_string),
        undone_by: action.undone_by.as_ref().map(ToString::to_string),
        attempts: action.attempts,
        redone: action.redone,
        retries_max: action.retries_max,
        retry_wait_s: action.retry_wait_s,
        not_before: action.not_before.map(micros),
        started_at: action.started_at.map(micros),
        ended_at: action.ended_at.map(micros),
        worker: action.worker.clone(),
        outcome: action.outcome.as_ref().map(|outcome| OutcomeRow {
            summary: outcome.summary.clone(),
            evidence: outcome.evidence.clone(),
        }),
        error: action.error.clone(),
        request_hash: action.request_hash.clone(),
        result_hash: action.result_hash.clone(),
        version: action.version,
    }
}

fn action_from(row: &Row) -> Result<Action, StoreError> {
    let body: ActionRow = from_json("actions.body", row.try_get("body")?)?;
    let arguments = body.arguments.into_iter().map(|(name, value)| {
        let value = match value {
            ArgumentRow::One(text) => ArgumentValue::One(text),
            ArgumentRow::Many(list) => ArgumentValue::Many(list),
        };
        (name, value)
    });
    let opt = |value: Option<i64>| time_opt("actions.body", value);
    let id_opt = |text: Option<String>| {
        text.map(|text| id::<ActionId>("actions.body", &text))
            .transpose()
    };
    let step = body
        .step
        .map(|(run, step)| Ok::<_, StoreError>((id("actions.body", &run)?, step)))
        .transpose()?;
    let incident: Option<String> = row.try_get("incident_id")?;
    Ok(Action {
        id: id("actions.id", row.try_get("id")?)?,
        kind: word("actions.kind", &body.kind, ActionKind::parse)?,
        arguments: arguments.collect(),
        target: body.target,
        connector: body
            .connector
            .map(|text| id("actions.body", &text))
            .transpose()?,
        incident_id: incident
            .map(|text| id("actions.incident_id", &text))
            .transpose()?,
        step,
        reason: body.reason,
        status: word(
            "actions.status",
            row.try_get("status")?,
            ActionStatus::parse,
        )?,
        proposed_by: body.proposed_by.into(),
        proposed_at: time("actions.proposed_at", row.try_get("proposed_at")?)?,
        needs_approval: body.needs_approval,
        decided_by: body.decided_by.map(Into::into),
        decided_at: opt(body.decided_at)?,
        decision_note: body.decision_note,
        time_limit_s: body.time_limit_s,
        undo_at: opt(body.undo_at)?,
        undo_of: id_opt(body.undo_of)?,
        undone_by: id_opt(body.undone_by)?,
        attempts: body.attempts,
        redone: body.redone,
        retries_max: body.retries_max,
        retry_wait_s: body.retry_wait_s,
        not_before: opt(body.not_before)?,
        started_at: opt(body.started_at)?,
        ended_at: opt(body.ended_at)?,
        worker: body.worker,
        outcome: body.outcome.map(|outcome| ActionOutcome {
            summary: outcome.summary,
            evidence: outcome.evidence,
        }),
        error: body.error,
        request_hash: body.request_hash,
        result_hash: body.result_hash,
        version: body.version,
    })
}

/// The number in an id such as `act-7`: ids are given in order.
pub(crate) fn number_of(column: &'static str, id: &str) -> Result<i64, StoreError> {
    let number = id.rsplit('-').next().and_then(|text| text.parse().ok());
    number.ok_or_else(|| corrupt(column, id))
}

impl Queries<'_> {
    /// One action.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn action(&mut self, action: &ActionId) -> Result<Action, StoreError> {
        let row = self.row_of("actions", "action", action.as_str()).await?;
        action_from(&row)
    }

    /// Actions, newest first; of some states, all if none is named.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn actions(
        &mut self,
        statuses: &[ActionStatus],
        incident: Option<&IncidentId>,
        page: &PageRequest,
    ) -> Result<Page<Action>, StoreError> {
        let narrow = |query: &mut sql::Builder| {
            if let Some(incident) = incident {
                query
                    .push(" AND incident_id = ")
                    .push_bind(incident.as_str());
            }
            if !statuses.is_empty() {
                query.push(" AND status IN (");
                query.push_list(statuses.iter().map(|status| status.as_str()));
                query.push(")");
            }
        };
        let id = |action: &Action| action.id.to_string();
        self.numbered_page("actions", narrow, action_from, id, page)
            .await
    }

    /// Actions of an incident, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn actions_of(&mut self, incident: &IncidentId) -> Result<Vec<Action>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM actions WHERE tenant = $1 AND incident_id = $2 ORDER BY number LIMIT $3",
        )
        .bind(self.tenant)
        .bind(incident.as_str())
        .bind(OF_INCIDENT_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(action_from).collect()
    }

    /// Actions in a state whose time has come, those that wait longest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_actions(
        &mut self,
        status: ActionStatus,
        now: Timestamp,
    ) -> Result<Vec<Action>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM actions WHERE tenant = $1 AND status = $2 AND not_before <= $3 \
             ORDER BY not_before, number LIMIT $4",
        )
        .bind(self.tenant)
        .bind(status.as_str())
        .bind(micros(now))
        .bind(DUE_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(action_from).collect()
    }

    /// Done actions that are to be undone by now.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn actions_to_undo(&mut self, now: Timestamp) -> Result<Vec<Action>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM actions WHERE tenant = $1 AND undo_at <= $2 ORDER BY undo_at LIMIT $3",
        )
        .bind(self.tenant)
        .bind(micros(now))
        .bind(DUE_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(action_from).collect()
    }

    /// How many actions stand in each state.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn action_counts(&mut self) -> Result<BTreeMap<ActionStatus, u64>, StoreError> {
        let rows = sql::query(
            "SELECT status, COUNT(*) AS n FROM actions WHERE tenant = $1 GROUP BY status",
        )
        .bind(self.tenant)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                let status = word(
                    "actions.status",
                    row.try_get("status")?,
                    ActionStatus::parse,
                )?;
                Ok((status, unsigned("count", row.try_get("n")?)?))
            })
            .collect()
    }

    /// What policy says of each kind of action.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn action_policies(
        &mut self,
    ) -> Result<BTreeMap<ActionKind, ActionPolicy>, StoreError> {
        let mut found: BTreeMap<_, _> = ActionKind::ALL
            .iter()
            .map(|kind| (*kind, ActionPolicy::standard(*kind)))
            .collect();
        let rows = sql::query("SELECT * FROM action_policies WHERE tenant = $1")
            .bind(self.tenant)
            .fetch_all(&mut *self.conn)
            .await?;
        for row in &rows {
            let kind = word(
                "action_policies.kind",
                row.try_get("kind")?,
                ActionKind::parse,
            )?;
            let needs_approval: i64 = row.try_get("needs_approval")?;
            let limit: Option<i64> = row.try_get("time_limit_s")?;
            let limit = limit
                .map(|limit| {
                    u32::try_from(limit).map_err(|_| corrupt("action_policies.time_limit_s", limit))
                })
                .transpose()?;
            found.insert(
                kind,
                ActionPolicy {
                    needs_approval: needs_approval != 0,
                    time_limit_s: limit,
                },
            );
        }
        Ok(found)
    }
}

impl WriteTx {
    /// Writes an action, new or changed, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_action(
        &mut self,
        action: &Action,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO actions (tenant, id, number, status, incident_id, run_id, proposed_at, \
             not_before, undo_at, body) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tenant, id) DO UPDATE SET status = excluded.status, \
             not_before = excluded.not_before, undo_at = excluded.undo_at, body = excluded.body",
        )
        .bind(tenant)
        .bind(action.id.as_str())
        .bind(number_of("actions.id", action.id.as_str())?)
        .bind(action.status.as_str())
        .bind(action.incident_id.as_ref().map(IncidentId::as_str))
        .bind(action.step.as_ref().map(|(run, _)| run.as_str()))
        .bind(micros(action.proposed_at))
        .bind(action.not_before.map_or(0, micros))
        .bind(action.undo_at.map(micros))
        .bind(to_json(&row_of(action)))
        .execute(self.conn())
        .await?;
        self.record(change, action.id.as_str()).await
    }

    /// Writes what policy says of a kind of action.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_action_policy(
        &mut self,
        kind: ActionKind,
        policy: ActionPolicy,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO action_policies (tenant, kind, needs_approval, time_limit_s) \
             VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, kind) DO UPDATE SET \
             needs_approval = excluded.needs_approval, time_limit_s = excluded.time_limit_s",
        )
        .bind(tenant)
        .bind(kind.as_str())
        .bind(i64::from(policy.needs_approval))
        .bind(policy.time_limit_s.map(i64::from))
        .execute(self.conn())
        .await?;
        self.record(change, kind.as_str()).await
    }
}

/// Version of a row as a number of the database.
pub(crate) fn version(value: u64) -> i64 {
    signed(value)
}
