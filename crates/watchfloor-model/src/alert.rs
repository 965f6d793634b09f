//! A finding admitted to a person's queue.

use std::fmt;

use jiff::Timestamp;

use crate::grade::words;
use crate::{AlertId, Entity, IllegalMove, IncidentId, Risk, Severity, Verdict};

/// State of an alert.
///
/// `new` → `acknowledged` → `in_progress` → `closed`; each may be left out on the way forward,
/// and only `closed` goes back (to `in_progress`, by reopening).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AlertStatus {
    /// Nobody looked yet.
    New,
    /// Somebody has seen it.
    Acknowledged,
    /// Somebody works on it.
    InProgress,
    /// Judged.
    Closed,
}

words!(AlertStatus {
    New = "new",
    Acknowledged = "acknowledged",
    InProgress = "in_progress",
    Closed = "closed",
});

impl AlertStatus {
    /// Whether the move is legal.
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::New => matches!(to, Self::Acknowledged | Self::InProgress | Self::Closed),
            Self::Acknowledged => matches!(to, Self::InProgress | Self::Closed),
            Self::InProgress => matches!(to, Self::Closed),
            Self::Closed => matches!(to, Self::InProgress),
        }
    }

    /// Checks a move.
    ///
    /// # Errors
    /// [`IllegalMove::NotJoined`].
    pub const fn checked(self, to: Self) -> Result<Self, IllegalMove> {
        if self.may_become(to) {
            return Ok(to);
        }
        Err(IllegalMove::NotJoined {
            what: "alert",
            from: self.as_str(),
            to: to.as_str(),
        })
    }
}

/// One matched field: why the rule fired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedField {
    /// Selection of the rule.
    pub selection: String,
    /// Field of the stored event; empty for a keyword.
    pub field: String,
    /// The event's value.
    pub value: String,
    /// What the rule asked for.
    pub pattern: String,
}

/// Why an alert belongs to an incident.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// The incident.
    pub incident_id: IncidentId,
    /// Sentences for a person.
    pub reasons: Vec<String>,
}

/// What a person concluded about an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// The alert.
    pub alert_id: AlertId,
    /// The conclusion.
    pub verdict: Verdict,
    /// Why.
    pub reason: Option<String>,
    /// Who.
    pub actor: String,
    /// When.
    pub at: Timestamp,
}

/// A finding admitted to a person's queue, with those that repeat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alert {
    /// Its id, made from the first finding's.
    pub id: AlertId,
    /// Id of the rule.
    pub rule_id: String,
    /// Title of the rule.
    pub rule_title: String,
    /// Hash of the rule's text at the time of the finding.
    pub rule_version: String,
    /// One line for the queue.
    pub title: String,
    /// Gravity.
    pub severity: Severity,
    /// State.
    pub status: AlertStatus,
    /// Conclusion, once closed.
    pub verdict: Option<Verdict>,
    /// Why it was closed so.
    pub verdict_reason: Option<String>,
    /// Who works on it.
    pub assignee: Option<String>,
    /// The incident it belongs to, and why.
    pub attachment: Option<Attachment>,
    /// Event time of the first finding.
    pub time: Timestamp,
    /// Earliest event.
    pub first_time: Timestamp,
    /// Latest event.
    pub last_time: Timestamp,
    /// When it entered the queue.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// When somebody first looked.
    pub acknowledged_at: Option<Timestamp>,
    /// When it was closed.
    pub closed_at: Option<Timestamp>,
    /// How many findings it stands for.
    pub count: u64,
    /// Source of the events.
    pub source: String,
    /// One sentence: who did what where.
    pub summary: String,
    /// Who and what took part; sorted.
    pub entities: Vec<Entity>,
    /// ATT&CK tactics; sorted.
    pub tactics: Vec<String>,
    /// ATT&CK techniques; sorted.
    pub techniques: Vec<String>,
    /// Why the rule fired, of the first finding.
    pub reasons: Vec<MatchedField>,
    /// Events in the lake, oldest first, at most [`Alert::MAX_EVENT_IDS`].
    pub event_ids: Vec<String>,
    /// Same for findings that repeat each other.
    pub repeat_key: String,
    /// Processes and sessions of its events, as `kind host/id`: what one process or one log-on
    /// did is of one hand. Sorted, at most [`Alert::MAX_TRACES`].
    pub traces: Vec<String>,
    /// How much it matters.
    pub risk: Risk,
    /// Raised by each change.
    pub version: u64,
}

impl Alert {
    /// Most events an alert lists.
    pub const MAX_EVENT_IDS: usize = 1_000;

    /// Most processes and sessions an alert lists.
    pub const MAX_TRACES: usize = 32;

    /// The incident it belongs to.
    pub fn incident_id(&self) -> Option<&IncidentId> {
        self.attachment.as_ref().map(|a| &a.incident_id)
    }

    /// Notes that somebody has seen it; a repeat changes nothing.
    ///
    /// # Errors
    /// [`IllegalMove`] when it is closed.
    pub fn acknowledge(&mut self, now: Timestamp) -> Result<(), IllegalMove> {
        if matches!(
            self.status,
            AlertStatus::Acknowledged | AlertStatus::InProgress
        ) {
            return Ok(());
        }
        self.status = self.status.checked(AlertStatus::Acknowledged)?;
        self.acknowledged_at.get_or_insert(now);
        Ok(())
    }

    /// Gives it to somebody, which starts the work; `None` takes it away again.
    ///
    /// # Errors
    /// [`IllegalMove`] when it is closed.
    pub fn assign(&mut self, assignee: Option<String>, now: Timestamp) -> Result<(), IllegalMove> {
        if assignee.is_some() && self.status != AlertStatus::InProgress {
            if self.status == AlertStatus::Closed {
                return Err(IllegalMove::NotJoined {
                    what: "alert",
                    from: "closed",
                    to: "in_progress",
                });
            }
            self.status = self.status.checked(AlertStatus::InProgress)?;
            self.acknowledged_at.get_or_insert(now);
        }
        self.assignee = assignee;
        Ok(())
    }

    /// Closes it with a conclusion.
    ///
    /// # Errors
    /// [`IllegalMove::ReasonMissing`] for a false positive without reason;
    /// [`IllegalMove::NotJoined`] when it is closed already.
    pub fn close(
        &mut self,
        verdict: Verdict,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<(), IllegalMove> {
        let reason = reason.filter(|text| !text.trim().is_empty());
        if verdict == Verdict::FalsePositive && reason.is_none() {
            return Err(IllegalMove::ReasonMissing);
        }
        self.status = self.status.checked(AlertStatus::Closed)?;
        self.verdict = Some(verdict);
        self.verdict_reason = reason;
        self.acknowledged_at.get_or_insert(now);
        self.closed_at = Some(now);
        Ok(())
    }

    /// Takes a closed alert up again.
    ///
    /// # Errors
    /// [`IllegalMove::NotJoined`] when it is not closed.
    pub fn reopen(&mut self) -> Result<(), IllegalMove> {
        if self.status != AlertStatus::Closed {
            return Err(IllegalMove::NotJoined {
                what: "alert",
                from: self.status.as_str(),
                to: "in_progress",
            });
        }
        self.status = AlertStatus::InProgress;
        self.verdict = None;
        self.verdict_reason = None;
        self.closed_at = None;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::AlertStatus::{self, *};

    #[test]
    fn moves() {
        let legal = [
            (New, Acknowledged),
            (New, InProgress),
            (New, Closed),
            (Acknowledged, InProgress),
            (Acknowledged, Closed),
            (InProgress, Closed),
            (Closed, InProgress),
        ];
        for from in AlertStatus::ALL {
            for to in AlertStatus::ALL {
                assert_eq!(
                    from.checked(*to).is_ok(),
                    legal.contains(&(*from, *to)),
                    "{from} to {to}"
                );
            }
        }
    }
}
