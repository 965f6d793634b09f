//! Why a rule matches an event, or does not: each question of its condition with the value that
//! it was asked of, and what that value lacks.
//!
//! The engine answers in columns and stops as soon as it knows; an explanation asks every
//! question of one event. Both ask with the same matchers, the same places for a field and the
//! same rule for absent ones (`tests/explain.rs` holds them against each other over all cases).
//!
//! Start at [`explain`].

mod json;
mod over;
mod question;
mod tree;

use watchfloor_event::{EventBatch, Logsource, ValueKind};
use watchfloor_rules::{Rule, RuleMeta, RuleSet};

/// What became of one rule and one event.
#[derive(Clone, Debug)]
pub struct Explanation {
    /// Id of the rule.
    pub rule_id: String,
    /// Its title.
    pub title: String,
    /// Its version: 12 hex digits.
    pub version: String,
    /// For a rule over single events, whether the engine finds it here. For a rule over several,
    /// whether the event counts for it: one of its rules matches, and the group's fields are
    /// there.
    pub matched: bool,
    /// How it came to that.
    pub body: Body,
}

/// How it came to that.
#[derive(Clone, Debug)]
pub enum Body {
    /// A rule over single events.
    Event {
        /// Whether the rule may meet events of this kind at all.
        gate: Gate,
        /// The condition as written; several are linked by OR.
        conditions: Vec<String>,
        /// The condition, answered.
        tree: Step,
    },
    /// A correlation or a native analytic.
    Several {
        /// Its type, such as `event_count`.
        kind: &'static str,
        /// What it needs, a sentence each.
        needs: Vec<String>,
        /// The fields of this event that it reads.
        fields: Vec<Read>,
        /// The rules it rests on.
        bases: Vec<Explanation>,
    },
}

/// A rule's log source beside the kind of an event.
#[derive(Clone, Debug)]
pub struct Gate {
    /// What the rule asks for; empty for every event.
    pub asks: Logsource,
    /// The kind, such as `windows/security_4688`.
    pub kind: String,
    /// The log sources that it answers to.
    pub offers: Vec<Logsource>,
    /// Whether one of them is what the rule asks for.
    pub passed: bool,
}

/// A part of a condition with its answer.
#[derive(Clone, Debug)]
pub struct Step {
    /// Whether it holds.
    pub holds: bool,
    /// What it is.
    pub what: What,
    /// Its parts.
    pub below: Vec<Step>,
}

/// What a part of a condition is.
#[derive(Clone, Debug)]
pub enum What {
    /// All parts must hold.
    All,
    /// One part must hold.
    Any,
    /// The part must not hold.
    Not,
    /// A search identifier.
    Selection(String),
    /// Questions to one field.
    Field(Read),
    /// One question.
    Question(Answered),
}

/// What an event has for a field.
#[derive(Clone, Debug)]
pub struct Read {
    /// The field as the rule names it; `None` for keywords, which look at every value.
    pub field: Option<String>,
    /// The name under which the event holds it: an OCSF attribute or `unmapped.<field>`.
    pub place: Option<String>,
    /// Its value as text; `None` where the event has none.
    pub value: Option<String>,
    /// What the value was at its source; null where the event has none.
    pub kind: ValueKind,
    /// Where it was looked for, in this order.
    pub places: Vec<String>,
}

/// A question with its answer.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The modifiers and the value as the rule writes them.
    pub written: String,
    /// What was compared, in words.
    pub compared: String,
    /// Why the answer is what it is.
    pub why: String,
}

/// Explains a rule, correlation or analytic of a set on one row of a batch; `None` where the set
/// has no rule of this id.
pub fn explain(set: &RuleSet, id: &str, batch: &EventBatch, row: usize) -> Option<Explanation> {
    if row >= batch.len() {
        return None;
    }
    if let Some(rule) = set.rules.iter().find(|rule| rule.meta.id == id) {
        return Some(of_event(rule, batch, row));
    }
    over::explain(set, id, batch, row)
}

fn of_event(rule: &Rule, batch: &EventBatch, row: usize) -> Explanation {
    let kind = batch.kind_of(row);
    let gate = Gate {
        asks: rule.logsource.clone(),
        kind: kind.name.to_string(),
        offers: kind.logsources.clone(),
        passed: kind.answers_to(&rule.logsource),
    };
    let tree = tree::of(&rule.expr, batch, row);
    Explanation {
        matched: gate.passed && tree.holds,
        body: Body::Event {
            gate,
            conditions: rule.conditions.clone(),
            tree,
        },
        ..Explanation::empty(&rule.meta)
    }
}

impl Explanation {
    fn empty(meta: &RuleMeta) -> Self {
        Self {
            rule_id: meta.id.clone(),
            title: meta.title.clone(),
            version: meta.version.clone(),
            matched: false,
            body: Body::Several {
                kind: "",
                needs: Vec::new(),
                fields: Vec::new(),
                bases: Vec::new(),
            },
        }
    }
}
