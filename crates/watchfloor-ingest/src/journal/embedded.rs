//! The embedded journal: segments in a folder.
//!
//! One thread writes. It takes all appends that wait, writes them in one piece, syncs once and
//! answers them all (group commit), so the cost of a sync is shared by whoever waits. Readers
//! go by the files, up to the offset that is known to be durable.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};
use watchfloor_event::RawRecord;

use super::{AppendError, Appended, JournalOptions, JournalStats, OpenError, ReadError};
use super::{Backend, Later, ReadBackend};
use crate::record::{self, NewRecord, Stored};
use crate::segment::{self, MAGIC, SegmentPath, SegmentReader, Step};

/// Most idempotency keys kept in memory.
const MAX_KEYS: usize = 1_000_000;
/// Most appends that wait for the writer.
const MAX_WAITING: usize = 4096;
/// Most bytes written with one sync.
const MAX_GROUP_BYTES: usize = 16 << 20;

struct Request {
    records: Vec<NewRecord>,
    answer: oneshot::Sender<Result<Appended, AppendError>>,
}

/// How far the journal is durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Durable {
    /// Position of the next record.
    next: u64,
    /// First position of the segment that is being written.
    segment: u64,
    /// Offset in that segment.
    offset: u64,
}

#[derive(Default)]
struct Shared {
    state: Mutex<SharedState>,
}

#[derive(Default)]
struct SharedState {
    /// Segments, oldest first, with the bytes of those that are full.
    segments: VecDeque<(SegmentPath, u64)>,
    released: u64,
    damaged: u64,
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, SharedState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The writing side of a journal; clones share it.
#[derive(Clone)]
pub(crate) struct Embedded {
    requests: mpsc::Sender<Request>,
    durable: watch::Receiver<Durable>,
    shared: Arc<Shared>,
    options: JournalOptions,
    /// Joined when the last clone goes.
    _writer: Arc<WriterHandle>,
}

struct WriterHandle(Mutex<Option<JoinHandle<()>>>);

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded")
            .field("stats", &self.stats())
            .finish()
    }
}

impl Embedded {
    /// Opens the journal in a folder, making it if need be, and a reader that starts at
    /// `from`, the position after the last record that the lake holds. A torn record at the
    /// end, left by a crash, was never answered for and is cut off.
    ///
    /// # Errors
    /// If the folder or a segment cannot be used.
    pub(crate) fn open(
        folder: &Path,
        options: JournalOptions,
        from: u64,
    ) -> Result<(Self, EmbeddedReader), OpenError> {
        let folder_error = |source| OpenError::Folder {
            path: folder.to_owned(),
            source,
        };
        std::fs::create_dir_all(folder).map_err(folder_error)?;
        let segments = segment::list(folder).map_err(folder_error)?;
        let mut keys = Keys::default();
        let shared = Arc::new(Shared::default());
        let (writer, durable) =
            Writer::recover(folder, segments, &mut keys, &shared, from, &options)?;
        let (durable_tx, durable_rx) = watch::channel(durable);
        let (requests, queue) = mpsc::channel(MAX_WAITING);
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn({
                let writer = Writer { keys, ..writer };
                move || writer.run(queue, &durable_tx)
            })
            .map_err(folder_error)?;
        shared.lock().released = from;
        let journal = Self {
            requests,
            durable: durable_rx.clone(),
            shared: Arc::clone(&shared),
            options,
            _writer: Arc::new(WriterHandle(Mutex::new(Some(thread)))),
        };
        let reader = EmbeddedReader {
            durable: durable_rx,
            shared,
            reader: None,
            next: from,
        };
        Ok((journal, reader))
    }

    /// Makes records durable. Returns when they are on disk.
    ///
    /// # Errors
    /// If the journal is full, closed, or the disk refuses; then none of the records is kept.
    pub(crate) async fn append(&self, records: Vec<NewRecord>) -> Result<Appended, AppendError> {
        if records.is_empty() {
            return Ok(Appended {
                accepted: 0,
                repeated: 0,
            });
        }
        let pending_bytes = self.stats().pending_bytes;
        if pending_bytes >= self.options.pending_bytes_max {
            return Err(AppendError::Full { pending_bytes });
        }
        let (answer, answered) = oneshot::channel();
        let request = Request { records, answer };
        self.requests
            .send(request)
            .await
            .map_err(|_| AppendError::Closed)?;
        answered.await.map_err(|_| AppendError::Closed)?
    }

    /// Lets go of records below `position`, which the lake now holds.
    pub(crate) fn release(&self, position: u64) {
        let mut state = self.shared.lock();
        state.released = state.released.max(position);
        let released = state.released;
        let done = |state: &SharedState, index: usize| {
            state
                .segments
                .get(index + 1)
                .is_some_and(|(next, _)| next.first <= released)
        };
        let mut full = 0;
        while done(&state, full) {
            full += 1;
        }
        for _ in self.options.released_segments_kept..full {
            if let Some((segment, _)) = state.segments.pop_front()
                && let Err(error) = std::fs::remove_file(&segment.path)
            {
                tracing::warn!(path = %segment.path.display(), %error, "released journal segment cannot be removed");
            }
        }
    }

    /// Figures of the journal.
    pub(crate) fn stats(&self) -> JournalStats {
        let durable = *self.durable.borrow();
        let state = self.shared.lock();
        let full = state.segments.iter().zip(state.segments.iter().skip(1));
        let waiting = full.filter(|(_, (next, _))| next.first > state.released);
        let waiting: u64 = waiting.map(|((_, bytes), _)| *bytes).sum();
        let current = if durable.next > state.released {
            durable.offset
        } else {
            0
        };
        JournalStats {
            next_position: durable.next,
            released: state.released,
            pending_records: durable.next.saturating_sub(state.released),
            pending_bytes: waiting + current,
            damaged: state.damaged,
            away: 0,
        }
    }
}

impl Backend for Embedded {
    fn append(&self, records: Vec<NewRecord>) -> Later<'_, Result<Appended, AppendError>> {
        Box::pin(Self::append(self, records))
    }

    fn release(&self, position: u64) {
        Self::release(self, position);
    }

    fn stats(&self) -> JournalStats {
        Self::stats(self)
    }
}

impl ReadBackend for EmbeddedReader {
    fn next_position(&self) -> u64 {
        self.next
    }

    fn ready(&mut self) -> Later<'_, bool> {
        Box::pin(Self::ready(self))
    }

    fn read(&mut self, most: usize) -> Result<Vec<RawRecord>, ReadError> {
        Self::read(self, most)
    }
}

impl Drop for WriterHandle {
    fn drop(&mut self) {
        // The sender is gone with the last journal, so the writer ends by itself; waiting here
        // would block the runtime.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// The last idempotency keys.
#[derive(Default)]
struct Keys {
    known: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Keys {
    /// Notes a key; says whether it is new. Key 0 is always new.
    fn note(&mut self, key: u128) -> bool {
        if key == 0 {
            return true;
        }
        if !self.known.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > MAX_KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    fn forget(&mut self, keys: &[u128]) {
        for key in keys {
            self.known.remove(key);
        }
        self.order.retain(|key| !keys.contains(key));
    }
}

struct Writer {
    folder: PathBuf,
    file: File,
    durable: Durable,
    keys: Keys,
    shared: Arc<Shared>,
    segment_bytes: u64,
}

impl Writer {
    /// Reads what is there: keys of all segments, and the end of the last one.
    fn recover(
        folder: &Path,
        segments: Vec<SegmentPath>,
        keys: &mut Keys,
        shared: &Arc<Shared>,
        from: u64,
        options: &JournalOptions,
    ) -> Result<(Self, Durable), OpenError> {
        let mut end = None;
        for segment in segments {
            let error = |source| OpenError::Segment {
                path: segment.path.clone(),
                source,
            };
            let length = std::fs::metadata(&segment.path).map_err(error)?.len();
            if length < MAGIC.len() as u64 {
                // A crash between creation and the head: nothing was ever written to it.
                std::fs::remove_file(&segment.path).map_err(error)?;
                continue;
            }
            let (position, offset) = scan(&segment, length, keys).map_err(error)?;
            shared.lock().segments.push_back((segment.clone(), offset));
            end = Some((segment, position, offset));
        }
        // Records that the lake holds may be gone here with their segment; positions go on.
        let (segment, position, offset, file) = match end {
            Some((segment, position, offset)) if position >= from => {
                let file = reopen(&segment, offset).map_err(|source| OpenError::Segment {
                    path: segment.path.clone(),
                    source,
                })?;
                (segment, position, offset, file)
            }
            _ => {
                let segment = SegmentPath::new(folder, from);
                let file = segment::create(&segment).map_err(|source| OpenError::Segment {
                    path: segment.path.clone(),
                    source,
                })?;
                shared.lock().segments.push_back((segment.clone(), 0));
                (segment, from, MAGIC.len() as u64, file)
            }
        };
        let durable = Durable {
            next: position,
            segment: segment.first,
            offset,
        };
        let writer = Self {
            folder: folder.to_owned(),
            file,
            durable,
            keys: Keys::default(),
            shared: Arc::clone(shared),
            segment_bytes: options.segment_bytes,
        };
        Ok((writer, durable))
    }

    fn run(mut self, mut queue: mpsc::Receiver<Request>, durable: &watch::Sender<Durable>) {
        while let Some(first) = queue.blocking_recv() {
            let mut group = vec![first];
            let mut bytes = weight(&group[0]);
            while bytes < MAX_GROUP_BYTES
                && let Ok(next) = queue.try_recv()
            {
                bytes += weight(&next);
                group.push(next);
            }
            self.write_group(group, durable);
        }
    }

    fn write_group(&mut self, group: Vec<Request>, durable: &watch::Sender<Durable>) {
        let mut out = Vec::with_capacity(1 << 16);
        let mut answers = Vec::with_capacity(group.len());
        let (mut written, mut new_keys) = (0_u64, Vec::new());
        for request in group {
            let mut repeated = 0;
            let accepted = request.records.len();
            for record in &request.records {
                if !self.keys.note(record.idempotency_key) {
                    repeated += 1;
                    continue;
                }
                if record.idempotency_key != 0 {
                    new_keys.push(record.idempotency_key);
                }
                record::encode(record, &mut out);
                written += 1;
            }
            answers.push((request.answer, Appended { accepted, repeated }));
        }
        let result = self.write(&out, written);
        if result.is_err() {
            self.keys.forget(&new_keys);
        }
        durable.send_replace(self.durable);
        for (answer, appended) in answers {
            // A sender that has gone away needs no answer.
            let _ = answer.send(result.clone().map(|()| appended));
        }
    }

    fn write(&mut self, out: &[u8], records: u64) -> Result<(), AppendError> {
        if out.is_empty() {
            return Ok(());
        }
        let to_error = |error: std::io::Error| AppendError::Write {
            reason: error.to_string(),
        };
        if self.durable.offset >= self.segment_bytes {
            self.roll().map_err(to_error)?;
        }
        let done = self
            .file
            .write_all(out)
            .and_then(|()| self.file.sync_data());
        if let Err(error) = done {
            // What was written in part is cut off, so that the next group starts clean.
            let cut = self.file.set_len(self.durable.offset);
            let back = self.file.seek(SeekFrom::Start(self.durable.offset));
            if cut.is_err() || back.is_err() {
                tracing::error!("journal segment cannot be cut back after a failed write");
            }
            return Err(to_error(error));
        }
        self.durable.offset += out.len() as u64;
        self.durable.next += records;
        Ok(())
    }

    fn roll(&mut self) -> std::io::Result<()> {
        let segment = SegmentPath::new(&self.folder, self.durable.next);
        self.file = segment::create(&segment)?;
        let mut state = self.shared.lock();
        if let Some((_, bytes)) = state.segments.back_mut() {
            *bytes = self.durable.offset;
        }
        state.segments.push_back((segment.clone(), 0));
        self.durable.segment = segment.first;
        self.durable.offset = MAGIC.len() as u64;
        Ok(())
    }
}

fn weight(request: &Request) -> usize {
    request
        .records
        .iter()
        .map(|record| record.bytes.len() + 64)
        .sum()
}

/// Reads a segment for its keys; returns the position and offset after the last good record.
fn scan(segment: &SegmentPath, length: u64, keys: &mut Keys) -> std::io::Result<(u64, u64)> {
    let mut reader = SegmentReader::open(segment)?;
    loop {
        match reader.step(8192, length)? {
            Step::Records(records) => {
                for stored in records {
                    keys.note(stored.idempotency_key);
                }
            }
            Step::End | Step::Damaged => return Ok((reader.position, reader.offset)),
        }
    }
}

fn reopen(segment: &SegmentPath, offset: u64) -> std::io::Result<File> {
    let mut file = File::options().read(true).write(true).open(&segment.path)?;
    file.set_len(offset)?;
    file.seek(SeekFrom::Start(offset))?;
    file.sync_all()?;
    Ok(file)
}

/// The reading side: records in order, up to what is durable.
pub(crate) struct EmbeddedReader {
    durable: watch::Receiver<Durable>,
    shared: Arc<Shared>,
    reader: Option<(SegmentPath, SegmentReader)>,
    next: u64,
}

impl std::fmt::Debug for EmbeddedReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EmbeddedReader")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl EmbeddedReader {
    /// Waits until there is something to read; `false` when the journal is closed and read to
    /// its end.
    pub(crate) async fn ready(&mut self) -> bool {
        let next = self.next;
        self.durable
            .wait_for(|durable| durable.next > next)
            .await
            .is_ok()
    }

    /// Up to `most` records that are durable and not yet read; empty when there are none.
    ///
    /// # Errors
    /// If a segment cannot be read.
    pub(crate) fn read(&mut self, most: usize) -> Result<Vec<RawRecord>, ReadError> {
        let durable = *self.durable.borrow();
        let mut records: Vec<RawRecord> = Vec::new();
        while self.next < durable.next && records.len() < most {
            let Some((segment, limit)) = self.segment_of(self.next, durable) else {
                break;
            };
            let is_current = self
                .reader
                .as_ref()
                .is_some_and(|(open, _)| *open == segment);
            if !is_current {
                let opened = SegmentReader::open(&segment)
                    .map_err(|source| read_error(&segment, 0, source))?;
                self.reader = Some((segment.clone(), opened));
            }
            let Some((_, reader)) = &mut self.reader else {
                break;
            };
            let step = reader.step(most - records.len(), limit);
            let step = step.map_err(|source| read_error(&segment, reader.offset, source))?;
            match step {
                Step::Records(read) => {
                    let wanted = read.into_iter().map(|stored: Stored| stored.record);
                    records.extend(wanted.filter(|record| record.position >= self.next));
                    self.next = self.next.max(reader.position);
                }
                Step::End | Step::Damaged => self.step_over(&segment, durable),
            }
        }
        Ok(records)
    }

    /// Damage within a full segment: counted, and reading goes on with the next segment.
    fn step_over(&mut self, segment: &SegmentPath, durable: Durable) {
        let mut state = self.shared.lock();
        let next = state
            .segments
            .iter()
            .map(|(other, _)| other.first)
            .find(|first| *first > segment.first);
        let next = next.unwrap_or(durable.next).max(self.next);
        state.damaged += next - self.next;
        tracing::error!(path = %segment.path.display(), from = self.next, to = next, "journal segment is damaged; records are lost");
        self.next = next;
        self.reader = None;
    }

    fn segment_of(&self, position: u64, durable: Durable) -> Option<(SegmentPath, u64)> {
        let state = self.shared.lock();
        let (segment, bytes) = state
            .segments
            .iter()
            .rev()
            .find(|(segment, _)| segment.first <= position)?;
        let limit = if segment.first == durable.segment {
            durable.offset
        } else {
            *bytes
        };
        Some((segment.clone(), limit))
    }
}

fn read_error(segment: &SegmentPath, offset: u64, source: std::io::Error) -> ReadError {
    ReadError::Segment {
        path: segment.path.clone(),
        offset,
        source,
    }
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
