//! The detection engine: all rules compiled together, evaluated on the columns of a batch.
//!
//! A batch holds each distinct value of a field once, so each value is scanned once for all
//! patterns that any rule has for that field ([`scanner`]). Of the thousands of rules only
//! those are completed for an event of which a *necessary* question was answered with yes
//! ([`gate`]). Correlations ([`correlate`]) take the matches in event time.
//!
//! Start at [`Detector`].

mod analytics;
mod cache;
mod correlate;
mod cost;
mod describe;
mod detector;
mod entities;
mod evaluate;
mod explain;
mod feeding;
mod finder;
mod finding;
mod foreign;
mod gate;
mod grams;
mod literal;
mod memory;
mod program;
mod resolve;
mod saved_state;
mod scanner;

pub use correlate::CorrelationSize;
pub use cost::{CostMeter, NanoClock, RuleCost};
pub use detector::{Company, DetectOutcome, Detector};
pub use entities::entities_of;
pub use explain::{Answered, Body, Explanation, Gate, Read, Step, What, explain};
pub use foreign::foreign_findings;
pub use saved_state::{RestoreError, SavedState};
