//! What rules could have met: how many events of each kind came, which of their fields had a
//! value, and which rules fired.
//!
//! Counted once per batch from its columns, not per event and rule: a pass over the codes of
//! each column says for every kind how many of its events have the field. Kept per hour for a
//! day, and saved beside the ledger every minute, so that a restart does not make rules look
//! dead.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use watchfloor_event::{EventBatch, Finding, Logsource, Namespace};

use crate::ledger::hour_of;

/// Hours that are kept: those of the last day, and the running one.
const KEPT_HOURS: i64 = 25;
/// Most kinds of event.
const MAX_KINDS: usize = 2_000;
/// Most field names, all kinds together; later ones are not counted.
const MAX_FIELDS: usize = 20_000;
/// Most rules whose firing is remembered.
const MAX_RULES: usize = 50_000;
/// How often it is saved.
const SAVE_WAIT: Duration = Duration::from_secs(60);

/// Events of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindSeen {
    /// Pack and kind, e.g. `windows/sysmon_process_creation`.
    pub kind: String,
    /// The log sources that it answers to.
    pub logsources: Vec<Logsource>,
    /// Events of the last 24 hours.
    pub events: u64,
    /// Events since midnight, UTC.
    pub events_today: u64,
    /// Of the last 24 hours' events, how many have a value, by full field name: an OCSF path or
    /// `unmapped.<name>`.
    pub fields: BTreeMap<String, u64>,
}

/// What a rule did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSeen {
    /// Findings of the last 24 hours.
    pub findings: u64,
    /// Event time of the newest finding ever.
    pub last_fired: Option<Timestamp>,
}

/// What was seen in the last 24 hours.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Since when there are counts, at most 24 hours ago.
    pub since: Timestamp,
    /// Kinds of event, by name.
    pub kinds: Vec<KindSeen>,
    /// Rules that fired, by id.
    pub rules: BTreeMap<String, RuleSeen>,
}

/// The counts.
#[derive(Debug)]
pub struct Liveness {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    saved: Saved,
    kinds: HashMap<String, u32>,
    fields: HashMap<String, u32>,
    saved_at: Instant,
    is_changed: bool,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    /// Journal position up to which events are counted.
    end: u64,
    /// When counting began, seconds since 1970.
    since: i64,
    kinds: Vec<KindName>,
    fields: Vec<String>,
    /// By start of the hour, then kind.
    hours: BTreeMap<i64, Hour>,
    /// By rule: newest event time of a finding, microseconds since 1970.
    last_fired: BTreeMap<String, i64>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct KindName {
    name: String,
    /// Product, category, service.
    logsources: Vec<[Option<String>; 3]>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Hour {
    kinds: BTreeMap<u32, Counts>,
    findings: BTreeMap<String, u64>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Counts {
    events: u64,
    fields: BTreeMap<u32, u64>,
}

impl Liveness {
    /// Reads what was saved. A file that cannot be read starts the counts anew: they are a day's
    /// worth at most.
    pub fn open(path: &Path, now: Timestamp) -> Self {
        let saved = match std::fs::read(path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .inspect_err(|error| tracing::warn!(path = %path.display(), %error, "counts of events per rule start anew"))
                .ok(),
            Err(_) => None,
        };
        let saved = saved.unwrap_or_else(|| Saved {
            since: now.as_second(),
            ..Saved::default()
        });
        let names = |names: Vec<&String>| {
            let places = (0_u32..).zip(names);
            places.map(|(place, name)| (name.clone(), place)).collect()
        };
        Self {
            path: path.to_owned(),
            state: Mutex::new(State {
                kinds: names(saved.kinds.iter().map(|kind| &kind.name).collect()),
                fields: names(saved.fields.iter().collect()),
                saved,
                saved_at: Instant::now(),
                is_changed: false,
            }),
        }
    }

    /// Counts a batch that ends before a journal position, and what rules found in it. One that
    /// was counted before a crash is not counted again.
    pub(crate) fn count(&self, batch: &EventBatch, findings: &[Finding], end: u64) {
        let mut state = self.lock();
        let Some(last) = batch.rows().last() else {
            return;
        };
        if end <= state.saved.end {
            return;
        }
        state.saved.end = end;
        let hour = hour_of(last.received_at);
        state.count_events(batch, hour);
        for finding in findings {
            state.count_finding(finding, hour);
        }
        state.forget(hour);
        state.is_changed = true;
        if state.saved_at.elapsed() >= SAVE_WAIT {
            self.write(&mut state);
        }
    }

    /// Counts findings that were made later, over the lake.
    pub fn count_late(&self, findings: &[Finding], now: Timestamp) {
        let mut state = self.lock();
        for finding in findings {
            state.count_finding(finding, hour_of(now));
        }
        state.is_changed |= !findings.is_empty();
    }

    /// Saves what changed since the last time.
    pub fn save(&self) {
        let mut state = self.lock();
        if state.is_changed {
            self.write(&mut state);
        }
    }

    /// What was seen in the 24 hours before an instant.
    pub fn seen(&self, now: Timestamp) -> Seen {
        const DAY: i64 = 86_400;
        let state = self.lock();
        let saved = &state.saved;
        // The hour in which the day began counts whole; leaving it out would miss events.
        let first = hour_of(now) - DAY;
        let midnight = now.as_second().div_euclid(DAY) * DAY;
        let mut kinds: BTreeMap<&str, KindSeen> = BTreeMap::new();
        let mut rules: BTreeMap<String, RuleSeen> = BTreeMap::new();
        for (start, hour) in saved.hours.range(first..) {
            for (kind, counts) in &hour.kinds {
                let Some(name) = saved.kinds.get(*kind as usize) else {
                    continue;
                };
                let seen = kinds
                    .entry(&name.name)
                    .or_insert_with(|| KindSeen::new(name));
                seen.events += counts.events;
                seen.events_today += if *start >= midnight { counts.events } else { 0 };
                for (field, events) in &counts.fields {
                    if let Some(field) = saved.fields.get(*field as usize) {
                        *seen.fields.entry(field.clone()).or_default() += events;
                    }
                }
            }
            for (rule, findings) in &hour.findings {
                rules.entry(rule.clone()).or_default().findings += findings;
            }
        }
        for (rule, micros) in &saved.last_fired {
            rules.entry(rule.clone()).or_default().last_fired =
                Timestamp::from_microsecond(*micros).ok();
        }
        Seen {
            since: Timestamp::from_second(saved.since.max(first)).unwrap_or(now),
            kinds: kinds.into_values().collect(),
            rules,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, state: &mut State) {
        state.saved_at = Instant::now();
        state.is_changed = false;
        let bytes = serde_json::to_vec(&state.saved).unwrap_or_default();
        let temporary = self.path.with_extension("new");
        let written = std::fs::write(&temporary, bytes)
            .and_then(|()| std::fs::rename(&temporary, &self.path));
        if let Err(error) = written {
            tracing::warn!(path = %self.path.display(), %error, "counts of events per rule cannot be saved");
        }
    }
}

impl State {
    fn count_events(&mut self, batch: &EventBatch, hour: i64) {
        let kinds: Vec<Option<u32>> = batch
            .kinds()
            .iter()
            .map(|kind| {
                let sources = kind.logsources.iter().map(|source| {
                    [&source.product, &source.category, &source.service].map(Clone::clone)
                });
                self.kind(&kind.name, sources.collect())
            })
            .collect();
        let of_row: Vec<u16> = batch.rows().iter().map(|meta| meta.kind).collect();
        let mut events = vec![0_u64; kinds.len()];
        for kind in &of_row {
            events[usize::from(*kind)] += 1;
        }
        let mut with_value = vec![0_u64; kinds.len()];
        for (namespace, prefix) in [(Namespace::Source, "unmapped."), (Namespace::Ocsf, "")] {
            for column in batch.columns(namespace) {
                with_value.fill(0);
                for (code, kind) in column.codes().iter().zip(&of_row) {
                    with_value[usize::from(*kind)] += u64::from(*code != 0);
                }
                if with_value.iter().all(|count| *count == 0) {
                    continue;
                }
                let Some(field) = self.field(prefix, column.name()) else {
                    continue;
                };
                for (kind, count) in kinds.iter().zip(&with_value) {
                    if let (Some(kind), 1..) = (kind, *count) {
                        let counts = self.counts(hour, *kind);
                        *counts.fields.entry(field).or_default() += count;
                    }
                }
            }
        }
        for (kind, count) in kinds.iter().zip(events) {
            if let (Some(kind), 1..) = (kind, count) {
                self.counts(hour, *kind).events += count;
            }
        }
    }

    fn count_finding(&mut self, finding: &Finding, hour: i64) {
        let saved = &mut self.saved;
        let is_known = saved.last_fired.contains_key(&finding.rule_id);
        if !is_known && saved.last_fired.len() >= MAX_RULES {
            return;
        }
        let findings = &mut saved.hours.entry(hour).or_default().findings;
        *findings.entry(finding.rule_id.clone()).or_default() += 1;
        let time = finding.time.as_microsecond();
        let last = saved.last_fired.entry(finding.rule_id.clone());
        let last = last.or_insert(time);
        *last = (*last).max(time);
    }

    fn counts(&mut self, hour: i64, kind: u32) -> &mut Counts {
        let hour = self.saved.hours.entry(hour).or_default();
        hour.kinds.entry(kind).or_default()
    }

    fn kind(&mut self, name: &str, logsources: Vec<[Option<String>; 3]>) -> Option<u32> {
        if let Some(&place) = self.kinds.get(name) {
            let known = &mut self.saved.kinds[place as usize];
            if known.logsources != logsources {
                known.logsources = logsources;
            }
            return Some(place);
        }
        let place = self.saved.kinds.len();
        if place >= MAX_KINDS {
            return None;
        }
        self.saved.kinds.push(KindName {
            name: name.to_owned(),
            logsources,
        });
        self.kinds.insert(name.to_owned(), place as u32);
        Some(place as u32)
    }

    fn field(&mut self, prefix: &str, name: &str) -> Option<u32> {
        let full = format!("{prefix}{name}");
        if let Some(&place) = self.fields.get(&full) {
            return Some(place);
        }
        let place = self.saved.fields.len();
        if place >= MAX_FIELDS {
            return None;
        }
        self.saved.fields.push(full.clone());
        self.fields.insert(full, place as u32);
        Some(place as u32)
    }

    fn forget(&mut self, hour: i64) {
        let oldest = hour - KEPT_HOURS * 3600;
        if self
            .saved
            .hours
            .first_key_value()
            .is_some_and(|(first, _)| *first < oldest)
        {
            self.saved.hours.retain(|start, _| *start >= oldest);
        }
    }
}

impl KindSeen {
    fn new(name: &KindName) -> Self {
        let logsources = name
            .logsources
            .iter()
            .map(|[product, category, service]| Logsource {
                product: product.clone(),
                category: category.clone(),
                service: service.clone(),
            });
        Self {
            kind: name.name.clone(),
            logsources: logsources.collect(),
            events: 0,
            events_today: 0,
            fields: BTreeMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use watchfloor_event::{EventKind, Format, RawRecord, ValueRef};

    use super::*;

    fn batch(received_at: Timestamp, position: u64) -> EventBatch {
        let mut batch = EventBatch::new();
        let kind = batch.intern_kind(&Arc::new(EventKind {
            name: Arc::from("p/k"),
            logsources: vec![Logsource {
                product: Some("p".to_owned()),
                ..Logsource::default()
            }],
            ..EventKind::unknown()
        }));
        for part in 0..3 {
            let record = RawRecord {
                source: Arc::from("s"),
                format: Format::Auto,
                context: None,
                position,
                received_at,
                bytes: Bytes::new(),
            };
            let row = batch.push_row(&record, part);
            if part < 2 {
                batch.row_mut(row).kind = kind;
                batch.set(Namespace::Ocsf, "user.name", row, ValueRef::str("a"));
            }
            batch.set(Namespace::Source, "x", row, ValueRef::str("b"));
        }
        batch
    }

    #[test]
    fn counts_are_per_kind_survive_a_restart_and_end_after_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("liveness.json");
        let noon: Timestamp = "2026-03-02T12:00:00Z".parse().unwrap();
        let liveness = Liveness::open(&path, noon);
        liveness.count(&batch(noon, 1), &[], 2);
        // After a crash the journal gives the same records again.
        liveness.count(&batch(noon, 1), &[], 2);
        liveness.save();
        let liveness = Liveness::open(&path, noon);
        let later = noon + jiff::SignedDuration::from_hours(13);
        liveness.count(&batch(later, 2), &[], 3);
        let seen = liveness.seen(later);
        assert_eq!(seen.since, noon);
        let kind = seen.kinds.iter().find(|kind| kind.kind == "p/k").unwrap();
        assert_eq!((kind.events, kind.events_today), (4, 2));
        assert_eq!(kind.logsources[0].product.as_deref(), Some("p"));
        let fields: Vec<(&str, u64)> = kind
            .fields
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        assert_eq!(fields, [("unmapped.x", 4), ("user.name", 4)]);
        let next_day = noon + jiff::SignedDuration::from_hours(30);
        let seen = liveness.seen(next_day);
        let kind = seen.kinds.iter().find(|kind| kind.kind == "p/k").unwrap();
        assert_eq!(kind.events, 2);
    }
}
