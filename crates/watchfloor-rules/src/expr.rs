//! The boolean form of a rule's condition, selections already put in their places.

use crate::Matcher;

/// One question to one field.
#[derive(Clone, Debug)]
pub struct Leaf {
    /// The selection that it stands in.
    pub selection: String,
    /// The field as the rule names it; `None` asks every value of the event.
    pub field: Option<String>,
    /// The question.
    pub matcher: Matcher,
    /// What the rule writes, for people.
    pub written: String,
}

/// A condition.
#[derive(Clone, Debug)]
pub enum Expr {
    /// All hold; an empty list holds.
    And(Vec<Expr>),
    /// One holds; an empty list does not.
    Or(Vec<Expr>),
    /// Does not hold.
    Not(Box<Expr>),
    /// One question.
    Leaf(Box<Leaf>),
}

impl Expr {
    /// The conjunction of two conditions.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match self {
            Self::And(mut all) => {
                all.push(other);
                Self::And(all)
            }
            single => Self::And(vec![single, other]),
        }
    }

    /// Calls `visit` for each leaf, left to right.
    pub fn for_each_leaf<'a>(&'a self, visit: &mut impl FnMut(&'a Leaf)) {
        match self {
            Self::And(items) | Self::Or(items) => {
                items.iter().for_each(|item| item.for_each_leaf(visit));
            }
            Self::Not(item) => item.for_each_leaf(visit),
            Self::Leaf(leaf) => visit(leaf),
        }
    }
}
