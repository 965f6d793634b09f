//! What each rule costs: measured on real batches, a few rules at a time, so that measuring
//! never takes more than a small share of the work itself.
//!
//! All rules share their scans, so the time of one cannot be read off the common pass. A sample
//! therefore runs the rule alone over the batch: its own patterns over the distinct values, its
//! gates, its regular expressions where they would be tried. That is at least what leaving the
//! rule out would save. The caller hands in the clock.

use std::collections::{BTreeMap, VecDeque};

use watchfloor_event::EventBatch;
use watchfloor_rules::RuleSet;

use crate::Detector;

/// Share of the work's time that measuring may take: one part in so many.
const SHARE: u64 = 33;
/// Samples that a figure rests on; the lowest of them counts, since a thread that was put aside
/// makes a sample longer and never shorter.
const SAMPLES: usize = 3;
/// Events that make a sample; smaller batches are added up.
const SAMPLE_EVENTS: u64 = 256;
/// Nanoseconds that make a sample, however few the events.
const SAMPLE_NS: u64 = 5_000_000;
/// A sample of so many nanoseconds speaks for itself: waiting for more would hold the events up.
const HEAVY_NS: u64 = 100_000_000;
/// Most time that may be saved up for measuring, in nanoseconds.
const MAX_ALLOWANCE_NS: u64 = 50_000_000;

/// Nanoseconds from some beginning; only differences count.
pub type NanoClock = fn() -> u64;

/// What a rule costs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RuleCost {
    /// Nanoseconds per event of its log sources: the lowest of the last samples.
    pub ns_per_event: f64,
    /// Samples that this rests on, up to three; a figure of fewer is a first guess.
    pub samples: usize,
}

impl RuleCost {
    /// Whether there are enough samples to act on.
    pub fn is_settled(&self) -> bool {
        self.samples >= SAMPLES
    }
}

#[derive(Debug, Default)]
struct Samples {
    version: String,
    last: VecDeque<f64>,
    ns: u64,
    events: u64,
}

impl Samples {
    fn add(&mut self, ns: u64, events: u64) {
        self.ns += ns;
        self.events += events;
        if self.events < SAMPLE_EVENTS && self.ns < SAMPLE_NS {
            return;
        }
        let per_event = self.ns as f64 / self.events.max(1) as f64;
        let times = if self.ns >= HEAVY_NS { SAMPLES } else { 1 };
        for _ in 0..times {
            self.last.push_back(per_event);
        }
        while self.last.len() > SAMPLES {
            self.last.pop_front();
        }
        (self.ns, self.events) = (0, 0);
    }

    fn cost(&self) -> Option<RuleCost> {
        let lowest = self.last.iter().copied().min_by(f64::total_cmp)?;
        Some(RuleCost {
            ns_per_event: lowest,
            samples: self.last.len(),
        })
    }
}

/// Measures rules in turn.
#[derive(Debug)]
pub struct CostMeter {
    clock: NanoClock,
    /// Places of rules in the order in which they are measured.
    queue: VecDeque<usize>,
    by_rule: BTreeMap<String, Samples>,
    allowance_ns: u64,
}

impl CostMeter {
    /// A meter by a clock.
    pub fn new(clock: NanoClock) -> Self {
        Self {
            clock,
            queue: VecDeque::new(),
            by_rule: BTreeMap::new(),
            allowance_ns: 0,
        }
    }

    /// Takes up the rules of a detector: new and changed ones are measured first.
    pub fn follow(&mut self, detector: &Detector) {
        let mut known = std::mem::take(&mut self.by_rule);
        let (mut first, mut rest) = (VecDeque::new(), VecDeque::new());
        for place in 0.. {
            let Some(rule) = detector.rule_at(place) else {
                break;
            };
            let meta = &rule.meta;
            let samples = known
                .remove(&meta.id)
                .filter(|samples| samples.version == meta.version);
            if samples
                .as_ref()
                .is_some_and(|one| one.last.len() >= SAMPLES)
            {
                rest.push_back(place);
            } else {
                first.push_back(place);
            }
            let new = || Samples {
                version: meta.version.clone(),
                ..Samples::default()
            };
            self.by_rule
                .insert(meta.id.clone(), samples.unwrap_or_else(new));
        }
        first.append(&mut rest);
        self.queue = first;
    }

    /// Measures as many rules on a batch as the time that the batch itself took allows, and
    /// gives those whose figure is new.
    pub fn measure(
        &mut self,
        detector: &Detector,
        batch: &EventBatch,
        worked_ns: u64,
    ) -> Vec<(String, RuleCost)> {
        let saved = self.allowance_ns.saturating_add(worked_ns / SHARE);
        self.allowance_ns = saved.min(MAX_ALLOWANCE_NS);
        let mut events_of_kind = vec![0_u64; batch.kinds().len()];
        for meta in batch.rows() {
            events_of_kind[usize::from(meta.kind)] += 1;
        }
        let mut base_ns = None;
        let mut costs = Vec::new();
        for _ in 0..self.queue.len() {
            if self.allowance_ns == 0 {
                break;
            }
            let Some(place) = self.queue.pop_front() else {
                break;
            };
            self.queue.push_back(place);
            let Some(rule) = detector.rule_at(place) else {
                continue;
            };
            let kinds = batch.kinds().iter().zip(&events_of_kind);
            let events: u64 = kinds
                .filter(|(kind, _)| kind.answers_to(&rule.logsource))
                .map(|(_, events)| *events)
                .sum();
            if events == 0 {
                continue;
            }
            let start = (self.clock)();
            let base_ns = *base_ns
                .get_or_insert_with(|| self.time(&mut Detector::new(RuleSet::default()), batch));
            let mut alone = Detector::new(RuleSet {
                rules: vec![rule.clone()],
                ..RuleSet::default()
            });
            let ns = self.time(&mut alone, batch).saturating_sub(base_ns);
            let spent = (self.clock)().saturating_sub(start);
            self.allowance_ns = self.allowance_ns.saturating_sub(spent.max(1));
            if let Some(samples) = self.by_rule.get_mut(&rule.meta.id) {
                samples.add(ns, events);
                costs.extend(samples.cost().map(|cost| (rule.meta.id.clone(), cost)));
            }
        }
        costs
    }

    fn time(&self, detector: &mut Detector, batch: &EventBatch) -> u64 {
        let start = (self.clock)();
        let _ = detector.evaluate(batch);
        (self.clock)().saturating_sub(start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_the_lowest_of_the_last_samples() {
        let mut samples = Samples::default();
        samples.add(1_000, 100);
        assert_eq!(samples.cost(), None);
        samples.add(1_560, 156);
        assert_eq!(samples.cost().unwrap().ns_per_event, 10.0);
        for ns in [256_000, 512, 25_600] {
            samples.add(ns, 256);
        }
        let cost = samples.cost().unwrap();
        assert_eq!((cost.ns_per_event, cost.is_settled()), (2.0, true));
        let mut heavy = Samples::default();
        heavy.add(HEAVY_NS, 10);
        assert!(heavy.cost().unwrap().is_settled());
    }
}
