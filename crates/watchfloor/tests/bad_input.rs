//! Hostile and broken input: a clear answer, a counter with the reason, the rest kept, the
//! server up. And broken configuration: one message, exit code 2.

use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use watchfloor_testkit::{Client, ServerProcess, corpus, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn start(data: &Path) -> Result<ServerProcess> {
    ServerProcess::start(Path::new(PROGRAM), data, &["--syslog", "127.0.0.1:0"])
}

/// The counts of all sources and hours, once everything that came in is in the lake; each row
/// must balance.
fn ledger(client: &Client) -> Result<serde_json::Value> {
    let sum = |row: &serde_json::Value| -> u64 {
        let dropped = row["dropped"].as_object().into_iter().flatten();
        dropped.filter_map(|(_, count)| count.as_u64()).sum()
    };
    wait_for("the journal is worked off", || {
        let metrics = client.get("/metrics")?;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        Ok(text
            .lines()
            .any(|line| line == "watchfloor_journal_pending_records 0"))
    })?;
    let rows = client.get("/api/v1/ledger")?.json();
    for row in rows["items"].as_array().into_iter().flatten() {
        let stored = row["stored"].as_u64().unwrap_or_default();
        ensure!(
            row["received"].as_u64() == Some(stored + sum(row)),
            "does not balance: {row}"
        );
    }
    Ok(rows)
}

fn dropped(rows: &serde_json::Value, reason: &str) -> u64 {
    let rows = rows["items"].as_array().into_iter().flatten();
    rows.filter_map(|row| row["dropped"][reason].as_u64()).sum()
}

fn total(client: &Client, query: &str) -> Result<u64> {
    let request = serde_json::json!({
        "query": query, "from": "1990-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 10, "order": "asc",
    });
    let answer = client.post(
        "/api/v1/search",
        &[("Content-Type", "application/json")],
        request.to_string().as_bytes(),
    )?;
    answer.json()["total"]
        .as_u64()
        .with_context(|| format!("no total: {}", answer.status))
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

#[test]
fn broken_lines_are_named_and_the_rest_is_kept() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = start(folder.path())?;
    let client = server.client("ingest,read")?;
    let body = b"{\"kept\":\"first\"}\n{\"broken\":\n\n{\"kept\":\"second\"}\nno json at all\n";
    let answer = client.post("/ingest/ndjson", &[], body)?;
    assert_eq!(answer.status, 200);
    let answer = answer.json();
    assert_eq!(answer["accepted"], 2, "{answer}");
    let lines: Vec<u64> = answer["rejected"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["line"].as_u64())
        .collect();
    assert_eq!(lines, [2, 5], "{answer}");
    assert!(
        answer["rejected"][0]["reason"]
            .as_str()
            .is_some_and(|reason| !reason.is_empty())
    );

    let bulk = b"{\"create\":{}}\n{\"kept\":\"third\"}\n{\"create\":{}}\n{broken\n{\"create\":{}}\n{\"kept\":\"fourth\"}\n";
    let answer = client
        .post(
            "/ingest/_bulk",
            &[("Content-Type", "application/x-ndjson")],
            bulk,
        )?
        .json();
    assert_eq!(answer["errors"], true, "{answer}");
    let statuses: Vec<u64> = answer["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|item| item["create"]["status"].as_u64())
        .collect();
    assert_eq!(statuses, [201, 400, 201], "{answer}");

    let rows = ledger(&client)?;
    assert_eq!(total(&client, "kept:*")?, 4);
    assert_eq!(dropped(&rows, "malformed_json"), 3, "{rows}");
    assert!(server.is_alive()?);
    Ok(())
}

#[test]
fn odd_values_are_stored_with_their_anomaly() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = start(folder.path())?;
    let client = server.client("ingest,read")?;
    let sysmon = |time: &str| {
        format!(
            "{{\"Channel\":\"Microsoft-Windows-Sysmon/Operational\",\"EventID\":1,\"Image\":\"a.exe\",\"SystemTime\":\"{time}\",\"TimeCreated\":\"{time}\",\"UtcTime\":\"{time}\"}}"
        )
    };
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let body = [
        sysmon("9999-12-31T23:59:59Z"),
        sysmon("1601-01-01T00:00:00Z"),
        deep,
    ]
    .join("\n");
    let answer = client.post("/ingest/ndjson", &[], body.as_bytes())?;
    assert_eq!(
        answer.status,
        200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    let accepted = answer.json()["accepted"].as_u64().unwrap_or_default();
    let rejected = answer.json()["rejected"].as_array().map_or(0, Vec::len) as u64;
    assert_eq!((accepted, rejected), (3, 0));

    // Syslog takes any bytes.
    let address = client.get("/api/v1/status")?.json()["listeners"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["kind"] == "syslog-tcp")
        .and_then(|one| one["address"].as_str().map(str::to_owned))
        .context("no syslog listener")?;
    let mut stream = TcpStream::connect(address)?;
    stream.write_all(b"<13>Nov 24 12:00:00 host app: bad \xff\xfe bytes\n")?;
    // 50 MiB without a line end, then a record that must not suffer from it.
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..50 {
        stream.write_all(&chunk)?;
    }
    stream.write_all(b"\n<13>Nov 24 12:00:00 host app: after the long one\n")?;
    drop(stream);
    wait_for("the record after the long one", || {
        Ok(total(&client, "\"after the long one\"")? == 1)
    })?;

    ledger(&client)?;
    assert_eq!(total(&client, "anomalies:time_implausible")?, 2);
    assert_eq!(total(&client, "anomalies:invalid_utf8")?, 1);
    assert_eq!(total(&client, "anomalies:truncated")?, 1);
    assert_eq!(total(&client, "anomalies:nested_too_deep")?, 1);
    assert!(server.is_alive()?);
    Ok(())
}

#[test]
fn too_much_is_refused_with_an_answer() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = start(folder.path())?;
    let client = server.client("ingest,read")?;
    // A line of 50 MiB in a body that is within the limit.
    let mut body = b"{\"kept\":\"before\"}\n{\"long\":\"".to_vec();
    body.resize(body.len() + (50 << 20), b'y');
    body.extend_from_slice(b"\"}\n{\"kept\":\"after\"}\n");
    let answer = client.post("/ingest/ndjson", &[], &body)?;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["accepted"], 2);
    assert_eq!(answer.json()["rejected"][0]["line"], 2);

    // A megabyte that unpacks to 200: refused, not unpacked.
    let bomb = gzip(&vec![b' '; 200 << 20])?;
    let answer = client.post("/ingest/ndjson", &[("Content-Encoding", "gzip")], &bomb)?;
    assert_eq!(
        answer.status,
        413,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    assert!(
        answer.json()["detail"].as_str().is_some(),
        "{}",
        answer.json()
    );

    // A body over the limit gets its answer although it was not read.
    let answer = client.post("/ingest/ndjson", &[], &vec![b'\n'; 80 << 20])?;
    assert_eq!(answer.status, 413);

    let rows = ledger(&client)?;
    assert_eq!(total(&client, "kept:*")?, 2);
    assert_eq!(dropped(&rows, "too_long"), 1, "{rows}");
    assert_eq!(dropped(&rows, "body_refused"), 2, "{rows}");
    assert!(server.is_alive()?);
    Ok(())
}

#[test]
fn damaged_files_give_what_they_hold_and_say_what_they_lost() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let bomb = folder.path().join("bomb.log.gz");
    std::fs::write(&bomb, gzip(&vec![b'a'; 256 << 20])?)?;
    let mut inputs = vec![bomb];
    if let Some(corpus) = corpus() {
        let whole = corpus.join("plaso-test-data/test_data/evtx/System2.evtx");
        let bytes = std::fs::read(whole)?;
        let cut = folder.path().join("cut.evtx");
        std::fs::write(&cut, &bytes[..bytes.len() * 2 / 3])?;
        inputs.push(cut);
    }
    for is_running in [false, true] {
        let server = if is_running {
            Some(start(&data)?)
        } else {
            None
        };
        let imported = Command::new(PROGRAM)
            .args(["import", "--data"])
            .arg(&data)
            .args(&inputs)
            .output()?;
        assert_eq!(imported.status.code(), Some(1), "{}", text(&imported));
        assert!(text(&imported).contains("bomb"), "{}", text(&imported));
        drop(server);
    }
    let mut server = start(&data)?;
    let client = server.client("read")?;
    let rows = ledger(&client)?;
    // One import of each kind counts the same places.
    let places = |source: &str| -> u64 {
        let rows = rows["items"].as_array().into_iter().flatten();
        let of_source = rows.filter(|row| row["source"] == source);
        of_source
            .filter_map(|row| row["dropped"]["unreadable"].as_u64())
            .sum()
    };
    assert_eq!(places("file:bomb.log.gz"), 2, "{rows}");
    if inputs.len() > 1 {
        assert!(
            places("file:cut.evtx") >= 2 && places("file:cut.evtx") % 2 == 0,
            "{rows}"
        );
    }
    if inputs.len() > 1 {
        assert!(total(&client, "source:file:cut.evtx")? > 100);
    }
    assert!(server.is_alive()?);
    Ok(())
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Runs `serve` with arguments that cannot work: exit code 2 and one message with these words.
fn check_refused(arguments: &[&str], words: &[&str]) -> Result<()> {
    let output = Command::new(PROGRAM)
        .arg("serve")
        .args(["--syslog", "off"])
        .args(arguments)
        .output()?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {message}");
    assert_eq!(message.matches("watchfloor:").count(), 1, "{message}");
    for word in words {
        assert!(
            message.contains(word),
            "{arguments:?}: '{word}' is not in: {message}"
        );
    }
    Ok(())
}

#[test]
fn what_cannot_start_says_what_where_and_how_to_mend_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (data, config) = (path("data"), path("watchfloor.toml"));
    std::fs::write(&config, "data = \"x\"\nlisten_to = \"127.0.0.1:1\"\n")?;
    check_refused(&["--config", &config], &["listen_to", "line 2", &config])?;
    check_refused(
        &["--config", &path("none.toml")],
        &["none.toml", "cannot read"],
    )?;

    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?;
    check_refused(
        &["--data", &data, "--listen", &address.to_string()],
        &[&address.port().to_string(), "in use", "--listen"],
    )?;

    std::fs::create_dir_all(path("newer"))?;
    std::fs::write(path("newer/VERSION"), "99\n")?;
    check_refused(
        &["--data", &path("newer"), "--listen", "127.0.0.1:0"],
        &["version 99", "newer", "--data"],
    )?;
    std::fs::write(path("file"), "")?;
    check_refused(
        &["--data", &path("file"), "--listen", "127.0.0.1:0"],
        &[&path("file"), "--data"],
    )?;

    std::fs::write(&config, "rules = [\"/nowhere/rules\"]\n")?;
    check_refused(
        &[
            "--config",
            &config,
            "--data",
            &data,
            "--listen",
            "127.0.0.1:0",
        ],
        &["/nowhere/rules", "cannot read"],
    )
}

#[test]
fn a_broken_rule_is_listed_and_stops_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rules = folder.path().join("rules");
    std::fs::create_dir_all(&rules)?;
    std::fs::write(
        rules.join("broken.yml"),
        "title: Broken\nid: b\nlogsource: {product: windows}\ndetection:\n  s:\n    Image|endwith: x\n  condition: s\n",
    )?;
    std::fs::write(rules.join("bytes.yml"), b"title: \xff\xfe\n")?;
    let config = folder.path().join("watchfloor.toml");
    std::fs::write(
        &config,
        format!("rules = [{:?}]\n", rules.display().to_string()),
    )?;
    let config = config.to_string_lossy().into_owned();
    let data = folder.path().join("data");
    let server = ServerProcess::start(
        Path::new(PROGRAM),
        &data,
        &["--syslog", "off", "--config", &config],
    )?;
    let refused = server.client("read")?.get("/api/v1/rules/refused")?.json();
    let items = refused["items"].as_array().context("no list")?;
    let broken = items
        .iter()
        .find(|one| {
            one["path"]
                .as_str()
                .is_some_and(|path| path.ends_with("broken.yml"))
        })
        .context("not listed")?;
    assert_eq!(broken["line"], 6, "{broken}");
    assert!(
        broken["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("unknown modifier 'endwith'")),
        "{broken}"
    );
    assert_eq!(items.len(), 2, "{refused}");
    Ok(())
}
