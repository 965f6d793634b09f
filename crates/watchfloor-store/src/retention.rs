//! What is kept for how long, what is held, and what was deleted on demand.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{
    Erasure, ErasureId, ErasureState, LegalHold, LegalHoldId, Retention, RetentionRule,
};

use crate::row::{corrupt, from_json, id, micros, signed, time, time_opt, to_json, unsigned, word};
use crate::sql::{self, Row};
use crate::{Change, Queries, StoreError, WriteTx};

#[derive(Serialize, Deserialize)]
struct RuleRow {
    source: Option<String>,
    class_uid: Option<i32>,
    days: u32,
}

fn days(column: &'static str, value: Option<i64>) -> Result<Option<u32>, StoreError> {
    let days = value.map(|value| u32::try_from(value).map_err(|_| corrupt(column, value)));
    days.transpose()
}

fn retention_from(row: &Row) -> Result<Retention, StoreError> {
    let rules: Vec<RuleRow> = from_json("retention.rules", row.try_get("rules")?)?;
    let rules = rules.into_iter().map(|row| RetentionRule {
        source: row.source,
        class_uid: row.class_uid,
        days: row.days,
    });
    Ok(Retention {
        rules: rules.collect(),
        default_days: days("retention.default_days", row.try_get("default_days")?)?,
        cold_after_days: days("retention.cold_after_days", row.try_get("cold_after_days")?)?,
        version: unsigned("retention.version", row.try_get("version")?)?,
        changed_by: Some(row.try_get("changed_by")?),
        changed_at: Some(time("retention.changed_at", row.try_get("changed_at")?)?),
    })
}

fn hold_from(row: &Row) -> Result<LegalHold, StoreError> {
    Ok(LegalHold {
        id: id("legal_holds.id", row.try_get("id")?)?,
        query: row.try_get("query")?,
        from: time_opt("legal_holds.from_time", row.try_get("from_time")?)?,
        to: time_opt("legal_holds.to_time", row.try_get("to_time")?)?,
        reason: row.try_get("reason")?,
        created_by: row.try_get("created_by")?,
        created_at: time("legal_holds.created_at", row.try_get("created_at")?)?,
        released_by: row.try_get("released_by")?,
        released_at: time_opt("legal_holds.released_at", row.try_get("released_at")?)?,
    })
}

fn erasure_from(row: &Row) -> Result<Erasure, StoreError> {
    Ok(Erasure {
        id: id("erasures.id", row.try_get("id")?)?,
        query: row.try_get("query")?,
        digest: row.try_get("digest")?,
        reason: row.try_get("reason")?,
        created_by: row.try_get("created_by")?,
        created_at: time("erasures.created_at", row.try_get("created_at")?)?,
        state: word("erasures.state", row.try_get("state")?, ErasureState::parse)?,
        events: unsigned("erasures.events", row.try_get("events")?)?,
        held: unsigned("erasures.held", row.try_get("held")?)?,
        files: unsigned("erasures.files", row.try_get("files")?)?,
        ended_at: time_opt("erasures.ended_at", row.try_get("ended_at")?)?,
        error: row.try_get("error")?,
    })
}

impl Queries<'_> {
    /// How long events are kept; for ever, as long as nobody said otherwise.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn retention(&mut self) -> Result<Retention, StoreError> {
        let row = sql::query("SELECT * FROM retention WHERE tenant = $1")
            .bind(self.tenant)
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref()
            .map_or_else(|| Ok(Retention::default()), retention_from)
    }

    /// All legal holds, newest first, released ones too.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn legal_holds(&mut self) -> Result<Vec<LegalHold>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM legal_holds WHERE tenant = $1 ORDER BY created_at DESC, id DESC LIMIT 10000",
        )
        .bind(self.tenant)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(hold_from).collect()
    }

    /// All deletions on demand, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn erasures(&mut self) -> Result<Vec<Erasure>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM erasures WHERE tenant = $1 ORDER BY created_at DESC, id DESC LIMIT 10000",
        )
        .bind(self.tenant)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(erasure_from).collect()
    }
}

impl WriteTx {
    /// Writes how long events are kept.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn set_retention(
        &mut self,
        retention: &Retention,
        by: &str,
        at: Timestamp,
        change: &Change,
    ) -> Result<(), StoreError> {
        let rules = retention.rules.iter().map(|rule| RuleRow {
            source: rule.source.clone(),
            class_uid: rule.class_uid,
            days: rule.days,
        });
        let rules: Vec<RuleRow> = rules.collect();
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO retention (tenant, rules, default_days, cold_after_days, version, \
             changed_by, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7) \
             ON CONFLICT (tenant) DO UPDATE SET rules = $2, default_days = $3, \
             cold_after_days = $4, version = $5, changed_by = $6, changed_at = $7",
        )
        .bind(&tenant)
        .bind(to_json(&rules))
        .bind(retention.default_days.map(i64::from))
        .bind(retention.cold_after_days.map(i64::from))
        .bind(signed(retention.version))
        .bind(by)
        .bind(micros(at))
        .execute(self.conn())
        .await?;
        self.record(change, &tenant).await
    }

    /// Writes a new legal hold.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_legal_hold(
        &mut self,
        hold: &LegalHold,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO legal_holds (tenant, id, query, from_time, to_time, reason, created_by, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(tenant)
        .bind(hold.id.as_str())
        .bind(&hold.query)
        .bind(hold.from.map(micros))
        .bind(hold.to.map(micros))
        .bind(&hold.reason)
        .bind(&hold.created_by)
        .bind(micros(hold.created_at))
        .execute(self.conn())
        .await?;
        self.record(change, hold.id.as_str()).await
    }

    /// Releases a legal hold that is in force.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn release_legal_hold(
        &mut self,
        hold: &LegalHoldId,
        by: &str,
        at: Timestamp,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sql::query(
            "UPDATE legal_holds SET released_by = $3, released_at = $4 \
             WHERE tenant = $1 AND id = $2 AND released_at IS NULL",
        )
        .bind(tenant)
        .bind(hold.as_str())
        .bind(by)
        .bind(micros(at))
        .execute(self.conn())
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "legal hold",
                id: hold.to_string(),
            });
        }
        self.record(change, hold.as_str()).await
    }

    /// Writes a deletion that is about to run.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_erasure(
        &mut self,
        erasure: &Erasure,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO erasures (tenant, id, query, digest, reason, created_by, created_at, \
             state, events, held, files) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0)",
        )
        .bind(tenant)
        .bind(erasure.id.as_str())
        .bind(&erasure.query)
        .bind(&erasure.digest)
        .bind(&erasure.reason)
        .bind(&erasure.created_by)
        .bind(micros(erasure.created_at))
        .bind(erasure.state.as_str())
        .execute(self.conn())
        .await?;
        self.record(change, erasure.id.as_str()).await
    }

    /// Writes how a deletion ended. The query goes with it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn end_erasure(
        &mut self,
        erasure: &ErasureId,
        end: &Erasure,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sql::query(
            "UPDATE erasures SET query = NULL, state = $3, events = $4, held = $5, files = $6, \
             ended_at = $7, error = $8 WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(erasure.as_str())
        .bind(end.state.as_str())
        .bind(signed(end.events))
        .bind(signed(end.held))
        .bind(signed(end.files))
        .bind(end.ended_at.map(micros))
        .bind(&end.error)
        .execute(self.conn())
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "erasure",
                id: erasure.to_string(),
            });
        }
        self.record(change, erasure.as_str()).await
    }
}
