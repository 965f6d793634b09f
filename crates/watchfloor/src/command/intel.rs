//! `watchfloor intel`: look for indicators, and look after lists of them.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use jiff::{SignedDuration, Timestamp};
use tokio::runtime::Handle;
use watchfloor_detect::entities_of;
use watchfloor_event::FindingLevel;
use watchfloor_intel::{Held, Indicator, Matcher, csv_header, csv_line, stix_object};
use watchfloor_lake::RecordScope;
use watchfloor_pipeline::{Retro, RetroLimits};

use crate::cli::{DetectArgs, IndicatorFormat, IntelCommand, IntelMatchArgs, Shaping};
use crate::command::{block_on, detect, hunt, visible};
use crate::indicators::{self as lists, LoadedList};
use crate::{Outcome, content, places};

/// Head of a STIX bundle. Its id says nothing: bundles have no identity (STIX 2.1, section 8).
const BUNDLE: &str =
    r#"{"type":"bundle","id":"bundle--00000000-0000-8000-8000-000000000000","objects":["#;

pub(crate) fn run(command: &IntelCommand) -> Result<Outcome> {
    match command {
        IntelCommand::Match(args) => match &args.data {
            Some(data) => look_back(args, data),
            None => detect::run(&as_detect(args)),
        },
        IntelCommand::Import { data, input } => import(data, input),
        IntelCommand::Export { data, list, format } => export(data, list.as_deref(), *format),
    }
}

/// Matching is detection without rules.
fn as_detect(args: &IntelMatchArgs) -> DetectArgs {
    DetectArgs {
        rules: Vec::new(),
        indicators: args.indicators.clone(),
        shaping: Shaping::default(),
        format: args.format,
        threads: args.threads,
        stats: args.stats.clone(),
        input: args.input.clone(),
    }
}

/// Looks through what a lake holds: new indicators meet old events. Findings have the ids that
/// the stream would have given them.
fn look_back(args: &IntelMatchArgs, data: &Path) -> Result<Outcome> {
    let now = Timestamp::now();
    let scope = RecordScope {
        from: hunt::instant(&args.last, now)?,
        to: now
            .saturating_add(SignedDuration::from_hours(24))
            .unwrap_or(Timestamp::MAX),
        positions: 0..u64::MAX,
        kinds: None,
    };
    let loaded = lists::load(&lists::find(&args.indicators)?);
    lists::print_troubles(&loaded.lists);
    let packs = Arc::new(content::packs(&[])?);
    let mut output = detect::Output::new(args.format);
    output.head()?;
    let mut output = block_on(async move {
        let lake = Arc::new(places::open_to_read(data).await?);
        let runtime = Handle::current();
        let run = move || {
            let mut matcher = Matcher::new(loaded.set);
            let mut written = Ok(());
            let stop = AtomicBool::new(false);
            let limits = RetroLimits {
                events: u64::MAX,
                time: Duration::MAX,
                stop: &stop,
            };
            let retro = Retro::new(lake, packs);
            retro
                .batches(&runtime, &scope, &limits, &mut |batch| {
                    let findings = matcher.findings(batch, entities_of).findings;
                    if written.is_ok() {
                        written = output.findings(&findings, batch);
                    }
                    stop.fetch_or(written.is_err(), Ordering::Relaxed);
                })
                .context("stored events cannot be read")?;
            written.map(|()| output)
        };
        tokio::task::spawn_blocking(run)
            .await
            .context("the run stopped")?
    })?;
    output.finish()?;
    Ok(Outcome::Done)
}

fn import(data: &Path, input: &[PathBuf]) -> Result<Outcome> {
    let paths = lists::find(input)?;
    if paths.is_empty() {
        bail!(
            "no lists of indicators below what was named; name the files themselves, or give them endings such as .txt, .csv, .json"
        );
    }
    let folder = lists::folder(data);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let mut empty = 0;
    for path in &paths {
        let list = import_one(path, &folder)?;
        let kinds = list
            .report
            .taken
            .iter()
            .map(|(kind, count)| format!("{count} {kind}"));
        let kinds: Vec<String> = kinds.collect();
        println!(
            "{}: {} indicators{}, {} lines refused",
            visible(&list.name),
            list.report.taken.total(),
            if kinds.is_empty() {
                String::new()
            } else {
                format!(" ({})", kinds.join(", "))
            },
            list.report.refused_count,
        );
        if list.report.taken.total() == 0 {
            empty += 1;
        }
        lists::print_troubles(&[list]);
    }
    // A list that gives nothing is not what was asked for.
    Ok(if empty > 0 {
        Outcome::Found
    } else {
        Outcome::Done
    })
}

/// Writes a list beside its place and renames it, so that a server never reads half of it.
fn import_one(path: &Path, folder: &Path) -> Result<LoadedList> {
    let stem = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let target = folder.join(format!("{stem}.csv"));
    let waiting = folder.join(format!(".{stem}.csv.part"));
    let cannot = || format!("cannot write {}", target.display());
    let mut file = BufWriter::new(File::create(&waiting).with_context(cannot)?);
    let mut written = writeln!(file, "{}", csv_header());
    let (report, unreadable) = lists::read(path, &mut |indicator| {
        if written.is_ok() {
            written = writeln!(file, "{}", csv_line(&indicator));
        }
    });
    written.with_context(cannot)?;
    if let Some(reason) = &unreadable {
        bail!("cannot read {} to its end: {reason}", path.display());
    }
    if report.taken.total() > 0 {
        let file = file
            .into_inner()
            .map_err(|error| anyhow!("{}: {error}", cannot()))?;
        file.sync_all().with_context(cannot)?;
        std::fs::rename(&waiting, &target).with_context(cannot)?;
    } else {
        drop(file);
        std::fs::remove_file(&waiting).with_context(cannot)?;
    }
    Ok(LoadedList {
        name: stem,
        path: path.to_owned(),
        report,
        unreadable,
        loaded_at: Timestamp::now(),
    })
}

fn export(data: &Path, list: Option<&str>, format: IndicatorFormat) -> Result<Outcome> {
    let folder = lists::folder(data);
    let mut paths = lists::find(std::slice::from_ref(&folder))?;
    if let Some(list) = list {
        paths.retain(|path| path.file_stem().is_some_and(|stem| stem == list));
        if paths.is_empty() {
            bail!(
                "there is no list '{}' in {}",
                visible(list),
                folder.display()
            );
        }
    }
    let mut writer = Writer::new(format)?;
    for path in paths {
        let name = path
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let mut written = Ok(());
        let (_, unreadable) = lists::read(&path, &mut |indicator| {
            if written.is_ok() {
                written = writer.one(&name, indicator);
            }
        });
        written?;
        if let Some(reason) = unreadable {
            bail!("cannot read {} to its end: {reason}", path.display());
        }
    }
    writer.finish()?;
    Ok(Outcome::Done)
}

/// Writes indicators to standard output.
struct Writer {
    format: IndicatorFormat,
    now: Timestamp,
    is_first: bool,
    out: BufWriter<std::io::Stdout>,
}

impl Writer {
    fn new(format: IndicatorFormat) -> Result<Self> {
        let mut out = BufWriter::new(std::io::stdout());
        match format {
            IndicatorFormat::Csv => writeln!(out, "{}", csv_header())?,
            IndicatorFormat::Stix => writeln!(out, "{BUNDLE}")?,
            IndicatorFormat::Text => {}
        }
        Ok(Self {
            format,
            now: Timestamp::now(),
            is_first: true,
            out,
        })
    }

    fn one(&mut self, list: &str, mut indicator: Indicator) -> Result<()> {
        if indicator.source.is_empty() {
            indicator.source = list.into();
        }
        match self.format {
            IndicatorFormat::Csv => writeln!(self.out, "{}", csv_line(&indicator))?,
            IndicatorFormat::Text => writeln!(self.out, "{}", indicator.value)?,
            IndicatorFormat::Stix => {
                let list = list.into();
                let level = indicator.level.unwrap_or(FindingLevel::Medium);
                let held = Held {
                    list: &list,
                    indicator,
                    level,
                };
                let separator = if self.is_first { "" } else { ",\n" };
                write!(self.out, "{separator}{}", stix_object(&held, self.now))?;
            }
        }
        self.is_first = false;
        Ok(())
    }

    fn finish(mut self) -> Result<()> {
        if self.format == IndicatorFormat::Stix {
            writeln!(self.out, "\n]}}")?;
        }
        Ok(self.out.flush()?)
    }
}
