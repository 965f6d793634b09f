//! The state of correlations and analytics, saved with the journal position that it belongs to.
//!
//! A file begins with all state at some position and goes on with what each commit changed. What
//! belongs to a commit is written and synced before the commit; after it, the files before the
//! last whole state go. At start the pieces up to the lake's position are the right ones, whatever
//! the crash cut off: the piece of that position was on disk before the lake was there. The first
//! state that is saved after a start is whole, so that what a crash left behind goes with it.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use watchfloor_detect::SavedState;
use watchfloor_lake::Lake;

/// Beginning of the names of state files.
const NAME: &str = "correlations-";

/// Where the state of a partition is saved.
#[derive(Debug)]
pub(crate) enum States {
    /// In the data folder.
    Folder(StateFolder),
    /// Beside the lake, where the process that takes the partition over finds it.
    Shared(SharedStates),
}

impl States {
    /// As [`StateFolder::load`].
    pub(crate) async fn load(&self, end: u64) -> Option<Vec<Vec<u8>>> {
        match self {
            Self::Folder(states) => states.load(end),
            Self::Shared(states) => states.load(end).await,
        }
    }

    /// As [`StateFolder::save`].
    pub(crate) async fn save(&mut self, end: u64, state: &SavedState) -> std::io::Result<()> {
        match self {
            Self::Folder(states) => states.save(end, state),
            Self::Shared(states) => states.save(end, state).await,
        }
    }

    /// As [`StateFolder::keep_only`].
    pub(crate) async fn keep_only(&self, end: u64) {
        match self {
            Self::Folder(states) => states.keep_only(end),
            Self::Shared(states) => states.keep_only(end).await,
        }
    }
}

/// State of a partition as files beside the lake, each a piece: named by the position of the
/// whole state that it builds on, and its own.
#[derive(Debug)]
pub(crate) struct SharedStates {
    lake: Arc<Lake>,
    folder: String,
    start: Option<u64>,
}

impl SharedStates {
    pub(crate) fn new(lake: Arc<Lake>, partition: u16) -> Self {
        Self {
            lake,
            folder: format!("state/{partition}"),
            start: None,
        }
    }

    fn name(&self, start: u64, end: u64) -> String {
        format!("{}/{start:020}-{end:020}", self.folder)
    }

    /// Starts and ends of the pieces that are there.
    async fn pieces(&self) -> Vec<(u64, u64)> {
        let names = self.lake.list_shared(&self.folder).await;
        let names = names.unwrap_or_else(|error| {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "saved state cannot be listed"
            );
            Vec::new()
        });
        let pieces = names.iter().filter_map(|name| {
            let (start, end) = name.split_once('-')?;
            Some((start.parse().ok()?, end.parse().ok()?))
        });
        pieces.collect()
    }

    async fn load(&self, end: u64) -> Option<Vec<Vec<u8>>> {
        let mut pieces = self.pieces().await;
        pieces.sort_unstable();
        let (start, _) = *pieces.iter().rev().find(|(_, piece)| *piece == end)?;
        let mut found = Vec::new();
        for (_, piece) in pieces.iter().filter(|one| one.0 == start && one.1 <= end) {
            let name = self.name(start, *piece);
            found.push(self.lake.get_shared(&name).await.ok()??);
        }
        Some(found)
    }

    async fn save(&mut self, end: u64, state: &SavedState) -> std::io::Result<()> {
        let start = match (state.is_whole, self.start) {
            (true, _) => end,
            (false, Some(start)) => start,
            (false, None) => {
                return Err(std::io::Error::other(
                    "changes of state without a whole state before them",
                ));
            }
        };
        let name = self.name(start, end);
        let saved = self.lake.put_shared(&name, state.bytes.clone()).await;
        saved.map_err(std::io::Error::other)?;
        self.start = Some(start);
        Ok(())
    }

    async fn keep_only(&self, end: u64) {
        if self.start != Some(end) {
            return;
        }
        for (start, piece) in self.pieces().await {
            if start < end && piece <= end {
                // A file that stays behind does no harm.
                let _ = self.lake.delete_shared(&self.name(start, piece)).await;
            }
        }
    }
}

/// Folder of state files.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    current: Option<Current>,
}

/// The file that is written to.
#[derive(Debug)]
struct Current {
    /// Position of the whole state that it begins with.
    start: u64,
    file: File,
    /// Bytes of the pieces that are wholly written.
    len: u64,
}

impl StateFolder {
    pub(crate) fn open(path: PathBuf) -> std::io::Result<Self> {
        std::fs::create_dir_all(&path)?;
        Ok(Self {
            path,
            current: None,
        })
    }

    /// The pieces that give the state at a position, in order. Versions before this one saved all
    /// state as JSON in a file of its own.
    pub(crate) fn load(&self, end: u64) -> Option<Vec<Vec<u8>>> {
        let mut starts: Vec<u64> = self.starts().filter(|start| *start <= end).collect();
        starts.sort_unstable_by(|left, right| right.cmp(left));
        let mut files = starts.into_iter();
        let found = files.find_map(|start| {
            let saved = std::fs::read(self.file(start)).ok()?;
            pieces(&saved, end)
        });
        let earlier = self.path.join(format!("{NAME}{end:020}.json"));
        found.or_else(|| Some(vec![std::fs::read(earlier).ok()?]))
    }

    /// Saves state for a position, durably. What was cut off by an error before is written over.
    pub(crate) fn save(&mut self, end: u64, state: &SavedState) -> std::io::Result<()> {
        let mut piece = Vec::with_capacity(16 + state.bytes.len());
        piece.extend_from_slice(&end.to_le_bytes());
        piece.extend_from_slice(&(state.bytes.len() as u64).to_le_bytes());
        piece.extend_from_slice(&state.bytes);
        if state.is_whole {
            return self.begin(end, &piece);
        }
        let Some(current) = &mut self.current else {
            return Err(std::io::Error::other(
                "changes of state without a whole state before them",
            ));
        };
        current.file.set_len(current.len)?;
        current.file.seek(SeekFrom::Start(current.len))?;
        current.file.write_all(&piece)?;
        current.file.sync_data()?;
        current.len += piece.len() as u64;
        Ok(())
    }

    fn begin(&mut self, start: u64, piece: &[u8]) -> std::io::Result<()> {
        let path = self.file(start);
        let temporary = path.with_extension("new");
        let mut file = File::create(&temporary)?;
        file.write_all(piece)?;
        file.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        File::open(&self.path)?.sync_all()?;
        self.current = Some(Current {
            start,
            file,
            len: piece.len() as u64,
        });
        Ok(())
    }

    /// Forgets all files that the state at a position, which is committed, does not need.
    pub(crate) fn keep_only(&self, end: u64) {
        let is_new = |current: &&Current| current.start == end;
        if let Some(current) = self.current.as_ref().filter(is_new) {
            self.remove_others(&self.file(current.start));
        }
    }

    fn starts(&self) -> impl Iterator<Item = u64> {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten();
        entries.flatten().filter_map(|entry| {
            let name = entry.file_name();
            let name = name.to_str()?;
            let start = name.strip_prefix(NAME)?.strip_suffix(".state")?;
            start.parse().ok()
        })
    }

    fn file(&self, start: u64) -> PathBuf {
        self.path.join(format!("{NAME}{start:020}.state"))
    }

    fn remove_others(&self, keep: &Path) {
        let entries = std::fs::read_dir(&self.path).into_iter().flatten();
        for entry in entries.flatten() {
            let path = entry.path();
            let is_state = entry.file_name().to_string_lossy().starts_with(NAME);
            if is_state && path != keep {
                // A file that stays behind does no harm.
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// The pieces of a file up to that of a position; `None` if it has none of that position.
fn pieces(mut saved: &[u8], end: u64) -> Option<Vec<Vec<u8>>> {
    let mut pieces = Vec::new();
    loop {
        let (head, rest) = saved.split_first_chunk::<16>()?;
        let (position, len) = head.split_first_chunk::<8>()?;
        let position = u64::from_le_bytes(*position);
        let len = usize::try_from(u64::from_le_bytes(len.try_into().ok()?)).ok()?;
        let (piece, rest) = rest.split_at_checked(len)?;
        pieces.push(piece.to_vec());
        if position >= end {
            return (position == end).then_some(pieces);
        }
        saved = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(is_whole: bool, text: &str) -> SavedState {
        SavedState {
            is_whole,
            bytes: text.as_bytes().to_vec(),
        }
    }

    fn loaded(path: &Path, end: u64) -> Option<String> {
        let folder = StateFolder::open(path.to_owned()).expect("a folder");
        let pieces = folder.load(end)?;
        let texts = pieces.into_iter().map(String::from_utf8);
        Some(
            texts
                .map(|one| one.expect("text"))
                .collect::<Vec<_>>()
                .join("+"),
        )
    }

    #[test]
    fn the_pieces_of_the_lakes_position_are_found_whatever_a_crash_left() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let mut states = StateFolder::open(path.to_owned()).expect("a folder");
        states
            .save(3, &state(false, "x"))
            .expect_err("nothing before it");
        for (end, is_whole, text) in [(5, true, "a"), (7, false, "b"), (9, false, "")] {
            states.save(end, &state(is_whole, text)).expect("saved");
            states.keep_only(end);
        }
        // Saved, but the commits did not come to be.
        states.save(12, &state(true, "c")).expect("saved");
        states.save(14, &state(false, "d")).expect("saved");
        let told: Vec<Option<String>> = (4..15).map(|end| loaded(path, end)).collect();
        let told: Vec<&str> = told
            .iter()
            .map(|one| one.as_deref().unwrap_or("-"))
            .collect();
        assert_eq!(
            told,
            ["-", "a", "-", "a+b", "-", "a+b+", "-", "-", "c", "-", "c+d"]
        );
        // A piece of which the end is missing is none.
        let file = path.join("correlations-00000000000000000012.state");
        let whole = std::fs::read(&file).expect("the file");
        for len in 0..whole.len() {
            std::fs::write(&file, &whole[..len]).expect("written");
            assert_eq!(loaded(path, 14), None, "{len} bytes");
            assert_eq!(loaded(path, 7).as_deref(), Some("a+b"));
        }
    }

    #[test]
    fn a_whole_state_that_is_committed_makes_the_others_needless() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let earlier = path.join("correlations-00000000000000000004.json");
        std::fs::write(&earlier, "{}").expect("written");
        assert_eq!(loaded(path, 4).as_deref(), Some("{}"));
        assert_eq!(loaded(path, 5), None);
        let mut states = StateFolder::open(path.to_owned()).expect("a folder");
        let count = || std::fs::read_dir(path).expect("a folder").count();
        states.save(6, &state(true, "a")).expect("saved");
        assert_eq!(count(), 2);
        states.keep_only(6);
        assert_eq!(count(), 1);
        states.save(8, &state(false, "b")).expect("saved");
        states.keep_only(8);
        states.save(9, &state(true, "c")).expect("saved");
        assert_eq!(loaded(path, 8).as_deref(), Some("a+b"));
        states.keep_only(9);
        assert_eq!((count(), loaded(path, 9).as_deref()), (1, Some("c")));
    }

    #[test]
    fn what_an_error_cut_off_is_written_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path();
        let mut states = StateFolder::open(path.to_owned()).expect("a folder");
        states.save(1, &state(true, "a")).expect("saved");
        let file = path.join("correlations-00000000000000000001.state");
        let mut torn = std::fs::read(&file).expect("the file");
        torn.extend_from_slice(&[7; 40]);
        std::fs::write(&file, &torn).expect("written");
        states.save(2, &state(false, "b")).expect("saved");
        assert_eq!(loaded(path, 2).as_deref(), Some("a+b"));
    }
}
