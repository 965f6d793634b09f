//! Live figures per source, for the Sources page. They start anew with the process; the
//! ledger holds what must last.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use watchfloor_event::{AnomalyCode, EventBatch};

/// Minutes of the rate curve.
const MINUTES: usize = 60;
/// Most sources with live figures.
const MAX_SOURCES: usize = 10_000;
/// Most bytes of an example.
const MAX_EXAMPLE_BYTES: usize = 500;
/// Most products named per source.
const MAX_PRODUCTS: usize = 20;

/// How often an oddity was met, with an example.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnomalyCount {
    /// Times.
    pub count: u64,
    /// The beginning of a record that had it.
    pub example: String,
    /// What the decoder or mapper said of it.
    pub detail: String,
}

/// Live figures of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceStatus {
    /// First record since the program started.
    pub first_seen: Timestamp,
    /// Last record.
    pub last_seen: Timestamp,
    /// Events.
    pub events: u64,
    /// Events of a kind that a pack knows.
    pub understood: u64,
    /// Events per minute of the last hour, oldest first.
    pub rate: Vec<u64>,
    /// Products.
    pub products: BTreeSet<String>,
    /// Oddities.
    pub anomalies: BTreeMap<AnomalyCode, AnomalyCount>,
    /// Milliseconds from an event's own time to its receipt, the median of the last ones.
    pub delay_ms: Option<i64>,
}

/// Delays of which the median is given.
const DELAYS: usize = 63;

#[derive(Debug)]
struct Source {
    status: SourceStatus,
    delays: VecDeque<i64>,
    minutes: [u64; MINUTES],
    minute: i64,
}

/// Live figures of all sources.
#[derive(Debug, Default)]
pub struct Sources {
    by_name: Mutex<BTreeMap<String, Source>>,
}

impl Sources {
    pub(crate) fn count(&self, batch: &EventBatch) {
        let mut sources = self.lock();
        for meta in batch.rows() {
            if !sources.contains_key(&*meta.source) {
                if sources.len() >= MAX_SOURCES {
                    continue;
                }
                sources.insert(meta.source.to_string(), Source::new(meta.received_at));
            }
            let Some(source) = sources.get_mut(&*meta.source) else {
                continue;
            };
            source.advance(meta.received_at);
            source.minutes[slot(source.minute)] += 1;
            let status = &mut source.status;
            status.last_seen = status.last_seen.max(meta.received_at);
            status.events += 1;
            if meta.has_own_time {
                if source.delays.len() >= DELAYS {
                    source.delays.pop_front();
                }
                let delay = meta.received_at.duration_since(meta.time);
                source
                    .delays
                    .push_back(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX));
            }
            if meta.kind != 0 {
                status.understood += 1;
                let product = &batch.kinds()[usize::from(meta.kind)].product;
                if !status.products.contains(&**product) && status.products.len() < MAX_PRODUCTS {
                    status.products.insert(product.to_string());
                }
            }
        }
        for (row, anomaly) in batch.anomalies() {
            let meta = &batch.rows()[*row];
            let Some(source) = sources.get_mut(&*meta.source) else {
                continue;
            };
            let entry = source.status.anomalies.entry(anomaly.code).or_default();
            entry.count += 1;
            if entry.example.is_empty() {
                let end = meta.raw.len().min(MAX_EXAMPLE_BYTES);
                entry.example = String::from_utf8_lossy(&meta.raw[..end]).into_owned();
                entry.detail.clone_from(&anomaly.detail);
            }
        }
    }

    /// All sources by name.
    pub fn read(&self, now: Timestamp) -> BTreeMap<String, SourceStatus> {
        let mut sources = self.lock();
        sources
            .iter_mut()
            .map(|(name, source)| {
                source.advance(now);
                let oldest = source.minute + 1;
                let rate = (0..MINUTES as i64).map(|offset| source.minutes[slot(oldest + offset)]);
                let mut status = source.status.clone();
                status.rate = rate.collect();
                let mut delays: Vec<i64> = source.delays.iter().copied().collect();
                delays.sort_unstable();
                status.delay_ms = delays.get(delays.len() / 2).copied();
                (name.clone(), status)
            })
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Source>> {
        self.by_name.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    fn new(now: Timestamp) -> Self {
        Self {
            status: SourceStatus {
                first_seen: now,
                last_seen: now,
                events: 0,
                understood: 0,
                rate: Vec::new(),
                products: BTreeSet::new(),
                anomalies: BTreeMap::new(),
                delay_ms: None,
            },
            delays: VecDeque::new(),
            minutes: [0; MINUTES],
            minute: minute_of(now),
        }
    }

    /// Empties the minutes between the last one and now.
    fn advance(&mut self, now: Timestamp) {
        let minute = minute_of(now);
        let passed = (minute - self.minute).clamp(0, MINUTES as i64);
        for offset in 1..=passed {
            self.minutes[slot(self.minute + offset)] = 0;
        }
        self.minute = self.minute.max(minute);
        if passed == MINUTES as i64 {
            self.minutes = [0; MINUTES];
        }
    }
}

fn minute_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(60)
}

fn slot(minute: i64) -> usize {
    minute.rem_euclid(MINUTES as i64) as usize
}
