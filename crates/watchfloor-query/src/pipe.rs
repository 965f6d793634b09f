//! The pipe form of the hunt language: a source of rows and verbs that work on them, with the
//! verbs and functions of the Kusto Query Language.
//!
//! ```text
//! program    = { let ";" } pipeline [ ";" ]
//! let        = "let" name "=" ( pipeline | expression | "(" parameters ")" "{" program "}" )
//! pipeline   = source { "|" verb }
//! source     = table | search | "print" … | "range" … | "datatable" … | "union" … | "(" pipeline ")"
//! search     = what the search bar takes: words, phrases, field:value
//! ```

mod ast;
mod expression;
mod finding;
mod lexer;
mod per_row;
mod source;
mod tables;
mod verbs;
mod verbs_within;

use std::ops::Range;

pub use ast::{
    Arg, Binary, Expr, ExprKind, Find, FunctionBody, Join, JoinKind, Let, LetValue, MakeSeries,
    MvExpand, Named, ParseKv, ParsePart, ParseVerb, Pipeline, Program, ProjectKind, Render,
    SeqCondition, SeqStep, Sequence, SortKey, Sought, Source, Union, Verb, VerbKind,
};
pub use expression::{instant, span};
use lexer::{Placed, Token};
pub use per_row::is_per_row;
pub use tables::{TABLES, column_aliases, table_filter};

use crate::diagnostic::Diagnostic;

/// Deepest nesting of brackets.
const MAX_DEPTH: usize = 100;
/// Most operators such as `or` and `+`.
const MAX_OPERATORS: usize = 2_000;

/// The name of every verb.
pub fn verb_names() -> impl Iterator<Item = &'static str> {
    verbs::VERBS.into_iter()
}

/// Whether a text is of the pipe form and not what the search bar takes alone.
///
/// ```
/// use watchfloor_query::pipe::is_pipe;
/// assert!(is_pipe("failed | count") && is_pipe("let a = 5; events | take a"));
/// assert!(!is_pipe("\"a | b\" user:bob") && !is_pipe("print spooler") && !is_pipe("let me in"));
/// ```
pub fn is_pipe(text: &str) -> bool {
    let text = text.trim_start_matches(|next: char| next.is_whitespace() || next == '\u{feff}');
    let first = text.split(|next: char| !next.is_alphanumeric() && next != '_');
    let first = first.into_iter().next().unwrap_or_default();
    let behind = &text[first.len()..];
    let is_statement = text.starts_with("//")
        || text.starts_with("#connect")
        || begins_statement(first, behind.trim_start())
        || (behind.starts_with('(') && tables::is_function_of_rows(first))
        || (behind
            .trim_end_matches([';', ' ', '\n', '\r', '\t'])
            .is_empty()
            && tables::is_camel(first)
            && table_filter(first).is_some())
        || text
            .strip_prefix('.')
            .is_some_and(|rest| rest.starts_with(|next: char| next.is_ascii_lowercase()));
    is_statement || text[source::end_of_search(text)..].starts_with('|') || has_pipe(text)
}

/// Whether a word that a search may begin with as well is a statement, since only one goes on so.
fn begins_statement(first: &str, rest: &str) -> bool {
    let begins_name = |next: char| next.is_alphabetic() || next == '_';
    let goes_on = |signs: &[char]| {
        let name = rest.trim_start_matches(|next: char| next.is_alphanumeric() || next == '_');
        rest.starts_with(begins_name) && name.trim_start().starts_with(signs)
    };
    let is_option = |names: &[&str]| {
        names.iter().any(|name| {
            rest.strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with('='))
        })
    };
    let in_tables = || {
        rest.strip_prefix("in")
            .is_some_and(|rest| rest.trim_start().starts_with('('))
    };
    match first {
        "let" => goes_on(&['=']),
        "set" => goes_on(&['=', ';']),
        "declare" => rest.starts_with("query_parameters") || rest.starts_with("pattern"),
        "print" => {
            goes_on(&['=', '(', ',', '.'])
                || rest.starts_with(['\'', '@'])
                || rest.starts_with(|next: char| next.is_ascii_digit())
        }
        "datatable" | "externaldata" | "materialize" => rest.starts_with('('),
        "workspace" | "cluster" | "database" => {
            rest.starts_with("(\"") || rest.starts_with("('") || rest.starts_with("(@")
        }
        "range" => rest.contains(" from ") && rest.contains(" to "),
        "union" => {
            rest.starts_with('(')
                || goes_on(&[',', '*'])
                || is_option(&["kind", "withsource", "isfuzzy"])
        }
        "search" => in_tables() || is_option(&["kind"]),
        "find" => in_tables() || rest.starts_with("where ") || is_option(&["withsource"]),
        _ => false,
    }
}

/// Whether a `|` stands outside of brackets and quotes, as the pipe form has quotes and comments.
fn has_pipe(text: &str) -> bool {
    if !text.contains('|') {
        return false;
    }
    let mut depth = 0_i32;
    for (token, _) in lexer::tokens(text, 0) {
        match token {
            Token::Sign("(" | "[" | "{") => depth += 1,
            Token::Sign(")" | "]" | "}") => depth -= 1,
            Token::Sign("|") if depth <= 0 => return true,
            _ => {}
        }
    }
    false
}

/// Parses a query of the pipe form.
///
/// # Errors
/// With place and hint, if the text is no query.
///
/// ```
/// use watchfloor_query::pipe::parse;
/// assert!(parse("user:bob | summarize count() by device.hostname, bin(time, 1h)").is_ok());
/// let error = parse("events | wear x").unwrap_err();
/// assert_eq!(error.start, 9);
/// assert!(error.hint.contains("where"));
/// ```
pub fn parse(text: &str) -> Result<Program, Diagnostic> {
    crate::parser::bounded(text)?;
    let mut parser = Parser {
        text,
        tokens: Vec::new(),
        brackets: Vec::new(),
        at: 0,
        depth: 0,
        operators: 0,
        names: Vec::new(),
    };
    parser.fill(0);
    let program = parser.program()?;
    match parser.peek() {
        None => Ok(program),
        Some((Token::Bad(error), _)) => Err(error.clone()),
        Some((token, place)) => Err(Diagnostic::new(
            format!("{token} is not expected here"),
            place.clone(),
            "begin a further verb with |, or a further statement with ;",
        )),
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Placed>,
    brackets: Vec<Option<source::Inside>>,
    at: usize,
    depth: usize,
    operators: usize,
    /// What `let` named so far, so that a name can be told from a word that is searched for.
    names: Vec<String>,
}

type Parsed<T> = Result<T, Diagnostic>;

impl Parser<'_> {
    /// Makes tokens of the text from a byte on.
    fn fill(&mut self, from: usize) {
        self.tokens = lexer::tokens(self.text, from);
        self.brackets = source::brackets(&self.tokens);
        self.at = 0;
    }

    fn peek(&self) -> Option<&Placed> {
        self.tokens.get(self.at)
    }

    fn peek_at(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.at + ahead).map(|(token, _)| token)
    }

    fn next(&mut self) -> Option<Placed> {
        let next = self.tokens.get(self.at).cloned();
        self.at += usize::from(next.is_some());
        next
    }

    /// Place of the next token; the end of the text where there is none.
    fn place(&self) -> Range<usize> {
        let end = self.text.len();
        self.peek().map_or(end..end, |(_, place)| place.clone())
    }

    /// End of the token before.
    fn end(&self) -> usize {
        let before = self.at.checked_sub(1).and_then(|at| self.tokens.get(at));
        before.map_or(0, |(_, place)| place.end)
    }

    fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Some((Token::Sign(other), _)) if *other == sign)
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_there = self.is_sign(sign);
        self.at += usize::from(is_there);
        is_there
    }

    fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Some((Token::Name(other), _)) if other == word)
    }

    fn take_word(&mut self, word: &str) -> bool {
        let is_there = self.is_word(word);
        self.at += usize::from(is_there);
        is_there
    }

    fn want_sign(&mut self, sign: &str, hint: &str) -> Parsed<()> {
        if self.take_sign(sign) {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{sign}'"), hint))
    }

    fn want_word(&mut self, word: &str, hint: &str) -> Parsed<()> {
        if self.take_word(word) {
            return Ok(());
        }
        Err(self.unexpected(&format!("'{word}'"), hint))
    }

    /// A name: of a column, a `let` or a function.
    fn name(&mut self, what: &str) -> Parsed<String> {
        match self.peek() {
            Some((Token::Name(name) | Token::QuotedName(name), _)) => {
                let name = name.clone();
                self.at += 1;
                Ok(name)
            }
            _ => Err(self.unexpected(what, "write a name such as user or ['my column']")),
        }
    }

    /// A name with parts, such as `process.cmd_line`.
    fn path(&mut self, what: &str) -> Parsed<String> {
        let mut path = self.name(what)?;
        while self.is_sign(".")
            && matches!(self.peek_at(1), Some(Token::Name(_) | Token::QuotedName(_)))
        {
            self.at += 1;
            path = format!("{path}.{}", self.name(what)?);
        }
        Ok(path)
    }

    fn unexpected(&self, wanted: &str, hint: &str) -> Diagnostic {
        if let Some((Token::Bad(error), _)) = self.peek() {
            return error.clone();
        }
        let found = self
            .peek()
            .map_or_else(|| "the end".to_owned(), |(token, _)| token.to_string());
        Diagnostic::new(
            format!("{wanted} is expected here, and there is {found}"),
            self.place(),
            hint,
        )
    }

    fn deeper(&mut self) -> Parsed<()> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(Diagnostic::new(
                format!("the query is nested deeper than {MAX_DEPTH}"),
                self.place(),
                "name parts of it with let",
            ));
        }
        Ok(())
    }

    /// Counts the operators, since each makes the tree deeper that others walk.
    fn longer(&mut self) -> Parsed<()> {
        self.operators += 1;
        if self.operators > MAX_OPERATORS {
            return Err(Diagnostic::new(
                format!("the query has more than {MAX_OPERATORS} operators"),
                self.place(),
                "write long lists with in (…) or has_any (…)",
            ));
        }
        Ok(())
    }

    /// Items with commas between them.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        let mut items = vec![one(self)?];
        while self.take_sign(",") {
            items.push(one(self)?);
        }
        Ok(items)
    }
}

/// The name of a list that is nearest to a mistyped one.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = name.to_lowercase();
    let scored = known
        .into_iter()
        .map(|other| (distance(&name, &other.to_lowercase()), other));
    let (least, other) = scored.min_by_key(|(distance, _)| *distance)?;
    (least <= name.len() / 3 + 1).then_some(other)
}

/// Levenshtein distance, Damerau's swap of neighbours left out.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, one) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, other) in right.iter().enumerate() {
            let above = row[column + 1];
            let kept = diagonal + usize::from(one != *other);
            row[column + 1] = kept.min(above + 1).min(row[column] + 1);
            diagonal = above;
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests;
