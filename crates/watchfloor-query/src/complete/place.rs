//! Where in a question the caret stands.

use std::ops::Range;

use super::ValueForm;
use crate::catalog::{JOIN_KINDS, RENDERS};
use crate::{is_sql, pipe};

/// What a place takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    /// Nothing that is known here: a free text, a comment.
    Nothing,
    /// Words and `field:value`; at the very start tables too.
    Search { is_first: bool },
    /// Where rows come from.
    Source,
    /// A verb.
    Verb,
    /// One of some words.
    Words(&'static [&'static str]),
    /// A value within a verb, with the text of the question before it.
    Operand { verb: String, before: &'a str },
    /// What joins values.
    Operator { verb: String },
    /// A value of a field; in an expression another operand too.
    Value {
        field: String,
        form: ValueForm,
        before: Option<(String, &'a str)>,
    },
}

/// What a bracket holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    /// A source and verbs.
    Rows,
    /// A part of an expression.
    Values,
}

/// An open bracket, or the whole text.
#[derive(Clone, Copy, Debug)]
struct Level {
    holds: Holds,
    /// Where what stands between two `|` begins.
    start: usize,
    is_verb: bool,
}

const WHOLE: Level = Level {
    holds: Holds::Rows,
    start: 0,
    is_verb: false,
};

/// Verbs whose brackets hold rows.
const TAKE_ROWS: [&str; 3] = ["join", "lookup", "union"];
/// Words with which no search begins, if something stands behind them.
const STATEMENTS: [&str; 7] = [
    "let",
    "print",
    "range",
    "datatable",
    "union",
    "declare",
    "set",
];
/// Words behind which a value is expected.
const BEFORE_OPERAND: [&str; 12] = [
    "and", "or", "not", "by", "on", "of", "with", "where", "from", "to", "step", "in",
];
/// Operators in words that compare a field with a text.
const TESTS: [&str; 14] = [
    "has",
    "contains",
    "startswith",
    "endswith",
    "hasprefix",
    "hassuffix",
    "has_cs",
    "contains_cs",
    "startswith_cs",
    "endswith_cs",
    "has_any",
    "has_all",
    "in",
    "in~",
];

/// What the place takes, and what is replaced there.
pub(super) fn of(text: &str, at: usize) -> (Place<'_>, Range<usize>) {
    if is_sql(text) {
        return (Place::Nothing, at..at);
    }
    let is_pipe = pipe::is_pipe(&text[..at]) || pipe::is_pipe(text);
    let word = word_at(text, at);
    let seen = look(&text[..at], is_pipe);
    if seen.is_comment {
        return (Place::Nothing, at..at);
    }
    if let Some((quote, start)) = seen.quote {
        return within_quotes(text, at, (quote, start), &seen);
    }
    let before = &text[..word.start];
    let seen = look(before, is_pipe);
    let level = seen.levels.last().copied().unwrap_or(WHOLE);
    let part = before[level.start..].trim_start();
    let verb = verb_of(text, &seen);
    if level.holds == Holds::Values {
        return (expression(before, part, verb), word);
    }
    if !level.is_verb {
        let first = part.split_whitespace().next().unwrap_or_default();
        if STATEMENTS.contains(&first) {
            return (expression(before, part, first.to_owned()), word);
        }
        if part.is_empty() && (level.start > 0 || is_pipe) {
            return (Place::Source, word);
        }
        return (search(before, part.is_empty()), word);
    }
    if part.is_empty() {
        return (Place::Verb, word);
    }
    let place = match verb.as_str() {
        "search" => search(before, false),
        "render" if part.split_whitespace().count() == 1 => Place::Words(&RENDERS),
        "join" if part.trim_end().ends_with("kind=") => Place::Words(&JOIN_KINDS),
        _ => expression(before, part, verb),
    };
    (place, word)
}

/// The word around the caret.
fn word_at(text: &str, at: usize) -> Range<usize> {
    let is_word =
        |next: char| next.is_alphanumeric() || matches!(next, '_' | '.' | '@' | '-' | '~');
    let start = text[..at]
        .char_indices()
        .rev()
        .take_while(|(_, next)| is_word(*next))
        .last();
    let start = start.map_or(at, |(start, _)| start);
    // A minus before a word of a search is no part of it.
    let signs = text[start..at].len() - text[start..at].trim_start_matches(['-', '.']).len();
    let end = text[at..]
        .find(|next| !is_word(next))
        .map_or(text.len(), |len| at + len);
    start + signs..end
}

/// What was met before the caret.
struct Seen {
    levels: Vec<Level>,
    quote: Option<(char, usize)>,
    is_comment: bool,
}

fn look(before: &str, is_pipe: bool) -> Seen {
    let mut seen = Seen {
        levels: vec![WHOLE],
        quote: None,
        is_comment: false,
    };
    let mut characters = before.char_indices().peekable();
    while let Some((at, next)) = characters.next() {
        if let Some((quote, _)) = seen.quote {
            match next {
                '\\' => {
                    characters.next();
                }
                next if next == quote => seen.quote = None,
                _ => {}
            }
            continue;
        }
        if seen.is_comment {
            seen.is_comment = next != '\n';
            continue;
        }
        let is_start = before[..at].trim_end_matches([' ', '\t']).is_empty()
            || before[..at].trim_end_matches([' ', '\t']).ends_with('\n');
        match next {
            '"' => seen.quote = Some((next, at)),
            // In a search an apostrophe is a part of a word.
            '\'' if is_pipe => seen.quote = Some((next, at)),
            '/' if is_start
                && is_pipe
                && characters.peek().is_some_and(|(_, next)| *next == '/') =>
            {
                seen.is_comment = true;
            }
            '(' | '[' | '{' => open(before, at, next, &mut seen.levels),
            ')' | ']' | '}' if seen.levels.len() > 1 => {
                seen.levels.pop();
            }
            '|' => {
                if let Some(level) = seen.levels.last_mut() {
                    (level.start, level.is_verb, level.holds) = (at + 1, true, Holds::Rows);
                }
            }
            ';' if seen.levels.len() == 1 => {
                seen.levels = vec![Level {
                    start: at + 1,
                    ..WHOLE
                }]
            }
            _ => {}
        }
    }
    seen
}

fn open(before: &str, at: usize, sign: char, levels: &mut Vec<Level>) {
    let level = levels.last().copied().unwrap_or(WHOLE);
    let part = before[level.start..at].trim_start();
    let first = part
        .split(|next: char| !next.is_alphanumeric() && next != '-')
        .next()
        .unwrap_or_default();
    let is_call = before[..at].ends_with(|next: char| next.is_alphanumeric() || next == '_');
    let takes_rows = TAKE_ROWS.contains(&first) && (level.is_verb || first == "union");
    let is_search = !level.is_verb && level.holds == Holds::Rows && !STATEMENTS.contains(&first);
    let level = match sign {
        '(' if is_search && !is_call => Level {
            start: level.start,
            ..level
        },
        '(' if takes_rows && !is_call => Level {
            start: at + 1,
            ..WHOLE
        },
        _ => Level {
            holds: Holds::Values,
            start: at + 1,
            is_verb: level.is_verb,
        },
    };
    levels.push(level);
}

/// The verb that the innermost brackets stand in.
fn verb_of(text: &str, seen: &Seen) -> String {
    let level = seen
        .levels
        .iter()
        .rev()
        .find(|level| level.holds == Holds::Rows);
    let start = level.filter(|level| level.is_verb).map(|level| level.start);
    let rest = start.map_or("", |start| text[start..].trim_start());
    let end = rest.find(|next: char| !next.is_alphanumeric() && next != '-');
    rest[..end.unwrap_or(rest.len())].to_owned()
}

fn within_quotes<'a>(
    text: &'a str,
    at: usize,
    (quote, start): (char, usize),
    seen: &Seen,
) -> (Place<'a>, Range<usize>) {
    let before = &text[..start];
    // Up to the closing quote, if it stands on this line.
    let rest = &text[at..];
    let close = rest.find(quote).filter(|len| !rest[..*len].contains('\n'));
    let replace = start + 1..close.map_or(at, |len| at + len + 1);
    let form = ValueForm::Within(quote);
    let level = seen.levels.last().copied().unwrap_or(WHOLE);
    let field = match before.strip_suffix(':') {
        Some(before) if level.holds == Holds::Rows => Some(last_name(before)),
        _ => compared(before),
    };
    let place = match field.filter(|field| !field.is_empty()) {
        Some(field) => Place::Value {
            field: field.to_owned(),
            form,
            before: None,
        },
        None => Place::Nothing,
    };
    (place, replace)
}

fn search(before: &str, is_first: bool) -> Place<'_> {
    if let Some(rest) = before.strip_suffix(':') {
        let field = last_name(rest);
        if !field.is_empty() {
            return Place::Value {
                field: field.to_owned(),
                form: ValueForm::Search,
                before: None,
            };
        }
    }
    // A list of values of a field.
    if let Some(open) = before.rfind(":(")
        && !before[open..].contains(')')
    {
        return Place::Value {
            field: last_name(&before[..open]).to_owned(),
            form: ValueForm::Search,
            before: None,
        };
    }
    Place::Search { is_first }
}

fn expression<'a>(before: &'a str, part: &str, verb: String) -> Place<'a> {
    if let Some(field) = compared(before) {
        return Place::Value {
            field: field.to_owned(),
            form: ValueForm::Text,
            before: Some((verb, before)),
        };
    }
    let trimmed = part.trim_end();
    let last = last_name(trimmed);
    // Behind the verb itself, an operator, a comma or an open bracket stands a value.
    let is_value = trimmed.ends_with([')', ']', '"', '\''])
        || trimmed.ends_with(|next: char| next.is_ascii_digit());
    let is_operator =
        !last.is_empty() && last != verb && !BEFORE_OPERAND.contains(&last) && !is_test(last);
    match (is_value || is_operator) && before.ends_with(char::is_whitespace) {
        true => Place::Operator { verb },
        false => Place::Operand { verb, before },
    }
}

fn is_test(word: &str) -> bool {
    TESTS.contains(&word.trim_start_matches('!'))
}

/// The field with which a text that stands behind is compared.
fn compared(before: &str) -> Option<&str> {
    let mut rest = before.trim_end();
    // Further items of a list.
    while let Some(item) = rest.strip_suffix(',') {
        let item = item.trim_end();
        let quote = item
            .chars()
            .last()
            .filter(|last| matches!(last, '"' | '\''))?;
        rest = item[..item.len() - 1].rsplit_once(quote)?.0.trim_end();
    }
    let rest = rest.strip_suffix('(').unwrap_or(rest).trim_end();
    let signs = ["==", "=~", "!=", "!~"]
        .iter()
        .find_map(|sign| rest.strip_suffix(sign));
    let rest = match signs {
        Some(rest) => rest,
        None => {
            let start = rest.rfind(char::is_whitespace)?;
            if !is_test(&rest[start + 1..]) {
                return None;
            }
            &rest[..start]
        }
    };
    let name = last_name(rest.trim_end());
    (!name.is_empty()).then_some(name)
}

/// The name at the end of a text.
fn last_name(text: &str) -> &str {
    let is_name =
        |next: char| next.is_alphanumeric() || matches!(next, '_' | '.' | '@' | '-' | '!' | '~');
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, next)| is_name(*next))
        .last();
    let name = start.map_or("", |(start, _)| &text[start..]);
    name.trim_start_matches(['-', '.'])
}
