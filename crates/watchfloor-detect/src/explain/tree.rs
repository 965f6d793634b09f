//! A condition, answered part by part.

use watchfloor_event::EventBatch;
use watchfloor_rules::{Expr, Leaf};

use super::question;
use super::{Step, What};

/// Answers a condition; its selections, which the compiled form has no node for, are put
/// together again from what their questions say.
pub(super) fn of(expr: &Expr, batch: &EventBatch, row: usize) -> Step {
    let walk = Walk { batch, row };
    match sole(expr, |leaf| Some(leaf.selection.as_str())) {
        Some(name) => walk.selection(name, &[expr], Link::All),
        None => walk.condition(expr),
    }
}

#[derive(Clone, Copy)]
enum Link {
    All,
    Any,
}

struct Walk<'a> {
    batch: &'a EventBatch,
    row: usize,
}

/// What all questions of a condition agree on.
fn sole<'a>(expr: &'a Expr, of: impl Fn(&'a Leaf) -> Option<&'a str>) -> Option<&'a str> {
    let mut found: Option<Option<&str>> = None;
    let mut is_sole = true;
    expr.for_each_leaf(&mut |leaf| {
        let this = of(leaf);
        is_sole &= found.is_none_or(|known| known == this) && this.is_some();
        found = Some(this);
    });
    found.flatten().filter(|_| is_sole)
}

/// The selection that a part of a condition is, or is a part of.
fn selection_of(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Not(_) => None,
        _ => sole(expr, |leaf| Some(leaf.selection.as_str())),
    }
}

/// The text under which questions to one field go together; keywords have none of their own.
fn field_key(leaf: &Leaf) -> Option<&str> {
    Some(leaf.field.as_deref().unwrap_or_default())
}

impl Walk<'_> {
    fn condition(&self, expr: &Expr) -> Step {
        match expr {
            Expr::And(items) => linked(Link::All, self.selections(items, Link::All)),
            Expr::Or(items) => linked(Link::Any, self.selections(items, Link::Any)),
            Expr::Not(item) => negated(of(item, self.batch, self.row)),
            Expr::Leaf(_) => self.within(expr),
        }
    }

    /// The parts of a link; neighbours of one selection are that selection, since a filter that
    /// is added to a rule stands beside the rule's own questions.
    fn selections(&self, items: &[Expr], link: Link) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut rest = items;
        while let Some(first) = rest.first() {
            let Some(name) = selection_of(first) else {
                steps.push(self.condition(first));
                rest = &rest[1..];
                continue;
            };
            let is_same = |expr: &&Expr| selection_of(expr) == Some(name);
            let count = rest.iter().take_while(is_same).count();
            let members: Vec<&Expr> = rest[..count].iter().collect();
            steps.push(self.selection(name, &members, link));
            rest = &rest[count..];
        }
        steps
    }

    fn selection(&self, name: &str, members: &[&Expr], link: Link) -> Step {
        let below = match members {
            [one] => self.within(one),
            many => linked(link, many.iter().map(|expr| self.within(expr)).collect()),
        };
        Step {
            holds: below.holds,
            what: What::Selection(name.to_owned()),
            below: match below.what {
                // A map asks for all of its fields: the selection says so by itself.
                What::All => below.below,
                _ => vec![below],
            },
        }
    }

    /// A part within a selection.
    fn within(&self, expr: &Expr) -> Step {
        if let Some(key) = sole(expr, field_key) {
            let field = (!key.is_empty()).then_some(key);
            let inner = self.questions(expr);
            return Step {
                holds: inner.holds,
                what: What::Field(question::read(field, self.batch, self.row)),
                below: match (&inner.what, inner.below.len()) {
                    (What::All, 0) | (What::Question(_), _) => vec![inner],
                    (What::All, _) => inner.below,
                    _ => vec![inner],
                },
            };
        }
        match expr {
            Expr::And(items) => linked(Link::All, self.all_within(items)),
            Expr::Or(items) => linked(Link::Any, self.all_within(items)),
            Expr::Not(item) => negated(self.within(item)),
            Expr::Leaf(_) => self.questions(expr),
        }
    }

    fn all_within(&self, items: &[Expr]) -> Vec<Step> {
        items.iter().map(|item| self.within(item)).collect()
    }

    /// Questions to one field.
    fn questions(&self, expr: &Expr) -> Step {
        let all = |items: &[Expr]| items.iter().map(|item| self.questions(item)).collect();
        match expr {
            Expr::And(items) => linked(Link::All, all(items)),
            Expr::Or(items) => linked(Link::Any, all(items)),
            Expr::Not(item) => negated(self.questions(item)),
            Expr::Leaf(leaf) => {
                let (holds, answered) = question::ask(leaf, self.batch, self.row);
                Step {
                    holds,
                    what: What::Question(answered),
                    below: Vec::new(),
                }
            }
        }
    }
}

fn linked(link: Link, below: Vec<Step>) -> Step {
    let mut holds = below.iter().map(|step| step.holds);
    match link {
        Link::All => Step {
            holds: holds.all(|holds| holds),
            what: What::All,
            below,
        },
        Link::Any => Step {
            holds: holds.any(|holds| holds),
            what: What::Any,
            below,
        },
    }
}

fn negated(inner: Step) -> Step {
    Step {
        holds: !inner.holds,
        what: What::Not,
        below: vec![inner],
    }
}
