//! One route: as it is written, and as it is worked with.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use watchfloor_detect::Detector;
use watchfloor_event::RawRecord;
use watchfloor_query::sigma_rule;
use watchfloor_rules::{RuleFile, RuleSet};

use super::forward::Forwarder;
use super::mask::{MaskStyle, TextMask};

/// Bound on the size of a compiled expression, in bytes.
const MAX_REGEX_BYTES: usize = 1 << 20;

/// When a route acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On the record as it came.
    Before,
    /// On the normalised and enriched event.
    After,
}

/// What a record is forwarded as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it came.
    Raw,
    /// As an OCSF object; after normalisation only.
    Ocsf,
}

/// What a route does with what it meets.
#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    /// Leaves it out, with a count.
    Drop,
    /// Keeps this share of it, 0 to 1, and leaves the rest out with a count.
    Sample(f64),
    /// Masks what an expression finds in the record and in every field of the event.
    MaskText {
        /// What to look for.
        pattern: String,
        /// What becomes of it.
        style: MaskStyle,
    },
    /// Masks the values of fields, wherever they stand in the event; after normalisation only.
    MaskFields {
        /// Names of attributes or source fields.
        fields: Vec<String>,
        /// What becomes of them.
        style: MaskStyle,
    },
    /// Sends a copy to a named destination.
    Forward {
        /// Its name.
        to: String,
        /// In which form.
        form: Form,
    },
}

/// A route as an installation writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteRule {
    /// Name, as it stands in the ledger's reasons; unique.
    pub name: String,
    /// Names of sources, with `*` for anything; none for all.
    pub sources: Vec<String>,
    /// When it acts.
    pub stage: Stage,
    /// An expression that the raw record must hold; before decoding only.
    pub raw: Option<String>,
    /// A search that the event must answer to; after normalisation only.
    pub search: Option<String>,
    /// What it does.
    pub act: Act,
}

/// Why a route cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("route '{name}': {reason}")]
pub struct RouteError {
    name: String,
    reason: String,
}

impl RouteError {
    fn new(name: &str, reason: impl Into<String>) -> Self {
        Self {
            name: name.to_owned(),
            reason: reason.into(),
        }
    }
}

/// A share of all records, chosen by their places in the journal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share(u64);

impl Share {
    fn new(share: f64) -> Self {
        // Saturates at both ends.
        Self((share * u64::MAX as f64) as u64)
    }

    pub(super) fn keeps(self, position: u64, part: u32) -> bool {
        // The finaliser of SplitMix64 (Steele, Lea, Flood 2014): neighbours fall far apart.
        let mut mixed = position ^ (u64::from(part) << 48);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) <= self.0
    }
}

#[derive(Clone, Debug)]
pub(super) enum Step {
    Drop,
    Sample(Share),
    MaskText(TextMask),
    MaskFields(Vec<String>, MaskStyle),
    Forward(String, Form),
}

/// A route as it is worked with.
#[derive(Clone, Debug)]
pub(super) struct Compiled {
    pub(super) name: String,
    pub(super) stage: Stage,
    sources: Option<Regex>,
    raw: Option<Regex>,
    /// Place of its search among the conditions.
    pub(super) condition: Option<usize>,
    pub(super) step: Step,
}

impl Compiled {
    pub(super) fn new(
        rule: RouteRule,
        forwarders: &BTreeMap<String, Arc<Forwarder>>,
        searches: &mut Vec<(String, String)>,
    ) -> Result<Self, RouteError> {
        let error = |reason: String| RouteError::new(&rule.name, reason);
        let is_before = rule.stage == Stage::Before;
        if rule.search.is_some() && is_before {
            return Err(error(
                "a search looks at fields, which are known after normalisation; take stage = \
                 \"after\", or name an expression in raw"
                    .to_owned(),
            ));
        }
        if rule.raw.is_some() && !is_before {
            return Err(error(
                "raw looks at the record as it came; take stage = \"before\", or name a search"
                    .to_owned(),
            ));
        }
        let condition = match &rule.search {
            Some(search) => {
                let yaml = sigma_rule(&rule.name, search).map_err(|fault| {
                    let (message, hint) = (fault.message, fault.hint);
                    error(format!(
                        "the search '{search}' cannot be used: {message}; {hint}"
                    ))
                })?;
                searches.push((rule.name.clone(), yaml));
                Some(searches.len() - 1)
            }
            None => None,
        };
        let step = step(&rule, forwarders)?;
        let raw = rule.raw.as_deref().map(|text| regex(&rule.name, text));
        let sources = source_names(&rule.sources);
        let sources = sources.map(|text| regex(&rule.name, &text));
        Ok(Self {
            stage: rule.stage,
            sources: sources.transpose()?,
            raw: raw.transpose()?,
            condition,
            step,
            name: rule.name,
        })
    }

    pub(super) fn meets_source(&self, source: &str) -> bool {
        let names = self.sources.as_ref();
        names.is_none_or(|names| names.is_match(source.as_bytes()))
    }

    pub(super) fn meets_record(&self, record: &RawRecord) -> bool {
        let raw = self.raw.as_ref();
        self.meets_source(&record.source) && raw.is_none_or(|raw| raw.is_match(&record.bytes))
    }
}

fn step(
    rule: &RouteRule,
    forwarders: &BTreeMap<String, Arc<Forwarder>>,
) -> Result<Step, RouteError> {
    let error = |reason: String| RouteError::new(&rule.name, reason);
    let is_before = rule.stage == Stage::Before;
    Ok(match &rule.act {
        Act::Drop => Step::Drop,
        Act::Sample(share) if (0.0..=1.0).contains(share) => Step::Sample(Share::new(*share)),
        Act::Sample(share) => return Err(error(format!("share must be 0 to 1, not {share}"))),
        Act::MaskText { pattern, style } => {
            Step::MaskText(TextMask::new(regex(&rule.name, pattern)?, *style))
        }
        Act::MaskFields { .. } if is_before => {
            return Err(error(
                "fields are known after normalisation; take stage = \"after\", or a pattern"
                    .to_owned(),
            ));
        }
        Act::MaskFields { fields, style } => Step::MaskFields(fields.clone(), *style),
        Act::Forward { to, .. } if !forwarders.contains_key(to) => {
            let known: Vec<&str> = forwarders.keys().map(String::as_str).collect();
            let known = match known.is_empty() {
                true => "none is configured; add [forward.NAME]".to_owned(),
                false => format!("there are {}", known.join(", ")),
            };
            return Err(error(format!("no destination is called '{to}'; {known}")));
        }
        Act::Forward {
            form: Form::Ocsf, ..
        } if is_before => {
            return Err(error(
                "an OCSF object is made by normalisation; take stage = \"after\"".to_owned(),
            ));
        }
        Act::Forward { to, form } => Step::Forward(to.clone(), *form),
    })
}

fn regex(name: &str, text: &str) -> Result<Regex, RouteError> {
    let built = RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build();
    built.map_err(|fault| {
        let fault = fault.to_string().replace('\n', " ");
        RouteError::new(name, format!("'{text}' is no usable expression: {fault}"))
    })
}

/// Names with `*` as one expression; `None` for all.
fn source_names(names: &[String]) -> Option<String> {
    if names.is_empty() {
        return None;
    }
    let names = names
        .iter()
        .map(|name| regex::escape(name).replace("\\*", ".*"));
    Some(format!("^(?:{})$", names.collect::<Vec<_>>().join("|")))
}

/// A detector for the conditions of routes, in order.
pub(super) fn detector(searches: Vec<(String, String)>) -> Result<Detector, RouteError> {
    let files = searches
        .iter()
        .enumerate()
        .map(|(place, (_, yaml))| RuleFile {
            path: Arc::from(format!("{place}.yml")),
            text: format!("id: 00000000-0000-4000-8000-{place:012}\n{yaml}"),
        });
    let set = RuleSet::load(files, BTreeMap::new());
    if let Some(refusal) = set.refused.first() {
        let name = searches.first().map_or("", |(name, _)| name.as_str());
        return Err(RouteError::new(name, refusal.reason.clone()));
    }
    Ok(Detector::new(set))
}
