//! The completeness ledger, as the data plane reports it: per source and hour.

use std::collections::BTreeMap;

use jiff::Timestamp;
use watchfloor_model::TenantId;

use crate::row::{from_json, micros, signed, time, to_json, unsigned};
use crate::sql::{self, Builder};
use crate::{Queries, Store, StoreError};

/// One source in one hour. In = stored + dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The source.
    pub source: String,
    /// Start of the hour.
    pub hour: Timestamp,
    /// Records received.
    pub received: u64,
    /// Records that a decoder understood.
    pub decoded: u64,
    /// Records stored as base events.
    pub undecoded: u64,
    /// Records stored.
    pub stored: u64,
    /// Records that rules looked at.
    pub evaluated: u64,
    /// Records dropped, by reason.
    pub dropped: BTreeMap<String, u64>,
}

impl Store {
    /// Writes the whole counts of hours; a repeat changes nothing. Counters are not changes
    /// by an actor and leave no audit entry.
    ///
    /// # Errors
    /// [`StoreError`]; then none was written.
    pub async fn put_ledger(
        &self,
        tenant: &TenantId,
        rows: &[LedgerRow],
    ) -> Result<(), StoreError> {
        let mut tx = self.begin(tenant).await?;
        for row in rows {
            sql::query(
                "INSERT INTO ledger (tenant, source, hour, received, decoded, undecoded, stored, \
                 evaluated, dropped) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
                 ON CONFLICT (tenant, hour, source) DO UPDATE SET received = excluded.received, \
                 decoded = excluded.decoded, undecoded = excluded.undecoded, \
                 stored = excluded.stored, evaluated = excluded.evaluated, \
                 dropped = excluded.dropped",
            )
            .bind(tenant.as_str())
            .bind(&row.source)
            .bind(micros(row.hour))
            .bind(signed(row.received))
            .bind(signed(row.decoded))
            .bind(signed(row.undecoded))
            .bind(signed(row.stored))
            .bind(signed(row.evaluated))
            .bind(to_json(&row.dropped))
            .execute(&mut tx)
            .await?;
        }
        Ok(tx.commit().await?)
    }
}

impl Queries<'_> {
    /// Ledger rows of a span, by hour and source, at most 10,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn ledger(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        source: Option<&str>,
    ) -> Result<Vec<LedgerRow>, StoreError> {
        let mut query = Builder::new("SELECT * FROM ledger WHERE tenant = ");
        query.push_bind(self.tenant.to_owned());
        query.push(" AND hour >= ").push_bind(micros(from));
        query.push(" AND hour < ").push_bind(micros(to));
        if let Some(source) = source {
            query.push(" AND source = ").push_bind(source.to_owned());
        }
        query.push(" ORDER BY hour, source LIMIT 10000");
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        rows.iter()
            .map(|row| {
                let count = |column: &'static str| -> Result<u64, StoreError> {
                    unsigned(column, row.try_get(column)?)
                };
                Ok(LedgerRow {
                    source: row.try_get("source")?,
                    hour: time("ledger.hour", row.try_get("hour")?)?,
                    received: count("received")?,
                    decoded: count("decoded")?,
                    undecoded: count("undecoded")?,
                    stored: count("stored")?,
                    evaluated: count("evaluated")?,
                    dropped: from_json("ledger.dropped", row.try_get("dropped")?)?,
                })
            })
            .collect()
    }
}
