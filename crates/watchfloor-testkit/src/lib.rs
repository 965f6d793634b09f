//! What the tests of the whole program share: a server as a process, and the simplest HTTP
//! client there can be.

mod agent;
mod bucket;
mod checks;
mod client;
mod nats;
mod postgres;
mod scenario;
mod server;

pub use agent::{AgentLink, EnrolledAgent, Entry, host, now_ms};
pub use bucket::Bucket;
pub use checks::LedgerTotals;
pub use client::{Answer, Client};
pub use nats::Nats;
pub use postgres::{Durability, Postgres};
pub use scenario::{Judged, Scenario, ScenarioRecord, incidents_of_recording};
pub use server::ServerProcess;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Looks until a condition holds; an error after a minute.
///
/// # Errors
/// If it does not hold in time, or looking fails.
pub fn wait_for(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    const LIMIT: Duration = Duration::from_secs(60);
    let start = Instant::now();
    while !holds()? {
        if start.elapsed() > LIMIT {
            bail!("waited {} s in vain: {what}", LIMIT.as_secs());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// The folder of shared data for tests, if it is there.
pub fn corpus() -> Option<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: {} is absent", folder.display());
    None
}

/// The folder of JavaScript modules that tests send with (`cargo xtask test` makes it), if it is
/// there.
pub fn node_modules() -> Option<std::path::PathBuf> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/senders-js/node_modules");
    if folder.is_dir() {
        return Some(folder);
    }
    println!(
        "skipped: {} is absent; cargo xtask test makes it",
        folder.display()
    );
    None
}

/// The Python interpreter with the clients that tests need (`cargo xtask test` makes it), if it
/// is there.
pub fn python() -> Option<std::path::PathBuf> {
    let named = std::env::var_os("WATCHFLOOR_TEST_PYTHON").map(std::path::PathBuf::from);
    let usual =
        || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/python/bin/python");
    let python = named.unwrap_or_else(usual);
    if python.is_file() {
        return Some(python);
    }
    println!(
        "skipped: {} is absent; cargo xtask test makes it",
        python.display()
    );
    None
}
