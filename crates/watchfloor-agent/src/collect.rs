//! What is watched. Each collector runs on a thread of its own, looks at the policy at each round,
//! and hands what it saw to the spool.

mod checks;
mod files;
mod hash;
mod integrity;
pub(crate) mod inventory;
mod journald;
mod logins;
mod network;
mod processes;
mod tail;

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::core::{Core, LARGE_STACK, SMALL_STACK};

/// Starts all collectors.
pub(crate) fn start(core: &Arc<Core>) -> Vec<JoinHandle<()>> {
    let mut parts = Vec::new();
    parts.extend(core.spawn("files", SMALL_STACK, |core| files::run(&core)));
    parts.extend(core.spawn("journald", SMALL_STACK, |core| journald::run(&core)));
    parts.extend(core.spawn("processes", SMALL_STACK, |core| processes::run(&core)));
    parts.extend(core.spawn("logins", SMALL_STACK, |core| logins::run(&core)));
    parts.extend(core.spawn("network", SMALL_STACK, |core| network::run(&core)));
    parts.extend(core.spawn("integrity", SMALL_STACK, |core| integrity::run(&core)));
    parts.extend(core.spawn("inventory", SMALL_STACK, |core| inventory::run(&core)));
    parts.extend(core.spawn("checks", LARGE_STACK, |core| checks::run(&core)));
    parts
}
