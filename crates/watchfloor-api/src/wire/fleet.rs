//! Agents, groups, rights to enrol and collected files.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use watchfloor_model as model;

use crate::ports::{ConnectedAgent, EnrolmentLine, FleetStatus};

mirrored!(
    /// Whether an agent is let in.
    AgentStatus = model::AgentStatus { Active, Revoked }
);

mirrored!(
    /// Something about an agent that a person should look at.
    AgentDoubtKind = model::AgentDoubt {
        OtherMachine, TwoMachines, OtherName, Clock, Flood, Replay, Expired, Revoked
    }
);

/// Something about an agent that a person should look at.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentDoubt {
    kind: AgentDoubtKind,
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    text: String,
}

/// An agent on an endpoint.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Agent {
    id: String,
    /// Name of its host; actions find it by this name.
    host: String,
    status: AgentStatus,
    group: String,
    is_connected: bool,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    connected_since: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime, required)]
    seen_at: Option<Timestamp>,
    /// Address that it came from.
    address: String,
    agent_version: String,
    /// Whether the policy of its group is in force there.
    has_policy: bool,
    #[schema(value_type = String, format = DateTime)]
    enrolled_at: Timestamp,
    enrolled_by: String,
    #[schema(value_type = String, format = DateTime)]
    certificate_until: Timestamp,
    serial: String,
    /// What the host says of itself: `name`, `os_name`, `kernel`, `addresses` …
    #[schema(value_type = Object)]
    identity: Value,
    /// How the agent is: `cpu_percent`, `memory_bytes`, `queue_records`, `dropped`,
    /// `collectors` …; `null` before its first heartbeat.
    #[schema(value_type = Option<Object>, required)]
    health: Option<Value>,
    doubts: Vec<AgentDoubt>,
    version: u64,
}

impl Agent {
    pub(crate) fn new(
        agent: &model::Agent,
        connected: Option<&ConnectedAgent>,
        policy: Option<u64>,
    ) -> Self {
        let state = &agent.state;
        Self {
            id: agent.id.to_string(),
            host: agent.host.clone(),
            status: agent.status.into(),
            group: agent.group.to_string(),
            is_connected: connected.is_some(),
            connected_since: connected.map(|one| one.since),
            seen_at: state.seen_at,
            address: connected.map_or_else(|| state.address.clone(), |one| one.address.clone()),
            agent_version: state.agent_version.clone(),
            has_policy: policy == Some(state.policy),
            enrolled_at: agent.enrolled_at,
            enrolled_by: agent.enrolled_by.clone(),
            certificate_until: agent.certificate_until,
            serial: agent.serial.clone(),
            identity: serde_json::from_str(&state.host).unwrap_or_default(),
            health: serde_json::from_str(&state.health).ok(),
            doubts: state
                .doubts
                .iter()
                .map(|(kind, since, text)| AgentDoubt {
                    kind: (*kind).into(),
                    since: *since,
                    text: text.clone(),
                })
                .collect(),
            version: agent.version,
        }
    }
}

/// Agents that follow one policy.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentGroup {
    id: String,
    name: String,
    /// The policy; see the guide.
    #[schema(value_type = Object)]
    policy: Value,
    revision: u64,
    /// Version that its agents are to run.
    #[schema(required)]
    agent_version: Option<String>,
    changed_by: String,
    #[schema(value_type = String, format = DateTime)]
    changed_at: Timestamp,
    version: u64,
}

impl From<&model::AgentGroup> for AgentGroup {
    fn from(group: &model::AgentGroup) -> Self {
        Self {
            id: group.id.to_string(),
            name: group.name.clone(),
            policy: serde_json::from_str(&group.policy).unwrap_or_default(),
            revision: group.revision,
            agent_version: group.agent_version.clone(),
            changed_by: group.changed_by.clone(),
            changed_at: group.changed_at,
            version: group.version,
        }
    }
}

/// The fleet: how it stands, and its groups.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Fleet {
    #[serde(flatten)]
    pub(crate) status: FleetStatus,
    pub(crate) groups: Vec<AgentGroup>,
}

/// Which agents are listed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentsQuery {
    /// Part of the host's name.
    pub(crate) host: Option<String>,
    /// Id of a group.
    pub(crate) group: Option<String>,
    /// `active` or `revoked`.
    pub(crate) status: Option<String>,
    /// From `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// At most 1,000; 100 when absent.
    pub(crate) limit: Option<u32>,
}

/// A change of an agent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentPatch {
    /// Id of the group that it is moved to.
    pub(crate) group: String,
}

/// A group that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewAgentGroup {
    pub(crate) name: String,
}

/// A change of a group; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentGroupPatch {
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The whole policy.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub(crate) policy: Option<Value>,
    /// Version that its agents are to run; empty lets them be.
    #[serde(default)]
    pub(crate) agent_version: Option<String>,
}

/// A right to enrol that is to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewEnrolment {
    /// Id of the group that its agents join; the standard one when absent.
    #[serde(default)]
    pub(crate) group: Option<String>,
    /// How many agents it lets in; one when absent.
    #[serde(default)]
    pub(crate) uses: Option<u32>,
    /// Hours until it is over; 24 when absent.
    #[serde(default)]
    pub(crate) life_hours: Option<u32>,
}

/// A right to enrol; its secret is not kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Enrolment {
    id: String,
    group: String,
    uses_left: u32,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    created_by: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<&model::Enrolment> for Enrolment {
    fn from(enrolment: &model::Enrolment) -> Self {
        Self {
            id: enrolment.id.to_string(),
            group: enrolment.group.to_string(),
            uses_left: enrolment.uses_left,
            expires_at: enrolment.expires_at,
            created_by: enrolment.created_by.clone(),
            created_at: enrolment.created_at,
        }
    }
}

/// A right to enrol just made, with what enrols an endpoint by it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MadeEnrolment {
    pub(crate) enrolment: Enrolment,
    #[serde(flatten)]
    pub(crate) line: EnrolmentLine,
}

/// A file that an agent collected.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AgentFile {
    name: String,
    agent: String,
    size: u64,
    sha256: String,
    #[schema(value_type = String, format = DateTime)]
    kept_at: Timestamp,
}

impl From<&model::AgentFile> for AgentFile {
    fn from(file: &model::AgentFile) -> Self {
        Self {
            name: file.name.clone(),
            agent: file.agent.to_string(),
            size: file.size,
            sha256: file.sha256.clone(),
            kept_at: file.kept_at,
        }
    }
}
