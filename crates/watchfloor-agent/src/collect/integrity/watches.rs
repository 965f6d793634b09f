//! Watched folders (`inotify(7)`).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::path::{Path, PathBuf};

use inotify::{EventMask, Inotify, WatchDescriptor, WatchMask};

/// Folders that are watched at most; the kernel keeps about 1 KiB for each.
const WATCHES_MAX: usize = 16_384;
/// Events of one read.
const BUFFER_BYTES: usize = 64 << 10;
/// Reads of one look, so that a storm does not hold the rest up.
const READS_MAX: usize = 64;

/// What happened since the last look.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) changed: BTreeSet<PathBuf>,
    pub(super) moved: Vec<(PathBuf, PathBuf)>,
    /// Some of it was lost.
    pub(super) is_overflown: bool,
}

/// All watched folders.
pub(super) struct Watches {
    inotify: Inotify,
    folders: HashMap<WatchDescriptor, PathBuf>,
    buffer: Vec<u8>,
    /// Whether there were more folders than can be watched.
    pub(super) is_full: bool,
}

impl Watches {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self {
            inotify: Inotify::init()?,
            folders: HashMap::new(),
            buffer: vec![0; BUFFER_BYTES],
            is_full: false,
        })
    }

    /// Watches a folder; one that is watched already stays so.
    pub(super) fn add(&mut self, folder: &Path) {
        if self.folders.len() >= WATCHES_MAX {
            self.is_full = true;
            return;
        }
        let mask = WatchMask::CREATE
            | WatchMask::DELETE
            | WatchMask::MOVED_FROM
            | WatchMask::MOVED_TO
            | WatchMask::ATTRIB
            | WatchMask::CLOSE_WRITE
            | WatchMask::ONLYDIR
            | WatchMask::DONT_FOLLOW
            | WatchMask::EXCL_UNLINK;
        match self.inotify.watches().add(folder, mask) {
            Ok(descriptor) => drop(self.folders.insert(descriptor, folder.to_owned())),
            // `ENOSPC` stands for the kernel's limit; a folder that is gone is no trouble.
            Err(error) => self.is_full |= error.raw_os_error() == Some(28),
        }
    }

    /// What happened since the last call.
    pub(super) fn read(&mut self) -> io::Result<Seen> {
        let mut seen = Seen::default();
        let mut from: BTreeMap<u32, PathBuf> = BTreeMap::new();
        for _ in 0..READS_MAX {
            let events = match self.inotify.read_events(&mut self.buffer) {
                Ok(events) => events,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            };
            for event in events {
                if event.mask.contains(EventMask::Q_OVERFLOW) {
                    seen.is_overflown = true;
                    continue;
                }
                if event.mask.contains(EventMask::IGNORED) {
                    self.folders.remove(&event.wd);
                    continue;
                }
                let Some(folder) = self.folders.get(&event.wd) else {
                    continue;
                };
                // Without a name it is about the folder itself: it is told by its parent.
                let Some(name) = event.name else {
                    continue;
                };
                let path = folder.join(name);
                if event.mask.contains(EventMask::MOVED_FROM) {
                    from.insert(event.cookie, path.clone());
                } else if event.mask.contains(EventMask::MOVED_TO)
                    && let Some(old) = from.remove(&event.cookie)
                {
                    seen.moved.push((old, path.clone()));
                }
                seen.changed.insert(path);
            }
        }
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn changes_and_renames_are_seen() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let mut watches = Watches::open().unwrap();
        watches.add(folder.path());
        fs::write(at("a"), "1").unwrap();
        fs::rename(at("a"), at("b")).unwrap();
        let seen = watches.read().unwrap();
        assert_eq!(seen.moved, [(at("a"), at("b"))]);
        assert_eq!(seen.changed, BTreeSet::from([at("a"), at("b")]));
        assert_eq!(watches.read().unwrap(), Seen::default());
    }
}
