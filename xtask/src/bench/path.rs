//! The whole way: from a sender to the lake and to an alert, all SigmaHQ rules loaded, durable
//! acknowledgement on, the senders on the same machine.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::{load, process};
use crate::browser::Server;
use crate::shell;

/// Alerts measured for the distribution of delays.
const PROBES: usize = 120;
/// Events per second while delays are measured: half of the bar.
const PACED_RATE: usize = 10_000;

pub(super) fn run(is_quick: bool) -> Result<()> {
    shell::build()?;
    let events = if is_quick { 100_000 } else { 600_000 };
    let folder = shell::target().join("bench");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let rules = shell::root().join("../shared/corpus/sigma-rules");
    let config = folder.join("watchfloor.toml");
    let text = if rules.is_dir() {
        format!(
            "commit_ms = 1000\nrules = [{:?}]\n",
            rules.display().to_string()
        )
    } else {
        println!(
            "note: {} is absent, only the built-in rules are loaded",
            rules.display()
        );
        String::new()
    };
    std::fs::write(&config, text)?;
    println!("profile: {}, {events} events", shell::profile());
    idle(&folder)?;
    let made = load::now()?;
    let lines = load::lines(events, &made)?;
    let bytes: usize = lines.iter().map(String::len).sum();
    println!("line: {} bytes on average", bytes / lines.len());
    throughput(
        &folder.join("http"),
        &config,
        &lines,
        bytes,
        Transport::Http,
    )?;
    throughput(
        &folder.join("syslog"),
        &config,
        &lines,
        bytes,
        Transport::Syslog,
    )?;
    alone(&folder, &rules, &lines)?;
    delays(&folder.join("delays"), &config, (&lines, &made))
}

/// The engine without a server around it: the same events, rules and build, one thread.
fn alone(folder: &Path, rules: &Path, lines: &[String]) -> Result<()> {
    let (events, stats) = (folder.join("events.ndjson"), folder.join("stats.json"));
    std::fs::write(&events, lines.join("\n"))?;
    let built_in = shell::root().join("content/rules");
    let mut command = Command::new(shell::watchfloor());
    command.args(["detect", "--threads", "1", "--format", "summary", "--rules"]);
    command.arg(&built_in);
    if rules.is_dir() {
        command.arg("--rules").arg(rules);
    }
    command.arg("--stats").arg(&stats).arg(&events);
    shell::output(&mut command)?;
    let stats: Value = serde_json::from_str(&std::fs::read_to_string(&stats)?)?;
    let rate = stats["events_per_second"].as_f64().unwrap_or(f64::NAN);
    println!(
        "alone: decode, normalize and detect take {:.1} µs an event, {rate:.0} events/s",
        1e6 / rate
    );
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Transport {
    Http,
    Syslog,
}

pub(super) fn start(data: &Path, config: Option<&Path>) -> Result<(Server, String)> {
    let program = shell::watchfloor();
    let data = data.to_string_lossy().into_owned();
    let mut arguments = vec![
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--syslog",
        "127.0.0.1:0",
        "--data",
        &data,
    ];
    let config = config.map(|path| path.to_string_lossy().into_owned());
    if let Some(config) = &config {
        arguments.extend(["--config", config]);
    }
    let server = Server::start(&program, &arguments)?;
    let token = shell::output(
        Command::new(&program).args(["admin", "token", "--scope", "admin", "--data", &data]),
    )?;
    Ok((server, token.trim().to_owned()))
}

/// Start to ready, and memory at rest, with nothing but the defaults.
fn idle(folder: &Path) -> Result<()> {
    let begin = Instant::now();
    let (server, _) = start(&folder.join("idle"), None)?;
    let ready = begin.elapsed().as_secs_f64();
    std::thread::sleep(Duration::from_secs(5));
    println!(
        "start to ready (and a token made): {ready:.2} s; idle memory: {:.0} MiB",
        process::memory_mib(server.id(), "VmRSS")?
    );
    Ok(())
}

fn throughput(
    data: &Path,
    config: &Path,
    lines: &[String],
    bytes: usize,
    transport: Transport,
) -> Result<()> {
    let (server, token) = start(data, Some(config))?;
    let address = server.url.trim_start_matches("http://").to_owned();
    let status = get(&address, &token, "/api/v1/status")?;
    let syslog = status["listeners"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|one| one["kind"] == "syslog-tcp");
    let syslog = syslog
        .and_then(|one| one["address"].as_str())
        .unwrap_or_default()
        .to_owned();
    let cpu_before = process::cpu_seconds(server.id())?;
    let begin = Instant::now();
    match transport {
        Transport::Http => load::over_http(&address, &token, lines, 4)?,
        Transport::Syslog => load::over_syslog(&syslog, lines)?,
    }
    let sent = begin.elapsed().as_secs_f64();
    settle(&address, &token, lines.len() as f64)?;
    let stored = begin.elapsed().as_secs_f64();
    let cpu = process::cpu_seconds(server.id())? - cpu_before;
    let rate = lines.len() as f64 / stored;
    println!(
        "{transport:?}: {} rules; sent and acknowledged in {sent:.1} s, in the lake in {stored:.1} s",
        status["rules"]["loaded"]
    );
    println!(
        "{transport:?}: {rate:.0} events/s, {:.1} MB/s end to end; server CPU {cpu:.1} s ({:.0} % of {stored:.1} s)",
        bytes as f64 / stored / 1e6,
        100.0 * cpu / stored
    );
    stages(
        &text(&address, &token, "/metrics")?,
        lines.len(),
        &transport,
    );
    let lake = get(&address, &token, "/api/v1/status")?["lake"].clone();
    let (rows, stored_bytes) = (
        lake["events"].as_f64().unwrap_or(1.0),
        lake["bytes"].as_f64().unwrap_or(0.0),
    );
    println!(
        "{transport:?}: {:.0} bytes stored per event (raw {:.0}), {} files; peak memory {:.0} MiB",
        stored_bytes / rows,
        bytes as f64 / lines.len() as f64,
        lake["files"],
        process::memory_mib(server.id(), "VmHWM")?
    );
    Ok(())
}

/// Tells what each stage took, and those together that the engine alone has as well.
fn stages(metrics: &str, events: usize, transport: &Transport) {
    for line in metrics
        .lines()
        .filter(|line| line.starts_with("watchfloor_stage_seconds_total"))
    {
        println!("{transport:?}: {line}");
    }
    let stage = |name: &str| {
        let head = format!("watchfloor_stage_seconds_total{{stage=\"{name}\"}} ");
        let mut values = metrics.lines().filter_map(|line| line.strip_prefix(&head));
        values.next().and_then(|value| value.parse::<f64>().ok())
    };
    let inside: f64 = ["decode", "normalize", "detect"]
        .into_iter()
        .filter_map(stage)
        .sum();
    println!(
        "{transport:?}: decode, normalize and detect take {:.1} µs an event inside the server",
        1e6 * inside / events as f64
    );
}

/// Waits until all records are in the lake.
pub(super) fn settle(address: &str, token: &str, wanted: f64) -> Result<()> {
    let end = Instant::now() + Duration::from_secs(600);
    while Instant::now() < end {
        let metrics = text(address, token, "/metrics")?;
        let value = |name: &str| {
            metrics
                .lines()
                .find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok())
        };
        if value("watchfloor_records_stored_total").unwrap_or(0.0) >= wanted
            && value("watchfloor_journal_pending_records") == Some(0.0)
        {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    bail!("the records did not reach the lake within ten minutes")
}

/// From the sending of an event to its alert on a live stream, under half of the bar's load.
fn delays(data: &Path, config: &Path, (lines, made): (&[String], &str)) -> Result<()> {
    let (server, token) = start(data, Some(config))?;
    let address = server.url.trim_start_matches("http://").to_owned();
    let stop = AtomicBool::new(false);
    let mut delays = std::thread::scope(|scope| -> Result<Vec<Duration>> {
        let load = scope.spawn(|| load::paced(&address, &token, lines, made, PACED_RATE, &stop));
        std::thread::sleep(Duration::from_secs(3));
        let measured = probe(&address, &token);
        stop.store(true, Ordering::Relaxed);
        load.join()
            .unwrap_or_else(|_| bail!("the sender stopped"))?;
        measured
    })?;
    delays.sort();
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share) as usize].as_millis();
    println!(
        "event to alert at {PACED_RATE} events/s, {} alerts: p50 {} ms, p99 {} ms, most {} ms",
        delays.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    Ok(())
}

fn probe(address: &str, token: &str) -> Result<Vec<Duration>> {
    let mut live = TcpStream::connect(address)?;
    live.set_read_timeout(Some(Duration::from_secs(20)))?;
    write!(
        live,
        "GET /api/v1/live HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\r\n"
    )?;
    let mut live = BufReader::new(live);
    let mut http = load::Http::connect(address, token)?;
    let mut delays = Vec::with_capacity(PROBES);
    for number in 0..PROBES {
        let host = format!("probe-{number:04}-x");
        let event = serde_json::json!({
            "EventID": 1, "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": host,
            "Image": "C:\\Windows\\System32\\WindowsPowerShell\\v1.0\\powershell.exe",
            "CommandLine": "powershell.exe -NoP -W Hidden -enc SQBFAFgAIAAoAE4AZQB3AC0ATwBiAGoAZQBjAHQAKQA=",
            "ParentImage": "C:\\Windows\\explorer.exe", "User": format!("CORP\\probe{number}"),
        });
        let begin = Instant::now();
        http.send(&event.to_string())?;
        loop {
            let mut line = String::new();
            if live
                .read_line(&mut line)
                .context("no alert came on the live stream")?
                == 0
            {
                bail!("the live stream ended");
            }
            if line.starts_with("data:") && line.contains(&host) {
                break;
            }
        }
        delays.push(begin.elapsed());
        // Not in step with the commits.
        std::thread::sleep(Duration::from_millis(37 + (number as u64 * 53) % 200));
    }
    Ok(delays)
}

fn get(address: &str, token: &str, path: &str) -> Result<Value> {
    serde_json::from_str(&text(address, token, path)?).context("the answer is no JSON")
}

fn text(address: &str, token: &str, path: &str) -> Result<String> {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--fail",
        "--header",
        &format!("Authorization: Bearer {token}"),
        &format!("http://{address}{path}"),
    ]);
    shell::output(&mut curl)
}
