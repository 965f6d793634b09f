//! A playbook that was read, beside the document as it was given.
//!
//! # Source
//! CACAO 2.0, sections 3 and 4.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Command, Variable};

/// A playbook. What this program does not need stays in `document`, so that nothing is lost when
/// it is given out again.
#[derive(Clone, Debug, PartialEq)]
pub struct Playbook {
    /// `playbook--` and a UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// When this version was made.
    pub modified: String,
    /// It is no longer valid.
    pub is_revoked: bool,
    /// Valid from, as given.
    pub valid_from: Option<String>,
    /// Valid until, as given.
    pub valid_until: Option<String>,
    /// Variables of the whole playbook.
    pub variables: BTreeMap<String, Variable>,
    /// The first step.
    pub start: String,
    /// The step for what no other takes care of.
    pub exception: Option<String>,
    /// Steps by id.
    pub steps: BTreeMap<String, Step>,
    /// Agents by id.
    pub agents: BTreeMap<String, AgentTarget>,
    /// Targets by id.
    pub targets: BTreeMap<String, AgentTarget>,
    /// Ids of the authentication infos.
    pub authentications: Vec<String>,
    /// The document as it was given.
    pub document: Value,
}

/// A step.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Its id.
    pub id: String,
    /// Its name; its id where it has none.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// What it does.
    pub kind: StepKind,
    /// Wait before it begins, in milliseconds.
    pub delay_ms: u64,
    /// It failed if it is not over by then, in milliseconds after its begin.
    pub timeout_ms: Option<u64>,
    /// Variables of the step alone.
    pub variables: BTreeMap<String, Variable>,
    /// Next, however it went.
    pub on_completion: Option<String>,
    /// Next, when it succeeded.
    pub on_success: Option<String>,
    /// Next, when it failed.
    pub on_failure: Option<String>,
    /// Rounds of a loop, at most.
    pub rounds_max: u32,
    /// How often its actions are tried again.
    pub retries: u32,
    /// Seconds between tries.
    pub retry_wait_s: u32,
}

/// What a step does.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// The first.
    Start,
    /// The last of the playbook or of a branch.
    End,
    /// Commands, one after the other.
    Action {
        /// The commands.
        commands: Vec<Command>,
        /// Who carries them out.
        agent: Option<String>,
        /// On whom.
        targets: Vec<String>,
        /// Variables that come out.
        out_args: Vec<String>,
    },
    /// Another playbook.
    PlaybookAction {
        /// Which.
        playbook_id: String,
        /// Which version; the latest without.
        playbook_version: Option<String>,
        /// Variables that go in.
        in_args: Vec<String>,
        /// Variables that come out.
        out_args: Vec<String>,
    },
    /// Branches at the same time.
    Parallel {
        /// Their first steps.
        next_steps: Vec<String>,
    },
    /// One of two branches.
    If {
        /// In STIX patterning.
        condition: String,
        /// The first step if it holds.
        on_true: String,
        /// The first step if not.
        on_false: Option<String>,
    },
    /// A branch as long as a condition holds.
    While {
        /// In STIX patterning.
        condition: String,
        /// The first step of the branch.
        on_true: String,
    },
    /// One of several branches.
    Switch {
        /// A variable.
        switch: String,
        /// First steps by value; `default` for all others.
        cases: BTreeMap<String, String>,
    },
}

impl StepKind {
    /// The word of CACAO.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Action { .. } => "action",
            Self::PlaybookAction { .. } => "playbook-action",
            Self::Parallel { .. } => "parallel",
            Self::If { .. } => "if-condition",
            Self::While { .. } => "while-condition",
            Self::Switch { .. } => "switch-condition",
        }
    }
}

impl Step {
    /// First steps of its branches, with the name of the property that holds each.
    pub fn branches(&self) -> Vec<(String, &str)> {
        match &self.kind {
            StepKind::Parallel { next_steps } => next_steps
                .iter()
                .enumerate()
                .map(|(index, step)| (format!("next_steps/{index}"), step.as_str()))
                .collect(),
            StepKind::If {
                on_true, on_false, ..
            } => {
                let mut list = vec![("on_true".to_owned(), on_true.as_str())];
                list.extend(
                    on_false
                        .as_deref()
                        .map(|step| ("on_false".to_owned(), step)),
                );
                list
            }
            StepKind::While { on_true, .. } => vec![("on_true".to_owned(), on_true.as_str())],
            StepKind::Switch { cases, .. } => cases
                .iter()
                .map(|(value, step)| (format!("cases/{value}"), step.as_str()))
                .collect(),
            StepKind::Start
            | StepKind::End
            | StepKind::Action { .. }
            | StepKind::PlaybookAction { .. } => Vec::new(),
        }
    }

    /// Steps that follow it, with the name of the property that holds each.
    pub fn followers(&self) -> Vec<(&'static str, &str)> {
        [
            ("on_completion", &self.on_completion),
            ("on_success", &self.on_success),
            ("on_failure", &self.on_failure),
        ]
        .into_iter()
        .filter_map(|(name, step)| Some((name, step.as_deref()?)))
        .collect()
    }
}

/// Somebody or something that carries out or is aimed at.
#[derive(Clone, Debug, PartialEq)]
pub struct AgentTarget {
    /// Word of `agent-target-type-ov`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its addresses by kind (`url`, `dname`, `ipv4`, …).
    pub addresses: BTreeMap<String, Vec<String>>,
    /// Its port.
    pub port: Option<String>,
    /// Id of its authentication info.
    pub authentication: Option<String>,
}

impl AgentTarget {
    /// The URL below which its HTTP API lies.
    pub fn base_url(&self) -> Option<String> {
        let first = |kind: &str| self.addresses.get(kind).and_then(|list| list.first());
        if let Some(url) = first("url") {
            return Some(url.trim_end_matches('/').to_owned());
        }
        let port = self.port.as_deref();
        let scheme = if port == Some("443") { "https" } else { "http" };
        let host = match first("ipv6") {
            Some(address) => format!("[{address}]"),
            None => first("dname").or_else(|| first("ipv4"))?.clone(),
        };
        Some(match port {
            Some(port) => format!("{scheme}://{host}:{port}"),
            None => format!("{scheme}://{host}"),
        })
    }

    /// What it is called where an action needs one text: its first name or address.
    pub fn label(&self) -> &str {
        let kinds = ["dname", "ipv4", "ipv6", "url"];
        let mut lists = kinds.iter().filter_map(|kind| self.addresses.get(*kind));
        let address = lists.find_map(|list| list.first());
        address.map_or(self.name.as_str(), String::as_str)
    }
}
