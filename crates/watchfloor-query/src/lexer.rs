//! Pieces of a query with their places.

use std::ops::Range;

use crate::diagnostic::Diagnostic;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Open,
    Close,
    /// `name:`, the colon included.
    Field(String),
    /// A bare word.
    Word(String),
    /// A text in quotes.
    Quoted(String),
    /// `-` directly before something.
    Minus,
    /// `[`.
    RangeOpen,
    /// `]`.
    RangeClose,
}

pub(crate) type Placed = (Token, Range<usize>);

pub(crate) fn tokens(query: &str) -> Result<Vec<Placed>, Diagnostic> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let mut after_field = false;
    while let Some(next) = query[at..].chars().next() {
        let start = at;
        let token = match next {
            _ if next.is_whitespace() => {
                at += next.len_utf8();
                after_field = false;
                continue;
            }
            '(' => one(&mut at, Token::Open),
            ')' => one(&mut at, Token::Close),
            '[' if after_field => one(&mut at, Token::RangeOpen),
            ']' => one(&mut at, Token::RangeClose),
            '"' => quoted(query, &mut at)?,
            '-' if !after_field && starts_something(&query[at + 1..]) => one(&mut at, Token::Minus),
            _ => word(query, &mut at, after_field),
        };
        after_field = matches!(token, Token::Field(_));
        tokens.push((token, start..at));
    }
    Ok(tokens)
}

fn one(at: &mut usize, token: Token) -> Token {
    *at += 1;
    token
}

fn starts_something(rest: &str) -> bool {
    rest.chars()
        .next()
        .is_some_and(|next| !next.is_whitespace() && next != ')')
}

/// A text in double quotes; a backslash makes a following quote or backslash literal.
fn quoted(query: &str, at: &mut usize) -> Result<Token, Diagnostic> {
    let start = *at;
    let mut text = String::new();
    let mut characters = query[start + 1..].char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        match character {
            '"' => {
                *at = start + 1 + offset + 1;
                return Ok(Token::Quoted(text));
            }
            '\\' => {
                let escaped = characters.next_if(|(_, next)| matches!(next, '"' | '\\'));
                text.push(escaped.map_or('\\', |(_, next)| next));
            }
            other => text.push(other),
        }
    }
    Err(Diagnostic::new(
        "a quote is not closed",
        start..query.len(),
        "close it with \", or write \\\" for a quote that is part of the text",
    ))
}

fn word(query: &str, at: &mut usize, is_value: bool) -> Token {
    let rest = &query[*at..];
    let mut end = rest.len();
    for (offset, character) in rest.char_indices() {
        if character.is_whitespace() || matches!(character, '(' | ')' | '"' | ']') {
            end = offset;
            break;
        }
        // The first colon of a word ends a field name, if what stands before looks like one.
        let is_pair = rest[offset..].starts_with("::");
        if character == ':' && !is_value && !is_pair && is_name(&rest[..offset]) {
            *at += offset + 1;
            return Token::Field(rest[..offset].to_owned());
        }
    }
    let end = end.max(rest.chars().next().map_or(0, char::len_utf8));
    *at += end;
    Token::Word(rest[..end].to_owned())
}

/// A field name starts with a letter, `_` or `@`; so `::1` and `10:22` are words.
fn is_name(text: &str) -> bool {
    let starts =
        text.starts_with(|first: char| first.is_alphabetic() || matches!(first, '_' | '@'));
    starts
        && text
            .chars()
            .all(|one| one.is_alphanumeric() || matches!(one, '_' | '.' | '-' | '@'))
}
