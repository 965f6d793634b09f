//! The lake in a bucket of an S3-compatible server (moto), and in the hands of readers that no one
//! here wrote: DuckDB, and Sail, which speaks Spark's protocol.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watchfloor_testkit::{Answer, Bucket, Client, ServerProcess, python, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
const LINES: usize = 400;
fn send(client: &Client, source: &str, first: usize) -> Result<()> {
    let mut body = String::new();
    for number in first..first + LINES {
        let line = format!(
            "<34>Nov 25 01:02:03 web sshd[1]: Failed password for user{number} from 192.0.2.1 port 22 ssh2"
        );
        writeln!(body, "{}", json!({"message": line}))?;
    }
    let answer = client.post(
        &format!("/ingest/ndjson?source={source}"),
        &[("content-type", "application/x-ndjson")],
        body.as_bytes(),
    )?;
    ensure!(answer.status == 200, "{}", answer.status);
    Ok(())
}

fn search(client: &Client, query: &str) -> Result<Answer> {
    let body = json!({
        "query": query, "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 5,
    });
    client.post(
        "/api/v1/search",
        &[("content-type", "application/json")],
        body.to_string().as_bytes(),
    )
}

fn count(client: &Client, query: &str) -> Result<u64> {
    let answer = search(client, query)?;
    ensure!(answer.status == 200, "{}: {}", answer.status, answer.json());
    answer.json()["total"].as_u64().context("no total")
}

/// Waits until so many events are files.
fn wait_for_files(client: &Client, rows: u64) -> Result<()> {
    wait_for("events are files", || {
        let storage = client.get("/api/v1/storage")?.json();
        let classes = storage["usage"]["classes"].as_array();
        let mut logins = classes
            .into_iter()
            .flatten()
            .filter(|of| of["name"] == "3002");
        Ok(logins.next().and_then(|of| of["rows"].as_u64()) >= Some(rows))
    })
}

fn outside(python: &Path, script: &str, arguments: &[&str], endpoint: &str) -> Result<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/outside");
    let output = Command::new(python)
        .arg(folder.join(script))
        .args(arguments)
        .arg(endpoint)
        .envs(Bucket::CREDENTIALS)
        .env("AWS_ENDPOINT", endpoint)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ALLOW_HTTP", "true")
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().rfind(|line| line.starts_with('{'));
    let last = last.with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
    Ok(serde_json::from_str(last)?)
}

/// What every reader must find in a table that holds one source.
fn check(found: &Value, source: &str, user: usize) {
    let rows = found["sources"][source].as_u64();
    assert_eq!(rows, Some(LINES as u64), "{found}");
    let raw = found["user"][0][0].as_str().unwrap_or_default();
    assert!(raw.contains(&format!("for user{user} from")), "{found}");
    assert_eq!(found["user"].as_array().map(Vec::len), Some(1), "{found}");
}

#[test]
fn new_data_goes_to_a_bucket_and_the_former_stays_in_reach() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let bucket = Bucket::start(&python)?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let client = server.client("admin")?;
    send(&client, "before", 0)?;
    wait_for_files(&client, LINES as u64)?;
    drop(server);

    let config = bucket.config(folder.path(), "")?;
    let config = config.to_string_lossy();
    let mut first = LINES;
    for round in 1..=2_u64 {
        let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &config])?;
        let client = server.client("admin")?;
        send(&client, &format!("after-{round}"), first)?;
        // Killed at once: what was answered is durable, in the journal if not in the bucket.
        server.kill()?;
        let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &config])?;
        let client = server.client("admin")?;
        let total = LINES as u64 * (round + 1);
        wait_for("all are found once", || {
            Ok(count(&client, "user.name:user*")? == total)
        })?;
        assert_eq!(count(&client, &format!("user{first}"))?, 1);
        assert_eq!(count(&client, "user7")?, 1, "in the former folder");
        let storage = client.get("/api/v1/storage")?.json();
        let tiers = storage["usage"]["tiers"].as_array().context("no tiers")?;
        let roles: Vec<_> = tiers.iter().map(|tier| &tier["role"]).collect();
        assert_eq!(roles, ["hot", "former"]);
        wait_for_files(&client, total)?;
        first += LINES;
    }
    let noted = std::fs::read_to_string(data.join("lake.toml"))?;
    assert!(!noted.contains("secret"), "{noted}");

    // Commands find the lake by the data folder, with credentials from the environment.
    let hunted = Command::new(PROGRAM)
        .args([
            "hunt",
            "user401",
            "--from",
            "2000-01-01T00:00:00Z",
            "--data",
        ])
        .arg(&data)
        .envs(Bucket::CREDENTIALS)
        .output()?;
    let hunted = String::from_utf8_lossy(&hunted.stdout).into_owned();
    assert!(hunted.contains("user401 from"), "{hunted}");

    let local = data.join("lake");
    let local = local.to_string_lossy();
    for script in ["read_duckdb.py", "read_sail.py", "read_pandas.py"] {
        let found = outside(&python, script, &[&local, "user7"], &bucket.endpoint)?;
        check(&found, "before", 7);
        let found = outside(
            &python,
            script,
            &["s3://soc/lake", "user401"],
            &bucket.endpoint,
        )?;
        check(&found, "after-1", 401);
        check(&found, "after-2", 401);
    }
    Ok(())
}

#[test]
fn a_store_that_hangs_costs_answers_and_no_event() -> Result<()> {
    let Some(python) = python() else {
        return Ok(());
    };
    let bucket = Bucket::start(&python)?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let config = bucket.config(folder.path(), "")?;
    let config = config.to_string_lossy();
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &config])?;
    let client = server.client("admin")?;
    send(&client, "first", 0)?;
    wait_for_files(&client, LINES as u64)?;

    bucket.signal("STOP")?;
    // The journal takes what the bucket does not.
    send(&client, "second", LINES)?;
    let answer = search(&client, "user.name:user1")?;
    assert!(answer.status >= 500, "a wrong answer: {}", answer.json());
    bucket.signal("CONT")?;

    let total = 2 * LINES as u64;
    wait_for("all are found once", || {
        Ok(count(&client, "user.name:user*").is_ok_and(|found| found == total))
    })?;
    wait_for_files(&client, total)?;
    assert_eq!(count(&client, "user.name:user*")?, total);
    Ok(())
}
