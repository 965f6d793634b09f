//! A text that a rule had.

use jiff::Timestamp;

/// A text that a rule had: what an alert of that version rests on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleVersion {
    /// Id of the rule.
    pub rule_id: String,
    /// Hash of the text, as findings carry it.
    pub version: String,
    /// Title.
    pub title: String,
    /// The file it came from.
    pub path: String,
    /// The text.
    pub yaml: String,
    /// When it was first in force.
    pub first_at: Timestamp,
    /// When it was last taken into force.
    pub last_at: Timestamp,
}
