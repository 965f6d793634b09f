//! Rules of a running server: changed, broken, mended and deleted under its feet; what each
//! could have fired on; and the texts that alerts rest on.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::Value;
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

/// A rule over any event that has a value in a field.
fn rule(title: &str, id: &str, logsource: &str, field: &str, value: &str) -> String {
    format!(
        "title: {title}\nid: {id}\nlevel: high\nlogsource: {{{logsource}}}\ndetection:\n  seen:\n    {field}: {value}\n  condition: seen\n"
    )
}

fn get(client: &Client, path: &str) -> Result<Value> {
    let answer = client.get(path)?;
    ensure!(
        answer.status == 200,
        "{path}: {} {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(answer.json())
}

fn send(client: &Client, line: &str) -> Result<()> {
    let answer = client.post("/ingest/ndjson", &[], line.as_bytes())?;
    ensure!(answer.json()["accepted"] == 1, "not taken: {line}");
    client.settle()
}

fn items(value: &Value) -> Vec<Value> {
    value["items"].as_array().cloned().unwrap_or_default()
}

/// Versions of the alerts of a rule, sorted.
fn alert_versions(client: &Client, rule: &str) -> Result<Vec<String>> {
    let alerts = items(&get(client, &format!("/api/v1/alerts?rule_id={rule}"))?);
    let mut versions = Vec::new();
    for alert in alerts {
        let id = alert["id"].as_str().unwrap_or_default().to_owned();
        let detail = get(client, &format!("/api/v1/alerts/{id}"))?;
        versions.push(
            detail["rule_version"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
        );
    }
    versions.sort();
    versions.dedup();
    Ok(versions)
}

/// Waits for the watch to notice what was done to the files.
fn wait_for_reloads(client: &Client, count: usize) -> Result<Value> {
    wait_for("the change of the files is noticed", || {
        Ok(items(&get(client, "/api/v1/rules/reloads")?).len() >= count)
    })?;
    Ok(get(client, "/api/v1/rules/reloads")?["items"][0].clone())
}

#[test]
fn rules_change_break_and_mend_without_a_restart() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("checkout");
    std::fs::create_dir_all(rules.join(".git"))?;
    std::fs::write(rules.join(".git/no.yml"), "no rule")?;
    let write = |name: &str, text: &str| std::fs::write(rules.join(name), text);
    write("a.yml", &rule("Probe", "probe", "", "probe", "one"))?;
    write("b.yml", &rule("Other", "other", "", "other", "one"))?;
    let data = folder.path().join("data");
    let paths = rules.to_string_lossy().into_owned();
    let arguments = ["--syslog", "off", "--rules", &paths];
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &arguments)?;
    let client = server.client("admin")?;
    ensure!(items(&get(&client, "/api/v1/rules/refused")?).is_empty());
    send(&client, r#"{"probe":"one","user":"a"}"#)?;
    wait_for("the first alert", || {
        Ok(alert_versions(&client, "probe")?.len() == 1)
    })?;

    // Changed: the next event is judged by the new text, and the alert of the old one stays.
    let first = rule("Probe", "probe", "", "probe", "one");
    write(
        "a.yml",
        &rule("Probe, changed", "probe", "", "probe", "two"),
    )?;
    let reload = wait_for_reloads(&client, 1)?;
    ensure!(reload["changes"][0]["id"] == "probe", "{reload}");
    send(&client, r#"{"probe":"two","device_hostname":"w"}"#)?;
    wait_for("an alert of the changed rule", || {
        let open = get(&client, "/api/v1/alerts?rule_id=probe")?;
        let titles: Vec<Value> = items(&open)
            .iter()
            .map(|one| one["title"].clone())
            .collect();
        Ok(titles.contains(&Value::from("Probe, changed")) || items(&open)[0]["count"] == 2)
    })?;
    let page = get(&client, "/api/v1/rules/probe")?;
    let versions = page["versions"].as_array().cloned().unwrap_or_default();
    ensure!(versions.len() == 2, "{page}");
    let old = versions.last().map(|one| one["version"].clone());
    let old = old
        .unwrap_or_default()
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let text = get(&client, &format!("/api/v1/rules/probe/versions/{old}"))?;
    ensure!(
        text["yaml"].as_str().map(str::trim) == Some(first.trim()),
        "{text}"
    );
    ensure!(alert_versions(&client, "probe")?.contains(&old));

    // Broken: named with file, line and reason, while its last good version still fires and
    // nothing else is touched.
    write(
        "a.yml",
        &rule("Probe, broken", "probe", "", "probe|nonsense", "two"),
    )?;
    wait_for_reloads(&client, 2)?;
    let refused = items(&get(&client, "/api/v1/rules/refused")?);
    ensure!(refused.len() == 1, "{refused:?}");
    let path = refused[0]["path"].as_str().unwrap_or_default();
    let reason = refused[0]["reason"].as_str().unwrap_or_default();
    ensure!(
        path.ends_with("a.yml") && reason.contains("nonsense"),
        "{refused:?}"
    );
    ensure!(refused[0]["line"] == 7 && refused[0]["held_since"].is_string());
    let page = get(&client, "/api/v1/rules/probe")?;
    ensure!(page["info"]["state"] == "held", "{page}");
    ensure!(page["detail"]["hold"]["line"] == 7, "{page}");
    ensure!(page["detail"]["title"] == "Probe, changed", "{page}");

    // It stays so over a restart.
    server.kill()?;
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &arguments)?;
    let client = server.client("admin")?;
    let page = get(&client, "/api/v1/rules/probe")?;
    ensure!(page["info"]["state"] == "held", "{page}");

    // Mended, by hand this time; then deleted.
    write(
        "a.yml",
        &rule("Probe, mended", "probe", "", "probe", "three"),
    )?;
    let answer = client.post("/api/v1/rules/reload", &[], b"")?;
    ensure!(answer.status == 200);
    let page = get(&client, "/api/v1/rules/probe")?;
    ensure!(page["info"]["state"] == "active", "{page}");
    ensure!(page["detail"]["title"] == "Probe, mended", "{page}");
    std::fs::remove_file(rules.join("a.yml"))?;
    wait_for("the deleted rule is gone", || {
        Ok(get(&client, "/api/v1/rules/probe")?["info"].is_null())
    })?;
    ensure!(get(&client, "/api/v1/rules/other")?["info"]["state"] == "active");
    let audit = get(&client, "/api/v1/audit?limit=100")?;
    let reloads = items(&audit).into_iter();
    let reloads: Vec<Value> = reloads
        .filter(|one| one["action"] == "rules.reload")
        .collect();
    ensure!(reloads.len() >= 3, "{reloads:?}");
    let read_only = server.client("read")?;
    ensure!(read_only.post("/api/v1/rules/reload", &[], b"")?.status == 403);
    Ok(())
}

#[test]
fn rules_that_cannot_fire_are_named_with_what_they_miss() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    std::fs::create_dir_all(&rules)?;
    let write = |name: &str, text: &str| std::fs::write(rules.join(name), text);
    write("alive.yml", &rule("Alive", "alive", "", "probe", "one"))?;
    write(
        "alive.cases.yaml",
        "cases:\n  - name: it\n    fires: true\n    records:\n      - line: '{\"probe\":\"one\"}'\n",
    )?;
    write("field.yml", &rule("Field", "field", "", "NoSuchField", "x"))?;
    write(
        "source.yml",
        &rule(
            "Source",
            "source",
            "product: windows, category: process_creation",
            "Image",
            "x",
        ),
    )?;
    write("canary.yml", &rule("Canary", "canary", "", "probe", "two"))?;
    write(
        "canary.cases.yaml",
        "cases:\n  - name: it\n    fires: true\n    records:\n      - line: '{\"probe\":\"one\"}'\n",
    )?;
    let data = folder.path().join("data");
    let paths = rules.to_string_lossy().into_owned();
    let arguments = ["--syslog", "off", "--rules", &paths];
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &arguments)?;
    let client = server.client("admin")?;
    send(&client, r#"{"probe":"one"}"#)?;
    send(&client, r#"{"probe":"zero"}"#)?;
    let of = |client: &Client, id: &str| -> Result<Value> {
        let report = get(client, "/api/v1/rules/liveness")?;
        let found = items(&report).into_iter().find(|one| one["id"] == id);
        found.ok_or_else(|| anyhow::anyhow!("no rule {id}"))
    };
    let alive = of(&client, "alive")?;
    ensure!(alive["could_fire"] == true, "{alive}");
    ensure!(
        alive["events_24h"] == 2 && alive["findings_24h"] == 1,
        "{alive}"
    );
    ensure!(alive["fields"][0]["field"] == "probe" && alive["fields"][0]["events"] == 2);
    ensure!(alive["last_fired"].is_string(), "{alive}");
    let field = of(&client, "field")?;
    ensure!(
        field["reason"] == "field NoSuchField never occurs in unknown events",
        "{field}"
    );
    let source = of(&client, "source")?;
    ensure!(
        source["reason"] == "no event of windows/process_creation in 24 h",
        "{source}"
    );

    // Canaries run by themselves, and on demand; a failing one is told in the audit log.
    wait_for("the canaries were run", || {
        Ok(of(&client, "canary")?["canary"]["outcome"] == "fail")
    })?;
    ensure!(of(&client, "alive")?["canary"]["outcome"] == "pass");
    ensure!(of(&client, "field")?["canary"]["outcome"] == "none");
    let run = client.post("/api/v1/rules/alive/canary", &[], b"")?;
    ensure!(run.status == 200 && run.json()["outcome"] == "pass");
    wait_for("the failing canary is in the audit log", || {
        let audit = items(&get(&client, "/api/v1/audit?limit=100")?);
        Ok(audit.iter().any(|one| one["action"] == "rule.canary_fail"))
    })?;
    // Canaries are no events.
    ensure!(client.events("probe:one")?.len() == 1);
    // Every built-in rule with a positive case passes its canary in the server as well.
    let report = get(&client, "/api/v1/rules/liveness")?;
    for one in items(&report) {
        let is_ours = one["id"] == "canary";
        ensure!(is_ours || one["canary"]["outcome"] != "fail", "{one}");
    }

    // The counts survive an orderly end.
    let id = server.id().to_string();
    std::process::Command::new("kill").arg(&id).status()?;
    let mut server = server;
    wait_for("the server has ended", || Ok(!server.is_alive()?))?;
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &arguments)?;
    let client = server.client("admin")?;
    let alive = of(&client, "alive")?;
    ensure!(
        alive["events_24h"] == 2 && alive["findings_24h"] == 1,
        "{alive}"
    );
    Ok(())
}

#[test]
fn a_changed_pipeline_applies_live_and_its_rules_are_explained() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let at = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let mapping = |to: &str| {
        format!("transformations:\n  - {{type: field_name_mapping, mapping: {{Tool: {to}}}}}\n")
    };
    std::fs::write(
        at("r.yml"),
        rule("Piped", "piped", "", "Tool", "nc").replace("level:", "tags: [attack.t1095]\nlevel:"),
    )?;
    std::fs::write(at("p.yaml"), mapping("first"))?;
    let (rules, pipeline, data) = (at("r.yml"), at("p.yaml"), folder.path().join("data"));
    let arguments = [
        "--syslog",
        "off",
        "--rules",
        &rules,
        "--pipeline",
        &pipeline,
    ];
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &arguments)?;
    let client = server.client("admin")?;
    send(&client, r#"{"first":"nc","user":"a"}"#)?;
    wait_for("the first alert", || {
        Ok(alert_versions(&client, "piped")?.len() == 1)
    })?;
    let first = alert_versions(&client, "piped")?;

    let alerts = items(&get(&client, "/api/v1/alerts?rule_id=piped")?);
    let alert = alerts[0]["id"].as_str().unwrap_or_default().to_owned();
    let detail = get(&client, &format!("/api/v1/alerts/{alert}"))?;
    let event = find_text(&detail, "event_ids").unwrap_or_default();
    let explain = |body: String| -> Result<(u16, Value)> {
        let headers = [("content-type", "application/json")];
        let answer = client.post("/api/v1/rules/piped/explain", &headers, body.as_bytes())?;
        Ok((answer.status, answer.json()))
    };
    let (status, told) = explain(format!(r#"{{"event_id": "{event}"}}"#))?;
    ensure!(status == 200 && told["matched"] == true, "{status} {told}");
    ensure!(told["tree"]["parts"][0]["field"] == "first", "{told}");
    let (status, told) = explain(r#"{"raw": "{\"second\":\"nc\"}"}"#.to_owned())?;
    ensure!(status == 200 && told["matched"] == false, "{told}");
    ensure!(explain("{}".to_owned())?.0 == 400);
    ensure!(explain(r#"{"event_id": "ffffff-0"}"#.to_owned())?.0 == 404);

    std::fs::write(&pipeline, mapping("second"))?;
    wait_for("the changed pipeline", || {
        Ok(explain(r#"{"raw": "{\"second\":\"nc\"}"}"#.to_owned())?.1["matched"] == true)
    })?;
    send(&client, r#"{"second":"nc","user":"b","hostname":"other"}"#)?;
    wait_for("the event of the changed pipeline is found", || {
        let alerts = items(&get(&client, "/api/v1/alerts?rule_id=piped")?);
        Ok(alerts.len() == 2 || alerts[0]["count"] == 2)
    })?;
    // The version tells the pipeline; the rule's own text is as it was.
    let page = get(&client, "/api/v1/rules/piped")?;
    ensure!(
        page["versions"]
            .as_array()
            .is_some_and(|all| all.len() == 2)
            && first
                .iter()
                .all(|one| page["info"]["version"] != one.as_str()),
        "{page}"
    );

    let layer = get(&client, "/api/v1/rules/coverage")?;
    let techniques = layer["techniques"].as_array().cloned().unwrap_or_default();
    let ours = techniques.iter().find(|one| one["techniqueID"] == "T1095");
    ensure!(
        ours.is_some_and(|one| one["score"] == 4),
        "{ours:?} of {}",
        layer["versions"]
    );
    Ok(())
}

/// The first text below a key, wherever it stands.
fn find_text(value: &Value, key: &str) -> Option<String> {
    match value {
        Value::Object(map) => map.iter().find_map(|(name, inner)| {
            let first = || inner.as_array().and_then(|list| list.first());
            let found = (name == key).then(first).flatten().and_then(Value::as_str);
            found.map(str::to_owned).or_else(|| find_text(inner, key))
        }),
        Value::Array(list) => list.iter().find_map(|inner| find_text(inner, key)),
        _ => None,
    }
}
