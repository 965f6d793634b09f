//! What people add to an incident: tasks, notes, observables.

use jiff::Timestamp;

use crate::grade::words;
use crate::{EntityKind, NoteId, ObservableId, TaskId};
use std::fmt;

/// A move that a state machine does not allow.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IllegalMove {
    /// The states are not joined.
    #[error("{what} cannot go from {from} to {to}")]
    NotJoined {
        /// `alert`, `incident` or `task`.
        what: &'static str,
        /// State now.
        from: &'static str,
        /// State asked for.
        to: &'static str,
    },
    /// A verdict is needed for this move.
    #[error("{what} needs a verdict to become {to}")]
    VerdictMissing {
        /// `alert` or `incident`.
        what: &'static str,
        /// State asked for.
        to: &'static str,
    },
    /// A false positive needs a reason, so that the rule can be mended.
    #[error("a false positive needs a reason")]
    ReasonMissing,
}

/// State of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TaskStatus {
    /// To be done.
    Open,
    /// Done.
    Done,
}

words!(TaskStatus {
    Open = "open",
    Done = "done",
});

/// A piece of work in an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Its id.
    pub id: TaskId,
    /// What is to be done.
    pub title: String,
    /// State.
    pub status: TaskStatus,
    /// Who does it.
    pub assignee: Option<String>,
    /// Who asked for it.
    pub created_by: String,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it was done.
    pub done_at: Option<Timestamp>,
}

impl Task {
    /// Moves the task; a done task may be opened again.
    pub fn set_status(&mut self, status: TaskStatus, now: Timestamp) {
        if self.status != status {
            self.status = status;
            self.done_at = (status == TaskStatus::Done).then_some(now);
        }
    }
}

/// A note in which a user is mentioned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mention {
    /// The note.
    pub note_id: NoteId,
    /// The alert or incident on which it stands.
    pub parent_id: String,
    /// Who wrote it.
    pub author: String,
    /// What it says.
    pub text: String,
    /// When.
    pub at: Timestamp,
    /// When the user saw it.
    pub seen_at: Option<Timestamp>,
}

/// Names that a text mentions as `@name`, in lower case, in order, each once. Names hold letters,
/// digits, dots, dashes and underscores; what looks like an address of mail mentions nobody.
pub fn mentioned_in(text: &str) -> Vec<String> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
    let mut names: Vec<String> = Vec::new();
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        if c == '@' && !is_name(before) {
            let rest = text.get(at + 1..).unwrap_or_default();
            let end = rest.find(|c: char| !is_name(c)).unwrap_or(rest.len());
            let name = rest.get(..end).unwrap_or_default();
            let name = name.trim_end_matches(['.', '-']).to_lowercase();
            if !name.is_empty() && !names.contains(&name) {
                names.push(name);
            }
        }
        before = c;
    }
    names
}

/// What a person wrote down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Its id.
    pub id: NoteId,
    /// The text, as typed; hostile until escaped.
    pub text: String,
    /// Who wrote it.
    pub author: String,
    /// When.
    pub created_at: Timestamp,
}

/// A value seen in an incident that someone thought worth keeping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observable {
    /// Its id.
    pub id: ObservableId,
    /// What kind of value.
    pub kind: EntityKind,
    /// The value.
    pub value: String,
    /// Why it is kept.
    pub note: Option<String>,
    /// Who added it.
    pub added_by: String,
    /// When.
    pub added_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::mentioned_in;

    #[test]
    fn mentions() {
        for (text, expected) in [
            ("@ann look, and @Bob.Lee.", vec!["ann", "bob.lee"]),
            ("mail ann@corp.example", vec![]),
            ("(@ann) @ann @", vec!["ann"]),
        ] {
            assert_eq!(mentioned_in(text), expected, "{text}");
        }
    }
}
