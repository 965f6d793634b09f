//! What can stand at a place of a question that is being written.
//!
//! The text before the caret is looked through once, without being parsed: it is seldom whole.
//! Values of fields stand in the lake; what is wanted of them is told, and the caller adds them.

mod candidates;
mod place;

use std::ops::Range;

use candidates::Candidates;
use place::Place;

/// Most things that are offered.
const MOST: usize = 50;

/// What kind of thing is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CompletionKind {
    /// A field or column.
    Field,
    /// A verb.
    Verb,
    /// A function.
    Function,
    /// A table.
    Table,
    /// A word or operator of the language.
    Keyword,
    /// A value of a field.
    Value,
}

impl CompletionKind {
    /// Its stable word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Field => "field",
            Self::Verb => "verb",
            Self::Function => "function",
            Self::Table => "table",
            Self::Keyword => "keyword",
            Self::Value => "value",
        }
    }
}

/// Something that can stand at the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// What is put in.
    pub insert: String,
    /// What is shown.
    pub label: String,
    /// What kind of thing it is.
    pub kind: CompletionKind,
    /// Signature, or other names.
    pub detail: String,
    /// What it means, in a line.
    pub about: String,
}

/// How a value is written at the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueForm {
    /// Behind `field:`, in quotes only where it must be.
    Search,
    /// As a text of an expression.
    Text,
    /// Within quotes that are open; they are closed.
    Within(char),
}

/// Values that can stand at the place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValuesWanted {
    /// Of this field, as it is written.
    pub field: String,
    /// That begin so.
    pub begin: String,
    /// How they are written.
    pub form: ValueForm,
}

impl ValuesWanted {
    /// A value as it is put in.
    ///
    /// ```
    /// use watchfloor_query::complete;
    /// let wanted = complete("user.name:", 10).values.unwrap();
    /// assert_eq!(wanted.insert("bob"), "bob");
    /// assert_eq!(wanted.insert("a \"b\""), "\"a \\\"b\\\"\"");
    /// ```
    pub fn insert(&self, value: &str) -> String {
        let escaped = |quote: char| {
            let mut text = String::with_capacity(value.len() + 2);
            for next in value.chars() {
                if next == quote || next == '\\' {
                    text.push('\\');
                }
                text.push(next);
            }
            text
        };
        match self.form {
            ValueForm::Search => {
                let is_plain = |next: char| {
                    !next.is_whitespace()
                        && !matches!(next, '(' | ')' | '[' | ']' | '"' | '*' | '?')
                };
                let is_bare = value.chars().all(is_plain) && !value.starts_with(['-', '<', '>']);
                match is_bare && !value.is_empty() {
                    true => value.to_owned(),
                    false => format!("\"{}\"", escaped('"')),
                }
            }
            ValueForm::Text => match value.parse::<i64>() {
                Ok(_) => value.to_owned(),
                Err(_) => format!("\"{}\"", escaped('"')),
            },
            ValueForm::Within(quote) => format!("{}{quote}", escaped(quote)),
        }
    }
}

/// What can stand at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completions {
    /// The part of the text that is replaced.
    pub replace: Range<usize>,
    /// The likeliest first.
    pub items: Vec<Completion>,
    /// Values that can stand there, before the items.
    pub values: Option<ValuesWanted>,
}

/// What can stand at a byte of a question; one within a character means that character's start.
///
/// ```
/// use watchfloor_query::complete;
/// let found = complete("events | summ", 13);
/// assert_eq!((found.items[0].insert.as_str(), found.replace), ("summarize ", 9..13));
/// let found = complete("proc", 4);
/// assert!(found.items.iter().any(|item| item.insert == "process.cmd_line:"));
/// ```
pub fn complete(text: &str, at: usize) -> Completions {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let (place, replace) = place::of(text, at);
    let begin = &text[replace.start..at];
    let mut found = Candidates::new(begin);
    let mut values = None;
    match place {
        Place::Nothing => {}
        Place::Search { is_first } => found.search(is_first),
        Place::Source => found.source(),
        Place::Verb => found.verbs(),
        Place::Words(words) => found.words(words),
        Place::Operand { verb, before } => found.operand(&verb, before),
        Place::Operator { verb } => found.operator(&verb),
        Place::Value {
            field,
            form,
            before,
        } => {
            if let (ValueForm::Text, Some((verb, before))) = (form, before) {
                found.operand(&verb, before);
            }
            values = Some(ValuesWanted {
                field,
                begin: begin.to_owned(),
                form,
            });
        }
    }
    let mut items = found.done();
    items.truncate(MOST);
    Completions {
        replace,
        items,
        values,
    }
}

#[cfg(test)]
mod tests;
