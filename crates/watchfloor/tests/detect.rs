//! All of Sigma loads, and each regression recording makes the rule it was made for fire.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchfloor_testkit::corpus;

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
/// Rules of SigmaHQ in the corpus.
const RULES: u64 = 3754;
/// Recordings: 100 as EVTX and as JSON, one raw.
const RECORDINGS: usize = 201;

fn watchfloor(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(PROGRAM).args(arguments).output()?)
}

fn files_below(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files_below(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// The rule ids that an `info.yml` names under `rule_metadata`.
fn wanted_rules(info: &str) -> Vec<String> {
    let ids = info
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("- id:"));
    ids.map(|id| id.trim().trim_matches(['"', '\'']).to_owned())
        .collect()
}

#[test]
fn every_sigma_rule_loads_and_every_recording_is_found() -> Result<()> {
    let Some(corpus) = corpus() else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let stats = folder.path().join("stats.json");
    let recordings = corpus.join("sigma-regression").canonicalize()?;
    let rules = corpus.join("sigma-rules");
    let paths = [&rules, &stats, &recordings].map(|path| path.to_string_lossy().into_owned());
    let output = watchfloor(&[
        "detect", "--rules", &paths[0], "--stats", &paths[1], &paths[2],
    ])?;
    ensure!(
        output.status.success(),
        "detect: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let stats: Value = serde_json::from_slice(&std::fs::read(&stats)?)?;
    assert_eq!(stats["rules_loaded"], RULES, "{stats}");
    assert_eq!(stats["rules_refused"], serde_json::json!([]));

    let mut fired: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in String::from_utf8(output.stdout)?.lines() {
        let finding: Value = serde_json::from_str(line)?;
        let text = |key: &str| {
            finding[key]
                .as_str()
                .map(str::to_owned)
                .with_context(|| format!("no {key} in {finding}"))
        };
        fired
            .entry(text("source")?)
            .or_default()
            .insert(text("rule_id")?);
    }
    let mut files = Vec::new();
    files_below(&recordings, &mut files)?;
    let (mut seen, mut missed) = (0, Vec::new());
    for file in files
        .iter()
        .filter(|file| file.extension().is_none_or(|extension| extension != "yml"))
    {
        let info = std::fs::read_to_string(file.with_file_name("info.yml"))?;
        let wanted = wanted_rules(&info);
        ensure!(
            !wanted.is_empty(),
            "no rule is named beside {}",
            file.display()
        );
        let source = file.to_string_lossy().into_owned();
        seen += 1;
        let rules = fired.get(&source);
        missed.extend(
            wanted
                .into_iter()
                .filter(|id| !rules.is_some_and(|rules| rules.contains(id)))
                .map(|id| format!("{id} on {source}")),
        );
    }
    assert!(
        missed.is_empty(),
        "{} did not fire:\n{}",
        missed.len(),
        missed.join("\n")
    );
    assert_eq!(seen, RECORDINGS);
    Ok(())
}

#[test]
fn built_in_rules_and_packs_pass_their_cases() -> Result<()> {
    for command in ["rules", "mapping"] {
        let output = watchfloor(&[command, "test"])?;
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains(" 0 failed") && !text.contains("\n0 passed"),
            "{command} test: {text}"
        );
    }
    Ok(())
}

#[test]
fn lint_names_file_line_and_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let good = "title: Good\nid: 6a3c0e57-0000-4000-8000-000000000001\nlogsource:\n  product: linux\ndetection:\n  one:\n    a: b\n  condition: one\nlevel: low\n";
    let check = |name: &str, text: &str, code: i32, line: Option<&str>| -> Result<()> {
        let path = folder.path().join(name);
        std::fs::write(&path, text)?;
        let output = watchfloor(&["rules", "lint", &path.to_string_lossy()])?;
        let shown = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(code), "{name}: {shown}");
        if let Some(line) = line {
            let start = format!("{}:{line}: ", path.display());
            assert!(
                shown.lines().any(|shown| shown
                    .strip_prefix(&start)
                    .is_some_and(|reason| !reason.is_empty())),
                "{name}: {start}: {shown}"
            );
        }
        Ok(())
    };
    check("good.yml", good, 0, None)?;
    check(
        "condition.yml",
        &good.replace("condition: one", "condition: one and nothing"),
        1,
        Some("8"),
    )?;
    check(
        "modifier.yml",
        &good.replace("a: b", "a|rot13: b"),
        1,
        Some("7"),
    )?;
    check(
        "yaml.yml",
        &good.replace("detection:\n", "detection: [\n"),
        1,
        None,
    )?;
    Ok(())
}

const SEVERAL_EVENTS: &str = "\
title: Failed logon
id: base
name: failed
level: low
detection: {selection: {event: failed}, condition: selection}
---
title: Guessing
id: guessing
level: high
correlation: {type: event_count, rules: [failed], group-by: [user], timespan: 5m, condition: {gte: 3}}
---
title: Any success
id: success
level: low
detection: {selection: {event: success}, condition: selection}
";

/// A newer file is read before an older one, the events of one attack stand in two files, and
/// one file is longer than a batch: none of it may matter, nor the number of threads.
#[test]
fn several_events_are_judged_by_time_over_all_files() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("rules.yml"), SEVERAL_EVENTS)?;
    let line = |time: &str, event: &str, user: &str| {
        format!(r#"{{"time":"2026-03-{time}Z","event":"{event}","user":"{user}"}}"#)
    };
    std::fs::create_dir(path("in"))?;
    let mut newer: Vec<String> = (0..10_000)
        .map(|number| line("09T10:00:00", "other", &format!("u{number}")))
        .collect();
    newer.push(line("09T10:00:01", "success", "eve"));
    newer.push(line("09T10:00:02", "failed", "mallory"));
    std::fs::write(path("in/a.ndjson"), newer.join("\n"))?;
    let first = [
        line("01T10:00:00", "failed", "eve"),
        line("01T10:03:00", "failed", "eve"),
    ];
    std::fs::write(path("in/b.ndjson"), first.join("\n"))?;
    let second = [
        line("01T10:01:00", "failed", "eve"),
        line("01T10:20:00", "failed", "eve"),
    ];
    std::fs::write(path("in/c.ndjson"), second.join("\n"))?;
    for threads in ["1", "2", "5"] {
        let (rules, input) = (path("rules.yml"), path("in"));
        let output = watchfloor(&["detect", "--rules", &rules, "--threads", threads, &input])?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let text = String::from_utf8(output.stdout)?;
        let findings: Vec<Value> = text
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let rules: Vec<&str> = findings
            .iter()
            .filter_map(|one| one["rule_id"].as_str())
            .collect();
        assert_eq!(
            rules,
            ["success", "guessing"],
            "with {threads} threads: {text}"
        );
        let guessing = &findings[1];
        assert_eq!(guessing["time"], "2026-03-01T10:03:00Z");
        let places: Vec<(String, u64)> = guessing["events"]
            .as_array()
            .context("no events")?
            .iter()
            .map(|place| {
                let source = place["source"].as_str().unwrap_or_default();
                let file = source.rsplit('/').next().unwrap_or_default();
                (
                    file.to_owned(),
                    place["position"].as_u64().unwrap_or(u64::MAX),
                )
            })
            .collect();
        let expected = [("b.ndjson", 0), ("c.ndjson", 0), ("b.ndjson", 1)];
        let expected: Vec<_> = expected.map(|(file, at)| (file.to_owned(), at)).to_vec();
        assert_eq!(places, expected);
    }
    Ok(())
}
