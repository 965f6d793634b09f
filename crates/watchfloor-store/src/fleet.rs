//! Agents, their groups, rights to enrol, and files that agents collected.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{
    ActionId, Agent, AgentDoubt, AgentFile, AgentGroup, AgentGroupId, AgentId, AgentState,
    AgentStatus, Enrolment, EnrolmentId, TenantId,
};

use crate::actions::number_of;
use crate::row::{from_json, id, micros, signed, time, time_opt, to_json, unsigned, word};
use crate::sql::{self, Row};
use crate::{Change, Page, PageRequest, Queries, Store, StoreError, WriteTx};

/// Most groups of a tenant.
const GROUPS_MAX: i64 = 500;
/// Most rights to enrol that are listed.
const ENROLMENTS_MAX: i64 = 500;
/// Most files of an action.
const FILES_MAX: i64 = 500;

/// Which agents are listed.
#[derive(Clone, Debug, Default)]
pub struct AgentFilter {
    /// Part of the host's name, in any case.
    pub host: Option<String>,
    /// Of this group.
    pub group: Option<AgentGroupId>,
    /// In this state.
    pub status: Option<AgentStatus>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct StateRow {
    address: String,
    agent_version: String,
    policy: u64,
    spool: u64,
    through: u64,
    host: String,
    health: String,
    doubts: Vec<(String, i64, String)>,
}

fn state_to_json(state: &AgentState) -> String {
    to_json(&StateRow {
        address: state.address.clone(),
        agent_version: state.agent_version.clone(),
        policy: state.policy,
        spool: state.spool,
        through: state.through,
        host: state.host.clone(),
        health: state.health.clone(),
        doubts: state
            .doubts
            .iter()
            .map(|(doubt, since, text)| (doubt.to_string(), micros(*since), text.clone()))
            .collect(),
    })
}

fn state_from(row: &Row) -> Result<AgentState, StoreError> {
    const STATE: &str = "agents.state";
    let state: StateRow = from_json(STATE, row.try_get("state")?)?;
    let doubts = state.doubts.into_iter().map(|(doubt, since, text)| {
        Ok((
            word(STATE, &doubt, AgentDoubt::parse)?,
            time(STATE, since)?,
            text,
        ))
    });
    Ok(AgentState {
        seen_at: time_opt("agents.seen_at", row.try_get("seen_at")?)?,
        address: state.address,
        agent_version: state.agent_version,
        policy: state.policy,
        spool: state.spool,
        through: state.through,
        host: state.host,
        health: state.health,
        doubts: doubts.collect::<Result<_, StoreError>>()?,
    })
}

fn agent_from(row: &Row) -> Result<Agent, StoreError> {
    let until = row.try_get("certificate_until")?;
    Ok(Agent {
        id: id("agents.id", row.try_get("id")?)?,
        host: row.try_get("host")?,
        machine: row.try_get("machine")?,
        status: word("agents.status", row.try_get("status")?, AgentStatus::parse)?,
        group: id("agents.group_id", row.try_get("group_id")?)?,
        enrolled_at: time("agents.enrolled_at", row.try_get("enrolled_at")?)?,
        enrolled_by: row.try_get("enrolled_by")?,
        serial: row.try_get("serial")?,
        certificate_until: time("agents.certificate_until", until)?,
        version: unsigned("agents.version", row.try_get("version")?)?,
        state: state_from(row)?,
    })
}

fn group_from(row: &Row) -> Result<AgentGroup, StoreError> {
    Ok(AgentGroup {
        id: id("agent_groups.id", row.try_get("id")?)?,
        name: row.try_get("name")?,
        policy: row.try_get("policy")?,
        revision: unsigned("agent_groups.revision", row.try_get("revision")?)?,
        agent_version: row.try_get("agent_version")?,
        changed_by: row.try_get("changed_by")?,
        changed_at: time("agent_groups.changed_at", row.try_get("changed_at")?)?,
        version: unsigned("agent_groups.version", row.try_get("version")?)?,
    })
}

fn enrolment_from(row: &Row) -> Result<Enrolment, StoreError> {
    let uses_left = unsigned("enrolments.uses_left", row.try_get("uses_left")?)?;
    Ok(Enrolment {
        id: id("enrolments.id", row.try_get("id")?)?,
        group: id("enrolments.group_id", row.try_get("group_id")?)?,
        uses_left: u32::try_from(uses_left).unwrap_or(u32::MAX),
        expires_at: time("enrolments.expires_at", row.try_get("expires_at")?)?,
        created_by: row.try_get("created_by")?,
        created_at: time("enrolments.created_at", row.try_get("created_at")?)?,
    })
}

fn file_from(row: &Row) -> Result<AgentFile, StoreError> {
    Ok(AgentFile {
        action: id("agent_files.action_id", row.try_get("action_id")?)?,
        name: row.try_get("name")?,
        agent: id("agent_files.agent_id", row.try_get("agent_id")?)?,
        size: unsigned("agent_files.size", row.try_get("size")?)?,
        sha256: row.try_get("sha256")?,
        kept_at: time("agent_files.kept_at", row.try_get("kept_at")?)?,
    })
}

impl Store {
    /// The right to enrol that a secret is; end and uses are the caller's to judge.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enrolment_by_secret(
        &self,
        secret_hash: &str,
    ) -> Result<Option<(TenantId, Enrolment)>, StoreError> {
        let row = sql::query("SELECT * FROM enrolments WHERE secret_hash = $1")
            .bind(secret_hash)
            .fetch_optional(self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let tenant = id("enrolments.tenant", row.try_get("tenant")?)?;
        Ok(Some((tenant, enrolment_from(&row)?)))
    }
}

impl Queries<'_> {
    /// One agent.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn agent(&mut self, agent: &AgentId) -> Result<Agent, StoreError> {
        let row = self.row_of("agents", "agent", agent.as_str()).await?;
        agent_from(&row)
    }

    /// Agents, those enrolled last first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agents(
        &mut self,
        filter: &AgentFilter,
        page: &PageRequest,
    ) -> Result<Page<Agent>, StoreError> {
        let narrow = |query: &mut sql::Builder| {
            if let Some(host) = &filter.host {
                query.push(" AND instr(host_key, ");
                query.push_bind(host.to_lowercase()).push(") > 0");
            }
            if let Some(group) = &filter.group {
                query.push(" AND group_id = ").push_bind(group.as_str());
            }
            if let Some(status) = filter.status {
                query.push(" AND status = ").push_bind(status.as_str());
            }
        };
        let id = |agent: &Agent| agent.id.to_string();
        self.numbered_page("agents", narrow, agent_from, id, page)
            .await
    }

    /// The active agent of a host, the one heard last where there are several. Names are compared
    /// in any case, and up to the first dot if either has none.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agent_of_host(&mut self, host: &str) -> Result<Option<Agent>, StoreError> {
        let name = host.to_lowercase();
        let short = name.split('.').next().unwrap_or(&name).to_owned();
        let has_domain = short != name;
        let mut query = sql::Builder::new("SELECT * FROM agents WHERE tenant = ");
        query.push_bind(self.tenant).push(" AND status = ");
        query.push_bind(AgentStatus::Active.as_str());
        query.push(" AND (host_key = ").push_bind(&name);
        match has_domain {
            true => query.push(" OR host_key = ").push_bind(&short),
            false => query
                .push(" OR instr(host_key, ")
                .push_bind(format!("{short}."))
                .push(") = 1"),
        };
        query.push(") ORDER BY seen_at IS NULL, seen_at DESC, number DESC LIMIT 1");
        let row = query.build().fetch_optional(&mut *self.conn).await?;
        row.as_ref().map(agent_from).transpose()
    }

    /// All groups, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agent_groups(&mut self) -> Result<Vec<AgentGroup>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM agent_groups WHERE tenant = $1 ORDER BY name_key, id LIMIT $2",
        )
        .bind(self.tenant)
        .bind(GROUPS_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(group_from).collect()
    }

    /// One group.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn agent_group(&mut self, group: &AgentGroupId) -> Result<AgentGroup, StoreError> {
        let row = self
            .row_of("agent_groups", "group of agents", group.as_str())
            .await?;
        group_from(&row)
    }

    /// Rights to enrol, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn enrolments(&mut self) -> Result<Vec<Enrolment>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM enrolments WHERE tenant = $1 ORDER BY created_at DESC, id LIMIT $2",
        )
        .bind(self.tenant)
        .bind(ENROLMENTS_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(enrolment_from).collect()
    }

    /// One right to enrol.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn enrolment(&mut self, enrolment: &EnrolmentId) -> Result<Enrolment, StoreError> {
        let row = self
            .row_of("enrolments", "right to enrol", enrolment.as_str())
            .await?;
        enrolment_from(&row)
    }

    /// Files that an action collected, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn agent_files(&mut self, action: &ActionId) -> Result<Vec<AgentFile>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM agent_files WHERE tenant = $1 AND action_id = $2 ORDER BY name LIMIT $3",
        )
        .bind(self.tenant)
        .bind(action.as_str())
        .bind(FILES_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(file_from).collect()
    }
}

impl WriteTx {
    /// Writes an agent, new or changed, with its audit entry. Its state is written when it is
    /// new, and by [`WriteTx::save_agent_state`] from then on.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_agent(&mut self, agent: &Agent, change: &Change) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO agents (tenant, id, number, host, host_key, machine, status, group_id, \
             enrolled_at, enrolled_by, serial, certificate_until, seen_at, state, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15) \
             ON CONFLICT (tenant, id) DO UPDATE SET host = excluded.host, \
             host_key = excluded.host_key, machine = excluded.machine, status = excluded.status, \
             group_id = excluded.group_id, serial = excluded.serial, \
             certificate_until = excluded.certificate_until, version = excluded.version",
        )
        .bind(tenant)
        .bind(agent.id.as_str())
        .bind(number_of("agents.id", agent.id.as_str())?)
        .bind(&agent.host)
        .bind(agent.host.to_lowercase())
        .bind(&agent.machine)
        .bind(agent.status.as_str())
        .bind(agent.group.as_str())
        .bind(micros(agent.enrolled_at))
        .bind(&agent.enrolled_by)
        .bind(&agent.serial)
        .bind(micros(agent.certificate_until))
        .bind(agent.state.seen_at.map(micros))
        .bind(state_to_json(&agent.state))
        .bind(signed(agent.version))
        .execute(self.conn())
        .await?;
        self.record(change, agent.id.as_str()).await
    }

    /// Writes what was heard of an agent. No audit entry: it is no change by an actor.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_agent_state(
        &mut self,
        agent: &AgentId,
        state: &AgentState,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query("UPDATE agents SET seen_at = $3, state = $4 WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(agent.as_str())
            .bind(state.seen_at.map(micros))
            .bind(state_to_json(state))
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Writes a group, new or changed, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`]; a name that is taken is a duplicate.
    pub async fn save_agent_group(
        &mut self,
        group: &AgentGroup,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO agent_groups (tenant, id, name, name_key, policy, revision, \
             agent_version, changed_by, changed_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name, \
             name_key = excluded.name_key, policy = excluded.policy, \
             revision = excluded.revision, agent_version = excluded.agent_version, \
             changed_by = excluded.changed_by, changed_at = excluded.changed_at, \
             version = excluded.version",
        )
        .bind(tenant)
        .bind(group.id.as_str())
        .bind(&group.name)
        .bind(group.name.to_lowercase())
        .bind(&group.policy)
        .bind(signed(group.revision))
        .bind(&group.agent_version)
        .bind(&group.changed_by)
        .bind(micros(group.changed_at))
        .bind(signed(group.version))
        .execute(self.conn())
        .await?;
        self.record(change, group.id.as_str()).await
    }

    /// Keeps a right to enrol.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_enrolment(
        &mut self,
        enrolment: &Enrolment,
        secret_hash: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO enrolments (tenant, id, secret_hash, group_id, uses_left, expires_at, \
             created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(tenant)
        .bind(enrolment.id.as_str())
        .bind(secret_hash)
        .bind(enrolment.group.as_str())
        .bind(i64::from(enrolment.uses_left))
        .bind(micros(enrolment.expires_at))
        .bind(&enrolment.created_by)
        .bind(micros(enrolment.created_at))
        .execute(self.conn())
        .await?;
        self.record(change, enrolment.id.as_str()).await
    }

    /// Takes one use of a right to enrol, if there is one left and it is not over. The audit
    /// entry is that of the agent that comes in by it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn use_enrolment(
        &mut self,
        enrolment: &EnrolmentId,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant();
        let done = sql::query(
            "UPDATE enrolments SET uses_left = uses_left - 1 \
             WHERE tenant = $1 AND id = $2 AND uses_left > 0 AND expires_at > $3",
        )
        .bind(tenant)
        .bind(enrolment.as_str())
        .bind(micros(now))
        .execute(self.conn())
        .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a right to enrol back.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_enrolment(
        &mut self,
        enrolment: &EnrolmentId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sql::query("DELETE FROM enrolments WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(enrolment.as_str())
            .execute(self.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "right to enrol",
                id: enrolment.to_string(),
            });
        }
        self.record(change, enrolment.as_str()).await
    }

    /// Notes a file that an agent collected, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_agent_file(
        &mut self,
        file: &AgentFile,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO agent_files (tenant, action_id, name, agent_id, size, sha256, kept_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, action_id, name) DO UPDATE \
             SET agent_id = excluded.agent_id, size = excluded.size, sha256 = excluded.sha256, \
             kept_at = excluded.kept_at",
        )
        .bind(tenant)
        .bind(file.action.as_str())
        .bind(&file.name)
        .bind(file.agent.as_str())
        .bind(signed(file.size))
        .bind(&file.sha256)
        .bind(micros(file.kept_at))
        .execute(self.conn())
        .await?;
        self.record(change, file.action.as_str()).await
    }
}
