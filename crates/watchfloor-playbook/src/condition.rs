//! Conditions of if and while steps: comparisons in STIX patterning over variables and over what
//! was observed in the incident.
//!
//! # Source
//! CACAO 2.0, section 4.8; STIX 2.1, section 9 (comparison expressions).

mod lexer;
mod matching;

use std::collections::BTreeSet;

use lexer::{Token, lex};
use matching::{Literal, compare};
use watchfloor_model::EntityKind;

use crate::variable::{fill, names_in};

/// Longest condition in bytes.
const BYTES_MAX: usize = 16 * 1024;
/// Deepest nesting of brackets.
const DEPTH_MAX: usize = 64;

/// Why a condition cannot be read or has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    /// It cannot be read.
    #[error("at byte {at}: {message}")]
    Unreadable {
        /// Byte of the place.
        at: usize,
        /// What was expected.
        message: String,
    },
    /// A variable has no value.
    #[error("{0}")]
    NoValue(String),
}

fn unreadable(at: usize, message: impl Into<String>) -> ConditionError {
    ConditionError::Unreadable {
        at,
        message: message.into(),
    }
}

/// What a condition is asked of.
pub struct Facts<'a> {
    /// Value of a variable.
    pub value_of: &'a dyn Fn(&str) -> Option<String>,
    /// What was observed in the incident.
    pub observed: &'a [(EntityKind, String)],
}

/// An operator between two operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Like,
    Matches,
    Subset,
    Superset,
}

#[derive(Clone, Debug, PartialEq)]
enum Operand {
    Variable(String),
    Path(String),
    Literal(Literal),
    Set(Vec<Literal>),
}

#[derive(Clone, Debug, PartialEq)]
enum Node {
    Or(Box<Node>, Box<Node>),
    And(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Exists(Operand),
    Truth(Operand),
    Compare(Operand, Operator, Operand),
}

/// A condition that was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    root: Node,
}

impl Condition {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`ConditionError::Unreadable`].
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        if text.len() > BYTES_MAX {
            return Err(unreadable(0, format!("is longer than {BYTES_MAX} bytes")));
        }
        let tokens = lex(text).map_err(|(at, message)| unreadable(at, message))?;
        let mut parser = Parser {
            tokens: &tokens,
            at: 0,
            end: text.len(),
            depth: 0,
        };
        let root = parser.or()?;
        match parser.peek() {
            None => Ok(Self { root }),
            Some((at, token)) => Err(unreadable(*at, format!("did not expect {token}"))),
        }
    }

    /// Whether it holds.
    ///
    /// # Errors
    /// [`ConditionError::NoValue`] when it rests on a variable without one.
    pub fn holds(&self, facts: &Facts<'_>) -> Result<bool, ConditionError> {
        holds(&self.root, facts)
    }

    /// Names of the variables that it uses.
    pub fn names(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        gather(&self.root, &mut found);
        found
    }
}

fn gather(node: &Node, found: &mut BTreeSet<String>) {
    let mut operand = |operand: &Operand| match operand {
        Operand::Variable(name) => {
            found.insert(name.clone());
        }
        Operand::Literal(Literal::Text(text)) => found.extend(names_in(text)),
        Operand::Set(list) => {
            for literal in list {
                if let Literal::Text(text) = literal {
                    found.extend(names_in(text));
                }
            }
        }
        Operand::Path(_) | Operand::Literal(_) => {}
    };
    match node {
        Node::Exists(one) | Node::Truth(one) => operand(one),
        Node::Compare(left, _, right) => {
            operand(left);
            operand(right);
        }
        Node::Or(left, right) | Node::And(left, right) => {
            gather(left, found);
            gather(right, found);
        }
        Node::Not(inner) => gather(inner, found),
    }
}

struct Parser<'t> {
    tokens: &'t [(usize, Token)],
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&(usize, Token)> {
        self.tokens.get(self.at)
    }

    fn place(&self) -> usize {
        self.peek().map_or(self.end, |(at, _)| *at)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let found = matches!(self.peek(), Some((_, Token::Word(found))) if found == word);
        self.at += usize::from(found);
        found
    }

    fn take(&mut self, token: &Token) -> bool {
        let found = self.peek().is_some_and(|(_, found)| found == token);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Node, ConditionError> {
        let mut left = self.and()?;
        while self.take_word("OR") {
            left = Node::Or(Box::new(left), Box::new(self.and()?));
        }
        if let Some((at, Token::Word(word))) = self.peek()
            && matches!(word.as_str(), "FOLLOWEDBY" | "REPEATS" | "WITHIN" | "START")
        {
            let message = format!("{word} looks at events over time, which a step does not");
            return Err(unreadable(*at, message));
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Node, ConditionError> {
        let mut left = self.not()?;
        while self.take_word("AND") {
            left = Node::And(Box::new(left), Box::new(self.not()?));
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Node, ConditionError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(unreadable(self.place(), "is nested too deeply"));
        }
        let node = if self.take_word("NOT") {
            Node::Not(Box::new(self.not()?))
        } else if self.take(&Token::Open) {
            self.closed_by(&Token::Close)?
        } else if self.take(&Token::OpenBracket) {
            self.closed_by(&Token::CloseBracket)?
        } else if self.take_word("EXISTS") {
            Node::Exists(self.operand()?)
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn closed_by(&mut self, end: &Token) -> Result<Node, ConditionError> {
        let node = self.or()?;
        if self.take(end) {
            return Ok(node);
        }
        Err(unreadable(self.place(), format!("expected {end}")))
    }

    fn comparison(&mut self) -> Result<Node, ConditionError> {
        let left = self.operand()?;
        let is_not = self.take_word("NOT");
        let Some(operator) = self.operator() else {
            if is_not {
                return Err(unreadable(self.place(), "expected an operator after NOT"));
            }
            return Ok(Node::Truth(left));
        };
        let right = match operator {
            Operator::In => self.set()?,
            _ => self.operand()?,
        };
        if operator == Operator::Matches
            && let Operand::Literal(Literal::Text(pattern)) = &right
            && names_in(pattern).is_empty()
            && let Err(error) = matching::expression(pattern)
        {
            return Err(unreadable(self.place(), error));
        }
        let node = Node::Compare(left, operator, right);
        Ok(if is_not {
            Node::Not(Box::new(node))
        } else {
            node
        })
    }

    fn operator(&mut self) -> Option<Operator> {
        let (_, token) = self.peek()?;
        let found = match token {
            Token::Operator(text) => match text.as_str() {
                "=" | "==" => Operator::Equal,
                "!=" | "<>" => Operator::Unequal,
                "<" => Operator::Less,
                "<=" => Operator::LessOrEqual,
                ">" => Operator::Greater,
                ">=" => Operator::GreaterOrEqual,
                _ => return None,
            },
            Token::Word(word) => match word.as_str() {
                "IN" => Operator::In,
                "LIKE" => Operator::Like,
                "MATCHES" => Operator::Matches,
                "ISSUBSET" => Operator::Subset,
                "ISSUPERSET" => Operator::Superset,
                _ => return None,
            },
            _ => return None,
        };
        self.at += 1;
        Some(found)
    }

    fn set(&mut self) -> Result<Operand, ConditionError> {
        if !self.take(&Token::Open) {
            return Err(unreadable(self.place(), "expected ( and a list of values"));
        }
        let mut list = Vec::new();
        loop {
            match self.operand()? {
                Operand::Literal(literal) => list.push(literal),
                Operand::Variable(name) => list.push(Literal::Text(format!("{name}:value"))),
                Operand::Path(_) | Operand::Set(_) => {
                    return Err(unreadable(self.place(), "expected a value"));
                }
            }
            if self.take(&Token::Close) {
                return Ok(Operand::Set(list));
            }
            if !self.take(&Token::Comma) {
                return Err(unreadable(self.place(), "expected , or )"));
            }
        }
    }

    fn operand(&mut self) -> Result<Operand, ConditionError> {
        let place = self.place();
        let Some((_, token)) = self.peek() else {
            return Err(unreadable(
                place,
                "expected a variable such as __name__:value, or a value",
            ));
        };
        let operand = match token {
            Token::Text(text) => Operand::Literal(Literal::Text(text.clone())),
            Token::Number(number) => Operand::Literal(Literal::Number(*number)),
            Token::Word(word) => operand_of_word(word).ok_or_else(|| {
                unreadable(
                    place,
                    format!("{word} is no variable such as __name__:value"),
                )
            })?,
            other => return Err(unreadable(place, format!("did not expect {other}"))),
        };
        self.at += 1;
        Ok(operand)
    }
}

fn operand_of_word(word: &str) -> Option<Operand> {
    if matches!(word, "true" | "false") {
        return Some(Operand::Literal(Literal::Text(word.to_owned())));
    }
    if let Some(name) = word.strip_suffix(":value")
        && crate::is_variable_name(name)
    {
        return Some(Operand::Variable(name.to_owned()));
    }
    let is_path = word.split_once(':').is_some_and(|(kind, path)| {
        !path.is_empty() && !kind.is_empty() && !kind.starts_with("__")
    });
    is_path.then(|| Operand::Path(word.to_owned()))
}

/// Kinds of observables that a STIX object path looks at.
fn kinds_of(path: &str) -> &'static [EntityKind] {
    let kind = path.split(':').next().unwrap_or_default();
    match kind {
        "ipv4-addr" | "ipv6-addr" => &[EntityKind::Address],
        "domain-name" => &[EntityKind::Domain],
        "url" => &[EntityKind::Url],
        "file" if path.contains("hashes") => &[EntityKind::Hash],
        "file" => &[EntityKind::File],
        "user-account" => &[EntityKind::User],
        "process" => &[EntityKind::Process],
        "x-host" | "x-oca-asset" => &[EntityKind::Host],
        _ => &[],
    }
}

fn values(operand: &Operand, facts: &Facts<'_>) -> Result<Vec<Literal>, ConditionError> {
    let no_value = |name: &str| {
        ConditionError::NoValue(format!(
            "variable {name} has no value; give it one when the run begins, or let a step before set it"
        ))
    };
    let filled = |literal: &Literal| match literal {
        Literal::Text(text) => fill(text, facts.value_of)
            .map(Literal::Text)
            .map_err(ConditionError::NoValue),
        Literal::Number(_) => Ok(literal.clone()),
    };
    Ok(match operand {
        Operand::Variable(name) => {
            let value = (facts.value_of)(name).ok_or_else(|| no_value(name))?;
            vec![Literal::Text(value)]
        }
        Operand::Literal(literal) => vec![filled(literal)?],
        Operand::Set(list) => list.iter().map(filled).collect::<Result<_, _>>()?,
        Operand::Path(path) => {
            let kinds = kinds_of(path);
            let seen = facts
                .observed
                .iter()
                .filter(|(kind, _)| kinds.contains(kind));
            seen.map(|(_, value)| Literal::Text(value.clone()))
                .collect()
        }
    })
}

fn holds(node: &Node, facts: &Facts<'_>) -> Result<bool, ConditionError> {
    Ok(match node {
        Node::Or(left, right) => holds(left, facts)? || holds(right, facts)?,
        Node::And(left, right) => holds(left, facts)? && holds(right, facts)?,
        Node::Not(inner) => !holds(inner, facts)?,
        Node::Exists(Operand::Variable(name)) => (facts.value_of)(name).is_some(),
        Node::Exists(operand) => !values(operand, facts)?.is_empty(),
        Node::Truth(operand) => values(operand, facts)?.iter().any(Literal::is_true),
        // A path stands for all that was observed: one that fits is enough.
        Node::Compare(left, operator, right) => {
            let rights = values(right, facts)?;
            let lefts = values(left, facts)?;
            lefts
                .iter()
                .any(|left| rights.iter().any(|right| compare(left, *operator, right)))
        }
    })
}

#[cfg(test)]
mod tests;
