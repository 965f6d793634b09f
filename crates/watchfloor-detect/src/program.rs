//! All rules compiled together: questions shared among rules, fields with one scanner each,
//! and for each kind of event the rules that may meet it.

use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use watchfloor_event::EventKind;
use watchfloor_rules::{Correlation, Expr, Leaf, Matcher, Rule, RuleSet};

use crate::gate;
use crate::literal;
use crate::scanner::Scanner;

/// One question to one field, shared by all rules that ask it.
#[derive(Debug)]
pub(crate) struct Predicate {
    /// Index into [`Program::fields`]; [`KEYWORDS`] for questions to every value.
    pub field: u32,
    pub matcher: Matcher,
    /// Asked only when a rule is completed, because asking each value would cost too much.
    pub lazy: bool,
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
}

/// A rule with its compiled condition.
#[derive(Debug)]
pub(crate) struct Compiled {
    pub rule: Rule,
    pub node: Node,
    /// Questions of which one must be answered with yes; `None` has the rule completed for
    /// every event it may meet.
    pub gate: Option<Vec<u32>>,
    /// Correlations that rest on it.
    pub feeds: Vec<usize>,
    /// Whether it makes findings of its own.
    pub emits: bool,
}

/// A field as rules name it.
#[derive(Debug)]
pub(crate) struct Field {
    pub name: String,
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
    pub predicates: Vec<Predicate>,
    pub fields: Vec<Field>,
    pub keywords: Scanner,
}

/// The rules that may meet one kind of event.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// Rules to complete when a question is answered with yes.
    pub gates: HashMap<u32, Vec<u32>, FixedState>,
    /// Fields that hold such questions.
    pub gate_fields: Vec<u32>,
    /// Whether a keyword is among them.
    pub keyword_gates: bool,
    /// Rules to complete for every event.
    pub always: Vec<u32>,
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
        let mut rules = Vec::with_capacity(set.rules.len());
        for rule in set.rules {
            let node = builder.node(&rule.expr);
            let gate = gate::choose(&node, &builder.predicates);
            rules.push(Compiled {
                rule,
                node,
                gate,
                feeds: Vec::new(),
                emits: true,
            });
        }
        let mut program = Self {
            rules,
            correlation_feeds: vec![Vec::new(); set.correlations.len()],
            correlation_emits: vec![true; set.correlations.len()],
            correlations: set.correlations,
            ..Self::default()
        };
        program.connect();
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

    /// The rules that may meet a kind of event.
    pub(crate) fn plan(&self, kind: &Arc<EventKind>) -> Plan {
        let mut plan = Plan::default();
        for (index, compiled) in self.rules.iter().enumerate() {
            if !kind.answers_to(&compiled.rule.logsource) {
                continue;
            }
            let index = index as u32;
            match &compiled.gate {
                None => plan.always.push(index),
                Some(gate) => {
                    for predicate in gate {
                        plan.gates.entry(*predicate).or_default().push(index);
                    }
                }
            }
        }
        let mut fields: Vec<u32> = plan
            .gates
            .keys()
            .map(|predicate| self.predicates[*predicate as usize].field)
            .collect();
        fields.sort_unstable();
        fields.dedup();
        plan.keyword_gates = fields.last() == Some(&KEYWORDS);
        fields.retain(|field| *field != KEYWORDS);
        plan.gate_fields = fields;
        plan
    }
}

impl Builder {
    fn node(&mut self, expr: &Expr) -> Node {
        match expr {
            Expr::And(items) => Node::And(items.iter().map(|item| self.node(item)).collect()),
            Expr::Or(items) => Node::Or(items.iter().map(|item| self.node(item)).collect()),
            Expr::Not(item) => Node::Not(Box::new(self.node(item))),
            Expr::Leaf(leaf) => Node::Leaf(self.predicate(leaf)),
        }
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
        self.predicates.push(Predicate {
            field,
            matcher: leaf.matcher.clone(),
            lazy: is_lazy(&leaf.matcher),
        });
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
        let mut keywords = Vec::new();
        for (id, predicate) in self.predicates.iter().enumerate() {
            match predicate.field {
                KEYWORDS => keywords.push(id as u32),
                field => by_field[field as usize].push(id as u32),
            }
        }
        program.fields = self
            .fields
            .into_iter()
            .zip(by_field)
            .map(|(name, ids)| Field {
                name,
                scanner: Scanner::build(&ids, &self.predicates),
            })
            .collect();
        program.keywords = Scanner::build(&keywords, &self.predicates);
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
