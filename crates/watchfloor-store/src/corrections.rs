//! What people corrected: these facts win over the automatic.

use watchfloor_model::{AlertId, IncidentId};

use crate::row::micros;
use crate::sql;
use crate::{Change, Queries, StoreError, WriteTx};

/// What a correction says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CorrectionKind {
    /// This alert does not belong to this incident.
    KeepOut,
    /// These two incidents are not one.
    KeepApart,
}

impl CorrectionKind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::KeepOut => "keep_out",
            Self::KeepApart => "keep_apart",
        }
    }
}

fn pair<'i>(left: &'i IncidentId, right: &'i IncidentId) -> (&'i str, &'i str) {
    if left <= right {
        (left.as_str(), right.as_str())
    } else {
        (right.as_str(), left.as_str())
    }
}

impl Queries<'_> {
    async fn corrected(
        &mut self,
        kind: CorrectionKind,
        left: &str,
        right: &str,
    ) -> Result<bool, StoreError> {
        let found: Option<i64> = sql::query_scalar(
            "SELECT at FROM corrections WHERE tenant = $1 AND kind = $2 AND left_id = $3 AND right_id = $4",
        )
        .bind(self.tenant)
        .bind(kind.as_str())
        .bind(left)
        .bind(right)
        .fetch_optional(&mut *self.conn)
        .await?;
        Ok(found.is_some())
    }

    /// Whether a person took this alert out of any incident: then only a person attaches it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn was_detached(&mut self, alert: &AlertId) -> Result<bool, StoreError> {
        let count: i64 = sql::query_scalar(
            "SELECT COUNT(*) FROM corrections WHERE tenant = $1 AND kind = $2 AND left_id = $3",
        )
        .bind(self.tenant)
        .bind(CorrectionKind::KeepOut.as_str())
        .bind(alert.as_str())
        .fetch_one(&mut *self.conn)
        .await?;
        Ok(count > 0)
    }

    /// Whether a person parted these two incidents, or took an alert of one out of the other.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn kept_apart(
        &mut self,
        left: &IncidentId,
        right: &IncidentId,
    ) -> Result<bool, StoreError> {
        let (first, second) = pair(left, right);
        if self
            .corrected(CorrectionKind::KeepApart, first, second)
            .await?
        {
            return Ok(true);
        }
        let count: i64 = sql::query_scalar(
            "SELECT COUNT(*) FROM corrections c JOIN alerts a ON a.tenant = c.tenant AND a.id = c.left_id \
             WHERE c.tenant = $1 AND c.kind = $2 AND ((c.right_id = $3 AND a.incident_id = $4) \
             OR (c.right_id = $4 AND a.incident_id = $3))",
        )
        .bind(self.tenant)
        .bind(CorrectionKind::KeepOut.as_str())
        .bind(first)
        .bind(second)
        .fetch_one(&mut *self.conn)
        .await?;
        Ok(count > 0)
    }
}

impl WriteTx {
    async fn correct(
        &mut self,
        kind: CorrectionKind,
        left: &str,
        right: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO corrections (tenant, kind, left_id, right_id, actor, at, reason) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(tenant)
        .bind(kind.as_str())
        .bind(left)
        .bind(right)
        .bind(&change.actor)
        .bind(micros(change.at))
        .bind(&change.detail)
        .execute(self.conn())
        .await?;
        Ok(())
    }

    async fn uncorrect(
        &mut self,
        kind: CorrectionKind,
        left: &str,
        right: &str,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "DELETE FROM corrections WHERE tenant = $1 AND kind = $2 AND left_id = $3 AND right_id = $4",
        )
        .bind(tenant)
        .bind(kind.as_str())
        .bind(left)
        .bind(right)
        .execute(self.conn())
        .await?;
        Ok(())
    }

    /// Remembers that an alert does not belong to an incident. The audit entry is the one of
    /// the alert that is saved with it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_out(
        &mut self,
        alert: &AlertId,
        incident: &IncidentId,
        change: &Change,
    ) -> Result<(), StoreError> {
        self.correct(
            CorrectionKind::KeepOut,
            alert.as_str(),
            incident.as_str(),
            change,
        )
        .await
    }

    /// Forgets that an alert does not belong to an incident.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn let_in(
        &mut self,
        alert: &AlertId,
        incident: &IncidentId,
    ) -> Result<(), StoreError> {
        self.uncorrect(CorrectionKind::KeepOut, alert.as_str(), incident.as_str())
            .await
    }

    /// Remembers that two incidents are not one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn keep_apart(
        &mut self,
        left: &IncidentId,
        right: &IncidentId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let (left, right) = pair(left, right);
        self.correct(CorrectionKind::KeepApart, left, right, change)
            .await
    }

    /// Forgets that two incidents are not one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn let_join(
        &mut self,
        left: &IncidentId,
        right: &IncidentId,
    ) -> Result<(), StoreError> {
        let (left, right) = pair(left, right);
        self.uncorrect(CorrectionKind::KeepApart, left, right).await
    }
}
