//! Hashes of files, remembered as long as the file does not change.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use ring::digest;

/// Longest file that is hashed.
pub(super) const FILE_BYTES_MAX: u64 = 128 << 20;
/// Hashes that are remembered.
const KEPT_MAX: usize = 2_048;

/// What makes a file another one: device, inode, time of change, length.
type Identity = (u64, u64, i64, i64, u64);

/// Remembers hashes of programs.
#[derive(Default)]
pub(super) struct Hashes {
    known: HashMap<Identity, String>,
}

impl Hashes {
    /// The hash of the program that a process runs, also if it has no name any more.
    pub(super) fn of_process(&mut self, pid: i32) -> Option<String> {
        let path = format!("/proc/{pid}/exe");
        let meta = fs::metadata(&path).ok()?;
        let identity = (
            meta.dev(),
            meta.ino(),
            meta.ctime(),
            meta.ctime_nsec(),
            meta.len(),
        );
        if let Some(hash) = self.known.get(&identity) {
            return Some(hash.clone());
        }
        if meta.len() > FILE_BYTES_MAX {
            return None;
        }
        let hash = sha256_of(Path::new(&path), || ()).ok()?;
        if self.known.len() >= KEPT_MAX {
            self.known.clear();
        }
        self.known.insert(identity, hash.clone());
        Some(hash)
    }
}

/// The hash of a file; `step` is called after each piece.
pub(super) fn sha256_of(path: &Path, step: impl Fn()) -> io::Result<String> {
    let mut file = File::open(path)?;
    let mut hash = digest::Context::new(&digest::SHA256);
    let mut buffer = vec![0; 64 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hash.finish())),
            count => hash.update(buffer.get(..count).unwrap_or_default()),
        }
        step();
    }
}
