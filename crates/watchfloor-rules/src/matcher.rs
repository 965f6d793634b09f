//! What one value is asked: the atoms that modifiers boil down to.

use std::fmt;

use ipnet::IpNet;

use crate::pattern::Pattern;

/// Order of two numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CompareOp {
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
}

impl CompareOp {
    /// Whether `left op right` holds.
    pub fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
        }
    }

    /// The sign.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
        }
    }
}

/// How two fields of one event are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FieldCompare {
    /// The values are equal.
    Equal,
    /// The first contains the second.
    Contains,
    /// The first starts with the second.
    StartsWith,
    /// The first ends with the second.
    EndsWith,
}

/// A part of a time stamp, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TimePart {
    /// 0 to 59.
    Minute,
    /// 0 to 23.
    Hour,
    /// Day of the month, 1 to 31.
    Day,
    /// ISO 8601 week, 1 to 53.
    Week,
    /// 1 to 12.
    Month,
    /// Four digits.
    Year,
}

/// One question to one value.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// The value, as text, meets the pattern; `cased` minds letter case. The literals of an
    /// uncased pattern are in lower case.
    Text {
        /// What to meet.
        pattern: Pattern,
        /// Whether letter case counts.
        cased: bool,
    },
    /// A regular expression finds something in the value.
    Regex(regex::Regex),
    /// The value is an address in the network.
    Cidr(IpNet),
    /// The value is a number in that order.
    Compare(CompareOp, f64),
    /// The field is absent or null.
    Null,
    /// The field is there (or, with `false`, is not).
    Exists(bool),
    /// Another field of the same event compares so.
    Field {
        /// The other field.
        other: String,
        /// How.
        compare: FieldCompare,
        /// Whether letter case counts.
        cased: bool,
    },
    /// The value is a time stamp with that part.
    Time(TimePart, i64),
    /// Nothing meets it: a placeholder without values.
    Never,
}

impl Matcher {
    /// A text that is equal for equal matchers, used to share them among rules.
    pub fn key(&self) -> String {
        match self {
            Self::Text { pattern, cased } => format!("t{}{:?}", u8::from(*cased), pattern.parts()),
            Self::Regex(regex) => format!("r{}", regex.as_str()),
            Self::Cidr(network) => format!("c{network}"),
            Self::Compare(op, number) => format!("n{}{number}", op.as_str()),
            Self::Null => "0".to_owned(),
            Self::Exists(there) => format!("e{}", u8::from(*there)),
            Self::Field {
                other,
                compare,
                cased,
            } => format!("f{}{compare:?} {other}", u8::from(*cased)),
            Self::Time(part, number) => format!("d{part:?}{number}"),
            Self::Never => "-".to_owned(),
        }
    }
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.key())
    }
}
