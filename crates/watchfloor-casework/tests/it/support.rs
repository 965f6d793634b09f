//! A control plane in a fresh folder, with a clock that stands, and findings in short.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};

use jiff::{SignedDuration, Timestamp};
use watchfloor_casework::{
    AlertFilter, AlertSort, AlertSortKey, Casework, CaseworkSettings, FixedClock, IncidentFilter,
    IncidentSort, PageRequest, PostgresOptions, Store,
};
use watchfloor_event::{Entity, EntityKind, EventId, Finding, FindingLevel, MatchReason};
use watchfloor_model::{Actor, Alert, Incident, TenantId};
use watchfloor_testkit::{Durability, Postgres};

pub(crate) struct Fixture {
    pub(crate) casework: Casework,
    pub(crate) clock: Arc<FixedClock>,
    pub(crate) folder: tempfile::TempDir,
}

pub(crate) fn noon() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

/// The database that stands for a folder, where the tests are to run on PostgreSQL
/// (`WATCHFLOOR_TEST_STORE=postgres`). The server ends with this process.
fn database_of(folder: &Path) -> Option<String> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    static DATABASES: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    if std::env::var("WATCHFLOOR_TEST_STORE").ok()? != "postgres" {
        return None;
    }
    let server = SERVER.get_or_init(|| Postgres::start(Durability::None).unwrap());
    let server = server.as_ref().expect("PostgreSQL is asked for");
    let mut databases = DATABASES.lock().unwrap();
    let make = || server.database().unwrap();
    Some(
        databases
            .entry(folder.to_owned())
            .or_insert_with(make)
            .clone(),
    )
}

pub(crate) async fn over(folder: &std::path::Path, clock: Arc<FixedClock>) -> Casework {
    let store = match database_of(folder) {
        Some(url) => {
            let password = None;
            Store::connect(&PostgresOptions { url, password }).await
        }
        None => Store::open(folder).await,
    };
    let store = store.unwrap();
    Casework::new(store, CaseworkSettings::standard(), clock)
}

pub(crate) async fn fixture() -> Fixture {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::new(noon()));
    let casework = over(folder.path(), clock.clone()).await;
    Fixture {
        casework,
        clock,
        folder,
    }
}

pub(crate) fn system() -> Actor {
    Actor::system(TenantId::main())
}

/// A finding: id, rule, level, minute after ten o'clock, entities as `kind:value`.
pub(crate) fn finding(id: &str, rule: &str, level: &str, minute: i64, entities: &str) -> Finding {
    let ten: Timestamp = "2026-03-02T10:00:00Z".parse().unwrap();
    let time = ten
        .saturating_add(SignedDuration::from_mins(minute))
        .unwrap();
    let mut list: Vec<Entity> = entities
        .split_whitespace()
        .map(|text| {
            let (kind, value) = text.split_once(':').unwrap();
            Entity {
                kind: EntityKind::parse(kind).unwrap(),
                value: value.replace('+', " "),
                role: "target".to_owned(),
            }
        })
        .collect();
    list.sort();
    Finding {
        id: id.to_owned(),
        rule_id: rule.to_owned(),
        rule_version: "0123456789ab".to_owned(),
        title: format!("Title of {rule}"),
        level: FindingLevel::parse(level).unwrap(),
        time,
        first_time: time,
        source: "sysmon".to_owned(),
        event_ids: vec![EventId::new(minute.unsigned_abs(), 0)],
        event_count: 1,
        summary: format!("{rule} at {minute}"),
        reasons: vec![MatchReason {
            selection: "selection".to_owned(),
            field: "process.cmd_line".to_owned(),
            value: "powershell -enc AAAA".to_owned(),
            pattern: "*-enc*".to_owned(),
        }],
        entities: list,
        tactics: vec!["execution".to_owned()],
        techniques: vec!["T1059.001".to_owned()],
    }
}

pub(crate) async fn alerts(casework: &Casework) -> Vec<Alert> {
    let sort = AlertSort {
        key: AlertSortKey::Time,
        descending: false,
    };
    let page = PageRequest::new(None, Some(1_000));
    casework
        .alerts(&system(), &AlertFilter::default(), sort, &page)
        .await
        .unwrap()
        .items
}

pub(crate) async fn alert_of(casework: &Casework, rule: &str) -> Alert {
    let mut found = alerts(casework).await;
    found.retain(|alert| alert.rule_id == rule);
    assert_eq!(found.len(), 1, "alerts of {rule}");
    found.remove(0)
}

pub(crate) async fn incidents(casework: &Casework) -> Vec<Incident> {
    let page = PageRequest::new(None, Some(1_000));
    casework
        .incidents(
            &system(),
            &IncidentFilter::default(),
            &IncidentSort::default(),
            &page,
        )
        .await
        .unwrap()
        .items
}

/// Which rules' alerts stand together: one sorted list per incident, and `-` before each rule
/// whose alert stands alone.
pub(crate) async fn grouping(casework: &Casework) -> Vec<String> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut out = Vec::new();
    for alert in alerts(casework).await {
        match alert.incident_id() {
            Some(id) => groups
                .entry(id.to_string())
                .or_default()
                .push(alert.rule_id),
            None => out.push(format!("-{}", alert.rule_id)),
        }
    }
    for mut rules in groups.into_values() {
        rules.sort();
        out.push(rules.join(" "));
    }
    out.sort();
    out
}
