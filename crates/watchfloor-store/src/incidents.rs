//! Incidents with their filters and pages.

use std::collections::BTreeMap;

use jiff::Timestamp;
use watchfloor_model::{
    AT_RISK_PERCENT, AlertId, ClockKind, EntityRef, Incident, IncidentId, IncidentStatus,
    ServiceLevels, Severity, Verdict,
};

use crate::alerts::{push_contains, push_in, search_text};
use crate::clocks::{away_to_json, clocks_from, push_incident_due};
use crate::row::{
    corrupt, entities_from_json, entities_to_json, from_json, id, micros, risk_from_json,
    risk_to_json, signed, time, to_json, unsigned, word,
};
use crate::sql::{self, Builder, Row};
use crate::{Change, Cursor, Page, PageRequest, Queries, StoreError, WriteTx};

/// Which incidents; everything given must hold. Merged ones are never listed.
#[derive(Clone, Debug, Default)]
pub struct IncidentFilter {
    /// Any of these states; all when empty.
    pub statuses: Vec<IncidentStatus>,
    /// Any of these; all when empty.
    pub severities: Vec<Severity>,
    /// Assigned to this name; `Some(None)` means to nobody.
    pub assignee: Option<Option<String>>,
    /// Text in title, summary or entities.
    pub text: Option<String>,
    /// How the clock that runs stands.
    pub clock: Option<ClockFilter>,
    /// Any of these conclusions; `None` among them means none yet. All when empty.
    pub verdicts: Vec<Option<Verdict>>,
    /// Detected from (inclusive).
    pub detected_from: Option<Timestamp>,
    /// Detected to (exclusive).
    pub detected_to: Option<Timestamp>,
    /// Only those that reached it.
    pub reached: Option<ClockKind>,
}

/// How the clock that runs out next stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClockFilter {
    /// Three quarters of its time are over, or all of it.
    AtRisk(ServiceLevels, Timestamp),
    /// Its time is over.
    Breached(ServiceLevels, Timestamp),
}

impl ClockFilter {
    pub(crate) fn push(
        &self,
        query: &mut Builder,
        push_due: fn(&mut Builder, &ServiceLevels, i64),
    ) {
        let (levels, now, percent) = match self {
            Self::AtRisk(levels, now) => (levels, now, AT_RISK_PERCENT),
            Self::Breached(levels, now) => (levels, now, 100),
        };
        query.push(" AND ");
        push_due(query, levels, percent);
        query.push(" <= ").push_bind(micros(*now));
    }
}

/// What incidents are sorted by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum IncidentSort {
    /// Latest activity first.
    #[default]
    LastTime,
    /// Those that matter most first.
    Risk,
    /// The gravest first.
    Severity,
    /// The clock that runs out next first.
    Due(ServiceLevels),
}

impl IncidentSort {
    /// The column, where it is one.
    const fn column(&self) -> &'static str {
        match self {
            Self::LastTime | Self::Due(_) => "last_time",
            Self::Risk => "risk",
            Self::Severity => "severity",
        }
    }
}

fn incident_from(row: &Row, alert_ids: Vec<AlertId>) -> Result<Incident, StoreError> {
    let severity: i64 = row.try_get("severity")?;
    let verdict: Option<&str> = row.try_get("verdict")?;
    let merged_into: Option<&str> = row.try_get("merged_into")?;
    let flag = |column: &str| -> Result<bool, StoreError> { Ok(row.try_get::<i64>(column)? != 0) };
    Ok(Incident {
        id: id("incidents.id", row.try_get("id")?)?,
        number: unsigned("incidents.number", row.try_get("number")?)?,
        title: row.try_get("title")?,
        title_by_hand: flag("title_by_hand")?,
        summary: row.try_get("summary")?,
        summary_by_hand: flag("summary_by_hand")?,
        severity: Severity::from_rank(severity)
            .ok_or_else(|| corrupt("incidents.severity", severity))?,
        severity_by_hand: flag("severity_by_hand")?,
        severity_reasons: from_json(
            "incidents.severity_reasons",
            row.try_get("severity_reasons")?,
        )?,
        risk: risk_from_json("incidents.risk_parts", row.try_get("risk_parts")?)?,
        status: word(
            "incidents.status",
            row.try_get("status")?,
            IncidentStatus::parse,
        )?,
        verdict: verdict
            .map(|text| word("incidents.verdict", text, Verdict::parse))
            .transpose()?,
        assignee: row.try_get("assignee")?,
        created_at: time("incidents.created_at", row.try_get("created_at")?)?,
        updated_at: time("incidents.updated_at", row.try_get("updated_at")?)?,
        first_time: time("incidents.first_time", row.try_get("first_time")?)?,
        last_time: time("incidents.last_time", row.try_get("last_time")?)?,
        alert_ids,
        entities: entities_from_json("incidents.entities", row.try_get("entities")?)?,
        tactics: from_json("incidents.tactics", row.try_get("tactics")?)?,
        techniques: from_json("incidents.techniques", row.try_get("techniques")?)?,
        clocks: clocks_from(row)?,
        merged_into: merged_into
            .map(|text| id("incidents.merged_into", text))
            .transpose()?,
        version: unsigned("incidents.version", row.try_get("version")?)?,
    })
}

fn push_filter(query: &mut Builder, tenant: &str, filter: &IncidentFilter) {
    query.push(" WHERE tenant = ").push_bind(tenant.to_owned());
    query.push(" AND merged_into IS NULL");
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
    if let Some(text) = &filter.text {
        push_contains(query, "incidents", tenant, text);
    }
    push_clocks(query, filter);
}

fn push_clocks(query: &mut Builder, filter: &IncidentFilter) {
    if let Some(clock) = &filter.clock {
        clock.push(query, push_incident_due);
    }
    if !filter.verdicts.is_empty() {
        let words = filter
            .verdicts
            .iter()
            .map(|one| one.map_or("", Verdict::as_str));
        push_in(query, "COALESCE(verdict, '')", words);
    }
    if let Some(from) = filter.detected_from {
        query.push(" AND detected_at >= ").push_bind(micros(from));
    }
    if let Some(to) = filter.detected_to {
        query.push(" AND detected_at < ").push_bind(micros(to));
    }
    match filter.reached {
        Some(ClockKind::Acknowledge) => query.push(" AND acknowledged_at IS NOT NULL"),
        Some(ClockKind::Contain) => query.push(" AND contained_at IS NOT NULL"),
        Some(ClockKind::Resolve) => query.push(" AND resolved_at IS NOT NULL"),
        None => query,
    };
}

/// What comes after a cursor in an order.
fn push_after(query: &mut Builder, sort: &IncidentSort, after: &Cursor) {
    query.push(" AND (");
    match sort {
        IncidentSort::Due(levels) => {
            push_incident_due(query, levels, 100);
            query.push(", id) > (").push_bind(after.primary);
        }
        IncidentSort::LastTime => {
            query.push("last_time, id) < (").push_bind(after.secondary);
        }
        IncidentSort::Risk | IncidentSort::Severity => {
            query.push(sort.column()).push(", last_time, id) < (");
            query.push_bind(after.primary).push(", ");
            query.push_bind(after.secondary);
        }
    }
    query.push(", ");
    query.push_bind(after.id.clone()).push(")");
}

impl Queries<'_> {
    /// One page in an order, with the exact total.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incident_page(
        &mut self,
        filter: &IncidentFilter,
        sort: &IncidentSort,
        page: &PageRequest,
    ) -> Result<Page<Incident>, StoreError> {
        let mut count = Builder::new("SELECT COUNT(*) FROM incidents");
        push_filter(&mut count, self.tenant, filter);
        let total: i64 = count
            .build_query_scalar()
            .fetch_one(&mut *self.conn)
            .await?;
        let mut query = Builder::new("SELECT *, ");
        match sort {
            IncidentSort::Due(levels) => push_incident_due(&mut query, levels, 100),
            _ => {
                query.push(sort.column());
            }
        }
        query.push(" AS sort_key FROM incidents");
        push_filter(&mut query, self.tenant, filter);
        if let Some(after) = &page.after {
            push_after(&mut query, sort, after);
        }
        query.push(match sort {
            // A column named twice keeps SQLite from walking the index in order.
            IncidentSort::LastTime => " ORDER BY last_time DESC, id DESC LIMIT ",
            IncidentSort::Risk => " ORDER BY risk DESC, last_time DESC, id DESC LIMIT ",
            IncidentSort::Severity => " ORDER BY severity DESC, last_time DESC, id DESC LIMIT ",
            IncidentSort::Due(_) => " ORDER BY sort_key, id LIMIT ",
        });
        query.push_bind(page.fetch());
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        let ids = rows.iter().map(|row| row.try_get("id"));
        let ids: Vec<String> = ids.collect::<Result<_, _>>()?;
        let mut alerts = self.alert_ids_of(&ids).await?;
        let mut items = Vec::with_capacity(rows.len());
        for (row, incident) in rows.iter().zip(&ids) {
            let alerts = alerts.remove(incident).unwrap_or_default();
            items.push((row.try_get::<i64>("sort_key")?, incident_from(row, alerts)?));
        }
        let total = unsigned("count", total)?;
        let page = Page::cut(items, page, total, |(key, incident)| Cursor {
            primary: *key,
            secondary: micros(incident.last_time),
            id: incident.id.as_str().to_owned(),
        });
        Ok(Page {
            items: page
                .items
                .into_iter()
                .map(|(_, incident)| incident)
                .collect(),
            next: page.next,
            total: page.total,
        })
    }

    /// The ids of the alerts of incidents, in the order of their times. One row an incident: one
    /// an alert would cost a crowded incident a third of a second.
    async fn alert_ids_of(
        &mut self,
        incidents: &[String],
    ) -> Result<BTreeMap<String, Vec<AlertId>>, StoreError> {
        if incidents.is_empty() {
            return Ok(BTreeMap::new());
        }
        let mut query = Builder::new(
            "SELECT incident_id, string_agg(id, ' ' ORDER BY time, id) AS ids FROM alerts WHERE tenant = ",
        );
        query.push_bind(self.tenant.to_owned());
        query.push(" AND incident_id IN (");
        query.push_list(incidents.iter().cloned());
        query.push(") GROUP BY incident_id");
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        let of = |row: &Row| -> Result<(String, Vec<AlertId>), StoreError> {
            let ids: String = row.try_get("ids")?;
            let ids = ids.split(' ').map(|text| id("alerts.id", text));
            Ok((row.try_get("incident_id")?, ids.collect::<Result<_, _>>()?))
        };
        rows.iter().map(of).collect()
    }

    /// One incident.
    ///
    /// # Errors
    /// [`StoreError::Missing`] and others.
    pub async fn incident(&mut self, incident: &IncidentId) -> Result<Incident, StoreError> {
        let row = sql::query("SELECT * FROM incidents WHERE tenant = $1 AND id = $2")
            .bind(self.tenant)
            .bind(incident.as_str())
            .fetch_optional(&mut *self.conn)
            .await?;
        match row {
            Some(row) => {
                let mut alerts = self.alert_ids_of(&[incident.to_string()]).await?;
                incident_from(&row, alerts.remove(incident.as_str()).unwrap_or_default())
            }
            None => Err(StoreError::Missing {
                kind: "incident",
                id: incident.to_string(),
            }),
        }
    }

    /// Ids of other incidents that have alerts of these rules or entities, with how many of them
    /// each has; those with the most first, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incidents_sharing(
        &mut self,
        but: &IncidentId,
        rules: &[String],
        entities: &[EntityRef],
        since: Timestamp,
        limit: u32,
    ) -> Result<Vec<IncidentId>, StoreError> {
        let mut query = Builder::new("SELECT incident_id, COUNT(*) AS shared FROM (");
        query.push("SELECT DISTINCT incident_id, rule_id AS what FROM alerts WHERE tenant = ");
        query.push_bind(self.tenant.to_owned());
        query.push(" AND incident_id IS NOT NULL AND time >= ");
        query.push_bind(micros(since));
        query.push(" AND rule_id IN (");
        query.push_list(rules.iter().cloned());
        query.push(")");
        for entity in entities {
            query.push(" UNION SELECT a.incident_id, e.value AS what FROM alert_entities e ");
            query.push(
                "JOIN alerts a ON a.tenant = e.tenant AND a.id = e.alert_id WHERE e.tenant = ",
            );
            query.push_bind(self.tenant.to_owned());
            query.push(" AND a.incident_id IS NOT NULL AND e.kind = ");
            query.push_bind(entity.kind.as_str());
            query
                .push(" AND e.value = ")
                .push_bind(entity.value.clone());
            query.push(" AND e.last_time >= ").push_bind(micros(since));
        }
        query.push(") AS shares WHERE incident_id <> ");
        query.push_bind(but.as_str().to_owned());
        query.push(" GROUP BY incident_id ORDER BY shared DESC, incident_id LIMIT ");
        query.push_bind(i64::from(limit));
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        rows.iter()
            .map(|row| id("alerts.incident_id", row.try_get("incident_id")?))
            .collect()
    }

    /// How many incidents are open.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn open_incidents(&mut self) -> Result<u64, StoreError> {
        let value: i64 = sql::query_scalar(
            "SELECT COUNT(*) FROM incidents WHERE tenant = $1 AND merged_into IS NULL \
             AND status IN ('new', 'in_progress', 'contained')",
        )
        .bind(self.tenant)
        .fetch_one(&mut *self.conn)
        .await?;
        unsigned("count", value)
    }
}

impl WriteTx {
    /// Writes an incident, new or changed, with its audit entry. Its alerts are written by
    /// [`WriteTx::save_alert`].
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn save_incident(
        &mut self,
        incident: &Incident,
        change: &Change,
    ) -> Result<(), StoreError> {
        let tenant = self.tenant();
        let away = incident.clocks.away_time().as_micros();
        let away_us = i64::try_from(away).unwrap_or(i64::MAX);
        sql::query(
            "INSERT INTO incidents (tenant, id, number, title, title_by_hand, summary, \
             summary_by_hand, severity, severity_by_hand, status, verdict, assignee, created_at, \
             updated_at, first_time, last_time, entities, tactics, techniques, detected_at, \
             acknowledged_at, contained_at, resolved_at, merged_into, version, search_text, \
             severity_reasons, risk, risk_parts, away, away_us) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31) \
             ON CONFLICT (tenant, id) DO UPDATE SET title = excluded.title, \
             title_by_hand = excluded.title_by_hand, summary = excluded.summary, \
             summary_by_hand = excluded.summary_by_hand, severity = excluded.severity, \
             severity_by_hand = excluded.severity_by_hand, status = excluded.status, \
             verdict = excluded.verdict, assignee = excluded.assignee, \
             updated_at = excluded.updated_at, first_time = excluded.first_time, \
             last_time = excluded.last_time, entities = excluded.entities, \
             tactics = excluded.tactics, techniques = excluded.techniques, \
             detected_at = excluded.detected_at, acknowledged_at = excluded.acknowledged_at, \
             contained_at = excluded.contained_at, resolved_at = excluded.resolved_at, \
             merged_into = excluded.merged_into, version = excluded.version, \
             search_text = excluded.search_text, severity_reasons = excluded.severity_reasons, \
             risk = excluded.risk, risk_parts = excluded.risk_parts, away = excluded.away, \
             away_us = excluded.away_us",
        )
        .bind(tenant)
        .bind(incident.id.as_str())
        .bind(signed(incident.number))
        .bind(&incident.title)
        .bind(i64::from(incident.title_by_hand))
        .bind(&incident.summary)
        .bind(i64::from(incident.summary_by_hand))
        .bind(i64::from(incident.severity.rank()))
        .bind(i64::from(incident.severity_by_hand))
        .bind(incident.status.as_str())
        .bind(incident.verdict.map(Verdict::as_str))
        .bind(&incident.assignee)
        .bind(micros(incident.created_at))
        .bind(micros(incident.updated_at))
        .bind(micros(incident.first_time))
        .bind(micros(incident.last_time))
        .bind(entities_to_json(&incident.entities))
        .bind(to_json(&incident.tactics))
        .bind(to_json(&incident.techniques))
        .bind(micros(incident.clocks.detected_at))
        .bind(incident.clocks.acknowledged_at.map(micros))
        .bind(incident.clocks.contained_at.map(micros))
        .bind(incident.clocks.resolved_at.map(micros))
        .bind(incident.merged_into.as_ref().map(IncidentId::as_str))
        .bind(signed(incident.version))
        .bind(search_text(
            [&*incident.title, &*incident.summary],
            &incident.entities,
        ))
        .bind(to_json(&incident.severity_reasons))
        .bind(i64::from(incident.risk.score))
        .bind(risk_to_json(&incident.risk))
        .bind(away_to_json(&incident.clocks))
        .bind(away_us)
        .execute(self.conn())
        .await?;
        self.record(change, incident.id.as_str()).await
    }
}
