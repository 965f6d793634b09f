//! Watchfloor on an endpoint: tells the server what happens there, and does what the server asks
//! for, if it is on a closed list.

mod actions;
mod agent;
mod board;
mod checks;
mod clock;
mod collect;
mod core;
mod data;
mod enrol;
mod glob;
mod health;
mod install;
mod pace;
mod platform;
mod record;
mod session;
mod spool;
mod status;
mod tell;
mod tls;
mod update;
mod wire;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "watchfloor-agent", about = "Watchfloor on an endpoint")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Get a certificate from a server by a one-time token
    Enrol {
        /// Address of the server, HOST or HOST:PORT
        #[arg(long)]
        server: String,
        /// The token, as the server's fleet page shows it
        #[arg(long)]
        token: String,
        /// Folder of the agent
        #[arg(long, default_value = data::DEFAULT_FOLDER)]
        data: PathBuf,
        /// Install and start the agent as a service
        #[arg(long)]
        start: bool,
        /// Also where this host is enrolled already: its certificate is over or was taken back
        #[arg(long)]
        again: bool,
    },
    /// Watch this host and do what the server asks for
    Run {
        /// Folder of the agent
        #[arg(long, default_value = data::DEFAULT_FOLDER)]
        data: PathBuf,
        /// Another address of the server, HOST:PORT
        #[arg(long)]
        server: Option<String>,
    },
    /// Show how the agent stands
    Status {
        /// Folder of the agent
        #[arg(long, default_value = data::DEFAULT_FOLDER)]
        data: PathBuf,
    },
    /// Look at one file with rules from the standard input; for the agent's own use
    #[command(hide = true)]
    Look {
        /// Longest look
        #[arg(long)]
        seconds: u64,
        /// The file
        path: PathBuf,
    },
    /// Show the version
    Version,
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell::tell(format_args!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    match command {
        Command::Enrol {
            server,
            token,
            data,
            start,
            again,
        } => {
            let known = match again {
                true => enrol::Known::Again,
                false => enrol::Known::Refuse,
            };
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            let agent = runtime.block_on(enrol::enrol(&server, &token, &data, known))?;
            say(&format!("enrolled as {agent}"))?;
            if start {
                say(&install::start(&data)?)?;
            }
            Ok(())
        }
        Command::Run { data, server } => agent::run(&data, server),
        Command::Status { data } => say(status::status(&data)?.trim_end()),
        Command::Look { seconds, path } => actions::look_aside(&path, seconds),
        Command::Version => say(&format!("watchfloor-agent {}", record::VERSION)),
    }
}

fn say(words: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{words}")?;
    Ok(())
}
