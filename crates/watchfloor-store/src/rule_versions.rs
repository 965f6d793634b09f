//! Texts that rules had, so that each alert can show the rule that made it.

use jiff::Timestamp;
use watchfloor_model::RuleVersion;

use crate::row::{micros, time, unsigned};
use crate::sql::{self, Row};
use crate::{Queries, StoreError, WriteTx};

/// Most versions of one rule in an answer.
const VERSIONS_MAX: i64 = 200;

fn version_from(row: &Row) -> Result<RuleVersion, StoreError> {
    Ok(RuleVersion {
        rule_id: row.try_get("rule_id")?,
        version: row.try_get("version")?,
        title: row.try_get("title")?,
        path: row.try_get("path")?,
        yaml: row.try_get("yaml")?,
        first_at: time("rule_versions.first_at", row.try_get("first_at")?)?,
        last_at: time("rule_versions.last_at", row.try_get("last_at")?)?,
    })
}

impl Queries<'_> {
    /// The texts that a rule had, newest first, each with the number of its alerts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rule_versions(
        &mut self,
        rule_id: &str,
    ) -> Result<Vec<(RuleVersion, u64)>, StoreError> {
        let rows = sql::query(
            "SELECT v.*, (SELECT COUNT(*) FROM alerts a WHERE a.tenant = v.tenant \
             AND a.rule_id = v.rule_id AND a.rule_version = v.version) AS alerts \
             FROM rule_versions v WHERE v.tenant = $1 AND v.rule_id = $2 \
             ORDER BY v.last_at DESC, v.first_at DESC, v.version LIMIT $3",
        )
        .bind(self.tenant)
        .bind(rule_id)
        .bind(VERSIONS_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                let alerts = unsigned("rule_versions.alerts", row.try_get("alerts")?)?;
                Ok((version_from(row)?, alerts))
            })
            .collect()
    }

    /// One text of a rule.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rule_version(
        &mut self,
        rule_id: &str,
        version: &str,
    ) -> Result<Option<RuleVersion>, StoreError> {
        let row = sql::query(
            "SELECT * FROM rule_versions WHERE tenant = $1 AND rule_id = $2 AND version = $3",
        )
        .bind(self.tenant)
        .bind(rule_id)
        .bind(version)
        .fetch_optional(&mut *self.conn)
        .await?;
        row.as_ref().map(version_from).transpose()
    }
}

impl WriteTx {
    /// Writes the texts now in force; those that are known have their last time moved.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_rule_versions(&mut self, versions: &[RuleVersion]) -> Result<(), StoreError> {
        let tenant = self.tenant();
        for version in versions {
            sql::query(
                "INSERT INTO rule_versions (tenant, rule_id, version, title, path, yaml, first_at, last_at) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
                 ON CONFLICT (tenant, rule_id, version) DO UPDATE SET path = $5, last_at = $8",
            )
            .bind(&tenant)
            .bind(&version.rule_id)
            .bind(&version.version)
            .bind(&version.title)
            .bind(&version.path)
            .bind(&version.yaml)
            .bind(micros(version.first_at))
            .bind(micros(version.last_at))
            .execute(self.conn())
            .await?;
        }
        Ok(())
    }

    /// Forgets texts that were last taken into force before an instant and made no alert.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn forget_rule_versions(&mut self, before: Timestamp) -> Result<u64, StoreError> {
        let tenant = self.tenant();
        let done = sql::query(
            "DELETE FROM rule_versions WHERE tenant = $1 AND last_at < $2 AND NOT EXISTS \
             (SELECT 1 FROM alerts a WHERE a.tenant = rule_versions.tenant \
             AND a.rule_id = rule_versions.rule_id AND a.rule_version = rule_versions.version)",
        )
        .bind(&tenant)
        .bind(micros(before))
        .execute(self.conn())
        .await?;
        Ok(done.rows_affected())
    }
}
