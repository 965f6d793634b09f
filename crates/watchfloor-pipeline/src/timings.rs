//! How long each stage worked, for the benchmark and `/metrics`.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

/// Time spent per stage since start.
#[derive(Debug, Default)]
pub struct Timings {
    decode_ns: AtomicU64,
    normalize_ns: AtomicU64,
    detect_ns: AtomicU64,
    commit_ns: AtomicU64,
    events: AtomicU64,
    findings: AtomicU64,
    commits: AtomicU64,
    /// Time of receipt of the last record that can be searched, microseconds since 1970.
    shown_us: AtomicI64,
    /// Journal position after it.
    shown_end: AtomicU64,
}

/// The stages that are timed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    Decode,
    Normalize,
    Detect,
    Commit,
}

/// Time spent per stage, in nanoseconds of wall time of the stage's own thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StageTimes {
    /// Bytes to fields.
    pub decode_ns: u64,
    /// Fields to OCSF.
    pub normalize_ns: u64,
    /// Rules.
    pub detect_ns: u64,
    /// Encoding, writing and syncing of the lake.
    pub commit_ns: u64,
    /// Events that went through.
    pub events: u64,
    /// Findings that came out.
    pub findings: u64,
    /// Commits made.
    pub commits: u64,
}

impl Timings {
    pub(crate) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let result = work();
        self.add(stage, start);
        result
    }

    pub(crate) fn add(&self, stage: Stage, start: Instant) {
        let counter = match stage {
            Stage::Decode => &self.decode_ns,
            Stage::Normalize => &self.normalize_ns,
            Stage::Detect => &self.detect_ns,
            Stage::Commit => &self.commit_ns,
        };
        let nanos = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counter.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(crate) fn count(&self, events: u64, findings: u64) {
        self.events.fetch_add(events, Ordering::Relaxed);
        self.findings.fetch_add(findings, Ordering::Relaxed);
    }

    pub(crate) fn count_commit(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_shown(&self, last_received_us: i64, end: u64) {
        self.shown_us.store(last_received_us, Ordering::Relaxed);
        self.shown_end.store(end, Ordering::Relaxed);
    }

    /// When the last record that can be searched was received, in microseconds since 1970 (0
    /// before the first), and the journal position after it.
    pub(crate) fn shown(&self) -> (i64, u64) {
        let end = self.shown_end.load(Ordering::Relaxed);
        (self.shown_us.load(Ordering::Relaxed), end)
    }

    /// The figures now.
    pub fn read(&self) -> StageTimes {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StageTimes {
            decode_ns: get(&self.decode_ns),
            normalize_ns: get(&self.normalize_ns),
            detect_ns: get(&self.detect_ns),
            commit_ns: get(&self.commit_ns),
            events: get(&self.events),
            findings: get(&self.findings),
            commits: get(&self.commits),
        }
    }
}
