//! The lake as a whole: events before and after they are files, needles, compaction, damage.

#[path = "lake/following.rs"]
mod following;

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use watchfloor_event::{EventId, Finding, FindingLevel};
use watchfloor_lake::{
    Lake, PendingCommit, PipeError, PipeRequest, RowsQuery, Run, SearchRequest, SortOrder,
};

mod common;
use common::{BATCH, batch, commit, files_below, found, start};

/// Each query has one answer, whatever became of the events.
async fn check(lake: &Lake, total: u64) {
    for position in [0, 1234, total / 2, total - 1] {
        let one = vec![position];
        assert_eq!(found(lake, &format!("user{position}")).await, one);
        assert_eq!(found(lake, &format!("user.name:USER{position}")).await, one);
        assert_eq!(
            found(lake, &format!("run{position}.exe")).await,
            one,
            "behind an escape"
        );
        let ip = format!("10.0.{}.{}", position / 256, position % 256);
        assert_eq!(found(lake, &format!("\"{ip}\"")).await, one);
        assert_eq!(found(lake, &format!("src_endpoint.ip:{ip}")).await, one);
        let third = position / 3 * 3;
        assert_eq!(
            found(lake, &format!("Token:tok{third}x")).await,
            vec![third]
        );
    }
    assert_eq!(found(lake, "user12").await, vec![12], "a word is whole");
    assert_eq!(found(lake, "user.name:*r1242").await, vec![1242]);
    assert!(found(lake, "user99999999").await.is_empty());
    let both = found(lake, "user7 or user.name:user8 or Token:tok9x").await;
    assert_eq!(both, vec![7, 8, 9]);
    let most = found(lake, "user.name:user12* -user12").await;
    let wanted = (13..total).filter(|number| number.to_string().starts_with("12"));
    assert_eq!(most, wanted.collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_found_once_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    let (committed, total) = (20 * BATCH, 21 * BATCH);
    for number in 0..20 {
        lake.show(&[batch(number * BATCH)], &[]);
        commit(&lake, number * BATCH).await;
    }
    lake.show(&[batch(committed)], &[]);
    check(&lake, total).await;
    assert_eq!(lake.stats().await.unwrap().rows, total);
    let ids: Vec<EventId> = [3, committed + 5]
        .map(|position| EventId::new(position, 0))
        .into();
    let mut events = lake.events(&ids).await.unwrap();
    events.sort_by_key(|event| event.id);
    let users: Vec<_> = events
        .iter()
        .map(|event| event.field("user.name"))
        .collect();
    assert_eq!(
        users,
        [
            Some("user3"),
            Some(format!("user{}", committed + 5).as_str())
        ]
    );

    let done = lake.maintain().await.unwrap();
    assert_eq!(
        (done.replaced, done.written),
        (40, 2),
        "20 commits over midnight"
    );
    check(&lake, total).await;
    assert_eq!(lake.stats().await.unwrap().files, 2);
    assert_eq!(lake.committed().await, committed);
    drop(lake);

    let lake = Lake::open(folder.path()).await.unwrap();
    assert_eq!(lake.committed().await, committed);
    assert_eq!(lake.stats().await.unwrap().rows, committed);
    check(&lake, committed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_that_are_damaged_or_gone_cost_time_and_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    for number in 0..3 {
        commit(&lake, number * BATCH).await;
    }
    drop(lake);
    let filters = files_below(folder.path(), ".needles");
    assert_eq!(filters.len(), 6);
    for filter in &filters[..2] {
        let mut bytes = std::fs::read(filter).unwrap();
        let last = bytes.len() - 40;
        bytes[last] ^= 0xff;
        bytes[40] ^= 0xff;
        std::fs::write(filter, bytes).unwrap();
    }
    std::fs::write(&filters[2], b"WFNEED01").unwrap();
    std::fs::remove_file(&filters[3]).unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    check(&lake, 3 * BATCH).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_unfinished_compaction_leaves_goes_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    commit(&lake, 0).await;
    drop(lake);
    let known = files_below(folder.path(), ".parquet");
    let left = known[0].with_file_name("merged-0-1-2.parquet");
    std::fs::copy(&known[0], &left).unwrap();
    let day = known[0].parent().unwrap().file_name().unwrap();
    let filter = folder
        .path()
        .join("_needles")
        .join(day)
        .join("merged-0-1-2.parquet.needles");
    std::fs::write(&filter, b"half").unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    assert!(!left.exists());
    check(&lake, BATCH.max(1500)).await;
    drop(lake);
    drop(Lake::open(folder.path()).await.unwrap());
    assert!(!filter.exists());
    assert_eq!(files_below(folder.path(), ".needles").len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_file_is_named_and_the_rest_answers() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    for number in 0..3 {
        commit(&lake, number * BATCH).await;
    }
    assert_eq!(lake.verify().await.unwrap(), []);
    let mut files = files_below(&folder.path().join("day=2026-11-20"), ".parquet");
    files.sort();
    // One loses its first bytes, one its end, one goes.
    let mut bytes = std::fs::read(&files[0]).unwrap();
    bytes[4..4000].fill(0);
    std::fs::write(&files[0], bytes).unwrap();
    std::fs::write(&files[1], b"PAR1").unwrap();
    std::fs::remove_file(&files[2]).unwrap();
    drop(lake);

    let lake = Lake::open(folder.path()).await.unwrap();
    assert_eq!(
        lake.stats().await.unwrap().unread,
        1,
        "the one that is gone"
    );
    let request = SearchRequest {
        query: watchfloor_query::parse("user.name:user*").unwrap(),
        from: start() - SignedDuration::from_hours(24),
        to: start() + SignedDuration::from_hours(24),
        limit: 10,
        order: SortOrder::OldestFirst,
        with_findings: false,
        bucket_seconds: 0,
    };
    let found = lake.search(&request).await.unwrap();
    assert_eq!(found.unread.len(), 3);
    let after_midnight = found.total;
    for text in ["events | count", "select count(*) from events"] {
        let asked = PipeRequest {
            query: RowsQuery::parse(text).unwrap(),
            from: request.from,
            to: request.to,
            limit: 1,
            since: None,
            run: Run::within(std::time::Duration::from_secs(60)),
        };
        // The second lake meets the damage by itself.
        for lake in [&lake, &Lake::open(folder.path()).await.unwrap()] {
            let found = lake.pipe(&asked).await.unwrap();
            assert_eq!(found.unread.len(), 3, "{text}");
            assert_eq!(found.rows, [[after_midnight]], "{text}");
        }
    }
    assert!(after_midnight > 0 && after_midnight < 3 * BATCH);

    let repaired = lake.repair().await.unwrap();
    let lost: u64 = repaired.iter().map(|damage| damage.rows).sum();
    assert_eq!(lost, 3 * BATCH - after_midnight);
    assert!(
        repaired.iter().all(|damage| damage.repair.is_some()),
        "{repaired:?}"
    );
    assert_eq!(
        files_below(&folder.path().join("_damaged"), ".parquet").len(),
        2
    );
    drop(lake);
    let lake = Lake::open(folder.path()).await.unwrap();
    assert_eq!(lake.verify().await.unwrap(), []);
    assert_eq!(lake.stats().await.unwrap().rows, after_midnight);
    assert_eq!(lake.committed().await, 3 * BATCH);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_is_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    commit(&lake, 0).await;
    let filters = files_below(folder.path(), ".needles");
    let whole = std::fs::read(&filters[0]).unwrap();
    std::fs::write(&filters[0], &whole[..whole.len() / 2]).unwrap();
    std::fs::remove_file(&filters[1]).unwrap();
    assert_eq!(lake.verify().await.unwrap().len(), 2);
    let repaired = lake.repair().await.unwrap();
    assert!(
        repaired.iter().all(|damage| damage.rows == 0),
        "{repaired:?}"
    );
    assert_eq!(std::fs::read(&filters[0]).unwrap(), whole);
    assert_eq!(lake.verify().await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_reads_and_does_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    commit(&lake, 0).await;
    lake.show(&[batch(BATCH)], &[]);
    let ask = |text: &str| PipeRequest {
        query: RowsQuery::Sql(text.to_owned()),
        from: start() - SignedDuration::from_hours(24),
        to: start() + SignedDuration::from_hours(24),
        limit: 5,
        since: None,
        run: Run::within(std::time::Duration::from_secs(60)),
    };
    let found = lake
        .pipe(&ask(
            "SELECT count(*) AS n, count(DISTINCT user_name) FROM events",
        ))
        .await
        .unwrap();
    assert_eq!(found.columns[0].name, "n");
    assert_eq!(found.rows, [[2 * BATCH, 2 * BATCH]]);
    let found = lake
        .pipe(&ask("with u as (select user_name from events where lower(user_name) = 'user7') select * from u"))
        .await
        .unwrap();
    assert_eq!(found.rows, [["user7"]]);
    let found = lake
        .pipe(&ask("select user_name from events order by position"))
        .await
        .unwrap();
    assert!(found.is_capped && found.rows.len() == 5);
    let outside = PipeRequest {
        to: start() - SignedDuration::from_hours(1),
        ..ask("select 1 from events")
    };
    assert!(lake.pipe(&outside).await.unwrap().rows.is_empty());
    for (text, place, says) in [
        ("select usr_name from events", 7, "usr_name"),
        ("select user_name frm events", 0, "found"),
        ("select * from\n nothing", 0, "nothing"),
        ("select * from '/etc/passwd'", 0, "passwd"),
        ("drop table events", 0, "DDL"),
        ("insert into events select * from events", 0, "DML"),
        ("set datafusion.execution.batch_size = 1", 0, "Statement"),
        ("copy events to '/tmp/x.csv'", 0, "DML"),
    ] {
        let Err(PipeError::Query(error)) = lake.pipe(&ask(text)).await else {
            panic!("{text} is no error of the query");
        };
        assert!(error.message.contains(says), "{text}: {}", error.message);
        assert!(
            error.start >= place && error.end <= text.len(),
            "{text}: {error:?}"
        );
    }
}

/// One finding on an event, at its time.
fn finding(position: u64) -> Finding {
    let meta = batch(0).rows()[position as usize].clone();
    Finding {
        id: format!("finding-{position}"),
        rule_id: "rule".to_owned(),
        rule_version: "0123456789ab".to_owned(),
        title: "A login".to_owned(),
        level: FindingLevel::High,
        time: meta.time,
        first_time: meta.time,
        source: "test".to_owned(),
        event_ids: vec![EventId::new(position, 0)],
        event_count: 1,
        summary: "somebody signed in".to_owned(),
        reasons: Vec::new(),
        entities: Vec::new(),
        tactics: Vec::new(),
        techniques: Vec::new(),
    }
}

/// Rows of an aggregation over some time.
async fn counted(lake: &Lake, query: &str, from: Timestamp, to: Timestamp) -> Vec<u64> {
    let request = PipeRequest {
        query: RowsQuery::parse(query).unwrap(),
        from,
        to,
        since: None,
        limit: 100,
        run: Run::within(std::time::Duration::from_secs(60)),
    };
    let found = lake.pipe(&request).await.unwrap();
    let first = |row: &Vec<serde_json::Value>| row[0].as_u64().unwrap();
    found.rows.iter().map(first).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn findings_stand_apart_and_counts_are_true_at_every_edge_of_time() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    for number in 0..16 {
        let first = number * BATCH;
        let pending = PendingCommit {
            batches: vec![batch(first)],
            findings: match number {
                0 => [3, 700, 1400]
                    .map(|position| (position, finding(position)))
                    .into(),
                _ => Vec::new(),
            },
            end: first + BATCH,
        };
        lake.commit(pending).await.unwrap();
    }
    let apart = |folder: &Path| {
        let files = files_below(folder, "-findings.parquet");
        files.len()
    };
    assert!(
        (1..=2).contains(&apart(folder.path())),
        "of one or two days"
    );
    let total = 16 * BATCH;
    let times: Vec<Timestamp> = (0..16)
        .flat_map(|number| {
            batch(number * BATCH)
                .rows()
                .iter()
                .map(|row| row.time)
                .collect::<Vec<_>>()
        })
        .collect();
    let (least, most) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    for is_compacted in [false, true] {
        if is_compacted {
            lake.compact().await.unwrap();
        }
        let edges = [
            (Timestamp::MIN, Timestamp::MAX),
            (least, most),
            (least + SignedDuration::from_micros(1), Timestamp::MAX),
            (Timestamp::MIN, most + SignedDuration::from_micros(1)),
            (
                start() + SignedDuration::from_secs(100),
                start() + SignedDuration::from_secs(7000),
            ),
            (most, least),
        ];
        for (from, to) in edges {
            let wanted = times
                .iter()
                .filter(|time| (from..to).contains(*time))
                .count() as u64;
            for query in [
                "events | count",
                "SELECT count(*) FROM events",
                "SELECT count(user_name) FROM events",
            ] {
                let found = counted(&lake, query, from, to).await;
                assert_eq!(found, [wanted], "{query}, {from} to {to}");
            }
        }
        let (from, to) = (Timestamp::MIN, Timestamp::MAX);
        let by_kind = "SELECT count(*) AS n FROM events GROUP BY kind ORDER BY n";
        assert_eq!(counted(&lake, by_kind, from, to).await, [total]);
        assert_eq!(
            counted(&lake, "SELECT count(*) FROM findings", from, to).await,
            [3]
        );
        let of_rule = lake.findings_by_rule(Timestamp::MIN).await.unwrap();
        assert_eq!(
            of_rule.iter().map(|rule| rule.findings).collect::<Vec<_>>(),
            [3]
        );
        assert_eq!(lake.stats().await.unwrap().rows, total + 3);
    }
}
