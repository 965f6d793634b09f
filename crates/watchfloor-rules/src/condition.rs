//! Sigma condition expressions.
//!
//! # Source
//! Sigma specification 2.1, "Condition".

use std::collections::BTreeMap;

use crate::expr::Expr;
use crate::near;

/// Deepest nesting of brackets and `not`.
const MAX_DEPTH: usize = 64;
/// Most questions of one condition, each time that a selection is named counted anew.
const MAX_QUESTIONS: usize = 400_000;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Open,
    Close,
    And,
    Or,
    Not,
    Of { all: bool },
    Them,
    Name(String),
}

/// Reads a condition and puts the selections in their places.
pub(crate) fn parse(text: &str, selections: &BTreeMap<String, Expr>) -> Result<Expr, String> {
    let tokens = tokenize(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        at: 0,
        depth: 0,
        selections,
        sizes: BTreeMap::new(),
        questions: 0,
    };
    let expr = parser.or()?;
    match parser.tokens.get(parser.at) {
        None => Ok(expr),
        Some(Token::Close) => Err(
            "a bracket of the 'condition' closes that was not opened; remove it or open it"
                .to_owned(),
        ),
        Some(token) => Err(format!(
            "the 'condition' has {} where 'and', 'or' or its end should stand",
            name(token)
        )),
    }
}

fn name(token: &Token) -> String {
    match token {
        Token::Open => "'('".to_owned(),
        Token::Close => "')'".to_owned(),
        Token::And => "'and'".to_owned(),
        Token::Or => "'or'".to_owned(),
        Token::Not => "'not'".to_owned(),
        Token::Of { all: true } => "'all of'".to_owned(),
        Token::Of { all: false } => "'1 of'".to_owned(),
        Token::Them => "'them'".to_owned(),
        Token::Name(name) => format!("'{name}'"),
    }
}

fn tokenize(text: &str) -> Result<Vec<Token>, String> {
    let spaced = text.replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut tokens = Vec::with_capacity(words.len());
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let of = words
            .get(at + 1)
            .is_some_and(|next| next.eq_ignore_ascii_case("of"));
        let lower = word.to_ascii_lowercase();
        at += 1;
        tokens.push(match lower.as_str() {
            "(" => Token::Open,
            ")" => Token::Close,
            "and" => Token::And,
            "or" => Token::Or,
            "not" => Token::Not,
            "them" => Token::Them,
            "1" | "any" | "all" if of => {
                at += 1;
                Token::Of {
                    all: lower == "all",
                }
            }
            _ if of && lower.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Err(format!(
                    "'{word} of' is not in the specification; use '1 of' or 'all of'"
                ));
            }
            _ => Token::Name((*word).to_owned()),
        });
    }
    Ok(tokens)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    selections: &'a BTreeMap<String, Expr>,
    /// Number of questions by selection, where it was counted.
    sizes: BTreeMap<&'a str, usize>,
    questions: usize,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Option<&Token> {
        let token = self.tokens.get(self.at);
        self.at += 1;
        token
    }

    fn accept(&mut self, token: &Token) -> bool {
        let found = self.tokens.get(self.at) == Some(token);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Expr, String> {
        let mut items = vec![self.and()?];
        while self.accept(&Token::Or) {
            items.push(self.and()?);
        }
        Ok(single_or(items, Expr::Or))
    }

    fn and(&mut self) -> Result<Expr, String> {
        let mut items = vec![self.not()?];
        while self.accept(&Token::And) {
            items.push(self.not()?);
        }
        Ok(single_or(items, Expr::And))
    }

    fn not(&mut self) -> Result<Expr, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!(
                "'condition' is nested deeper than {MAX_DEPTH}; take brackets out or use '1 of' and 'all of'"
            ));
        }
        let expr = if self.accept(&Token::Not) {
            Ok(Expr::Not(Box::new(self.not()?)))
        } else {
            self.atom()
        };
        self.depth -= 1;
        expr
    }

    fn atom(&mut self) -> Result<Expr, String> {
        match self.next().cloned() {
            Some(Token::Open) => {
                let inner = self.or()?;
                if self.accept(&Token::Close) {
                    Ok(inner)
                } else {
                    Err("a bracket of the 'condition' is not closed; add ')'".to_owned())
                }
            }
            Some(Token::Of { all }) => self.of(all),
            Some(Token::Name(name)) => match self.selections.get_key_value(&name) {
                Some((name, expr)) => self.taken(name, expr),
                None => Err(format!(
                    "'condition' names '{name}', which is not a selection{}; name one that the detection has",
                    near::hint(&name, self.selections.keys().map(String::as_str))
                )),
            },
            Some(token) => Err(format!(
                "'condition' has {} where a selection should stand",
                name(&token)
            )),
            None => Err("'condition' ends where a selection should stand".to_owned()),
        }
    }

    fn of(&mut self, all: bool) -> Result<Expr, String> {
        let matching: Vec<Expr> = match self.next().cloned() {
            Some(Token::Them) => self.matching(|name| !name.starts_with('_'))?,
            Some(Token::Name(pattern)) => {
                let glob = crate::pattern::Pattern::parse(&pattern);
                let found = self.matching(|name| glob.is_match(name))?;
                if found.is_empty() {
                    return Err(format!(
                        "'{pattern}' after 'of' names no selection; make it meet one that the detection has"
                    ));
                }
                found
            }
            _ => {
                return Err(
                    "'of' in the 'condition' needs 'them' or a selection's name after it, such as '1 of selection*'"
                        .to_owned(),
                );
            }
        };
        if matching.is_empty() {
            return Err(
                "'them' names no selection, as those that start with _ do not count; name one"
                    .to_owned(),
            );
        }
        Ok(if all {
            single_or(matching, Expr::And)
        } else {
            single_or(matching, Expr::Or)
        })
    }

    fn matching(&mut self, wanted: impl Fn(&str) -> bool) -> Result<Vec<Expr>, String> {
        let found = self.selections.iter().filter(|(name, _)| wanted(name));
        found.map(|(name, expr)| self.taken(name, expr)).collect()
    }

    /// A selection put in its place.
    fn taken(&mut self, name: &'a str, expr: &Expr) -> Result<Expr, String> {
        let size = *self.sizes.entry(name).or_insert_with(|| {
            let mut size = 0;
            expr.for_each_leaf(&mut |_| size += 1);
            size
        });
        self.questions += size.max(1);
        if self.questions > MAX_QUESTIONS {
            return Err(format!(
                "'condition' asks more than {MAX_QUESTIONS} questions; name each selection once, or split the rule"
            ));
        }
        Ok(expr.clone())
    }
}

fn single_or(mut items: Vec<Expr>, many: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    if items.len() == 1 {
        items.remove(0)
    } else {
        many(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expr::Leaf;
    use crate::matcher::Matcher;

    fn shape(expr: &Expr) -> String {
        let join = |items: &[Expr], sign: &str| {
            let items: Vec<_> = items.iter().map(shape).collect();
            format!("({})", items.join(sign))
        };
        match expr {
            Expr::And(items) => join(items, " & "),
            Expr::Or(items) => join(items, " | "),
            Expr::Not(item) => format!("!{}", shape(item)),
            Expr::Leaf(leaf) => leaf.selection.clone(),
        }
    }

    fn check(condition: &str, expected: &str) {
        let leaf = |name: &str| {
            Expr::Leaf(Box::new(Leaf {
                selection: name.to_owned(),
                field: None,
                matcher: Matcher::Never,
                written: String::new(),
            }))
        };
        let names = ["sel_a", "sel_b", "filter", "_hidden"];
        let selections = names.map(|name| (name.to_owned(), leaf(name))).into();
        let found = match parse(condition, &selections) {
            Ok(expr) => shape(&expr),
            Err(reason) => reason,
        };
        assert_eq!(found, expected, "{condition}");
    }

    #[test]
    fn conditions_bind_as_the_specification_says() {
        check("sel_a", "sel_a");
        check(
            "sel_a or sel_b and not filter",
            "(sel_a | (sel_b & !filter))",
        );
        check(
            "(sel_a OR sel_b) AND NOT filter",
            "((sel_a | sel_b) & !filter)",
        );
        check(
            "1 of sel_* and not 1 of filter*",
            "((sel_a | sel_b) & !filter)",
        );
        check("all of them", "(filter & sel_a & sel_b)");
        check("any of sel_a", "sel_a");
        check("not not sel_a", "!!sel_a");
    }

    #[test]
    fn broken_conditions_are_named() {
        check(
            "sel_x",
            "'condition' names 'sel_x', which is not a selection (did you mean sel_a, sel_b?); name one that the detection has",
        );
        check(
            "sel_a and",
            "'condition' ends where a selection should stand",
        );
        check(
            "(sel_a",
            "a bracket of the 'condition' is not closed; add ')'",
        );
        check(
            "sel_a)",
            "a bracket of the 'condition' closes that was not opened; remove it or open it",
        );
        check(
            "sel_a sel_b",
            "the 'condition' has 'sel_b' where 'and', 'or' or its end should stand",
        );
        check(
            "1 of nothing*",
            "'nothing*' after 'of' names no selection; make it meet one that the detection has",
        );
        check(
            "2 of sel_*",
            "'2 of' is not in the specification; use '1 of' or 'all of'",
        );
        let reason =
            "'condition' is nested deeper than 64; take brackets out or use '1 of' and 'all of'";
        check(&format!("{}sel_a", "not ".repeat(100)), reason);
        let (open, close) = ("(".repeat(10_000), ")".repeat(10_000));
        check(&format!("{open}sel_a{close}"), reason);
    }
}
