//! What an agent says of its host and of itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a host says it is. None of it is believed without the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostIdentity {
    /// Host name.
    pub name: String,
    /// What stays over restarts: a hash of the machine id.
    pub machine: String,
    /// What changes with each start of the machine.
    pub boot: String,
    /// Addresses, without loopback.
    pub addresses: Vec<String>,
    /// `linux`.
    pub os: String,
    /// For people: `Debian GNU/Linux 12 (bookworm)`.
    pub os_name: String,
    /// Version of the kernel.
    pub kernel: String,
    /// `x86_64`.
    pub arch: String,
}

/// How an agent is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Health {
    /// Share of one core since the last heartbeat, in percent.
    pub cpu_percent: f32,
    /// Resident memory in bytes.
    pub memory_bytes: u64,
    /// Records that wait on disk.
    pub queue_records: u64,
    /// Bytes that wait on disk.
    pub queue_bytes: u64,
    /// Records that could not be kept, by reason, since the spool was made.
    pub dropped: BTreeMap<String, u64>,
    /// Each collector.
    pub collectors: Vec<CollectorState>,
    /// Whether the host is cut off from all but the server.
    pub is_isolated: bool,
    /// Actions that undo themselves: key, and when in milliseconds since 1970.
    pub undo_at_ms: BTreeMap<String, i64>,
    /// Actions that are being done: key, and how far it is in words. While an agent names one, it
    /// is waited for.
    #[serde(default)]
    pub acting: BTreeMap<String, String>,
}

/// How a collector stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectorState {
    /// Its name: `files`, `journald`, `processes`, `integrity`, `inventory`, `checks` …
    pub name: String,
    /// Records since the agent started.
    pub records: u64,
    /// What is wrong, and how to mend it.
    pub trouble: Option<String>,
}
