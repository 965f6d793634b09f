//! Hashes and encodings.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use super::row_functions::{Entry, Row};
use super::texts::decoded;

pub(super) const ROWS: &[Entry] = &[
    (
        "hash_sha256",
        1,
        1,
        Row::Text(|row| Some(hex::encode(Sha256::digest(row[0]?)))),
    ),
    (
        "hash_sha1",
        1,
        1,
        Row::Text(|row| Some(sha1(row[0]?.as_bytes()))),
    ),
    (
        "hash_md5",
        1,
        1,
        Row::Text(|row| Some(md5(row[0]?.as_bytes()))),
    ),
    (
        "base64_decode_tostring",
        1,
        1,
        Row::Text(|row| Some(decoded(&bytes(row[0]?)?))),
    ),
    (
        "base64_decode_toarray",
        1,
        1,
        Row::Text(|row| Some(serde_json::json!(bytes(row[0]?)?).to_string())),
    ),
    (
        "base64_encode_tostring",
        1,
        1,
        Row::Text(|row| Some(STANDARD.encode(row[0]?))),
    ),
];

fn bytes(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok()
}

/// The text with the padding of MD5 and SHA-1, whose length is told in bits at its end.
fn padded(text: &[u8], length: [u8; 8]) -> Vec<u8> {
    let mut text = text.to_vec();
    text.push(0x80);
    while text.len() % 64 != 56 {
        text.push(0);
    }
    text.extend(length);
    text
}

fn words<const COUNT: usize>(block: &[u8], of: fn([u8; 4]) -> u32) -> [u32; COUNT] {
    let mut words = [0; COUNT];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = of(bytes.try_into().unwrap_or_default());
    }
    words
}

/// SHA-1, for looking up what others have listed; not for proving anything.
///
/// Source: RFC 3174.
fn sha1(text: &[u8]) -> String {
    let mut state: [u32; 5] = [
        0x6745_2301,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    let bits = (text.len() as u64).wrapping_mul(8);
    for block in padded(text, bits.to_be_bytes()).chunks_exact(64) {
        let mut schedule: [u32; 80] = words(block, u32::from_be_bytes);
        for at in 16..80 {
            let mixed = schedule[at - 3] ^ schedule[at - 8] ^ schedule[at - 14] ^ schedule[at - 16];
            schedule[at] = mixed.rotate_left(1);
        }
        let [mut a, mut b, mut c, mut d, mut e] = state;
        for (at, word) in schedule.iter().enumerate() {
            let (mixed, constant) = match at / 20 {
                0 => ((b & c) | (!b & d), 0x5a82_7999),
                1 => (b ^ c ^ d, 0x6ed9_eba1),
                2 => ((b & c) | (b & d) | (c & d), 0x8f1b_bcdc),
                _ => (b ^ c ^ d, 0xca62_c1d6_u32),
            };
            let next = a
                .rotate_left(5)
                .wrapping_add(mixed)
                .wrapping_add(e)
                .wrapping_add(constant)
                .wrapping_add(*word);
            (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
        }
        for (kept, new) in state.iter_mut().zip([a, b, c, d, e]) {
            *kept = kept.wrapping_add(new);
        }
    }
    hex::encode(state.map(u32::to_be_bytes).concat())
}

/// MD5, for looking up what others have listed; not for proving anything.
///
/// Source: RFC 1321.
fn md5(text: &[u8]) -> String {
    const SHIFTS: [[u32; 4]; 4] = [
        [7, 12, 17, 22],
        [5, 9, 14, 20],
        [4, 11, 16, 23],
        [6, 10, 15, 21],
    ];
    let mut state: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    let bits = (text.len() as u64).wrapping_mul(8);
    for block in padded(text, bits.to_le_bytes()).chunks_exact(64) {
        let block: [u32; 16] = words(block, u32::from_le_bytes);
        let [mut a, mut b, mut c, mut d] = state;
        for at in 0..64_usize {
            let (mixed, word) = match at / 16 {
                0 => ((b & c) | (!b & d), at),
                1 => ((d & b) | (!d & c), 5 * at + 1),
                2 => (b ^ c ^ d, 3 * at + 5),
                _ => (c ^ (b | !d), 7 * at),
            };
            let constant = (((at + 1) as f64).sin().abs() * 4_294_967_296.0) as u32;
            let sum = a
                .wrapping_add(mixed)
                .wrapping_add(constant)
                .wrapping_add(block[word % 16]);
            let turned = sum.rotate_left(SHIFTS[at / 16][at % 4]);
            (a, d, c, b) = (d, c, b, b.wrapping_add(turned));
        }
        for (kept, new) in state.iter_mut().zip([a, b, c, d]) {
            *kept = kept.wrapping_add(new);
        }
    }
    hex::encode(state.map(u32::to_le_bytes).concat())
}

#[cfg(test)]
mod tests {
    #[test]
    fn hashes_are_those_of_the_standards() {
        assert_eq!(super::md5(b"abc"), "900150983cd24fb0d6963f7d28e17f72");
        assert_eq!(super::md5(b""), "d41d8cd98f00b204e9800998ecf8427e");
        assert_eq!(
            super::sha1(b"abc"),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
    }
}
