//! Fields to OCSF by mapping packs.
//!
//! A pack is data: how to recognise a product's events, of which kind each is, which Sigma
//! log sources and which OCSF class the kind answers to, and which source field holds which
//! OCSF attribute. [`PackSet::normalize`] applies all packs to a batch, column by column: what
//! a pack asks of a value is asked once per distinct value of the batch.

mod cases;
mod choice;
mod convert;
mod event_time;
mod explain;
mod expression;
mod extract;
mod grok;
mod lazy_regex;
mod mapper;
mod native;
mod ocsf_complete;
mod ocsf_json;
mod pack;
mod route;

pub use cases::{Case, CaseError};
pub use explain::{Explanation, Field};
pub use ocsf_json::to_ocsf_json;
pub use pack::{PackError, PackInfo, PackSet};

/// A hash table without a random seed: packs are trusted content, and batches bound the rest.
type Table<K, V> = std::collections::HashMap<K, V, foldhash::fast::FixedState>;
