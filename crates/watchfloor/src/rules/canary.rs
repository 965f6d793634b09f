//! Canaries: the positive case beside a rule, sent through decoding, normalising and all rules in
//! force, outside of real data. A rule whose canary no longer fires would stay silent on the
//! real thing too.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use watchfloor_api::ports::{Canary, CanaryOutcome, RuleCase};
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::Detector;
use watchfloor_event::{EventBatch, Format, RawRecord};
use watchfloor_normalize::PackSet;

use crate::content::{self, ContentFile};

/// When the records of cases are received, as `watchfloor rules test` has it: noon of 2026-11-24.
const CASE_TIME: Timestamp = Timestamp::constant(1_795_521_600, 0);
/// Most bytes of a record shown with its case.
const MAX_SHOWN_BYTES: usize = 4_000;

/// Cases of a rule, as the file beside it has them.
#[derive(Debug, Deserialize)]
struct CaseFile {
    cases: Vec<Case>,
}

/// What must, or must not, make a rule fire.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Case {
    name: String,
    fires: bool,
    records: Vec<Record>,
}

#[derive(Clone, Debug, Deserialize)]
struct Record {
    #[serde(default)]
    format: Option<String>,
    #[serde(default)]
    context: Option<String>,
    line: String,
}

/// Cases by the path of the rule file that they stand beside.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cases {
    by_file: BTreeMap<String, Vec<Case>>,
}

impl Cases {
    /// Reads the cases among files. A file of cases that cannot be read is logged: it holds no
    /// rule back.
    pub(crate) fn of(files: &[ContentFile]) -> Self {
        let mut by_file = BTreeMap::new();
        for file in files.iter().filter(|file| content::is_cases(&file.path)) {
            let Some((stem, _)) = file.path.rsplit_once(".cases.") else {
                continue;
            };
            match watchfloor_rules::from_yaml::<CaseFile>(&file.text) {
                Ok(read) => {
                    by_file.insert(stem.to_owned(), read.cases);
                }
                Err(error) => {
                    tracing::warn!(path = %file.path, %error, "cases of a rule cannot be read");
                }
            }
        }
        Self { by_file }
    }

    /// The cases beside a rule file.
    pub(crate) fn beside(&self, path: &str) -> &[Case] {
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        self.by_file.get(stem).map_or(&[], Vec::as_slice)
    }
}

impl Case {
    /// As the API shows it.
    pub(crate) fn shown(&self) -> RuleCase {
        let cut = |line: &str| {
            let mut end = line.len().min(MAX_SHOWN_BYTES);
            while !line.is_char_boundary(end) {
                end -= 1;
            }
            line.get(..end).unwrap_or_default().to_owned()
        };
        RuleCase {
            name: self.name.clone(),
            fires: self.fires,
            records: self.records.iter().map(|one| cut(&one.line)).collect(),
        }
    }

    /// Whether one of some rules fires on the case's records.
    fn fires(&self, rules: &[&str], detector: &Detector, packs: &PackSet) -> Result<bool, String> {
        let mut detector = detector.share();
        let mut batch = EventBatch::new();
        let mut decoder = Decoder::new(Limits::STANDARD);
        // Cases are written as if received at that time; some rules take no event from the future.
        let received_at = Timestamp::now().max(CASE_TIME);
        for (position, record) in (0_u64..).zip(&self.records) {
            let format = match &record.format {
                None => Format::Auto,
                Some(word) => {
                    Format::parse(word).ok_or_else(|| format!("there is no format '{word}'"))?
                }
            };
            decoder.decode(
                &mut batch,
                &RawRecord {
                    source: Arc::from("canary"),
                    format,
                    context: record.context.as_deref().map(Arc::from),
                    position,
                    received_at,
                    bytes: Bytes::copy_from_slice(record.line.as_bytes()),
                },
            );
        }
        packs.normalize(&mut batch);
        let findings = detector.evaluate(&batch).findings;
        Ok(findings
            .iter()
            .any(|finding| rules.contains(&finding.rule_id.as_str())))
    }
}

/// Runs the positive cases beside a rule file. `rules` are the ids of the rules in it: where one
/// rests on another, only the outer one makes findings.
pub(crate) fn run(cases: &[Case], rules: &[&str], detector: &Detector, packs: &PackSet) -> Canary {
    let mut canary = Canary {
        outcome: CanaryOutcome::None,
        at: None,
        detail: "no positive case stands beside the rule".to_owned(),
    };
    for case in cases.iter().filter(|case| case.fires) {
        canary.at = Some(Timestamp::now());
        match case.fires(rules, detector, packs) {
            Ok(true) => {
                canary.outcome = CanaryOutcome::Pass;
                canary.detail = format!("case '{}' fires", case.name);
            }
            Ok(false) => {
                canary.outcome = CanaryOutcome::Fail;
                canary.detail = format!("case '{}' does not fire", case.name);
                break;
            }
            Err(reason) => {
                canary.outcome = CanaryOutcome::Fail;
                canary.detail = format!("case '{}' cannot be run: {reason}", case.name);
                break;
            }
        }
    }
    canary
}
