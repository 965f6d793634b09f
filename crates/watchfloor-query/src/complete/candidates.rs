//! What is offered at a place, the likeliest first.

use watchfloor_event::ocsf::PROMOTED;

use super::{Completion, CompletionKind};
use crate::catalog::{FUNCTIONS, FunctionGroup, OPERATORS, VERB_HELP};
use crate::field::CoreField;
use crate::pipe::TABLES;

/// Verbs that take aggregates.
const AGGREGATING: [&str; 4] = ["summarize", "make-series", "mv-apply", "partition"];
/// Words of the search bar's language.
const SEARCH_WORDS: [(&str, &str); 3] = [
    ("AND", "both hold"),
    ("OR", "one holds"),
    ("NOT", "does not hold"),
];

/// Things that fit what is written, with how well they do.
pub(super) struct Candidates {
    begin: String,
    found: Vec<(u32, Completion)>,
}

impl Candidates {
    pub(super) fn new(begin: &str) -> Self {
        Self {
            begin: begin.to_lowercase(),
            found: Vec::new(),
        }
    }

    /// The likeliest first; equals in the order in which they were added.
    pub(super) fn done(mut self) -> Vec<Completion> {
        self.found.sort_by_key(|(rank, _)| *rank);
        self.found.into_iter().map(|(_, item)| item).collect()
    }

    /// How well a name fits: its own beginning first, then that of a part, then any part.
    fn rank(&self, name: &str) -> Option<u32> {
        let name = name.to_lowercase();
        if name.starts_with(&self.begin) {
            return Some(0);
        }
        let at = name.find(&self.begin)?;
        let is_part = name[..at].ends_with(['.', '_', '-']);
        // One letter within a name tells nothing.
        match is_part {
            true => Some(2),
            false => (self.begin.len() > 1).then_some(3),
        }
    }

    fn add(
        &mut self,
        kind: CompletionKind,
        worse: u32,
        (label, insert): (&str, &str),
        (detail, about): (&str, &str),
    ) {
        let Some(rank) = self.rank(label) else {
            return;
        };
        self.found.push((
            rank * 10 + worse,
            Completion {
                insert: insert.to_owned(),
                label: label.to_owned(),
                kind,
                detail: detail.to_owned(),
                about: about.to_owned(),
            },
        ));
    }

    pub(super) fn search(&mut self, is_first: bool) {
        self.fields(":", 0);
        if is_first {
            self.tables(1);
        } else {
            for (word, about) in SEARCH_WORDS {
                self.add(
                    CompletionKind::Keyword,
                    4,
                    (word, &format!("{word} ")),
                    ("", about),
                );
            }
        }
    }

    pub(super) fn source(&mut self) {
        self.tables(0);
        self.fields(":", 2);
        for (word, about) in [
            ("let", "names a value or rows for what follows"),
            ("print", "one row of values"),
            ("range", "rows of numbers or times"),
            ("datatable", "rows that are written out"),
            ("union", "the rows of several tables"),
        ] {
            self.add(
                CompletionKind::Keyword,
                4,
                (word, &format!("{word} ")),
                ("", about),
            );
        }
    }

    pub(super) fn verbs(&mut self) {
        for verb in VERB_HELP {
            let insert = match verb.form == verb.name {
                true => verb.name.to_owned(),
                false => format!("{} ", verb.name),
            };
            let worse = u32::from(
                verb.about.starts_with("the same as") || verb.about.starts_with("read, and"),
            );
            self.add(
                CompletionKind::Verb,
                worse,
                (verb.name, &insert),
                (verb.form, verb.about),
            );
        }
    }

    pub(super) fn words(&mut self, words: &[&str]) {
        for word in words {
            self.add(CompletionKind::Keyword, 0, (word, word), ("", ""));
        }
    }

    /// Columns that the question made, fields and functions.
    pub(super) fn operand(&mut self, verb: &str, before: &str) {
        for name in made(before) {
            self.add(
                CompletionKind::Field,
                0,
                (&name, &name),
                ("", "made by this question"),
            );
        }
        self.add(
            CompletionKind::Field,
            1,
            ("time", "time"),
            ("TimeGenerated, Timestamp", "when it happened"),
        );
        let is_aggregating = AGGREGATING.contains(&verb) && !is_behind_by(before);
        let aggregates = if is_aggregating { 0 } else { 9 };
        if is_aggregating {
            self.functions(|group| group == FunctionGroup::Aggregate, aggregates);
        }
        self.fields("", 2);
        self.functions(|group| group != FunctionGroup::Aggregate, 3);
        self.add(
            CompletionKind::Keyword,
            5,
            ("not", "not("),
            ("not(CONDITION)", "does not hold"),
        );
    }

    pub(super) fn operator(&mut self, verb: &str) {
        let own: &[(&str, &str)] = match verb {
            "summarize" => &[("by", "one row for each of these")],
            "sort" | "order" | "top" => &[
                ("by", "in the order of these"),
                ("asc", "smallest first"),
                ("desc", "largest first"),
            ],
            "make-series" => &[
                ("on", "over this column, mostly time"),
                ("step", "width of a step"),
                ("from", "the first step"),
                ("to", "the end"),
                ("by", "one series for each of these"),
                ("default", "what stands for an empty step"),
            ],
            "join" | "lookup" => &[
                ("on", "the columns that are the same"),
                ("kind=", "which rows stay"),
            ],
            "top-hitters" | "sample-distinct" => &[
                ("of", "values of this column"),
                ("by", "the sum of this column"),
            ],
            "sequence" => &[("with maxspan=", "most time from the first to the last")],
            "parse" | "parse-where" => &[("with", "the pattern")],
            "partition" => &[("by", "verbs for each of these")],
            "mv-apply" => &[("on", "verbs over the items")],
            _ => &[],
        };
        for (word, about) in own {
            let insert = match word.ends_with('=') {
                true => (*word).to_owned(),
                false => format!("{word} "),
            };
            self.add(CompletionKind::Keyword, 0, (word, &insert), ("", about));
        }
        for (word, about) in OPERATORS {
            self.add(
                CompletionKind::Keyword,
                1,
                (word, &format!("{word} ")),
                ("", about),
            );
        }
    }

    fn fields(&mut self, behind: &str, worse: u32) {
        for attribute in PROMOTED {
            let names: Vec<&str> = attribute
                .ecs
                .iter()
                .chain(attribute.sigma)
                .copied()
                .collect();
            let insert = format!("{}{behind}", attribute.path);
            let alias = names.iter().filter_map(|name| self.rank(name)).min();
            let own = self.rank(attribute.path);
            let Some(rank) = own.into_iter().chain(alias.map(|rank| rank + 1)).min() else {
                continue;
            };
            self.found.push((
                rank * 10 + worse,
                Completion {
                    insert,
                    label: attribute.path.to_owned(),
                    kind: CompletionKind::Field,
                    detail: names.join(", "),
                    about: attribute.about.to_owned(),
                },
            ));
        }
        for (_, name, about) in CoreField::ALL {
            self.add(
                CompletionKind::Field,
                worse,
                (name, &format!("{name}{behind}")),
                ("", about),
            );
        }
    }

    fn tables(&mut self, worse: u32) {
        for (name, _, about) in TABLES {
            self.add(CompletionKind::Table, worse, (name, name), ("", about));
        }
    }

    fn functions(&mut self, is_meant: impl Fn(FunctionGroup) -> bool, worse: u32) {
        for function in FUNCTIONS.iter().filter(|function| is_meant(function.group)) {
            let insert = match function.arguments.is_empty() {
                true => format!("{}()", function.name),
                false => format!("{}(", function.name),
            };
            let signature = function.signature();
            let texts = (signature.as_str(), function.about);
            self.add(
                CompletionKind::Function,
                worse,
                (function.name, &insert),
                texts,
            );
        }
    }
}

/// Whether the caret stands behind the `by` of the last verb.
fn is_behind_by(before: &str) -> bool {
    let part = before.rsplit('|').next().unwrap_or_default();
    part.split_whitespace().any(|word| word == "by")
}

/// Columns that the question names, the last first.
fn made(before: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for part in before.split('|').skip(1) {
        for (at, _) in part.match_indices('=') {
            let behind = &part[at + 1..];
            let name = part[..at].trim_end();
            let start = name.rfind(|next: char| !next.is_alphanumeric() && next != '_');
            let start = start.map_or(0, |start| {
                start + name[start..].chars().next().map_or(1, char::len_utf8)
            });
            let name = &name[start..];
            let is_assignment =
                !behind.starts_with(['=', '~']) && !part[..at].ends_with(['=', '!', '<', '>']);
            let is_name = name.starts_with(|first: char| first.is_alphabetic() || first == '_');
            let is_option = matches!(
                name,
                "kind" | "maxspan" | "title" | "isfuzzy" | "withsource"
            );
            if is_assignment && is_name && !is_option && !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        if part.contains("count()")
            && part.trim_start().starts_with("summarize")
            && !part.contains("= count()")
        {
            names.push("count_".to_owned());
        }
    }
    names.reverse();
    names
}
