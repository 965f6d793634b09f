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
use crate::memory::{Memory, PlanMemory, RuleLists};
use crate::program::{Gates, KEYWORDS, Node, Plan, Program, Questions};
use crate::resolve;
use crate::scanner::{self, Scanner};

/// One rule that holds for one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Match {
    pub row: u32,
    pub rule: u32,
}

/// A column of the batch with the place in the field's memory of each value met.
struct Placed<'a> {
    column: &'a Column,
    /// By code; `UNSEEN` until the value is met.
    places: Vec<u32>,
}

const UNSEEN: u32 = u32::MAX;

impl<'a> Placed<'a> {
    fn new(column: &'a Column) -> Self {
        Self {
            column,
            places: vec![UNSEEN; column.dictionary().len() + 1],
        }
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
    /// By set of keywords: all source columns.
    keywords: HashMap<usize, Vec<Placed<'a>>, FixedState>,
    /// What the last event with a finding says and who took part in it.
    facts: Option<(usize, Arc<Facts>)>,
    /// The values of the event that keywords were last asked of, with their folded texts.
    values: Option<(usize, Vec<(ValueRef<'a>, String)>)>,
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
            keywords: HashMap::default(),
            facts: None,
            values: None,
            named: RefCell::default(),
            names: HashMap::default(),
        }
    }

    /// Makes room for sets of keywords.
    pub(crate) fn fit(&mut self, keyword_sets: usize) {
        let keywords = &mut self.memory.keywords;
        keywords.resize_with(keyword_sets.max(keywords.len()), Default::default);
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
        self.gate_keywords(plan, rows, &mut candidates);
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
        for &row in rows {
            let Some(place) = self.place(field, row as usize) else {
                continue;
            };
            let answers = self.memory.fields[field as usize].answers(place);
            for &rule in lists.of(place, answers, gates) {
                candidates.push(Match { row, rule });
            }
        }
    }

    fn gate_keywords(&mut self, plan: &Plan, rows: &[u32], candidates: &mut Vec<Match>) {
        let Some(keywords) = &plan.keywords else {
            return;
        };
        let (set, scanner) = (keywords.set, &keywords.scanner);
        let mut columns = self.take_keywords(set);
        let mut lists = std::mem::take(&mut self.memory.keywords[set].lists);
        let first = rows.first().map_or(0, |row| *row as usize);
        for placed in &mut columns {
            let codes = placed.column.codes();
            if codes.len() <= first {
                continue;
            }
            for &row in rows {
                let Some(&code) = codes.get(row as usize) else {
                    break;
                };
                if code == 0 {
                    continue;
                }
                let mut place = placed.places[code as usize];
                if place == UNSEEN {
                    place = self.keyword_place(set, scanner, placed.column, code);
                    placed.places[code as usize] = place;
                }
                let answers = self.memory.keywords[set].answers.answers(place);
                if !answers.is_empty() {
                    let opened = lists.of(place, answers, &keywords.gates);
                    candidates.extend(opened.iter().map(|&rule| Match { row, rule }));
                }
            }
        }
        self.memory.keywords[set].lists = lists;
        self.keywords.insert(set, columns);
    }

    fn take_keywords(&mut self, set: usize) -> Vec<Placed<'a>> {
        self.keywords.remove(&set).unwrap_or_else(|| {
            let columns = self.batch.columns(Namespace::Source).iter();
            columns.map(Placed::new).collect()
        })
    }

    /// The place of a value in the memory of a set of keywords.
    fn keyword_place(&mut self, set: usize, scanner: &Scanner, column: &Column, code: u32) -> u32 {
        let dictionary = column.dictionary();
        let absent = ValueRef {
            kind: ValueKind::Null,
            text: "",
        };
        let value = dictionary.get(code).unwrap_or(absent);
        let hash = dictionary.hash_of(code).unwrap_or(0);
        let predicates = &self.program.predicates;
        let scratch = &mut self.memory.scratch;
        let known = &mut self.memory.keywords[set].answers;
        known.place(hash, value, |found| {
            scanner.scan(value, predicates, scratch, found)
        })
    }

    /// Counts, for events of one kind, how often each question to a field is answered with
    /// yes.
    pub(crate) fn measure(&mut self, plan: &Plan, rows: &[u32], frequencies: &mut Frequencies) {
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
        let compiled = &program.fields[field as usize];
        let columns = self.fields[field as usize].get_or_insert_with(|| {
            let columns = compiled.resolution.columns(batch);
            columns.into_iter().map(Placed::new).collect()
        });
        let (placed, code) = columns.iter_mut().find_map(|placed| {
            let code = placed.column.code(row);
            (code != 0).then_some((placed, code))
        })?;
        let known = placed.places[code as usize];
        if known != UNSEEN {
            return Some(known);
        }
        let dictionary = placed.column.dictionary();
        let (value, hash) = (dictionary.get(code)?, dictionary.hash_of(code)?);
        let scratch = &mut self.memory.scratch;
        let place = self.memory.fields[field as usize].place(hash, value, |found| {
            compiled
                .scanner
                .scan(value, &program.predicates, scratch, found);
        });
        placed.places[code as usize] = place;
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
    /// a gate let through, so each value is asked by itself; the values of an event are
    /// gathered and folded once for all keywords.
    fn answer_keyword(&mut self, id: u32, row: usize) -> bool {
        if self.values.as_ref().is_none_or(|known| known.0 != row) {
            let columns = self.batch.columns(Namespace::Source).iter();
            let values = columns.filter_map(|column| column.get(row));
            let folded = values.map(|value| {
                let mut lower = String::new();
                scanner::lower_into(value.text, &mut lower);
                (value, lower)
            });
            self.values = Some((row, folded.collect()));
        }
        let matcher = &self.program.predicates[id as usize].matcher;
        let values = self.values.iter().flat_map(|known| &known.1);
        let mut yes = values.map(|(value, lower)| match value.kind {
            ValueKind::List | ValueKind::Null => ask(matcher, *value, &mut String::new()),
            _ => {
                matches!(matcher, Matcher::Exists(true)) || scanner::answer(matcher, *value, lower)
            }
        });
        yes.any(|yes| yes)
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
