//! Events for the lake's tests.

// Each test binary uses a part.
#![allow(dead_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use watchfloor_event::{EventBatch, EventKind, Format, Namespace, RawRecord, ValueRef, ocsf};
use watchfloor_lake::{Lake, PendingCommit, SearchRequest, SortOrder};

pub(crate) const BATCH: u64 = 1500;

pub(crate) fn start() -> Timestamp {
    "2026-11-20T22:00:00Z".parse().unwrap()
}

/// Events of which every third has a user of its own, in the disorder in which they arrive.
pub(crate) fn batch(first: u64) -> Arc<EventBatch> {
    batch_of("test", first, start())
}

/// The same of a source, received at a time.
pub(crate) fn batch_of(source: &str, first: u64, received_at: Timestamp) -> Arc<EventBatch> {
    let kind = Arc::new(EventKind {
        name: Arc::from("test/login"),
        product: Arc::from("Test"),
        class_uid: ocsf::class_uid("authentication").unwrap(),
        logsources: Vec::new(),
    });
    let mut batch = EventBatch::new();
    let kind = batch.intern_kind(&kind);
    for position in first..first + BATCH {
        let (user, ip) = (
            format!("user{position}"),
            format!("10.0.{}.{}", position / 256, position % 256),
        );
        let raw = format!("login of {user} from {ip}: Straße \"C:\\\\tools\\nrun{position}.exe\"");
        let record = RawRecord {
            source: Arc::from(source),
            format: Format::Auto,
            context: None,
            position,
            received_at,
            bytes: Bytes::from(raw),
        };
        let row = batch.push_row(&record, 0);
        let meta = batch.row_mut(row);
        meta.kind = kind;
        meta.time = start() + SignedDuration::from_secs(((position * 7919) % 14_400) as i64);
        batch.set(Namespace::Ocsf, "user.name", row, ValueRef::str(&user));
        batch.set(Namespace::Ocsf, "src_endpoint.ip", row, ValueRef::str(&ip));
        if position.is_multiple_of(3) {
            batch.set(
                Namespace::Source,
                "Token",
                row,
                ValueRef::str(&format!("tok{position}x")),
            );
        }
    }
    Arc::new(batch)
}

pub(crate) async fn commit(lake: &Lake, first: u64) {
    commit_of(lake, batch(first), first).await;
}

pub(crate) async fn commit_of(lake: &Lake, batch: Arc<EventBatch>, first: u64) {
    let pending = PendingCommit {
        batches: vec![batch],
        findings: Vec::new(),
        end: first + BATCH,
    };
    lake.commit(pending).await.unwrap();
}

pub(crate) async fn found(lake: &Lake, query: &str) -> Vec<u64> {
    let request = SearchRequest {
        query: watchfloor_query::parse(query).unwrap(),
        from: start() - SignedDuration::from_hours(24),
        to: start() + SignedDuration::from_hours(24),
        limit: 10_000,
        order: SortOrder::OldestFirst,
        with_findings: false,
        bucket_seconds: 0,
    };
    let result = lake.search(&request).await.unwrap();
    assert_eq!(result.total, result.events.len() as u64, "{query}");
    let mut positions: Vec<u64> = result
        .events
        .iter()
        .map(|event| event.id.position())
        .collect();
    positions.sort_unstable();
    positions
}

pub(crate) fn files_below(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(files_below(&path, suffix));
        } else if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    found
}
