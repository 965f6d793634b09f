//! `watchfloor rules coverage`: an ATT&CK Navigator layer from rules, their cases, and events.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tokio::runtime::Handle;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Finding, Namespace};
use watchfloor_lake::RecordScope;
use watchfloor_normalize::PackSet;
use watchfloor_pipeline::{KindSeen, Retro, RetroLimits, Seen};
use watchfloor_rules::{RuleMeta, RuleSet};

use crate::cli::{CoverageArgs, CoverageFormat};
use crate::command::{block_on, hunt, visible};
use crate::content::{self, ContentFile};
use crate::rules::canary::{self, Cases};
use crate::rules::coverage::{Coverage, Evidence, LayerHead, Stage, Tested};
use crate::{Outcome, files, places};

/// Records taken together.
const RECORDS_PER_BATCH: usize = 4096;

/// Findings of a rule, and the newest.
type Fired = BTreeMap<String, (u64, Option<Timestamp>)>;

pub(crate) fn run(args: &CoverageArgs) -> Result<Outcome> {
    let options = content::load_options(&args.shaping)?;
    let built_in = content::embedded("rules/");
    let files: Vec<ContentFile> = if args.rules.is_empty() {
        built_in.clone()
    } else {
        content::files_below(&args.rules)?
    };
    let set = content::load_shaped(files.iter().cloned(), &options)?;
    let others = content::load_rules(built_in, &options);
    let packs = Arc::new(content::packs(&[])?);
    let detector = Detector::new(set.clone());
    let (seen, fired) = match &args.data {
        Some(data) => stored(data, &args.last, Arc::clone(&packs))?,
        None => in_files(&args.events, &detector, &packs)?,
    };
    let outcomes = tested(&set, &files, &detector, &packs);
    let coverage = Coverage::of(
        &set,
        &others,
        &Evidence {
            seen: &seen,
            fired: &fired,
            tested: &|meta| outcomes.get(&meta.id).copied().unwrap_or_default(),
        },
    );
    let layer = coverage.layer(&LayerHead {
        name: "Watchfloor coverage".to_owned(),
        description: description(args, &set),
    });
    std::fs::write(&args.output, format!("{layer:#}\n"))
        .with_context(|| format!("cannot write {}", args.output.display()))?;
    print(&coverage, args.format);
    Ok(Outcome::Done)
}

fn description(args: &CoverageArgs, set: &RuleSet) -> String {
    let rules = set.len();
    match (&args.data, args.events.as_slice()) {
        (Some(data), _) => format!(
            "{rules} rules, events and findings of the last {} in {}",
            args.last,
            data.display()
        ),
        (None, []) => format!("{rules} rules, without events"),
        (None, events) => {
            let names: Vec<String> = events
                .iter()
                .map(|path| path.display().to_string())
                .collect();
            format!("{rules} rules, run on {}", names.join(", "))
        }
    }
}

/// What the cases of each rule say.
fn tested(
    set: &RuleSet,
    files: &[ContentFile],
    detector: &Detector,
    packs: &PackSet,
) -> BTreeMap<String, Tested> {
    let cases = Cases::of(files);
    let mut by_file: BTreeMap<&str, Vec<&RuleMeta>> = BTreeMap::new();
    for meta in set.metas() {
        by_file.entry(&meta.path).or_default().push(meta);
    }
    let mut tested = BTreeMap::new();
    for (path, metas) in by_file {
        let beside = cases.beside(path);
        let ids: Vec<&str> = metas.iter().map(|meta| meta.id.as_str()).collect();
        let one = Tested {
            cases: beside.len(),
            outcome: canary::run(beside, &ids, detector, packs).outcome,
        };
        tested.extend(metas.iter().map(|meta| (meta.id.clone(), one)));
    }
    tested
}

/// Counts of events by kind, and of their fields.
#[derive(Default)]
struct Counter {
    kinds: BTreeMap<Arc<str>, KindSeen>,
}

impl Counter {
    fn count(&mut self, batch: &EventBatch) {
        for row in batch.rows() {
            let kind = &batch.kinds()[usize::from(row.kind)];
            let seen = self
                .kinds
                .entry(Arc::clone(&kind.name))
                .or_insert_with(|| KindSeen {
                    kind: kind.name.to_string(),
                    logsources: kind.logsources.clone(),
                    events: 0,
                    events_today: 0,
                    fields: BTreeMap::new(),
                });
            seen.events += 1;
        }
        for (namespace, prefix) in [(Namespace::Source, "unmapped."), (Namespace::Ocsf, "")] {
            for column in batch.columns(namespace) {
                let name = format!("{prefix}{}", column.name());
                for (row, code) in batch.rows().iter().zip(column.codes()) {
                    if *code == 0 {
                        continue;
                    }
                    let kind = &batch.kinds()[usize::from(row.kind)];
                    if let Some(seen) = self.kinds.get_mut(&kind.name) {
                        *seen.fields.entry(name.clone()).or_default() += 1;
                    }
                }
            }
        }
    }

    fn seen(self) -> Seen {
        Seen {
            since: Timestamp::UNIX_EPOCH,
            kinds: self.kinds.into_values().collect(),
            rules: BTreeMap::new(),
        }
    }
}

/// What the rules meet and find in files.
fn in_files(paths: &[PathBuf], detector: &Detector, packs: &PackSet) -> Result<(Seen, Fired)> {
    let mut run = FileRun {
        counter: Counter::default(),
        fired: Fired::new(),
        detector: detector.share(),
        decoder: Decoder::new(Limits::STANDARD),
        packs,
        batch: EventBatch::new(),
    };
    for path in files::find(paths)? {
        run.file(&path)?;
    }
    Ok((run.counter.seen(), run.fired))
}

struct FileRun<'a> {
    counter: Counter,
    fired: Fired,
    detector: Detector,
    decoder: Decoder,
    packs: &'a PackSet,
    batch: EventBatch,
}

impl FileRun<'_> {
    fn file(&mut self, path: &Path) -> Result<()> {
        files::each_record(path, None, &mut |record| {
            self.decoder.decode(&mut self.batch, &record);
            if self.batch.len() >= RECORDS_PER_BATCH {
                self.evaluate();
            }
            ControlFlow::Continue(())
        })?;
        self.evaluate();
        Ok(())
    }

    fn evaluate(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        self.packs.normalize(&mut self.batch);
        self.counter.count(&self.batch);
        for finding in self.detector.evaluate(&self.batch).findings {
            note(&mut self.fired, &finding);
        }
        self.batch.clear();
    }
}

fn note(fired: &mut Fired, finding: &Finding) {
    let entry = fired.entry(finding.rule_id.clone()).or_default();
    entry.0 += 1;
    entry.1 = entry.1.max(Some(finding.time));
}

/// What came into a data folder, and what was found in it.
fn stored(data: &Path, last: &str, packs: Arc<PackSet>) -> Result<(Seen, Fired)> {
    let now = Timestamp::now();
    let from = hunt::instant(last, now)?;
    block_on(async move {
        let lake = Arc::new(places::open_to_read(data).await?);
        let counts = lake.findings_by_rule(from).await?;
        let fired = counts
            .into_iter()
            .map(|one| (one.rule_id, (one.findings, Some(one.last))));
        let fired: Fired = fired.collect();
        let retro = Retro::new(lake, packs);
        let runtime = Handle::current();
        let scope = RecordScope {
            from,
            to: now + SignedDuration::from_mins(5),
            positions: 0..u64::MAX,
            kinds: None,
        };
        let read = move || {
            let mut counter = Counter::default();
            let limits = RetroLimits {
                events: u64::MAX,
                time: Duration::MAX,
                stop: &AtomicBool::new(false),
            };
            retro
                .batches(&runtime, &scope, &limits, &mut |batch| counter.count(batch))
                .map(|_| counter.seen())
        };
        let seen = tokio::task::spawn_blocking(read)
            .await
            .context("the run stopped")?
            .context("stored events cannot be read")?;
        Ok((seen, fired))
    })
}

fn print(coverage: &Coverage, format: CoverageFormat) {
    let counts = coverage.counts();
    match format {
        CoverageFormat::Json => {
            let by_stage: serde_json::Map<String, serde_json::Value> = counts
                .iter()
                .map(|(stage, count)| (stage.as_str().replace(' ', "_"), json!(count)))
                .collect();
            let techniques = coverage.techniques.iter();
            let techniques = techniques.filter(|one| one.stage > Stage::Known).map(|one| {
                let active = one.rules.iter().filter(|rule| rule.is_active).count();
                let fired: u64 = one.rules.iter().map(|rule| rule.findings).sum();
                json!({"technique": one.id, "state": one.stage.as_str().replace(' ', "_"), "rules": active, "fired": fired})
            });
            println!(
                "{:#}",
                json!({
                    "counts": by_stage,
                    "techniques": techniques.collect::<Vec<_>>(),
                    "deprecated": coverage.deprecated,
                })
            );
        }
        CoverageFormat::Table => {
            for (stage, count) in counts {
                println!("{:<13} {count:>5} techniques", stage.as_str());
            }
            for (tag, rules) in &coverage.deprecated {
                let rules: Vec<String> = rules.iter().map(|title| visible(title)).collect();
                println!("{tag} is deprecated: {}", rules.join("; "));
            }
        }
    }
}
