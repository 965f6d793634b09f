//! The cluster form with real parts: nats-server, PostgreSQL, an S3-compatible server, a collector,
//! workers and a console, each a process. Each is killed at random under load; in the end in = stored +
//! counted drops, and nothing is stored twice.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, ensure};
use watchfloor_testkit::{Bucket, Client, Durability, Nats, Postgres, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
const LINES: usize = 40;
const SENDERS: usize = 2;

/// A process of the cluster, with all that is needed to start it again.
struct Part {
    name: &'static str,
    role: &'static str,
    folder: PathBuf,
    config: String,
    server: Option<ServerProcess>,
}

impl Part {
    fn start(&mut self) -> Result<()> {
        let config = self.folder.join(format!("{}.toml", self.name));
        std::fs::write(&config, &self.config)?;
        let data = self.folder.join(self.name);
        let config = config.to_string_lossy().into_owned();
        let arguments = ["--config", &config, "--role", self.role];
        let started = ServerProcess::start(Path::new(PROGRAM), &data, &arguments);
        self.server = Some(started.with_context(|| format!("{} does not start", self.name))?);
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        self.server.take().context("it does not run")?.kill()
    }

    fn url(&self) -> String {
        self.server
            .as_ref()
            .map(|server| server.url.clone())
            .unwrap_or_default()
    }
}

struct Setup {
    nats: Nats,
    postgres: Postgres,
    bucket: Bucket,
    folder: tempfile::TempDir,
    url: String,
}

impl Setup {
    fn start() -> Result<Option<Self>> {
        let Some(nats) = Nats::start()? else {
            return Ok(None);
        };
        let Some(postgres) = Postgres::start(Durability::Full)? else {
            return Ok(None);
        };
        let url = postgres.database()?;
        Ok(Some(Self {
            nats,
            bucket: Bucket::start_on_disk(Path::new(PROGRAM))?,
            folder: tempfile::tempdir()?,
            url,
            postgres,
        }))
    }

    fn part(&self, name: &'static str, role: &'static str) -> Part {
        let config = format!(
            "syslog = \"off\"\n[store]\nurl = \"{}\"\n[journal]\nnats = \"{}\"\npartitions = 4\npartition_mib = 256\n\
             [lake]\nlocation = \"s3://soc/lake\"\n[lake.storage]\nendpoint = \"{}\"\nregion = \"us-east-1\"\n\
             allow_http = \"true\"\ntimeout = \"5s\"\naccess_key_id = \"watchfloor\"\nsecret_access_key = \"test\"\n",
            self.url,
            self.nats.url(),
            self.bucket.endpoint
        );
        Part {
            name,
            role,
            folder: self.folder.path().to_owned(),
            config,
            server: None,
        }
    }
}

/// One sender: numbered batches, each sent again until it is acknowledged.
fn send(name: &str, address: &Mutex<Client>, stop: &AtomicBool) -> usize {
    let mut batch = 0;
    while !stop.load(Ordering::Relaxed) {
        let line = |line| {
            let number = batch * LINES + line;
            format!(
                "{{\"sender\":\"{name}\",\"number\":{number},\"pad\":\"{}\"}}",
                "x".repeat(200)
            )
        };
        let lines: Vec<String> = (0..LINES).map(line).collect();
        let key = format!("{name}-{batch}");
        // Each sender is a source of its own, and sources are spread over the partitions.
        let path = format!("/ingest/ndjson?source={name}");
        loop {
            let client = address.lock().unwrap().clone();
            let headers = [("Idempotency-Key", &*key)];
            match client.post(&path, &headers, lines.join("\n").as_bytes()) {
                Ok(answer) if answer.status == 200 && answer.json()["accepted"] == LINES => break,
                _ => thread::sleep(Duration::from_millis(20)),
            }
        }
        batch += 1;
    }
    batch * LINES
}

/// How often each number of a sender is stored.
fn stored(client: &Client, sender: &str, sent: usize) -> Result<BTreeMap<u64, u64>> {
    let mut counts = BTreeMap::new();
    const STEP: usize = 5000;
    for start in (0..sent).step_by(STEP) {
        let query = format!("sender:{sender} number:[{start} to {}]", start + STEP - 1);
        for event in client.events(&query)? {
            let number = event["fields"]["unmapped.number"].as_str();
            *counts
                .entry(number.context("no number")?.parse()?)
                .or_default() += 1;
        }
    }
    Ok(counts)
}

fn wait_long(what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    // One wait of the kit is a minute; a cluster whose parts were all killed may take two.
    match wait_for(what, &mut holds) {
        Ok(()) => Ok(()),
        Err(_) => wait_for(what, holds),
    }
}

fn check(console: &Client, sent: &[usize], seed: u32) -> Result<()> {
    let total: usize = sent.iter().sum();
    wait_long("everything is stored and counted", || {
        let Ok(ledger) = console.balanced_ledger() else {
            return Ok(false);
        };
        Ok(ledger.stored >= total as u64)
    })?;
    for (index, sent) in sent.iter().enumerate() {
        let counts = stored(console, &format!("s{index}"), *sent)?;
        let lost: Vec<u64> = (0..*sent as u64)
            .filter(|number| !counts.contains_key(number))
            .collect();
        ensure!(
            lost.is_empty(),
            "seed {seed}: sender {index} lost {} of {sent}: {:?}",
            lost.len(),
            &lost[..lost.len().min(5)]
        );
        let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count > 1).collect();
        ensure!(
            doubled.is_empty(),
            "seed {seed}: sender {index} doubled {doubled:?}"
        );
    }
    let ledger = console.balanced_ledger()?;
    ensure!(
        ledger.stored == total as u64 && ledger.received == ledger.stored,
        "seed {seed}: {ledger:?}, {total} were sent"
    );
    Ok(())
}

#[test]
fn workers_share_the_load_and_take_over_from_each_other() -> Result<()> {
    let Some(mut setup) = Setup::start()? else {
        return Ok(());
    };
    let rounds = match std::env::var_os("WATCHFLOOR_TEST_DEEP") {
        Some(_) => 40,
        None => 6,
    };
    let mut parts = [
        setup.part("collector", "collect"),
        setup.part("worker-a", "detect"),
        setup.part("worker-b", "detect"),
        setup.part("console", "search,console"),
    ];
    for part in &mut parts {
        part.start()?;
    }
    let token = {
        let console = parts[3].server.as_ref().context("no console")?;
        let password = [("WATCHFLOOR_STORE_PASSWORD", Postgres::PASSWORD)];
        console
            .client_with("ingest,read", &password)?
            .token()
            .to_owned()
    };
    let shared = Arc::new(Mutex::new(Client::new(&parts[0].url(), &token)));
    let refused = shared.lock().unwrap().get("/api/v1/alerts")?;
    ensure!(refused.status == 404, "a collector answers queries");
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|index| {
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
            thread::spawn(move || send(&format!("s{index}"), &shared, &stop))
        })
        .collect();
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let mut random = u64::from(seed) | 1;
    for round in 0..rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        thread::sleep(Duration::from_millis(500 + random % 2000));
        // Each kind is met in a short run too.
        match (round + seed as usize) % 6 {
            0 => {
                parts[0].kill()?;
                parts[0].start()?;
                *shared.lock().unwrap() = Client::new(&parts[0].url(), &token);
            }
            1 => {
                let worker = 1 + (random % 2) as usize;
                parts[worker].kill()?;
                // The other works alone for a while.
                thread::sleep(Duration::from_millis(random % 3000));
                parts[worker].start()?;
            }
            2 => {
                setup.nats.kill()?;
                thread::sleep(Duration::from_millis(random % 1500));
                setup.nats.start_again()?;
            }
            3 => {
                setup.postgres.kill()?;
                thread::sleep(Duration::from_millis(random % 1500));
                setup.postgres.start_again(Durability::Full)?;
            }
            4 => {
                setup.bucket.kill()?;
                thread::sleep(Duration::from_millis(random % 1500));
                setup.bucket.start_again()?;
            }
            _ => {
                setup.bucket.signal("STOP")?;
                thread::sleep(Duration::from_millis(500 + random % 3000));
                setup.bucket.signal("CONT")?;
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    let sent: Vec<usize> = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .collect();
    let console = Client::new(&parts[3].url(), &token);
    check(&console, &sent, seed)?;
    // A worker that is told to end gives its partitions back.
    for part in &mut parts {
        part.kill()?;
    }
    Ok(())
}
