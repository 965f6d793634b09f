//! Segment files of the journal: a short head, then record frames.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use crate::record::{self, Decoded, Interned, Stored};

/// First bytes of a segment: name and version.
pub(crate) const MAGIC: &[u8; 8] = b"WFJRNL01";

/// A segment file by the position of its first record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SegmentPath {
    pub first: u64,
    pub path: PathBuf,
}

impl SegmentPath {
    pub(crate) fn new(folder: &Path, first: u64) -> Self {
        Self {
            first,
            path: folder.join(format!("{first:020}.journal")),
        }
    }

    fn parse(path: PathBuf) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let first = name.strip_suffix(".journal")?.parse().ok()?;
        Some(Self { first, path })
    }
}

/// The segments of a folder, oldest first.
pub(crate) fn list(folder: &Path) -> std::io::Result<Vec<SegmentPath>> {
    let mut segments = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        segments.extend(SegmentPath::parse(entry?.path()));
    }
    segments.sort();
    Ok(segments)
}

/// Makes a new segment with its head written.
pub(crate) fn create(segment: &SegmentPath) -> std::io::Result<File> {
    use std::io::Write;
    let mut file = OpenOptions::new()
        .create_new(true)
        .read(true)
        .write(true)
        .open(&segment.path)?;
    file.write_all(MAGIC)?;
    file.sync_all()?;
    if let Some(folder) = segment.path.parent() {
        File::open(folder)?.sync_all()?;
    }
    Ok(file)
}

/// Reads a segment from front to back, in pieces.
pub(crate) struct SegmentReader {
    file: File,
    buffer: BytesMut,
    /// Offset in the file of the first byte of `buffer`.
    pub offset: u64,
    pub position: u64,
    interned: Interned,
}

/// Bytes read at once.
const READ_BYTES: usize = 4 << 20;

/// What came out of one step.
pub(crate) enum Step {
    Records(Vec<Stored>),
    /// Nothing more up to the limit.
    End,
    /// What stands at the reader's offset is no frame.
    Damaged,
}

impl SegmentReader {
    pub(crate) fn open(segment: &SegmentPath) -> std::io::Result<Self> {
        let mut file = File::open(&segment.path)?;
        let mut magic = [0; MAGIC.len()];
        file.read_exact(&mut magic)?;
        if magic != *MAGIC {
            let text = "the file does not start like a journal segment of this version";
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text));
        }
        Ok(Self {
            file,
            buffer: BytesMut::new(),
            offset: MAGIC.len() as u64,
            position: segment.first,
            interned: Interned::default(),
        })
    }

    /// Reads up to `most` records that end before the file offset `limit`.
    pub(crate) fn step(&mut self, most: usize, limit: u64) -> std::io::Result<Step> {
        self.fill(limit)?;
        let chunk: Bytes = std::mem::take(&mut self.buffer).freeze();
        let mut at = 0;
        let mut records = Vec::new();
        let mut damaged = false;
        while records.len() < most && at < chunk.len() {
            match record::decode(&chunk.slice(at..), self.position, &mut self.interned) {
                Decoded::Record(stored, length) => {
                    records.push(*stored);
                    self.position += 1;
                    at += length;
                }
                Decoded::Incomplete => break,
                Decoded::Damaged => {
                    damaged = true;
                    break;
                }
            }
        }
        self.offset += at as u64;
        self.buffer = BytesMut::from(&chunk[at..]);
        Ok(match (records.is_empty(), damaged) {
            (false, _) => Step::Records(records),
            (true, true) => Step::Damaged,
            (true, false) => Step::End,
        })
    }

    fn fill(&mut self, limit: u64) -> std::io::Result<()> {
        let held = self.offset + self.buffer.len() as u64;
        // A frame is shorter than half of what is read at once, so one is always whole.
        if self.buffer.len() >= READ_BYTES / 2 || held >= limit {
            return Ok(());
        }
        let wanted = usize::try_from(limit - held)
            .unwrap_or(READ_BYTES)
            .min(READ_BYTES);
        let start = self.buffer.len();
        self.buffer.resize(start + wanted, 0);
        self.file.seek(SeekFrom::Start(held))?;
        let mut got = 0;
        while got < wanted {
            match self.file.read(&mut self.buffer[start + got..])? {
                0 => break,
                more => got += more,
            }
        }
        self.buffer.truncate(start + got);
        Ok(())
    }
}
