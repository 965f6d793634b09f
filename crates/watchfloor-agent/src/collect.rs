//! What is watched. Each collector runs on a thread of its own, looks at the policy at each round,
//! and hands what it saw to the spool.

mod files;
pub(crate) mod inventory;
mod tail;

use std::sync::Arc;
use std::thread::JoinHandle;

use crate::core::{Core, SMALL_STACK};

/// Starts all collectors.
pub(crate) fn start(core: &Arc<Core>) -> Vec<JoinHandle<()>> {
    let mut parts = Vec::new();
    parts.extend(core.spawn("files", SMALL_STACK, |core| files::run(&core)));
    parts
}
