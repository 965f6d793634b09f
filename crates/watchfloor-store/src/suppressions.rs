//! Suppressions: what is held back, counted.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{Condition, ConditionOp, DayWindow, Suppression, SuppressionId, Threshold};

use crate::row::{from_json, id, micros, signed, time, time_opt, to_json, unsigned, word};
use crate::sql::{self, Row};
use crate::{Change, Queries, StoreError, WriteTx};

/// `expires_at` of one that never ends: later than any time.
const NEVER: i64 = i64::MAX;

#[derive(Serialize, Deserialize)]
struct ConditionRow {
    field: String,
    /// Absent in rows from before there was a choice.
    #[serde(default = "is")]
    op: String,
    value: String,
}

fn is() -> String {
    ConditionOp::Is.as_str().to_owned()
}

#[derive(Serialize, Deserialize)]
struct WindowRow {
    from: u16,
    to: u16,
    zone: String,
}

#[derive(Serialize, Deserialize)]
struct ThresholdRow {
    count: u32,
    within_s: u32,
    per: String,
}

fn condition_from(row: ConditionRow) -> Result<Condition, StoreError> {
    Ok(Condition {
        op: word("suppressions.conditions", &row.op, ConditionOp::parse)?,
        field: row.field,
        value: row.value,
    })
}

/// An optional JSON column.
fn optional<T: serde::de::DeserializeOwned>(
    column: &'static str,
    text: Option<&str>,
) -> Result<Option<T>, StoreError> {
    text.map(|text| from_json(column, text)).transpose()
}

fn suppression_from(row: &Row) -> Result<Suppression, StoreError> {
    let conditions: Vec<ConditionRow> =
        from_json("suppressions.conditions", row.try_get("conditions")?)?;
    Ok(Suppression {
        id: id("suppressions.id", row.try_get("id")?)?,
        rule_id: row.try_get("rule_id")?,
        conditions: conditions
            .into_iter()
            .map(condition_from)
            .collect::<Result<_, _>>()?,
        window: optional::<WindowRow>("suppressions.day_window", row.try_get("day_window")?)?.map(
            |row| DayWindow {
                from_minute: row.from,
                to_minute: row.to,
                zone: row.zone,
            },
        ),
        threshold: optional::<ThresholdRow>("suppressions.threshold", row.try_get("threshold")?)?
            .map(|row| Threshold {
                count: row.count,
                within_s: row.within_s,
                per: row.per,
            }),
        reason: row.try_get("reason")?,
        created_by: row.try_get("created_by")?,
        created_at: time("suppressions.created_at", row.try_get("created_at")?)?,
        expires_at: time_opt(
            "suppressions.expires_at",
            Some(row.try_get("expires_at")?).filter(|end| *end != NEVER),
        )?,
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
        let rows = sql::query(
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
        let rows = sql::query(
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
                op: c.op.as_str().to_owned(),
                value: c.value.clone(),
            })
            .collect();
        let window = suppression.window.as_ref().map(|window| WindowRow {
            from: window.from_minute,
            to: window.to_minute,
            zone: window.zone.clone(),
        });
        let threshold = suppression.threshold.as_ref().map(|one| ThresholdRow {
            count: one.count,
            within_s: one.within_s,
            per: one.per.clone(),
        });
        sql::query(
            "INSERT INTO suppressions (tenant, id, rule_id, conditions, reason, created_by, \
             created_at, expires_at, count, last_at, day_window, threshold) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        )
        .bind(tenant)
        .bind(suppression.id.as_str())
        .bind(&suppression.rule_id)
        .bind(to_json(&conditions))
        .bind(&suppression.reason)
        .bind(&suppression.created_by)
        .bind(micros(suppression.created_at))
        .bind(suppression.expires_at.map_or(NEVER, micros))
        .bind(signed(suppression.count))
        .bind(suppression.last_at.map(micros))
        .bind(window.map(|window| to_json(&window)))
        .bind(threshold.map(|threshold| to_json(&threshold)))
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
        let done = sql::query("DELETE FROM suppressions WHERE tenant = $1 AND id = $2")
            .bind(&tenant)
            .bind(suppression.as_str())
            .execute(self.conn())
            .await?;
        sql::query("DELETE FROM threshold_findings WHERE tenant = $1 AND suppression = $2")
            .bind(&tenant)
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

    /// Notes a finding that a threshold counts, and says how many there are of its key within
    /// the time that ends at it, itself among them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn count_towards(
        &mut self,
        suppression: &SuppressionId,
        key: &str,
        finding: &str,
        at: Timestamp,
        within_s: u32,
    ) -> Result<u64, StoreError> {
        let tenant = self.tenant();
        let (at, span) = (micros(at), i64::from(within_s).saturating_mul(1_000_000));
        // Findings may come late by as much again; what is older than that no one counts.
        sql::query(
            "DELETE FROM threshold_findings WHERE tenant = $1 AND suppression = $2 AND key = $3 AND time < $4",
        )
        .bind(&tenant)
        .bind(suppression.as_str())
        .bind(key)
        .bind(at.saturating_sub(span.saturating_mul(2)))
        .execute(self.conn())
        .await?;
        sql::query(
            "INSERT INTO threshold_findings (tenant, suppression, key, time, finding_id) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
        )
        .bind(&tenant)
        .bind(suppression.as_str())
        .bind(key)
        .bind(at)
        .bind(finding)
        .execute(self.conn())
        .await?;
        let count: i64 = sql::query_scalar(
            "SELECT COUNT(*) FROM threshold_findings WHERE tenant = $1 AND suppression = $2 \
             AND key = $3 AND time > $4 AND time <= $5",
        )
        .bind(&tenant)
        .bind(suppression.as_str())
        .bind(key)
        .bind(at.saturating_sub(span))
        .bind(at)
        .fetch_one(self.conn())
        .await?;
        unsigned("threshold_findings.count", count)
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
        sql::query(
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
