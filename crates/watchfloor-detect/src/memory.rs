//! What a detector remembers from batch to batch to be fast. Nothing of it bears on what is
//! found; it is bounded and may be forgotten at any time between two batches.

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use watchfloor_event::Dictionary;

use crate::cache::AnswerCache;
use crate::finder::Finder;
use crate::program::{Gates, Predicate, Program};
use crate::scanner::{Scanner, Scratch};

/// Most bytes of values and answers kept.
const MAX_BYTES: usize = 32 << 20;
/// Most answers of lazy questions kept.
const MAX_LAZY: usize = 1 << 18;

/// Values met before with their answers.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// By field of the program.
    pub fields: Vec<AnswerCache>,
    pub keywords: GateKeywords,
    /// Answers of lazy questions, by question and place.
    pub lazy: HashMap<(u32, u32), bool, FixedState>,
    pub scratch: Scratch,
    /// Room for the rows that a column has no value for, used again from field to field.
    pub rows: Vec<u32>,
    /// The same for the next column.
    pub rows_without: Vec<u32>,
    /// Raised when places lose their meaning.
    pub epoch: u64,
}

impl Memory {
    /// Makes room between two batches; call it before each.
    pub(crate) fn prepare(&mut self, program: &Program) {
        let bytes: usize = self.fields.iter().map(AnswerCache::bytes).sum();
        let is_full = bytes > MAX_BYTES || self.lazy.len() > MAX_LAZY;
        if is_full {
            self.fields.iter_mut().for_each(AnswerCache::clear);
            self.lazy.clear();
            self.epoch += 1;
        }
        self.fields
            .resize_with(program.fields.len(), AnswerCache::default);
    }
}

/// The keywords that values of a column answer with yes, by code.
pub(crate) type KeywordsFound = HashMap<u32, Vec<u32>, FixedState>;

/// The keywords that are gates in any plan, with one scanner for all of them: kinds of event
/// share most, and so each column is searched once.
#[derive(Debug, Default)]
pub(crate) struct GateKeywords {
    /// Sorted.
    ids: Vec<u32>,
    scanner: Scanner,
    finder: Finder,
}

impl GateKeywords {
    /// Takes in the keywords of a plan; true if there are any that were not known, and then
    /// what was found before is not all.
    pub(crate) fn cover(&mut self, gates: &Gates, predicates: &[Predicate]) -> bool {
        let is_new = |id: &&u32| self.ids.binary_search(id).is_err();
        let new: Vec<u32> = gates.keys().filter(is_new).copied().collect();
        if new.is_empty() {
            return false;
        }
        self.ids.extend(new);
        self.ids.sort_unstable();
        self.scanner = Scanner::build(&self.ids, predicates);
        self.finder = self.scanner.finder();
        true
    }

    /// The keywords that values of a column answer with yes, by code.
    pub(crate) fn find(
        &self,
        dictionary: &Dictionary,
        predicates: &[Predicate],
        scratch: &mut Scratch,
    ) -> KeywordsFound {
        let codes = self.finder.codes(dictionary, &mut scratch.folded);
        let mut found = KeywordsFound::default();
        for code in codes {
            let mut answers = Vec::new();
            if let Some(value) = dictionary.get(code) {
                self.scanner.scan(value, predicates, scratch, &mut answers);
            }
            if !answers.is_empty() {
                found.insert(code, answers);
            }
        }
        found
    }

    /// Forgets keywords that may be no gates any more.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What is remembered for the plan of one kind of event.
#[derive(Debug, Default)]
pub(crate) struct PlanMemory {
    /// By gate field of the plan.
    pub fields: Vec<RuleLists>,
    epoch: u64,
}

impl PlanMemory {
    /// Forgets lists of another epoch.
    pub(crate) fn keep_to(&mut self, epoch: u64) {
        if self.epoch != epoch {
            self.fields.clear();
            self.epoch = epoch;
        }
    }

    /// The same epoch with nothing known, for other gates.
    pub(crate) fn emptied(&self) -> Self {
        Self {
            fields: Vec::new(),
            epoch: self.epoch,
        }
    }

    pub(crate) fn fit(&mut self, fields: usize) {
        self.fields.resize_with(fields, RuleLists::default);
    }
}

/// The rules that each value of a gate field has completed.
#[derive(Debug, Default)]
pub(crate) struct RuleLists {
    /// By place of the value: index into `lists`, plus one; 0 is unknown.
    by_place: Vec<u32>,
    /// The first is empty: most values open no gate.
    lists: Vec<Vec<u32>>,
}

impl RuleLists {
    /// The rules behind the gates that the answers of a place open.
    pub(crate) fn of<'a>(
        &mut self,
        place: u32,
        answers: impl FnOnce() -> &'a [u32],
        gates: &Gates,
    ) -> &[u32] {
        match self.by_place.get(place as usize) {
            None | Some(0) => self.learn(place as usize, answers(), gates),
            Some(1) => &[],
            Some(list) => &self.lists[*list as usize - 1],
        }
    }

    fn learn(&mut self, place: usize, answers: &[u32], gates: &Gates) -> &[u32] {
        if self.by_place.len() <= place {
            self.by_place.resize(place + 1, 0);
        }
        let opened = answers.iter().filter_map(|id| gates.get(id));
        let mut rules: Vec<u32> = opened.flatten().copied().collect();
        if self.lists.is_empty() {
            self.lists.push(Vec::new());
        }
        if rules.is_empty() {
            self.by_place[place] = 1;
            return &[];
        }
        rules.sort_unstable();
        rules.dedup();
        self.lists.push(rules);
        self.by_place[place] = self.lists.len() as u32;
        self.lists.last().map_or(&[], Vec::as_slice)
    }
}
