//! Durable acceptance per protocol, beside rsyslog and syslog-ng.

use anyhow::Result;

use crate::shell;

/// Lines that are sent by each protocol.
const EVENTS: usize = 500_000;

pub(super) fn run(is_quick: bool) -> Result<()> {
    shell::build()?;
    let folder = shell::target().join("bench-collect");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let events = if is_quick { EVENTS / 5 } else { EVENTS };
    let mut command = shell::command("python3", "bench/collect");
    command
        .arg("collect.py")
        .arg(shell::watchfloor())
        .arg(shell::target().join("aside"))
        .arg(&folder)
        .arg(events.to_string());
    shell::run(&mut command)
}
