//! An indicator: a value with a meaning, where it comes from, and until when it holds.
//!
//! # Source
//! STIX 2.1, section 4.7, Indicator.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use watchfloor_event::FindingLevel;
use watchfloor_model::Tlp;

use crate::{Value, ValueError};

/// What an indicator is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum IndicatorKind {
    /// An IPv4 or IPv6 address.
    Address,
    /// A range of addresses in CIDR form.
    Network,
    /// A domain and everything below it.
    Domain,
    /// A whole URL.
    Url,
    /// An e-mail address.
    Email,
    /// MD5 of a file.
    Md5,
    /// SHA-1 of a file.
    Sha1,
    /// SHA-256 of a file.
    Sha256,
    /// SHA-512 of a file.
    Sha512,
    /// JA3 of a TLS client.
    Ja3,
    /// JA3S of a TLS server.
    Ja3s,
    /// JA4 of a TLS client.
    Ja4,
}

impl IndicatorKind {
    /// Every kind, in the order in which they are shown.
    pub const ALL: [Self; 12] = [
        Self::Address,
        Self::Network,
        Self::Domain,
        Self::Url,
        Self::Email,
        Self::Md5,
        Self::Sha1,
        Self::Sha256,
        Self::Sha512,
        Self::Ja3,
        Self::Ja3s,
        Self::Ja4,
    ];

    /// The word used in lists, rule ids and the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Network => "network",
            Self::Domain => "domain",
            Self::Url => "url",
            Self::Email => "email",
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha512 => "sha512",
            Self::Ja3 => "ja3",
            Self::Ja3s => "ja3s",
            Self::Ja4 => "ja4",
        }
    }

    /// The kind of a number as it is stored.
    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl fmt::Display for IndicatorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One indicator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indicator {
    /// What is looked for.
    pub value: Value,
    /// Who says so: the producer or feed, as the list names it; empty for the list itself.
    pub source: Arc<str>,
    /// The producer's id of it, e.g. `indicator--…` or a MISP attribute's UUID.
    pub id: Option<String>,
    /// What the producer calls it or says of it, e.g. a malware's name.
    pub name: Option<String>,
    /// How sure the producer is, 0 to 100.
    pub confidence: Option<u8>,
    /// How grave a sighting is; without it, the confidence decides.
    pub level: Option<FindingLevel>,
    /// From when the producer calls it valid. Earlier events are met as well: producers learn
    /// of an attack after it began.
    pub valid_from: Option<Timestamp>,
    /// Until when it is valid; events of that time and later are not met.
    pub valid_until: Option<Timestamp>,
    /// Who may be told of it.
    pub tlp: Option<Tlp>,
}

impl Indicator {
    /// An indicator of which only the value is known.
    pub fn of(value: Value) -> Self {
        Self {
            value,
            source: Arc::from(""),
            id: None,
            name: None,
            confidence: None,
            level: None,
            valid_from: None,
            valid_until: None,
            tlp: None,
        }
    }

    /// An indicator from text whose kind is told by its form.
    ///
    /// # Errors
    /// If the text has the form of no kind.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        Ok(Self::of(Value::detect(text)?))
    }
}

/// How grave a sighting is whose indicator does not say: by the producer's confidence.
pub(crate) fn level_of(level: Option<FindingLevel>, confidence: Option<u8>) -> FindingLevel {
    level.unwrap_or(match confidence {
        Some(80..) => FindingLevel::High,
        Some(50..) | None => FindingLevel::Medium,
        Some(_) => FindingLevel::Low,
    })
}

/// Numbers of indicators by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindCounts([u64; IndicatorKind::ALL.len()]);

impl KindCounts {
    /// Counts one more.
    pub fn add(&mut self, kind: IndicatorKind) {
        self.0[kind as usize] += 1;
    }

    /// How many of a kind.
    pub fn get(&self, kind: IndicatorKind) -> u64 {
        self.0[kind as usize]
    }

    /// How many of all kinds.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Kinds of which there are any, with how many.
    pub fn iter(&self) -> impl Iterator<Item = (IndicatorKind, u64)> + '_ {
        let all = IndicatorKind::ALL.into_iter();
        all.map(|kind| (kind, self.get(kind)))
            .filter(|(_, count)| *count > 0)
    }
}
