//! The committing task: one lake commit after the other, then ledger and journal.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use watchfloor_detect::SavedState;
use watchfloor_ingest::Journal;
use watchfloor_lake::{CommitError, Lake, PendingCommit};

use crate::ledger::Ledger;
use crate::process::Prepared;
use crate::state::States;
use crate::timings::{Stage, Timings};

/// Wait before a commit that failed is tried again.
const RETRY_WAIT: Duration = Duration::from_secs(1);
/// Commits between two looks at whether compaction is due.
const COMMITS_PER_MAINTENANCE: u64 = 50;
/// How far maintenance gives way, from 0 (not at all) to 19.
const NICENESS: i32 = 15;

/// Who counts what is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Counting {
    /// The ledger of this data folder, with each commit.
    Here,
    /// Whoever keeps the ledger of a cluster, from the lake.
    FromLake,
}

pub(crate) struct Committer {
    pub lake: Arc<Lake>,
    pub journal: Journal,
    pub ledger: Arc<Ledger>,
    pub states: States,
    /// Which partition's commits these are; the first of a journal looks after the lake.
    pub partition: u16,
    /// Who counts what is stored: here, or whoever reads the lake.
    pub counting: Counting,
    /// Told when another process took the partition over.
    pub taken_over: Arc<AtomicBool>,
    pub timings: Arc<Timings>,
    pub input: mpsc::Receiver<Prepared>,
    pub maintenance: Option<std::thread::JoinHandle<()>>,
}

impl Committer {
    pub(crate) async fn run(mut self) {
        let mut commits = 0;
        while let Some(prepared) = self.input.recv().await {
            let start = Instant::now();
            if let Err(error) = self.commit(prepared).await {
                tracing::warn!(%error, "this process works on the partition no longer");
                self.taken_over.store(true, Ordering::SeqCst);
                return;
            }
            self.timings.add(Stage::Commit, start);
            self.timings.count_commit();
            commits += 1;
            if commits % COMMITS_PER_MAINTENANCE == 0 && self.partition <= 1 {
                self.maintain();
            }
        }
    }

    /// Looks after the lake on a thread of its own that gives way to everything else:
    /// compaction is long work on all columns, and alerts must not wait for it.
    fn maintain(&mut self) {
        if self
            .maintenance
            .as_ref()
            .is_some_and(|thread| !thread.is_finished())
        {
            return;
        }
        let lake = Arc::clone(&self.lake);
        let thread = std::thread::Builder::new()
            .name("maintenance".to_owned())
            .spawn(move || {
                if let Err(error) = rustix::process::nice(NICENESS) {
                    tracing::debug!(%error, "maintenance runs at normal priority");
                }
                match tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                {
                    Ok(runtime) => runtime.block_on(maintain(&lake)),
                    Err(error) => tracing::warn!(%error, "maintenance cannot start"),
                }
            });
        match thread {
            Ok(thread) => self.maintenance = Some(thread),
            Err(error) => tracing::warn!(%error, "maintenance cannot start"),
        }
    }

    /// Fails only when another process works on the partition.
    async fn commit(&mut self, prepared: Prepared) -> Result<(), CommitError> {
        let Prepared {
            pending,
            deltas,
            state,
        } = prepared;
        let end = pending.end;
        self.save_until_done(end, &state).await;
        self.commit_until_done(pending).await?;
        self.states.keep_only(end).await;
        if self.counting == Counting::Here {
            self.ledger.commit(deltas, end);
        }
        self.journal.release(end);
        Ok(())
    }

    /// Nor is the state that belongs to a commit: later pieces build on this one, and a crash
    /// must find it.
    async fn save_until_done(&mut self, end: u64, state: &SavedState) {
        while let Err(error) = self.states.save(end, state).await {
            tracing::error!(
                %error,
                "state of correlations cannot be saved; trying again"
            );
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }

    /// A commit is never given up: the journal holds the records, and senders are held back
    /// when it is full.
    async fn commit_until_done(&self, pending: PendingCommit) -> Result<(), CommitError> {
        let pending = Arc::new(pending);
        loop {
            let error = match self.lake.commit_shared(Arc::clone(&pending)).await {
                Ok(()) => return Ok(()),
                Err(error @ CommitError::TakenOver { .. }) => return Err(error),
                Err(error) => error,
            };
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "lake commit failed; trying again"
            );
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }
}

async fn maintain(lake: &Lake) {
    match lake.maintain().await {
        Ok(done) if done.replaced > 0 => tracing::info!(?done, "lake files compacted"),
        Ok(_) => {}
        Err(error) => tracing::warn!(
            error = &error as &dyn std::error::Error,
            "lake maintenance failed"
        ),
    }
}
