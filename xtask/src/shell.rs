//! Running other programs, with what they do shown.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A command in a folder of the repository.
pub(crate) fn command(program: &str, folder: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root().join(folder));
    // What `cargo run` tells this program about itself would reach build scripts that ask to be
    // run again when it changes (ring's does), and half of the build with them, each time that
    // somebody builds without xtask.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if OWN_VARIABLES.iter().any(|own| text.starts_with(own)) {
            command.env_remove(&name);
        }
    }
    command
}

/// Beginnings of the variables that `cargo run` sets for the program that it runs.
const OWN_VARIABLES: &[&str] = &[
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_",
    "CARGO_PRIMARY_",
];

/// Cargo, the one that runs this program.
pub(crate) fn cargo() -> Command {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    command(&program, ".")
}

/// Runs a command and fails if it does.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start {shown}"))?;
    if !status.success() {
        bail!("{shown} failed ({status})");
    }
    Ok(())
}

/// What a command prints, or an error with what it complained of.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = command
        .stderr(Stdio::piped())
        .output()
        .with_context(|| format!("cannot start {shown}"))?;
    if !output.status.success() {
        bail!(
            "{shown} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program can be found.
pub(crate) fn has(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&paths).any(|folder| folder.join(program).is_file())
}

/// Runs a part of a longer work with its name and time.
pub(crate) fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("==> {name}");
    let start = Instant::now();
    work().with_context(|| format!("step '{name}' failed"))?;
    println!("==> {name}: done in {:.0} s", start.elapsed().as_secs_f64());
    Ok(())
}

fn show(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words
        .map(|word| word.to_string_lossy())
        .collect::<Vec<_>>()
        .join(" ")
}

/// The folder of built programs.
pub(crate) fn target() -> PathBuf {
    let named = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    named.unwrap_or_else(|| root().join("target"))
}

/// Whether a bench was asked for the release profile: `--release`. It is built by itself, which
/// takes more than half an hour on two cores.
fn is_release() -> bool {
    std::env::args().any(|argument| argument == "--release")
}

/// The profile of the built program, for people.
pub(crate) fn profile() -> &'static str {
    match is_release() {
        true => "release",
        false => "the shared one (dev: hot crates at level 3, the rest at 0 and 1)",
    }
}

/// The built program.
pub(crate) fn watchfloor() -> PathBuf {
    let folder = if is_release() { "release" } else { "debug" };
    target().join(folder).join("watchfloor")
}

/// Builds all programs the way that demo and test share, or in release the server and what benches
/// put beside it.
pub(crate) fn build() -> Result<()> {
    match is_release() {
        true => run(cargo()
            .args(["build", "--release", "-p", "watchfloor"])
            .args(["-p", "watchfloor-testkit"])),
        false => run(cargo().args(["build", "--workspace"])),
    }
}
