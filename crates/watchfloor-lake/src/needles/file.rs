//! The files that filters stand in.
//!
//! Numbers are little-endian. A file is
//!
//! - the mark `WFNEED01`; rows of the data file (u64), rows of a block (u32), bits of a bucket's
//!   number (u32), CRC-32 of the data file (u32);
//! - the end of each bucket, counted from the end of this table (u32 each);
//! - a CRC-32 of all that;
//! - the buckets, each with a CRC-32 (u32) behind it.
//!
//! A word belongs to the bucket that the first bits of its hash name; the 16 bits behind them
//! tell the words of a bucket apart, so that of a hundred questions for words that are not there
//! about one finds a block to read in vain. A bucket is a list of words in their order: what the
//! 16 bits grew by, then in which blocks the word is: `2n` for the block n alone, else twice the count and
//! one, and the blocks in order as what each grew by. Both are in LEB128.

use std::sync::{Arc, Mutex, PoisonError};

use hashbrown::HashMap;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use super::{Ask, BLOCK_ROWS};

const MARK: &[u8; 8] = b"WFNEED01";
const HEAD_BYTES: usize = 28;
/// Words that a bucket has on average: one of 2 KiB is read in one go.
const BUCKET_WORDS: usize = 512;
const KEY_BITS: u32 = 16;
/// Most heads of filters kept in memory.
const MAX_KEPT: usize = 4096;

/// Where the filter of a data file stands: below a folder that engines pass over, since its
/// name begins with a low line.
pub(crate) fn path_beside(data_file: &Path) -> Path {
    Path::from(format!("_needles/{data_file}.needles"))
}

/// The data file of a filter, if a path is one's.
pub(crate) fn data_file_of(path: &Path) -> Option<Path> {
    let below = path.as_ref().strip_prefix("_needles/")?;
    Some(Path::from(below.strip_suffix(".needles")?))
}

/// Writes words with their blocks, sorted, as a file.
pub(super) fn encode(pairs: &[(u64, u32)], rows: u64, data_crc: u32) -> Vec<u8> {
    let words = pairs.chunk_by(|left, right| left.0 == right.0).count();
    let bits = (words / BUCKET_WORDS).max(1).ilog2();
    let (mut ends, mut buckets) = (Vec::new(), Vec::new());
    let mut rest = pairs;
    for bucket in 0..1_u64 << bits {
        let count = rest.partition_point(|(word, _)| bucket_of(*word, bits) <= bucket);
        let (mine, later) = rest.split_at(count);
        rest = later;
        let start = buckets.len();
        encode_bucket(mine, bits, &mut buckets);
        let crc = crc32fast::hash(&buckets[start..]);
        buckets.extend(crc.to_le_bytes());
        ends.push(buckets.len() as u32);
    }
    let mut file = Vec::with_capacity(HEAD_BYTES + 4 * ends.len() + 4 + buckets.len());
    file.extend(MARK);
    file.extend(rows.to_le_bytes());
    file.extend((BLOCK_ROWS as u32).to_le_bytes());
    file.extend(bits.to_le_bytes());
    file.extend(data_crc.to_le_bytes());
    file.extend(ends.iter().flat_map(|end| end.to_le_bytes()));
    let crc = crc32fast::hash(&file);
    file.extend(crc.to_le_bytes());
    file.extend(buckets);
    file
}

fn bucket_of(word: u64, bits: u32) -> u64 {
    if bits == 0 { 0 } else { word >> (64 - bits) }
}

fn key_of(word: u64, bits: u32) -> u64 {
    (word << bits) >> (64 - KEY_BITS)
}

fn encode_bucket(pairs: &[(u64, u32)], bits: u32, into: &mut Vec<u8>) {
    let mut last = 0;
    for of_key in pairs.chunk_by(|left, right| key_of(left.0, bits) == key_of(right.0, bits)) {
        let key = key_of(of_key[0].0, bits);
        push_number(key - last, into);
        last = key;
        // Two words with one key are one word to those who ask.
        let mut blocks: Vec<u64> = of_key.iter().map(|(_, block)| u64::from(*block)).collect();
        blocks.sort_unstable();
        blocks.dedup();
        if let [block] = blocks[..] {
            push_number(block << 1, into);
            continue;
        }
        push_number((blocks.len() as u64) << 1 | 1, into);
        let mut before = 0;
        for block in blocks {
            push_number(block - before, into);
            before = block;
        }
    }
}

fn push_number(mut number: u64, into: &mut Vec<u8>) {
    while number >= 0x80 {
        into.push(number as u8 | 0x80);
        number >>= 7;
    }
    into.push(number as u8);
}

fn take_number(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..63).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Blocks of a file, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    bits: Vec<u64>,
    count: usize,
}

impl Blocks {
    pub(super) fn none(count: usize) -> Self {
        let bits = vec![0; count.div_ceil(64)];
        Self { bits, count }
    }

    pub(super) fn all(count: usize) -> Self {
        let mut blocks = Self::none(count);
        (0..count).for_each(|block| blocks.insert(block));
        blocks
    }

    fn insert(&mut self, block: usize) {
        if block < self.count {
            self.bits[block / 64] |= 1 << (block % 64);
        }
    }

    pub(crate) fn has(&self, block: usize) -> bool {
        block < self.count && self.bits[block / 64] & (1 << (block % 64)) != 0
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bits.iter().all(|bits| *bits == 0)
    }

    pub(crate) fn is_all(&self) -> bool {
        self.bits.iter().map(|bits| bits.count_ones()).sum::<u32>() as usize == self.count
    }

    pub(super) fn and(&mut self, other: &Self) {
        let pairs = self.bits.iter_mut().zip(&other.bits);
        pairs.for_each(|(mine, other)| *mine &= other);
    }

    pub(super) fn or(&mut self, other: &Self) {
        let pairs = self.bits.iter_mut().zip(&other.bits);
        pairs.for_each(|(mine, other)| *mine |= other);
    }
}

/// The beginning of a file: enough to know where a word's bucket is.
#[derive(Debug)]
struct Head {
    rows: u64,
    block_rows: usize,
    bits: u32,
    data_crc: u32,
    ends: Vec<u32>,
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let (head, crc) = bytes.split_at_checked(bytes.len().checked_sub(4)?)?;
        if crc32fast::hash(head).to_le_bytes() != crc || !head.starts_with(MARK) {
            return None;
        }
        let ends = head.get(HEAD_BYTES..)?.chunks_exact(4);
        Some(Self {
            rows: u64::from_le_bytes(head.get(8..16)?.try_into().ok()?),
            block_rows: u32::from_le_bytes(head.get(16..20)?.try_into().ok()?) as usize,
            bits: bits_of(head)?,
            data_crc: u32::from_le_bytes(head.get(24..HEAD_BYTES)?.try_into().ok()?),
            ends: ends
                .map(|end| u32::from_le_bytes([end[0], end[1], end[2], end[3]]))
                .collect(),
        })
    }

    fn blocks(&self) -> usize {
        (self.rows as usize).div_ceil(self.block_rows.max(1))
    }

    /// Where the bucket of a word is in the file.
    fn range_of(&self, word: u64) -> Option<std::ops::Range<u64>> {
        let bucket = bucket_of(word, self.bits) as usize;
        let start = if bucket == 0 {
            0
        } else {
            *self.ends.get(bucket - 1)?
        };
        let base = (HEAD_BYTES + 4 * self.ends.len() + 4) as u64;
        let end = *self.ends.get(bucket)?;
        (start < end).then(|| base + u64::from(start)..base + u64::from(end))
    }
}

fn bits_of(head: &[u8]) -> Option<u32> {
    let bits = u32::from_le_bytes(head.get(20..24)?.try_into().ok()?);
    (bits <= 24).then_some(bits)
}

/// The blocks that a bucket names for a word; `None` if the bucket is damaged.
fn find(bucket: &[u8], word: u64, head: &Head) -> Option<Blocks> {
    let (mut rest, crc) = bucket.split_at_checked(bucket.len().checked_sub(4)?)?;
    if crc32fast::hash(rest).to_le_bytes() != crc {
        return None;
    }
    let wanted = key_of(word, head.bits);
    let (mut key, mut blocks) = (0, Blocks::none(head.blocks()));
    while !rest.is_empty() && key <= wanted {
        key = u64::checked_add(key, take_number(&mut rest)?)?;
        let tag = take_number(&mut rest)?;
        let is_wanted = key == wanted;
        if tag & 1 == 0 {
            if is_wanted {
                blocks.insert((tag >> 1) as usize);
            }
            continue;
        }
        let mut block = 0_u64;
        for _ in 0..tag >> 1 {
            block = block.checked_add(take_number(&mut rest)?)?;
            if is_wanted {
                blocks.insert(block as usize);
            }
        }
    }
    Some(blocks)
}

/// Filters as they are read, with the heads of those that were.
#[derive(Debug, Default)]
pub(crate) struct NeedleFiles {
    heads: Mutex<HashMap<Path, Option<Arc<Head>>>>,
}

impl NeedleFiles {
    /// The blocks of a data file that may hold what is asked for; `None` if that is not known:
    /// there is no filter, it is damaged, or it belongs to another file.
    pub(crate) async fn ask(
        &self,
        store: &dyn ObjectStore,
        data_file: &Path,
        rows: u64,
        ask: &Ask,
    ) -> Option<Blocks> {
        let path = path_beside(data_file);
        let head = self.head(store, &path).await?;
        if head.rows != rows || head.block_rows != BLOCK_ROWS {
            return None;
        }
        let mut words = Vec::new();
        ask.words(&mut words);
        words.sort_unstable();
        words.dedup();
        let ranges: Vec<_> = words
            .iter()
            .filter_map(|word| head.range_of(*word))
            .collect();
        if ranges.len() < words.len() {
            return None;
        }
        let buckets = store.get_ranges(&path, &ranges).await.ok()?;
        let mut found = HashMap::new();
        for (word, bucket) in words.iter().zip(&buckets) {
            let Some(blocks) = find(bucket, *word, &head) else {
                tracing::warn!(path = %path, "a needle filter is damaged; the file is read whole");
                return None;
            };
            found.insert(*word, blocks);
        }
        Some(ask.blocks(&found, head.blocks()))
    }

    /// The checksum that a data file was written with, if its filter can tell.
    pub(crate) async fn data_crc(&self, store: &dyn ObjectStore, path: &Path) -> Option<u32> {
        Some(self.head(store, path).await?.data_crc)
    }

    /// Reads all heads anew from then on.
    pub(crate) fn forget(&self) {
        self.lock().clear();
    }

    async fn head(&self, store: &dyn ObjectStore, path: &Path) -> Option<Arc<Head>> {
        let known = self.lock().get(path).cloned();
        if let Some(head) = known {
            return head;
        }
        let head = read_head(store, path).await;
        let mut heads = self.lock();
        if heads.len() >= MAX_KEPT {
            heads.clear();
        }
        heads.insert(path.clone(), head.clone());
        head
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Path, Option<Arc<Head>>>> {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read_head(store: &dyn ObjectStore, path: &Path) -> Option<Arc<Head>> {
    let fixed = store.get_range(path, 0..HEAD_BYTES as u64).await.ok()?;
    let bits = bits_of(&fixed)?;
    let len = HEAD_BYTES as u64 + 4 * (1 << bits) + 4;
    let head = Head::parse(&store.get_range(path, 0..len).await.ok()?);
    if head.is_none() {
        tracing::warn!(path = %path, "a needle filter is damaged; the file is read whole");
    }
    head.map(Arc::new)
}

/// Whether a whole filter is as it was written, for a data file of so many rows.
pub(crate) fn is_whole(bytes: &[u8], rows: u64) -> bool {
    let Some(bits) = bytes.get(..HEAD_BYTES).and_then(bits_of) else {
        return false;
    };
    let Some((head, buckets)) = bytes.split_at_checked(HEAD_BYTES + 4 * (1 << bits) + 4) else {
        return false;
    };
    let Some(head) = Head::parse(head) else {
        return false;
    };
    let mut start = 0;
    let mut all = head.ends.iter().map(|end| {
        let bucket = buckets.get(start..*end as usize);
        start = *end as usize;
        bucket.and_then(|bucket| bucket.split_last_chunk::<4>())
    });
    head.rows == rows
        && head.ends.last().map(|end| *end as usize) == Some(buckets.len())
        && all.all(|bucket| {
            bucket.is_some_and(|(bucket, crc)| crc32fast::hash(bucket).to_le_bytes() == *crc)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs() -> Vec<(u64, u32)> {
        let word = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut pairs: Vec<(u64, u32)> = (0..5000_u64)
            .flat_map(|number| (0..=number % 3).map(move |block| (word(number), block as u32 * 7)))
            .collect();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn every_word_is_found_in_its_blocks() {
        let pairs = pairs();
        let file = encode(&pairs, 20 * BLOCK_ROWS as u64, 7);
        let bits = bits_of(&file).unwrap();
        let head = Head::parse(&file[..HEAD_BYTES + 4 * (1 << bits) + 4]).unwrap();
        for of_word in pairs.chunk_by(|left, right| left.0 == right.0) {
            let range = head.range_of(of_word[0].0).unwrap();
            let bucket = &file[range.start as usize..range.end as usize];
            let blocks = find(bucket, of_word[0].0, &head).unwrap();
            assert!(of_word.iter().all(|(_, block)| blocks.has(*block as usize)));
        }
        assert!(is_whole(&file, 20 * BLOCK_ROWS as u64));
        let absent = (1..1000_u64).filter(|word| {
            let range = head.range_of(word << 40).unwrap();
            !find(
                &file[range.start as usize..range.end as usize],
                word << 40,
                &head,
            )
            .unwrap()
            .is_empty()
        });
        assert!(absent.count() < 40);
    }

    #[test]
    fn any_bytes_are_a_filter_or_none() {
        let file = encode(&pairs(), 20 * BLOCK_ROWS as u64, 7);
        let bits = bits_of(&file).unwrap();
        let head = Head::parse(&file[..HEAD_BYTES + 4 * (1 << bits) + 4]).unwrap();
        let mut seed = 1_u64;
        for length in (0..300).chain([5000]) {
            let mut bytes: Vec<u8> = (0..length)
                .map(|_| {
                    seed = seed.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                    // Many bytes that go on make numbers beyond any bound.
                    (seed >> 56) as u8 | (seed >> 40) as u8
                })
                .collect();
            assert!(Head::parse(&bytes).is_none() && !is_whole(&bytes, 1));
            let crc = crc32fast::hash(&bytes);
            bytes.extend(crc.to_le_bytes());
            let _ = find(&bytes, seed, &head);
        }
    }

    #[test]
    fn damage_is_seen() {
        let pairs = pairs();
        let mut file = encode(&pairs, 20 * BLOCK_ROWS as u64, 7);
        let bits = bits_of(&file).unwrap();
        let len = HEAD_BYTES + 4 * (1 << bits) + 4;
        let head = Head::parse(&file[..len]).unwrap();
        let range = head.range_of(pairs[9].0).unwrap();
        file[range.start as usize] ^= 1;
        let bucket = &file[range.start as usize..range.end as usize];
        assert_eq!(find(bucket, pairs[9].0, &head), None);
        assert!(!is_whole(&file, 20 * BLOCK_ROWS as u64));
        file[30] ^= 1;
        assert!(Head::parse(&file[..len]).is_none());
    }
}
