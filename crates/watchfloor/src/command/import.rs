//! `watchfloor import`: files and folders into a data folder, whether its server runs or not.

use std::io::IsTerminal;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;
use watchfloor_decode::framing::FileFormat;
use watchfloor_ingest::{AppendError, Journal, JournalOptions, LocalSender, NewRecord, SendError};
use watchfloor_pipeline::JournalChoice;

use crate::cli::ImportArgs;
use crate::command::{block_on, visible};
use crate::config::COMMIT_WAIT;
use crate::data_folder::DataFolder;
use crate::rules::{Budget, Sources};
use crate::server::{Planes, PlanesOptions};
use crate::{Outcome, files, places, records};

/// Records sent together.
const GROUP_RECORDS: usize = 2048;
/// Bytes sent together; a running server takes groups of at most 64 MiB.
const GROUP_BYTES: usize = 16 << 20;
/// Groups read ahead.
const GROUPS_AHEAD: usize = 4;
/// How long the pipeline may take for what is left at the end.
const SETTLE_LIMIT: Duration = Duration::from_secs(3600);
/// The ledger's word for places in files that could not be read.
const UNREADABLE: &str = "unreadable";
/// Wait before a full journal is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(100);

pub(crate) fn run(args: &ImportArgs) -> Result<Outcome> {
    let format = files::format(args.format.as_deref())?;
    let paths = files::find(&args.input)?;
    if paths.is_empty() {
        bail!("there is no file in what was named");
    }
    block_on(import(args, paths, format))
}

/// A place that could not be read.
struct Unreadable {
    source: String,
    reason: String,
}

/// Where records go.
enum Target {
    /// The journal of a data folder that this command has to itself.
    Own { folder: DataFolder, planes: Planes },
    /// The server that has the folder.
    Server(LocalSender),
}

async fn own_planes(data: &Path, rules: &Sources) -> Result<Planes> {
    Planes::start(PlanesOptions {
        data,
        store: records::of_data(data).await?,
        rules,
        mappings: &[],
        indicators: &[],
        budget: Budget::STANDARD,
        commit_wait: COMMIT_WAIT,
        lake: places::last(data)?,
        cluster: None,
        journal: JournalChoice::Embedded(JournalOptions::standard()),
    })
    .await
}

async fn import(
    args: &ImportArgs,
    paths: Vec<PathBuf>,
    format: Option<FileFormat>,
) -> Result<Outcome> {
    let start = Instant::now();
    let sources = Sources {
        paths: args.rules.clone(),
        ..Sources::default()
    };
    let mut target = match DataFolder::try_take(&args.data)? {
        Some(folder) => {
            let planes = own_planes(&folder.path, &sources).await?;
            Target::Own { folder, planes }
        }
        None if !args.rules.is_empty() => {
            bail!(
                "the data folder {} is used by a running server, which has its own rules; leave --rules out",
                args.data.display()
            )
        }
        None => Target::Server(LocalSender::connect(&args.data).await?),
    };
    let (groups, mut incoming) = mpsc::channel(GROUPS_AHEAD);
    let count = paths.len();
    let reading = tokio::task::spawn_blocking(move || read_all(&paths, format, &groups));
    let mut records = 0_u64;
    while let Some(group) = incoming.recv().await {
        records += group.len() as u64;
        send(&mut target, group).await?;
        if std::io::stderr().is_terminal() {
            eprint!("\r{records} records ");
        }
    }
    let unreadable = reading.await.context("reading stopped")?;
    for one in &unreadable {
        eprintln!("watchfloor: {}", visible(&one.reason));
    }
    count_unreadable(&mut target, &unreadable).await?;
    if let Target::Own { planes, folder } = &target {
        if !planes.pipeline.settle(SETTLE_LIMIT).await {
            bail!(
                "records still wait in the journal of {}; the next start works them off",
                folder.path.display()
            );
        }
        // Findings follow their commit; the cursor says when casework has them.
        let end = planes.pipeline.journal().stats().next_position;
        while planes.casework.cursor(0).await?.unwrap_or(0) < end {
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }
    println!(
        "{records} records of {count} files imported in {:.1} s",
        start.elapsed().as_secs_f64()
    );
    Ok(if unreadable.is_empty() {
        Outcome::Done
    } else {
        Outcome::Found
    })
}

async fn send(target: &mut Target, group: Vec<NewRecord>) -> Result<()> {
    match target {
        Target::Own { planes, .. } => append(planes.pipeline.journal(), group).await,
        Target::Server(sender) => loop {
            match sender.send(&group).await {
                Ok(()) => return Ok(()),
                // Its journal is full: it says so until the pipeline has caught up.
                Err(SendError::Busy) => tokio::time::sleep(RETRY_WAIT).await,
                Err(error) => return Err(error.into()),
            }
        },
    }
}

/// Counts what could not be read, so that the ledger tells of it.
async fn count_unreadable(target: &mut Target, unreadable: &[Unreadable]) -> Result<()> {
    for one in unreadable {
        match target {
            Target::Own { planes, .. } => {
                planes
                    .pipeline
                    .ledger()
                    .drop_records(&one.source, UNREADABLE, 1);
            }
            Target::Server(sender) => sender.count_drop(&one.source, UNREADABLE, 1).await?,
        }
    }
    Ok(())
}

/// Waits while the pipeline is behind.
async fn append(journal: &Journal, group: Vec<NewRecord>) -> Result<()> {
    loop {
        match journal.append(group.clone()).await {
            Ok(_) => return Ok(()),
            Err(AppendError::Full { .. } | AppendError::Away { .. }) => {
                tokio::time::sleep(RETRY_WAIT).await
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Reads all files; returns what could not be read.
fn read_all(
    paths: &[PathBuf],
    format: Option<FileFormat>,
    groups: &mpsc::Sender<Vec<NewRecord>>,
) -> Vec<Unreadable> {
    let mut unreadable = Vec::new();
    for path in paths {
        let mut group = Vec::new();
        let mut bytes = 0;
        let source: Arc<str> = Arc::from(source_name(path));
        let read = files::read(path, format, &mut |framed| {
            bytes += framed.bytes.len();
            group.push(NewRecord {
                source: Arc::clone(&source),
                format: framed.format,
                context: framed.context.clone(),
                received_at: Timestamp::now(),
                idempotency_key: 0,
                bytes: Bytes::copy_from_slice(framed.bytes),
            });
            if group.len() < GROUP_RECORDS && bytes < GROUP_BYTES {
                return ControlFlow::Continue(());
            }
            bytes = 0;
            match groups.blocking_send(std::mem::take(&mut group)) {
                Ok(()) => ControlFlow::Continue(()),
                Err(_) => ControlFlow::Break(()),
            }
        });
        // A receiver that is gone has told why.
        let _ = groups.blocking_send(group);
        let one = |reason: String| Unreadable {
            source: source.to_string(),
            reason,
        };
        match read {
            Ok(report) => unreadable.extend(report.problems.iter().map(|problem| {
                let (place, reason) = (problem.offset, &problem.reason);
                one(format!("{}: at byte {place}: {reason}", path.display()))
            })),
            Err(error) => unreadable.push(one(format!("{error:#}"))),
        }
    }
    unreadable
}

fn source_name(path: &Path) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy().into_owned());
    format!("file:{}", name.unwrap_or_else(|| "stdin".to_owned()))
}
