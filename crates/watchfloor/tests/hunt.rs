//! Queries with verbs over imported events: each case of `hunt/cases.txt` gives its rows.
//!
//! A case is a query, a line `=>`, and the rows as CSV with a head, or `error` with what the
//! error must say; blank lines stand between cases, `#` begins a comment.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

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
    import(data, &events)
}

fn import(data: &Path, events: &Path) -> Result<()> {
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

/// Hunts of the repository that give rows over its sample data, at the least.
const HUNTS_WITH_ROWS: usize = 38;
/// When the recorded story begins.
const STORY_START: &str = "2026-11-20T10:00:00Z";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The recorded story and the records around it, as the files that their sources would write.
fn samples(folder: &Path) -> Result<()> {
    let demo = repository().join("demo");
    let mut records = std::fs::read_to_string(demo.join("intrusion.ndjson"))?;
    records.push_str(&std::fs::read_to_string(demo.join("everyday.ndjson"))?);
    let packed = std::fs::File::open(demo.join("background.ndjson.gz"))?;
    let mut background = String::new();
    flate2::read::GzDecoder::new(packed).read_to_string(&mut background)?;
    // A third of the background keeps the test short.
    for line in background.lines().step_by(3) {
        records.push_str(line);
        records.push('\n');
    }
    let start: jiff::Timestamp = STORY_START.parse()?;
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for line in records.lines() {
        let record: Value = serde_json::from_str(line)?;
        let text = |name: &str| record[name].as_str().unwrap_or_default().to_owned();
        let at_ms = record["at_ms"].as_i64().context("at_ms")?;
        let at = start + jiff::SignedDuration::from_millis(at_ms);
        let context = text("context");
        let path = context.lines().find(|line| line.starts_with("#path"));
        let path = path.unwrap_or_default().replace("#path\t", "");
        let name = format!("{}-{}{path}.log", text("source"), text("format"));
        let file = files.entry(name.replace(':', "-")).or_default();
        if file.is_empty() {
            file.push_str(&context);
        }
        file.push_str(&timed(&text("line"), at));
        file.push('\n');
    }
    for (name, text) in files {
        std::fs::write(folder.join(name), text)?;
    }
    mapped(folder)
}

/// A line with the time in place of the marks for it.
fn timed(line: &str, at: jiff::Timestamp) -> String {
    let utc = jiff::tz::TimeZone::UTC.to_datetime(at);
    let epoch = at.as_second().to_string();
    let audit = format!("{epoch}.{:03}", at.subsec_millisecond());
    let form = |form: &str| utc.strftime(form).to_string();
    line.replace("{{rfc3164}}", &form("%b %e %H:%M:%S"))
        .replace("{{rfc5424}}", &form("%Y-%m-%dT%H:%M:%S.%3fZ"))
        .replace("{{iso_ms}}", &form("%Y-%m-%dT%H:%M:%S.%3fZ"))
        .replace("{{iso}}", &form("%Y-%m-%dT%H:%M:%SZ"))
        .replace("{{windows}}", &form("%Y-%m-%dT%H:%M:%S.%3f0000Z"))
        .replace("{{clf}}", &form("%d/%b/%Y:%H:%M:%S +0000"))
        .replace("{{audit}}", &audit)
        .replace("{{epoch}}", &epoch)
        .replace("{{epoch_ms}}", &at.as_millisecond().to_string())
}

/// The records that mapping packs are tested with, of sources that write JSON.
fn mapped(folder: &Path) -> Result<()> {
    for pack in [
        "aws",
        "azure",
        "gcp",
        "m365",
        "okta",
        "kubernetes",
        "windows",
        "github",
    ] {
        let cases = repository()
            .join("content/mappings")
            .join(pack)
            .join("cases");
        for entry in std::fs::read_dir(cases)? {
            let path = entry?.path();
            let mut lines = String::new();
            for line in std::fs::read_to_string(&path)?.lines() {
                let case: Value = serde_json::from_str(line)?;
                if case["line"].is_object() {
                    lines.push_str(&case["line"].to_string());
                    lines.push('\n');
                }
            }
            let name = path.file_name().context("a name")?.to_string_lossy();
            std::fs::write(folder.join(format!("{pack}-{name}")), lines)?;
        }
    }
    Ok(())
}

fn hunt(data: &Path, query: &str, more: &[&str]) -> Result<Output> {
    hunt_until(data, query, "2026-11-21T00:00:00Z", more)
}

fn hunt_until(data: &Path, query: &str, to: &str, more: &[&str]) -> Result<Output> {
    let output = Command::new(PROGRAM)
        .args(["hunt", query, "--format", "csv"])
        .args(["--from", "2026-11-20T00:00:00Z", "--to", to])
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
fn every_hunt_of_the_repository_runs() -> Result<()> {
    let (data, files) = (tempfile::tempdir()?, tempfile::tempdir()?);
    let events = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hunt/events.ndjson");
    std::fs::copy(events, files.path().join("events.ndjson"))?;
    samples(files.path())?;
    import(data.path(), files.path())?;
    let (mut wrong, mut without) = (Vec::new(), Vec::new());
    let mut count = 0;
    for entry in std::fs::read_dir(repository().join("content/hunts"))? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "kql") {
            continue;
        }
        let name = path
            .file_name()
            .context("a name")?
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&path)?;
        let mut head = text.lines();
        let has_head = head
            .next()
            .is_some_and(|line| line.starts_with("// title: "))
            && head
                .next()
                .is_some_and(|line| line.starts_with("// technique: T"));
        let output = hunt_until(data.path(), &text, "2026-11-30T00:00:00Z", &[])?;
        if !has_head || !output.status.success() {
            wrong.push(format!(
                "{name}\n{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        } else if output.stdout.iter().filter(|byte| **byte == b'\n').count() < 2 {
            without.push(name);
        }
        count += 1;
    }
    ensure!(
        wrong.is_empty(),
        "{} of {count} hunts fail:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let with = count - without.len();
    ensure!(
        with >= HUNTS_WITH_ROWS,
        "only {with} of {count} hunts give rows; none do {without:?}"
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
