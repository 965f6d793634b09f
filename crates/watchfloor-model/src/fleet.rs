//! Agents on endpoints, the groups whose policy they follow, and how they come in.

use std::fmt;

use jiff::Timestamp;

use crate::grade::words;
use crate::{ActionId, AgentGroupId, AgentId, EnrolmentId};

/// Whether an agent is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AgentStatus {
    /// It is let in.
    Active,
    /// Its certificate was taken back; it is never let in again.
    Revoked,
}

words!(AgentStatus {
    Active = "active",
    Revoked = "revoked",
});

/// Something about an agent that a person should look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AgentDoubt {
    /// Its certificate was shown by a machine that it was not given to.
    OtherMachine,
    /// Two machines spoke with its certificate at the same time.
    TwoMachines,
    /// It names itself, or its records name, another host than it was enrolled as.
    OtherName,
    /// Its clock is off by more than a minute.
    Clock,
    /// It sends more than its policy allows.
    Flood,
    /// It sends again what was stored long ago.
    Replay,
    /// It came with a certificate that is over.
    Expired,
    /// It came although its certificate was taken back.
    Revoked,
}

words!(AgentDoubt {
    OtherMachine = "other_machine",
    TwoMachines = "two_machines",
    OtherName = "other_name",
    Clock = "clock",
    Flood = "flood",
    Replay = "replay",
    Expired = "expired",
    Revoked = "revoked",
});

/// An agent, with what was said of its host when it was let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// Its id; the name in its certificate.
    pub id: AgentId,
    /// Name of its host; actions find it by this name.
    pub host: String,
    /// Hash of its machine's id; the certificate is good for no other.
    pub machine: String,
    /// Whether it is let in.
    pub status: AgentStatus,
    /// The group whose policy it follows.
    pub group: AgentGroupId,
    /// When it was enrolled.
    pub enrolled_at: Timestamp,
    /// By which token.
    pub enrolled_by: String,
    /// Serial number of its certificate, hexadecimal.
    pub serial: String,
    /// When its certificate is over.
    pub certificate_until: Timestamp,
    /// Raised by each change that a person made.
    pub version: u64,
    /// What it says, and what was seen of it.
    pub state: AgentState,
}

/// What changes often about an agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentState {
    /// When it was last heard.
    pub seen_at: Option<Timestamp>,
    /// Address that it came from.
    pub address: String,
    /// Its version.
    pub agent_version: String,
    /// Policy in force there.
    pub policy: u64,
    /// Its spool, and the last record of it that is stored here.
    pub spool: u64,
    /// See [`AgentState::spool`].
    pub through: u64,
    /// What the host says of itself, as JSON.
    pub host: String,
    /// How the agent is, as JSON.
    pub health: String,
    /// What a person should look at: what, and since when, and in words.
    pub doubts: Vec<(AgentDoubt, Timestamp, String)>,
}

/// Agents that follow one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentGroup {
    /// Its id.
    pub id: AgentGroupId,
    /// Its name.
    pub name: String,
    /// The policy as JSON.
    pub policy: String,
    /// Raised by each change of the policy.
    pub revision: u64,
    /// Version of the agent that its agents are to run, if one was published.
    pub agent_version: Option<String>,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
    /// Raised by each change.
    pub version: u64,
}

/// A right to enrol; its secret is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrolment {
    /// Its id.
    pub id: EnrolmentId,
    /// The group that its agents join.
    pub group: AgentGroupId,
    /// How many more agents may come in by it.
    pub uses_left: u32,
    /// End.
    pub expires_at: Timestamp,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// A file that an agent collected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentFile {
    /// The action that asked for it.
    pub action: ActionId,
    /// Its name.
    pub name: String,
    /// The agent.
    pub agent: AgentId,
    /// Bytes.
    pub size: u64,
    /// Hash, hexadecimal.
    pub sha256: String,
    /// When it was kept.
    pub kept_at: Timestamp,
}
