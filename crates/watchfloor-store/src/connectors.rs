//! Connectors, and secrets that are kept sealed.

use watchfloor_model::{ActionKind, Connector, ConnectorId, ConnectorKind};

use crate::row::{from_json, id, micros, signed, time, to_json, unsigned, word};
use crate::sql::{self, Row};
use crate::{Change, Queries, StoreError, WriteTx};

/// Most connectors of a tenant.
const CONNECTORS_MAX: i64 = 500;

fn connector_from(row: &Row, secrets: Vec<String>) -> Result<Connector, StoreError> {
    let serves: Vec<String> = from_json("connectors.serves", row.try_get("serves")?)?;
    let serves = serves
        .iter()
        .map(|text| word("connectors.serves", text, ActionKind::parse))
        .collect::<Result<_, _>>()?;
    let is_enabled: i64 = row.try_get("is_enabled")?;
    Ok(Connector {
        id: id("connectors.id", row.try_get("id")?)?,
        name: row.try_get("name")?,
        kind: word(
            "connectors.kind",
            row.try_get("kind")?,
            ConnectorKind::parse,
        )?,
        serves,
        settings: row.try_get("settings")?,
        secrets,
        is_enabled: is_enabled != 0,
        changed_by: row.try_get("changed_by")?,
        changed_at: time("connectors.changed_at", row.try_get("changed_at")?)?,
        version: unsigned("connectors.version", row.try_get("version")?)?,
    })
}

impl Queries<'_> {
    /// All connectors, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn connectors(&mut self) -> Result<Vec<Connector>, StoreError> {
        let rows =
            sql::query("SELECT * FROM connectors WHERE tenant = $1 ORDER BY name_key, id LIMIT $2")
                .bind(self.tenant)
                .bind(CONNECTORS_MAX)
                .fetch_all(&mut *self.conn)
                .await?;
        let mut found = Vec::new();
        for row in &rows {
            let owner: String = row.try_get("id")?;
            found.push(connector_from(row, self.secret_names(&owner).await?)?);
        }
        Ok(found)
    }

    /// One connector.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn connector(&mut self, connector: &ConnectorId) -> Result<Connector, StoreError> {
        let row = self
            .row_of("connectors", "connector", connector.as_str())
            .await?;
        let secrets = self.secret_names(connector.as_str()).await?;
        connector_from(&row, secrets)
    }

    async fn secret_names(&mut self, owner: &str) -> Result<Vec<String>, StoreError> {
        Ok(sql::query_scalar(
            "SELECT name FROM secrets WHERE tenant = $1 AND owner = $2 ORDER BY name",
        )
        .bind(self.tenant)
        .bind(owner)
        .fetch_all(&mut *self.conn)
        .await?)
    }

    /// The sealed secrets of an owner, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn sealed_secrets(
        &mut self,
        owner: &str,
    ) -> Result<Vec<(String, String)>, StoreError> {
        let rows = sql::query(
            "SELECT name, sealed FROM secrets WHERE tenant = $1 AND owner = $2 ORDER BY name",
        )
        .bind(self.tenant)
        .bind(owner)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| Ok((row.try_get("name")?, row.try_get("sealed")?)))
            .collect()
    }
}

impl WriteTx {
    /// Writes a connector, new or changed, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`]; a name that is taken is a duplicate.
    pub async fn save_connector(
        &mut self,
        connector: &Connector,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let serves: Vec<&str> = connector.serves.iter().map(|kind| kind.as_str()).collect();
        sql::query(
            "INSERT INTO connectors (tenant, id, name, name_key, kind, serves, settings, \
             is_enabled, changed_by, changed_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name, \
             name_key = excluded.name_key, serves = excluded.serves, \
             settings = excluded.settings, is_enabled = excluded.is_enabled, \
             changed_by = excluded.changed_by, changed_at = excluded.changed_at, \
             version = excluded.version",
        )
        .bind(tenant)
        .bind(connector.id.as_str())
        .bind(&connector.name)
        .bind(connector.name.to_lowercase())
        .bind(connector.kind.as_str())
        .bind(to_json(&serves))
        .bind(&connector.settings)
        .bind(i64::from(connector.is_enabled))
        .bind(&connector.changed_by)
        .bind(micros(connector.changed_at))
        .bind(signed(connector.version))
        .execute(self.conn())
        .await?;
        self.record(change, connector.id.as_str()).await
    }

    /// Forgets a connector and its secrets.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_connector(
        &mut self,
        connector: &ConnectorId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sql::query("DELETE FROM connectors WHERE tenant = $1 AND id = $2")
            .bind(&tenant)
            .bind(connector.as_str())
            .execute(self.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "connector",
                id: connector.to_string(),
            });
        }
        sql::query("DELETE FROM secrets WHERE tenant = $1 AND owner = $2")
            .bind(tenant)
            .bind(connector.as_str())
            .execute(self.conn())
            .await?;
        self.record(change, connector.as_str()).await
    }

    /// Keeps a sealed secret, in place of an earlier one of its name. The audit entry is that of
    /// the change that it belongs to.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_secret(
        &mut self,
        owner: &str,
        name: &str,
        sealed: &str,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO secrets (tenant, owner, name, sealed) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant, owner, name) DO UPDATE SET sealed = excluded.sealed",
        )
        .bind(tenant)
        .bind(owner)
        .bind(name)
        .bind(sealed)
        .execute(self.conn())
        .await?;
        Ok(())
    }

    /// Forgets a secret.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_secret(&mut self, owner: &str, name: &str) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query("DELETE FROM secrets WHERE tenant = $1 AND owner = $2 AND name = $3")
            .bind(tenant)
            .bind(owner)
            .bind(name)
            .execute(self.conn())
            .await?;
        Ok(())
    }
}
