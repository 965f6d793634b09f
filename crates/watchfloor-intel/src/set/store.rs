//! Records by the hash of their value: a filter, then a bucket of some four records.
//!
//! Records lie in the order of their buckets, so a bucket is known by where it starts, and no
//! record needs a pointer or a stored hash: an index costs one byte per indicator. Values are
//! compared byte by byte, so a hash that agrees by chance finds nothing.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;

use super::filter::Filter;
use super::record::Record;
use crate::IndicatorKind;

/// Parts that are built one after the other, so that building needs room for one of them beside
/// what is kept. A power of two.
pub(super) const SHARDS: usize = 256;
/// Records per bucket, about.
const PER_BUCKET: usize = 4;
/// Most bytes that a shard under construction grows by: more than allocators pack with others,
/// so that what one shard frees is there for the next.
const CHUNK_BYTES: usize = 256 << 10;
/// Least bytes that it grows by: most sets are small.
const MIN_CHUNK_BYTES: usize = 512;
/// Most bytes of a shard: places in it are 32 bits.
const MAX_SHARD_BYTES: usize = u32::MAX as usize - CHUNK_BYTES;

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(super) is_network: bool,
    pub(super) shard: u8,
    pub(super) offset: u32,
}

#[derive(Debug, Default)]
struct Shard {
    records: Box<[u8]>,
    /// Where each bucket starts, and where the last ends.
    starts: Box<[u32]>,
}

/// Records that can be found by value.
#[derive(Debug)]
pub(super) struct Store {
    hasher: FixedState,
    is_network: bool,
    filter: Filter,
    shards: Vec<Shard>,
    count: usize,
}

/// Records on their way into a store.
#[derive(Debug)]
pub(super) struct StoreBuilder {
    hasher: FixedState,
    is_network: bool,
    shards: Vec<Chunks>,
    count: usize,
}

/// Bytes that grow without being copied; records are never split.
#[derive(Debug, Default)]
struct Chunks {
    chunks: Vec<Vec<u8>>,
    bytes: usize,
}

impl Chunks {
    fn push(&mut self, record: &[u8]) {
        let has_room = |chunk: &Vec<u8>| chunk.capacity() - chunk.len() >= record.len();
        self.bytes += record.len();
        match self.chunks.last_mut().filter(|chunk| has_room(chunk)) {
            Some(chunk) => chunk.extend_from_slice(record),
            None => {
                let room = self.bytes.clamp(MIN_CHUNK_BYTES, CHUNK_BYTES);
                let mut chunk = Vec::with_capacity(room.max(record.len()));
                chunk.extend_from_slice(record);
                self.chunks.push(chunk);
            }
        }
    }
}

fn hash_of(hasher: &FixedState, kind: IndicatorKind, key: &[u8]) -> u64 {
    hasher.hash_one((kind as u8, key))
}

fn shard_of(hash: u64) -> usize {
    (hash >> 56) as usize
}

fn bucket_of(hash: u64, buckets: usize) -> usize {
    ((((hash << 8) >> 32) * buckets as u64) >> 32) as usize
}

impl StoreBuilder {
    pub(super) fn new(seed: u64, is_network: bool) -> Self {
        Self {
            hasher: FixedState::with_seed(seed),
            is_network,
            shards: (0..SHARDS).map(|_| Chunks::default()).collect(),
            count: 0,
        }
    }

    /// Adds a record's bytes; `false` if there is no room.
    pub(super) fn push(&mut self, kind: IndicatorKind, key: &[u8], record: &[u8]) -> bool {
        let hash = hash_of(&self.hasher, kind, key);
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else {
            return false;
        };
        if shard.bytes + record.len() > MAX_SHARD_BYTES {
            return false;
        }
        shard.push(record);
        self.count += 1;
        true
    }

    /// The store, and how many records were there twice and kept once.
    pub(super) fn build(self) -> (Store, usize) {
        let mut filter = Filter::with_room(self.count);
        let mut count = 0;
        let shards = self.shards.into_iter().map(|chunks| {
            let (shard, kept) = build_shard(&self.hasher, chunks, &mut filter);
            count += kept;
            shard
        });
        let shards = shards.collect();
        let store = Store {
            hasher: self.hasher,
            is_network: self.is_network,
            filter,
            shards,
            count,
        };
        (store, self.count - count)
    }
}

fn build_shard(hasher: &FixedState, chunks: Chunks, filter: &mut Filter) -> (Shard, usize) {
    let mut found: Vec<(u64, &[u8])> = Vec::new();
    for chunk in &chunks.chunks {
        let mut rest = chunk.as_slice();
        while let Some((record, after)) = Record::read(rest) {
            let bytes = rest.get(..rest.len() - after.len()).unwrap_or_default();
            found.push((hash_of(hasher, record.kind, record.key), bytes));
            rest = after;
        }
    }
    // The order of buckets is that of hashes.
    found.sort_unstable_by(|left, right| (left.0 << 8, left.1).cmp(&(right.0 << 8, right.1)));
    found.dedup();
    if found.is_empty() {
        return (Shard::default(), 0);
    }
    let buckets = found.len().div_ceil(PER_BUCKET);
    let bytes = found.iter().map(|(_, bytes)| bytes.len()).sum();
    let mut records = Vec::with_capacity(bytes);
    let mut starts = vec![0_u32; buckets + 1];
    for (hash, bytes) in &found {
        filter.insert(*hash);
        records.extend_from_slice(bytes);
        let end = records.len() as u32;
        if let Some(start) = starts.get_mut(bucket_of(*hash, buckets) + 1) {
            *start = end;
        }
    }
    // A bucket without records starts where the one before ends.
    let mut end = 0;
    for start in &mut starts {
        end = end.max(*start);
        *start = end;
    }
    let shard = Shard {
        records: records.into_boxed_slice(),
        starts: starts.into_boxed_slice(),
    };
    (shard, found.len())
}

impl Store {
    /// Calls `take` with the place of each record of that kind and value.
    #[inline]
    pub(super) fn find(&self, kind: IndicatorKind, key: &[u8], take: &mut dyn FnMut(Place)) {
        let hash = hash_of(&self.hasher, kind, key);
        if self.filter.may_hold(hash) {
            self.look(hash, kind, key, take);
        }
    }

    #[cold]
    fn look(&self, hash: u64, kind: IndicatorKind, key: &[u8], take: &mut dyn FnMut(Place)) {
        let index = shard_of(hash);
        let Some(shard) = self.shards.get(index) else {
            return;
        };
        let buckets = shard.starts.len().saturating_sub(1);
        let bucket = bucket_of(hash, buckets);
        let (Some(&start), Some(&end)) = (shard.starts.get(bucket), shard.starts.get(bucket + 1))
        else {
            return;
        };
        let mut rest = shard
            .records
            .get(start as usize..end as usize)
            .unwrap_or_default();
        let mut offset = start;
        while let Some((record, after)) = Record::read(rest) {
            if record.kind == kind && record.key == key {
                take(Place {
                    is_network: self.is_network,
                    shard: index as u8,
                    offset,
                });
            }
            offset += (rest.len() - after.len()) as u32;
            rest = after;
        }
    }

    pub(super) fn record(&self, place: Place) -> Option<Record<'_>> {
        let shard = self.shards.get(usize::from(place.shard))?;
        let bytes = shard.records.get(place.offset as usize..)?;
        Record::read(bytes).map(|(record, _)| record)
    }

    /// All records, in no order that means anything.
    pub(super) fn records(&self) -> impl Iterator<Item = Record<'_>> {
        self.shards.iter().flat_map(|shard| {
            let mut rest: &[u8] = &shard.records;
            std::iter::from_fn(move || {
                let (record, after) = Record::read(rest)?;
                rest = after;
                Some(record)
            })
        })
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn bytes(&self) -> usize {
        let shard = |shard: &Shard| {
            size_of::<Shard>() + shard.records.len() + shard.starts.len() * size_of::<u32>()
        };
        self.filter.bytes() + self.shards.iter().map(shard).sum::<usize>()
    }
}
