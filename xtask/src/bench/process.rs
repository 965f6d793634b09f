//! What the kernel knows of a process.

use anyhow::{Context, Result};

/// Clock ticks per second of `/proc/PID/stat`; the same on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// A line of `/proc/PID/status` in MiB, such as `VmRSS` or `VmHWM`.
pub(super) fn memory_mib(pid: u32, key: &str) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find(|line| line.starts_with(key))
        .context("no such line in /proc")?;
    let kib: f64 = line
        .split_whitespace()
        .nth(1)
        .context("no number in /proc")?
        .parse()?;
    Ok(kib / 1024.0)
}

/// Seconds of processor time that a process has used.
pub(super) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat
        .rsplit_once(')')
        .context("unknown form of /proc/PID/stat")?
        .1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|text| text.parse::<f64>().ok())
            .context("no ticks")
    };
    Ok((ticks(11)? + ticks(12)?) / TICKS_PER_SECOND)
}
