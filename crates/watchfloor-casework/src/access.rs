//! Sign-in, sessions, the set-up link, and who stands behind a request.

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{Actor, ActorKind, Permission, Role, Session, SessionId, User, UserId};
use watchfloor_store::{NewSession, StoreError, TokenOwner, WriteTx};

use crate::error::checked_text;
use crate::{Casework, CaseworkError, password, secret};

/// A session ends this long after its last use.
const SESSION_IDLE_MAX: SignedDuration = SignedDuration::from_hours(12);

/// A session ends this long after sign-in, whatever happens.
const SESSION_LIFE_MAX: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Last use is written at most this often.
const TOUCH_EVERY: SignedDuration = SignedDuration::from_mins(1);

/// Life of a set-up link.
const SETUP_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Longest name of a user in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// Longest browser name kept, in characters.
const USER_AGENT_CHARS_MAX: usize = 200;

/// Whence a sign-in comes.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Address of the peer.
    pub address: String,
    /// What the browser calls itself.
    pub user_agent: String,
}

/// What a request brings to say who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The secret in the session cookie.
    Session(String),
    /// An API token.
    Token(String),
}

/// Who is signed in.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// With which rights.
    pub actor: Actor,
    /// The user; `None` behind an API token.
    pub user: Option<User>,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The new secret for the cookie; only right after sign-in.
    pub secret: Option<String>,
}

/// Why a sign-in failed.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// No such user, a wrong password, or a disabled user: the caller does not learn which.
    #[error("name or password is wrong")]
    BadCredentials,
    /// Too many tries.
    #[error("too many tries; wait {retry_after_s} s")]
    RateLimited {
        /// Seconds to wait.
        retry_after_s: i64,
    },
    /// The set-up link is wrong, used or over.
    #[error("the set-up link is not valid (any more)")]
    BadSetupLink,
    /// Something else.
    #[error("the sign-in could not be completed")]
    Casework(#[from] CaseworkError),
}

impl From<watchfloor_store::StoreError> for SignInError {
    fn from(error: watchfloor_store::StoreError) -> Self {
        Self::Casework(error.into())
    }
}

impl Casework {
    /// Whether no user exists yet.
    ///
    /// # Errors
    /// [`CaseworkError::Store`].
    pub async fn setup_required(&self) -> Result<bool, CaseworkError> {
        let mut reader = self.store().read(&self.settings().tenant).await?;
        Ok(!reader.q().has_users().await?)
    }

    /// Makes the one-time secret with which the first admin is made, in place of an earlier
    /// one; `None` when users exist.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn setup_link_token(&self) -> Result<Option<String>, CaseworkError> {
        if !self.setup_required().await? {
            return Ok(None);
        }
        let token = secret::new_secret()?;
        let hash = secret::hash(&token).ok_or(CaseworkError::System { what: "secret" })?;
        let actor = Actor::system(self.settings().tenant.clone());
        let now = self.now();
        let expires_at = now.saturating_add(SETUP_LIFE).unwrap_or(Timestamp::MAX);
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(&actor, "setup.link", "set-up link made");
        tx.put_setup_link(&hash, expires_at, &change).await?;
        tx.commit().await?;
        Ok(Some(token))
    }

    /// Makes the first admin with the set-up link, and signs in.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn set_up(
        &self,
        token: &str,
        name: &str,
        password: &str,
        peer: &Peer,
    ) -> Result<SignedIn, SignInError> {
        let keys = [format!("address {}", peer.address), "setup".to_owned()];
        self.limiter()
            .admit(&keys, self.now())
            .map_err(|retry_after_s| SignInError::RateLimited { retry_after_s })?;
        let hash = secret::hash(token).ok_or(SignInError::BadSetupLink)?;
        self.check_setup_link(&hash).await?;
        // From here on the caller is trusted, so that a mistyped password costs no try.
        self.limiter().succeeded(&keys);
        let name = checked_text("name", name, NAME_BYTES_MAX)?;
        password::check_new(&name, password)?;
        let password_hash = self.hash_password(password.to_owned()).await?;
        let mut tx = self.store().write(&self.settings().tenant).await?;
        // Looked at again inside the transaction: the link opens once.
        let link = tx.q().setup_link().await?;
        let open = link.is_some_and(|(known, end)| known == hash && self.now() < end);
        if !open || tx.q().has_users().await? {
            return Err(SignInError::BadSetupLink);
        }
        let user = User {
            id: UserId::numbered(tx.next_number("user").await?),
            name,
            role: Role::Admin,
            disabled: false,
            created_at: self.now(),
            last_sign_in_at: Some(self.now()),
        };
        let actor = self.actor_named(&user);
        let change = self.change(&actor, "user.create", "first admin, by set-up link");
        tx.add_user(&user, &password_hash, &change).await?;
        tx.remove_setup_link().await?;
        let signed_in = self.start_session(&mut tx, user, peer).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    async fn check_setup_link(&self, hash: &str) -> Result<(), SignInError> {
        let mut reader = self.store().read(&self.settings().tenant).await?;
        match reader.q().setup_link().await? {
            Some((known, end)) if known == hash && self.now() < end => Ok(()),
            Some(_) | None => Err(SignInError::BadSetupLink),
        }
    }

    /// Signs in with name and password. An earlier session of the same browser is ended, so
    /// that the secret changes at sign-in.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn sign_in(
        &self,
        name: &str,
        password: &str,
        earlier: Option<&str>,
        peer: &Peer,
    ) -> Result<SignedIn, SignInError> {
        let folded: String = name
            .trim()
            .to_lowercase()
            .chars()
            .take(NAME_BYTES_MAX)
            .collect();
        let keys = [
            format!("name {folded}"),
            format!("address {}", peer.address),
        ];
        self.limiter()
            .admit(&keys, self.now())
            .map_err(|retry_after_s| SignInError::RateLimited { retry_after_s })?;
        let found = {
            let mut reader = self.store().read(&self.settings().tenant).await?;
            reader.q().user_by_name(&folded).await?
        };
        let hash = found.as_ref().map(|(_, hash)| hash.clone());
        let right = self.verify_password(password.to_owned(), hash).await?;
        let Some((mut user, _)) = found.filter(|(user, _)| right && !user.disabled) else {
            return Err(SignInError::BadCredentials);
        };
        self.limiter().succeeded(&keys);
        user.last_sign_in_at = Some(self.now());
        let actor = self.actor_named(&user);
        let mut tx = self.store().write(&self.settings().tenant).await?;
        let change = self.change(&actor, "user.sign_in", format!("from {}", peer.address));
        if let Some(owner) = self.session_of(earlier).await?
            && owner.user.id == user.id
        {
            tx.remove_session(&user.id, &owner.session.id, &change)
                .await?;
        }
        tx.save_user(&user, &change).await?;
        let signed_in = self.start_session(&mut tx, user, peer).await?;
        tx.commit().await?;
        Ok(signed_in)
    }

    async fn session_of(
        &self,
        earlier: Option<&str>,
    ) -> Result<Option<watchfloor_store::SessionOwner>, CaseworkError> {
        match earlier.and_then(secret::hash) {
            Some(hash) => Ok(self.store().session_by_secret(&hash).await?),
            None => Ok(None),
        }
    }

    /// An actor for what a user does while no session exists yet.
    fn actor_named(&self, user: &User) -> Actor {
        Actor {
            name: user.name.clone(),
            ..Actor::system(self.settings().tenant.clone())
        }
    }

    async fn start_session(
        &self,
        tx: &mut WriteTx,
        user: User,
        peer: &Peer,
    ) -> Result<SignedIn, CaseworkError> {
        let token = secret::new_secret()?;
        let secret_hash = secret::hash(&token).ok_or(CaseworkError::System { what: "secret" })?;
        let now = self.now();
        let expires_at = now
            .saturating_add(SESSION_LIFE_MAX)
            .unwrap_or(Timestamp::MAX);
        let session = Session {
            id: SessionId::numbered(tx.next_number("session").await?),
            user_id: user.id.clone(),
            created_at: now,
            last_seen_at: now,
            expires_at,
            address: peer.address.clone(),
            user_agent: peer.user_agent.chars().take(USER_AGENT_CHARS_MAX).collect(),
        };
        let actor = Actor {
            tenant: self.settings().tenant.clone(),
            name: user.name.clone(),
            kind: ActorKind::Session {
                user: user.id.clone(),
                session: session.id.clone(),
            },
            permissions: user.role.permissions(),
        };
        let change = self.change(&actor, "session.start", format!("from {}", peer.address));
        tx.add_session(
            &NewSession {
                session,
                secret_hash,
            },
            &change,
        )
        .await?;
        Ok(SignedIn {
            actor,
            user: Some(user),
            expires_at,
            secret: Some(token),
        })
    }

    /// Who stands behind a credential; `None` when it opens nothing (any more).
    ///
    /// # Errors
    /// [`CaseworkError::Store`].
    pub async fn identify(
        &self,
        credential: &Credential,
    ) -> Result<Option<SignedIn>, CaseworkError> {
        match credential {
            Credential::Session(text) => self.identify_session(text).await,
            Credential::Token(text) => self.identify_token(text).await,
        }
    }

    async fn identify_session(&self, text: &str) -> Result<Option<SignedIn>, CaseworkError> {
        let Some(owner) = self.session_of(Some(text)).await? else {
            return Ok(None);
        };
        let now = self.now();
        let idle = now.duration_since(owner.session.last_seen_at);
        let over = now >= owner.session.expires_at || idle >= SESSION_IDLE_MAX;
        if over || owner.user.disabled {
            return Ok(None);
        }
        if idle >= TOUCH_EVERY {
            self.store()
                .touch_session(&owner.tenant, &owner.session.id, now)
                .await?;
        }
        let idle_end = now
            .saturating_add(SESSION_IDLE_MAX)
            .unwrap_or(Timestamp::MAX);
        Ok(Some(SignedIn {
            actor: Actor {
                tenant: owner.tenant,
                name: owner.user.name.clone(),
                kind: ActorKind::Session {
                    user: owner.user.id.clone(),
                    session: owner.session.id,
                },
                permissions: owner.user.role.permissions(),
            },
            user: Some(owner.user),
            expires_at: owner.session.expires_at.min(idle_end),
            secret: None,
        }))
    }

    /// Whose token a secret is. While the records are away, one that was good is trusted for a
    /// while, so that collection goes on.
    async fn token_owner(
        &self,
        hash: &str,
        now: Timestamp,
    ) -> Result<Option<TokenOwner>, CaseworkError> {
        let known = self.known_tokens();
        if let Some(owner) = known.at_once(hash, now) {
            return Ok(Some(owner));
        }
        match self.store().token_by_secret(hash).await {
            Ok(owner) => {
                known.note(hash, owner.as_ref(), now);
                Ok(owner)
            }
            Err(error @ StoreError::Unavailable(_)) => match known.while_away(hash, now) {
                Some(owner) => Ok(Some(owner)),
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    async fn identify_token(&self, text: &str) -> Result<Option<SignedIn>, CaseworkError> {
        let Some(hash) = secret::hash(text) else {
            return Ok(None);
        };
        let now = self.now();
        let Some(owner) = self.token_owner(&hash, now).await? else {
            return Ok(None);
        };
        if now >= owner.token.expires_at {
            return Ok(None);
        }
        let stale = owner
            .token
            .last_used_at
            .is_none_or(|last| now.duration_since(last) >= TOUCH_EVERY);
        if stale {
            let touched = self
                .store()
                .touch_token(&owner.tenant, &owner.token.id, now)
                .await;
            // When it was used last is told late; a full disk must not keep records out of a
            // journal that stands elsewhere.
            let _told_late = touched;
        }
        let permissions = owner
            .token
            .scopes
            .iter()
            .flat_map(|scope| scope.permissions())
            .collect();
        Ok(Some(SignedIn {
            actor: Actor {
                tenant: owner.tenant,
                name: format!("token {}", owner.token.name),
                kind: ActorKind::Token(owner.token.id),
                permissions,
            },
            user: None,
            expires_at: owner.token.expires_at,
            secret: None,
        }))
    }

    /// Ends the actor's own session.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn sign_out(&self, actor: &Actor) -> Result<(), CaseworkError> {
        let (user, session) = own_session(actor)?;
        self.end_session(actor, &user, &session).await
    }

    /// The actor's own sessions, latest use first, and which of them is this one.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn own_sessions(
        &self,
        actor: &Actor,
    ) -> Result<(Vec<Session>, SessionId), CaseworkError> {
        let (user, current) = own_session(actor)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let now = self.now();
        let mut sessions = reader.q().sessions_of(&user).await?;
        sessions.retain(|session| {
            now < session.expires_at && now.duration_since(session.last_seen_at) < SESSION_IDLE_MAX
        });
        Ok((sessions, current))
    }

    /// Ends one of the actor's own sessions.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn revoke_session(
        &self,
        actor: &Actor,
        session: &SessionId,
    ) -> Result<(), CaseworkError> {
        let (user, _) = own_session(actor)?;
        self.end_session(actor, &user, session).await
    }

    async fn end_session(
        &self,
        actor: &Actor,
        user: &UserId,
        session: &SessionId,
    ) -> Result<(), CaseworkError> {
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(actor, "session.end", "signed out");
        tx.remove_session(user, session, &change).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Changes the actor's own password, and ends all its other sessions.
    ///
    /// # Errors
    /// [`SignInError`].
    pub async fn change_password(
        &self,
        actor: &Actor,
        current: &str,
        new: &str,
    ) -> Result<(), SignInError> {
        let (user, session) = own_session(actor)?;
        let keys = [format!("password {user}")];
        self.limiter()
            .admit(&keys, self.now())
            .map_err(|retry_after_s| SignInError::RateLimited { retry_after_s })?;
        let hash = {
            let mut reader = self.store().read(&actor.tenant).await?;
            reader.q().password_hash(&user).await?
        };
        if !self.verify_password(current.to_owned(), Some(hash)).await? {
            return Err(SignInError::BadCredentials);
        }
        self.limiter().succeeded(&keys);
        password::check_new(&actor.name, new)?;
        let hash = self.hash_password(new.to_owned()).await?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(actor, "user.password", "changed; other sessions ended");
        tx.save_password(&user, &hash, &change).await?;
        tx.remove_sessions_of(&user, Some(&session)).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn own_session(actor: &Actor) -> Result<(UserId, SessionId), CaseworkError> {
    match &actor.kind {
        ActorKind::Session { user, session } => Ok((user.clone(), session.clone())),
        ActorKind::Token(_) | ActorKind::System => Err(CaseworkError::Forbidden {
            permission: Permission::ReadCases,
        }),
    }
}
