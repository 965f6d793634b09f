//! How far each file was read, kept over restarts.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Bytes at the beginning of a file by which it is known again.
pub(super) const FINGERPRINT_BYTES: usize = 1024;
/// Files that are remembered after they are gone, for what is packed later.
const REMEMBERED_MAX: usize = 20_000;

/// One file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Position {
    /// Its number in this source, for the keys of its records; a copy has that of its original.
    pub(super) file: u64,
    pub(super) device: u64,
    pub(super) inode: u64,
    /// Bytes that the fingerprint is of.
    pub(super) known_bytes: usize,
    /// Hash of these bytes.
    pub(super) fingerprint: String,
    /// Bytes that were read, of unpacked ones where it is packed.
    pub(super) offset: u64,
    /// Records that were read, for forms that are read whole.
    pub(super) records: u64,
    /// Size and time of change when a form that is read whole was read last.
    pub(super) read_at: Option<(u64, i64)>,
    /// Its name when it was seen first.
    pub(super) name: String,
    /// When it was last of use: a count of saves.
    pub(super) used: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Saved {
    next_file: u64,
    saves: u64,
    positions: Vec<Position>,
}

/// All files of a source.
#[derive(Debug)]
pub(super) struct Positions {
    path: PathBuf,
    is_new: bool,
    is_dirty: bool,
    next_file: u64,
    saves: u64,
    by_id: BTreeMap<(u64, u64), Position>,
}

/// Digits of the hash of a file's beginning.
const FINGERPRINT_DIGITS: usize = 32;

/// The hash of a file's beginning.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    let mut digits = hex::encode(Sha256::digest(bytes));
    digits.truncate(FINGERPRINT_DIGITS);
    digits
}

/// What names of rotated files have in common: `access` of `access.log.1` and
/// `access-2026.log.gz`.
fn stem(name: &str) -> &str {
    let end = name
        .find(|c: char| !c.is_alphabetic())
        .filter(|end| *end > 0)
        .unwrap_or(name.len());
    name.get(..end).unwrap_or(name)
}

impl Positions {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let (saved, is_new) = match std::fs::read(path) {
            Ok(bytes) => {
                let saved: Saved = serde_json::from_slice(&bytes).with_context(|| {
                    format!(
                        "the positions in {} cannot be read; remove the file to read all files from their beginning",
                        path.display()
                    )
                })?;
                (saved, false)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (Saved::default(), true),
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot read the positions in {}", path.display()));
            }
        };
        let by_id = saved
            .positions
            .into_iter()
            .map(|one| ((one.device, one.inode), one))
            .collect();
        Ok(Self {
            path: path.to_owned(),
            is_new,
            is_dirty: is_new,
            next_file: saved.next_file,
            saves: saved.saves,
            by_id,
        })
    }

    /// Whether this source was never started before.
    pub(super) fn is_new(&self) -> bool {
        self.is_new
    }

    pub(super) fn get(&self, id: (u64, u64)) -> Option<&Position> {
        self.by_id.get(&id)
    }

    /// The file that another one is a copy of, by its beginning and its name: the one that was
    /// read furthest.
    pub(super) fn original(
        &self,
        head: &[u8],
        name: &str,
        except: (u64, u64),
    ) -> Option<&Position> {
        let alike = self.by_id.values().filter(|one| {
            let is_long = one.known_bytes == FINGERPRINT_BYTES || one.known_bytes == head.len();
            (one.device, one.inode) != except
                && one.known_bytes > 0
                && is_long
                && stem(&one.name) == stem(name)
                && head
                    .get(..one.known_bytes)
                    .is_some_and(|known| fingerprint(known) == one.fingerprint)
        });
        alike.max_by_key(|one| (one.known_bytes, one.offset))
    }

    /// Sets a file's position; a new file gets its number, which is saved before any record of
    /// it is read.
    pub(super) fn put(&mut self, mut position: Position, is_new_file: bool) -> Position {
        if is_new_file {
            position.file = self.next_file;
            self.next_file += 1;
        }
        position.used = self.saves;
        let id = (position.device, position.inode);
        // What stood in its place before may come back as a copy.
        if let Some(former) = self.by_id.remove(&id) {
            let apart = (u64::MAX, former.file);
            let former = Position {
                device: apart.0,
                inode: apart.1,
                ..former
            };
            self.by_id.insert(apart, former);
        }
        self.by_id
            .insert((position.device, position.inode), position.clone());
        self.is_dirty = true;
        position
    }

    pub(super) fn change(&mut self, id: (u64, u64), change: impl FnOnce(&mut Position)) {
        let used = self.saves;
        if let Some(position) = self.by_id.get_mut(&id) {
            change(position);
            position.used = used;
            self.is_dirty = true;
        }
    }

    /// Writes the positions if they changed: beside the old ones, then in their place.
    pub(super) fn save(&mut self) -> Result<()> {
        if !self.is_dirty {
            return Ok(());
        }
        self.saves += 1;
        if self.by_id.len() > REMEMBERED_MAX {
            let mut by_use: Vec<_> = self.by_id.iter().map(|(id, one)| (one.used, *id)).collect();
            by_use.sort_unstable();
            for (_, id) in by_use.iter().take(self.by_id.len() - REMEMBERED_MAX) {
                self.by_id.remove(id);
            }
        }
        let saved = Saved {
            next_file: self.next_file,
            saves: self.saves,
            positions: self.by_id.values().cloned().collect(),
        };
        let write = || -> std::io::Result<()> {
            let temporary = self.path.with_extension("new");
            let mut file = std::fs::File::create(&temporary)?;
            file.write_all(&serde_json::to_vec(&saved)?)?;
            file.sync_all()?;
            std::fs::rename(&temporary, &self.path)
        };
        write()
            .with_context(|| format!("cannot write the positions to {}", self.path.display()))?;
        self.is_dirty = false;
        self.is_new = false;
        Ok(())
    }
}
