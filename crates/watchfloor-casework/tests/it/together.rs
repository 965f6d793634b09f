//! What binds by events, risk and its parts, and work together: mentions, presence, corrections.

use std::collections::BTreeMap;
use std::sync::Arc;

use watchfloor_casework::{
    AlertFilter, BulkAction, EventFields, EventFieldsFuture, EventLookup, IncidentFilter,
    IncidentSort, OpenVulnerability, PageRequest, VulnerabilitiesFuture,
};
use watchfloor_model::{AlertStatus, RiskKind, Severity};

use crate::support::{alert_of, alerts, finding, fixture, grouping, incidents, system};

/// Fields of the events of the minutes of findings, and what is open on `ws-1`.
struct Lookup(BTreeMap<i64, Vec<(&'static str, &'static str)>>);

impl EventLookup for Lookup {
    fn fields(&self, event_ids: Vec<String>) -> EventFieldsFuture<'_> {
        let found: EventFields = event_ids
            .into_iter()
            .filter_map(|id| {
                let minute = i64::from_str_radix(id.split('-').next()?, 16).ok()?;
                let fields = self.0.get(&minute)?;
                let owned = fields
                    .iter()
                    .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
                Some((id, owned.collect()))
            })
            .collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn vulnerabilities(&self, hosts: Vec<String>) -> VulnerabilitiesFuture<'_> {
        let on = hosts.into_iter().filter(|host| host == "ws-1");
        let open = on.map(|host| OpenVulnerability {
            host,
            name: "CVE-2026-1".to_owned(),
            severity: Severity::High,
            is_exploited: true,
        });
        Box::pin(std::future::ready(open.collect()))
    }
}

#[tokio::test]
async fn a_process_binds_and_facts_of_events_make_risk() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let process = |own, parent| {
        vec![
            ("device.hostname", "ws-1"),
            ("process.uid", own),
            ("actor.process.uid", parent),
            ("unmapped.device.criticality", "critical"),
            ("unmapped.indicator.list", "cert"),
            ("unmapped.indicator.confidence", "80"),
        ]
    };
    casework.look_events_up_with(Arc::new(Lookup(BTreeMap::from([
        (1, process("{a}", "{z}")),
        (90, process("{b}", "{a}")),
        (91, process("{q}", "{p}")),
    ]))));
    let found = vec![
        finding("f1", "one", "high", 1, "host:ws-1"),
        finding("f2", "child", "medium", 90, "host:ws-1"),
        finding("f3", "other", "medium", 91, "host:ws-1"),
    ];
    casework.take_findings(1, found).await.unwrap();
    assert_eq!(grouping(casework).await, ["-other", "child one"]);
    let risk = alert_of(casework, "one").await.risk;
    let points = |kind| risk.part(kind).map(|part| part.points);
    assert_eq!(points(RiskKind::Severity), Some(26));
    assert_eq!(points(RiskKind::Criticality), Some(15));
    assert_eq!(points(RiskKind::Indicator), Some(12));
    assert_eq!(points(RiskKind::Rarity), Some(10));
    assert_eq!(points(RiskKind::Vulnerability), Some(10));
    assert_eq!(risk.score, 26 + 15 + 12 + 10 + 10 + 2);
    let incident = incidents(casework).await.remove(0);
    assert_eq!(incident.risk.score, risk.score);
    assert!(!incident.severity_reasons.is_empty());
}

#[tokio::test]
async fn what_everybody_has_does_not_bind() {
    let fixture = fixture().await;
    let mut found = Vec::new();
    for number in 0..12 {
        let things = format!("host:ws-{number} domain:cdn.example.net");
        found.push(finding(
            &format!("f{number}"),
            "noise",
            "medium",
            number * 90,
            &things,
        ));
    }
    fixture.casework.take_findings(1, found).await.unwrap();
    let largest = grouping(&fixture.casework).await;
    let alone = largest.iter().filter(|group| *group == "-noise").count();
    assert!(alone >= 3, "{largest:?}");
}

#[tokio::test]
async fn incidents_are_sorted_by_risk() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let found = vec![
        finding("f1", "a", "critical", 0, "host:ws-1 user:eve"),
        finding("f2", "b", "high", 200, "host:ws-2 user:bob"),
    ];
    casework.take_findings(1, found).await.unwrap();
    let page = PageRequest::new(None, Some(1));
    let filter = IncidentFilter::default();
    let first = casework
        .incidents(&system(), &filter, &IncidentSort::Risk, &page)
        .await
        .unwrap();
    assert_eq!(
        (first.total, first.items[0].severity),
        (2, Severity::Critical)
    );
    let page = PageRequest::new(first.next, Some(1));
    let second = casework
        .incidents(&system(), &filter, &IncidentSort::Risk, &page)
        .await
        .unwrap();
    assert_eq!(second.items[0].severity, Severity::High);
    assert!(second.items[0].risk.score < first.items[0].risk.score);
    assert!(second.next.is_none());
}

#[tokio::test]
async fn corrections_keep_their_reasons_and_similar_incidents_are_found() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let found = vec![
        finding("f1", "a", "high", 0, "host:ws-1 user:eve"),
        finding("f2", "b", "high", 9, "host:ws-1 user:eve"),
    ];
    casework.take_findings(1, found).await.unwrap();
    let b = alert_of(casework, "b").await;
    let home = b.incident_id().unwrap().clone();
    let new = casework
        .split_incident(&system(), &home, &[b.id], Some("a test of ours"), None)
        .await
        .unwrap();
    let detail = casework.incident_detail(&system(), &home).await.unwrap();
    let is_told = |text: &str| {
        detail
            .history
            .iter()
            .any(|entry| entry.detail.contains(text))
    };
    assert!(is_told("a test of ours"), "{:?}", detail.history);
    assert_eq!(detail.scope.len(), 2);
    assert!(detail.scope[0].known_from.contains("Title of a"));
    let similar = casework.similar_incidents(&system(), &home).await.unwrap();
    assert_eq!(similar.len(), 1);
    assert_eq!(similar[0].incident.id, new.id);
    assert!(
        similar[0]
            .reasons
            .iter()
            .any(|one| one.contains("host ws-1")),
        "{:?}",
        similar[0].reasons
    );
}

#[tokio::test]
async fn all_that_match_are_changed() {
    let fixture = fixture().await;
    let casework = &fixture.casework;
    let found = (0..40).map(|number| {
        let level = if number % 2 == 0 {
            "low"
        } else {
            "informational"
        };
        finding(
            &format!("f{number}"),
            &format!("r{number}"),
            level,
            number,
            "host:ws-1",
        )
    });
    casework.take_findings(1, found.collect()).await.unwrap();
    let filter = AlertFilter {
        severities: vec![Severity::Low],
        ..AlertFilter::default()
    };
    let done = casework
        .bulk_matching(&system(), &filter, BulkAction::Acknowledge)
        .await
        .unwrap();
    assert_eq!((done.done.len(), done.failed.len()), (20, 0));
    let all = alerts(casework).await;
    let seen = all
        .iter()
        .filter(|one| one.status == AlertStatus::Acknowledged);
    assert!(seen.clone().count() == 20 && seen.clone().all(|one| one.severity == Severity::Low));
}
