//! Who may do what.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use crate::grade::words;
use crate::{SessionId, TenantId, TokenId, UserId};

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Permission {
    /// See alerts, incidents and reports.
    ReadCases,
    /// Search and read events.
    ReadEvents,
    /// See sources, ledger, rules and status.
    ReadMonitor,
    /// Change alerts and incidents.
    WorkCases,
    /// Rehearse actions, and ask for them.
    ProposeActions,
    /// Agree to actions of others, and decide what is uncertain.
    ApproveActions,
    /// Begin, answer and end runs of playbooks.
    RunPlaybooks,
    /// Make and change playbooks.
    ManagePlaybooks,
    /// Open ways to the outside world, keep their secrets, decide which actions need approval.
    ManageConnectors,
    /// Let agents in and out, decide what they watch, publish versions of them.
    ManageFleet,
    /// Set service levels and escalation, make rotations of people on call.
    ManageDuty,
    /// Make and end suppressions.
    ManageSuppressions,
    /// Reload, suspend and resume rules.
    ManageRules,
    /// Read the audit log.
    ReadAudit,
    /// Make and change users.
    ManageUsers,
    /// Make and revoke API tokens.
    ManageTokens,
    /// Decide how long events are kept, hold them, and delete them on demand.
    ManageData,
    /// Send events.
    Ingest,
}

words!(Permission {
    ReadCases = "cases.read",
    ReadEvents = "events.read",
    ReadMonitor = "monitor.read",
    WorkCases = "cases.work",
    ProposeActions = "actions.propose",
    ApproveActions = "actions.approve",
    RunPlaybooks = "playbooks.run",
    ManagePlaybooks = "playbooks.manage",
    ManageConnectors = "connectors.manage",
    ManageFleet = "fleet.manage",
    ManageDuty = "duty.manage",
    ManageSuppressions = "suppressions.manage",
    ManageRules = "rules.manage",
    ReadAudit = "audit.read",
    ManageUsers = "users.manage",
    ManageTokens = "tokens.manage",
    ManageData = "data.manage",
    Ingest = "ingest",
});

/// What a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Works on alerts and incidents, runs playbooks and asks for actions.
    Analyst,
    /// Also agrees to actions, makes playbooks, decides what is suppressed, and reads the audit log.
    Lead,
    /// May do everything.
    Admin,
}

words!(Role {
    Viewer = "viewer",
    Analyst = "analyst",
    Lead = "lead",
    Admin = "admin",
});

impl Role {
    /// The rights of the role.
    pub fn permissions(self) -> BTreeSet<Permission> {
        use Permission as P;
        let list: &[P] = match self {
            Self::Viewer => &[P::ReadCases, P::ReadEvents, P::ReadMonitor],
            Self::Analyst => &[
                P::ReadCases,
                P::ReadEvents,
                P::ReadMonitor,
                P::WorkCases,
                P::ProposeActions,
                P::RunPlaybooks,
            ],
            Self::Lead => &[
                P::ReadCases,
                P::ReadEvents,
                P::ReadMonitor,
                P::WorkCases,
                P::ProposeActions,
                P::ApproveActions,
                P::RunPlaybooks,
                P::ManagePlaybooks,
                P::ManageDuty,
                P::ManageSuppressions,
                P::ManageRules,
                P::ReadAudit,
            ],
            Self::Admin => P::ALL,
        };
        list.iter().copied().collect()
    }
}

/// What an API token is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Sending events, and nothing else.
    Ingest,
    /// Reading.
    Read,
    /// Reading and working on cases.
    Write,
    /// Everything.
    Admin,
}

words!(Scope {
    Ingest = "ingest",
    Read = "read",
    Write = "write",
    Admin = "admin",
});

impl Scope {
    /// The rights of the scope.
    pub fn permissions(self) -> BTreeSet<Permission> {
        match self {
            Self::Ingest => BTreeSet::from([Permission::Ingest]),
            Self::Read => Role::Viewer.permissions(),
            Self::Write => Role::Analyst.permissions(),
            Self::Admin => Role::Admin.permissions(),
        }
    }
}

/// What stands behind an actor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ActorKind {
    /// A person in a session.
    Session {
        /// The user.
        user: UserId,
        /// The session.
        session: SessionId,
    },
    /// A program with an API token.
    Token(TokenId),
    /// The program itself.
    System,
}

/// Who acts, for whom, with which rights. Only casework makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Whose data.
    pub tenant: TenantId,
    /// Name in the audit log.
    pub name: String,
    /// What stands behind it.
    pub kind: ActorKind,
    /// Its rights.
    pub permissions: BTreeSet<Permission>,
}

impl Actor {
    /// The program itself, in a tenant.
    pub fn system(tenant: TenantId) -> Self {
        Self {
            tenant,
            name: "watchfloor".to_owned(),
            kind: ActorKind::System,
            permissions: Permission::ALL.iter().copied().collect(),
        }
    }

    /// The highest role all of whose rights it has; a viewer where there is none.
    pub fn role(&self) -> Role {
        let roles = [Role::Admin, Role::Lead, Role::Analyst];
        let found = roles
            .into_iter()
            .find(|role| role.permissions().is_subset(&self.permissions));
        found.unwrap_or(Role::Viewer)
    }

    /// Whether it has a right.
    pub fn may(&self, permission: Permission) -> bool {
        self.permissions.contains(&permission)
    }
}

/// A person who can sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Name to sign in with; unique in the tenant, regardless of case.
    pub name: String,
    /// What the user is.
    pub role: Role,
    /// May not sign in.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Last sign-in.
    pub last_sign_in_at: Option<Timestamp>,
}

/// A signed-in browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Its id; not the secret.
    pub id: SessionId,
    /// Whose.
    pub user_id: UserId,
    /// Sign-in.
    pub created_at: Timestamp,
    /// Last use, to the minute.
    pub last_seen_at: Timestamp,
    /// End, whatever happens.
    pub expires_at: Timestamp,
    /// Peer address at sign-in.
    pub address: String,
    /// Browser as it named itself; hostile text.
    pub user_agent: String,
}

/// An API token; the secret is not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// Name for people.
    pub name: String,
    /// What it is for.
    pub scopes: Vec<Scope>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// End.
    pub expires_at: Timestamp,
    /// Last use, to the minute.
    pub last_used_at: Option<Timestamp>,
}
