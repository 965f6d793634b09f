//! Another implementation of Sigma answers the same: for every pair of a rule of SigmaHQ and an
//! event of two corpora, rsigma-eval's answer is ours, or the difference stands in a reviewed
//! list with the paragraph of the specification that decides it.
//!
//! The peer is given the event under the names that Sigma's taxonomy has for it, as our engine
//! resolves them, and is asked by the same log sources: what is compared is the evaluation of
//! conditions, modifiers and values, not the mapping of fields.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

#[path = "../../../crates/watchfloor-normalize/tests/packs/mod.rs"]
mod packs;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use rsigma_eval::Engine;
use rsigma_eval::event::JsonEvent;
use rsigma_parser::{LogSource, parse_sigma_directory};
use serde_json::{Map, Value};
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_detect::Detector;
use watchfloor_event::{
    Column, EventBatch, EventKind, Logsource, Namespace, RawRecord, ValueKind, ValueRef, ocsf,
};
use watchfloor_normalize::PackSet;
use watchfloor_rules::{Matcher, RuleFile, RuleSet};

/// The reviewed differences: corpus, rule, pairs that we alone find, pairs that the peer alone
/// finds, why, and the paragraph of the specification that decides it.
const REVIEWED: &str = include_str!("oracle-differences.tsv");
const RECORDS_PER_BATCH: usize = 4_096;
const NOW: Timestamp = Timestamp::constant(1_795_521_600, 0);

/// Pairs found by us alone, and by the peer alone.
type Difference = [u64; 2];

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpus")
}

fn files(folder: &Path, ends: &[&str], found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder)
        .expect("a folder")
        .map(|entry| entry.expect("readable").path())
        .collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            files(&path, ends, found);
        } else if ends.iter().any(|end| path.to_string_lossy().ends_with(end)) {
            found.push(path);
        }
    }
}

/// Our engine and the peer, with the same rules.
struct Both {
    packs: PackSet,
    detector: Detector,
    peer: Engine,
    logsources: BTreeMap<String, Logsource>,
    /// Every field that a rule names.
    fields: Vec<String>,
    differences: BTreeMap<String, Difference>,
    events: u64,
    agreed: u64,
}

impl Both {
    fn load(folder: &Path) -> Self {
        let mut paths = Vec::new();
        files(folder, &[".yml"], &mut paths);
        let file = |path: PathBuf| RuleFile {
            text: std::fs::read_to_string(&path).expect("readable"),
            path: Arc::from(path.to_string_lossy()),
        };
        let set = RuleSet::load(paths.into_iter().map(file), BTreeMap::new());
        assert_eq!(set.refused, []);
        // Correlations would silence the rules that they rest on.
        let set = RuleSet {
            rules: set.rules,
            ..RuleSet::default()
        };
        let mut fields = BTreeSet::new();
        for rule in &set.rules {
            rule.expr.for_each_leaf(&mut |leaf| {
                fields.extend(leaf.field.clone());
                if let Matcher::Field { other, .. } = &leaf.matcher {
                    fields.insert(other.clone());
                }
            });
        }
        let logsources = set.rules.iter();
        let logsources = logsources.map(|rule| (rule.meta.id.clone(), rule.logsource.clone()));
        let collection = parse_sigma_directory(folder).expect("the peer reads the rules");
        let mut peer = Engine::new();
        let failed = peer.add_rules(&collection.rules);
        println!("the peer refuses {} rules: {failed:?}", failed.len());
        Self {
            packs: packs::load(),
            logsources: logsources.collect(),
            detector: Detector::new(set),
            peer,
            fields: fields.into_iter().collect(),
            differences: BTreeMap::new(),
            events: 0,
            agreed: 0,
        }
    }

    fn read(&mut self, name: &str, bytes: &[u8]) {
        let mut batch = EventBatch::new();
        let mut decoder = Decoder::new(Limits::STANDARD);
        let mut position = 0;
        let read = framing::read_records(bytes, name, None, &mut |framed| {
            let record = RawRecord {
                source: Arc::from(name),
                format: framed.format,
                context: framed.context,
                position,
                received_at: NOW,
                bytes: Bytes::copy_from_slice(framed.bytes),
            };
            position += 1;
            decoder.decode(&mut batch, &record);
            if batch.len() >= RECORDS_PER_BATCH {
                self.compare(&mut batch);
            }
            ControlFlow::Continue(())
        });
        read.expect("readable");
        self.compare(&mut batch);
    }

    fn compare(&mut self, batch: &mut EventBatch) {
        self.packs.normalize(batch);
        let rows: BTreeMap<_, usize> = batch.rows().iter().map(|row| row.id).zip(0..).collect();
        let findings = self.detector.evaluate(batch).findings;
        let mut ours: Vec<BTreeSet<String>> = vec![BTreeSet::new(); batch.len()];
        for finding in findings {
            ours[rows[&finding.event_ids[0]]].insert(finding.rule_id);
        }
        let view = View::new(batch, &self.fields);
        for (row, ours) in ours.iter().enumerate() {
            let kind = batch.kind_of(row);
            let event = Value::Object(view.event(row));
            let seen = JsonEvent::borrow(&event);
            let results = self.peer.evaluate_pruned(&seen, &peer_logsource(kind));
            let ids = results.into_iter().filter_map(|one| one.header.rule_id);
            // The peer keeps rules of whose log source a part is not known.
            let meets = |id: &String| {
                let source = self.logsources.get(id);
                source.is_some_and(|source| kind.answers_to(source))
            };
            let theirs: BTreeSet<String> = ids.filter(meets).collect();
            self.events += 1;
            self.agreed += ours.intersection(&theirs).count() as u64;
            for id in ours.difference(&theirs) {
                note(&mut self.differences, id, 0, &event);
            }
            for id in theirs.difference(ours) {
                note(&mut self.differences, id, 1, &event);
            }
        }
        batch.clear();
    }
}

/// Counts a difference; the first of each rule is shown.
fn note(all: &mut BTreeMap<String, Difference>, rule: &str, side: usize, event: &Value) {
    let counts = all.entry(rule.to_owned()).or_default();
    if *counts == [0, 0] {
        println!("{rule}: {} only: {event}", ["ours", "theirs"][side]);
    }
    counts[side] += 1;
}

/// What is known of an event's log source: each part on which all log sources of its kind agree.
fn peer_logsource(kind: &EventKind) -> LogSource {
    let part = |pick: fn(&Logsource) -> &Option<String>| {
        let all: BTreeSet<&Option<String>> = kind.logsources.iter().map(pick).collect();
        match all.into_iter().collect::<Vec<_>>().as_slice() {
            [one] => (*one).clone(),
            _ => None,
        }
    };
    LogSource {
        product: part(|source| &source.product),
        category: part(|source| &source.category),
        service: part(|source| &source.service),
        ..LogSource::default()
    }
}

/// A batch under the names that rules have for its fields.
struct View<'a> {
    source: &'a [Column],
    /// Fields that no source column is named for, with the columns that they stand for.
    aliases: Vec<(&'a str, Vec<&'a Column>)>,
}

impl<'a> View<'a> {
    fn new(batch: &'a EventBatch, fields: &'a [String]) -> Self {
        let columns = |field: &'a String| {
            let names = ocsf::full_names(field).into_iter();
            let ocsf = names.filter_map(|name| batch.column(Namespace::Ocsf, &name));
            let columns: Vec<&Column> = ocsf.collect();
            (!columns.is_empty()).then_some((field.as_str(), columns))
        };
        Self {
            source: batch.columns(Namespace::Source),
            aliases: fields.iter().filter_map(columns).collect(),
        }
    }

    fn event(&self, row: usize) -> Map<String, Value> {
        let mut event = Map::new();
        for column in self.source {
            if let Some(value) = column.get(row) {
                event.insert(column.name().to_string(), json_of(value));
            }
        }
        for (name, columns) in &self.aliases {
            let value = columns.iter().find_map(|column| column.get(row));
            if let Some(value) = value.filter(|_| !event.contains_key(*name)) {
                event.insert((*name).to_owned(), json_of(value));
            }
        }
        event
    }
}

fn json_of(value: ValueRef<'_>) -> Value {
    match value.kind {
        ValueKind::Null => Value::Null,
        ValueKind::Bool => Value::Bool(value.text == "true"),
        ValueKind::Int | ValueKind::Float => match serde_json::from_str(value.text) {
            Ok(Value::Number(number)) => Value::Number(number),
            _ => Value::String(value.text.to_owned()),
        },
        ValueKind::List => serde_json::from_str(value.text).unwrap_or(Value::Null),
        ValueKind::Str => Value::String(value.text.to_owned()),
    }
}

/// The members of a ZIP archive (APPNOTE 6.3.9: end record, central directory, local headers).
fn members(zip: &[u8]) -> Vec<(String, Vec<u8>)> {
    let short = |at: usize| usize::from(u16::from_le_bytes([zip[at], zip[at + 1]]));
    let long = |at: usize| short(at) | short(at + 2) << 16;
    let end = (0..zip.len() - 3)
        .rev()
        .find(|at| zip[*at..].starts_with(b"PK\x05\x06"))
        .expect("an end record");
    let mut at = long(end + 16);
    let mut found = Vec::new();
    for _ in 0..short(end + 10) {
        let (method, size) = (short(at + 10), long(at + 20));
        let (name, extra, comment) = (short(at + 28), short(at + 30), short(at + 32));
        let local = long(at + 42);
        let title = String::from_utf8_lossy(&zip[at + 46..at + 46 + name]).into_owned();
        let start = local + 30 + short(local + 26) + short(local + 28);
        let data = &zip[start..start + size];
        let mut bytes = Vec::new();
        match method {
            0 => bytes.extend(data),
            8 => {
                let mut inflate = flate2::read::DeflateDecoder::new(data);
                inflate.read_to_end(&mut bytes).expect("a good archive");
            }
            other => panic!("method {other} of {title}"),
        }
        found.push((title, bytes));
        at += 46 + name + extra + comment;
    }
    found
}

/// The reviewed differences of a corpus, by rule.
fn reviewed(corpus: &str) -> BTreeMap<String, Difference> {
    let mut found = BTreeMap::new();
    for line in REVIEWED.lines().filter(|line| !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('\t').collect();
        let [of, rule, ours, theirs, why, paragraph] = cells.as_slice() else {
            panic!("six cells are needed: {line}");
        };
        assert!(why.len() > 20 && paragraph.len() > 10, "no reason: {line}");
        let count = |cell: &str| cell.parse::<u64>().expect("a number");
        if *of == corpus {
            found.insert((*rule).to_owned(), [count(ours), count(theirs)]);
        }
    }
    found
}

/// What differs, and what was reviewed.
fn check(name: &str, both: &mut Both) -> [BTreeMap<String, Difference>; 2] {
    let differences = std::mem::take(&mut both.differences);
    println!(
        "{name}: {} events, {} pairs found by both, {} rules differ",
        both.events,
        both.agreed,
        differences.len()
    );
    assert!(both.agreed > 100, "only {} pairs", both.agreed);
    let reviewed = reviewed(name);
    for (rule, [ours, theirs]) in &differences {
        if reviewed.get(rule) != Some(&[*ours, *theirs]) {
            println!("{name}\t{rule}\t{ours}\t{theirs}");
        }
    }
    (both.events, both.agreed) = (0, 0);
    [differences, reviewed]
}

#[test]
fn another_implementation_answers_the_same() {
    let corpus = corpus();
    if !corpus.join("sigma-rules").is_dir() {
        println!("skipped: {} is absent", corpus.display());
        return;
    }
    let mut both = Both::load(&corpus.join("sigma-rules"));
    let mut paths = Vec::new();
    files(&corpus.join("evtx-to-mitre"), &[".evtx"], &mut paths);
    for path in &paths {
        let bytes = std::fs::read(path).expect("readable");
        both.read(&path.to_string_lossy(), &bytes);
    }
    let evtx = check("evtx-to-mitre", &mut both);
    let mut paths = Vec::new();
    files(&corpus.join("otrf-atomic"), &[".zip"], &mut paths);
    for path in &paths {
        let bytes = std::fs::read(path).expect("readable");
        for (name, bytes) in members(&bytes) {
            if name.ends_with(".json") {
                both.read(&name, &bytes);
            }
        }
    }
    let otrf = check("otrf-atomic", &mut both);
    for [found, reviewed] in [evtx, otrf] {
        assert_eq!(found, reviewed, "left is found, right is reviewed");
    }
}
