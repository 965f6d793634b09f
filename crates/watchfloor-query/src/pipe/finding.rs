//! `search`, `find` and `externaldata`: sources that look in many tables, or outside.

use super::ast::{Find, Named, Sought, Source};
use super::lexer::{self, Token};
use super::source::end_of_search;
use super::{Parsed, Parser};
use crate::ast::Query;

/// Words that make an expression of what is searched for.
const OPERATORS: [&str; 14] = [
    "has",
    "has_cs",
    "has_any",
    "has_all",
    "hasprefix",
    "hassuffix",
    "contains",
    "contains_cs",
    "startswith",
    "endswith",
    "matches",
    "in",
    "in~",
    "between",
];

impl Parser<'_> {
    /// `search "words"`, `search in (tables) …`: what follows the word.
    pub(super) fn search(&mut self) -> Parsed<Find> {
        let with_source = self.find_options()?;
        let tables = self.tables_in_brackets()?;
        let sought = self.sought()?;
        Ok(Find {
            tables,
            sought,
            with_source,
            project: Vec::new(),
        })
    }

    /// `find in (tables) where … project …`: what follows the word.
    pub(super) fn find(&mut self) -> Parsed<Source> {
        let with_source = self.find_options()?;
        let tables = self.tables_in_brackets()?;
        self.find_options()?;
        let sought = if self.take_word("where") {
            Sought::Condition(self.expression()?)
        } else {
            self.sought()?
        };
        let mut project = Vec::new();
        if self.take_word("project") || self.take_word("project-smart") {
            project = self.list(Self::find_column)?;
        }
        Ok(Source::Find(Box::new(Find {
            tables,
            sought,
            with_source,
            project,
        })))
    }

    /// A column of `find … project`, which may have a type behind it.
    fn find_column(&mut self) -> Parsed<Named> {
        let named = self.named()?;
        if self.take_sign(":") {
            self.name("a type")?;
        }
        Ok(named)
    }

    /// `kind=…`, `withsource=…` and the like, in any order.
    fn find_options(&mut self) -> Parsed<Option<String>> {
        let mut with_source = None;
        loop {
            self.hints();
            let Some((Token::Name(option), _)) = self.peek().cloned() else {
                return Ok(with_source);
            };
            let is_option = matches!(
                option.as_str(),
                "kind" | "withsource" | "datascope" | "isfuzzy"
            );
            if !is_option || !matches!(self.peek_at(1), Some(Token::Sign("="))) {
                return Ok(with_source);
            }
            self.at += 2;
            let value = self.option_value()?;
            if option == "withsource" {
                with_source = Some(value);
            }
        }
    }

    /// The value of an option: a word, a text or a number.
    pub(super) fn option_value(&mut self) -> Parsed<String> {
        let place = self.place();
        match self.peek().cloned() {
            Some((Token::Name(value) | Token::QuotedName(value) | Token::Text(value), _)) => {
                self.at += 1;
                Ok(value)
            }
            Some((Token::Long(_) | Token::Real(_), _)) => {
                self.at += 1;
                Ok(self.text[place].to_owned())
            }
            _ => Err(self.unexpected("a value", "write option=value")),
        }
    }

    /// `in (T1, T2*)`.
    fn tables_in_brackets(&mut self) -> Parsed<Vec<String>> {
        if !self.is_word("in") || !matches!(self.peek_at(1), Some(Token::Sign("("))) {
            return Ok(Vec::new());
        }
        self.at += 2;
        let tables = self.list(|parser| {
            let place = parser.place();
            if let Some(name) = parser.qualified_table()? {
                return Ok(name);
            }
            let written = parser.pattern_name();
            match written {
                Some(name) => Ok(name),
                None => Err(super::Diagnostic::new(
                    "a table is expected here",
                    place,
                    "write in (SecurityEvent, Device*)",
                )),
            }
        })?;
        self.want_sign(")", "close the tables with )")?;
        Ok(tables)
    }

    /// A name that may hold `*`, such as `Device*`.
    pub(super) fn pattern_name(&mut self) -> Option<String> {
        let start = self.place().start;
        let mut end = start;
        while let Some((token, place)) = self.peek() {
            let is_part = matches!(
                token,
                Token::Name(_) | Token::QuotedName(_) | Token::Sign("*")
            );
            if !is_part || (end != start && end != place.start) {
                break;
            }
            end = place.end;
            self.at += 1;
        }
        let written = self.text[start..end].trim_matches(['[', ']', '\'', '"', ' ']);
        (end > start).then(|| written.to_owned())
    }

    /// What a `search` looks for: words, or an expression where operators stand in it.
    fn sought(&mut self) -> Parsed<Sought> {
        let start = self.place().start;
        let end = start + end_of_search(&self.text[start..]);
        if self.text[start..end].trim() == "*" {
            self.at += 1;
            return Ok(Sought::Words(Query::All));
        }
        let end = self.text.len().min(end.max(start));
        let is_condition = self.tokens[self.at..]
            .iter()
            .take_while(|(_, place)| place.start < end)
            .any(|(token, place)| match token {
                Token::Sign("==" | "!=" | "=~" | "!~" | "<" | ">" | "<=" | ">=") => true,
                Token::Name(word) => {
                    let word = word.strip_prefix('!').unwrap_or(word);
                    OPERATORS.contains(&word)
                }
                // The search bar's language knows texts in double quotes only.
                Token::Text(_) => !self.text[place.clone()].starts_with('"'),
                _ => false,
            });
        if is_condition {
            return Ok(Sought::Condition(self.expression()?));
        }
        self.query().map(Sought::Words)
    }

    /// `externaldata (columns) [ addresses ] with (options)`.
    pub(super) fn external_data(&mut self) -> Parsed<Source> {
        const HINT: &str = "write externaldata(name: string)[ 'https://…' ] with (format='csv')";
        self.at += 1;
        self.hints();
        self.want_sign("(", HINT)?;
        let columns = self.typed_columns(HINT)?;
        if matches!(self.peek(), Some((Token::QuotedName(_), _))) {
            self.at += 1;
        } else if self.is_sign("[") {
            self.at = self.closing(self.at).map_or(self.at, |close| close + 1);
        } else {
            return Err(self.unexpected("'['", HINT));
        }
        if self.take_word("with") {
            self.skip_brackets()?;
        }
        Ok(Source::External(columns))
    }

    /// `name: type, …)`, with the bracket that closes.
    pub(super) fn typed_columns(&mut self, hint: &str) -> Parsed<Vec<(String, String)>> {
        let mut columns = Vec::new();
        while !self.take_sign(")") {
            if self.take_sign("*") {
                self.take_sign(",");
                continue;
            }
            let name = self.path("a column")?;
            self.want_sign(":", hint)?;
            columns.push((name, self.name("a type")?));
            if !self.take_sign(",") && !self.is_sign(")") {
                return Err(self.unexpected("',' or ')'", hint));
            }
        }
        Ok(columns)
    }

    /// Passes over brackets with all that they hold.
    pub(super) fn skip_brackets(&mut self) -> Parsed<()> {
        match self.closing(self.at) {
            Some(close) => {
                self.at = close + 1;
                Ok(())
            }
            None => Err(self.unexpected("brackets", "close what is opened")),
        }
    }

    /// `cluster("c").database("d").T`, `workspace("w").T` or `table("T")`: the table's name.
    pub(super) fn qualified_table(&mut self) -> Parsed<Option<String>> {
        let is_place = |token: Option<&Token>| {
            matches!(token, Some(Token::Name(name)) if matches!(name.as_str(),
                "cluster" | "database" | "workspace" | "app" | "resource" | "adx" | "arg" | "table"))
        };
        let first = self.peek().map(|(token, _)| token);
        if !is_place(first) || !matches!(self.peek_at(1), Some(Token::Sign("("))) {
            return Ok(None);
        }
        loop {
            let is_table = self.is_word("table");
            self.at += 1;
            if is_table {
                self.at += 1;
                let name = match self.peek().cloned() {
                    Some((Token::Text(name) | Token::Name(name), _)) => name,
                    _ => return Err(self.unexpected("a table", "write table('SecurityEvent')")),
                };
                self.at -= 1;
                self.skip_brackets()?;
                return Ok(Some(name));
            }
            self.skip_brackets()?;
            self.want_sign(".", "name the table behind a dot")?;
            let next = self.peek().map(|(token, _)| token);
            if is_place(next) && matches!(self.peek_at(1), Some(Token::Sign("("))) {
                continue;
            }
            if matches!(self.peek_at(1), Some(Token::Sign("("))) {
                return Ok(None);
            }
            return match self.pattern_name() {
                Some(name) => Ok(Some(name)),
                None => Err(self.unexpected("a table", "name the table behind a dot")),
            };
        }
    }
}

/// A JSON document as Kusto takes it: texts in single quotes, comments, a comma at the end; none
/// where it is no document.
pub(super) fn document(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if let Some((value, len)) = lexer::literal(text, at).ok()? {
            quoted(&value, &mut out);
            at += len;
            continue;
        }
        if text[at..].starts_with("//") {
            at += text[at..].find('\n').unwrap_or(text.len() - at);
            continue;
        }
        if next.is_alphabetic() {
            let word: String = text[at..]
                .chars()
                .take_while(|next| next.is_alphanumeric() || matches!(next, '_' | '.'))
                .collect();
            at += word.len();
            // `datetime(…)` within a document is the text of it.
            if text[at..].trim_start().starts_with('(') {
                let close = at + text[at..].find(')')?;
                let inside = text[at..close].trim_start().trim_start_matches('(');
                quoted(inside.trim().trim_matches(['"', '\'']), &mut out);
                at = close + 1;
                continue;
            }
            match word.as_str() {
                "true" | "false" | "null" => out.push_str(&word),
                other => quoted(other, &mut out),
            }
            continue;
        }
        if matches!(next, ']' | '}') {
            let kept = out.trim_end().trim_end_matches(',').len();
            out.truncate(kept);
        }
        if !next.is_whitespace() {
            out.push(next);
        }
        at += next.len_utf8();
    }
    Some(out)
}

fn quoted(text: &str, out: &mut String) {
    out.push('"');
    for next in text.chars() {
        match next {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            next if next < ' ' => out.push_str(&format!("\\u{:04x}", u32::from(next))),
            next => out.push(next),
        }
    }
    out.push('"');
}
