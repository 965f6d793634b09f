//! One pass of all rules over one batch.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use jiff::Timestamp;
use watchfloor_event::{Column, EventBatch, Namespace, ValueKind, ValueRef};
use watchfloor_rules::{FieldCompare, Matcher, TimePart};

use crate::program::{KEYWORDS, Node, Plan, Predicate, Program};
use crate::resolve;
use crate::scanner::{self, Scanner, Scratch};

/// One rule that holds for one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Match {
    pub row: u32,
    pub rule: u32,
}

/// A column with the answers of its values, filled as values are met.
struct Scanned<'a> {
    column: &'a Column,
    /// By code: place in `answers`, or `UNSEEN`.
    places: Vec<u32>,
    answers: Vec<Box<[u32]>>,
}

const UNSEEN: u32 = u32::MAX;

impl<'a> Scanned<'a> {
    fn new(column: &'a Column) -> Self {
        Self {
            column,
            places: vec![UNSEEN; column.dictionary().len() + 1],
            answers: Vec::new(),
        }
    }

    fn answers(
        &mut self,
        code: u32,
        scanner: &Scanner,
        predicates: &[Predicate],
        scratch: &mut Scratch,
    ) -> &[u32] {
        let place = self.places[code as usize];
        if place != UNSEEN {
            return &self.answers[place as usize];
        }
        let mut found = Vec::new();
        if let Some(value) = self.column.dictionary().get(code) {
            scanner.scan(value, predicates, scratch, &mut found);
        }
        self.places[code as usize] = self.answers.len() as u32;
        self.answers.push(found.into_boxed_slice());
        self.answers.last().expect("pushed in the line above")
    }
}

/// One batch under evaluation.
pub(crate) struct Evaluation<'a> {
    program: &'a Program,
    batch: &'a EventBatch,
    /// By field: its columns, once they were asked for.
    fields: HashMap<u32, Vec<Scanned<'a>>, FixedState>,
    keywords: Option<Vec<Scanned<'a>>>,
    /// Answers of lazy questions by (question, address of the column, code).
    lazy: HashMap<(u32, usize, u32), bool, FixedState>,
    scratch: Scratch,
}

impl<'a> Evaluation<'a> {
    pub(crate) fn new(program: &'a Program, batch: &'a EventBatch) -> Self {
        Self {
            program,
            batch,
            fields: HashMap::default(),
            keywords: None,
            lazy: HashMap::default(),
            scratch: Scratch::default(),
        }
    }

    /// The matches of these rows, which are all of the plan's kind.
    pub(crate) fn run(&mut self, plan: &Plan, rows: &[u32], matches: &mut Vec<Match>) {
        let mut candidates: Vec<Match> = Vec::new();
        for &field in &plan.gate_fields {
            self.gate_field(plan, field, rows, &mut candidates);
        }
        if plan.keyword_gates {
            self.gate_keywords(plan, rows, &mut candidates);
        }
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

    fn gate_field(&mut self, plan: &Plan, field: u32, rows: &[u32], candidates: &mut Vec<Match>) {
        let mut columns = self.take_field(field);
        let scanner = &self.program.fields[field as usize].scanner;
        let predicates = &self.program.predicates;
        for &row in rows {
            let Some(scanned) = columns
                .iter_mut()
                .find(|scanned| scanned.column.code(row as usize) != 0)
            else {
                continue;
            };
            let code = scanned.column.code(row as usize);
            for id in scanned.answers(code, scanner, predicates, &mut self.scratch) {
                for &rule in plan.gates.get(id).into_iter().flatten() {
                    candidates.push(Match { row, rule });
                }
            }
        }
        self.fields.insert(field, columns);
    }

    fn gate_keywords(&mut self, plan: &Plan, rows: &[u32], candidates: &mut Vec<Match>) {
        let mut columns = self.take_keywords();
        for scanned in &mut columns {
            for &row in rows {
                let code = scanned.column.code(row as usize);
                if code == 0 {
                    continue;
                }
                let found = scanned.answers(
                    code,
                    &self.program.keywords,
                    &self.program.predicates,
                    &mut self.scratch,
                );
                for id in found {
                    for &rule in plan.gates.get(id).into_iter().flatten() {
                        candidates.push(Match { row, rule });
                    }
                }
            }
        }
        self.keywords = Some(columns);
    }

    fn take_field(&mut self, field: u32) -> Vec<Scanned<'a>> {
        self.fields.remove(&field).unwrap_or_else(|| {
            let name = &self.program.fields[field as usize].name;
            let columns = resolve::candidates(self.batch, name);
            columns.into_iter().map(Scanned::new).collect()
        })
    }

    fn take_keywords(&mut self) -> Vec<Scanned<'a>> {
        self.keywords.take().unwrap_or_else(|| {
            let columns = self.batch.columns(Namespace::Source).iter();
            columns.map(Scanned::new).collect()
        })
    }

    fn holds(&mut self, node: &Node, row: usize) -> bool {
        match node {
            Node::And(items) => items.iter().all(|item| self.holds(item, row)),
            Node::Or(items) => items.iter().any(|item| self.holds(item, row)),
            Node::Not(item) => !self.holds(item, row),
            Node::Leaf(id) => self.answer(*id, row),
        }
    }

    /// Answers one question for one event.
    pub(crate) fn answer(&mut self, id: u32, row: usize) -> bool {
        let predicate = &self.program.predicates[id as usize];
        if predicate.field == KEYWORDS {
            return self.answer_keyword(id, row);
        }
        let field = predicate.field;
        let mut columns = self.take_field(field);
        let scanned = columns
            .iter_mut()
            .find(|scanned| scanned.column.code(row) != 0);
        let yes = match scanned {
            None => matches!(predicate.matcher, Matcher::Null | Matcher::Exists(false)),
            Some(scanned) if predicate.lazy => self.answer_lazy(id, scanned.column, row),
            Some(scanned) => {
                let scanner = &self.program.fields[field as usize].scanner;
                let code = scanned.column.code(row);
                let predicates = &self.program.predicates;
                let found = scanned.answers(code, scanner, predicates, &mut self.scratch);
                found.binary_search(&id).is_ok()
            }
        };
        self.fields.insert(field, columns);
        yes
    }

    fn answer_keyword(&mut self, id: u32, row: usize) -> bool {
        let lazy = self.program.predicates[id as usize].lazy;
        let mut columns = self.take_keywords();
        let mut yes = false;
        for scanned in &mut columns {
            let code = scanned.column.code(row);
            if code == 0 {
                continue;
            }
            yes = if lazy {
                self.answer_lazy(id, scanned.column, row)
            } else {
                let predicates = &self.program.predicates;
                let found =
                    scanned.answers(code, &self.program.keywords, predicates, &mut self.scratch);
                found.binary_search(&id).is_ok()
            };
            if yes {
                break;
            }
        }
        self.keywords = Some(columns);
        yes
    }

    fn answer_lazy(&mut self, id: u32, column: &Column, row: usize) -> bool {
        let matcher = &self.program.predicates[id as usize].matcher;
        let Some(value) = column.get(row) else {
            return false;
        };
        if let Matcher::Field {
            other,
            compare,
            cased,
        } = matcher
        {
            let other = resolve::candidates(self.batch, other)
                .into_iter()
                .find_map(|column| column.get(row));
            return other.is_some_and(|other| compare_fields(value, other, *compare, *cased));
        }
        let key = (id, std::ptr::from_ref(column).addr(), column.code(row));
        if let Some(&known) = self.lazy.get(&key) {
            return known;
        }
        let mut lower = String::new();
        let yes = value.elements().iter().any(|(kind, text)| {
            scanner::lower_into(text, &mut lower);
            *kind != ValueKind::Null
                && scanner::answer(matcher, ValueRef { kind: *kind, text }, &lower)
        });
        self.lazy.insert(key, yes);
        yes
    }
}

fn compare_fields(
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
