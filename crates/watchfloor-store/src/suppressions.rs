//! Suppressions: what is held back, counted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use watchfloor_model::{Condition, Suppression, SuppressionId};

use crate::row::{from_json, id, micros, signed, time, time_opt, to_json, unsigned};
use crate::{Change, Queries, StoreError, WriteTx};

#[derive(Serialize, Deserialize)]
struct ConditionRow {
    field: String,
    value: String,
}

fn suppression_from(row: &SqliteRow) -> Result<Suppression, StoreError> {
    let conditions: Vec<ConditionRow> =
        from_json("suppressions.conditions", row.try_get("conditions")?)?;
    Ok(Suppression {
        id: id("suppressions.id", row.try_get("id")?)?,
        rule_id: row.try_get("rule_id")?,
        conditions: conditions
            .into_iter()
            .map(|c| Condition {
                field: c.field,
                value: c.value,
            })
            .collect(),
        reason: row.try_get("reason")?,
        created_by: row.try_get("created_by")?,
        created_at: time("suppressions.created_at", row.try_get("created_at")?)?,
        expires_at: time("suppressions.expires_at", row.try_get("expires_at")?)?,
        count: unsigned("suppressions.count", row.try_get("count")?)?,
        last_at: time_opt("suppressions.last_at", row.try_get("last_at")?)?,
    })
}

impl Queries<'_> {
    /// All suppressions, newest first, expired ones too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn suppressions(&mut self) -> Result<Vec<Suppression>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM suppressions WHERE tenant = $1 ORDER BY created_at DESC, id DESC LIMIT 10000",
        )
        .bind(self.tenant)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(suppression_from).collect()
    }

    /// Suppressions in force.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn active_suppressions(
        &mut self,
        now: Timestamp,
    ) -> Result<Vec<Suppression>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM suppressions WHERE tenant = $1 AND expires_at > $2 ORDER BY created_at, id",
        )
        .bind(self.tenant)
        .bind(micros(now))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(suppression_from).collect()
    }
}

impl WriteTx {
    /// Writes a new suppression with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_suppression(
        &mut self,
        suppression: &Suppression,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let conditions: Vec<ConditionRow> = suppression
            .conditions
            .iter()
            .map(|c| ConditionRow {
                field: c.field.clone(),
                value: c.value.clone(),
            })
            .collect();
        sqlx::query(
            "INSERT INTO suppressions (tenant, id, rule_id, conditions, reason, created_by, \
             created_at, expires_at, count, last_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(tenant)
        .bind(suppression.id.as_str())
        .bind(&suppression.rule_id)
        .bind(to_json(&conditions))
        .bind(&suppression.reason)
        .bind(&suppression.created_by)
        .bind(micros(suppression.created_at))
        .bind(micros(suppression.expires_at))
        .bind(signed(suppression.count))
        .bind(suppression.last_at.map(micros))
        .execute(self.conn())
        .await?;
        self.record(change, suppression.id.as_str()).await
    }

    /// Ends a suppression.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_suppression(
        &mut self,
        suppression: &SuppressionId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sqlx::query("DELETE FROM suppressions WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(suppression.as_str())
            .execute(self.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "suppression",
                id: suppression.to_string(),
            });
        }
        self.record(change, suppression.as_str()).await
    }

    /// Counts a finding that a suppression held back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_suppressed(
        &mut self,
        suppression: &SuppressionId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sqlx::query(
            "UPDATE suppressions SET count = count + 1, last_at = $3 WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(suppression.as_str())
        .bind(micros(change.at))
        .execute(self.conn())
        .await?;
        self.record(change, suppression.as_str()).await
    }
}
