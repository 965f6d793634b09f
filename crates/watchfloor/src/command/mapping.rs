//! `watchfloor mapping`: the cases of packs, what lines become and why, and the list of packs.

use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use watchfloor_decode::{Decoder, Limits};
use watchfloor_event::{AnomalyCode, EventBatch, RawRecord, ocsf};
use watchfloor_normalize::{Case, Explanation, Field, PackSet};

use crate::cli::MappingCommand;
use crate::command::{mapping_coverage, normalize, visible};
use crate::content::{self, ContentFile};
use crate::{Outcome, files};

/// Longest text that is shown of a line or a value, in characters.
const SHOWN_CHARACTERS_MAX: usize = 240;
/// Most kinds that are named as tried in vain.
const REFUSED_SHOWN_MAX: usize = 12;

pub(crate) fn run(command: &MappingCommand) -> Result<Outcome> {
    match command {
        MappingCommand::Test { folder } => test(folder.as_deref()),
        MappingCommand::Try {
            format,
            product,
            mappings,
            file,
        } => try_file(file, format.as_deref(), product.as_deref(), mappings),
        MappingCommand::Coverage(args) => mapping_coverage::run(args),
        MappingCommand::List { mappings } => list(mappings),
    }
}

fn test(folder: Option<&Path>) -> Result<Outcome> {
    let (files, packs) = match folder {
        None => (content::embedded("mappings/"), content::packs(&[])?),
        Some(folder) => {
            let folders: Vec<PathBuf> = vec![folder.to_owned()];
            (content::files_below(&folders)?, content::packs(&folders)?)
        }
    };
    for fault in packs.lint() {
        println!("note: {fault}");
    }
    let (mut passed, mut failed) = (0, 0);
    for file in files.iter().filter(|file| file.path.ends_with(".ndjson")) {
        let (good, bad) = run_cases(file, &packs)?;
        passed += good;
        failed += bad;
    }
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

fn run_cases(file: &ContentFile, packs: &PackSet) -> Result<(usize, usize)> {
    let (mut passed, mut failed) = (0, 0);
    for (index, line) in file
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let case = match Case::parse(line) {
            Ok(case) => case,
            Err(error) => bail!("{}:{}: {error}", file.path, index + 1),
        };
        let faults = case.check(packs);
        if faults.is_empty() {
            passed += 1;
            continue;
        }
        failed += 1;
        println!("FAILED {}:{}", file.path, index + 1);
        for fault in faults {
            println!("    {}", visible(&fault));
        }
    }
    Ok((passed, failed))
}

fn try_file(
    file: &Path,
    format: Option<&str>,
    product: Option<&str>,
    mappings: &[PathBuf],
) -> Result<Outcome> {
    let packs = content::packs(mappings)?;
    let format = files::format(format)?;
    let product = normalize::product(product, &packs)?;
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut tally = Tally::default();
    normalize::each_batch(file, format, product, &mut |records| {
        show(records, &mut decoder, &packs, &mut tally, &mut output)
    })?;
    writeln!(
        output,
        "{} events: {} understood, {} of no known product, {} with anomalies",
        tally.events, tally.understood, tally.unknown, tally.odd
    )?;
    output.flush()?;
    Ok(Outcome::Done)
}

/// What was seen in a file.
#[derive(Default)]
struct Tally {
    events: usize,
    understood: usize,
    unknown: usize,
    odd: usize,
}

fn show(
    records: &[RawRecord],
    decoder: &mut Decoder,
    packs: &PackSet,
    tally: &mut Tally,
    output: &mut impl Write,
) -> Result<()> {
    let mut batch = EventBatch::new();
    for record in records {
        decoder.decode(&mut batch, record);
    }
    packs.normalize(&mut batch);
    for row in 0..batch.len() {
        tally.events += 1;
        let is_known = batch.rows().get(row).is_some_and(|meta| meta.kind != 0);
        tally.understood += usize::from(is_known);
        tally.unknown += usize::from(!is_known);
        let is_odd = batch.anomalies().iter().any(|(at, _)| *at == row);
        tally.odd += usize::from(is_odd);
        show_event(
            &batch,
            row,
            tally.events,
            &packs.explain(&batch, row),
            output,
        )?;
    }
    Ok(())
}

fn show_event(
    batch: &EventBatch,
    row: usize,
    number: usize,
    why: &Explanation,
    output: &mut impl Write,
) -> Result<()> {
    let Some(meta) = batch.rows().get(row) else {
        return Ok(());
    };
    let class_uid = batch.kind_of(row).class_uid;
    writeln!(
        output,
        "{number}: {}",
        shown(&String::from_utf8_lossy(&meta.raw))
    )?;
    writeln!(
        output,
        "    kind      {} ({}), class {class_uid} {}",
        why.kind,
        why.product,
        ocsf::class_name(class_uid)
    )?;
    for condition in &why.conditions {
        writeln!(output, "    because   {}", shown(condition))?;
    }
    if let Some(matched) = &why.matched {
        writeln!(output, "    matched   {}", shown(matched))?;
    }
    if !why.refused.is_empty() {
        let names: Vec<&str> = why.refused.iter().map(String::as_str).collect();
        let names = names.get(..REFUSED_SHOWN_MAX).unwrap_or(&names);
        writeln!(output, "    not       {}", names.join(", "))?;
    }
    let own = if meta.has_own_time {
        ""
    } else {
        " (of receipt)"
    };
    writeln!(output, "    time      {}{own}", meta.time)?;
    writeln!(
        output,
        "    numbers   activity {}, severity {}, status {}",
        meta.activity_id, meta.severity_id, meta.status_id
    )?;
    fields("ocsf", &why.attributes, output)?;
    fields("unmapped", &why.unmapped, output)?;
    for (_, anomaly) in batch.anomalies().iter().filter(|(at, _)| *at == row) {
        writeln!(
            output,
            "    anomaly   {}: {}{}",
            anomaly.code,
            shown(&anomaly.detail),
            advice(anomaly.code)
        )?;
    }
    writeln!(output)?;
    Ok(())
}

fn fields(title: &str, fields: &[Field], output: &mut impl Write) -> Result<()> {
    for field in fields {
        writeln!(
            output,
            "    {title:<9} {} = {}",
            shown(&field.name),
            shown(&field.value)
        )?;
    }
    Ok(())
}

/// What a person can do about an oddity.
fn advice(code: AnomalyCode) -> &'static str {
    match code {
        AnomalyCode::Undecoded => {
            "; name the product with --product, or write a pack that matches 'message'"
        }
        AnomalyCode::Unmapped => "; write a pack whose conditions hold for these fields",
        AnomalyCode::TimeMissing | AnomalyCode::TimeUnreadable => {
            "; name the field, and its pattern, under 'time' in the pack"
        }
        AnomalyCode::ValueMismatch => "; give the map a converter with 'as'",
        AnomalyCode::MalformedJson
        | AnomalyCode::NestedTooDeep
        | AnomalyCode::InvalidUtf8
        | AnomalyCode::Truncated
        | AnomalyCode::TooManyFields
        | AnomalyCode::TimeImplausible
        | AnomalyCode::Malformed => "",
    }
}

/// A text as a terminal may see it, on one line and not too long.
fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARACTERS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    visible(&short)
}

fn list(mappings: &[PathBuf]) -> Result<Outcome> {
    let packs = content::packs(mappings)?;
    let mut output = BufWriter::new(std::io::stdout().lock());
    let mut sorted: Vec<_> = packs.packs().iter().collect();
    sorted.sort_by(|left, right| left.product.cmp(&right.product));
    for pack in &sorted {
        writeln!(
            output,
            "{}: {} ({})",
            pack.product, pack.title, pack.versions
        )?;
        for kind in &pack.kinds {
            writeln!(
                output,
                "    {} -> {}",
                kind.name,
                ocsf::class_name(kind.class_uid)
            )?;
        }
    }
    let kinds: usize = sorted.iter().map(|pack| pack.kinds.len()).sum();
    writeln!(output, "{} packs, {kinds} kinds of event", sorted.len())?;
    output.flush()?;
    Ok(Outcome::Done)
}
