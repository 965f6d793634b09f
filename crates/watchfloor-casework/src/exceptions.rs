//! Judging findings and alerts by the suppressions in force, the fields of their events among
//! what is looked at.

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use watchfloor_event::Finding;
use watchfloor_model::{Alert, Facts, Suppression, TenantId};

use crate::triage::intake;
use crate::triage::risk::OpenVulnerability;
use crate::{Casework, CaseworkError, CaseworkSettings};

/// Fields of events by full name, by event id.
pub type EventFields = HashMap<String, BTreeMap<String, String>>;

/// Fields of events, or why they cannot be had.
pub type EventFieldsFuture<'a> =
    Pin<Box<dyn Future<Output = Result<EventFields, String>> + Send + 'a>>;

/// Vulnerabilities that are open on machines.
pub type VulnerabilitiesFuture<'a> =
    Pin<Box<dyn Future<Output = Vec<OpenVulnerability>> + Send + 'a>>;

/// The minute of the day of an instant in a time zone; in UTC if no such zone is known.
pub fn minute_of_day(time: Timestamp, zone: &str) -> u16 {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let time = zone.to_datetime(time).time();
    let minute = i32::from(time.hour()) * 60 + i32::from(time.minute());
    u16::try_from(minute).unwrap_or(0)
}

/// The event whose fields stand for an alert: its first.
pub(crate) fn event_of(alert: &Alert) -> Option<&String> {
    alert.event_ids.first()
}

/// Whether a suppression is about an alert that is to be, or was.
pub(crate) fn meets(suppression: &Suppression, alert: &Alert, events: &EventFields) -> bool {
    with_facts(alert, events, |facts| suppression.meets(facts))
}

/// Calls with what a suppression looks at.
pub(crate) fn with_facts<T>(
    alert: &Alert,
    events: &EventFields,
    call: impl FnOnce(&Facts<'_>) -> T,
) -> T {
    let fields = event_of(alert).and_then(|id| events.get(id));
    call(&Facts {
        rule_id: &alert.rule_id,
        source: &alert.source,
        entities: &alert.entities,
        reasons: &alert.reasons,
        event: &|name| fields?.get(name).cloned(),
        minute_in: &|zone| minute_of_day(alert.time, zone),
    })
}

/// Whether a suppression would hold a finding back, its threshold and end left aside.
pub fn is_held_back(suppression: &Suppression, finding: &Finding, events: &EventFields) -> bool {
    let entities = intake::entities_of(finding);
    let made = intake::alert_of(
        &TenantId::main(),
        finding,
        entities,
        String::new(),
        finding.time,
    );
    made.is_ok_and(|alert| meets(suppression, &alert, events))
}

/// For each finding, in time order, whether it would make a new alert or only repeat one.
pub fn forecast_alerts(findings: &[Finding]) -> Vec<bool> {
    let window = CaseworkSettings::standard().repeat_window;
    let mut last: HashMap<String, Timestamp> = HashMap::new();
    findings
        .iter()
        .map(|finding| {
            let key = intake::repeat_key(finding, &intake::entities_of(finding));
            let before = last.insert(key, finding.time);
            before.is_none_or(|before| finding.first_time.duration_since(before) > window)
        })
        .collect()
}

/// Gives the fields of stored events; declared here because casework is who asks.
pub trait EventLookup: Send + Sync {
    /// The fields of some events; those that are no longer stored are left out.
    fn fields(&self, event_ids: Vec<String>) -> EventFieldsFuture<'_>;

    /// What is open on machines; nothing where nobody looks for it.
    fn vulnerabilities(&self, hosts: Vec<String>) -> VulnerabilitiesFuture<'_> {
        drop(hosts);
        Box::pin(std::future::ready(Vec::new()))
    }
}

impl Casework {
    /// The fields of the events of those alerts that a suppression cannot judge without.
    pub(crate) async fn fields_asked<'a>(
        &self,
        suppressions: &[&Suppression],
        alerts: impl Iterator<Item = (&'a str, &'a String)>,
    ) -> Result<EventFields, CaseworkError> {
        let mut ids: Vec<String> = alerts
            .filter(|(rule, _)| suppressions.iter().any(|one| one.asks_event(rule)))
            .map(|(_, event)| event.clone())
            .collect();
        ids.sort();
        ids.dedup();
        let Some(lookup) = self.event_lookup().filter(|_| !ids.is_empty()) else {
            return Ok(EventFields::new());
        };
        lookup.fields(ids).await.map_err(|_| CaseworkError::System {
            what: "the events of findings could not be read",
        })
    }
}
