//! What becomes of events on their way: enriched, left out, sampled, masked, forwarded.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

fn start(folder: &Path, config: &str) -> Result<(ServerProcess, Client)> {
    let path = folder.join("watchfloor.toml");
    std::fs::write(&path, format!("syslog = \"off\"\n{config}"))?;
    let path = path.to_string_lossy();
    let data = folder.join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--config", &path])?;
    let client = server.client("admin")?;
    Ok((server, client))
}

fn send(client: &Client, source: &str, lines: &[String]) -> Result<()> {
    let path = format!("/ingest/ndjson?source={source}");
    let answer = client.post(&path, &[], lines.join("\n").as_bytes())?;
    ensure!(
        answer.status == 200,
        "{}",
        String::from_utf8_lossy(&answer.body)
    );
    ensure!(
        answer.json()["accepted"] == lines.len(),
        "{}",
        answer.json()
    );
    client.settle()
}

fn test_data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../watchfloor-enrich/tests/data")
        .join(name)
}

/// A line of sshd as a JSON record that wraps it.
fn sshd(time: &str, text: &str) -> String {
    serde_json::json!({ "message": format!("<38>1 {time} srv01 sshd 811 - - {text}") }).to_string()
}

fn field<'a>(event: &'a Value, name: &str) -> &'a str {
    event["fields"][name].as_str().unwrap_or_default()
}

#[test]
fn events_are_enriched_and_rules_see_it_in_the_stream_and_in_history() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let assets = folder.path().join("assets.csv");
    std::fs::write(&assets, "hostname,criticality\nws-042,high\n")?;
    let rule = folder.path().join("rule.yml");
    std::fs::write(
        &rule,
        "title: Sign-in from a machine of weight\nid: 5c1d0d2e-7d3a-4f0e-9f53-0a5f3c0f7a11\nlogsource:\n  product: linux\n  service: sshd\n\
         detection:\n  selection:\n    src_endpoint.criticality: high\n  condition: selection\nlevel: high\n",
    )?;
    let config = format!(
        "rules = [{rule:?}]\n[enrich]\ngeoip = [{:?}]\nassets = [{assets:?}]\n",
        test_data("GeoLite2-City-Test.mmdb")
    );
    let (server, client) = start(folder.path(), &config)?;
    let now = jiff::Timestamp::now();
    let at = |seconds: i64| (now - jiff::SignedDuration::from_secs(seconds)).to_string();
    let lease = format!(
        "<30>1 {} dhcp1 dhcpd 99 - - DHCPACK on 10.0.0.5 to 00:1b:63:84:45:e6 (ws-042) via eth0",
        at(60)
    );
    send(
        &client,
        "test",
        &[
            serde_json::json!({ "message": lease }).to_string(),
            sshd(
                &at(50),
                "Accepted password for ann from 10.0.0.5 port 4711 ssh2",
            ),
            sshd(
                &at(40),
                "Accepted password for bob from 81.2.69.142 port 4711 ssh2",
            ),
        ],
    )?;
    let inside = client.events("user.name:ann")?;
    assert_eq!(field(&inside[0], "src_endpoint.hostname"), "ws-042");
    assert_eq!(
        field(&inside[0], "unmapped.src_endpoint.criticality"),
        "high"
    );
    let outside = client.events("src_endpoint.location.city:London")?;
    assert_eq!(outside.len(), 1);
    let notes: Value = serde_json::from_str(field(&outside[0], "enrichments"))?;
    assert_eq!(notes[0]["provider"], "GeoLite2-City-Test.mmdb");
    let alerts = || -> Result<usize> {
        let answer = client.get("/api/v1/alerts?limit=100")?.json();
        let items = answer["items"].as_array().cloned().unwrap_or_default();
        let ours = items
            .iter()
            .filter(|alert| alert["title"] == "Sign-in from a machine of weight");
        Ok(ours.count())
    };
    wait_for("the rule over an added field fires", || Ok(alerts()? == 1))?;

    // What was known then is what history knows, whatever the tables say today.
    std::fs::write(&assets, "hostname,criticality\nws-042,low\n")?;
    drop(server);
    let output = std::process::Command::new(PROGRAM)
        .args(["rules", "backtest"])
        .arg(&rule)
        .args(["--last", "1d", "--format", "json", "--data"])
        .arg(folder.path().join("data"))
        .output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer: Value = serde_json::from_str(&text).context(text)?;
    assert!(
        answer.to_string().contains("ws-042") || answer.to_string().contains("srv01"),
        "{answer}"
    );
    Ok(())
}

/// Takes lines over HTTP, and refuses the first body: what is sent again must arrive once.
fn receiver() -> Result<(String, Arc<Mutex<Vec<String>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}/take", listener.local_addr()?);
    let taken: Arc<Mutex<Vec<String>>> = Arc::default();
    let into = Arc::clone(&taken);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().flatten().enumerate() {
            let mut stream = BufReader::new(stream);
            let mut length = 0;
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                let head = line.to_ascii_lowercase();
                if let Some(value) = head.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap_or(0);
                }
                line.clear();
            }
            let mut body = vec![0; length];
            let _ = stream.read_exact(&mut body);
            let status = if number == 0 { "503 Busy" } else { "200 OK" };
            if number > 0 {
                let text = String::from_utf8_lossy(&body).into_owned();
                into.lock().unwrap().extend(text.lines().map(str::to_owned));
            }
            let answer =
                format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = stream.get_mut().write_all(answer.as_bytes());
        }
    });
    Ok((url, taken))
}

/// Takes syslog with octet counts.
fn syslog_receiver() -> Result<(String, Arc<Mutex<Vec<u8>>>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("tcp://{}", listener.local_addr()?);
    let taken: Arc<Mutex<Vec<u8>>> = Arc::default();
    let into = Arc::clone(&taken);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut chunk = [0; 4096];
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                into.lock().unwrap().extend_from_slice(&chunk[..read]);
            }
        }
    });
    Ok((url, taken))
}

#[test]
fn routes_leave_out_sample_mask_and_forward_and_everything_is_counted() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (http, taken) = receiver()?;
    let (syslog, framed) = syslog_receiver()?;
    let config = format!(
        r#"
[[routes]]
name = "no-debug"
sources = ["shop*"]
raw = '"level":"debug"'
drop = true

[[routes]]
name = "few-flows"
sources = ["flows"]
sample = 0.25

[[routes]]
name = "cards"
raw = 'card'
mask = {{ pattern = 'card=(\d{{16}})', how = "remove" }}

[[routes]]
name = "pseudonyms"
search = 'user.name:*'
mask = {{ fields = ["user.name"], how = "hash" }}

[[routes]]
name = "noisy-root"
search = 'src_endpoint.ip:192.0.2.9'
drop = true

[[routes]]
name = "to-partner"
sources = ["ssh"]
forward = "partner"
as = "ocsf"

[[routes]]
name = "to-old"
sources = ["ssh"]
forward = "old"

[forward.partner]
kind = "http"
url = "{http}"

[forward.old]
kind = "syslog"
url = "{syslog}"
"#
    );
    let (server, client) = start(folder.path(), &config)?;
    let shop = ["debug", "info", "debug"]
        .map(|level| format!(r#"{{"level":"{level}","text":"card=4000123412341234 x"}}"#));
    send(&client, "shop1", &shop)?;
    let flows: Vec<String> = (0..400)
        .map(|number| format!(r#"{{"flow":{number}}}"#))
        .collect();
    send(&client, "flows", &flows)?;
    let time = jiff::Timestamp::now().to_string();
    let ssh = [
        sshd(
            &time,
            "Accepted password for katherine from 192.0.2.7 port 4711 ssh2",
        ),
        sshd(
            &time,
            "Failed password for root from 192.0.2.9 port 4711 ssh2",
        ),
    ];
    send(&client, "ssh", &ssh)?;

    let shop = client.events("source:shop1")?;
    assert_eq!(shop.len(), 1);
    let text = shop[0].to_string();
    assert!(
        text.contains("card=[removed] x") && !text.contains("4000123412341234"),
        "{text}"
    );
    let kept = client.events("source:flows")?.len();
    assert!((60..=140).contains(&kept), "{kept} of 400 kept");
    let ssh = client.events("source:ssh")?;
    assert_eq!(ssh.len(), 1);
    let text = ssh[0].to_string();
    assert!(!text.contains("katherine"), "{text}");
    assert_eq!(field(&ssh[0], "user.name").len(), 16, "{text}");

    let totals = client.balanced_ledger()?;
    assert_eq!(totals.dropped.get("route:no-debug"), Some(&2));
    assert_eq!(totals.dropped.get("route:noisy-root"), Some(&1));
    assert_eq!(
        totals.dropped.get("route:few-flows"),
        Some(&(400 - kept as u64))
    );

    wait_for("the partner has its copy", || {
        Ok(!taken.lock().unwrap().is_empty())
    })?;
    let copies = taken.lock().unwrap().clone();
    assert_eq!(copies.len(), 1, "{copies:?}");
    let copy: Value = serde_json::from_str(&copies[0])?;
    assert_eq!(copy["class_uid"], 3002);
    assert!(!copies[0].contains("katherine"));
    // Routes before decoding forward the record as it came.
    wait_for("the old system has both", || {
        let text = String::from_utf8_lossy(&framed.lock().unwrap()).into_owned();
        Ok(text.matches("sshd").count() == 2)
    })?;
    let forwards = client.get("/api/v1/forwards")?.json();
    assert_eq!(forwards["items"][1]["sent"], 1, "{forwards}");
    drop(server);
    Ok(())
}

#[test]
fn a_route_that_cannot_be_understood_is_named_with_its_mend() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for (config, wanted) in [
        ("[[routes]]\nname = \"a\"\n", "does nothing"),
        (
            "[[routes]]\nname = \"a\"\nraw = '('\ndrop = true\n",
            "no usable expression",
        ),
        (
            "[[routes]]\nname = \"a\"\nforward = \"x\"\n",
            "add [forward.NAME]",
        ),
        (
            "[[routes]]\nname = \"a\"\nsearch = 'a:'\ndrop = true\n",
            "route 'a'",
        ),
        (
            "[forward.'a/b']\nkind = \"http\"\nurl = \"http://127.0.0.1:1/\"\n",
            "letters, digits",
        ),
    ] {
        let error = start(folder.path(), config).err().context("it started")?;
        let text = format!("{error:#}");
        assert!(text.contains(wanted), "{config}: {text}");
    }
    Ok(())
}

#[test]
fn packs_are_taken_up_while_the_server_runs_and_a_fault_changes_nothing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (server, client) = start(folder.path(), "")?;
    let line = || vec![r#"{"tool":"kettle","who":"ann","where":"192.0.2.44"}"#.to_owned()];
    send(&client, "before", &line())?;
    let pack = folder.path().join("data/mappings/kettle");
    std::fs::create_dir_all(&pack)?;
    std::fs::write(
        pack.join("pack.yaml"),
        "product: kettle\ntitle: Kettle\nversions: '1'\ndocumentation: []\nrecognize:\n  - {tool: kettle}\nkinds:\n  - name: sign_in\n    when: {tool: kettle}\n    \
         class: authentication\n    activity: 1\n    severity: 1\n    fields: {who: user.name, where: src_endpoint.ip}\n",
    )?;
    let held = || -> Result<Value> { Ok(client.get("/api/v1/mappings")?.json()) };
    let has_kettle = |packs: &Value| packs["packs"].to_string().contains("\"Kettle\"");
    wait_for("the pack is taken up", || Ok(has_kettle(&held()?)))?;
    send(&client, "after", &line())?;
    assert_eq!(
        client
            .events("source:after user.name:ann class:authentication")?
            .len(),
        1
    );
    assert!(client.events("source:before user.name:ann")?.is_empty());

    std::fs::write(pack.join("pack.yaml"), "product: kettle\nkinds: 7\n")?;
    wait_for("the fault is named", || {
        Ok(held()?["held_back"].to_string().contains("kettle"))
    })?;
    assert!(has_kettle(&held()?));
    send(&client, "still", &line())?;
    assert_eq!(client.events("source:still user.name:ann")?.len(), 1);
    drop(server);
    Ok(())
}

/// What scanners told, in their own forms and in OCSF, weighs the alerts of the machine and stands
/// on its incident; what they told closed does not.
#[test]
fn what_scanners_find_open_weighs_alerts_and_stands_on_the_incident() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let rule = folder.path().join("rule.yml");
    std::fs::write(
        &rule,
        "title: Sign-in of ann\nid: 5c1d0d2e-7d3a-4f0e-9f53-0a5f3c0f7a12\nlogsource:\n  product: linux\n  service: sshd\n\
         detection:\n  selection:\n    user.name: ann\n  condition: selection\nlevel: high\n",
    )?;
    let (_server, client) = start(folder.path(), &format!("rules = [{rule:?}]\n"))?;
    let now = jiff::Timestamp::now();
    let at = |seconds: i64| now - jiff::SignedDuration::from_secs(seconds);
    let wazuh = |seconds: i64, cve: &str, status: &str| {
        serde_json::json!({
            "timestamp": at(seconds).to_string(), "rule": { "id": "23505" },
            "agent": { "name": "SRV01" }, "id": format!("{seconds}.1"),
            "data": { "vulnerability": { "cve": cve, "severity": "Critical", "status": status,
                "package": { "name": "sudo", "version": "1.9" } } },
        })
    };
    let ocsf = serde_json::json!({
        "class_uid": 2002, "category_uid": 2, "type_uid": 200_201, "activity_id": 1,
        "severity_id": 4, "status_id": 1, "time": at(500).as_millisecond(),
        "metadata": { "version": "1.5.0", "product": { "name": "Example Scanner" } },
        "finding_info": { "uid": "one", "title": "openssh" },
        "device": { "hostname": "srv01.corp.example", "type_id": 1 },
        "vulnerabilities": [
            { "cve": { "uid": "CVE-2024-6387" }, "severity": "High", "is_exploit_available": true },
            { "cve": { "uid": "CVE-2025-1" }, "severity": "Low", "is_exploit_available": false },
        ],
    });
    send(
        &client,
        "scanner",
        &[
            wazuh(900, "CVE-2023-22809", "Active").to_string(),
            wazuh(600, "CVE-2023-22809", "Solved").to_string(),
            wazuh(300, "CVE-2021-3156", "Active").to_string(),
            ocsf.to_string(),
        ],
    )?;
    assert_eq!(client.events("class_uid:2002")?.len(), 4);
    send(
        &client,
        "test",
        &[sshd(
            &at(50).to_string(),
            "Accepted password for ann from 10.0.0.5 port 4711 ssh2",
        )],
    )?;
    let alert = || -> Result<Value> {
        let answer = client.get("/api/v1/alerts?limit=10")?.json();
        Ok(answer["items"][0].clone())
    };
    wait_for("the rule fires", || {
        Ok(alert()?["title"] == "Sign-in of ann")
    })?;
    let id = alert()?["id"].as_str().context("an id")?.to_owned();
    let alert = client.get(&format!("/api/v1/alerts/{id}"))?.json();
    let parts = alert["risk_parts"].as_array().context("parts")?;
    let part = parts.iter().find(|part| part["kind"] == "vulnerability");
    let part = part.context("a part for vulnerabilities")?;
    assert_eq!(part["points"], 10, "{part}");
    assert!(
        part["reason"].to_string().contains("CVE-2024-6387"),
        "{part}"
    );

    let incident = alert["incident_id"].as_str().context("an incident")?;
    let page = client
        .get(&format!("/api/v1/incidents/{incident}/context"))?
        .json();
    let open: Vec<&str> = page["vulnerabilities"]
        .as_array()
        .with_context(|| page.to_string())?
        .iter()
        .filter_map(|one| one["name"].as_str())
        .collect();
    assert_eq!(open, ["CVE-2024-6387", "CVE-2021-3156", "CVE-2025-1"]);
    Ok(())
}
