//! Notes, tasks and observables.

use watchfloor_model::{EntityKind, IncidentId, Note, Observable, Task, TaskId, TaskStatus};

use crate::row::{id, micros, time, time_opt, word};
use crate::sql;
use crate::{Change, Queries, StoreError, WriteTx};

impl Queries<'_> {
    /// Notes of an alert or incident, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn notes_of(&mut self, parent: &str) -> Result<Vec<Note>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM notes WHERE tenant = $1 AND parent_id = $2 ORDER BY created_at, id",
        )
        .bind(self.tenant)
        .bind(parent)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Note {
                    id: id("notes.id", row.try_get("id")?)?,
                    text: row.try_get("text")?,
                    author: row.try_get("author")?,
                    created_at: time("notes.created_at", row.try_get("created_at")?)?,
                })
            })
            .collect()
    }

    /// Tasks of an incident, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tasks_of(&mut self, incident: &IncidentId) -> Result<Vec<Task>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM tasks WHERE tenant = $1 AND incident_id = $2 ORDER BY created_at, id",
        )
        .bind(self.tenant)
        .bind(incident.as_str())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Task {
                    id: id("tasks.id", row.try_get("id")?)?,
                    title: row.try_get("title")?,
                    status: word("tasks.status", row.try_get("status")?, TaskStatus::parse)?,
                    assignee: row.try_get("assignee")?,
                    created_by: row.try_get("created_by")?,
                    created_at: time("tasks.created_at", row.try_get("created_at")?)?,
                    done_at: time_opt("tasks.done_at", row.try_get("done_at")?)?,
                })
            })
            .collect()
    }

    /// One task of an incident.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn task(&mut self, incident: &IncidentId, task: &TaskId) -> Result<Task, StoreError> {
        self.tasks_of(incident)
            .await?
            .into_iter()
            .find(|t| t.id == *task)
            .ok_or_else(|| StoreError::Missing {
                kind: "task",
                id: task.to_string(),
            })
    }

    /// Observables of an incident, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn observables_of(
        &mut self,
        incident: &IncidentId,
    ) -> Result<Vec<Observable>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM observables WHERE tenant = $1 AND incident_id = $2 ORDER BY added_at, id",
        )
        .bind(self.tenant)
        .bind(incident.as_str())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Observable {
                    id: id("observables.id", row.try_get("id")?)?,
                    kind: word("observables.kind", row.try_get("kind")?, EntityKind::parse)?,
                    value: row.try_get("value")?,
                    note: row.try_get("note")?,
                    added_by: row.try_get("added_by")?,
                    added_at: time("observables.added_at", row.try_get("added_at")?)?,
                })
            })
            .collect()
    }
}

impl WriteTx {
    /// Writes a note on an alert or incident, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_note(
        &mut self,
        parent: &str,
        note: &Note,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO notes (tenant, id, parent_id, text, author, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(tenant)
        .bind(note.id.as_str())
        .bind(parent)
        .bind(&note.text)
        .bind(&note.author)
        .bind(micros(note.created_at))
        .execute(self.conn())
        .await?;
        self.record(change, parent).await
    }

    /// Writes a task, new or changed, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_task(
        &mut self,
        incident: &IncidentId,
        task: &Task,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO tasks (tenant, id, incident_id, title, status, assignee, created_by, \
             created_at, done_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (tenant, id) DO UPDATE SET title = excluded.title, \
             status = excluded.status, assignee = excluded.assignee, done_at = excluded.done_at",
        )
        .bind(tenant)
        .bind(task.id.as_str())
        .bind(incident.as_str())
        .bind(&task.title)
        .bind(task.status.as_str())
        .bind(&task.assignee)
        .bind(&task.created_by)
        .bind(micros(task.created_at))
        .bind(task.done_at.map(micros))
        .execute(self.conn())
        .await?;
        self.record(change, incident.as_str()).await
    }

    /// Writes an observable, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_observable(
        &mut self,
        incident: &IncidentId,
        observable: &Observable,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO observables (tenant, id, incident_id, kind, value, note, added_by, added_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(tenant)
        .bind(observable.id.as_str())
        .bind(incident.as_str())
        .bind(observable.kind.as_str())
        .bind(&observable.value)
        .bind(&observable.note)
        .bind(&observable.added_by)
        .bind(micros(observable.added_at))
        .execute(self.conn())
        .await?;
        self.record(change, incident.as_str()).await
    }

    /// Moves notes, tasks and observables of one incident to another. The audit entry is the
    /// merge's.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn move_work(
        &mut self,
        from: &IncidentId,
        into: &IncidentId,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        for sql in [
            "UPDATE notes SET parent_id = $3 WHERE tenant = $1 AND parent_id = $2",
            "UPDATE tasks SET incident_id = $3 WHERE tenant = $1 AND incident_id = $2",
            "UPDATE observables SET incident_id = $3 WHERE tenant = $1 AND incident_id = $2",
        ] {
            sql::query(sql)
                .bind(&tenant)
                .bind(from.as_str())
                .bind(into.as_str())
                .execute(self.conn())
                .await?;
        }
        Ok(())
    }
}
