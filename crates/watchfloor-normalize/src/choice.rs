//! A number that a kind fixes or that the value of a field chooses.

use std::sync::Arc;

use crate::Table;
use watchfloor_event::{EventBatch, Namespace, ValueKind};

/// How a number such as `activity_id` comes about.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// Always the same.
    Fixed(i32),
    /// By the value of the first of these source fields that an event has.
    Mapped {
        fields: Vec<Arc<str>>,
        map: Lookup<i32>,
        default: i32,
    },
}

/// A table by whole value, by how a value begins (`4*`) or ends (`*logout`), or by what it contains
/// (`*denied*`, the first written one wins), without regard to case.
#[derive(Clone, Debug)]
pub(crate) struct Lookup<T> {
    whole: Table<String, T>,
    /// Longest first, so that the closest one wins.
    starts: Vec<(String, T)>,
    ends: Vec<(String, T)>,
    parts: Vec<(String, T)>,
}

impl<T: Clone> Lookup<T> {
    pub(crate) fn new(entries: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut whole = Table::default();
        let mut starts = Vec::new();
        let mut ends = Vec::new();
        let mut parts = Vec::new();
        for (key, value) in entries {
            let key = key.to_ascii_lowercase();
            let inside = key.strip_prefix('*').map(|rest| rest.strip_suffix('*'));
            if key == "*" {
                parts.push((String::new(), value));
            } else if let Some(Some(part)) = inside {
                parts.push((part.to_owned(), value));
            } else if let Some(start) = key.strip_suffix('*') {
                starts.push((start.to_owned(), value));
            } else if let Some(end) = key.strip_prefix('*') {
                ends.push((end.to_owned(), value));
            } else {
                whole.insert(key, value);
            }
        }
        // A lone star is for what no other key is.
        parts.sort_by_key(|(part, _)| part.is_empty());
        starts.sort_by_key(|(start, _)| std::cmp::Reverse(start.len()));
        Self {
            whole,
            starts,
            ends,
            parts,
        }
    }

    pub(crate) fn get(&self, text: &str) -> Option<&T> {
        let folded = text.to_ascii_lowercase();
        self.whole.get(&folded).or_else(|| {
            let mut starts = self.starts.iter();
            let start = starts.find(|(start, _)| folded.starts_with(start));
            let end = || self.ends.iter().find(|(end, _)| folded.ends_with(end));
            let part = || {
                self.parts
                    .iter()
                    .find(|(part, _)| folded.contains(part.as_str()))
            };
            start.or_else(end).or_else(part).map(|(_, value)| value)
        })
    }
}

impl Choice {
    /// The number of each row, given to `set`; the map is asked once per distinct value.
    pub(crate) fn apply(
        &self,
        batch: &mut EventBatch,
        rows: &[u32],
        mut set: impl FnMut(&mut EventBatch, usize, i32),
    ) {
        let (fields, map, default) = match self {
            Self::Fixed(0) => return,
            Self::Fixed(number) => {
                for row in rows {
                    set(batch, *row as usize, *number);
                }
                return;
            }
            Self::Mapped {
                fields,
                map,
                default,
            } => (fields, map, *default),
        };
        let mut chosen: Vec<Option<i32>> = vec![None; rows.len()];
        for field in fields {
            let Some(column) = batch.column(Namespace::Source, field) else {
                continue;
            };
            let values = column.dictionary().values();
            let mut by_code: Vec<Option<Option<i32>>> = vec![None; values.len()];
            for (row, slot) in rows.iter().zip(&mut chosen) {
                let code = column.code(*row as usize);
                let known = code
                    .checked_sub(1)
                    .and_then(|index| by_code.get_mut(index as usize));
                let Some(known) = known.filter(|_| slot.is_none()) else {
                    continue;
                };
                if known.is_none() {
                    let value = column.dictionary().get(code);
                    let value = value.filter(|value| value.kind != ValueKind::Null);
                    let number = value.map(|value| map.get(value.text).copied().unwrap_or(default));
                    *known = Some(number);
                }
                *slot = known.flatten();
            }
        }
        for (row, number) in rows.iter().zip(chosen) {
            set(batch, *row as usize, number.unwrap_or(default));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Lookup;

    #[test]
    fn keys_stand_for_the_whole_the_start_the_end_or_a_part() {
        let entries = [
            ("a", 1),
            ("login*", 2),
            ("*logout", 3),
            ("*denied*", 4),
            ("*", 9),
        ];
        let lookup = Lookup::new(entries.map(|(key, value)| (key.to_owned(), value)));
        let found = |text: &str| lookup.get(text).copied();
        assert_eq!(found("A"), Some(1));
        assert_eq!(found("Login denied"), Some(2));
        assert_eq!(found("x logout"), Some(3));
        assert_eq!(found("was DENIED by x"), Some(4));
        assert_eq!(found("other"), Some(9));
        let entries = [("*unlock*", 1), ("*lock*", 2)];
        let lookup = Lookup::new(entries.map(|(key, value)| (key.to_owned(), value)));
        assert_eq!(lookup.get("User unlocked"), Some(&1));
        assert_eq!(lookup.get("User locked"), Some(&2));
        assert_eq!(lookup.get("none"), None);
    }
}
