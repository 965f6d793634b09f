//! Choosing, for each rule, a small set of questions of which one must be answered with yes
//! for the rule to hold. Rules are completed only for events that answer so.

use std::cmp::Ordering;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use watchfloor_rules::{Matcher, Part};

use crate::program::{Node, Predicate};

/// Weight of the guess beside what was measured, in events.
const GUESS_EVENTS: f64 = 20.0;

/// How often questions were answered with yes, measured on events of one kind. Which gate is
/// chosen bears on speed alone: each is necessary for its rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frequencies {
    /// Events looked at.
    pub events: u64,
    /// Of these, by question, those that answered with yes.
    pub yes: HashMap<u32, u64, FixedState>,
}

impl Frequencies {
    fn of(&self, id: u32, guess: f64) -> f64 {
        let yes = self.yes.get(&id).copied().unwrap_or(0) as f64;
        (yes + guess * GUESS_EVENTS) / (self.events as f64 + GUESS_EVENTS)
    }
}

/// Most questions in a gate; larger sets still work, the bound keeps building linear.
const MAX_GATE: usize = 20_000;

/// The cheapest necessary set, sorted, or `None` for a rule that can hold without any yes.
pub(crate) fn choose(
    node: &Node,
    predicates: &[Predicate],
    frequencies: &Frequencies,
) -> Option<Vec<u32>> {
    let chooser = Chooser {
        predicates,
        frequencies,
    };
    let cost = chooser.cost(node)?;
    let mut set = Vec::with_capacity(cost.questions);
    chooser.gather(node, &mut set);
    set.sort_unstable();
    set.dedup();
    Some(set)
}

struct Chooser<'a> {
    predicates: &'a [Predicate],
    frequencies: &'a Frequencies,
}

/// What a set costs, lower being better.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
struct Cost {
    /// Expected share of events that answer one of its questions with yes.
    frequency: f64,
    questions: usize,
}

impl Chooser<'_> {
    fn leaf(&self, id: u32) -> Option<Cost> {
        let guess = self.predicates[id as usize].guess?;
        Some(Cost {
            frequency: self.frequencies.of(id, guess),
            questions: 1,
        })
    }

    fn cost(&self, node: &Node) -> Option<Cost> {
        match node {
            Node::Leaf(id) => self.leaf(*id),
            Node::Not(_) => None,
            Node::And(items) => cheapest(items.iter().map(|item| self.cost(item))),
            Node::All(questions) => cheapest(questions.sorted.iter().map(|id| self.leaf(*id))),
            Node::Or(items) => union(items.iter().map(|item| self.cost(item))),
            Node::Any(questions) => union(questions.sorted.iter().map(|id| self.leaf(*id))),
        }
    }

    /// Writes the questions of the cheapest set; [`Chooser::cost`] has said that there is one.
    fn gather(&self, node: &Node, set: &mut Vec<u32>) {
        match node {
            Node::Leaf(id) => set.push(*id),
            Node::Not(_) => {}
            Node::And(items) => {
                let cheapest = best_of(items.iter(), |item| self.cost(item));
                cheapest.into_iter().for_each(|item| self.gather(item, set));
            }
            Node::All(questions) => {
                set.extend(best_of(questions.sorted.iter(), |id| self.leaf(**id)));
            }
            Node::Or(items) => items.iter().for_each(|item| self.gather(item, set)),
            Node::Any(questions) => set.extend(&questions.sorted),
        }
    }
}

fn cheapest(costs: impl Iterator<Item = Option<Cost>>) -> Option<Cost> {
    costs
        .flatten()
        .min_by(|left, right| left.partial_cmp(right).unwrap_or(Ordering::Equal))
}

fn best_of<T>(items: impl Iterator<Item = T>, cost: impl Fn(&T) -> Option<Cost>) -> Option<T> {
    let mut best: Option<(Cost, T)> = None;
    for item in items {
        let Some(cost) = cost(&item) else {
            continue;
        };
        if best.as_ref().is_none_or(|(known, _)| cost < *known) {
            best = Some((cost, item));
        }
    }
    best.map(|(_, item)| item)
}

/// An empty alternative never holds: the empty set says so.
fn union(costs: impl Iterator<Item = Option<Cost>>) -> Option<Cost> {
    let mut all = Cost {
        frequency: 0.0,
        questions: 0,
    };
    for cost in costs {
        let cost = cost?;
        all.frequency += cost.frequency;
        all.questions += cost.questions;
    }
    (all.questions <= MAX_GATE).then_some(all)
}

/// A guess at the share of values that answer with yes. Long literals are rare; whole numbers
/// such as an event id are not. `None` for what can be answered with yes by nothing at all, and
/// for what is not asked of every value.
pub(crate) fn guess(matcher: &Matcher, is_lazy: bool) -> Option<f64> {
    match matcher {
        Matcher::Text { pattern, .. } => {
            let literal = |part: &Part| match part {
                Part::Literal(text) => text.len(),
                Part::Any | Part::One => 0,
            };
            let length: usize = pattern.parts().iter().map(literal).sum();
            if length == 0 {
                return pattern.as_literal().map(|_| 0.05);
            }
            let number = pattern
                .as_literal()
                .is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let rarity = if number { 2.0 } else { length as f64 };
            Some(1.0 / (1.0 + rarity * rarity))
        }
        Matcher::Regex(_) if is_lazy => None,
        Matcher::Regex(_) => Some(0.02),
        Matcher::Cidr(_) => Some(0.2),
        Matcher::Compare(..) => Some(0.3),
        Matcher::Exists(true) => Some(0.9),
        Matcher::Never => Some(0.0),
        Matcher::Null | Matcher::Exists(false) | Matcher::Field { .. } | Matcher::Time(..) => None,
    }
}
