//! `watchfloor sensor`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_detect::foreign_findings;
use watchfloor_event::{EventBatch, Format, RawRecord};

use crate::Outcome;
use crate::cli::{FindingFormat, ImportArgs, SensorArgs, SensorCommand, SensorRules};
use crate::command::detect::Output;
use crate::command::{block_on, import};
use crate::content;
use crate::sensor::{self, PcapRun, Settings, Target};
use crate::server::told_to_end;

pub(crate) fn run(args: &SensorArgs) -> Result<Outcome> {
    let folder = args.dir.clone().unwrap_or_else(sensor::default_folder);
    match &args.command {
        Some(SensorCommand::Rules { command }) => rules(&folder, command),
        None if args.pcap.is_empty() => live(&folder, args),
        None => offline(&folder, args),
    }
}

fn live(folder: &Path, args: &SensorArgs) -> Result<Outcome> {
    let mut settings = Settings::read(folder)?;
    if !args.interfaces.is_empty() {
        settings.interfaces.clone_from(&args.interfaces);
    }
    let target = match (&args.data, &args.url) {
        (Some(data), None) => Target::Folder(data.clone()),
        (None, Some(url)) => Target::Url {
            url: url.clone(),
            token: std::env::var("WATCHFLOOR_TOKEN").context(
                "--url needs a token in WATCHFLOOR_TOKEN; watchfloor admin token --scope ingest --data FOLDER makes one",
            )?,
        },
        _ => bail!("say where events go: --data FOLDER of a server on this machine, or --url URL"),
    };
    settings.write(folder)?;
    block_on(async {
        let stop = CancellationToken::new();
        let end = stop.clone();
        tokio::spawn(async move {
            told_to_end().await;
            end.cancel();
        });
        sensor::watch(folder, &settings, &target, &stop).await
    })?;
    Ok(Outcome::Done)
}

/// Capture files: into a data folder, or their alerts onto the terminal.
fn offline(folder: &Path, args: &SensorArgs) -> Result<Outcome> {
    let settings = Settings::read(folder)?;
    let mut inputs = Vec::new();
    let place = tempfile::tempdir().context("no folder for what Suricata writes")?;
    for (number, pcap) in args.pcap.iter().enumerate() {
        let name = pcap.file_name().unwrap_or_default().to_string_lossy();
        let into = place.path().join(number.to_string());
        std::fs::create_dir(&into).context("no folder for what Suricata writes")?;
        let run = PcapRun {
            pcap,
            rules: &args.rules,
            config: args.suricata_config.as_deref(),
            folder,
        };
        let eve = sensor::run_pcap(&run, &settings, &into)?;
        // The name of the source tells the capture.
        let named = into.join(format!("{name}.eve.json"));
        std::fs::rename(&eve, &named).context("the events cannot be taken over")?;
        inputs.push(named);
    }
    match &args.data {
        Some(data) => import::run(&ImportArgs {
            format: None,
            data: data.clone(),
            rules: Vec::new(),
            input: inputs,
        }),
        None => print(&inputs, args.format),
    }
}

fn print(inputs: &[PathBuf], format: FindingFormat) -> Result<Outcome> {
    let packs = content::packs(&[])?;
    let mut output = Output::new(format);
    let mut decoder = Decoder::new(Limits::STANDARD);
    let mut position = 0;
    for input in inputs {
        let text =
            std::fs::read(input).with_context(|| format!("cannot read {}", input.display()))?;
        let source: Arc<str> = Arc::from(input.file_name().unwrap_or_default().to_string_lossy());
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        for group in lines.chunks(watchfloor_event::MAX_BATCH_EVENTS / 2) {
            let mut batch = EventBatch::new();
            for line in group.iter().filter(|line| !line.is_empty()) {
                let record = RawRecord {
                    source: Arc::clone(&source),
                    format: Format::Json,
                    context: None,
                    position,
                    received_at: Timestamp::now(),
                    bytes: Bytes::copy_from_slice(line),
                };
                position += 1;
                decoder.decode(&mut batch, &record);
            }
            packs.normalize(&mut batch);
            output.findings(&foreign_findings(&batch, &[]), &batch)?;
        }
    }
    output.finish()?;
    Ok(Outcome::Done)
}

fn rules(folder: &Path, command: &SensorRules) -> Result<Outcome> {
    let mut settings = Settings::read(folder)?;
    match command {
        SensorRules::Add { name, place } => {
            settings.rule_sets.insert(name.clone(), place.clone());
            settings.write(folder)?;
            return refresh(folder, &settings);
        }
        SensorRules::Remove { name } => {
            if settings.rule_sets.remove(name).is_none() {
                bail!("no rule set is called '{name}'");
            }
            let _ = std::fs::remove_dir_all(folder.join("rule-sets").join(name));
        }
        SensorRules::Update => return refresh(folder, &settings),
        SensorRules::List => {
            for (name, place) in &settings.rule_sets {
                println!("{name}\t{place}");
            }
            return Ok(Outcome::Done);
        }
        SensorRules::Enable { which } => {
            settings
                .tuning
                .disable
                .retain(|known| !which.contains(known));
            settings.tuning.enable.extend(which.iter().cloned());
        }
        SensorRules::Disable { which } => {
            settings
                .tuning
                .enable
                .retain(|known| !which.contains(known));
            settings.tuning.disable.extend(which.iter().cloned());
        }
        SensorRules::Suppress(one) => settings.tuning.suppress.push(one.suppression()),
    }
    settings.write(folder)?;
    build(folder, &settings)
}

fn refresh(folder: &Path, settings: &Settings) -> Result<Outcome> {
    let faults = block_on(async { Ok(sensor::update(folder, settings).await) })?;
    for (name, error) in &faults {
        eprintln!("watchfloor: rule set {name} stays as it was: {error:#}");
    }
    let built = build(folder, settings)?;
    Ok(if faults.is_empty() {
        built
    } else {
        Outcome::Found
    })
}

fn build(folder: &Path, settings: &Settings) -> Result<Outcome> {
    let active = sensor::build(folder, settings)?;
    println!(
        "{} rules of {} files are in use, {} are off, {} stood twice",
        active.rules, active.files, active.off, active.doubled
    );
    Ok(Outcome::Done)
}
