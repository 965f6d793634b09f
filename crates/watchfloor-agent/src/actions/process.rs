//! Ending a process and all that it started.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};

use super::Done;
use crate::platform::process;

/// Processes of one tree that are ended.
const TREE_MAX: usize = 4_096;
/// Rounds of looking for children that were started meanwhile.
const ROUNDS_MAX: usize = 16;
/// How long it is waited until they are gone.
const GONE_MAX: Duration = Duration::from_secs(5);
/// Processes that are named in the proof.
const NAMED_MAX: usize = 50;

/// Ends a process tree; `program` must be the process's own, so that a reused number is spared.
pub(super) fn kill(pid: i32, program: Option<PathBuf>) -> Result<Done> {
    let own = std::process::id() as i32;
    if pid == 1 || pid == own {
        bail!("process {pid} is the machine's first or the agent itself");
    }
    let Some(stat) = process::stat(pid) else {
        bail!("there is no process {pid}");
    };
    if stat.is_kernel() {
        bail!("process {pid} is a thread of the kernel");
    }
    // The handle keeps the number from being reused while the program is compared.
    let handle = pidfd_open(raw(pid)?, PidfdFlags::empty()).context("the process is gone")?;
    let exe = process::exe(pid).unwrap_or_default();
    let name = exe.strip_suffix(" (deleted)").unwrap_or(&exe);
    if let Some(program) = program
        && program.to_string_lossy() != name
    {
        bail!(
            "process {pid} runs {name:?} and not {:?}; its number was reused or it is another",
            program.display()
        );
    }
    // What stands still starts nothing new.
    pidfd_send_signal(&handle, Signal::STOP).context("the process cannot be stopped")?;
    let tree = freeze(pid);
    if tree.contains(&own) {
        for one in &tree {
            let _ = kill_process(raw(*one)?, Signal::CONT);
        }
        bail!("the agent itself was started by process {pid}");
    }
    let named: Vec<String> = tree
        .iter()
        .take(NAMED_MAX)
        .map(|one| describe(*one))
        .collect();
    pidfd_send_signal(&handle, Signal::KILL).context("the process cannot be ended")?;
    for one in tree.iter().filter(|one| **one != pid) {
        // It may have ended by itself.
        let _ = kill_process(raw(*one)?, Signal::KILL);
    }
    let left = wait_until_gone(&tree);
    if !left.is_empty() {
        bail!("still there: {left:?}; they wait for a device and end when it answers");
    }
    Ok(Done::new(format!("ended {} processes", tree.len()))
        .with("processes", named.join("\n"))
        .with("program", name))
}

fn raw(pid: i32) -> Result<Pid> {
    Pid::from_raw(pid).context("no number of a process")
}

fn describe(pid: i32) -> String {
    let facts = process::facts(pid).unwrap_or_default();
    let command: String = facts.command.chars().take(200).collect();
    format!("{pid} {} {command}", facts.exe)
}

/// Stops all descendants, again and again until there are no new ones. The one itself is first.
fn freeze(root: i32) -> BTreeSet<i32> {
    let mut tree = BTreeSet::from([root]);
    for _ in 0..ROUNDS_MAX {
        let found = descendants(&tree);
        let fresh: Vec<i32> = found.difference(&tree).copied().collect();
        if fresh.is_empty() || tree.len() >= TREE_MAX {
            break;
        }
        for pid in fresh {
            if let Some(raw) = Pid::from_raw(pid)
                && pid != std::process::id() as i32
            {
                let _ = kill_process(raw, Signal::STOP);
            }
            tree.insert(pid);
        }
    }
    tree
}

fn descendants(of: &BTreeSet<i32>) -> BTreeSet<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for pid in process::pids() {
        if let Some(stat) = process::stat(pid) {
            children.entry(stat.ppid).or_default().push(pid);
        }
    }
    let mut found = of.clone();
    let mut open: Vec<i32> = of.iter().copied().collect();
    while let Some(pid) = open.pop() {
        for child in children.get(&pid).into_iter().flatten() {
            if found.insert(*child) {
                open.push(*child);
            }
        }
    }
    found
}

/// Waits for their end; answers those that are still there. One that only waits for its parent to
/// take note is gone.
fn wait_until_gone(tree: &BTreeSet<i32>) -> Vec<i32> {
    let until = Instant::now() + GONE_MAX;
    loop {
        let is_there =
            |pid: &&i32| process::stat(**pid).is_some_and(|stat| !matches!(stat.state, 'Z' | 'X'));
        let left: Vec<i32> = tree.iter().filter(is_there).copied().collect();
        if left.is_empty() || Instant::now() >= until {
            return left;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_tree_is_ended_and_others_are_spared() {
        let mut tree = Command::new("sh")
            .args(["-c", "sleep 300 & sleep 300 & wait"])
            .spawn()
            .unwrap();
        let pid = tree.id() as i32;
        let until = Instant::now() + Duration::from_secs(5);
        while descendants(&BTreeSet::from([pid])).len() < 3 && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(10));
        }
        let error = kill(pid, Some(PathBuf::from("/usr/bin/other"))).unwrap_err();
        assert!(format!("{error}").contains("reused"));
        let exe = PathBuf::from(process::exe(pid).unwrap());
        let done = kill(pid, Some(exe)).unwrap();
        assert_eq!(done.summary, "ended 3 processes");
        assert!(!tree.wait().unwrap().success());
        assert!(kill(1, None).is_err() && kill(std::process::id() as i32, None).is_err());
    }
}
