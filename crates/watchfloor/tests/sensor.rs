//! The sensor with a real Suricata: capture files, rule sets and their tuning, a live run over a
//! pair of interfaces in network namespaces of the test's own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use watchfloor_testkit::{ServerProcess, corpus, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");

/// Whether Suricata is there; says that a test is skipped if it is not.
fn has_suricata() -> bool {
    let is_there = Path::new("/usr/bin/suricata").is_file();
    if !is_there {
        println!("skipped: Suricata is not installed");
    }
    is_there
}

fn sensor(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(PROGRAM)
        .arg("sensor")
        .args(arguments)
        .arg("--dir")
        .arg(folder.join("sensor"))
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

fn rules(folder: &Path, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(PROGRAM)
        .args(["sensor", "rules"])
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()?;
    Ok(output)
}

fn text(output: &Output) -> String {
    [&output.stdout, &output.stderr]
        .map(|bytes| String::from_utf8_lossy(bytes))
        .concat()
}

const RULES: &str = r#"alert udp any any -> any 5353 (msg:"WF test one"; content:"watchfloor"; sid:9000001; rev:1;)
# alert udp any any -> any 5353 (msg:"WF test two"; content:"watch"; sid:9000002; rev:1;)
alert udp any any -> any 5353 (msg:"WF test three"; content:"floor"; sid:9000003; rev:1;)
"#;

#[test]
fn rule_sets_are_kept_tuned_and_tested_before_they_are_used() -> Result<()> {
    if !has_suricata() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    let set = folder.join("own.rules");
    std::fs::write(&set, RULES)?;
    let added = rules(folder, &["add", "own", &set.to_string_lossy()])?;
    ensure!(added.status.success(), "{}", text(&added));
    assert!(
        text(&added).contains("2 rules of 1 files are in use, 1 are off"),
        "{}",
        text(&added)
    );
    let tuned = rules(folder, &["enable", "re:WF test two"])?;
    assert!(text(&tuned).contains("3 rules"), "{}", text(&tuned));
    let tuned = rules(folder, &["disable", "9000003"])?;
    assert!(text(&tuned).contains("2 rules"), "{}", text(&tuned));
    let suppressed = rules(
        folder,
        &[
            "suppress",
            "9000001",
            "--track",
            "by_src",
            "--ip",
            "10.0.0.0/8",
        ],
    )?;
    ensure!(suppressed.status.success(), "{}", text(&suppressed));
    let active = folder.join("watchfloor-sensor/active.rules");
    let before = std::fs::read_to_string(&active)?;

    // A set that Suricata refuses changes nothing, and the fault is named.
    std::fs::write(
        &set,
        "alert udp any any -> any any (msg:\"x\"; nonsense:1; sid:1;)\n",
    )?;
    let refused = rules(folder, &["update"])?;
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused));
    assert!(text(&refused).contains("nonsense"), "{}", text(&refused));
    assert_eq!(std::fs::read_to_string(&active)?, before);
    let unknown = rules(folder, &["disable", "not-a-number"])?;
    assert!(text(&unknown).contains("file:GLOB"), "{}", text(&unknown));
    Ok(())
}

/// Number and addresses of alerts, sorted.
fn alerts_of(values: &[Value]) -> Vec<(u64, String, String)> {
    let of = |value: &Value| -> Option<(u64, String, String)> {
        let event = &value["event"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = value["rule_id"]
            .as_str()?
            .strip_prefix("suricata:")?
            .parse()
            .ok()?;
        let ip = |side: &str| text(&event[side]["ip"]);
        Some((number, ip("src_endpoint"), ip("dst_endpoint")))
    };
    let mut alerts: Vec<_> = values.iter().filter_map(of).collect();
    alerts.sort();
    alerts
}

/// Capture files whose expected alerts were made with switches of their own test.
const WITH_SWITCHES: [&str; 2] = ["bug-3286-02-linux-evasion", "decode-too-small"];

#[test]
fn capture_files_give_the_alerts_that_suricata_gives() -> Result<()> {
    let (true, Some(corpus)) = (has_suricata(), corpus()) else {
        return Ok(());
    };
    let expected = corpus.join("expected/suricata_7.0.10_alerts.jsonl");
    let tests = corpus.join("suricata-verify/tests");
    let folder = tempfile::tempdir()?;
    let deep = std::env::var_os("WATCHFLOOR_TEST_DEEP").is_some();
    let (mut compared, mut different) = (0, Vec::new());
    for line in std::fs::read_to_string(expected)?.lines() {
        let wanted: Value = serde_json::from_str(line)?;
        let name = wanted["test"].as_str().context("no name")?;
        let pcap = tests.join(wanted["pcap"].as_str().context("no pcap")?);
        let rules = tests.join(name).join("test.rules");
        let is_plain = wanted["own_yaml"] == false
            && wanted["rc"] == 0
            && (rules.is_file() && pcap.is_file())
            && !WITH_SWITCHES.contains(&name);
        let alerts = wanted["alerts"].as_array().context("no alerts")?;
        // Twenty of them in the everyday run, all of them in the deep one.
        if !is_plain || alerts.is_empty() || (!deep && compared >= 20) {
            continue;
        }
        compared += 1;
        let path = pcap.to_string_lossy();
        let output = sensor(folder.path(), &[&path, "--rules", &rules.to_string_lossy()])?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let printed: Vec<Value> = printed
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?;
        let mut wanted: Vec<(u64, String, String)> = alerts
            .iter()
            .map(|alert| {
                let text = |at: usize| alert[at].as_str().unwrap_or_default().to_owned();
                (alert[0].as_u64().unwrap_or_default(), text(1), text(3))
            })
            .collect();
        wanted.sort();
        if alerts_of(&printed) != wanted {
            different.push(format!(
                "{name}: {:?}, not {wanted:?}; {}",
                alerts_of(&printed),
                text(&output)
            ));
        }
    }
    ensure!(compared >= 15, "only {compared} capture files");
    assert!(
        different.is_empty(),
        "{} of {compared}:\n{}",
        different.len(),
        different.join("\n")
    );
    Ok(())
}

#[test]
fn alerts_of_a_capture_file_become_alerts_with_packets_to_open() -> Result<()> {
    let (true, Some(corpus)) = (has_suricata(), corpus()) else {
        return Ok(());
    };
    let test = corpus.join("suricata-verify/tests/alert-testmyids-async");
    let pcap = std::fs::read_dir(&test)?
        .flatten()
        .map(|entry| entry.path())
        .find(|path| {
            path.extension()
                .is_some_and(|extension| extension == "pcap")
        });
    let Some(pcap) = pcap else {
        println!("skipped: no capture file in {}", test.display());
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let rule = folder.path().join("any.rules");
    std::fs::write(
        &rule,
        "alert ip any any -> any any (msg:\"WF any\"; sid:9000009; rev:1;)\n",
    )?;
    let output = sensor(
        folder.path(),
        &[
            &pcap.to_string_lossy(),
            "--rules",
            &rule.to_string_lossy(),
            "--data",
            &data.to_string_lossy(),
        ],
    )?;
    ensure!(output.status.success(), "{}", text(&output));
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let client = server.client("admin")?;
    wait_for("the alert", || {
        let alerts = client.get("/api/v1/alerts?limit=100")?.json();
        let items = alerts["items"].as_array().cloned().unwrap_or_default();
        Ok(items
            .iter()
            .any(|alert| alert["title"] == "WF any" && alert["rule_id"] == "suricata:9000009"))
    })?;
    let events = client.events("rule.uid:9000009")?;
    let with_packet = events
        .iter()
        .find(|event| event["fields"]["unmapped.packet"].is_string());
    let id = with_packet.context("no event carries its packet")?["id"]
        .as_str()
        .context("no id")?;
    let packets = client.get(&format!("/api/v1/events/{id}/packets"))?;
    assert_eq!(
        (packets.status, &packets.body[..4]),
        (200, &[0xd4, 0xc3, 0xb2, 0xa1][..])
    );
    // Flows and protocol records stand beside the alert, under the same connection.
    let flow = events[0]["fields"]["connection_info.uid"]
        .as_str()
        .context("no flow")?;
    assert!(client.events(&format!("connection_info.uid:{flow}"))?.len() > 1);
    Ok(())
}

/// Two hosts of the test's own, joined by a cable.
struct Cable {
    spaces: [String; 2],
}

impl Cable {
    fn new() -> Result<Self> {
        let id = std::process::id() % 100_000;
        let spaces = [format!("wfa{id}"), format!("wfb{id}")];
        let cable = Self { spaces };
        let [left, right] = &cable.spaces;
        for arguments in [
            format!("netns add {left}"),
            format!("netns add {right}"),
            format!("link add wl{id} netns {left} type veth peer name wr{id} netns {right}"),
            format!("-n {left} addr add 10.231.7.1/24 dev wl{id}"),
            format!("-n {right} addr add 10.231.7.2/24 dev wr{id}"),
            format!("-n {left} link set wl{id} up"),
            format!("-n {right} link set wr{id} up"),
        ] {
            let status = Command::new("ip").args(arguments.split(' ')).status()?;
            ensure!(status.success(), "ip {arguments}");
        }
        Ok(cable)
    }

    fn interface(&self) -> String {
        format!("wr{}", std::process::id() % 100_000)
    }

    fn within(&self, space: usize, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.spaces[space], program]);
        command
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        for space in &self.spaces {
            let _ = Command::new("ip").args(["netns", "del", space]).status();
        }
    }
}

/// Ends with the test, and its Suricata with it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &id]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn a_live_sensor_sends_alerts_and_starts_suricata_again() -> Result<()> {
    if !has_suricata() {
        return Ok(());
    }
    let Ok(cable) = Cable::new() else {
        println!("skipped: network namespaces cannot be made here");
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let server = ServerProcess::start(Path::new(PROGRAM), &data, &["--syslog", "off"])?;
    let client = server.client("admin")?;
    let set = folder.path().join("own.rules");
    std::fs::write(&set, RULES)?;
    let added = rules(folder.path(), &["add", "own", &set.to_string_lossy()])?;
    ensure!(added.status.success(), "{}", text(&added));
    let sensor_folder: PathBuf = folder.path().join("watchfloor-sensor");
    let child = cable
        .within(1, PROGRAM)
        .args(["sensor", "--interface", &cable.interface(), "--dir"])
        .arg(&sensor_folder)
        .arg("--data")
        .arg(&data)
        .spawn()?;
    let running = Running(child);
    let send = || -> Result<()> {
        let script = "import socket; s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.sendto(b'hello watchfloor',('10.231.7.2',5353))";
        cable.within(0, "python3").args(["-c", script]).status()?;
        Ok(())
    };
    let alerts = || -> Result<usize> { Ok(client.events("rule.uid:9000001")?.len()) };
    wait_for("an alert of the live sensor", || {
        send()?;
        Ok(alerts()? > 0)
    })?;
    // It is started again when it dies.
    let before = alerts()?;
    Command::new("pkill")
        .args([
            "-KILL",
            "-f",
            &sensor_folder.join("suricata.yaml").to_string_lossy(),
        ])
        .status()?;
    wait_for("an alert after Suricata died", || {
        send()?;
        Ok(alerts()? > before)
    })?;
    // How much it dropped is an event as well.
    wait_for("counts of the capture", || {
        Ok(!client.events("metadata.event_code:stats")?.is_empty()
            || !client.events("stats.capture.kernel_packets:*")?.is_empty())
    })?;
    drop(running);
    Ok(())
}
