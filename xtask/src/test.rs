//! `cargo xtask test`: all tests, with what they need.

use anyhow::Result;

use crate::{browser, setup, shell, tidy};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    let is_deep = arguments.iter().any(|argument| argument == "--deep");
    shell::step("set-up", setup::for_test)?;
    let python = setup::python()?;
    setup::node_senders()?;
    shell::step("console: build", setup::console)?;
    shell::step("console: types, lints, unit tests", || {
        shell::run(shell::command("npm", "console").args(["run", "--silent", "check"]))
    })?;
    shell::step("server: build", shell::build)?;
    shell::step("tidy", tidy::quick)?;
    shell::step("server: tests", || {
        let mut cargo = shell::cargo();
        cargo.args(["test", "--workspace", "--no-fail-fast"]);
        cargo.env("WATCHFLOOR_TEST_PYTHON", &python);
        if is_deep {
            cargo.env("WATCHFLOOR_TEST_DEEP", "1");
        }
        shell::run(&mut cargo)
    })?;
    // The same tests, over the other database that the records can stand in.
    shell::step("records: tests on PostgreSQL", || {
        let mut cargo = shell::cargo();
        cargo.args(["test", "--workspace", "--no-fail-fast", "--test", "it"]);
        cargo.env("WATCHFLOOR_TEST_STORE", "postgres");
        shell::run(&mut cargo)
    })?;
    shell::step("detection: another implementation answers the same", oracle)?;
    shell::step("console: the analyst's story in Chromium", browser::story)?;
    println!("all tests passed");
    Ok(())
}

/// Holds our engine against rsigma-eval. A workspace of its own, with a target folder of its own:
/// see `bench/oracle/Cargo.toml`.
fn oracle() -> Result<()> {
    let target = shell::target().join("oracle");
    let mut cargo = shell::command("cargo", "bench/oracle");
    cargo.args(["test", "--locked"]);
    cargo.env("CARGO_TARGET_DIR", target);
    shell::run(&mut cargo)
}

/// Line coverage by the compiler's own instrumentation, as `cargo llvm-cov` reads it.
pub(crate) fn coverage() -> Result<()> {
    if shell::output(shell::cargo().args(["llvm-cov", "--version"])).is_err() {
        shell::run(shell::cargo().args(["install", "--locked", "cargo-llvm-cov"]))?;
    }
    shell::run(shell::cargo().args(["llvm-cov", "--workspace", "--summary-only"]))
}
