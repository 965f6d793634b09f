//! The same rules over the stream and over the lake give the same findings, with the same ids:
//! for every built-in rule, on the demonstration's recording and on the cases beside the rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use watchfloor_detect::Detector;
use watchfloor_event::Finding;
use watchfloor_lake::{Lake, RecordScope};
use watchfloor_normalize::PackSet;
use watchfloor_pipeline::{Retro, RetroLimits};
use watchfloor_rules::{RuleFile, RuleSet};
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(name)
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}

/// Raw lines of a recording, their times told as they were apart.
fn recorded(text: &str) -> Vec<String> {
    let start = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(6);
    let lines = text.lines().filter_map(|line| {
        let one: Value = serde_json::from_str(line).ok()?;
        let at = start + jiff::SignedDuration::from_millis(one["at_ms"].as_i64()?);
        Some(filled(one["line"].as_str()?, at))
    });
    lines.collect()
}

/// Puts a time in the places that the recording leaves for it.
fn filled(line: &str, time: jiff::Timestamp) -> String {
    let zoned = time.to_zoned_datetime(jiff::tz::TimeZone::UTC);
    let forms = [
        ("{{rfc3164}}", zoned.strftime("%b %e %H:%M:%S").to_string()),
        ("{{rfc5424}}", format!("{time:.3}")),
        ("{{iso_ms}}", format!("{time:.3}")),
        ("{{iso}}", format!("{time:.0}")),
        ("{{windows}}", format!("{time:.7}")),
        (
            "{{clf}}",
            zoned.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        ),
        ("{{audit}}", format!("{}.000", time.as_second())),
        ("{{epoch_ms}}", time.as_millisecond().to_string()),
        ("{{epoch}}", time.as_second().to_string()),
    ];
    let mut filled = line.to_owned();
    for (place, form) in forms {
        filled = filled.replace(place, &form);
    }
    filled
}

fn send(client: &Client, lines: &[String], per_request: usize) -> Result<()> {
    for part in lines.chunks(per_request) {
        let body = part.join("\n");
        let answer = client.post("/ingest/ndjson", &[], body.as_bytes())?;
        ensure!(
            answer.status == 200,
            "{}",
            String::from_utf8_lossy(&answer.body)
        );
    }
    client.settle()
}

/// Lines of the rules' cases, in the order of their files.
fn case_lines() -> Result<Vec<String>> {
    let mut found = Vec::new();
    files(&folder("content/rules"), &mut found)?;
    let mut lines = Vec::new();
    for path in found {
        if !path.to_string_lossy().ends_with(".cases.yaml") {
            continue;
        }
        let text = std::fs::read_to_string(&path)?;
        for line in text.lines() {
            let Some(value) = line.trim().strip_prefix("line: ") else {
                continue;
            };
            // Cases write lines as JSON texts, which YAML's double quotes are.
            let parsed = serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned());
            if !parsed.contains('\n') {
                lines.push(parsed);
            }
        }
    }
    Ok(lines)
}

fn demo_lines() -> Result<Vec<String>> {
    let mut lines = Vec::new();
    for name in ["everyday.ndjson", "intrusion.ndjson"] {
        let text = std::fs::read_to_string(folder("demo").join(name))?;
        lines.extend(recorded(&text));
    }
    Ok(lines)
}

/// Texts of the files below a folder of `content/`.
fn content(name: &str) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    files(&folder("content").join(name), &mut found)?;
    let mut texts = Vec::new();
    for path in found {
        let shown = path.to_string_lossy().into_owned();
        let is_yaml = shown.ends_with(".yml") || shown.ends_with(".yaml");
        if is_yaml && !shown.contains(".cases.") {
            texts.push((shown, std::fs::read_to_string(&path)?));
        }
    }
    Ok(texts)
}

fn by_rule(findings: Vec<Finding>) -> ByRule {
    let mut by_rule = ByRule::new();
    for finding in findings {
        by_rule
            .entry(finding.rule_id)
            .or_default()
            .insert(finding.id);
    }
    by_rule
}

type ByRule = BTreeMap<String, BTreeSet<String>>;

/// What the stream found, what the same rules find in the lake that it left, and how much of it,
/// of rules over single events, a forecast over the last year looks at: some cases lie in the
/// future or long ago.
fn both_ways(data: &Path) -> Result<(ByRule, ByRule, BTreeMap<String, usize>)> {
    let rules = content("rules")?.into_iter().map(|(path, text)| RuleFile {
        path: Arc::from(path),
        text,
    });
    let set = RuleSet::load(rules, BTreeMap::new());
    let packs = content("mappings")?.into_iter();
    let packs = packs.filter(|(path, _)| path.ends_with("/pack.yaml"));
    let (packs, errors) = PackSet::load(packs);
    ensure!(errors.is_empty(), "{errors:?}");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let lake = runtime.block_on(Lake::open_to_read(&data.join("lake")))?;
    let stream = runtime.block_on(lake.findings_from(0))?;
    // Detections of other tools (`suricata:…`) rest on no rule.
    let stream = stream.into_iter().map(|(_, finding)| finding);
    let stream: Vec<Finding> = stream.filter(|one| !one.rule_id.contains(':')).collect();
    let now = jiff::Timestamp::now();
    let year_ago = now - jiff::SignedDuration::from_hours(24 * 365);
    let mut lately: BTreeMap<String, usize> = BTreeMap::new();
    for finding in &stream {
        if finding.event_count == 1 && finding.time > year_ago && finding.time < now {
            *lately.entry(finding.rule_id.clone()).or_default() += 1;
        }
    }
    let mut again = Vec::new();
    let progress = Retro::new(Arc::new(lake), Arc::new(packs)).run(
        runtime.handle(),
        &RecordScope {
            from: jiff::Timestamp::MIN,
            to: jiff::Timestamp::MAX,
            positions: 0..u64::MAX,
            kinds: None,
        },
        &RetroLimits {
            events: u64::MAX,
            time: Duration::MAX,
            stop: &AtomicBool::new(false),
        },
        &mut [Detector::new(set)],
        &mut |_, findings, _| again.extend(findings),
    )?;
    ensure!(
        progress.is_whole && progress.events == progress.of_events,
        "{progress:?}"
    );
    Ok((by_rule(stream), by_rule(again), lately))
}

/// Sends lines to a server of their own and holds what it found in the stream against what the
/// same rules find in its lake; gives the number of rules that fired.
fn check_equal(lines: &[String], per_request: usize) -> Result<usize> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let client = server.client("admin")?;
    send(&client, lines, per_request)?;
    let (stream, lake, lately) = both_ways(&data)?;
    for (rule, ids) in &stream {
        let again = lake.get(rule).cloned().unwrap_or_default();
        ensure!(
            *ids == again,
            "{rule}: {} in the stream, {} in the lake",
            ids.len(),
            again.len()
        );
    }
    let others: Vec<&String> = lake
        .keys()
        .filter(|rule| !stream.contains_key(*rule))
        .collect();
    ensure!(
        others.is_empty(),
        "only the lake gave findings of {others:?}"
    );

    // A forecast of one rule tells the same number.
    let Some((rule, count)) = lately.iter().max_by_key(|(_, count)| **count) else {
        return Ok(stream.len());
    };
    let body = json!({"rule_id": rule, "days": 365}).to_string();
    let json_body = [("Content-Type", "application/json")];
    let report = client.post("/api/v1/rules/backtest", &json_body, body.as_bytes())?;
    ensure!(
        report.status == 200,
        "{}",
        String::from_utf8_lossy(&report.body)
    );
    let report = report.json();
    ensure!(report["before"]["findings"] == *count, "{report}");
    ensure!(report["is_whole"] == true && report["after"].is_null());
    Ok(stream.len())
}

#[test]
fn every_rule_finds_in_the_lake_what_it_found_in_the_stream() -> Result<()> {
    // The recording comes in the order of its times, in many batches.
    let demo = demo_lines()?;
    ensure!(demo.len() > 50, "{} lines", demo.len());
    let rules = check_equal(&demo, 20)?;
    ensure!(rules > 10, "{rules} rules fired on the recording");
    // Cases go back and forth in time by months; within one batch, time decides the order.
    let cases = case_lines()?;
    ensure!(cases.len() < 4_096, "more cases than one batch holds");
    let rules = check_equal(&cases, cases.len())?;
    ensure!(rules > 20, "{rules} rules fired on the cases");
    Ok(())
}

#[test]
fn a_rule_that_is_not_in_force_is_forecast_with_and_without_an_exception() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let client = server.client("admin")?;
    let lines: Vec<String> = (0..30)
        .map(|number| {
            let host = if number % 3 == 0 { "backup-1" } else { "ws-7" };
            json!({"probe": "one", "number": number, "tool": format!("run-{host}")}).to_string()
        })
        .collect();
    send(&client, &lines, 1000)?;
    let rule = "title: Probe\nid: probe\nlevel: low\nlogsource: {}\ndetection:\n  s:\n    probe: one\n  condition: s\n";
    let file = folder.path().join("probe.yml");
    std::fs::write(&file, rule)?;
    let filter = folder.path().join("filter.yml");
    std::fs::write(
        &filter,
        "title: Not the backups\nid: f\nlogsource: {}\nfilter:\n  rules: [probe]\n  s:\n    tool|endswith: backup-1\n  condition: not s\n",
    )?;
    let backtest = |exception: &[&str]| -> Result<Value> {
        let mut command = Command::new(PROGRAM);
        command.args(["rules", "backtest", "--format", "json", "--data"]);
        command.arg(&data).arg(&file);
        for one in exception {
            command.args(["--exception", one]);
        }
        let output = command.output()?;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success(), "{told}");
        Ok(serde_json::from_slice(&output.stdout)?)
    };
    let plain = backtest(&[])?;
    ensure!(
        plain["before"]["findings"] == 30 && plain["after"].is_null(),
        "{plain}"
    );
    ensure!(
        plain["per_day"].as_array().map(Vec::len) == Some(1),
        "{plain}"
    );
    // A field that the rule does not match is a condition as well.
    let by_field = backtest(&["unmapped.tool$=backup-1"])?;
    ensure!(by_field["after"]["findings"] == 20, "{by_field}");
    let filter = filter.to_string_lossy().into_owned();
    let by_filter = backtest(&[&filter])?;
    ensure!(by_filter["after"]["findings"] == 20, "{by_filter}");

    // The same over HTTP, and with a text that is no rule.
    let json_body = [("Content-Type", "application/json")];
    let ask = |body: Value| {
        client.post(
            "/api/v1/rules/backtest",
            &json_body,
            body.to_string().as_bytes(),
        )
    };
    let answer = ask(json!({
        "yaml": rule, "days": 1,
        "conditions": [{"field": "unmapped.tool", "op": "contains", "value": "BACKUP"}],
    }))?;
    ensure!(
        answer.json()["after"]["findings"] == 20,
        "{}",
        answer.json()
    );
    let bad = ask(json!({"yaml": "title: x\ndetection: [1]\n"}))?;
    ensure!(
        bad.status == 400 && bad.json()["fields"][0]["field"] == "yaml",
        "{}",
        bad.json()
    );
    ensure!(ask(json!({"rule_id": "none"}))?.status == 404);
    Ok(())
}

/// A rule whose regular expression is asked of every event's longest value, many times over.
fn dear_rule(value: &str) -> String {
    let mut text = String::from(
        "title: Dear\nid: dear\nlevel: high\nlogsource: {}\ndetection:\n  hit:\n    probe: ",
    );
    text.push_str(value);
    text.push_str("\n  dear:\n    text|re:\n");
    for number in 0..40 {
        text.push_str(&format!(
            "      - '[a-z]{{1,8}}[0-9]+.*[^a-z]{{4}}x{number}[0-9]?$'\n"
        ));
    }
    text.push_str("  condition: hit or dear\n");
    text
}

#[test]
fn a_rule_over_its_budget_is_suspended_and_caught_up() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    std::fs::create_dir_all(&rules)?;
    std::fs::write(rules.join("dear.yml"), dear_rule("one"))?;
    let config = folder.path().join("w.toml");
    std::fs::write(
        &config,
        format!(
            "rules = [\"{}\"]\nsyslog = \"off\"\nrule_budget_us = 0.5\n",
            rules.display()
        ),
    )?;
    let data = folder.path().join("data");
    let config = config.to_string_lossy().into_owned();
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &config])?;
    let client = server.client("admin")?;
    let noise = |from: usize| -> Vec<String> {
        (from..from + 2_000)
            .map(|number| {
                let text = format!("{} {number} ", "lorem7 ipsum8 dolor9 ".repeat(40));
                json!({"text": text, "number": number}).to_string()
            })
            .collect()
    };
    let state = || -> Result<Value> { Ok(client.get("/api/v1/rules/dear")?.json()) };
    let mut sent = 0;
    wait_for("the dear rule is suspended", || {
        send(&client, &noise(sent), 1000)?;
        sent += 2_000;
        Ok(state()?["info"]["state"] == "suspended")
    })?;
    let page = state()?;
    ensure!(page["info"]["enabled"] == false, "{page}");
    let reason = page["detail"]["suspension"]["reason"]
        .as_str()
        .unwrap_or_default();
    ensure!(reason.contains("µs per event"), "{page}");
    let metrics = client.get("/metrics")?;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    ensure!(
        metrics.contains("watchfloor_rules_suspended 1"),
        "{metrics}"
    );
    wait_for("the suspension is in the audit log", || {
        let audit = client.get("/api/v1/audit?limit=20")?.json();
        let entries = audit["items"].as_array().cloned().unwrap_or_default();
        Ok(entries.iter().any(|one| one["action"] == "rule.suspend"))
    })?;
    // It stays suspended over a restart, and misses an event.
    server.kill()?;
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &config])?;
    let client = server.client("admin")?;
    let state = || -> Result<Value> { Ok(client.get("/api/v1/rules/dear")?.json()) };
    ensure!(state()?["info"]["state"] == "suspended");
    send(
        &client,
        &[json!({"probe": "one", "who": "missed"}).to_string()],
        1,
    )?;
    let alerts = || -> Result<usize> {
        let alerts = client.get("/api/v1/alerts?rule_id=dear")?.json();
        Ok(alerts["items"].as_array().map_or(0, Vec::len))
    };
    ensure!(alerts()? == 0);
    // Resumed, it is caught up: the alert is there though no event came since.
    let resumed = client.post("/api/v1/rules/dear/resume", &[], b"")?;
    ensure!(resumed.status == 204, "{}", resumed.status);
    wait_for(
        "the missed event has become an alert",
        || Ok(alerts()? == 1),
    )?;
    wait_for("it has caught up", || {
        Ok(state()?["info"]["state"] == "active")
    })?;
    let audit = client.get("/api/v1/audit?limit=100")?.json();
    let actions: Vec<Value> = audit["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| one["action"].clone())
        .collect();
    for action in ["rule.suspend", "rule.resume", "rule.caught_up"] {
        ensure!(
            actions.contains(&Value::from(action)),
            "{action} is not in {actions:?}"
        );
    }
    // By hand as well; a suspended rule whose text changes is tried at once.
    let body = json!({"reason": "being rewritten"}).to_string();
    let json_body = [("Content-Type", "application/json")];
    let done = client.post("/api/v1/rules/dear/suspend", &json_body, body.as_bytes())?;
    ensure!(done.status == 204, "{}", done.status);
    ensure!(state()?["info"]["state"] == "suspended");
    std::fs::write(
        rules.join("dear.yml"),
        "title: Cheap\nid: dear\nlogsource: {}\ndetection:\n  hit:\n    probe: one\n  condition: hit\n",
    )?;
    wait_for("the changed rule is in force", || {
        Ok(state()?["info"]["state"] == "active")
    })?;
    Ok(())
}
