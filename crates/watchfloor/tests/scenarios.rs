//! Intrusions of several stages, each within a benign background: each ends as one incident that
//! begins with its root and holds nothing else. `tests/scenarios/README.md` tells them.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use watchfloor_testkit::{Judged, Scenario, ServerProcess, corpus, incidents_of_recording};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
/// Recordings in JSON of the corpus.
const RECORDINGS: usize = 25;
/// Most incidents that one recording may end as.
const INCIDENTS_MAX: usize = 2;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Which rules are in force.
#[derive(Clone, Copy, Debug)]
enum Rules {
    Own,
    WithSigmaHq,
}

impl Rules {
    /// Rules beside our own; `None` where they are absent.
    fn more(self) -> Option<Vec<PathBuf>> {
        match self {
            Self::Own => Some(Vec::new()),
            Self::WithSigmaHq => Some(vec![corpus()?.join("sigma-rules/rules")]),
        }
    }
}

fn judge(scenario: &Scenario, rules: Rules) -> Result<Option<(Judged, usize)>> {
    let Some(rules) = rules.more() else {
        return Ok(None);
    };
    let folder = tempfile::tempdir()?;
    let server = scenario.server(Path::new(PROGRAM), folder.path(), &rules)?;
    let client = server.client("ingest,read")?;
    let judged = scenario.judge(&client);
    judged.with_context(|| server.complaints()).map(Some)
}

fn check(name: &str) -> Result<()> {
    let scenario = match name {
        "demo" => Scenario::demo(&repository().join("demo"))?,
        name => Scenario::load(&repository().join("tests/scenarios").join(name))?,
    };
    for rules in [Rules::Own, Rules::WithSigmaHq] {
        let Some((judged, unattached)) = judge(&scenario, rules)? else {
            continue;
        };
        println!("{rules:?}: {unattached} in no incident: {judged:#?}");
        ensure!(judged.intrusion_alerts >= 5, "{rules:?}: too little fires");
        ensure!(
            judged.is_one_clean_incident(),
            "{name} with {rules:?} is not one clean incident: {judged:#?}"
        );
    }
    Ok(())
}

#[test]
fn demo() -> Result<()> {
    check("demo")
}

#[test]
fn phishing() -> Result<()> {
    check("phishing")
}

#[test]
fn webshell() -> Result<()> {
    check("webshell")
}

#[test]
fn cloudkeys() -> Result<()> {
    check("cloudkeys")
}

#[test]
fn ransomware() -> Result<()> {
    check("ransomware")
}

#[test]
fn insider() -> Result<()> {
    check("insider")
}

#[test]
fn pipeline() -> Result<()> {
    check("pipeline")
}

fn archives(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            archives(&path, found)?;
        } else if path.extension().is_some_and(|end| end == "zip") {
            found.push(path);
        }
    }
    found.sort();
    Ok(())
}

/// The lines of the JSON file in an archive; `None` if it holds none.
fn recording(archive: &Path) -> Result<Option<String>> {
    let script = "import sys,zipfile\nz=zipfile.ZipFile(sys.argv[1])\n\
         n=[i for i in z.namelist() if i.endswith('.json') and not i.startswith('__')]\n\
         [sys.stdout.buffer.write(z.read(i)) for i in n]";
    let output = Command::new("python3")
        .args(["-c", script])
        .arg(archive)
        .output()?;
    ensure!(output.status.success(), "{}", archive.display());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((!text.is_empty()).then_some(text))
}

/// Each is one technique of one intrusion: an analyst gets one incident of it, at most two.
#[test]
fn recordings_of_single_techniques_end_as_few_incidents() -> Result<()> {
    let Some(corpus) = corpus() else {
        return Ok(());
    };
    let mut found = Vec::new();
    archives(&corpus.join("otrf-atomic"), &mut found)?;
    let mut counts = Vec::new();
    for archive in found {
        let Some(lines) = recording(&archive)? else {
            continue;
        };
        let folder = tempfile::tempdir()?;
        let server = ServerProcess::start(Path::new(PROGRAM), folder.path(), &[])?;
        let client = server.client("ingest,read")?;
        let count = incidents_of_recording(&client, &lines)?;
        let name = archive.file_stem().unwrap_or_default().to_string_lossy();
        println!("{count} {name}");
        counts.push((name.into_owned(), count));
    }
    assert_eq!(counts.len(), RECORDINGS);
    let many: Vec<_> = counts.iter().filter(|(_, n)| *n > INCIDENTS_MAX).collect();
    assert!(many.is_empty(), "{many:?}");
    Ok(())
}
