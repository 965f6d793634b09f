//! One watched file: which of the known files it is, and its next records.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Cursor, Read};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use watchfloor_decode::framing::{self, FileFormat, detect_file, read_records};
use watchfloor_event::Format;

use super::name_of;
use super::state::{FINGERPRINT_BYTES, Position, Positions, fingerprint};

/// Bytes of lines read at once.
const PIECE_BYTES: usize = 1 << 20;
/// Records of a file that is read whole, handed over at once.
const PIECE_RECORDS: usize = 4096;
/// Longest head of a table or a Zeek log.
const HEAD_BYTES: usize = 64 << 10;
/// How long a file must not change before a form that is read whole is read.
const REST: Duration = Duration::from_secs(2);
/// How long a last line without its end is waited for.
const LAST_LINE_WAIT: Duration = Duration::from_secs(10);
/// How long a file is kept open after it is gone from its path.
const GONE_WAIT: Duration = Duration::from_secs(30);
/// Files that are kept open.
const OPEN_MAX: usize = 2_000;

/// Whether a file has more to give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Idle,
    More,
}

/// A record of a file, with its key.
pub(super) struct Framed {
    pub(super) bytes: Bytes,
    pub(super) format: Format,
    pub(super) context: Option<Arc<str>>,
    pub(super) key: u128,
}

/// Some records, and how far the file is read with them.
pub(super) struct Piece {
    pub(super) records: Vec<Framed>,
    pub(super) problems: Vec<String>,
    pub(super) end: End,
    /// Lines of names that stand in this piece.
    pub(super) head: Option<Vec<u8>>,
}

/// How far a file is read.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// Up to a byte.
    Offset(u64),
    /// Up to a record of a form that is read whole, and whether that is all of it.
    Records { count: u64, is_all: bool },
}

/// A file that is open.
pub(super) struct Tail {
    path: PathBuf,
    file: File,
    id: (u64, u64),
    format: FileFormat,
    /// Lines of names that later lines need.
    head: Vec<u8>,
    seen: (u64, i64),
    changed: Instant,
    gone: Option<Instant>,
}

/// All open files.
#[derive(Default)]
pub(super) struct Tails {
    by_id: BTreeMap<(u64, u64), Tail>,
}

fn id_of(file: &File) -> Result<((u64, u64), u64, i64)> {
    let metadata = file.metadata()?;
    Ok((
        (metadata.dev(), metadata.ino()),
        metadata.len(),
        metadata.mtime_nsec() + metadata.mtime().wrapping_mul(1_000_000_000),
    ))
}

/// The first bytes of a file, unpacked.
fn head_of(file: &File, bytes: usize) -> Result<Vec<u8>> {
    let mut packed = vec![0; bytes];
    let mut length = 0;
    while length < bytes {
        let got = file.read_at(&mut packed[length..], length as u64)?;
        if got == 0 {
            break;
        }
        length += got;
    }
    packed.truncate(length);
    if !packed.starts_with(&[0x1f, 0x8b]) {
        return Ok(packed);
    }
    let mut plain = Vec::new();
    // A packed file that is still being written ends early.
    let _ = framing::gunzip(&packed[..])
        .take(bytes as u64)
        .read_to_end(&mut plain);
    Ok(plain)
}

impl Tails {
    /// Opens a file, unless it is open; finds out whether it was read before.
    pub(super) fn open(
        &mut self,
        path: &Path,
        positions: &mut Positions,
        format: Option<FileFormat>,
        from_end: bool,
    ) -> Result<()> {
        let metadata =
            std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let id = (metadata.dev(), metadata.ino());
        if let Some(tail) = self.by_id.get_mut(&id) {
            tail.gone = None;
            if tail.path != path {
                tail.path = path.to_owned();
            }
            return tail.check(positions, format);
        }
        // One that is empty or was read to its end and has not changed need not be open.
        let is_idle = positions.get(id).is_some_and(|known| {
            let is_whole = known
                .read_at
                .is_some_and(|(size, _)| size == metadata.len());
            let is_read = known.offset == metadata.len() && known.offset > 0;
            (is_whole || is_read)
                && metadata.modified().is_ok_and(|at| {
                    at.elapsed()
                        .is_ok_and(|age| age > Duration::from_secs(3600))
                })
        });
        if is_idle || metadata.len() == 0 || self.by_id.len() >= OPEN_MAX {
            return Ok(());
        }
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut tail = Tail {
            path: path.to_owned(),
            file,
            id,
            format: FileFormat::Lines(Format::Auto),
            head: Vec::new(),
            seen: (0, 0),
            changed: Instant::now(),
            gone: None,
        };
        tail.know(positions, format, from_end)?;
        self.by_id.insert(id, tail);
        Ok(())
    }

    /// Closes files that are gone for a while and read to their end.
    pub(super) fn gone(&mut self, found: &[PathBuf]) {
        for tail in self.by_id.values_mut() {
            if found.binary_search(&tail.path).is_err() && tail.gone.is_none() {
                tail.gone = Some(Instant::now());
            }
        }
        self.by_id.retain(|_, tail| {
            let is_over = tail.gone.is_some_and(|since| since.elapsed() > GONE_WAIT);
            let is_quiet = tail.changed.elapsed() > GONE_WAIT;
            !(is_over && is_quiet)
        });
    }

    pub(super) fn all(&mut self) -> impl Iterator<Item = &mut Tail> {
        self.by_id.values_mut()
    }
}

impl Tail {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Looks whether an open file was cut short and written anew.
    fn check(&mut self, positions: &mut Positions, format: Option<FileFormat>) -> Result<()> {
        let (_, size, modified) = id_of(&self.file)?;
        if (size, modified) == self.seen {
            return Ok(());
        }
        self.seen = (size, modified);
        self.changed = Instant::now();
        self.know(positions, format, false)
    }

    /// Finds out which of the known files this is: itself as before, a copy of one, or new.
    fn know(
        &mut self,
        positions: &mut Positions,
        format: Option<FileFormat>,
        from_end: bool,
    ) -> Result<()> {
        let (id, size, modified) = id_of(&self.file)?;
        self.seen = (size, modified);
        let head = head_of(&self.file, HEAD_BYTES)?;
        let start = head.get(..FINGERPRINT_BYTES).unwrap_or(&head);
        let is_packed = self.is_packed()?;
        let known = positions.get(id).cloned();
        let is_same = known.as_ref().is_some_and(|known| {
            let same_start = start
                .get(..known.known_bytes)
                .is_some_and(|start| fingerprint(start) == known.fingerprint);
            let is_shorter = !is_packed && size < known.offset;
            same_start && !is_shorter
        });
        let name = name_of(&self.path);
        self.settle_form(&name, &head, is_packed, format);
        if let (true, Some(known)) = (is_same, &known) {
            // The fingerprint grows with the file up to its full length.
            if known.known_bytes < start.len() {
                let (known_bytes, fingerprint) = (start.len(), fingerprint(start));
                positions.change(id, |position| {
                    position.known_bytes = known_bytes;
                    position.fingerprint = fingerprint;
                });
            }
            return Ok(());
        }
        let mut position = Position {
            file: 0,
            device: id.0,
            inode: id.1,
            known_bytes: start.len(),
            fingerprint: fingerprint(start),
            offset: 0,
            records: 0,
            read_at: None,
            name: name.clone(),
            used: 0,
        };
        // What copytruncate leaves behind, or gzip, is read on where its original was left; the
        // keys are those of the original, so lines that were taken from both are stored once.
        match positions.original(start, &name, id).cloned() {
            Some(original) if known.is_none() => {
                position.file = original.file;
                position.offset = original.offset;
                position.records = original.records;
                positions.put(position, false);
            }
            _ => {
                if from_end && self.is_by_offset() {
                    position.offset = size;
                }
                positions.put(position, true);
                // The number of the file must be known before its first record is.
                positions.save()?;
            }
        }
        Ok(())
    }

    /// Finds the form of the file, and the lines of names at its beginning.
    fn settle_form(
        &mut self,
        name: &str,
        head: &[u8],
        is_packed: bool,
        format: Option<FileFormat>,
    ) {
        if !head.is_empty() {
            let plain_name = name.strip_suffix(".gz").unwrap_or(name);
            self.format = format.unwrap_or_else(|| detect_file(plain_name, head));
            self.head = head_lines(self.format, head);
        }
        if is_packed {
            self.format = FileFormat::Gzip;
        }
    }

    fn is_packed(&self) -> Result<bool> {
        let mut two = [0; 2];
        Ok(self.file.read_at(&mut two, 0)? == 2 && two == [0x1f, 0x8b])
    }

    fn is_by_offset(&self) -> bool {
        matches!(
            self.format,
            FileFormat::Lines(_) | FileFormat::ZeekTsv | FileFormat::Table
        )
    }

    /// The next records; `None` if there are none now.
    pub(super) fn next_piece(&mut self, positions: &Positions) -> Result<Option<Piece>> {
        let Some(position) = positions.get(self.id).cloned() else {
            return Ok(None);
        };
        let (_, size, modified) = id_of(&self.file)?;
        if (size, modified) != self.seen {
            // The next look finds out what became of it.
            if size < position.offset && self.is_by_offset() {
                return Ok(None);
            }
            self.seen = (size, modified);
            self.changed = Instant::now();
        }
        if self.is_by_offset() {
            self.lines(&position, size)
        } else {
            self.whole(&position, size, modified)
        }
    }

    /// Lines from the position on.
    fn lines(&self, position: &Position, size: u64) -> Result<Option<Piece>> {
        if size <= position.offset {
            return Ok(None);
        }
        let mut piece = vec![0; PIECE_BYTES + 1];
        let got = self.file.read_at(&mut piece, position.offset)?;
        piece.truncate(got);
        let end = piece.iter().rposition(|byte| *byte == b'\n');
        let end = match end {
            Some(end) => end + 1,
            // Longer than any record, or the last line of a file that has come to rest.
            None if got > PIECE_BYTES => PIECE_BYTES,
            None if self.changed.elapsed() > LAST_LINE_WAIT && got > 0 => got,
            None => return Ok(None),
        };
        piece.truncate(end);
        // Lines of names at the file's beginning are read with every piece.
        let head: &[u8] = if position.offset == 0 {
            &[]
        } else {
            &self.head
        };
        let skipped = head.len() as u64;
        let mut records = Vec::new();
        let reader = Cursor::new(head).chain(&piece[..]);
        let report = framing::follow(reader, &name_of(&self.path), self.format, &mut |framed| {
            let place = framed.offset.saturating_sub(skipped) + position.offset;
            records.push(Framed {
                bytes: Bytes::copy_from_slice(framed.bytes),
                format: framed.format,
                context: framed.context.clone(),
                key: key(position.file, place),
            });
            ControlFlow::Continue(())
        })?;
        Ok(Some(Piece {
            records,
            problems: report.problems.into_iter().map(|one| one.reason).collect(),
            end: End::Offset(position.offset + end as u64),
            head: last_head(self.format, &piece),
        }))
    }

    /// The next records of a form that is read whole, once the file has come to rest.
    fn whole(&self, position: &Position, size: u64, modified: i64) -> Result<Option<Piece>> {
        if position.read_at == Some((size, modified)) || self.changed.elapsed() < REST {
            return Ok(None);
        }
        let (mut records, mut number, mut is_all) = (Vec::new(), 0_u64, true);
        let reader = std::io::BufReader::new(At {
            file: &self.file,
            offset: 0,
        });
        let is_packed = self.format == FileFormat::Gzip;
        let name = name_of(&self.path);
        let form = if is_packed { None } else { Some(self.format) };
        let report = read_records(reader, &name, form, &mut |framed| {
            number += 1;
            // Of a packed file, what was read before it was packed is passed over.
            let is_known = number <= position.records
                || (is_packed && position.records == 0 && framed.offset < position.offset);
            if is_known {
                return ControlFlow::Continue(());
            }
            if records.len() >= PIECE_RECORDS {
                is_all = false;
                number -= 1;
                return ControlFlow::Break(());
            }
            let place = if is_packed { framed.offset } else { number };
            records.push(Framed {
                bytes: Bytes::copy_from_slice(framed.bytes),
                format: framed.format,
                context: framed.context.clone(),
                key: key(position.file, place),
            });
            ControlFlow::Continue(())
        })?;
        let problems = if is_all {
            report.problems.into_iter().map(|one| one.reason).collect()
        } else {
            Vec::new()
        };
        Ok(Some(Piece {
            records,
            problems,
            end: End::Records {
                count: number,
                is_all,
            },
            head: None,
        }))
    }

    /// Notes that the journal has a piece.
    pub(super) fn advance(&mut self, positions: &mut Positions, end: End, head: Option<Vec<u8>>) {
        let seen = self.seen;
        if let Some(head) = head {
            self.head = head;
        }
        positions.change(self.id, |position| match end {
            End::Offset(offset) => position.offset = offset,
            End::Records { count, is_all } => {
                position.records = count;
                if is_all {
                    position.read_at = Some(seen);
                }
            }
        });
    }

    /// Leaves what cannot be read.
    pub(super) fn pass_over(&self, positions: &mut Positions) {
        let seen = self.seen;
        positions.change(self.id, |position| {
            position.offset = position.offset.max(seen.0);
            position.read_at = Some(seen);
        });
    }
}

/// The lines at the beginning of a file that name what stands in later ones.
fn head_lines(format: FileFormat, head: &[u8]) -> Vec<u8> {
    let mut lines = Vec::new();
    let is_table = match format {
        FileFormat::ZeekTsv => false,
        FileFormat::Table => true,
        _ => return lines,
    };
    for (number, line) in head.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let is_first_of_table = is_table && number == 0;
        if line.first() == Some(&b'#') || is_first_of_table {
            lines.extend_from_slice(line);
        } else {
            break;
        }
    }
    lines
}

/// The last lines of names in a piece: a program that starts again writes them again.
fn last_head(format: FileFormat, piece: &[u8]) -> Option<Vec<u8>> {
    if !matches!(format, FileFormat::ZeekTsv | FileFormat::Table) {
        return None;
    }
    let (mut head, mut is_in) = (Vec::new(), false);
    for line in piece.split_inclusive(|byte| *byte == b'\n') {
        let is_mark = line.first() == Some(&b'#');
        if is_mark && !is_in {
            head.clear();
        }
        if is_mark {
            head.extend_from_slice(line);
        }
        is_in = is_mark;
    }
    let names_fields = [&b"#fields"[..], b"#Fields"]
        .iter()
        .any(|word| head.windows(word.len()).any(|part| part == *word));
    names_fields.then_some(head)
}

/// The key of a record: of one file and place, so that it is the same after a restart.
fn key(file: u64, place: u64) -> u128 {
    let mut hasher = Sha256::new();
    hasher.update(b"file");
    hasher.update(file.to_le_bytes());
    hasher.update(place.to_le_bytes());
    let digest = hasher.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    u128::from_le_bytes(bytes).max(1)
}

/// Reads a file without moving a position that others use.
struct At<'f> {
    file: &'f File,
    offset: u64,
}

impl Read for At<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let got = self.file.read_at(into, self.offset)?;
        self.offset += got as u64;
        Ok(got)
    }
}
