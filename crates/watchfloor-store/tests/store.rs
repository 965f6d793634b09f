//! The file itself: migrations, audit chain, tampering, paging over many alerts.

use std::time::Instant;

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqlitePoolOptions;
use watchfloor_model::{Alert, AlertId, AlertStatus, Entity, EntityKind, Severity, TenantId};
use watchfloor_store::{
    AlertFilter, AlertSort, AlertSortKey, AuditFault, Change, OpenError, PageRequest, Store,
};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_770_000_000 + second).unwrap()
}

fn change() -> Change {
    Change {
        at: at(0),
        actor: "test".to_owned(),
        action: "alert.create",
        detail: "a detail".to_owned(),
    }
}

fn alert(number: u32) -> Alert {
    let time = at(i64::from(number));
    Alert {
        id: AlertId::new(format!("alr-{number}")).unwrap(),
        rule_id: format!("rule-{}", number % 50),
        rule_title: "Rule".to_owned(),
        rule_version: "abc".to_owned(),
        title: format!("Alert {number}"),
        severity: Severity::ALL[number as usize % 5],
        status: AlertStatus::ALL[number as usize % 4],
        verdict: None,
        verdict_reason: None,
        assignee: None,
        attachment: None,
        time,
        first_time: time,
        last_time: time,
        created_at: time,
        updated_at: time,
        acknowledged_at: None,
        closed_at: None,
        count: 1,
        source: "test".to_owned(),
        summary: "somebody did something somewhere".to_owned(),
        entities: vec![Entity {
            kind: EntityKind::Host,
            value: format!("ws-{}", number % 200),
            role: "target".to_owned(),
        }],
        tactics: vec!["execution".to_owned()],
        techniques: vec!["T1059".to_owned()],
        reasons: Vec::new(),
        event_ids: vec!["1-0".to_owned()],
        repeat_key: format!("key-{number}"),
        version: 1,
    }
}

async fn raw(store: &Store) -> sqlx::SqlitePool {
    let url = format!("sqlite://{}", store.path().display());
    SqlitePoolOptions::new().connect(&url).await.unwrap()
}

#[tokio::test]
async fn a_newer_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let pool = raw(&store).await;
    sqlx::query("INSERT INTO schema_version (version) VALUES (99)")
        .execute(&pool)
        .await
        .unwrap();
    pool.close().await;
    store.close().await;
    let error = Store::open(folder.path()).await.unwrap_err();
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error}"
    );
    assert!(error.to_string().contains("records.sqlite"), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Store::open(&file.path().join("data")).await.unwrap_err();
    assert!(matches!(error, OpenError::Folder { .. }), "{error}");
}

#[tokio::test]
async fn the_audit_chain_shows_every_tampering() {
    let tenant = TenantId::main();
    for (sql, expected) in [
        (
            "UPDATE audit SET detail = 'other' WHERE seq = 2",
            AuditFault::Changed { seq: 2 },
        ),
        (
            "UPDATE audit SET actor = 'other' WHERE seq = 3",
            AuditFault::Changed { seq: 3 },
        ),
        (
            "DELETE FROM audit WHERE seq = 2",
            AuditFault::Gap { seq: 2 },
        ),
        (
            "UPDATE audit SET previous_hash = hash WHERE seq = 2",
            AuditFault::Unlinked { seq: 2 },
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        for number in 1..=3 {
            let mut tx = store.write(&tenant).await.unwrap();
            tx.save_alert(&alert(number), &change()).await.unwrap();
            tx.commit().await.unwrap();
        }
        let mut reader = store.read(&tenant).await.unwrap();
        assert_eq!(reader.q().verify_audit().await.unwrap(), (3, None));
        drop(reader);
        let pool = raw(&store).await;
        sqlx::query(sql).execute(&pool).await.unwrap();
        let mut reader = store.read(&tenant).await.unwrap();
        let (_, fault) = reader.q().verify_audit().await.unwrap();
        assert_eq!(fault, Some(expected), "{sql}");
    }
}

#[tokio::test]
async fn a_dropped_transaction_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let tenant = TenantId::main();
    let mut tx = store.write(&tenant).await.unwrap();
    tx.save_alert(&alert(1), &change()).await.unwrap();
    drop(tx);
    let mut reader = store.read(&tenant).await.unwrap();
    assert!(reader.q().alert(&alert(1).id).await.is_err());
    assert_eq!(reader.q().verify_audit().await.unwrap(), (0, None));
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let mut tx = store.write(&TenantId::main()).await.unwrap();
    tx.save_alert(&alert(1), &change()).await.unwrap();
    tx.commit().await.unwrap();
    let other = TenantId::new("other").unwrap();
    let mut reader = store.read(&other).await.unwrap();
    assert!(reader.q().alert(&alert(1).id).await.is_err());
    assert_eq!(reader.q().verify_audit().await.unwrap(), (0, None));
}

/// How many alerts the paging test walks; `WATCHFLOOR_ALERTS=100000` is the bench by hand.
fn alerts_to_page() -> u32 {
    std::env::var("WATCHFLOOR_ALERTS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1_000)
}

#[tokio::test]
async fn pages_hold_every_alert_once_under_every_sort() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let tenant = TenantId::main();
    let many = alerts_to_page();
    let mut tx = store.write(&tenant).await.unwrap();
    for number in 0..many {
        tx.save_alert(&alert(number), &change()).await.unwrap();
    }
    tx.commit().await.unwrap();
    for key in [
        AlertSortKey::Time,
        AlertSortKey::Severity,
        AlertSortKey::Count,
        AlertSortKey::UpdatedAt,
    ] {
        for descending in [true, false] {
            let sort = AlertSort { key, descending };
            let mut seen = std::collections::BTreeSet::new();
            let mut after = None;
            loop {
                let page = PageRequest::new(after, Some(300));
                let mut reader = store.read(&tenant).await.unwrap();
                let filter = AlertFilter::default();
                let found = reader.q().alert_page(&filter, sort, &page).await.unwrap();
                assert_eq!(found.total, u64::from(many));
                for alert in found.items {
                    assert!(seen.insert(alert.id), "{sort:?} repeats an alert");
                }
                after = found.next;
                if after.is_none() || many > 10_000 {
                    break;
                }
            }
            assert!(many > 10_000 || seen.len() == many as usize, "{sort:?}");
        }
    }
    time_filters(&store, &tenant).await;
}

async fn time_filters(store: &Store, tenant: &TenantId) {
    let newest = AlertSort {
        key: AlertSortKey::Time,
        descending: true,
    };
    let gravest = AlertSort {
        key: AlertSortKey::Severity,
        descending: true,
    };
    let open = vec![AlertStatus::New, AlertStatus::Acknowledged];
    for (name, filter, sort) in [
        // The first read after a transaction of this size also reads the write-ahead log.
        ("warming up", AlertFilter::default(), newest),
        ("all, newest", AlertFilter::default(), newest),
        ("all, gravest", AlertFilter::default(), gravest),
        (
            "open, gravest",
            AlertFilter {
                statuses: open,
                ..AlertFilter::default()
            },
            gravest,
        ),
        (
            "of a rule",
            AlertFilter {
                rule_id: Some("rule-7".to_owned()),
                ..AlertFilter::default()
            },
            newest,
        ),
        (
            "of a host",
            AlertFilter {
                entity: Some((None, "WS-7.corp.example".to_owned())),
                ..AlertFilter::default()
            },
            newest,
        ),
        (
            "text",
            AlertFilter {
                text: Some("alert 77".to_owned()),
                ..AlertFilter::default()
            },
            newest,
        ),
        (
            "span",
            AlertFilter {
                from: Some(at(100)),
                to: Some(
                    at(100)
                        .saturating_add(SignedDuration::from_secs(500))
                        .unwrap(),
                ),
                ..AlertFilter::default()
            },
            newest,
        ),
    ] {
        let mut reader = store.read(tenant).await.unwrap();
        let page = PageRequest::new(None, Some(100));
        let started = Instant::now();
        let found = reader.q().alert_page(&filter, sort, &page).await.unwrap();
        let took = started.elapsed();
        assert!(found.total > 0, "{name}");
        println!("{name}: {} alerts, page in {took:?}", found.total);
    }
}
