//! Sigma and native rules: from YAML text to checked, compiled-ready rules, with a reason for
//! each refusal. Knows nothing of events in flight.
//!
//! Start at [`RuleSet::load`].
//!
//! # Source
//! Sigma specification 2.1 (rules, correlations, filters, modifiers appendix).

mod analytic;
mod condition;
mod correlation;
mod detection;
mod document;
mod expr;
mod legacy;
mod matcher;
mod modifiers;
mod near;
mod parallel;
mod pattern;
mod pipeline;
mod rule;
mod rule_set;

pub use analytic::{
    Analytic, AnalyticKind, Beaconing, DnsTunnelling, ImpossibleTravel, NewTerms, PasswordSpraying,
    RareTerms, RateBaseline, Sequence, Step,
};
pub use correlation::{Bound, Correlation, CorrelationKind, GroupBy};
pub use document::from_yaml;
pub use expr::{Expr, Leaf};
pub use matcher::{CompareOp, FieldCompare, Matcher, TimePart};
pub use parallel::in_parallel;
pub use pattern::{Part, Pattern};
pub use rule::{Rule, RuleMeta};
pub use rule_set::{LoadOptions, Refusal, RuleFile, RuleSet, Warning};
