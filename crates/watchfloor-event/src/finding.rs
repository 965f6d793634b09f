//! What an analytic concluded about one or more events.
//!
//! # Source
//! OCSF class 2004, Detection Finding.

use std::fmt;

use jiff::Timestamp;

use crate::EventId;

/// How grave a rule calls its findings.
///
/// # Source
/// Sigma specification 2.1, `level`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FindingLevel {
    /// Context for other findings.
    Informational,
    /// Worth a look when there is time.
    Low,
    /// To be looked at.
    Medium,
    /// To be looked at soon.
    High,
    /// To be looked at now.
    Critical,
}

impl FindingLevel {
    /// Every level, from the least grave.
    pub const ALL: [Self; 5] = [
        Self::Informational,
        Self::Low,
        Self::Medium,
        Self::High,
        Self::Critical,
    ];

    /// The word that Sigma uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Informational => "informational",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// The level of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

impl fmt::Display for FindingLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of thing an entity is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityKind {
    /// A machine, by name.
    Host,
    /// An account, by name, with its domain where known (`DOMAIN\name`).
    User,
    /// A process, by the path or name of its program.
    Process,
    /// An IPv4 or IPv6 address.
    Address,
    /// A DNS name.
    Domain,
    /// A file, by path.
    File,
    /// A hash of a file's content, in lower-case hex.
    Hash,
    /// A URL.
    Url,
}

impl EntityKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Host,
        Self::User,
        Self::Process,
        Self::Address,
        Self::Domain,
        Self::File,
        Self::Hash,
        Self::Url,
    ];

    /// The word used in the store and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::User => "user",
            Self::Process => "process",
            Self::Address => "address",
            Self::Domain => "domain",
            Self::File => "file",
            Self::Hash => "hash",
            Self::Url => "url",
        }
    }

    /// The kind of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A thing that took part in what was found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    /// What kind of thing.
    pub kind: EntityKind,
    /// Its name, in the form that identifies it best.
    pub value: String,
    /// Its part in the event, such as `source`, `target`, `actor`, `parent`.
    pub role: String,
}

/// One matched field: why a rule fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchReason {
    /// The selection of the rule that matched.
    pub selection: String,
    /// Full name of the field in the stored event, e.g. `process.cmd_line` or
    /// `unmapped.EventID`; empty for a keyword anywhere in the record.
    pub field: String,
    /// The event's value, at most 4 KiB of it.
    pub value: String,
    /// What the rule asked for, as the rule writes it.
    pub pattern: String,
}

/// What an analytic concluded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Made from the rule and the events, so that the same conclusion has the same id.
    pub id: String,
    /// Id of the rule.
    pub rule_id: String,
    /// Hash of the rule's text, the first 12 hex digits of SHA-256.
    pub rule_version: String,
    /// Title of the rule.
    pub title: String,
    /// Gravity.
    pub level: FindingLevel,
    /// Time of the event, or of the last of them.
    pub time: Timestamp,
    /// Time of the first event.
    pub first_time: Timestamp,
    /// Source of the event, or of the last of them.
    pub source: String,
    /// The events, in time order; at least one.
    pub event_ids: Vec<EventId>,
    /// How many events it rests on; more than `event_ids` holds when the list was cut.
    pub event_count: u64,
    /// One sentence for a person: who did what where.
    pub summary: String,
    /// Why it fired.
    pub reasons: Vec<MatchReason>,
    /// Who and what took part; sorted, no doubles.
    pub entities: Vec<Entity>,
    /// ATT&CK tactics as in Sigma tags, e.g. `credential-access`; sorted.
    pub tactics: Vec<String>,
    /// ATT&CK technique ids, e.g. `T1059.001`; sorted.
    pub techniques: Vec<String>,
}
