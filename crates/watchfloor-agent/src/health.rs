//! How the agent is: for the heartbeat, for `status`, and for its own limits.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use watchfloor_link::Health;

use crate::core::{Core, End, lock};
use crate::platform::own;
use crate::record::{Fields, VERSION, put};
use crate::tell::tell;

/// How often memory is looked at and the state file written.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Looks over the limit before the agent starts again: a scan may need much for a moment.
const LOOKS_OVER_MAX: u32 = 6;

/// Measures between heartbeats.
#[derive(Debug)]
pub(crate) struct Meter {
    at: Instant,
    cpu: Duration,
}

/// What `status` shows; written while the agent runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct State {
    pub(crate) pid: u32,
    pub(crate) version: String,
    pub(crate) at_ms: i64,
    pub(crate) server: String,
    pub(crate) is_connected: bool,
    pub(crate) trouble: Option<String>,
    pub(crate) policy: u64,
    pub(crate) health: Health,
}

impl Meter {
    /// Begins to measure.
    pub(crate) fn new() -> Self {
        Self {
            at: Instant::now(),
            cpu: own::cpu_time(),
        }
    }

    /// How the agent is, with its share of the processor since the last call.
    pub(crate) fn health(&mut self, core: &Core) -> Health {
        let (now, cpu) = (Instant::now(), own::cpu_time());
        let passed = (now - self.at).as_secs_f32().max(0.001);
        let used = cpu.saturating_sub(self.cpu).as_secs_f32();
        (self.at, self.cpu) = (now, cpu);
        let standing = core.spool.standing();
        Health {
            cpu_percent: used / passed * 100.0,
            memory_bytes: own::memory(),
            queue_records: standing.records,
            queue_bytes: standing.bytes,
            dropped: standing.dropped,
            collectors: core.board.states(),
            is_isolated: core.is_isolated.load(Ordering::Acquire),
            undo_at_ms: core.ledger.undo_times(),
            acting: core.ledger.acting(),
        }
    }
}

/// How the connection stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) server: String,
    pub(crate) is_connected: bool,
    pub(crate) trouble: Option<String>,
}

/// Writes down how the agent is.
fn write_state(core: &Core, meter: &mut Meter) {
    let standing = lock(&core.standing).clone();
    let state = State {
        pid: std::process::id(),
        version: VERSION.to_owned(),
        at_ms: crate::clock::own_ms(),
        server: standing.server,
        is_connected: standing.is_connected,
        trouble: standing.trouble,
        policy: core.policy().revision,
        health: meter.health(core),
    };
    // For people only; a full disk must not end the agent.
    let _ = core.data.write_json("state.json", &state);
}

/// Looks after memory until the agent ends.
pub(crate) fn watch(core: &Arc<Core>) {
    let mut looks_over = 0;
    let mut meter = Meter::new();
    while core.rest(LOOK_EVERY) {
        write_state(core, &mut meter);
        let limit = u64::from(core.policy().memory_mib.max(16)) << 20;
        let used = own::memory();
        looks_over = match used > limit {
            true => looks_over + 1,
            false => 0,
        };
        if looks_over >= LOOKS_OVER_MAX {
            let words = format!(
                "{} MiB of memory are in use and {} are allowed; starting again",
                used >> 20,
                limit >> 20
            );
            tell(format_args!("{words}"));
            let mut fields = Fields::new();
            put(&mut fields, "component", "memory");
            put(&mut fields, "message", words);
            core.observe("agent", "agent_trouble", fields);
            core.end(End::Again);
        }
    }
}
