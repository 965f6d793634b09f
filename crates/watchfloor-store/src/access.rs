//! Users, sessions, API tokens and the set-up link. Secrets are here only as hashes.

use jiff::Timestamp;
use watchfloor_model::{Role, Scope, Session, SessionId, TenantId, Token, TokenId, User, UserId};

use crate::row::{corrupt, from_json, id, micros, time, time_opt, to_json, word};
use crate::sql::{self, Row};
use crate::{Change, Queries, Store, StoreError, WriteTx};

/// A session to be written.
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session.
    pub session: Session,
    /// SHA-256 of the secret in the cookie, hex.
    pub secret_hash: String,
}

/// A token to be written.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// The token.
    pub token: Token,
    /// SHA-256 of the secret, hex.
    pub secret_hash: String,
}

/// Whose session a secret opens.
#[derive(Clone, Debug)]
pub struct SessionOwner {
    /// The tenant, known from here on.
    pub tenant: TenantId,
    /// The user.
    pub user: User,
    /// The session.
    pub session: Session,
}

/// What token a secret is.
#[derive(Clone, Debug)]
pub struct TokenOwner {
    /// The tenant, known from here on.
    pub tenant: TenantId,
    /// The token.
    pub token: Token,
}

fn user_from(row: &Row) -> Result<User, StoreError> {
    Ok(User {
        id: id("users.id", row.try_get("id")?)?,
        name: row.try_get("name")?,
        role: word("users.role", row.try_get("role")?, Role::parse)?,
        disabled: row.try_get::<i64>("disabled")? != 0,
        created_at: time("users.created_at", row.try_get("created_at")?)?,
        last_sign_in_at: time_opt("users.last_sign_in_at", row.try_get("last_sign_in_at")?)?,
    })
}

fn session_from(row: &Row) -> Result<Session, StoreError> {
    Ok(Session {
        id: id("sessions.id", row.try_get("id")?)?,
        user_id: id("sessions.user_id", row.try_get("user_id")?)?,
        created_at: time("sessions.created_at", row.try_get("created_at")?)?,
        last_seen_at: time("sessions.last_seen_at", row.try_get("last_seen_at")?)?,
        expires_at: time("sessions.expires_at", row.try_get("expires_at")?)?,
        address: row.try_get("address")?,
        user_agent: row.try_get("user_agent")?,
    })
}

fn token_from(row: &Row) -> Result<Token, StoreError> {
    let scopes: Vec<String> = from_json("tokens.scopes", row.try_get("scopes")?)?;
    Ok(Token {
        id: id("tokens.id", row.try_get("id")?)?,
        name: row.try_get("name")?,
        scopes: scopes
            .iter()
            .map(|text| word("tokens.scopes", text, Scope::parse))
            .collect::<Result<_, _>>()?,
        created_by: row.try_get("created_by")?,
        created_at: time("tokens.created_at", row.try_get("created_at")?)?,
        expires_at: time("tokens.expires_at", row.try_get("expires_at")?)?,
        last_used_at: time_opt("tokens.last_used_at", row.try_get("last_used_at")?)?,
    })
}

fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

impl Store {
    /// The session that a secret opens, with its user; expiry is the caller's to judge. The one
    /// read that comes before a tenant is known.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn session_by_secret(
        &self,
        secret_hash: &str,
    ) -> Result<Option<SessionOwner>, StoreError> {
        let row = sql::query("SELECT * FROM sessions WHERE secret_hash = $1")
            .bind(secret_hash)
            .fetch_optional(self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let session = session_from(&row)?;
        let tenant: String = row.try_get("tenant")?;
        let user = sql::query("SELECT * FROM users WHERE tenant = $1 AND id = $2")
            .bind(&tenant)
            .bind(session.user_id.as_str())
            .fetch_one(self.readers())
            .await?;
        Ok(Some(SessionOwner {
            tenant: id("sessions.tenant", &tenant)?,
            user: user_from(&user)?,
            session,
        }))
    }

    /// The token that a secret is; expiry is the caller's to judge.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn token_by_secret(
        &self,
        secret_hash: &str,
    ) -> Result<Option<TokenOwner>, StoreError> {
        let row = sql::query("SELECT * FROM tokens WHERE secret_hash = $1")
            .bind(secret_hash)
            .fetch_optional(self.readers())
            .await?;
        let Some(row) = row else { return Ok(None) };
        Ok(Some(TokenOwner {
            tenant: id("tokens.tenant", row.try_get("tenant")?)?,
            token: token_from(&row)?,
        }))
    }

    /// Notes that a session was used. No audit entry: it is no change by an actor.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_session(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sql::query("UPDATE sessions SET last_seen_at = $3 WHERE tenant = $1 AND id = $2")
            .bind(tenant.as_str())
            .bind(session.as_str())
            .bind(micros(now))
            .execute(self.writer())
            .await?;
        Ok(())
    }

    /// Notes that a token was used. No audit entry: it is no change by an actor.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn touch_token(
        &self,
        tenant: &TenantId,
        token: &TokenId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        sql::query("UPDATE tokens SET last_used_at = $3 WHERE tenant = $1 AND id = $2")
            .bind(tenant.as_str())
            .bind(token.as_str())
            .bind(micros(now))
            .execute(self.writer())
            .await?;
        Ok(())
    }
}

impl Queries<'_> {
    /// All users, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn users(&mut self) -> Result<Vec<User>, StoreError> {
        let rows =
            sql::query("SELECT * FROM users WHERE tenant = $1 ORDER BY name_key LIMIT 10000")
                .bind(self.tenant)
                .fetch_all(&mut *self.conn)
                .await?;
        rows.iter().map(user_from).collect()
    }

    /// One user.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn user(&mut self, user: &UserId) -> Result<User, StoreError> {
        let row = sql::query("SELECT * FROM users WHERE tenant = $1 AND id = $2")
            .bind(self.tenant)
            .bind(user.as_str())
            .fetch_optional(&mut *self.conn)
            .await?;
        match row {
            Some(row) => user_from(&row),
            None => Err(StoreError::Missing {
                kind: "user",
                id: user.to_string(),
            }),
        }
    }

    /// A user by name, regardless of case, with the password hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn user_by_name(&mut self, name: &str) -> Result<Option<(User, String)>, StoreError> {
        let row = sql::query("SELECT * FROM users WHERE tenant = $1 AND name_key = $2")
            .bind(self.tenant)
            .bind(name_key(name))
            .fetch_optional(&mut *self.conn)
            .await?;
        row.map(|row| Ok((user_from(&row)?, row.try_get("password_hash")?)))
            .transpose()
    }

    /// A user's password hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn password_hash(&mut self, user: &UserId) -> Result<String, StoreError> {
        Ok(
            sql::query_scalar("SELECT password_hash FROM users WHERE tenant = $1 AND id = $2")
                .bind(self.tenant)
                .bind(user.as_str())
                .fetch_one(&mut *self.conn)
                .await?,
        )
    }

    /// Whether any user exists.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn has_users(&mut self) -> Result<bool, StoreError> {
        let count: i64 = sql::query_scalar("SELECT COUNT(*) FROM users WHERE tenant = $1")
            .bind(self.tenant)
            .fetch_one(&mut *self.conn)
            .await?;
        Ok(count > 0)
    }

    /// Sessions of a user, latest use first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sessions_of(&mut self, user: &UserId) -> Result<Vec<Session>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM sessions WHERE tenant = $1 AND user_id = $2 ORDER BY last_seen_at DESC, id LIMIT 1000",
        )
        .bind(self.tenant)
        .bind(user.as_str())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(session_from).collect()
    }

    /// All API tokens, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tokens(&mut self) -> Result<Vec<Token>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM tokens WHERE tenant = $1 ORDER BY created_at DESC, id LIMIT 10000",
        )
        .bind(self.tenant)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(token_from).collect()
    }

    /// The open set-up link: hash of its secret, and its end.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn setup_link(&mut self) -> Result<Option<(String, Timestamp)>, StoreError> {
        let row = sql::query("SELECT secret_hash, expires_at FROM setup_links WHERE tenant = $1")
            .bind(self.tenant)
            .fetch_optional(&mut *self.conn)
            .await?;
        row.map(|row| {
            Ok((
                row.try_get("secret_hash")?,
                time("setup_links.expires_at", row.try_get("expires_at")?)?,
            ))
        })
        .transpose()
    }
}

impl WriteTx {
    /// Writes a new user. A name that is taken shows as [`StoreError::is_duplicate`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_user(
        &mut self,
        user: &User,
        password_hash: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO users (tenant, id, name, name_key, password_hash, role, disabled, \
             created_at, last_sign_in_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(tenant)
        .bind(user.id.as_str())
        .bind(&user.name)
        .bind(name_key(&user.name))
        .bind(password_hash)
        .bind(user.role.as_str())
        .bind(i64::from(user.disabled))
        .bind(micros(user.created_at))
        .bind(user.last_sign_in_at.map(micros))
        .execute(self.conn())
        .await?;
        self.record(change, user.id.as_str()).await
    }

    /// Writes role, state and last sign-in of a user.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_user(&mut self, user: &User, change: &Change) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "UPDATE users SET role = $3, disabled = $4, last_sign_in_at = $5 WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(user.id.as_str())
        .bind(user.role.as_str())
        .bind(i64::from(user.disabled))
        .bind(user.last_sign_in_at.map(micros))
        .execute(self.conn())
        .await?;
        self.record(change, user.id.as_str()).await
    }

    /// Writes a new password hash.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_password(
        &mut self,
        user: &UserId,
        password_hash: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query("UPDATE users SET password_hash = $3 WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(user.as_str())
            .bind(password_hash)
            .execute(self.conn())
            .await?;
        self.record(change, user.as_str()).await
    }

    /// Writes a new session, and removes those that have ended.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_session(
        &mut self,
        new: &NewSession,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let session = &new.session;
        sql::query("DELETE FROM sessions WHERE tenant = $1 AND expires_at <= $2")
            .bind(&tenant)
            .bind(micros(change.at))
            .execute(self.conn())
            .await?;
        sql::query(
            "INSERT INTO sessions (tenant, id, user_id, secret_hash, created_at, last_seen_at, \
             expires_at, address, user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(tenant)
        .bind(session.id.as_str())
        .bind(session.user_id.as_str())
        .bind(&new.secret_hash)
        .bind(micros(session.created_at))
        .bind(micros(session.last_seen_at))
        .bind(micros(session.expires_at))
        .bind(&session.address)
        .bind(&session.user_agent)
        .execute(self.conn())
        .await?;
        self.record(change, session.id.as_str()).await
    }

    /// Ends a session of a user.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_session(
        &mut self,
        user: &UserId,
        session: &SessionId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done =
            sql::query("DELETE FROM sessions WHERE tenant = $1 AND user_id = $2 AND id = $3")
                .bind(tenant)
                .bind(user.as_str())
                .bind(session.as_str())
                .execute(self.conn())
                .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "session",
                id: session.to_string(),
            });
        }
        self.record(change, session.as_str()).await
    }

    /// Ends all sessions of a user but one. The audit entry is the one of the change that
    /// asks for it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_sessions_of(
        &mut self,
        user: &UserId,
        but: Option<&SessionId>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query("DELETE FROM sessions WHERE tenant = $1 AND user_id = $2 AND id <> $3")
            .bind(tenant)
            .bind(user.as_str())
            .bind(but.map_or("", SessionId::as_str))
            .execute(self.conn())
            .await?;
        Ok(())
    }

    /// Writes a new API token.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_token(&mut self, new: &NewToken, change: &Change) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let token = &new.token;
        let scopes: Vec<&str> = token.scopes.iter().map(|s| s.as_str()).collect();
        sql::query(
            "INSERT INTO tokens (tenant, id, name, secret_hash, scopes, created_by, created_at, \
             expires_at, last_used_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(tenant)
        .bind(token.id.as_str())
        .bind(&token.name)
        .bind(&new.secret_hash)
        .bind(to_json(&scopes))
        .bind(&token.created_by)
        .bind(micros(token.created_at))
        .bind(micros(token.expires_at))
        .bind(token.last_used_at.map(micros))
        .execute(self.conn())
        .await?;
        self.record(change, token.id.as_str()).await
    }

    /// Revokes an API token.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_token(
        &mut self,
        token: &TokenId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sql::query("DELETE FROM tokens WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(token.as_str())
            .execute(self.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "token",
                id: token.to_string(),
            });
        }
        self.record(change, token.as_str()).await
    }

    /// Opens a set-up link, in place of an earlier one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn put_setup_link(
        &mut self,
        secret_hash: &str,
        expires_at: Timestamp,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        if expires_at <= change.at {
            return Err(corrupt("setup_links.expires_at", expires_at));
        }
        sql::query(
            "INSERT INTO setup_links (tenant, secret_hash, expires_at) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant) DO UPDATE SET secret_hash = excluded.secret_hash, \
             expires_at = excluded.expires_at",
        )
        .bind(tenant)
        .bind(secret_hash)
        .bind(micros(expires_at))
        .execute(self.conn())
        .await?;
        self.record(change, "setup").await
    }

    /// Closes the set-up link. The audit entry is the one of the user made with it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_setup_link(&mut self) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query("DELETE FROM setup_links WHERE tenant = $1")
            .bind(tenant)
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
