//! `watchfloor mapping coverage`: how much of some logs is understood, by product.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_event::{EventBatch, Namespace, ocsf};

use super::normalize::{each_batch, product};
use crate::cli::MappingCoverageArgs;
use crate::command::visible;
use crate::{Outcome, content, files};

/// Examples of what was missed, per product, and their longest form in characters.
const MAX_EXAMPLES: usize = 3;
const MAX_EXAMPLE: usize = 160;

/// Where an event says who saw it or whose it is.
const ORIGINS: [&str; 8] = [
    "device.hostname",
    "device.ip",
    "device.name",
    "cloud.account.uid",
    "cloud.provider",
    "src_endpoint.ip",
    "src_endpoint.hostname",
    "actor.user.account.uid",
];

/// Main attributes by class: of each group an event has one at least.
///
/// # Source
/// OCSF, attributes that a class requires or recommends.
const MAIN: &[(u32, &[&[&str]])] = &[
    (1001, &[&["file.path", "file.name"]]),
    (1005, &[&["module.file.path"]]),
    (
        1007,
        &[&[
            "process.file.path",
            "process.file.name",
            "process.cmd_line",
            "process.pid",
        ]],
    ),
    (2004, &[&["finding_info.title", "rule.name"]]),
    (
        3001,
        &[&[
            "user.name",
            "user.uid",
            "user.email_addr",
            "actor.user.name",
        ]],
    ),
    (
        3002,
        &[&[
            "user.name",
            "user.uid",
            "user.email_addr",
            "actor.user.name",
            "actor.user.email_addr",
            "actor.user.uid",
        ]],
    ),
    (3006, &[&["group.name", "user.name"]]),
    (
        4001,
        &[&[
            "src_endpoint.ip",
            "src_endpoint.hostname",
            "dst_endpoint.ip",
            "dst_endpoint.hostname",
            "tls.sni",
        ]],
    ),
    (
        4002,
        &[&[
            "http_request.url.url_string",
            "http_request.url.path",
            "http_request.url.hostname",
            "http_request.http_method",
        ]],
    ),
    (4003, &[&["query.hostname", "answers"]]),
    (
        4004,
        &[&[
            "src_endpoint.ip",
            "src_endpoint.mac",
            "src_endpoint.hostname",
            "device.ip",
        ]],
    ),
    (
        4009,
        &[&[
            "email.from",
            "email.to",
            "email.subject",
            "metadata.correlation_uid",
            "metadata.uid",
        ]],
    ),
    (6003, &[&["api.operation"]]),
    (201_001, &[&["reg_key.path"]]),
    (201_002, &[&["reg_key.path", "reg_value.name"]]),
];

/// What became of the lines of a product.
#[derive(Debug, Default, Serialize)]
struct Counts {
    lines: u64,
    /// Of a class other than base event.
    understood: u64,
    /// With a time of their own.
    timed: u64,
    /// That say where they come from.
    placed: u64,
    /// With the main attributes of their class.
    complete: u64,
    anomalies: BTreeMap<String, u64>,
    examples: Vec<String>,
}

pub(crate) fn run(args: &MappingCoverageArgs) -> Result<Outcome> {
    let packs = content::packs(&args.mappings)?;
    let format = files::format(args.format.as_deref())?;
    let product = product(args.product.as_deref(), &packs)?;
    let mut all: BTreeMap<String, Counts> = BTreeMap::new();
    for path in files::find(&args.input)? {
        let mut decoder = Decoder::new(Limits::STANDARD);
        let done = each_batch(&path, format, product, &mut |records| {
            let mut batch = EventBatch::new();
            for record in records {
                decoder.decode(&mut batch, record);
            }
            packs.normalize(&mut batch);
            count(&batch, &mut all);
            Ok(())
        });
        if let Err(error) = done {
            eprintln!("watchfloor: {error:#}");
        }
    }
    if args.json {
        println!("{}", serde_json::to_string(&all)?);
    } else {
        print(&all);
    }
    Ok(Outcome::Done)
}

fn count(batch: &EventBatch, all: &mut BTreeMap<String, Counts>) {
    let mut anomalies: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
    for (row, anomaly) in batch.anomalies() {
        anomalies
            .entry(*row)
            .or_default()
            .push(anomaly.code.as_str());
    }
    for (row, meta) in batch.rows().iter().enumerate() {
        let kind = batch.kind_of(row);
        let name = kind.name.split('/').next().unwrap_or_default();
        let counts = all.entry(name.to_owned()).or_default();
        let has = |path: &str| batch.get(Namespace::Ocsf, path, row).is_some();
        let understood = kind.class_uid != ocsf::BASE_EVENT || meta.kind != 0;
        let complete = understood && is_complete(kind.class_uid, &has);
        counts.lines += 1;
        counts.understood += u64::from(understood);
        counts.timed += u64::from(meta.has_own_time);
        counts.placed += u64::from(ORIGINS.iter().any(|path| has(path)));
        counts.complete += u64::from(complete);
        for code in anomalies.get(&row).into_iter().flatten() {
            *counts.anomalies.entry((*code).to_owned()).or_default() += 1;
        }
        let is_missed = !complete || !meta.has_own_time;
        if is_missed && counts.examples.len() < MAX_EXAMPLES {
            let raw = String::from_utf8_lossy(&meta.raw);
            let beginning: String = raw.chars().take(MAX_EXAMPLE).collect();
            let what = if complete { "time" } else { kind.name.as_ref() };
            counts.examples.push(format!("{what}: {beginning}"));
        }
    }
}

fn is_complete(class_uid: u32, has: &dyn Fn(&str) -> bool) -> bool {
    let main = MAIN.iter().find(|(class, _)| *class == class_uid);
    main.is_none_or(|(_, groups)| {
        groups
            .iter()
            .all(|group| group.iter().any(|path| has(path)))
    })
}

fn print(all: &BTreeMap<String, Counts>) {
    let share = |part: u64, whole: u64| 100.0 * part as f64 / whole.max(1) as f64;
    println!(
        "{:<20} {:>9} {:>11} {:>7} {:>7} {:>9}  anomalies",
        "product", "lines", "understood", "time", "origin", "complete"
    );
    let mut total = Counts::default();
    for (name, counts) in all {
        let anomalies: Vec<String> = counts
            .anomalies
            .iter()
            .map(|(code, count)| format!("{code} {count}"))
            .collect();
        let of = |part| share(part, counts.lines);
        println!(
            "{name:<20} {:>9} {:>10.1}% {:>6.1}% {:>6.1}% {:>8.1}%  {}",
            counts.lines,
            of(counts.understood),
            of(counts.timed),
            of(counts.placed),
            of(counts.complete),
            anomalies.join(", ")
        );
        for example in &counts.examples {
            println!("    missed {}", visible(example));
        }
        total.lines += counts.lines;
        total.understood += counts.understood;
        total.timed += counts.timed;
        total.placed += counts.placed;
        total.complete += counts.complete;
    }
    let of = |part| share(part, total.lines);
    println!(
        "{:<20} {:>9} {:>10.1}% {:>6.1}% {:>6.1}% {:>8.1}%",
        "all",
        total.lines,
        of(total.understood),
        of(total.timed),
        of(total.placed),
        of(total.complete)
    );
}
