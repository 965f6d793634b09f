//! One file of the spool: a head, then entries. An entry is records of one class and the
//! positions of inputs that go with them, under one checksum: either all of it is there or none.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Crc;
use serde_json::Value;

/// First bytes of a segment.
const MAGIC: &[u8; 8] = b"wfspool1";
/// Bytes of the head: magic, epoch, number of the first record.
pub(super) const HEAD_BYTES: u64 = 24;
/// Bytes before an entry's body: length and checksum.
const ENTRY_HEAD_BYTES: usize = 8;
/// Bytes of a body before its positions.
const BODY_HEAD_BYTES: usize = 17;
/// Longest body that is believed.
pub(super) const BODY_BYTES_MAX: usize = 8 << 20;

/// What becomes of records where there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Whoever brings them waits: they can be read again from where they come from.
    Kept,
    /// The oldest go, and are counted.
    Momentary,
}

/// Positions of inputs by name; null forgets one.
pub(crate) type Positions = BTreeMap<String, Value>;

/// Records of one class, and the positions that go with them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) class: Class,
    pub(super) first: u64,
    pub(super) positions: Positions,
    pub(super) records: Vec<Vec<u8>>,
}

impl Entry {
    /// Number of the last record; one before the first if there is none.
    pub(super) fn last(&self) -> u64 {
        (self.first + self.records.len() as u64).saturating_sub(1)
    }

    /// The entry as it stands in the file.
    pub(super) fn encode(&self) -> io::Result<Vec<u8>> {
        let positions = match self.positions.is_empty() {
            true => Vec::new(),
            false => serde_json::to_vec(&self.positions).map_err(io::Error::other)?,
        };
        let records: usize = self.records.iter().map(|one| one.len() + 4).sum();
        let length = BODY_HEAD_BYTES + positions.len() + records;
        if length > BODY_BYTES_MAX {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "too many bytes in one entry of the spool",
            ));
        }
        let mut bytes = Vec::with_capacity(ENTRY_HEAD_BYTES + length);
        bytes.extend_from_slice(&(length as u32).to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.push(match self.class {
            Class::Kept => 0,
            Class::Momentary => 1,
        });
        bytes.extend_from_slice(&self.first.to_be_bytes());
        bytes.extend_from_slice(&(self.records.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&(positions.len() as u32).to_be_bytes());
        bytes.extend_from_slice(&positions);
        for record in &self.records {
            bytes.extend_from_slice(&(record.len() as u32).to_be_bytes());
            bytes.extend_from_slice(record);
        }
        let sum = checksum(&bytes[ENTRY_HEAD_BYTES..]);
        bytes[4..ENTRY_HEAD_BYTES].copy_from_slice(&sum.to_be_bytes());
        Ok(bytes)
    }

    /// An entry from its body; `None` if it makes no sense.
    fn decode(body: &[u8]) -> Option<Self> {
        let (class, rest) = body.split_first()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        let (positions, mut rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        let mut records = Vec::new();
        for _ in 0..u32::from_be_bytes(*count) {
            let (length, behind) = rest.split_first_chunk::<4>()?;
            let (record, behind) = behind.split_at_checked(u32::from_be_bytes(*length) as usize)?;
            records.push(record.to_vec());
            rest = behind;
        }
        Some(Self {
            class: match class {
                0 => Class::Kept,
                _ => Class::Momentary,
            },
            first: u64::from_be_bytes(*first),
            positions: match positions.is_empty() {
                true => Positions::new(),
                false => serde_json::from_slice(positions).ok()?,
            },
            records,
        })
    }
}

fn checksum(bytes: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// What is known of a segment without reading it.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    /// Number of its first record, or of the one that will be.
    pub(super) first: u64,
    /// Number of its last record; one before the first if it has none.
    pub(super) last: u64,
    pub(super) bytes: u64,
    /// Bytes of entries that may go where there is no room.
    pub(super) momentary_bytes: u64,
    /// Records that were taken out of it.
    pub(super) gone: u64,
    /// An entry that begins here holds this number or a lower one.
    pub(super) cursor: Option<(u64, u64)>,
}

impl Segment {
    /// Notes an entry that was written behind the others.
    pub(super) fn note(&mut self, entry: &Entry, bytes: u64) {
        self.bytes += bytes;
        if entry.class == Class::Momentary {
            self.momentary_bytes += bytes;
        }
        if !entry.records.is_empty() {
            self.last = entry.last();
        }
    }
}

/// Name of the segment that begins with a record.
pub(super) fn path_of(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:020}.seg"))
}

/// Makes a segment with nothing but its head.
pub(super) fn create(path: &Path, epoch: u64, first: u64) -> io::Result<File> {
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(path)?;
    let mut head = Vec::with_capacity(HEAD_BYTES as usize);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&epoch.to_be_bytes());
    head.extend_from_slice(&first.to_be_bytes());
    file.write_all(&head)?;
    Ok(file)
}

/// Reads a segment's entries one after the other.
pub(super) struct Entries {
    file: BufReader<File>,
    /// Where the next entry begins.
    pub(super) offset: u64,
    pub(super) epoch: u64,
    pub(super) first: u64,
}

impl Entries {
    /// Opens a segment; an error of kind `InvalidData` if it is none.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(32 << 10, File::open(path)?);
        let mut head = [0; HEAD_BYTES as usize];
        file.read_exact(&mut head)?;
        let [magic, epoch, first] = [0, 8, 16].map(|at| {
            let mut word = [0; 8];
            word.copy_from_slice(&head[at..at + 8]);
            word
        });
        if &magic != MAGIC {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "not a segment of a spool",
            ));
        }
        Ok(Self {
            file,
            offset: HEAD_BYTES,
            epoch: u64::from_be_bytes(epoch),
            first: u64::from_be_bytes(first),
        })
    }

    /// Goes to where an entry begins.
    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(offset))?;
        self.offset = offset;
        Ok(())
    }

    /// The next entry and its bytes in the file; `None` at the end or where the file makes no
    /// more sense.
    pub(super) fn next(&mut self) -> io::Result<Option<(Entry, u64)>> {
        let mut head = [0; ENTRY_HEAD_BYTES];
        if !read_whole(&mut self.file, &mut head)? {
            return Ok(None);
        }
        let [a, b, c, d, e, f, g, h] = head;
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if length > BODY_BYTES_MAX {
            return Ok(None);
        }
        let mut body = vec![0; length];
        if !read_whole(&mut self.file, &mut body)?
            || checksum(&body) != u32::from_be_bytes([e, f, g, h])
        {
            return Ok(None);
        }
        let bytes = (ENTRY_HEAD_BYTES + length) as u64;
        self.offset += bytes;
        Ok(Entry::decode(&body).map(|entry| (entry, bytes)))
    }
}

/// Fills a buffer; `false` if the file ends before.
fn read_whole(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_back_and_a_changed_one_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = path_of(folder.path(), 7);
        let entry = Entry {
            class: Class::Momentary,
            first: 7,
            positions: Positions::from([("a".to_owned(), Value::from(3))]),
            records: vec![b"one".to_vec(), b"two".to_vec()],
        };
        let mut file = create(&path, 42, 7).unwrap();
        file.write_all(&entry.encode().unwrap()).unwrap();
        let mut entries = Entries::open(&path).unwrap();
        assert_eq!((entries.epoch, entries.first), (42, 7));
        assert_eq!(entries.next().unwrap().unwrap().0, entry);
        assert!(entries.next().unwrap().is_none());

        let mut bytes = std::fs::read(&path).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        assert!(Entries::open(&path).unwrap().next().unwrap().is_none());
        std::fs::write(&path, b"something else that is long enough").unwrap();
        assert!(Entries::open(&path).is_err());
    }
}
