//! What is wrong with a query, where, and how to mend it.

/// An error at a place of the query.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Diagnostic {
    /// What is wrong.
    pub message: String,
    /// First byte of the place.
    pub start: usize,
    /// Byte after the place.
    pub end: usize,
    /// How to mend it.
    pub hint: String,
}

impl Diagnostic {
    /// An error at a place, with how to mend it.
    pub fn new(message: impl Into<String>, place: std::ops::Range<usize>, hint: &str) -> Self {
        Self {
            message: message.into(),
            start: place.start,
            end: place.end,
            hint: hint.to_owned(),
        }
    }
}
