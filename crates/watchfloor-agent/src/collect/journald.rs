//! The journal of systemd, read by its own tool.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::core::{Core, SMALL_STACK};
use crate::platform::command;
use crate::record::Fields;
use crate::spool::{Class, Positions};

const NAME: &str = "journald";
/// Name of the saved position.
const KEY: &str = "journal";
/// How often it is looked whether the journal is to be read.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Wait after the tool ended.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Records of one round.
const ROUND_MAX: usize = 256;
/// Longest entry that is kept.
const ENTRY_BYTES_MAX: u64 = 512 << 10;

/// How far the journal was read. Where a cursor is not known any more, the time is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Position {
    cursor: String,
    time_us: String,
}

/// Reads the journal until the agent ends.
pub(super) fn run(core: &Arc<Core>) {
    let mut is_cursor_lost = false;
    while core.is_running() {
        if !core.policy().journald {
            core.board.off(NAME);
            core.rest(LOOK_EVERY);
            continue;
        }
        match follow(core, is_cursor_lost) {
            Ok(count) => is_cursor_lost = count == 0,
            Err(error) => {
                core.board.trouble(NAME, &format!("{error:#}"));
                is_cursor_lost = true;
            }
        }
        core.rest(AGAIN_AFTER);
    }
}

/// Reads until the tool ends; answers how many entries came.
fn follow(core: &Arc<Core>, is_cursor_lost: bool) -> Result<u64> {
    let saved: Option<Position> = core
        .spool
        .position(KEY)
        .and_then(|value| serde_json::from_value(value).ok());
    let mut tool = command::command("journalctl")
        .context("the journal cannot be read; turn it off in the policy if there is none")?;
    tool.args([
        "--output=json",
        "--all",
        "--follow",
        "--no-pager",
        "--quiet",
    ]);
    match &saved {
        Some(position) if !is_cursor_lost => {
            tool.arg(format!("--after-cursor={}", position.cursor))
                .arg("--lines=all");
        }
        Some(position) => {
            // An entry of the same microsecond may come twice; none is lost.
            let micros: i64 = position.time_us.parse().unwrap_or(0);
            let since = format!("@{}.{:06}", micros / 1_000_000, micros % 1_000_000);
            tool.arg(format!("--since={since}")).arg("--lines=all");
        }
        // At the first start what happened before is passed over.
        None => {
            tool.arg("--lines=0");
        }
    }
    let mut child = tool
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("journalctl cannot be started")?;
    let output = child.stdout.take().context("journalctl has no output")?;
    let guard = Guard(child);
    let watcher = watch(core, guard);
    let result = read(core, output);
    if let Some(watcher) = watcher {
        let complaint = watcher.join().unwrap_or_default();
        if !complaint.is_empty() && core.is_running() {
            bail!("journalctl ended: {complaint}");
        }
    }
    result
}

/// A child that does not outlive what watches it.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Ends the tool when the agent ends or the policy does not want it: reading waits for it.
fn watch(core: &Arc<Core>, mut guard: Guard) -> Option<std::thread::JoinHandle<String>> {
    let core = Arc::clone(core);
    let builder = std::thread::Builder::new()
        .name("journald-watch".to_owned())
        .stack_size(SMALL_STACK);
    let watching = builder.spawn(move || {
        while core.rest(Duration::from_millis(500)) && core.policy().journald {
            if matches!(guard.0.try_wait(), Ok(Some(_)) | Err(_)) {
                break;
            }
        }
        let _ = guard.0.kill();
        let mut complaint = String::new();
        if let Some(pipe) = guard.0.stderr.take() {
            let _ = pipe.take(1_024).read_to_string(&mut complaint);
        }
        complaint.lines().next().unwrap_or_default().to_owned()
    });
    watching.ok()
}

fn read(core: &Core, output: ChildStdout) -> Result<u64> {
    core.board.well(NAME);
    core.board.count(NAME, 0);
    let mut reader = BufReader::with_capacity(64 << 10, output);
    let mut entries = 0;
    let mut records = Vec::new();
    let mut position = None;
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = reader
            .by_ref()
            .take(ENTRY_BYTES_MAX)
            .read_until(b'\n', &mut line)?;
        if count == 0 {
            break;
        }
        if line.last() != Some(&b'\n') && count as u64 == ENTRY_BYTES_MAX {
            core.spool.count_dropped("journal entry too long", 1);
            skip_line(&mut reader)?;
            continue;
        }
        if let Some((record, at)) = entry(core, &line) {
            records.push(record);
            position = Some(at);
        }
        // Whole lines that are here already are taken before anything is written.
        let has_more = reader.buffer().contains(&b'\n');
        if (!has_more || records.len() >= ROUND_MAX)
            && let Some(at) = position.take()
        {
            entries += records.len() as u64;
            let positions = Positions::from([(KEY.to_owned(), serde_json::to_value(at)?)]);
            if !core.keep(NAME, Class::Kept, std::mem::take(&mut records), positions) {
                break;
            }
            core.pace.step();
        }
    }
    Ok(entries)
}

fn skip_line(reader: &mut impl BufRead) -> Result<()> {
    loop {
        let bytes = reader.fill_buf()?;
        if bytes.is_empty() {
            return Ok(());
        }
        let end = bytes.iter().position(|byte| *byte == b'\n');
        let count = end.map_or(bytes.len(), |at| at + 1);
        reader.consume(count);
        if end.is_some() {
            return Ok(());
        }
    }
}

/// The record of an entry, and the position behind it.
fn entry(core: &Core, line: &[u8]) -> Option<(Vec<u8>, Position)> {
    let mut entry: Fields = serde_json::from_slice(line).ok()?;
    let text = |name: &str| {
        entry
            .get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let position = Position {
        cursor: text("__CURSOR")?,
        time_us: text("__REALTIME_TIMESTAMP").unwrap_or_default(),
    };
    // Texts with odd bytes come as lists of numbers.
    for value in entry.values_mut() {
        let bytes: Option<Vec<u8>> = value.as_array().and_then(|list| {
            let numbers = list
                .iter()
                .map(|one| one.as_u64().and_then(|one| u8::try_from(one).ok()));
            numbers.collect()
        });
        if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) {
            *value = String::from_utf8_lossy(&bytes).into_owned().into();
        }
    }
    Some((core.recorder.journal(entry), position))
}
