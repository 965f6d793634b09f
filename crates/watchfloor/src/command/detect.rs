//! `watchfloor detect`: rules over files.

use std::collections::BTreeMap;
use std::io::{BufWriter, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, EventId, Finding, RawRecord};
use watchfloor_normalize::{PackSet, to_ocsf_json};

use crate::cli::{DetectArgs, FindingFormat};
use crate::command::{csv_field, visible};
use crate::{Outcome, content, files};

/// Records taken together; below the batch limit, since a record may hold several events.
const RECORDS_PER_BATCH: usize = 4096;
/// How often progress is shown.
const PROGRESS_WAIT: Duration = Duration::from_millis(200);

#[derive(Default)]
struct Figures {
    files: AtomicUsize,
    events: AtomicU64,
    bytes: AtomicU64,
    findings: AtomicU64,
    anomalies: Mutex<BTreeMap<&'static str, u64>>,
    unreadable: Mutex<Vec<String>>,
}

pub(crate) fn run(args: &DetectArgs) -> Result<Outcome> {
    let start = Instant::now();
    let options = content::load_options(&args.shaping)?;
    let set = content::load_shaped(content::files_below(&args.rules)?, &options)?;
    let (loaded, refused) = (set.len(), set.refused.clone());
    // Correlations see all events in one order, so one thread feeds them.
    let has_correlations = !set.correlations.is_empty();
    let packs = content::packs(&[])?;
    let paths = files::find(&args.input)?;
    let detector = Detector::new(set);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if has_correlations {
        1
    } else {
        args.threads.unwrap_or(cores).clamp(1, 64)
    };

    let figures = Figures::default();
    let output = Mutex::new(Output::new(args.format));
    output
        .lock()
        .map_err(|_| anyhow!("output is gone"))?
        .head()?;
    let next = AtomicUsize::new(0);
    let result: Result<()> = std::thread::scope(|scope| {
        let progress = scope.spawn(|| show_progress(&figures, paths.len()));
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                let detector = detector.share();
                scope.spawn(|| work(&paths, &next, detector, &packs, &output, &figures))
            })
            .collect();
        let results: Vec<Result<()>> = workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("a worker stopped")))
            })
            .collect();
        figures.files.store(usize::MAX, Ordering::Relaxed);
        // Progress is for the eye only.
        let _ = progress.join();
        results.into_iter().collect()
    });
    result?;
    output
        .into_inner()
        .map_err(|_| anyhow!("output is gone"))?
        .finish()?;
    let unreadable = figures
        .unreadable
        .lock()
        .map(|list| list.clone())
        .unwrap_or_default();
    for reason in &unreadable {
        eprintln!("watchfloor: {}", visible(reason));
    }
    if let Some(path) = &args.stats {
        write_stats(path, &figures, loaded, &refused, start)?;
    }
    Ok(Outcome::Done)
}

fn write_stats(
    path: &Path,
    figures: &Figures,
    loaded: usize,
    refused: &[watchfloor_rules::Refusal],
    start: Instant,
) -> Result<()> {
    let seconds = start.elapsed().as_secs_f64();
    let events = figures.events.load(Ordering::Relaxed);
    let refused: Vec<Value> = refused
        .iter()
        .map(|refusal| json!({"file": *refusal.path, "line": refusal.line, "reason": refusal.reason}))
        .collect();
    let anomalies = figures
        .anomalies
        .lock()
        .map(|counts| counts.clone())
        .unwrap_or_default();
    let stats = json!({
        "rules_loaded": loaded,
        "rules_refused": refused,
        "events": events,
        "anomalies": anomalies.values().sum::<u64>(),
        "anomalies_by_code": anomalies,
        "findings": figures.findings.load(Ordering::Relaxed),
        "seconds": seconds,
        "events_per_second": events as f64 / seconds.max(1e-9),
        "bytes": figures.bytes.load(Ordering::Relaxed),
    });
    std::fs::write(path, format!("{stats:#}\n"))
        .with_context(|| format!("cannot write {}", path.display()))
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

fn work(
    paths: &[PathBuf],
    next: &AtomicUsize,
    detector: Detector,
    packs: &PackSet,
    output: &Mutex<Output>,
    figures: &Figures,
) -> Result<()> {
    let mut scan = Scan {
        detector,
        packs,
        output,
        figures,
        decoder: Decoder::new(Limits::STANDARD),
        records: Vec::new(),
        batch: EventBatch::new(),
        source: Arc::from(""),
        failed: None,
    };
    while let Some(path) = paths.get(next.fetch_add(1, Ordering::Relaxed)) {
        scan.file(path)?;
        figures.files.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// One worker's way through its files.
struct Scan<'a> {
    detector: Detector,
    packs: &'a PackSet,
    output: &'a Mutex<Output>,
    figures: &'a Figures,
    decoder: Decoder,
    records: Vec<RawRecord>,
    /// Filled again and again: its room costs more than its events.
    batch: EventBatch,
    source: Arc<str>,
    failed: Option<anyhow::Error>,
}

impl Scan<'_> {
    fn file(&mut self, path: &Path) -> Result<()> {
        self.source = Arc::from(path.to_string_lossy());
        let now = Timestamp::now();
        let mut position = 0;
        let read = files::read(path, None, &mut |framed| {
            self.records.push(RawRecord {
                source: Arc::clone(&self.source),
                format: framed.format,
                context: framed.context.clone(),
                position,
                received_at: now,
                bytes: Bytes::copy_from_slice(framed.bytes),
            });
            position += 1;
            if self.records.len() >= RECORDS_PER_BATCH {
                self.batch();
            }
            if self.failed.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        self.batch();
        let note = |reason: String| {
            if let Ok(mut list) = self.figures.unreadable.lock() {
                list.push(reason);
            }
        };
        match read {
            Ok(report) => report.problems.iter().for_each(|problem| {
                note(format!(
                    "{}: at byte {}: {}",
                    self.source, problem.offset, problem.reason
                ))
            }),
            Err(error) => note(format!("{error:#}")),
        }
        self.failed.take().map_or(Ok(()), Err)
    }

    fn batch(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        let mut batch = std::mem::take(&mut self.batch);
        batch.clear();
        for record in &records {
            if batch.is_full() {
                self.evaluate(&mut batch);
                batch.clear();
            }
            self.figures
                .bytes
                .fetch_add(record.bytes.len() as u64, Ordering::Relaxed);
            self.decoder.decode(&mut batch, record);
        }
        self.evaluate(&mut batch);
        records.clear();
        (self.records, self.batch) = (records, batch);
    }

    fn evaluate(&mut self, batch: &mut EventBatch) {
        if batch.is_empty() {
            return;
        }
        self.packs.normalize(batch);
        let findings = self.detector.evaluate(batch).findings;
        self.figures
            .events
            .fetch_add(batch.len() as u64, Ordering::Relaxed);
        self.figures
            .findings
            .fetch_add(findings.len() as u64, Ordering::Relaxed);
        if let Ok(mut counts) = self.figures.anomalies.lock() {
            for (_, anomaly) in batch.anomalies() {
                *counts.entry(anomaly.code.as_str()).or_default() += 1;
            }
        }
        let by_id: BTreeMap<EventId, usize> = batch
            .rows()
            .iter()
            .enumerate()
            .map(|(row, meta)| (meta.id, row))
            .collect();
        let event = |id: &EventId| by_id.get(id).map(|row| to_ocsf_json(batch, *row));
        let Ok(mut output) = self.output.lock() else {
            return;
        };
        for finding in &findings {
            if let Err(error) = output.finding(finding, &event) {
                self.failed.get_or_insert(error);
            }
        }
    }
}

/// Where findings go.
struct Output {
    format: FindingFormat,
    writer: BufWriter<std::io::Stdout>,
    by_rule: BTreeMap<(String, String), (u64, &'static str)>,
}

impl Output {
    fn new(format: FindingFormat) -> Self {
        Self {
            format,
            writer: BufWriter::new(std::io::stdout()),
            by_rule: BTreeMap::new(),
        }
    }

    fn head(&mut self) -> Result<()> {
        match self.format {
            FindingFormat::Csv => writeln!(
                self.writer,
                "time,level,rule_id,rule,source,position,summary"
            )?,
            FindingFormat::Table => writeln!(
                self.writer,
                "{:<20} {:<13} {:<50} SOURCE",
                "TIME", "LEVEL", "RULE"
            )?,
            FindingFormat::Ndjson | FindingFormat::Summary => {}
        }
        Ok(())
    }

    fn finding(
        &mut self,
        finding: &Finding,
        event: &dyn Fn(&EventId) -> Option<Value>,
    ) -> Result<()> {
        let position = finding.event_ids.last().map_or(0, |id| id.position());
        match self.format {
            FindingFormat::Ndjson => {
                writeln!(self.writer, "{}", as_json(finding, position, event))?
            }
            FindingFormat::Csv => {
                let fields = [
                    finding.time.to_string(),
                    finding.level.to_string(),
                    finding.rule_id.clone(),
                    finding.title.clone(),
                    finding.source.clone(),
                    position.to_string(),
                    finding.summary.clone(),
                ];
                let fields: Vec<String> = fields
                    .iter()
                    .map(|field| csv_field(&visible(field)))
                    .collect();
                writeln!(self.writer, "{}", fields.join(","))?;
            }
            FindingFormat::Table => {
                let title: String = visible(&finding.title).chars().take(50).collect();
                let time = format!("{:.0}", finding.time);
                writeln!(
                    self.writer,
                    "{time:<20} {:<13} {title:<50} {}:{position}",
                    finding.level.as_str(),
                    visible(&finding.source)
                )?;
            }
            FindingFormat::Summary => {
                let key = (finding.title.clone(), finding.rule_id.clone());
                self.by_rule
                    .entry(key)
                    .or_insert((0, finding.level.as_str()))
                    .0 += 1;
            }
        }
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        let mut rows: Vec<_> = std::mem::take(&mut self.by_rule).into_iter().collect();
        rows.sort_by(|left, right| right.1.0.cmp(&left.1.0).then_with(|| left.0.cmp(&right.0)));
        for ((title, id), (count, level)) in rows {
            writeln!(
                self.writer,
                "{count:>8}  {level:<13}  {}  ({id})",
                visible(&title)
            )?;
        }
        Ok(self.writer.flush()?)
    }
}

fn as_json(finding: &Finding, position: u64, event: &dyn Fn(&EventId) -> Option<Value>) -> Value {
    let mut line = json!({
        "rule_id": finding.rule_id,
        "rule": finding.title,
        "level": finding.level.as_str(),
        "time": finding.time.to_string(),
        "source": finding.source,
        "position": position,
        "rule_version": finding.rule_version,
        "summary": finding.summary,
        "tactics": finding.tactics,
        "techniques": finding.techniques,
        "reasons": finding.reasons.iter().map(|reason| json!({
            "selection": reason.selection, "field": reason.field, "value": reason.value, "pattern": reason.pattern,
        })).collect::<Vec<_>>(),
    });
    let events: Vec<Value> = finding.event_ids.iter().filter_map(event).collect();
    if finding.event_count == 1 {
        line["event"] = events.into_iter().next().unwrap_or_default();
    } else {
        line["event_count"] = json!(finding.event_count);
        line["events"] = finding.event_ids.iter().map(ToString::to_string).collect();
        line["event"] = events.into_iter().last().unwrap_or_default();
    }
    line
}
