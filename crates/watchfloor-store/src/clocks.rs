//! Service levels, policy of escalation, and what was escalated.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_model::{
    Alert, AlertStatus, ClockKind, Clocks, Escalation, EscalationLevel, EscalationPolicy,
    IncidentId, Recipient, ServiceLevels, Severity, Targets, Verdict,
};

use crate::row::{corrupt, from_json, id, micros, signed, time, time_opt, to_json, unsigned, word};
use crate::sql::{self, Builder, Row};
use crate::{Change, Queries, StoreError, WriteTx};

/// Most escalations in one answer.
const ESCALATIONS_MAX: i64 = 1_000;
/// Most incidents whose times are computed in one answer.
pub const TIMES_MAX: usize = 100_000;
/// Most open incidents, and lone alerts, that one round looks at.
const ROUND_MAX: i64 = 10_000;

#[derive(Serialize, Deserialize)]
struct TargetsRow {
    acknowledge: Option<u32>,
    contain: Option<u32>,
    resolve: Option<u32>,
}

#[derive(Serialize, Deserialize)]
struct LevelRow {
    clock: String,
    after_percent: Option<u32>,
    after_minutes: Option<u32>,
    severity_min: String,
    recipient: String,
    connector_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct PolicyRow {
    is_on: bool,
    primary: Option<String>,
    secondary: Option<String>,
    with_alerts: bool,
    levels: Vec<LevelRow>,
}

#[derive(Serialize, Deserialize)]
struct EscalationRow {
    title: String,
    severity: String,
    due_at: i64,
    recipients: Vec<String>,
    action_id: Option<String>,
    trouble: Option<String>,
}

/// The clocks of an incident, and what they are counted by.
#[derive(Clone, Debug)]
pub struct IncidentTimes {
    /// The incident.
    pub id: IncidentId,
    /// Number for people.
    pub number: u64,
    /// One line.
    pub title: String,
    /// Gravity.
    pub severity: Severity,
    /// Conclusion.
    pub verdict: Option<Verdict>,
    /// Who leads it.
    pub assignee: Option<String>,
    /// Earliest evidence.
    pub first_time: Timestamp,
    /// When what was reached.
    pub clocks: Clocks,
}

/// An alert that belongs to no incident and that nobody looked at.
#[derive(Clone, Debug)]
pub struct LoneAlert {
    /// Its id.
    pub id: String,
    /// One line.
    pub title: String,
    /// Gravity.
    pub severity: Severity,
    /// When it entered the queue.
    pub created_at: Timestamp,
}

pub(crate) fn clocks_from(row: &Row) -> Result<Clocks, StoreError> {
    let away: Vec<(i64, i64)> = from_json("incidents.away", row.try_get("away")?)?;
    let away = away.into_iter().map(|(from, to)| {
        let at = |value| time("incidents.away", value);
        Ok((at(from)?, at(to)?))
    });
    let read = |column: &'static str| time_opt(column, row.try_get(column)?);
    Ok(Clocks {
        detected_at: time("incidents.detected_at", row.try_get("detected_at")?)?,
        acknowledged_at: read("acknowledged_at")?,
        contained_at: read("contained_at")?,
        resolved_at: read("resolved_at")?,
        away: away.collect::<Result<_, StoreError>>()?,
    })
}

pub(crate) fn away_to_json(clocks: &Clocks) -> String {
    let spans = clocks.away.iter();
    let spans: Vec<(i64, i64)> = spans
        .map(|(from, to)| (micros(*from), micros(*to)))
        .collect();
    to_json(&spans)
}

fn severity_of(row: &Row) -> Result<Severity, StoreError> {
    let rank: i64 = row.try_get("severity")?;
    Severity::from_rank(rank).ok_or_else(|| corrupt("severity", rank))
}

fn times_from(row: &Row) -> Result<IncidentTimes, StoreError> {
    let verdict: Option<&str> = row.try_get("verdict")?;
    Ok(IncidentTimes {
        id: id("incidents.id", row.try_get("id")?)?,
        number: unsigned("incidents.number", row.try_get("number")?)?,
        title: row.try_get("title")?,
        severity: severity_of(row)?,
        verdict: verdict
            .map(|text| word("incidents.verdict", text, Verdict::parse))
            .transpose()?,
        assignee: row.try_get("assignee")?,
        first_time: time("incidents.first_time", row.try_get("first_time")?)?,
        clocks: clocks_from(row)?,
    })
}

/// Writes when the next clock of an incident has used so many percent of its target, in SQL.
/// Without a clock that runs it is the end of time, which sorts last.
pub(crate) fn push_incident_due(query: &mut Builder, levels: &ServiceLevels, percent: i64) {
    query.push("(CASE WHEN status NOT IN ('new', 'in_progress', 'contained') THEN ");
    query.push(i64::MAX);
    for severity in Severity::ALL {
        query.push(format_args!(
            " WHEN severity = {} THEN (CASE",
            severity.rank()
        ));
        // Of the clocks that run, the one with the shortest target runs out first.
        let mut kinds: Vec<(u32, ClockKind)> = ClockKind::ALL
            .iter()
            .filter_map(|kind| Some((levels.of(*severity).of(*kind)?, *kind)))
            .collect();
        kinds.sort_unstable();
        for (minutes, kind) in kinds {
            let column = match kind {
                ClockKind::Acknowledge => "acknowledged_at",
                ClockKind::Contain => "contained_at",
                ClockKind::Resolve => "resolved_at",
            };
            let span = target_us(minutes, percent);
            query.push(format_args!(
                " WHEN {column} IS NULL THEN detected_at + away_us + {span}"
            ));
        }
        query.push(format_args!(" WHEN 1 = 1 THEN {} END)", i64::MAX));
    }
    query.push(format_args!(" ELSE {} END)", i64::MAX));
}

/// As [`push_incident_due`], for the first look at an alert that belongs to no incident.
pub(crate) fn push_alert_due(query: &mut Builder, levels: &ServiceLevels, percent: i64) {
    query.push("(CASE WHEN status <> 'new' OR incident_id IS NOT NULL THEN ");
    query.push(i64::MAX);
    for severity in Severity::ALL {
        if let Some(minutes) = levels.of(*severity).acknowledge {
            let span = target_us(minutes, percent);
            query.push(format_args!(
                " WHEN severity = {} THEN created_at + {span}",
                severity.rank()
            ));
        }
    }
    query.push(format_args!(" ELSE {} END)", i64::MAX));
}

/// [`push_alert_due`] as text.
pub(crate) fn due_expression(levels: &ServiceLevels) -> String {
    let mut query = Builder::new("");
    push_alert_due(&mut query, levels, 100);
    query.into_text()
}

/// What [`push_alert_due`] says of an alert.
pub(crate) fn alert_due(alert: &Alert, levels: &ServiceLevels) -> i64 {
    let is_lone = alert.status == AlertStatus::New && alert.attachment.is_none();
    match levels.of(alert.severity).acknowledge.filter(|_| is_lone) {
        Some(minutes) => micros(alert.created_at).saturating_add(target_us(minutes, 100)),
        None => i64::MAX,
    }
}

fn target_us(minutes: u32, percent: i64) -> i64 {
    i64::from(minutes) * 60 * 10_000 * percent
}

impl Queries<'_> {
    /// Targets of all severities; the standard ones where nobody changed them.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn service_levels(&mut self) -> Result<ServiceLevels, StoreError> {
        let Some(row) = self.clock_setting("service_levels").await? else {
            return Ok(ServiceLevels::standard());
        };
        let body: Vec<TargetsRow> = from_json("clock_settings.body", row.try_get("body")?)?;
        let mut levels = ServiceLevels::standard();
        for (slot, row) in levels.targets.iter_mut().zip(body) {
            *slot = Targets {
                acknowledge: row.acknowledge,
                contain: row.contain,
                resolve: row.resolve,
            };
        }
        levels.version = unsigned("clock_settings.version", row.try_get("version")?)?;
        levels.changed_by = Some(row.try_get("changed_by")?);
        levels.changed_at = Some(time(
            "clock_settings.changed_at",
            row.try_get("changed_at")?,
        )?);
        Ok(levels)
    }

    /// Whom to tell if nobody answers; nobody where nobody decided.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn escalation_policy(&mut self) -> Result<EscalationPolicy, StoreError> {
        let Some(row) = self.clock_setting("escalation").await? else {
            return Ok(EscalationPolicy::default());
        };
        const BODY: &str = "clock_settings.body";
        let body: PolicyRow = from_json(BODY, row.try_get("body")?)?;
        let rotation = |text: Option<String>| text.map(|text| id(BODY, &text)).transpose();
        let levels = body.levels.into_iter().map(|level| {
            let connector = level.connector_id.map(|text| id(BODY, &text));
            Ok(EscalationLevel {
                clock: word(BODY, &level.clock, ClockKind::parse)?,
                after_percent: level.after_percent,
                after_minutes: level.after_minutes,
                severity_min: word(BODY, &level.severity_min, Severity::parse)?,
                recipient: word(BODY, &level.recipient, Recipient::parse)?,
                connector_id: connector.transpose()?,
            })
        });
        Ok(EscalationPolicy {
            is_on: body.is_on,
            primary: rotation(body.primary)?,
            secondary: rotation(body.secondary)?,
            with_alerts: body.with_alerts,
            levels: levels.collect::<Result<_, StoreError>>()?,
            version: unsigned("clock_settings.version", row.try_get("version")?)?,
            changed_by: Some(row.try_get("changed_by")?),
            changed_at: Some(time(
                "clock_settings.changed_at",
                row.try_get("changed_at")?,
            )?),
        })
    }

    async fn clock_setting(&mut self, name: &'static str) -> Result<Option<Row>, StoreError> {
        let row = sql::query("SELECT * FROM clock_settings WHERE tenant = $1 AND name = $2")
            .bind(self.tenant)
            .bind(name)
            .fetch_optional(&mut *self.conn)
            .await?;
        Ok(row)
    }

    /// Open incidents with their clocks, the longest open first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_incident_times(&mut self) -> Result<Vec<IncidentTimes>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM incidents WHERE tenant = $1 AND merged_into IS NULL \
             AND status IN ('new', 'in_progress', 'contained') \
             ORDER BY detected_at, id LIMIT $2",
        )
        .bind(self.tenant)
        .bind(ROUND_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(times_from).collect()
    }

    /// Incidents detected in a span, merged ones left out, at most [`TIMES_MAX`] and one more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incident_times(
        &mut self,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<IncidentTimes>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM incidents WHERE tenant = $1 AND merged_into IS NULL \
             AND detected_at >= $2 AND detected_at < $3 ORDER BY detected_at, id LIMIT $4",
        )
        .bind(self.tenant)
        .bind(micros(from))
        .bind(micros(to))
        .bind(TIMES_MAX as i64 + 1)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(times_from).collect()
    }

    /// Incidents that were not over before a time, for what became of them since.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incidents_alive_since(
        &mut self,
        since: Timestamp,
    ) -> Result<Vec<IncidentTimes>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM incidents WHERE tenant = $1 AND merged_into IS NULL \
             AND (resolved_at IS NULL OR resolved_at >= $2) ORDER BY detected_at, id LIMIT $3",
        )
        .bind(self.tenant)
        .bind(micros(since))
        .bind(ROUND_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(times_from).collect()
    }

    /// Alerts without an incident that nobody looked at, of a severity and above, that have no
    /// escalation of a level yet; the oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn lone_alerts(
        &mut self,
        severity_min: Severity,
        level: u32,
    ) -> Result<Vec<LoneAlert>, StoreError> {
        let rows = sql::query(
            "SELECT id, title, severity, created_at FROM alerts WHERE tenant = $1 \
             AND status = 'new' AND incident_id IS NULL AND severity >= $2 \
             AND NOT EXISTS (SELECT 1 FROM escalations e WHERE e.tenant = alerts.tenant \
             AND e.subject = alerts.id AND e.clock = 'acknowledge' AND e.level = $3) \
             ORDER BY created_at, id LIMIT $4",
        )
        .bind(self.tenant)
        .bind(i64::from(severity_min.rank()))
        .bind(i64::from(level))
        .bind(ROUND_MAX)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(LoneAlert {
                    id: row.try_get("id")?,
                    title: row.try_get("title")?,
                    severity: severity_of(row)?,
                    created_at: time("alerts.created_at", row.try_get("created_at")?)?,
                })
            })
            .collect()
    }

    /// What was escalated since a time, or for one incident or alert; newest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn escalations(
        &mut self,
        since: Timestamp,
        subject: Option<&str>,
    ) -> Result<Vec<Escalation>, StoreError> {
        let mut query = Builder::new("SELECT * FROM escalations WHERE tenant = ");
        query.push_bind(self.tenant);
        query.push(" AND at >= ").push_bind(micros(since));
        if let Some(subject) = subject {
            query.push(" AND subject = ").push_bind(subject);
        }
        query
            .push(" ORDER BY number DESC LIMIT ")
            .push_bind(ESCALATIONS_MAX);
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        rows.iter().map(escalation_from).collect()
    }

    /// Which clocks and levels of open incidents were escalated already.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn escalated(&mut self) -> Result<Vec<(String, String, i64)>, StoreError> {
        let rows = sql::query(
            "SELECT e.subject AS subject, e.clock AS clock, e.level AS level FROM escalations e \
             JOIN incidents i ON i.tenant = e.tenant AND i.id = e.subject \
             WHERE e.tenant = $1 AND i.status IN ('new', 'in_progress', 'contained')",
        )
        .bind(self.tenant)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get("subject")?,
                    row.try_get("clock")?,
                    row.try_get("level")?,
                ))
            })
            .collect()
    }
}

fn escalation_from(row: &Row) -> Result<Escalation, StoreError> {
    const BODY: &str = "escalations.body";
    let body: EscalationRow = from_json(BODY, row.try_get("body")?)?;
    let level: i64 = row.try_get("level")?;
    let action = body.action_id.map(|text| id(BODY, &text));
    Ok(Escalation {
        id: id("escalations.id", row.try_get("id")?)?,
        subject: row.try_get("subject")?,
        title: body.title,
        severity: word(BODY, &body.severity, Severity::parse)?,
        clock: word("escalations.clock", row.try_get("clock")?, ClockKind::parse)?,
        level: u32::try_from(level).map_err(|_| corrupt("escalations.level", level))?,
        at: time("escalations.at", row.try_get("at")?)?,
        due_at: time(BODY, body.due_at)?,
        recipients: body.recipients,
        action_id: action.transpose()?,
        trouble: body.trouble,
    })
}

impl WriteTx {
    /// Writes targets.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_service_levels(
        &mut self,
        levels: &ServiceLevels,
        change: &Change,
    ) -> Result<(), StoreError> {
        let rows = levels.targets.iter().map(|targets| TargetsRow {
            acknowledge: targets.acknowledge,
            contain: targets.contain,
            resolve: targets.resolve,
        });
        let body = to_json(&rows.collect::<Vec<_>>());
        self.save_clock_setting("service_levels", body, levels.version, change)
            .await
    }

    /// Writes whom to tell.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_escalation_policy(
        &mut self,
        policy: &EscalationPolicy,
        change: &Change,
    ) -> Result<(), StoreError> {
        let levels = policy.levels.iter().map(|level| LevelRow {
            clock: level.clock.to_string(),
            after_percent: level.after_percent,
            after_minutes: level.after_minutes,
            severity_min: level.severity_min.to_string(),
            recipient: level.recipient.to_string(),
            connector_id: level.connector_id.as_ref().map(ToString::to_string),
        });
        let body = to_json(&PolicyRow {
            is_on: policy.is_on,
            primary: policy.primary.as_ref().map(ToString::to_string),
            secondary: policy.secondary.as_ref().map(ToString::to_string),
            with_alerts: policy.with_alerts,
            levels: levels.collect(),
        });
        self.save_clock_setting("escalation", body, policy.version, change)
            .await
    }

    async fn save_clock_setting(
        &mut self,
        name: &'static str,
        body: String,
        version: u64,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO clock_settings (tenant, name, body, changed_by, changed_at, version) \
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, name) DO UPDATE SET \
             body = excluded.body, changed_by = excluded.changed_by, \
             changed_at = excluded.changed_at, version = excluded.version",
        )
        .bind(tenant)
        .bind(name)
        .bind(body)
        .bind(&change.actor)
        .bind(micros(change.at))
        .bind(signed(version))
        .execute(self.conn())
        .await?;
        self.record(change, name).await
    }

    /// Writes that somebody is told, unless it was written before; says whether it was written.
    /// The audit entry stands with the incident or alert.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn add_escalation(
        &mut self,
        escalation: &Escalation,
        number: u64,
        change: &Change,
    ) -> Result<bool, StoreError> {
        let tenant = self.tenant();
        let body = to_json(&EscalationRow {
            title: escalation.title.clone(),
            severity: escalation.severity.to_string(),
            due_at: micros(escalation.due_at),
            recipients: escalation.recipients.clone(),
            action_id: escalation.action_id.as_ref().map(ToString::to_string),
            trouble: escalation.trouble.clone(),
        });
        let done = sql::query(
            "INSERT INTO escalations (tenant, id, number, subject, clock, level, at, body) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT (tenant, subject, clock, level) DO NOTHING",
        )
        .bind(tenant)
        .bind(escalation.id.as_str())
        .bind(signed(number))
        .bind(&escalation.subject)
        .bind(escalation.clock.as_str())
        .bind(i64::from(escalation.level))
        .bind(micros(escalation.at))
        .bind(body)
        .execute(self.conn())
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        self.record(change, &escalation.subject).await?;
        Ok(true)
    }
}
