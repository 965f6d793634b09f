//! The state of correlations, saved with the journal position that it belongs to.
//!
//! The file of a commit is written before the commit; after it, the older ones go. At start
//! the file whose position is the lake's is the right one, whatever the crash cut off.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Folder of state files.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    kept: Option<u64>,
}

impl StateFolder {
    pub(crate) fn open(path: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&path)?;
        Ok(Self { path, kept: None })
    }

    /// The state saved for a position.
    pub(crate) fn load(&mut self, end: u64) -> Option<Vec<u8>> {
        self.kept = Some(end);
        std::fs::read(self.file(end)).ok()
    }

    /// Saves the state for a position, durably.
    pub(crate) fn save(&self, end: u64, state: &[u8]) -> std::io::Result<()> {
        let path = self.file(end);
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(state)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        File::open(&self.path)?.sync_all()
    }

    /// Forgets all states but that of a position.
    pub(crate) fn keep_only(&mut self, end: u64) {
        if let Some(older) = self.kept.replace(end).filter(|older| *older != end) {
            // A file that stays behind does no harm.
            let _ = std::fs::remove_file(self.file(older));
        }
    }

    fn file(&self, end: u64) -> PathBuf {
        self.path.join(format!("correlations-{end:020}.json"))
    }

    /// Removes files of positions that are not the lake's.
    pub(crate) fn tidy(&self, end: u64) {
        let keep = self.file(end);
        for entry in std::fs::read_dir(&self.path)
            .into_iter()
            .flatten()
            .flatten()
        {
            if is_state(&entry.path()) && entry.path() != keep {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

fn is_state(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with("correlations-"))
}
