//! Workers that read files and evaluate their records. Who reads hands full batches to those
//! who wait, so that one large file keeps all of them busy, and many small ones share batches.

use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::{Detector, entities_of};
use watchfloor_event::{EventBatch, RawRecord};
use watchfloor_intel::Matcher;
use watchfloor_normalize::PackSet;

use super::output::Output;
use super::over_time::OverTime;
use super::{Figures, RECORDS_PER_BATCH, place};
use crate::files;

/// What is to be done, shared by all workers.
pub(super) struct Work<'a> {
    pub paths: &'a [PathBuf],
    pub packs: &'a PackSet,
    pub over_time: Option<&'a OverTime>,
    pub output: &'a Mutex<Output>,
    pub figures: &'a Figures,
    /// Number of workers.
    pub workers: usize,
    pub queue: Mutex<Queue>,
    pub changed: Condvar,
}

/// Files and records that wait.
#[derive(Default)]
pub(super) struct Queue {
    next_file: usize,
    /// Workers that read a file.
    reading: usize,
    batches: VecDeque<Vec<RawRecord>>,
    /// Set when a worker failed: nobody goes on.
    failed: bool,
}

/// What a worker does next.
enum Turn {
    Evaluate(Vec<RawRecord>),
    Read(usize),
    Done,
}

impl Work<'_> {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn turn(&self) -> Turn {
        let mut queue = self.queue();
        loop {
            if queue.failed {
                return Turn::Done;
            }
            if let Some(records) = queue.batches.pop_front() {
                return Turn::Evaluate(records);
            }
            if queue.next_file < self.paths.len() {
                queue.next_file += 1;
                queue.reading += 1;
                return Turn::Read(queue.next_file - 1);
            }
            if queue.reading == 0 {
                return Turn::Done;
            }
            let woken = self.changed.wait(queue);
            queue = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Hands records to a worker that waits; gives them back if all have enough to do.
    fn hand_over(&self, records: Vec<RawRecord>) -> Option<Vec<RawRecord>> {
        let mut queue = self.queue();
        if self.workers < 2 || queue.batches.len() >= self.workers {
            return Some(records);
        }
        queue.batches.push_back(records);
        drop(queue);
        self.changed.notify_one();
        None
    }

    fn file_is_read(&self) {
        self.queue().reading -= 1;
        self.changed.notify_all();
    }

    fn has_failed(&self) -> bool {
        self.queue().failed
    }

    fn fail(&self) {
        self.queue().failed = true;
        self.changed.notify_all();
    }
}

/// One worker.
pub(super) struct Worker<'a> {
    work: &'a Work<'a>,
    detector: Detector,
    bases: Option<Detector>,
    matcher: Matcher,
    decoder: Decoder,
    /// Filled again and again: its room costs more than its events.
    batch: EventBatch,
    /// Records of small files, until there are enough of them.
    records: Vec<RawRecord>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(work: &'a Work<'a>, detector: Detector, matcher: Matcher) -> Self {
        Self {
            work,
            detector,
            bases: work.over_time.map(OverTime::bases),
            matcher,
            decoder: Decoder::new(Limits::STANDARD),
            batch: EventBatch::new(),
            records: Vec::new(),
        }
    }

    /// Works until nothing is left.
    pub(super) fn run(mut self) -> Result<()> {
        let result = self.take_turns();
        if result.is_err() {
            self.work.fail();
        }
        result
    }

    fn take_turns(&mut self) -> Result<()> {
        loop {
            match self.work.turn() {
                Turn::Evaluate(records) => self.evaluate(&records)?,
                Turn::Read(file) => {
                    let read = self.read(file, &self.work.paths[file]);
                    self.work.file_is_read();
                    self.work.figures.files.fetch_add(1, Ordering::Relaxed);
                    read?;
                }
                Turn::Done => break,
            }
        }
        let records = std::mem::take(&mut self.records);
        self.evaluate(&records)
    }

    fn read(&mut self, file: usize, path: &Path) -> Result<()> {
        let source: Arc<str> = Arc::from(path.to_string_lossy());
        let mut position = 0;
        let mut failed = None;
        let read = files::read(path, None, &mut |framed| {
            let place = place::of(file, position);
            self.records.push(files::record(&framed, &source, place));
            position += 1;
            if self.records.len() < RECORDS_PER_BATCH {
                return ControlFlow::Continue(());
            }
            let records = std::mem::take(&mut self.records);
            if let Some(mut records) = self.work.hand_over(records) {
                failed = self.evaluate(&records).err();
                records.clear();
                self.records = records;
            }
            if failed.is_some() || self.work.has_failed() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        let figures = self.work.figures;
        match read {
            Ok(report) => report.problems.iter().for_each(|problem| {
                figures.unreadable(format!(
                    "{source}: at byte {}: {}",
                    problem.offset, problem.reason
                ));
            }),
            Err(error) => figures.unreadable(format!("{error:#}")),
        }
        failed.map_or(Ok(()), Err)
    }

    fn evaluate(&mut self, records: &[RawRecord]) -> Result<()> {
        self.batch.clear();
        for record in records {
            if self.batch.is_full() {
                self.evaluate_batch()?;
                self.batch.clear();
            }
            let bytes = record.bytes.len() as u64;
            self.work.figures.bytes.fetch_add(bytes, Ordering::Relaxed);
            self.decoder.decode(&mut self.batch, record);
        }
        self.evaluate_batch()
    }

    fn evaluate_batch(&mut self) -> Result<()> {
        let batch = &mut self.batch;
        if batch.is_empty() {
            return Ok(());
        }
        self.work.packs.normalize(batch);
        let mut findings = self.detector.evaluate(batch).findings;
        findings.extend(self.matcher.findings(batch, entities_of).findings);
        if let (Some(over_time), Some(bases)) = (self.work.over_time, &mut self.bases) {
            over_time.keep(bases, batch);
        }
        self.work.figures.count(batch, findings.len());
        if findings.is_empty() {
            return Ok(());
        }
        let output = self.work.output.lock();
        let mut output = output.unwrap_or_else(PoisonError::into_inner);
        output.findings(&findings, batch)
    }
}
