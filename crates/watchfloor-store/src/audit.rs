//! The audit chain: reading and proving it.

use sha2::{Digest, Sha256};
use watchfloor_model::{AuditEntry, GENESIS_HASH};

use crate::row::{corrupt, micros, signed, time, unsigned};
use crate::sql::{self, Row};
use crate::{Cursor, Page, PageRequest, Queries, StoreError};

/// Entries read at a time while verifying.
const VERIFY_CHUNK: i64 = 1_000;

/// Where the chain is broken, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditFault {
    /// An entry is gone.
    Gap {
        /// The number that should be there.
        seq: u64,
    },
    /// An entry does not follow from the one before.
    Unlinked {
        /// Its number.
        seq: u64,
    },
    /// An entry was changed.
    Changed {
        /// Its number.
        seq: u64,
    },
}

pub(crate) fn hash_of(entry: &AuditEntry, tenant: &str) -> String {
    hex::encode(Sha256::digest(entry.canonical_text(tenant)))
}

fn entry_from(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        seq: unsigned("audit.seq", row.try_get("seq")?)?,
        at: time("audit.at", row.try_get("at")?)?,
        actor: row.try_get("actor")?,
        action: row.try_get("action")?,
        target: row.try_get("target")?,
        detail: row.try_get("detail")?,
        previous_hash: row.try_get("previous_hash")?,
        hash: row.try_get("hash")?,
    })
}

impl Queries<'_> {
    /// The audit log, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_page(&mut self, page: &PageRequest) -> Result<Page<AuditEntry>, StoreError> {
        let before = page.after.as_ref().map_or(i64::MAX, |c| c.primary);
        let rows = sql::query(
            "SELECT * FROM audit WHERE tenant = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
        )
        .bind(self.tenant)
        .bind(before)
        .bind(page.fetch())
        .fetch_all(&mut *self.conn)
        .await?;
        let total: i64 = sql::query_scalar("SELECT COUNT(*) FROM audit WHERE tenant = $1")
            .bind(self.tenant)
            .fetch_one(&mut *self.conn)
            .await?;
        let items = rows.iter().map(entry_from).collect::<Result<Vec<_>, _>>()?;
        let total = unsigned("count", total)?;
        Ok(Page::cut(items, page, total, |entry| Cursor {
            primary: signed(entry.seq),
            secondary: micros(entry.at),
            id: entry.seq.to_string(),
        }))
    }

    /// What happened to one record, oldest first, at most the last 1,000 entries.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn history_of(&mut self, target: &str) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM audit WHERE tenant = $1 AND target = $2 ORDER BY seq DESC LIMIT 1000",
        )
        .bind(self.tenant)
        .bind(target)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().rev().map(entry_from).collect()
    }

    /// Walks the whole chain. Returns how many entries it has and the first fault, if any.
    /// A cut end does not show in the chain itself: keep the last hash elsewhere.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn verify_audit(&mut self) -> Result<(u64, Option<AuditFault>), StoreError> {
        let mut previous = GENESIS_HASH.to_owned();
        let mut seq = 0_u64;
        loop {
            let rows = sql::query(
                "SELECT * FROM audit WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3",
            )
            .bind(self.tenant)
            .bind(signed(seq))
            .bind(VERIFY_CHUNK)
            .fetch_all(&mut *self.conn)
            .await?;
            if rows.is_empty() {
                return Ok((seq, None));
            }
            for row in &rows {
                let entry = entry_from(row)?;
                let expected = seq
                    .checked_add(1)
                    .ok_or_else(|| corrupt("audit.seq", seq))?;
                if entry.seq != expected {
                    return Ok((seq, Some(AuditFault::Gap { seq: expected })));
                }
                if entry.previous_hash != previous {
                    return Ok((seq, Some(AuditFault::Unlinked { seq: entry.seq })));
                }
                if entry.hash != hash_of(&entry, self.tenant) {
                    return Ok((seq, Some(AuditFault::Changed { seq: entry.seq })));
                }
                seq = entry.seq;
                previous = entry.hash;
            }
        }
    }
}
