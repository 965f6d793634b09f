//! Transformations of field names.

use std::collections::BTreeMap;

use crate::detection::{Block, DetectionItem};
use crate::pipeline::State;
use crate::pipeline::item::PipelineItem;

/// A change of field names.
#[derive(Debug)]
pub(super) enum FieldChange {
    /// Names to one or more others; several are linked by OR.
    Map(BTreeMap<String, Vec<String>>),
    /// Beginnings of names to one or more others; the longest that fits counts.
    MapPrefix(BTreeMap<String, Vec<String>>),
    /// A text behind the name.
    Suffix(String),
    /// A text before the name.
    Prefix(String),
    /// Another form of the letters, but for the names that are mapped.
    Letters(Letters, BTreeMap<String, Vec<String>>),
}

/// A form of the letters of a name or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Letters {
    Lower,
    Upper,
    Title,
    Snake,
    Camel,
}

impl Letters {
    /// Every form by its word.
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("lower", Self::Lower),
        ("upper", Self::Upper),
        ("title", Self::Title),
        ("snake_case", Self::Snake),
        ("camel_case", Self::Camel),
    ];

    /// The text in that form.
    pub(super) fn of(self, text: &str) -> String {
        match self {
            Self::Lower => text.to_lowercase(),
            Self::Upper => text.to_uppercase(),
            Self::Title => title(text),
            Self::Snake => snake(text),
            Self::Camel => camel(text),
        }
    }
}

fn title(text: &str) -> String {
    let mut after_letter = false;
    let mut titled = String::with_capacity(text.len());
    for letter in text.chars() {
        if after_letter {
            titled.extend(letter.to_lowercase());
        } else {
            titled.extend(letter.to_uppercase());
        }
        after_letter = letter.is_alphabetic();
    }
    titled
}

/// `CommandLine` and `command-line` become `command_line`, `ParentPID` becomes `parent_pid`.
fn snake(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut snake = String::with_capacity(text.len() + 4);
    for (index, letter) in letters.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|before| letters.get(before));
        let after = letters.get(index + 1);
        let starts_word = letter.is_uppercase()
            && before.is_some_and(|before| {
                before.is_lowercase()
                    || before.is_numeric()
                    || (before.is_uppercase() && after.is_some_and(|after| after.is_lowercase()))
            });
        if starts_word {
            snake.push('_');
        }
        match letter {
            ' ' | '-' => snake.push('_'),
            other => snake.extend(other.to_lowercase()),
        }
    }
    snake
}

fn camel(text: &str) -> String {
    let mut words = text.split(['_', '-', ' ']);
    let mut camel = words.next().unwrap_or_default().to_lowercase();
    words.for_each(|word| camel.push_str(&title(word)));
    camel
}

impl FieldChange {
    /// The new names of a field; `None` leaves it as it is.
    pub(super) fn names(&self, field: &str) -> Option<Vec<String>> {
        match self {
            Self::Map(mapping) => mapping.get(field).cloned(),
            Self::MapPrefix(mapping) => {
                let fitting = mapping.iter().rev().filter_map(|(prefix, names)| {
                    let rest = field.strip_prefix(prefix.as_str())?;
                    Some((prefix.len(), names, rest))
                });
                let (_, names, rest) = fitting.max_by_key(|(length, _, _)| *length)?;
                Some(names.iter().map(|name| format!("{name}{rest}")).collect())
            }
            Self::Suffix(suffix) => Some(vec![format!("{field}{suffix}")]),
            Self::Prefix(prefix) => Some(vec![format!("{prefix}{field}")]),
            Self::Letters(letters, mapping) => Some(
                mapping
                    .get(field)
                    .cloned()
                    .unwrap_or_else(|| vec![letters.of(field)]),
            ),
        }
    }
}

/// Renames an item's field, and the fields that its values refer to.
pub(super) fn rename(
    item: &DetectionItem,
    change: &FieldChange,
    pipeline_item: &PipelineItem,
    state: &State<'_>,
) -> Result<Option<Block>, String> {
    let mut renamed = item.clone();
    let refers = item.modifiers.iter().any(|name| name == "fieldref");
    if refers {
        renamed.values.clear();
        for value in &item.values {
            let name = value.as_str().unwrap_or_default();
            let meets = pipeline_item
                .field_conditions
                .hold(|one| one.of_field(Some(name), state));
            match meets.then(|| change.names(name)).flatten() {
                Some(names) => renamed.values.extend(names.into_iter().map(Into::into)),
                None => renamed.values.push(value.clone()),
            }
        }
    }
    let Some(names) = item.field.as_deref().and_then(|field| change.names(field)) else {
        return Ok(refers.then_some(Block::Item(renamed)));
    };
    let mut blocks: Vec<Block> = names
        .into_iter()
        .map(|name| {
            Block::Item(DetectionItem {
                field: Some(name),
                mapped: true,
                ..renamed.clone()
            })
        })
        .collect();
    // That none of several fields has a value is the opposite of that one of them has it.
    let negated = item.modifiers.iter().any(|name| name == "neq");
    Ok(Some(match blocks.len() {
        1 => blocks.remove(0),
        _ if negated => Block::All(blocks),
        _ => Block::Any(blocks),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_each_form() {
        let check = |letters: Letters, name: &str, expected: &str| {
            assert_eq!(letters.of(name), expected);
        };
        check(Letters::Snake, "CommandLine", "command_line");
        check(Letters::Snake, "ParentPID", "parent_pid");
        check(Letters::Snake, "EventID2Name", "event_id2_name");
        check(Letters::Snake, "c-ip", "c_ip");
        check(Letters::Title, "command_line", "Command_Line");
        check(Letters::Camel, "command_line", "commandLine");
        check(Letters::Upper, "Image", "IMAGE");
        check(Letters::Lower, "Image", "image");
    }
}
