//! Which files there are, and whether one changed, from what the file system says of them:
//! a look at some thousand files takes milliseconds and reads none of them.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::content::is_yaml;

/// Most files below all paths; a folder with more was surely not meant.
const MAX_FILES: usize = 100_000;
/// Deepest folder below a path; also what ends a ring of links.
const MAX_DEPTH: usize = 32;

/// What changes when a file does. The time of the last change of the entry itself is among it,
/// since a checkout or a copy may set the time of writing back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    bytes: u64,
    written_ns: (i64, i64),
    changed_ns: (i64, i64),
    inode: u64,
}

/// The files below some paths.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scan {
    /// Files by path.
    pub files: BTreeMap<PathBuf, Stamp>,
    /// Paths that could not be read, with the reason.
    pub unreadable: BTreeMap<PathBuf, String>,
}

impl Scan {
    /// Looks for rule files below paths.
    pub(crate) fn of(paths: &[PathBuf]) -> Self {
        Self::wanted(paths, is_yaml)
    }

    /// Looks below paths for files whose path is wanted. Hidden files and folders, `.git` among
    /// them, are passed over.
    pub(crate) fn wanted(paths: &[PathBuf], is_wanted: fn(&str) -> bool) -> Self {
        let mut scan = Self::default();
        for path in paths {
            match std::fs::metadata(path) {
                Ok(metadata) if metadata.is_dir() => scan.folder(path, 0, is_wanted),
                Ok(metadata) => {
                    scan.files.insert(path.clone(), Stamp::of(&metadata));
                }
                Err(error) => scan.cannot_read(path, &error),
            }
        }
        scan
    }

    fn folder(&mut self, folder: &Path, depth: usize, is_wanted: fn(&str) -> bool) {
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.cannot_read(folder, &error),
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            if is_hidden || self.files.len() >= MAX_FILES {
                continue;
            }
            // Follows links; one that leads nowhere is no file.
            let Ok(metadata) = std::fs::metadata(&path) else {
                continue;
            };
            if metadata.is_dir() && depth < MAX_DEPTH {
                self.folder(&path, depth + 1, is_wanted);
            } else if metadata.is_file() && is_wanted(&path.to_string_lossy()) {
                self.files.insert(path, Stamp::of(&metadata));
            }
        }
    }

    fn cannot_read(&mut self, path: &Path, error: &std::io::Error) {
        self.unreadable.insert(path.to_owned(), error.to_string());
    }
}

impl Stamp {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            bytes: metadata.len(),
            written_ns: (metadata.mtime(), metadata.mtime_nsec()),
            changed_ns: (metadata.ctime(), metadata.ctime_nsec()),
            inode: metadata.ino(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_folders_are_passed_over_and_a_change_shows() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        file("a/rule.yml", "title: a");
        file(".git/objects/x.yml", "no");
        file("a/.swap.yml", "no");
        file("a/README.md", "no");
        let paths = [folder.path().to_owned()];
        let first = Scan::of(&paths);
        assert_eq!(first.files.len(), 1, "{first:?}");
        assert_eq!(Scan::of(&paths), first);
        file("a/rule.yml", "title: b");
        assert_ne!(Scan::of(&paths), first);
        let gone = Scan::of(&[folder.path().join("absent")]);
        assert_eq!(gone.unreadable.len(), 1);
    }
}
