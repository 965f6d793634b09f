//! What the language knows, with a line of help for each: completion and the reference page are
//! made from it. Tests of this crate and of the lake hold it against what is parsed and run.

mod functions;
mod reference;
mod verbs;

pub use functions::FUNCTIONS;
pub use reference::reference;
pub use verbs::VERB_HELP;

/// What a function is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FunctionGroup {
    /// Of several rows, within `summarize`, `make-series` and the like.
    Aggregate,
    /// Of texts.
    Text,
    /// What a text holds, as parts.
    Parse,
    /// Of times and spans.
    Time,
    /// Of lists and documents.
    List,
    /// Of addresses.
    Address,
    /// Of numbers.
    Number,
    /// Of types, and choices between values.
    Value,
    /// Of rows before and behind, in the order of the last sort.
    Window,
    /// Of series.
    Series,
}

impl FunctionGroup {
    /// Every group with its heading.
    pub const ALL: [(Self, &'static str); 10] = [
        (Self::Aggregate, "Aggregates"),
        (Self::Text, "Texts"),
        (Self::Parse, "Parts of texts"),
        (Self::Time, "Times"),
        (Self::List, "Lists and documents"),
        (Self::Address, "Addresses"),
        (Self::Number, "Numbers"),
        (Self::Value, "Types and choices"),
        (Self::Window, "Rows before and behind"),
        (Self::Series, "Series"),
    ];
}

/// A function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: &'static str,
    /// Its arguments, as they are written; those in square brackets may be left out.
    pub arguments: &'static str,
    /// What it gives, in a line.
    pub about: &'static str,
    /// What it is for.
    pub group: FunctionGroup,
}

impl Function {
    /// Name and arguments.
    pub fn signature(&self) -> String {
        format!("{}({})", self.name, self.arguments)
    }
}

/// A verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerbHelp {
    /// Its name.
    pub name: &'static str,
    /// How it is written.
    pub form: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
}

/// Operators that stand between values as words.
pub const OPERATORS: &[(&str, &str)] = &[
    ("and", "both hold"),
    ("or", "one holds"),
    ("has", "the text has this word"),
    ("!has", "the text does not have this word"),
    ("contains", "the text has this part"),
    ("!contains", "the text does not have this part"),
    ("startswith", "the text begins so"),
    ("endswith", "the text ends so"),
    ("hasprefix", "a word of the text begins so"),
    ("hassuffix", "a word of the text ends so"),
    (
        "has_any",
        "the text has one of these words: has_any ('a', 'b')",
    ),
    (
        "has_all",
        "the text has all of these words: has_all ('a', 'b')",
    ),
    ("in", "is one of these: in ('a', 'b')"),
    ("in~", "is one of these, letter case aside"),
    ("!in", "is none of these"),
    ("between", "lies between these: between (1 .. 10)"),
    ("matches regex", "the regular expression finds something"),
];

/// Kinds of joins.
pub const JOIN_KINDS: [&str; 9] = [
    "innerunique",
    "inner",
    "leftouter",
    "rightouter",
    "fullouter",
    "leftsemi",
    "rightsemi",
    "leftanti",
    "rightanti",
];

/// How rows can be drawn.
pub const RENDERS: [&str; 7] = [
    "timechart",
    "linechart",
    "areachart",
    "barchart",
    "columnchart",
    "piechart",
    "table",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_help_and_is_parsed() {
        let helped: Vec<&str> = VERB_HELP.iter().map(|verb| verb.name).collect();
        for name in crate::pipe::verb_names() {
            assert!(helped.contains(&name), "{name} has no help");
        }
        for verb in VERB_HELP {
            assert!(
                !verb.about.is_empty() && verb.form.starts_with(verb.name),
                "{verb:?}"
            );
        }
    }

    #[test]
    fn the_reference_page_is_what_the_language_knows() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../docs/guide/hunt-reference.md"
        );
        let page = super::reference();
        #[expect(
            clippy::disallowed_methods,
            reason = "a test reads and writes the page"
        )]
        if std::env::var("UPDATE_GOLDEN").is_ok() {
            std::fs::write(path, &page).unwrap();
        }
        #[expect(clippy::disallowed_methods, reason = "as above")]
        let written = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            written == page,
            "run UPDATE_GOLDEN=1 cargo test -p watchfloor-query reference"
        );
    }

    #[test]
    fn functions_are_told_once_and_in_full() {
        let mut names: Vec<&str> = FUNCTIONS.iter().map(|function| function.name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "a function stands there twice");
        for function in FUNCTIONS {
            assert!(
                function.about.len() > 5 && !function.about.ends_with('.'),
                "{function:?}"
            );
        }
    }
}
