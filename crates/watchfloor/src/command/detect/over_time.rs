//! Rules over several events, judged in the order of time over all files.
//!
//! Files are read side by side and one after the other, but what such rules ask is when events
//! happened. So the events that they rest on are put by, and judged when all are known.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::{Company, Detector};
use watchfloor_event::{EventBatch, Finding, RawRecord};
use watchfloor_normalize::PackSet;
use watchfloor_rules::RuleSet;

/// Most bytes of records that are put by.
const MAX_BYTES: usize = 1 << 30;
/// What a record costs beside its bytes.
const RECORD_BYTES: usize = 128;

/// The rules over several events with what was put by for them.
pub(super) struct OverTime {
    /// They and those that they rest on.
    detector: Detector,
    /// Those that they rest on, each by itself.
    bases: Detector,
    ids: BTreeSet<String>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    /// With the time of the event, microseconds since 1970.
    records: Vec<(i64, RawRecord)>,
    bytes: usize,
    /// Events that there was no room for.
    left_out: u64,
}

impl OverTime {
    /// Takes the rules over several events out of a set, if it has any. What stays makes the
    /// findings that it would make beside them.
    pub(super) fn split(set: RuleSet) -> (Detector, Option<Self>) {
        let correlations = set.correlations.iter().map(|one| &one.meta.id);
        let analytics = set.analytics.iter().map(|one| &one.meta.id);
        let ids: BTreeSet<String> = correlations.chain(analytics).cloned().collect();
        let all = Detector::new(set);
        if ids.is_empty() {
            return (all, None);
        }
        let silent = all.silent_rules();
        let over_time = all.subset(&ids, Company::Bases);
        let bases = RuleSet {
            rules: over_time.rules.clone(),
            ..RuleSet::default()
        };
        let speaking = all.rule_ids().filter(|id| !silent.contains(*id));
        let single = all.subset(&speaking.map(str::to_owned).collect(), Company::Bases);
        let over_time = Self {
            detector: Detector::new(over_time),
            bases: Detector::new(bases),
            ids,
            kept: Mutex::default(),
        };
        (Detector::new(single), Some(over_time))
    }

    /// A detector that tells which events to put by; one for each thread.
    pub(super) fn bases(&self) -> Detector {
        self.bases.share()
    }

    /// Puts by the events of a batch that rules over several events rest on.
    pub(super) fn keep(&self, bases: &mut Detector, batch: &EventBatch) {
        let findings = bases.evaluate(batch).findings;
        if findings.is_empty() {
            return;
        }
        let wanted: BTreeSet<_> = findings
            .iter()
            .flat_map(|finding| &finding.event_ids)
            .collect();
        let rows = batch.rows().iter().filter(|row| wanted.contains(&row.id));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        for row in rows {
            let bytes = row.raw.len() + RECORD_BYTES;
            if kept.bytes + bytes > MAX_BYTES {
                kept.left_out += 1;
                continue;
            }
            kept.bytes += bytes;
            let record = RawRecord {
                source: row.source.clone(),
                format: row.format,
                context: row.context.clone(),
                position: row.id.position(),
                received_at: row.received_at,
                bytes: row.raw.clone(),
            };
            kept.records.push((row.time.as_microsecond(), record));
        }
    }

    /// Judges what was put by; returns how many events there was no room for.
    pub(super) fn judge(
        self,
        packs: &PackSet,
        mut take: impl FnMut(&[Finding], &EventBatch) -> Result<()>,
    ) -> Result<u64> {
        let Self {
            mut detector,
            ids,
            kept,
            ..
        } = self;
        let mut kept = kept.into_inner().unwrap_or_else(PoisonError::into_inner);
        kept.records
            .sort_by_key(|(time_us, record)| (*time_us, record.position));
        let mut decoder = Decoder::new(Limits::STANDARD);
        let mut batch = EventBatch::new();
        for records in kept.records.chunks(super::RECORDS_PER_BATCH) {
            batch.clear();
            for (_, record) in records {
                decoder.decode(&mut batch, record);
            }
            packs.normalize(&mut batch);
            let mut findings = detector.evaluate(&batch).findings;
            findings.retain(|finding| ids.contains(&finding.rule_id));
            take(&findings, &batch)?;
        }
        Ok(kept.left_out)
    }
}
