//! The lake beside DuckDB, chDB and ripgrep over zstd text: sizes, needles, aggregations, over
//! events that are made with a seed (`bench/lake`).

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use super::{load, path};
use crate::{setup, shell};

/// Peers beside those that tests use.
const PEERS: &[&str] = &["chdb", "pytz", "tantivy", "pyfusefilter"];
const FORMATS: [&str; 3] = ["json", "syslog", "access-log"];

pub(super) fn run(is_quick: bool, is_full: bool) -> Result<()> {
    shell::build()?;
    let events: u64 = match (is_quick, is_full) {
        (true, _) => 1_000_000,
        (false, true) => 100_000_000,
        (false, false) => 10_000_000,
    };
    let python = setup::python()?;
    let mut pip = Command::new(&python);
    shell::run(pip.args(["-m", "pip", "install", "--quiet"]).args(PEERS))?;
    let folder = shell::target().join(format!("bench/lake-{events}"));
    let texts = folder.join("texts");
    let generated = folder.join("generated.json");
    if !generated.exists() {
        generate(&python, events, &texts, &generated)?;
    }
    let data = folder.join("data");
    if data.exists() {
        std::fs::remove_dir_all(&data)?;
    }
    fill(&data, &texts)?;
    println!("profile: {}, {events} events", shell::profile());
    let (server, token) = path::start(&data, None)?;
    let mut measure = Command::new(&python);
    measure
        .arg(shell::root().join("bench/lake/measure.py"))
        .args([&server.url, &token])
        .args([&data, &generated, &texts])
        .arg(folder.join("scratch"));
    shell::run(&mut measure)?;
    under_searches(&python, &server.url, &token)?;
    weigh_filters(&python, &data, &folder)
}

/// What events are taken in at while nobody searches, and while ten clients search without pause.
fn under_searches(python: &Path, url: &str, token: &str) -> Result<()> {
    const EVENTS: usize = 300_000;
    let address = url.trim_start_matches("http://");
    let lines = load::lines(EVENTS, &load::now()?)?;
    let mut sent = 0;
    let mut rate = || -> Result<f64> {
        let begin = Instant::now();
        load::over_http(address, token, &lines, 4)?;
        sent += lines.len();
        path::settle(address, token, sent as f64)?;
        Ok(lines.len() as f64 / begin.elapsed().as_secs_f64())
    };
    let quiet = rate()?;
    let mut searchers = Command::new(python)
        .arg(shell::root().join("bench/lake/searchers.py"))
        .args([url, token])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("the searchers do not start")?;
    let busy = rate();
    drop(searchers.stdin.take());
    let told = searchers.wait_with_output()?;
    let busy = busy?;
    println!(
        "taken in while nobody searches: {quiet:.0} events/s; while ten search: {busy:.0} ({:.0} %), who got {} answers",
        100.0 * busy / quiet,
        String::from_utf8_lossy(&told.stdout).trim()
    );
    Ok(())
}

/// Queries on several machines: processes of this one, over an S3-compatible server.
pub(super) fn cluster() -> Result<()> {
    const EVENTS: u64 = 1_000_000;
    shell::build()?;
    let python = setup::python()?;
    let folder = shell::target().join(format!("bench/lake-{EVENTS}"));
    let (texts, generated) = (folder.join("texts"), folder.join("generated.json"));
    if !generated.exists() {
        generate(&python, EVENTS, &texts, &generated)?;
    }
    println!("profile: {}, {EVENTS} events", shell::profile());
    let mut measure = Command::new(&python);
    measure.arg(shell::root().join("bench/lake/cluster.py"));
    measure.args([shell::watchfloor(), texts, folder.join("cluster")]);
    shell::run(&mut measure)
}

fn generate(python: &Path, events: u64, texts: &Path, generated: &Path) -> Result<()> {
    let mut make = Command::new(python);
    make.arg(shell::root().join("bench/lake/generate.py"))
        .arg(events.to_string())
        .arg(texts);
    let told = shell::output(&mut make)?;
    for format in FORMATS {
        let text = texts.join(format!("{format}.log"));
        shell::run(Command::new("zstd").args(["-q", "-f"]).arg(&text))?;
    }
    Ok(std::fs::write(generated, told)?)
}

fn fill(data: &Path, texts: &Path) -> Result<()> {
    for format in FORMATS {
        let mut import = Command::new(shell::watchfloor());
        import.args(["import", "--format", format, "--data"]);
        import.arg(data).arg(texts.join(format!("{format}.log")));
        shell::run(&mut import)?;
    }
    let mut compact = Command::new(shell::watchfloor());
    shell::run(compact.args(["lake", "compact", "--data"]).arg(data))
}

/// What other filters of the largest file would weigh and find.
fn weigh_filters(python: &Path, data: &Path, folder: &Path) -> Result<()> {
    let mut weigh = Command::new(python);
    weigh
        .arg(shell::root().join("bench/lake/filters.py"))
        .arg(data.join("lake"))
        .arg(folder.join("scratch"));
    shell::run(&mut weigh)
}
