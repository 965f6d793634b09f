//! `watchfloor rules backtest`: a rule over a data folder's stored events.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use watchfloor_api::ports::{BacktestReport, BacktestValue};
use watchfloor_casework::check_conditions;
use watchfloor_detect::{Company, Detector};
use watchfloor_model::{Condition, ConditionOp, Suppression};
use watchfloor_pipeline::Retro;
use watchfloor_rules::{LoadOptions, RuleSet};

use crate::Outcome;
use crate::cli::{BacktestArgs, ForecastFormat};
use crate::command::{block_on, hunt, visible};
use crate::content::{self, ContentFile};
use crate::places;
use crate::rules::backtest::{self, Question};

/// Operators of a condition on the command line; the longer ones are looked for first.
const OPERATORS: [(&str, ConditionOp); 4] = [
    ("*=", ConditionOp::Contains),
    ("^=", ConditionOp::StartsWith),
    ("$=", ConditionOp::EndsWith),
    ("=", ConditionOp::Is),
];

pub(crate) fn run(args: &BacktestArgs) -> Result<Outcome> {
    let now = Timestamp::now();
    let from = hunt::instant(&args.last, now)?;
    let question = question(args, from, now + SignedDuration::from_mins(5))?;
    let packs = Arc::new(content::packs(&[])?);
    let report = block_on(async move {
        let lake = Arc::new(places::open_to_read(&args.data).await?);
        let retro = Retro::new(lake, packs);
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || backtest::run(&retro, &runtime, question))
            .await
            .context("the run stopped")?
            .context("stored events cannot be read")
    })?;
    match args.format {
        ForecastFormat::Json => println!("{}", serde_json::to_string_pretty(&report)?),
        ForecastFormat::Text => print(&report),
    }
    Ok(Outcome::Done)
}

fn question(args: &BacktestArgs, from: Timestamp, to: Timestamp) -> Result<Question> {
    let mut others = content::embedded("rules/");
    others.extend(content::files_below(&args.rules)?);
    let options = content::load_options(&args.shaping)?;
    let (set, ids, title) = chosen(&args.rule, &others, &options)?;
    let (mut conditions, mut filters) = (Vec::new(), Vec::new());
    for text in &args.exception {
        if Path::new(text).is_file() {
            filters.extend(content::files_below(&[text.into()])?);
        } else {
            conditions.push(condition(text)?);
        }
    }
    if !conditions.is_empty() {
        check_conditions(Some(&title), &conditions)?;
    }
    let changed = (!filters.is_empty())
        .then(|| filtered(&args.rule, &others, filters, &ids, &options))
        .transpose()?;
    Ok(Question {
        ids,
        title,
        set,
        changed,
        exception: (!conditions.is_empty()).then(|| Suppression::proposed(conditions, None, to)),
        from,
        to,
        max_events: u64::MAX,
        max_time: Duration::MAX,
    })
}

/// The rule that is named by file or id.
fn chosen(
    rule: &str,
    others: &[ContentFile],
    options: &LoadOptions,
) -> Result<(RuleSet, BTreeSet<String>, String)> {
    if Path::new(rule).is_file() {
        let text = std::fs::read_to_string(rule).with_context(|| format!("cannot read {rule}"))?;
        return backtest::rules_of(&text, rule, others, options)
            .map_err(|(line, reason)| anyhow!("{rule}:{line}: {reason}"));
    }
    let all = content::load_shaped(others.iter().cloned(), options)?;
    let title = all.metas().find(|meta| meta.id == rule);
    let title = title.map(|meta| meta.title.clone()).ok_or_else(|| {
        anyhow!("{rule} is neither a file nor the id of a rule; 'watchfloor rules list' shows ids")
    })?;
    let ids = BTreeSet::from([rule.to_owned()]);
    let set = Detector::new(all).subset(&ids, Company::Bases);
    Ok((set, ids, title))
}

/// The rule once more, with Sigma filters applied.
fn filtered(
    rule: &str,
    others: &[ContentFile],
    filters: Vec<ContentFile>,
    ids: &BTreeSet<String>,
    options: &LoadOptions,
) -> Result<RuleSet> {
    let names: Vec<String> = filters.iter().map(|file| file.path.clone()).collect();
    let own = if Path::new(rule).is_file() {
        content::files_below(&[rule.into()])?
    } else {
        Vec::new()
    };
    let files = own.into_iter().chain(others.iter().cloned()).chain(filters);
    let set = content::load_shaped(files, options)?;
    let refused = set
        .refused
        .iter()
        .find(|one| names.contains(&one.path.to_string()));
    if let Some(refused) = refused {
        bail!("{}:{}: {}", refused.path, refused.line, refused.reason);
    }
    Ok(Detector::new(set).subset(ids, Company::Bases))
}

fn condition(text: &str) -> Result<Condition> {
    let found = OPERATORS.iter().find_map(|(sign, op)| {
        text.split_once(sign)
            .map(|(field, value)| (field, *op, value))
    });
    let (field, op, value) = found.with_context(|| {
        format!("'{text}' is no file and no condition such as entity.user=backup or process.cmd_line*=--check")
    })?;
    Ok(Condition {
        field: field.trim().to_owned(),
        op,
        value: value.trim().to_owned(),
    })
}

fn print(report: &BacktestReport) {
    let changed = |after: Option<u64>| after.map(|after| format!(" → {after}")).unwrap_or_default();
    println!("{}", visible(&report.title));
    let after = report.after;
    println!(
        "{}{} alerts from {}{} findings in {} events, {:.0} to {:.0}",
        report.before.alerts,
        changed(after.map(|after| after.alerts)),
        report.before.findings,
        changed(after.map(|after| after.findings)),
        report.events_judged,
        report.from,
        report.to
    );
    if !report.is_whole {
        println!(
            "not whole: {} of {} events were judged",
            report.events_judged, report.events_in_range
        );
    }
    for day in &report.per_day {
        println!(
            "  {}  {:>6}{} alerts",
            jiff::tz::TimeZone::UTC.to_datetime(day.start).date(),
            day.before.alerts,
            changed(day.after.map(|after| after.alerts))
        );
    }
    let list = |name: &str, values: &[BacktestValue]| {
        if !values.is_empty() {
            println!("{name}, findings:");
        }
        for one in values {
            println!(
                "  {:>6}{}  {}",
                one.before,
                changed(one.after),
                visible(&one.value)
            );
        }
    };
    list("hosts", &report.hosts);
    list("users", &report.users);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_with_their_operator() {
        for (text, field, op, value) in [
            ("entity.user=svc", "entity.user", ConditionOp::Is, "svc"),
            ("a*=b=c", "a", ConditionOp::Contains, "b=c"),
            ("a^= x", "a", ConditionOp::StartsWith, "x"),
            ("a$=.exe", "a", ConditionOp::EndsWith, ".exe"),
        ] {
            let read = condition(text).unwrap();
            assert_eq!(
                (read.field.as_str(), read.op, read.value.as_str()),
                (field, op, value)
            );
        }
        assert!(condition("nothing").is_err());
    }
}
