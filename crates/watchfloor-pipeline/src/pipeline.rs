//! Putting the parts together.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use watchfloor_detect::{CostMeter, Detector};
use watchfloor_enrich::{Context, Enricher};
use watchfloor_event::Finding;
use watchfloor_ingest::{Journal, JournalOptions, JournalReader};
use watchfloor_intel::{IndicatorSet, Matcher};
use watchfloor_lake::{Cluster, Lake, Places};
use watchfloor_normalize::PackSet;
use watchfloor_rules::RuleSet;

use crate::commit::Committer;
use crate::costs::{Costs, nanos};
use crate::deliver::{self, FindingSink};
use crate::indicators::IndicatorMatches;
use crate::learnt::Learnt;
use crate::ledger::{Ledger, LedgerError};
use crate::liveness::Liveness;
use crate::process::{Processor, Replacements};
use crate::retro::Retro;
use crate::route::{ForwardStatus, Forwarder, Routes};
use crate::sources::Sources;
use crate::state::StateFolder;
use crate::timings::Timings;

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
    /// Limits of the journal.
    pub journal: JournalOptions,
    /// How long events are gathered before they are committed. They can be searched before.
    pub commit_wait: Duration,
    /// What is looked for in every event beside the rules, from the first on.
    pub indicators: Arc<IndicatorSet>,
    /// What events are enriched from.
    pub context: Arc<Context>,
    /// What is left out, masked or forwarded; taken at the start.
    pub routes: Routes,
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
    replacements: Arc<Replacements>,
    matches: Arc<IndicatorMatches>,
    forwarders: Vec<Arc<Forwarder>>,
    /// The rules in force.
    rules: RwLock<Detector>,
    /// Replacements of rules so far.
    replaced: AtomicU64,
    packs: RwLock<Arc<PackSet>>,
    worker: Option<JoinHandle<()>>,
    tasks: JoinSet<()>,
    flusher: tokio::task::JoinHandle<()>,
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
        let data = options.data.clone();
        let folder_error = |source| StartError::Folder {
            path: data.clone(),
            source,
        };
        let lake = Arc::new(
            Lake::open_at(&options.lake)
                .await
                .map_err(StartError::Lake)?
                .with_cluster(options.cluster.clone()),
        );
        let committed = lake.committed().await;
        let ledger = Arc::new(
            Ledger::open(&options.data.join("ledger.ndjson")).map_err(StartError::Ledger)?,
        );
        if ledger.end() < committed {
            let counted = lake
                .ledger_counts(ledger.end())
                .await
                .map_err(StartError::Read)?;
            ledger.reconcile(counted, committed);
        }
        let journal_folder = options.data.join("journal");
        let (journal, reader) = Journal::open(&journal_folder, options.journal.clone(), committed)
            .map_err(StartError::Journal)?;
        let states = StateFolder::open(options.data.join("detect")).map_err(folder_error)?;
        let detector = restored_detector(rules, &states, committed);
        let mut pipeline = Self {
            lake,
            journal,
            sources: Arc::new(Sources::default()),
            liveness: Arc::new(Liveness::open(
                &options.data.join("liveness.json"),
                Timestamp::now(),
            )),
            costs: Arc::new(Costs::default()),
            timings: Arc::new(Timings::default()),
            replacements: Arc::new(Replacements::default()),
            matches: Arc::new(IndicatorMatches::default()),
            forwarders: Vec::new(),
            rules: RwLock::new(detector.share()),
            replaced: AtomicU64::new(0),
            packs: RwLock::new(Arc::clone(&packs)),
            worker: None,
            tasks: JoinSet::new(),
            flusher: tokio::spawn(flush(Arc::clone(&ledger))),
            ledger,
        };
        pipeline
            .spawn(reader, detector, packs, states, sink, options)
            .map_err(folder_error)?;
        Ok(pipeline)
    }

    fn spawn(
        &mut self,
        reader: JournalReader,
        detector: Detector,
        packs: Arc<PackSet>,
        states: StateFolder,
        sink: Arc<dyn FindingSink>,
        options: PipelineOptions,
    ) -> std::io::Result<()> {
        // One prepared commit waits while another is written: enough to keep both busy.
        let (prepared, to_commit) = mpsc::channel(1);
        let (judged, to_deliver) = mpsc::unbounded_channel();
        let mut meter = CostMeter::new(nanos);
        meter.follow(&detector);
        let learnt = Arc::new(Learnt::new(&options.data.join("leases.ndjson")));
        let mut enricher = Enricher::new(options.context);
        learnt.restore(&mut enricher);
        self.forwarders = options.routes.forwarders().cloned().collect();
        let processor = Processor {
            reader,
            detector,
            meter,
            costs: Arc::clone(&self.costs),
            packs,
            enricher,
            learnt,
            routes: options.routes,
            replacements: Arc::clone(&self.replacements),
            sources: Arc::clone(&self.sources),
            liveness: Arc::clone(&self.liveness),
            timings: Arc::clone(&self.timings),
            matcher: Matcher::new(Arc::clone(&options.indicators)),
            matches: Arc::clone(&self.matches),
            commit_wait: options.commit_wait,
            lake: Arc::clone(&self.lake),
            output: prepared,
            judged,
        };
        let runtime = Handle::current();
        let worker = std::thread::Builder::new().name("pipeline".to_owned());
        self.worker = Some(worker.spawn(move || processor.run(&runtime))?);
        let committer = Committer {
            lake: Arc::clone(&self.lake),
            journal: self.journal.clone(),
            ledger: Arc::clone(&self.ledger),
            states,
            timings: Arc::clone(&self.timings),
            input: to_commit,
            maintenance: None,
        };
        self.tasks.spawn(committer.run());
        self.tasks
            .spawn(deliver::run(Arc::clone(&self.lake), sink, to_deliver));
        Ok(())
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
        if self.journal.stats().next_position <= end || received_us == 0 {
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
            let journal = self.journal.stats();
            if journal.next_position == journal.released {
                return true;
            }
            if tokio::time::Instant::now() >= end {
                return false;
            }
            self.replacements.commit_now();
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
        self.replacements.set_rules(number, detector);
        number
    }

    /// Whether every event from now on is judged by the rules of a replacement: it was taken up,
    /// or no event waits that could still meet the rules before it.
    pub fn is_in_force(&self, number: u64) -> bool {
        let journal = self.journal.stats();
        self.replacements.adopted.load(Ordering::SeqCst) >= number
            || journal.next_position == journal.released
    }

    /// Looks for other indicators from the next batch on; events go on meanwhile.
    pub fn replace_indicators(&self, indicators: Arc<IndicatorSet>) {
        self.replacements.set_indicators(indicators);
    }

    /// Enriches events from another snapshot from the next batch on.
    pub fn replace_context(&self, context: Arc<Context>) {
        self.replacements.set_context(context);
    }

    /// How the destinations fare that records are forwarded to.
    pub fn forwards(&self) -> Vec<ForwardStatus> {
        self.forwarders.iter().map(|one| one.status()).collect()
    }

    /// How often the indicators of each list were met since start.
    pub fn indicator_matches(&self) -> &Arc<IndicatorMatches> {
        &self.matches
    }

    /// Puts findings that were made outside of the stream into the lake with the next commit.
    /// They have the ids that the stream would have given them, so one that is there twice is
    /// one finding.
    pub fn add_findings(&self, findings: Vec<Finding>) {
        self.replacements.add_findings(findings);
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
        self.replacements.set_packs(packs);
    }
}

/// A detector with the state that belongs to the lake's position.
fn restored_detector(rules: RuleSet, states: &StateFolder, committed: u64) -> Detector {
    let mut detector = Detector::new(rules);
    match states.load(committed) {
        Some(pieces) => {
            let restored = pieces.iter().try_for_each(|piece| detector.restore(piece));
            if let Err(error) = restored {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "correlations start anew"
                );
            }
        }
        None if committed > 0 => tracing::warn!(
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
