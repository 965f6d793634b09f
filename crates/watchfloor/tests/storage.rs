//! Retention, holds and deletion on demand over HTTP, with who may and what is recorded.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use watchfloor_testkit::{Answer, Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

fn post(client: &Client, path: &str, body: &Value) -> Result<Answer> {
    client.post(path, &JSON, body.to_string().as_bytes())
}

fn count(client: &Client, query: &str) -> Result<u64> {
    let body = json!({
        "query": query, "from": "2000-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 5,
    });
    let found = post(client, "/api/v1/search", &body)?.json();
    found["total"].as_u64().context("no total")
}

fn server(data: &Path) -> Result<(ServerProcess, Client)> {
    let server = ServerProcess::start(Path::new(PROGRAM), data, &["--syslog", "off"])?;
    let client = server.client("admin")?;
    let lines: String = (0..200)
        .map(|number| {
            let line = format!("<34>Nov 25 01:02:03 web sshd[1]: Failed password for user{number} from 192.0.2.1 port 22 ssh2");
            format!("{}\n", json!({"message": line}))
        })
        .collect();
    let kind = [("content-type", "application/x-ndjson")];
    let answer = client.post("/ingest/ndjson?source=web", &kind, lines.as_bytes())?;
    ensure!(answer.status == 200, "{}", answer.status);
    Ok((server, client))
}

#[test]
fn a_person_is_deleted_with_a_record_and_a_hold_keeps_what_it_names() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, admin) = server(folder.path())?;
    let hold = json!({"query": "user.name:user7", "reason": "file 4 O 12/26"});
    let placed = post(&admin, "/api/v1/storage/holds", &hold)?;
    assert_eq!(placed.status, 201, "{}", placed.json());
    let bad = json!({"query": "user.name:(user7", "reason": "x"});
    assert_eq!(post(&admin, "/api/v1/storage/holds", &bad)?.status, 400);

    let person = "user.name:user7 or user.name:user8";
    let preview = json!({"query": person});
    let path = "/api/v1/storage/erasures/preview";
    wait_for("the preview sees them", || {
        let count = post(&admin, path, &preview)?.json();
        Ok(count["events"] == 1 && count["held"] == 1)
    })?;
    let everything = json!({"query": " ", "reason": "x"});
    assert_eq!(
        post(&admin, "/api/v1/storage/erasures", &everything)?.status,
        400
    );

    let wanted = json!({"query": person, "reason": "request 17 of a person"});
    let begun = post(&admin, "/api/v1/storage/erasures", &wanted)?;
    assert_eq!(begun.status, 202, "{}", begun.json());
    let record =
        || -> Result<Value> { Ok(admin.get("/api/v1/storage")?.json()["erasures"][0].clone()) };
    wait_for("the deletion is done", || Ok(record()?["state"] == "done"))?;
    let record = record()?;
    assert_eq!((&record["events"], &record["held"]), (&json!(1), &json!(1)));
    assert_eq!(record["query"], Value::Null, "the record names nobody");
    assert_eq!(record["digest"].as_str().map(str::len), Some(64));
    assert_eq!(count(&admin, "user8")?, 0);
    assert_eq!(count(&admin, "user7")?, 1);
    assert_eq!(count(&admin, "user.name:user9")?, 1);

    let id = placed.json()["id"].as_str().unwrap_or_default().to_owned();
    let release = format!("/api/v1/storage/holds/{id}/release");
    assert_eq!(
        post(&admin, &release, &json!({"reason": "case closed"}))?.status,
        204
    );
    assert_eq!(
        post(&admin, &release, &json!({"reason": "again"}))?.status,
        404
    );
    let audit = admin.get("/api/v1/audit?limit=100")?.json().to_string();
    for action in [
        "legal_hold.place",
        "erasure.begin",
        "erasure.end",
        "legal_hold.release",
    ] {
        assert!(audit.contains(action), "{action} in {audit}");
    }
    assert!(
        !audit.contains("user8"),
        "the audit log names the person: {audit}"
    );
    drop(server);
    Ok(())
}

#[test]
fn only_who_may_decides_how_long_events_are_kept() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, admin) = server(folder.path())?;
    let path = "/api/v1/storage/retention";
    let policy = |days: u32, version: u64| json!({"rules": [{"source": "fw-*", "days": days}], "default_days": 365, "version": version});
    let put = |client: &Client, body: Value| {
        client.request("PUT", path, &JSON, body.to_string().as_bytes())
    };
    let reader = server.client("read")?;
    assert_eq!(put(&reader, policy(30, 0))?.status, 403);
    assert_eq!(put(&admin, policy(0, 0))?.status, 400);
    assert_eq!(put(&admin, policy(30, 0))?.status, 200);
    assert_eq!(
        put(&admin, policy(60, 0))?.status,
        412,
        "somebody changed it meanwhile"
    );
    wait_for("the keeper went round at once", || {
        let usage = &admin.get("/api/v1/storage")?.json()["usage"];
        Ok(usage["kept_at"].is_string() && usage["keeper_error"].is_null())
    })?;
    let seen = reader.get("/api/v1/storage")?.json();
    assert_eq!(seen["retention"]["rules"][0]["days"], 30);
    assert_eq!(seen["usage"]["expired"], 0);
    wait_for("every event is there", || {
        Ok(count(&admin, "user.name:user*")? == 200)
    })?;
    for (path, body) in [
        (
            "/api/v1/storage/holds",
            json!({"query": "x", "reason": "x"}),
        ),
        (
            "/api/v1/storage/erasures",
            json!({"query": "x", "reason": "x"}),
        ),
        ("/api/v1/storage/erasures/preview", json!({"query": "x"})),
    ] {
        assert_eq!(post(&reader, path, &body)?.status, 403, "{path}");
    }
    Ok(())
}
