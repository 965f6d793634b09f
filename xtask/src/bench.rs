//! `cargo xtask bench path`: the whole way measured, see bench/RESULTS.md.

use anyhow::{Result, bail};

pub(crate) fn run(_: &[String]) -> Result<()> {
    bail!("there is: bench path")
}
