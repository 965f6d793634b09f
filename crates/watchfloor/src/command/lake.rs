//! `watchfloor lake`: looking after the event lake.

use anyhow::{Result, bail};
use serde_json::json;
use watchfloor_lake::Lake;

use crate::Outcome;
use crate::cli::LakeCommand;
use crate::command::block_on;

pub(crate) fn run(command: &LakeCommand) -> Result<Outcome> {
    let LakeCommand::Stats { data } = command;
    let folder = data.join("lake");
    if !folder.is_dir() {
        bail!(
            "{} is no data folder of Watchfloor: it has no lake in it",
            data.display()
        );
    }
    let stats = block_on(async {
        let lake = Lake::open_to_read(&folder).await?;
        Ok(lake.stats().await?)
    })?;
    println!(
        "{}",
        json!({"rows": stats.rows, "files": stats.files, "bytes": stats.bytes})
    );
    Ok(Outcome::Done)
}
