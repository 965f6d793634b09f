//! `watchfloor mapping`: the cases of packs, and what lines become.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use watchfloor_normalize::{Case, PackSet};

use crate::Outcome;
use crate::cli::MappingCommand;
use crate::command::{normalize, visible};
use crate::content::{self, ContentFile};

pub(crate) fn run(command: &MappingCommand) -> Result<Outcome> {
    match command {
        MappingCommand::Test { folder } => test(folder.as_deref()),
        MappingCommand::Try { file } => {
            let packs = content::packs(&[])?;
            normalize::normalize(file, None, &packs, &mut std::io::stdout().lock())?;
            Ok(Outcome::Done)
        }
    }
}

fn test(folder: Option<&Path>) -> Result<Outcome> {
    let (files, packs) = match folder {
        None => (content::embedded("mappings/"), content::packs(&[])?),
        Some(folder) => {
            let folders: Vec<PathBuf> = vec![folder.to_owned()];
            (content::files_below(&folders)?, content::packs(&folders)?)
        }
    };
    for fault in packs.lint() {
        println!("note: {fault}");
    }
    let (mut passed, mut failed) = (0, 0);
    for file in files.iter().filter(|file| file.path.ends_with(".ndjson")) {
        let (good, bad) = run_cases(file, &packs)?;
        passed += good;
        failed += bad;
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

fn run_cases(file: &ContentFile, packs: &PackSet) -> Result<(usize, usize)> {
    let (mut passed, mut failed) = (0, 0);
    for (index, line) in file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let case = match Case::parse(line) {
            Ok(case) => case,
            Err(error) => bail!("{}:{}: {error}", file.path, index + 1),
        };
        let faults = case.check(packs);
        if faults.is_empty() {
            passed += 1;
            continue;
        }
        failed += 1;
        println!("FAILED {}:{}", file.path, index + 1);
        for fault in faults {
            println!("    {}", visible(&fault));
        }
    }
    Ok((passed, failed))
}
