//! Incidents with their filters and pages.

use jiff::Timestamp;
use watchfloor_model::{
    AlertId, Clocks, EntityRef, Incident, IncidentId, IncidentStatus, Severity, Verdict,
};

use crate::alerts::{push_contains, push_in, search_text};
use crate::row::{
    corrupt, entities_from_json, entities_to_json, from_json, id, micros, risk_from_json,
    risk_to_json, signed, time, time_opt, to_json, unsigned, word,
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
}

/// What incidents are sorted by, the largest first; the latest activity and id break ties.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IncidentSort {
    /// Latest activity.
    #[default]
    LastTime,
    /// How much they matter.
    Risk,
    /// Gravity.
    Severity,
}

impl IncidentSort {
    /// The key of a word of the API.
    pub fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "-last_time" => Self::LastTime,
            "-risk" => Self::Risk,
            "-severity" => Self::Severity,
            _ => return None,
        })
    }

    const fn column(self) -> &'static str {
        match self {
            Self::LastTime => "last_time",
            Self::Risk => "risk",
            Self::Severity => "severity",
        }
    }

    fn value(self, incident: &Incident) -> i64 {
        match self {
            Self::LastTime => micros(incident.last_time),
            Self::Risk => i64::from(incident.risk.score),
            Self::Severity => i64::from(incident.severity.rank()),
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
        clocks: Clocks {
            detected_at: time("incidents.detected_at", row.try_get("detected_at")?)?,
            acknowledged_at: time_opt(
                "incidents.acknowledged_at",
                row.try_get("acknowledged_at")?,
            )?,
            contained_at: time_opt("incidents.contained_at", row.try_get("contained_at")?)?,
            resolved_at: time_opt("incidents.resolved_at", row.try_get("resolved_at")?)?,
        },
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
}

impl Queries<'_> {
    /// One page in an order, with the exact total.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn incident_page(
        &mut self,
        filter: &IncidentFilter,
        sort: IncidentSort,
        page: &PageRequest,
    ) -> Result<Page<Incident>, StoreError> {
        let mut count = Builder::new("SELECT COUNT(*) FROM incidents");
        push_filter(&mut count, self.tenant, filter);
        let total: i64 = count
            .build_query_scalar()
            .fetch_one(&mut *self.conn)
            .await?;
        let mut query = Builder::new("SELECT * FROM incidents");
        push_filter(&mut query, self.tenant, filter);
        let column = sort.column();
        // A column named twice keeps SQLite from walking the index in order.
        let by_time = sort == IncidentSort::LastTime;
        if let Some(after) = &page.after {
            if by_time {
                query.push(" AND (last_time, id) < (");
            } else {
                query.push(format_args!(" AND ({column}, last_time, id) < ("));
                query.push_bind(after.primary).push(", ");
            }
            query.push_bind(after.secondary).push(", ");
            query.push_bind(after.id.clone()).push(")");
        }
        query.push(" ORDER BY ");
        if !by_time {
            query.push(format_args!("{column} DESC, "));
        }
        query.push("last_time DESC, id DESC LIMIT ");
        query.push_bind(page.fetch());
        let rows = query.build().fetch_all(&mut *self.conn).await?;
        let mut items = Vec::with_capacity(rows.len());
        for row in &rows {
            let alerts = self.alert_ids_of(row.try_get("id")?).await?;
            items.push(incident_from(row, alerts)?);
        }
        let total = unsigned("count", total)?;
        Ok(Page::cut(items, page, total, |incident| Cursor {
            primary: sort.value(incident),
            secondary: micros(incident.last_time),
            id: incident.id.as_str().to_owned(),
        }))
    }

    async fn alert_ids_of(&mut self, incident: &str) -> Result<Vec<AlertId>, StoreError> {
        let ids: Vec<String> = sql::query_scalar(
            "SELECT id FROM alerts WHERE tenant = $1 AND incident_id = $2 ORDER BY time, id",
        )
        .bind(self.tenant)
        .bind(incident)
        .fetch_all(&mut *self.conn)
        .await?;
        ids.iter().map(|text| id("alerts.id", text)).collect()
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
                let alerts = self.alert_ids_of(incident.as_str()).await?;
                incident_from(&row, alerts)
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

    /// Clocks of the incidents opened since a time, at most 10,000.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn clocks_since(&mut self, since: Timestamp) -> Result<Vec<Clocks>, StoreError> {
        let rows = sql::query(
            "SELECT detected_at, acknowledged_at, contained_at, resolved_at FROM incidents \
             WHERE tenant = $1 AND merged_into IS NULL AND created_at >= $2 \
             ORDER BY created_at DESC LIMIT 10000",
        )
        .bind(self.tenant)
        .bind(micros(since))
        .fetch_all(&mut *self.conn)
        .await?;
        rows.iter()
            .map(|row| {
                Ok(Clocks {
                    detected_at: time("incidents.detected_at", row.try_get("detected_at")?)?,
                    acknowledged_at: time_opt(
                        "incidents.acknowledged_at",
                        row.try_get("acknowledged_at")?,
                    )?,
                    contained_at: time_opt("incidents.contained_at", row.try_get("contained_at")?)?,
                    resolved_at: time_opt("incidents.resolved_at", row.try_get("resolved_at")?)?,
                })
            })
            .collect()
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
        sql::query(
            "INSERT INTO incidents (tenant, id, number, title, title_by_hand, summary, \
             summary_by_hand, severity, severity_by_hand, status, verdict, assignee, created_at, \
             updated_at, first_time, last_time, entities, tactics, techniques, detected_at, \
             acknowledged_at, contained_at, resolved_at, merged_into, version, search_text, \
             severity_reasons, risk, risk_parts) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, \
             $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29) \
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
             risk = excluded.risk, risk_parts = excluded.risk_parts",
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
        .execute(self.conn())
        .await?;
        self.record(change, incident.id.as_str()).await
    }
}
