//! From pieces to a query.
//!
//! ```text
//! or      = and { "or" and }
//! and     = not { [ "and" ] not }
//! not     = ( "not" | "-" ) not | atom
//! atom    = "(" or ")" | field value | word | quoted
//! value   = "(" word { [ "or" ] word } ")" | "[" from "to" to "]"
//!         | ">" ">=" "<" "<=" number | "*" | network | word | quoted
//! ```

use std::ops::Range;

use crate::ast::{Query, Test, TextPattern};
use crate::diagnostic::Diagnostic;
use crate::lexer::{self, Placed, Token};

/// Longest query in bytes.
const MAX_BYTES: usize = 1 << 20;
/// Deepest nesting of brackets and `not`.
const MAX_DEPTH: usize = 100;
/// Most conditions in a query.
const MAX_CONDITIONS: usize = 10_000;

/// Parses a query; blank text asks for every event.
///
/// # Errors
/// With place and hint, if the text is no query.
///
/// ```
/// use watchfloor_query::parse;
/// assert!(parse("failed user:j.doe -src_endpoint.ip:10.0.0.0/8").is_ok());
/// assert_eq!(parse("user:").unwrap_err().start, 0);
/// ```
pub fn parse(text: &str) -> Result<Query, Diagnostic> {
    bounded(text)?;
    let tokens = lexer::tokens(text)?;
    if tokens.is_empty() {
        return Ok(Query::All);
    }
    let mut parser = Parser {
        tokens,
        at: 0,
        depth: 0,
        conditions: 0,
        end: text.len(),
    };
    let query = parser.or()?;
    match parser.tokens.get(parser.at) {
        None => Ok(query),
        Some((_, place)) => Err(Diagnostic::new(
            "a bracket is closed that was not opened",
            place.clone(),
            "take it away, or open it before",
        )),
    }
}

/// Refuses a text that is too long to be a query.
pub(crate) fn bounded(text: &str) -> Result<(), Diagnostic> {
    if text.len() <= MAX_BYTES {
        return Ok(());
    }
    Err(Diagnostic::new(
        format!(
            "the query has {} bytes; the limit is {MAX_BYTES}",
            text.len()
        ),
        0..text.len(),
        "use a list file or several queries",
    ))
}

struct Parser {
    tokens: Vec<Placed>,
    at: usize,
    depth: usize,
    conditions: usize,
    end: usize,
}

impl Parser {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at).map(|(token, _)| token)
    }

    fn place(&self) -> Range<usize> {
        let place = self.tokens.get(self.at).map(|(_, place)| place.clone());
        place.unwrap_or(self.end..self.end)
    }

    fn is_keyword(&self, keyword: &str) -> bool {
        matches!(self.peek(), Some(Token::Word(word)) if word.eq_ignore_ascii_case(keyword))
    }

    fn accept_keyword(&mut self, keyword: &str) -> bool {
        let found = self.is_keyword(keyword);
        self.at += usize::from(found);
        found
    }

    fn or(&mut self) -> Result<Query, Diagnostic> {
        let mut items = vec![self.and()?];
        while self.accept_keyword("or") {
            items.push(self.and()?);
        }
        Ok(join(items, Query::Or))
    }

    fn and(&mut self) -> Result<Query, Diagnostic> {
        let mut items = vec![self.not()?];
        loop {
            self.accept_keyword("and");
            match self.peek() {
                None | Some(Token::Close) => break,
                Some(_) if self.is_keyword("or") => break,
                Some(_) => items.push(self.not()?),
            }
        }
        Ok(join(items, Query::And))
    }

    fn not(&mut self) -> Result<Query, Diagnostic> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let message = format!("the query is nested deeper than {MAX_DEPTH}");
            return Err(Diagnostic::new(
                message,
                self.place(),
                "write it with fewer brackets",
            ));
        }
        let negated = self.accept_keyword("not") || {
            let minus = self.peek() == Some(&Token::Minus);
            self.at += usize::from(minus);
            minus
        };
        let query = if negated {
            self.not().map(|query| Query::Not(Box::new(query)))
        } else {
            self.atom()
        };
        self.depth -= 1;
        query
    }

    fn atom(&mut self) -> Result<Query, Diagnostic> {
        self.conditions += 1;
        if self.conditions > MAX_CONDITIONS {
            let message = format!("the query has more than {MAX_CONDITIONS} conditions");
            return Err(Diagnostic::new(
                message,
                self.place(),
                "use a list or several queries",
            ));
        }
        let place = self.place();
        let Some((token, _)) = self.tokens.get(self.at).cloned() else {
            return Err(Diagnostic::new(
                "something is missing here",
                place,
                "add a word or field:value",
            ));
        };
        self.at += 1;
        match token {
            Token::Open => {
                let query = self.or()?;
                if self.peek() == Some(&Token::Close) {
                    self.at += 1;
                    return Ok(query);
                }
                Err(Diagnostic::new(
                    "a bracket is not closed",
                    place,
                    "close it with )",
                ))
            }
            Token::Field(name) => self.field(name, place),
            Token::Quoted(text) => Ok(Query::Contains(TextPattern::Exact(text))),
            Token::Word(word) => Ok(Query::Contains(pattern(&word))),
            Token::Minus | Token::Close | Token::RangeOpen | Token::RangeClose => {
                Err(Diagnostic::new(
                    "something else should stand here",
                    place,
                    "put it in quotes if it is part of the text",
                ))
            }
        }
    }

    fn field(&mut self, name: String, place: Range<usize>) -> Result<Query, Diagnostic> {
        let value_place = self.place();
        let value = self
            .tokens
            .get(self.at)
            .filter(|_| value_place.start == place.end);
        let Some((token, _)) = value.cloned() else {
            let hint = format!("write {name}:value without a space, or {name}:* for any value");
            return Err(Diagnostic::new(
                format!("'{name}:' has no value"),
                place,
                &hint,
            ));
        };
        self.at += 1;
        let field = |test| Query::Field {
            name: name.clone(),
            test,
        };
        match token {
            Token::Quoted(text) => Ok(field(Test::Text(TextPattern::Exact(text)))),
            Token::Word(word) => Ok(field(test(&word, &value_place)?)),
            Token::Open => self.list(&name, value_place),
            Token::RangeOpen => self.range(&name, value_place),
            _ => Err(Diagnostic::new(
                format!("'{name}:' has no value"),
                place,
                "add a value after the colon",
            )),
        }
    }

    fn list(&mut self, name: &str, open: Range<usize>) -> Result<Query, Diagnostic> {
        let mut items = Vec::new();
        loop {
            let place = self.place();
            let Some((token, _)) = self.tokens.get(self.at).cloned() else {
                return Err(Diagnostic::new(
                    "a list is not closed",
                    open,
                    "close it with )",
                ));
            };
            self.at += 1;
            let test = match token {
                Token::Close if !items.is_empty() => return Ok(join(items, Query::Or)),
                Token::Word(word) if word.eq_ignore_ascii_case("or") => continue,
                Token::Word(word) => test(word.trim_end_matches(','), &place)?,
                Token::Quoted(text) => Test::Text(TextPattern::Exact(text)),
                _ => {
                    return Err(Diagnostic::new(
                        "a list holds values only",
                        place,
                        "write field:(a or b or \"c d\")",
                    ));
                }
            };
            items.push(Query::Field {
                name: name.to_owned(),
                test,
            });
        }
    }

    fn range(&mut self, name: &str, open: Range<usize>) -> Result<Query, Diagnostic> {
        let hint = "write field:[10 to 20]; * leaves a side open";
        let mut bounds = Vec::new();
        loop {
            let place = self.place();
            let Some((token, _)) = self.tokens.get(self.at).cloned() else {
                return Err(Diagnostic::new("a range is not closed", open, hint));
            };
            self.at += 1;
            match token {
                Token::RangeClose => break,
                Token::Word(word) if word.eq_ignore_ascii_case("to") => {}
                Token::Word(word) if word == "*" => bounds.push(None),
                Token::Word(word) => bounds.push(Some(number(&word, &place)?)),
                _ => return Err(Diagnostic::new("a range holds two numbers", place, hint)),
            }
        }
        let [from, to] = bounds.as_slice() else {
            return Err(Diagnostic::new("a range holds two numbers", open, hint));
        };
        let mut items = Vec::new();
        let mut add = |test| {
            items.push(Query::Field {
                name: name.to_owned(),
                test,
            });
        };
        if let Some(bound) = *from {
            add(Test::AtLeast {
                bound,
                inclusive: true,
            });
        }
        if let Some(bound) = *to {
            add(Test::AtMost {
                bound,
                inclusive: true,
            });
        }
        if items.is_empty() {
            return Ok(Query::Field {
                name: name.to_owned(),
                test: Test::Exists,
            });
        }
        Ok(join(items, Query::And))
    }
}

fn join(mut items: Vec<Query>, many: fn(Vec<Query>) -> Query) -> Query {
    if items.len() == 1 {
        items.remove(0)
    } else {
        many(items)
    }
}

fn test(word: &str, place: &Range<usize>) -> Result<Test, Diagnostic> {
    if word == "*" {
        return Ok(Test::Exists);
    }
    let comparisons = [
        (">=", true, true),
        ("<=", false, true),
        (">", true, false),
        ("<", false, false),
    ];
    for (sign, at_least, inclusive) in comparisons {
        if let Some(rest) = word.strip_prefix(sign) {
            let bound = number(rest, place)?;
            return Ok(if at_least {
                Test::AtLeast { bound, inclusive }
            } else {
                Test::AtMost { bound, inclusive }
            });
        }
    }
    if word.contains('/')
        && let Ok(network) = word.parse()
    {
        return Ok(Test::Network(network));
    }
    Ok(Test::Text(pattern(word)))
}

fn number(text: &str, place: &Range<usize>) -> Result<f64, Diagnostic> {
    text.parse().map_err(|_| {
        Diagnostic::new(
            format!("'{text}' is no number"),
            place.clone(),
            "write a number such as 10 or 0.5",
        )
    })
}

fn pattern(word: &str) -> TextPattern {
    if word.contains(['*', '?']) {
        TextPattern::Wildcard(word.to_owned())
    } else {
        TextPattern::Exact(word.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(query: &Query) -> String {
        let list = |items: &[Query], sign: &str| {
            let items: Vec<String> = items.iter().map(show).collect();
            format!("({})", items.join(sign))
        };
        match query {
            Query::All => "all".to_owned(),
            Query::And(items) => list(items, " & "),
            Query::Or(items) => list(items, " | "),
            Query::Not(item) => format!("!{}", show(item)),
            Query::Contains(TextPattern::Exact(text)) => text.clone(),
            Query::Contains(TextPattern::Wildcard(text)) => format!("~{text}"),
            Query::Field { name, test } => match test {
                Test::Text(TextPattern::Exact(text)) => format!("{name}={text}"),
                Test::Text(TextPattern::Wildcard(text)) => format!("{name}~{text}"),
                Test::Exists => format!("{name}?"),
                Test::Network(network) => format!("{name} in {network}"),
                Test::AtLeast { bound, inclusive } => {
                    format!("{name}>{}{bound}", if *inclusive { "=" } else { "" })
                }
                Test::AtMost { bound, inclusive } => {
                    format!("{name}<{}{bound}", if *inclusive { "=" } else { "" })
                }
            },
        }
    }

    fn check(text: &str, expected: &str) {
        let found = match parse(text) {
            Ok(query) => show(&query),
            Err(error) => format!("{}..{} {}", error.start, error.end, error.message),
        };
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn words_fields_and_their_joins() {
        check("", "all");
        check("  failed password ", "(failed & password)");
        check("a or b c", "(a | (b & c))");
        check("not (a or b) and c", "(!(a | b) & c)");
        check("-user:bob", "!user=bob");
        check("a -b", "(a & !b)");
        check("a - b", "(a & - & b)");
        check("\"a \\\"b\\\" c\"", "a \"b\" c");
        check("fe80::1 10:22", "(fe80::1 & 10:22)");
        check("Image:*\\cmd.exe", "Image~*\\cmd.exe");
        check("Image:C:\\x", "Image=C:\\x");
        check("ip:10.0.0.0/8", "ip in 10.0.0.0/8");
        check("path:/etc/passwd", "path=/etc/passwd");
        check("port:>=1024 x:<5", "(port>=1024 & x<5)");
        check("port:[1 to 5]", "(port>=1 & port<=5)");
        check("port:[1 to *]", "port>=1");
        check(
            "user:(ann or bob \"c d\")",
            "(user=ann | user=bob | user=c d)",
        );
        check("user:*", "user?");
    }

    #[test]
    fn errors_point_at_their_place() {
        check("a user: b", "2..7 'user:' has no value");
        check("user:", "0..5 'user:' has no value");
        check("a \"b", "2..4 a quote is not closed");
        check("(a b", "0..1 a bracket is not closed");
        check("a)", "1..2 a bracket is closed that was not opened");
        check("port:>x", "5..7 'x' is no number");
        check("a or", "4..4 something is missing here");
        check(
            &"(".repeat(10_000),
            "100..101 the query is nested deeper than 100",
        );
        assert!(parse(&"x".repeat((1 << 20) + 1)).is_err());
    }
}
