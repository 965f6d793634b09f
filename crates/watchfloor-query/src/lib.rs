//! The hunt language: words, phrases and `field:value`, parsed and checked. Knows no storage.
//!
//! Start at [`parse`].

mod ast;
pub mod catalog;
mod complete;
mod diagnostic;
mod field;
mod lexer;
mod parser;
pub mod pipe;
mod sigma;

pub use ast::{Query, Test, TextPattern};
pub use complete::{Completion, CompletionKind, Completions, ValuesWanted, complete};
pub use diagnostic::Diagnostic;
pub use field::{CoreField, FieldTarget, field_targets};
pub use parser::parse;
pub use sigma::sigma_rule;

/// Whether a text is a query in SQL: it begins with `select` and has a `from`, or begins with
/// `with … as (`. A search for these words in quotes is none.
///
/// ```
/// assert!(watchfloor_query::is_sql("SELECT count(*) FROM events"));
/// assert!(!watchfloor_query::is_sql("select user"));
/// ```
pub fn is_sql(text: &str) -> bool {
    let mut words = text.split_whitespace().map(str::to_lowercase);
    match words.next().as_deref() {
        Some("select") => words.any(|word| word == "from"),
        Some("with") => {
            words.nth(1).as_deref() == Some("as")
                && words.next().is_some_and(|word| word.starts_with('('))
        }
        _ => false,
    }
}
