//! Our engine as `watchfloor detect` runs it: decode, normalise, evaluate, batch by batch.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Result, bail};
use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::{Detector, entities_of};
use watchfloor_event::{EventBatch, EventKind, Finding, Format, RawRecord};
use watchfloor_intel::Matcher;
use watchfloor_normalize::PackSet;
use watchfloor_rules::{RuleFile, RuleSet};

const RECORDS_PER_BATCH: usize = 4096;

pub struct Ours {
    pub packs: PackSet,
    pub detector: Detector,
    pub rules: usize,
}

pub fn rule_files(root: &Path) -> Result<Vec<RuleFile>> {
    let mut files = Vec::new();
    for path in below(root, &["yml", "yaml"]) {
        let path_text = path.to_string_lossy().into_owned();
        if path_text.contains(".cases.") {
            continue;
        }
        files.push(RuleFile {
            path: Arc::from(path_text),
            text: std::fs::read_to_string(&path)?,
        });
    }
    Ok(files)
}

fn below(root: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![root.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let path = entry.path();
            let extension = path.extension().and_then(|end| end.to_str()).unwrap_or("");
            if path.is_dir() {
                waiting.push(path);
            } else if extensions.contains(&extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

pub fn packs(content: &Path) -> Result<PackSet> {
    let files = below(&content.join("mappings"), &["yaml"])
        .into_iter()
        .filter(|path| path.ends_with("pack.yaml"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            (path.to_string_lossy().into_owned(), text)
        });
    let (set, errors) = PackSet::load(files);
    if let Some(error) = errors.first() {
        bail!("{error}");
    }
    Ok(set)
}

impl Ours {
    pub fn load(rules: &Path, content: &Path) -> Result<Self> {
        let set = RuleSet::load(rule_files(rules)?, Default::default());
        let rules = set.len();
        Ok(Self {
            packs: packs(content)?,
            detector: Detector::new(set),
            rules,
        })
    }

    /// The packs alone.
    pub fn without_rules(content: &Path) -> Result<Self> {
        Ok(Self {
            packs: packs(content)?,
            detector: Detector::new(RuleSet::default()),
            rules: 0,
        })
    }

    /// Records of lines, made before the clock starts: a server has them from its sockets.
    pub fn records(lines: &[&str]) -> Vec<RawRecord> {
        let source: Arc<str> = Arc::from("bench");
        let now = Timestamp::now();
        let record = |(position, line): (usize, &&str)| RawRecord {
            source: Arc::clone(&source),
            format: Format::Json,
            context: None,
            position: position as u64,
            received_at: now,
            bytes: Bytes::copy_from_slice(line.as_bytes()),
        };
        lines.iter().enumerate().map(record).collect()
    }

    /// From bytes to normalised batches.
    pub fn batches(&self, records: &[RawRecord]) -> Vec<EventBatch> {
        let mut decoder = Decoder::new(Limits::STANDARD);
        records
            .chunks(RECORDS_PER_BATCH)
            .map(|records| {
                let mut batch = EventBatch::new();
                self.fill(&mut batch, &mut decoder, records);
                batch
            })
            .collect()
    }

    fn fill(&self, batch: &mut EventBatch, decoder: &mut Decoder, records: &[RawRecord]) {
        batch.clear();
        for record in records {
            decoder.decode(batch, record);
        }
        self.packs.normalize(batch);
    }

    /// From bytes to normalised batches, each dropped at once; number of events.
    pub fn decode(&self, records: &[RawRecord]) -> usize {
        let mut decoder = Decoder::new(Limits::STANDARD);
        let mut batch = EventBatch::new();
        let mut events = 0;
        for records in records.chunks(RECORDS_PER_BATCH) {
            self.fill(&mut batch, &mut decoder, records);
            events += batch.len();
        }
        events
    }

    /// From bytes to findings.
    pub fn whole(&self, records: &[RawRecord], mut take: impl FnMut(&[Finding])) {
        let mut detector = self.detector.share();
        let mut decoder = Decoder::new(Limits::STANDARD);
        let mut batch = EventBatch::new();
        for records in records.chunks(RECORDS_PER_BATCH) {
            self.fill(&mut batch, &mut decoder, records);
            take(&detector.evaluate(&batch).findings);
        }
    }

    /// From bytes to findings of rules and of indicators.
    pub fn with_indicators(
        &self,
        records: &[RawRecord],
        matcher: &mut Matcher,
        mut take: impl FnMut(&[Finding]),
    ) {
        let mut detector = self.detector.share();
        let mut decoder = Decoder::new(Limits::STANDARD);
        let mut batch = EventBatch::new();
        for records in records.chunks(RECORDS_PER_BATCH) {
            self.fill(&mut batch, &mut decoder, records);
            take(&detector.evaluate(&batch).findings);
            take(&matcher.findings(&batch, entities_of).findings);
        }
    }

    /// The kind of each event.
    pub fn kinds(&self, records: &[RawRecord]) -> Vec<Arc<EventKind>> {
        let batches = self.batches(records);
        let of = |batch: &EventBatch| {
            (0..batch.len())
                .map(|row| Arc::clone(batch.kind_of(row)))
                .collect::<Vec<_>>()
        };
        batches.iter().flat_map(of).collect()
    }
}
