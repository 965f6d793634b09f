//! `watchfloor detect`: rules and indicators over files.

mod output;
mod over_time;
mod place;
mod scan;

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use serde_json::{Value, json};
use watchfloor_detect::Detector;
use watchfloor_event::EventBatch;
use watchfloor_intel::{IndicatorSet, Matcher};
use watchfloor_normalize::PackSet;

use crate::cli::DetectArgs;
use crate::command::visible;
use crate::indicators::{self, LoadedList};
use crate::{Outcome, content, files};
use over_time::OverTime;
use scan::{Work, Worker};

pub(crate) use output::Output;

/// Records taken together; below the batch limit, since a record may hold several events.
const RECORDS_PER_BATCH: usize = 4096;
/// How often progress is shown.
const PROGRESS_WAIT: Duration = Duration::from_millis(200);

/// What was done so far.
#[derive(Default)]
struct Figures {
    files: AtomicUsize,
    events: AtomicU64,
    bytes: AtomicU64,
    findings: AtomicU64,
    anomalies: Mutex<BTreeMap<&'static str, u64>>,
    unreadable: Mutex<Vec<String>>,
}

impl Figures {
    fn count(&self, batch: &EventBatch, findings: usize) {
        self.events.fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.findings.fetch_add(findings as u64, Ordering::Relaxed);
        if batch.anomalies().is_empty() {
            return;
        }
        let counts = self.anomalies.lock();
        let mut counts = counts.unwrap_or_else(PoisonError::into_inner);
        for (_, anomaly) in batch.anomalies() {
            *counts.entry(anomaly.code.as_str()).or_default() += 1;
        }
    }

    /// Notes what could not be read.
    fn unreadable(&self, reason: String) {
        let list = self.unreadable.lock();
        list.unwrap_or_else(PoisonError::into_inner).push(reason);
    }

    fn take_unreadable(&self) -> Vec<String> {
        let list = self.unreadable.lock();
        std::mem::take(&mut *list.unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) fn run(args: &DetectArgs) -> Result<Outcome> {
    let start = Instant::now();
    let options = content::load_options(&args.shaping)?;
    let set = content::load_shaped(content::files_below(&args.rules)?, &options)?;
    let (loaded, refused) = (set.len(), set.refused.clone());
    let packs = content::packs(&[])?;
    let looked_for = indicators::load(&indicators::find(&args.indicators)?);
    indicators::print_troubles(&looked_for.lists);
    let paths = files::find(&args.input)?;
    let (detector, over_time) = OverTime::split(set);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load_time = start.elapsed();

    let figures = Figures::default();
    let mut output = Output::over(args.format, &paths);
    output.head()?;
    let output = Mutex::new(output);
    let work = Work {
        paths: &paths,
        packs: &packs,
        over_time: over_time.as_ref(),
        output: &output,
        figures: &figures,
        workers: args.threads.unwrap_or(cores).clamp(1, 64),
        queue: Mutex::default(),
        changed: Condvar::new(),
    };
    scan(&work, &detector, &looked_for.set)?;
    let mut output = output.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(over_time) = over_time {
        judge_over_time(over_time, &packs, &figures, &mut output)?;
    }
    output.finish()?;
    for reason in figures.take_unreadable() {
        eprintln!("watchfloor: {}", visible(&reason));
    }
    if let Some(path) = &args.stats {
        let stats = Stats {
            loaded,
            refused: &refused,
            lists: &looked_for.lists,
            load_time,
            time: start.elapsed(),
        };
        stats.write(&figures, path)?;
    }
    Ok(Outcome::Done)
}

/// Reads and evaluates all files.
fn scan(work: &Work<'_>, detector: &Detector, indicators: &Arc<IndicatorSet>) -> Result<()> {
    std::thread::scope(|scope| {
        let progress = scope.spawn(|| show_progress(work.figures, work.paths.len()));
        let workers: Vec<_> = (0..work.workers)
            .map(|_| {
                let matcher = Matcher::new(Arc::clone(indicators));
                let worker = Worker::new(work, detector.share(), matcher);
                scope.spawn(|| worker.run())
            })
            .collect();
        let stopped = || Err(anyhow!("a worker stopped"));
        let results = workers.into_iter().map(|worker| worker.join());
        let results: Vec<Result<()>> = results
            .map(|result| result.unwrap_or_else(|_| stopped()))
            .collect();
        work.figures.files.store(usize::MAX, Ordering::Relaxed);
        // Progress is for the eye only.
        let _ = progress.join();
        results.into_iter().collect()
    })
}

fn judge_over_time(
    over_time: OverTime,
    packs: &PackSet,
    figures: &Figures,
    output: &mut Output,
) -> Result<()> {
    let left_out = over_time.judge(packs, |findings, batch| {
        let count = findings.len() as u64;
        figures.findings.fetch_add(count, Ordering::Relaxed);
        output.findings(findings, batch)
    })?;
    if left_out > 0 {
        figures.unreadable(format!(
            "{left_out} events that rules over several events rest on were too many to put by; scan fewer files at a time to have them judged"
        ));
    }
    Ok(())
}

/// What is told of a run.
struct Stats<'a> {
    loaded: usize,
    refused: &'a [watchfloor_rules::Refusal],
    lists: &'a [LoadedList],
    load_time: Duration,
    time: Duration,
}

impl Stats<'_> {
    fn write(&self, figures: &Figures, path: &Path) -> Result<()> {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let events = count(&figures.events);
        let refused = self.refused.iter().map(|refusal| {
            json!({"file": *refusal.path, "line": refusal.line, "reason": refusal.reason})
        });
        let anomalies = figures.anomalies.lock();
        let anomalies = anomalies.unwrap_or_else(PoisonError::into_inner).clone();
        let taken = self.lists.iter().map(|list| list.report.taken.total());
        let scan_seconds = (self.time - self.load_time).as_secs_f64();
        let stats = json!({
            "rules_loaded": self.loaded,
            "rules_refused": refused.collect::<Vec<_>>(),
            "indicators_loaded": taken.sum::<u64>(),
            "indicators_refused": refused_indicators(self.lists),
            "events": events,
            "anomalies": anomalies.values().sum::<u64>(),
            "anomalies_by_code": anomalies,
            "findings": count(&figures.findings),
            "seconds": self.time.as_secs_f64(),
            "load_seconds": self.load_time.as_secs_f64(),
            "events_per_second": events as f64 / scan_seconds.max(1e-9),
            "bytes": count(&figures.bytes),
        });
        std::fs::write(path, format!("{stats:#}\n"))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The lines of lists that gave no indicator.
fn refused_indicators(lists: &[LoadedList]) -> Vec<Value> {
    let lines = lists
        .iter()
        .flat_map(|list| list.report.refused.iter().map(move |line| (list, line)));
    lines
        .map(|(list, line)| {
            json!({"file": list.path.display().to_string(), "line": line.line, "reason": line.reason})
        })
        .collect()
}

fn show_progress(figures: &Figures, files: usize) {
    let is_shown = std::io::stderr().is_terminal();
    loop {
        let done = figures.files.load(Ordering::Relaxed);
        if is_shown {
            let shown = done.min(files);
            let width = 30;
            let filled = (shown * width).checked_div(files).unwrap_or(width);
            let (events, findings) = (
                figures.events.load(Ordering::Relaxed),
                figures.findings.load(Ordering::Relaxed),
            );
            eprint!(
                "\r[{}{}] {shown}/{files} files, {events} events, {findings} findings ",
                "#".repeat(filled),
                " ".repeat(width - filled)
            );
        }
        if done == usize::MAX {
            if is_shown {
                eprintln!();
            }
            return;
        }
        std::thread::sleep(PROGRESS_WAIT);
    }
}
