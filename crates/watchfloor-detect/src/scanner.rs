//! All questions to one field, answered for one value in one pass.

use std::sync::OnceLock;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use watchfloor_event::{ValueKind, ValueRef};
use watchfloor_rules::{Matcher, Part, Pattern};

use crate::finder::{Finder, Folded};
use crate::grams::Grams;
use crate::literal;
use crate::program::Predicate;

/// How a literal found in a value bears on a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bearing {
    /// Found anywhere, the answer is yes.
    Contains,
    /// Found at the start, the answer is yes.
    Start,
    /// Found at the end, the answer is yes.
    End,
    /// Found, the whole question has to be asked.
    Verify,
}

/// Most literals for which a text is searched as a whole before it is looked at in grams.
const MAX_FINDER_LITERALS: usize = 128;
/// Shortest text for which that pays, in bytes.
const MIN_FINDER_BYTES: usize = 48;

/// All questions to one field.
#[derive(Debug, Default)]
pub(crate) struct Scanner {
    exact: HashMap<String, Vec<u32>, FixedState>,
    literals: Grams,
    /// Says of a long text whether it holds any literal, where there are few; made for the
    /// first long text, since most fields never see one.
    finder: OnceLock<Option<Finder>>,
    /// By literal.
    bearings: Vec<Vec<(u32, Bearing)>>,
    /// Asked of every value.
    each: Vec<u32>,
    /// Answered with yes by any value that is there.
    present: Vec<u32>,
    /// Answered with yes by null.
    null: Vec<u32>,
}

/// Buffers that are used again from value to value.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    lower: String,
    verify: Vec<u32>,
    pub(crate) folded: Folded,
}

#[derive(Default)]
struct Literals {
    texts: Vec<String>,
    bearings: Vec<Vec<(u32, Bearing)>>,
    by_text: HashMap<String, usize, FixedState>,
}

impl Literals {
    fn add(&mut self, text: &str, id: u32, bearing: Bearing) {
        let index = *self.by_text.entry_ref(text).or_insert_with(|| {
            self.texts.push(text.to_owned());
            self.bearings.push(Vec::new());
            self.texts.len() - 1
        });
        self.bearings[index].push((id, bearing));
    }
}

impl Scanner {
    /// Builds the scanner of these questions.
    pub(crate) fn build(ids: &[u32], predicates: &[Predicate]) -> Self {
        let mut scanner = Self::default();
        let mut literals = Literals::default();
        for &id in ids {
            let predicate = &predicates[id as usize];
            if !predicate.lazy {
                scanner.add(id, &predicate.matcher, &mut literals);
            }
        }
        scanner.literals = Grams::build(&literals.texts);
        scanner.bearings = literals.bearings;
        scanner
    }

    fn add(&mut self, id: u32, matcher: &Matcher, literals: &mut Literals) {
        match matcher {
            Matcher::Text { pattern, cased } => self.add_text(id, pattern, *cased, literals),
            Matcher::Regex(regex) => {
                for text in literal::required(regex.as_str()).unwrap_or_default() {
                    literals.add(&text, id, Bearing::Verify);
                }
            }
            Matcher::Cidr(_) | Matcher::Compare(..) => self.each.push(id),
            Matcher::Exists(true) => self.present.push(id),
            Matcher::Null => self.null.push(id),
            Matcher::Exists(false) | Matcher::Never => {}
            Matcher::Field { .. } | Matcher::Time(..) => debug_assert!(false, "lazy"),
        }
    }

    fn add_text(&mut self, id: u32, pattern: &Pattern, cased: bool, literals: &mut Literals) {
        let sure = |bearing| if cased { Bearing::Verify } else { bearing };
        match pattern.parts() {
            [] => self.exact.entry(String::new()).or_default().push(id),
            [Part::Literal(text)] => self.exact.entry(text.to_lowercase()).or_default().push(id),
            [Part::Any] => self.each.push(id),
            [Part::Any, Part::Literal(text), Part::Any] => {
                literals.add(&text.to_lowercase(), id, sure(Bearing::Contains));
            }
            [Part::Literal(text), Part::Any] => {
                literals.add(&text.to_lowercase(), id, sure(Bearing::Start));
            }
            [Part::Any, Part::Literal(text)] => {
                literals.add(&text.to_lowercase(), id, sure(Bearing::End));
            }
            parts => {
                let literal = |part: &Part| match part {
                    Part::Literal(text) => Some(text.to_lowercase()),
                    Part::Any | Part::One => None,
                };
                match parts.iter().filter_map(literal).max_by_key(String::len) {
                    Some(text) => literals.add(&text, id, Bearing::Verify),
                    None => self.each.push(id),
                }
            }
        }
    }

    /// The questions that a value answers with yes, sorted. A list answers with yes what any
    /// of its elements does.
    pub(crate) fn scan(
        &self,
        value: ValueRef<'_>,
        predicates: &[Predicate],
        scratch: &mut Scratch,
        found: &mut Vec<u32>,
    ) {
        if value.kind == ValueKind::List {
            for (kind, text) in value.elements() {
                let element = ValueRef { kind, text: &text };
                self.scan_scalar(element, predicates, scratch, found);
            }
        } else {
            self.scan_scalar(value, predicates, scratch, found);
        }
        found.sort_unstable();
        found.dedup();
    }

    /// A search for the values that may answer any question with yes.
    pub(crate) fn finder(&self) -> Finder {
        let mut literals: Vec<&str> = self.literals.texts().collect();
        let asks_all = !self.each.is_empty() || !self.present.is_empty() || !self.null.is_empty();
        if asks_all || !self.exact.is_empty() {
            // Every value holds the empty literal.
            literals.push("");
        }
        Finder::build(literals)
    }

    /// Whether a text in lower case may hold any literal; false is certain.
    fn may_hold_literal(&self, lower: &str) -> bool {
        if lower.len() < MIN_FINDER_BYTES {
            return true;
        }
        let finder = self.finder.get_or_init(|| {
            let literals: Vec<&str> = self.literals.texts().collect();
            let is_few = (1..=MAX_FINDER_LITERALS).contains(&literals.len());
            is_few.then(|| Finder::build(literals))
        });
        finder.as_ref().is_none_or(|finder| finder.may_find(lower))
    }

    /// Looks for literals: what they answer goes to `found`, what they only make likely to
    /// `verify`.
    fn scan_literals(&self, lower: &str, verify: &mut Vec<u32>, found: &mut Vec<u32>) {
        self.literals.scan(lower, |one| {
            for (id, bearing) in &self.bearings[one.literal as usize] {
                let yes = match bearing {
                    Bearing::Contains => true,
                    Bearing::Start => one.start == 0,
                    Bearing::End => one.end == lower.len(),
                    Bearing::Verify => {
                        verify.push(*id);
                        false
                    }
                };
                if yes {
                    found.push(*id);
                }
            }
        });
    }

    fn scan_scalar(
        &self,
        value: ValueRef<'_>,
        predicates: &[Predicate],
        scratch: &mut Scratch,
        found: &mut Vec<u32>,
    ) {
        found.extend(&self.present);
        if value.kind == ValueKind::Null {
            found.extend(&self.null);
            return;
        }
        let Scratch { lower, verify, .. } = scratch;
        verify.clear();
        lower_into(value.text, lower);
        if let Some(ids) = self.exact.get(lower.as_str()) {
            verify.extend(ids.iter().filter(|id| is_cased(predicates, **id)));
            found.extend(ids.iter().filter(|id| !is_cased(predicates, **id)));
        }
        if self.may_hold_literal(lower) {
            self.scan_literals(lower, verify, found);
        }
        verify.extend(&self.each);
        verify.sort_unstable();
        verify.dedup();
        let holds = |id: &&u32| answer(&predicates[**id as usize].matcher, value, lower);
        found.extend(verify.iter().filter(holds));
    }
}

fn is_cased(predicates: &[Predicate], id: u32) -> bool {
    matches!(
        predicates[id as usize].matcher,
        Matcher::Text { cased: true, .. }
    )
}

/// Answers one question for one scalar that is not null; `lower` is the value in lower case.
pub(crate) fn answer(matcher: &Matcher, value: ValueRef<'_>, lower: &str) -> bool {
    match matcher {
        Matcher::Text { pattern, cased } => {
            pattern.is_match(if *cased { value.text } else { lower })
        }
        Matcher::Regex(regex) => regex.is_match(value.text),
        Matcher::Cidr(network) => {
            let address: Result<std::net::IpAddr, _> = value.text.parse();
            address.is_ok_and(|address| network.contains(&address))
        }
        Matcher::Compare(op, number) => {
            let left: Result<f64, _> = value.text.trim().parse();
            left.is_ok_and(|left| op.holds(left, *number))
        }
        Matcher::Exists(there) => *there,
        Matcher::Time(part, number) => {
            crate::evaluate::time_part(value.text, *part) == Some(*number)
        }
        Matcher::Null | Matcher::Never | Matcher::Field { .. } => false,
    }
}

/// Writes the lower-case form of `text` into `lower`, replacing what is there.
pub(crate) fn lower_into(text: &str, lower: &mut String) {
    lower.clear();
    lower_onto(text, lower);
}

/// Adds the lower-case form of `text`. Whole runs of ASCII are folded at once: a single
/// character of another script does not slow the rest down.
pub(crate) fn lower_onto(text: &str, lower: &mut String) {
    let mut rest = text;
    loop {
        let (ascii, after) = rest.split_at(ascii_run(rest));
        let start = lower.len();
        lower.push_str(ascii);
        lower[start..].make_ascii_lowercase();
        let mut characters = after.chars();
        let Some(character) = characters.next() else {
            return;
        };
        lower.extend(character.to_lowercase());
        rest = characters.as_str();
    }
}

/// Number of bytes before the first that is not ASCII.
fn ascii_run(text: &str) -> usize {
    const STEP: usize = 32;
    let bytes = text.as_bytes();
    if bytes.is_ascii() {
        return bytes.len();
    }
    let mut at = 0;
    while bytes[at..].len() >= STEP && bytes[at..at + STEP].is_ascii() {
        at += STEP;
    }
    let rest = bytes[at..].iter();
    at + rest.take_while(|byte| byte.is_ascii()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(patterns: &[&str], value: &str, expected: &[u32]) {
        let predicates: Vec<Predicate> = patterns
            .iter()
            .map(|text| match text.strip_prefix("re:") {
                Some(regex) => Matcher::Regex(regex::Regex::new(regex).unwrap()),
                None => Matcher::Text {
                    pattern: Pattern::parse(text),
                    cased: text.contains("CASED"),
                },
            })
            .map(|matcher| Predicate::new(0, matcher))
            .collect();
        let ids: Vec<u32> = (0..predicates.len() as u32).collect();
        let scanner = Scanner::build(&ids, &predicates);
        let mut found = Vec::new();
        scanner.scan(
            ValueRef::str(value),
            &predicates,
            &mut Scratch::default(),
            &mut found,
        );
        assert_eq!(found, expected, "{patterns:?} on {value}");
    }

    #[test]
    fn one_pass_answers_all_questions() {
        let patterns = [
            "*a\\b*",
            "c:*",
            "*.exe",
            "c:\\x\\a\\b.exe",
            "*x*b*",
            "*",
            "re:b\\.EXE",
            "re:b\\.exe$",
        ];
        check(&patterns, "C:\\x\\a\\b.exe", &[0, 1, 2, 3, 4, 5, 7]);
        check(&patterns, "", &[5]);
        check(&["*CASED*", "CASED", ""], "cased", &[]);
        check(&["*CASED*", "CASED"], "CASED", &[0, 1]);
        check(&["", "*"], "", &[0, 1]);
    }
}
