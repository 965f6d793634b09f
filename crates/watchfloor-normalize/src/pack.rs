//! The set of loaded packs: from YAML text to what the mapper runs.

mod compile;
mod extraction;
mod text;
mod usual;

use std::sync::Arc;

use watchfloor_event::{EventBatch, EventKind};

use crate::choice::Choice;
use crate::convert::Convert;
use crate::event_time::TimeSource;
use crate::extract::{Extraction, Matching};
use crate::native::NativeKinds;
use crate::route::{Condition, Router};
use usual::Besides;

/// Why a pack, or a part of one, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}:{line}: {reason}")]
pub struct PackError {
    /// Path of the pack's file, as it was given.
    pub path: String,
    /// Line, from 1; 0 if it concerns the whole file.
    pub line: u64,
    /// What is wrong and what was expected.
    pub reason: String,
}

/// What a pack says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackInfo {
    /// Short name, which is the folder's.
    pub product: String,
    /// Name for people.
    pub title: String,
    /// Versions of the product that it was written for.
    pub versions: String,
    /// What it follows.
    pub documentation: Vec<String>,
    /// Kinds of event.
    pub kinds: Vec<Arc<EventKind>>,
}

/// All loaded packs, ready to run. Cheap to share between threads.
#[derive(Debug, Default)]
pub struct PackSet {
    pub(crate) packs: Vec<PackInfo>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) router: Router,
    /// The condition of each kind, to say why an event is of it.
    pub(crate) conditions: Vec<Condition>,
    /// Kinds of records that are OCSF already.
    pub(crate) native: NativeKinds,
    warnings: Vec<PackError>,
}

/// One kind of event, compiled.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) event: Arc<EventKind>,
    /// The pack's place among the loaded ones.
    pub(crate) pack: u32,
    /// Expressions of which one must match; none means that nothing is asked.
    pub(crate) matching: Vec<Matching>,
    pub(crate) extractions: Vec<Extraction>,
    /// Its own maps, then those of the sets that it includes, which kinds share.
    pub(crate) maps: Vec<Arc<[FieldMap]>>,
    /// What stands behind them.
    pub(crate) besides: Besides,
    pub(crate) joins: Vec<Join>,
    pub(crate) constants: Vec<(Arc<str>, String)>,
    pub(crate) activity: Choice,
    pub(crate) severity: Choice,
    pub(crate) status: Choice,
    pub(crate) times: Vec<TimeSource>,
    pub(crate) prefers_time: bool,
    order: (i32, usize),
}

impl Kind {
    /// All its maps, in the order in which they are asked.
    pub(crate) fn all_maps(&self) -> impl Iterator<Item = &FieldMap> {
        let own = self.maps.iter().flat_map(|maps| maps.iter());
        own.chain(self.besides.maps())
    }
}

/// One source field to one OCSF attribute.
#[derive(Clone, Debug)]
pub(crate) struct FieldMap {
    pub(crate) source: Arc<str>,
    pub(crate) target: Arc<str>,
    pub(crate) is_integer: bool,
    /// Whether the attribute knows the source's name as an alias. Only then may an unchanged
    /// value be stored once: a rule that names the source field finds it by the alias.
    pub(crate) is_alias: bool,
    /// Whether the attribute holds several values, each of another length: hashes.
    pub(crate) is_gathered: bool,
    pub(crate) convert: Convert,
}

/// Several source fields to one attribute.
#[derive(Clone, Debug)]
pub(crate) struct Join {
    pub(crate) sources: Vec<Arc<str>>,
    pub(crate) with: String,
    pub(crate) target: Arc<str>,
}

impl PackSet {
    /// Loads packs from their paths and texts. A pack with a fault is left out as a whole and
    /// named; the others load.
    pub fn load<P, T>(files: impl IntoIterator<Item = (P, T)>) -> (Self, Vec<PackError>)
    where
        P: AsRef<str>,
        T: AsRef<str>,
    {
        let mut set = Self::default();
        let mut errors = Vec::new();
        let mut conditions = Vec::new();
        for (path, text) in files {
            let (path, text) = (path.as_ref(), text.as_ref());
            let compiled = text::parse(path, text)
                .and_then(|pack| compile::compile(path, text, &pack, set.kinds.len()));
            match compiled {
                Ok(pack) => {
                    set.packs.push(pack.info);
                    set.warnings.extend(pack.warnings);
                    for (mut kind, condition) in pack.kinds {
                        kind.pack = u32::try_from(set.packs.len() - 1).unwrap_or(u32::MAX);
                        set.kinds.push(kind);
                        conditions.push(condition);
                    }
                }
                Err(error) => errors.push(error),
            }
        }
        let mut order: Vec<usize> = (0..set.kinds.len()).collect();
        order.sort_by_key(|index| set.kinds.get(*index).map(|kind| kind.order));
        let packs: Vec<u32> = set.kinds.iter().map(|kind| kind.pack).collect();
        set.router = Router::new(&order, &conditions, &packs);
        set.conditions = conditions;
        (set, errors)
    }

    /// The loaded packs.
    pub fn packs(&self) -> &[PackInfo] {
        &self.packs
    }

    /// The kinds of event of all packs.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<EventKind>> {
        self.kinds.iter().map(|kind| &kind.event)
    }

    /// The place of a pack by its short name.
    pub(crate) fn pack_index(&self, product: &str) -> Option<u32> {
        let found = self.packs.iter().position(|pack| pack.product == product)?;
        u32::try_from(found).ok()
    }

    /// What is odd about the packs without keeping them from running: attributes that are
    /// not promoted, and so have no column of their own in the lake.
    pub fn lint(&self) -> &[PackError] {
        &self.warnings
    }

    /// Sets kind, time, activity, severity, status and OCSF attributes of every row.
    pub fn normalize(&self, batch: &mut EventBatch) {
        crate::mapper::normalize(self, batch);
    }
}
