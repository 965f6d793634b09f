//! A number that a kind fixes or that the value of a field chooses.

use std::sync::Arc;

use crate::Table;
use watchfloor_event::{EventBatch, Namespace};

/// How a number such as `activity_id` comes about.
#[derive(Clone, Debug)]
pub(crate) enum Choice {
    /// Always the same.
    Fixed(i32),
    /// By the value of a source field.
    Mapped {
        field: Arc<str>,
        map: Table<String, i32>,
        default: i32,
    },
}

impl Choice {
    /// The number of each row, given to `set`; the map is asked once per distinct value.
    pub(crate) fn apply(
        &self,
        batch: &mut EventBatch,
        rows: &[u32],
        mut set: impl FnMut(&mut EventBatch, usize, i32),
    ) {
        match self {
            Self::Fixed(0) => {}
            Self::Fixed(number) => {
                for row in rows {
                    set(batch, *row as usize, *number);
                }
            }
            Self::Mapped {
                field,
                map,
                default,
            } => {
                let chosen: Vec<(usize, i32)> = match batch.column(Namespace::Source, field) {
                    None => rows.iter().map(|row| (*row as usize, *default)).collect(),
                    Some(column) => {
                        let by_code: Vec<i32> = column
                            .dictionary()
                            .values()
                            .map(|value| {
                                let folded = value.text.to_ascii_lowercase();
                                map.get(&folded).copied().unwrap_or(*default)
                            })
                            .collect();
                        rows.iter()
                            .map(|row| {
                                let row = *row as usize;
                                let code = column.code(row) as usize;
                                let number = code
                                    .checked_sub(1)
                                    .and_then(|index| by_code.get(index))
                                    .copied()
                                    .unwrap_or(*default);
                                (row, number)
                            })
                            .collect()
                    }
                };
                for (row, number) in chosen {
                    set(batch, row, number);
                }
            }
        }
    }
}
