//! Choosing, for each rule, a small set of questions of which one must be answered with yes
//! for the rule to hold. Rules are completed only for events that answer so.

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

/// The cheapest necessary set, or `None` for a rule that can hold without any yes.
pub(crate) fn choose(
    node: &Node,
    predicates: &[Predicate],
    frequencies: &Frequencies,
) -> Option<Vec<u32>> {
    best(node, predicates, frequencies).map(|(_, mut set)| {
        set.sort_unstable();
        set.dedup();
        set
    })
}

/// The set with its expected frequency, lower being better.
fn best(
    node: &Node,
    predicates: &[Predicate],
    frequencies: &Frequencies,
) -> Option<(f64, Vec<u32>)> {
    let leaf = |id: u32| {
        let guess = frequency(&predicates[id as usize])?;
        Some((frequencies.of(id, guess), vec![id]))
    };
    match node {
        Node::Leaf(id) => leaf(*id),
        Node::Not(_) => None,
        Node::And(items) => rarest(items.iter().map(|item| best(item, predicates, frequencies))),
        Node::All(questions) => rarest(questions.sorted.iter().map(|id| leaf(*id))),
        Node::Or(items) => union(items.iter().map(|item| best(item, predicates, frequencies))),
        Node::Any(questions) => union(questions.sorted.iter().map(|id| leaf(*id))),
    }
}

type Ranked = Option<(f64, Vec<u32>)>;

fn rarest(sets: impl Iterator<Item = Ranked>) -> Ranked {
    sets.flatten().min_by(|left, right| {
        let by_frequency = left.0.total_cmp(&right.0);
        by_frequency.then_with(|| left.1.len().cmp(&right.1.len()))
    })
}

/// An empty alternative never holds: the empty set says so.
fn union(sets: impl Iterator<Item = Ranked>) -> Ranked {
    let mut all = (0.0, Vec::new());
    for set in sets {
        let (frequency, set) = set?;
        all.0 += frequency;
        all.1.extend(set);
    }
    (all.1.len() <= MAX_GATE).then_some(all)
}

/// A guess at the share of values that answer with yes. Long literals are rare; whole numbers
/// such as an event id are not.
fn frequency(predicate: &Predicate) -> Option<f64> {
    match &predicate.matcher {
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
        Matcher::Regex(_) if predicate.lazy => None,
        Matcher::Regex(_) => Some(0.02),
        Matcher::Cidr(_) => Some(0.2),
        Matcher::Compare(..) => Some(0.3),
        Matcher::Exists(true) => Some(0.9),
        Matcher::Never => Some(0.0),
        Matcher::Null | Matcher::Exists(false) | Matcher::Field { .. } | Matcher::Time(..) => None,
    }
}
