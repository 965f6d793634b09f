//! Memory while the lake's store hangs and senders go on at full rate: acceptance stops at the
//! journal's limit, nothing grows, and it goes on by itself.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use watchfloor_testkit::Bucket;

use super::load::{self, LINES_PER_BODY};
use super::{path, process};
use crate::{setup, shell};

/// Different lines that are sent, over and over.
const LINES: usize = 50_000;
/// Connections that send.
const CONNECTIONS: usize = 2;
/// How often memory is looked at.
const EVERY: Duration = Duration::from_secs(10);
/// Wait of a sender that was refused.
const REFUSED_WAIT: Duration = Duration::from_millis(200);

pub(super) fn run(is_quick: bool) -> Result<()> {
    shell::build()?;
    let python = setup::python()?;
    let folder = shell::target().join("bench-stall");
    if folder.exists() {
        std::fs::remove_dir_all(&folder)?;
    }
    std::fs::create_dir_all(&folder)?;
    let seconds = if is_quick { 60 } else { 600 };
    println!("profile: {}, {seconds} s", shell::profile());
    let bucket = Bucket::start(&python)?;
    let config = bucket.config(&folder, "")?;
    let measured = measure(&folder, &config, &bucket, Duration::from_secs(seconds));
    std::fs::remove_dir_all(&folder)?;
    measured
}

#[derive(Default)]
struct Sent {
    accepted: AtomicU64,
    refused: AtomicU64,
    is_over: AtomicBool,
}

fn measure(folder: &Path, config: &Path, bucket: &Bucket, span: Duration) -> Result<()> {
    let (server, token) = path::start(&folder.join("data"), Some(config))?;
    let address = server.url.trim_start_matches("http://").to_owned();
    let lines = load::lines(LINES, &load::now()?)?;
    let bodies: Vec<String> = lines
        .chunks(LINES_PER_BODY)
        .map(|chunk| chunk.join("\n"))
        .collect();
    let sent = Sent::default();
    let resident = || process::memory_mib(server.id(), "VmRSS");
    std::thread::scope(|scope| {
        for first in 0..CONNECTIONS {
            let (address, token, sent) = (&address, &token, &sent);
            let bodies = bodies
                .iter()
                .cycle()
                .skip(first * bodies.len() / CONNECTIONS);
            scope.spawn(move || send(address, token, bodies, sent));
        }
        let outcome = (|| {
            // With the store at hand first: what a busy server takes anyway.
            std::thread::sleep(EVERY * 2);
            println!("before: {:.0} MiB", resident()?);
            bucket.signal("STOP")?;
            let mut figures = Vec::new();
            let begin = Instant::now();
            while begin.elapsed() < span {
                std::thread::sleep(EVERY);
                let figure = resident()?;
                println!(
                    "{:>4.0} s stalled: {figure:.0} MiB, {} events accepted, {} bodies refused",
                    begin.elapsed().as_secs_f64(),
                    sent.accepted.load(Ordering::Relaxed),
                    sent.refused.load(Ordering::Relaxed)
                );
                figures.push(figure);
            }
            told(&figures);
            bucket.signal("CONT")?;
            let before = sent.accepted.load(Ordering::Relaxed);
            let begin = Instant::now();
            while sent.accepted.load(Ordering::Relaxed) == before
                && begin.elapsed() < Duration::from_secs(300)
            {
                std::thread::sleep(Duration::from_secs(1));
            }
            println!(
                "the store is back: the next body was accepted after {:.0} s, {:.0} MiB",
                begin.elapsed().as_secs_f64(),
                resident()?
            );
            Ok(())
        })();
        sent.is_over.store(true, Ordering::Relaxed);
        outcome
    })
}

/// Sends until told to end; what is refused is sent again.
fn send<'b>(address: &str, token: &str, bodies: impl Iterator<Item = &'b String>, sent: &Sent) {
    let mut connection = None;
    for body in bodies {
        loop {
            if sent.is_over.load(Ordering::Relaxed) {
                return;
            }
            let answer = match connection.take() {
                Some(http) => Ok(http),
                None => load::Http::connect(address, token),
            };
            let answer = answer.and_then(|mut http| {
                http.send(body)?;
                Ok(http)
            });
            match answer {
                Ok(http) => {
                    connection = Some(http);
                    sent.accepted
                        .fetch_add(LINES_PER_BODY as u64, Ordering::Relaxed);
                    break;
                }
                Err(_) => {
                    sent.refused.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(REFUSED_WAIT);
                }
            }
        }
    }
}

/// The first and the last quarter beside each other.
fn told(figures: &[f64]) {
    let part = (figures.len() / 4).max(1);
    let mean = |some: &[f64]| some.iter().sum::<f64>() / some.len() as f64;
    let most = figures.iter().copied().fold(0.0, f64::max);
    println!(
        "resident memory: first quarter {:.0} MiB, last quarter {:.0} MiB, most {most:.0} MiB",
        mean(&figures[..part]),
        mean(&figures[figures.len() - part..])
    );
}
