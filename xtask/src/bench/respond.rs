//! Response at its size: ten thousand simulated agents at one server, and the pages of a queue
//! and an incident that are far too full.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::{path, process};
use crate::browser::Server;
use crate::shell;

/// Seconds between heartbeats of the simulated agents.
const HEARTBEAT_S: u32 = 60;
/// Records a second of each simulated agent.
const RATE: f64 = 0.2;
/// Requests of which the ninety-ninth percentile is taken.
const REQUESTS: usize = 300;
/// No alert for so long: something is wrong.
const STALLED: Duration = Duration::from_secs(60);
/// Events of one request.
const BATCH: usize = 5_000;
/// The rule that makes an alert of every event of the full queue.
const RULE: &str = "title: Bench\nid: 0b0c6c5e-6f0a-4d39-9d1a-8f8a4a1f2b10\nstatus: test\nlevel: low\nlogsource: {}\ndetection:\n  one:\n    bench: queue\n  condition: one\n";

pub(super) fn run(is_quick: bool) -> Result<()> {
    shell::build()?;
    let folder = shell::target().join("bench-respond");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let (agents, seconds) = if is_quick { (1_000, 20) } else { (10_000, 180) };
    println!("profile: {}", shell::profile());
    if !std::env::args().any(|one| one == "--pages") {
        fleet(&folder, agents, seconds)?;
    }
    let (alerts, in_one) = if is_quick {
        (5_000, 1_000)
    } else {
        (100_000, 10_000)
    };
    pages(&folder, alerts, in_one)
}

/// The simulated fleet as a process, told by lines.
struct Fleet {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Fleet {
    fn start(server: &str, token: &str, agents: usize) -> Result<Self> {
        let mut child = Command::new(shell::watchfloor().with_file_name("simulated-fleet"))
            .args([
                server,
                token,
                &agents.to_string(),
                &RATE.to_string(),
                &HEARTBEAT_S.to_string(),
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("the simulated fleet does not start; cargo build --workspace makes it")?;
        let answers = BufReader::new(child.stdout.take().context("no output")?);
        Ok(Self { child, answers })
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        let input = self.child.stdin.as_mut().context("no input")?;
        Ok(writeln!(input, "{line}")?)
    }

    fn hear(&mut self, did: &str) -> Result<Value> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let heard: Value =
            serde_json::from_str(&line).with_context(|| format!("no answer: {line}"))?;
        if heard["did"] != did {
            bail!("the fleet said {heard} and not {did}");
        }
        Ok(heard)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn seconds_of(heard: &Value) -> f64 {
    heard["seconds"].as_f64().unwrap_or(f64::NAN)
}

fn fleet(folder: &std::path::Path, agents: usize, seconds: u64) -> Result<()> {
    let config = folder.join("fleet.toml");
    std::fs::write(&config, format!("[fleet]\nheartbeat_s = {HEARTBEAT_S}\n"))?;
    let (server, token) = path::start(&folder.join("fleet"), Some(&config))?;
    let idle = process::memory_mib(server.id(), "VmRSS")?;
    let mut http = Http::open(&server, &token)?;
    let door = http.call("GET", "/api/v1/fleet", None)?;
    let door = door["listen"]
        .as_str()
        .context("agents are not waited for")?;
    let made = json!({ "uses": agents });
    let made = http.call("POST", "/api/v1/fleet/enrolments", Some(&made))?;
    let enrolment = made["token"].as_str().context("no token")?;
    let mut fleet = Fleet::start(door, enrolment, agents)?;
    let enrolled = seconds_of(&fleet.hear("enrol")?);
    println!(
        "{agents} agents enrolled in {enrolled:.1} s ({:.0}/s)",
        agents as f64 / enrolled
    );
    fleet.hear("connect")?;
    let (busy, begin) = (process::cpu_seconds(server.id())?, Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let cores = (process::cpu_seconds(server.id())? - busy) / begin.elapsed().as_secs_f64();
    println!(
        "steady for {seconds} s ({RATE} records/s each, a heartbeat in {HEARTBEAT_S} s): {cores:.2} cores, memory {:.0} MiB ({idle:.0} without agents)",
        process::memory_mib(server.id(), "VmRSS")?
    );
    fleet.tell("report")?;
    println!("fleet: {}", fleet.hear("report")?);
    fleet.tell("expect 7")?;
    fleet.hear("expecting")?;
    let policy = json!({ "policy": { "cpu_percent": 7 } });
    http.call("PATCH", "/api/v1/fleet/groups/standard", Some(&policy))?;
    println!(
        "policy at all agents after {:.2} s",
        seconds_of(&fleet.hear("policy")?)
    );
    fleet.tell("reconnect")?;
    println!(
        "all agents came again at once: let in after {:.1} s",
        seconds_of(&fleet.hear("reconnect")?)
    );
    println!(
        "peak memory {:.0} MiB",
        process::memory_mib(server.id(), "VmHWM")?
    );
    Ok(())
}

/// A connection that stays open, as a browser's does.
struct Http {
    stream: BufReader<TcpStream>,
    address: String,
    token: String,
}

impl Http {
    fn open(server: &Server, token: &str) -> Result<Self> {
        let address = server.url.trim_start_matches("http://").to_owned();
        let stream = TcpStream::connect(&address)?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            address,
            token: token.to_owned(),
        })
    }

    fn call(&mut self, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
        let text = body.map_or_else(String::new, Value::to_string);
        let answer = self.raw(method, path, text.as_bytes())?;
        serde_json::from_slice(&answer).with_context(|| format!("{method} {path}: no JSON"))
    }

    fn raw(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>> {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            self.address,
            self.token,
            body.len()
        );
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes())?;
        stream.write_all(body)?;
        let (mut status, mut length, mut is_chunked) = (String::new(), 0, false);
        self.stream.read_line(&mut status)?;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let line = line.trim().to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(text) = line.strip_prefix("content-length:") {
                length = text.trim().parse()?;
            }
            is_chunked |= line.starts_with("transfer-encoding:") && line.contains("chunked");
        }
        let answer = match is_chunked {
            true => self.chunks()?,
            false => {
                let mut answer = vec![0; length];
                self.stream.read_exact(&mut answer)?;
                answer
            }
        };
        if !status.contains(" 20") {
            bail!(
                "{method} {path}: {} {}",
                status.trim(),
                String::from_utf8_lossy(&answer)
            );
        }
        Ok(answer)
    }

    fn chunks(&mut self) -> Result<Vec<u8>> {
        let mut answer = Vec::new();
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line)?;
            let size = usize::from_str_radix(line.trim(), 16)?;
            let start = answer.len();
            answer.resize(start + size, 0);
            self.stream.read_exact(&mut answer[start..])?;
            self.stream.read_line(&mut line)?;
            if size == 0 {
                return Ok(answer);
            }
        }
    }

    /// Milliseconds of many calls, sorted; and bytes of the answer.
    fn times(&mut self, path: &str) -> Result<(Vec<f64>, usize)> {
        let mut times = Vec::with_capacity(REQUESTS);
        let mut bytes = 0;
        for _ in 0..REQUESTS {
            let begin = Instant::now();
            bytes = self.raw("GET", path, b"")?.len();
            times.push(begin.elapsed().as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok((times, bytes))
    }
}

/// The queue with many open alerts, and an incident with many of them.
fn pages(folder: &std::path::Path, alerts: usize, in_one: usize) -> Result<()> {
    let rules = folder.join("rules");
    std::fs::create_dir_all(&rules)?;
    std::fs::write(rules.join("bench.yml"), RULE)?;
    let config = folder.join("pages.toml");
    std::fs::write(
        &config,
        format!("rules = [{:?}]\n", rules.display().to_string()),
    )?;
    let (server, token) = path::start(&folder.join("pages"), Some(&config))?;
    let mut http = Http::open(&server, &token)?;
    let begin = Instant::now();
    let made: Vec<usize> = (0..alerts).collect();
    for batch in made.chunks(BATCH) {
        let at = clock();
        let lines: Vec<String> = batch
            .iter()
            .map(|number| event(*number, in_one, &at))
            .collect();
        http.raw("POST", "/ingest/ndjson", lines.join("\n").as_bytes())?;
    }
    let mut known = (0, Instant::now());
    let total = loop {
        let found = http.call("GET", "/api/v1/alerts?limit=1", None)?;
        let total = found["total"].as_u64().unwrap_or(0);
        if total >= alerts as u64 {
            break total;
        }
        if total > known.0 {
            known = (total, Instant::now());
        } else if known.1.elapsed() > STALLED {
            bail!("{total} of {alerts} alerts came, and then none for a minute");
        }
        std::thread::sleep(Duration::from_millis(500));
    };
    let seconds = begin.elapsed().as_secs_f64();
    println!(
        "{total} alerts after {seconds:.0} s ({:.0}/s)",
        total as f64 / seconds
    );
    let id = crowded(&mut http, in_one)?;
    for (what, path) in [
        (
            "queue page",
            "/api/v1/alerts?status=new&limit=100".to_owned(),
        ),
        (
            "queue by severity",
            "/api/v1/alerts?status=new&limit=100&sort=-severity".to_owned(),
        ),
        ("incidents page", "/api/v1/incidents?limit=100".to_owned()),
        ("incident page", format!("/api/v1/incidents/{id}")),
    ] {
        let (times, bytes) = http.times(&path)?;
        let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
        println!(
            "{what}: p50 {:.1} ms, p99 {:.1} ms, {bytes} bytes",
            at(0.5),
            at(0.99)
        );
    }
    Ok(())
}

/// An incident with many alerts.
fn crowded(http: &mut Http, in_one: usize) -> Result<String> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    while ids.len() < in_one {
        let path = format!("/api/v1/alerts?limit=1000&cursor={cursor}");
        let page = http.call("GET", &path, None)?;
        let rows = page["items"].as_array().cloned().unwrap_or_default();
        ids.extend(rows.iter().map(|row| row["id"].clone()));
        cursor = page["next"].as_str().context("too few alerts")?.to_owned();
    }
    ids.truncate(in_one);
    let begin = Instant::now();
    let new = json!({ "title": "Crowded", "severity": "high", "alert_ids": ids });
    let made = http.call("POST", "/api/v1/incidents", Some(&new))?;
    println!(
        "an incident of {in_one} alerts was made in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    Ok(made["id"].as_str().context("no incident")?.to_owned())
}

/// An event of the full queue; the first ones share a host, each of the others has one.
fn event(number: usize, in_one: usize, at: &str) -> String {
    let host = match number < in_one {
        true => "crowded".to_owned(),
        false => format!("host-{number}"),
    };
    json!({
        "bench": "queue",
        "message": format!("{at} {host} sshd[7]: Disconnected from user user-{number} 192.0.2.{} port 22", number % 250),
    })
    .to_string()
}

/// Now as syslog writes it (RFC 3164): the alerts are of one day.
fn clock() -> String {
    let said = shell::output(Command::new("date").args(["--utc", "+%b %e %H:%M:%S"]));
    said.map_or_else(
        |_| "Jan  1 00:00:00".to_owned(),
        |text| text.trim().to_owned(),
    )
}
