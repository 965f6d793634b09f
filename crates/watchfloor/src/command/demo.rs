//! `watchfloor demo`: the server, with a recorded intrusion beside a benign background.
//!
//! The recording holds records with offsets from its start and placeholders for times; they
//! are replayed with fresh times at the pace at which they were recorded.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tokio::time::Instant;
use watchfloor_event::Format;
use watchfloor_ingest::{Journal, NewRecord};

use crate::Outcome;
use crate::cli::DemoArgs;
use crate::command::block_on;
use crate::config::{COMMIT_WAIT, ClusterConfig, Config};
use crate::enrichment::EnrichConfig;
use crate::fleet::FleetConfig;
use crate::places::Wanted;
use crate::rules::{Budget, Sources};
use crate::server::Server;
use crate::sources::SourcesConfig;

#[derive(rust_embed::RustEmbed)]
#[folder = "../../demo"]
struct Recording;

/// One record of the recording.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Recorded {
    at_ms: i64,
    source: String,
    format: String,
    #[serde(default)]
    context: Option<String>,
    line: String,
}

/// Records that are due within this time go together.
const GROUP_WAIT: Duration = Duration::from_millis(100);
/// How often progress is told.
const PROGRESS_WAIT: Duration = Duration::from_secs(10);

pub(crate) fn run(args: &DemoArgs) -> Result<Outcome> {
    if !(0.1..=1000.0).contains(&args.speed) {
        bail!("--speed must be between 0.1 and 1000");
    }
    let data = match &args.data {
        Some(data) => data.clone(),
        None => std::env::temp_dir().join(format!("watchfloor-demo-{}", std::process::id())),
    };
    let config = Config {
        enrich: EnrichConfig::default(),
        routes: Vec::new(),
        forward: BTreeMap::new(),
        fleet: FleetConfig::default(),
        sources: SourcesConfig::default(),
        limits: watchfloor_api::RoleLimits::STANDARD,
        lake: Wanted::default(),
        store: crate::records::Wanted::default(),
        journal: crate::roles::JournalConfig::default(),
        roles: crate::roles::Roles::ALL,
        cluster: ClusterConfig::default(),
        commit_wait: COMMIT_WAIT,
        data,
        listen: args.listen,
        syslog: None,
        rules: Sources::default(),
        budget: Budget::STANDARD,
        mappings: Vec::new(),
        indicators: Vec::new(),
        host_names: Vec::new(),
    };
    let recording = load()?;
    let speed = args.speed;
    block_on(async move {
        let server = Server::start(&config).await?;
        eprintln!("demo data folder: {}", config.data.display());
        let journal = server.pipeline.journal().clone();
        tokio::spawn(async move {
            if let Err(error) = replay(recording, &journal, speed).await {
                eprintln!("watchfloor: the replay stopped: {error:#}");
            }
        });
        server.serve().await
    })?;
    Ok(Outcome::Done)
}

fn load() -> Result<Vec<Recorded>> {
    let mut recorded = Vec::new();
    for name in Recording::iter().filter(|name| name.contains(".ndjson")) {
        let file = Recording::get(&name).context("the recording is not in the program")?;
        let text = if name.ends_with(".gz") {
            let mut text = String::new();
            watchfloor_decode::framing::gunzip(&file.data[..]).read_to_string(&mut text)?;
            text
        } else {
            String::from_utf8_lossy(&file.data).into_owned()
        };
        for (index, line) in text.lines().enumerate() {
            let one: Recorded = serde_json::from_str(line)
                .with_context(|| format!("recording {name}, line {}", index + 1))?;
            recorded.push(one);
        }
    }
    recorded.sort_by_key(|one| one.at_ms);
    Ok(recorded)
}

async fn replay(recording: Vec<Recorded>, journal: &Journal, speed: f64) -> Result<()> {
    let (start, started_at) = (Instant::now(), Timestamp::now());
    let total = recording.len();
    let (mut sent, mut told) = (0, start);
    let mut rest = recording.into_iter().peekable();
    eprintln!("replaying {total} records; the intrusion begins within seconds");
    while rest.peek().is_some() {
        let elapsed_ms = start.elapsed().as_secs_f64() * 1000.0 * speed;
        let mut group = Vec::new();
        while let Some(one) = rest.next_if(|one| one.at_ms as f64 <= elapsed_ms) {
            // Told times keep the pace of the recording, also when it is replayed faster.
            let offset_ms = (one.at_ms as f64 / speed) as i64;
            group.push(record(
                &one,
                started_at + SignedDuration::from_millis(offset_ms),
            )?);
        }
        sent += group.len();
        journal.append(group).await?;
        if told.elapsed() >= PROGRESS_WAIT {
            told = Instant::now();
            eprintln!("replayed {sent} of {total} records");
        }
        tokio::time::sleep(GROUP_WAIT).await;
    }
    eprintln!("replay complete: {total} records; the server goes on until it is stopped (Ctrl-C)");
    Ok(())
}

fn record(one: &Recorded, time: Timestamp) -> Result<NewRecord> {
    let format = Format::parse(&one.format)
        .with_context(|| format!("recording names format '{}'", one.format))?;
    Ok(NewRecord {
        source: Arc::from(one.source.as_str()),
        format,
        context: one.context.as_deref().map(Arc::from),
        received_at: Timestamp::now(),
        idempotency_key: 0,
        bytes: Bytes::from(fill(&one.line, time)),
    })
}

/// Puts a time in the places that the recording leaves for it.
fn fill(line: &str, time: Timestamp) -> String {
    if !line.contains("{{") {
        return line.to_owned();
    }
    let zoned = time.to_zoned_datetime(TimeZone::UTC);
    let millis = time.as_millisecond();
    let seconds = format!("{}.{:03}", millis.div_euclid(1000), millis.rem_euclid(1000));
    let forms = [
        ("{{rfc3164}}", zoned.strftime("%b %e %H:%M:%S").to_string()),
        ("{{rfc5424}}", format!("{time:.3}")),
        ("{{iso_ms}}", format!("{time:.3}")),
        ("{{iso}}", format!("{time:.0}")),
        ("{{windows}}", format!("{time:.7}")),
        (
            "{{clf}}",
            zoned.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
        ),
        ("{{audit}}", seconds),
        ("{{epoch_ms}}", millis.to_string()),
        ("{{epoch}}", time.as_second().to_string()),
    ];
    let mut filled = line.to_owned();
    for (place, form) in forms {
        filled = filled.replace(place, &form);
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_of_the_recording_can_be_replayed() {
        let recording = load().unwrap();
        assert!(recording.len() > 10_000, "{}", recording.len());
        for one in &recording {
            let record = record(one, Timestamp::UNIX_EPOCH).unwrap();
            assert!(
                !record.bytes.windows(2).any(|two| two == b"{{") || !one.line.contains("{{"),
                "{}",
                one.line
            );
        }
    }

    #[test]
    fn times_take_the_form_that_the_place_asks_for() {
        let time = Timestamp::from_millisecond(1_795_521_600_123).unwrap();
        let line =
            "{{rfc3164}}|{{iso_ms}}|{{iso}}|{{windows}}|{{clf}}|{{audit}}|{{epoch}}|{{epoch_ms}}";
        let expected = "Nov 24 12:00:00|2026-11-24T12:00:00.123Z|2026-11-24T12:00:00Z|2026-11-24T12:00:00.1230000Z|24/Nov/2026:12:00:00 +0000|1795521600.123|1795521600|1795521600123";
        assert_eq!(fill(line, time), expected);
    }
}
