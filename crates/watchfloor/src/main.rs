//! One program for a security operations center: the commands, and the wiring of data plane,
//! control plane and console.

mod bridge;
mod cli;
mod command;
mod config;
mod content;
mod data_folder;
mod enrichment;
mod escalations;
mod file_watch;
mod files;
mod fleet;
mod indicators;
mod memory;
mod packs;
mod places;
mod records;
mod response;
mod roles;
mod routing;
mod rules;
mod searches;
mod sensor;
mod server;
mod sources;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Done, with findings against what was asked.
const EXIT_FINDINGS: u8 = 1;
/// Could not be done.
const EXIT_FAILED: u8 = 2;

/// What a command that ran to its end says.
pub(crate) enum Outcome {
    /// All is well.
    Done,
    /// Something was found against what was asked: a failed test or verification.
    Found,
}

fn main() -> ExitCode {
    memory::give_back_soon();
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    init_log();
    // Several dependencies bring a provider of cryptography each; this one is used by all.
    let _another_was_first = rustls::crypto::ring::default_provider().install_default();
    match cli::run(cli) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Found) => ExitCode::from(EXIT_FINDINGS),
        Err(error) => {
            eprintln!("watchfloor: {error:#}");
            ExitCode::from(EXIT_FAILED)
        }
    }
}

/// Logs go to stderr; `WATCHFLOOR_LOG` chooses what, e.g. `info,watchfloor_lake=debug`.
fn init_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WATCHFLOOR_LOG");
    let filter = filter.unwrap_or_else(|_| {
        tracing_subscriber::EnvFilter::new(
            "warn,evtx=error,buoyant_kernel=off,buoyant_kernel_engine=off",
        )
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
}
