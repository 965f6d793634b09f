//! Indicators from lists to findings and alerts: on the command line, and in a server whose lists
//! change under its feet.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
/// A DNS query as Sysmon logs it, and an event that no mapping pack knows.
const EVENTS: &str = concat!(
    r#"{"Channel":"Microsoft-Windows-Sysmon/Operational","Provider_Name":"Microsoft-Windows-Sysmon","EventID":22,"Computer":"WS1","UtcTime":"2026-05-01 10:00:00.000","QueryName":"www.Evil.example","QueryResults":"type:  5 x.example;::ffff:203.0.113.7;","Image":"C:\\a.exe"}"#,
    "\n",
    r#"{"md5":"00112233445566778899AABBCCDDEEFF","note":"evil.example"}"#,
    "\n",
    r#"{"QueryName":"notevil.example"}"#,
    "\n",
);

fn watchfloor(arguments: &[&str]) -> Result<Output> {
    Ok(Command::new(PROGRAM).args(arguments).output()?)
}

fn lines(output: &Output) -> Result<Vec<Value>> {
    let text = String::from_utf8(output.stdout.clone())?;
    text.lines()
        .map(|line| serde_json::from_str(line).context("no JSON"))
        .collect()
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn files_are_matched_and_bad_lines_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let events = folder.path().join("events.ndjson");
    std::fs::write(&events, EVENTS)?;
    let list = folder.path().join("feed.txt");
    std::fs::write(
        &list,
        "# confidence: 90\nevil[.]example\n203.0.113.0/24\nno value\n00112233445566778899aabbccddeeff\n",
    )?;
    let stats = folder.path().join("stats.json");
    let (list, events) = (text(&list), text(&events));
    let matched = watchfloor(&[
        "intel",
        "match",
        "--indicators",
        &list,
        "--stats",
        &text(&stats),
        &events,
    ])?;
    ensure!(matched.status.code() == Some(0), "{matched:?}");
    let errors = String::from_utf8_lossy(&matched.stderr);
    ensure!(errors.contains("feed.txt:4: no address"), "{errors}");
    let findings = lines(&matched)?;
    ensure!(findings.len() == 2, "{findings:?}");
    let first = &findings[0];
    ensure!(first["rule_id"] == "indicator:domain:feed", "{first}");
    ensure!(
        first["level"] == "high" && first["position"] == 0,
        "{first}"
    );
    ensure!(first["time"] == "2026-05-01T10:00:00Z", "{first}");
    ensure!(
        first["event"]["query"]["hostname"] == "www.Evil.example",
        "{first}"
    );
    let reasons = first["reasons"].as_array().cloned().unwrap_or_default();
    let fields: Vec<&Value> = reasons.iter().map(|reason| &reason["field"]).collect();
    ensure!(fields == ["query.hostname", "answers"], "{first}");
    let stats: Value = serde_json::from_slice(&std::fs::read(&stats)?)?;
    ensure!(stats["indicators_loaded"] == 3, "{stats}");
    ensure!(stats["indicators_refused"][0]["line"] == 4, "{stats}");

    // The same beside rules.
    let rules = folder.path().join("r.yml");
    std::fs::write(
        &rules,
        "title: T\nid: t\nlogsource: {}\ndetection:\n  s:\n    note: evil.example\n  condition: s\n",
    )?;
    let both = watchfloor(&[
        "detect",
        "--rules",
        &text(&rules),
        "--indicators",
        &list,
        &events,
    ])?;
    let mut ids: Vec<String> = lines(&both)?
        .iter()
        .map(|one| one["rule_id"].to_string())
        .collect();
    ids.sort();
    ensure!(
        ids == [
            "\"indicator:domain:feed\"",
            "\"indicator:md5:feed\"",
            "\"t\""
        ],
        "{ids:?}"
    );

    for wrong in [vec!["intel", "match", &events], vec!["detect", &events]] {
        ensure!(watchfloor(&wrong)?.status.code() == Some(2), "{wrong:?}");
    }
    let absent = watchfloor(&["intel", "match", "--indicators", "/absent", &events])?;
    ensure!(absent.status.code() == Some(2), "{absent:?}");
    Ok(())
}

#[test]
fn lists_go_in_and_come_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = text(&folder.path().join("data"));
    let list = folder.path().join("feed.json");
    std::fs::write(
        &list,
        r#"{"type":"bundle","id":"bundle--1","objects":[{"type":"indicator","id":"indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f","pattern_type":"stix","pattern":"[url:value = 'http://evil.example/a']","valid_from":"2026-01-01T00:00:00Z","valid_until":"2026-02-01T00:00:00Z"},{"type":"indicator","pattern_type":"yara","pattern":"rule x {}"}]}"#,
    )?;
    let empty = folder.path().join("empty.txt");
    std::fs::write(&empty, "# nothing\n")?;
    let imported = watchfloor(&["intel", "import", "--data", &data, &text(&list)])?;
    ensure!(imported.status.code() == Some(0), "{imported:?}");
    let said = String::from_utf8_lossy(&imported.stdout);
    ensure!(
        said.contains("feed: 1 indicators (1 url), 0 lines refused"),
        "{said}"
    );
    ensure!(
        String::from_utf8_lossy(&imported.stderr)
            .contains("1 passed over: pattern of the type yara")
    );
    let nothing = watchfloor(&["intel", "import", "--data", &data, &text(&empty)])?;
    ensure!(nothing.status.code() == Some(1), "{nothing:?}");
    for format in ["csv", "stix", "text"] {
        let out = watchfloor(&[
            "intel", "export", "--data", &data, "--format", format, "--list", "feed",
        ])?;
        ensure!(out.status.code() == Some(0), "{out:?}");
        let text = String::from_utf8(out.stdout)?;
        ensure!(text.contains("http://evil.example/a"), "{format}: {text}");
        if format == "stix" {
            let bundle: Value = serde_json::from_str(&text)?;
            let object = &bundle["objects"][0];
            ensure!(
                object["id"] == "indicator--8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f",
                "{object}"
            );
            ensure!(object["valid_until"] == "2026-02-01T00:00:00Z", "{object}");
        }
    }
    let absent = watchfloor(&["intel", "export", "--data", &data, "--list", "other"])?;
    ensure!(absent.status.code() == Some(2), "{absent:?}");
    Ok(())
}

fn get(client: &Client, path: &str) -> Result<Value> {
    let answer = client.get(path)?;
    ensure!(answer.status == 200, "{path}: {}", answer.status);
    Ok(answer.json())
}

fn list(client: &Client, name: &str) -> Result<Value> {
    let lists = get(client, "/api/v1/indicators")?;
    let lists = lists["items"].as_array().cloned().unwrap_or_default();
    Ok(lists
        .into_iter()
        .find(|list| list["name"] == name)
        .unwrap_or_default())
}

fn send(client: &Client, line: &str) -> Result<()> {
    let answer = client.post("/ingest/ndjson", &[], line.as_bytes())?;
    ensure!(answer.json()["accepted"] == 1, "not taken: {line}");
    client.settle()
}

fn alerts(client: &Client, rule: &str) -> Result<Vec<Value>> {
    let alerts = get(client, &format!("/api/v1/alerts?rule_id={rule}"))?;
    Ok(alerts["items"].as_array().cloned().unwrap_or_default())
}

#[test]
fn a_server_looks_for_lists_that_change() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (data, feeds) = (folder.path().join("data"), folder.path().join("feeds"));
    std::fs::create_dir_all(&feeds)?;
    std::fs::write(
        feeds.join("first.txt"),
        "# level: critical\nevil.example\nnonsense here\n",
    )?;
    let feeds_path = text(&feeds);
    let arguments = ["--syslog", "off", "--indicators", &feeds_path];
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &arguments)?;
    let client = server.client("admin")?;
    let first = list(&client, "first")?;
    ensure!(
        first["indicators"] == 1 && first["kinds"]["domain"] == 1,
        "{first}"
    );
    ensure!(
        first["refused"] == 1 && first["refused_lines"][0]["line"] == 3,
        "{first}"
    );

    send(&client, r#"{"QueryName":"a.evil.example"}"#)?;
    wait_for("an alert of an indicator", || {
        Ok(!alerts(&client, "indicator:domain:first")?.is_empty())
    })?;
    let alert = alerts(&client, "indicator:domain:first")?.remove(0);
    ensure!(alert["title"] == "Indicator met: evil.example", "{alert}");
    ensure!(alert["severity"] == "critical", "{alert}");
    ensure!(list(&client, "first")?["matches"] == 1);

    // An import into the data folder is taken up while events go on.
    let new = folder.path().join("second.csv");
    std::fs::write(&new, "value,type,confidence\n203.0.113.7,ip,10\n")?;
    let imported = watchfloor(&["intel", "import", "--data", &text(&data), &text(&new)])?;
    ensure!(imported.status.success(), "{imported:?}");
    wait_for("the new list", || {
        Ok(list(&client, "second")?["indicators"] == 1)
    })?;
    send(&client, r#"{"DestinationIp":"203.0.113.7"}"#)?;
    wait_for("an alert of the new list", || {
        Ok(alerts(&client, "indicator:address:second")?.len() == 1)
    })?;
    ensure!(alerts(&client, "indicator:address:second")?[0]["severity"] == "low");

    // What was stored before an indicator was known is looked through by hand.
    let late = folder.path().join("late.txt");
    std::fs::write(&late, "a.evil.example\n203.0.113.7\n")?;
    let back = watchfloor(&[
        "intel",
        "match",
        "--data",
        &text(&data),
        "--indicators",
        &text(&late),
    ])?;
    let mut found: Vec<String> = lines(&back)?
        .iter()
        .map(|one| one["rule_id"].to_string())
        .collect();
    found.sort();
    ensure!(
        found == ["\"indicator:address:late\"", "\"indicator:domain:late\""],
        "{back:?}"
    );

    // A folder that is away takes nothing down; a list that is gone is looked for no longer.
    let away = folder.path().join("away");
    std::fs::rename(&feeds, &away)?;
    wait_for("the trouble is told", || {
        Ok(list(&client, "first")?["trouble"].is_string())
    })?;
    ensure!(list(&client, "first")?["indicators"] == 1);
    std::fs::rename(&away, &feeds)?;
    std::fs::remove_file(feeds.join("first.txt"))?;
    wait_for("the list is gone", || Ok(list(&client, "first")?.is_null()))?;
    send(&client, r#"{"QueryName":"b.evil.example"}"#)?;
    ensure!(alerts(&client, "indicator:domain:first")?.len() == 1);

    // After a crash the same events make no second alert, and the lists are there again.
    server.kill()?;
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &arguments)?;
    let client = server.client("admin")?;
    client.settle()?;
    ensure!(list(&client, "second")?["indicators"] == 1);
    let again = alerts(&client, "indicator:address:second")?;
    ensure!(again.len() == 1 && again[0]["count"] == 1, "{again:?}");
    Ok(())
}

#[test]
fn hostile_lists_do_no_harm() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let events = folder.path().join("events.ndjson");
    std::fs::write(&events, EVENTS)?;
    let list = folder.path().join("bad.json");
    let mut file = std::fs::File::create(&list)?;
    file.write_all(&[b'['; 100_000])?;
    drop(file);
    let child = Command::new(PROGRAM)
        .args([
            "intel",
            "match",
            "--indicators",
            &text(&list),
            &text(&events),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let output = child.wait_with_output()?;
    ensure!(
        output.status.code() == Some(0) && output.stdout.is_empty(),
        "{output:?}"
    );
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(errors.contains("bad.json:1: no JSON"), "{errors}");
    Ok(())
}
