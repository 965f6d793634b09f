//! Lists of indicators as the API shows them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

/// A line of a list that gave no indicator.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RefusedIndicator {
    /// Its number, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// A list of indicators that is looked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct IndicatorList {
    /// Its name, as it stands in the rule ids of findings (`indicator:domain:NAME`).
    pub name: String,
    /// Where it was read.
    pub path: String,
    /// Its form: `text`, `csv`, `stix` or `misp`; `null` if it could not be told.
    #[schema(required)]
    pub format: Option<String>,
    /// Indicators that are looked for.
    pub indicators: u64,
    /// The same by kind.
    pub kinds: BTreeMap<String, u64>,
    /// Lines that were refused.
    pub refused: u64,
    /// The first 100 of them.
    pub refused_lines: Vec<RefusedIndicator>,
    /// What was well-formed and gave no indicator, by reason.
    pub not_understood: BTreeMap<String, u64>,
    /// Why the list is not, or not whole, as its file is now.
    #[schema(required)]
    pub trouble: Option<String>,
    /// When it was read.
    #[schema(value_type = String, format = DateTime)]
    pub loaded_at: Timestamp,
    /// How often its indicators were met since the server started.
    pub matches: u64,
}
