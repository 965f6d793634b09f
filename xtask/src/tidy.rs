//! `cargo xtask tidy`: what no compiler checks. Layers, lengths, READMEs, format, lints,
//! licences.

mod layers;
mod lengths;

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::shell;

/// Everything, the slow parts too.
pub(crate) fn run() -> Result<()> {
    quick()?;
    shell::run(shell::cargo().args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    if shell::output(shell::cargo().args(["deny", "--version"])).is_err() {
        shell::run(shell::cargo().args(["install", "--locked", "cargo-deny"]))?;
    }
    shell::run(shell::cargo().args(["deny", "check", "licenses", "bans", "sources"]))
}

/// What takes seconds.
pub(crate) fn quick() -> Result<()> {
    let mut faults = layers::check()?;
    faults.extend(lengths::check()?);
    faults.extend(files());
    for fault in &faults {
        eprintln!("tidy: {fault}");
    }
    if !faults.is_empty() {
        bail!("{} faults", faults.len());
    }
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
}

/// Crates with no clock, file, socket, random source or global.
pub(crate) const PURE: &[&str] = &[
    "model",
    "event",
    "decode",
    "normalize",
    "rules",
    "detect",
    "query",
    "intel",
    "report",
    "playbook",
];

/// Each crate has a README, each pure crate its bans, each source file says what it is.
fn files() -> Vec<String> {
    let mut faults = Vec::new();
    let crates = shell::root().join("crates");
    for folder in std::fs::read_dir(&crates)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
    {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if !folder.join("README.md").is_file() {
            faults.push(format!("{name} has no README.md"));
        }
        let short = name.trim_start_matches("watchfloor-");
        if PURE.contains(&short) && !folder.join("clippy.toml").is_file() {
            faults.push(format!(
                "{name} is pure and has no clippy.toml with its bans"
            ));
        }
    }
    for path in sources() {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        if !text.starts_with("//!") && !path.to_string_lossy().contains("tests") {
            faults.push(format!("{} does not open with //!", path.display()));
        }
    }
    faults
}

/// Every Rust file of the repository, sorted.
pub(crate) fn sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![shell::root().join("crates"), shell::root().join("xtask")];
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(&folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
        {
            let is_built = path.file_name().is_some_and(|name| name == "target");
            if path.is_dir() && !is_built {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}
