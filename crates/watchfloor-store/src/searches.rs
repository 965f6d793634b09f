//! Kept questions, and how asking them went.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{
    SavedSearch, SearchAlarm, SearchId, SearchRun, SearchSchedule, SearchSharing, Severity,
};

use crate::row::{from_json, id, micros, signed, time, time_opt, to_json, unsigned, word};
use crate::sql::{self, Row};
use crate::{Change, Queries, StoreError, WriteTx};

/// Most kept questions in an answer.
const SEARCHES_MAX: i64 = 2_000;

#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum ScheduleRow {
    Every { minutes: u32 },
    Daily { minute: u16, zone: String },
}

#[derive(Serialize, Deserialize)]
struct AlarmRow {
    rows: u64,
    severity: String,
    key: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct RunRow {
    at: i64,
    took_ms: u64,
    rows: u64,
    capped: bool,
    alerts: u64,
    error: Option<String>,
}

fn schedule_from(text: &str) -> Result<SearchSchedule, StoreError> {
    Ok(match from_json("saved_searches.schedule", text)? {
        ScheduleRow::Every { minutes } => SearchSchedule::Every { minutes },
        ScheduleRow::Daily { minute, zone } => SearchSchedule::Daily { minute, zone },
    })
}

fn schedule_to(schedule: &SearchSchedule) -> String {
    to_json(&match schedule {
        SearchSchedule::Every { minutes } => ScheduleRow::Every { minutes: *minutes },
        SearchSchedule::Daily { minute, zone } => ScheduleRow::Daily {
            minute: *minute,
            zone: zone.clone(),
        },
    })
}

fn alarm_from(text: &str) -> Result<SearchAlarm, StoreError> {
    let row: AlarmRow = from_json("saved_searches.alarm", text)?;
    Ok(SearchAlarm {
        rows: row.rows,
        severity: word("saved_searches.alarm", &row.severity, Severity::parse)?,
        key: row.key,
    })
}

fn alarm_to(alarm: &SearchAlarm) -> String {
    to_json(&AlarmRow {
        rows: alarm.rows,
        severity: alarm.severity.as_str().to_owned(),
        key: alarm.key.clone(),
    })
}

fn run_from(text: &str) -> Result<SearchRun, StoreError> {
    let row: RunRow = from_json("saved_searches.last_run", text)?;
    Ok(SearchRun {
        at: time("saved_searches.last_run", row.at)?,
        took_ms: row.took_ms,
        rows: row.rows,
        capped: row.capped,
        alerts: row.alerts,
        error: row.error,
    })
}

fn search_from(row: &Row) -> Result<SavedSearch, StoreError> {
    let text = |column: &'static str| row.try_get::<Option<String>>(column);
    let is_panel: i64 = row.try_get("is_panel")?;
    Ok(SavedSearch {
        id: id("saved_searches.id", row.try_get("id")?)?,
        name: row.try_get("name")?,
        description: row.try_get("description")?,
        query: row.try_get("query")?,
        span: row.try_get("span")?,
        sharing: word(
            "saved_searches.sharing",
            row.try_get("sharing")?,
            SearchSharing::parse,
        )?,
        owner: row.try_get("owner")?,
        created_by: row.try_get("created_by")?,
        created_at: time("saved_searches.created_at", row.try_get("created_at")?)?,
        updated_at: time("saved_searches.updated_at", row.try_get("updated_at")?)?,
        is_panel: is_panel != 0,
        schedule: text("schedule")?
            .as_deref()
            .map(schedule_from)
            .transpose()?,
        alarm: text("alarm")?.as_deref().map(alarm_from).transpose()?,
        last_run: text("last_run")?.as_deref().map(run_from).transpose()?,
        next_run_at: time_opt("saved_searches.next_run_at", row.try_get("next_run_at")?)?,
        version: unsigned("saved_searches.version", row.try_get("version")?)?,
    })
}

impl Queries<'_> {
    /// Kept questions that everybody sees, and those of an owner, by name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn searches(&mut self, owner: &str) -> Result<Vec<SavedSearch>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM saved_searches WHERE tenant = $1 AND (owner = $2 OR sharing = $3) \
             ORDER BY LOWER(name), id LIMIT $4",
        )
        .bind(self.tenant)
        .bind(owner)
        .bind(SearchSharing::Tenant.as_str())
        .bind(SEARCHES_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(search_from).collect()
    }

    /// One kept question, whoever may see it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn search(&mut self, search: &SearchId) -> Result<Option<SavedSearch>, StoreError> {
        let row = sql::query("SELECT * FROM saved_searches WHERE tenant = $1 AND id = $2")
            .bind(self.tenant)
            .bind(search.as_str())
            .fetch_optional(&mut *self.conn)
            .await?;
        row.as_ref().map(search_from).transpose()
    }

    /// Questions that are to be asked by now, those that wait longest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn due_searches(
        &mut self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<SavedSearch>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM saved_searches WHERE tenant = $1 AND next_run_at <= $2 \
             ORDER BY next_run_at, id LIMIT $3",
        )
        .bind(self.tenant)
        .bind(micros(now))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(search_from).collect()
    }
}

impl WriteTx {
    /// Writes a kept question, new or changed, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_search(
        &mut self,
        search: &SavedSearch,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO saved_searches (tenant, id, name, description, query, span, sharing, \
             owner, created_by, created_at, updated_at, is_panel, schedule, alarm, next_run_at, \
             version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) \
             ON CONFLICT (tenant, id) DO UPDATE SET name = excluded.name, \
             description = excluded.description, query = excluded.query, span = excluded.span, \
             sharing = excluded.sharing, updated_at = excluded.updated_at, \
             is_panel = excluded.is_panel, schedule = excluded.schedule, alarm = excluded.alarm, \
             next_run_at = excluded.next_run_at, version = excluded.version",
        )
        .bind(tenant)
        .bind(search.id.as_str())
        .bind(&search.name)
        .bind(&search.description)
        .bind(&search.query)
        .bind(&search.span)
        .bind(search.sharing.as_str())
        .bind(&search.owner)
        .bind(&search.created_by)
        .bind(micros(search.created_at))
        .bind(micros(search.updated_at))
        .bind(i64::from(search.is_panel))
        .bind(search.schedule.as_ref().map(schedule_to))
        .bind(search.alarm.as_ref().map(alarm_to))
        .bind(search.next_run_at.map(micros))
        .bind(signed(search.version))
        .execute(self.conn())
        .await?;
        self.record(change, search.id.as_str()).await
    }

    /// Notes how asking went, and when it is asked next. The alerts that it raised have audit
    /// entries of their own; a run without one changes nothing that is worth one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_search_run(
        &mut self,
        search: &SearchId,
        run: &SearchRun,
        next_run_at: Option<Timestamp>,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let row = RunRow {
            at: micros(run.at),
            took_ms: run.took_ms,
            rows: run.rows,
            capped: run.capped,
            alerts: run.alerts,
            error: run.error.clone(),
        };
        sql::query(
            "UPDATE saved_searches SET last_run = $3, next_run_at = $4 WHERE tenant = $1 AND id = $2",
        )
        .bind(tenant)
        .bind(search.as_str())
        .bind(to_json(&row))
        .bind(next_run_at.map(micros))
        .execute(self.conn())
        .await?;
        Ok(())
    }

    /// Forgets a kept question.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn remove_search(
        &mut self,
        search: &SearchId,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let done = sql::query("DELETE FROM saved_searches WHERE tenant = $1 AND id = $2")
            .bind(tenant)
            .bind(search.as_str())
            .execute(self.conn())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Missing {
                kind: "saved search",
                id: search.to_string(),
            });
        }
        self.record(change, search.as_str()).await
    }
}
