//! Looking at files, and telling when they changed.

use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::rules::scan::Scan;

/// How often files are looked at. A change is taken up when two looks agree, so that a file which
/// is being written is not read by halves.
const LOOK_WAIT: Duration = Duration::from_secs(1);

/// Looks at files until it goes.
pub(crate) struct FileWatch {
    _stop: mpsc::Sender<()>,
}

impl FileWatch {
    /// Looks at the wanted files below paths on a thread of its own; `changed` is called when they
    /// are no longer as `known`.
    pub(crate) fn start(
        name: &str,
        paths: Vec<PathBuf>,
        wanted: fn(&str) -> bool,
        known: Scan,
        mut changed: impl FnMut() + Send + 'static,
    ) -> Result<Self> {
        let (stop, stopped) = mpsc::channel();
        std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                let mut in_force = known;
                let mut last = in_force.clone();
                while stopped.recv_timeout(LOOK_WAIT) == Err(RecvTimeoutError::Timeout) {
                    let now = Scan::wanted(&paths, wanted);
                    if now != in_force && last == now {
                        changed();
                        in_force = now.clone();
                    }
                    last = now;
                }
            })
            .with_context(|| format!("the thread that looks at {name} cannot be started"))?;
        Ok(Self { _stop: stop })
    }
}
