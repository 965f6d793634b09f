//! `new_terms`: a value that its group has not had within the timespan.
//!
//! State starts empty, so a group first learns for a while in which nothing is new. A late match
//! of a value makes it known and is not new itself where a later one of the value was seen.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use watchfloor_rules::NewTerms;

use super::conclusion::{Conclusion, Evidence, fingerprint};
use super::groups::{self, Groups};
use super::{Ctx, Sighting, words};

/// Most values kept in one group; the oldest give way, a tenth at once.
const MAX_VALUES: usize = 10_000;

/// What is kept of a group.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    first_us: Option<i64>,
    /// Last time of each value, by fingerprint.
    values: BTreeMap<u64, i64>,
}

impl groups::Group for Group {
    fn items(&self) -> usize {
        self.values.len()
    }
}

pub(super) fn take(
    rule: &NewTerms,
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
        rule: &NewTerms,
        ctx: &Ctx<'_>,
        sighting: &Sighting<'_>,
        value: String,
    ) -> Option<Conclusion> {
        let now_us = sighting.time_us;
        let first_us = self.first_us.map_or(now_us, |first| first.min(now_us));
        self.first_us = Some(first_us);
        let print = fingerprint(&value);
        let last = self.values.get(&print).copied();
        self.values
            .insert(print, last.map_or(now_us, |last| last.max(now_us)));
        let known = last.is_some_and(|last| now_us.saturating_sub(last) <= ctx.timespan_us);
        self.forget(ctx.horizon_us);
        let learn_us = i64::try_from(rule.learn.as_micros()).unwrap_or(i64::MAX);
        if known || now_us.saturating_sub(first_us) < learn_us {
            return None;
        }
        let others = self.values.len().saturating_sub(1) as u64;
        let watched = now_us.saturating_sub(first_us).min(ctx.timespan_us);
        let field = rule.fields.join(", ");
        Some(Conclusion {
            evidence: Evidence::of(sighting),
            sentence: format!(
                "{} has {field} {} for the first time in {}, after {}",
                ctx.who(),
                words::piece(&value),
                words::span(watched),
                words::many(others, "other value"),
            ),
            reasons: vec![
                (
                    field,
                    value,
                    format!("not seen within {}", words::span(ctx.timespan_us)),
                ),
                (
                    "known for".to_owned(),
                    words::span(now_us.saturating_sub(first_us)),
                    format!("at least {} of learning", words::span(learn_us)),
                ),
                (
                    "other values".to_owned(),
                    others.to_string(),
                    "distinct values seen before".to_owned(),
                ),
            ],
            raised: false,
        })
    }

    fn forget(&mut self, horizon_us: i64) {
        if self.values.len() <= MAX_VALUES {
            return;
        }
        self.values.retain(|_, last| *last >= horizon_us);
        if self.values.len() <= MAX_VALUES {
            return;
        }
        let mut times: Vec<i64> = self.values.values().copied().collect();
        times.sort_unstable();
        let bound = times.get(times.len() / 10).copied().unwrap_or(i64::MIN);
        self.values.retain(|_, last| *last > bound);
    }
}
