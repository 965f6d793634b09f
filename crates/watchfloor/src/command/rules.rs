//! `watchfloor rules`: lint, test, list; its larger siblings have modules of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Format, RawRecord};
use watchfloor_normalize::PackSet;
use watchfloor_rules::{RuleMeta, RuleSet};

use crate::Outcome;
use crate::cli::{RulesCommand, Shaping};
use crate::command::junit::{self, CaseResult, Suite};
use crate::command::visible;
use crate::content::{self, ContentFile};

/// Cases of a rule, as its file beside it has them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    cases: Vec<RuleCase>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleCase {
    name: String,
    fires: bool,
    records: Vec<CaseRecord>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseRecord {
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    context: Option<String>,
    line: String,
}

/// When the records of cases are received.
const CASE_TIME: Timestamp = Timestamp::constant(1_795_521_600, 0);

pub(crate) fn run(command: &RulesCommand) -> Result<Outcome> {
    match command {
        RulesCommand::Lint { paths, shaping } => lint(paths, shaping),
        RulesCommand::Test {
            paths,
            shaping,
            junit,
        } => test(paths, shaping, junit.as_deref()),
        RulesCommand::Backtest(args) => super::backtest::run(args),
        RulesCommand::Explain(args) => super::explain::run(args),
        RulesCommand::Coverage(args) => super::coverage::run(args),
        RulesCommand::List { paths, shaping } => list(paths, shaping),
    }
}

fn chosen(paths: &[PathBuf]) -> Result<Vec<ContentFile>> {
    if paths.is_empty() {
        Ok(content::embedded("rules/"))
    } else {
        content::files_below(paths)
    }
}

fn lint(paths: &[PathBuf], shaping: &Shaping) -> Result<Outcome> {
    let options = content::load_options(shaping)?;
    let set = content::load_rules(content::files_below(paths)?, &options);
    for refusal in &set.refused {
        println!(
            "{}:{}: {}",
            visible(&refusal.path),
            refusal.line,
            visible(&refusal.reason)
        );
    }
    for warning in &set.warnings {
        println!(
            "{}: note: {}",
            visible(&warning.rule_id),
            visible(&warning.reason)
        );
    }
    println!("{} rules loaded, {} refused", set.len(), set.refused.len());
    Ok(if set.refused.is_empty() {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

fn list(paths: &[PathBuf], shaping: &Shaping) -> Result<Outcome> {
    let set = content::load_shaped(chosen(paths)?, &content::load_options(shaping)?)?;
    let mut metas: Vec<&RuleMeta> = set.metas().collect();
    metas.sort_by(|left, right| left.title.cmp(&right.title));
    for meta in metas {
        println!(
            "{:<13}  {}  ({})",
            meta.level.as_str(),
            visible(&meta.title),
            visible(&meta.id)
        );
    }
    Ok(Outcome::Done)
}

fn test(paths: &[PathBuf], shaping: &Shaping, junit: Option<&Path>) -> Result<Outcome> {
    let files = chosen(paths)?;
    let options = content::load_options(shaping)?;
    let is_rule = |file: &&ContentFile| content::is_rule(&file.path);
    let rules: Vec<&ContentFile> = files.iter().filter(is_rule).collect();
    let set = content::load_shaped(rules.iter().map(|file| (*file).clone()), &options)?;
    let bench = Bench {
        detector: Detector::new(set.clone()),
        packs: content::packs(&[])?,
    };
    let mut suites = Vec::new();
    for file in files.iter().filter(|file| content::is_cases(&file.path)) {
        let stem = file.path.split(".cases.").next().unwrap_or_default();
        let beside = |extension: &str| {
            rules
                .iter()
                .find(|rule| rule.path == format!("{stem}.{extension}"))
        };
        let rule = beside("yml")
            .or_else(|| beside("yaml"))
            .ok_or_else(|| anyhow!("{} has no rule beside it", file.path))?;
        suites.push(bench.suite(file, &rule.path, &set)?);
    }
    let all = || suites.iter().flat_map(|suite| &suite.cases);
    let failed = all().filter(|case| case.failure.is_some()).count();
    println!("{} passed, {failed} failed", all().count() - failed);
    if let Some(path) = junit {
        std::fs::write(path, junit::document(&suites))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(if failed == 0 {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

/// What cases are run on.
struct Bench {
    /// All rules, so that correlations find what they rest on.
    detector: Detector,
    packs: PackSet,
}

impl Bench {
    /// Runs the cases of one file; those that fail are printed.
    fn suite(&self, cases: &ContentFile, rule: &str, set: &RuleSet) -> Result<Suite> {
        let read: CaseFile = watchfloor_rules::from_yaml(&cases.text)
            .map_err(|error| anyhow!("{}: {error}", cases.path))?;
        let ours = set.metas().filter(|meta| *meta.path == *rule);
        let ids: Vec<String> = ours.map(|meta| meta.id.clone()).collect();
        let refused = set.refused.iter().find(|one| *one.path == *rule);
        let mut suite = Suite {
            name: rule.to_owned(),
            cases: Vec::with_capacity(read.cases.len()),
        };
        for case in &read.cases {
            let start = Instant::now();
            let fired = self
                .fires(&ids, case)
                .with_context(|| format!("{}: case '{}'", cases.path, case.name))?;
            let failure = match (refused, fired, case.fires) {
                (Some(one), ..) => Some(format!("the rule is refused: {}", one.reason)),
                (None, true, false) => Some("fires and should not".to_owned()),
                (None, false, true) => Some("does not fire and should".to_owned()),
                (None, true, true) | (None, false, false) => None,
            };
            if let Some(what) = &failure {
                let (name, what) = (visible(&case.name), visible(what));
                println!("FAILED {}: {name}: {what}", cases.path);
            }
            suite.cases.push(CaseResult {
                name: case.name.clone(),
                time: start.elapsed(),
                failure,
            });
        }
        Ok(suite)
    }

    /// Whether one of these rules fires on the records of a case, all rules loaded.
    fn fires(&self, ids: &[String], case: &RuleCase) -> Result<bool> {
        let mut detector = self.detector.share();
        let mut batch = EventBatch::new();
        let mut decoder = Decoder::new(Limits::STANDARD);
        for (position, record) in case.records.iter().enumerate() {
            let format = match &record.format {
                None => Format::Auto,
                Some(word) => {
                    Format::parse(word).ok_or_else(|| anyhow!("there is no format '{word}'"))?
                }
            };
            decoder.decode(
                &mut batch,
                &RawRecord {
                    source: Arc::from("case"),
                    format,
                    context: record.context.as_deref().map(Arc::from),
                    position: position as u64,
                    received_at: CASE_TIME,
                    bytes: Bytes::copy_from_slice(record.line.as_bytes()),
                },
            );
        }
        self.packs.normalize(&mut batch);
        let findings = detector.evaluate(&batch).findings;
        Ok(findings
            .iter()
            .any(|finding| ids.contains(&finding.rule_id)))
    }
}
