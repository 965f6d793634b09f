//! What an agent can be asked to do: a closed list.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The kinds of action that an agent has, as the model names them. It refuses all else.
pub const AGENT_ACTIONS: &[&str] = &[
    "isolate_host",
    "release_host",
    "block_address",
    "unblock_address",
    "block_domain",
    "unblock_domain",
    "kill_process",
    "quarantine_file",
    "restore_file",
    "disable_user",
    "enable_user",
    "end_sessions",
    "collect_triage",
    "restart_service",
    "scan_files",
];

/// Something that is to be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Act {
    /// Key of the action: an agent does one key once, and answers a repeat with what came of it.
    pub key: String,
    /// One of [`AGENT_ACTIONS`].
    pub kind: String,
    /// Arguments by name: texts, numbers, lists of texts.
    pub arguments: BTreeMap<String, Value>,
    /// When the agent undoes it by itself, in milliseconds since 1970 of the server's clock.
    pub undo_at_ms: Option<i64>,
    /// Not begun after this moment of the server's clock: a word that comes late is not obeyed.
    pub not_after_ms: i64,
    /// How often a person found that it was not done, and had it begun again. A key of which the
    /// agent cannot say what came of it is done again only when this has grown.
    #[serde(default)]
    pub redone: u32,
}

/// How an action went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum ActOutcome {
    /// Done.
    Done {
        /// In words.
        summary: String,
        /// What proves it, by name.
        evidence: BTreeMap<String, String>,
    },
    /// Not done.
    Failed {
        /// Why.
        reason: String,
    },
    /// It was begun and the agent ended before it was known what came of it.
    Uncertain {
        /// What is known.
        reason: String,
    },
}
