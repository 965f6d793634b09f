//! Starts and ends of processes: from the kernel's proc connector, or by looking around.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::time::{Duration, Instant};

use watchfloor_link::{Policy, ProcessEvents};

use super::hash::Hashes;
use crate::core::Core;
use crate::platform::connector::{Connector, ProcessEvent};
use crate::platform::process::{self, ProcessFacts};
use crate::record::{Fields, put};

pub(super) const NAME: &str = "processes";
/// How often it is looked around where the kernel does not tell.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often what is known is compared with what there is.
const COMPARE_EVERY: Duration = Duration::from_secs(60);
/// Processes that are known at most.
const KNOWN_MAX: usize = 32_768;

/// What is remembered of a running process, for its end.
#[derive(Clone, Debug)]
struct Known {
    started: u64,
    exe: String,
    ppid: i32,
    uid: u32,
    since: Instant,
    /// Whether its start was told: only then its end is.
    was_told: bool,
}

struct Processes {
    known: HashMap<i32, Known>,
    /// Parents of processes that run no program of their own yet.
    parents: BTreeMap<i32, i32>,
    hashes: Hashes,
}

/// Watches processes until the agent ends.
pub(super) fn run(core: &Core) {
    let mut processes = Processes {
        known: HashMap::new(),
        parents: BTreeMap::new(),
        hashes: Hashes::default(),
    };
    processes.compare(core, Tell::Nothing);
    while core.is_running() {
        let policy = core.policy();
        match policy.processes {
            ProcessEvents::Off => {
                core.board.off(NAME);
                core.rest(LOOK_EVERY);
            }
            ProcessEvents::Polling => processes.poll(core),
            ProcessEvents::Auto | ProcessEvents::ProcConnector => match Connector::open() {
                Ok(connector) => {
                    core.board.well(NAME);
                    processes.follow(core, connector, &policy);
                }
                Err(error) => {
                    let words = format!(
                        "the kernel tells no starts of processes ({error}); looking around \
                         instead, short ones are missed; run the agent as root"
                    );
                    core.board.trouble(NAME, &words);
                    processes.poll(core);
                }
            },
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tell {
    Changes,
    Nothing,
}

impl Processes {
    fn poll(&mut self, core: &Core) {
        if core.rest(LOOK_EVERY) {
            self.compare(core, Tell::Changes);
        }
    }

    /// Reads the connector until the policy wants something else.
    fn follow(&mut self, core: &Core, mut connector: Connector, policy: &Policy) {
        let mut compared = Instant::now();
        while core.is_running() && core.policy().processes == policy.processes {
            match connector.read() {
                Ok(Some(events)) => {
                    for event in events {
                        self.take(core, event);
                    }
                }
                Ok(None) => {
                    core.spool
                        .count_dropped("process events: kernel buffer full", 1);
                    self.compare(core, Tell::Changes);
                }
                Err(error) => {
                    core.board
                        .trouble(NAME, &format!("the proc connector broke: {error}"));
                    core.rest(LOOK_EVERY);
                    return;
                }
            }
            if compared.elapsed() >= COMPARE_EVERY {
                // What was missed for whatever reason is found here.
                self.compare(core, Tell::Changes);
                compared = Instant::now();
            }
            core.pace.step();
        }
    }

    fn take(&mut self, core: &Core, event: ProcessEvent) {
        let own = std::process::id() as i32;
        match event {
            ProcessEvent::Fork { parent, child } => {
                if self.parents.len() >= KNOWN_MAX {
                    self.parents.pop_first();
                }
                self.parents.insert(child, parent);
            }
            ProcessEvent::Exec { pid } => {
                let forked_by = self.parents.remove(&pid);
                if forked_by != Some(own) {
                    self.started(core, pid, forked_by);
                }
            }
            ProcessEvent::Exit { pid, status } => {
                self.parents.remove(&pid);
                if let Some(known) = self.known.remove(&pid) {
                    ended(core, pid, &known, Some(status));
                }
            }
        }
    }

    fn started(&mut self, core: &Core, pid: i32, forked_by: Option<i32>) {
        let Some(facts) = process::facts(pid) else {
            // It ended before anybody could ask; that it was there is worth a record.
            let mut fields = Fields::new();
            put(&mut fields, "pid", pid);
            put(&mut fields, "ppid", forked_by);
            if let Some(parent) = forked_by {
                self.parent(&mut fields, parent);
            }
            put(&mut fields, "is_gone", true);
            core.observe(NAME, "process_start", fields);
            return;
        };
        if facts.ppid != std::process::id() as i32 {
            let fields = self.fields(core, &facts);
            core.observe(NAME, "process_start", fields);
        }
        self.remember(&facts, true);
    }

    fn fields(&mut self, core: &Core, facts: &ProcessFacts) -> Fields {
        let mut fields = process_fields(core, facts);
        self.parent(&mut fields, facts.ppid);
        put(&mut fields, "sha256", self.hashes.of_process(facts.pid));
        fields
    }

    /// What the parent runs; from memory where it is known, because it may be gone.
    fn parent(&self, fields: &mut Fields, ppid: i32) {
        if let Some(parent) = process::facts(ppid) {
            put(fields, "parent_exe", parent.exe);
            put(fields, "parent_command", parent.command);
        } else if let Some(known) = self.known.get(&ppid) {
            put(fields, "parent_exe", known.exe.as_str());
        }
    }

    fn remember(&mut self, facts: &ProcessFacts, was_told: bool) {
        if self.known.len() >= KNOWN_MAX {
            return;
        }
        let known = Known {
            started: facts.started,
            exe: facts.exe.clone(),
            ppid: facts.ppid,
            uid: facts.uid,
            since: Instant::now(),
            was_told: was_told && facts.ppid != std::process::id() as i32,
        };
        self.known.insert(facts.pid, known);
    }

    /// Compares what is known with what there is.
    fn compare(&mut self, core: &Core, tell: Tell) {
        let pids = process::pids();
        for pid in &pids {
            let Some(stat) = process::stat(*pid) else {
                continue;
            };
            let is_known = self
                .known
                .get(pid)
                .is_some_and(|one| one.started == stat.started);
            if is_known || stat.is_kernel() {
                continue;
            }
            if let Some(known) = self.known.remove(pid) {
                ended(core, *pid, &known, None);
            }
            let Some(facts) = process::facts(*pid) else {
                continue;
            };
            // One that was forked and runs its parent's program is no start of a program.
            let is_start = tell == Tell::Changes && !self.is_copy(&facts);
            if is_start && facts.ppid != std::process::id() as i32 {
                let fields = self.fields(core, &facts);
                core.observe(NAME, "process_start", fields);
            }
            self.remember(&facts, is_start);
            core.pace.step();
        }
        let there: HashSet<i32> = pids.into_iter().collect();
        let gone: Vec<i32> = self
            .known
            .keys()
            .filter(|pid| !there.contains(pid))
            .copied()
            .collect();
        for pid in gone {
            if let Some(known) = self.known.remove(&pid) {
                ended(core, pid, &known, None);
            }
        }
    }

    fn is_copy(&self, facts: &ProcessFacts) -> bool {
        let parent = process::facts(facts.ppid);
        parent.is_some_and(|parent| parent.exe == facts.exe && parent.command == facts.command)
    }
}

fn ended(core: &Core, pid: i32, known: &Known, status: Option<u32>) {
    if !known.was_told {
        return;
    }
    let mut fields = Fields::new();
    put(&mut fields, "pid", pid);
    put(&mut fields, "ppid", known.ppid);
    put(&mut fields, "exe", known.exe.as_str());
    put(&mut fields, "uid", known.uid);
    put(&mut fields, "user", core.names.user(known.uid));
    put(
        &mut fields,
        "lived_ms",
        known.since.elapsed().as_millis() as u64,
    );
    if let Some(status) = status {
        put(&mut fields, "exit_code", (status >> 8) & 0xff);
        if status & 0x7f != 0 {
            put(&mut fields, "signal", status & 0x7f);
        }
    }
    core.observe(NAME, "process_end", fields);
}

/// What is told of a process.
pub(super) fn process_fields(core: &Core, facts: &ProcessFacts) -> Fields {
    let mut fields = Fields::new();
    put(&mut fields, "pid", facts.pid);
    put(&mut fields, "ppid", facts.ppid);
    put(&mut fields, "name", facts.name.as_str());
    put(&mut fields, "exe", facts.exe.as_str());
    put(&mut fields, "command", facts.command.as_str());
    put(&mut fields, "cwd", facts.cwd.as_str());
    put(&mut fields, "uid", facts.uid);
    put(&mut fields, "gid", facts.gid);
    put(&mut fields, "user", core.names.user(facts.uid));
    if let Some(uid) = facts.login_uid {
        put(&mut fields, "login_uid", uid);
        put(&mut fields, "login_user", core.names.user(uid));
    }
    if facts.tty != 0 {
        put(&mut fields, "tty", tty_name(facts.tty));
    }
    put(&mut fields, "session", facts.session);
    put(&mut fields, "container", facts.container.clone());
    put(&mut fields, "started_s", started_s(facts.started));
    fields
}

/// When a process started, in seconds since 1970.
fn started_s(ticks: u64) -> Option<i64> {
    let stat = fs::read_to_string("/proc/stat").ok()?;
    let boot = stat.lines().find_map(|line| line.strip_prefix("btime "))?;
    Some(boot.trim().parse::<i64>().ok()? + i64::try_from(ticks / 100).ok()?)
}

/// The name of a terminal's device number, `proc_pid_stat(5)`.
fn tty_name(number: i32) -> String {
    let number = number as u32;
    let (major, minor) = (
        (number >> 8) & 0xfff,
        (number & 0xff) | ((number >> 12) & 0xfff00),
    );
    match major {
        4 if minor < 64 => format!("tty{minor}"),
        4 => format!("ttyS{}", minor - 64),
        136..=143 => format!("pts/{}", minor + (major - 136) * 256),
        _ => format!("{major}:{minor}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminals_have_names() {
        assert_eq!(tty_name(34816), "pts/0");
        assert_eq!(tty_name(1025), "tty1");
        assert_eq!(tty_name(0x0440), "ttyS0");
    }
}
