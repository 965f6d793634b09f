//! Rotations of people on call, who stands in, how they are reached, and shift handovers.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{Contact, Handover, HandoverId, Rotation, RotationId, StandIn, StandInId};

use crate::row::{from_json, id, micros, signed, time, time_opt, to_json, unsigned};
use crate::sql::{self, Row};
use crate::{Change, Queries, StoreError, WriteTx};

/// Handovers that are listed.
const HANDOVERS_MAX: i64 = 500;

#[derive(Serialize, Deserialize)]
struct RotationBody {
    members: Vec<String>,
    starts_on: String,
    handover_minute: u16,
    turn_hours: u32,
    zone: String,
}

fn rotation_from(row: &Row) -> Result<Rotation, StoreError> {
    let body: RotationBody = from_json("rotations.body", row.try_get("body")?)?;
    Ok(Rotation {
        id: id("rotations.id", row.try_get("id")?)?,
        name: row.try_get("name")?,
        members: body.members,
        starts_on: body.starts_on,
        handover_minute: body.handover_minute,
        turn_hours: body.turn_hours,
        zone: body.zone,
        changed_by: row.try_get("changed_by")?,
        changed_at: time("rotations.changed_at", row.try_get("changed_at")?)?,
        version: unsigned("rotations.version", row.try_get("version")?)?,
    })
}

fn stand_in_from(row: &Row) -> Result<StandIn, StoreError> {
    Ok(StandIn {
        id: id("stand_ins.id", row.try_get("id")?)?,
        rotation_id: id("stand_ins.rotation_id", row.try_get("rotation_id")?)?,
        name: row.try_get("name")?,
        instead_of: row.try_get("instead_of")?,
        from: time("stand_ins.from_time", row.try_get("from_time")?)?,
        to: time("stand_ins.to_time", row.try_get("to_time")?)?,
        created_by: row.try_get("created_by")?,
        created_at: time("stand_ins.created_at", row.try_get("created_at")?)?,
    })
}

fn handover_from(row: &Row) -> Result<Handover, StoreError> {
    Ok(Handover {
        id: id("handovers.id", row.try_get("id")?)?,
        from: time("handovers.from_time", row.try_get("from_time")?)?,
        to: time("handovers.to_time", row.try_get("to_time")?)?,
        given_by: row.try_get("given_by")?,
        given_at: time("handovers.given_at", row.try_get("given_at")?)?,
        accepted_by: row.try_get("accepted_by")?,
        accepted_at: time_opt("handovers.accepted_at", row.try_get("accepted_at")?)?,
        notes: row.try_get("notes")?,
        snapshot: row.try_get("snapshot")?,
        digest: row.try_get("digest")?,
    })
}

fn missing(kind: &'static str, id: impl ToString) -> StoreError {
    StoreError::Missing {
        kind,
        id: id.to_string(),
    }
}

impl Queries<'_> {
    /// All rotations, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn rotations(&mut self) -> Result<Vec<Rotation>, StoreError> {
        let rows =
            sql::query("SELECT * FROM rotations WHERE tenant = $1 ORDER BY name_key, id LIMIT 200")
                .bind(self.tenant)
                .fetch_all(&mut *self.conn)
                .await?;
        rows.iter().map(rotation_from).collect()
    }

    /// One rotation.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn rotation(&mut self, rotation: &RotationId) -> Result<Rotation, StoreError> {
        let row = sql::query("SELECT * FROM rotations WHERE tenant = $1 AND id = $2")
            .bind(self.tenant)
            .bind(rotation.as_str())
            .fetch_optional(&mut *self.conn)
            .await?;
        rotation_from(&row.ok_or_else(|| missing("rotation", rotation))?)
    }

    /// Who stands in, of all rotations, from a time on; in the order in which it was said.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn stand_ins(&mut self, since: Timestamp) -> Result<Vec<StandIn>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM stand_ins WHERE tenant = $1 AND to_time > $2 \
             ORDER BY created_at, id LIMIT 2000",
        )
        .bind(self.tenant)
        .bind(micros(since))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(stand_in_from).collect()
    }

    /// How people are reached, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn contacts(&mut self) -> Result<Vec<Contact>, StoreError> {
        let rows = sql::query("SELECT * FROM contacts WHERE tenant = $1 ORDER BY name")
            .bind(self.tenant)
            .fetch_all(&mut *self.conn)
            .await?;
        rows.iter()
            .map(|row| {
                Ok(Contact {
                    name: row.try_get("name")?,
                    email: row.try_get("email")?,
                    mention: row.try_get("mention")?,
                })
            })
            .collect()
    }

    /// Handovers, newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn handovers(&mut self) -> Result<Vec<Handover>, StoreError> {
        let rows =
            sql::query("SELECT * FROM handovers WHERE tenant = $1 ORDER BY number DESC LIMIT $2")
                .bind(self.tenant)
                .bind(HANDOVERS_MAX)
                .fetch_all(&mut *self.conn)
                .await?;
        rows.iter().map(handover_from).collect()
    }

    /// One handover.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn handover(&mut self, handover: &HandoverId) -> Result<Handover, StoreError> {
        let row = sql::query("SELECT * FROM handovers WHERE tenant = $1 AND id = $2")
            .bind(self.tenant)
            .bind(handover.as_str())
            .fetch_optional(&mut *self.conn)
            .await?;
        handover_from(&row.ok_or_else(|| missing("handover", handover))?)
    }
}

impl WriteTx {
    /// Writes a rotation, new or changed.
    ///
    /// # Errors
    /// [`StoreError`]; a name that is taken is a duplicate.
    pub async fn save_rotation(
        &mut self,
        rotation: &Rotation,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let body = to_json(&RotationBody {
            members: rotation.members.clone(),
            starts_on: rotation.starts_on.clone(),
            handover_minute: rotation.handover_minute,
            turn_hours: rotation.turn_hours,
            zone: rotation.zone.clone(),
        });
        sql::query(
            "INSERT INTO rotations (tenant, id, name, name_key, body, changed_by, changed_at, \
             version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (tenant, id) DO UPDATE \
             SET name = excluded.name, name_key = excluded.name_key, body = excluded.body, \
             changed_by = excluded.changed_by, changed_at = excluded.changed_at, \
             version = excluded.version",
        )
        .bind(tenant)
        .bind(rotation.id.as_str())
        .bind(&rotation.name)
        .bind(rotation.name.to_lowercase())
        .bind(body)
        .bind(&rotation.changed_by)
        .bind(micros(rotation.changed_at))
        .bind(signed(rotation.version))
        .execute(self.conn())
        .await?;
        self.record(change, rotation.id.as_str()).await
    }

    /// Forgets a rotation and who stood in.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_rotation(
        &mut self,
        rotation: &RotationId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query("DELETE FROM stand_ins WHERE tenant = $1 AND rotation_id = $2")
            .bind(&tenant)
            .bind(rotation.as_str())
            .execute(self.conn())
            .await?;
        let done = sql::query("DELETE FROM rotations WHERE tenant = $1 AND id = $2")
            .bind(&tenant)
            .bind(rotation.as_str())
            .execute(self.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(missing("rotation", rotation));
        }
        self.record(change, rotation.as_str()).await
    }

    /// Writes that somebody stands in.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_stand_in(
        &mut self,
        stand_in: &StandIn,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO stand_ins (tenant, id, rotation_id, name, instead_of, from_time, \
             to_time, created_by, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(tenant)
        .bind(stand_in.id.as_str())
        .bind(stand_in.rotation_id.as_str())
        .bind(&stand_in.name)
        .bind(&stand_in.instead_of)
        .bind(micros(stand_in.from))
        .bind(micros(stand_in.to))
        .bind(&stand_in.created_by)
        .bind(micros(stand_in.created_at))
        .execute(self.conn())
        .await?;
        self.record(change, stand_in.rotation_id.as_str()).await
    }

    /// Takes back that somebody stands in.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_stand_in(
        &mut self,
        stand_in: &StandInId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sql::query("DELETE FROM stand_ins WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(stand_in.as_str())
            .execute(self.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(missing("stand-in", stand_in));
        }
        self.record(change, stand_in.as_str()).await
    }

    /// Writes how somebody is reached.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_contact(
        &mut self,
        contact: &Contact,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO contacts (tenant, name, email, mention) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (tenant, name) DO UPDATE SET email = excluded.email, \
             mention = excluded.mention",
        )
        .bind(tenant)
        .bind(&contact.name)
        .bind(&contact.email)
        .bind(&contact.mention)
        .execute(self.conn())
        .await?;
        self.record(change, &contact.name).await
    }

    /// Writes a handover.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_handover(
        &mut self,
        handover: &Handover,
        number: u64,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO handovers (tenant, id, number, from_time, to_time, given_by, given_at, \
             notes, snapshot, digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(tenant)
        .bind(handover.id.as_str())
        .bind(signed(number))
        .bind(micros(handover.from))
        .bind(micros(handover.to))
        .bind(&handover.given_by)
        .bind(micros(handover.given_at))
        .bind(&handover.notes)
        .bind(&handover.snapshot)
        .bind(&handover.digest)
        .execute(self.conn())
        .await?;
        self.record(change, handover.id.as_str()).await
    }

    /// Writes who took a handover.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn accept_handover(
        &mut self,
        handover: &HandoverId,
        by: &str,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "UPDATE handovers SET accepted_by = $3, accepted_at = $4 WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(handover.as_str())
        .bind(by)
        .bind(micros(change.at))
        .execute(self.conn())
        .await?;
        self.record(change, handover.as_str()).await
    }
}
