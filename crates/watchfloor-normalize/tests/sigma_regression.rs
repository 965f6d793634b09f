//! Every recording of Sigma's regression corpus, as EVTX and as JSON, must become events that
//! the named rule can meet: the kind's log sources answer to the rule's.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, missing_docs)]

mod packs;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_event::{EventBatch, Logsource, RawRecord};

/// Rules whose recording cannot answer, with the reason.
const EXCEPTIONS: [(&str, &str); 0] = [];

fn files(root: &Path, wanted: &[&str], found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(root) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, wanted, found);
        } else if path
            .extension()
            .is_some_and(|end| wanted.iter().any(|want| end == *want))
        {
            found.push(path);
        }
    }
    found.sort();
}

fn value(text: &str, key: &str) -> Option<String> {
    let line = text
        .lines()
        .find(|line| line.trim_start().starts_with(key))?;
    let (_, value) = line.split_once(':')?;
    let value = value.split('#').next()?.trim().trim_matches(['\'', '"']);
    Some(value.to_owned())
}

fn rule_logsources(corpus: &Path) -> BTreeMap<String, Logsource> {
    let mut rules = Vec::new();
    files(&corpus.join("sigma-rules"), &["yml"], &mut rules);
    let mut found = BTreeMap::new();
    for path in rules {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let Some(id) = text
            .lines()
            .find_map(|line| line.strip_prefix("id:"))
            .map(|id| id.trim().to_owned())
        else {
            continue;
        };
        let Some(at) = text.find("\nlogsource:") else {
            continue;
        };
        let block: String = text[at + 1..]
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with([' ', '\t']))
            .map(|line| format!("{line}\n"))
            .collect();
        let logsource = Logsource {
            product: value(&block, "product:"),
            category: value(&block, "category:"),
            service: value(&block, "service:"),
        };
        found.insert(id, logsource);
    }
    found
}

#[test]
fn recordings_answer_to_their_rules() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let corpus = root.join("../shared/corpus");
    if !corpus.join("sigma-regression").is_dir() {
        println!("skipped: {} is absent", corpus.display());
        return;
    }
    let set = packs::load();
    let rules = rule_logsources(&corpus);
    let mut infos = Vec::new();
    files(&corpus.join("sigma-regression"), &["yml"], &mut infos);
    let mut failures = Vec::new();
    let mut checked = 0;
    for info in infos.iter().filter(|path| path.ends_with("info.yml")) {
        let text = std::fs::read_to_string(info).unwrap_or_default();
        let at = text.find("rule_metadata:").unwrap_or(0);
        let Some(id) = value(&text[at..], "- id:") else {
            continue;
        };
        let Some(rule) = rules.get(&id) else {
            println!("no rule {id} in the corpus ({})", info.display());
            continue;
        };
        let mut recordings = Vec::new();
        files(
            info.parent().expect("a folder"),
            &["evtx", "json"],
            &mut recordings,
        );
        for path in recordings {
            checked += 1;
            let kinds = kinds_of(&set, &path);
            let answers = kinds.iter().any(|(_, answers)| answers(rule));
            if !answers && !EXCEPTIONS.iter().any(|(known, _)| *known == id) {
                let names: Vec<&String> = kinds.iter().map(|(name, _)| name).collect();
                failures.push(format!("{}: {rule:?} got {names:?}", path.display()));
            }
        }
    }
    println!("{checked} recordings checked");
    assert!(checked >= 200, "only {checked} recordings");
    assert!(
        failures.is_empty(),
        "{} fail:\n{}",
        failures.len(),
        failures.join("\n")
    );
}

type Answers = Box<dyn Fn(&Logsource) -> bool>;

fn kinds_of(set: &watchfloor_normalize::PackSet, path: &Path) -> Vec<(String, Answers)> {
    let mut batch = EventBatch::new();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let file = std::fs::File::open(path).expect("readable");
    let name = path.to_string_lossy();
    let mut position = 0;
    framing::read_records(file, &name, None, &mut |framed| {
        let record = RawRecord {
            source: "regression".into(),
            format: framed.format,
            context: framed.context,
            position,
            received_at: "2026-11-24T00:00:00Z".parse::<Timestamp>().expect("a time"),
            bytes: Bytes::copy_from_slice(framed.bytes),
        };
        position += 1;
        decoder.decode(&mut batch, &record);
        ControlFlow::Continue(())
    })
    .expect("readable");
    set.normalize(&mut batch);
    assert!(
        batch.anomalies().is_empty(),
        "{name}: {:?}",
        batch.anomalies()
    );
    (0..batch.len())
        .map(|row| {
            let kind = batch.kind_of(row).clone();
            assert!(
                batch.rows()[row].has_own_time,
                "{name} row {row} has no time"
            );
            let answers: Answers = Box::new({
                let kind = kind.clone();
                move |rule| kind.answers_to(rule)
            });
            (kind.name.to_string(), answers)
        })
        .collect()
}
