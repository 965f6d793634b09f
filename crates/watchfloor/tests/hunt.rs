//! Queries with verbs over imported events: each case of `hunt/cases.txt` gives its rows.
//!
//! A case is a query, a line `=>`, and the rows as CSV with a head, or `error` with what the
//! error must say; blank lines stand between cases, `#` begins a comment.

use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

struct Case {
    query: String,
    expected: String,
}

fn cases() -> Result<Vec<Case>> {
    let text = include_str!("hunt/cases.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let text: Vec<&str> = lines.collect();
    let text = text.join("\n");
    text.split("\n\n")
        .map(str::trim)
        .filter(|case| !case.is_empty())
        .map(|case| {
            let (query, expected) = case.split_once("\n=>\n").with_context(|| case.to_owned())?;
            Ok(Case {
                query: query.to_owned(),
                expected: expected.to_owned(),
            })
        })
        .collect()
}

fn imported(data: &Path) -> Result<()> {
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hunt/events.ndjson");
    let output = Command::new(PROGRAM)
        .arg("import")
        .arg("--data")
        .arg(data)
        .arg(events)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

fn hunt(data: &Path, query: &str, more: &[&str]) -> Result<Output> {
    let output = Command::new(PROGRAM)
        .args(["hunt", query, "--format", "csv"])
        .args([
            "--from",
            "2026-11-20T00:00:00Z",
            "--to",
            "2026-11-21T00:00:00Z",
        ])
        .args(more)
        .arg("--data")
        .arg(data)
        .output()?;
    Ok(output)
}

#[test]
fn every_case_gives_its_rows() -> Result<()> {
    let folder = tempfile::tempdir()?;
    imported(folder.path())?;
    let mut wrong = Vec::new();
    for case in cases()? {
        let output = hunt(folder.path(), &case.query, &[])?;
        let found = String::from_utf8(output.stdout)?;
        let told = String::from_utf8(output.stderr)?;
        let is_right = match case.expected.strip_prefix("error ") {
            Some(wanted) => !output.status.success() && told.contains(wanted),
            None => output.status.success() && found.trim_end() == case.expected.trim_end(),
        };
        if !is_right {
            wrong.push(format!("{}\n=>\n{found}{told}", case.query));
        }
    }
    ensure!(
        wrong.is_empty(),
        "{} cases are wrong:\n\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

#[test]
fn what_is_cut_off_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    imported(folder.path())?;
    let query = "events | project time | sort by time asc";
    let output = hunt(folder.path(), query, &["--limit", "2"])?;
    let told = String::from_utf8(output.stderr)?;
    assert_eq!(String::from_utf8(output.stdout)?.lines().count(), 3);
    ensure!(told.contains("the first 2 rows are shown"), "{told}");
    Ok(())
}

#[test]
fn an_error_is_marked_in_its_line() -> Result<()> {
    let folder = tempfile::tempdir()?;
    imported(folder.path())?;
    let output = hunt(
        folder.path(),
        "events\n| where nme == 1\n| sumarize count()",
        &[],
    )?;
    let told = String::from_utf8(output.stderr)?;
    ensure!(
        told.contains("  | sumarize count()\n    ^^^^^^^^\n  did you mean summarize?"),
        "{told}"
    );
    Ok(())
}
