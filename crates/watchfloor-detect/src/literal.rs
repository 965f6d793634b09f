//! Literals that a regular expression cannot do without: where none of them occurs in a
//! value, the expression need not be tried.

use regex_syntax::hir::{Class, Hir, HirKind};

/// Shortest literal worth looking for, in bytes.
const MIN_BYTES: usize = 3;
/// Most alternatives in one set.
const MAX_ALTERNATIVES: usize = 32;

/// A set of lower-case literals of which every match contains one (ignoring case), or `None`
/// if there is no such set.
pub(crate) fn required(pattern: &str) -> Option<Vec<String>> {
    let hir = regex_syntax::Parser::new().parse(pattern).ok()?;
    let set = required_of(&hir)?;
    (set.len() <= MAX_ALTERNATIVES && set.iter().all(|text| text.len() >= MIN_BYTES)).then_some(set)
}

fn required_of(hir: &Hir) -> Option<Vec<String>> {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => Some(vec![single(hir)?]),
        HirKind::Capture(capture) => required_of(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => required_of(&repetition.sub),
        HirKind::Concat(items) => of_concat(items),
        HirKind::Alternation(items) => {
            let sets: Option<Vec<Vec<String>>> = items.iter().map(required_of).collect();
            let all: Vec<String> = sets?.into_iter().flatten().collect();
            (all.len() <= MAX_ALTERNATIVES).then_some(all)
        }
        HirKind::Empty | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// The best set among the items and the runs of neighbouring single texts.
fn of_concat(items: &[Hir]) -> Option<Vec<String>> {
    let mut best: Option<Vec<String>> = None;
    let mut run = String::new();
    for item in items {
        if let Some(text) = single(item) {
            run.push_str(&text);
            continue;
        }
        consider(&mut best, vec![std::mem::take(&mut run)]);
        if let Some(set) = required_of(item) {
            consider(&mut best, set);
        }
    }
    consider(&mut best, vec![run]);
    best
}

fn consider(best: &mut Option<Vec<String>>, set: Vec<String>) {
    let shortest = |set: &[String]| set.iter().map(String::len).min().unwrap_or(0);
    let rank = |set: &[String]| (shortest(set), usize::MAX - set.len());
    if shortest(&set) > 0 && best.as_ref().is_none_or(|known| rank(&set) > rank(known)) {
        *best = Some(set);
    }
}

/// The one text that an item stands for when letter case is ignored.
fn single(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Literal(literal) => Some(std::str::from_utf8(&literal.0).ok()?.to_lowercase()),
        HirKind::Class(Class::Unicode(class)) => {
            let folded = class.ranges().iter().map(|range| {
                (range.start() == range.end()).then(|| range.start().to_lowercase().to_string())
            });
            let folded: Option<Vec<String>> = folded.collect();
            one_of(folded?)
        }
        HirKind::Class(Class::Bytes(class)) => {
            let folded = class.ranges().iter().map(|range| {
                let ascii = range.start() == range.end() && range.start().is_ascii();
                ascii.then(|| char::from(range.start()).to_ascii_lowercase().to_string())
            });
            let folded: Option<Vec<String>> = folded.collect();
            one_of(folded?)
        }
        HirKind::Capture(capture) => single(&capture.sub),
        _ => None,
    }
}

/// The case folding of `k` and `s` also holds U+212A and U+017F, whose lower-case forms are
/// `k` and `ſ`; the latter is folded here by hand.
fn one_of(folded: Vec<String>) -> Option<String> {
    let mut folded: Vec<String> = folded
        .into_iter()
        .map(|text| if text == "ſ" { "s".to_owned() } else { text })
        .collect();
    folded.sort();
    folded.dedup();
    if folded.len() == 1 {
        folded.pop()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(pattern: &str, expected: Option<&[&str]>) {
        let found = required(pattern);
        let found: Option<Vec<&str>> = found
            .as_ref()
            .map(|set| set.iter().map(String::as_str).collect());
        assert_eq!(found.as_deref(), expected, "{pattern}");
    }

    #[test]
    fn the_longest_necessary_literal_is_found() {
        check("abc.*wxyz", Some(&["wxyz"]));
        check("(?i)Foo.{2}K", Some(&["foo"]));
        check("(?:abc|defg)x*", Some(&["abc", "defg"]));
        check("(abc)+", Some(&["abc"]));
        check("(abc)?d", None);
        check("[a-z]{5}", None);
        check(r"\\\\(?i)msk", Some(&[r"\\msk"]));
    }
}
