//! Hostile and broken input of the ways in: each is refused or kept with an answer or a message
//! that says how to mend it, a counter, and nothing else is lost.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use flate2::Compression;
use flate2::write::GzEncoder;
use watchfloor_testkit::{Answer, Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn start(folder: &Path, text: &str) -> Result<ServerProcess> {
    let config = folder.join("watchfloor.toml");
    fs::write(&config, text)?;
    ServerProcess::start(
        Path::new(PROGRAM),
        &folder.join("data"),
        &["--config", &config.to_string_lossy()],
    )
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

/// How often a trouble was counted, and its message.
fn trouble(client: &Client, word: &str) -> Result<(u64, String)> {
    let sources = client.get("/api/v1/sources")?.json();
    let items = sources["items"].as_array().cloned().unwrap_or_default();
    let found = items
        .iter()
        .flat_map(|item| item["troubles"].as_array().cloned().unwrap_or_default())
        .find(|trouble| trouble["word"] == word)
        .unwrap_or_default();
    let message = found["message"].as_str().unwrap_or_default().to_owned();
    Ok((found["count"].as_u64().unwrap_or_default(), message))
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

const JSON: (&str, &str) = ("Content-Type", "application/json");
const PROTOBUF: (&str, &str) = ("Content-Type", "application/x-protobuf");

#[test]
fn every_way_in_by_http_refuses_with_a_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = start(folder.path(), "syslog = \"off\"\n")?;
    let client = server.client("ingest,read")?;
    let reader = server.client("read")?;
    let nobody = Client::new(&server.url, "wf_nothing");
    let hec = "/services/collector/event";
    let bomb = gzip(&vec![b' '; 200 << 20])?;
    // A token without the scope, and none.
    for (path, header) in [
        (hec, JSON),
        ("/v1/logs", JSON),
        ("/v1/logs", PROTOBUF),
        ("/loki/api/v1/push", JSON),
        ("/gelf", JSON),
        ("/ingest/raw", JSON),
        ("/ingest/windows-xml", JSON),
    ] {
        let answer = reader.post(path, &[header], b"{}")?;
        ensure!(
            answer.status == 403,
            "{path}: {} {}",
            answer.status,
            text(&answer)
        );
        let answer = nobody.post(path, &[header], b"{}")?;
        ensure!(
            matches!(answer.status, 401 | 403),
            "{path}: {}",
            answer.status
        );
        // A megabyte that unpacks to 200.
        let answer = client.post(path, &[header, ("Content-Encoding", "gzip")], &bomb)?;
        ensure!(
            answer.status == 413 || text(&answer).contains("64 MiB"),
            "{path}: {}",
            answer.status
        );
    }
    let refused = [
        (hec, JSON, &b"{broken"[..], 400, "Invalid data format"),
        (hec, JSON, b"", 400, "No data"),
        (
            hec,
            JSON,
            b"{\"host\":\"h\"}",
            400,
            "Event field is required",
        ),
        (hec, JSON, b"{\"event\":\"\"}", 400, "cannot be blank"),
        (
            "/services/collector/ack",
            JSON,
            b"{\"acks\":[0]}",
            400,
            "channel is missing",
        ),
        (
            "/services/collector/raw?channel=x",
            JSON,
            b"line",
            400,
            "UUID",
        ),
        (
            "/v1/logs",
            ("Content-Type", "text/plain"),
            b"{}",
            415,
            "application/x-protobuf",
        ),
        ("/v1/logs", JSON, b"[]", 400, "resourceLogs"),
        ("/v1/logs", PROTOBUF, b"\xff\xff\xff", 400, "ends inside"),
        (
            "/loki/api/v1/push",
            ("Content-Type", "text/plain"),
            b"{}",
            415,
            "application/json",
        ),
        ("/loki/api/v1/push", JSON, b"{}", 400, "streams is missing"),
        (
            "/loki/api/v1/push",
            PROTOBUF,
            b"\xff\xff\xff\xff\xff\xff",
            400,
            "Snappy",
        ),
        // A block of Snappy that says it is four gigabytes.
        (
            "/loki/api/v1/push",
            PROTOBUF,
            b"\xff\xff\xff\xff\x0f\x00",
            413,
            "64 MiB",
        ),
        ("/gelf", JSON, b"no json", 400, "line 1"),
        ("/ingest/windows-xml", JSON, b"<html/>", 400, "<Event>"),
    ];
    let count = refused.len();
    for (path, header, body, status, words) in refused {
        let answer = client.post(path, &[header], body)?;
        ensure!(
            answer.status == status && text(&answer).contains(words),
            "{path} {}: {} {}",
            String::from_utf8_lossy(body),
            answer.status,
            text(&answer)
        );
    }
    // What is broken costs itself; what is too long is told of.
    let body = format!(
        "{{\"event\":\"kept one\"}}\n{{broken\n{{\"event\":\"{}\"}}{{\"event\":\"kept two\"}}",
        "x".repeat(1 << 20)
    );
    let answer = client.post(hec, &[JSON], body.as_bytes())?;
    ensure!(answer.status == 400, "{}", text(&answer));
    let long = serde_json::json!({"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"body":{"stringValue":"kept three"}}, {"body":{"stringValue":"y".repeat(1 << 20)}}]}]}]});
    let answer = client.post("/v1/logs", &[JSON], long.to_string().as_bytes())?;
    ensure!(
        answer.status == 200 && answer.json()["partialSuccess"]["rejectedLogRecords"] == "1",
        "{}",
        text(&answer)
    );
    client.settle()?;
    assert_eq!(client.events("kept")?.len(), 3);
    let ledger = client.balanced_ledger()?;
    ensure!(ledger.dropped["too_long"] == 2, "{ledger:?}");
    ensure!(ledger.dropped["malformed"] >= 2, "{ledger:?}");
    ensure!(ledger.dropped["body_refused"] >= 7, "{ledger:?}");
    assert_eq!(count, 15);
    ensure!(server.is_alive()?);
    Ok(())
}

#[test]
fn channels_of_hec_are_acknowledged() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), "syslog = \"off\"\n")?;
    let client = server.client("ingest,read")?;
    let channel = (
        "X-Splunk-Request-Channel",
        "FE0ECFAD-13D5-401B-847D-77833BD77131",
    );
    for number in 0..3 {
        let body = format!(
            "{{\"event\":{{\"number\":{number}}},\"sourcetype\":\"shop\",\"host\":\"web-01\",\"time\":1795428000.5}}"
        );
        let answer = client.post("/services/collector", &[channel], body.as_bytes())?;
        assert_eq!(answer.json()["ackId"], number, "{}", text(&answer));
    }
    let answer = client.post("/services/collector/ack", &[channel], b"{\"acks\":[0,2,9]}")?;
    assert_eq!(
        answer.json(),
        serde_json::json!({"acks": {"0": true, "2": true, "9": false}})
    );
    let answer = client.post(
        "/ingest/services/collector/raw?host=web-02&sourcetype=lines",
        &[channel],
        b"first line\n\nsecond line\n",
    )?;
    assert_eq!(answer.json()["code"], 0, "{}", text(&answer));
    assert_eq!(client.get("/services/collector/health")?.json()["code"], 17);
    client.settle()?;
    let events = client.events("source:\"hec:shop\"")?;
    ensure!(
        events.len() == 3 && events[0]["time"] == "2026-11-23T10:00:00.5Z",
        "{events:?}"
    );
    assert_eq!(client.events("source:\"hec:lines\" \"web-02\"")?.len(), 2);
    Ok(())
}

/// A listener with small limits, so that the test need not wait long.
const SMALL: &str = "syslog = \"127.0.0.1:0\"\n[sources.small]\nkind = \"gelf\"\nlisten = \"127.0.0.1:0\"\nconnections_max = 3\nidle_s = 2\nrecord_s = 1\n";

#[test]
fn slow_senders_and_silent_ones_end_and_the_rest_goes_on() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), SMALL)?;
    let client = server.client("read")?;
    let address = client.listener("gelf")?;
    // One byte now and then.
    let mut slow = TcpStream::connect(&address)?;
    slow.write_all(b"{\"short_message\":\"drip\"")?;
    let mut closed = false;
    for _ in 0..100 {
        closed = slow.write_all(b" ").is_err();
        if closed {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    ensure!(closed, "the slow sender is still there");
    let (count, message) = trouble(&client, "slow_sender")?;
    ensure!(
        count == 1 && message.contains("end each record"),
        "{message}"
    );
    // Silent after a whole record.
    let mut silent = TcpStream::connect(&address)?;
    silent.write_all(b"{\"short_message\":\"hello\"}\0")?;
    silent.set_read_timeout(Some(Duration::from_secs(20)))?;
    ensure!(silent.read(&mut [0; 1])? == 0, "not closed");
    let (count, message) = trouble(&client, "idle_closed")?;
    ensure!(count == 1 && message.contains("silent"), "{message}");
    // More than there may be at once.
    let open: Vec<TcpStream> = (0..3)
        .map(|_| TcpStream::connect(&address))
        .collect::<std::io::Result<_>>()?;
    let mut beyond = TcpStream::connect(&address)?;
    beyond.set_read_timeout(Some(Duration::from_secs(20)))?;
    ensure!(
        matches!(beyond.read(&mut [0; 1]), Ok(0) | Err(_)),
        "not refused"
    );
    let (count, message) = trouble(&client, "connection_limit")?;
    ensure!(
        count >= 1 && message.contains("connections_max"),
        "{message}"
    );
    drop(open);
    client.settle()?;
    assert_eq!(client.events("hello")?.len(), 1);
    assert_eq!(client.events("drip")?.len(), 1);
    client.balanced_ledger()?;
    Ok(())
}

#[test]
fn ten_thousand_idle_connections_hold_nobody_up() -> Result<()> {
    let limit = Command::new("sh").args(["-c", "ulimit -Hn"]).output()?;
    let limit = String::from_utf8_lossy(&limit.stdout)
        .trim()
        .parse()
        .unwrap_or(u64::MAX);
    if limit < 11_000 {
        println!("skipped: only {limit} files may be open");
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), "syslog = \"127.0.0.1:0\"\n")?;
    let client = server.client("read")?;
    let address = client.listener("syslog-tcp")?;
    let before = memory(server.id())?;
    // Connections are held by another process, whose limit is raised by a shell.
    let python = "import socket,sys\nh,p=sys.argv[1].split(':')\nc=[socket.create_connection((h,int(p))) for _ in range(10000)]\nprint('open',flush=True)\nsys.stdin.read()";
    let mut holder = Command::new("sh")
        .args([
            "-c",
            "ulimit -n 10500 && exec python3 -c \"$0\" \"$1\"",
            python,
            &address,
        ])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()?;
    let mut said = [0; 4];
    holder
        .stdout
        .take()
        .context("no output")?
        .read_exact(&mut said)?;
    let mut sender = TcpStream::connect(&address)?;
    for number in 0..100 {
        writeln!(sender, "<13>Nov 24 12:00:00 host app: still taken {number}")?;
    }
    wait_for("the records between the idle ones", || {
        client.settle()?;
        Ok(client.events("\"still taken\"")?.len() == 100)
    })?;
    let grown = memory(server.id())?.saturating_sub(before);
    drop(holder.stdin.take());
    holder.wait()?;
    ensure!(
        grown < 200 << 10,
        "10,000 idle connections take {grown} KiB"
    );
    println!("10,000 idle connections take {grown} KiB");
    Ok(())
}

/// KiB of memory that a process takes.
fn memory(id: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|text| text.parse().ok())
        .context("no VmRSS")
}

#[test]
fn datagrams_that_the_kernel_drops_are_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), "syslog = \"127.0.0.1:0\"\n")?;
    let client = server.client("read")?;
    let address = client.listener("syslog-udp")?;
    let signal = |name: &str| -> Result<()> {
        let id = server.id().to_string();
        ensure!(
            Command::new("kill")
                .args(["-s", name, &id])
                .status()?
                .success()
        );
        Ok(())
    };
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    signal("STOP")?;
    let pad = "x".repeat(1000);
    let sent = 40_000;
    for number in 0..sent {
        let line = format!("<13>Nov 24 12:00:00 host app: number {number} {pad}");
        socket.send_to(line.as_bytes(), &address)?;
    }
    signal("CONT")?;
    wait_for("every datagram is accounted for", || {
        client.settle()?;
        Ok(client.balanced_ledger()?.received >= sent)
    })?;
    let ledger = client.balanced_ledger()?;
    ensure!(
        ledger.received == sent && ledger.dropped["udp_buffer_full"] > 0 && ledger.stored > 0,
        "{ledger:?}"
    );
    let (_, message) = trouble(&client, "udp_buffer_full")?;
    ensure!(message.contains("rmem_max"), "{message}");
    Ok(())
}

#[test]
fn broken_datagrams_of_gelf_and_flows_are_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = start(
        folder.path(),
        "syslog = \"off\"\n[sources.g]\nkind = \"gelf\"\nlisten = \"127.0.0.1:0\"\n[sources.f]\nkind = \"netflow\"\nlisten = \"127.0.0.1:0\"\n",
    )?;
    let client = server.client("read")?;
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let gelf = client.listener("gelf")?;
    let flows = client.listener("netflow")?;
    socket.send_to(&[0x1e, 0x0f, 1], &gelf)?;
    socket.send_to(&[0x1f, 0x8b, 9, 9, 9], &gelf)?;
    // One of two chunks.
    socket.send_to(&[0x1e, 0x0f, 1, 2, 3, 4, 5, 6, 7, 8, 0, 2, b'{'], &gelf)?;
    let bomb = gzip(&vec![b' '; 20 << 20])?;
    socket.send_to(&bomb, &gelf)?;
    socket.send_to(&[0, 7, 0, 0], &flows)?;
    socket.send_to(&[], &flows)?;
    // A set of version 9 whose template never comes.
    let mut packet = vec![0, 9, 0, 1];
    packet.extend([0; 16]);
    packet.extend([1, 44, 0, 8, 1, 2, 3, 4]);
    socket.send_to(&packet, &flows)?;
    wait_for("all is counted", || {
        Ok(trouble(&client, "chunks_missing")?.0 == 1
            && trouble(&client, "gelf_refused")?.0 == 2
            && trouble(&client, "packet_refused")?.0 == 2
            && trouble(&client, "template_awaited")?.0 == 1)
    })?;
    ensure!(trouble(&client, "packet_refused")?.1.contains("NetFlow 5"));
    client.settle()?;
    let ledger = client.balanced_ledger()?;
    ensure!(
        ledger.dropped["malformed"] == 4 && ledger.dropped["chunks_missing"] == 1,
        "{ledger:?}"
    );
    ensure!(server.is_alive()?);
    Ok(())
}

#[test]
fn clocks_that_are_a_year_off_are_kept_with_their_time() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), "syslog = \"127.0.0.1:0\"\n")?;
    let client = server.client("ingest,read")?;
    let now = Command::new("date").args(["-u", "+%Y"]).output()?;
    let year: i32 = String::from_utf8_lossy(&now.stdout).trim().parse()?;
    let mut tcp = TcpStream::connect(client.listener("syslog-tcp")?)?;
    for (word, year) in [("behind", year - 1), ("ahead", year + 1)] {
        writeln!(
            tcp,
            "<13>1 {year}-06-15T12:00:00Z host app - - - clock {word}"
        )?;
        let body = serde_json::json!({"event": format!("hec clock {word}"), "time": format!("{year}-06-15T12:00:00Z")});
        client.post("/services/collector", &[], body.to_string().as_bytes())?;
    }
    drop(tcp);
    wait_for("all four", || {
        client.settle()?;
        Ok(client.events("clock")?.len() == 4)
    })?;
    let behind = client.events("\"clock behind\"")?;
    ensure!(
        behind
            .iter()
            .all(|event| event["time"] == format!("{}-06-15T12:00:00Z", year - 1)),
        "{behind:?}"
    );
    // A time that cannot be is not believed, and that is said.
    let ahead = client.events("\"clock ahead\"")?;
    ensure!(
        ahead.len() == 2
            && ahead.iter().all(|event| {
                let is_own = event["time"] == format!("{}-06-15T12:00:00Z", year + 1);
                let is_noted = event["anomalies"].to_string().contains("time_implausible");
                is_own || is_noted
            }),
        "{ahead:?}"
    );
    client.balanced_ledger()?;
    Ok(())
}

#[test]
fn a_source_that_stops_raises_one_alert_and_its_return_is_noted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = "syslog = \"off\"\n[quiet]\nafter_s = 3\nlearn_s = 0\nlook_s = 1\nfactor = 1\n[quiet.sources]\nnever = 0\n";
    let mut server = Some(start(folder.path(), text)?);
    let mut client = server.as_ref().context("none")?.client("ingest,read")?;
    for source in ["shop", "never"] {
        let path = format!("/ingest/ndjson?source={source}");
        client.post(&path, &[], b"{\"a\":1}\n")?;
    }
    let alerts = |client: &Client| -> Result<Vec<serde_json::Value>> {
        let answer = client.get("/api/v1/alerts")?.json();
        Ok(answer["items"].as_array().cloned().unwrap_or_default())
    };
    wait_for("the alert", || Ok(!alerts(&client)?.is_empty()))?;
    let quiet = client.get("/api/v1/sources")?.json();
    let shop = quiet["items"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["name"] == "shop");
    ensure!(
        shop.is_some_and(|shop| shop["quiet"]["since"].is_string()),
        "{quiet}"
    );
    // A restart raises nothing again.
    server.take().context("none")?.kill()?;
    let again = start(folder.path(), text)?;
    client = again.client("ingest,read")?;
    std::thread::sleep(Duration::from_secs(5));
    let found = alerts(&client)?;
    ensure!(found.len() == 1 && found[0]["count"] == 1, "{found:?}");
    ensure!(
        found[0]["title"]
            .as_str()
            .is_some_and(|title| title.contains("shop")),
        "{found:?}"
    );
    client.post("/ingest/ndjson?source=shop", &[], b"{\"a\":2}\n")?;
    let id = found[0]["id"].as_str().context("no id")?;
    wait_for("the note", || {
        let detail = client.get(&format!("/api/v1/alerts/{id}"))?.json();
        Ok(detail.to_string().contains("speaks again"))
    })
}
