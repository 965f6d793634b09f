//! Sources that the configuration names: what stands in `[sources.NAME]` and `[products]`, and
//! what senders may say themselves.

use std::io::Write;
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

/// A line of HAProxy as it stands without the syslog header that the pack looks for.
const LINE: &str = "10.0.1.2:33317 [06/Feb/2025:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} \"GET /index.html HTTP/1.1\"";

/// A line of sshd whose program stands nowhere.
const SSHD: &str = "Failed password for root from 203.0.113.9 port 50022 ssh2";

fn config(folder: &Path, text: &str) -> Result<PathBuf> {
    let path = folder.join("watchfloor.toml");
    std::fs::write(&path, text)?;
    Ok(path)
}

fn start(folder: &Path, text: &str) -> Result<ServerProcess> {
    let config = config(folder, text)?;
    ServerProcess::start(
        Path::new(PROGRAM),
        &folder.join("data"),
        &["--config", &config.to_string_lossy()],
    )
}

fn products(client: &Client, query: &str) -> Result<Vec<String>> {
    client.settle()?;
    let events = client.events(query)?;
    Ok(events
        .iter()
        .map(|event| event["product"].as_str().unwrap_or_default().to_owned())
        .collect())
}

#[test]
fn a_source_names_its_product_and_a_network_does() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(
        folder.path(),
        "syslog = \"127.0.0.1:0\"\n[sources.edge]\nkind = \"syslog\"\nlisten = \"127.0.0.1:0\"\nproduct = \"haproxy\"\n\
         [products]\n\"syslog:127.0.0.0/8\" = \"squid\"\n\"http\" = \"haproxy\"\n",
    )?;
    let client = server.client("ingest,read")?;
    let status = client.get("/api/v1/status")?.json();
    let addresses: Vec<String> = status["listeners"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|one| one["kind"] == "syslog-udp")
        .filter_map(|one| one["address"].as_str().map(str::to_owned))
        .collect();
    ensure!(addresses.len() == 2, "{status}");
    // Names are in order: edge, syslog.
    let squid = "1700000000.123    456 10.0.0.5 TCP_MISS/200 1234 GET http://example.org/ - HIER_DIRECT/93.184.216.34 text/html";
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    udp.send_to(LINE.as_bytes(), &addresses[0])?;
    let mut tcp = TcpStream::connect(&addresses[1])?;
    tcp.write_all(format!("{squid}\n").as_bytes())?;
    drop(tcp);
    wait_for("both lines", || Ok(client.events("*")?.len() == 2))?;
    assert_eq!(products(&client, "source:\"edge:127.0.0.1\"")?, ["HAProxy"]);
    assert_eq!(products(&client, "source:\"syslog:127.0.0.1\"")?, ["Squid"]);
    Ok(())
}

#[test]
fn a_sender_names_source_and_product() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let server = start(folder.path(), "syslog = \"off\"\n")?;
    let client = server.client("ingest,read")?;
    let line = serde_json::json!({ "message": SSHD }).to_string();
    let answer = client.post("/ingest/ndjson?source=plain", &[], line.as_bytes())?;
    ensure!(answer.status == 200, "{}", answer.json());
    let headers = [
        ("X-Watchfloor-Source", "fw-a"),
        ("X-Watchfloor-Product", "linux"),
    ];
    let answer = client.post("/ingest/ndjson", &headers, line.as_bytes())?;
    ensure!(answer.status == 200, "{}", answer.json());
    let bulk = format!("{{\"index\":{{}}}}\n{line}\n");
    let path = "/fw-b/_bulk?product=linux";
    let answer = client.post(
        path,
        &[("Content-Type", "application/x-ndjson")],
        bulk.as_bytes(),
    )?;
    ensure!(answer.json()["errors"] == false, "{}", answer.json());
    assert_ne!(products(&client, "source:plain")?, ["OpenSSH"]);
    assert_eq!(products(&client, "source:\"fw-a\"")?, ["OpenSSH"]);
    assert_eq!(products(&client, "source:\"fw-b\"")?, ["OpenSSH"]);
    let answer = client.post("/ingest/ndjson?product=toaster", &[], line.as_bytes())?;
    assert_eq!(answer.status, 400);
    let detail = answer.json().to_string();
    ensure!(
        detail.contains("toaster") && detail.contains("fortigate"),
        "{detail}"
    );
    Ok(())
}

#[test]
fn what_cannot_be_used_is_named_with_what_would_do() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (text, words) in [
        (
            "[sources.a]\nlisten = \"127.0.0.1:0\"\n",
            &["a]", "kind", "syslog-tls"][..],
        ),
        ("[sources.a]\nkind = \"fax\"\n", &["fax", "syslog"]),
        (
            "[sources.a]\nkind = \"syslog\"\nlisten = \"127.0.0.1:0\"\nlisten_on = 1\n",
            &["sources.a", "listen_on"],
        ),
        (
            "[sources.a]\nkind = \"syslog\"\nlisten = \"127.0.0.1:0\"\nproduct = \"toaster\"\n",
            &["sources.a", "toaster", "fortigate"],
        ),
        (
            "[sources.a]\nkind = \"syslog\"\nlisten = \"127.0.0.1:0\"\nformat = \"papyrus\"\n",
            &["sources.a", "papyrus", "zeek-tsv"],
        ),
        (
            "[products]\n\"syslog:10.0.0.0/99\" = \"cisco\"\n",
            &["10.0.0.0/99", "network"],
        ),
        ("[products]\n\"x\" = \"toaster\"\n", &["toaster"]),
        (
            "[sources.a]\nkind = \"syslog-tls\"\nlisten = \"127.0.0.1:0\"\ncertificate = \"/nowhere.pem\"\nkey = \"/nowhere.key\"\n",
            &["/nowhere.pem", "PEM"],
        ),
        (
            "[sources.syslog]\nkind = \"syslog\"\nlisten = \"127.0.0.1:0\"\n",
            &["sources.syslog", "another"],
        ),
    ] {
        let config = config(folder.path(), text)?;
        let output = Command::new(PROGRAM)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--syslog",
                "127.0.0.1:0",
                "--data",
            ])
            .arg(folder.path().join("data"))
            .arg("--config")
            .arg(&config)
            .output()?;
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(2), "{text}: {message}");
        for word in words {
            ensure!(
                message.contains(word),
                "{text}: {word} is not in: {message}"
            );
        }
    }
    Ok(())
}
