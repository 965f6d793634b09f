//! What a running server looks for.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use watchfloor_api::ports::{IndicatorList, RefusedIndicator};
use watchfloor_intel::IndicatorSet;
use watchfloor_pipeline::Pipeline;

use super::{Loaded, LoadedList, load, scan, troubles};
use crate::rules::scan::Scan;

/// How often the files are looked at. A change is taken up when two looks agree, so that a list
/// which is being written is not read by halves.
const LOOK_WAIT: Duration = Duration::from_secs(1);
/// Folder of a data folder.
const FOLDER: &str = "indicators";

/// The folder of a data folder whose lists a server looks for.
pub(crate) fn folder(data: &Path) -> PathBuf {
    data.join(FOLDER)
}

/// The lists in force. Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Shelf {
    inner: Arc<Inner>,
}

struct Inner {
    paths: Vec<PathBuf>,
    shown: RwLock<Shown>,
}

struct Shown {
    lists: Vec<LoadedList>,
    /// Number and bytes of the indicators in force.
    size: (usize, usize),
    scan: Scan,
    /// Why the files as they are now are not in force.
    held_back: Option<String>,
}

/// Looks at the files until it goes.
pub(crate) struct Watch {
    _stop: mpsc::Sender<()>,
}

impl Shelf {
    /// Reads the lists of a data folder, whose folder for them is made, and those below paths.
    pub(crate) fn open(data: &Path, paths: &[PathBuf]) -> Result<(Self, Arc<IndicatorSet>)> {
        let own = folder(data);
        std::fs::create_dir_all(&own)
            .with_context(|| format!("cannot make the folder {}", own.display()))?;
        for path in paths {
            std::fs::metadata(path)
                .with_context(|| format!("cannot read the indicators in {}", path.display()))?;
        }
        let paths = [vec![own], paths.to_vec()].concat();
        let scan = scan(&paths);
        let loaded = load_and_log(&scan);
        let shown = Shown {
            size: (loaded.set.len(), loaded.set.bytes()),
            lists: loaded.lists,
            scan,
            held_back: None,
        };
        let inner = Arc::new(Inner {
            paths,
            shown: RwLock::new(shown),
        });
        Ok((Self { inner }, loaded.set))
    }

    /// Starts to look at the files, on a thread of its own.
    pub(crate) fn watch(&self, pipeline: Arc<Pipeline>) -> Result<Watch> {
        let (stop, stopped) = mpsc::channel();
        let shelf = self.clone();
        std::thread::Builder::new()
            .name("indicators".to_owned())
            .spawn(move || {
                let mut last = None;
                while stopped.recv_timeout(LOOK_WAIT) == Err(RecvTimeoutError::Timeout) {
                    let now = scan(&shelf.inner.paths);
                    if now != shelf.shown().scan && last.as_ref() == Some(&now) {
                        shelf.take_up(now.clone(), &pipeline);
                    }
                    last = Some(now);
                }
            })
            .context("the thread that looks at indicators cannot be started")?;
        Ok(Watch { _stop: stop })
    }

    /// Number and bytes of the indicators in force.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.shown().size
    }

    /// The lists, for the API.
    pub(crate) fn lists(&self, pipeline: &Pipeline) -> Vec<IndicatorList> {
        let matches = pipeline.indicator_matches().read();
        let shown = self.shown();
        let lists = shown.lists.iter().map(|list| {
            let report = &list.report;
            IndicatorList {
                name: list.name.clone(),
                path: list.path.display().to_string(),
                format: report.format.map(|format| format.to_string()),
                indicators: report.taken.total(),
                kinds: report
                    .taken
                    .iter()
                    .map(|(kind, count)| (kind.to_string(), count))
                    .collect(),
                refused: report.refused_count,
                refused_lines: report
                    .refused
                    .iter()
                    .map(|line| RefusedIndicator {
                        line: line.line,
                        reason: line.reason.clone(),
                    })
                    .collect(),
                not_understood: report.not_understood.clone(),
                trouble: list.unreadable.clone().or_else(|| shown.held_back.clone()),
                loaded_at: list.loaded_at,
                matches: matches.get(list.name.as_str()).copied().unwrap_or(0),
            }
        });
        lists.collect()
    }

    /// Reads the files anew and looks for what they have. A folder that is away takes nothing
    /// down: what was in force stays so until it is back.
    fn take_up(&self, scan: Scan, pipeline: &Pipeline) {
        if let Some((path, reason)) = scan.unreadable.iter().next() {
            let held_back = format!("{}: {reason}", path.display());
            tracing::warn!(reason = %held_back, "indicators stay as they were");
            let mut shown = self
                .inner
                .shown
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            shown.held_back = Some(held_back);
            shown.scan = scan;
            return;
        }
        let loaded = load_and_log(&scan);
        let size = (loaded.set.len(), loaded.set.bytes());
        pipeline.replace_indicators(loaded.set);
        let mut shown = self
            .inner
            .shown
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *shown = Shown {
            lists: loaded.lists,
            size,
            scan,
            held_back: None,
        };
    }

    fn shown(&self) -> std::sync::RwLockReadGuard<'_, Shown> {
        self.inner
            .shown
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn load_and_log(scan: &Scan) -> Loaded {
    let start = Instant::now();
    let paths: Vec<PathBuf> = scan.files.keys().cloned().collect();
    let loaded = load(&paths);
    for trouble in loaded.lists.iter().flat_map(troubles) {
        tracing::warn!("indicators: {trouble}");
    }
    if !paths.is_empty() {
        tracing::info!(
            lists = paths.len(),
            indicators = loaded.set.len(),
            bytes = loaded.set.bytes(),
            took_ms = start.elapsed().as_millis() as u64,
            "indicators are loaded"
        );
    }
    loaded
}
