//! Restarting a service.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};

use super::Done;
use crate::platform::command;

/// Longest restart.
const LIMIT: Duration = Duration::from_secs(120);
/// Longest question.
const ASK: Duration = Duration::from_secs(10);

/// Restarts a service.
pub(super) fn restart(service: &str) -> Result<Done> {
    if service.trim_end_matches(".service") == "watchfloor-agent" {
        bail!("the agent does not restart itself this way");
    }
    if Path::new("/run/systemd/system").is_dir() {
        command::run("systemctl", &["restart", "--", service], None, LIMIT)?;
        let state = command::run("systemctl", &["is-active", "--", service], None, ASK);
        let state = state.unwrap_or_else(|_| "not active".to_owned());
        return Ok(Done::new(format!("restarted {service}")).with("state", state.trim()));
    }
    for tool in ["rc-service", "service"] {
        if command::find(tool).is_some() {
            command::run(tool, &[service, "restart"], None, LIMIT)?;
            return Ok(Done::new(format!("restarted {service}")).with("by", tool));
        }
    }
    bail!("neither systemctl, rc-service nor service is there")
}
