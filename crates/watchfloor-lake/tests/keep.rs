//! How long events are kept: retention, holds, the cold table, deletion on demand, and what the
//! lake says that it takes.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use watchfloor_lake::{Hold, Kept, Lake, Place, Places, Policy, RetentionRule};
use watchfloor_query::TextPattern;

mod common;
use common::{BATCH, batch_of, commit_of, files_below, found, start};

fn days(count: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * count)
}

/// Two sources, each received today and forty days ago.
async fn filled(lake: &Lake) -> Timestamp {
    let now = start() + days(40);
    let parts = [
        ("fw-1", start()),
        ("sshd", start()),
        ("fw-1", now),
        ("sshd", now),
    ];
    for (number, (source, received_at)) in parts.into_iter().enumerate() {
        let first = number as u64 * BATCH;
        commit_of(lake, batch_of(source, first, received_at), first).await;
    }
    now
}

fn rule(source: &str, days: u32) -> RetentionRule {
    RetentionRule {
        source: Some(TextPattern::Wildcard(source.to_owned())),
        class_uid: None,
        days,
    }
}

fn hold(query: &str) -> Hold {
    Hold {
        query: watchfloor_query::parse(query).unwrap(),
        from: None,
        to: None,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_over_its_time_goes_and_what_is_held_stays() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    let now = filled(&lake).await;
    lake.compact().await.unwrap();
    let forever = lake.keep(&Policy::default(), now).await.unwrap();
    assert_eq!(forever, Kept::default());

    let policy = Policy {
        rules: vec![rule("FW-*", 30)],
        default_days: Some(60),
        cold_after_days: None,
        holds: vec![hold("user.name:user7 or user5000")],
    };
    let kept = lake.keep(&policy, now).await.unwrap();
    // Of the old firewall's events all but one; user5000 is new.
    assert_eq!((kept.expired, kept.held), (BATCH - 1, 1));
    assert_eq!(
        found(&lake, "source:fw-1 user.name:*").await.len() as u64,
        BATCH + 1
    );
    assert_eq!(found(&lake, "user7").await, vec![7]);
    assert_eq!(
        found(&lake, "source:sshd user.name:*").await.len() as u64,
        2 * BATCH
    );
    assert!(found(&lake, "user8").await.is_empty());
    let again = lake.keep(&policy, now).await.unwrap();
    assert_eq!((again.expired, again.held), (0, 1));

    // Released, it goes; and in a hundred days everything does, and the files with it.
    let released = Policy {
        holds: Vec::new(),
        ..policy
    };
    assert_eq!(lake.keep(&released, now).await.unwrap().expired, 1);
    let later = now + days(100);
    assert_eq!(
        lake.keep(&released, later).await.unwrap().expired,
        3 * BATCH
    );
    let stats = lake.stats().await.unwrap();
    assert_eq!((stats.rows, stats.files), (0, 0));
    drop(lake);
    let lake = Lake::open(folder.path()).await.unwrap();
    assert_eq!(lake.stats().await.unwrap().rows, 0);
    assert_eq!(lake.committed().await, 4 * BATCH, "the position stays");
    assert!(lake.verify().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_person_is_deleted_from_tables_and_disk_but_not_from_a_hold() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    filled(&lake).await;
    // What compaction replaced stays on disk for an hour, and must not outlive a deletion.
    lake.compact().await.unwrap();
    let files = files_below(folder.path(), ".parquet").len() as u64;
    assert!(files > lake.stats().await.unwrap().files);
    let query = watchfloor_query::parse("user.name:user1*").unwrap();
    let holds = [hold("user.name:user17")];
    let all = found(&lake, "user.name:user1*").await.len() as u64;
    let rehearsed = lake.would_erase(&query, &holds).await.unwrap();
    assert_eq!((rehearsed.events, rehearsed.held), (all - 1, 1));
    assert_eq!(found(&lake, "user.name:user1*").await.len() as u64, all);

    let erased = lake.erase(&query, &holds, Duration::ZERO).await.unwrap();
    assert_eq!(erased, rehearsed);
    assert_eq!(found(&lake, "user.name:user1*").await, vec![17]);
    assert_eq!(found(&lake, "user18").await, Vec::<u64>::new());
    assert_eq!(found(&lake, "user20").await, vec![20]);
    let left = files_below(folder.path(), ".parquet");
    assert_eq!(left.len() as u64, lake.stats().await.unwrap().files);
    assert_eq!(files_below(folder.path(), ".needles").len(), left.len());
    drop(lake);
    let lake = Lake::open(folder.path()).await.unwrap();
    assert_eq!(found(&lake, "user.name:user1*").await, vec![17]);
    assert!(lake.verify().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cold_files_move_and_are_read_once_wherever_a_crash_left_them() {
    let (hot, cold) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let places = Places {
        hot: Place::Folder(hot.path().to_owned()),
        cold: Some(Place::Folder(cold.path().to_owned())),
        former: Vec::new(),
    };
    let lake = Lake::open_at(&places).await.unwrap();
    let now = filled(&lake).await;
    let policy = Policy {
        cold_after_days: Some(7),
        ..Policy::default()
    };
    // As if a crash came between the two entries: a file stands in both tables.
    let twice = files_below(hot.path(), ".parquet");
    let kept = lake.keep(&policy, now).await.unwrap();
    assert_eq!(kept.moved, twice.len() as u64);
    let total = 4 * BATCH;
    assert_eq!(found(&lake, "user.name:*").await.len() as u64, total);
    assert_eq!(found(&lake, "user4321").await, vec![4321]);
    let usage = lake.usage().await.unwrap();
    assert_eq!(usage.tiers[0].files, 0);
    assert!(usage.tiers[1].is_cold && usage.tiers[1].files == kept.moved);
    drop(lake);

    // The hot table as it was before the files were taken out of it.
    let log = hot.path().join("_delta_log");
    let mut entries = files_below(&log, ".json");
    entries.sort();
    for entry in &entries[entries.len() - twice.len()..] {
        std::fs::remove_file(entry).unwrap();
    }
    let lake = Lake::open_at(&places).await.unwrap();
    assert_eq!(lake.stats().await.unwrap().rows, total);
    assert_eq!(found(&lake, "user.name:*").await.len() as u64, total);
    lake.keep(&policy, now).await.unwrap();
    assert_eq!(lake.usage().await.unwrap().tiers[0].files, 0);
    assert_eq!(found(&lake, "user.name:*").await.len() as u64, total);
    // Cold files are deleted on demand like others.
    let query = watchfloor_query::parse("user9").unwrap();
    let erased = lake.erase(&query, &[], Duration::ZERO).await.unwrap();
    assert_eq!(erased.events, 1);
    assert!(found(&lake, "user9").await.is_empty());
    assert_eq!(lake.stats().await.unwrap().rows, total - 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_lake_says_what_it_takes_and_for_whom() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    filled(&lake).await;
    for _ in 0..2 {
        let usage = lake.usage().await.unwrap();
        let sources: Vec<_> = usage
            .sources
            .iter()
            .map(|(name, amount)| (name.as_str(), amount.rows))
            .collect();
        assert_eq!(sources, [("fw-1", 2 * BATCH), ("sshd", 2 * BATCH)]);
        let stats = lake.stats().await.unwrap();
        let bytes: u64 = usage.sources.values().map(|amount| amount.bytes).sum();
        assert!(
            stats.bytes - bytes <= stats.files * 4,
            "{bytes} of {}",
            stats.bytes
        );
        let raw: u64 = usage.days.values().map(|amount| amount.raw_bytes).sum();
        let events = (0..4 * BATCH).map(|position| {
            let ip = format!("10.0.{}.{}", position / 256, position % 256);
            format!("login of user{position} from {ip}: Straße \"C:\\\\tools\\nrun{position}.exe\"")
                .len()
        });
        assert_eq!(raw, events.sum::<usize>() as u64);
        assert_eq!(usage.days.len(), 2, "over midnight");
        assert!(usage.tiers[0].filter_bytes > 0 && usage.unknown_files == 0);
        // What compaction writes says the same.
        lake.compact().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_called_deleted_that_may_be_in_a_file_nobody_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    filled(&lake).await;
    drop(lake);
    std::fs::remove_file(&files_below(folder.path(), ".parquet")[0]).unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    let query = watchfloor_query::parse("user9").unwrap();
    for outcome in [
        lake.would_erase(&query, &[]).await,
        lake.erase(&query, &[], Duration::ZERO).await,
    ] {
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains("lake repair"), "{error}");
    }
}
