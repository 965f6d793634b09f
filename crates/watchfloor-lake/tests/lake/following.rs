//! What arrives is followed; searches answer in parts; fields are counted; rows are exported.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::SignedDuration;
use watchfloor_lake::{
    ExportQuery, Lake, Limit, Part, PipeError, PipePart, PipeRequest, Progress, RowsQuery, Run,
    SearchRequest, SortOrder, TailPlan, Tailed,
};

use super::common::{BATCH, batch, commit, start};

const MINUTE: Duration = Duration::from_secs(60);

fn search(text: &str, limit: usize, order: SortOrder) -> SearchRequest {
    SearchRequest {
        query: watchfloor_query::parse(text).unwrap(),
        from: start() - SignedDuration::from_hours(24),
        to: start() + SignedDuration::from_hours(24),
        limit,
        order,
        with_findings: false,
        bucket_seconds: 3600,
    }
}

fn rows(text: &str) -> PipeRequest {
    PipeRequest {
        query: RowsQuery::parse(text).unwrap(),
        from: start() - SignedDuration::from_hours(24),
        to: start() + SignedDuration::from_hours(24),
        since: None,
        limit: 10_000,
        run: Run::within(MINUTE),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_arrives_is_asked_the_same_questions() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Arc::new(Lake::open(folder.path()).await.unwrap());
    commit(&lake, 0).await;
    let plan = |text: &str| TailPlan::parse(text).unwrap();
    let mut events = lake.tail(plan("user.name:(user1 or user1501 or user1502)"));
    let mut made = lake.tail(plan(
        "events | where user.name == 'user1501' | project n = strlen(user.name)",
    ));
    let mut whole = lake.tail(plan("events | summarize count()"));
    let since = lake.arrived();
    lake.show(&[batch(BATCH)], &[]);

    let Tailed::Events(found, count) = events.next(1).await.unwrap().unwrap() else {
        panic!("no events");
    };
    // The newest of those that arrived; what was there before is not told again.
    assert_eq!((found.len(), count), (1, 2));
    assert_eq!(found[0].field("user.name"), Some("user1502"));
    let Tailed::Rows(columns, rows_made, count) = made.next(10).await.unwrap().unwrap() else {
        panic!("no rows");
    };
    assert_eq!((columns[0].name.as_str(), count), ("n", 1));
    assert_eq!(rows_made, [[8]]);
    assert_eq!(whole.next(0).await.unwrap(), Some(Tailed::Again));
    let again = PipeRequest {
        since: Some(since),
        ..rows("events | summarize count()")
    };
    assert_eq!(lake.pipe(&again).await.unwrap().rows, [[BATCH]]);
    assert!(TailPlan::parse("user.name:\"").is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_slow_is_told_what_it_missed() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Arc::new(Lake::open(folder.path()).await.unwrap());
    let mut slow = lake.tail(TailPlan::parse("").unwrap());
    lake.show(&[batch(0)], &[]);
    let Tailed::Events(first, count) = slow.next(3).await.unwrap().unwrap() else {
        panic!("no events");
    };
    assert_eq!((first.len(), count), (3, BATCH));
    let one = batch(BATCH);
    for _ in 0..200 {
        lake.show(&[Arc::clone(&one)], &[]);
    }
    let mut seen = 0;
    let Tailed::Missed(missed) = slow.next(3).await.unwrap().unwrap() else {
        panic!("nothing was missed");
    };
    while seen + missed < 200 * BATCH {
        let Tailed::Events(_, count) = slow.next(1).await.unwrap().unwrap() else {
            panic!("something was missed again");
        };
        seen += count;
    }
    assert_eq!(
        seen + missed,
        200 * BATCH,
        "each event is either told or counted as missed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_in_parts_ends_with_the_same_answer() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    for number in 0..4 {
        commit(&lake, number * BATCH).await;
    }
    lake.show(&[batch(4 * BATCH)], &[]);
    for (text, limit) in [
        ("", 40),
        ("user.name:user7*", 25),
        ("user.name:user3001", 10),
        ("nothing", 5),
    ] {
        for order in [SortOrder::NewestFirst, SortOrder::OldestFirst] {
            let request = search(text, limit, order);
            let whole = lake.search(&request).await.unwrap();
            let parts: Mutex<Vec<Part>> = Mutex::default();
            let run = Run::within(MINUTE);
            let end = lake.search_parts(&request, &run, |part| {
                parts.lock().unwrap().push(part);
                std::future::ready(())
            });
            let end = end.await.unwrap();
            let parts = parts.into_inner().unwrap();
            assert_eq!((end.total, end.cut), (whole.total, None), "{text}");
            let last = parts.last().unwrap();
            assert_eq!(last.histogram, whole.histogram, "{text}");
            assert_eq!((last.files_read, last.files > 3), (last.files, true));
            assert!(parts.windows(2).all(|two| two[0].total <= two[1].total));
            let mut events: Vec<_> = parts.into_iter().flat_map(|part| part.events).collect();
            events.sort_by_key(|event| (event.time, event.id));
            if order == SortOrder::NewestFirst {
                events.reverse();
            }
            events.truncate(limit);
            assert_eq!(events, whole.events, "{text} {order:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_ends_a_search_and_says_which_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    for number in 0..3 {
        commit(&lake, number * BATCH).await;
    }
    let narrow = |bytes| Run {
        progress: Arc::new(Progress::up_to(bytes)),
        ..Run::within(MINUTE)
    };
    let request = search("", 10, SortOrder::NewestFirst);
    let run = narrow(20_000);
    let end = lake.search_parts(&request, &run, |_| std::future::ready(()));
    let end = end.await.unwrap();
    assert_eq!(end.cut, Some(Limit::Bytes));
    assert!(end.total < 3 * BATCH && end.unread.is_empty(), "{end:?}");
    // A limit is no damage: the files are whole afterwards.
    assert_eq!(lake.stats().await.unwrap().unread, 0);
    let asked = PipeRequest {
        run: narrow(2_000),
        ..rows("events | summarize make_set(raw)")
    };
    let stopped = lake.pipe(&asked).await.unwrap_err();
    assert!(
        matches!(stopped, PipeError::Limited(Limit::Bytes, _)),
        "{stopped:?}"
    );
    let asked = PipeRequest {
        run: Run::within(Duration::ZERO),
        ..rows("events | count")
    };
    let stopped = lake.pipe(&asked).await.unwrap_err();
    assert!(
        matches!(stopped, PipeError::Limited(Limit::Time, _)),
        "{stopped:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_come_as_they_are_found_and_progress_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    for number in 0..3 {
        commit(&lake, number * BATCH).await;
    }
    let request = rows("events | project user.name");
    let parts: Mutex<Vec<PipePart>> = Mutex::default();
    let end = lake.pipe_into(&request, |part| {
        parts.lock().unwrap().push(part);
        std::future::ready(())
    });
    let end = end.await.unwrap();
    let parts = parts.into_inner().unwrap();
    let PipePart::Columns(columns, _) = &parts[0] else {
        panic!("columns come first");
    };
    assert_eq!((columns.len(), end.is_capped), (1, false));
    let rows = parts.iter().map(|part| match part {
        PipePart::Rows(rows) => rows.len() as u64,
        PipePart::Columns(..) => 0,
    });
    assert_eq!(rows.sum::<u64>(), 3 * BATCH);
    let (read, files) = request.run.progress.files();
    assert!(read == files && files > 1, "{read} of {files}");
    assert!(request.run.progress.bytes() > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fields_are_counted_over_all_that_matches() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    commit(&lake, 0).await;
    lake.show(&[batch(BATCH)], &[]);
    let request = search("", 1, SortOrder::NewestFirst);
    let run = Run::within(MINUTE);
    let counted = lake.statistics(&request, (&run, MINUTE), 3).await.unwrap();
    assert_eq!((counted.events, counted.is_whole), (2 * BATCH, true));
    let field = |name: &str| {
        counted
            .fields
            .iter()
            .find(|field| field.name == name)
            .unwrap()
    };
    assert_eq!(field("source").top, [("test".to_owned(), 2 * BATCH)]);
    let users = field("user.name");
    assert_eq!(
        (users.count, users.distinct, users.top.len(), users.has_more),
        (2 * BATCH, 2 * BATCH, 3, false)
    );
    assert_eq!(field("unmapped.Token").count, 2 * BATCH / 3);
    // Without time nothing is counted, and that is said.
    let none = lake
        .statistics(&request, (&run, Duration::ZERO), 3)
        .await
        .unwrap();
    assert!(!none.is_whole);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_are_found_for_those_who_write_a_question() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    commit(&lake, 0).await;
    lake.show(&[batch(BATCH)], &[]);
    let values = |field: &'static str, begin: &'static str| {
        let lake = &lake;
        async move {
            let found = lake.values(field, begin, 5, MINUTE).await;
            found
                .into_iter()
                .map(|(value, _)| value)
                .collect::<Vec<_>>()
        }
    };
    assert_eq!(values("source", "").await, ["test"]);
    // From files and from memory, by any name of the field, letter case aside.
    assert_eq!(values("user.name", "USER149").await.len(), 5);
    assert_eq!(values("TargetUserName", "user2999").await, ["user2999"]);
    assert_eq!(values("Token", "tok2997").await, ["tok2997x"]);
    assert!(values("user.name", "100%").await.is_empty());
    assert!(
        lake.values("user.name", "", 5, Duration::ZERO)
            .await
            .is_empty()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exports_are_parquet_that_says_what_was_left_out() {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path()).await.unwrap();
    commit(&lake, 0).await;
    let exported = |query: ExportQuery, limit: usize| {
        let request = PipeRequest {
            limit,
            ..rows("events")
        };
        let lake = &lake;
        async move {
            let bytes: Mutex<Vec<u8>> = Mutex::default();
            let end = lake.export_parquet(&query, &request, |piece| {
                bytes.lock().unwrap().extend_from_slice(&piece);
                std::future::ready(())
            });
            let end = end.await.unwrap();
            let bytes = bytes::Bytes::from(bytes.into_inner().unwrap());
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
            let batches = reader.build().unwrap().map(Result::unwrap);
            let batches: Vec<_> = batches.collect();
            let read: usize = batches.iter().map(|batch| batch.num_rows()).sum();
            (end, read, batches)
        }
    };
    let all = ExportQuery::Events(watchfloor_query::parse("user.name:user*").unwrap());
    let (end, read, batches) = exported(all, 100).await;
    assert_eq!((end.rows, end.is_capped, read), (100, true, 100));
    assert!(
        batches[0].column_by_name("raw").is_some()
            && batches[0].column_by_name("unmapped").is_some()
    );
    let text = "events | extend list = pack_array(1, 'a'), age = now() - time, doc = bag_pack('k', 1) | project time, user.name, list, age, doc, nothing = dynamic(null)";
    let (end, read, batches) =
        exported(ExportQuery::Rows(RowsQuery::parse(text).unwrap()), 5_000).await;
    assert_eq!(
        (end.rows, end.is_capped, read as u64),
        (BATCH, false, BATCH)
    );
    assert_eq!(batches[0].num_columns(), 6);
}
