//! `cargo xtask bench NAME`: measurements with real senders against a real server. Figures go
//! to bench/RESULTS.md by hand, with machine and command.

mod load;
mod path;
mod process;

use anyhow::{Result, bail};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    match arguments.first().map(String::as_str) {
        Some("path") => path::run(arguments.iter().any(|argument| argument == "--quick")),
        _ => bail!("there is: bench path [--quick]"),
    }
}
