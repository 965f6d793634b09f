//! What changed, for those who watch.

use std::sync::Arc;

use watchfloor_model::{Alert, Incident, IncidentId, TenantId};

/// A committed change. Watchers that fall behind lose changes and must read again.
#[derive(Clone, Debug)]
pub enum LiveChange {
    /// An alert entered the queue.
    AlertNew(TenantId, Arc<Alert>),
    /// An alert changed.
    AlertChanged(TenantId, Arc<Alert>),
    /// An incident was opened or changed.
    Incident(TenantId, Arc<Incident>),
    /// The rules in force changed, or one of them needs somebody.
    Rules(TenantId, Arc<RuleNotice>),
    /// An action or a run changed.
    Response(TenantId, Arc<ResponseNotice>),
    /// Somebody is told that a clock runs out, or who is on call changed.
    Duty(TenantId, Arc<DutyNotice>),
    /// An agent, or a group of agents, changed.
    Fleet(TenantId, Arc<FleetNotice>),
    /// Others look at an incident now.
    Presence(TenantId, IncidentId, Vec<String>),
    /// A user was mentioned on an alert or incident.
    Mention(TenantId, String, String),
}

/// An agent or a group that changed; watchers read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FleetNotice {
    /// Stable word, as in the audit log: `agent.revoke`, `group.change`, ….
    pub action: &'static str,
    /// Id of the agent or group.
    pub target: String,
}

/// An action or a run that changed; watchers read it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseNotice {
    /// `action` or `run`.
    pub kind: &'static str,
    /// Its id.
    pub id: String,
    /// Its state.
    pub status: &'static str,
    /// The incident it belongs to.
    pub incident_id: Option<IncidentId>,
    /// In words.
    pub text: String,
}

/// A clock runs out and people are told, or who is on call changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DutyNotice {
    /// Names of those who are told; nobody when only the roster changed.
    pub recipients: Vec<String>,
    /// Ids of the incidents and alerts.
    pub subjects: Vec<String>,
    /// In words.
    pub text: String,
}

/// Something about the rules that whoever watches should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleNotice {
    /// Stable word, as in the audit log: `rules.reload`, `rule.suspend`, `rule.resume`, ….
    pub action: &'static str,
    /// In words.
    pub text: String,
    /// Whether somebody should look at it.
    pub needs_attention: bool,
}

impl LiveChange {
    /// Whose change it is.
    pub const fn tenant(&self) -> &TenantId {
        match self {
            Self::AlertNew(tenant, _)
            | Self::AlertChanged(tenant, _)
            | Self::Incident(tenant, _)
            | Self::Rules(tenant, _)
            | Self::Response(tenant, _)
            | Self::Duty(tenant, _)
            | Self::Fleet(tenant, _)
            | Self::Presence(tenant, ..)
            | Self::Mention(tenant, ..) => tenant,
        }
    }
}
