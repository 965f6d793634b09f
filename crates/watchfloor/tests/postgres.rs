//! Records on PostgreSQL: the same server, and collection that goes on while the database is away.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::json;
use watchfloor_testkit::{Client, Durability, Postgres, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

/// A CloudTrail event that a built-in rule meets.
fn event(number: u32) -> String {
    json!({
        "eventVersion": "1.08", "eventTime": "2026-03-02T10:00:00Z", "eventSource": "cloudtrail.amazonaws.com",
        "eventName": "StopLogging", "awsRegion": "eu-west-1", "sourceIPAddress": "198.51.100.7",
        "userAgent": "aws-cli", "eventID": format!("id-{number}"), "eventType": "AwsApiCall",
        "userIdentity": {"type": "IAMUser", "userName": format!("user-{number}"), "accountId": "111122223333"},
        "recipientAccountId": "111122223333",
    })
    .to_string()
}

fn alerts(client: &Client) -> Result<usize> {
    let answer = client.get("/api/v1/alerts?limit=1000")?;
    ensure!(answer.status == 200, "alerts: {}", answer.status);
    Ok(answer.json()["items"].as_array().map_or(0, Vec::len))
}

fn accepted(client: &Client, number: u32) -> Result<bool> {
    let answer = client.post("/ingest/ndjson", &[], event(number).as_bytes())?;
    Ok(answer.status == 200 && answer.json()["accepted"] == 1)
}

#[test]
fn collection_goes_on_while_the_database_is_away() -> Result<()> {
    let Some(mut postgres) = Postgres::start(Durability::Full)? else {
        return Ok(());
    };
    let url = postgres.database()?;
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let config = folder.path().join("watchfloor.toml");
    std::fs::write(
        &config,
        format!("syslog = \"off\"\n[store]\nurl = \"{url}\"\n"),
    )?;
    let config = config.to_string_lossy().into_owned();
    let start = || ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &config]);
    // The password of commands comes from the environment, as it is not written down.
    let server = start()?;
    let noted = std::fs::read_to_string(data.join("store.toml"))?;
    ensure!(
        noted.contains("postgres://watchfloor@127.0.0.1") && !noted.contains("%40test"),
        "{noted}"
    );
    ensure!(!data.join("records.sqlite").exists(), "SQLite beside it");
    let client = server.client_with(
        "ingest,read",
        &[("WATCHFLOOR_STORE_PASSWORD", Postgres::PASSWORD)],
    )?;
    ensure!(accepted(&client, 1)?, "not taken");
    wait_for("an alert", || Ok(alerts(&client)? > 0))?;
    let before = alerts(&client)?;

    postgres.kill()?;
    for number in 2..6 {
        ensure!(accepted(&client, number)?, "record {number} is not taken");
    }
    let refused = client.get("/api/v1/alerts")?;
    ensure!(
        refused.status == 503 && refused.head.to_lowercase().contains("retry-after"),
        "{} {}",
        refused.status,
        refused.head
    );
    ensure!(
        refused.json()["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("record store cannot be reached")),
        "{:?}",
        refused.json()
    );
    ensure!(
        client.get("/healthz")?.status == 503,
        "healthy without records"
    );
    client.settle()?;

    postgres.start_again(Durability::Full)?;
    wait_for("the findings that waited", || {
        let answer = client.get("/api/v1/alerts?limit=1000")?;
        let items = answer.json()["items"].as_array().cloned();
        let count = items
            .iter()
            .flatten()
            .map(|alert| alert["count"].as_u64().unwrap_or(0));
        Ok(count.sum::<u64>() >= 5 || items.map_or(0, |items| items.len()) >= before + 4)
    })?;
    server.kill()?;
    let server = start()?;
    let client = Client::new(&server.url, client.token());
    ensure!(alerts(&client)? >= before, "alerts are gone after a start");
    let verified = std::process::Command::new(PROGRAM)
        .args(["admin", "audit", "verify", "--data"])
        .arg(&data)
        .env("WATCHFLOOR_STORE_PASSWORD", Postgres::PASSWORD)
        .output()?;
    ensure!(
        verified.status.success(),
        "{}",
        String::from_utf8_lossy(&verified.stdout)
    );
    Ok(())
}
