//! Times that the floor takes: from evidence to detection, and from there to a first look, to
//! containment and to the end. Medians and ninetieth percentiles, computed in one pass.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use watchfloor_model::{Actor, ClockKind, Permission, ServiceLevels, Severity, Verdict};
use watchfloor_store::{IncidentTimes, TIMES_MAX};

use crate::{Casework, CaseworkError};

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// From the earliest evidence to detection.
    Detect,
    /// From detection to the first look.
    Acknowledge,
    /// From detection to containment.
    Contain,
    /// From detection to the end.
    Resolve,
}

impl Measure {
    /// Every measure, in the order of an incident.
    pub const ALL: [Self; 4] = [
        Self::Detect,
        Self::Acknowledge,
        Self::Contain,
        Self::Resolve,
    ];

    /// The clock that it belongs to.
    pub const fn clock(self) -> Option<ClockKind> {
        match self {
            Self::Detect => None,
            Self::Acknowledge => Some(ClockKind::Acknowledge),
            Self::Contain => Some(ClockKind::Contain),
            Self::Resolve => Some(ClockKind::Resolve),
        }
    }

    /// The time that an incident took; `None` while it is not reached. Time that it stood
    /// resolved before it was opened again is left out.
    fn of(self, incident: &IncidentTimes) -> Option<i64> {
        let clocks = &incident.clocks;
        let span = match self.clock() {
            None => clocks.detected_at.duration_since(incident.first_time),
            Some(kind) => clocks.open_time(clocks.reached(kind)?),
        };
        Some(span.max(SignedDuration::ZERO).as_secs())
    }
}

/// Which incidents.
#[derive(Clone, Debug)]
pub struct PerformanceQuery {
    /// Detected from (inclusive).
    pub from: Timestamp,
    /// Detected to (exclusive).
    pub to: Timestamp,
    /// Any of these conclusions, `None` for none yet; all when empty.
    pub verdicts: Vec<Option<Verdict>>,
    /// Where weeks begin.
    pub zone: TimeZone,
}

/// One figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// Incidents behind it.
    pub count: u64,
    /// The one in the middle; of two the mean.
    pub median_s: i64,
    /// Nine of ten took no longer (nearest rank).
    pub p90_s: i64,
    /// How many kept today's target; `None` where there is none.
    pub in_time: Option<u64>,
    /// How many of those had a target.
    pub with_target: u64,
}

/// Figures of some incidents.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// Incidents.
    pub incidents: u64,
    /// Times that one was opened again.
    pub reopened: u64,
    /// By measure; `None` where nobody reached it.
    pub figures: BTreeMap<Measure, Figure>,
}

/// Times over a span.
#[derive(Clone, Debug)]
pub struct Performance {
    /// All.
    pub all: Figures,
    /// By severity, those that occur.
    pub by_severity: BTreeMap<Severity, Figures>,
    /// By week: its first instant and the first of the next.
    pub by_week: Vec<(Timestamp, Timestamp, Figures)>,
    /// Incidents of the span by conclusion, whatever was asked for; `None` for none yet.
    pub verdicts: Vec<(Option<Verdict>, u64)>,
    /// There are more incidents than are looked at; the latest are left out.
    pub is_capped: bool,
}

/// A figure over incidents; `None` where nobody reached it.
pub(crate) fn figure<'i>(
    incidents: impl Iterator<Item = &'i IncidentTimes>,
    measure: Measure,
) -> Option<Figure> {
    let mut spans: Vec<i64> = incidents.filter_map(|one| measure.of(one)).collect();
    spans.sort_unstable();
    Some(Figure {
        count: spans.len() as u64,
        median_s: median(&spans)?,
        p90_s: nearest_rank(&spans, 90)?,
        in_time: None,
        with_target: 0,
    })
}

fn median(sorted: &[i64]) -> Option<i64> {
    let (low, high) = (sorted.len().checked_sub(1)? / 2, sorted.len() / 2);
    let (low, high) = (*sorted.get(low)?, *sorted.get(high)?);
    Some(low + (high - low) / 2)
}

/// The smallest value that so many percent do not exceed.
fn nearest_rank(sorted: &[i64], percent: usize) -> Option<i64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

fn figures(incidents: &[&IncidentTimes], levels: &ServiceLevels) -> Figures {
    let mut out = Figures {
        incidents: incidents.len() as u64,
        reopened: incidents
            .iter()
            .map(|one| one.clocks.away.len() as u64)
            .sum(),
        figures: BTreeMap::new(),
    };
    for measure in Measure::ALL {
        let Some(mut figure) = figure(incidents.iter().copied(), measure) else {
            continue;
        };
        if let Some(kind) = measure.clock() {
            let kept = incidents.iter().filter_map(|one| {
                let target = i64::from(levels.of(one.severity).of(kind)?) * 60;
                Some(measure.of(one)? <= target)
            });
            let kept: Vec<bool> = kept.collect();
            figure.with_target = kept.len() as u64;
            let in_time = kept.iter().filter(|kept| **kept).count() as u64;
            figure.in_time = (!kept.is_empty()).then_some(in_time);
        }
        out.figures.insert(measure, figure);
    }
    out
}

/// The Monday that begins a week, and the next one, by a local clock.
fn week_of(zone: &TimeZone, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let date = zone.to_datetime(at).date();
    let back = i64::from(date.weekday().to_monday_zero_offset());
    let monday = date.checked_sub(back.days()).ok()?;
    let next = monday.checked_add(7.days()).ok()?;
    let begin = |date: jiff::civil::Date| zone.to_timestamp(date.at(0, 0, 0, 0)).ok();
    Some((begin(monday)?, begin(next)?))
}

impl Casework {
    /// Times of the incidents that were detected in a span. Merged incidents count once: where
    /// they live on.
    ///
    /// # Errors
    /// [`CaseworkError`].
    pub async fn performance(
        &self,
        actor: &Actor,
        query: &PerformanceQuery,
    ) -> Result<Performance, CaseworkError> {
        self.authorize(actor, Permission::ReadCases)?;
        if query.from >= query.to {
            return Err(CaseworkError::Invalid {
                field: "to",
                reason: "must lie after from".to_owned(),
            });
        }
        let mut reader = self.store().read(&actor.tenant).await?;
        let levels = reader.q().service_levels().await?;
        let mut incidents = reader.q().incident_times(query.from, query.to).await?;
        let is_capped = incidents.len() > TIMES_MAX;
        incidents.truncate(TIMES_MAX);
        let mut verdicts: BTreeMap<Option<Verdict>, u64> = BTreeMap::new();
        for incident in &incidents {
            *verdicts.entry(incident.verdict).or_default() += 1;
        }
        let is_asked = |one: &&IncidentTimes| {
            query.verdicts.is_empty() || query.verdicts.contains(&one.verdict)
        };
        let asked: Vec<&IncidentTimes> = incidents.iter().filter(is_asked).collect();
        let mut by_severity: BTreeMap<Severity, Vec<&IncidentTimes>> = BTreeMap::new();
        let mut by_week: BTreeMap<(Timestamp, Timestamp), Vec<&IncidentTimes>> = BTreeMap::new();
        for incident in &asked {
            by_severity
                .entry(incident.severity)
                .or_default()
                .push(incident);
            if let Some(week) = week_of(&query.zone, incident.clocks.detected_at) {
                by_week.entry(week).or_default().push(incident);
            }
        }
        let of_severity =
            |(severity, list): (Severity, Vec<_>)| (severity, figures(&list, &levels));
        Ok(Performance {
            all: figures(&asked, &levels),
            by_severity: by_severity.into_iter().map(of_severity).collect(),
            by_week: by_week
                .into_iter()
                .map(|((from, to), list)| (from, to, figures(&list, &levels)))
                .collect(),
            verdicts: verdicts.into_iter().collect(),
            is_capped,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_by_hand() {
        assert_eq!((median(&[]), nearest_rank(&[], 90)), (None, None));
        assert_eq!((median(&[7]), nearest_rank(&[7], 90)), (Some(7), Some(7)));
        assert_eq!(median(&[1, 2, 4, 9]), Some(3));
        let ten: Vec<i64> = (1..=10).collect();
        assert_eq!(nearest_rank(&ten, 90), Some(9));
        let eleven: Vec<i64> = (1..=11).collect();
        assert_eq!(
            (median(&eleven), nearest_rank(&eleven, 90)),
            (Some(6), Some(10))
        );
    }
}
