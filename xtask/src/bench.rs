//! `cargo xtask bench NAME`: measurements with real senders against a real server. Figures go
//! to bench/RESULTS.md by hand, with machine and command.

mod collect;
mod detect;
mod lake;
mod load;
mod path;
mod process;
mod respond;
mod stall;
mod triage;

use anyhow::{Result, bail};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let is_quick = arguments.iter().any(|argument| argument == "--quick");
    match arguments.first().map(String::as_str) {
        Some("detect") => detect::run(is_quick),
        Some("path") => path::run(is_quick),
        Some("lake") => {
            let is_full = arguments.iter().any(|argument| argument == "--full");
            lake::run(is_quick, is_full)
        }
        Some("cluster") => lake::cluster(),
        Some("collect") => collect::run(is_quick),
        Some("respond") => respond::run(is_quick),
        Some("stall") => stall::run(is_quick),
        Some("triage") => triage::run(arguments),
        _ => bail!(
            "there are: bench detect [--quick], bench path [--quick], bench lake [--quick | --full], bench cluster, bench collect [--quick], bench respond [--quick | --pages], bench stall [--quick], bench triage [NAME]... [--own] [--verbose]; each but detect takes --release"
        ),
    }
}
