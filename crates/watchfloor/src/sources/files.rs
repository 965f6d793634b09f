//! `kind = "files"`: files and folders that are watched. Lines are taken as they are added, over
//! rotation by renaming, copying or packing; files of other forms when they have come to rest.
//!
//! Positions stand in the data folder and move on only when the journal has the lines. Each
//! record has a key made of its file and place, so what is read again after a crash is not
//! stored again.

mod state;
mod tail;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use tokio::runtime::Handle;
use watchfloor_ingest::{Running, SourceHandle};

use super::Given;
use state::Positions;
use tail::{Step, Tail, Tails};

/// Files that one source may watch.
const FILES_MAX: usize = 10_000;
/// How often files are looked at, unless told otherwise.
const POLL: Duration = Duration::from_secs(1);
/// Pieces of one file that are read before the next has its turn.
const TURN: usize = 16;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// Files, with `*`, `?`, `[…]` and `**`.
    paths: Vec<String>,
    /// Files that are passed over, likewise.
    #[serde(default)]
    exclude: Vec<String>,
    /// `begin` (default) or `end`: where a file begins that is there at the first start.
    from: Option<String>,
    /// Milliseconds between looks.
    poll_ms: Option<u64>,
}

/// What is watched, and how.
struct Watch {
    handle: SourceHandle,
    patterns: Vec<String>,
    exclude: Vec<glob::Pattern>,
    from_end: bool,
    format: Option<watchfloor_decode::framing::FileFormat>,
    poll: Duration,
    positions: Positions,
}

pub(super) async fn start(given: Given) -> Result<Running> {
    let settings: Settings = given.settings()?;
    if settings.paths.is_empty() {
        bail!("paths names no file, such as paths = [\"/var/log/nginx/*.log\"]");
    }
    let pattern = |text: &String| {
        glob::Pattern::new(text).with_context(|| format!("'{text}' is no pattern of files"))
    };
    for path in &settings.paths {
        pattern(path)?;
    }
    let from_end = match settings.from.as_deref() {
        None | Some("begin") => false,
        Some("end") => true,
        Some(other) => bail!("from = '{other}' is not known; begin or end"),
    };
    let poll = settings.poll_ms.map_or(POLL, Duration::from_millis);
    if poll < Duration::from_millis(10) {
        bail!("poll_ms must be at least 10");
    }
    let folder = given.data.join("sources");
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let positions = Positions::open(&folder.join(format!("{}.json", given.handle.name())))?;
    let watch = Watch {
        handle: given.handle,
        exclude: settings
            .exclude
            .iter()
            .map(pattern)
            .collect::<Result<_>>()?,
        patterns: settings.paths,
        from_end: from_end && positions.is_new(),
        format: crate::files::format(given.format.as_deref())?,
        poll,
        positions,
    };
    watch.handle.listening(watch.patterns.join(", "));
    let runtime = Handle::current();
    Ok(Box::pin(async move {
        // Reading files blocks, and goes on as long as the program does.
        let ended = tokio::task::spawn_blocking(move || watch.run(&runtime)).await;
        if let Err(error) = ended {
            tracing::error!(%error, "the watch of files has ended");
        }
    }))
}

impl Watch {
    fn run(mut self, runtime: &Handle) {
        let mut tails = Tails::default();
        let mut is_first = true;
        while !self.handle.stop().is_cancelled() {
            self.look(&mut tails, is_first);
            is_first = false;
            let is_done = self.read(&mut tails, runtime);
            if let Err(error) = self.positions.save() {
                self.handle.retrying(
                    format!("{error:#}"),
                    "make room on the disk; lines are read again after a restart and not stored twice",
                );
            }
            if is_done {
                let wait = async {
                    tokio::select! {
                        () = self.handle.stop().cancelled() => {}
                        () = tokio::time::sleep(self.poll) => {}
                    }
                };
                runtime.block_on(wait);
            }
        }
    }

    /// Looks for files that are new or were replaced.
    fn look(&mut self, tails: &mut Tails, is_first: bool) {
        let mut faults = Vec::new();
        let mut found: Vec<PathBuf> = Vec::new();
        for pattern in &self.patterns {
            let Ok(paths) = glob::glob(pattern) else {
                continue;
            };
            for path in paths {
                match path {
                    Ok(path) => found.push(path),
                    Err(error) => faults.push(error.to_string()),
                }
            }
        }
        found.retain(|path| {
            path.is_file()
                && !self
                    .exclude
                    .iter()
                    .any(|pattern| pattern.matches_path(path))
        });
        found.sort();
        found.dedup();
        if found.len() > FILES_MAX {
            faults.push(format!(
                "{} files match; the first {FILES_MAX} are read",
                found.len()
            ));
            found.truncate(FILES_MAX);
        }
        // A file that was rotated comes before the one that took its name, so that lines keep
        // their order.
        for path in &found {
            let from_end = self.from_end && is_first;
            match tails.open(path, &mut self.positions, self.format, from_end) {
                Ok(()) => {}
                Err(error) => faults.push(format!("{error:#}")),
            }
        }
        tails.gone(&found);
        match faults.first() {
            Some(fault) => self.handle.retrying(
                fault,
                "check that the file can be read by the user that watchfloor runs as",
            ),
            None => self.handle.listening(self.patterns.join(", ")),
        }
    }

    /// Reads what was added; `false` if there is more.
    fn read(&mut self, tails: &mut Tails, runtime: &Handle) -> bool {
        let mut is_done = true;
        for tail in tails.all() {
            for turn in 0..TURN {
                if self.handle.stop().is_cancelled() {
                    return true;
                }
                match self.step(tail, runtime) {
                    Step::Idle => break,
                    Step::More if turn + 1 == TURN => is_done = false,
                    Step::More => {}
                }
            }
        }
        is_done
    }

    fn step(&mut self, tail: &mut Tail, runtime: &Handle) -> Step {
        let piece = match tail.next_piece(&self.positions) {
            Ok(Some(piece)) => piece,
            Ok(None) => return Step::Idle,
            Err(fault) => {
                self.handle
                    .dropped(self.handle.records_as(), "unreadable", 1);
                self.handle.trouble(
                    "unreadable",
                    format!(
                        "{}: {fault:#}; the rest of the file is passed over",
                        tail.path().display()
                    ),
                );
                tail.pass_over(&mut self.positions);
                return Step::Idle;
            }
        };
        for reason in &piece.problems {
            self.handle
                .dropped(self.handle.records_as(), "unreadable", 1);
            self.handle
                .trouble("unreadable", format!("{}: {reason}", tail.path().display()));
        }
        let source = self.handle.records_as().clone();
        let product = self.handle.context_of(&source);
        let records = piece
            .records
            .into_iter()
            .map(|framed| {
                let context = match (&product, &framed.context) {
                    (Some(product), Some(own)) => Some(format!("{product}{own}").into()),
                    (Some(one), None) | (None, Some(one)) => Some(one.clone()),
                    (None, None) => None,
                };
                let mut record =
                    self.handle
                        .record(&source, context.as_ref(), framed.format, framed.bytes);
                record.idempotency_key = framed.key;
                record
            })
            .collect();
        if !runtime.block_on(self.handle.append(records)) {
            return Step::Idle;
        }
        tail.advance(&mut self.positions, piece.end, piece.head);
        Step::More
    }
}

/// The name of a file for messages and forms.
fn name_of(path: &Path) -> String {
    path.file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}
