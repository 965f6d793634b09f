//! The parsed form of a query.

use ipnet::IpNet;

/// A text to be met; letter case never counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPattern {
    /// Equal.
    Exact(String),
    /// With `*` for any run of characters and `?` for one.
    Wildcard(String),
}

/// What a field is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// The value meets the pattern.
    Text(TextPattern),
    /// There is a value.
    Exists,
    /// The value, an address, lies in the network.
    Network(IpNet),
    /// The value is a number of at least (or more than) this.
    AtLeast {
        /// The bound.
        bound: f64,
        /// Whether the bound itself counts.
        inclusive: bool,
    },
    /// The value is a number of at most (or less than) this.
    AtMost {
        /// The bound.
        bound: f64,
        /// Whether the bound itself counts.
        inclusive: bool,
    },
}

/// A condition on events.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// Every event.
    All,
    /// All hold.
    And(Vec<Query>),
    /// One holds.
    Or(Vec<Query>),
    /// Does not hold.
    Not(Box<Query>),
    /// The raw record or the message holds this text.
    Contains(TextPattern),
    /// A field is asked.
    Field {
        /// Name as written.
        name: String,
        /// The question.
        test: Test,
    },
}
