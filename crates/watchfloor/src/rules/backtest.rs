//! What a rule would have found in stored events: alerts per day, by host and user, and what an
//! exception would have held back.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::runtime::Handle;
use watchfloor_api::ports::{
    BacktestCount, BacktestDay, BacktestExample, BacktestReport, BacktestValue,
};
use watchfloor_casework::{EventFields, forecast_alerts, is_held_back};
use watchfloor_detect::{Company, Detector};
use watchfloor_event::{EntityKind, Finding};
use watchfloor_lake::{Lake, ReadError, RecordScope};
use watchfloor_model::Suppression;
use watchfloor_normalize::PackSet;
use watchfloor_pipeline::{Retro, RetroLimits};
use watchfloor_rules::{LoadOptions, RuleSet};

use crate::content::{self, ContentFile};

/// Hosts and users that are named.
const MAX_VALUES: usize = 20;
/// Findings that are shown.
const MAX_EXAMPLES: usize = 20;
/// Findings that are kept; beyond, the run ends and says so.
const MAX_FINDINGS: usize = 200_000;

/// What is asked.
#[derive(Debug)]
pub(crate) struct Question {
    /// Ids of the rules whose findings count.
    pub ids: BTreeSet<String>,
    pub title: String,
    /// These rules with those that they rest on.
    pub set: RuleSet,
    /// The same with a proposed change, such as a filter.
    pub changed: Option<RuleSet>,
    /// A proposed exception.
    pub exception: Option<Suppression>,
    pub from: Timestamp,
    pub to: Timestamp,
    pub max_events: u64,
    pub max_time: Duration,
}

/// Answers it. Blocks: it belongs on a thread of its own.
pub(crate) fn run(
    retro: &Retro,
    runtime: &Handle,
    question: Question,
) -> Result<BacktestReport, ReadError> {
    let start = Instant::now();
    let scope = RecordScope {
        from: question.from,
        to: question.to,
        positions: 0..u64::MAX,
        kinds: kinds_met(&question.set, retro.packs()),
    };
    let is_compared = question.changed.is_some() || question.exception.is_some();
    let mut detectors = vec![Detector::new(question.set)];
    detectors.extend(question.changed.map(Detector::new));
    let mut found: Vec<Finding> = Vec::new();
    let mut kept_by_change: BTreeSet<String> = BTreeSet::new();
    let has_change = detectors.len() > 1;
    let stop = AtomicBool::new(false);
    let progress = retro.run(
        runtime,
        &scope,
        &RetroLimits {
            events: question.max_events,
            time: question.max_time,
            stop: &stop,
        },
        &mut detectors,
        &mut |place, mut findings, _| {
            findings.retain(|finding| question.ids.contains(&finding.rule_id));
            if place == 0 {
                found.extend(findings);
            } else {
                kept_by_change.extend(findings.into_iter().map(|finding| finding.id));
            }
            if found.len() >= MAX_FINDINGS {
                stop.store(true, std::sync::atomic::Ordering::Relaxed);
            }
        },
    )?;
    let fields = match &question.exception {
        Some(exception) => fields_asked(runtime, retro.lake(), exception, &found)?,
        None => EventFields::new(),
    };
    let stays = |finding: &Finding| {
        let by_exception = question.exception.as_ref();
        (!has_change || kept_by_change.contains(&finding.id))
            && by_exception.is_none_or(|one| !is_held_back(one, finding, &fields))
    };
    found.sort_by(|left, right| (left.time, &left.id).cmp(&(right.time, &right.id)));
    let after: Vec<Finding> = found.iter().filter(|one| stays(one)).cloned().collect();
    Ok(report(
        &question.title,
        (question.from, question.to),
        &found,
        is_compared.then_some(after.as_slice()),
        &progress,
        start.elapsed(),
    ))
}

/// The kinds that the rules may meet, so that the rest need not be read; `None` for all.
fn kinds_met(set: &RuleSet, packs: &PackSet) -> Option<Vec<String>> {
    let is_any = set
        .rules
        .iter()
        .any(|rule| rule.logsource == watchfloor_event::Logsource::default());
    if is_any || set.rules.is_empty() {
        return None;
    }
    let met = packs.kinds().filter(|kind| {
        let mut rules = set.rules.iter();
        rules.any(|rule| kind.answers_to(&rule.logsource))
    });
    Some(met.map(|kind| kind.name.to_string()).collect())
}

fn fields_asked(
    runtime: &Handle,
    lake: &Lake,
    exception: &Suppression,
    found: &[Finding],
) -> Result<EventFields, ReadError> {
    let asked = found
        .iter()
        .filter(|finding| exception.asks_event(&finding.rule_id));
    let ids: Vec<_> = asked
        .filter_map(|finding| finding.event_ids.first().copied())
        .collect();
    let events = runtime.block_on(lake.events(&ids))?;
    Ok(events
        .into_iter()
        .map(|event| (event.id.to_string(), event.fields.into_iter().collect()))
        .collect())
}

fn report(
    title: &str,
    (from, to): (Timestamp, Timestamp),
    before: &[Finding],
    after: Option<&[Finding]>,
    progress: &watchfloor_pipeline::RetroProgress,
    took: Duration,
) -> BacktestReport {
    let days = per_day(before);
    let days_after = after.map(per_day);
    let mut shown: Vec<BacktestDay> = Vec::new();
    for (start, count) in &days {
        shown.push(BacktestDay {
            start: *start,
            before: *count,
            after: days_after
                .as_ref()
                .map(|days| days.get(start).copied().unwrap_or_default()),
        });
    }
    let total = |findings: &[Finding]| BacktestCount {
        findings: findings.len() as u64,
        alerts: alerts_among(findings) as u64,
    };
    let example = |finding: &Finding| BacktestExample {
        time: finding.time,
        summary: finding.summary.clone(),
        event_id: finding
            .event_ids
            .first()
            .map(ToString::to_string)
            .unwrap_or_default(),
        held_back: after.is_some_and(|after| !after.iter().any(|one| one.id == finding.id)),
    };
    BacktestReport {
        title: title.to_owned(),
        from,
        to,
        before: total(before),
        after: after.map(total),
        per_day: shown,
        hosts: by_entity(before, after, EntityKind::Host),
        users: by_entity(before, after, EntityKind::User),
        examples: before
            .iter()
            .rev()
            .take(MAX_EXAMPLES)
            .map(example)
            .collect(),
        events_judged: progress.events,
        events_in_range: progress.of_events,
        reached: progress.reached,
        is_whole: progress.is_whole,
        took_ms: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
    }
}

fn alerts_among(findings: &[Finding]) -> usize {
    let new = forecast_alerts(findings);
    new.into_iter().filter(|is_new| *is_new).count()
}

/// Findings and alerts by start of the day, UTC.
fn per_day(findings: &[Finding]) -> BTreeMap<Timestamp, BacktestCount> {
    const DAY_S: i64 = 86_400;
    let mut days: BTreeMap<Timestamp, BacktestCount> = BTreeMap::new();
    for (finding, is_new) in findings.iter().zip(forecast_alerts(findings)) {
        let start = finding.time.as_second().div_euclid(DAY_S) * DAY_S;
        let start = Timestamp::from_second(start).unwrap_or(finding.time);
        let day = days.entry(start).or_default();
        day.findings += 1;
        day.alerts += u64::from(is_new);
    }
    days
}

fn by_entity(
    before: &[Finding],
    after: Option<&[Finding]>,
    kind: EntityKind,
) -> Vec<BacktestValue> {
    let count = |findings: &[Finding]| {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for finding in findings {
            let of_kind = finding.entities.iter().filter(|one| one.kind == kind);
            let values: BTreeSet<&str> = of_kind.map(|one| one.value.as_str()).collect();
            for value in values {
                *counts.entry(value.to_owned()).or_default() += 1;
            }
        }
        counts
    };
    let (old, new) = (count(before), after.map(count));
    let mut values: Vec<BacktestValue> = old
        .into_iter()
        .map(|(value, findings)| BacktestValue {
            after: new
                .as_ref()
                .map(|new| new.get(&value).copied().unwrap_or(0)),
            value,
            before: findings,
        })
        .collect();
    values.sort_by(|left, right| (right.before, &left.value).cmp(&(left.before, &right.value)));
    values.truncate(MAX_VALUES);
    values
}

/// The rules that a text holds, among others that it may rest on; the ids are those of the text.
///
/// # Errors
/// Line and reason of what is wrong with the text.
pub(crate) fn rules_of(
    text: &str,
    path: &str,
    others: &[ContentFile],
    options: &LoadOptions,
) -> Result<(RuleSet, BTreeSet<String>, String), (usize, String)> {
    // A rule is one by whatever name.
    let path = if content::is_rule(path) {
        path.to_owned()
    } else {
        format!("{path}.yml")
    };
    let file = ContentFile {
        path: path.clone(),
        text: text.to_owned(),
    };
    let alone = content::load_rules([file.clone()], options);
    let ids: BTreeSet<String> = alone.metas().map(|meta| meta.id.clone()).collect();
    let title = alone.metas().last().map(|meta| meta.title.clone());
    if let (true, Some(title)) = (alone.refused.is_empty(), title) {
        return Ok((alone, ids, title));
    }
    // A correlation may rest on rules that stand elsewhere. Its own text comes first: of two
    // rules with one id, that one is meant.
    let set = content::load_rules(std::iter::once(file).chain(others.iter().cloned()), options);
    let refused = set.refused.iter().find(|one| *one.path == *path);
    if let Some(refused) = refused {
        return Err((refused.line, refused.reason.clone()));
    }
    let ours = set.metas().filter(|meta| *meta.path == *path);
    let ids: BTreeSet<String> = ours.map(|meta| meta.id.clone()).collect();
    let title = set.metas().filter(|meta| *meta.path == *path).last();
    let Some(title) = title.map(|meta| meta.title.clone()) else {
        return Err((1, "holds no rule".to_owned()));
    };
    let set = Detector::new(set).subset(&ids, Company::Bases);
    Ok((set, ids, title))
}
