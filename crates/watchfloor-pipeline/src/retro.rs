//! Rules over stored events: the way of the stream once more, from the records in the lake, in
//! the order in which they came.
//!
//! Records are decoded and normalised again from their raw bytes, so a rule sees what it would
//! have seen in the stream, source fields and kinds of values included. Event ids are those of
//! the stream, and finding ids come from rule and events: a finding that the stream made as well
//! has the same id.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::runtime::Handle;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Finding, RawRecord};
use watchfloor_lake::{Lake, ReadError, RecordScope, StoredRecord};
use watchfloor_normalize::PackSet;

/// Positions read at once, at first; fewer where records are large, more where the scope leaves
/// most out.
const FIRST_POSITIONS: u64 = 8_192;
/// Most positions read at once.
const MAX_POSITIONS: u64 = 4 << 20;
/// Records that are held at once, about.
const WANTED_RECORDS: usize = 16_384;
/// Bytes of records that are held at once, about.
const WANTED_BYTES: usize = 32 << 20;

/// Where a run over stored events ends early.
#[derive(Debug)]
pub struct RetroLimits<'a> {
    /// Most events.
    pub events: u64,
    /// Longest time.
    pub time: Duration,
    /// Set by whoever wants it to end.
    pub stop: &'a AtomicBool,
}

/// How far a run came.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetroProgress {
    /// Events that were judged.
    pub events: u64,
    /// Events that the scope holds.
    pub of_events: u64,
    /// Receipt of the last record that was judged; everything before it was.
    pub reached: Option<Timestamp>,
    /// Whether all events were judged.
    pub is_whole: bool,
}

/// Stored events, to be judged again.
#[derive(Clone, Debug)]
pub struct Retro {
    lake: Arc<Lake>,
    packs: Arc<PackSet>,
}

/// A batch under construction.
struct Again {
    decoder: Decoder,
    batch: EventBatch,
    /// The position whose record gave all of its events at once.
    whole: Option<u64>,
}

impl Retro {
    /// Events of a lake, normalised by these packs.
    pub fn new(lake: Arc<Lake>, packs: Arc<PackSet>) -> Self {
        Self { lake, packs }
    }

    /// The lake.
    pub fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }

    /// The packs.
    pub fn packs(&self) -> &PackSet {
        &self.packs
    }

    /// Runs detectors over the events of a scope; `take` gets the findings of each batch with the
    /// place of their detector and the batch. Blocks: it belongs on a thread of its own.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub fn run(
        &self,
        runtime: &Handle,
        scope: &RecordScope,
        limits: &RetroLimits<'_>,
        detectors: &mut [Detector],
        take: &mut dyn FnMut(usize, Vec<Finding>, &EventBatch),
    ) -> Result<RetroProgress, ReadError> {
        self.batches(runtime, scope, limits, &mut |batch| {
            for (place, detector) in detectors.iter_mut().enumerate() {
                let findings = detector.evaluate(batch).findings;
                if !findings.is_empty() {
                    take(place, findings, batch);
                }
            }
        })
    }

    /// Gives the events of a scope as batches, as the stream had them. Blocks: it belongs on a
    /// thread of its own.
    ///
    /// # Errors
    /// If the lake cannot be read.
    pub fn batches(
        &self,
        runtime: &Handle,
        scope: &RecordScope,
        limits: &RetroLimits<'_>,
        each: &mut dyn FnMut(&EventBatch),
    ) -> Result<RetroProgress, ReadError> {
        let start = Instant::now();
        let mut progress = RetroProgress {
            is_whole: true,
            ..RetroProgress::default()
        };
        let Some(span) = runtime.block_on(self.lake.record_span(scope))? else {
            return Ok(progress);
        };
        progress.of_events = span.events;
        let mut again = Again::new();
        let (mut next, end) = (span.first, span.last.saturating_add(1));
        let mut width = FIRST_POSITIONS;
        while next < end {
            let is_over = progress.events >= limits.events
                || start.elapsed() >= limits.time
                || limits.stop.load(Ordering::Relaxed);
            if is_over {
                progress.is_whole = false;
                break;
            }
            let part = RecordScope {
                positions: next..next.saturating_add(width).min(end),
                ..scope.clone()
            };
            next = part.positions.end;
            let records = runtime.block_on(self.lake.records(&part))?;
            width = next_width(width, &records);
            if records.is_empty() && next < end {
                // Positions of a cluster's journal have gaps, some of them vast.
                let rest = RecordScope {
                    positions: next..end,
                    ..scope.clone()
                };
                match runtime.block_on(self.lake.record_span(&rest))? {
                    Some(rest) => next = rest.first.max(next),
                    None => break,
                }
            }
            for record in records {
                progress.events += 1;
                progress.reached = Some(record.received_at);
                again.decode(record);
                if again.batch.is_full() {
                    self.give(&mut again, each);
                }
            }
        }
        self.give(&mut again, each);
        Ok(progress)
    }

    fn give(&self, again: &mut Again, each: &mut dyn FnMut(&EventBatch)) {
        if again.batch.is_empty() {
            return;
        }
        let batch = &mut again.batch;
        self.packs.normalize(batch);
        each(batch);
        batch.clear();
    }
}

/// How many positions to read next, from what the last ones held.
fn next_width(width: u64, records: &[StoredRecord]) -> u64 {
    let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
    if records.len() > WANTED_RECORDS || bytes > WANTED_BYTES {
        (width / 2).max(1)
    } else if records.len() < WANTED_RECORDS / 4 && bytes < WANTED_BYTES / 4 {
        (width * 2).min(MAX_POSITIONS)
    } else {
        width
    }
}

impl Again {
    fn new() -> Self {
        Self {
            decoder: Decoder::new(Limits::STANDARD),
            batch: EventBatch::new(),
            whole: None,
        }
    }

    fn decode(&mut self, record: StoredRecord) {
        let position = record.id.position();
        if self.whole == Some(position) {
            return;
        }
        let first = self.batch.len();
        let rows = self.decoder.decode(
            &mut self.batch,
            &RawRecord {
                source: record.source,
                format: record.format,
                context: record.context,
                position,
                received_at: record.received_at,
                bytes: Bytes::from(record.bytes),
            },
        );
        if rows == 1 {
            self.batch.row_mut(first).id = record.id;
        } else {
            // The whole record stood here, so its other parts would give the same again.
            self.whole = Some(position);
        }
    }
}
