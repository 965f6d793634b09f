//! What rules cost, as last measured in the stream.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use watchfloor_detect::RuleCost;

/// The figures by rule.
#[derive(Debug, Default)]
pub struct Costs {
    by_rule: Mutex<BTreeMap<String, RuleCost>>,
}

impl Costs {
    pub(crate) fn take(&self, measured: Vec<(String, RuleCost)>) {
        if measured.is_empty() {
            return;
        }
        let mut by_rule = self.by_rule.lock().unwrap_or_else(PoisonError::into_inner);
        by_rule.extend(measured);
    }

    /// The figures of all rules that were measured.
    pub fn read(&self) -> BTreeMap<String, RuleCost> {
        let by_rule = self.by_rule.lock().unwrap_or_else(PoisonError::into_inner);
        by_rule.clone()
    }

    /// Forgets the figure of a rule, so that it is judged by new ones alone.
    pub fn forget(&self, rule: &str) {
        let mut by_rule = self.by_rule.lock().unwrap_or_else(PoisonError::into_inner);
        by_rule.remove(rule);
    }
}

/// Nanoseconds since the first call.
pub(crate) fn nanos() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let elapsed = START.get_or_init(Instant::now).elapsed();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}
