//! `rare_terms`: a value with a small share of its group's events.
//!
//! Counts are kept in 24 spans of the timespan, so that old events fall out. A field in which
//! most events have a value of their own has no rare values: none is told of where distinct
//! values are more than a fifth of the events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchfloor_rules::RareTerms;

use super::conclusion::{Conclusion, Evidence, fingerprint};
use super::groups::{self, Groups};
use super::{Ctx, Sighting, words};

/// Spans that a timespan is counted in.
const SPANS: i64 = 24;
/// Most counts kept in one group; beyond, the oldest span gives way.
const MAX_COUNTS: usize = 20_000;
/// Greatest share of distinct values among events at which values can be rare.
const MAX_DISTINCT_SHARE: f64 = 0.2;

/// What is kept of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    /// Counts by value, by span.
    spans: BTreeMap<i64, BTreeMap<u64, u64>>,
    /// Sums over all spans.
    totals: BTreeMap<u64, u64>,
    events: u64,
    counts: usize,
    /// When each rare value was told of.
    told_us: BTreeMap<u64, i64>,
}

impl groups::Group for Group {
    fn items(&self) -> usize {
        self.counts + self.totals.len()
    }
}

pub(super) fn take(
    rule: &RareTerms,
    groups: &mut Groups<Group>,
    ctx: &Ctx<'_>,
    sighting: &Sighting<'_>,
) -> Option<Conclusion> {
    let value = sighting.tuple(&rule.fields)?;
    groups.with(ctx.group(), sighting.time_us, ctx.horizon_us, |group| {
        group.take(rule, ctx, sighting, value)
    })
}

impl Group {
    fn take(
        &mut self,
        rule: &RareTerms,
        ctx: &Ctx<'_>,
        sighting: &Sighting<'_>,
        value: String,
    ) -> Option<Conclusion> {
        let now_us = sighting.time_us;
        let width = (ctx.timespan_us / SPANS).max(1);
        let print = fingerprint(&value);
        self.count(now_us.div_euclid(width), print);
        self.forget(ctx.horizon_us.div_euclid(width));
        let count = self.totals.get(&print).copied().unwrap_or(0);
        let share = count as f64 / self.events.max(1) as f64;
        let distinct = self.totals.len() as f64 / self.events.max(1) as f64;
        let told = self.told_us.get(&print).copied();
        let told = told.is_some_and(|told| now_us.saturating_sub(told) <= ctx.timespan_us);
        if self.events < rule.min_events
            || share > rule.max_share
            || distinct > MAX_DISTINCT_SHARE
            || told
        {
            return None;
        }
        self.told_us.insert(print, now_us);
        let field = rule.fields.join(", ");
        Some(Conclusion {
            evidence: Evidence::of(sighting),
            sentence: format!(
                "{field} {} stands in {} of {} of {} within {}, {}",
                words::piece(&value),
                count,
                words::many(self.events, "event"),
                ctx.who(),
                words::span(ctx.timespan_us),
                words::percent(share),
            ),
            reasons: vec![
                (
                    field,
                    value,
                    format!("share of at most {}", words::percent(rule.max_share)),
                ),
                (
                    "share".to_owned(),
                    words::percent(share),
                    format!("{count} of {}", words::many(self.events, "event")),
                ),
                (
                    "distinct values".to_owned(),
                    self.totals.len().to_string(),
                    format!("after at least {} events", rule.min_events),
                ),
            ],
            raised: false,
        })
    }

    fn count(&mut self, span: i64, print: u64) {
        let in_span = self.spans.entry(span).or_default();
        let count = in_span.entry(print).or_insert(0);
        self.counts += usize::from(*count == 0);
        *count += 1;
        *self.totals.entry(print).or_insert(0) += 1;
        self.events += 1;
    }

    fn forget(&mut self, oldest: i64) {
        while let Some((span, _)) = self.spans.first_key_value() {
            let too_many = self.counts > MAX_COUNTS && self.spans.len() > 1;
            if *span >= oldest && !too_many {
                break;
            }
            let Some((_, counts)) = self.spans.pop_first() else {
                break;
            };
            self.counts -= counts.len();
            for (print, count) in counts {
                self.events = self.events.saturating_sub(count);
                let left = self.totals.get(&print).copied().unwrap_or(0);
                let left = left.saturating_sub(count);
                if left == 0 {
                    self.totals.remove(&print);
                    self.told_us.remove(&print);
                } else {
                    self.totals.insert(print, left);
                }
            }
        }
    }
}
