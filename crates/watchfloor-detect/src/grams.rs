//! Finds literals in a text by four bytes of each.
//!
//! An automaton over thousands of literals is a table of many megabytes, and a scan waits for
//! memory at every byte. Here a small bit set says whether four bytes of the text may belong
//! to any literal; nearly always they do not, and nothing else is touched. A literal of seven
//! or more bytes is found even if only every fourth place is looked at, because four of its
//! grams in a row are known. Literals of two and three bytes are told by two bytes.
//!
//! # Source
//! S. Wu and U. Manber, "A fast algorithm for multi-pattern searching", TR-94-17, University
//! of Arizona, 1994, for looking at blocks and skipping.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Bytes of a gram.
const GRAM: usize = 4;
/// Places skipped at a time when looking for long literals.
const STRIDE: usize = 4;
/// Shortest literal that the stride cannot jump over.
const LONG: usize = GRAM + STRIDE - 1;
/// Bits in a filter per gram.
const BITS_PER_GRAM: usize = 24;

/// One literal, found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Index of the literal.
    pub literal: u32,
    /// First byte in the text.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// Literals of at least one byte, arranged for scanning.
#[derive(Debug, Default)]
pub(crate) struct Grams {
    texts: String,
    /// By literal: start and length in `texts`.
    literals: Vec<(u32, u32)>,
    long: Index,
    middle: Index,
    short: Index,
    /// The pairs of bytes that a short literal starts with, a bit each.
    pairs: Vec<u64>,
}

/// Grams of one class of literals.
#[derive(Debug, Default)]
struct Index {
    filter: Vec<u64>,
    shift: u32,
    /// By gram: range in `entries`.
    table: HashMap<u32, (u32, u32), FixedState>,
    /// Literal and place of the gram in it.
    entries: Vec<(u32, u32)>,
}

fn spread(gram: u32) -> u32 {
    gram.wrapping_mul(0x9e37_79b1)
}

fn gram_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + GRAM) {
        Some(&[a, b, c, d]) => u32::from_le_bytes([a, b, c, d]),
        _ => 0,
    }
}

fn pair_at(bytes: &[u8], at: usize) -> u32 {
    match bytes.get(at..at + 2) {
        Some(&[a, b]) => u32::from(u16::from_le_bytes([a, b])),
        _ => 0,
    }
}

impl Index {
    /// Arranges (gram, literal, place of the gram in the literal).
    fn build(mut grams: Vec<(u32, u32, u32)>) -> Self {
        if grams.is_empty() {
            return Self::default();
        }
        grams.sort_unstable();
        let bits = (grams.len() * BITS_PER_GRAM).next_power_of_two().max(512);
        let mut index = Self {
            filter: vec![0; bits / 64],
            shift: 32 - bits.trailing_zeros().min(31),
            table: HashMap::default(),
            entries: Vec::with_capacity(grams.len()),
        };
        for group in grams.chunk_by(|left, right| left.0 == right.0) {
            let start = index.entries.len() as u32;
            index.entries.extend(group.iter().map(|one| (one.1, one.2)));
            let end = index.entries.len() as u32;
            let gram = group[0].0;
            index.table.insert(gram, (start, end));
            let bit = (spread(gram) >> index.shift) as usize;
            index.filter[bit / 64] |= 1 << (bit % 64);
        }
        index
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn may_hold(&self, gram: u32) -> bool {
        let bit = (spread(gram) >> self.shift) as usize;
        self.filter
            .get(bit / 64)
            .is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    fn entries(&self, gram: u32) -> &[(u32, u32)] {
        match self.table.get(&gram) {
            Some(&(start, end)) => &self.entries[start as usize..end as usize],
            None => &[],
        }
    }
}

impl Grams {
    /// Arranges literals; an empty one is never found.
    pub(crate) fn build(texts: &[String]) -> Self {
        let mut grams = Self::default();
        for text in texts {
            let start = grams.texts.len() as u32;
            grams.literals.push((start, text.len() as u32));
            grams.texts.push_str(text);
        }
        let usage = usage(texts);
        let (mut long, mut middle, mut short) = (Vec::new(), Vec::new(), Vec::new());
        for (literal, text) in texts.iter().enumerate() {
            let (literal, bytes) = (literal as u32, text.as_bytes());
            match bytes.len() {
                0 => {}
                1 => {
                    // Every pair that starts with the byte, and the byte at the text's end.
                    let pairs =
                        (0..=255).map(|second| u32::from_le_bytes([bytes[0], second, 0, 0]));
                    short.extend(pairs.map(|pair| (pair, literal, 0)));
                }
                2 | 3 => short.push((pair_at(bytes, 0), literal, 0)),
                length if length < LONG => {
                    let at = rarest(&usage, bytes, 1);
                    middle.push((gram_at(bytes, at), literal, at as u32));
                }
                _ => {
                    let first = rarest(&usage, bytes, STRIDE);
                    let window = first..first + STRIDE;
                    long.extend(window.map(|at| (gram_at(bytes, at), literal, at as u32)));
                }
            }
        }
        if !short.is_empty() {
            grams.pairs = vec![0; 65_536 / 64];
            for &(pair, _, _) in &short {
                grams.pairs[pair as usize / 64] |= 1 << (pair % 64);
            }
        }
        grams.long = Index::build(long);
        grams.middle = Index::build(middle);
        grams.short = Index::build(short);
        grams
    }

    /// The literals.
    pub(crate) fn texts(&self) -> impl Iterator<Item = &str> {
        let text = |&(start, length): &(u32, u32)| {
            let (start, length) = (start as usize, length as usize);
            &self.texts[start..start + length]
        };
        self.literals.iter().map(text)
    }

    /// Calls `take` for every occurrence of every literal, in no order.
    pub(crate) fn scan(&self, text: &str, mut take: impl FnMut(Found)) {
        let bytes = text.as_bytes();
        if !self.long.is_empty() {
            for (at, gram) in grams_of(bytes).step_by(STRIDE) {
                if self.long.may_hold(gram) {
                    self.verify(bytes, at, self.long.entries(gram), &mut take);
                }
            }
        }
        match (self.middle.is_empty(), self.short.is_empty()) {
            (true, true) => {}
            (false, true) => {
                for (at, gram) in grams_of(bytes) {
                    self.take_middle(bytes, at, gram, &mut take);
                }
            }
            (true, false) => self.scan_short(bytes, 0, &mut take),
            (false, false) => {
                for (at, gram) in grams_of(bytes) {
                    self.take_middle(bytes, at, gram, &mut take);
                    self.take_short(bytes, at, gram & 0xffff, &mut take);
                }
                self.scan_short(bytes, bytes.len().saturating_sub(GRAM - 1), &mut take);
            }
        }
    }

    /// Looks for short literals from a place on.
    fn scan_short(&self, bytes: &[u8], from: usize, take: &mut impl FnMut(Found)) {
        let rest = bytes.get(from..).unwrap_or(&[]);
        for (at, pair) in rest.array_windows::<2>().enumerate() {
            let pair = u32::from(u16::from_le_bytes(*pair));
            self.take_short(bytes, from + at, pair, take);
        }
        // A literal of one byte is known by the pairs that it starts; the last byte starts none.
        if let Some(&last) = bytes.last() {
            let entries = self.short.entries(u32::from(last));
            self.verify(bytes, bytes.len() - 1, entries, take);
        }
    }

    #[inline]
    fn take_middle(&self, bytes: &[u8], at: usize, gram: u32, take: &mut impl FnMut(Found)) {
        if self.middle.may_hold(gram) {
            self.verify(bytes, at, self.middle.entries(gram), take);
        }
    }

    #[inline]
    fn take_short(&self, bytes: &[u8], at: usize, pair: u32, take: &mut impl FnMut(Found)) {
        let word = self.pairs.get(pair as usize / 64).copied().unwrap_or(0);
        if word >> (pair % 64) & 1 == 1 {
            self.verify(bytes, at, self.short.entries(pair), take);
        }
    }

    fn verify(
        &self,
        bytes: &[u8],
        at: usize,
        entries: &[(u32, u32)],
        take: &mut impl FnMut(Found),
    ) {
        for &(literal, place) in entries {
            let (from, length) = self.literals[literal as usize];
            let wanted = &self.texts.as_bytes()[from as usize..(from + length) as usize];
            let Some(start) = at.checked_sub(place as usize) else {
                continue;
            };
            let end = start + wanted.len();
            if bytes.get(start..end) == Some(wanted) {
                take(Found {
                    literal,
                    start,
                    end,
                });
            }
        }
    }
}

fn grams_of(bytes: &[u8]) -> impl Iterator<Item = (usize, u32)> + '_ {
    let windows = bytes.array_windows::<GRAM>().enumerate();
    windows.map(|(at, window)| (at, u32::from_le_bytes(*window)))
}

/// How many literals hold each gram. What few literals hold is seldom in values either: the
/// common pieces of paths and options are in many rules.
fn usage(texts: &[String]) -> HashMap<u32, u32, FixedState> {
    let mut usage = HashMap::default();
    for text in texts {
        for (_, gram) in grams_of(text.as_bytes()) {
            *usage.entry(gram).or_default() += 1;
        }
    }
    usage
}

/// Where a run of `count` grams starts that the fewest literals hold.
fn rarest(usage: &HashMap<u32, u32, FixedState>, bytes: &[u8], count: usize) -> usize {
    let last = bytes.len().saturating_sub(GRAM + count - 1);
    let cost = |first: usize| -> u32 {
        let run = first..first + count;
        run.map(|at| usage.get(&gram_at(bytes, at)).copied().unwrap_or(0))
            .sum()
    };
    (0..=last).min_by_key(|first| cost(*first)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(literals: &[&str], text: &str) -> Vec<(u32, usize, usize)> {
        let literals: Vec<String> = literals.iter().map(ToString::to_string).collect();
        let mut all = Vec::new();
        Grams::build(&literals).scan(text, |one| all.push((one.literal, one.start, one.end)));
        all.sort_unstable();
        all
    }

    fn naive(literals: &[&str], text: &str) -> Vec<(u32, usize, usize)> {
        let mut all = Vec::new();
        for (literal, wanted) in literals.iter().enumerate() {
            for start in 0..text.len() {
                if text.as_bytes()[start..].starts_with(wanted.as_bytes()) {
                    all.push((literal as u32, start, start + wanted.len()));
                }
            }
        }
        all
    }

    #[test]
    fn every_occurrence_of_every_length_is_found() {
        let literals = [
            "a",
            "ab",
            "abc",
            "abcd",
            "abcde",
            "abcdefg",
            "cdefghijk",
            "\u{e9}t\u{e9}",
        ];
        for text in [
            "",
            "a",
            "xa",
            "abcdefghijkl",
            "xxabcdefgxabcdefghijkabc",
            "l'\u{e9}t\u{e9} abcd",
        ] {
            assert_eq!(found(&literals, text), naive(&literals, text), "{text}");
        }
    }

    #[test]
    fn all_alignments_agree_with_a_plain_search() {
        let literals = [
            "-encodedcommand",
            "powershell",
            "-enc ",
            "\\run",
            "/c",
            "\\windows\\temp\\",
        ];
        for shift in 0..9 {
            let text = format!(
                "{}powershell -enc x -encodedcommand \\run\\windows\\temp\\ /c",
                "y".repeat(shift)
            );
            assert_eq!(found(&literals, &text), naive(&literals, &text), "{text}");
        }
    }
}
