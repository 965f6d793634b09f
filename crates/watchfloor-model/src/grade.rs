//! How grave, how true, how widely to be shared.

use std::fmt;

macro_rules! words {
    ($name:ident { $($variant:ident = $word:literal),+ $(,)? }) => {
        impl $name {
            /// Every value, in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The word used in the store and the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }

            /// The value of that word.
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;

/// How grave an alert or incident is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Context for other alerts.
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

words!(Severity {
    Informational = "informational",
    Low = "low",
    Medium = "medium",
    High = "high",
    Critical = "critical",
});

impl Severity {
    /// Rank from 0 (informational) to 4 (critical), for sorting in the store.
    pub const fn rank(self) -> u8 {
        self as u8
    }

    /// The severity of that rank.
    pub fn from_rank(rank: i64) -> Option<Self> {
        usize::try_from(rank)
            .ok()
            .and_then(|rank| Self::ALL.get(rank).copied())
    }
}

/// What a person concluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It happened and was hostile.
    TruePositive,
    /// It happened and was allowed.
    BenignPositive,
    /// It did not happen; the rule was wrong.
    FalsePositive,
    /// What is known does not decide it.
    Inconclusive,
}

words!(Verdict {
    TruePositive = "true_positive",
    BenignPositive = "benign_positive",
    FalsePositive = "false_positive",
    Inconclusive = "inconclusive",
});

/// With whom a document may be shared.
///
/// # Source
/// FIRST Traffic Light Protocol 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tlp {
    /// No limit.
    Clear,
    /// The community.
    Green,
    /// The organisation and its clients, on a need-to-know basis.
    Amber,
    /// The organisation only.
    AmberStrict,
    /// The named recipients only.
    Red,
}

words!(Tlp {
    Clear = "TLP:CLEAR",
    Green = "TLP:GREEN",
    Amber = "TLP:AMBER",
    AmberStrict = "TLP:AMBER+STRICT",
    Red = "TLP:RED",
});
