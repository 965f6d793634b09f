//! Saved positions of sources that pull: a small file of names and numbers.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// Positions of one source.
#[derive(Debug)]
pub(crate) struct Positions {
    path: PathBuf,
    by_name: BTreeMap<String, u64>,
}

impl Positions {
    /// Reads the file; one that is not there or not whole holds nothing.
    pub(crate) fn open(path: PathBuf) -> Self {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let by_name = text.lines().filter_map(|line| {
            let (number, name) = line.split_once('\t')?;
            Some((name.to_owned(), number.parse().ok()?))
        });
        Self {
            by_name: by_name.collect(),
            path,
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<u64> {
        self.by_name.get(name).copied()
    }

    /// Saves a position. Names hold neither tab nor line end.
    pub(crate) fn set(&mut self, name: &str, position: u64) -> io::Result<()> {
        self.by_name.insert(name.to_owned(), position);
        let lines = self.by_name.iter();
        let lines = lines.map(|(name, number)| format!("{number}\t{name}\n"));
        replace(&self.path, lines.collect::<String>().as_bytes())
    }
}

/// Puts a file in the place of another, whole or not at all.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let new = path.with_extension("new");
    std::fs::write(&new, bytes)?;
    std::fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_come_back_and_a_torn_file_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sources/kafka.positions");
        let mut positions = Positions::open(path.clone());
        assert_eq!(positions.get("logs/0"), None);
        positions.set("logs/0", 17).unwrap();
        positions.set("logs/1", 3).unwrap();
        positions.set("logs/0", 18).unwrap();
        let again = Positions::open(path.clone());
        assert_eq!(
            (again.get("logs/0"), again.get("logs/1")),
            (Some(18), Some(3))
        );
        std::fs::write(&path, "18\tlogs/0\n3").unwrap();
        let torn = Positions::open(path);
        assert_eq!((torn.get("logs/0"), torn.get("logs/1")), (Some(18), None));
    }
}
