//! The data plane: from journal to lake, and findings to whoever takes them.
//!
//! One thread decodes, normalises and detects, batch by batch; one task commits to the lake
//! while the next commit is being prepared; one task hands findings over behind a cursor, so
//! that a control plane that is down holds nothing up. The ledger counts what became of every
//! record.
//!
//! Start at [`Pipeline::start`].

mod commit;
mod costs;
mod deliver;
mod indicators;
mod ledger;
mod liveness;
mod pipeline;
mod process;
mod retro;
mod sources;
mod state;
mod timings;

pub use costs::Costs;
pub use deliver::{FindingSink, SinkError};
pub use indicators::IndicatorMatches;
pub use ledger::{Counts, Ledger, LedgerError, LedgerRow};
pub use liveness::{KindSeen, Liveness, RuleSeen, Seen};
pub use pipeline::{JournalChoice, Pipeline, PipelineOptions, StartError};
pub use retro::{Retro, RetroLimits, RetroProgress};
pub use sources::{AnomalyCount, SourceStatus, Sources};
pub use timings::{StageTimes, Timings};
