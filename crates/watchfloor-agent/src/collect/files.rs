//! Log files: which there are, which are new, which were moved away, and their lines.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::Value;
use watchfloor_link::LogFile;

use super::tail::{Line, Position};
use crate::core::Core;
use crate::glob;
use crate::record::LogLine;
use crate::spool::{Class, Positions};

const NAME: &str = "files";
/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How often patterns are looked through.
const SCAN_EVERY: Duration = Duration::from_secs(2);
/// How long a file that was moved away is still read: whoever writes it may not know yet.
const MOVED_KEPT: Duration = Duration::from_secs(10);
/// Files that are watched.
const FILES_MAX: usize = 2_000;
/// Rounds of one file before the next one has its turn.
const ROUNDS_MAX: usize = 16;
/// Endings of packed files.
const PACKED: &[&str] = &["gz", "xz", "bz2", "zst", "lz4"];

/// A file that is watched.
struct Watched {
    path: PathBuf,
    file: File,
    product: Option<String>,
    position: Position,
    /// Since when another file, or none, has its path.
    moved_at: Option<Instant>,
}

/// All files that are watched, by device and inode.
#[derive(Default)]
struct Files {
    watched: BTreeMap<(u64, u64), Watched>,
    scanned_at: Option<Instant>,
}

/// Watches log files until the agent ends.
pub(super) fn run(core: &Core) {
    let mut files = Files::default();
    files.take_up(core);
    loop {
        let policy = core.policy();
        let is_due = files.scanned_at.is_none_or(|at| at.elapsed() >= SCAN_EVERY);
        if is_due {
            files.scan(core, &policy.log_files);
            files.scanned_at = Some(Instant::now());
        }
        let has_more = files.read(core);
        if !has_more && !core.rest(LOOK_EVERY) || !core.is_running() {
            return;
        }
    }
}

/// Name of a file's position.
fn key(id: (u64, u64)) -> String {
    format!("file:{}:{}", id.0, id.1)
}

fn id_of(meta: &fs::Metadata) -> (u64, u64) {
    (meta.dev(), meta.ino())
}

impl Files {
    /// Finds the files again that were read before the agent ended, also those that were moved
    /// away meanwhile.
    fn take_up(&mut self, core: &Core) {
        for (name, value) in core.spool.positions("file:") {
            let position: Option<Position> = serde_json::from_value(value).ok();
            let id = parse_key(&name);
            let taken = position
                .zip(id)
                .is_some_and(|(position, id)| self.take_up_one(id, position));
            if !taken {
                forget(core, name);
            }
        }
    }

    fn take_up_one(&mut self, id: (u64, u64), position: Position) -> bool {
        let path = PathBuf::from(&position.path);
        let is_there = fs::metadata(&path).is_ok_and(|meta| id_of(&meta) == id);
        let found = match is_there {
            true => Some(path.clone()),
            false => find_moved(&path, id),
        };
        let Some(mut file) = found.and_then(|path| File::open(path).ok()) else {
            return false;
        };
        // The file may have been written anew in its place: then its beginning is not known.
        if !position.is_of(&mut file).unwrap_or(false) {
            return false;
        }
        let watched = Watched {
            path,
            file,
            product: None,
            position,
            moved_at: (!is_there).then(Instant::now),
        };
        self.watched.insert(id, watched);
        true
    }

    /// Looks which files there are.
    fn scan(&mut self, core: &Core, patterns: &[LogFile]) {
        let mut seen = BTreeSet::new();
        for pattern in patterns {
            let mark = format!("glob:{}", pattern.path);
            let is_first = core.spool.position(&mark).is_none();
            for path in glob::expand(Path::new("/"), &pattern.path, FILES_MAX) {
                if is_packed(&path) || seen.len() >= FILES_MAX {
                    continue;
                }
                match self.meet(core, &path, pattern, is_first) {
                    Ok(id) => seen.extend(id),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => {
                        let words = format!("{} cannot be read: {error}", path.display());
                        core.board.trouble(NAME, &words);
                    }
                }
            }
            if is_first {
                // From now on a file that appears is read from its beginning.
                let positions = Positions::from([(mark, Value::from(true))]);
                core.keep(NAME, Class::Kept, Vec::new(), positions);
            }
        }
        if seen.len() >= FILES_MAX {
            core.board.trouble(
                NAME,
                &format!("more than {FILES_MAX} files; narrow the patterns"),
            );
        }
        for (id, watched) in &mut self.watched {
            match seen.contains(id) {
                true => watched.moved_at = None,
                false => drop(watched.moved_at.get_or_insert_with(Instant::now)),
            }
        }
    }

    /// A path that matched: a file that is known, a new one, or one that began anew.
    fn meet(
        &mut self,
        core: &Core,
        path: &Path,
        pattern: &LogFile,
        is_first: bool,
    ) -> io::Result<Option<(u64, u64)>> {
        let meta = fs::metadata(path)?;
        if !meta.is_file() {
            return Ok(None);
        }
        let id = id_of(&meta);
        if let Some(watched) = self.watched.get_mut(&id) {
            watched.product.clone_from(&pattern.product);
            // Under a second name it is still the same file; the first one counts.
            if !watched.path.exists() {
                watched.path = path.to_owned();
            }
            return Ok(Some(id));
        }
        let mut file = File::open(path)?;
        let position = match is_first && core.spool.position(&key(id)).is_none() {
            true => Position::end(path, &mut file)?,
            false => Position::beginning(path),
        };
        let saved = serde_json::to_value(&position).map_err(io::Error::other)?;
        let positions = Positions::from([(key(id), saved)]);
        core.keep(NAME, Class::Kept, Vec::new(), positions);
        let watched = Watched {
            path: path.to_owned(),
            file,
            product: pattern.product.clone(),
            position,
            moved_at: None,
        };
        self.watched.insert(id, watched);
        Ok(Some(id))
    }

    /// Reads what is new; says whether there is more.
    fn read(&mut self, core: &Core) -> bool {
        let mut has_more = false;
        let mut over = Vec::new();
        for (id, watched) in &mut self.watched {
            let is_over = watched
                .moved_at
                .is_some_and(|at| at.elapsed() >= MOVED_KEPT);
            match watched.read(core, *id, is_over) {
                Ok(more) => {
                    has_more |= more;
                    if is_over && !more {
                        over.push(*id);
                    }
                }
                Err(error) => {
                    let words = format!("{} cannot be read: {error}", watched.path.display());
                    core.board.trouble(NAME, &words);
                    if is_over {
                        over.push(*id);
                    }
                }
            }
            if !core.is_running() {
                return false;
            }
        }
        for id in over {
            self.watched.remove(&id);
            forget(core, key(id));
        }
        has_more
    }
}

impl Watched {
    fn read(&mut self, core: &Core, id: (u64, u64), is_last: bool) -> io::Result<bool> {
        let length = self.file.metadata()?.len();
        if length == self.position.offset && !is_last {
            return Ok(false);
        }
        if !self.position.is_of(&mut self.file)? {
            // It was cut to nothing, or written anew in its place.
            self.position = Position::beginning(&self.path);
        }
        for _ in 0..ROUNDS_MAX {
            let before = self.position.offset;
            let lines = self.position.read(&mut self.file, is_last)?;
            if self.position.offset == before {
                return Ok(false);
            }
            let saved = serde_json::to_value(&self.position).map_err(io::Error::other)?;
            let positions = Positions::from([(key(id), saved)]);
            let records = self.records(core, &lines);
            if !core.keep(NAME, Class::Kept, records, positions) {
                return Ok(false);
            }
            core.pace.step();
        }
        Ok(true)
    }

    fn records(&self, core: &Core, lines: &[Line]) -> Vec<Vec<u8>> {
        let read_at = Timestamp::now();
        let path = self.path.to_string_lossy();
        let record = |line: &Line| {
            core.recorder.line(&LogLine {
                path: &path,
                product: self.product.as_deref(),
                read_at,
                bytes: &line.bytes,
                is_cut: line.is_cut,
            })
        };
        lines.iter().map(record).collect()
    }
}

fn forget(core: &Core, name: String) {
    let positions = Positions::from([(name, Value::Null)]);
    core.keep(NAME, Class::Kept, Vec::new(), positions);
}

fn parse_key(name: &str) -> Option<(u64, u64)> {
    let (device, inode) = name.strip_prefix("file:")?.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

/// A file that was moved away is most often in the same folder.
fn find_moved(path: &Path, id: (u64, u64)) -> Option<PathBuf> {
    let entries = fs::read_dir(path.parent()?).ok()?;
    entries
        .flatten()
        .map(|entry| entry.path())
        .find(|path| fs::symlink_metadata(path).is_ok_and(|meta| id_of(&meta) == id))
}

fn is_packed(path: &Path) -> bool {
    path.extension()
        .is_some_and(|one| PACKED.iter().any(|packed| one == *packed))
}
