//! Which kind an event is: conditions on source fields, asked once per distinct value.
//!
//! Each value of a routing field falls into a class: the set of tests that it passes. An
//! event's classes, one per routing field, are its signature; all events of a signature have
//! the same candidates, so conditions run once per signature and not per event.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Table;
use crate::lazy_regex::LazyRegex;
use regex::{RegexSet, RegexSetBuilder};
use watchfloor_event::{EventBatch, Namespace, ValueKind, ValueRef};

/// Most memory that the tests of one field may take as one automaton, and most that a thread
/// may spend on its states, in bytes. Beyond the first, tests are asked one by one; beyond the
/// second, states are built anew.
const SET_BYTES_MAX: usize = 64 << 20;
const SET_STATES_BYTES_MAX: usize = 32 << 20;
/// Longest value that is tested, in bytes: what tells a kind stands near the start.
const TESTED_BYTES_MAX: usize = 8 * 1024;
/// Fields that a line without its syslog header lacks. For a source that names its product,
/// conditions on them hold while they are absent.
const HEADER_FIELDS: &str = "syslog.";

/// A question to one value. Texts are lower case; values are folded before they are compared.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Exists,
    In(Vec<String>),
    Prefix(Vec<String>),
    Suffix(Vec<String>),
    Contains(Vec<String>),
    Regex(LazyRegex),
}

/// A question to one field.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) field: Arc<str>,
    pub(crate) test: Test,
    pub(crate) negated: bool,
}

/// When an event is of a kind: of both, one of the lists holds as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    /// What recognises the pack, shared by its kinds. Not asked of sources that name their
    /// product.
    pub(crate) recognize: Arc<[Vec<Clause>]>,
    /// What tells the kind.
    pub(crate) when: Vec<Vec<Clause>>,
    /// Whether nothing more is asked of the event, so that later kinds need no look.
    pub(crate) is_final: bool,
}

/// All conditions, arranged by field.
#[derive(Debug, Default)]
pub(crate) struct Router {
    fields: Vec<RouteField>,
    kinds: Vec<RouteKind>,
}

#[derive(Debug)]
struct RouteField {
    name: Arc<str>,
    exact: Table<String, Vec<u32>>,
    others: Vec<Test>,
    other_ids: Vec<u32>,
    tests: u32,
    /// Tests by what they ask, while the router is made: one serves all kinds that ask it.
    asked: Table<String, u32>,
    /// All of `others` that look into the text, as one automaton, with their places in it.
    set: Option<(RegexSet, Vec<u32>)>,
    has_exists: bool,
}

#[derive(Debug)]
struct RouteKind {
    kind: u32,
    pack: u32,
    recognize: Arc<[RouteClauses]>,
    when: Box<[RouteClauses]>,
    is_final: bool,
}

/// Clauses that hold together.
type RouteClauses = Box<[RouteClause]>;

#[derive(Debug)]
struct RouteClause {
    field: u32,
    test: u32,
    negated: bool,
}

/// The classes of one field's values in one batch.
struct Classes {
    field: usize,
    sets: Vec<Vec<u64>>,
}

impl Router {
    /// Arranges the conditions of kinds, given with the order in which kinds are tried and the
    /// pack of each.
    pub(crate) fn new(order: &[usize], conditions: &[Condition], packs: &[u32]) -> Self {
        let mut router = Self::default();
        let mut shared: BTreeMap<u32, Arc<[RouteClauses]>> = BTreeMap::new();
        for index in order {
            let Some(condition) = conditions.get(*index) else {
                continue;
            };
            let pack = packs.get(*index).copied().unwrap_or(u32::MAX);
            let recognize = match shared.get(&pack) {
                Some(known) => Arc::clone(known),
                None => Arc::from(router.placed(&condition.recognize)),
            };
            shared.insert(pack, Arc::clone(&recognize));
            let when = router.placed(&condition.when);
            router.kinds.push(RouteKind {
                kind: u32::try_from(*index).unwrap_or(u32::MAX),
                pack,
                recognize,
                when,
                is_final: condition.is_final,
            });
        }
        router.fields.iter_mut().for_each(RouteField::finish);
        router
    }

    fn placed(&mut self, any: &[Vec<Clause>]) -> Box<[RouteClauses]> {
        any.iter()
            .map(|all| all.iter().map(|clause| self.clause(clause)).collect())
            .collect()
    }

    fn clause(&mut self, clause: &Clause) -> RouteClause {
        let field = match self
            .fields
            .iter()
            .position(|known| known.name == clause.field)
        {
            Some(index) => index,
            None => {
                self.fields.push(RouteField {
                    name: Arc::clone(&clause.field),
                    exact: Table::default(),
                    others: Vec::new(),
                    other_ids: Vec::new(),
                    tests: 0,
                    asked: Table::default(),
                    set: None,
                    has_exists: false,
                });
                self.fields.len() - 1
            }
        };
        let mut test = 0;
        if let Some(found) = self.fields.get_mut(field) {
            test = found.add(&clause.test);
        }
        RouteClause {
            field: u32::try_from(field).unwrap_or(u32::MAX),
            test,
            negated: clause.negated,
        }
    }

    /// The candidate kinds of each row, as an index into the list of candidate lists.
    /// `products` names the pack of each row whose source names its product, if any does.
    pub(crate) fn route(
        &self,
        batch: &EventBatch,
        products: Option<&[Option<u32>]>,
    ) -> (Vec<u32>, Vec<Vec<u32>>) {
        let rows = batch.len();
        let mut present: Vec<Classes> = Vec::new();
        let mut by_code: Vec<(Vec<u16>, &[u32])> = Vec::new();
        for (index, field) in self.fields.iter().enumerate() {
            let Some(column) = batch.column(Namespace::Source, &field.name) else {
                continue;
            };
            let (classes, codes) = field.classify(index, column.dictionary().values());
            present.push(classes);
            by_code.push((codes, column.codes()));
        }
        let width = present.len();
        // The last place of a signature is the product that the source names, plus one.
        let mut signature = vec![0_u16; width + 1];
        let mut known: Table<Box<[u16]>, u32> = Table::default();
        let mut lists: Vec<Vec<u32>> = Vec::new();
        let mut routed = Vec::with_capacity(rows);
        let mut last: Option<(Box<[u16]>, u32)> = None;
        for row in 0..rows {
            for (slot, (codes, column)) in signature.iter_mut().zip(&by_code) {
                let code = column.get(row).copied().unwrap_or(0) as usize;
                *slot = codes.get(code).copied().unwrap_or(0);
            }
            let product = products.and_then(|products| products.get(row).copied().flatten());
            if let Some(slot) = signature.last_mut() {
                *slot = product.map_or(0, |pack| u16::try_from(pack + 1).unwrap_or(0));
            }
            if let Some((same, list)) = &last
                && **same == *signature
            {
                routed.push(*list);
                continue;
            }
            let list = match known.get(signature.as_slice()) {
                Some(list) => *list,
                None => {
                    lists.push(self.candidates(&present, &signature, product));
                    let list = u32::try_from(lists.len() - 1).unwrap_or(0);
                    known.insert(signature.clone().into_boxed_slice(), list);
                    list
                }
            };
            routed.push(list);
            last = Some((signature.clone().into_boxed_slice(), list));
        }
        (routed, lists)
    }

    fn candidates(&self, present: &[Classes], signature: &[u16], product: Option<u32>) -> Vec<u32> {
        let mut sets: Vec<Option<&[u64]>> = vec![None; self.fields.len()];
        for (classes, class) in present.iter().zip(signature) {
            if let Some(slot) = sets.get_mut(classes.field)
                && *class != 0
            {
                *slot = classes.sets.get(usize::from(*class)).map(Vec::as_slice);
            }
        }
        let holds = |clause: &RouteClause| {
            let set = sets.get(clause.field as usize).copied().flatten();
            let bit = set.is_some_and(|set| {
                set.get(clause.test as usize / 64)
                    .is_some_and(|word| word >> (clause.test % 64) & 1 == 1)
            });
            bit != clause.negated
        };
        let is_open = |clause: &RouteClause| {
            let field = self.fields.get(clause.field as usize);
            let is_header = field.is_some_and(|field| field.name.starts_with(HEADER_FIELDS));
            is_header && sets.get(clause.field as usize).copied().flatten().is_none()
        };
        let passes = |any: &[RouteClauses], test: &dyn Fn(&RouteClause) -> bool| {
            any.iter().any(|all| all.iter().all(test))
        };
        let mut found = Vec::new();
        if let Some(product) = product {
            let mut last = None;
            for kind in self.kinds.iter().filter(|kind| kind.pack == product) {
                if passes(&kind.when, &holds) {
                    found.push(kind.kind);
                    if kind.is_final {
                        return found;
                    }
                } else if passes(&kind.when, &|clause| holds(clause) || is_open(clause)) {
                    if kind.is_final {
                        last = Some(kind.kind);
                    } else {
                        found.push(kind.kind);
                    }
                }
            }
            found.extend(last);
            if last.is_some() {
                return found;
            }
        }
        // Kinds of a pack stand together, mostly, and ask the same of the event first.
        let mut recognized = (u32::MAX, true);
        for kind in &self.kinds {
            if recognized.0 != kind.pack {
                recognized = (kind.pack, passes(&kind.recognize, &holds));
            }
            if recognized.1 && passes(&kind.when, &holds) {
                found.push(kind.kind);
                if kind.is_final {
                    break;
                }
            }
        }
        found
    }
}

impl RouteField {
    fn add(&mut self, test: &Test) -> u32 {
        let asked = test.key();
        if let Some(id) = self.asked.get(&asked) {
            return *id;
        }
        let id = self.tests;
        self.asked.insert(asked, id);
        match test {
            Test::In(values) => {
                for value in values {
                    self.exact.entry(value.clone()).or_default().push(id);
                }
            }
            _ => {
                self.others.push(test.clone());
                self.other_ids.push(id);
            }
        }
        self.tests += 1;
        id
    }

    /// Makes one automaton of all tests that look into the text.
    fn finish(&mut self) {
        self.asked = Table::default();
        self.has_exists = self.others.iter().any(|test| matches!(test, Test::Exists));
        let mut patterns = Vec::new();
        let mut ids = Vec::new();
        for (test, id) in self.others.iter().zip(&self.other_ids) {
            if let Some(pattern) = test.pattern() {
                patterns.push(pattern);
                ids.push(*id);
            }
        }
        if patterns.len() < 2 {
            return;
        }
        self.set = RegexSetBuilder::new(&patterns)
            .size_limit(SET_BYTES_MAX)
            .dfa_size_limit(SET_STATES_BYTES_MAX)
            .build()
            .ok()
            .map(|set| (set, ids));
        if self.set.is_some() {
            // The automaton answers the others.
            let tests = self.others.drain(..).zip(self.other_ids.drain(..));
            let left = tests.filter(|(test, _)| matches!(test, Test::Exists));
            (self.others, self.other_ids) = left.unzip();
        }
    }

    /// The class of each code of a column. Class 0 is that of rows without the field.
    fn classify<'v>(
        &self,
        field: usize,
        values: impl ExactSizeIterator<Item = ValueRef<'v>>,
    ) -> (Classes, Vec<u16>) {
        let words = (self.tests as usize).div_ceil(64);
        let mut sets: Vec<Vec<u64>> = vec![vec![0; words]];
        let mut known: Table<Vec<u64>, u16> = Table::default();
        let mut codes = Vec::with_capacity(values.len() + 1);
        codes.push(0);
        let mut folded = String::new();
        let mut bits = vec![0_u64; words];
        for value in values {
            bits.fill(0);
            if value.kind != ValueKind::Null {
                self.test(value.text, &mut folded, &mut bits);
            }
            let class = match known.get(&bits) {
                Some(class) => *class,
                None => {
                    let class = u16::try_from(sets.len()).unwrap_or(0);
                    sets.push(bits.clone());
                    known.insert(bits.clone(), class);
                    class
                }
            };
            codes.push(class);
        }
        (Classes { field, sets }, codes)
    }

    fn test(&self, text: &str, folded: &mut String, bits: &mut [u64]) {
        let mut set = |id: u32| {
            if let Some(word) = bits.get_mut(id as usize / 64) {
                *word |= 1 << (id % 64);
            }
        };
        let text = watchfloor_decode::clipped(text, TESTED_BYTES_MAX);
        if !self.exact.is_empty() || self.set.is_none() {
            folded.clear();
            folded.push_str(text);
            folded.make_ascii_lowercase();
            if let Some(ids) = self.exact.get(folded.as_str()) {
                ids.iter().for_each(|id| set(*id));
            }
        }
        if let Some((automaton, ids)) = &self.set {
            for found in automaton.matches(text) {
                ids.get(found).into_iter().for_each(|id| set(*id));
            }
            if self.has_exists {
                for (test, id) in self.others.iter().zip(&self.other_ids) {
                    if matches!(test, Test::Exists) {
                        set(*id);
                    }
                }
            }
            return;
        }
        for (test, id) in self.others.iter().zip(&self.other_ids) {
            if test.holds(text, folded) {
                set(*id);
            }
        }
    }
}

impl Test {
    /// Whether it holds of a value, given also in lower case.
    pub(crate) fn holds(&self, text: &str, folded: &str) -> bool {
        let any = |values: &[String], test: &dyn Fn(&str) -> bool| {
            values.iter().any(|value| test(value.as_str()))
        };
        match self {
            Self::Exists => true,
            Self::In(values) => any(values, &|value| folded == value),
            Self::Prefix(values) => any(values, &|value| folded.starts_with(value)),
            Self::Suffix(values) => any(values, &|value| folded.ends_with(value)),
            Self::Contains(values) => any(values, &|value| folded.contains(value)),
            Self::Regex(regex) => regex.is_match(text),
        }
    }

    /// What it asks, as a text that two tests have in common only if they ask the same.
    fn key(&self) -> String {
        let list = |word: &str, values: &[String]| format!("{word}\0{}", values.join("\0"));
        match self {
            Self::Exists => "exists".to_owned(),
            Self::In(values) => list("in", values),
            Self::Prefix(values) => list("prefix", values),
            Self::Suffix(values) => list("suffix", values),
            Self::Contains(values) => list("contains", values),
            Self::Regex(regex) => format!("regex\0{}", regex.as_str()),
        }
    }

    /// The test as a regular expression, if it looks into the text.
    fn pattern(&self) -> Option<String> {
        let any = |before: &str, values: &[String], after: &str| {
            let values: Vec<String> = values.iter().map(|value| folded_pattern(value)).collect();
            format!("{before}(?:{}){after}", values.join("|"))
        };
        Some(match self {
            Self::Exists | Self::In(_) => return None,
            Self::Prefix(values) => any("^", values, ""),
            Self::Suffix(values) => any("", values, "$"),
            Self::Contains(values) => any("", values, ""),
            Self::Regex(regex) => regex.as_str().to_owned(),
        })
    }
}

/// A text without regard to the case of ASCII letters.
fn folded_pattern(text: &str) -> String {
    let mut pattern = String::new();
    for character in text.chars() {
        if character.is_ascii_alphabetic() {
            let lower = character.to_ascii_lowercase();
            let upper = character.to_ascii_uppercase();
            pattern.extend(['[', lower, upper, ']']);
        } else {
            pattern.push_str(&regex::escape(character.encode_utf8(&mut [0; 4])));
        }
    }
    pattern
}
