//! `watchfloor lake`: looking after the event lake.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::json;
use watchfloor_lake::Damage;

use crate::Outcome;
use crate::cli::LakeCommand;
use crate::command::{block_on, visible};
use crate::data_folder::DataFolder;
use crate::places;

pub(crate) fn run(command: &LakeCommand) -> Result<Outcome> {
    match command {
        LakeCommand::Stats { data } => stats(data),
        LakeCommand::Compact { data } => compact(data),
        LakeCommand::Verify { data } => verify(data),
        LakeCommand::Repair { data } => repair(data),
    }
}

fn stats(data: &Path) -> Result<Outcome> {
    let stats = block_on(async {
        let lake = places::open_to_read(data).await?;
        Ok(lake.stats().await?)
    })?;
    println!(
        "{}",
        json!({"rows": stats.rows, "files": stats.files, "bytes": stats.bytes, "unread": stats.unread})
    );
    Ok(Outcome::Done)
}

fn compact(data: &Path) -> Result<Outcome> {
    places::of_data(data)?;
    let held = DataFolder::take(data)?;
    let done = block_on(async {
        let lake = places::open(&held.path).await?;
        Ok(lake.compact().await?)
    })?;
    println!(
        "{} files became {}; {} old files deleted",
        done.replaced, done.written, done.deleted
    );
    Ok(Outcome::Done)
}

fn verify(data: &Path) -> Result<Outcome> {
    let damages = block_on(async {
        let lake = places::open_to_read(data).await?;
        Ok(lake.verify().await?)
    })?;
    for damage in &damages {
        println!("{}", told(damage));
    }
    if damages.is_empty() {
        println!("every file is as it was written");
        return Ok(Outcome::Done);
    }
    bail!(
        "{} files are damaged; stop the server and run watchfloor lake repair --data {}",
        damages.len(),
        data.display()
    )
}

fn repair(data: &Path) -> Result<Outcome> {
    places::of_data(data)?;
    // Whoever holds the folder would go on with files that are no longer there.
    let held = DataFolder::take(data)?;
    let damages = block_on(async {
        let lake = places::open(&held.path).await?;
        Ok(lake.repair().await?)
    })?;
    for damage in &damages {
        println!("{}", told(damage));
    }
    println!("{} files repaired", damages.len());
    Ok(Outcome::Done)
}

fn told(damage: &Damage) -> String {
    let mut line = format!("{} {}", visible(&damage.path), damage.reason);
    if damage.rows > 0 {
        line += &format!(" ({} rows of {})", damage.rows, damage.day);
    }
    if let Some(repair) = &damage.repair {
        line += &format!(": {repair}");
    }
    line
}
