//! Putting the parts together.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use watchfloor_detect::{CostMeter, Detector};
use watchfloor_enrich::{Context, Enricher};
use watchfloor_event::{Finding, JournalPlace};
use watchfloor_ingest::{Journal, JournalOptions, JournalReader, NatsJournal};
use watchfloor_intel::{IndicatorSet, Matcher};
use watchfloor_lake::{Cluster, Lake, Places, Writers};
use watchfloor_normalize::PackSet;
use watchfloor_rules::RuleSet;

use crate::commit::{Committer, Counting};
use crate::costs::{Costs, nanos};
use crate::deliver::{self, FindingSink};
use crate::indicators::IndicatorMatches;
use crate::learnt::Learnt;
use crate::ledger::{Ledger, LedgerError};
use crate::liveness::Liveness;
use crate::process::{Processor, Replacements};
use crate::retro::Retro;
use crate::route::{ForwardStatus, Routes};
use crate::sources::Sources;
use crate::state::{SharedStates, StateFolder, States};
use crate::timings::Timings;

/// How long the last commit of a partition may take when its work ends.
const END_LIMIT: Duration = Duration::from_secs(10);
/// How often drops are written to the ledger when nothing is committed.
const FLUSH_WAIT: Duration = Duration::from_secs(1);

/// What a pipeline is made of.
#[derive(Debug)]
pub struct PipelineOptions {
    /// The data folder; the pipeline's own folders and files are made in it.
    pub data: PathBuf,
    /// Where the lake stands.
    pub lake: Places,
    /// Machines that help with queries.
    pub cluster: Option<Arc<Cluster>>,
    /// Which journal.
    pub journal: JournalChoice,
    /// How long events are gathered before they are committed. They can be searched before.
    pub commit_wait: Duration,
    /// What is looked for in every event beside the rules, from the first on.
    pub indicators: Arc<IndicatorSet>,
    /// What events are enriched from.
    pub context: Arc<Context>,
    /// What is left out, masked or forwarded; taken at the start.
    pub routes: Routes,
}

/// Which journal a pipeline works on.
#[derive(Clone, Debug)]
pub enum JournalChoice {
    /// One in the data folder, with these limits.
    Embedded(JournalOptions),
    /// That of a cluster. Its partitions are worked on one by one
    /// ([`Pipeline::add_partition`]).
    Nats(NatsJournal),
}

/// Why a pipeline cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The lake.
    #[error("the event lake cannot be opened")]
    Lake(#[source] watchfloor_lake::OpenError),
    /// The lake, read.
    #[error("the event lake cannot be read")]
    Read(#[source] watchfloor_lake::ReadError),
    /// The journal.
    #[error("the journal cannot be opened")]
    Journal(#[source] watchfloor_ingest::OpenError),
    /// The partition is worked on already.
    #[error("partition {0} is worked on already")]
    Busy(u16),
    /// The ledger.
    #[error("the completeness ledger cannot be opened")]
    Ledger(#[source] LedgerError),
    /// The state of correlations, or the working thread.
    #[error("the pipeline cannot work in {path}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

/// A running data plane.
pub struct Pipeline {
    lake: Arc<Lake>,
    journal: Journal,
    ledger: Arc<Ledger>,
    sources: Arc<Sources>,
    liveness: Arc<Liveness>,
    costs: Arc<Costs>,
    timings: Arc<Timings>,
    matches: Arc<IndicatorMatches>,
    nats: Option<NatsJournal>,
    /// What works on the partitions; one, on a journal of one machine.
    lanes: Mutex<BTreeMap<u16, Lane>>,
    sink: Arc<dyn FindingSink>,
    indicators: RwLock<Arc<IndicatorSet>>,
    commit_wait: Duration,
    data: PathBuf,
    /// Findings made outside of the stream while nothing works on any partition.
    late: Mutex<Vec<Finding>>,
    /// What events are enriched from.
    context: RwLock<Arc<Context>>,
    /// What is left out, masked or forwarded, on every partition alike.
    routes: Routes,
    /// The rules in force.
    rules: RwLock<Detector>,
    /// Replacements of rules so far.
    replaced: AtomicU64,
    packs: RwLock<Arc<PackSet>>,
    flusher: tokio::task::JoinHandle<()>,
}

/// What works on one partition.
struct Lane {
    replacements: Arc<Replacements>,
    worker: JoinHandle<()>,
    tasks: JoinSet<()>,
    taken_over: Arc<AtomicBool>,
}

impl std::fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

impl Pipeline {
    /// Opens lake, journal and ledger in the data folder, brings them to one position, and
    /// starts to work.
    ///
    /// # Errors
    /// If one of them cannot be opened.
    pub async fn start(
        options: PipelineOptions,
        packs: Arc<PackSet>,
        rules: RuleSet,
        sink: Arc<dyn FindingSink>,
    ) -> Result<Self, StartError> {
        let nats = match &options.journal {
            JournalChoice::Embedded(_) => None,
            JournalChoice::Nats(nats) => Some(nats.clone()),
        };
        let writers = match nats {
            None => Writers::One,
            Some(_) => Writers::Many,
        };
        let lake = Lake::open_among(&options.lake, writers);
        let lake = lake.await.map_err(StartError::Lake)?;
        let lake = Arc::new(lake.with_cluster(options.cluster.clone()));
        let committed = lake.committed().await;
        let ledger = Arc::new(
            Ledger::open(&options.data.join("ledger.ndjson")).map_err(StartError::Ledger)?,
        );
        let (journal, reader) = match &options.journal {
            JournalChoice::Nats(nats) => (nats.journal(), None),
            JournalChoice::Embedded(limits) => {
                reconcile(&ledger, &lake, committed).await?;
                let folder = options.data.join("journal");
                let (journal, reader) = Journal::open(&folder, limits.clone(), committed)
                    .map_err(StartError::Journal)?;
                (journal, Some(reader))
            }
        };
        let detector = Detector::new(rules);
        let pipeline = Self {
            lake,
            journal,
            nats,
            lanes: Mutex::default(),
            sink,
            indicators: RwLock::new(options.indicators),
            commit_wait: options.commit_wait,
            late: Mutex::default(),
            context: RwLock::new(options.context),
            routes: options.routes,
            sources: Arc::new(Sources::default()),
            liveness: Arc::new(Liveness::open(
                &options.data.join("liveness.json"),
                Timestamp::now(),
            )),
            costs: Arc::new(Costs::default()),
            timings: Arc::new(Timings::default()),
            matches: Arc::new(IndicatorMatches::default()),
            rules: RwLock::new(detector),
            replaced: AtomicU64::new(0),
            packs: RwLock::new(packs),
            flusher: tokio::spawn(flush(Arc::clone(&ledger))),
            data: options.data,
            ledger,
        };
        if let Some(reader) = reader {
            let states = StateFolder::open(pipeline.data.join("detect"));
            let states = States::Folder(states.map_err(|source| pipeline.folder_error(source))?);
            pipeline.spawn(0, reader, states, committed).await?;
        }
        Ok(pipeline)
    }

    fn folder_error(&self, source: std::io::Error) -> StartError {
        StartError::Folder {
            path: self.data.clone(),
            source,
        }
    }

    /// The journal of the cluster, if this is part of one.
    pub fn nats(&self) -> Option<&NatsJournal> {
        self.nats.as_ref()
    }

    /// Begins to work on a partition of a cluster's journal, where the lake says that work
    /// stopped.
    ///
    /// # Errors
    /// If the lake cannot be read, or this process works on the partition already.
    pub async fn add_partition(&self, partition: u16) -> Result<(), StartError> {
        let Some(nats) = &self.nats else {
            return Err(StartError::Busy(partition));
        };
        if self.lock_lanes().contains_key(&partition) {
            return Err(StartError::Busy(partition));
        }
        let committed = self.lake.take_partition(partition).await;
        let committed = committed.map_err(StartError::Read)?;
        let states = States::Shared(SharedStates::new(Arc::clone(&self.lake), partition));
        let reader = nats.reader(partition, committed);
        self.spawn(partition, reader, states, committed).await
    }

    /// Ends the work on a partition: what was gathered is committed, or left to whoever works
    /// on it next.
    pub async fn remove_partition(&self, partition: u16) {
        let Some(lane) = self.lock_lanes().remove(&partition) else {
            return;
        };
        let Lane {
            replacements,
            worker,
            mut tasks,
            ..
        } = lane;
        replacements.end();
        let ended = tokio::task::spawn_blocking(move || worker.join());
        if !matches!(ended.await, Ok(Ok(()))) {
            tracing::error!(partition, "the working thread of a partition had ended");
        }
        // The committing task ends with its input.
        let ending = async { while tasks.join_next().await.is_some() {} };
        let _is_in_time = tokio::time::timeout(END_LIMIT, ending).await;
        tasks.abort_all();
        self.lake.leave_partition(partition).await;
    }

    /// The partitions that this process works on.
    pub fn partitions(&self) -> Vec<u16> {
        self.lock_lanes().keys().copied().collect()
    }

    /// Partitions that other processes took over while this one still works on them.
    pub fn taken_over(&self) -> Vec<u16> {
        let lanes = self.lock_lanes();
        let gone = lanes
            .iter()
            .filter(|(_, lane)| lane.taken_over.load(Ordering::SeqCst));
        gone.map(|(partition, _)| *partition).collect()
    }

    fn lock_lanes(&self) -> MutexGuard<'_, BTreeMap<u16, Lane>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn spawn(
        &self,
        partition: u16,
        reader: JournalReader,
        states: States,
        committed: u64,
    ) -> Result<(), StartError> {
        let first = JournalPlace::start_of(partition);
        let detector = restored_detector(self.detector(), &states, committed, first).await;
        // One prepared commit waits while another is written: enough to keep both busy.
        let (prepared, to_commit) = mpsc::channel(1);
        let (judged, to_deliver) = mpsc::unbounded_channel();
        let mut meter = CostMeter::new(nanos);
        meter.follow(&detector);
        let replacements = Arc::new(Replacements::default());
        let (enricher, learnt) = self.enricher(partition);
        let processor = Processor {
            reader,
            detector,
            meter,
            costs: Arc::clone(&self.costs),
            packs: self.packs(),
            enricher,
            learnt,
            routes: self.routes.share(),
            replacements: Arc::clone(&replacements),
            sources: Arc::clone(&self.sources),
            liveness: Arc::clone(&self.liveness),
            timings: Arc::clone(&self.timings),
            matcher: Matcher::new(self.indicators()),
            matches: Arc::clone(&self.matches),
            commit_wait: self.commit_wait,
            lake: Arc::clone(&self.lake),
            output: prepared,
            judged,
        };
        let worker = processor
            .start()
            .map_err(|source| self.folder_error(source))?;
        let taken_over = Arc::new(AtomicBool::new(false));
        let committer = Committer {
            lake: Arc::clone(&self.lake),
            journal: self.journal.clone(),
            ledger: Arc::clone(&self.ledger),
            states,
            partition,
            counting: counting_of(partition),
            taken_over: Arc::clone(&taken_over),
            timings: Arc::clone(&self.timings),
            input: to_commit,
            maintenance: None,
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(committer.run());
        tasks.spawn(deliver::run(
            Arc::clone(&self.lake),
            Arc::clone(&self.sink),
            partition,
            to_deliver,
        ));
        let lane = Lane {
            replacements,
            worker,
            tasks,
            taken_over,
        };
        self.keep_lane(partition, lane);
        Ok(())
    }

    fn indicators(&self) -> Arc<IndicatorSet> {
        let indicators = self.indicators.read();
        Arc::clone(&indicators.unwrap_or_else(PoisonError::into_inner))
    }

    /// An enricher for a partition, with what was learnt of it before.
    fn enricher(&self, partition: u16) -> (Enricher, Arc<Learnt>) {
        let context = self.context.read();
        let context = Arc::clone(&context.unwrap_or_else(PoisonError::into_inner));
        let name = match partition {
            0 => "leases.ndjson".to_owned(),
            other => format!("leases-{other}.ndjson"),
        };
        let learnt = Arc::new(Learnt::new(&self.data.join(name)));
        let mut enricher = Enricher::new(context);
        learnt.restore(&mut enricher);
        (enricher, learnt)
    }

    fn keep_lane(&self, partition: u16, lane: Lane) {
        let late = std::mem::take(&mut *self.late.lock().unwrap_or_else(PoisonError::into_inner));
        lane.replacements.add_findings(late);
        self.lock_lanes().insert(partition, lane);
    }

    /// The event lake.
    pub fn lake(&self) -> &Arc<Lake> {
        &self.lake
    }

    /// The journal.
    pub fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The completeness ledger.
    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    /// Live figures per source.
    pub fn sources(&self) -> &Arc<Sources> {
        &self.sources
    }

    /// What rules could have met, and which fired.
    pub fn liveness(&self) -> &Arc<Liveness> {
        &self.liveness
    }

    /// Time per stage.
    pub fn timings(&self) -> &Arc<Timings> {
        &self.timings
    }

    /// How long ago the last record that can be searched arrived, while later ones wait; 0 when
    /// none does.
    pub fn lag_ms(&self) -> u64 {
        let (received_us, end) = self.timings.shown();
        let journal = self.journal.stats();
        let is_shown = self.nats.is_none() && journal.next_position <= end;
        if is_shown || journal.pending_records == 0 || received_us == 0 {
            return 0;
        }
        let now_us = Timestamp::now().as_microsecond();
        u64::try_from((now_us - received_us) / 1000).unwrap_or(0)
    }

    /// Has everything in the journal committed, and waits for it, at most so long; says whether
    /// it is in the lake.
    pub async fn settle(&self, limit: Duration) -> bool {
        let end = tokio::time::Instant::now() + limit;
        loop {
            if self.journal.stats().pending_records == 0 {
                return true;
            }
            if tokio::time::Instant::now() >= end {
                return false;
            }
            for lane in self.lock_lanes().values() {
                lane.replacements.commit_now();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Takes other rules from the next batch on. They are compiled on the caller's thread, which
    /// may take some hundred milliseconds; events go on meanwhile. Gives the number of the
    /// replacement.
    pub fn replace_rules(&self, rules: RuleSet) -> u64 {
        let detector = Detector::new(rules);
        let number = self.replaced.fetch_add(1, Ordering::SeqCst) + 1;
        *self.rules.write().unwrap_or_else(PoisonError::into_inner) = detector.share();
        for lane in self.lock_lanes().values() {
            lane.replacements.set_rules(number, detector.share());
        }
        number
    }

    /// Whether every event from now on is judged by the rules of a replacement: it was taken up,
    /// or no event waits that could still meet the rules before it.
    pub fn is_in_force(&self, number: u64) -> bool {
        let has_adopted = |lane: &Lane| lane.replacements.adopted.load(Ordering::SeqCst) >= number;
        self.lock_lanes().values().all(has_adopted) || self.journal.stats().pending_records == 0
    }

    /// Looks for other indicators from the next batch on; events go on meanwhile.
    pub fn replace_indicators(&self, indicators: Arc<IndicatorSet>) {
        *self
            .indicators
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::clone(&indicators);
        for lane in self.lock_lanes().values() {
            lane.replacements.set_indicators(Arc::clone(&indicators));
        }
    }

    /// Enriches events from another snapshot from the next batch on.
    pub fn replace_context(&self, context: Arc<Context>) {
        let mut known = self.context.write().unwrap_or_else(PoisonError::into_inner);
        *known = Arc::clone(&context);
        drop(known);
        for lane in self.lock_lanes().values() {
            lane.replacements.set_context(Arc::clone(&context));
        }
    }

    /// How the destinations fare that records are forwarded to.
    pub fn forwards(&self) -> Vec<ForwardStatus> {
        self.routes.forwarders().map(|one| one.status()).collect()
    }

    /// How often the indicators of each list were met since start.
    pub fn indicator_matches(&self) -> &Arc<IndicatorMatches> {
        &self.matches
    }

    /// Puts findings that were made outside of the stream into the lake with the next commit.
    /// They have the ids that the stream would have given them, so one that is there twice is
    /// one finding.
    pub fn add_findings(&self, findings: Vec<Finding>) {
        let lanes = self.lock_lanes();
        match lanes.values().next() {
            Some(lane) => lane.replacements.add_findings(findings),
            None => {
                let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
                late.extend(findings);
            }
        }
    }

    /// What rules cost.
    pub fn costs(&self) -> &Arc<Costs> {
        &self.costs
    }

    /// The stored events, to be judged again.
    pub fn retro(&self) -> Retro {
        Retro::new(Arc::clone(&self.lake), self.packs())
    }

    /// A detector over the rules in force, without state of its own.
    pub fn detector(&self) -> Detector {
        self.rules
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .share()
    }

    /// The mapping packs in force.
    pub fn packs(&self) -> Arc<PackSet> {
        Arc::clone(&self.packs.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other mapping packs from the next batch on.
    pub fn replace_packs(&self, packs: Arc<PackSet>) {
        *self.packs.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&packs);
        for lane in self.lock_lanes().values() {
            lane.replacements.set_packs(Arc::clone(&packs));
        }
    }
}

/// Several machines cannot count in one file: what they commit is counted in the lake.
const fn counting_of(partition: u16) -> Counting {
    match partition {
        0 => Counting::Here,
        _ => Counting::FromLake,
    }
}

/// The ledger takes up what a crash kept from it.
async fn reconcile(ledger: &Ledger, lake: &Lake, committed: u64) -> Result<(), StartError> {
    if ledger.end() < committed {
        let counted = lake.ledger_counts(ledger.end()).await;
        ledger.reconcile(counted.map_err(StartError::Read)?, committed);
    }
    Ok(())
}

/// A detector with the state that belongs to the lake's position.
async fn restored_detector(
    mut detector: Detector,
    states: &States,
    committed: u64,
    first: u64,
) -> Detector {
    match states.load(committed).await {
        Some(pieces) => {
            let restored = pieces.iter().try_for_each(|piece| detector.restore(piece));
            if let Err(error) = restored {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "correlations start anew"
                );
            }
        }
        None if committed > first => tracing::warn!(
            committed,
            "no saved state of correlations for this position; they start anew"
        ),
        None => {}
    }
    detector
}

async fn flush(ledger: Arc<Ledger>) {
    let mut tick = tokio::time::interval(FLUSH_WAIT);
    loop {
        tick.tick().await;
        ledger.flush();
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        self.flusher.abort();
        self.ledger.flush();
        self.liveness.save();
    }
}
