//! The rules of a running server: read from the program and from the paths that were named, kept
//! up to date while it runs, and shown to the console.
//!
//! `Library` knows files and what they load to; [`Desk`] holds it beside the pipeline, looks
//! after it on a thread of its own and answers the API.

mod answers;
pub(crate) mod backtest;
mod book;
pub(crate) mod canary;
pub(crate) mod coverage;
mod desk;
mod explanation;
mod library;
pub(crate) mod life;
pub(crate) mod scan;
mod shaping;
mod suspension;

pub(crate) use desk::{Desk, Watch, open};
pub(crate) use shaping::Sources;
pub(crate) use suspension::Budget;
