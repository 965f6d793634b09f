//! One measurement of the detection bench; `cargo xtask bench detect` runs them all.
//!
//! `watchfloor-bench-detect prepare EVENTS CORPUS DEMO OUT` writes the streams as files.
//! `watchfloor-bench-detect ENGINE STREAM RULES CONTENT [ROUNDS]` measures one engine on the
//! file STREAM (for `load`, on the word `ours` or `rsigma`) and prints one line of JSON.
//! `watchfloor-bench-detect folder ENGINE FOLDER RULES CONTENT [ROUNDS]` does it over a folder of
//! EVTX files, with the engines `ours`, `rsigma` (the evtx crate before it) and `evtx` (that
//! crate alone).
//! Engines: `ours`, `ours-eval`, `ours-two`, `ours-decode`, `rsigma`, `rsigma-eval`, `sonic`,
//! `hits`, `load`, `indicators` (ours with and without ten million indicators, turn by turn;
//! `WATCHFLOOR_BENCH_INDICATORS` for another number).
//! `watchfloor-bench-detect correlate rules|late|shared|groups [ROUNDS]` measures correlations
//! over events that it makes itself. The fastest of ROUNDS counts for all alike.

mod correlate;
mod folder;
mod indicators;
mod ours;
mod peers;
mod streams;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use ours::Ours;
use peers::Rsigma;
use watchfloor_event::RawRecord;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub(crate) struct Paths {
    rules: PathBuf,
    content: PathBuf,
    rounds: usize,
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["prepare", events, corpus, demo, out] => {
            let events = events.parse().context("EVENTS must be a number")?;
            streams::prepare(corpus.as_ref(), demo.as_ref(), events, out.as_ref())
        }
        ["folder", engine, folder, rules, content, rest @ ..] => {
            let paths = Paths {
                rules: rules.into(),
                content: content.into(),
                rounds: rest.first().map_or(Ok(3), |text| text.parse())?,
            };
            run_folder(engine, folder.as_ref(), &paths)
        }
        ["correlate", what, rest @ ..] => {
            let rounds = rest.first().map_or(Ok(3), |text| text.parse())?;
            correlate::run(what, rounds)
        }
        [engine, stream, rules, content, rest @ ..] => {
            let paths = Paths {
                rules: rules.into(),
                content: content.into(),
                rounds: rest.first().map_or(Ok(3), |text| text.parse())?,
            };
            run(engine, stream, &paths)
        }
        _ => bail!("usage: ENGINE STREAM RULES CONTENT [ROUNDS]"),
    }
}

fn run(engine: &str, stream: &str, paths: &Paths) -> Result<()> {
    if engine == "load" {
        return load(paths, stream);
    }
    let text = std::fs::read_to_string(stream).with_context(|| format!("cannot read {stream}"))?;
    let lines: Vec<&str> = text.lines().collect();
    let before_kb = memory_kb("VmRSS:");
    let mut report = measure(engine, &lines, paths)?;
    report["events"] = json!(lines.len());
    report["bytes"] = json!(text.len());
    report["memory_mib"] = json!((memory_kb("VmHWM:").saturating_sub(before_kb)) / 1024);
    println!("{report}");
    Ok(())
}

/// From EVTX files to findings.
fn run_folder(engine: &str, folder: &Path, paths: &Paths) -> Result<()> {
    let files = folder::files(folder);
    let mut events = 0;
    let mut failed = None;
    let mut note = |result: Result<usize>| match result {
        Ok(count) => count,
        Err(error) => {
            failed = Some(error);
            0
        }
    };
    let before_kb = memory_kb("VmRSS:");
    let mut report = match engine {
        "ours" => {
            let ours = Ours::load(&paths.rules, &paths.content)?;
            fastest(paths.rounds, || {
                let mut found = 0;
                events = note(folder::ours(&ours, &files, |all| found += all.len()));
                found
            })
        }
        "evtx" => fastest(paths.rounds, || {
            events = note(folder::parse(&files, drop));
            events
        }),
        "rsigma" => {
            let routing = Ours::without_rules(&paths.content)?;
            let logsources = folder::logsources(&routing, &files)?;
            let peer = Rsigma::load(&paths.rules)?;
            events = logsources.len();
            fastest(paths.rounds, || {
                note(folder::rsigma(&peer, &files, &logsources))
            })
        }
        other => bail!("no engine {other}"),
    };
    if let Some(error) = failed {
        return Err(error);
    }
    report["events"] = json!(events);
    report["files"] = json!(files.len());
    report["bytes"] = json!(folder::bytes(&files));
    report["memory_mib"] = json!(memory_kb("VmHWM:").saturating_sub(before_kb) / 1024);
    println!("{report}");
    Ok(())
}

/// Time and memory of loading the rules alone.
fn load(paths: &Paths, engine: &str) -> Result<()> {
    let before_kb = memory_kb("VmRSS:");
    let start = Instant::now();
    let rules = match engine {
        "ours" => {
            let ours = Ours::load(&paths.rules, &paths.content)?;
            let rules = ours.rules;
            std::mem::forget(ours);
            rules
        }
        "rsigma" => {
            let peer = Rsigma::load(&paths.rules)?;
            let rules = peer.engine.rule_count();
            std::mem::forget(peer);
            rules
        }
        other => bail!("no engine {other}"),
    };
    let seconds = start.elapsed().as_secs_f64();
    let memory = memory_kb("VmRSS:").saturating_sub(before_kb) / 1024;
    println!(
        "{}",
        json!({"rules": rules, "seconds": seconds, "memory_mib": memory})
    );
    Ok(())
}

fn measure(engine: &str, lines: &[&str], paths: &Paths) -> Result<Value> {
    match engine {
        "sonic" => Ok(fastest(paths.rounds, || {
            let parsed = |line: &&&str| sonic_rs::from_str::<sonic_rs::Value>(line).is_ok();
            lines.iter().filter(parsed).count()
        })),
        "ours" | "ours-two" | "ours-eval" | "ours-decode" => {
            let ours = Ours::load(&paths.rules, &paths.content)?;
            Ok(measure_ours(engine, &ours, lines, paths.rounds))
        }
        "rsigma" | "rsigma-eval" => measure_rsigma(engine, lines, paths),
        "hits" => hits(lines, paths),
        "indicators" => indicators::measure(lines, paths),
        other => bail!("no engine {other}"),
    }
}

fn measure_ours(engine: &str, ours: &Ours, lines: &[&str], rounds: usize) -> Value {
    let records = Ours::records(lines);
    let whole = |part: &[RawRecord]| {
        let mut found = 0;
        ours.whole(part, |findings| found += findings.len());
        found
    };
    match engine {
        "ours-eval" => {
            let batches = ours.batches(&records);
            fastest(rounds, || {
                let mut detector = ours.detector.share();
                batches
                    .iter()
                    .map(|batch| detector.evaluate(batch).findings.len())
                    .sum()
            })
        }
        "ours-decode" => fastest(rounds, || ours.decode(&records)),
        "ours-two" => fastest(rounds, || {
            let (left, right) = records.split_at(records.len() / 2);
            std::thread::scope(|scope| {
                let other = scope.spawn(|| whole(left));
                whole(right) + other.join().unwrap_or(0)
            })
        }),
        _ => fastest(rounds, || whole(&records)),
    }
}

fn measure_rsigma(engine: &str, lines: &[&str], paths: &Paths) -> Result<Value> {
    // The routing that our mapping packs know is given to the peer for nothing.
    let routing = Ours::without_rules(&paths.content)?;
    let kinds = routing.kinds(&Ours::records(lines));
    let logsources: Vec<_> = kinds.iter().map(|kind| peers::logsource(kind)).collect();
    let peer = Rsigma::load(&paths.rules)?;
    let parse = |line: &&str| serde_json::from_str::<Value>(line).unwrap_or_default();
    let rounds = paths.rounds;
    if engine == "rsigma-eval" {
        let values: Vec<Value> = lines.iter().map(parse).collect();
        let each = || values.iter().zip(&logsources);
        return Ok(fastest(rounds, || {
            each()
                .map(|(value, source)| peer.count(value, source))
                .sum()
        }));
    }
    let each = || lines.iter().zip(&logsources);
    Ok(fastest(rounds, || {
        each()
            .map(|(line, source)| peer.count(&parse(line), source))
            .sum()
    }))
}

/// Compares the hit sets, event by event and rule by rule.
fn hits(lines: &[&str], paths: &Paths) -> Result<Value> {
    let ours = Ours::load(&paths.rules, &paths.content)?;
    let records = Ours::records(lines);
    let mut mine = BTreeSet::new();
    ours.whole(&records, |findings| {
        for finding in findings {
            let event = finding.event_ids[0].position() as u32;
            mine.insert((event, finding.rule_id.clone()));
        }
    });
    let kinds = ours.kinds(&records);
    let rules =
        watchfloor_rules::RuleSet::load(ours::rule_files(&paths.rules)?, Default::default());
    let sources: HashMap<&str, _> = rules
        .rules
        .iter()
        .map(|rule| (rule.meta.id.as_str(), &rule.logsource))
        .collect();
    let peer = Rsigma::load(&paths.rules)?;
    let (mut theirs, mut routed_away) = (BTreeSet::new(), 0);
    for (event, line) in lines.iter().enumerate() {
        let value: Value = serde_json::from_str(line)?;
        for rule in peer.evaluate(&value, &peers::logsource(&kinds[event])) {
            // The peer's routing keeps rules of which a part is not known; ours asks for all.
            let meets = sources
                .get(rule.as_str())
                .is_none_or(|source| kinds[event].answers_to(source));
            if meets {
                theirs.insert((event as u32, rule));
            } else {
                routed_away += 1;
            }
        }
    }
    let difference = peers::difference(&mine, &theirs);
    for (rule, (more, fewer, event)) in &difference {
        eprintln!(
            "{rule}: {more} only ours, {fewer} only theirs, e.g. {}",
            lines[*event as usize]
        );
    }
    Ok(json!({
        "ours": mine.len(), "theirs": theirs.len(), "routed_away": routed_away,
        "different": difference.values().map(|(more, fewer, _)| more + fewer).sum::<usize>(),
    }))
}

/// The fastest of several rounds, in seconds of wall time and of this thread's processor time:
/// rates are per core-second, so that other work on the machine does not count.
fn fastest(rounds: usize, mut work: impl FnMut() -> usize) -> Value {
    let (mut wall, mut cpu, mut found) = (f64::INFINITY, f64::INFINITY, 0);
    for _ in 0..rounds {
        let (start, cpu_start) = (Instant::now(), thread_seconds());
        found = work();
        wall = wall.min(start.elapsed().as_secs_f64());
        cpu = cpu.min(thread_seconds() - cpu_start);
    }
    json!({"seconds": wall, "cpu_seconds": cpu, "found": found})
}

/// Seconds that this thread spent on a processor (Linux, proc(5) schedstat).
pub(crate) fn thread_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds: f64 = stat
        .split_whitespace()
        .next()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0.0);
    nanoseconds / 1e9
}

pub(crate) fn memory_kb(key: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
