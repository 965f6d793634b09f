//! Which kind an event is: conditions on source fields, asked once per distinct value.
//!
//! Each value of a routing field falls into a class: the set of tests that it passes. An
//! event's classes, one per routing field, are its signature; all events of a signature have
//! the same candidates, so conditions run once per signature and not per event.

use std::sync::Arc;

use crate::Table;
use regex::Regex;
use watchfloor_event::{EventBatch, Namespace, ValueKind, ValueRef};

/// A question to one value. Texts are lower case; values are folded before they are compared.
#[derive(Clone, Debug)]
pub(crate) enum Test {
    Exists,
    In(Vec<String>),
    Prefix(Vec<String>),
    Suffix(Vec<String>),
    Contains(Vec<String>),
    Regex(Regex),
}

/// A question to one field.
#[derive(Clone, Debug)]
pub(crate) struct Clause {
    pub(crate) field: Arc<str>,
    pub(crate) test: Test,
    pub(crate) negated: bool,
}

/// When an event is of a kind: one of the lists holds as a whole.
#[derive(Clone, Debug)]
pub(crate) struct Condition {
    pub(crate) any: Vec<Vec<Clause>>,
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
}

#[derive(Debug)]
struct RouteKind {
    kind: u32,
    any: Vec<Vec<RouteClause>>,
    is_final: bool,
}

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
    /// Arranges the conditions of kinds, given with the order in which kinds are tried.
    pub(crate) fn new(order: &[usize], conditions: &[Condition]) -> Self {
        let mut router = Self::default();
        for index in order {
            let Some(condition) = conditions.get(*index) else {
                continue;
            };
            let any = condition
                .any
                .iter()
                .map(|all| all.iter().map(|clause| router.clause(clause)).collect())
                .collect();
            router.kinds.push(RouteKind {
                kind: u32::try_from(*index).unwrap_or(u32::MAX),
                any,
                is_final: condition.is_final,
            });
        }
        router
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
    pub(crate) fn route(&self, batch: &EventBatch) -> (Vec<u32>, Vec<Vec<u32>>) {
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
        let mut signature = vec![0_u16; width];
        let mut known: Table<Box<[u16]>, u32> = Table::default();
        let mut lists: Vec<Vec<u32>> = Vec::new();
        let mut routed = Vec::with_capacity(rows);
        let mut last: Option<(Box<[u16]>, u32)> = None;
        for row in 0..rows {
            for (slot, (codes, column)) in signature.iter_mut().zip(&by_code) {
                let code = column.get(row).copied().unwrap_or(0) as usize;
                *slot = codes.get(code).copied().unwrap_or(0);
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
                    lists.push(self.candidates(&present, &signature));
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

    fn candidates(&self, present: &[Classes], signature: &[u16]) -> Vec<u32> {
        let mut sets: Vec<Option<&[u64]>> = vec![None; self.fields.len()];
        for (classes, class) in present.iter().zip(signature) {
            if let Some(slot) = sets.get_mut(classes.field) {
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
        let mut found = Vec::new();
        for kind in &self.kinds {
            if kind.any.iter().any(|all| all.iter().all(holds)) {
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
        let id = self.tests;
        match test {
            Test::In(values) => {
                for value in values {
                    self.exact.entry(value.clone()).or_default().push(id);
                }
            }
            Test::Exists if !self.others.is_empty() => {
                // One test of existence serves all kinds.
                let known = self
                    .others
                    .iter()
                    .position(|test| matches!(test, Test::Exists));
                if let Some(id) = known.and_then(|index| self.other_ids.get(index)) {
                    return *id;
                }
                self.others.push(test.clone());
                self.other_ids.push(id);
            }
            _ => {
                self.others.push(test.clone());
                self.other_ids.push(id);
            }
        }
        self.tests += 1;
        id
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
        let needs_text =
            !self.exact.is_empty() || self.others.iter().any(|test| !matches!(test, Test::Exists));
        if needs_text {
            folded.clear();
            folded.push_str(text);
            folded.make_ascii_lowercase();
            if let Some(ids) = self.exact.get(folded.as_str()) {
                ids.iter().for_each(|id| set(*id));
            }
        }
        for (test, id) in self.others.iter().zip(&self.other_ids) {
            let holds = match test {
                Test::Exists => true,
                Test::In(values) => values.contains(folded),
                Test::Prefix(values) => values
                    .iter()
                    .any(|value| folded.starts_with(value.as_str())),
                Test::Suffix(values) => values.iter().any(|value| folded.ends_with(value.as_str())),
                Test::Contains(values) => {
                    values.iter().any(|value| folded.contains(value.as_str()))
                }
                Test::Regex(regex) => regex.is_match(text),
            };
            if holds {
                set(*id);
            }
        }
    }
}
