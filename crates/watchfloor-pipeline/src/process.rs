//! The working thread: journal records to events, findings and counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::{CostMeter, Detector, SavedState, entities_of, foreign_findings};
use watchfloor_enrich::{Context, Enricher};
use watchfloor_event::{EventBatch, Finding, MAX_BATCH_EVENTS, RawRecord};
use watchfloor_ingest::{JournalReader, ReadError};
use watchfloor_intel::{EventMatches, IndicatorSet, Matcher};
use watchfloor_lake::{Lake, PendingCommit};
use watchfloor_normalize::PackSet;

use crate::costs::{Costs, nanos};
use crate::indicators::{self, IndicatorMatches};
use crate::learnt::Learnt;
use crate::ledger::{self, Deltas};
use crate::liveness::Liveness;
use crate::route::{LeftOut, Routes};
use crate::sources::Sources;
use crate::timings::{Stage, Timings};

/// Events that make a commit even before its time.
const COMMIT_EVENTS: usize = 8 * MAX_BATCH_EVENTS;
/// Bytes of raw records that make a commit even before its time.
const COMMIT_BYTES: usize = 64 << 20;
/// Records read at once; a record may hold several events.
const READ_RECORDS: usize = 4096;
/// How long judged events gather before they are shown: what a sender of one event waits until
/// it can be searched and becomes an alert.
const SHOW_WAIT: Duration = Duration::from_millis(100);
/// How long records gather before they are read while they come in small groups: columns of few
/// rows cost as much as columns of many.
const GATHER_WAIT: Duration = Duration::from_millis(20);
/// Records of a small group.
const SMALL_READ: usize = READ_RECORDS / 4;
/// Wait after the journal could not be read.
const RETRY_WAIT: Duration = Duration::from_secs(1);

/// What the committing task gets.
pub(crate) struct Prepared {
    pub pending: PendingCommit,
    pub deltas: Deltas,
    /// State of correlations and analytics after these events, or what they changed of it.
    pub state: SavedState,
}

/// Other rules, packs or indicators, to be taken up between two batches.
#[derive(Default)]
pub(crate) struct Replacements {
    /// Compiled by whoever hands them over, so that no event waits for it.
    rules: Mutex<Option<(u64, Detector)>>,
    /// Number of the replacement that was last taken up.
    pub adopted: AtomicU64,
    packs: Mutex<Option<Arc<PackSet>>>,
    indicators: Mutex<Option<Arc<IndicatorSet>>>,
    context: Mutex<Option<Arc<Context>>>,
    /// Findings that were made outside of the stream and go into the next commit.
    late: Mutex<Vec<Finding>>,
    /// Told when what was gathered is to be committed at once, or work ends.
    commit_now: Notify,
    is_over: AtomicBool,
}

impl Replacements {
    pub(crate) fn set_rules(&self, number: u64, rules: Detector) {
        *self.rules.lock().unwrap_or_else(PoisonError::into_inner) = Some((number, rules));
    }

    pub(crate) fn add_findings(&self, findings: Vec<Finding>) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        late.extend(findings);
    }

    /// Has what was gathered committed before its time.
    pub(crate) fn commit_now(&self) {
        self.commit_now.notify_one();
    }

    /// Ends the work; what was gathered is committed.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.commit_now.notify_one();
    }

    fn take_findings(&self) -> Vec<Finding> {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut late)
    }

    pub(crate) fn set_indicators(&self, indicators: Arc<IndicatorSet>) {
        let mut waiting = self
            .indicators
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *waiting = Some(indicators);
    }

    pub(crate) fn set_context(&self, context: Arc<Context>) {
        *self.context.lock().unwrap_or_else(PoisonError::into_inner) = Some(context);
    }

    pub(crate) fn set_packs(&self, packs: Arc<PackSet>) {
        *self.packs.lock().unwrap_or_else(PoisonError::into_inner) = Some(packs);
    }
}

pub(crate) struct Processor {
    pub reader: JournalReader,
    pub detector: Detector,
    pub packs: Arc<PackSet>,
    pub enricher: Enricher,
    pub learnt: Arc<Learnt>,
    pub routes: Routes,
    pub matcher: Matcher,
    pub matches: Arc<IndicatorMatches>,
    pub replacements: Arc<Replacements>,
    pub sources: Arc<Sources>,
    pub liveness: Arc<Liveness>,
    pub meter: CostMeter,
    pub costs: Arc<Costs>,
    pub timings: Arc<Timings>,
    pub commit_wait: Duration,
    pub lake: Arc<Lake>,
    pub output: mpsc::Sender<Prepared>,
    pub judged: mpsc::UnboundedSender<Judged>,
}

/// Findings of events that were judged and can be searched.
pub(crate) struct Judged {
    /// Position after the last of the events.
    pub end: u64,
    pub findings: Vec<Finding>,
}

#[derive(Default)]
struct Gathered {
    pending: PendingCommit,
    deltas: Deltas,
    events: usize,
    bytes: usize,
    since: Option<Instant>,
    shown: Shown,
    is_asked_for: bool,
}

/// How much of what was gathered is shown.
#[derive(Default)]
struct Shown {
    batches: usize,
    findings: usize,
    /// Since when something waits to be shown.
    waits_since: Option<Instant>,
}

impl Processor {
    /// Works on a thread of its own.
    pub(crate) fn start(self) -> std::io::Result<std::thread::JoinHandle<()>> {
        let runtime = Handle::current();
        let thread = std::thread::Builder::new().name("pipeline".to_owned());
        thread.spawn(move || self.run(&runtime))
    }

    /// Works until the journal is closed or the committing task is gone.
    pub(crate) fn run(mut self, runtime: &Handle) {
        let mut decoder = Decoder::new(Limits::STANDARD);
        let mut gathered = Gathered::default();
        let mut is_small = false;
        loop {
            if !self.wait(runtime, &mut gathered)
                || self.replacements.is_over.load(Ordering::SeqCst)
            {
                break;
            }
            self.take_replacements();
            // One that comes alone is judged at once.
            if gathered.shown.waits_since.is_some() && is_small && !gathered.is_asked_for {
                std::thread::sleep(GATHER_WAIT);
            }
            match self.reader.read(READ_RECORDS) {
                Ok(records) if !records.is_empty() => {
                    is_small = records.len() < SMALL_READ;
                    self.work(&mut decoder, records, &mut gathered)
                }
                Ok(_) => {}
                Err(error) => pause_after(&error),
            }
            let is_commit_due = self.is_due(&gathered);
            if is_commit_due || gathered.shown.is_due() {
                self.show(&mut gathered);
            }
            if is_commit_due && !self.hand_over(runtime, &mut gathered) {
                return;
            }
        }
        if gathered.since.is_some() {
            self.show(&mut gathered);
            self.hand_over(runtime, &mut gathered);
        }
        self.learnt.write(&self.enricher);
    }

    /// Waits for records, at most until something is due; `false` at the journal's end.
    fn wait(&mut self, runtime: &Handle, gathered: &mut Gathered) -> bool {
        let rest = |since: Option<Instant>, wait: Duration| {
            since.map(|since| wait.saturating_sub(since.elapsed()))
        };
        let commit = rest(gathered.since, self.commit_wait);
        let show = rest(gathered.shown.waits_since, SHOW_WAIT);
        let rest = commit.into_iter().chain(show).min();
        let due = async {
            match rest {
                Some(rest) => tokio::time::sleep(rest).await,
                // No timer while nothing waits: at the very end there is none to be had.
                None => std::future::pending().await,
            }
        };
        let replacements = &self.replacements;
        let reader = &mut self.reader;
        runtime.block_on(async {
            tokio::select! {
                is_open = reader.ready() => is_open,
                () = replacements.commit_now.notified() => {
                    gathered.is_asked_for = true;
                    !replacements.is_over.load(Ordering::SeqCst)
                }
                () = due => true,
            }
        })
    }

    fn take_replacements(&mut self) {
        let rules = self
            .replacements
            .rules
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some((number, rules)) = rules {
            self.detector.adopt(&rules);
            self.meter.follow(&self.detector);
            self.replacements.adopted.store(number, Ordering::SeqCst);
        }
        let packs = self
            .replacements
            .packs
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(packs) = packs {
            self.packs = packs;
        }
        let indicators = &self.replacements.indicators;
        let indicators = indicators
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(indicators) = indicators {
            self.matcher = Matcher::new(indicators);
        }
        let context = &self.replacements.context;
        let context = context
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(context) = context {
            self.enricher.set_context(context);
        }
    }

    fn work(&mut self, decoder: &mut Decoder, records: Vec<RawRecord>, gathered: &mut Gathered) {
        gathered.since.get_or_insert_with(Instant::now);
        gathered.shown.waits_since.get_or_insert_with(Instant::now);
        // Records that routes leave out are done with as well.
        let end = records.last().map_or(0, |record| record.position + 1);
        gathered.pending.end = gathered.pending.end.max(end);
        let records = self.routes.before(records, &mut gathered.deltas);
        let mut rest = records.as_slice();
        while !rest.is_empty() {
            let mut batch = EventBatch::new();
            let mut taken = 0;
            self.timings.time(Stage::Decode, || {
                while taken < rest.len() && !batch.is_full() {
                    decoder.decode(&mut batch, &rest[taken]);
                    taken += 1;
                }
            });
            let (done, later) = rest.split_at(taken);
            rest = later;
            self.finish_batch(done, batch, gathered);
        }
    }

    fn finish_batch(
        &mut self,
        records: &[RawRecord],
        mut batch: EventBatch,
        gathered: &mut Gathered,
    ) {
        let (met, left_out) = self.prepare(&mut batch);
        let start = nanos();
        let outcome = self
            .timings
            .time(Stage::Detect, || self.detector.evaluate(&batch));
        let worked_ns = nanos().saturating_sub(start);
        let measured = self.meter.measure(&self.detector, &batch, worked_ns);
        self.costs.take(measured);
        ledger::count_batch(&mut gathered.deltas, records, &batch, &left_out);
        self.sources.count(&batch);
        let met = self.timings.time(Stage::Detect, || {
            self.matcher.findings_of(&batch, &met, entities_of)
        });
        self.matches.count(met.lists);
        let foreign = foreign_findings(&batch, &outcome.findings);
        let found = outcome.findings.len() + met.findings.len() + foreign.len();
        self.timings.count(batch.len() as u64, found as u64);
        let last = records.last().map_or(0, |record| record.position);
        self.liveness.count(&batch, &outcome.findings, last + 1);
        gathered.pending.end = gathered.pending.end.max(last + 1);
        gathered
            .pending
            .findings
            .extend(outcome.findings.into_iter().map(|finding| (last, finding)));
        let others = met.findings.into_iter().chain(foreign);
        gathered
            .pending
            .findings
            .extend(others.map(|finding| (last, finding)));
        let late = self.replacements.take_findings().into_iter();
        gathered
            .pending
            .findings
            .extend(late.map(|finding| (last, finding)));
        gathered.events += batch.len();
        gathered.bytes += records
            .iter()
            .map(|record| record.bytes.len())
            .sum::<usize>();
        gathered.pending.batches.push(Arc::new(batch));
    }

    /// Normalises and enriches the events of a batch and takes out what routes leave out; gives
    /// the indicators that they met.
    fn prepare(&mut self, batch: &mut EventBatch) -> (Vec<EventMatches>, LeftOut) {
        let timings = Arc::clone(&self.timings);
        let left_out = timings.time(Stage::Normalize, || {
            self.packs.normalize(batch);
            self.enricher.enrich(batch);
            self.routes.after(batch)
        });
        self.learnt.keep(&self.enricher);
        let met = timings.time(Stage::Detect, || self.matcher.matches(batch));
        indicators::note(batch, &met, self.matcher.set());
        (met, left_out)
    }

    /// Lets what was judged be searched, and hands its findings over: both are durable in the
    /// journal, and judging the same records again after a crash gives the same findings.
    fn show(&self, gathered: &mut Gathered) {
        let (pending, shown) = (&gathered.pending, &mut gathered.shown);
        let batches = &pending.batches[shown.batches..];
        let findings = &pending.findings[shown.findings..];
        if let Some(last) = batches.last().and_then(|batch| batch.rows().last()) {
            self.timings
                .count_shown(last.received_at.as_microsecond(), pending.end);
        }
        self.lake.show(batches, findings);
        let findings = findings.iter().map(|(_, finding)| finding.clone());
        let judged = Judged {
            end: pending.end,
            findings: findings.collect(),
        };
        // The receiver goes first only at shutdown; the cursor brings the findings back.
        let _ = self.judged.send(judged);
        *shown = Shown {
            batches: pending.batches.len(),
            findings: pending.findings.len(),
            waits_since: None,
        };
    }

    fn is_due(&self, gathered: &Gathered) -> bool {
        let is_late = gathered
            .since
            .is_some_and(|since| since.elapsed() >= self.commit_wait);
        let is_asked_for = gathered.is_asked_for && gathered.since.is_some();
        is_late
            || is_asked_for
            || gathered.events >= COMMIT_EVENTS
            || gathered.bytes >= COMMIT_BYTES
    }

    /// Gives what was gathered to the committing task, waiting for it: this is what holds the
    /// pipeline back when the lake is slower.
    fn hand_over(&mut self, runtime: &Handle, gathered: &mut Gathered) -> bool {
        let done = std::mem::take(gathered);
        let prepared = Prepared {
            pending: done.pending,
            deltas: done.deltas,
            state: self.detector.save_changes(),
        };
        runtime.block_on(self.output.send(prepared)).is_ok()
    }
}

impl Shown {
    fn is_due(&self) -> bool {
        self.waits_since
            .is_some_and(|since| since.elapsed() >= SHOW_WAIT)
    }
}

fn pause_after(error: &ReadError) {
    tracing::error!(
        error = error as &dyn std::error::Error,
        "journal cannot be read; trying again"
    );
    std::thread::sleep(RETRY_WAIT);
}
