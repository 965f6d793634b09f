//! Figures of the first page, as far as cases give them; the audit log.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use watchfloor_model::{Actor, AuditEntry, Permission, Severity, TenantId};
use watchfloor_store::{AuditFault, IncidentTimes, Page, PageRequest};

use crate::performance::{Measure, figure};
use crate::{Casework, CaseworkError};

/// Days over which rules and tactics are counted.
const RECENT_DAYS: i64 = 7;

/// Days over which median times are taken.
const TIMES_DAYS: i64 = 30;

/// Rules shown.
const TOP_RULES: u32 = 10;

/// Median times of recent incidents, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MedianTimes {
    /// From the earliest evidence to detection.
    pub detect_s: Option<i64>,
    /// From detection to the first look.
    pub acknowledge_s: Option<i64>,
    /// From detection to containment.
    pub contain_s: Option<i64>,
    /// From detection to resolution.
    pub resolve_s: Option<i64>,
}

/// Figures of the first page.
#[derive(Clone, Debug)]
pub struct CaseOverview {
    /// Alerts that are not closed.
    pub alerts_open: u64,
    /// The same by severity.
    pub alerts_by_severity: Vec<(Severity, u64)>,
    /// Incidents that are open.
    pub incidents_open: u64,
    /// Rules with most alerts in a week: id, title, alerts.
    pub top_rules: Vec<(String, String, u64)>,
    /// Alerts of a week by tactic, in the order of an attack.
    pub tactics: Vec<(String, u64)>,
    /// Median times; `None` while there is nothing to take a median of.
    pub median_times: Option<MedianTimes>,
}

impl Casework {
    /// Figures of the first page.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn overview(&self, actor: &Actor) -> Result<CaseOverview, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        let recent = days_before(self.now(), RECENT_DAYS);
        let mut reader = self.store().read(&actor.tenant).await?;
        let alerts_by_severity = reader.q().open_alerts_by_severity().await?;
        let incidents_open = reader.q().open_incidents().await?;
        let top_rules = reader.q().top_rules(recent, TOP_RULES).await?;
        let lists = reader.q().tactic_lists(recent).await?;
        let times = reader
            .q()
            .incident_times(days_before(self.now(), TIMES_DAYS), Timestamp::MAX)
            .await?;
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for tactic in lists.into_iter().flatten() {
            *counts.entry(tactic).or_default() += 1;
        }
        let order = &crate::triage::portrait::TACTICS;
        let mut tactics: Vec<(String, u64)> = counts.into_iter().collect();
        tactics.sort_by_key(|(tactic, _)| {
            order
                .iter()
                .position(|(id, _)| id == tactic)
                .unwrap_or(order.len())
        });
        Ok(CaseOverview {
            alerts_open: alerts_by_severity.iter().map(|(_, count)| count).sum(),
            alerts_by_severity,
            incidents_open,
            top_rules,
            tactics,
            median_times: median_times(&times),
        })
    }

    /// A page of the audit log, newest first.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn audit(
        &self,
        actor: &Actor,
        page: &PageRequest,
    ) -> Result<Page<AuditEntry>, CaseworkError> {
        self.authorize(actor, Permission::ReadAudit)?;
        let mut reader = self.store().read(&actor.tenant).await?;
        Ok(reader.q().audit_page(page).await?)
    }

    /// Walks the audit chain: how many entries, and the first fault.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn verify_audit(
        &self,
        tenant: &TenantId,
    ) -> Result<(u64, Option<AuditFault>), CaseworkError> {
        let mut reader = self.store().read(tenant).await?;
        Ok(reader.q().verify_audit().await?)
    }
}

fn days_before(now: Timestamp, days: i64) -> Timestamp {
    now.saturating_sub(SignedDuration::from_hours(24 * days))
        .unwrap_or(now)
}

fn median_times(incidents: &[IncidentTimes]) -> Option<MedianTimes> {
    let of = |measure| figure(incidents.iter(), measure).map(|figure| figure.median_s);
    let times = MedianTimes {
        detect_s: of(Measure::Detect),
        acknowledge_s: of(Measure::Acknowledge),
        contain_s: of(Measure::Contain),
        resolve_s: of(Measure::Resolve),
    };
    times.detect_s.map(|_| times)
}
