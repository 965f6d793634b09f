//! Related alerts: the unit of managed work.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::grade::words;
use crate::{AlertId, ClockKind, Entity, IllegalMove, IncidentId, Risk, Severity, Verdict};

/// State of an incident.
///
/// While it is open (`new`, `in_progress`, `contained`) it moves freely, also back, so that a
/// slip can be undone. From `resolved` and `closed` it goes back to `in_progress` or `contained`
/// when it turns out not to be over; `resolved` also goes on to `closed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IncidentStatus {
    /// Nobody took it up yet.
    New,
    /// Being investigated.
    InProgress,
    /// It spreads no further.
    Contained,
    /// Over, with a verdict.
    Resolved,
    /// Filed.
    Closed,
}

words!(IncidentStatus {
    New = "new",
    InProgress = "in_progress",
    Contained = "contained",
    Resolved = "resolved",
    Closed = "closed",
});

impl IncidentStatus {
    /// Whether new alerts may be attached by themselves.
    pub const fn is_open(self) -> bool {
        match self {
            Self::New | Self::InProgress | Self::Contained => true,
            Self::Resolved | Self::Closed => false,
        }
    }

    /// Whether the move is legal.
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::New => !matches!(to, Self::New),
            Self::InProgress => !matches!(to, Self::InProgress),
            Self::Contained => !matches!(to, Self::Contained),
            Self::Resolved => matches!(to, Self::InProgress | Self::Contained | Self::Closed),
            Self::Closed => matches!(to, Self::InProgress | Self::Contained),
        }
    }
}

/// When what was reached; each is set once and cleared by reopening.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// First alert in the queue.
    pub detected_at: Timestamp,
    /// First look by a person.
    pub acknowledged_at: Option<Timestamp>,
    /// Contained.
    pub contained_at: Option<Timestamp>,
    /// Resolved.
    pub resolved_at: Option<Timestamp>,
    /// From when to when it stood resolved and was then opened again: no clock ran meanwhile.
    pub away: Vec<(Timestamp, Timestamp)>,
}

/// Most times that an incident stood resolved that are kept apart; later ones are let go.
const AWAY_MAX: usize = 100;

impl Clocks {
    /// Clocks that begin to run.
    pub const fn begin(detected_at: Timestamp) -> Self {
        Self {
            detected_at,
            acknowledged_at: None,
            contained_at: None,
            resolved_at: None,
            away: Vec::new(),
        }
    }

    /// When something was reached.
    pub const fn reached(&self, kind: ClockKind) -> Option<Timestamp> {
        match kind {
            ClockKind::Acknowledge => self.acknowledged_at,
            ClockKind::Contain => self.contained_at,
            ClockKind::Resolve => self.resolved_at,
        }
    }

    /// Time from detection to an instant, without the time that it stood resolved.
    pub fn open_time(&self, until: Timestamp) -> SignedDuration {
        let mut open = until.duration_since(self.detected_at);
        for (from, to) in &self.away {
            let (from, to) = ((*from).max(self.detected_at), (*to).min(until));
            if from < to {
                open = open.saturating_sub(to.duration_since(from));
            }
        }
        open.max(SignedDuration::ZERO)
    }

    /// Time that it stood resolved before it was opened again.
    pub fn away_time(&self) -> SignedDuration {
        let spans = self.away.iter().map(|(from, to)| to.duration_since(*from));
        spans.fold(SignedDuration::ZERO, SignedDuration::saturating_add)
    }

    fn open_again(&mut self, now: Timestamp) {
        let since = self.resolved_at.filter(|since| *since < now);
        if let Some(since) = since.filter(|_| self.away.len() < AWAY_MAX) {
            self.away.push((since, now));
        }
        self.resolved_at = None;
    }
}

/// Related alerts: the unit of managed work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incident {
    /// Its id.
    pub id: IncidentId,
    /// Number for people, from 1, per tenant.
    pub number: u64,
    /// One line.
    pub title: String,
    /// The title was set by a person and is kept.
    pub title_by_hand: bool,
    /// What happened, in sentences.
    pub summary: String,
    /// The summary was set by a person and is kept.
    pub summary_by_hand: bool,
    /// Gravity.
    pub severity: Severity,
    /// The severity was set by a person and is kept.
    pub severity_by_hand: bool,
    /// Why it is as grave as it is, in sentences.
    pub severity_reasons: Vec<String>,
    /// How much it matters.
    pub risk: Risk,
    /// State.
    pub status: IncidentStatus,
    /// Conclusion.
    pub verdict: Option<Verdict>,
    /// Who leads it.
    pub assignee: Option<String>,
    /// When it was opened.
    pub created_at: Timestamp,
    /// Last change.
    pub updated_at: Timestamp,
    /// Earliest event.
    pub first_time: Timestamp,
    /// Latest event.
    pub last_time: Timestamp,
    /// Its alerts, by event time.
    pub alert_ids: Vec<AlertId>,
    /// Who and what took part; sorted.
    pub entities: Vec<Entity>,
    /// ATT&CK tactics, in the order of the attack life cycle.
    pub tactics: Vec<String>,
    /// ATT&CK techniques; sorted.
    pub techniques: Vec<String>,
    /// When what was reached.
    pub clocks: Clocks,
    /// Set when it was merged into another and lives on there.
    pub merged_into: Option<IncidentId>,
    /// Raised by each change.
    pub version: u64,
}

impl Incident {
    /// Moves the incident. Staying where it is changes nothing.
    ///
    /// # Errors
    /// [`IllegalMove::NotJoined`], or [`IllegalMove::VerdictMissing`] when it would be
    /// resolved or closed without a verdict.
    pub fn set_status(&mut self, to: IncidentStatus, now: Timestamp) -> Result<(), IllegalMove> {
        if self.status == to {
            return Ok(());
        }
        if !self.status.may_become(to) || self.merged_into.is_some() {
            return Err(IllegalMove::NotJoined {
                what: "incident",
                from: self.status.as_str(),
                to: to.as_str(),
            });
        }
        if !to.is_open() && self.verdict.is_none() {
            return Err(IllegalMove::VerdictMissing {
                what: "incident",
                to: to.as_str(),
            });
        }
        self.status = to;
        self.clocks.acknowledged_at.get_or_insert(now);
        match to {
            IncidentStatus::New | IncidentStatus::InProgress => {
                self.clocks.contained_at = None;
                self.clocks.open_again(now);
            }
            IncidentStatus::Contained => {
                self.clocks.contained_at.get_or_insert(now);
                self.clocks.open_again(now);
            }
            IncidentStatus::Resolved | IncidentStatus::Closed => {
                self.clocks.contained_at.get_or_insert(now);
                self.clocks.resolved_at.get_or_insert(now);
            }
        }
        Ok(())
    }

    /// Gives it to somebody; a new incident is then in progress.
    pub fn assign(&mut self, assignee: Option<String>, now: Timestamp) {
        if assignee.is_some() && self.status == IncidentStatus::New {
            self.status = IncidentStatus::InProgress;
        }
        if assignee.is_some() {
            self.clocks.acknowledged_at.get_or_insert(now);
        }
        self.assignee = assignee;
    }
}

#[cfg(test)]
mod tests {
    use super::IncidentStatus::{self, *};

    #[test]
    fn moves() {
        let illegal = [(Resolved, New), (Closed, New), (Closed, Resolved)];
        for from in IncidentStatus::ALL {
            for to in IncidentStatus::ALL {
                let expected = from != to && !illegal.contains(&(*from, *to));
                assert_eq!(from.may_become(*to), expected, "{from} to {to}");
            }
        }
    }
}
