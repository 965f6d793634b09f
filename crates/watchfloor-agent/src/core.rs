//! What all parts of a running agent share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use watchfloor_link::{Frame, HostIdentity, Policy, ToServer};

use crate::actions::Ledger;
use crate::board::Board;
use crate::clock::ServerClock;
use crate::data::{DataFolder, Settings};
use crate::health::Standing;
use crate::pace::Pace;
use crate::platform;
use crate::platform::accounts::Names;
use crate::record::{Fields, Recorder};
use crate::spool::{Appended, Class, Positions, Spool};
use crate::tell::tell;

/// Stack of a thread that does little.
pub(crate) const SMALL_STACK: usize = 512 << 10;
/// Stack of a thread that reads what others wrote: expressions and rules nest.
pub(crate) const LARGE_STACK: usize = 4 << 20;
/// Frames of actions that wait for the connection.
const OUTGOING_MAX: usize = 8;

/// Why the agent ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum End {
    /// It does not.
    #[default]
    Not,
    /// It was asked to stop.
    Stop,
    /// It starts again: another version, or too much memory.
    Again,
}

/// What all parts share.
pub(crate) struct Core {
    pub(crate) data: DataFolder,
    pub(crate) settings: Settings,
    /// The agent's own binary, as it was when it started.
    pub(crate) binary: PathBuf,
    pub(crate) host: HostIdentity,
    pub(crate) recorder: Recorder,
    pub(crate) spool: Spool,
    pub(crate) board: Board,
    pub(crate) pace: Pace,
    pub(crate) clock: ServerClock,
    pub(crate) names: Names,
    pub(crate) ledger: Ledger,
    /// Rung when an outcome is to be told.
    pub(crate) outcomes: Notify,
    /// Frames of actions: parts of files.
    pub(crate) outgoing: mpsc::Sender<Frame<ToServer>>,
    /// Rung when the agent ends.
    pub(crate) ended: Notify,
    /// Counts connections that were let in.
    pub(crate) connections: AtomicU64,
    /// Files that the server keeps, by key and name.
    pub(crate) files_stored: Mutex<Vec<(String, String)>>,
    pub(crate) is_isolated: AtomicBool,
    /// How the connection stands.
    pub(crate) standing: Mutex<Standing>,
    policy: Mutex<Arc<Policy>>,
    end: Mutex<End>,
    ending: Condvar,
}

/// The core, and where frames of actions come out.
pub(crate) struct Opened {
    pub(crate) core: Arc<Core>,
    pub(crate) outgoing: mpsc::Receiver<Frame<ToServer>>,
}

impl Core {
    /// Opens everything in a data folder.
    pub(crate) fn open(data: DataFolder, settings: Settings) -> anyhow::Result<Opened> {
        use anyhow::Context;
        let policy: Policy = data.read_json("policy.json").unwrap_or_default();
        let spool = Spool::open(&data.path("spool"), spool_bytes(&policy))
            .context("the spool cannot be opened")?;
        let ledger = Ledger::open(&data.path("actions.log"))
            .context("the log of actions cannot be opened")?;
        let host = platform::host::identity(&data);
        let (sender, outgoing) = mpsc::channel(OUTGOING_MAX);
        let core = Self {
            recorder: Recorder::new(&settings.agent, &host.name),
            clock: ServerClock::load(&data),
            binary: std::env::current_exe().context("where is my own binary")?,
            data,
            settings,
            host,
            spool,
            board: Board::default(),
            pace: Pace::new(policy.cpu_percent),
            names: Names::default(),
            ledger,
            outcomes: Notify::new(),
            outgoing: sender,
            ended: Notify::new(),
            connections: AtomicU64::new(0),
            files_stored: Mutex::default(),
            is_isolated: AtomicBool::new(false),
            standing: Mutex::default(),
            policy: Mutex::new(Arc::new(policy)),
            end: Mutex::default(),
            ending: Condvar::new(),
        };
        Ok(Opened {
            core: Arc::new(core),
            outgoing,
        })
    }

    /// The policy in force.
    pub(crate) fn policy(&self) -> Arc<Policy> {
        Arc::clone(&lock(&self.policy))
    }

    /// Puts a policy in force; collectors see it at their next look.
    pub(crate) fn set_policy(&self, policy: Policy) {
        self.spool.set_limit(spool_bytes(&policy));
        self.pace.set_percent(policy.cpu_percent);
        if let Err(error) = self.data.write_json("policy.json", &policy) {
            tell(format_args!("the policy cannot be kept: {error}"));
        }
        *lock(&self.policy) = Arc::new(policy);
    }

    /// Keeps something that was observed just now.
    pub(crate) fn observe(&self, collector: &'static str, kind: &str, fields: Fields) {
        let record = self.recorder.event(kind, Timestamp::now(), fields);
        self.keep(collector, Class::Momentary, vec![record], Positions::new());
    }

    /// Keeps records and the positions that go with them. Kept ones wait for room; `false` if the
    /// agent ends before there is some.
    pub(crate) fn keep(
        &self,
        collector: &'static str,
        class: Class,
        records: Vec<Vec<u8>>,
        positions: Positions,
    ) -> bool {
        let count = records.len() as u64;
        loop {
            let result = match class {
                // Read again, or brought again, after a crash; so they must be given away only
                // once they are written.
                Class::Kept => self.spool.append(class, records.clone(), positions.clone()),
                Class::Momentary => {
                    let result = self.spool.append(class, records, positions);
                    if let Err(error) = &result {
                        self.spool.count_dropped("disk", count);
                        self.board
                            .trouble("spool", &format!("cannot write: {error}"));
                    } else {
                        self.board.count(collector, count);
                    }
                    return true;
                }
            };
            match result {
                Ok(Appended::Written) => {
                    self.board.count(collector, count);
                    return true;
                }
                Ok(Appended::Full) => {}
                Err(error) => self
                    .board
                    .trouble("spool", &format!("cannot write: {error}")),
            }
            if !self.rest(Duration::from_secs(1)) {
                return false;
            }
        }
    }

    /// Waits; `false` if the agent ends.
    pub(crate) fn rest(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut end = lock(&self.end);
        while *end == End::Not {
            let Some(left) = until.checked_duration_since(Instant::now()) else {
                return true;
            };
            end = match self.ending.wait_timeout(end, left) {
                Ok((end, _)) => end,
                Err(poisoned) => poisoned.into_inner().0,
            };
        }
        false
    }

    /// Whether the agent goes on.
    pub(crate) fn is_running(&self) -> bool {
        *lock(&self.end) == End::Not
    }

    /// Why the agent ends, if it does.
    pub(crate) fn why_ended(&self) -> End {
        *lock(&self.end)
    }

    /// Ends the agent.
    pub(crate) fn end(&self, why: End) {
        let mut end = lock(&self.end);
        if *end == End::Not {
            *end = why;
        }
        drop(end);
        self.ending.notify_all();
        self.ended.notify_one();
    }

    /// Notes that the server keeps a file.
    pub(crate) fn file_stored(&self, key: String, name: String) {
        lock(&self.files_stored).push((key, name));
    }

    /// Starts a part of the agent on a thread of its own.
    pub(crate) fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        stack: usize,
        work: impl FnOnce(Arc<Self>) + Send + 'static,
    ) -> Option<thread::JoinHandle<()>> {
        let core = Arc::clone(self);
        let builder = thread::Builder::new()
            .name(name.to_owned())
            .stack_size(stack);
        match builder.spawn(move || work(core)) {
            Ok(handle) => Some(handle),
            Err(error) => {
                self.board.trouble(name, &format!("cannot start: {error}"));
                None
            }
        }
    }

    /// How many connections were let in until now.
    pub(crate) fn connection(&self) -> u64 {
        self.connections.load(Ordering::Acquire)
    }
}

fn spool_bytes(policy: &Policy) -> u64 {
    u64::from(policy.spool_mib.max(1)) << 20
}

/// Locks whatever happened to another holder: all that is locked here stays whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
