//! `cargo xtask demo`: everything built, and the demonstration started.

use anyhow::Result;

use crate::{setup, shell};

pub(crate) fn run(arguments: &[String]) -> Result<()> {
    shell::step("set-up", setup::for_build)?;
    shell::step("console", setup::console)?;
    shell::step("server (the first build takes a while)", shell::build)?;
    shell::run(
        std::process::Command::new(shell::watchfloor())
            .arg("demo")
            .args(arguments),
    )
}
