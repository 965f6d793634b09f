//! `kind = "journald"`: the journal of systemd, read by `journalctl`, which looks after rotation
//! and damage. The cursor of the last entry that our journal took stands in the data folder.
//!
//! # Source
//! systemd, `journalctl(1)`, "Journal Export Formats".

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use watchfloor_decode::framing::{FileFormat, follow};
use watchfloor_event::Format;
use watchfloor_ingest::{NewRecord, Running, SourceHandle};

use super::Given;

/// Entries read ahead.
const ENTRIES_AHEAD: usize = 8192;
/// Entries in one append.
const GROUP: usize = 4096;
/// Wait before journalctl is started again.
const RETRY_WAIT: Duration = Duration::from_secs(2);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Folder of journal files, if not the machine's own.
    directory: Option<PathBuf>,
    /// Units; all if none is named.
    #[serde(default)]
    units: Vec<String>,
    /// `begin` (default) or `end`: what is read at the first start.
    from: Option<String>,
    /// The program, if it is not in the path.
    journalctl: Option<PathBuf>,
}

/// What is read, and how far it was.
struct Reader {
    handle: SourceHandle,
    settings: Settings,
    from_end: bool,
    state: PathBuf,
}

pub(super) async fn start(given: Given) -> Result<Running> {
    let settings: Settings = given.settings()?;
    let from_end = match settings.from.as_deref() {
        None | Some("begin") => false,
        Some("end") => true,
        Some(other) => bail!("from = '{other}' is not known; begin or end"),
    };
    let folder = given.data.join("sources");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let reader = Reader {
        state: folder.join(format!("{}.cursor", given.handle.name())),
        handle: given.handle,
        settings,
        from_end,
    };
    Ok(Box::pin(reader.run()))
}

/// An entry with its cursor.
struct Entry {
    bytes: Bytes,
    cursor: Option<String>,
}

/// Ends journalctl when it goes.
struct Journalctl(Child);

impl Drop for Journalctl {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Reader {
    async fn run(self) {
        while !self.handle.stop().is_cancelled() {
            let ended = self.once().await;
            if self.handle.stop().is_cancelled() {
                return;
            }
            let reason = match ended {
                Ok(()) => "journalctl has ended".to_owned(),
                Err(error) => format!("{error:#}"),
            };
            self.handle.retrying(
                reason,
                "install systemd's journalctl, and let watchfloor's user read the journal (group systemd-journal)",
            );
            tokio::select! {
                () = self.handle.stop().cancelled() => return,
                () = tokio::time::sleep(RETRY_WAIT) => {}
            }
        }
    }

    fn command(&self) -> Command {
        let program = self.settings.journalctl.as_deref();
        let mut command = Command::new(program.unwrap_or(Path::new("journalctl")));
        command.args(["--output=export", "--follow", "--no-pager", "--quiet"]);
        if let Some(directory) = &self.settings.directory {
            command.arg("--directory").arg(directory);
        }
        for unit in &self.settings.units {
            command.arg("--unit").arg(unit);
        }
        match std::fs::read_to_string(&self.state) {
            Ok(cursor) if !cursor.trim().is_empty() => {
                command.arg(format!("--after-cursor={}", cursor.trim()));
                command.arg("--lines=all");
            }
            _ if self.from_end => {
                command.arg("--lines=0");
            }
            _ => {
                command.arg("--lines=all");
            }
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Reads until journalctl ends.
    async fn once(&self) -> Result<()> {
        let mut child = self
            .command()
            .spawn()
            .context("journalctl cannot be started")?;
        let output = child.stdout.take().context("no output")?;
        let errors = child.stderr.take().context("no error output")?;
        let mut journalctl = Journalctl(child);
        self.handle.connected("journalctl");
        let complaints = tokio::task::spawn_blocking(move || {
            let mut text = String::new();
            let _ = std::io::Read::read_to_string(
                &mut std::io::Read::take(errors, 64 << 10),
                &mut text,
            );
            text
        });
        let (entries, mut arriving) = mpsc::channel(ENTRIES_AHEAD);
        let reading = tokio::task::spawn_blocking(move || {
            follow(output, "", FileFormat::JournalExport, &mut |framed| {
                let entry = Entry {
                    bytes: Bytes::copy_from_slice(framed.bytes),
                    cursor: cursor(framed.bytes),
                };
                match entries.blocking_send(entry) {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                }
            })
        });
        let mut group = Vec::new();
        loop {
            let count = tokio::select! {
                () = self.handle.stop().cancelled() => 0,
                count = arriving.recv_many(&mut group, GROUP) => count,
            };
            if count == 0 || !self.take(&mut group).await? {
                break;
            }
        }
        drop(arriving);
        let _ = journalctl.0.kill();
        let _ = reading.await;
        let status = journalctl.0.wait()?;
        let complaint = complaints.await.unwrap_or_default();
        if !self.handle.stop().is_cancelled() && !complaint.trim().is_empty() {
            bail!("journalctl has ended ({status}): {}", complaint.trim());
        }
        Ok(())
    }

    /// Makes entries durable, then their cursor.
    async fn take(&self, group: &mut Vec<Entry>) -> Result<bool> {
        let source = self.handle.records_as().clone();
        let context = self.handle.context_of(&source);
        let last = group.iter().rev().find_map(|entry| entry.cursor.clone());
        let records: Vec<NewRecord> = group
            .drain(..)
            .map(|entry| {
                let format = Format::JournalExport;
                let mut record = self
                    .handle
                    .record(&source, context.as_ref(), format, entry.bytes);
                record.idempotency_key = entry.cursor.as_deref().map_or(0, key);
                record
            })
            .collect();
        if !self.handle.append(records).await {
            return Ok(false);
        }
        if let Some(cursor) = last {
            let temporary = self.state.with_extension("new");
            std::fs::write(&temporary, cursor)
                .and_then(|()| std::fs::rename(&temporary, &self.state))
                .with_context(|| format!("cannot write {}", self.state.display()))?;
        }
        Ok(true)
    }
}

fn cursor(entry: &[u8]) -> Option<String> {
    let lines = entry.split(|byte| *byte == b'\n');
    let cursor = lines
        .take(16)
        .find_map(|line| line.strip_prefix(b"__CURSOR="))?;
    Some(String::from_utf8_lossy(cursor).into_owned())
}

fn key(cursor: &str) -> u128 {
    let digest = Sha256::digest(cursor.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(bytes).max(1)
}
