//! Who was mentioned in which note, and whether they have seen it.

use jiff::Timestamp;
use watchfloor_model::{Mention, Note};

use crate::row::{id, micros, time, time_opt};
use crate::sql;
use crate::{Queries, StoreError, WriteTx};

impl Queries<'_> {
    /// Mentions of a user, newest first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn mentions_of(
        &mut self,
        name: &str,
        limit: u32,
    ) -> Result<Vec<Mention>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM mentions WHERE tenant = $1 AND name_key = $2 \
             ORDER BY at DESC, note_id DESC LIMIT $3",
        )
        .bind(self.tenant)
        .bind(name.to_lowercase())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Mention {
                    note_id: id("mentions.note_id", row.try_get("note_id")?)?,
                    parent_id: row.try_get("parent_id")?,
                    author: row.try_get("author")?,
                    text: row.try_get("text")?,
                    at: time("mentions.at", row.try_get("at")?)?,
                    seen_at: time_opt("mentions.seen_at", row.try_get("seen_at")?)?,
                })
            })
            .collect()
    }
}

impl WriteTx {
    /// Notes that a user is mentioned.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_mention(
        &mut self,
        name: &str,
        parent: &str,
        note: &Note,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO mentions (tenant, name_key, note_id, parent_id, author, text, at, seen_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, NULL) ON CONFLICT DO NOTHING",
        )
        .bind(tenant)
        .bind(name.to_lowercase())
        .bind(note.id.as_str())
        .bind(parent)
        .bind(&note.author)
        .bind(&note.text)
        .bind(micros(note.created_at))
        .execute(self.conn())
        .await?;
        Ok(())
    }

    /// Notes that a user has seen what mentions them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn see_mentions(&mut self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "UPDATE mentions SET seen_at = $3 WHERE tenant = $1 AND name_key = $2 AND seen_at IS NULL",
        )
        .bind(tenant)
        .bind(name.to_lowercase())
        .bind(micros(now))
        .execute(self.conn())
        .await?;
        Ok(())
    }
}
