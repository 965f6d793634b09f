//! Agents: who is connected, what they are given, what they brought.

use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;
use watchfloor_model::{ActionId, AgentGroup, AgentId, TenantId};

/// Connections of agents that came to nothing, for one reason.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedAgents {
    /// Stable word.
    pub reason: String,
    /// How many since the server started.
    pub count: u64,
    /// When last.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// From where last.
    pub address: String,
    /// In words, of the last.
    pub text: String,
}

/// A binary of the agent that can be downloaded and offered.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AgentBinary {
    /// Its version.
    pub version: String,
    /// Operating system and processor: `linux-x86_64`.
    pub target: String,
    /// Bytes.
    pub size: u64,
    /// Hash, hexadecimal.
    pub sha256: String,
}

/// Something that agents can collect.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct AgentArtifact {
    /// Its name, as the action `collect_triage` takes it.
    pub name: String,
    /// One line.
    pub description: String,
}

/// The fleet as a whole.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct FleetStatus {
    /// Where agents are waited for.
    #[schema(required)]
    pub listen: Option<String>,
    /// Why they are not, and how to mend it.
    #[schema(required)]
    pub problem: Option<String>,
    /// Agents that are connected.
    pub connected: u64,
    /// Of these, agents with the policy that their group has now.
    pub with_policy: u64,
    /// Seconds between heartbeats.
    pub heartbeat_s: u32,
    /// Connections that came to nothing, by reason.
    pub refused: Vec<RefusedAgents>,
    /// Binaries of the agent.
    pub binaries: Vec<AgentBinary>,
    /// What agents can collect.
    pub artifacts: Vec<AgentArtifact>,
}

/// What enrols an endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EnrolmentLine {
    /// The one-time token; shown once.
    pub token: String,
    /// One line for a shell of the endpoint, that downloads the agent, checks it and enrols.
    pub command: String,
}

/// A connected agent.
#[derive(Clone, Debug)]
pub struct ConnectedAgent {
    /// Since when.
    pub since: Timestamp,
    /// From where.
    pub address: String,
}

/// The fleet of the server.
pub trait FleetDesk: Send + Sync {
    /// The fleet as a whole.
    fn status(&self, tenant: &TenantId, groups: &[AgentGroup]) -> FleetStatus;

    /// Which agents are connected, in the order of the ids.
    fn connected(&self, tenant: &TenantId, agents: &[AgentId]) -> Vec<Option<ConnectedAgent>>;

    /// What the policy of a group is called at its agents.
    fn policy_of(&self, tenant: &TenantId, group: &AgentGroup) -> Option<u64>;

    /// What enrols an endpoint that reaches this server under a base URL.
    fn enrolment_line(&self, secret: &str, base: &str) -> EnrolmentLine;

    /// The newest binary for a target.
    fn binary(&self, target: &str) -> Option<PathBuf>;

    /// Whether a version can be offered.
    fn has_version(&self, version: &str) -> bool;

    /// Where a collected file stands.
    fn collected(&self, tenant: &TenantId, action: &ActionId, name: &str) -> Option<PathBuf>;
}
