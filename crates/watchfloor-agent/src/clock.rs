//! The server's clock, as far as the agent knows it: words of the server are meant by it.

use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

use crate::data::DataFolder;

/// The agent's own clock in milliseconds since 1970.
pub(crate) fn own_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// How far the server's clock is ahead of the agent's.
#[derive(Debug, Default)]
pub(crate) struct ServerClock {
    ahead_ms: AtomicI64,
}

impl ServerClock {
    /// As it was when the server was last heard.
    pub(crate) fn load(data: &DataFolder) -> Self {
        Self {
            ahead_ms: AtomicI64::new(data.read_json("clock.json").unwrap_or(0)),
        }
    }

    /// Notes the server's clock.
    pub(crate) fn set(&self, data: &DataFolder, server_ms: i64) {
        let ahead = server_ms.saturating_sub(own_ms());
        let before = self.ahead_ms.swap(ahead, Ordering::Relaxed);
        // Each connection brings another few milliseconds; only what matters is kept.
        if before.abs_diff(ahead) > 1_000 {
            let _ = data.write_json("clock.json", &ahead);
        }
    }

    /// The server's clock in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        own_ms().saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }
}

/// A random number below a limit; the middle if the system has no random bytes.
pub(crate) fn random_below(limit: u64) -> u64 {
    let mut bytes = [0; 8];
    match getrandom::fill(&mut bytes) {
        Ok(()) => u64::from_be_bytes(bytes) % limit.max(1),
        Err(_) => limit / 2,
    }
}
