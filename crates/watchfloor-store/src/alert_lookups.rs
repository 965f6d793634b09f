//! Alerts as triage looks them up: by what they share, and how often it was seen.

use jiff::Timestamp;
use watchfloor_model::{Alert, EntityRef};

use crate::alerts::alert_from;
use crate::row::{micros, unsigned};
use crate::sql;
use crate::{Queries, StoreError, WriteTx};

/// Rarity is counted up to here: what was seen so often is not rare.
const SEEN_MAX: i64 = 100;

impl Queries<'_> {
    /// Alerts that have an entity and lie in a span of event time, the latest `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alerts_with_entity(
        &mut self,
        entity: &EntityRef,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> Result<Vec<Alert>, StoreError> {
        let rows = sql::query(
            "SELECT a.* FROM alert_entities e JOIN alerts a ON a.tenant = e.tenant AND a.id = e.alert_id \
             WHERE e.tenant = $1 AND e.kind = $2 AND e.value = $3 AND e.last_time >= $4 \
             AND a.first_time <= $5 ORDER BY e.last_time DESC LIMIT $6",
        )
        .bind(self.tenant)
        .bind(entity.kind.as_str())
        .bind(&entity.value)
        .bind(micros(from))
        .bind(micros(to))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(alert_from).collect()
    }

    /// Alerts that rest on the same process or session and lie in a span of event time, the
    /// latest `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alerts_with_trace(
        &mut self,
        trace: &str,
        from: Timestamp,
        to: Timestamp,
        limit: u32,
    ) -> Result<Vec<Alert>, StoreError> {
        let rows = sql::query(
            "SELECT a.* FROM alert_traces e JOIN alerts a ON a.tenant = e.tenant AND a.id = e.alert_id \
             WHERE e.tenant = $1 AND e.trace = $2 AND e.last_time >= $3 \
             AND a.first_time <= $4 ORDER BY e.last_time DESC LIMIT $5",
        )
        .bind(self.tenant)
        .bind(trace)
        .bind(micros(from))
        .bind(micros(to))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(alert_from).collect()
    }

    /// How many alerts of a rule there are since a time; a hundred stands for more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alerts_of_rule_since(
        &mut self,
        rule_id: &str,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        let count: i64 = sql::query_scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM alerts WHERE tenant = $1 AND rule_id = $2 \
             AND time >= $3 LIMIT $4) AS seen",
        )
        .bind(self.tenant)
        .bind(rule_id)
        .bind(micros(since))
        .bind(SEEN_MAX)
        .fetch_one(&mut *self.conn)
        .await?;
        unsigned("count", count)
    }

    /// How many alerts with an entity there are since a time; a hundred stands for more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alerts_of_entity_since(
        &mut self,
        entity: &EntityRef,
        since: Timestamp,
    ) -> Result<u64, StoreError> {
        let count: i64 = sql::query_scalar(
            "SELECT COUNT(*) FROM (SELECT 1 FROM alert_entities WHERE tenant = $1 AND kind = $2 \
             AND value = $3 AND last_time >= $4 LIMIT $5) AS seen",
        )
        .bind(self.tenant)
        .bind(entity.kind.as_str())
        .bind(&entity.value)
        .bind(micros(since))
        .bind(SEEN_MAX)
        .fetch_one(&mut *self.conn)
        .await?;
        unsigned("count", count)
    }
}

impl WriteTx {
    pub(crate) async fn put_alert_traces(&mut self, alert: &Alert) -> Result<(), StoreError> {
        let tenant = self.tenant();
        for trace in &alert.traces {
            sql::query(
                "INSERT INTO alert_traces (tenant, trace, alert_id, last_time) \
                 VALUES ($1, $2, $3, $4) ON CONFLICT (tenant, trace, alert_id) \
                 DO UPDATE SET last_time = excluded.last_time",
            )
            .bind(&tenant)
            .bind(trace)
            .bind(alert.id.as_str())
            .bind(micros(alert.last_time))
            .execute(self.conn())
            .await?;
        }
        Ok(())
    }
}
