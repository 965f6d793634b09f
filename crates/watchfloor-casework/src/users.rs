//! Users: making, changing, switching off.

use watchfloor_model::{Actor, ActorKind, Permission, Role, User, UserId};

use crate::access::NAME_BYTES_MAX;
use crate::error::checked_text;
use crate::{Casework, CaseworkError, password};

impl Casework {
    /// All users. Everybody who works on cases needs the names to assign to.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn users(&self, actor: &Actor) -> Result<Vec<User>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().users().await?)
    }

    /// Makes a user.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_user(
        &self,
        actor: &Actor,
        name: &str,
        password: &str,
        role: Role,
    ) -> Result<User, CaseworkError> {
        self.authorize(actor, Permission::ManageUsers)?;
        holds_all(actor, role.permissions())?;
        let name = checked_text("name", name, NAME_BYTES_MAX)?;
        if name.chars().any(char::is_control) {
            return Err(CaseworkError::Invalid {
                field: "name",
                reason: "must not hold control characters".to_owned(),
            });
        }
        password::check_new(&name, password)?;
        let hash = self.hash_password(password.to_owned()).await?;
        let mut tx = self.store().write(&actor.tenant).await?;
        if tx.q().user_by_name(&name).await?.is_some() {
            return Err(CaseworkError::Taken {
                field: "name",
                value: name,
            });
        }
        let user = User {
            id: UserId::numbered(tx.next_number("user").await?),
            name,
            role,
            disabled: false,
            created_at: self.now(),
            last_sign_in_at: None,
        };
        let change = self.change(actor, "user.create", format!("{} as {role}", user.name));
        tx.add_user(&user, &hash, &change).await?;
        tx.commit().await?;
        Ok(user)
    }

    /// Changes role or state of a user. The last admin stays; nobody switches off themselves.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn patch_user(
        &self,
        actor: &Actor,
        id: &UserId,
        role: Option<Role>,
        disabled: Option<bool>,
    ) -> Result<User, CaseworkError> {
        self.authorize(actor, Permission::ManageUsers)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut user = tx.q().user(id).await?;
        if let Some(role) = role {
            holds_all(actor, role.permissions())?;
        }
        let is_self = matches!(&actor.kind, ActorKind::Session { user, .. } if user == id);
        if is_self && disabled == Some(true) {
            return Err(CaseworkError::Invalid {
                field: "disabled",
                reason: "nobody can switch off themselves".to_owned(),
            });
        }
        user.role = role.unwrap_or(user.role);
        user.disabled = disabled.unwrap_or(user.disabled);
        let others = tx.q().users().await?;
        let admin_left = others.iter().any(|other| {
            let it = if other.id == *id { &user } else { other };
            it.role == Role::Admin && !it.disabled
        });
        if !admin_left {
            return Err(CaseworkError::Invalid {
                field: "role",
                reason: "one admin must remain".to_owned(),
            });
        }
        let state = if user.disabled { "disabled" } else { "enabled" };
        let detail = format!("{} is {} and {state}", user.name, user.role);
        let change = self.change(actor, "user.update", detail);
        tx.save_user(&user, &change).await?;
        if user.disabled {
            tx.remove_sessions_of(id, None).await?;
        }
        tx.commit().await?;
        Ok(user)
    }
}

/// Nobody grants more than they hold.
pub(crate) fn holds_all(
    actor: &Actor,
    wanted: impl IntoIterator<Item = Permission>,
) -> Result<(), CaseworkError> {
    match wanted
        .into_iter()
        .find(|permission| !actor.may(*permission))
    {
        Some(permission) => Err(CaseworkError::Forbidden { permission }),
        None => Ok(()),
    }
}
