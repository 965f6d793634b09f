//! The filter in front: one cache line tells of nearly every value that no indicator has it.
//!
//! # Source
//! Split block Bloom filter, as in the Parquet format (`BloomFilter.md`): eight words of 32 bits,
//! one bit in each.

/// Odd numbers that spread a key over the words of a block (Parquet `BloomFilter.md`).
const SALT: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];
/// Bits of the filter per indicator: 1 of 250 values that no indicator has comes through.
const BITS_PER_KEY: usize = 12;
const BLOCK_BITS: usize = 256;

#[derive(Clone, Copy, Debug, Default)]
#[repr(align(32))]
struct Block([u32; 8]);

/// A filter over hashes.
#[derive(Debug, Default)]
pub(super) struct Filter {
    blocks: Box<[Block]>,
}

impl Filter {
    /// An empty filter with room for so many hashes.
    pub(super) fn with_room(keys: usize) -> Self {
        let blocks = (keys * BITS_PER_KEY).div_ceil(BLOCK_BITS);
        Self {
            blocks: vec![Block::default(); blocks].into_boxed_slice(),
        }
    }

    pub(super) fn insert(&mut self, hash: u64) {
        let at = self.block(hash);
        let mask = mask(hash);
        if let Some(block) = self.blocks.get_mut(at) {
            for (word, bit) in block.0.iter_mut().zip(mask) {
                *word |= bit;
            }
        }
    }

    /// Whether the hash may be among those that were inserted.
    #[inline]
    pub(super) fn may_hold(&self, hash: u64) -> bool {
        let Some(block) = self.blocks.get(self.block(hash)) else {
            return false;
        };
        let mask = mask(hash);
        let missing = block
            .0
            .iter()
            .zip(mask)
            .fold(0, |all, (word, bit)| all | (bit & !word));
        missing == 0
    }

    pub(super) fn bytes(&self) -> usize {
        self.blocks.len() * size_of::<Block>()
    }

    #[inline]
    fn block(&self, hash: u64) -> usize {
        (((hash >> 32) * self.blocks.len() as u64) >> 32) as usize
    }
}

#[inline]
fn mask(hash: u64) -> [u32; 8] {
    SALT.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sequence whose numbers look like hashes (SplitMix64).
    fn hashes(seed: u64) -> impl Iterator<Item = u64> {
        (1..).map(move |at: u64| {
            let mut z = seed.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        })
    }

    #[test]
    fn what_went_in_is_found_and_little_else() {
        let mut filter = Filter::with_room(10_000);
        hashes(1).take(10_000).for_each(|hash| filter.insert(hash));
        assert!(hashes(1).take(10_000).all(|hash| filter.may_hold(hash)));
        let wrong = hashes(2)
            .take(100_000)
            .filter(|hash| filter.may_hold(*hash))
            .count();
        assert!((50..1_000).contains(&wrong), "{wrong}");
        assert!(!Filter::default().may_hold(7));
    }
}
