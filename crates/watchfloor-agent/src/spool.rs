//! The spool: every record stands on disk before it is sent, until the server says that it is
//! durable there. Positions of inputs are written in the same entry as the records that were read
//! up to them, so that after a crash nothing is missing and nothing is there twice.

mod segment;

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use tokio::sync::Notify;

pub(crate) use segment::{Class, Positions};
use segment::{Entries, Entry, Segment};

/// Most bytes of a segment.
const SEGMENT_BYTES_MAX: u64 = 2 << 20;
/// Segments that a full spool has at least, so that it is freed in pieces.
const SEGMENTS_MIN: u64 = 8;
/// Share of the room, in percent, that records that can be read again may take; the rest is for
/// what happens meanwhile.
const KEPT_PERCENT: u64 = 80;
/// Bytes of an active segment above which a new one is begun once all of it is stored.
const WORTH_FREEING_BYTES: u64 = 64 << 10;
/// Name of the counters of drops among the positions.
const DROPPED: &str = "#dropped";

/// What became of records that were brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// They are written; a sync follows.
    Written,
    /// There is no room: bring them again later.
    Full,
}

/// Records that are to be sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Batch {
    pub(crate) first: u64,
    pub(crate) count: u32,
    /// Lines.
    pub(crate) lines: Vec<u8>,
}

impl Batch {
    /// Number of the last record.
    pub(crate) fn last(&self) -> u64 {
        (self.first + u64::from(self.count)).saturating_sub(1)
    }
}

/// How the spool stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) records: u64,
    pub(crate) bytes: u64,
    pub(crate) dropped: BTreeMap<String, u64>,
}

/// The spool.
pub(crate) struct Spool {
    inner: Mutex<Inner>,
    /// Rung when there is more to send.
    pub(crate) more: Notify,
}

struct Inner {
    folder: PathBuf,
    epoch: u64,
    limit: u64,
    segments: VecDeque<Segment>,
    active: File,
    /// Number of the next record.
    next: u64,
    /// Records up to here are synced.
    durable: u64,
    /// Records up to here are stored by the server.
    freed: u64,
    bytes: u64,
    positions: Positions,
    dropped: BTreeMap<String, u64>,
    is_dirty: bool,
}

impl Spool {
    /// Opens the spool in a folder, or begins one. What a crash cut short is cut off.
    pub(crate) fn open(folder: &Path, limit_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self {
            inner: Mutex::new(Inner::open(folder, limit_bytes)?),
            more: Notify::new(),
        })
    }

    /// The random number of this spool.
    pub(crate) fn epoch(&self) -> u64 {
        self.lock().epoch
    }

    /// Most bytes from now on.
    pub(crate) fn set_limit(&self, bytes: u64) {
        self.lock().limit = bytes;
    }

    /// Writes records and the positions that go with them. Momentary records are always taken;
    /// where there is no room the oldest of them go.
    pub(crate) fn append(
        &self,
        class: Class,
        records: Vec<Vec<u8>>,
        positions: Positions,
    ) -> io::Result<Appended> {
        self.lock().append(class, records, positions)
    }

    /// Counts records that could not be kept.
    pub(crate) fn count_dropped(&self, reason: &str, records: u64) {
        self.lock().count_dropped(reason, records);
    }

    /// The saved position of an input.
    pub(crate) fn position(&self, name: &str) -> Option<Value> {
        self.lock().positions.get(name).cloned()
    }

    /// All saved positions whose name begins so.
    pub(crate) fn positions(&self, prefix: &str) -> Positions {
        let inner = self.lock();
        let found = inner.positions.iter();
        found
            .filter(|(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Makes what was written durable, and so ready to be sent.
    pub(crate) fn sync(&self) -> io::Result<()> {
        if self.lock().sync()? {
            self.more.notify_one();
        }
        Ok(())
    }

    /// Durable records from a number on; `None` if there are none.
    pub(crate) fn read(
        &self,
        from: u64,
        records_max: u32,
        bytes_max: usize,
    ) -> io::Result<Option<Batch>> {
        self.lock().read(from, records_max, bytes_max)
    }

    /// Frees what the server has stored.
    pub(crate) fn free(&self, epoch: u64, through: u64) -> io::Result<()> {
        self.lock().free(epoch, through)
    }

    /// How the spool stands.
    pub(crate) fn standing(&self) -> Standing {
        let inner = self.lock();
        let gone: u64 = inner.segments.iter().map(|one| one.gone).sum();
        let waiting = (inner.next - 1).saturating_sub(inner.freed);
        Standing {
            records: waiting.saturating_sub(gone),
            bytes: match waiting {
                0 => 0,
                _ => inner.bytes,
            },
            dropped: inner.dropped.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn open(folder: &Path, limit: u64) -> io::Result<Self> {
        let mut loaded = Loaded::default();
        for path in segment_paths(folder)? {
            loaded.load(&path)?;
        }
        let epoch = match loaded.epoch {
            Some(epoch) => epoch,
            None => random()?,
        };
        let next = loaded.next.max(1);
        if loaded.segments.is_empty() {
            let path = segment::path_of(folder, next);
            segment::create(&path, epoch, next)?;
            loaded.segments.push_back(empty_segment(path, next));
        }
        let active = open_active(&loaded.segments)?;
        let freed = read_freed(folder, epoch).min(next - 1);
        let mut inner = Self {
            folder: folder.to_owned(),
            epoch,
            limit,
            bytes: loaded.segments.iter().map(|one| one.bytes).sum(),
            segments: loaded.segments,
            active,
            next,
            durable: next - 1,
            freed,
            dropped: loaded
                .positions
                .get(DROPPED)
                .and_then(|value| serde_json::from_value(value.clone()).ok())
                .unwrap_or_default(),
            positions: loaded.positions,
            is_dirty: false,
        };
        if loaded.damaged > 0 {
            inner.count_dropped("spool damaged", loaded.damaged);
        }
        // What a crash of the machine might still take must not be sent yet.
        inner.active.sync_all()?;
        Ok(inner)
    }

    fn append(
        &mut self,
        class: Class,
        mut records: Vec<Vec<u8>>,
        mut positions: Positions,
    ) -> io::Result<Appended> {
        let size: u64 = records.iter().map(|one| one.len() as u64 + 4).sum();
        if !records.is_empty() && !self.make_room(class, size)? {
            match class {
                Class::Kept => return Ok(Appended::Full),
                Class::Momentary => {
                    self.count_dropped("spool full", records.len() as u64);
                    records.clear();
                }
            }
        }
        let dropped = serde_json::to_value(&self.dropped).map_err(io::Error::other)?;
        if self.positions.get(DROPPED) != Some(&dropped) {
            positions.insert(DROPPED.to_owned(), dropped);
        }
        let entry = Entry {
            class,
            first: self.next,
            positions,
            records,
        };
        self.write(&entry)?;
        for (name, value) in entry.positions {
            match value.is_null() {
                true => self.positions.remove(&name),
                false => self.positions.insert(name, value),
            };
        }
        self.next += entry.records.len() as u64;
        self.roll_if_long()?;
        Ok(Appended::Written)
    }

    /// Whether there is room, after the oldest momentary records went if need be.
    fn make_room(&mut self, class: Class, size: u64) -> io::Result<bool> {
        if class == Class::Kept {
            let kept: u64 = self
                .segments
                .iter()
                .map(|one| one.bytes - one.momentary_bytes)
                .sum();
            let may = kept + size <= self.limit / 100 * KEPT_PERCENT;
            return Ok(may && self.bytes + size <= self.limit);
        }
        while self.bytes + size > self.limit {
            if !self.evict()? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the momentary records out of the oldest closed segment that has some.
    fn evict(&mut self) -> io::Result<bool> {
        let closed = self.segments.len() - 1;
        let Some(at) = (0..closed).find(|at| self.segments[*at].momentary_bytes > 0) else {
            return Ok(false);
        };
        let freed = self.freed;
        let segment = &mut self.segments[at];
        let mut entries = Entries::open(&segment.path)?;
        let beside = segment.path.with_extension("new");
        let mut file = segment::create(&beside, self.epoch, segment.first)?;
        let mut bytes = segment::HEAD_BYTES;
        let mut gone = 0;
        while let Some((mut entry, _)) = entries.next()? {
            if entry.class == Class::Momentary {
                let waiting = entry.last().saturating_sub(freed);
                gone += waiting.min(entry.records.len() as u64);
                entry.records.clear();
                entry.class = Class::Kept;
                if entry.positions.is_empty() {
                    continue;
                }
            }
            let encoded = entry.encode()?;
            file.write_all(&encoded)?;
            bytes += encoded.len() as u64;
        }
        // Says up to where numbers were given, so that the gap is not taken for damage.
        let end = Entry {
            class: Class::Kept,
            first: segment.last + 1,
            positions: Positions::new(),
            records: Vec::new(),
        };
        let encoded = end.encode()?;
        file.write_all(&encoded)?;
        bytes += encoded.len() as u64;
        file.sync_all()?;
        fs::rename(&beside, &segment.path)?;
        self.bytes = self.bytes.saturating_sub(segment.bytes) + bytes;
        segment.bytes = bytes;
        segment.momentary_bytes = 0;
        segment.gone += gone;
        segment.cursor = None;
        self.count_dropped("spool full", gone);
        Ok(true)
    }

    fn write(&mut self, entry: &Entry) -> io::Result<()> {
        let bytes = entry.encode()?;
        let Some(active) = self.segments.back_mut() else {
            return Err(io::Error::other("the spool has no segment"));
        };
        if let Err(error) = self.active.write_all(&bytes) {
            // Half an entry would hide those behind it.
            let _ = self.active.set_len(active.bytes);
            let _ = self.active.seek(SeekFrom::Start(active.bytes));
            return Err(error);
        }
        active.note(entry, bytes.len() as u64);
        self.bytes += bytes.len() as u64;
        self.is_dirty = true;
        Ok(())
    }

    fn roll_if_long(&mut self) -> io::Result<()> {
        let most = SEGMENT_BYTES_MAX.min(self.limit / SEGMENTS_MIN);
        match self.segments.back() {
            Some(active) if active.bytes >= most => self.roll(),
            _ => Ok(()),
        }
    }

    /// Begins a segment, with all positions at its beginning: the ones before it can go.
    fn roll(&mut self) -> io::Result<()> {
        self.sync()?;
        if self
            .segments
            .back()
            .is_some_and(|one| one.first == self.next)
        {
            return Ok(());
        }
        let path = segment::path_of(&self.folder, self.next);
        self.active = segment::create(&path, self.epoch, self.next)?;
        self.segments
            .push_back(empty_segment(path.clone(), self.next));
        self.bytes += segment::HEAD_BYTES;
        let snapshot = Entry {
            class: Class::Kept,
            first: self.next,
            positions: self.positions.clone(),
            records: Vec::new(),
        };
        self.write(&snapshot)?;
        self.sync()?;
        crate::data::sync_folder_of(&path);
        Ok(())
    }

    fn count_dropped(&mut self, reason: &str, records: u64) {
        if records > 0 {
            *self.dropped.entry(reason.to_owned()).or_default() += records;
        }
    }

    /// Says whether there is more to send than before.
    fn sync(&mut self) -> io::Result<bool> {
        if !self.is_dirty {
            return Ok(false);
        }
        self.active.sync_data()?;
        self.is_dirty = false;
        let has_more = self.durable < self.next - 1;
        self.durable = self.next - 1;
        Ok(has_more)
    }

    fn read(&mut self, from: u64, records_max: u32, bytes_max: usize) -> io::Result<Option<Batch>> {
        let from = from.max(self.freed + 1);
        let durable = self.durable;
        for segment in &mut self.segments {
            if segment.last < from || segment.first > durable {
                continue;
            }
            let limits = Limits {
                through: durable,
                records: records_max,
                bytes: bytes_max,
            };
            let batch = read_segment(segment, from, limits)?;
            if batch.count > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    fn free(&mut self, epoch: u64, through: u64) -> io::Result<()> {
        let through = through.min(self.durable);
        if epoch != self.epoch || through <= self.freed {
            return Ok(());
        }
        self.freed = through;
        let is_worth = self
            .segments
            .back()
            .is_some_and(|one| one.last <= through && one.bytes > WORTH_FREEING_BYTES);
        if is_worth {
            self.roll()?;
        }
        // Not synced: an older number only means that records are sent again, and the server
        // knows their numbers.
        fs::write(self.folder.join("freed"), format!("{epoch} {through}\n"))?;
        while self.segments.len() > 1 {
            match self.segments.front() {
                Some(front) if front.last <= through => {
                    fs::remove_file(&front.path)?;
                    self.bytes = self.bytes.saturating_sub(front.bytes);
                    self.segments.pop_front();
                }
                _ => break,
            }
        }
        Ok(())
    }
}

#[derive(Clone, Copy)]
struct Limits {
    through: u64,
    records: u32,
    bytes: usize,
}

fn read_segment(segment: &mut Segment, from: u64, limits: Limits) -> io::Result<Batch> {
    let mut entries = Entries::open(&segment.path)?;
    if let Some((number, offset)) = segment.cursor
        && number <= from
    {
        entries.seek(offset)?;
    }
    let mut batch = Batch::default();
    'entries: loop {
        let begin = entries.offset;
        let Some((entry, _)) = entries.next()? else {
            break;
        };
        if entry.records.is_empty() || entry.last() < from {
            continue;
        }
        segment.cursor = Some((entry.first, begin));
        for (number, record) in (entry.first..).zip(&entry.records) {
            if number < from {
                continue;
            }
            let is_gap = batch.count > 0 && number != batch.last() + 1;
            let is_long = batch.count > 0 && batch.lines.len() + record.len() > limits.bytes;
            if number > limits.through || is_gap || is_long || batch.count == limits.records {
                break 'entries;
            }
            if batch.count == 0 {
                batch.first = number;
            }
            batch.count += 1;
            batch.lines.extend_from_slice(record);
            batch.lines.push(b'\n');
        }
    }
    Ok(batch)
}

#[derive(Default)]
struct Loaded {
    epoch: Option<u64>,
    next: u64,
    positions: Positions,
    segments: VecDeque<Segment>,
    damaged: u64,
}

impl Loaded {
    fn load(&mut self, path: &Path) -> io::Result<()> {
        let mut entries = match Entries::open(path) {
            Ok(entries) => entries,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                ) =>
            {
                // A crash came before its head was whole, or it is no segment.
                return fs::remove_file(path);
            }
            Err(error) => return Err(error),
        };
        if *self.epoch.get_or_insert(entries.epoch) != entries.epoch {
            return fs::remove_file(path);
        }
        if self.next > 0 {
            // Numbers that are missing before this segment were lost with the disk.
            self.damaged += entries.first.saturating_sub(self.next);
        }
        let mut segment = empty_segment(path.to_owned(), entries.first);
        let mut expected = entries.first;
        while let Some((entry, bytes)) = entries.next()? {
            segment.gone += entry.first.saturating_sub(expected);
            expected = entry.first + entry.records.len() as u64;
            segment.note(&entry, bytes);
            for (name, value) in entry.positions {
                match value.is_null() {
                    true => self.positions.remove(&name),
                    false => self.positions.insert(name, value),
                };
            }
        }
        segment.last = expected.saturating_sub(1);
        self.next = self.next.max(expected);
        let length = fs::metadata(path)?.len();
        if length > segment.bytes {
            // The torn tail of a crash; its inputs are read again from their positions.
            fs::OpenOptions::new()
                .write(true)
                .open(path)?
                .set_len(segment.bytes)?;
        }
        self.segments.push_back(segment);
        Ok(())
    }
}

fn empty_segment(path: PathBuf, first: u64) -> Segment {
    Segment {
        path,
        first,
        last: first - 1,
        bytes: segment::HEAD_BYTES,
        momentary_bytes: 0,
        gone: 0,
        cursor: None,
    }
}

fn open_active(segments: &VecDeque<Segment>) -> io::Result<File> {
    let Some(active) = segments.back() else {
        return Err(io::Error::other("the spool has no segment"));
    };
    let mut file = fs::OpenOptions::new()
        .read(true)
        .write(true)
        .open(&active.path)?;
    file.seek(SeekFrom::End(0))?;
    Ok(file)
}

fn segment_paths(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|one| one == "seg") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn read_freed(folder: &Path, epoch: u64) -> u64 {
    let text = fs::read_to_string(folder.join("freed")).unwrap_or_default();
    let mut words = text.split_whitespace().map(str::parse::<u64>);
    match (words.next(), words.next()) {
        (Some(Ok(of)), Some(Ok(through))) if of == epoch => through,
        _ => 0,
    }
}

fn random() -> io::Result<u64> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    // JSON numbers of other readers hold 53 bits; 0 stands for none.
    Ok((u64::from_be_bytes(bytes) >> 11).max(1))
}

#[cfg(test)]
mod tests;
