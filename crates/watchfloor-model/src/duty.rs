//! Who is on call, who is told when nobody answers, and what one shift gives to the next.

use std::fmt;

use jiff::Timestamp;

use crate::grade::words;
use crate::{
    ActionId, ClockKind, ConnectorId, EscalationId, HandoverId, RotationId, Severity, StandInId,
};

/// People who take turns at being on call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Its id.
    pub id: RotationId,
    /// Its name.
    pub name: String,
    /// Names of users, in the order of their turns.
    pub members: Vec<String>,
    /// First day, local, as `2026-03-02`.
    pub starts_on: String,
    /// Minute of the day at which a turn begins, local, 0 to 1439.
    pub handover_minute: u16,
    /// Length of a turn in hours by the local clock: a day is 24 of them also when clocks change.
    pub turn_hours: u32,
    /// Time zone, as in the IANA database.
    pub zone: String,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
    /// Raised by each change.
    pub version: u64,
}

/// Somebody stands in for somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StandIn {
    /// Its id.
    pub id: StandInId,
    /// In which rotation.
    pub rotation_id: RotationId,
    /// Who stands in.
    pub name: String,
    /// For whom; `None` for whoever is on call.
    pub instead_of: Option<String>,
    /// From (inclusive).
    pub from: Timestamp,
    /// To (exclusive).
    pub to: Timestamp,
    /// Who wrote it down.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
}

/// Whom an escalation goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Recipient {
    /// Who is on call in the first rotation.
    Primary,
    /// Who is on call in the second rotation; without one, who is next in the first.
    Secondary,
    /// All leads; administrators where there is none.
    Leads,
}

words!(Recipient {
    Primary = "primary",
    Secondary = "secondary",
    Leads = "leads",
});

/// One level of an escalation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EscalationLevel {
    /// Which clock it watches.
    pub clock: ClockKind,
    /// Once so many percent of the target are over.
    pub after_percent: Option<u32>,
    /// Once so many minutes are over.
    pub after_minutes: Option<u32>,
    /// For this severity and above.
    pub severity_min: Severity,
    /// Who is told.
    pub recipient: Recipient,
    /// Through which connector; in the console alone without.
    pub connector_id: Option<ConnectorId>,
}

/// Whom to tell, and when, if nobody answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EscalationPolicy {
    /// Whether anybody is told.
    pub is_on: bool,
    /// Where the primary is on call.
    pub primary: Option<RotationId>,
    /// Where the secondary is on call.
    pub secondary: Option<RotationId>,
    /// Whether alerts that belong to no incident count too.
    pub with_alerts: bool,
    /// The levels, each on its own.
    pub levels: Vec<EscalationLevel>,
    /// Raised by each change.
    pub version: u64,
    /// Who changed it last.
    pub changed_by: Option<String>,
    /// When.
    pub changed_at: Option<Timestamp>,
}

/// How somebody is reached outside of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// Name of the user.
    pub name: String,
    /// E-mail address; empty for none.
    pub email: String,
    /// How a channel calls them, such as `<@U024BE7LH>`; empty for none.
    pub mention: String,
}

/// That somebody was told. One per subject, clock and level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// Its id.
    pub id: EscalationId,
    /// Id of the incident or alert.
    pub subject: String,
    /// Its title.
    pub title: String,
    /// Gravity.
    pub severity: Severity,
    /// Which clock.
    pub clock: ClockKind,
    /// Level of the policy, from 1.
    pub level: u32,
    /// When.
    pub at: Timestamp,
    /// Until when the clock was to be reached.
    pub due_at: Timestamp,
    /// Names of those who were told.
    pub recipients: Vec<String>,
    /// The action that tells them.
    pub action_id: Option<ActionId>,
    /// Why nobody could be told outside of the console.
    pub trouble: Option<String>,
}

/// What one shift gave to the next. It does not change any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// Its id.
    pub id: HandoverId,
    /// From when.
    pub from: Timestamp,
    /// Until when.
    pub to: Timestamp,
    /// Who gave it.
    pub given_by: String,
    /// When.
    pub given_at: Timestamp,
    /// Who took it.
    pub accepted_by: Option<String>,
    /// When.
    pub accepted_at: Option<Timestamp>,
    /// What was written down by hand.
    pub notes: String,
    /// Everything that was shown, JSON.
    pub snapshot: String,
    /// SHA-256 of notes and snapshot; the audit chain names it.
    pub digest: String,
}
