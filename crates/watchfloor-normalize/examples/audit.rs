//! Lists what a line says and no attribute holds: `audit [--pack NAME]… [--rows] [--top N] [FILE…]`;
//! with `--cases`, each line as a case with what it becomes.
//!
//! Without files, the lines of all cases are read, otherwise the files, one record a line. A value
//! counts as held if an attribute of its row is equal to it, is part of it, or contains it.
//!
//! Two lists come out, each with counts: fields whose value looks like an address, a name, a
//! path, … and that no attribute took, and rows that lack what their text has. Not all that is
//! listed is a fault: OCSF has no place for the address of a NAT pool, and a text may name two hosts.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use jiff::Timestamp;
use regex::Regex;
use watchfloor_decode::{Decoder, Limits, framing};
use watchfloor_event::{EventBatch, Namespace, RawRecord, ValueKind};
use watchfloor_normalize::{Case, PackSet};

/// Texts of more words than this are searched, not compared.
const VALUE_WORDS_MAX: usize = 6;

/// Names and values of a row.
type Named = [(String, String)];

#[derive(Default)]
struct Found {
    count: usize,
    example: String,
}

#[derive(Default)]
struct Report {
    rows: usize,
    unknown: usize,
    fields: BTreeMap<(String, String, &'static str), Found>,
    lacks: BTreeMap<(String, &'static str), Found>,
}

fn main() {
    let (mut names, mut files, mut top) = (Vec::new(), Vec::new(), 400);
    let (mut shows_rows, mut shows_cases) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(word) = arguments.next() {
        match word.as_str() {
            "--pack" => names.extend(arguments.next()),
            "--rows" => shows_rows = true,
            "--cases" => shows_cases = true,
            "--top" => top = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(top),
            _ => files.push(PathBuf::from(word)),
        }
    }
    let set = load();
    let patterns = Patterns::new();
    let mut report = Report::default();
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut look = |record: &RawRecord| {
        let mut batch = EventBatch::new();
        decoder.decode(&mut batch, record);
        set.normalize(&mut batch);
        if shows_cases {
            print_case(record, &batch);
        }
        for row in 0..batch.len() {
            report.look(&patterns, &batch, row);
        }
    };
    if files.is_empty() {
        cases(&names).iter().for_each(&mut look);
    } else {
        files.iter().for_each(|path| lines(path, &mut look));
    }
    if !shows_cases {
        report.print(top, shows_rows);
    }
}

/// The record as a line of a case file, with all that it becomes; to be looked through, not to be
/// taken as it is.
fn print_case(record: &RawRecord, batch: &EventBatch) {
    let Some(meta) = batch.rows().first() else {
        return;
    };
    let kind = batch.kind_of(0);
    let mut expect = serde_json::Map::new();
    for (name, number) in [
        ("class_uid", i64::from(kind.class_uid)),
        ("activity_id", meta.activity_id.into()),
        ("severity_id", meta.severity_id.into()),
        ("status_id", meta.status_id.into()),
    ] {
        expect.insert(name.to_owned(), number.into());
    }
    let columns = batch.columns(Namespace::Ocsf).iter();
    let mut held: Vec<_> = columns
        .filter_map(|column| Some((column.name().to_string(), column.get(0)?.text.to_owned())))
        .collect();
    held.sort();
    expect.extend(held.into_iter().map(|(name, text)| (name, text.into())));
    let mut case = serde_json::Map::new();
    case.insert("line".into(), String::from_utf8_lossy(&record.bytes).into());
    case.insert("kind".into(), (*kind.name).into());
    if meta.has_own_time {
        case.insert("time".into(), meta.time.to_string().into());
    }
    case.insert("expect".into(), expect.into());
    println!("{}", serde_json::Value::Object(case));
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../content/mappings")
}

fn sorted(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

fn load() -> PackSet {
    let paths = sorted(&folder());
    let packs = paths.iter().map(|path| path.join("pack.yaml"));
    let texts = packs.filter(|path| path.is_file()).map(|path| {
        let text = std::fs::read_to_string(&path).expect("readable");
        (path.display().to_string(), text)
    });
    let (set, errors) = PackSet::load(texts);
    assert!(errors.is_empty(), "{errors:#?}");
    set
}

fn cases(names: &[String]) -> Vec<RawRecord> {
    let mut found = Vec::new();
    for pack in sorted(&folder()) {
        let name = pack.file_name().unwrap_or_default().to_string_lossy();
        if !names.is_empty() && !names.iter().any(|wanted| *wanted == name) {
            continue;
        }
        for file in sorted(&pack.join("cases")) {
            let text = std::fs::read_to_string(&file).expect("readable");
            let lines = text.lines().filter(|line| !line.is_empty());
            found.extend(lines.map(|line| Case::parse(line).expect("a case").record().clone()));
        }
    }
    found
}

fn lines(path: &Path, look: &mut impl FnMut(&RawRecord)) {
    let file = std::fs::File::open(path).expect("readable");
    let name = path.display().to_string();
    let read = framing::read_records(file, &name, None, &mut |framed| {
        look(&RawRecord {
            source: "audit".into(),
            format: framed.format,
            context: framed.context,
            position: framed.offset,
            received_at: Timestamp::constant(1_795_521_600, 0),
            bytes: Bytes::copy_from_slice(framed.bytes),
        });
        ControlFlow::Continue(())
    });
    if let Err(error) = read {
        eprintln!("{name}: {error}");
    }
}

/// What values look like, and names that say what they are.
struct Patterns {
    address: Regex,
    v6: Regex,
    hash: Regex,
    url: Regex,
    mail: Regex,
    mac: Regex,
    path: Regex,
    outcome: Regex,
    person: Regex,
}

impl Patterns {
    fn new() -> Self {
        let regex = |text: &str| Regex::new(text).expect("a pattern of this file");
        Self {
            address: regex(r"\b\d{1,3}(?:\.\d{1,3}){3}\b"),
            v6: regex(r"(?i)\b[0-9a-f]{1,4}:[0-9a-f:]*:[0-9a-f]{0,4}\b"),
            hash: regex(r"^(?i)(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$"),
            url: regex(r"^(?i)(?:https?|ftp)://\S+$"),
            mail: regex(r"^<?[\w.+-]+@[\w-]+(?:\.[\w-]+)+>?$"),
            mac: regex(r"^(?i)(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}$"),
            path: regex(r"^(?:[A-Za-z]:\\|\\\\|/)[\w.$ ()-]+[/\\].*$"),
            outcome: regex(
                r"(?i)\b(?:success(?:ful(?:ly)?)?|succeeded|fail(?:ed|ure)?|denied|deny|blocked?|allow(?:ed)?|drop(?:ped)?|accept(?:ed)?|reject(?:ed)?|permit(?:ted)?|refused|invalid|unauthorized|quarantined?)\b",
            ),
            person: regex(
                r#"(?i)\b(?:user(?:name)?[ =:]+|user '|user "|for user |by user |account )["']?([A-Za-z][\w.@\\-]{2,})"#,
            ),
        }
    }

    /// What a value is by its form or by the name of its field; nothing if it tells nothing.
    fn sort(&self, name: &str, value: &str) -> Option<&'static str> {
        let leaf = name.rsplit(['.', '/']).next().unwrap_or(name);
        let leaf = leaf.to_ascii_lowercase().replace(['_', '-', ' '], "");
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        let has = |parts: &[&str]| parts.iter().any(|part| leaf.contains(part));
        let by_form = [
            (
                "address",
                value
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|one| !one.is_unspecified()),
            ),
            ("url", self.url.is_match(value)),
            ("mail", self.mail.is_match(value)),
            ("mac", self.mac.is_match(value)),
            (
                "hash",
                self.hash.is_match(value) && !has(&["id", "fingerprint", "key"]),
            ),
            ("address and port", self.is_pair(value)),
            ("path", self.path.is_match(value)),
        ];
        if let Some((sort, _)) = by_form.iter().find(|(_, holds)| *holds) {
            return Some(sort);
        }
        by_name(&leaf, is_number)
    }

    fn is_pair(&self, value: &str) -> bool {
        let Some((address, port)) = value.rsplit_once([':', '/', '#']) else {
            return false;
        };
        self.address.is_match(address)
            && address.parse::<std::net::IpAddr>().is_ok()
            && port.parse::<u16>().is_ok()
    }
}

/// Words in the names of fields, by what they say of the value.
const BY_NAME: [(&str, &[&str]); 7] = [
    (
        "user",
        &[
            "username",
            "accountname",
            "login",
            "suser",
            "duser",
            "actor",
        ],
    ),
    (
        "host",
        &[
            "hostname",
            "computer",
            "machine",
            "devicename",
            "srchost",
            "dsthost",
        ],
    ),
    ("domain", &["domain", "fqdn", "sni", "servername", "query"]),
    (
        "process",
        &["process", "commandline", "cmdline", "executable", "image"],
    ),
    ("file", &["filename", "filepath"]),
    (
        "action",
        &[
            "action",
            "verdict",
            "disposition",
            "operation",
            "method",
            "activity",
        ],
    ),
    ("outcome", &["status", "outcome", "result"]),
];
/// Whole names, likewise.
const SHORT: [(&str, &str); 4] = [
    ("user", "user"),
    ("host", "host"),
    ("process", "comm"),
    ("process", "cmd"),
];

/// What the last part of a field's name says of its value.
fn by_name(leaf: &str, is_number: bool) -> Option<&'static str> {
    if is_number {
        let is_port = leaf.ends_with("port") || matches!(leaf, "spt" | "dpt" | "sport" | "dport");
        let is_pid = matches!(leaf, "pid" | "processid" | "ppid" | "parentpid");
        return if is_port {
            Some("port")
        } else {
            is_pid.then_some("pid")
        };
    }
    let part = BY_NAME
        .iter()
        .find(|(_, parts)| parts.iter().any(|part| leaf.contains(part)));
    let whole = || {
        SHORT
            .iter()
            .find(|(_, one)| *one == leaf)
            .map(|(sort, _)| *sort)
    };
    part.map(|(sort, _)| *sort).or_else(whole)
}

impl Report {
    fn look(&mut self, patterns: &Patterns, batch: &EventBatch, row: usize) {
        self.rows += 1;
        let kind = batch.kind_of(row).name.to_string();
        let values = |space: Namespace| -> Vec<(String, String)> {
            let columns = batch.columns(space).iter();
            let found = columns.filter_map(|column| {
                let value = column.get(row)?;
                let is_nothing = matches!(value.kind, ValueKind::Null | ValueKind::Bool)
                    || matches!(value.text, "" | "-" | "N/A" | "[]" | "null" | "0" | "none");
                (!is_nothing).then(|| (column.name().to_string(), value.text.to_owned()))
            });
            found.collect()
        };
        let source = values(Namespace::Source);
        let held: Vec<(String, String)> = values(Namespace::Ocsf)
            .into_iter()
            .map(|(name, value)| (name, value.to_ascii_lowercase()))
            .collect();
        let raw = String::from_utf8_lossy(&batch.rows()[row].raw).into_owned();
        let status = batch.rows()[row].status_id;
        if batch.rows()[row].kind == 0 {
            self.unknown += 1;
        }
        for (name, value) in &source {
            let words = value.split_whitespace().take(VALUE_WORDS_MAX + 1).count();
            if words > VALUE_WORDS_MAX || has_no_place(name, value) {
                continue;
            }
            let has_number = |sort: &str| {
                let is_number = matches!(sort, "outcome" | "action");
                is_number && (status != 0 || held.iter().any(|(name, _)| name == "disposition"))
            };
            if let Some(sort) = patterns.sort(name, value)
                && !has_number(sort)
                && !is_held(&held, value, sort)
            {
                self.field(&kind, name, sort, value);
            }
        }
        self.lacking(patterns, batch, row, (&kind, &source, &held, &raw));
    }

    fn field(&mut self, kind: &str, name: &str, sort: &'static str, value: &str) {
        let key = (kind.to_owned(), name.to_owned(), sort);
        let found = self.fields.entry(key).or_default();
        found.count += 1;
        if found.example.is_empty() {
            found.example = value.chars().take(60).collect();
        }
    }

    /// What the whole row lacks.
    fn lacking(
        &mut self,
        patterns: &Patterns,
        batch: &EventBatch,
        row: usize,
        (kind, source, held, raw): (&str, &Named, &Named, &str),
    ) {
        let meta = &batch.rows()[row];
        let has = |part: &str| held.iter().any(|(name, _)| name.contains(part));
        let text = source.iter().find(|(name, _)| name == "message");
        let text = text.map_or("", |(_, text)| text.as_str());
        let named: Vec<&str> = patterns
            .address
            .find_iter(text)
            .chain(patterns.v6.find_iter(text))
            .map(|found| found.as_str())
            .filter(|found| {
                found
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|ip| !ip.is_unspecified())
            })
            .collect();
        let is_lost = |address: &&str| !is_held(held, address, "address");
        let has_outcome = meta.status_id != 0 || has("disposition");
        let outcome = patterns.outcome.find(raw);
        let person = patterns
            .person
            .captures(text)
            .and_then(|found| found.get(1));
        let tests = [
            ("no time of its own", !meta.has_own_time),
            ("no kind", meta.kind == 0),
            ("an address of the text", named.iter().any(is_lost)),
            (
                "a source without a destination",
                has("src_endpoint.ip") && !has("dst_endpoint") && named.len() > 1,
            ),
            (
                "an outcome's word and no status",
                outcome.is_some() && !has_outcome,
            ),
            (
                "a user in the text and no user",
                person.is_some() && !has("user."),
            ),
        ];
        for (what, holds) in tests {
            if holds {
                let found = self.lacks.entry((kind.to_owned(), what)).or_default();
                found.count += 1;
                if found.example.is_empty() || found.example.len() > raw.len() {
                    found.example = raw.chars().take(260).collect();
                }
            }
        }
    }

    fn print(&self, top: usize, shows_rows: bool) {
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_by_key(|(key, found)| (std::cmp::Reverse(found.count), *key));
        let mut lacks: Vec<_> = self.lacks.iter().collect();
        lacks.sort_by_key(|(key, found)| (key.1, std::cmp::Reverse(found.count), &key.0));
        let mut sums: BTreeMap<&str, usize> = BTreeMap::new();
        for ((_, _, sort), found) in &self.fields {
            *sums.entry(sort).or_default() += found.count;
        }
        for ((_, what), found) in &self.lacks {
            *sums.entry(what).or_default() += found.count;
        }
        println!("{} rows, {} of no kind", self.rows, self.unknown);
        for (what, count) in sums {
            println!("{count:>7}  {what}");
        }
        println!("\nfields that no attribute took: {}", fields.len());
        for ((kind, name, sort), found) in fields.into_iter().take(top) {
            println!(
                "{:>5}  {kind}  {name}  ({sort})  {}",
                found.count, found.example
            );
        }
        println!("\nrows that lack something");
        for ((kind, what), found) in lacks {
            println!("{:>5}  {what}: {kind}", found.count);
            if shows_rows {
                println!("         {}", found.example.replace('\n', "\\n"));
            }
        }
    }
}

/// What no promoted attribute is for: the wrapper's own fields, the file that a shipper read, a
/// terminal, and the addresses and ports that a translation put in place of others.
fn has_no_place(name: &str, value: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_translated = [
        "nat",
        "mapped",
        "transl",
        "transip",
        "transport",
        "assign",
        "tunnelip",
    ];
    name.starts_with("wrapper.")
        || matches!(
            name.as_str(),
            "log.file.path" | "log.source.address" | "tty" | "shell"
        )
        || (name == "file" && value.starts_with("/var/log/"))
        || is_translated.iter().any(|part| name.contains(part))
        || matches!(value, "?" | "\"-\"" | "0x0" | "false" | "true")
}

/// Whether an attribute has the value, a part of it or more than it.
fn is_held(held: &[(String, String)], value: &str, sort: &str) -> bool {
    let value = value.to_ascii_lowercase();
    let number = value.strip_prefix("0x");
    let number = number.and_then(|hex| i64::from_str_radix(hex, 16).ok());
    let number = number.map(|number| number.to_string()).unwrap_or_default();
    let is_number = sort == "port" || sort == "pid";
    held.iter().any(|(name, one)| {
        let is_part = name != "message"
            && !is_number
            && (one.contains(&value) || (one.len() > 2 && value.contains(one.as_str())));
        let is_mac =
            sort == "mac" && one.replace([':', '-', '.'], "") == value.replace([':', '-', '.'], "");
        one == &value || *one == number || is_part || is_mac
    })
}
