//! The database itself, SQLite and PostgreSQL: migrations, audit chain, tampering, paging over many alerts.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use sqlx::sqlite::SqlitePoolOptions;
use watchfloor_model::{Alert, AlertId, AlertStatus, Entity, EntityKind, Risk, Severity, TenantId};
use watchfloor_store::{
    AlertFilter, AlertSort, AlertSortKey, AuditFault, Change, FindingOutcome, OpenError,
    PageRequest, PostgresOptions, Store, StoreError,
};
use watchfloor_testkit::{Durability, Postgres};

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
        traces: Vec::new(),
        risk: Risk::default(),
        version: 1,
    }
}

/// Where records can stand: each test runs on both.
enum Place {
    Sqlite(tempfile::TempDir),
    Postgres(String),
}

fn server() -> Option<&'static Postgres> {
    static SERVER: OnceLock<Option<Postgres>> = OnceLock::new();
    let server = SERVER.get_or_init(|| Postgres::start(Durability::None).unwrap());
    server.as_ref()
}

/// Empty places; one, where PostgreSQL is not installed.
fn places() -> Vec<Place> {
    let sqlite = Place::Sqlite(tempfile::tempdir().unwrap());
    let postgres = server().map(|server| Place::Postgres(server.database().unwrap()));
    [sqlite].into_iter().chain(postgres).collect()
}

impl Place {
    async fn open(&self) -> Result<Store, OpenError> {
        match self {
            Self::Sqlite(folder) => Store::open(folder.path()).await,
            Self::Postgres(url) => {
                let (url, password) = (url.clone(), None);
                Store::connect(&PostgresOptions { url, password }).await
            }
        }
    }

    /// Changes something behind the store's back.
    async fn raw(&self, text: &str) {
        match self {
            Self::Sqlite(folder) => {
                let url = format!("sqlite://{}/records.sqlite", folder.path().display());
                let pool = SqlitePoolOptions::new().connect(&url).await.unwrap();
                let text = sqlx::AssertSqlSafe(text);
                sqlx::raw_sql(text).execute(&pool).await.unwrap();
                pool.close().await;
            }
            Self::Postgres(url) => {
                server().unwrap().sql(url, text).unwrap();
            }
        }
    }
}

#[tokio::test]
async fn a_newer_folder_is_refused() {
    for place in places() {
        let store = place.open().await.unwrap();
        place
            .raw("INSERT INTO schema_version (version) VALUES (99)")
            .await;
        store.close().await;
        let error = place.open().await.unwrap_err();
        assert!(
            matches!(error, OpenError::Newer { found: 99, .. }),
            "{error}"
        );
        assert!(error.to_string().contains(store.place()), "{error}");
        assert!(!error.to_string().contains("test%"), "{error}");
    }
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
        for place in places() {
            let store = place.open().await.unwrap();
            for number in 1..=3 {
                let mut tx = store.write(&tenant).await.unwrap();
                tx.save_alert(&alert(number), &change()).await.unwrap();
                tx.commit().await.unwrap();
            }
            let mut reader = store.read(&tenant).await.unwrap();
            assert_eq!(reader.q().verify_audit().await.unwrap(), (3, None));
            drop(reader);
            place.raw(sql).await;
            let mut reader = store.read(&tenant).await.unwrap();
            let (_, fault) = reader.q().verify_audit().await.unwrap();
            assert_eq!(fault.as_ref(), Some(&expected), "{sql}");
        }
    }
}

#[tokio::test]
async fn a_dropped_transaction_changes_nothing() {
    for place in places() {
        let store = place.open().await.unwrap();
        let tenant = TenantId::main();
        let mut tx = store.write(&tenant).await.unwrap();
        tx.save_alert(&alert(1), &change()).await.unwrap();
        drop(tx);
        let mut reader = store.read(&tenant).await.unwrap();
        assert!(reader.q().alert(&alert(1).id).await.is_err());
        assert_eq!(reader.q().verify_audit().await.unwrap(), (0, None));
    }
}

#[tokio::test]
async fn another_tenant_sees_nothing() {
    for place in places() {
        let store = place.open().await.unwrap();
        let mut tx = store.write(&TenantId::main()).await.unwrap();
        tx.save_alert(&alert(1), &change()).await.unwrap();
        tx.commit().await.unwrap();
        let other = TenantId::new("other").unwrap();
        let mut reader = store.read(&other).await.unwrap();
        assert!(reader.q().alert(&alert(1).id).await.is_err());
        assert_eq!(reader.q().verify_audit().await.unwrap(), (0, None));
    }
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
    for place in places() {
        let store = place.open().await.unwrap();
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

#[tokio::test]
async fn findings_are_noted_in_any_number() {
    for place in places() {
        let store = place.open().await.unwrap();
        let tenant = TenantId::main();
        let outcome = |number: u32| FindingOutcome {
            finding: format!("finding-{number}"),
            outcome: "alert",
            record: format!("alr-{number}"),
        };
        let outcomes: Vec<FindingOutcome> = (0..1_203).map(outcome).collect();
        let mut tx = store.write(&tenant).await.unwrap();
        tx.save_finding_outcomes(&outcomes, at(0)).await.unwrap();
        tx.commit().await.unwrap();
        let mut asked: Vec<&str> = outcomes.iter().map(|one| &*one.finding).collect();
        asked.push("finding-none");
        let mut reader = store.read(&tenant).await.unwrap();
        assert_eq!(
            reader.q().taken_findings(&asked).await.unwrap().len(),
            1_203
        );
        assert!(reader.q().taken_findings(&[]).await.unwrap().is_empty());
        let mut again = store.write(&tenant).await.unwrap();
        let refused = again.save_finding_outcomes(&outcomes[..1], at(0)).await;
        assert!(refused.unwrap_err().is_duplicate());
    }
}

/// Events may hold any character; what is stored is found again, and the chain stays whole.
#[tokio::test]
async fn hostile_text_is_stored() {
    for place in places() {
        let store = place.open().await.unwrap();
        let tenant = TenantId::main();
        let mut hostile = alert(1);
        hostile.title = "a\0b '; DROP TABLE alerts; -- \u{1f600} \u{202e}".to_owned();
        hostile.entities[0].value = "ws\0-1".to_owned();
        let mut change = change();
        change.detail = "with a \0 in it".to_owned();
        let mut tx = store.write(&tenant).await.unwrap();
        tx.save_alert(&hostile, &change).await.unwrap();
        tx.commit().await.unwrap();
        let filter = AlertFilter {
            entity: Some((None, "ws\0-1".to_owned())),
            text: Some("drop table".to_owned()),
            ..AlertFilter::default()
        };
        let sort = AlertSort {
            key: AlertSortKey::Time,
            descending: true,
        };
        let page = PageRequest::new(None, None);
        let mut reader = store.read(&tenant).await.unwrap();
        let found = reader.q().alert_page(&filter, sort, &page).await.unwrap();
        assert_eq!(found.total, 1);
        assert!(found.items[0].title.ends_with("\u{1f600} \u{202e}"));
        assert_eq!(reader.q().verify_audit().await.unwrap(), (1, None));
    }
}

/// Several servers over one database write in turn: the chain has no gap, numbers none twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_several_servers_take_turns() {
    for place in places() {
        let tenant = TenantId::main();
        let mut servers = tokio::task::JoinSet::new();
        for server in 0..4_u32 {
            let (store, tenant) = (place.open().await.unwrap(), tenant.clone());
            servers.spawn(async move {
                let mut numbers = Vec::new();
                for step in 0..25 {
                    let mut tx = store.write(&tenant).await.unwrap();
                    numbers.push(tx.next_number("incidents").await.unwrap());
                    let one = alert(server * 100 + step);
                    tx.save_alert(&one, &change()).await.unwrap();
                    tx.commit().await.unwrap();
                }
                numbers
            });
        }
        let mut numbers: Vec<u64> = servers.join_all().await.concat();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=100).collect::<Vec<u64>>());
        let store = place.open().await.unwrap();
        let mut reader = store.read(&tenant).await.unwrap();
        assert_eq!(reader.q().verify_audit().await.unwrap(), (100, None));
    }
}

#[tokio::test]
async fn an_address_that_leads_nowhere_is_told_without_its_password() {
    for (url, expected) in [
        ("postgres://soc:hush@127.0.0.1:1/soc", "127.0.0.1:1/soc"),
        ("postgres://soc:hush@[", "postgres://user@host"),
    ] {
        let options = PostgresOptions {
            url: url.to_owned(),
            password: None,
        };
        let error = Store::connect(&options).await.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hush"), "{error}");
        assert!(!format!("{options:?}").contains("hush"));
    }
    let Some(server) = server() else { return };
    let options = PostgresOptions {
        url: server.database().unwrap(),
        password: Some("wrong".to_owned()),
    };
    let error = Store::connect(&options).await.unwrap_err().to_string();
    assert!(error.contains("password authentication failed"), "{error}");
    assert!(!error.contains("wrong"), "{error}");
}

/// The server is killed and comes back: calls fail with a word for it, and go on by themselves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_goes_away_and_returns() {
    let Some(mut server) = Postgres::start(Durability::Full).unwrap() else {
        return;
    };
    let options = PostgresOptions {
        url: server.database().unwrap(),
        password: None,
    };
    let store = Store::connect(&options).await.unwrap();
    let tenant = TenantId::main();
    let mut open = store.write(&tenant).await.unwrap();
    open.save_alert(&alert(1), &change()).await.unwrap();
    server.kill().unwrap();
    let lost = open.commit().await.unwrap_err();
    assert!(matches!(lost, StoreError::Unavailable(_)), "{lost:?}");
    let refused = store.read(&tenant).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable(_)), "{refused:?}");
    server.start_again(Durability::Full).unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut tx = loop {
        match store.write(&tenant).await {
            Ok(tx) => break tx,
            Err(StoreError::Unavailable(_)) if Instant::now() < deadline => {}
            Err(error) => panic!("{error:?}"),
        }
    };
    tx.save_alert(&alert(2), &change()).await.unwrap();
    tx.commit().await.unwrap();
    let mut reader = store.read(&tenant).await.unwrap();
    assert!(reader.q().alert(&alert(1).id).await.is_err());
    assert_eq!(reader.q().verify_audit().await.unwrap(), (1, None));
}
