//! Questions that are kept: to be asked again, on a schedule, and to raise an alert.

use std::fmt;

use jiff::Timestamp;

use crate::grade::words;
use crate::{SearchId, Severity};

/// Who sees a kept question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SearchSharing {
    /// Whoever made it.
    Own,
    /// Everybody of the tenant.
    Tenant,
}

words!(SearchSharing {
    Own = "own",
    Tenant = "tenant",
});

/// When a question is asked by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SearchSchedule {
    /// Every so many minutes.
    Every {
        /// 1 to 10,080.
        minutes: u32,
    },
    /// Once a day.
    Daily {
        /// Minute of the day, 0 to 1439.
        minute: u16,
        /// Time zone, as in the IANA database.
        zone: String,
    },
}

/// When an answer is worth an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchAlarm {
    /// As soon as there are so many rows.
    pub rows: u64,
    /// How grave.
    pub severity: Severity,
    /// Columns whose values tell one alert from another; all rows together if there are none.
    pub key: Vec<String>,
}

/// How the last asking went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRun {
    /// When it began.
    pub at: Timestamp,
    /// How long it took.
    pub took_ms: u64,
    /// Rows or events that were found.
    pub rows: u64,
    /// Whether there were more rows than are looked at.
    pub capped: bool,
    /// Alerts and repeats of alerts that it raised.
    pub alerts: u64,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// A kept question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedSearch {
    /// Its id.
    pub id: SearchId,
    /// Its name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// In any form of the hunt language.
    pub query: String,
    /// The time that it looks back over, such as `24h`, or `all`.
    pub span: String,
    /// Who sees it.
    pub sharing: SearchSharing,
    /// User or token that made it.
    pub owner: String,
    /// The same by name.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Whether it stands on the first page.
    pub is_panel: bool,
    /// When it is asked by itself.
    pub schedule: Option<SearchSchedule>,
    /// When an answer is worth an alert.
    pub alarm: Option<SearchAlarm>,
    /// How the last asking went.
    pub last_run: Option<SearchRun>,
    /// When it is asked next.
    pub next_run_at: Option<Timestamp>,
    /// Counts changes.
    pub version: u64,
}
