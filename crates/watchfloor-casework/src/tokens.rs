//! API tokens: making, listing, revoking.

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{Actor, Permission, Scope, Token, TokenId};
use watchfloor_store::NewToken;

use crate::error::checked_text;
use crate::users::holds_all;
use crate::{Casework, CaseworkError, secret};

/// Longest life of a token in days.
const LIFE_DAYS_MAX: u32 = 3_650;

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 100;

/// Begins every token, so that scanners for leaked secrets know it.
const PREFIX: &str = "wf_";

/// A token just made; its secret is shown once.
#[derive(Clone, Debug)]
pub struct NewApiToken {
    /// The token.
    pub token: Token,
    /// The secret.
    pub secret: String,
}

impl Casework {
    /// All API tokens, newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn tokens(&self, actor: &Actor) -> Result<Vec<Token>, CaseworkError> {
        self.authorize(actor, Permission::ManageTokens)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().tokens().await?)
    }

    /// Makes an API token.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_token(
        &self,
        actor: &Actor,
        name: &str,
        scopes: Vec<Scope>,
        expires_in_days: u32,
    ) -> Result<NewApiToken, CaseworkError> {
        self.authorize(actor, Permission::ManageTokens)?;
        holds_all(actor, scopes.iter().flat_map(|scope| scope.permissions()))?;
        let name = checked_text("name", name, NAME_BYTES_MAX)?;
        if scopes.is_empty() {
            return Err(CaseworkError::Invalid {
                field: "scope",
                reason: "must name at least one scope".to_owned(),
            });
        }
        if !(1..=LIFE_DAYS_MAX).contains(&expires_in_days) {
            return Err(CaseworkError::Invalid {
                field: "expires_in_days",
                reason: format!("must be between 1 and {LIFE_DAYS_MAX}"),
            });
        }
        let secret = format!("{PREFIX}{}", secret::new_secret()?);
        let secret_hash = secret::hash(&secret).ok_or(CaseworkError::System { what: "secret" })?;
        let now = self.now();
        let life = SignedDuration::from_hours(24 * i64::from(expires_in_days));
        let mut tx = self.store().write(&actor.tenant).await?;
        let token = Token {
            id: TokenId::numbered(tx.next_number("token").await?),
            name,
            scopes,
            created_by: actor.name.clone(),
            created_at: now,
            expires_at: now.saturating_add(life).unwrap_or(Timestamp::MAX),
            last_used_at: None,
        };
        let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
        let detail = format!("{} for {}", token.name, scopes.join(", "));
        let change = self.change(actor, "token.create", detail);
        let new = NewToken {
            token: token.clone(),
            secret_hash,
        };
        tx.add_token(&new, &change).await?;
        tx.commit().await?;
        Ok(NewApiToken { token, secret })
    }

    /// Revokes an API token.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn revoke_token(&self, actor: &Actor, id: &TokenId) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManageTokens)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let change = self.change(actor, "token.revoke", "revoked");
        tx.remove_token(id, &change).await?;
        tx.commit().await?;
        Ok(())
    }
}
