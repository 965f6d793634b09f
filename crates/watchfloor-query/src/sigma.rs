//! From a search to a Sigma rule that finds the same.
//!
//! # Source
//! Sigma specification 2.1: detection, modifiers `cidr`, `exists`, `gt`, `gte`, `lt`, `lte`.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::ast::{Query, Test, TextPattern};
use crate::diagnostic::Diagnostic;
use crate::field::{CoreField, FieldTarget, field_targets};
use crate::{is_sql, parse, pipe};

/// Log sources that say what a class says.
const LOGSOURCES: [(&str, &str, &str); 8] = [
    ("process_activity", "1007", "process_creation"),
    ("network_activity", "4001", "network_connection"),
    ("dns_activity", "4003", "dns_query"),
    ("file_activity", "1001", "file_event"),
    ("module_activity", "1005", "image_load"),
    ("registry_value_activity", "201002", "registry_set"),
    ("authentication", "3002", "authentication"),
    ("http_activity", "4002", "webserver"),
];

/// A Sigma rule as YAML that finds what a search finds.
///
/// # Errors
/// If the text is no search, or with the part of it that Sigma cannot say.
///
/// ```
/// let yaml = watchfloor_query::sigma_rule("Shells", "class:process_activity process.name:(sh or bash)");
/// assert!(yaml.unwrap().contains("category: process_creation"));
/// assert!(watchfloor_query::sigma_rule("Many", "failed | count").is_err());
/// ```
pub fn sigma_rule(title: &str, text: &str) -> Result<String, Diagnostic> {
    if is_sql(text) || pipe::is_pipe(text) {
        let at = text.find('|').unwrap_or(0);
        return Err(Diagnostic::new(
            "a rule looks at each event by itself: verbs cannot become one",
            at..text.len(),
            "take the verbs away; what they count or join can be a schedule with an alarm",
        ));
    }
    let query = parse(text)?;
    let mut draft = Draft {
        text,
        logsource: None,
        selections: BTreeMap::new(),
    };
    let query = draft.take_class(query)?;
    let condition = match &query {
        Query::All => {
            return Err(draft.cannot(
                text,
                "a rule for every event would fire on all",
                "add words or field:value",
            ));
        }
        query => draft.condition(query, Outer::Whole)?,
    };
    Ok(draft.yaml(title, &condition))
}

/// Where a part of the condition stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outer {
    Whole,
    Within,
}

struct Draft<'a> {
    text: &'a str,
    logsource: Option<&'static str>,
    /// Lines of each selection, by its name.
    selections: BTreeMap<String, Vec<String>>,
}

impl Draft<'_> {
    /// An error at a part of the search, where it can be found in the text.
    fn cannot(&self, part: &str, message: &str, hint: &str) -> Diagnostic {
        let start = self.text.to_lowercase().find(&part.to_lowercase());
        let place = match start {
            Some(start) if self.text.is_char_boundary(start) => {
                start..(start + part.len()).min(self.text.len())
            }
            _ => 0..self.text.len(),
        };
        Diagnostic::new(message, place, hint)
    }

    /// The class of events is a rule's log source; it can stand beside all else only.
    fn take_class(&mut self, query: Query) -> Result<Query, Diagnostic> {
        let items = match query {
            Query::And(items) => items,
            one => vec![one],
        };
        let mut rest = Vec::new();
        for item in items {
            match &item {
                Query::Field { name, test } if is_class(name) && self.logsource.is_none() => {
                    self.logsource = Some(self.category(name, test)?);
                }
                _ => rest.push(item),
            }
        }
        Ok(match rest.len() {
            0 => Query::All,
            1 => rest.remove(0),
            _ => Query::And(rest),
        })
    }

    fn category(&self, name: &str, test: &Test) -> Result<&'static str, Diagnostic> {
        let known = match test {
            Test::Text(TextPattern::Exact(class)) => {
                let class = class.to_lowercase().replace(' ', "_");
                LOGSOURCES
                    .iter()
                    .find(|(word, number, _)| *word == class || *number == class)
            }
            _ => None,
        };
        known.map(|(.., category)| *category).ok_or_else(|| {
            let classes: Vec<&str> = LOGSOURCES.iter().map(|(word, ..)| *word).collect();
            self.cannot(
                name,
                "no log source of Sigma stands for this class",
                &format!("those that one stands for are {}", classes.join(", ")),
            )
        })
    }

    fn condition(&mut self, query: &Query, outer: Outer) -> Result<String, Diagnostic> {
        Ok(match query {
            Query::All => {
                return Err(self.cannot(
                    "*",
                    "every event cannot be a part of a rule",
                    "take it away",
                ));
            }
            Query::Not(inner) => format!("not {}", self.condition(inner, Outer::Within)?),
            Query::Contains(pattern) => {
                let value = quoted(&pattern_text(pattern));
                self.select("keywords", vec![format!("- {value}")])
            }
            Query::Field { name, test } => {
                let line = self.field(name, test)?;
                self.select("selection", vec![line])
            }
            Query::And(items) => {
                let mut parts = Vec::new();
                let (lines, rest) = self.together(items)?;
                if !lines.is_empty() {
                    parts.push(self.select("selection", lines));
                }
                for item in rest {
                    parts.push(self.condition(item, Outer::Within)?);
                }
                joined(&parts, " and ", outer)
            }
            Query::Or(items) => {
                if let Some(lines) = self.alternatives(items)? {
                    return Ok(self.select("selection", lines));
                }
                if let Some(words) = keywords(items) {
                    return Ok(self.select("keywords", words));
                }
                let mut parts = Vec::new();
                for item in items {
                    parts.push(self.condition(item, Outer::Within)?);
                }
                joined(&parts, " or ", outer)
            }
        })
    }

    /// Fields that stand beside each other, each once, as lines of one selection; and the rest.
    fn together<'q>(
        &self,
        items: &'q [Query],
    ) -> Result<(Vec<String>, Vec<&'q Query>), Diagnostic> {
        let (mut lines, mut rest, mut keys) = (Vec::new(), Vec::new(), Vec::new());
        for item in items {
            let Query::Field { name, test } = item else {
                rest.push(item);
                continue;
            };
            let key = self.key(name, test)?;
            if keys.contains(&key) {
                rest.push(item);
                continue;
            }
            keys.push(key);
            lines.push(self.field(name, test)?);
        }
        Ok((lines, rest))
    }

    /// Values of one field, one of which is to be met, as a list.
    fn alternatives(&self, items: &[Query]) -> Result<Option<Vec<String>>, Diagnostic> {
        let mut lines = Vec::new();
        let mut of = None;
        for item in items {
            let Query::Field {
                name,
                test: test @ Test::Text(pattern),
            } = item
            else {
                return Ok(None);
            };
            let key = self.key(name, test)?;
            if of.get_or_insert_with(|| key.clone()) != &key {
                return Ok(None);
            }
            lines.push(format!("  - {}", quoted(&pattern_text(pattern))));
        }
        Ok(of.map(|key| {
            lines.insert(0, format!("{key}:"));
            lines
        }))
    }

    fn key(&self, name: &str, test: &Test) -> Result<String, Diagnostic> {
        for target in field_targets(name) {
            if let FieldTarget::Core(core) = target
                && core != CoreField::Raw
            {
                return Err(self.cannot(
                    name,
                    &format!("'{name}' is nothing that a rule can ask of an event"),
                    "the log source of a rule says of what kind its events are; ask for the fields of the events",
                ));
            }
        }
        let modifier = match test {
            Test::Text(_) => "",
            Test::Exists => "|exists",
            Test::Network(_) => "|cidr",
            Test::AtLeast {
                inclusive: true, ..
            } => "|gte",
            Test::AtLeast {
                inclusive: false, ..
            } => "|gt",
            Test::AtMost {
                inclusive: true, ..
            } => "|lte",
            Test::AtMost {
                inclusive: false, ..
            } => "|lt",
        };
        let name = name.strip_prefix("unmapped.").unwrap_or(name);
        Ok(format!("{}{modifier}", plain_key(name)))
    }

    fn field(&self, name: &str, test: &Test) -> Result<String, Diagnostic> {
        let key = self.key(name, test)?;
        Ok(match test {
            Test::Text(pattern) => format!("{key}: {}", quoted(&pattern_text(pattern))),
            Test::Exists => format!("{key}: true"),
            Test::Network(network) => format!("{key}: {}", quoted(&network.to_string())),
            Test::AtLeast { bound, .. } | Test::AtMost { bound, .. } => format!("{key}: {bound}"),
        })
    }

    /// Names lines and gives the name.
    fn select(&mut self, kind: &str, lines: Vec<String>) -> String {
        let same = self.selections.iter().find(|(_, known)| **known == lines);
        if let Some((name, _)) = same {
            return name.clone();
        }
        let number = self
            .selections
            .keys()
            .filter(|name| name.starts_with(kind))
            .count();
        let name = match number {
            0 => kind.to_owned(),
            number => format!("{kind}_{}", number + 1),
        };
        self.selections.insert(name.clone(), lines);
        name
    }

    fn yaml(&self, title: &str, condition: &str) -> String {
        let mut yaml = format!("title: {}\nstatus: experimental\n", quoted(title.trim()));
        // Writing to a text does not fail.
        let _ = writeln!(
            yaml,
            "description: {}",
            quoted(&format!("Made from the search: {}", self.text.trim()))
        );
        yaml.push_str("logsource:\n");
        match self.logsource {
            Some(category) => {
                let _ = writeln!(yaml, "  category: {category}");
            }
            None => yaml.push_str("  # Every event; name a category or product here, so that the rule costs less.\n  definition: 'any'\n"),
        }
        yaml.push_str("detection:\n");
        for (name, lines) in &self.selections {
            let _ = writeln!(yaml, "  {name}:");
            for line in lines {
                let _ = writeln!(yaml, "    {line}");
            }
        }
        let _ = writeln!(yaml, "  condition: {condition}\nlevel: medium");
        yaml
    }
}

fn is_class(name: &str) -> bool {
    field_targets(name).contains(&FieldTarget::Core(CoreField::Class))
}

fn keywords(items: &[Query]) -> Option<Vec<String>> {
    let word = |item: &Query| match item {
        Query::Contains(pattern) => Some(format!("- {}", quoted(&pattern_text(pattern)))),
        _ => None,
    };
    items.iter().map(word).collect()
}

fn joined(parts: &[String], with: &str, outer: Outer) -> String {
    match (parts, outer) {
        ([one], _) => one.clone(),
        (parts, Outer::Whole) => parts.join(with),
        (parts, Outer::Within) => format!("({})", parts.join(with)),
    }
}

/// A pattern as Sigma writes it: `*` and `?` that are meant as they are have a backslash before.
fn pattern_text(pattern: &TextPattern) -> String {
    match pattern {
        TextPattern::Wildcard(text) => escaped_ends(text),
        TextPattern::Exact(text) => {
            let text = text.replace('\\', "\\\\");
            text.replace('*', "\\*").replace('?', "\\?")
        }
    }
}

/// Backslashes before a wildcard would take its meaning.
fn escaped_ends(text: &str) -> String {
    text.replace('\\', "\\\\")
}

/// A text of YAML in single quotes, where nothing but a quote has a meaning.
fn quoted(text: &str) -> String {
    let text: String = text.chars().filter(|next| !next.is_control()).collect();
    format!("'{}'", text.replace('\'', "''"))
}

fn plain_key(name: &str) -> String {
    let is_plain = |next: char| next.is_ascii_alphanumeric() || matches!(next, '_' | '.' | '-');
    match name.chars().all(is_plain) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

#[cfg(test)]
mod tests {
    use super::sigma_rule;

    fn detection(text: &str) -> String {
        let yaml = sigma_rule("T", text).unwrap();
        let start = yaml.find("detection:\n").unwrap() + "detection:\n".len();
        yaml[start..].trim_end_matches("level: medium\n").to_owned()
    }

    #[test]
    fn searches_become_detections() {
        assert_eq!(
            detection("process.name:*\\cmd.exe user.name:(ann or bob) -src_endpoint.ip:10.0.0.0/8"),
            "  selection:\n    process.name: '*\\\\cmd.exe'\n  selection_2:\n    user.name:\n      - 'ann'\n      - 'bob'\n  selection_3:\n    src_endpoint.ip|cidr: '10.0.0.0/8'\n  condition: selection and selection_2 and not selection_3\n"
        );
        assert_eq!(
            detection("failed (root or admin)"),
            "  keywords:\n    - 'failed'\n  keywords_2:\n    - 'root'\n    - 'admin'\n  condition: keywords and keywords_2\n"
        );
        assert_eq!(
            detection("unmapped.EventID:4625 or (user.name:* and dst_endpoint.port:>=1024)"),
            "  selection:\n    EventID: '4625'\n  selection_2:\n    user.name|exists: true\n    dst_endpoint.port|gte: 1024\n  condition: selection or selection_2\n"
        );
    }

    #[test]
    fn the_class_is_the_log_source() {
        let yaml = sigma_rule("It's a shell", "class:process_activity process.name:sh").unwrap();
        assert!(
            yaml.starts_with("title: 'It''s a shell'\n")
                && yaml.contains("logsource:\n  category: process_creation\n"),
            "{yaml}"
        );
    }

    #[test]
    fn what_a_rule_cannot_say_is_named_at_its_place() {
        for (text, part) in [
            ("failed | summarize count()", "| summarize count()"),
            ("user.name:bob severity_id:3", "severity_id"),
            ("class:web_resources_activity x", "class"),
            ("a or class:authentication", "class"),
            ("", ""),
        ] {
            let error = sigma_rule("T", text).unwrap_err();
            assert_eq!(&text[error.start..error.end], part, "{text}: {error:?}");
            assert!(!error.hint.is_empty());
        }
    }
}
