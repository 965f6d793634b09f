//! Ways to the outside world: who opens them, and their secrets.

use std::collections::BTreeMap;

use watchfloor_model::{ActionKind, Actor, Connector, ConnectorId, ConnectorKind, Permission};
use watchfloor_store::WriteTx;

use super::invalid;
use crate::alerts::check_version;
use crate::error::checked_text;
use crate::{Casework, CaseworkError};

/// Longest name in bytes.
const NAME_BYTES_MAX: usize = 100;
/// Longest settings in bytes.
const SETTINGS_BYTES_MAX: usize = 64 * 1024;
/// Longest secret in bytes.
const SECRET_BYTES_MAX: usize = 8 * 1024;

/// A connector that is to be opened.
#[derive(Clone)]
pub struct NewConnector {
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub kind: ConnectorKind,
    /// What it may do; all that its kind can if none is named.
    pub serves: Vec<ActionKind>,
    /// Settings as JSON.
    pub settings: String,
    /// Secrets by name.
    pub secrets: BTreeMap<String, String>,
}

/// What is to be changed of a connector; `None` leaves it.
#[derive(Clone, Default)]
pub struct ConnectorPatch {
    /// Its name.
    pub name: Option<String>,
    /// What it may do.
    pub serves: Option<Vec<ActionKind>>,
    /// Settings as JSON.
    pub settings: Option<String>,
    /// Secrets by name; `None` forgets one, others stay.
    pub secrets: BTreeMap<String, Option<String>>,
    /// Whether it is used.
    pub is_enabled: Option<bool>,
}

impl Casework {
    /// All connectors. Settings are shown to those who manage them; secrets to nobody.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn connectors(&self, actor: &Actor) -> Result<Vec<Connector>, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        let mut found = reader.q().connectors().await?;
        if !actor.may(Permission::ManageConnectors) {
            for connector in &mut found {
                connector.settings = "{}".to_owned();
                connector.secrets.clear();
            }
        }
        Ok(found)
    }

    /// Opens a connector.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn add_connector(
        &self,
        actor: &Actor,
        new: NewConnector,
    ) -> Result<Connector, CaseworkError> {
        self.authorize(actor, Permission::ManageConnectors)?;
        let name = checked_text("name", &new.name, NAME_BYTES_MAX)?;
        let can = ActionKind::ALL
            .iter()
            .copied()
            .filter(|kind| new.kind.may_serve(*kind));
        let serves = match new.serves.is_empty() {
            true => can.collect(),
            false => new.serves,
        };
        self.check(new.kind, &new.settings, &serves)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let connector = Connector {
            id: ConnectorId::numbered(tx.next_number("connector").await?),
            name,
            kind: new.kind,
            serves,
            settings: new.settings,
            secrets: Vec::new(),
            is_enabled: true,
            changed_by: actor.name.clone(),
            changed_at: self.now(),
            version: 1,
        };
        let detail = format!("{} ({})", connector.name, connector.kind);
        let change = self.change(actor, "connector.create", detail);
        self.save(&mut tx, &connector, &change).await?;
        let secrets = new
            .secrets
            .into_iter()
            .map(|(name, secret)| (name, Some(secret)));
        self.keep_secrets(&mut tx, &connector, secrets.collect())
            .await?;
        let connector = tx.q().connector(&connector.id).await?;
        tx.commit().await?;
        Ok(connector)
    }

    /// Changes a connector.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn patch_connector(
        &self,
        actor: &Actor,
        id: &ConnectorId,
        patch: ConnectorPatch,
        expected: Option<u64>,
    ) -> Result<Connector, CaseworkError> {
        self.authorize(actor, Permission::ManageConnectors)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let mut connector = tx.q().connector(id).await?;
        check_version("connector", id.as_str(), connector.version, expected)?;
        if let Some(name) = &patch.name {
            connector.name = checked_text("name", name, NAME_BYTES_MAX)?;
        }
        connector.serves = patch.serves.unwrap_or(connector.serves);
        connector.settings = patch.settings.unwrap_or(connector.settings);
        connector.is_enabled = patch.is_enabled.unwrap_or(connector.is_enabled);
        self.check(connector.kind, &connector.settings, &connector.serves)?;
        connector.changed_by.clone_from(&actor.name);
        connector.changed_at = self.now();
        connector.version += 1;
        let names: Vec<&str> = patch.secrets.keys().map(String::as_str).collect();
        let state = if connector.is_enabled { "on" } else { "off" };
        let mut detail = format!("{} is {state}", connector.name);
        if !names.is_empty() {
            detail.push_str(&format!("; secrets set: {}", names.join(", ")));
        }
        let change = self.change(actor, "connector.change", detail);
        self.save(&mut tx, &connector, &change).await?;
        self.keep_secrets(&mut tx, &connector, patch.secrets)
            .await?;
        let connector = tx.q().connector(id).await?;
        tx.commit().await?;
        Ok(connector)
    }

    /// Closes a connector and forgets its secrets.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn remove_connector(
        &self,
        actor: &Actor,
        id: &ConnectorId,
    ) -> Result<(), CaseworkError> {
        self.authorize(actor, Permission::ManageConnectors)?;
        let mut tx = self.store().write(&actor.tenant).await?;
        let connector = tx.q().connector(id).await?;
        let change = self.change(actor, "connector.remove", connector.name);
        tx.remove_connector(id, &change).await?;
        tx.commit().await?;
        Ok(())
    }

    fn check(
        &self,
        kind: ConnectorKind,
        settings: &str,
        serves: &[ActionKind],
    ) -> Result<(), CaseworkError> {
        if settings.len() > SETTINGS_BYTES_MAX {
            return Err(invalid(
                "settings",
                format!("must be at most {SETTINGS_BYTES_MAX} bytes"),
            ));
        }
        self.responder()?
            .check_connector(kind, settings, serves)
            .map_err(|reason| invalid("settings", reason))
    }

    async fn save(
        &self,
        tx: &mut WriteTx,
        connector: &Connector,
        change: &watchfloor_store::Change,
    ) -> Result<(), CaseworkError> {
        match tx.save_connector(connector, change).await {
            Err(error) if error.is_duplicate() => Err(CaseworkError::Taken {
                field: "name",
                value: connector.name.clone(),
            }),
            other => Ok(other?),
        }
    }

    async fn keep_secrets(
        &self,
        tx: &mut WriteTx,
        connector: &Connector,
        secrets: BTreeMap<String, Option<String>>,
    ) -> Result<(), CaseworkError> {
        let known = self.responder()?.secrets_of(connector.kind);
        for (name, secret) in secrets {
            if !known.iter().any(|(one, _)| *one == name) {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                let reason = format!(
                    "a {} connector has no secret '{name}'; it takes: {}",
                    connector.kind,
                    names.join(", ")
                );
                return Err(invalid("secrets", reason));
            }
            let owner = connector.id.as_str();
            match secret {
                None => tx.remove_secret(owner, &name).await?,
                Some(secret) if secret.is_empty() || secret.len() > SECRET_BYTES_MAX => {
                    let reason = format!("secret {name} must have 1 to {SECRET_BYTES_MAX} bytes");
                    return Err(invalid("secrets", reason));
                }
                Some(secret) => {
                    let sealed = self.vault()?.seal(owner, &name, &secret);
                    let sealed = sealed.map_err(|_| CaseworkError::System { what: "sealing" })?;
                    tx.save_secret(owner, &name, &sealed).await?;
                }
            }
        }
        Ok(())
    }
}
