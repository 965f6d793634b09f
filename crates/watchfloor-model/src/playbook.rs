//! Playbooks that are kept, and their runs.

use std::fmt;

use jiff::Timestamp;

use crate::grade::words;
use crate::{ActionId, IllegalMove, IncidentId, Principal, RunId};

/// A playbook that is kept; the document is CACAO as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybookRecord {
    /// CACAO id: `playbook--` and a UUID.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The document, JSON.
    pub document: String,
    /// Whether it came with the program.
    pub is_built_in: bool,
    /// Whether it may be run; a draft with faults may not.
    pub is_runnable: bool,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
    /// Raised by each change.
    pub version: u64,
}

/// State of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RunStatus {
    /// Steps are to come.
    Running,
    /// All steps are done.
    Done,
    /// A step failed and nothing took care of it.
    Failed,
    /// A person ended it.
    Cancelled,
}

words!(RunStatus {
    Running = "running",
    Done = "done",
    Failed = "failed",
    Cancelled = "cancelled",
});

/// A run of a playbook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaybookRun {
    /// Its id.
    pub id: RunId,
    /// The playbook.
    pub playbook_id: String,
    /// Its name when the run began.
    pub playbook_name: String,
    /// The document as it was when the run began: a later change changes no run.
    pub document: String,
    /// What the machine knows, JSON.
    pub machine: String,
    /// State.
    pub status: RunStatus,
    /// For which incident.
    pub incident_id: Option<IncidentId>,
    /// Who began it.
    pub started_by: Principal,
    /// When.
    pub started_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// End.
    pub ended_at: Option<Timestamp>,
    /// The run and step that called it.
    pub parent: Option<(RunId, u64)>,
    /// Calls above it.
    pub depth: u32,
    /// Why it failed or was ended.
    pub reason: Option<String>,
    /// Why it is stuck, while it is.
    pub stuck: Option<String>,
    /// Raised by each change.
    pub version: u64,
}

impl PlaybookRun {
    /// Ends the run.
    ///
    /// # Errors
    /// [`IllegalMove::NotJoined`] when it is over already.
    pub fn end(
        &mut self,
        status: RunStatus,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<(), IllegalMove> {
        if self.status != RunStatus::Running || status == RunStatus::Running {
            return Err(IllegalMove::NotJoined {
                what: "playbook run",
                from: self.status.as_str(),
                to: status.as_str(),
            });
        }
        self.status = status;
        self.reason = reason;
        self.stuck = None;
        self.ended_at = Some(now);
        Ok(())
    }
}

/// State of a step of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum StepStatus {
    /// Waits: for its time, a person, an approval, an action, another run, its branches.
    Waiting,
    /// Done.
    Done,
    /// Failed.
    Failed,
    /// Given up because the run ended.
    Cancelled,
}

words!(StepStatus {
    Waiting = "waiting",
    Done = "done",
    Failed = "failed",
    Cancelled = "cancelled",
});

/// What a step waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WaitsFor {
    /// Its delay.
    Time,
    /// A person who does it and says how it went.
    Person,
    /// An action, which may itself wait for an approval.
    Action,
    /// A run of another playbook.
    Run,
    /// Its branches.
    Branches,
}

words!(WaitsFor {
    Time = "time",
    Person = "person",
    Action = "action",
    Run = "run",
    Branches = "branches",
});

/// A step of a run: one row for each time that it is entered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunStep {
    /// The run.
    pub run: RunId,
    /// Number in the run, from 1, in the order of entering.
    pub instance: u64,
    /// Id of the step in the playbook.
    pub step: String,
    /// Its name.
    pub name: String,
    /// Its kind in CACAO's words.
    pub kind: String,
    /// State.
    pub status: StepStatus,
    /// What it waits for, while it waits.
    pub waits_for: Option<WaitsFor>,
    /// In words: what a person is to do, why it failed, what came out.
    pub detail: String,
    /// When it was entered.
    pub entered_at: Timestamp,
    /// Since when it waits for what it waits for.
    pub since: Timestamp,
    /// When it is looked at again: end of a delay, or of its time.
    pub due_at: Option<Timestamp>,
    /// End.
    pub ended_at: Option<Timestamp>,
    /// The action that it waits for.
    pub action: Option<ActionId>,
    /// The run that it waits for.
    pub child: Option<RunId>,
    /// Who said how it went.
    pub decided_by: Option<String>,
}
