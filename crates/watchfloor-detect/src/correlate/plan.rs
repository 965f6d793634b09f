//! What a correlation asks, in the form in which it is asked of every match.

use watchfloor_rules::{Bound, CompareOp, Correlation, CorrelationKind};

/// Most members kept in one group, unless the rule asks for more events than that; the oldest
/// give way.
const MAX_MEMBERS: usize = 10_000;
/// Most members kept in one group of any rule.
const MOST_MEMBERS: usize = 1_000_000;

/// What is measured over a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Measure {
    /// Number of events.
    Events,
    /// Number of distinct values.
    Distinct,
    /// Sum of the numbers.
    Sum,
    /// Mean of the numbers.
    Mean,
    /// Percentile of the numbers, 0 to 100.
    Percentile(f64),
    /// Number of rules that matched.
    Rules,
    /// Number of rules that matched in the order of the list, from the first on.
    Ordered,
}

/// What a correlation asks.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub measure: Measure,
    pub span_us: i64,
    bounds: Vec<Bound>,
    /// Number of rules in the list.
    pub rules: usize,
    /// A window of fewer members than that does not hold.
    pub fewest: usize,
    /// Members that a group may have.
    pub most: usize,
    /// Whether a window of so many events always holds, so that counting them is all.
    pub is_plain_count: bool,
}

impl Plan {
    pub(super) fn of(correlation: &Correlation) -> Self {
        let measure = match &correlation.kind {
            CorrelationKind::EventCount => Measure::Events,
            CorrelationKind::ValueCount(_) => Measure::Distinct,
            CorrelationKind::ValueSum(_) => Measure::Sum,
            CorrelationKind::ValueAvg(_) => Measure::Mean,
            CorrelationKind::ValueMedian(_) => Measure::Percentile(50.0),
            CorrelationKind::ValuePercentile(_, wanted) => Measure::Percentile(f64::from(*wanted)),
            CorrelationKind::Temporal => Measure::Rules,
            CorrelationKind::TemporalOrdered => Measure::Ordered,
        };
        let rules = correlation.rules.len();
        let mut bounds = correlation.bounds.clone();
        if bounds.is_empty() {
            // Only the temporal types come without: all rules are meant.
            bounds.push(Bound::Equal(rules as f64));
        }
        let counts = !matches!(
            measure,
            Measure::Sum | Measure::Mean | Measure::Percentile(_)
        );
        let fewest = if counts { least(&bounds) } else { 1 };
        let is_plain_count = measure == Measure::Events && are_lower(&bounds);
        Self {
            is_plain_count,
            measure,
            span_us: i64::try_from(correlation.timespan.as_micros()).unwrap_or(i64::MAX),
            bounds,
            rules,
            fewest,
            most: fewest.saturating_mul(2).clamp(MAX_MEMBERS, MOST_MEMBERS),
        }
    }

    /// Whether the measure keeps all bounds.
    pub(super) fn holds(&self, measure: f64) -> bool {
        self.bounds.iter().all(|bound| bound.holds(measure))
    }
}

/// Whether all bounds are lower ones.
fn are_lower(bounds: &[Bound]) -> bool {
    bounds.iter().all(|bound| {
        matches!(
            bound,
            Bound::Compare(CompareOp::Greater | CompareOp::GreaterOrEqual, _)
        )
    })
}

/// The least whole number, from 1 on, that the lower bounds let pass.
fn least(bounds: &[Bound]) -> usize {
    let of = |bound: &Bound| match bound {
        Bound::Compare(CompareOp::Greater, number) => number.floor() + 1.0,
        Bound::Compare(CompareOp::GreaterOrEqual, number) | Bound::Equal(number) => number.ceil(),
        _ => 1.0,
    };
    let least = bounds.iter().map(of).fold(1.0, f64::max);
    // Saturates.
    least as usize
}
