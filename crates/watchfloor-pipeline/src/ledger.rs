//! The completeness ledger: what became of every record, per source and hour of receipt.
//!
//! Kept as lines beside the lake, each with the journal position that it is true for. A crash
//! between a lake commit and its line is mended at the next start by counting the missing
//! records in the lake itself.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_event::{EventBatch, JournalPlace, RawRecord};
use watchfloor_lake::LedgerCount;

/// How long hours are kept, in hours: 90 days.
const KEPT_HOURS: i64 = 90 * 24;
/// Most sources with a row of their own; those beyond share one.
const MAX_SOURCES: usize = 10_000;
/// The row of sources beyond the limit.
const OTHER: &str = "(other sources)";
/// Size at which the file is written anew, in bytes.
const COMPACT_BYTES: u64 = 4 << 20;

/// Why the ledger cannot be kept.
#[derive(Debug, thiserror::Error)]
#[error("ledger file {path} cannot be {doing}")]
pub struct LedgerError {
    path: PathBuf,
    doing: &'static str,
    #[source]
    source: std::io::Error,
}

/// Counts of one source in one hour. `received` = `stored` + the sum of `dropped`, in raw
/// records, once all that was received is committed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Raw records that arrived, those dropped at the door included.
    pub received: u64,
    /// Raw records that a decoder understood.
    pub decoded: u64,
    /// Raw records that none understood; stored all the same.
    pub undecoded: u64,
    /// Raw records in the lake.
    pub stored: u64,
    /// Events that these records hold.
    pub events: u64,
    /// Events that all rules were evaluated on.
    pub evaluated: u64,
    /// Raw records that were dropped, by reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
    /// Oddities of events, by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub anomalies: BTreeMap<String, u64>,
}

impl Counts {
    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        self.received += other.received;
        self.decoded += other.decoded;
        self.undecoded += other.undecoded;
        self.stored += other.stored;
        self.events += other.events;
        self.evaluated += other.evaluated;
        for (reason, count) in &other.dropped {
            *self.dropped.entry(reason.clone()).or_default() += count;
        }
        for (code, count) in &other.anomalies {
            *self.anomalies.entry(code.clone()).or_default() += count;
        }
    }
}

/// Counts of a source and hour.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Source.
    pub source: String,
    /// Start of the hour, seconds since 1970.
    pub hour: i64,
    /// Counts.
    #[serde(flatten)]
    pub counts: Counts,
}

/// Counts by hour and source.
pub(crate) type Deltas = BTreeMap<(i64, String), Counts>;

#[derive(Serialize, Deserialize)]
struct Line {
    end: u64,
    /// Ends of the partitions of a cluster's journal.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ends: BTreeMap<u16, u64>,
    rows: Vec<LedgerRow>,
}

/// The ledger.
#[derive(Debug)]
pub struct Ledger {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    rows: Deltas,
    /// Drops that no line holds yet.
    unwritten: Deltas,
    end: u64,
    ends: BTreeMap<u16, u64>,
    /// What other processes of a cluster dropped; they write it down themselves.
    others: Deltas,
    bytes: u64,
}

impl Ledger {
    /// Opens the ledger file.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        let error = |doing| {
            let path = path.to_owned();
            move |source| LedgerError {
                path,
                doing,
                source,
            }
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(other) => return Err(error("read")(other)),
        };
        let mut state = State::default();
        // A torn last line is what reconciliation mends.
        for line in text
            .lines()
            .filter_map(|line| serde_json::from_str::<Line>(line).ok())
        {
            state.end = state.end.max(line.end);
            for (partition, end) in line.ends {
                let known = state.ends.entry(partition).or_default();
                *known = end.max(*known);
            }
            for row in line.rows {
                state
                    .rows
                    .entry((row.hour, row.source))
                    .or_default()
                    .add(&row.counts);
            }
        }
        let ledger = Self {
            path: path.to_owned(),
            state: Mutex::new(state),
        };
        ledger
            .compact(&mut ledger.lock(), Timestamp::now())
            .map_err(error("written"))?;
        Ok(ledger)
    }

    /// Journal position that the ledger is true for.
    pub fn end(&self) -> u64 {
        self.lock().end
    }

    /// As [`Ledger::end`], of a partition of a cluster's journal.
    pub fn end_of(&self, partition: u16) -> u64 {
        let known = self.lock().ends.get(&partition).copied();
        known.unwrap_or_else(|| JournalPlace::start_of(partition))
    }

    /// Takes up what the lake counted of a partition beyond [`Ledger::end_of`].
    pub fn reconcile_partition(&self, counted: Vec<LedgerCount>, partition: u16, end: u64) {
        self.lock().ends.insert(partition, end);
        self.reconcile(counted, 0);
    }

    /// What this process dropped, for the others of its cluster.
    pub fn own_drops(&self) -> Vec<LedgerRow> {
        let state = self.lock();
        let dropped = state.rows.iter().filter(|(_, one)| !one.dropped.is_empty());
        let rows = dropped.map(|((hour, source), counts)| LedgerRow {
            source: source.clone(),
            hour: *hour,
            counts: Counts {
                received: counts.dropped.values().sum(),
                dropped: counts.dropped.clone(),
                ..Counts::default()
            },
        });
        rows.collect()
    }

    /// Takes up what the other processes of a cluster dropped, in place of what was known.
    pub fn set_others(&self, rows: Vec<LedgerRow>) {
        let mut others = Deltas::new();
        for row in rows {
            others
                .entry((row.hour, row.source))
                .or_default()
                .add(&row.counts);
        }
        self.lock().others = others;
    }

    /// Takes up what the lake counted beyond [`Ledger::end`].
    pub fn reconcile(&self, counted: Vec<LedgerCount>, end: u64) {
        let mut deltas = Deltas::new();
        for one in counted {
            deltas
                .entry((one.hour, one.source))
                .or_default()
                .add(&Counts {
                    received: one.records,
                    decoded: one.records.saturating_sub(one.undecoded),
                    undecoded: one.undecoded,
                    stored: one.records,
                    events: one.stored,
                    evaluated: one.stored,
                    ..Counts::default()
                });
        }
        self.commit(deltas, end);
    }

    /// Counts records that are not kept.
    pub fn drop_records(&self, source: &str, reason: &str, count: u64) {
        let mut state = self.lock();
        let key = (hour_of(Timestamp::now()), source.to_owned());
        let counts = Counts {
            received: count,
            dropped: BTreeMap::from([(reason.to_owned(), count)]),
            ..Counts::default()
        };
        state.unwritten.entry(key.clone()).or_default().add(&counts);
        state.add(key, &counts);
    }

    /// Adds the counts of a commit that the lake now holds.
    pub(crate) fn commit(&self, deltas: Deltas, end: u64) {
        let mut state = self.lock();
        state.end = state.end.max(end);
        for (key, counts) in &deltas {
            state.add(key.clone(), counts);
        }
        let mut unwritten = std::mem::take(&mut state.unwritten);
        for (key, counts) in deltas {
            unwritten.entry(key).or_default().add(&counts);
        }
        if let Err(error) = self.write(&mut state, unwritten) {
            // The next start counts again what this line would have said.
            tracing::warn!(path = %self.path.display(), %error, "ledger line cannot be written");
        }
    }

    /// Writes drops that no commit took along yet.
    pub fn flush(&self) {
        let is_idle = self.lock().unwritten.is_empty();
        if !is_idle {
            self.commit(Deltas::new(), 0);
        }
    }

    /// Rows between two instants, by hour, then source.
    pub fn rows(&self, from: Timestamp, to: Timestamp, source: Option<&str>) -> Vec<LedgerRow> {
        let state = self.lock();
        let hours = (hour_of(from), String::new())..=(to.as_second(), String::from(char::MAX));
        let mut all: Deltas = Deltas::new();
        let known = state.rows.range(hours.clone());
        for (key, counts) in known.chain(state.others.range(hours)) {
            if source.is_none_or(|source| source == key.1) {
                all.entry(key.clone()).or_default().add(counts);
            }
        }
        let rows = all.iter();
        rows.map(|((hour, source), counts)| LedgerRow {
            source: source.clone(),
            hour: *hour,
            counts: counts.clone(),
        })
        .collect()
    }

    /// The sum over all hours and sources.
    pub fn totals(&self) -> Counts {
        let mut total = Counts::default();
        let state = self.lock();
        let all = state.rows.values().chain(state.others.values());
        all.for_each(|counts| total.add(counts));
        total
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, state: &mut State, deltas: Deltas) -> std::io::Result<()> {
        if state.bytes > COMPACT_BYTES {
            return self.compact(state, Timestamp::now());
        }
        let mut text = line(state, &deltas);
        text.push('\n');
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)?;
        file.write_all(text.as_bytes())?;
        state.bytes += text.len() as u64;
        Ok(())
    }

    /// Writes the file anew with one line.
    fn compact(&self, state: &mut State, now: Timestamp) -> std::io::Result<()> {
        let oldest = hour_of(now) - KEPT_HOURS * 3600;
        state.rows.retain(|(hour, _), _| *hour >= oldest);
        let mut text = line(state, &state.rows);
        text.push('\n');
        let temporary = self.path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&temporary, &self.path)?;
        state.bytes = text.len() as u64;
        Ok(())
    }
}

impl State {
    fn add(&mut self, key: (i64, String), counts: &Counts) {
        let is_new = !self.rows.contains_key(&key);
        let key = if is_new
            && self
                .rows
                .range((key.0, String::new())..)
                .take_while(|((hour, _), _)| *hour == key.0)
                .count()
                >= MAX_SOURCES
        {
            (key.0, OTHER.to_owned())
        } else {
            key
        };
        self.rows.entry(key).or_default().add(counts);
    }
}

fn line(state: &State, deltas: &Deltas) -> String {
    let rows = deltas.iter().map(|((hour, source), counts)| LedgerRow {
        source: source.clone(),
        hour: *hour,
        counts: counts.clone(),
    });
    let line = Line {
        end: state.end,
        ends: state.ends.clone(),
        rows: rows.collect(),
    };
    serde_json::to_string(&line).unwrap_or_default()
}

/// Start of the hour of an instant, seconds since 1970.
pub(crate) fn hour_of(time: Timestamp) -> i64 {
    time.as_second().div_euclid(3600) * 3600
}

/// Counts the records of a batch and their events.
pub(crate) fn count_batch(deltas: &mut Deltas, records: &[RawRecord], batch: &EventBatch) {
    use watchfloor_event::AnomalyCode;
    for record in records {
        let counts = entry(deltas, record.received_at, &record.source);
        counts.received += 1;
        counts.decoded += 1;
        counts.stored += 1;
    }
    for meta in batch.rows() {
        let counts = entry(deltas, meta.received_at, &meta.source);
        counts.events += 1;
        counts.evaluated += 1;
    }
    for (row, anomaly) in batch.anomalies() {
        let meta = &batch.rows()[*row];
        let counts = entry(deltas, meta.received_at, &meta.source);
        *counts
            .anomalies
            .entry(anomaly.code.as_str().to_owned())
            .or_default() += 1;
        if anomaly.code == AnomalyCode::Undecoded && meta.id.part() == 0 {
            counts.undecoded += 1;
            counts.decoded -= 1;
        }
    }
}

fn entry<'a>(deltas: &'a mut Deltas, received_at: Timestamp, source: &str) -> &'a mut Counts {
    deltas
        .entry((hour_of(received_at), source.to_owned()))
        .or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(received: u64) -> Counts {
        Counts {
            received,
            stored: received,
            ..Counts::default()
        }
    }

    #[test]
    fn lines_add_up_and_survive_reopening_and_a_torn_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.ndjson");
        let now = Timestamp::now();
        let hour = hour_of(now);
        {
            let ledger = Ledger::open(&path).unwrap();
            ledger.commit(Deltas::from([((hour, "a".to_owned()), counts(3))]), 3);
            ledger.drop_records("a", "too_long", 2);
            ledger.commit(Deltas::from([((hour, "a".to_owned()), counts(1))]), 4);
        }
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"end\":9,\"rows\":[{\"so").unwrap();
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(ledger.end(), 4);
        let rows = ledger.rows(now, now, Some("a"));
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].counts.received, 6);
        assert_eq!(
            rows[0].counts.stored + rows[0].counts.dropped["too_long"],
            6
        );
        assert!(ledger.rows(now, now, Some("b")).is_empty());
    }
}
