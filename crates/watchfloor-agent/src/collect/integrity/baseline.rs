//! What files were when they were looked at last; on disk, so that changes are told that happened
//! while the agent did not run.
//!
//! What becomes known is held back until it is told: the spool takes the records and these lines in
//! one entry, and only then they are written here. After a crash in between they are taken from
//! the spool, so that no change is told twice and none is passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use watchfloor_link::IntegrityPath;

use crate::collect::hash::{FILE_BYTES_MAX, sha256_of};
use crate::data::{sha256_hex, write_atomically};

/// Longest text whose difference is told.
const TEXT_BYTES_MAX: u64 = 64 << 10;
/// Lines that are written before the file is written anew.
const LINES_MAX: usize = 100_000;

/// What a file is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Facts {
    /// Empty for links and for files that are too long.
    #[serde(default, rename = "h", skip_serializing_if = "String::is_empty")]
    pub(super) sha256: String,
    #[serde(rename = "s")]
    pub(super) size: u64,
    #[serde(rename = "m")]
    pub(super) mode: u32,
    #[serde(rename = "u")]
    pub(super) uid: u32,
    #[serde(rename = "g")]
    pub(super) gid: u32,
    #[serde(rename = "t")]
    pub(super) modified_s: i64,
    /// Where a link leads.
    #[serde(default, rename = "l", skip_serializing_if = "String::is_empty")]
    pub(super) target: String,
    /// Inode and time of change: while both are the same, so is the content.
    #[serde(rename = "i")]
    inode: u64,
    #[serde(rename = "c")]
    changed_ns: i64,
}

impl Facts {
    /// Looks at a file. Its content is read only if it may be another one.
    pub(super) fn of(path: &Path, before: Option<&Self>, step: impl Fn()) -> Option<Self> {
        let meta = fs::symlink_metadata(path).ok()?;
        let mut facts = Self {
            sha256: String::new(),
            size: meta.len(),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            modified_s: meta.mtime(),
            target: String::new(),
            inode: meta.ino(),
            changed_ns: meta
                .ctime()
                .wrapping_mul(1_000_000_000)
                .wrapping_add(meta.ctime_nsec()),
        };
        if meta.is_symlink() {
            let target = fs::read_link(path).ok()?;
            facts.target = target.to_string_lossy().into_owned();
        } else if meta.is_file() && meta.len() <= FILE_BYTES_MAX {
            let is_same = before.is_some_and(|one| {
                one.inode == facts.inode
                    && one.changed_ns == facts.changed_ns
                    && one.size == facts.size
            });
            facts.sha256 = match before {
                Some(before) if is_same => before.sha256.clone(),
                _ => sha256_of(path, step).unwrap_or_default(),
            };
        }
        Some(facts)
    }

    /// Whether both have the same content.
    pub(super) fn is_same_content(&self, other: &Self) -> bool {
        self.sha256 == other.sha256 && self.size == other.size && self.target == other.target
    }

    /// Whether more differs than what only this program looks at.
    pub(super) fn is_other_for_people(&self, other: &Self) -> bool {
        !self.is_same_content(other)
            || (self.mode, self.uid, self.gid) != (other.mode, other.uid, other.gid)
    }
}

/// A line of the file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Line {
    /// Path, in hexadecimal if it is no UTF-8.
    #[serde(rename = "p")]
    path: String,
    #[serde(default, rename = "x", skip_serializing_if = "is_false")]
    is_hex: bool,
    /// Nothing where the file is gone.
    #[serde(default, rename = "f", skip_serializing_if = "Option::is_none")]
    facts: Option<Facts>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

impl Line {
    fn new(path: &Path, facts: Option<Facts>) -> Self {
        match path.to_str() {
            Some(text) => Self {
                path: text.to_owned(),
                is_hex: false,
                facts,
            },
            None => Self {
                path: hex::encode(path.as_os_str().as_bytes()),
                is_hex: true,
                facts,
            },
        }
    }

    fn path(&self) -> Option<PathBuf> {
        match self.is_hex {
            false => Some(PathBuf::from(&self.path)),
            true => {
                let bytes = hex::decode(&self.path).ok()?;
                Some(PathBuf::from(std::ffi::OsString::from_vec(bytes)))
            }
        }
    }
}

/// What is known of all files.
pub(super) struct Baseline {
    folder: PathBuf,
    log: File,
    lines: usize,
    files: BTreeMap<PathBuf, Facts>,
    roots: BTreeSet<String>,
    /// Known, and not written yet.
    held: Vec<Line>,
    /// Texts that go with it; none where there is no text any more.
    held_texts: BTreeMap<PathBuf, Option<String>>,
    is_dirty: bool,
}

impl Baseline {
    /// Reads what was known, and takes over the lines that were told last: a crash may have come
    /// before they were written. A line that a crash cut short is passed over.
    pub(super) fn open(folder: PathBuf, told: Vec<Line>) -> io::Result<Self> {
        let path = folder.join("baseline.log");
        let mut files = BTreeMap::new();
        let mut lines = 0;
        if let Ok(file) = File::open(&path) {
            for text in BufReader::new(file).lines() {
                let Ok(line) = serde_json::from_str::<Line>(&text?) else {
                    continue;
                };
                lines += 1;
                match (line.path(), line.facts) {
                    (Some(path), Some(facts)) => drop(files.insert(path, facts)),
                    (Some(path), None) => drop(files.remove(&path)),
                    (None, _) => {}
                }
            }
        }
        let roots = fs::read(folder.join("roots.json")).unwrap_or_default();
        let mut log = OpenOptions::new().create(true).append(true).open(path)?;
        // Ends what a crash may have cut short, so that the next line stands alone.
        log.write_all(b"\n")?;
        let mut baseline = Self {
            log,
            lines,
            files,
            roots: serde_json::from_slice(&roots).unwrap_or_default(),
            folder,
            held: Vec::new(),
            held_texts: BTreeMap::new(),
            is_dirty: true,
        };
        for line in &told {
            match (line.path(), line.facts.clone()) {
                (Some(path), Some(facts)) => drop(baseline.files.insert(path, facts)),
                (Some(path), None) => drop(baseline.files.remove(&path)),
                (None, _) => {}
            }
        }
        baseline.write(&told)?;
        Ok(baseline)
    }

    /// Whether a path of the policy was looked at before.
    pub(super) fn knows_root(&self, of: &IntegrityPath) -> bool {
        self.roots.contains(&root_key(of))
    }

    /// Remembers that a path of the policy was looked at.
    pub(super) fn learn_root(&mut self, of: &IntegrityPath) -> io::Result<()> {
        if self.roots.insert(root_key(of)) {
            let bytes = serde_json::to_vec(&self.roots).map_err(io::Error::other)?;
            write_atomically(&self.folder.join("roots.json"), &bytes, 0o600)?;
        }
        Ok(())
    }

    /// How many files are known.
    pub(super) fn len(&self) -> usize {
        self.files.len()
    }

    /// What a file was.
    pub(super) fn get(&self, path: &Path) -> Option<&Facts> {
        self.files.get(path)
    }

    /// All files that are known.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        self.files.keys().cloned().collect()
    }

    /// Files below a folder.
    pub(super) fn below(&self, folder: &Path) -> Vec<PathBuf> {
        let from = self.files.range(folder.to_owned()..);
        from.take_while(|(path, _)| path.starts_with(folder))
            .map(|(path, _)| path.clone())
            .collect()
    }

    /// Remembers what a file is.
    pub(super) fn set(&mut self, path: &Path, facts: Facts) {
        self.held.push(Line::new(path, Some(facts.clone())));
        self.files.insert(path.to_owned(), facts);
    }

    /// Forgets a file.
    pub(super) fn remove(&mut self, path: &Path) {
        if self.files.remove(path).is_some() {
            self.held_texts.insert(path.to_owned(), None);
            self.held.push(Line::new(path, None));
        }
    }

    /// How many lines are held back.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// The lines that are held back; they are to be written once they are told.
    pub(super) fn take_held(&mut self) -> Vec<Line> {
        std::mem::take(&mut self.held)
    }

    /// Writes lines that were held back, and the texts that go with them.
    pub(super) fn write(&mut self, lines: &[Line]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut bytes, line).map_err(io::Error::other)?;
            bytes.push(b'\n');
        }
        self.log.write_all(&bytes)?;
        self.is_dirty = true;
        self.lines += lines.len();
        for (path, text) in std::mem::take(&mut self.held_texts) {
            let kept = self.text_path(&path);
            // Without it the next difference is told from nothing, which is no harm.
            let _ = match text {
                Some(text) => write_atomically(&kept, text.as_bytes(), 0o600),
                None => fs::remove_file(kept),
            };
        }
        if self.lines > LINES_MAX.max(self.files.len() * 2) {
            self.compact()?;
        }
        Ok(())
    }

    /// Makes what was written durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_dirty) {
            self.log.sync_data()?;
        }
        Ok(())
    }

    /// Writes the file anew if it has many lines that do not count any more.
    pub(super) fn compact(&mut self) -> io::Result<()> {
        if self.lines < self.files.len() + self.files.len() / 4 + 16 {
            return Ok(());
        }
        let path = self.folder.join("baseline.log");
        let beside = self.folder.join("baseline.new");
        let mut writer = io::BufWriter::new(File::create(&beside)?);
        for (path, facts) in &self.files {
            let line = Line::new(path, Some(facts.clone()));
            serde_json::to_writer(&mut writer, &line).map_err(io::Error::other)?;
            writer.write_all(b"\n")?;
        }
        writer.into_inner().map_err(io::Error::other)?.sync_all()?;
        fs::rename(&beside, &path)?;
        self.log = OpenOptions::new().append(true).open(path)?;
        self.lines = self.files.len();
        Ok(())
    }

    fn text_path(&self, path: &Path) -> PathBuf {
        let name = sha256_hex(path.as_os_str().as_bytes());
        self.folder.join(format!("{name}.txt"))
    }

    /// The text that a file had.
    pub(super) fn text(&self, path: &Path) -> Option<String> {
        match self.held_texts.get(path) {
            Some(text) => text.clone(),
            None => fs::read_to_string(self.text_path(path)).ok(),
        }
    }

    /// Keeps the text of a file for the next difference.
    pub(super) fn keep_text(&mut self, path: &Path) {
        self.held_texts.insert(path.to_owned(), text_of(path));
    }
}

/// The text of a short file that is one.
pub(super) fn text_of(path: &Path) -> Option<String> {
    let meta = fs::symlink_metadata(path).ok()?;
    if !meta.is_file() || meta.len() > TEXT_BYTES_MAX {
        return None;
    }
    let text = fs::read_to_string(path).ok()?;
    (!text.contains('\0')).then_some(text)
}

fn root_key(of: &IntegrityPath) -> String {
    format!("{}{}", of.path, if of.is_recursive { "/**" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_outlives_a_restart_and_odd_names() {
        let folder = tempfile::tempdir().unwrap();
        let place = tempfile::tempdir().unwrap();
        let odd = place.path().join(std::ffi::OsStr::from_bytes(b"a\xff\n"));
        fs::write(&odd, "x").unwrap();
        let facts = Facts::of(&odd, None, || ()).unwrap();
        let mut baseline = Baseline::open(folder.path().to_owned(), Vec::new()).unwrap();
        let of = IntegrityPath::plain("/etc");
        assert!(!baseline.knows_root(&of));
        baseline.learn_root(&of).unwrap();
        for _ in 0..40 {
            baseline.set(&odd, facts.clone());
        }
        baseline.set(Path::new("/b"), facts.clone());
        baseline.remove(Path::new("/b"));
        let held = baseline.take_held();
        baseline.write(&held).unwrap();
        baseline.compact().unwrap();
        drop(baseline);
        let baseline = Baseline::open(folder.path().to_owned(), Vec::new()).unwrap();
        assert_eq!((baseline.len(), baseline.lines), (1, 1));
        assert_eq!(baseline.get(&odd), Some(&facts));
        assert!(baseline.knows_root(&of));
        assert_eq!(baseline.below(place.path()), [odd]);
    }

    #[test]
    fn what_was_told_is_known_after_a_crash_and_what_was_not_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let open = |told| Baseline::open(folder.path().to_owned(), told).unwrap();
        let mut baseline = open(Vec::new());
        baseline.set(Path::new("/a"), Facts::default());
        let told = baseline.take_held();
        drop(baseline);
        assert_eq!(open(Vec::new()).len(), 0);
        // Half a line stands at the end.
        let log = folder.path().join("baseline.log");
        let mut bytes = fs::read(&log).unwrap();
        bytes.extend_from_slice(b"{\"p\":\"/cut");
        fs::write(&log, bytes).unwrap();
        assert_eq!(open(told).paths(), [PathBuf::from("/a")]);
        assert_eq!(open(Vec::new()).paths(), [PathBuf::from("/a")]);
    }

    #[test]
    fn attributes_and_content_are_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        fs::write(&path, "x").unwrap();
        let before = Facts::of(&path, None, || ()).unwrap();

        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let after = Facts::of(&path, Some(&before), || ()).unwrap();
        assert!(before.is_same_content(&after) && before.is_other_for_people(&after));
        fs::write(&path, "y").unwrap();
        let after = Facts::of(&path, Some(&after), || ()).unwrap();
        assert!(!before.is_same_content(&after));
    }
}
