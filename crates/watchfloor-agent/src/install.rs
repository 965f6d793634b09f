//! The agent as a service of the host.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::data::{DEFAULT_FOLDER, write_atomically};
use crate::platform::{command, own};

/// Where the unit stands.
const UNIT: &str = "/etc/systemd/system/watchfloor-agent.service";
/// Where the binary stands, so that updates can replace it.
const BINARY: &str = "/usr/local/bin/watchfloor-agent";
/// Longest run of a tool.
const LIMIT: Duration = Duration::from_secs(60);

/// Starts the agent as a service of systemd; where there is none, says how to start it.
pub(crate) fn start(folder: &Path) -> Result<String> {
    if !own::is_root() {
        bail!(
            "only root can install a service; start it with {}",
            by_hand(folder)
        );
    }
    if !Path::new("/run/systemd/system").is_dir() {
        return Ok(format!(
            "systemd does not run here; start the agent with: {}",
            by_hand(folder)
        ));
    }
    let binary = put_binary()?;
    write_atomically(Path::new(UNIT), unit(&binary, folder).as_bytes(), 0o644)
        .with_context(|| format!("{UNIT} cannot be written"))?;
    command::run("systemctl", &["daemon-reload"], None, LIMIT)?;
    // One that runs already has the identity that it had before.
    for verb in ["enable", "restart"] {
        command::run(
            "systemctl",
            &[verb, "watchfloor-agent.service"],
            None,
            LIMIT,
        )?;
    }
    Ok("the agent runs as watchfloor-agent.service".to_owned())
}

/// Copies the binary to where it stays.
fn put_binary() -> Result<PathBuf> {
    let own = std::env::current_exe().context("where is my own binary")?;
    let target = Path::new(BINARY);
    if own != target {
        let bytes = fs::read(&own)?;
        write_atomically(target, &bytes, 0o755)
            .with_context(|| format!("{BINARY} cannot be written"))?;
    }
    Ok(target.to_owned())
}

fn by_hand(folder: &Path) -> String {
    match folder == Path::new(DEFAULT_FOLDER) {
        true => "watchfloor-agent run".to_owned(),
        false => format!("watchfloor-agent run --data {}", folder.display()),
    }
}

/// The service: limits of the kernel's behind those of the agent's own.
fn unit(binary: &Path, folder: &Path) -> String {
    format!(
        "[Unit]\nDescription=Watchfloor agent\nAfter=network.target\nStartLimitIntervalSec=0\n\n\
         [Service]\nExecStart={} run --data {}\nRestart=always\nRestartSec=5\nMemoryHigh=96M\n\
         MemoryMax=192M\nCPUQuota=50%\nTasksMax=64\nNice=10\nIOSchedulingClass=idle\n\
         KillMode=mixed\nTimeoutStopSec=15\nUMask=0077\n\n\
         [Install]\nWantedBy=multi-user.target\n",
        quoted(binary),
        quoted(folder)
    )
}

/// A path as one word of a unit, `systemd.service(5)`.
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let escaped = text
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$");
    format!("\"{escaped}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_has_limits_and_takes_odd_paths() {
        let unit = unit(
            Path::new("/usr/local/bin/watchfloor-agent"),
            Path::new("/srv/a b%"),
        );
        assert!(unit.contains("run --data \"/srv/a b%%\"\n"));
        for line in ["Restart=always", "MemoryMax=192M", "CPUQuota=50%"] {
            assert!(unit.lines().any(|one| one == line), "{line}");
        }
    }
}
