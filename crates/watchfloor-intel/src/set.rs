//! The set of all indicators, ten million of them in some 300 MB, asked for every distinct value
//! of every event.
//!
//! Exact values and networks are two [`Store`]s: networks are few, so their filter stays in the
//! processor's cache while each length of prefix is tried.
//!
//! # Source
//! The layout and what else was tried: `docs/adr/0006`.

mod filter;
mod record;
mod store;

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use jiff::Timestamp;
use watchfloor_event::FindingLevel;
use watchfloor_model::Tlp;

use crate::indicator::level_of;
use crate::value::{address_bytes, network_key};
use crate::{Indicator, IndicatorKind, KindCounts, Value};

pub(crate) use record::uuid_text;
use record::{Record, RecordId};
pub(crate) use store::Place;
use store::{Store, StoreBuilder};

/// Most bytes of an indicator's name that are kept.
const MAX_NAME_BYTES: usize = 256;

/// An indicator cannot be added: a part of the set would have more than 4 GiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SetFull;

impl std::fmt::Display for SetFull {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the set of indicators is full")
    }
}

impl std::error::Error for SetFull {}

/// What many indicators share.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Profile {
    list: u32,
    source: Arc<str>,
    confidence: Option<u8>,
    level: Option<FindingLevel>,
    tlp: Option<Tlp>,
}

/// All indicators, compiled.
#[derive(Debug)]
pub struct IndicatorSet {
    exact: Store,
    networks: Store,
    /// Lengths of prefixes that occur, by address family.
    prefixes_v4: Vec<u8>,
    prefixes_v6: Vec<u8>,
    profiles: Vec<Profile>,
    names: Names,
    lists: Vec<Arc<str>>,
    counts: BTreeMap<Arc<str>, KindCounts>,
    kinds: KindCounts,
    doubles: usize,
}

/// An indicator as the set holds it.
#[derive(Clone, Debug)]
pub struct Held<'a> {
    /// The list that it stands in.
    pub list: &'a Arc<str>,
    /// The indicator.
    pub indicator: Indicator,
    /// How grave a sighting is.
    pub level: FindingLevel,
}

/// Distinct names, one after the other.
#[derive(Debug, Default)]
struct Names {
    text: String,
    ends: Vec<u32>,
}

impl Names {
    fn get(&self, place: u32) -> Option<&str> {
        let place = place as usize;
        let end = *self.ends.get(place)? as usize;
        let start = place
            .checked_sub(1)
            .and_then(|before| self.ends.get(before));
        self.text.get(start.copied().unwrap_or(0) as usize..end)
    }
}

/// Takes indicators in and makes a set of them.
#[derive(Debug)]
pub struct SetBuilder {
    exact: StoreBuilder,
    networks: StoreBuilder,
    prefixes_v4: [bool; 33],
    prefixes_v6: [bool; 129],
    profiles: Vec<Profile>,
    /// Places of profiles, by hash.
    profile_table: HashTable<u32>,
    names: Names,
    name_table: HashTable<u32>,
    hasher: FixedState,
    lists: Vec<Arc<str>>,
    counts: BTreeMap<Arc<str>, KindCounts>,
    kinds: KindCounts,
    bytes: Vec<u8>,
}

impl SetBuilder {
    /// An empty builder. The seed keys the hashes, so that whoever writes a list cannot choose
    /// values that fall together; what is found does not depend on it.
    pub fn new(seed: u64) -> Self {
        Self {
            exact: StoreBuilder::new(seed, false),
            networks: StoreBuilder::new(seed, true),
            prefixes_v4: [false; 33],
            prefixes_v6: [false; 129],
            profiles: Vec::new(),
            profile_table: HashTable::new(),
            names: Names::default(),
            name_table: HashTable::new(),
            hasher: FixedState::with_seed(seed),
            lists: Vec::new(),
            counts: BTreeMap::new(),
            kinds: KindCounts::default(),
            bytes: Vec::new(),
        }
    }

    /// Adds an indicator of a list.
    ///
    /// # Errors
    /// If the set is full.
    pub fn add(&mut self, list: &str, indicator: &Indicator) -> Result<(), SetFull> {
        let list = self.list(list);
        let profile = self.profile(list, indicator);
        let name = indicator.name.as_deref().and_then(|name| self.name(name));
        let value = &indicator.value;
        let record = Record {
            kind: value.kind(),
            is_tls: value.is_tls(),
            key: value.key(),
            profile,
            valid_from: indicator.valid_from.map(seconds),
            valid_until: indicator.valid_until.map(seconds),
            id: indicator.id.as_deref().map(RecordId::of),
            name,
        };
        self.bytes.clear();
        record.write(&mut self.bytes);
        let is_network = value.kind() == IndicatorKind::Network;
        let store = if is_network {
            &mut self.networks
        } else {
            &mut self.exact
        };
        if !store.push(value.kind(), value.key(), &self.bytes) {
            return Err(SetFull);
        }
        if is_network {
            self.note_prefix(value.key());
        }
        self.kinds.add(value.kind());
        if let Some(list) = self.lists.get(list as usize) {
            self.counts
                .entry(Arc::clone(list))
                .or_default()
                .add(value.kind());
        }
        Ok(())
    }

    /// The set. Indicators that agree in everything are kept once.
    pub fn build(self) -> IndicatorSet {
        drop((self.profile_table, self.name_table));
        let (exact, doubles) = self.exact.build();
        let (networks, network_doubles) = self.networks.build();
        let lengths = |seen: &[bool]| {
            let lengths = (0_u8..).zip(seen).filter(|(_, is_seen)| **is_seen);
            lengths.map(|(length, _)| length).collect()
        };
        let mut names = self.names;
        names.text.shrink_to_fit();
        names.ends.shrink_to_fit();
        let mut profiles = self.profiles;
        profiles.shrink_to_fit();
        IndicatorSet {
            exact,
            networks,
            prefixes_v4: lengths(&self.prefixes_v4),
            prefixes_v6: lengths(&self.prefixes_v6),
            profiles,
            names,
            lists: self.lists,
            counts: self.counts,
            kinds: self.kinds,
            doubles: doubles + network_doubles,
        }
    }

    fn list(&mut self, name: &str) -> u32 {
        // Indicators come list by list.
        let place = self.lists.iter().rposition(|list| &**list == name);
        let place = place.unwrap_or_else(|| {
            self.lists.push(Arc::from(name));
            self.lists.len() - 1
        });
        place as u32
    }

    fn profile(&mut self, list: u32, indicator: &Indicator) -> u32 {
        let profile = Profile {
            list,
            source: Arc::clone(&indicator.source),
            confidence: indicator.confidence,
            level: indicator.level,
            tlp: indicator.tlp,
        };
        let Self {
            profiles,
            profile_table,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(&profile);
        let is_same = |place: &u32| profiles.get(*place as usize) == Some(&profile);
        if let Some(place) = profile_table.find(hash, is_same) {
            return *place;
        }
        let place = profiles.len() as u32;
        profiles.push(profile);
        profile_table.insert_unique(hash, place, |place| {
            hasher.hash_one(profiles.get(*place as usize))
        });
        place
    }

    /// The place of a name; `None` if there is no more room for names.
    fn name(&mut self, name: &str) -> Option<u32> {
        let mut end = name.len().min(MAX_NAME_BYTES);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let name = name.get(..end)?;
        let Self {
            names,
            name_table,
            hasher,
            ..
        } = self;
        let hash = hasher.hash_one(name);
        if let Some(place) = name_table.find(hash, |place| names.get(*place) == Some(name)) {
            return Some(*place);
        }
        let end = u32::try_from(names.text.len() + name.len()).ok()?;
        let place = names.ends.len() as u32;
        names.text.push_str(name);
        names.ends.push(end);
        name_table.insert_unique(hash, place, |place| {
            hasher.hash_one(names.get(*place).unwrap_or_default())
        });
        Some(place)
    }

    fn note_prefix(&mut self, key: &[u8]) {
        let seen: &mut [bool] = if key.len() == 5 {
            &mut self.prefixes_v4
        } else {
            &mut self.prefixes_v6
        };
        let seen = key
            .last()
            .and_then(|prefix| seen.get_mut(usize::from(*prefix)));
        if let Some(seen) = seen {
            *seen = true;
        }
    }
}

impl IndicatorSet {
    /// A set of nothing.
    pub fn empty() -> Self {
        SetBuilder::new(0).build()
    }

    /// Number of indicators.
    pub fn len(&self) -> usize {
        self.exact.len() + self.networks.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is an indicator of a kind.
    pub(crate) fn has(&self, kind: IndicatorKind) -> bool {
        self.kinds.get(kind) > 0
    }

    /// Bytes that it takes in memory.
    pub fn bytes(&self) -> usize {
        let profiles = self.profiles.capacity() * size_of::<Profile>();
        let names = self.names.text.capacity() + self.names.ends.capacity() * size_of::<u32>();
        self.exact.bytes() + self.networks.bytes() + profiles + names + size_of::<Self>()
    }

    /// Numbers of indicators by list and kind, as they were added.
    pub fn counts(&self) -> &BTreeMap<Arc<str>, KindCounts> {
        &self.counts
    }

    /// How many indicators were added more than once and are kept once.
    pub fn doubles(&self) -> usize {
        self.doubles
    }

    /// All indicators, in an order that only the seed decides.
    pub fn iter(&self) -> impl Iterator<Item = Held<'_>> {
        let records = self.exact.records().chain(self.networks.records());
        records.filter_map(|record| self.held(&record))
    }

    /// Calls `take` for each indicator of that kind with exactly that key.
    pub(crate) fn exact(&self, kind: IndicatorKind, key: &[u8], take: &mut dyn FnMut(Place)) {
        self.exact.find(kind, key, take);
    }

    /// Calls `take` for each indicator that is this address or a network around it.
    pub(crate) fn address(&self, address: IpAddr, take: &mut dyn FnMut(Place)) {
        let (bytes, len) = address_bytes(address);
        let key = bytes.get(..len).unwrap_or_default();
        self.exact.find(IndicatorKind::Address, key, take);
        let prefixes = match address {
            IpAddr::V4(_) => &self.prefixes_v4,
            IpAddr::V6(_) => &self.prefixes_v6,
        };
        for prefix in prefixes {
            let (bytes, len) = network_key(address, *prefix);
            let key = bytes.get(..len).unwrap_or_default();
            self.networks.find(IndicatorKind::Network, key, take);
        }
    }

    /// Calls `take` for each indicator that is this domain, in lower case without a trailing
    /// dot, or one above it.
    pub(crate) fn domain(&self, key: &[u8], take: &mut dyn FnMut(Place)) {
        let mut rest = key;
        loop {
            let Some(dot) = rest.iter().position(|byte| *byte == b'.') else {
                return;
            };
            self.exact.find(IndicatorKind::Domain, rest, take);
            rest = rest.get(dot + 1..).unwrap_or_default();
        }
    }

    /// Whether the indicator at a place still holds at a time.
    pub(crate) fn is_valid(&self, place: Place, time: Timestamp) -> bool {
        let until = self.record(place).and_then(|record| record.valid_until);
        until.is_none_or(|until| time.as_second() < i64::from(until))
    }

    /// The indicator at a place.
    pub(crate) fn at(&self, place: Place) -> Option<Held<'_>> {
        self.held(&self.record(place)?)
    }

    fn record(&self, place: Place) -> Option<Record<'_>> {
        if place.is_network {
            self.networks.record(place)
        } else {
            self.exact.record(place)
        }
    }

    fn held(&self, record: &Record<'_>) -> Option<Held<'_>> {
        let profile = self.profiles.get(record.profile as usize)?;
        let time = |seconds: u32| Timestamp::from_second(i64::from(seconds)).ok();
        Some(Held {
            list: self.lists.get(profile.list as usize)?,
            indicator: Indicator {
                value: Value::from_parts(record.kind, record.is_tls, record.key),
                source: Arc::clone(&profile.source),
                id: record.id.map(RecordId::text),
                name: record
                    .name
                    .and_then(|name| self.names.get(name))
                    .map(str::to_owned),
                confidence: profile.confidence,
                level: profile.level,
                valid_from: record.valid_from.and_then(time),
                valid_until: record.valid_until.and_then(time),
                tlp: profile.tlp,
            },
            level: level_of(profile.level, profile.confidence),
        })
    }
}

/// Seconds since 1970, from 0 to 2106.
fn seconds(time: Timestamp) -> u32 {
    u32::try_from(time.as_second().max(0)).unwrap_or(u32::MAX)
}
