//! `watchfloor rules`: lint, test, list.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Format, RawRecord};
use watchfloor_normalize::PackSet;
use watchfloor_rules::{RuleFile, RuleMeta, RuleSet};

use crate::Outcome;
use crate::cli::RulesCommand;
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
        RulesCommand::Lint { paths } => lint(paths),
        RulesCommand::Test { paths } => test(paths),
        RulesCommand::Backtest(args) => super::backtest::run(args),
        RulesCommand::List { paths } => list(paths),
    }
}

fn chosen(paths: &[PathBuf]) -> Result<Vec<ContentFile>> {
    if paths.is_empty() {
        Ok(content::embedded("rules/"))
    } else {
        content::files_below(paths)
    }
}

fn lint(paths: &[PathBuf]) -> Result<Outcome> {
    let set = content::load_rules(content::files_below(paths)?);
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

fn list(paths: &[PathBuf]) -> Result<Outcome> {
    let set = content::load_rules(chosen(paths)?);
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

fn test(paths: &[PathBuf]) -> Result<Outcome> {
    let files = chosen(paths)?;
    let packs = content::packs(&[])?;
    let rules: Vec<&ContentFile> = files
        .iter()
        .filter(|file| content::is_yaml(&file.path) && !content::is_cases(&file.path))
        .collect();
    let (mut passed, mut failed) = (0, 0);
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
        let cases: CaseFile = watchfloor_rules::from_yaml(&file.text)
            .map_err(|error| anyhow!("{}: {error}", file.path))?;
        let ids = ids_of(rule);
        for case in &cases.cases {
            let fired = fires(&rules, &ids, case, &packs)
                .with_context(|| format!("{}: case '{}'", file.path, case.name))?;
            if fired == case.fires {
                passed += 1;
            } else {
                failed += 1;
                let what = if fired {
                    "fires and should not"
                } else {
                    "does not fire and should"
                };
                println!("FAILED {}: {}: {what}", file.path, visible(&case.name));
            }
        }
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

/// Ids of the rules in a file.
fn ids_of(file: &ContentFile) -> Vec<String> {
    let set = load([file]);
    let mut ids: Vec<String> = set.metas().map(|meta| meta.id.clone()).collect();
    // A correlation alone in its file names rules that stand elsewhere.
    ids.extend(set.refused.iter().map(|refusal| refusal.rule.clone()));
    ids
}

fn load<'a>(files: impl IntoIterator<Item = &'a ContentFile>) -> RuleSet {
    let files = files.into_iter().map(|file| RuleFile {
        path: Arc::from(file.path.as_str()),
        text: file.text.clone(),
    });
    RuleSet::load(files, BTreeMap::new())
}

/// Whether one of the rules fires on the records of a case, all rules loaded.
fn fires(rules: &[&ContentFile], ids: &[String], case: &RuleCase, packs: &PackSet) -> Result<bool> {
    let mut detector = Detector::new(load(rules.iter().copied()));
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
    packs.normalize(&mut batch);
    let findings = detector.evaluate(&batch).findings;
    Ok(findings
        .iter()
        .any(|finding| ids.contains(&finding.rule_id)))
}
