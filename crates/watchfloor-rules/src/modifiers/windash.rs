//! The `windash` modifier: every dash of a value in each of the five forms that Windows
//! programs take for one.
//!
//! # Source
//! Sigma specification 2.1, modifiers appendix: "all possible permutations of the `-`, `/`,
//! en dash, em dash and horizontal bar characters", interchangeably. pySigma varies only `-`
//! and `/` before words, and no others.

use crate::pattern::{Part, Pattern};

/// What `windash` takes a dash for.
const DASHES: [char; 5] = ['-', '/', '\u{2013}', '\u{2014}', '\u{2015}'];
/// Dashes whose forms are written out, 5 to the power of it; a value with more of them becomes
/// a regular expression, which says the same.
const MAX_WRITTEN: u32 = 2;

/// All forms of a value.
pub(super) enum Forms {
    /// Each form on its own.
    Written(Vec<Pattern>),
    /// Too many to write out.
    TooMany,
}

pub(super) fn forms(pattern: &Pattern) -> Forms {
    let count = |part: &Part| match part {
        Part::Literal(text) => text.matches(DASHES).count(),
        Part::Any | Part::One => 0,
    };
    let dashes: usize = pattern.parts().iter().map(count).sum();
    if dashes > MAX_WRITTEN as usize {
        return Forms::TooMany;
    }
    let combinations = DASHES.len().pow(dashes as u32);
    Forms::Written(
        (0..combinations)
            .map(|number| form(pattern, number))
            .collect(),
    )
}

fn form(pattern: &Pattern, mut number: usize) -> Pattern {
    pattern.map_literals(|text| {
        let vary = |letter: char| {
            if !DASHES.contains(&letter) {
                return letter;
            }
            let dash = DASHES[number % DASHES.len()];
            number /= DASHES.len();
            dash
        };
        text.chars().map(vary).collect()
    })
}

/// A regular expression that is met by each form of a value.
pub(super) fn expression(pattern: &Pattern, cased: bool) -> String {
    let mut expression = String::from(if cased { "(?s)" } else { "(?is)" });
    let parts = pattern.parts();
    if parts.first() != Some(&Part::Any) {
        expression.push('^');
    }
    for (index, part) in parts.iter().enumerate() {
        match part {
            Part::Any if index == 0 || index + 1 == parts.len() => {}
            Part::Any => expression.push_str(".*"),
            Part::One => expression.push('.'),
            Part::Literal(text) => {
                for piece in text.split_inclusive(DASHES) {
                    let plain = piece.trim_end_matches(DASHES);
                    expression.push_str(&regex::escape(plain));
                    if plain.len() < piece.len() {
                        expression.push_str("[-/\u{2013}\u{2014}\u{2015}]");
                    }
                }
            }
        }
    }
    if parts.last() != Some(&Part::Any) {
        expression.push('$');
    }
    expression
}
