//! `watchfloor serve`: the server.

use anyhow::Result;

use crate::Outcome;
use crate::cli::ServeArgs;
use crate::command::block_on;
use crate::config::Config;
use crate::server::Server;

pub(crate) fn run(args: &ServeArgs) -> Result<Outcome> {
    let config = Config::load(args)?;
    block_on(async move { Server::start(&config).await?.serve().await })?;
    Ok(Outcome::Done)
}
