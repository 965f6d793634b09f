//! One pass of all rules over one batch.

use std::cell::RefCell;
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jiff::Timestamp;
use watchfloor_event::{Column, Entity, EventBatch, Namespace, ValueKind, ValueRef};
use watchfloor_rules::{FieldCompare, Matcher, TimePart};

use crate::describe::{self, Description};
use crate::entities::entities_of;
use crate::gate::Frequencies;
use crate::memory::{KeywordsFound, Memory, PlanMemory, RuleLists};
use crate::program::{Gates, KEYWORDS, Node, Plan, Program, Questions};
use crate::resolve;
use crate::scanner;

/// One rule that holds for one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Match {
    pub row: u32,
    pub rule: u32,
}

/// A column of the batch with the place in the field's memory of each value met.
struct Placed<'a> {
    column: &'a Column,
    codes: &'a [u32],
    /// By code; `UNSEEN` until the value is met, and empty until the first is.
    places: Vec<u32>,
}

const UNSEEN: u32 = u32::MAX;

impl<'a> Placed<'a> {
    fn new(column: &'a Column) -> Self {
        Self {
            column,
            codes: column.codes(),
            places: Vec::new(),
        }
    }

    fn code(&self, row: u32) -> u32 {
        self.codes.get(row as usize).copied().unwrap_or(0)
    }

    /// The place of the value of a code, if it was met.
    fn known(&self, code: u32) -> Option<u32> {
        let place = self.places.get(code as usize).copied();
        place.filter(|place| *place != UNSEEN)
    }

    fn learn(&mut self, code: u32, place: u32) {
        if self.places.is_empty() {
            self.places = vec![UNSEEN; self.column.dictionary().len() + 1];
        }
        self.places[code as usize] = place;
    }
}

/// What all findings of an event share.
#[derive(Debug)]
pub(crate) struct Facts {
    pub description: Description,
    pub entities: Vec<Entity>,
}

/// One batch under evaluation.
pub(crate) struct Evaluation<'a> {
    program: &'a Program,
    batch: &'a EventBatch,
    memory: &'a mut Memory,
    /// By field: its columns, once they were asked for.
    fields: Vec<Option<Vec<Placed<'a>>>>,
    /// By source column, once keywords were looked for in it.
    keywords: Vec<Option<KeywordsFound>>,
    /// What the last event with a finding says and who took part in it.
    facts: Option<(usize, Arc<Facts>)>,
    /// The event that keywords were last asked of, and those that its values answer with yes.
    answered: Option<(usize, Vec<u32>)>,
    /// Columns of fields that correlations and comparisons name, found once.
    named: RefCell<HashMap<String, Vec<&'a Column>, FixedState>>,
    /// Where the values of columns moved to, by column and kind.
    names: HashMap<(usize, u16), usize, FixedState>,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(program: &'a Program, batch: &'a EventBatch, memory: &'a mut Memory) -> Self {
        let mut fields = Vec::new();
        fields.resize_with(program.fields.len(), || None);
        Self {
            program,
            batch,
            memory,
            fields,
            keywords: Vec::new(),
            facts: None,
            answered: None,
            named: RefCell::default(),
            names: HashMap::default(),
        }
    }

    /// Of what the memory's lists are.
    pub(crate) fn epoch(&self) -> u64 {
        self.memory.epoch
    }

    /// The rules.
    pub(crate) const fn program(&self) -> &'a Program {
        self.program
    }

    /// The matches of these rows, which are all of the plan's kind.
    pub(crate) fn run(
        &mut self,
        plan: &Plan,
        known: &mut PlanMemory,
        rows: &[u32],
        matches: &mut Vec<Match>,
    ) {
        let mut candidates: Vec<Match> = Vec::new();
        known.fit(plan.gates.len());
        for (index, gates) in plan.gates.iter().enumerate() {
            let lists = &mut known.fields[index];
            self.gate_field(gates.field, &gates.gates, lists, rows, &mut candidates);
        }
        self.gate_keywords(&plan.keywords, rows, &mut candidates);
        for &row in rows {
            candidates.extend(plan.always.iter().map(|&rule| Match { row, rule }));
        }
        candidates.sort_unstable();
        candidates.dedup();
        for candidate in candidates {
            let program = self.program;
            let node = &program.rules[candidate.rule as usize].node;
            if self.holds(node, candidate.row as usize) {
                matches.push(candidate);
            }
        }
    }

    fn gate_field(
        &mut self,
        field: u32,
        gates: &Gates,
        lists: &mut RuleLists,
        rows: &[u32],
        candidates: &mut Vec<Match>,
    ) {
        let mut columns = self.take_columns(field);
        let several = columns.len() > 1;
        let mut left = std::mem::take(&mut self.memory.rows);
        let mut without = std::mem::take(&mut self.memory.rows_without);
        left.clear();
        for (turn, placed) in columns.iter_mut().enumerate() {
            without.clear();
            let asked = if turn == 0 { rows } else { &left };
            for &row in asked {
                let code = placed.code(row);
                if code == 0 {
                    if several {
                        without.push(row);
                    }
                    continue;
                }
                let place = match placed.known(code) {
                    Some(place) => place,
                    None => self.field_place(field, placed, code),
                };
                let answers = || self.memory.fields[field as usize].answers(place);
                let opened = lists.of(place, answers, gates);
                candidates.extend(opened.iter().map(|&rule| Match { row, rule }));
            }
            std::mem::swap(&mut left, &mut without);
            if left.is_empty() {
                break;
            }
        }
        self.memory.rows = left;
        self.memory.rows_without = without;
        self.fields[field as usize] = Some(columns);
    }

    fn take_columns(&mut self, field: u32) -> Vec<Placed<'a>> {
        let (program, batch) = (self.program, self.batch);
        self.fields[field as usize].take().unwrap_or_else(|| {
            let columns = program.fields[field as usize].resolution.columns(batch);
            columns.into_iter().map(Placed::new).collect()
        })
    }

    /// The place of a column's value in the field's memory; scanned if it is new.
    fn field_place(&mut self, field: u32, placed: &mut Placed<'a>, code: u32) -> u32 {
        let program = self.program;
        let (value, hash) = value_of(placed.column, code);
        let scratch = &mut self.memory.scratch;
        let place = self.memory.fields[field as usize].place(hash, value, |found| {
            let scanner = &program.fields[field as usize].scanner;
            scanner.scan(value, &program.predicates, scratch, found);
        });
        placed.learn(code, place);
        place
    }

    /// Opens the gates of keywords. Nearly no value holds any, so the distinct values of a
    /// column are searched all at once, and rows are looked at only where something was found.
    fn gate_keywords(&mut self, gates: &Gates, rows: &[u32], candidates: &mut Vec<Match>) {
        if gates.is_empty() {
            return;
        }
        let (program, batch) = (self.program, self.batch);
        let columns = batch.columns(Namespace::Source);
        let mut used = vec![false; columns.len()];
        for &row in rows {
            for column in batch.source_columns_of(row as usize) {
                used[column] = true;
            }
        }
        if self.memory.keywords.cover(gates, &program.predicates) {
            self.keywords.clear();
        }
        self.keywords.resize_with(columns.len(), || None);
        for (index, column) in columns.iter().enumerate().filter(|one| used[one.0]) {
            let Memory {
                keywords, scratch, ..
            } = &mut *self.memory;
            let found = self.keywords[index].get_or_insert_with(|| {
                keywords.find(column.dictionary(), &program.predicates, scratch)
            });
            if found.is_empty() {
                continue;
            }
            for &row in rows {
                let answers = found.get(&column.code(row as usize));
                let opened = answers.into_iter().flatten();
                let opened = opened.filter_map(|id| gates.get(id)).flatten();
                candidates.extend(opened.map(|&rule| Match { row, rule }));
            }
        }
    }

    /// Counts, for events of one kind, how often each question to a field is answered with
    /// yes.
    pub(crate) fn measure(&mut self, plan: &Plan, rows: &[u32], frequencies: &mut Frequencies) {
        self.memory.keywords.clear();
        self.keywords.clear();
        frequencies.events += rows.len() as u64;
        for &field in &plan.fields {
            let mut by_place: HashMap<u32, u64, FixedState> = HashMap::default();
            for &row in rows {
                if let Some(place) = self.place(field, row as usize) {
                    *by_place.entry(place).or_default() += 1;
                }
            }
            for (place, count) in by_place {
                for &id in self.memory.fields[field as usize].answers(place) {
                    *frequencies.yes.entry(id).or_default() += count;
                }
            }
        }
    }

    /// The place of a row's value in the field's memory.
    fn place(&mut self, field: u32, row: usize) -> Option<u32> {
        let (program, batch) = (self.program, self.batch);
        let columns = self.fields[field as usize].get_or_insert_with(|| {
            let columns = program.fields[field as usize].resolution.columns(batch);
            columns.into_iter().map(Placed::new).collect()
        });
        let (index, code) = columns.iter().enumerate().find_map(|(index, placed)| {
            let code = placed.code(row as u32);
            (code != 0).then_some((index, code))
        })?;
        if let Some(place) = columns[index].known(code) {
            return Some(place);
        }
        let mut columns = self.take_columns(field);
        let place = self.field_place(field, &mut columns[index], code);
        self.fields[field as usize] = Some(columns);
        Some(place)
    }

    fn holds(&mut self, node: &Node, row: usize) -> bool {
        match node {
            Node::And(items) => items.iter().all(|item| self.holds(item, row)),
            Node::Or(items) => items.iter().any(|item| self.holds(item, row)),
            Node::Not(item) => !self.holds(item, row),
            Node::Leaf(id) => self.answer(*id, row),
            Node::Any(questions) => self.any(questions, row),
            Node::All(questions) => self.all(questions, row),
        }
    }

    fn any(&mut self, questions: &Questions, row: usize) -> bool {
        let Some(place) = self.place(questions.field, row) else {
            return false;
        };
        let answers = self.memory.fields[questions.field as usize].answers(place);
        // The shorter list is walked, the longer one searched.
        if answers.len() <= questions.sorted.len() {
            let asked = |id| questions.sorted.binary_search(id).is_ok();
            answers.iter().any(asked)
        } else {
            let answered = |id| answers.binary_search(id).is_ok();
            questions.sorted.iter().any(answered)
        }
    }

    fn all(&mut self, questions: &Questions, row: usize) -> bool {
        let Some(place) = self.place(questions.field, row) else {
            return false;
        };
        let answers = self.memory.fields[questions.field as usize].answers(place);
        let answered = |id| answers.binary_search(id).is_ok();
        questions.sorted.len() <= answers.len() && questions.sorted.iter().all(answered)
    }

    /// Answers one question for one event.
    pub(crate) fn answer(&mut self, id: u32, row: usize) -> bool {
        let predicate = &self.program.predicates[id as usize];
        if predicate.field == KEYWORDS {
            return self.answer_keyword(id, row);
        }
        let field = predicate.field;
        let Some(place) = self.place(field, row) else {
            return matches!(predicate.matcher, Matcher::Null | Matcher::Exists(false));
        };
        if predicate.lazy {
            return self.answer_lazy(id, place, row);
        }
        let answers = self.memory.fields[field as usize].answers(place);
        answers.binary_search(&id).is_ok()
    }

    /// Whether any value of the event answers a keyword with yes. Asked only of events that
    /// a gate let through; all keywords are then looked for at once.
    fn answer_keyword(&mut self, id: u32, row: usize) -> bool {
        let predicate = &self.program.predicates[id as usize];
        if predicate.lazy || matches!(predicate.matcher, Matcher::Null) {
            let columns = self.batch.columns(Namespace::Source);
            let mut values = columns.iter().filter_map(|column| column.get(row));
            return values.any(|value| ask(&predicate.matcher, value, &mut String::new()));
        }
        if self.answered.as_ref().is_none_or(|known| known.0 != row) {
            let answers = self.keywords_of(row);
            self.answered = Some((row, answers));
        }
        let answered = self.answered.as_ref();
        answered.is_some_and(|known| known.1.binary_search(&id).is_ok())
    }

    /// The keywords that any value of the event answers with yes, sorted.
    fn keywords_of(&mut self, row: usize) -> Vec<u32> {
        let (program, batch) = (self.program, self.batch);
        let columns = batch.columns(Namespace::Source);
        let scratch = &mut self.memory.scratch;
        let mut found = Vec::new();
        for column in batch.source_columns_of(row) {
            if let Some(value) = columns[column].get(row) {
                let scanner = &program.keywords;
                scanner.scan(value, &program.predicates, scratch, &mut found);
            }
        }
        found.sort_unstable();
        found.dedup();
        found
    }

    fn answer_lazy(&mut self, id: u32, place: u32, row: usize) -> bool {
        let predicate = &self.program.predicates[id as usize];
        let value = self.value(predicate.field, row);
        if let Matcher::Field {
            other,
            compare,
            cased,
        } = &predicate.matcher
        {
            let other = self.text(other, row).map(ValueRef::str);
            return match (value, other) {
                (Some(value), Some(other)) => compare_fields(value, other, *compare, *cased),
                _ => false,
            };
        }
        self.ask(id, place, value)
    }

    /// Asks a lazy question of a value, once per value.
    fn ask(&mut self, id: u32, place: u32, value: Option<ValueRef<'_>>) -> bool {
        if let Some(&known) = self.memory.lazy.get(&(id, place)) {
            return known;
        }
        let matcher = &self.program.predicates[id as usize].matcher;
        let yes = value.is_some_and(|value| ask(matcher, value, &mut String::new()));
        self.memory.lazy.insert((id, place), yes);
        yes
    }

    /// The column in which a row has the field's value.
    fn column(&mut self, field: u32, row: usize) -> Option<&'a Column> {
        self.place(field, row)?;
        let columns = self.fields[field as usize].as_ref()?;
        let found = columns.iter().find(|placed| placed.column.code(row) != 0);
        found.map(|placed| placed.column)
    }

    fn value(&mut self, field: u32, row: usize) -> Option<ValueRef<'a>> {
        self.column(field, row)?.get(row)
    }

    /// What a row has for a field of the rules, with the name under which it is stored.
    pub(crate) fn shown(&mut self, field: u32, row: usize) -> Option<(String, ValueRef<'a>)> {
        let column = self.column(field, row)?;
        let value = column.get(row)?;
        Some((self.stored_name(column, row), value))
    }

    /// As [`resolve::stored_name`], with the place tried first where the last event of the
    /// kind had it.
    fn stored_name(&mut self, column: &'a Column, row: usize) -> String {
        let key = (
            std::ptr::from_ref(column).addr(),
            self.batch.rows()[row].kind,
        );
        let ocsf = self.batch.columns(Namespace::Ocsf);
        if let (Some(index), true) = (self.names.get(&key), column.is_moved(row)) {
            let text = ocsf[*index].get(row).map(|value| value.text);
            if text == column.get(row).map(|value| value.text) {
                return ocsf[*index].name().to_string();
            }
        }
        let name = resolve::stored_name(self.batch, column, row);
        if let Some(index) = ocsf.iter().position(|other| **other.name() == *name) {
            self.names.insert(key, index);
        }
        name
    }

    /// What all findings of an event share, made once per event.
    pub(crate) fn facts(&mut self, row: usize) -> Arc<Facts> {
        if let Some((known, facts)) = &self.facts
            && *known == row
        {
            return Arc::clone(facts);
        }
        let facts = Arc::new(Facts {
            description: describe::describe(self.batch, row),
            entities: entities_of(self.batch, row),
        });
        self.facts = Some((row, Arc::clone(&facts)));
        facts
    }

    /// What a row has for a field that no rule asks, such as a group key.
    pub(crate) fn text(&self, field: &str, row: usize) -> Option<&'a str> {
        let mut named = self.named.borrow_mut();
        let columns = named
            .entry_ref(field)
            .or_insert_with(|| resolve::candidates(self.batch, field));
        let value = columns.iter().find_map(|column| column.get(row))?;
        Some(value.text)
    }
}

/// The value of a code that a row of the column has, and its hash.
fn value_of(column: &Column, code: u32) -> (ValueRef<'_>, u64) {
    let dictionary = column.dictionary();
    let absent = ValueRef {
        kind: ValueKind::Null,
        text: "",
    };
    let value = dictionary.get(code).unwrap_or(absent);
    (value, dictionary.hash_of(code).unwrap_or(0))
}

/// Asks one value, or each element of a list.
pub(crate) fn ask(matcher: &Matcher, value: ValueRef<'_>, lower: &mut String) -> bool {
    let mut scalar = |value: ValueRef<'_>| {
        scanner::lower_into(value.text, lower);
        match (matcher, value.kind) {
            (Matcher::Null, ValueKind::Null) | (Matcher::Exists(true), _) => true,
            (_, ValueKind::Null) => false,
            _ => scanner::answer(matcher, value, lower),
        }
    };
    if value.kind != ValueKind::List {
        return scalar(value);
    }
    let elements = value.elements();
    let mut elements = elements.iter();
    elements.any(|(kind, text)| scalar(ValueRef { kind: *kind, text }))
}

/// Compares the values of two fields of one event.
pub(crate) fn compare_fields(
    left: ValueRef<'_>,
    right: ValueRef<'_>,
    compare: FieldCompare,
    cased: bool,
) -> bool {
    let fold = |text: &str| {
        if cased {
            text.to_owned()
        } else {
            text.to_lowercase()
        }
    };
    let (left, right) = (fold(left.text), fold(right.text));
    match compare {
        FieldCompare::Equal => left == right,
        FieldCompare::Contains => left.contains(&right),
        FieldCompare::StartsWith => left.starts_with(&right),
        FieldCompare::EndsWith => left.ends_with(&right),
    }
}

/// A part of a time stamp given in RFC 3339 or as seconds since 1970, UTC.
pub(crate) fn time_part(text: &str, part: TimePart) -> Option<i64> {
    let time: Timestamp = match text.parse() {
        Ok(time) => time,
        Err(_) => Timestamp::from_second(text.parse().ok()?).ok()?,
    };
    let zoned = time.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    Some(match part {
        TimePart::Minute => i64::from(zoned.minute()),
        TimePart::Hour => i64::from(zoned.hour()),
        TimePart::Day => i64::from(zoned.day()),
        TimePart::Week => i64::from(zoned.date().iso_week_date().week()),
        TimePart::Month => i64::from(zoned.month()),
        TimePart::Year => i64::from(zoned.year()),
    })
}
