//! The project's chores, set-up included: `cargo xtask demo | test | bench | tidy | coverage`.

mod bench;
mod browser;
mod coverage;
mod demo;
mod ocsf;
mod setup;
mod shell;
mod test;
mod tidy;

use anyhow::{Result, bail};

const USAGE: &str = "\
cargo xtask demo [--listen ADDR] [--data DIR]   build everything and run the demonstration
cargo xtask test [--deep]                       install what tests need and run all of them
cargo xtask bench path [--quick]                measure, see bench/RESULTS.md
cargo xtask tidy                                layers, lengths, format, lints, licences
cargo xtask coverage [--lines]                  how much of ../shared/corpus's logs is understood; --lines: of the tests
cargo xtask console                             build the console alone
cargo xtask story                               play the analyst's story in Chromium
cargo xtask ocsf SCHEMA_FOLDER                  write the OCSF classes anew from a schema";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let rest = arguments.get(1..).unwrap_or_default();
    match arguments.first().map(String::as_str) {
        Some("demo") => demo::run(rest),
        Some("test") => test::run(rest),
        Some("bench") => bench::run(rest),
        Some("tidy") => tidy::run(),
        Some("coverage") if rest.iter().any(|one| one == "--lines") => test::coverage(),
        Some("coverage") => coverage::run(),
        Some("console") => setup::console(),
        Some("story") => browser::story(),
        Some("ocsf") => ocsf::run(rest),
        Some("help" | "--help" | "-h") => {
            println!("{USAGE}");
            Ok(())
        }
        _ => bail!("unknown command; there are\n{USAGE}"),
    }
}
