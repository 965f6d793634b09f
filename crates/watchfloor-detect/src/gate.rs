//! Choosing, for each rule, a small set of questions of which one must be answered with yes
//! for the rule to hold. Rules are completed only for events that answer so.

use watchfloor_rules::{Matcher, Part};

use crate::program::{Node, Predicate};

/// Most questions in a gate; larger sets still work, the bound keeps building linear.
const MAX_GATE: usize = 20_000;

/// The cheapest necessary set, or `None` for a rule that can hold without any yes.
pub(crate) fn choose(node: &Node, predicates: &[Predicate]) -> Option<Vec<u32>> {
    best(node, predicates).map(|(_, mut set)| {
        set.sort_unstable();
        set.dedup();
        set
    })
}

/// The set with its expected frequency, lower being better.
fn best(node: &Node, predicates: &[Predicate]) -> Option<(f64, Vec<u32>)> {
    match node {
        Node::Leaf(id) => {
            let frequency = frequency(&predicates[*id as usize])?;
            Some((frequency, vec![*id]))
        }
        Node::Not(_) => None,
        Node::And(items) => items
            .iter()
            .filter_map(|item| best(item, predicates))
            .min_by(|left, right| left.0.total_cmp(&right.0)),
        Node::Or(items) => {
            let mut all = (0.0, Vec::new());
            for item in items {
                let (frequency, set) = best(item, predicates)?;
                all.0 += frequency;
                all.1.extend(set);
            }
            // An empty alternative never holds: the empty gate says so.
            (all.1.len() <= MAX_GATE).then_some(all)
        }
    }
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
