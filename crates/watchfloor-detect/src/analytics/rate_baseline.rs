//! `rate_baseline`: far more events in a span of time than in those before.
//!
//! Spans without an event count as zero from the group's first full one on. Spans that were told
//! of are no part of later baselines, so that an attack does not become the usual. The deviation
//! is at least the root of the mean, that of events which come by chance.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use watchfloor_rules::RateBaseline;

use super::conclusion::{Conclusion, Evidence};
use super::groups::{self, Groups};
use super::{Ctx, LATENESS_US, Sighting, words};

/// What is kept of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    first: Option<i64>,
    counts: BTreeMap<i64, u64>,
    /// Events of the spans that can still grow.
    recent: BTreeMap<i64, Evidence>,
    told: BTreeSet<i64>,
}

/// The spans before one.
struct Baseline {
    spans: u64,
    mean: f64,
    deviation: f64,
}

impl groups::Group for Group {
    fn items(&self) -> usize {
        self.counts.len() + self.recent.len()
    }
}

pub(super) fn take(
    rule: &RateBaseline,
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
        rule: &RateBaseline,
        ctx: &Ctx<'_>,
        sighting: &Sighting<'_>,
    ) -> Option<Conclusion> {
        let width = i64::try_from(rule.bucket.as_micros()).unwrap_or(i64::MAX);
        let span = sighting.time_us.div_euclid(width);
        self.first = Some(self.first.map_or(span, |first| first.min(span)));
        let count = self.counts.entry(span).or_insert(0);
        *count += 1;
        let count = *count;
        self.recent.entry(span).or_default().note(sighting);
        self.forget(ctx, width);
        if count < rule.min_count || self.told.contains(&span) {
            return None;
        }
        let baseline = self.baseline(span, ctx.timespan_us / width)?;
        if baseline.spans < rule.min_buckets {
            return None;
        }
        let by_deviation = baseline.mean + rule.deviations * baseline.deviation;
        let bound = by_deviation.max(baseline.mean * rule.min_factor);
        if count as f64 <= bound {
            return None;
        }
        self.told.insert(span);
        let evidence = self.recent.get(&span).cloned().unwrap_or_default();
        Some(baseline.conclusion(rule, ctx, evidence, count, bound))
    }

    fn baseline(&self, span: i64, most: i64) -> Option<Baseline> {
        // The group's first span may be cut.
        let from = span.saturating_sub(most).max(self.first?.saturating_add(1));
        let told = self.told.range(from..span.max(from)).count() as u64;
        let spans = u64::try_from(span - from).ok()?.saturating_sub(told);
        if spans == 0 {
            return None;
        }
        let (mut sum, mut squares) = (0.0, 0.0);
        for (at, count) in self.counts.range(from..span) {
            if !self.told.contains(at) {
                sum += *count as f64;
                squares += (*count as f64).powi(2);
            }
        }
        let mean = sum / spans as f64;
        let variance = (squares / spans as f64 - mean * mean).max(0.0);
        Some(Baseline {
            spans,
            mean,
            deviation: variance.sqrt().max(mean.sqrt()),
        })
    }

    fn forget(&mut self, ctx: &Ctx<'_>, width: i64) {
        let oldest = ctx.horizon_us.div_euclid(width);
        while self
            .counts
            .first_key_value()
            .is_some_and(|(at, _)| *at < oldest)
        {
            self.counts.pop_first();
        }
        while self.told.first().is_some_and(|at| *at < oldest) {
            self.told.pop_first();
        }
        let newest_us = ctx.horizon_us.saturating_add(ctx.timespan_us);
        let open = newest_us.saturating_sub(LATENESS_US).div_euclid(width);
        while self
            .recent
            .first_key_value()
            .is_some_and(|(at, _)| *at < open)
        {
            self.recent.pop_first();
        }
    }
}

impl Baseline {
    fn conclusion(
        &self,
        rule: &RateBaseline,
        ctx: &Ctx<'_>,
        evidence: Evidence,
        count: u64,
        bound: f64,
    ) -> Conclusion {
        let width_us = i64::try_from(rule.bucket.as_micros()).unwrap_or(i64::MAX);
        let times = count as f64 / self.mean.max(f64::MIN_POSITIVE);
        let times = if self.mean > 0.0 {
            format!("{} times the mean", words::short(times))
        } else {
            "where there were none".to_owned()
        };
        let (mean, deviation) = (words::short(self.mean), words::short(self.deviation));
        let spans = words::many(self.spans, "span");
        Conclusion {
            evidence,
            sentence: format!(
                "{count} events of {} within {}, {times}; the {spans} before had {mean} on average, with a deviation of {deviation}",
                ctx.who(),
                words::span(width_us),
            ),
            reasons: vec![
                (
                    "events in the span".to_owned(),
                    count.to_string(),
                    format!(
                        "more than {} and at least {}",
                        words::short(bound),
                        rule.min_count
                    ),
                ),
                (
                    "mean before".to_owned(),
                    mean,
                    format!("over {spans} of {}", words::span(width_us)),
                ),
                (
                    "deviation before".to_owned(),
                    deviation,
                    format!(
                        "{} deviations above the mean",
                        words::short(rule.deviations)
                    ),
                ),
            ],
            raised: false,
        }
    }
}
