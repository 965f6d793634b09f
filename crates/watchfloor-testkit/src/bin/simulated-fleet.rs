//! Thousands of agents in one process, for `cargo xtask bench respond`: they enrol, connect, send
//! records and heartbeats at a steady rate, and do what lines on standard input tell.
//!
//! `simulated-fleet SERVER TOKEN AGENTS RECORDS_PER_SECOND HEARTBEAT_S`; then `reconnect`,
//! `expect CPU_PERCENT` and `report` as lines; each is answered by a line of JSON.

use std::io::BufRead;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::json;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use watchfloor_link::{EnrolmentToken, Health, ToAgent, ToServer};
use watchfloor_testkit::{EnrolledAgent, host, now_ms};

/// Agents that enrol at the same time.
const ENROLLING: usize = 64;

/// What all agents count together.
#[derive(Default)]
struct Counts {
    sent: AtomicU64,
    stored: AtomicU64,
    connected: AtomicU64,
    with_policy: AtomicU64,
    lost: AtomicU64,
    wanted_cpu: AtomicU32,
}

fn main() -> Result<()> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?
        .block_on(run())
}

async fn run() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [server, token, agents, rate, heartbeat] = &arguments[..] else {
        bail!("simulated-fleet SERVER TOKEN AGENTS RECORDS_PER_SECOND HEARTBEAT_S");
    };
    let (agents, rate): (usize, f64) = (agents.parse()?, rate.parse()?);
    let heartbeat = Duration::from_secs(heartbeat.parse()?);
    let counts = Arc::new(Counts::default());
    let begin = Instant::now();
    let fleet = enrol(server, &token.parse()?, agents).await?;
    say(json!({ "did": "enrol", "agents": agents, "seconds": begin.elapsed().as_secs_f64() }));
    // A new number tells all agents to hang up and come again at once.
    let (round, rounds) = watch::channel(0_u32);
    for (index, agent) in fleet.into_iter().enumerate() {
        let one = One {
            agent,
            server: server.clone(),
            counts: Arc::clone(&counts),
            pause: Duration::from_secs_f64(1.0 / rate),
            heartbeat,
            offset: index as f64 / agents as f64,
        };
        tokio::spawn(one.live(rounds.clone()));
    }
    let all = agents as u64;
    let connected = |counts: &Counts| counts.connected.load(Ordering::Acquire) >= all;
    until(&counts, connected, "connect", begin).await;
    let lines = lines();
    while let Ok(line) = lines.recv_async().await {
        let begin = Instant::now();
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            ["reconnect"] => {
                counts.connected.store(0, Ordering::Release);
                round.send_modify(|round| *round += 1);
                until(&counts, connected, "reconnect", begin).await;
            }
            ["expect", cpu] => {
                counts.wanted_cpu.store(cpu.parse()?, Ordering::Release);
                counts.with_policy.store(0, Ordering::Release);
                say(json!({ "did": "expecting" }));
                let have = |counts: &Counts| counts.with_policy.load(Ordering::Acquire) >= all;
                until(&counts, have, "policy", begin).await;
            }
            ["report"] => say(json!({
                "did": "report",
                "sent": counts.sent.load(Ordering::Acquire),
                "stored": counts.stored.load(Ordering::Acquire),
                "connected": counts.connected.load(Ordering::Acquire),
                "lost": counts.lost.load(Ordering::Acquire),
            })),
            _ => bail!("'{line}' is not known"),
        }
    }
    Ok(())
}

/// Lines of standard input, from a thread of their own.
struct Lines(tokio::sync::Mutex<tokio::sync::mpsc::Receiver<String>>);

impl Lines {
    async fn recv_async(&self) -> Result<String> {
        self.0.lock().await.recv().await.context("the end")
    }
}

fn lines() -> Lines {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    Lines(tokio::sync::Mutex::new(receiver))
}

fn say(line: serde_json::Value) {
    println!("{line}");
}

async fn until(counts: &Counts, holds: impl Fn(&Counts) -> bool, did: &str, begin: Instant) {
    while !holds(counts) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    say(json!({ "did": did, "seconds": begin.elapsed().as_secs_f64() }));
}

async fn enrol(server: &str, token: &EnrolmentToken, agents: usize) -> Result<Vec<EnrolledAgent>> {
    let turns = Arc::new(Semaphore::new(ENROLLING));
    let mut tasks = JoinSet::new();
    for number in 0..agents {
        let (server, token, turns) = (server.to_owned(), token.clone(), Arc::clone(&turns));
        tasks.spawn(async move {
            let _turn = turns.acquire().await?;
            let host = host(&format!("sim-{number:05}"));
            EnrolledAgent::enrol(&server, &token, host).await?.let_in()
        });
    }
    let mut fleet = Vec::with_capacity(agents);
    while let Some(done) = tasks.join_next().await {
        fleet.push(done??);
    }
    Ok(fleet)
}

/// One agent.
struct One {
    agent: EnrolledAgent,
    server: String,
    counts: Arc<Counts>,
    pause: Duration,
    heartbeat: Duration,
    /// Where in a period it begins, 0 to 1, so that not all speak at once.
    offset: f64,
}

impl One {
    async fn live(self, mut rounds: watch::Receiver<u32>) {
        let (mut number, mut policy) = (1_u64, 0_u64);
        loop {
            rounds.borrow_and_update();
            let spoken = self.speak(&mut rounds, (&mut number, &mut policy)).await;
            if spoken.is_err() {
                self.counts.lost.fetch_add(1, Ordering::AcqRel);
                tokio::time::sleep(Duration::from_secs_f64(1.0 + 4.0 * self.offset)).await;
            }
        }
    }

    async fn speak(
        &self,
        rounds: &mut watch::Receiver<u32>,
        (number, policy): (&mut u64, &mut u64),
    ) -> Result<()> {
        let link = self.agent.connect(&self.server, *policy).await?;
        let mut link = link.let_in()?;
        self.counts.connected.fetch_add(1, Ordering::AcqRel);
        let start = tokio::time::Instant::now();
        let mut records =
            tokio::time::interval_at(start + self.pause.mul_f64(self.offset), self.pause);
        let mut beats =
            tokio::time::interval_at(start + self.heartbeat.mul_f64(self.offset), self.heartbeat);
        loop {
            tokio::select! {
                _ = rounds.changed() => return Ok(()),
                _ = records.tick() => {
                    let record = self.record(*number);
                    link.send_records(1, *number, &[record]).await?;
                    *number += 1;
                    self.counts.sent.fetch_add(1, Ordering::AcqRel);
                }
                _ = beats.tick() => {
                    let health = Health { memory_bytes: 20 << 20, ..Health::default() };
                    link.send(ToServer::Heartbeat { clock_ms: now_ms(), policy: *policy, health }).await?;
                }
                heard = link.next() => self.hear(heard?.message, policy),
            }
        }
    }

    fn hear(&self, message: ToAgent, policy: &mut u64) {
        match message {
            ToAgent::Stored { .. } => {
                self.counts.stored.fetch_add(1, Ordering::AcqRel);
            }
            ToAgent::Policy { policy: new } => {
                *policy = new.revision;
                if new.cpu_percent == self.counts.wanted_cpu.load(Ordering::Acquire) {
                    self.counts.with_policy.fetch_add(1, Ordering::AcqRel);
                }
            }
            _ => {}
        }
    }

    fn record(&self, number: u64) -> serde_json::Value {
        let host = &self.agent.host.name;
        json!({
            "watchfloor": { "kind": "log", "agent": self.agent.id, "agent_version": "0.1.0" },
            "host": { "name": host },
            "log": { "file": { "path": "/var/log/auth.log" } },
            "message": format!("Dec  1 12:00:00 {host} sshd[{number}]: Accepted publickey for deploy from 10.9.8.7 port 50022 ssh2: ED25519 SHA256:abc"),
        })
    }
}
