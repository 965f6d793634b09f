//! The measure of a window, kept up while the window moves.
//!
//! A window of few members is measured anew each time: that is faster than keeping anything, and
//! most groups never have more. For larger ones a tally holds what the members between two
//! places amount to; moved to other places it takes members out and in at both ends, so that a
//! stream in the order of time costs the same per match however long the window is.

use std::collections::VecDeque;
use std::ops::Range;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use super::member::Member;
use super::plan::{Measure, Plan};

/// Windows of so many members are measured anew.
const FEW: usize = 16;
/// Sums are kept in units of 2⁻²⁴, so that taking a number out leaves exactly what was there
/// before it came: floating point would drift.
const SUM_UNIT: f64 = (1_u64 << 24) as f64;

/// Members between two places, and what they amount to.
#[derive(Debug)]
pub(super) struct Tally {
    /// Places of the members that are in.
    range: Range<usize>,
    sums: Sums,
}

#[derive(Debug)]
enum Sums {
    /// How often each value is there.
    Distinct(HashMap<u64, u32, FixedState>),
    /// Sum in [`SUM_UNIT`]s, and how many.
    Numbers(i128, u64),
    /// Ascending.
    Sorted(Vec<f64>),
    /// How often each rule matched.
    Rules(Vec<u32>),
    /// By length: where the latest chain of the first rules of the list began, in microseconds
    /// since 1970. Reads on from the end of the range and never takes out: a chain that began
    /// before the window does not count.
    Chains(Vec<i64>),
}

impl Tally {
    fn new(plan: &Plan) -> Self {
        let sums = match plan.measure {
            Measure::Events | Measure::Distinct => Sums::Distinct(HashMap::default()),
            Measure::Sum | Measure::Mean => Sums::Numbers(0, 0),
            Measure::Percentile(_) => Sums::Sorted(Vec::new()),
            Measure::Rules => Sums::Rules(vec![0; plan.rules]),
            Measure::Ordered => Sums::Chains(vec![i64::MIN; plan.rules]),
        };
        Self { range: 0..0, sums }
    }

    /// Bytes that it takes, about.
    pub(super) fn bytes(&self) -> usize {
        let of = match &self.sums {
            Sums::Distinct(counts) => counts.capacity() * 18,
            Sums::Numbers(..) => 0,
            Sums::Sorted(numbers) => numbers.capacity() * 8,
            Sums::Rules(counts) => counts.capacity() * 4,
            Sums::Chains(starts) => starts.capacity() * 8,
        };
        of + size_of::<Self>()
    }

    /// A member was put in at a place.
    pub(super) fn inserted(&mut self, place: usize, member: &Member) {
        if place <= self.range.start {
            self.range = self.range.start + 1..self.range.end + 1;
        } else if place < self.range.end {
            self.range.end += 1;
            if matches!(self.sums, Sums::Chains(_)) {
                self.clear();
            } else {
                self.add(member);
            }
        }
    }

    /// The first member is about to go.
    pub(super) fn removes_first(&mut self, member: &Member) {
        if self.range.start > 0 {
            self.range.start -= 1;
            self.range.end -= 1;
        } else if self.range.end > 0 {
            self.range.end -= 1;
            self.take_out(member);
        }
    }

    fn clear(&mut self) {
        self.range = 0..0;
        match &mut self.sums {
            Sums::Distinct(counts) => counts.clear(),
            Sums::Numbers(sum, count) => (*sum, *count) = (0, 0),
            Sums::Sorted(numbers) => numbers.clear(),
            Sums::Rules(counts) => counts.fill(0),
            Sums::Chains(starts) => starts.fill(i64::MIN),
        }
    }

    fn add(&mut self, member: &Member) {
        match &mut self.sums {
            Sums::Distinct(counts) if member.has_value => {
                *counts.entry(member.value).or_default() += 1;
            }
            Sums::Distinct(_) => {}
            Sums::Numbers(sum, count) => {
                if let Some(number) = member.number() {
                    *sum = sum.saturating_add(units(number));
                    *count += 1;
                }
            }
            Sums::Sorted(numbers) => {
                if let Some(number) = member.number() {
                    let place = numbers.partition_point(|one| one.total_cmp(&number).is_le());
                    numbers.insert(place, number);
                }
            }
            Sums::Rules(counts) => {
                if let Some(count) = counts.get_mut(usize::from(member.rule)) {
                    *count += 1;
                }
            }
            Sums::Chains(starts) => chain(starts, member),
        }
    }

    fn take_out(&mut self, member: &Member) {
        match &mut self.sums {
            Sums::Distinct(counts) if member.has_value => {
                if let Some(count) = counts.get_mut(&member.value) {
                    *count -= 1;
                    if *count == 0 {
                        counts.remove(&member.value);
                    }
                }
            }
            Sums::Numbers(sum, count) => {
                if let Some(number) = member.number() {
                    *sum = sum.saturating_sub(units(number));
                    *count -= 1;
                }
            }
            Sums::Sorted(numbers) => {
                if let Some(number) = member.number() {
                    let place = numbers.partition_point(|one| one.total_cmp(&number).is_lt());
                    if place < numbers.len() {
                        numbers.remove(place);
                    }
                }
            }
            Sums::Rules(counts) => {
                if let Some(count) = counts.get_mut(usize::from(member.rule)) {
                    *count -= 1;
                }
            }
            Sums::Distinct(_) | Sums::Chains(_) => {}
        }
    }

    /// Moves to other places.
    fn move_to(&mut self, members: &VecDeque<Member>, wanted: Range<usize>) {
        let ordered = matches!(self.sums, Sums::Chains(_));
        let apart = self.range.start.abs_diff(wanted.start) + self.range.end.abs_diff(wanted.end);
        let backwards = ordered && (wanted.end < self.range.end || wanted.start < self.range.start);
        let disjoint = wanted.start >= self.range.end || wanted.end <= self.range.start;
        if disjoint || backwards || (apart > wanted.len() && !ordered) {
            self.clear();
            self.range = wanted.start..wanted.start;
        }
        while self.range.end < wanted.end {
            self.add(&members[self.range.end]);
            self.range.end += 1;
        }
        while self.range.start > wanted.start {
            self.range.start -= 1;
            self.add(&members[self.range.start]);
        }
        while self.range.end > wanted.end {
            self.range.end -= 1;
            self.take_out(&members[self.range.end]);
        }
        while self.range.start < wanted.start {
            self.take_out(&members[self.range.start]);
            self.range.start += 1;
        }
    }

    fn measure(&self, plan: &Plan, members: &VecDeque<Member>) -> Option<f64> {
        match &self.sums {
            Sums::Distinct(counts) => Some(counts.len() as f64),
            Sums::Numbers(sum, count) => mean_or_sum(plan, *sum, *count),
            Sums::Sorted(numbers) => match plan.measure {
                Measure::Percentile(wanted) => percentile(numbers, wanted),
                _ => None,
            },
            Sums::Rules(counts) => Some(counts.iter().filter(|count| **count > 0).count() as f64),
            Sums::Chains(starts) => {
                let first_us = members.get(self.range.start)?.time_us;
                Some(whole_chain(starts, first_us))
            }
        }
    }
}

/// The measure of the members between two places; `None` where there is nothing to measure.
pub(super) fn measure(
    plan: &Plan,
    tally: &mut Option<Box<Tally>>,
    members: &VecDeque<Member>,
    window: Range<usize>,
) -> Option<f64> {
    if plan.measure == Measure::Events {
        return Some(window.len() as f64);
    }
    if window.len() <= FEW && (members.len() <= FEW || tally.is_none()) {
        *tally = None;
        return measure_few(plan, members, window);
    }
    let tally = tally.get_or_insert_with(|| Box::new(Tally::new(plan)));
    tally.move_to(members, window);
    tally.measure(plan, members)
}

/// The same without keeping anything, for at most [`FEW`] members.
fn measure_few(plan: &Plan, members: &VecDeque<Member>, window: Range<usize>) -> Option<f64> {
    let mut members = members.range(window);
    match plan.measure {
        Measure::Events => Some(members.len() as f64),
        Measure::Distinct => {
            let (mut seen, mut distinct) = ([0; FEW], 0);
            for member in members.filter(|member| member.has_value) {
                if !seen[..distinct].contains(&member.value) {
                    seen[distinct] = member.value;
                    distinct += 1;
                }
            }
            Some(distinct as f64)
        }
        Measure::Sum | Measure::Mean => {
            let numbers = members.filter_map(Member::number);
            let (sum, count) = numbers.fold((0_i128, 0), |(sum, count), number| {
                (sum.saturating_add(units(number)), count + 1)
            });
            mean_or_sum(plan, sum, count)
        }
        Measure::Percentile(wanted) => {
            let (mut numbers, mut count) = ([0.0; FEW], 0);
            for number in members.filter_map(Member::number) {
                numbers[count] = number;
                count += 1;
            }
            numbers[..count].sort_unstable_by(f64::total_cmp);
            percentile(&numbers[..count], wanted)
        }
        Measure::Rules => {
            let (mut seen, mut distinct) = ([0; FEW], 0);
            for member in members {
                if !seen[..distinct].contains(&member.rule) {
                    seen[distinct] = member.rule;
                    distinct += 1;
                }
            }
            Some(distinct as f64)
        }
        Measure::Ordered => {
            let mut next = 0;
            for member in &mut members {
                next += u16::from(member.rule == next);
            }
            Some(f64::from(next))
        }
    }
}

fn units(number: f64) -> i128 {
    // Saturates.
    (number * SUM_UNIT).round() as i128
}

fn mean_or_sum(plan: &Plan, sum: i128, count: u64) -> Option<f64> {
    let sum = sum as f64 / SUM_UNIT;
    match (count, plan.measure) {
        (0, _) => None,
        (_, Measure::Mean) => Some(sum / count as f64),
        _ => Some(sum),
    }
}

/// Linear interpolation between the two nearest ranks.
fn percentile(sorted: &[f64], wanted: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = wanted / 100.0 * last as f64;
    let below = sorted.get(rank.floor() as usize)?;
    let above = sorted.get(rank.ceil() as usize)?;
    Some(below + (above - below) * rank.fract())
}

/// A match of a rule makes the latest chain up to the rule before it one longer.
fn chain(starts: &mut [i64], member: &Member) {
    let rule = usize::from(member.rule);
    let start_us = match rule.checked_sub(1) {
        None => Some(member.time_us),
        Some(before) => starts.get(before).copied(),
    };
    if let (Some(slot), Some(start_us)) = (starts.get_mut(rule), start_us) {
        *slot = (*slot).max(start_us);
    }
}

/// Rules of the longest chain that began at a time or later.
fn whole_chain(starts: &[i64], first_us: i64) -> f64 {
    let whole = starts.iter().take_while(|start| **start >= first_us);
    whole.count() as f64
}
