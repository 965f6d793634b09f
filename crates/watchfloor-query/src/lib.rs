//! The hunt language: words, phrases and `field:value`, parsed and checked. Knows no storage.
//!
//! Start at [`parse`].

mod ast;
mod diagnostic;
mod field;
mod lexer;
mod parser;
pub mod pipe;

pub use ast::{Query, Test, TextPattern};
pub use diagnostic::Diagnostic;
pub use field::{CoreField, FieldTarget, field_targets};
pub use parser::parse;
