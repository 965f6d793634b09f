//! `impossible_travel`: one entity in two places, too far apart for the time between.
//!
//! Each match is compared with its neighbours in time, so that a late one is put between those
//! it belongs between. The way is that of a great circle on a sphere of 6,371 km. Two places are
//! told of once per timespan. A place at 0/0 is what databases give for an unknown one.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};
use watchfloor_rules::ImpossibleTravel;

use super::conclusion::{Conclusion, Evidence};
use super::groups::{self, Groups};
use super::{Ctx, Sighting, words};

/// Most places kept of one entity; the oldest give way.
const MAX_SPOTS: usize = 256;
const EARTH_RADIUS_KM: f64 = 6371.0;
/// Shortest time that a speed is worked out from.
const MIN_HOURS: f64 = 1.0 / 3600.0;

/// What is kept of an entity.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    /// By time.
    spots: VecDeque<Spot>,
    /// When each pair of places was told of.
    told_us: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Spot {
    time_us: i64,
    latitude: f64,
    longitude: f64,
    place: String,
    evidence: Evidence,
}

impl groups::Group for Group {
    fn items(&self) -> usize {
        self.spots.len() + self.told_us.len()
    }
}

pub(super) fn take(
    rule: &ImpossibleTravel,
    groups: &mut Groups<Group>,
    ctx: &Ctx<'_>,
    sighting: &Sighting<'_>,
) -> Option<Conclusion> {
    let degrees = |names: &[String], most: f64| {
        let number: f64 = sighting.first_of(names)?.trim().parse().ok()?;
        (number.abs() <= most).then_some(number)
    };
    let latitude = degrees(&rule.latitude, 90.0)?;
    let longitude = degrees(&rule.longitude, 180.0)?;
    if latitude == 0.0 && longitude == 0.0 {
        return None;
    }
    let named: Vec<String> = rule
        .place
        .iter()
        .filter_map(|name| sighting.field(name))
        .map(|name| words::piece(&name))
        .collect();
    let spot = Spot {
        time_us: sighting.time_us,
        latitude,
        longitude,
        place: if named.is_empty() {
            format!("{latitude:.2}/{longitude:.2}")
        } else {
            named.join(", ")
        },
        evidence: Evidence::of(sighting),
    };
    groups.with(ctx.group(), sighting.time_us, ctx.horizon_us, |group| {
        group.take(rule, ctx, spot)
    })
}

impl Group {
    fn take(&mut self, rule: &ImpossibleTravel, ctx: &Ctx<'_>, spot: Spot) -> Option<Conclusion> {
        while self.spots.len() >= MAX_SPOTS
            || self
                .spots
                .front()
                .is_some_and(|oldest| oldest.time_us < ctx.horizon_us)
        {
            self.spots.pop_front();
        }
        self.told_us.retain(|_, told| *told >= ctx.horizon_us);
        let at = self
            .spots
            .partition_point(|other| other.time_us <= spot.time_us);
        self.spots.insert(at, spot);
        let before = at.checked_sub(1);
        let after = Some(at + 1).filter(|after| *after < self.spots.len());
        let found = before
            .map(|before| (before, at))
            .into_iter()
            .chain(after.map(|after| (at, after)))
            .find_map(|(from, to)| self.travel(rule, ctx, from, to));
        self.compress(at);
        found
    }

    fn travel(
        &mut self,
        rule: &ImpossibleTravel,
        ctx: &Ctx<'_>,
        from: usize,
        to: usize,
    ) -> Option<Conclusion> {
        let (from, to) = (self.spots.get(from)?, self.spots.get(to)?);
        let gap_us = to.time_us - from.time_us;
        let distance = distance_km(from, to);
        if gap_us > ctx.timespan_us || distance < rule.min_distance_km {
            return None;
        }
        let hours = (gap_us as f64 / 3.6e9).max(MIN_HOURS);
        let speed = distance / hours;
        if speed <= rule.max_speed_kmh {
            return None;
        }
        let mut pair = [from.cell(), to.cell()];
        pair.sort_unstable();
        let told = self.told_us.get(&pair.join(" "));
        if told.is_some_and(|told| (to.time_us - told).abs() <= ctx.timespan_us) {
            return None;
        }
        let mut evidence = from.evidence.clone();
        evidence.merge(&to.evidence);
        let (way, gap) = (format!("{distance:.0} km"), words::span(gap_us));
        let kmh = format!("{speed:.0} km/h");
        let conclusion = Conclusion {
            evidence,
            sentence: format!(
                "{} was in {} and {gap} later in {}, {way} away, which takes {kmh}",
                ctx.who(),
                from.place,
                to.place,
            ),
            reasons: vec![
                (
                    "from".to_owned(),
                    from.place.clone(),
                    format!("at {}", words::time(from.time_us)),
                ),
                (
                    "to".to_owned(),
                    to.place.clone(),
                    format!("at {}", words::time(to.time_us)),
                ),
                (
                    "distance".to_owned(),
                    way,
                    format!("at least {} km", rule.min_distance_km),
                ),
                (
                    "speed".to_owned(),
                    kmh,
                    format!("more than {} km/h", rule.max_speed_kmh),
                ),
            ],
            raised: false,
        };
        self.told_us.insert(pair.join(" "), to.time_us);
        Some(conclusion)
    }

    /// Of a stay at one place only the first and the last time matter.
    fn compress(&mut self, at: usize) {
        let same = |left: Option<&Spot>, right: Option<&Spot>| match (left, right) {
            (Some(left), Some(right)) => left.cell() == right.cell(),
            _ => false,
        };
        for middle in [at.saturating_sub(1), at] {
            let before = middle
                .checked_sub(1)
                .and_then(|before| self.spots.get(before));
            let here = self.spots.get(middle);
            if same(before, here) && same(here, self.spots.get(middle + 1)) {
                self.spots.remove(middle);
                return;
            }
        }
    }
}

impl Spot {
    /// The place to a tenth of a degree.
    fn cell(&self) -> String {
        format!("{:.1}/{:.1}", self.latitude, self.longitude)
    }
}

/// Haversine.
fn distance_km(from: &Spot, to: &Spot) -> f64 {
    let half = |left: f64, right: f64| ((right - left).to_radians() / 2.0).sin().powi(2);
    let square = half(from.latitude, to.latitude)
        + from.latitude.to_radians().cos()
            * to.latitude.to_radians().cos()
            * half(from.longitude, to.longitude);
    2.0 * EARTH_RADIUS_KM * square.sqrt().min(1.0).asin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_the_globe() {
        let spot = |latitude, longitude| Spot {
            time_us: 0,
            latitude,
            longitude,
            place: String::new(),
            evidence: Evidence::default(),
        };
        let check = |from: (f64, f64), to: (f64, f64), expected: f64| {
            let found = distance_km(&spot(from.0, from.1), &spot(to.0, to.1));
            assert!(
                (found - expected).abs() < expected * 0.005 + 0.001,
                "{found}"
            );
        };
        check((52.52, 13.405), (48.137, 11.575), 504.0);
        check((52.52, 13.405), (-33.87, 151.21), 16_090.0);
        check((10.0, 179.9), (10.0, -179.9), 21.9);
        check((0.0, 10.0), (0.0, -170.0), 20_015.0);
        check((5.0, 5.0), (5.0, 5.0), 0.0);
    }
}
