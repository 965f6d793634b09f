//! Statements and sources: what stands before the first verb.

use super::ast::{Find, Let, LetValue, Pipeline, Program, Sought, Source, Union};
use super::lexer::{Placed, Token};
use super::tables::{is_function_of_rows, is_table_name};
use super::{MAX_DEPTH, Parsed, Parser};
use crate::ast::Query;
use crate::diagnostic::Diagnostic;

/// Names of the parameters of a function, with their defaults.
type Parameters = Vec<(String, Option<super::Expr>)>;

impl Parser<'_> {
    /// Statements and what is asked, to the end of the text.
    pub(super) fn program(&mut self) -> Parsed<Program> {
        if let (true, Some(Token::Name(command))) = (self.is_sign("."), self.peek_at(1)) {
            return Err(Diagnostic::new(
                format!("'.{command}' is a command that administers Kusto, and no query"),
                self.place(),
                "begin with a table or a search",
            ));
        }
        let lets = self.lets()?;
        let body = self.pipeline()?;
        while self.take_sign(";") {}
        Ok(Program { lets, body })
    }

    fn lets(&mut self) -> Parsed<Vec<Let>> {
        let mut lets = Vec::new();
        loop {
            while self.take_sign(";") {}
            if self.is_other_statement() {
                self.query_parameters(&mut lets)?;
                while !self.is_sign(";") && self.peek().is_some() {
                    self.at += 1;
                }
                continue;
            }
            if !self.is_word("let") || !matches!(self.peek_at(2), Some(Token::Sign("="))) {
                return Ok(lets);
            }
            self.at += 1;
            let name = self.name("the name that is given")?;
            self.at += 1;
            let value = self.let_value()?;
            self.names.push(name.clone());
            lets.push(Let { name, value });
            if !self.take_sign(";") && !self.is_sign("}") {
                return Err(self.unexpected("';'", "end the let with ;"));
            }
        }
    }

    /// Whether a statement follows that asks an engine for what this one does anyway or never.
    fn is_other_statement(&self) -> bool {
        let Some((Token::Name(word), _)) = self.peek() else {
            return false;
        };
        match (word.as_str(), self.peek_at(1)) {
            ("set", Some(Token::Name(_))) => true,
            ("declare", Some(Token::Name(what))) => what == "query_parameters" || what == "pattern",
            ("alias", Some(Token::Name(what))) => what == "database",
            ("restrict", Some(Token::Name(what))) => what == "access",
            _ => false,
        }
    }

    /// `declare query_parameters(a: long = 5)`: parameters with values are as good as `let`.
    fn query_parameters(&mut self, lets: &mut Vec<Let>) -> Parsed<()> {
        if !self.is_word("declare")
            || !matches!(self.peek_at(1), Some(Token::Name(what)) if what == "query_parameters")
            || !matches!(self.peek_at(2), Some(Token::Sign("(")))
        {
            return Ok(());
        }
        self.at += 2;
        let place = self.place();
        for (name, default) in self.parameter_list()? {
            let Some(default) = default else {
                return Err(Diagnostic::new(
                    format!("the parameter '{name}' has no value"),
                    place,
                    "write declare query_parameters(a: long = 5), or let a = 5;",
                ));
            };
            self.names.push(name.clone());
            lets.push(Let {
                name,
                value: LetValue::Scalar(default),
            });
        }
        Ok(())
    }

    fn let_value(&mut self) -> Parsed<LetValue> {
        let is_view = self.is_word("view") && matches!(self.peek_at(1), Some(Token::Sign("(")));
        self.at += usize::from(is_view);
        if let Some(parameters) = self.parameters()? {
            return self.function(parameters);
        }
        if self.is_rows(";") {
            return Ok(LetValue::Table(self.pipeline()?));
        }
        Ok(LetValue::Scalar(self.expression()?))
    }

    /// `(a: string, b: long = 5)` if a function's body follows.
    fn parameters(&mut self) -> Parsed<Option<Parameters>> {
        if !self.is_sign("(") {
            return Ok(None);
        }
        let close = self.closing(self.at);
        let opens = |at: usize| matches!(self.tokens.get(at), Some((Token::Sign("{"), _)));
        if !close.is_some_and(|close| opens(close + 1)) {
            return Ok(None);
        }
        self.parameter_list().map(Some)
    }

    fn parameter_list(&mut self) -> Parsed<Parameters> {
        self.at += 1;
        let mut parameters = Vec::new();
        while !self.take_sign(")") {
            let name = self.name("a parameter")?;
            if self.take_sign(":") {
                // A table's columns stand in brackets.
                if self.is_sign("(") {
                    self.at = self.closing(self.at).map_or(self.at, |close| close + 1);
                } else {
                    self.at += 1;
                }
            }
            let default = if self.take_sign("=") {
                Some(self.expression()?)
            } else {
                None
            };
            parameters.push((name, default));
            if !self.take_sign(",") && !self.is_sign(")") {
                return Err(
                    self.unexpected("',' or ')'", "name parameters as (a: string, b: long)")
                );
            }
        }
        Ok(parameters)
    }

    fn function(&mut self, parameters: Parameters) -> Parsed<LetValue> {
        self.want_sign("{", "write what the function gives in { }")?;
        self.deeper()?;
        let outside = self.names.len();
        self.names
            .extend(parameters.iter().map(|(name, _)| name.clone()));
        let lets = self.lets()?;
        let value = if self.is_rows("}") {
            LetValue::Table(self.pipeline()?)
        } else {
            LetValue::Scalar(self.expression()?)
        };
        while self.take_sign(";") {}
        self.want_sign("}", "close the function with }")?;
        self.names.truncate(outside);
        self.depth -= 1;
        Ok(LetValue::Function(parameters, Box::new((lets, value))))
    }

    /// Whether rows come up to a sign, and not a value.
    fn is_rows(&self, end: &str) -> bool {
        let keyword = match (self.peek(), self.peek_at(1)) {
            (Some((Token::Name(word), _)), next) => match word.as_str() {
                "datatable" | "externaldata" | "print" | "union" | "materialize" | "search"
                | "find" | "view" | "workspace" | "cluster" | "database" | "table" => {
                    !matches!(next, Some(Token::Sign(sign)) if *sign == end || *sign == "|")
                }
                "range" => matches!(next, Some(Token::Name(_) | Token::QuotedName(_))),
                _ => false,
            },
            _ => false,
        };
        let alone = match (self.peek(), self.peek_at(1)) {
            (Some((Token::Name(name), _)), Some(Token::Sign(sign))) => {
                *sign == end && is_table_name(name)
            }
            _ => false,
        };
        let mut depth = 0_i32;
        let pipes = self.tokens[self.at..].iter().find_map(|(token, _)| {
            if let Token::Sign(sign) = token {
                match *sign {
                    "(" | "[" | "{" => depth += 1,
                    ")" | "]" | "}" if depth > 0 => depth -= 1,
                    "|" if depth == 0 => return Some(true),
                    sign if depth == 0 && (sign == end || sign == ")" || sign == "}") => {
                        return Some(false);
                    }
                    _ => {}
                }
            }
            None
        });
        keyword || alone || pipes.unwrap_or(false) || self.is_pipeline_in_brackets()
    }

    /// The place of the bracket that closes the one at a place.
    pub(super) fn closing(&self, open: usize) -> Option<usize> {
        self.brackets.get(open)?.as_ref().map(|inside| inside.close)
    }

    /// Whether brackets that open here hold a pipeline.
    pub(super) fn is_pipeline_in_brackets(&self) -> bool {
        if !self.is_sign("(") {
            return false;
        }
        let mut open = self.at;
        // Brackets directly within brackets are looked through.
        loop {
            let Some(close) = self.closing(open) else {
                return false;
            };
            let inside = self.brackets.get(open).and_then(Option::as_ref);
            if inside.is_some_and(|inside| inside.has_pipe) {
                return true;
            }
            let next = self.tokens.get(open + 1).map(|(token, _)| token);
            match next {
                Some(Token::Sign("(")) if self.closing(open + 1) == Some(close - 1) => open += 1,
                Some(Token::Name(name)) if close == open + 2 => {
                    return is_table_name(name) || self.names.contains(name);
                }
                Some(Token::Name(name)) => {
                    return match self.tokens.get(open + 2).map(|(token, _)| token) {
                        // A call of a function that gives rows.
                        Some(Token::Sign("(")) => {
                            let is_call = self.closing(open + 2).map(|end| end + 1) == Some(close);
                            matches!(
                                name.as_str(),
                                "datatable"
                                    | "externaldata"
                                    | "materialize"
                                    | "workspace"
                                    | "cluster"
                                    | "database"
                                    | "union"
                            ) || (is_call
                                && (is_function_of_rows(name) || self.names.contains(name)))
                        }
                        Some(Token::Name(_)) => {
                            matches!(name.as_str(), "union" | "print" | "search" | "find")
                                || (name == "range"
                                    && matches!(self.tokens.get(open + 3), Some((Token::Name(word), _)) if word == "from"))
                        }
                        Some(_) => matches!(name.as_str(), "union" | "print" | "search"),
                        None => false,
                    };
                }
                _ => return false,
            }
            if open - self.at > MAX_DEPTH {
                return false;
            }
        }
    }

    pub(super) fn pipeline(&mut self) -> Parsed<Pipeline> {
        self.deeper()?;
        let start = self.place().start;
        let source = self.source()?;
        let place = start..self.end().max(start);
        let mut verbs = Vec::new();
        while self.take_sign("|") {
            verbs.push(self.verb()?);
        }
        self.depth -= 1;
        Ok(Pipeline {
            source,
            verbs,
            place,
        })
    }

    fn source(&mut self) -> Parsed<Source> {
        if self.is_pipeline_in_brackets() {
            self.at += 1;
            let inner = self.pipeline()?;
            self.want_sign(")", "close it with )")?;
            return Ok(Source::Group(Box::new(inner)));
        }
        let Some((Token::Name(name) | Token::QuotedName(name), _)) = self.peek().cloned() else {
            return self.search_source();
        };
        let ends = matches!(
            self.peek_at(1),
            None | Some(Token::Sign("|" | ";" | ")" | "}" | ","))
        );
        if let Some(table) = self.qualified_table()? {
            return Ok(Source::Table(table));
        }
        let opens = matches!(self.peek_at(1), Some(Token::Sign("(")));
        match name.as_str() {
            "print" => {
                self.at += 1;
                return Ok(Source::Print(self.list(Self::named)?));
            }
            "range" if matches!(self.peek_at(2), Some(Token::Name(word)) if word == "from") => {
                return self.range();
            }
            "datatable" if opens => return self.data_table(),
            "union" => {
                self.at += 1;
                return Ok(Source::Union(self.union()?));
            }
            "externaldata" if opens => return self.external_data(),
            "find" if self.is_find() => {
                self.at += 1;
                return self.find();
            }
            "search" if !ends => return self.search_verb(),
            "materialize" | "view" if opens => {
                self.at += 2;
                let inner = self.pipeline()?;
                self.want_sign(")", "close it with )")?;
                return Ok(Source::Group(Box::new(inner)));
            }
            _ => {}
        }
        let is_quoted = matches!(self.peek(), Some((Token::QuotedName(_), _)));
        if ends && (is_quoted || is_table_name(&name) || self.names.contains(&name)) {
            self.at += 1;
            return Ok(Source::Table(name));
        }
        // Nothing between the name and its bracket: `a (b or c)` is a search.
        let is_call = opens
            && matches!((self.peek(), self.tokens.get(self.at + 1)), (Some((_, name)), Some((_, open))) if name.end == open.start);
        if opens && (is_call || self.names.contains(&name)) {
            self.at += 2;
            let args = self.arguments()?;
            return Ok(Source::Call(name, args));
        }
        self.search_source()
    }

    /// `search` as a source, which is the search bar's own where it looks for words in all tables.
    fn search_verb(&mut self) -> Parsed<Source> {
        self.at += 1;
        Ok(match self.search()? {
            Find {
                tables,
                sought: Sought::Words(query),
                with_source: None,
                ..
            } if tables.is_empty() => Source::Search(query),
            find => Source::Find(Box::new(find)),
        })
    }

    /// Whether `find` is the verb and no word that is searched for.
    fn is_find(&self) -> bool {
        match (self.peek_at(1), self.peek_at(2)) {
            (Some(Token::Name(word)), Some(Token::Sign("("))) => word == "in" || word == "where",
            (Some(Token::Name(word)), Some(Token::Sign("="))) => {
                word == "withsource" || word == "datascope"
            }
            (Some(Token::Name(word)), _) => word == "where",
            _ => false,
        }
    }

    fn search_source(&mut self) -> Parsed<Source> {
        self.query().map(Source::Search)
    }

    /// What the search bar takes, up to `|`, `;` or a bracket that closes.
    pub(super) fn query(&mut self) -> Parsed<Query> {
        let start = self.place().start;
        let end = start + end_of_search(&self.text[start..]);
        let query = crate::parser::parse(&self.text[start..end]).map_err(|mut error| {
            error.start += start;
            error.end += start;
            error
        })?;
        self.fill(end);
        Ok(query)
    }

    fn range(&mut self) -> Parsed<Source> {
        self.at += 1;
        let name = self.name("a column")?;
        self.want_word("from", "write range x from 1 to 10 step 1")?;
        let from = self.sum()?;
        self.want_word("to", "write range x from 1 to 10 step 1")?;
        let to = self.sum()?;
        self.want_word("step", "write range x from 1 to 10 step 1")?;
        let step = self.sum()?;
        Ok(Source::Range(name, from, to, step))
    }

    fn data_table(&mut self) -> Parsed<Source> {
        const HINT: &str = "write datatable(name: string, count: long)[ 'a', 1 ]";
        self.at += 2;
        let columns = self.typed_columns(HINT)?;
        if columns.is_empty() {
            return Err(self.unexpected("a column", HINT));
        }
        // One text in brackets looks like a quoted name.
        if let Some((Token::QuotedName(text), place)) = self.peek().cloned() {
            self.at += 1;
            let kind = super::ExprKind::Text(text);
            return Ok(Source::DataTable(
                columns,
                vec![super::Expr { kind, place }],
            ));
        }
        self.want_sign("[", HINT)?;
        let mut values = Vec::new();
        while !self.take_sign("]") {
            values.push(self.expression()?);
            if !self.take_sign(",") && !self.is_sign("]") {
                return Err(self.unexpected("',' or ']'", HINT));
            }
        }
        Ok(Source::DataTable(columns, values))
    }

    /// What follows `union`.
    pub(super) fn union(&mut self) -> Parsed<Union> {
        let mut union = Union {
            parts: Vec::new(),
            is_inner: false,
            is_fuzzy: false,
            with_source: None,
        };
        self.hints();
        while let (Some((Token::Name(option), _)), Some(Token::Sign("="))) =
            (self.peek().cloned(), self.peek_at(1))
        {
            self.at += 2;
            let value = self.option_value()?;
            match option.as_str() {
                "kind" => union.is_inner = value == "inner",
                "isfuzzy" => union.is_fuzzy = value == "true",
                "withsource" => union.with_source = Some(value),
                _ => {}
            }
            self.hints();
        }
        union.parts = self.list(|parser| {
            let start = parser.place().start;
            let is_pattern = match (parser.peek(), parser.peek_at(1)) {
                (Some((Token::Sign("*"), _)), _) => true,
                (Some((Token::Name(_), name)), Some(Token::Sign("*"))) => parser
                    .tokens
                    .get(parser.at + 1)
                    .is_some_and(|(_, star)| star.start == name.end),
                _ => false,
            };
            // A name alone among others is a table's, whatever it looks like.
            let is_name = matches!(
                parser.peek(),
                Some((Token::Name(_) | Token::QuotedName(_), _))
            ) && matches!(
                parser.peek_at(1),
                None | Some(Token::Sign("," | "|" | ")" | ";" | "}"))
            );
            let source = if is_pattern || is_name {
                Source::Table(parser.pattern_name().unwrap_or_default())
            } else {
                parser.source()?
            };
            let place = start..parser.end().max(start);
            let verbs = Vec::new();
            Ok(Pipeline {
                source,
                verbs,
                place,
            })
        })?;
        Ok(union)
    }

    /// The rows in brackets or a name, as the right side of a join.
    pub(super) fn right_side(&mut self) -> Parsed<Pipeline> {
        let start = self.place().start;
        let named = match self.peek() {
            Some((Token::Name(name) | Token::QuotedName(name), _)) => Some(name.clone()),
            _ => None,
        };
        let source = match named {
            Some(name) if !matches!(self.peek_at(1), Some(Token::Sign("(" | "."))) => {
                self.at += 1;
                Source::Table(name)
            }
            _ if self.is_sign("(") => {
                self.at += 1;
                let inner = self.pipeline()?;
                self.want_sign(")", "close the right side with )")?;
                Source::Group(Box::new(inner))
            }
            _ => self.source()?,
        };
        Ok(Pipeline {
            source,
            verbs: Vec::new(),
            place: start..self.end().max(start),
        })
    }
}

/// What is known of an opening bracket.
#[derive(Clone, Debug)]
pub(super) struct Inside {
    close: usize,
    /// Whether a `|` stands within, outside of further brackets.
    has_pipe: bool,
}

/// By token: what an opening bracket holds, where it is closed.
pub(super) fn brackets(tokens: &[Placed]) -> Vec<Option<Inside>> {
    let mut known = vec![None; tokens.len()];
    let mut open: Vec<(usize, bool)> = Vec::new();
    for (place, (token, _)) in tokens.iter().enumerate() {
        match token {
            Token::Sign("(" | "[" | "{") => open.push((place, false)),
            Token::Sign("|") => {
                if let Some((_, has_pipe)) = open.last_mut() {
                    *has_pipe = true;
                }
            }
            Token::Sign(")" | "]" | "}") => {
                if let Some((start, has_pipe)) = open.pop() {
                    known[start] = Some(Inside {
                        close: place,
                        has_pipe,
                    });
                }
            }
            _ => {}
        }
    }
    known
}

/// Where a search ends: at `|` or `;` outside of quotes, or at a bracket that it did not open.
pub(super) fn end_of_search(text: &str) -> usize {
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for (index, next) in text.char_indices() {
        match next {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' => depth += 1,
            ')' | ']' | '}' if depth == 0 => return index,
            ')' | ']' => depth -= 1,
            '|' | ';' => return index,
            '/' if text[index..].starts_with("//") && is_comment(text, index) => return index,
            _ => {}
        }
    }
    text.len()
}

/// `//` begins a comment after a blank, so that it does not in `http://x`.
fn is_comment(text: &str, index: usize) -> bool {
    index == 0 || text[..index].ends_with(char::is_whitespace)
}

/// A verb that there is not, with the one that was likely meant.
pub(super) fn unknown_verb(
    name: &str,
    place: std::ops::Range<usize>,
    known: &[&str],
) -> Diagnostic {
    let near = super::nearest(name, known.iter().copied());
    let hint = match near {
        Some(near) => format!("did you mean {near}? Verbs are {}", known.join(", ")),
        None => format!("verbs are {}", known.join(", ")),
    };
    Diagnostic::new(format!("'{name}' is no verb"), place, &hint)
}
