//! The agent's own log of actions: what was begun, what came of it, when it is undone. A line is
//! durable before the action begins and after it ended, so that no key is done twice.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::{Deserialize, Serialize};
use watchfloor_link::{Act, ActOutcome};

use super::undo_of;
use crate::clock::own_ms;
use crate::core::lock;
use crate::tell::tell;

/// Actions that are remembered; the oldest that are over go first.
const ENTRIES_MAX: usize = 2_000;
/// Lines of the file for each remembered action before it is written anew.
const LINES_PER_ENTRY_MAX: usize = 8;

/// When an action is undone, by a clock that nobody can set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Deadline {
    /// The start of the machine in which the clock counts.
    pub(crate) boot: String,
    /// Milliseconds since then.
    pub(crate) uptime_ms: u64,
}

/// Whether an action is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// Yes.
    New,
    /// It is being done.
    Running,
    /// It was done; the answer is sent again.
    Known,
}

/// A line of the log.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Begun {
        act: Act,
        at_ms: i64,
        deadline: Option<Deadline>,
    },
    Ended {
        key: String,
        outcome: ActOutcome,
    },
    Told {
        key: String,
    },
    Undone {
        key: String,
    },
}

#[derive(Clone, Debug)]
struct Entry {
    act: Act,
    at_ms: i64,
    deadline: Option<Deadline>,
    outcome: Option<ActOutcome>,
    /// How far it is, in words; not written down.
    progress: String,
    is_told: bool,
    is_undone: bool,
}

impl Entry {
    /// Whether it is in force until its time is over.
    fn is_in_force(&self) -> bool {
        matches!(self.outcome, Some(ActOutcome::Done { .. }))
            && !self.is_undone
            && undo_of(&self.act.kind).is_some()
    }

    fn is_over(&self) -> bool {
        self.outcome.is_some() && self.is_told && !(self.is_in_force() && self.deadline.is_some())
    }
}

/// The log of actions.
pub(crate) struct Ledger {
    inner: Mutex<Inner>,
}

struct Inner {
    path: PathBuf,
    file: File,
    lines: usize,
    entries: BTreeMap<String, Entry>,
    /// Answers to actions that could not be written down.
    unwritten: Vec<(String, ActOutcome)>,
    /// Actions that were begun before the log was opened, and have no end in it.
    cut_short: Vec<Act>,
}

impl Ledger {
    /// Opens the log; a line that a crash cut short is passed over.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let text = match fs::read(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let mut inner = Inner {
            path: path.to_owned(),
            file: open(path)?,
            lines: 0,
            entries: BTreeMap::new(),
            unwritten: Vec::new(),
            cut_short: Vec::new(),
        };
        for line in text.lines() {
            if let Ok(line) = serde_json::from_str::<Line>(line) {
                inner.apply(line);
            }
        }
        // Known before the server can give anything: what is begun from now on is not cut short.
        let open = inner.entries.values().filter(|one| one.outcome.is_none());
        inner.cut_short = open.map(|one| one.act.clone()).collect();
        inner.rewrite()?;
        Ok(Self {
            inner: Mutex::new(inner),
        })
    }

    /// Notes that an action begins, unless its key is known. A key that failed is begun again if
    /// it comes with a later last moment: then the server tries again, and does not repeat itself.
    /// A key of which nobody knows what came of it is begun again only when a person says so.
    pub(super) fn begin(&self, act: Act, deadline: Option<Deadline>) -> io::Result<Begun> {
        let mut inner = lock(&self.inner);
        if let Some(entry) = inner.entries.get_mut(&act.key) {
            let is_again = match &entry.outcome {
                None => return Ok(Begun::Running),
                Some(ActOutcome::Done { .. }) => false,
                Some(ActOutcome::Failed { .. }) => act.not_after_ms > entry.act.not_after_ms,
                Some(ActOutcome::Uncertain { .. }) => act.redone > entry.act.redone,
            };
            if !is_again {
                entry.is_told = false;
                return Ok(Begun::Known);
            }
        }
        inner.write(Line::Begun {
            act,
            at_ms: own_ms(),
            deadline,
        })?;
        Ok(Begun::New)
    }

    /// Notes an action that is not begun; says whether its key is new.
    pub(super) fn refuse(&self, act: Act, reason: &str) -> bool {
        let key = act.key.clone();
        let is_new = matches!(self.begin(act, None), Ok(Begun::New));
        if is_new {
            self.end(
                &key,
                ActOutcome::Failed {
                    reason: reason.to_owned(),
                },
            );
        }
        is_new
    }

    /// Answers an action that could not be written down.
    pub(super) fn answer_unwritten(&self, key: &str, reason: String) {
        let outcome = ActOutcome::Failed { reason };
        lock(&self.inner).unwritten.push((key.to_owned(), outcome));
    }

    /// Whether a key is known.
    pub(super) fn knows(&self, key: &str) -> bool {
        lock(&self.inner).entries.contains_key(key)
    }

    /// How many actions are being done.
    pub(crate) fn running(&self) -> usize {
        let inner = lock(&self.inner);
        let running = inner.entries.values().filter(|one| one.outcome.is_none());
        running.count()
    }

    /// Notes how far an action is.
    pub(super) fn progress(&self, key: &str, words: String) {
        if let Some(entry) = lock(&self.inner).entries.get_mut(key) {
            entry.progress = words;
        }
    }

    /// Actions that are being done, and how far they are.
    pub(crate) fn acting(&self) -> BTreeMap<String, String> {
        let inner = lock(&self.inner);
        let acting = inner
            .entries
            .iter()
            .filter(|(_, one)| one.outcome.is_none());
        acting
            .map(|(key, one)| (key.clone(), one.progress.clone()))
            .collect()
    }

    /// Notes how an action went.
    pub(super) fn end(&self, key: &str, outcome: ActOutcome) {
        lock(&self.inner).write_or_tell(Line::Ended {
            key: key.to_owned(),
            outcome,
        });
    }

    /// Notes that an action was undone.
    pub(super) fn undone(&self, key: &str) {
        lock(&self.inner).write_or_tell(Line::Undone {
            key: key.to_owned(),
        });
    }

    /// Outcomes that the server was not told.
    pub(crate) fn untold(&self) -> Vec<(String, ActOutcome)> {
        let mut inner = lock(&self.inner);
        let mut found: Vec<_> = inner.unwritten.drain(..).collect();
        let untold = inner.entries.iter().filter(|(_, entry)| !entry.is_told);
        found.extend(untold.filter_map(|(key, entry)| Some((key.clone(), entry.outcome.clone()?))));
        found
    }

    /// Notes that the server was told an outcome.
    pub(crate) fn told(&self, key: &str) {
        let mut inner = lock(&self.inner);
        if inner.entries.get(key).is_some_and(|entry| !entry.is_told) {
            inner.write_or_tell(Line::Told {
                key: key.to_owned(),
            });
        }
    }

    /// Actions that an end of the agent cut short, once.
    pub(super) fn take_cut_short(&self) -> Vec<Act> {
        std::mem::take(&mut lock(&self.inner).cut_short)
    }

    /// Actions whose time is over. In the same start of the machine its uptime counts; after
    /// another one the server's clock does.
    pub(super) fn due(&self, boot: &str, uptime_ms: u64, server_ms: i64) -> Vec<Act> {
        let inner = lock(&self.inner);
        let is_due = |entry: &&Entry| {
            let is_past = match &entry.deadline {
                Some(deadline) if deadline.boot == boot => uptime_ms >= deadline.uptime_ms,
                Some(_) => entry.act.undo_at_ms.is_some_and(|at| server_ms >= at),
                None => false,
            };
            is_past && entry.is_in_force()
        };
        let due = inner.entries.values().filter(is_due);
        due.map(|entry| entry.act.clone()).collect()
    }

    /// When which actions undo themselves.
    pub(crate) fn undo_times(&self) -> BTreeMap<String, i64> {
        let inner = lock(&self.inner);
        let in_force = inner.entries.iter().filter(|(_, one)| one.is_in_force());
        in_force
            .filter_map(|(key, entry)| Some((key.clone(), entry.act.undo_at_ms?)))
            .collect()
    }

    /// Whether another action that is in force asks for the same.
    pub(super) fn is_held_by_another(&self, act: &Act) -> bool {
        let inner = lock(&self.inner);
        inner.entries.values().any(|entry| {
            entry.act.key != act.key && entry.is_in_force() && is_same_deed(&entry.act, act)
        })
    }

    /// After an undo that was asked for, what it undid is over.
    pub(super) fn settle_undone(&self, act: &Act) {
        let keys: Vec<String> = {
            let inner = lock(&self.inner);
            let in_force = inner.entries.values().filter(|one| one.is_in_force());
            in_force
                .filter(|one| undo_of(&one.act.kind) == Some(act.kind.as_str()))
                .filter(|one| has_same_target(&one.act, act))
                .map(|one| one.act.key.clone())
                .collect()
        };
        for key in keys {
            self.undone(&key);
        }
    }
}

fn is_same_deed(one: &Act, other: &Act) -> bool {
    one.kind == other.kind && has_same_target(one, other)
}

/// Whether both are done to the same thing; there is only one host here, whatever its name.
fn has_same_target(one: &Act, other: &Act) -> bool {
    ["address", "domain", "path", "user"]
        .iter()
        .all(|name| one.arguments.get(*name) == other.arguments.get(*name))
}

impl Inner {
    fn write(&mut self, line: Line) -> io::Result<()> {
        let mut bytes = serde_json::to_vec(&line).map_err(io::Error::other)?;
        bytes.push(b'\n');
        self.file.write_all(&bytes)?;
        // That the server was told need not outlive a crash: it is told again.
        if !matches!(line, Line::Told { .. }) {
            self.file.sync_data()?;
        }
        self.apply(line);
        if self.lines > ENTRIES_MAX.max(self.entries.len()) * LINES_PER_ENTRY_MAX {
            self.rewrite()?;
        }
        Ok(())
    }

    /// What is known in memory holds even if the disk takes nothing.
    fn write_or_tell(&mut self, line: Line) {
        if let Err(error) = self.write(line.clone()) {
            tell(format_args!(
                "the log of actions cannot be written: {error}"
            ));
            self.apply(line);
        }
    }

    fn apply(&mut self, line: Line) {
        self.lines += 1;
        match line {
            Line::Begun {
                act,
                at_ms,
                deadline,
            } => {
                let key = act.key.clone();
                let entry = Entry {
                    act,
                    at_ms,
                    deadline,
                    outcome: None,
                    progress: String::new(),
                    is_told: false,
                    is_undone: false,
                };
                self.entries.insert(key, entry);
            }
            Line::Ended { key, outcome } => {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.outcome = Some(outcome);
                    entry.is_told = false;
                }
            }
            Line::Told { key } => {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.is_told = true;
                }
            }
            Line::Undone { key } => {
                if let Some(entry) = self.entries.get_mut(&key) {
                    entry.is_undone = true;
                }
            }
        }
    }

    /// Writes the log anew, without the oldest actions that are over.
    fn rewrite(&mut self) -> io::Result<()> {
        let mut over: Vec<(i64, String)> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.is_over())
            .map(|(key, entry)| (entry.at_ms, key.clone()))
            .collect();
        over.sort();
        let surplus = self.entries.len().saturating_sub(ENTRIES_MAX);
        for (_, key) in over.into_iter().take(surplus) {
            self.entries.remove(&key);
        }
        let lines: Vec<Line> = self.entries.values().flat_map(lines_of).collect();
        let mut bytes = Vec::new();
        for line in &lines {
            serde_json::to_writer(&mut bytes, line).map_err(io::Error::other)?;
            bytes.push(b'\n');
        }
        crate::data::write_atomically(&self.path, &bytes, 0o600)?;
        self.file = open(&self.path)?;
        self.lines = lines.len();
        Ok(())
    }
}

fn lines_of(entry: &Entry) -> Vec<Line> {
    let key = || entry.act.key.clone();
    let mut lines = vec![Line::Begun {
        act: entry.act.clone(),
        at_ms: entry.at_ms,
        deadline: entry.deadline.clone(),
    }];
    if let Some(outcome) = entry.outcome.clone() {
        lines.push(Line::Ended {
            key: key(),
            outcome,
        });
    }
    if entry.is_told {
        lines.push(Line::Told { key: key() });
    }
    if entry.is_undone {
        lines.push(Line::Undone { key: key() });
    }
    lines
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(key: &str, kind: &str) -> Act {
        Act {
            key: key.to_owned(),
            kind: kind.to_owned(),
            arguments: BTreeMap::new(),
            undo_at_ms: Some(5_000),
            not_after_ms: 100,
            redone: 0,
        }
    }

    fn done() -> ActOutcome {
        ActOutcome::Done {
            summary: "done".to_owned(),
            evidence: BTreeMap::new(),
        }
    }

    fn at(uptime_ms: u64) -> Option<Deadline> {
        Some(Deadline {
            boot: "b1".to_owned(),
            uptime_ms,
        })
    }

    #[test]
    fn a_key_is_done_once_and_answered_again_after_a_restart_too() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("actions.log");
        let ledger = Ledger::open(&path).unwrap();
        assert_eq!(
            ledger.begin(act("k", "isolate_host"), None).unwrap(),
            Begun::New
        );
        assert_eq!(
            ledger.begin(act("k", "isolate_host"), None).unwrap(),
            Begun::Running
        );
        ledger.end("k", done());
        assert_eq!(ledger.untold(), [("k".to_owned(), done())]);
        ledger.told("k");
        assert!(ledger.untold().is_empty());
        drop(ledger);
        let ledger = Ledger::open(&path).unwrap();
        assert!(ledger.untold().is_empty());
        assert_eq!(
            ledger.begin(act("k", "isolate_host"), None).unwrap(),
            Begun::Known
        );
        assert_eq!(ledger.untold(), [("k".to_owned(), done())]);
    }

    #[test]
    fn what_was_cut_short_is_known_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("actions.log");
        let ledger = Ledger::open(&path).unwrap();
        ledger.begin(act("k", "kill_process"), None).unwrap();
        drop(ledger);
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"line\":\"ended\",\"key\":\"k").unwrap();
        let ledger = Ledger::open(&path).unwrap();
        // What the server gives before they are settled is not one of them, nor is it begun twice.
        let fresh = ledger.begin(act("new", "kill_process"), None).unwrap();
        assert_eq!(fresh, Begun::New);
        let same = ledger.begin(act("k", "kill_process"), None).unwrap();
        assert_eq!(same, Begun::Running);
        assert_eq!(ledger.take_cut_short(), [act("k", "kill_process")]);
        assert!(ledger.take_cut_short().is_empty());
    }

    #[test]
    fn an_uncertain_key_is_done_again_only_when_a_person_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("actions.log")).unwrap();
        ledger.begin(act("k", "kill_process"), None).unwrap();
        let reason = "nobody knows".to_owned();
        ledger.end("k", ActOutcome::Uncertain { reason });
        let asked_again = Act {
            not_after_ms: 900,
            ..act("k", "kill_process")
        };
        assert_eq!(
            ledger.begin(asked_again.clone(), None).unwrap(),
            Begun::Known
        );
        let decided = Act {
            redone: 1,
            ..asked_again
        };
        assert_eq!(ledger.begin(decided, None).unwrap(), Begun::New);
    }

    #[test]
    fn a_failed_key_is_tried_again_only_when_the_server_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("actions.log")).unwrap();
        assert!(ledger.refuse(act("k", "kill_process"), "no"));
        assert_eq!(
            ledger.begin(act("k", "kill_process"), None).unwrap(),
            Begun::Known
        );
        let again = Act {
            not_after_ms: 200,
            ..act("k", "kill_process")
        };
        assert_eq!(ledger.begin(again, None).unwrap(), Begun::New);
    }

    #[test]
    fn time_is_counted_by_uptime_and_by_the_servers_clock_after_another_start() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("actions.log")).unwrap();
        ledger.begin(act("k", "isolate_host"), at(1_000)).unwrap();
        assert!(
            ledger.due("b1", 2_000, 9_000).is_empty(),
            "it is not done yet"
        );
        ledger.end("k", done());
        assert!(
            ledger.due("b1", 999, 9_000).is_empty(),
            "a set clock changes nothing"
        );
        assert_eq!(ledger.due("b1", 1_000, 0).len(), 1);
        assert!(ledger.due("b2", 1_000, 4_999).is_empty());
        assert_eq!(ledger.due("b2", 0, 5_000).len(), 1);
        assert_eq!(
            ledger.undo_times(),
            BTreeMap::from([("k".to_owned(), 5_000)])
        );
        ledger.undone("k");
        assert!(ledger.due("b1", 1_000, 9_000).is_empty() && ledger.undo_times().is_empty());
    }

    #[test]
    fn one_action_does_not_undo_what_another_asks_for() {
        let folder = tempfile::tempdir().unwrap();
        let ledger = Ledger::open(&folder.path().join("actions.log")).unwrap();
        for key in ["a", "b"] {
            ledger.begin(act(key, "isolate_host"), at(1_000)).unwrap();
            ledger.end(key, done());
        }
        assert!(ledger.is_held_by_another(&act("a", "isolate_host")));
        ledger.undone("b");
        assert!(!ledger.is_held_by_another(&act("a", "isolate_host")));
        ledger.settle_undone(&act("c", "release_host"));
        assert!(ledger.undo_times().is_empty());
    }
}
