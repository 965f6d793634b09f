//! Alerts: the queue with its filters, sorts and pages; look-ups for triage.

use std::collections::HashSet;

use jiff::Timestamp;
use watchfloor_model::{
    Alert, AlertId, AlertStatus, Attachment, EntityKind, EntityRef, IncidentId, Judgement,
    ServiceLevels, Severity, Verdict,
};

use crate::clocks::{alert_due, due_expression, push_alert_due};
use crate::incidents::ClockFilter;
use crate::row::{
    entities_from_json, entities_to_json, from_json, id, matched_from_json, matched_to_json,
    micros, risk_from_json, risk_to_json, signed, time, time_opt, to_json, unsigned, word,
};
use crate::sql::{self, Builder, Row};
use crate::{Change, Cursor, Page, PageRequest, Queries, StoreError, WriteTx, row};

/// Which incident alerts belong to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum IncidentPart {
    /// None.
    Unattached,
    /// This one.
    Of(IncidentId),
}

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FindingOutcome {
    /// The finding.
    pub finding: String,
    /// `alert`, `repeat` or `suppressed`.
    pub outcome: &'static str,
    /// The alert or suppression.
    pub record: String,
}

/// Which alerts; everything given must hold.
#[derive(Clone, Debug, Default)]
pub struct AlertFilter {
    /// Any of these states; all when empty.
    pub statuses: Vec<AlertStatus>,
    /// Any of these; all when empty.
    pub severities: Vec<Severity>,
    /// Assigned to this name; `Some(None)` means to nobody.
    pub assignee: Option<Option<String>>,
    /// Part of an incident, or of none.
    pub incident: Option<IncidentPart>,
    /// Of this rule.
    pub rule_id: Option<String>,
    /// With an entity of this value, of this kind if given.
    pub entity: Option<(Option<EntityKind>, String)>,
    /// Text in title, summary, rule, source or entities.
    pub text: Option<String>,
    /// Event time from (inclusive).
    pub from: Option<Timestamp>,
    /// Event time to (exclusive).
    pub to: Option<Timestamp>,
    /// How the clock of a first look stands, where the alert belongs to no incident.
    pub clock: Option<ClockFilter>,
}

/// What alerts are sorted by; the event time and id break ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertSortKey {
    /// Event time.
    Time,
    /// Event time of the latest finding.
    LastTime,
    /// Entry into the queue.
    CreatedAt,
    /// Last change.
    UpdatedAt,
    /// Gravity.
    Severity,
    /// Findings it stands for.
    Count,
    /// How much it matters.
    Risk,
    /// When the clock of a first look runs out.
    Due,
}

impl AlertSortKey {
    /// The key of a word of the API.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "time" => Self::Time,
            "last_time" => Self::LastTime,
            "created_at" => Self::CreatedAt,
            "updated_at" => Self::UpdatedAt,
            "severity" => Self::Severity,
            "count" => Self::Count,
            "risk" => Self::Risk,
            "due" => Self::Due,
            _ => return None,
        })
    }

    /// The column, or what is computed of some.
    fn column(self, levels: &ServiceLevels) -> String {
        let column = match self {
            Self::Time => "time",
            Self::LastTime => "last_time",
            Self::CreatedAt => "created_at",
            Self::UpdatedAt => "updated_at",
            Self::Severity => "severity",
            Self::Count => "count",
            Self::Risk => "risk",
            Self::Due => return due_expression(levels),
        };
        column.to_owned()
    }

    fn value(self, alert: &Alert, levels: &ServiceLevels) -> i64 {
        match self {
            Self::Time => micros(alert.time),
            Self::LastTime => micros(alert.last_time),
            Self::CreatedAt => micros(alert.created_at),
            Self::UpdatedAt => micros(alert.updated_at),
            Self::Severity => i64::from(alert.severity.rank()),
            Self::Count => signed(alert.count),
            Self::Risk => i64::from(alert.risk.score),
            Self::Due => alert_due(alert, levels),
        }
    }
}

/// Order of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlertSort {
    /// By what.
    pub key: AlertSortKey,
    /// Largest or newest first.
    pub descending: bool,
}

pub(crate) fn alert_from(row: &Row) -> Result<Alert, StoreError> {
    let incident: Option<String> = row.try_get("incident_id")?;
    let attachment = match incident {
        Some(text) => Some(Attachment {
            incident_id: id("alerts.incident_id", &text)?,
            reasons: from_json(
                "alerts.attachment_reasons",
                row.try_get::<&str>("attachment_reasons")?,
            )?,
        }),
        None => None,
    };
    let verdict: Option<&str> = row.try_get("verdict")?;
    let severity: i64 = row.try_get("severity")?;
    Ok(Alert {
        id: id("alerts.id", row.try_get("id")?)?,
        rule_id: row.try_get("rule_id")?,
        rule_title: row.try_get("rule_title")?,
        rule_version: row.try_get("rule_version")?,
        title: row.try_get("title")?,
        severity: Severity::from_rank(severity)
            .ok_or_else(|| row::corrupt("alerts.severity", severity))?,
        status: word("alerts.status", row.try_get("status")?, AlertStatus::parse)?,
        verdict: verdict
            .map(|text| word("alerts.verdict", text, Verdict::parse))
            .transpose()?,
        verdict_reason: row.try_get("verdict_reason")?,
        assignee: row.try_get("assignee")?,
        attachment,
        time: time("alerts.time", row.try_get("time")?)?,
        first_time: time("alerts.first_time", row.try_get("first_time")?)?,
        last_time: time("alerts.last_time", row.try_get("last_time")?)?,
        created_at: time("alerts.created_at", row.try_get("created_at")?)?,
        updated_at: time("alerts.updated_at", row.try_get("updated_at")?)?,
        acknowledged_at: time_opt("alerts.acknowledged_at", row.try_get("acknowledged_at")?)?,
        closed_at: time_opt("alerts.closed_at", row.try_get("closed_at")?)?,
        count: unsigned("alerts.count", row.try_get("count")?)?,
        source: row.try_get("source")?,
        summary: row.try_get("summary")?,
        entities: entities_from_json("alerts.entities", row.try_get("entities")?)?,
        tactics: from_json("alerts.tactics", row.try_get("tactics")?)?,
        techniques: from_json("alerts.techniques", row.try_get("techniques")?)?,
        reasons: matched_from_json("alerts.reasons", row.try_get("reasons")?)?,
        event_ids: from_json("alerts.event_ids", row.try_get("event_ids")?)?,
        repeat_key: row.try_get("repeat_key")?,
        traces: from_json("alerts.traces", row.try_get("traces")?)?,
        risk: risk_from_json("alerts.risk_parts", row.try_get("risk_parts")?)?,
        version: unsigned("alerts.version", row.try_get("version")?)?,
    })
}

/// Findings in one statement; each takes five values, and SQLite takes 32,766.
const FINDINGS_PER_QUESTION: usize = 500;

/// Longest text that is searched in, in bytes.
const SEARCH_TEXT_BYTES_MAX: usize = 2_000;

/// The text that is searched in: folded once, when it is written, so that searching is a plain
/// comparison of bytes over one index.
pub(crate) fn search_text<'t>(
    parts: impl IntoIterator<Item = &'t str>,
    entities: &'t [watchfloor_model::Entity],
) -> String {
    let mut text = String::new();
    for part in parts
        .into_iter()
        .chain(entities.iter().map(|entity| entity.value.as_str()))
    {
        if text.len() + part.len() > SEARCH_TEXT_BYTES_MAX {
            continue;
        }
        text.push_str(&part.to_lowercase());
        text.push('\n');
    }
    text
}

/// Asks for rows of a table whose text holds another. `INSTR` is SQLite's; in PostgreSQL a
/// migration makes it.
pub(crate) fn push_contains(query: &mut Builder, table: &str, tenant: &str, text: &str) {
    query.push(format_args!(
        " AND id IN (SELECT id FROM {table} WHERE tenant = "
    ));
    query.push_bind(tenant.to_owned());
    query.push(" AND INSTR(search_text, ");
    query.push_bind(text.trim().to_lowercase());
    query.push(") > 0)");
}

pub(crate) fn push_in(
    query: &mut Builder,
    column: &str,
    words: impl Iterator<Item = &'static str>,
) {
    query.push(format_args!(" AND {column} IN ("));
    query.push_list(words);
    query.push(")");
}

fn push_filter(query: &mut Builder, tenant: &str, filter: &AlertFilter) {
    query.push(" WHERE tenant = ").push_bind(tenant.to_owned());
    if !filter.statuses.is_empty() {
        push_in(query, "status", filter.statuses.iter().map(|s| s.as_str()));
    }
    if !filter.severities.is_empty() {
        query.push(" AND severity IN (");
        query.push_list(filter.severities.iter().map(|s| i64::from(s.rank())));
        query.push(")");
    }
    match &filter.assignee {
        Some(Some(name)) => {
            query.push(" AND assignee = ").push_bind(name.clone());
        }
        Some(None) => {
            query.push(" AND assignee IS NULL");
        }
        None => {}
    }
    match &filter.incident {
        Some(IncidentPart::Of(incident)) => {
            query
                .push(" AND incident_id = ")
                .push_bind(incident.as_str().to_owned());
        }
        Some(IncidentPart::Unattached) => {
            query.push(" AND incident_id IS NULL");
        }
        None => {}
    }
    if let Some(rule_id) = &filter.rule_id {
        query.push(" AND rule_id = ").push_bind(rule_id.clone());
    }
    if let Some((kind, value)) = &filter.entity {
        query.push(" AND id IN (SELECT alert_id FROM alert_entities WHERE tenant = ");
        query.push_bind(tenant.to_owned());
        query.push(" AND (value = ");
        query.push_bind(value.trim().to_lowercase());
        for folded in [EntityKind::User, EntityKind::Host] {
            query.push(" OR kind = ").push_bind(folded.as_str());
            query
                .push(" AND value = ")
                .push_bind(EntityRef::new(folded, value).value);
        }
        query.push(")");
        if let Some(kind) = kind {
            query.push(" AND kind = ").push_bind(kind.as_str());
        }
        query.push(")");
    }
    push_text_and_time(query, tenant, filter);
}

fn push_text_and_time(query: &mut Builder, tenant: &str, filter: &AlertFilter) {
    if let Some(text) = &filter.text {
        push_contains(query, "alerts", tenant, text);
    }
    if let Some(from) = filter.from {
        query.push(" AND time >= ").push_bind(micros(from));
    }
    if let Some(to) = filter.to {
        query.push(" AND time < ").push_bind(micros(to));
    }
    if let Some(clock) = &filter.clock {
        clock.push(query, push_alert_due);
    }
}

impl Queries<'_> {
    /// One page of the queue, with the exact total.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alert_page(
        &mut self,
        filter: &AlertFilter,
        sort: AlertSort,
        page: &PageRequest,
    ) -> Result<Page<Alert>, StoreError> {
        let mut count = Builder::new("SELECT COUNT(*) FROM alerts");
        push_filter(&mut count, self.tenant, filter);
        let total: i64 = count
            .build_query_scalar()
            .fetch_one(&mut *self.conn)
            .await?;
        let mut query = Builder::new("SELECT * FROM alerts");
        push_filter(&mut query, self.tenant, filter);
        let levels = self.service_levels().await?;
        let column = sort.key.column(&levels);
        let (compare, direction) = if sort.descending {
            ("<", "DESC")
        } else {
            (">", "ASC")
        };
        // A column named twice keeps SQLite from walking the index in order.
        let by_time = sort.key == AlertSortKey::Time;
        if let Some(after) = &page.after {
            query.push(" AND (");
            if !by_time {
                query.push(format_args!("{column}, "));
            }
            query.push(format_args!("time, id) {compare} ("));
            if !by_time {
                query.push_bind(after.primary).push(", ");
            }
            query.push_bind(after.secondary).push(", ");
            query.push_bind(after.id.clone()).push(")");
        }
        query.push(" ORDER BY ");
        if !by_time {
            query.push(format_args!("{column} {direction}, "));
        }
        query.push(format_args!("time {direction}, id {direction} LIMIT "));
        query.push_bind(page.fetch());
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        let items = rows.iter().map(alert_from).collect::<Result<Vec<_>, _>>()?;
        let total = unsigned("count", total)?;
        Ok(Page::cut(items, page, total, |alert| Cursor {
            primary: sort.key.value(alert, &levels),
            secondary: micros(alert.time),
            id: alert.id.as_str().to_owned(),
        }))
    }

    /// One alert.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn alert(&mut self, alert_id: &AlertId) -> Result<Alert, StoreError> {
        let row = sql::query("SELECT * FROM alerts WHERE tenant = $1 AND id = $2")
            .bind(self.tenant)
            .bind(alert_id.as_str())
            .fetch_optional(&mut *self.conn)
            .await?;
        match row {
            Some(row) => alert_from(&row),
            None => Err(StoreError::Missing {
                kind: "alert",
                id: alert_id.to_string(),
            }),
        }
    }

    /// The alerts of an incident, by event time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn alerts_of(&mut self, incident: &IncidentId) -> Result<Vec<Alert>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM alerts WHERE tenant = $1 AND incident_id = $2 ORDER BY time, id",
        )
        .bind(self.tenant)
        .bind(incident.as_str())
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(alert_from).collect()
    }

    /// The gravest alerts of an incident, the earliest among equals, by event time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn gravest_alerts_of(
        &mut self,
        incident: &IncidentId,
        limit: u32,
    ) -> Result<Vec<Alert>, StoreError> {
        let rows = sql::query(
            "SELECT * FROM (SELECT * FROM alerts WHERE tenant = $1 AND incident_id = $2 \
             ORDER BY severity DESC, time, id LIMIT $3) AS gravest ORDER BY time, id",
        )
        .bind(self.tenant)
        .bind(incident.as_str())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter().map(alert_from).collect()
    }

    /// The open alert that a finding with this key repeats, if one lies near enough in time.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn repeated_alert(
        &mut self,
        repeat_key: &str,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Option<Alert>, StoreError> {
        let row = sql::query(
            "SELECT * FROM alerts WHERE tenant = $1 AND repeat_key = $2 AND last_time >= $3 \
             AND first_time <= $4 AND status <> 'closed' ORDER BY last_time DESC LIMIT 1",
        )
        .bind(self.tenant)
        .bind(repeat_key)
        .bind(micros(from))
        .bind(micros(to))
        .fetch_optional(&mut *self.conn)
        .await?;
        row.as_ref().map(alert_from).transpose()
    }

    /// Earlier conclusions on a rule: the latest `limit`, and how many of each verdict.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn judgements_of(
        &mut self,
        rule_id: &str,
        but: &AlertId,
        limit: u32,
    ) -> Result<(Vec<Judgement>, Vec<(Verdict, u64)>), StoreError> {
        let rows = sql::query(
            "SELECT a.id, a.verdict, a.verdict_reason, a.closed_at, \
             (SELECT u.actor FROM audit u WHERE u.tenant = a.tenant AND u.target = a.id \
              AND u.action = 'alert.close' ORDER BY u.seq DESC LIMIT 1) AS actor \
             FROM alerts a WHERE a.tenant = $1 AND a.rule_id = $2 AND a.id <> $3 \
             AND a.verdict IS NOT NULL AND a.closed_at IS NOT NULL \
             ORDER BY a.closed_at DESC LIMIT $4",
        )
        .bind(self.tenant)
        .bind(rule_id)
        .bind(but.as_str())
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        let judgements = rows
            .iter()
            .map(|row| {
                Ok(Judgement {
                    alert_id: id("alerts.id", row.try_get("id")?)?,
                    verdict: word("alerts.verdict", row.try_get("verdict")?, Verdict::parse)?,
                    reason: row.try_get("verdict_reason")?,
                    actor: row.try_get::<Option<String>>("actor")?.unwrap_or_default(),
                    at: time("alerts.closed_at", row.try_get("closed_at")?)?,
                })
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        let rows = sql::query(
            "SELECT verdict, COUNT(*) AS alerts FROM alerts WHERE tenant = $1 AND rule_id = $2 \
             AND id <> $3 AND verdict IS NOT NULL GROUP BY verdict ORDER BY verdict",
        )
        .bind(self.tenant)
        .bind(rule_id)
        .bind(but.as_str())
        .fetch_all(&mut *self.conn)
        .await?;
        let counts = rows
            .iter()
            .map(|row| {
                let verdict = word("alerts.verdict", row.try_get("verdict")?, Verdict::parse)?;
                Ok((verdict, unsigned("count", row.try_get("alerts")?)?))
            })
            .collect::<Result<Vec<_>, StoreError>>()?;
        Ok((judgements, counts))
    }

    /// How many alerts that are not closed there are of each severity.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_alerts_by_severity(&mut self) -> Result<Vec<(Severity, u64)>, StoreError> {
        let rows = sql::query(
            "SELECT severity, COUNT(*) AS alerts FROM alerts WHERE tenant = $1 \
             AND status IN ('new', 'acknowledged', 'in_progress') GROUP BY severity ORDER BY severity",
        )
        .bind(self.tenant)
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                let rank: i64 = row.try_get("severity")?;
                let severity = Severity::from_rank(rank)
                    .ok_or_else(|| row::corrupt("alerts.severity", rank))?;
                Ok((severity, unsigned("count", row.try_get("alerts")?)?))
            })
            .collect()
    }

    /// Rules with the most alerts since a time: id, title, alerts.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn top_rules(
        &mut self,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<(String, String, u64)>, StoreError> {
        let rows = sql::query(
            "SELECT rule_id, MAX(rule_title) AS title, COUNT(*) AS alerts FROM alerts \
             WHERE tenant = $1 AND time >= $2 GROUP BY rule_id \
             ORDER BY alerts DESC, rule_id LIMIT $3",
        )
        .bind(self.tenant)
        .bind(micros(since))
        .bind(i64::from(limit))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok((
                    row.try_get("rule_id")?,
                    row.try_get("title")?,
                    unsigned("count", row.try_get("alerts")?)?,
                ))
            })
            .collect()
    }

    /// The tactics of alerts since a time, one list per alert, at most 10,000 lists.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn tactic_lists(&mut self, since: Timestamp) -> Result<Vec<Vec<String>>, StoreError> {
        let rows: Vec<String> = sql::query_scalar(
            "SELECT tactics FROM alerts WHERE tenant = $1 AND time >= $2 ORDER BY time DESC LIMIT 10000",
        )
        .bind(self.tenant)
        .bind(micros(since))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|text| from_json("alerts.tactics", text))
            .collect()
    }

    /// Alerts since a time of a rule (or of all), newest first, for a preview; at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn recent_alerts(
        &mut self,
        rule_id: Option<&str>,
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<Alert>, StoreError> {
        let mut query = Builder::new("SELECT * FROM alerts WHERE tenant = ");
        query.push_bind(self.tenant.to_owned());
        if let Some(rule_id) = rule_id {
            query.push(" AND rule_id = ").push_bind(rule_id.to_owned());
        }
        query.push(" AND time >= ").push_bind(micros(since));
        query
            .push(" ORDER BY time DESC LIMIT ")
            .push_bind(i64::from(limit));
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        rows.iter().map(alert_from).collect()
    }

    /// Which of some findings were taken before.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn taken_findings(
        &mut self,
        findings: &[&str],
    ) -> Result<HashSet<String>, StoreError> {
        let mut taken = HashSet::new();
        for part in findings.chunks(FINDINGS_PER_QUESTION) {
            let mut query = Builder::new("SELECT finding_id FROM findings WHERE tenant = ");
            query.push_bind(self.tenant).push(" AND finding_id IN (");
            query.push_list(part);
            query.push(")");
            let query = query.build_query_scalar::<String>();
            taken.extend(query.fetch_all(&mut *self.conn).await?);
        }
        Ok(taken)
    }

    /// A saved position.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cursor(&mut self, name: &str) -> Result<Option<u64>, StoreError> {
        let value: Option<i64> =
            sql::query_scalar("SELECT position FROM cursors WHERE tenant = $1 AND name = $2")
                .bind(self.tenant)
                .bind(name)
                .fetch_optional(&mut *self.conn)
                .await?;
        value
            .map(|value| unsigned("cursors.position", value))
            .transpose()
    }
}

impl WriteTx {
    /// Writes an alert, new or changed, with its audit entry.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_alert(&mut self, alert: &Alert, change: &Change) -> Result<(), StoreError> {
        self.put_alert(alert).await?;
        self.put_alert_entities(alert).await?;
        self.put_alert_traces(alert).await?;
        self.record(change, alert.id.as_str()).await
    }

    async fn put_alert(&mut self, alert: &Alert) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let reasons = alert.attachment.as_ref().map_or(&[][..], |a| &a.reasons);
        sql::query(
            "INSERT INTO alerts (tenant, id, rule_id, rule_title, rule_version, title, severity, \
             status, verdict, verdict_reason, assignee, incident_id, attachment_reasons, time, \
             first_time, last_time, created_at, updated_at, acknowledged_at, closed_at, count, \
             source, summary, entities, tactics, techniques, reasons, event_ids, repeat_key, version, search_text, \
             traces, risk, risk_parts) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34) \
             ON CONFLICT (tenant, id) DO UPDATE SET title = excluded.title, \
             severity = excluded.severity, status = excluded.status, verdict = excluded.verdict, \
             verdict_reason = excluded.verdict_reason, assignee = excluded.assignee, \
             incident_id = excluded.incident_id, attachment_reasons = excluded.attachment_reasons, \
             time = excluded.time, first_time = excluded.first_time, last_time = excluded.last_time, \
             updated_at = excluded.updated_at, acknowledged_at = excluded.acknowledged_at, \
             closed_at = excluded.closed_at, count = excluded.count, summary = excluded.summary, \
             entities = excluded.entities, tactics = excluded.tactics, \
             techniques = excluded.techniques, event_ids = excluded.event_ids, \
             version = excluded.version, search_text = excluded.search_text, \
             traces = excluded.traces, risk = excluded.risk, risk_parts = excluded.risk_parts",
        )
        .bind(tenant)
        .bind(alert.id.as_str())
        .bind(&alert.rule_id)
        .bind(&alert.rule_title)
        .bind(&alert.rule_version)
        .bind(&alert.title)
        .bind(i64::from(alert.severity.rank()))
        .bind(alert.status.as_str())
        .bind(alert.verdict.map(Verdict::as_str))
        .bind(&alert.verdict_reason)
        .bind(&alert.assignee)
        .bind(alert.incident_id().map(IncidentId::as_str))
        .bind(to_json(reasons))
        .bind(micros(alert.time))
        .bind(micros(alert.first_time))
        .bind(micros(alert.last_time))
        .bind(micros(alert.created_at))
        .bind(micros(alert.updated_at))
        .bind(alert.acknowledged_at.map(micros))
        .bind(alert.closed_at.map(micros))
        .bind(signed(alert.count))
        .bind(&alert.source)
        .bind(&alert.summary)
        .bind(entities_to_json(&alert.entities))
        .bind(to_json(&alert.tactics))
        .bind(to_json(&alert.techniques))
        .bind(matched_to_json(&alert.reasons))
        .bind(to_json(&alert.event_ids))
        .bind(&alert.repeat_key)
        .bind(signed(alert.version))
        .bind(search_text(
            [&*alert.title, &*alert.summary, &*alert.rule_id, &*alert.source],
            &alert.entities,
        ))
        .bind(to_json(&alert.traces))
        .bind(i64::from(alert.risk.score))
        .bind(risk_to_json(&alert.risk))
        .execute(self.conn())
        .await?;
        Ok(())
    }

    async fn put_alert_entities(&mut self, alert: &Alert) -> Result<(), StoreError> {
        let tenant = self.tenant();
        for entity in &alert.entities {
            let key = entity.key();
            sql::query(
                "INSERT INTO alert_entities (tenant, kind, value, alert_id, last_time) \
                 VALUES ($1, $2, $3, $4, $5) ON CONFLICT (tenant, kind, value, alert_id) \
                 DO UPDATE SET last_time = excluded.last_time",
            )
            .bind(&tenant)
            .bind(key.kind.as_str())
            .bind(&key.value)
            .bind(alert.id.as_str())
            .bind(micros(alert.last_time))
            .execute(self.conn())
            .await?;
        }
        Ok(())
    }

    /// Notes what became of findings, so that they are not taken twice.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_finding_outcomes(
        &mut self,
        outcomes: &[FindingOutcome],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        for part in outcomes.chunks(FINDINGS_PER_QUESTION) {
            let mut query = Builder::new(
                "INSERT INTO findings (tenant, finding_id, outcome, record_id, taken_at) VALUES ",
            );
            for (number, one) in part.iter().enumerate() {
                query.push(if number == 0 { "(" } else { ", (" });
                query.push_list([&*tenant, &one.finding, one.outcome, &one.record]);
                query.push(", ").push_bind(micros(now)).push(")");
            }
            query.build().execute(self.conn()).await?;
        }
        Ok(())
    }

    /// Saves a position; it never goes back.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_cursor(&mut self, name: &str, position: u64) -> Result<(), StoreError> {
        let tenant = self.tenant();
        sql::query(
            "INSERT INTO cursors (tenant, name, position) VALUES ($1, $2, $3) \
             ON CONFLICT (tenant, name) DO UPDATE SET position = excluded.position \
             WHERE excluded.position > cursors.position",
        )
        .bind(tenant)
        .bind(name)
        .bind(signed(position))
        .execute(self.conn())
        .await?;
        Ok(())
    }
}
