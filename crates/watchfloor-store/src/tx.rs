//! Transactions: a reader sees one state, a writer changes it with its audit entry.

use jiff::Timestamp;
use watchfloor_model::{AuditEntry, GENESIS_HASH, TenantId};

use crate::StoreError;
use crate::row::{micros, unsigned};
use crate::sql::{self, Conn};

/// Who changes what, and why: becomes the audit entry.
#[derive(Clone, Debug)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// What, as `noun.verb`.
    pub action: &'static str,
    /// In words.
    pub detail: String,
}

impl Change {
    /// The same change in other words.
    pub fn with(&self, action: &'static str, detail: impl Into<String>) -> Self {
        Self {
            at: self.at,
            actor: self.actor.clone(),
            action,
            detail: detail.into(),
        }
    }
}

/// Reads of one tenant.
#[derive(Debug)]
pub struct Queries<'c> {
    pub(crate) conn: &'c mut Conn,
    pub(crate) tenant: &'c str,
}

/// A consistent read of one tenant's records.
#[derive(Debug)]
pub struct Reader {
    tx: Conn,
    tenant: TenantId,
}

impl Reader {
    pub(crate) const fn new(tx: Conn, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// The queries.
    pub fn q(&mut self) -> Queries<'_> {
        Queries {
            conn: &mut self.tx,
            tenant: self.tenant.as_str(),
        }
    }
}

/// The one writing transaction. Dropped without [`WriteTx::commit`], it changes nothing.
#[derive(Debug)]
pub struct WriteTx {
    tx: Conn,
    tenant: TenantId,
}

impl WriteTx {
    pub(crate) const fn new(tx: Conn, tenant: TenantId) -> Self {
        Self { tx, tenant }
    }

    /// The queries, which see the transaction's own changes.
    pub fn q(&mut self) -> Queries<'_> {
        Queries {
            conn: &mut self.tx,
            tenant: self.tenant.as_str(),
        }
    }

    pub(crate) fn conn(&mut self) -> &mut Conn {
        &mut self.tx
    }

    pub(crate) fn tenant(&self) -> String {
        self.tenant.as_str().to_owned()
    }

    /// Makes the changes durable.
    ///
    /// # Errors
    /// [`StoreError::Database`]; then nothing was changed.
    pub async fn commit(self) -> Result<(), StoreError> {
        Ok(self.tx.commit().await?)
    }

    /// The next number of a counter, from 1.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_number(&mut self, name: &str) -> Result<u64, StoreError> {
        let tenant = self.tenant();
        let value: i64 = sql::query_scalar(
            "INSERT INTO counters (tenant, name, value) VALUES ($1, $2, 1) \
             ON CONFLICT (tenant, name) DO UPDATE SET value = counters.value + 1 RETURNING value",
        )
        .bind(tenant)
        .bind(name)
        .fetch_one(self.conn())
        .await?;
        unsigned("counters.value", value)
    }

    /// Writes the audit entry of a change and its outbox row.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn record(&mut self, change: &Change, target: &str) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let last =
            sql::query("SELECT seq, hash FROM audit WHERE tenant = $1 ORDER BY seq DESC LIMIT 1")
                .bind(&tenant)
                .fetch_optional(self.conn())
                .await?;
        let (seq, previous_hash) = match last {
            Some(row) => (
                unsigned("audit.seq", row.try_get("seq")?)?,
                row.try_get("hash")?,
            ),
            None => (0, GENESIS_HASH.to_owned()),
        };
        // What is hashed is what is stored, and PostgreSQL stores no NUL.
        let plain = |text: &str| text.replace('\0', "\u{fffd}");
        let mut entry = AuditEntry {
            seq: seq + 1,
            at: change.at,
            actor: plain(&change.actor),
            action: change.action.to_owned(),
            target: plain(target),
            detail: plain(&change.detail),
            previous_hash,
            hash: String::new(),
        };
        entry.hash = crate::audit::hash_of(&entry, &tenant);
        self.insert_audit(&tenant, &entry).await
    }

    async fn insert_audit(&mut self, tenant: &str, entry: &AuditEntry) -> Result<(), StoreError> {
        let seq = entry.seq.cast_signed();
        sql::query(
            "INSERT INTO audit (tenant, seq, at, actor, action, target, detail, previous_hash, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(tenant)
        .bind(seq)
        .bind(micros(entry.at))
        .bind(&entry.actor)
        .bind(&entry.action)
        .bind(&entry.target)
        .bind(&entry.detail)
        .bind(&entry.previous_hash)
        .bind(&entry.hash)
        .execute(self.conn())
        .await?;
        sql::query(
            "INSERT INTO outbox (tenant, seq, at, kind, target) VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(tenant)
        .bind(seq)
        .bind(micros(entry.at))
        .bind(&entry.action)
        .bind(&entry.target)
        .execute(self.conn())
        .await?;
        Ok(())
    }
}
