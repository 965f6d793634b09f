//! All rules compiled together: questions shared among rules, fields with one scanner each,
//! and for each kind of event the rules that may meet it.

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use watchfloor_event::{EventKind, Logsource};
use watchfloor_rules::{Correlation, Expr, Leaf, Matcher, Rule, RuleSet, in_parallel};

use crate::feeding::Wiring;
use crate::gate::{self, Frequencies};
use crate::literal;
use crate::resolve::Resolution;
use crate::scanner::Scanner;

/// One question to one field, shared by all rules that ask it.
#[derive(Debug)]
pub(crate) struct Predicate {
    /// Index into [`Program::fields`]; [`KEYWORDS`] for questions to every value.
    pub field: u32,
    pub matcher: Matcher,
    /// Asked only when a rule is completed, because asking each value would cost too much.
    pub lazy: bool,
    /// Guess at the share of events that answer with yes; `None` where it can be no gate.
    pub guess: Option<f64>,
}

impl Predicate {
    pub(crate) fn new(field: u32, matcher: Matcher) -> Self {
        let lazy = is_lazy(&matcher);
        Self {
            field,
            lazy,
            guess: gate::guess(&matcher, lazy),
            matcher,
        }
    }
}

/// The field of questions to every value of an event.
pub(crate) const KEYWORDS: u32 = u32::MAX;

/// A condition over shared questions.
#[derive(Debug)]
pub(crate) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Leaf(u32),
    /// One of several questions to one field: answered with one look at the value's answers.
    Any(Questions),
    /// All of several questions to one field.
    All(Questions),
}

/// Several questions to one field, none of them lazy.
#[derive(Debug)]
pub(crate) struct Questions {
    pub field: u32,
    /// As the rule writes them.
    pub written: Vec<u32>,
    /// Sorted, without doubles.
    pub sorted: Vec<u32>,
}

impl Questions {
    fn new(field: u32, written: Vec<u32>) -> Self {
        let mut sorted = written.clone();
        sorted.sort_unstable();
        sorted.dedup();
        Self {
            field,
            written,
            sorted,
        }
    }
}

/// A rule with its compiled condition.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub rule: Rule,
    /// Index into [`Program::logsources`].
    pub logsource: usize,
    pub node: Node,
    /// The fields that it asks, sorted.
    pub fields: Vec<u32>,
    /// Correlations that rest on it.
    pub feeds: Vec<usize>,
    /// Whether it makes findings of its own.
    pub emits: bool,
}

/// A field as rules name it.
#[derive(Debug)]
pub(crate) struct Field {
    pub resolution: Resolution,
    pub scanner: Scanner,
}

/// All rules compiled together.
#[derive(Debug, Default)]
pub(crate) struct Program {
    pub rules: Vec<Compiled>,
    pub correlations: Vec<Correlation>,
    /// For each correlation those that rest on it in turn.
    pub correlation_feeds: Vec<Vec<usize>>,
    /// For each correlation whether it makes findings of its own.
    pub correlation_emits: Vec<bool>,
    /// What correlations look at in the matches of rules.
    pub wiring: Wiring,
    pub predicates: Vec<Predicate>,
    pub fields: Vec<Field>,
    /// All questions to every value.
    pub keywords: Scanner,
    /// The log sources that rules name, each once.
    pub logsources: Vec<Logsource>,
}

/// The rules that may meet one kind of event.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// By field: the rules to complete when a question to it is answered with yes.
    pub gates: Vec<FieldGates>,
    /// The same for questions to every value.
    pub keywords: Gates,
    /// Rules to complete for every event.
    pub always: Vec<u32>,
    /// Fields that the rules ask.
    pub fields: Vec<u32>,
}

/// Rules by the question that has them completed.
pub(crate) type Gates = HashMap<u32, Vec<u32>, FixedState>;

/// The gates of one field.
#[derive(Debug)]
pub(crate) struct FieldGates {
    pub field: u32,
    pub gates: Gates,
}

#[derive(Default)]
struct Builder {
    predicates: Vec<Predicate>,
    by_key: HashMap<(u32, String), u32, FixedState>,
    fields: Vec<String>,
    by_field: HashMap<String, u32, FixedState>,
}

impl Program {
    /// Compiles rules.
    pub(crate) fn compile(set: RuleSet) -> Self {
        let mut builder = Builder::default();
        let mut logsources: Vec<Logsource> = Vec::new();
        let mut by_logsource: HashMap<Logsource, usize, FixedState> = HashMap::default();
        let mut rules = Vec::with_capacity(set.rules.len());
        for rule in set.rules {
            let node = builder.node(&rule.expr);
            let logsource = *by_logsource
                .entry(rule.logsource.clone())
                .or_insert_with(|| {
                    logsources.push(rule.logsource.clone());
                    logsources.len() - 1
                });
            let mut fields = Vec::new();
            note_fields(&node, &builder.predicates, &mut fields);
            fields.sort_unstable();
            fields.dedup();
            rules.push(Compiled {
                rule,
                logsource,
                node,
                fields,
                feeds: Vec::new(),
                emits: true,
            });
        }
        let mut program = Self {
            rules,
            logsources,
            correlation_feeds: vec![Vec::new(); set.correlations.len()],
            correlation_emits: vec![true; set.correlations.len()],
            correlations: set.correlations,
            ..Self::default()
        };
        program.connect();
        let rules = program.rules.iter();
        let feeds = rules.map(|one| (&one.rule.meta, one.feeds.as_slice()));
        program.wiring = Wiring::of(feeds, &program.correlations);
        builder.finish(&mut program);
        program
    }

    /// Tells rules and correlations who rests on them. A rule that a correlation rests on is
    /// silent by itself unless the correlation says `generate`.
    fn connect(&mut self) {
        for index in 0..self.correlations.len() {
            let (names, generate) = {
                let one = &self.correlations[index];
                (one.rules.clone(), one.generate)
            };
            for name in names {
                for compiled in &mut self.rules {
                    let meta = &compiled.rule.meta;
                    if meta.id == name || (!meta.name.is_empty() && meta.name == name) {
                        compiled.feeds.push(index);
                        compiled.emits &= generate;
                    }
                }
                for below in 0..index {
                    let meta = &self.correlations[below].meta;
                    if meta.id == name || (!meta.name.is_empty() && meta.name == name) {
                        self.correlation_feeds[below].push(index);
                        self.correlation_emits[below] &= generate;
                    }
                }
            }
        }
    }

    /// The rules that may meet a kind of event, each behind its rarest gate.
    pub(crate) fn plan(&self, kind: &EventKind, frequencies: &Frequencies) -> Plan {
        let mut plan = Plan::default();
        let sources = self.logsources.iter();
        let answers: Vec<bool> = sources.map(|source| kind.answers_to(source)).collect();
        let mut by_field: HashMap<u32, Gates, FixedState> = HashMap::default();
        for (index, compiled) in self.rules.iter().enumerate() {
            if !answers[compiled.logsource] {
                continue;
            }
            plan.fields.extend(&compiled.fields);
            let index = index as u32;
            let Some(gate) = gate::choose(&compiled.node, &self.predicates, frequencies) else {
                plan.always.push(index);
                continue;
            };
            for id in gate {
                let gates = match self.predicates[id as usize].field {
                    KEYWORDS => &mut plan.keywords,
                    field => by_field.entry(field).or_default(),
                };
                gates.entry(id).or_default().push(index);
            }
        }
        let field_gates = |(field, gates)| FieldGates { field, gates };
        plan.gates = by_field.into_iter().map(field_gates).collect();
        plan.gates.sort_unstable_by_key(|gates| gates.field);
        plan.fields.sort_unstable();
        plan.fields.dedup();
        plan
    }
}

/// The fields that a condition asks, not the keywords.
fn note_fields(node: &Node, predicates: &[Predicate], fields: &mut Vec<u32>) {
    match node {
        Node::And(items) | Node::Or(items) => {
            for item in items {
                note_fields(item, predicates, fields);
            }
        }
        Node::Not(item) => note_fields(item, predicates, fields),
        Node::Any(questions) | Node::All(questions) => fields.push(questions.field),
        Node::Leaf(id) => {
            let field = predicates[*id as usize].field;
            if field != KEYWORDS {
                fields.push(field);
            }
        }
    }
}

impl Builder {
    fn node(&mut self, expr: &Expr) -> Node {
        match expr {
            Expr::And(items) => match self.of_one_field(items) {
                Some(questions) => Node::All(questions),
                None => Node::And(items.iter().map(|item| self.node(item)).collect()),
            },
            Expr::Or(items) => match self.of_one_field(items) {
                Some(questions) => Node::Any(questions),
                None => Node::Or(items.iter().map(|item| self.node(item)).collect()),
            },
            Expr::Not(item) => Node::Not(Box::new(self.node(item))),
            Expr::Leaf(leaf) => Node::Leaf(self.predicate(leaf)),
        }
    }

    /// The questions of these items, if they are several that the answers of one field's value
    /// tell: an absent field answers some questions with yes, so those stay apart.
    fn of_one_field(&mut self, items: &[Expr]) -> Option<Questions> {
        let mut leaves = Vec::with_capacity(items.len());
        for item in items {
            let Expr::Leaf(leaf) = item else {
                return None;
            };
            let plain = !is_lazy(&leaf.matcher)
                && !matches!(leaf.matcher, Matcher::Null | Matcher::Exists(false));
            if !plain || leaf.field.is_none() {
                return None;
            }
            leaves.push(leaf);
        }
        let first = leaves.first()?.field.as_ref();
        if leaves.len() < 2 || leaves.iter().any(|leaf| leaf.field.as_ref() != first) {
            return None;
        }
        let ids: Vec<u32> = leaves.iter().map(|leaf| self.predicate(leaf)).collect();
        let field = self.predicates[ids[0] as usize].field;
        Some(Questions::new(field, ids))
    }

    fn predicate(&mut self, leaf: &Leaf) -> u32 {
        let field = match &leaf.field {
            Some(name) => self.field(name),
            None => KEYWORDS,
        };
        let key = (field, leaf.matcher.key());
        if let Some(id) = self.by_key.get(&key) {
            return *id;
        }
        let id = self.predicates.len() as u32;
        let predicate = Predicate::new(field, leaf.matcher.clone());
        self.predicates.push(predicate);
        self.by_key.insert(key, id);
        id
    }

    fn field(&mut self, name: &str) -> u32 {
        if let Some(index) = self.by_field.get(name) {
            return *index;
        }
        let index = self.fields.len() as u32;
        self.fields.push(name.to_owned());
        self.by_field.insert(name.to_owned(), index);
        index
    }

    fn finish(self, program: &mut Program) {
        let mut by_field: Vec<Vec<u32>> = vec![Vec::new(); self.fields.len()];
        for (id, predicate) in self.predicates.iter().enumerate() {
            if predicate.field != KEYWORDS {
                by_field[predicate.field as usize].push(id as u32);
            }
        }
        let fields: Vec<(String, Vec<u32>)> = self.fields.into_iter().zip(by_field).collect();
        program.fields = in_parallel(&fields, |(name, ids)| Field {
            resolution: Resolution::of(name),
            scanner: Scanner::build(ids, &self.predicates),
        });
        let ids = 0..self.predicates.len() as u32;
        let keywords = ids.filter(|id| self.predicates[*id as usize].field == KEYWORDS);
        program.keywords = Scanner::build(&keywords.collect::<Vec<_>>(), &self.predicates);
        program.predicates = self.predicates;
    }
}

fn is_lazy(matcher: &Matcher) -> bool {
    match matcher {
        Matcher::Regex(regex) => literal::required(regex.as_str()).is_none(),
        Matcher::Field { .. } | Matcher::Time(..) => true,
        Matcher::Text { .. }
        | Matcher::Cidr(_)
        | Matcher::Compare(..)
        | Matcher::Null
        | Matcher::Exists(_)
        | Matcher::Never => false,
    }
}
