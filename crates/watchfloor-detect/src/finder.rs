//! Says which values hold any of some hundred literals, all values of a column in one pass.
//!
//! Keywords are asked of every value of every field, and nearly no value holds one. So the
//! distinct values of a column are put one after the other in lower case and searched with
//! vector instructions; what is found is looked at again, value by value.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use watchfloor_event::Dictionary;

use crate::scanner::lower_onto;

/// Most literals of one searcher: what its vector search is made for.
const LITERALS_PER_SEARCHER: usize = 64;
/// Stands between values, so that nothing is found across two of them.
const BETWEEN: char = '\0';

/// Literals arranged for searching.
#[derive(Debug, Default)]
pub(crate) struct Finder {
    searchers: Vec<Searcher>,
    /// Whether there is a literal that cannot be searched for so.
    is_blind: bool,
}

/// All values of a column in lower case, one after the other.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    lower: String,
    /// Where each starts.
    starts: Vec<usize>,
}

impl Folded {
    fn fill(&mut self, dictionary: &Dictionary) {
        self.lower.clear();
        self.starts.clear();
        for value in dictionary.values() {
            self.starts.push(self.lower.len());
            lower_onto(value.text, &mut self.lower);
            self.lower.push(BETWEEN);
        }
    }

    fn code_at(&self, byte: usize) -> u32 {
        self.starts.partition_point(|start| *start <= byte) as u32
    }
}

impl Finder {
    /// Arranges literals in lower case.
    pub(crate) fn build(mut literals: Vec<&str>) -> Self {
        let mut finder = Self::default();
        // The shortest literal of a searcher decides how much it can skip.
        literals.sort_unstable_by_key(|literal| (literal.len(), *literal));
        for some in literals.chunks(LITERALS_PER_SEARCHER) {
            let is_plain = |literal: &&str| !literal.is_empty() && !literal.contains(BETWEEN);
            let mut builder = Config::new().match_kind(MatchKind::LeftmostFirst).builder();
            match builder.extend(some).build() {
                Some(searcher) if some.iter().all(is_plain) => finder.searchers.push(searcher),
                _ => finder.is_blind = true,
            }
        }
        finder
    }

    /// Whether a text in lower case may hold any literal; false is certain.
    pub(crate) fn may_find(&self, lower: &str) -> bool {
        let mut searchers = self.searchers.iter();
        self.is_blind || searchers.any(|searcher| searcher.find(lower).is_some())
    }

    /// The codes of the values that may hold a literal, in order: all that do are among them.
    pub(crate) fn codes(&self, dictionary: &Dictionary, folded: &mut Folded) -> Vec<u32> {
        if self.is_blind {
            return (1..=dictionary.len() as u32).collect();
        }
        folded.fill(dictionary);
        // A list's text is not that of its elements.
        let mut codes = dictionary.lists().to_vec();
        for searcher in &self.searchers {
            let found = searcher.find_iter(&folded.lower);
            // Finds do not overlap, but one hides only others in the same value.
            codes.extend(found.map(|found| folded.code_at(found.start())));
        }
        codes.sort_unstable();
        codes.dedup();
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use watchfloor_event::{ValueKind, ValueRef};

    fn check(literals: &[&str], values: &[&str], expected: &[u32]) {
        let mut dictionary = Dictionary::default();
        for value in values {
            dictionary.intern(ValueRef::str(value));
        }
        let finder = Finder::build(literals.to_vec());
        let codes = finder.codes(&dictionary, &mut Folded::default());
        assert_eq!(codes, expected, "{literals:?} in {values:?}");
    }

    #[test]
    fn values_with_a_literal_are_named() {
        let values = [
            "Kali",
            "x",
            "mimi",
            "katz",
            "MIMIKATZ \u{c4}",
            "",
            "a\u{e4}kali",
        ];
        check(&["mimikatz", "kali", "\u{e4}kali"], &values, &[1, 5, 7]);
        check(&["a"], &values, &[1, 4, 5, 7]);
        check(&["\u{e4}"], &values, &[5, 7]);
        check(&["", "kali"], &["x", "y"], &[1, 2]);
    }

    #[test]
    fn many_literals_are_found_each() {
        let literals: Vec<String> = (0..300).map(|number| format!("word{number:03}")).collect();
        let literals: Vec<&str> = literals.iter().map(String::as_str).collect();
        let values: Vec<String> = literals.iter().map(|word| format!("a {word} z")).collect();
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let all: Vec<u32> = (1..=300).collect();
        check(&literals, &values, &all);
        check(&literals, &["word", "word30", "ord001"], &[]);
    }

    #[test]
    fn lists_are_always_looked_at() {
        let mut dictionary = Dictionary::default();
        dictionary.intern(ValueRef::str("a"));
        dictionary.intern(ValueRef {
            kind: ValueKind::List,
            text: r#"["\u006bali"]"#,
        });
        let finder = Finder::build(vec!["kali"]);
        assert_eq!(finder.codes(&dictionary, &mut Folded::default()), [2]);
    }
}
