//! The agent's own process: what it uses, and how it makes itself small.

use std::fs;
use std::time::Duration;

/// Ticks of the kernel's process clock per second: `USER_HZ`, 100 on all that Linux supports here.
const TICKS_PER_SECOND: u64 = 100;

/// Processor time that the agent has used, with all its threads and the children it waited for.
pub(crate) fn cpu_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    Duration::from_millis(ticks(&stat) * 1_000 / TICKS_PER_SECOND)
}

/// utime, stime, cutime and cstime of a line of `proc_pid_stat(5)`.
fn ticks(stat: &str) -> u64 {
    let Some((_, behind)) = stat.rsplit_once(')') else {
        return 0;
    };
    behind
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|word| word.parse::<u64>().ok())
        .sum()
}

/// Resident memory in bytes.
pub(crate) fn memory() -> u64 {
    // In kilobytes whatever the size of a page is, unlike `statm`.
    let text = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// Steps back behind everything else that runs. Not being allowed to is no harm.
pub(crate) fn step_back() {
    let _ = rustix::process::setpriority_process(None, 10);
}

/// Whether the agent runs as root.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_name_with_brackets() {
        let stat = "12 (a) b) S 1 1 1 0 -1 4194560 5 0 0 0 7 3 1 2 20 0 1 0 5";
        assert_eq!(ticks(stat), 13);
        assert!(memory() > 0);
    }
}
