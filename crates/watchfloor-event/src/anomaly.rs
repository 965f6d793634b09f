//! What was odd about a record that is kept all the same. Bad input is data: a decoder or
//! mapper returns its value plus anomalies and drops nothing.

use std::fmt;

/// The closed list of oddities, each counted per source in the completeness ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AnomalyCode {
    /// No decoder understood the record; it is stored as a base event.
    Undecoded,
    /// The record looked like JSON and is not well-formed.
    MalformedJson,
    /// Objects or lists are nested deeper than the decoder's limit.
    NestedTooDeep,
    /// Bytes that are no UTF-8 were replaced in the fields (the raw bytes stay).
    InvalidUtf8,
    /// The record or a value was longer than the limit and is cut in the fields.
    Truncated,
    /// More fields than the limit; the rest is reachable only in the raw bytes.
    TooManyFields,
    /// The record holds no time; its time of receipt is used.
    TimeMissing,
    /// The time could not be read; the time of receipt is used.
    TimeUnreadable,
    /// The time lies before 1990 or more than a day ahead of receipt; the time of receipt
    /// is used.
    TimeImplausible,
    /// A value does not fit the attribute it is mapped to; it stays under `unmapped.`.
    ValueMismatch,
    /// The record is understood as to form, but no mapping pack knows the product.
    Unmapped,
    /// The structure breaks its format's rules in another way.
    Malformed,
}

impl AnomalyCode {
    /// Every code, in the order of declaration.
    pub const ALL: [Self; 12] = [
        Self::Undecoded,
        Self::MalformedJson,
        Self::NestedTooDeep,
        Self::InvalidUtf8,
        Self::Truncated,
        Self::TooManyFields,
        Self::TimeMissing,
        Self::TimeUnreadable,
        Self::TimeImplausible,
        Self::ValueMismatch,
        Self::Unmapped,
        Self::Malformed,
    ];

    /// The stable word used in the lake, the API and on screen.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Undecoded => "undecoded",
            Self::MalformedJson => "malformed_json",
            Self::NestedTooDeep => "nested_too_deep",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::Truncated => "truncated",
            Self::TooManyFields => "too_many_fields",
            Self::TimeMissing => "time_missing",
            Self::TimeUnreadable => "time_unreadable",
            Self::TimeImplausible => "time_implausible",
            Self::ValueMismatch => "value_mismatch",
            Self::Unmapped => "unmapped",
            Self::Malformed => "malformed",
        }
    }

    /// The code of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == word)
    }
}

impl fmt::Display for AnomalyCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One oddity of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anomaly {
    /// What kind of oddity.
    pub code: AnomalyCode,
    /// What and where, for a person; at most a few hundred bytes.
    pub detail: String,
}

impl Anomaly {
    /// Builds an anomaly.
    pub fn new(code: AnomalyCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}
