//! Letting agents in: by a one-time right first, by their certificate from then on.

use jiff::Timestamp;
use watchfloor_link::{HostIdentity, RefusalCode};
use watchfloor_model::{Agent, AgentGroup, AgentId, AgentState, AgentStatus, TenantId};
use watchfloor_store::StoreError;

use crate::{Casework, CaseworkError, secret};

/// Longest name of a host in bytes (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;
/// Longest hash of a machine's id in bytes.
const MACHINE_BYTES_MAX: usize = 128;

/// Why an agent is not let in, as it is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct AgentRefusal {
    /// Stable word.
    pub code: RefusalCode,
    /// What, and how to mend it.
    pub message: String,
}

impl AgentRefusal {
    /// A refusal.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    fn busy(_error: &dyn std::error::Error) -> Self {
        // The server's own people see the health of the records elsewhere.
        Self::new(
            RefusalCode::Busy,
            "the server's records cannot be used just now",
        )
    }
}

/// A certificate that was made for an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// End.
    pub until: Timestamp,
}

impl Casework {
    /// Lets an agent in by a one-time right; `certify` makes its certificate, and nothing is kept
    /// if it fails.
    ///
    /// # Errors
    /// [`AgentRefusal`].
    pub async fn enrol_agent(
        &self,
        token: &str,
        host: &HostIdentity,
        certify: impl FnOnce(&TenantId, &AgentId) -> Result<Certified, AgentRefusal> + Send,
    ) -> Result<(TenantId, Agent), AgentRefusal> {
        check_host(host)?;
        let used_up = || {
            AgentRefusal::new(
                RefusalCode::Token,
                "the token is unknown, used up or over; make another under Fleet",
            )
        };
        let hash = secret::hash(token).ok_or_else(used_up)?;
        let found = self.store().enrolment_by_secret(&hash).await;
        let (tenant, enrolment) = found
            .map_err(|error| AgentRefusal::busy(&error))?
            .ok_or_else(used_up)?;
        let enter = async {
            let now = self.now();
            let mut tx = self.store().write(&tenant).await?;
            if !tx.use_enrolment(&enrolment.id, now).await? {
                return Ok(Err(used_up()));
            }
            let id = AgentId::numbered(tx.next_number("agent").await?);
            let certified = match certify(&tenant, &id) {
                Ok(certified) => certified,
                Err(refusal) => return Ok(Err(refusal)),
            };
            let agent = Agent {
                id,
                host: host.name.clone(),
                machine: host.machine.clone(),
                status: AgentStatus::Active,
                group: enrolment.group.clone(),
                enrolled_at: now,
                enrolled_by: enrolment.id.to_string(),
                serial: certified.serial,
                certificate_until: certified.until,
                version: 1,
                state: AgentState::default(),
            };
            let detail = format!(
                "{} by {} of {}",
                agent.host, enrolment.id, enrolment.created_by
            );
            let change = self.change_by(&format!("agent on {}", agent.host), "agent.enrol", detail);
            tx.save_agent(&agent, &change).await?;
            tx.commit().await?;
            Ok::<_, StoreError>(Ok(agent))
        };
        let agent = enter.await.map_err(|error| AgentRefusal::busy(&error))??;
        self.tell_fleet(&tenant, "agent.enrol", agent.id.as_str());
        Ok((tenant, agent))
    }

    /// Judges an agent that came with a good certificate: it must be active, and the certificate
    /// the last one or the one before, on the machine that it was given to.
    ///
    /// # Errors
    /// [`AgentRefusal`].
    pub async fn admit_agent(
        &self,
        tenant: &TenantId,
        id: &AgentId,
        machine: &str,
    ) -> Result<(Agent, AgentGroup), AgentRefusal> {
        let read = async {
            let mut reader = self.store().read(tenant).await?;
            let agent = reader.q().agent(id).await?;
            let group = reader.q().agent_group(&agent.group).await?;
            Ok::<_, StoreError>((agent, group))
        };
        let (agent, group) = match read.await {
            Ok(found) => found,
            Err(StoreError::Missing { .. }) => {
                return Err(AgentRefusal::new(
                    RefusalCode::Revoked,
                    "this server knows no such agent; enrol the host again",
                ));
            }
            Err(error) => return Err(AgentRefusal::busy(&error)),
        };
        if agent.status == AgentStatus::Revoked {
            return Err(AgentRefusal::new(
                RefusalCode::Revoked,
                "the certificate was taken back; enrol the host again if it may come back",
            ));
        }
        if agent.machine != machine {
            return Err(AgentRefusal::new(
                RefusalCode::OtherMachine,
                format!(
                    "the certificate of {} was given to another machine; enrol this one by itself",
                    agent.id
                ),
            ));
        }
        Ok((agent, group))
    }

    /// Notes a further certificate of an agent.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn recertify_agent(
        &self,
        tenant: &TenantId,
        id: &AgentId,
        certified: Certified,
    ) -> Result<(), CaseworkError> {
        let mut tx = self.store().write(tenant).await?;
        let mut agent = tx.q().agent(id).await?;
        agent.serial = certified.serial;
        agent.certificate_until = certified.until;
        let detail = format!("{} until {}", agent.host, agent.certificate_until);
        let change = self.change_by(&format!("agent on {}", agent.host), "agent.renew", detail);
        tx.save_agent(&agent, &change).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn check_host(host: &HostIdentity) -> Result<(), AgentRefusal> {
    let is_name = |text: &str| {
        text.bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let name_fits = (1..=HOST_BYTES_MAX).contains(&host.name.len()) && is_name(&host.name);
    let machine_fits =
        (1..=MACHINE_BYTES_MAX).contains(&host.machine.len()) && is_name(&host.machine);
    match name_fits && machine_fits {
        true => Ok(()),
        false => Err(AgentRefusal::new(
            RefusalCode::Request,
            "the host's name or machine id has other signs than letters, digits, '-', '_', '.'",
        )),
    }
}
