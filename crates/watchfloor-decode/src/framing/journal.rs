//! Entries of the journal export format: blocks ended by an empty line, in which a field
//! without `=` is followed by a 64-bit length and that many bytes.

use std::io::{BufRead, BufReader, Read};

use watchfloor_event::Format;

use super::{FramingError, Output, source};
use crate::MAX_RECORD_BYTES;

pub(super) fn read(reader: impl Read, output: &mut Output<'_>) -> Result<(), FramingError> {
    let mut reader = BufReader::with_capacity(128 * 1024, reader);
    let mut entry: Vec<u8> = Vec::new();
    let mut length = 0_u64;
    let mut offset = 0_u64;
    let mut start = 0_u64;
    let mut line = Vec::new();
    loop {
        line.clear();
        let count = line_of(&mut reader, &mut line, offset)?;
        offset += count;
        let is_end = count == 0;
        if is_end || line.is_empty() {
            if length > 0 && !output.record(&entry, length, Format::JournalExport, start) {
                return Ok(());
            }
            entry.clear();
            length = 0;
            start = offset;
            if is_end {
                return Ok(());
            }
            continue;
        }
        keep(&mut entry, &line);
        keep(&mut entry, b"\n");
        length += count;
        if memchr::memchr(b'=', &line).is_some() {
            continue;
        }
        let mut size = [0; 8];
        if source::fill(&mut reader, &mut size, offset)? < 8 {
            output.problem(offset, "the file ends inside a binary field");
            continue;
        }
        keep(&mut entry, &size);
        let wanted = u64::from_le_bytes(size).saturating_add(1);
        let copied = copy(&mut reader, wanted, &mut entry, offset)?;
        offset += 8 + copied;
        length += 8 + copied;
        if copied < wanted {
            output.problem(offset, "the file ends inside a binary field");
        }
    }
}

fn keep(entry: &mut Vec<u8>, bytes: &[u8]) {
    let space = MAX_RECORD_BYTES.saturating_sub(entry.len());
    entry.extend_from_slice(bytes.get(..space).unwrap_or(bytes));
}

/// Reads a line without its end, keeping at most the limit; gives the bytes taken.
fn line_of(
    reader: &mut BufReader<impl Read>,
    line: &mut Vec<u8>,
    offset: u64,
) -> Result<u64, FramingError> {
    let mut taken = 0_u64;
    loop {
        let buffer = fill_buf(reader, offset + taken)?;
        if buffer.is_empty() {
            return Ok(taken);
        }
        let end = memchr::memchr(b'\n', buffer);
        let piece = buffer.get(..end.unwrap_or(buffer.len())).unwrap_or(&[]);
        keep(line, piece);
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        taken += used as u64;
        if end.is_some() {
            return Ok(taken);
        }
    }
}

fn copy(
    reader: &mut BufReader<impl Read>,
    wanted: u64,
    entry: &mut Vec<u8>,
    offset: u64,
) -> Result<u64, FramingError> {
    let mut taken = 0_u64;
    while taken < wanted {
        let buffer = fill_buf(reader, offset + taken)?;
        if buffer.is_empty() {
            break;
        }
        let left = usize::try_from(wanted - taken).unwrap_or(usize::MAX);
        let piece = buffer.get(..left).unwrap_or(buffer);
        keep(entry, piece);
        let used = piece.len();
        reader.consume(used);
        taken += used as u64;
    }
    Ok(taken)
}

fn fill_buf(reader: &mut BufReader<impl Read>, offset: u64) -> Result<&[u8], FramingError> {
    // Called twice because the borrow of a failed first call cannot be given up in a loop.
    if reader.buffer().is_empty()
        && let Err(cause) = reader.fill_buf()
    {
        if super::gzip::is_bomb(&cause) {
            return Err(FramingError::GzipBomb);
        }
        return Err(FramingError::Read { offset, cause });
    }
    Ok(reader.buffer())
}
