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
