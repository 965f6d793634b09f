//! Agents on endpoints: who lets them in, which policy they follow, what is kept of them.

mod admission;
mod groups;

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{
    ActionId, Actor, Agent, AgentDoubt, AgentFile, AgentGroupId, AgentId, AgentState, AgentStatus,
    Enrolment, EnrolmentId, Permission, TenantId,
};
use watchfloor_store::{AgentFilter, Page, PageRequest};

use crate::alerts::NOTE_BYTES_MAX;
use crate::error::checked_text;
use crate::{Casework, CaseworkError, FleetNotice, LiveChange, secret};

pub use admission::{AgentRefusal, Certified};
pub use groups::GroupPatch;

/// Most agents that one right lets in.
const USES_MAX: u32 = 100_000;
/// Longest life of a right to enrol in hours.
const LIFE_HOURS_MAX: u32 = 24 * 90;
/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// What a person should look at, since when, and in words.
type AgentDoubtNote = (AgentDoubt, Timestamp, String);

/// A right to enrol just made; its secret is shown once.
#[derive(Clone, Debug)]
pub struct NewEnrolment {
    /// The right.
    pub enrolment: Enrolment,
    /// The secret: 64 hexadecimal digits.
    pub secret: String,
}

impl Casework {
    /// Agents, those enrolled last first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn agents(
        &self,
        actor: &Actor,
        filter: &AgentFilter,
        page: &PageRequest,
    ) -> Result<Page<Agent>, CaseworkError> {
        self.authorize(actor, Permission::ReadMonitor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().agents(filter, page).await?)
    }

    /// One agent.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn agent(&self, actor: &Actor, id: &AgentId) -> Result<Agent, CaseworkError> {
        self.authorize(actor, Permission::ReadMonitor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().agent(id).await?)
    }

    /// Takes an agent's certificate back. It is never let in again; its host can be enrolled anew.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn revoke_agent(
        &self,
        actor: &Actor,
        id: &AgentId,
        reason: &str,
    ) -> Result<Agent, CaseworkError> {
        let reason = checked_text("reason", reason, NOTE_BYTES_MAX)?;
        self.change_agent(actor, id, "agent.revoke", |agent| {
            agent.status = AgentStatus::Revoked;
            format!("{}: {reason}", agent.host)
        })
        .await
    }

    /// Moves an agent to another group.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn move_agent(
        &self,
        actor: &Actor,
        id: &AgentId,
        group: &AgentGroupId,
    ) -> Result<Agent, CaseworkError> {
        let name = {
            let mut reader = self.store().read(&actor.tenant).await?;
            reader.q().agent_group(group).await?.name
        };
        self.change_agent(actor, id, "agent.move", |agent| {
            agent.group = group.clone();
            format!("{} to group {name}", agent.host)
        })
        .await
    }

    /// Says that somebody looked at an agent's doubts and is content.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn clear_agent_doubts(
        &self,
        actor: &Actor,
        id: &AgentId,
        reason: &str,
    ) -> Result<Agent, CaseworkError> {
        let reason = checked_text("reason", reason, NOTE_BYTES_MAX)?;
        let agent = self
            .change_agent(actor, id, "agent.clear", |agent| {
                let words: Vec<_> = agent.state.doubts.iter().map(|one| one.0).collect();
                format!("{}: {words:?} looked at: {reason}", agent.host)
            })
            .await?;
        let mut state = agent.state.clone();
        state.doubts.clear();
        let mut tx = self.store().write(&actor.tenant).await?;
        tx.save_agent_state(id, &state).await?;
        tx.commit().await?;
        Ok(Agent { state, ..agent })
    }

    async fn change_agent(
        &self,
        actor: &Actor,
        id: &AgentId,
        verb: &'static str,
        change: impl FnOnce(&mut Agent) -> String,
    ) -> Result<Agent, CaseworkError> {
        self.authorize(actor, Permission::ManageFleet)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut agent = tx.q().agent(id).await?;
        let detail = change(&mut agent);
        agent.version += 1;
        tx.save_agent(&agent, &self.change(actor, verb, detail))
            .await?;
        tx.commit().await?;
        self.tell_fleet(&actor.tenant, verb, agent.id.as_str());
        Ok(agent)
    }

    /// Rights to enrol that are kept, newest first; their secrets are not.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn enrolments(&self, actor: &Actor) -> Result<Vec<Enrolment>, CaseworkError> {
        self.authorize(actor, Permission::ManageFleet)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().enrolments().await?)
    }

    /// Makes a right to enrol; its secret is shown once.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_enrolment(
        &self,
        actor: &Actor,
        group: Option<&AgentGroupId>,
        uses: u32,
        life_hours: u32,
    ) -> Result<NewEnrolment, CaseworkError> {
        self.authorize(actor, Permission::ManageFleet)?;
        in_range("uses", uses, USES_MAX)?;
        in_range("life_hours", life_hours, LIFE_HOURS_MAX)?;
        let mut bytes = [0_u8; SECRET_BYTES];
        getrandom::fill(&mut bytes).map_err(|_| CaseworkError::System {
            what: "random bytes",
        })?;
        let secret = hex::encode(bytes);
        let secret_hash = secret::hash(&secret).ok_or(CaseworkError::System { what: "secret" })?;
        let now = self.now();
        let life = SignedDuration::from_hours(i64::from(life_hours));
        let mut tx = self.store().write(&actor.tenant).await?;
        let group = match group {
            Some(group) => tx.q().agent_group(group).await?,
            None => self.standard_group(&mut tx).await?,
        };
        let enrolment = Enrolment {
            id: EnrolmentId::numbered(tx.next_number("enrolment").await?),
            group: group.id,
            uses_left: uses,
            expires_at: now.saturating_add(life).unwrap_or(Timestamp::MAX),
            created_by: actor.name.clone(),
            created_at: now,
        };
        let detail = format!(
            "up to {uses} agents of group {} within {life_hours} h",
            group.name
        );
        let change = self.change(actor, "enrolment.create", detail);
        tx.add_enrolment(&enrolment, &secret_hash, &change).await?;
        tx.commit().await?;
        Ok(NewEnrolment { enrolment, secret })
    }

    /// Takes a right to enrol back.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn end_enrolment(
        &self,
        actor: &Actor,
        id: &EnrolmentId,
    ) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManageFleet)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(actor, "enrolment.end", "taken back");
        tx.remove_enrolment(id, &change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Files that an action collected.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn agent_files(
        &self,
        actor: &Actor,
        action: &ActionId,
    ) -> Result<Vec<AgentFile>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().agent_files(action).await?)
    }

    /// Notes a file that an agent brought.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn keep_agent_file(
        &self,
        tenant: &TenantId,
        host: &str,
        file: &AgentFile,
    ) -> Result<(), CaseworkError> {
        let detail = format!(
            "{} of {} bytes from {host}, sha256:{}",
            file.name, file.size, file.sha256
        );
        let change = self.change_by(&format!("agent on {host}"), "agent.file", detail);
        let mut tx = self.store().write(tenant).await?;
        tx.save_agent_file(file, &change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Writes what was heard of agents. Doubts of before stay until somebody has looked at them.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn save_agent_states(
        &self,
        tenant: &TenantId,
        states: Vec<(AgentId, AgentState)>,
    ) -> Result<(), CaseworkError> {
        let mut tx = self.store().write(tenant).await?;
        for (id, mut state) in states {
            let known = tx.q().agent(&id).await?.state.doubts;
            let is_new = |one: &&AgentDoubtNote| known.iter().all(|old| old.0 != one.0);
            let new: Vec<_> = state.doubts.iter().filter(is_new).cloned().collect();
            state.doubts = known.iter().cloned().chain(new).collect();
            tx.save_agent_state(&id, &state).await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Notes what a person should look at about an agent that is not let in.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn doubt_agent(
        &self,
        tenant: &TenantId,
        id: &AgentId,
        doubt: AgentDoubt,
        words: &str,
    ) -> Result<Agent, CaseworkError> {
        let mut tx = self.store().write(tenant).await?;
        let mut agent = tx.q().agent(id).await?;
        if agent.state.doubts.iter().all(|known| known.0 != doubt) {
            let note = (doubt, self.now(), words.to_owned());
            agent.state.doubts.push(note);
            tx.save_agent_state(id, &agent.state).await?;
            tx.commit().await?;
            self.tell_fleet(tenant, "agent.doubt", id.as_str());
        }
        Ok(agent)
    }

    /// The agent that is let in for a host, the one heard last where there are several.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn agent_of_host(
        &self,
        tenant: &TenantId,
        host: &str,
    ) -> Result<Option<Agent>, CaseworkError> {
        let mut reader = self.store().read(tenant).await?;
        Ok(reader.q().agent_of_host(host).await?)
    }

    pub(crate) fn tell_fleet(&self, tenant: &TenantId, action: &'static str, target: &str) {
        let notice = FleetNotice {
            action,
            target: target.to_owned(),
        };
        self.tell(LiveChange::Fleet(
            tenant.clone(),
            std::sync::Arc::new(notice),
        ));
    }
}

fn in_range(field: &'static str, value: u32, most: u32) -> Result<(), CaseworkError> {
    match (1..=most).contains(&value) {
        true => Ok(()),
        false => Err(CaseworkError::Invalid {
            field,
            reason: format!("must be between 1 and {most}"),
        }),
    }
}
