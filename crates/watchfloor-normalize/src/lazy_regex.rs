//! A regular expression that takes memory only once it is asked. A server has the expressions of
//! every pack, and sees events of a few.

use std::sync::OnceLock;

use regex::{Regex, RegexBuilder};

/// Most memory of one expression in bytes, built, and again for what it remembers of texts.
const BYTES_MAX: usize = 1 << 20;

/// An expression that is known to be good.
#[derive(Clone, Debug)]
pub(crate) struct LazyRegex {
    pattern: Box<str>,
    names: Vec<Option<Box<str>>>,
    built: OnceLock<Option<Regex>>,
}

impl LazyRegex {
    /// Checks an expression, and forgets what it was built to.
    pub(crate) fn new(pattern: &str) -> Result<Self, regex::Error> {
        let names = build(pattern)?
            .capture_names()
            .map(|name| name.map(Box::from))
            .collect();
        Ok(Self {
            pattern: Box::from(pattern),
            names,
            built: OnceLock::new(),
        })
    }

    /// The expression as it runs.
    pub(crate) fn as_str(&self) -> &str {
        &self.pattern
    }

    /// Names of its groups, in their order.
    pub(crate) fn capture_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.names.iter().map(Option::as_deref)
    }

    /// Whether a text matches.
    pub(crate) fn is_match(&self, text: &str) -> bool {
        self.get().is_some_and(|regex| regex.is_match(text))
    }

    /// The expression, built; it was built before, so that it is always there.
    pub(crate) fn get(&self) -> Option<&Regex> {
        let built = self.built.get_or_init(|| build(&self.pattern).ok());
        built.as_ref()
    }
}

fn build(pattern: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(pattern)
        .size_limit(BYTES_MAX)
        .dfa_size_limit(BYTES_MAX)
        .build()
}
