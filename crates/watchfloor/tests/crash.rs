//! No acknowledged event is lost and none is stored twice, whenever the server is killed.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, ensure};
use watchfloor_testkit::{Client, ServerProcess, wait_for};

const PROGRAM: &str = env!("CARGO_BIN_EXE_watchfloor");
const SENDERS: usize = 2;
const LINES_PER_BATCH: usize = 40;

/// One sender: numbered batches, each sent again until it is acknowledged.
fn send(name: &str, address: &Mutex<Client>, stop: &AtomicBool) -> usize {
    let mut batch = 0;
    while !stop.load(Ordering::Relaxed) {
        let lines: Vec<String> = (0..LINES_PER_BATCH)
            .map(|line| {
                format!(
                    "{{\"sender\":\"{name}\",\"number\":{},\"pad\":\"{}\"}}",
                    batch * LINES_PER_BATCH + line,
                    "x".repeat(300)
                )
            })
            .collect();
        let body = lines.join("\n");
        let key = format!("{name}-{batch}");
        loop {
            let client = address.lock().unwrap().clone();
            let answer = client.post(
                "/ingest/ndjson",
                &[("Idempotency-Key", &key)],
                body.as_bytes(),
            );
            match answer {
                Ok(answer)
                    if answer.status == 200 && answer.json()["accepted"] == LINES_PER_BATCH =>
                {
                    break;
                }
                // Killed, or not up again yet: the sender cannot know, and sends again.
                _ => thread::sleep(Duration::from_millis(5)),
            }
        }
        batch += 1;
    }
    batch * LINES_PER_BATCH
}

/// How often each number of a sender is stored.
fn stored(client: &Client, sender: &str, sent: usize) -> Result<BTreeMap<u64, u64>> {
    let mut counts = BTreeMap::new();
    const STEP: usize = 5000;
    for start in (0..sent).step_by(STEP) {
        let query = format!("sender:{sender} number:[{start} to {}]", start + STEP - 1);
        let request = serde_json::json!({
            "query": query, "from": "2020-01-01T00:00:00Z", "to": "2100-01-01T00:00:00Z", "limit": 10_000, "order": "asc",
        });
        let answer = client.post(
            "/api/v1/search",
            &[("Content-Type", "application/json")],
            request.to_string().as_bytes(),
        )?;
        ensure!(
            answer.status == 200,
            "search: {} {}",
            answer.status,
            String::from_utf8_lossy(&answer.body)
        );
        let found = answer.json();
        ensure!(found["capped"] == false, "the check itself was cut short");
        for event in found["events"].as_array().into_iter().flatten() {
            let number: u64 = event["fields"]["unmapped.number"]
                .as_str()
                .unwrap_or_default()
                .parse()?;
            *counts.entry(number).or_default() += 1;
        }
    }
    Ok(counts)
}

fn start(data: &Path) -> Result<ServerProcess> {
    ServerProcess::start(Path::new(PROGRAM), data, &["--syslog", "off"])
}

#[test]
fn killed_at_random_moments_under_load_nothing_is_lost_or_doubled() -> Result<()> {
    let rounds = if std::env::var_os("WATCHFLOOR_TEST_DEEP").is_some() {
        60
    } else {
        8
    };
    let folder = tempfile::tempdir()?;
    let mut server = start(folder.path())?;
    let client = server.client("ingest,read")?;
    let shared = Arc::new(Mutex::new(client.clone()));
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|index| {
            let (shared, stop) = (Arc::clone(&shared), Arc::clone(&stop));
            thread::spawn(move || send(&format!("s{index}"), &shared, &stop))
        })
        .collect();
    // The moments differ from run to run; a failure names the seed.
    let seed = SystemTime::now().duration_since(UNIX_EPOCH)?.subsec_nanos();
    let mut random = u64::from(seed) | 1;
    for _ in 0..rounds {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        thread::sleep(Duration::from_millis(20 + random % 900));
        server.kill()?;
        server = start(folder.path())?;
        *shared.lock().unwrap() = Client::new(&server.url, client.token());
    }
    thread::sleep(Duration::from_millis(300));
    stop.store(true, Ordering::Relaxed);
    let sent: Vec<usize> = senders
        .into_iter()
        .map(|sender| sender.join().unwrap())
        .collect();
    let client = Client::new(&server.url, client.token());
    wait_for("the journal is worked off", || {
        let metrics = client.get("/metrics")?;
        let text = String::from_utf8_lossy(&metrics.body).into_owned();
        Ok(text
            .lines()
            .any(|line| line == "watchfloor_journal_pending_records 0"))
    })?;
    for (index, sent) in sent.iter().enumerate() {
        let counts = stored(&client, &format!("s{index}"), *sent)?;
        let lost: Vec<u64> = (0..*sent as u64)
            .filter(|number| !counts.contains_key(number))
            .collect();
        let doubled: Vec<u64> = counts
            .iter()
            .filter(|(_, count)| **count > 1)
            .map(|(number, _)| *number)
            .collect();
        assert!(
            lost.is_empty(),
            "seed {seed}: sender {index} lost {} of {sent}: {:?}",
            lost.len(),
            &lost[..lost.len().min(5)]
        );
        assert!(
            doubled.is_empty(),
            "seed {seed}: sender {index} doubled {}: {:?}",
            doubled.len(),
            &doubled[..doubled.len().min(5)]
        );
    }
    check_ledger(&client, sent.iter().sum())
}

/// In = stored + dropped, and in is what the senders sent.
fn check_ledger(client: &Client, sent: usize) -> Result<()> {
    let ledger = client.get("/api/v1/ledger")?.json();
    let mut received = 0;
    for row in ledger["items"].as_array().into_iter().flatten() {
        let number = |key: &str| row[key].as_u64().unwrap_or_default();
        let dropped: u64 = row["dropped"]
            .as_object()
            .into_iter()
            .flatten()
            .filter_map(|(_, count)| count.as_u64())
            .sum();
        assert_eq!(number("received"), number("stored") + dropped, "{row}");
        assert_eq!(
            number("stored"),
            number("decoded") + number("undecoded"),
            "{row}"
        );
        received += number("received");
    }
    assert_eq!(received, sent as u64);
    Ok(())
}
