//! The rules of a running server: read from the program and from the paths that were named, kept
//! up to date while it runs, and shown to the console.
//!
//! `Library` knows files and what they load to; [`Desk`] holds it beside the pipeline, looks
//! after it on a thread of its own and answers the API.

mod answers;
pub(crate) mod backtest;
mod book;
mod canary;
mod desk;
mod library;
mod life;
pub(crate) mod scan;
mod suspension;

pub(crate) use desk::{Desk, Watch, open};
pub(crate) use suspension::Budget;
