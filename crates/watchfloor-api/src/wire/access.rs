//! Sign-in, users, tokens, audit.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::{Role, Scope};

/// The user of a session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionUser {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `token` behind an API token.
    pub(crate) role: String,
    pub(crate) tenant: String,
}

/// Who is signed in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionInfo {
    pub(crate) user: SessionUser,
    pub(crate) permissions: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expires_at: Timestamp,
}

impl From<&casework::SignedIn> for SessionInfo {
    fn from(signed_in: &casework::SignedIn) -> Self {
        let actor = &signed_in.actor;
        let (id, role) = match (&signed_in.user, &actor.kind) {
            (Some(user), _) => (user.id.to_string(), user.role.to_string()),
            (None, model::ActorKind::Token(token)) => (token.to_string(), "token".to_owned()),
            (None, model::ActorKind::Session { .. } | model::ActorKind::System) => {
                (String::new(), "system".to_owned())
            }
        };
        Self {
            user: SessionUser {
                id,
                name: actor.name.clone(),
                role,
                tenant: actor.tenant.to_string(),
            },
            permissions: actor.permissions.iter().map(ToString::to_string).collect(),
            expires_at: signed_in.expires_at,
        }
    }
}

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignIn {
    pub(crate) name: String,
    pub(crate) password: String,
}

/// The first admin.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Setup {
    /// From the link that the server printed.
    pub(crate) token: String,
    pub(crate) name: String,
    /// At least 12 characters.
    pub(crate) password: String,
}

/// A new password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PasswordChange {
    pub(crate) current: String,
    /// At least 12 characters.
    pub(crate) new: String,
}

/// A signed-in browser.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionRow {
    pub(crate) id: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) last_seen_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expires_at: Timestamp,
    pub(crate) address: String,
    pub(crate) user_agent: String,
    /// Whether it is the one that asks.
    pub(crate) current: bool,
}

/// A user.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct User {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) disabled: bool,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) last_sign_in_at: Option<Timestamp>,
}

impl From<model::User> for User {
    fn from(user: model::User) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name,
            role: user.role.into(),
            disabled: user.disabled,
            created_at: user.created_at,
            last_sign_in_at: user.last_sign_in_at,
        }
    }
}

/// A user to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewUser {
    pub(crate) name: String,
    /// At least 12 characters.
    pub(crate) password: String,
    pub(crate) role: Role,
}

/// What to change of a user; absent fields stay.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserPatch {
    pub(crate) role: Option<Role>,
    pub(crate) disabled: Option<bool>,
}

/// An API token; its secret is not kept.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Token {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) scope: Vec<Scope>,
    pub(crate) created_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) expires_at: Timestamp,
    #[schema(required, value_type = Option<String>, format = DateTime)]
    pub(crate) last_used_at: Option<Timestamp>,
}

impl From<model::Token> for Token {
    fn from(token: model::Token) -> Self {
        Self {
            id: token.id.to_string(),
            name: token.name,
            scope: token.scopes.into_iter().map(Into::into).collect(),
            created_by: token.created_by,
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
        }
    }
}

/// A token to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    pub(crate) name: String,
    pub(crate) scope: Vec<Scope>,
    /// 1 to 3,650.
    pub(crate) expires_in_days: u32,
}

/// A token just made.
#[derive(Serialize, ToSchema)]
pub(crate) struct TokenSecret {
    pub(crate) id: String,
    /// The secret, shown this once.
    pub(crate) token: String,
}

/// A change.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AuditRow {
    /// Place in the chain, from 1.
    pub(crate) id: u64,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    pub(crate) actor: String,
    /// As `noun.verb`.
    pub(crate) action: String,
    pub(crate) target: String,
    pub(crate) detail: String,
    /// Hash of the entry, which covers the hash of the one before.
    pub(crate) hash: String,
}

impl From<model::AuditEntry> for AuditRow {
    fn from(entry: model::AuditEntry) -> Self {
        Self {
            id: entry.seq,
            at: entry.at,
            actor: entry.actor,
            action: entry.action,
            target: entry.target,
            detail: entry.detail,
            hash: entry.hash,
        }
    }
}

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// From `next` of the page before.
    pub(crate) cursor: Option<String>,
    /// Rows of a page, 1 to 1,000; default 100.
    pub(crate) limit: Option<u32>,
}
