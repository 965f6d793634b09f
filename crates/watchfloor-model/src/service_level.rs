//! Service levels: until when an incident of a severity is to be acknowledged, contained and
//! resolved, and how its clocks stand.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::grade::words;
use crate::{Clocks, Severity};

/// Share of a target, in percent, from which a clock is at risk.
pub const AT_RISK_PERCENT: i64 = 75;

/// What is to be reached in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClockKind {
    /// A first look by a person.
    Acknowledge,
    /// It spreads no further.
    Contain,
    /// It is over.
    Resolve,
}

words!(ClockKind {
    Acknowledge = "acknowledge",
    Contain = "contain",
    Resolve = "resolve",
});

/// How a clock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClockState {
    /// It runs, and there is time.
    Running,
    /// It runs, and three quarters of its time are over.
    AtRisk,
    /// It runs, and its time is over.
    Breached,
    /// Reached in time.
    Met,
    /// Reached too late.
    Missed,
}

words!(ClockState {
    Running = "running",
    AtRisk = "at_risk",
    Breached = "breached",
    Met = "met",
    Missed = "missed",
});

/// Targets of a severity in minutes, counted from detection; `None` sets none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Targets {
    /// Until a first look.
    pub acknowledge: Option<u32>,
    /// Until it is contained.
    pub contain: Option<u32>,
    /// Until it is resolved.
    pub resolve: Option<u32>,
}

impl Targets {
    /// The target of a clock, in minutes.
    pub const fn of(&self, kind: ClockKind) -> Option<u32> {
        match kind {
            ClockKind::Acknowledge => self.acknowledge,
            ClockKind::Contain => self.contain,
            ClockKind::Resolve => self.resolve,
        }
    }
}

/// Targets of all severities; the floor is staffed around the clock, and no clock pauses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceLevels {
    /// By rank of severity, from informational to critical.
    pub targets: [Targets; 5],
    /// Raised by each change; 0 while nobody changed them.
    pub version: u64,
    /// Who changed them last.
    pub changed_by: Option<String>,
    /// When.
    pub changed_at: Option<Timestamp>,
}

impl ServiceLevels {
    /// What holds where nobody decided.
    pub const fn standard() -> Self {
        const fn targets(acknowledge: u32, contain: u32, resolve: u32) -> Targets {
            Targets {
                acknowledge: Some(acknowledge),
                contain: Some(contain),
                resolve: Some(resolve),
            }
        }
        let informational = Targets {
            acknowledge: Some(24 * 60),
            contain: None,
            resolve: None,
        };
        Self {
            targets: [
                informational,
                targets(8 * 60, 3 * 24 * 60, 7 * 24 * 60),
                targets(2 * 60, 24 * 60, 3 * 24 * 60),
                targets(30, 4 * 60, 24 * 60),
                targets(15, 60, 8 * 60),
            ],
            version: 0,
            changed_by: None,
            changed_at: None,
        }
    }

    /// Targets of a severity.
    pub const fn of(&self, severity: Severity) -> &Targets {
        &self.targets[severity as usize]
    }

    /// All clocks of an incident that have a target.
    pub fn faces(&self, severity: Severity, clocks: &Clocks, now: Timestamp) -> Vec<ClockFace> {
        ClockKind::ALL
            .iter()
            .filter_map(|kind| {
                let minutes = self.of(severity).of(*kind)?;
                Some(ClockFace::new(*kind, minutes, clocks, now))
            })
            .collect()
    }

    /// The clock of an open incident that runs out next.
    pub fn running(
        &self,
        severity: Severity,
        clocks: &Clocks,
        now: Timestamp,
    ) -> Option<ClockFace> {
        let faces = self.faces(severity, clocks, now).into_iter();
        faces
            .filter(|face| face.reached_at.is_none())
            .min_by_key(|face| face.due_at)
    }
}

/// One clock as it stands at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockFace {
    /// What is to be reached.
    pub kind: ClockKind,
    /// Target in minutes.
    pub target_min: u32,
    /// Until when.
    pub due_at: Timestamp,
    /// When it was reached.
    pub reached_at: Option<Timestamp>,
    /// Time that ran on it, without the time that the incident stood resolved.
    pub elapsed: SignedDuration,
    /// How it stands.
    pub state: ClockState,
}

impl ClockFace {
    fn new(kind: ClockKind, target_min: u32, clocks: &Clocks, now: Timestamp) -> Self {
        let target = SignedDuration::from_mins(i64::from(target_min));
        let reached_at = clocks.reached(kind);
        let until = reached_at.unwrap_or(now);
        let elapsed = clocks.open_time(until);
        let state = match reached_at {
            Some(_) if elapsed <= target => ClockState::Met,
            Some(_) => ClockState::Missed,
            None if elapsed >= target => ClockState::Breached,
            None if share(elapsed, target_min) >= AT_RISK_PERCENT => ClockState::AtRisk,
            None => ClockState::Running,
        };
        let due_at = until.saturating_add(target.saturating_sub(elapsed));
        Self {
            kind,
            target_min,
            due_at: due_at.unwrap_or(until),
            reached_at,
            elapsed,
            state,
        }
    }

    /// Percent of the target that is used up.
    pub fn percent(&self) -> i64 {
        share(self.elapsed, self.target_min)
    }
}

fn share(elapsed: SignedDuration, target_min: u32) -> i64 {
    elapsed.as_secs().saturating_mul(100) / (i64::from(target_min.max(1)) * 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-02T{text}Z").parse().unwrap()
    }

    #[test]
    fn a_clock_runs_is_at_risk_and_breaks() {
        let levels = ServiceLevels::standard();
        let clocks = Clocks::begin(at("12:00:00"));
        let state = |now| levels.running(Severity::Critical, &clocks, now).unwrap();
        assert_eq!(state(at("12:05:00")).state, ClockState::Running);
        assert_eq!(state(at("12:11:14")).state, ClockState::Running);
        assert_eq!(state(at("12:11:15")).state, ClockState::AtRisk);
        assert_eq!(state(at("12:15:00")).state, ClockState::Breached);
        assert_eq!(state(at("12:15:00")).due_at, at("12:15:00"));
        let seen = Clocks {
            acknowledged_at: Some(at("12:20:00")),
            ..clocks.clone()
        };
        let next = levels.running(Severity::Critical, &seen, at("12:21:00"));
        assert_eq!(next.map(|face| face.kind), Some(ClockKind::Contain));
        let faces = levels.faces(Severity::Critical, &seen, at("12:21:00"));
        assert_eq!(faces[0].state, ClockState::Missed);
    }

    #[test]
    fn a_clock_stands_while_the_incident_is_resolved() {
        let levels = ServiceLevels::standard();
        let mut clocks = Clocks::begin(at("02:00:00"));
        clocks.acknowledged_at = Some(at("02:05:00"));
        clocks.contained_at = Some(at("02:10:00"));
        clocks.away = vec![(at("03:00:00"), at("10:00:00"))];
        let face = levels.running(Severity::Critical, &clocks, at("11:00:00"));
        let face = face.unwrap();
        assert_eq!(face.kind, ClockKind::Resolve);
        assert_eq!(face.elapsed, SignedDuration::from_hours(2));
        assert_eq!(face.due_at, at("17:00:00"));
        assert_eq!(face.state, ClockState::Running);
    }
}
