//! `beaconing`: connections at regular intervals.
//!
//! Connections closer together than half the shortest period are one beat. A gap is regular if
//! it lies between half and one and a half times the median gap; the jitter is the standard
//! deviation of the regular gaps as a share of their mean. Gaps left out by a beat that was
//! missed do no harm as long as enough are regular. Asked first of all beats within the
//! timespan, then of the latest alone, so that what went before a beacon does not hide it.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use watchfloor_rules::Beaconing;

use super::conclusion::{Conclusion, Evidence, Id};
use super::groups::{self, Groups};
use super::{Ctx, Sighting, words};

/// Most connections kept of one group; the oldest give way.
const MAX_BEATS: usize = 2_048;
/// From so many connections on, not each but one in so many more is looked at.
const LOOK_EVERY: usize = 64;

/// What is kept of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    /// By time.
    beats: VecDeque<(i64, Id)>,
    /// Who and what took part; its events are not used.
    parties: Evidence,
    /// Connections since the gaps were last looked at.
    since_look: usize,
    /// A beacon that was told of is not told of again before.
    quiet_until_us: Option<i64>,
}

/// Gaps that are regular.
struct Rhythm {
    beats: usize,
    regular: usize,
    gaps: usize,
    period_us: f64,
    jitter: f64,
}

impl groups::Group for Group {
    fn items(&self) -> usize {
        self.beats.len()
    }
}

pub(super) fn take(
    rule: &Beaconing,
    groups: &mut Groups<Group>,
    ctx: &Ctx<'_>,
    sighting: &Sighting<'_>,
) -> Option<Conclusion> {
    groups.with(ctx.group(), sighting.time_us, ctx.horizon_us, |group| {
        group.take(rule, ctx, sighting)
    })
}

impl Group {
    fn take(
        &mut self,
        rule: &Beaconing,
        ctx: &Ctx<'_>,
        sighting: &Sighting<'_>,
    ) -> Option<Conclusion> {
        let now_us = sighting.time_us;
        let at = self.beats.partition_point(|(time, _)| *time <= now_us);
        self.beats.insert(at, (now_us, Id(sighting.event())));
        self.parties.note_entities(sighting.entities);
        while self.beats.len() > MAX_BEATS
            || self
                .beats
                .front()
                .is_some_and(|(time, _)| *time < ctx.horizon_us)
        {
            self.beats.pop_front();
        }
        self.since_look += 1;
        let is_quiet = self.quiet_until_us.is_some_and(|until| now_us < until);
        let few = self.beats.len() < rule.min_events as usize;
        if is_quiet || few || self.since_look < self.beats.len() / LOOK_EVERY {
            return None;
        }
        self.since_look = 0;
        let newest_us = self.beats.back().map_or(now_us, |(time, _)| *time);
        let start_us = newest_us.saturating_sub(ctx.timespan_us);
        let from = self.beats.partition_point(|(time, _)| *time < start_us);
        let latest = self.beats.len().saturating_sub(rule.min_events as usize);
        let (from, rhythm) = [from, latest.max(from)]
            .into_iter()
            .find_map(|from| Some((from, self.rhythm(rule, from)?)))?;
        self.quiet_until_us = Some(newest_us.saturating_add(ctx.timespan_us));
        let mut evidence = self.parties.clone();
        for (time, id) in self.beats.range(from..) {
            evidence.event(*time, id.0);
        }
        Some(rhythm.conclusion(rule, ctx, evidence))
    }

    /// The rhythm of the connections from a place on, if it is that of a beacon.
    fn rhythm(&self, rule: &Beaconing, from: usize) -> Option<Rhythm> {
        let shortest_us = rule.min_period.as_micros() as i64;
        let longest_us = rule.max_period.as_micros() as i64;
        let mut times: Vec<i64> = Vec::with_capacity(self.beats.len() - from);
        for (time, _) in self.beats.range(from..) {
            if times
                .last()
                .is_none_or(|last| time - last > shortest_us / 2)
            {
                times.push(*time);
            }
        }
        if (times.len() as u64) < rule.min_events {
            return None;
        }
        let mut gaps: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        gaps.sort_unstable();
        let median = *gaps.get(gaps.len() / 2)?;
        let regular: Vec<f64> = gaps
            .iter()
            .filter(|gap| **gap * 2 >= median && **gap * 2 <= median * 3)
            .map(|gap| *gap as f64)
            .collect();
        let mean = regular.iter().sum::<f64>() / regular.len().max(1) as f64;
        let squares: f64 = regular.iter().map(|gap| (gap - mean).powi(2)).sum();
        let jitter = (squares / regular.len().max(1) as f64).sqrt() / mean.max(1.0);
        let share = regular.len() as f64 / gaps.len().max(1) as f64;
        let in_range = mean >= shortest_us as f64 && mean <= longest_us as f64;
        (in_range && share >= rule.min_regular && jitter <= rule.max_jitter).then_some(Rhythm {
            beats: times.len(),
            regular: regular.len(),
            gaps: gaps.len(),
            period_us: mean,
            jitter,
        })
    }
}

impl Rhythm {
    fn conclusion(&self, rule: &Beaconing, ctx: &Ctx<'_>, evidence: Evidence) -> Conclusion {
        let period = words::span(self.period_us as i64);
        let jitter = words::percent(self.jitter);
        let lasted = words::span(evidence.last_us - evidence.first_us);
        Conclusion {
            sentence: format!(
                "{} connections of {} over {lasted}, one every {period} with a jitter of {jitter}",
                self.beats,
                ctx.who(),
            ),
            reasons: vec![
                (
                    "connections".to_owned(),
                    self.beats.to_string(),
                    format!("at least {}", rule.min_events),
                ),
                (
                    "period".to_owned(),
                    period,
                    format!(
                        "from {} to {}",
                        words::span(rule.min_period.as_micros() as i64),
                        words::span(rule.max_period.as_micros() as i64)
                    ),
                ),
                (
                    "jitter".to_owned(),
                    jitter,
                    format!("at most {}", words::percent(rule.max_jitter)),
                ),
                (
                    "regular gaps".to_owned(),
                    format!("{} of {}", self.regular, self.gaps),
                    format!("at least {}", words::percent(rule.min_regular)),
                ),
            ],
            evidence,
            raised: false,
        }
    }
}
