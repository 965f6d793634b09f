//! Windows events as XML over any lines, with or without a root element around them.

use std::io::Read;

use watchfloor_event::Format;

use super::{FramingError, Output, source};
use crate::MAX_RECORD_BYTES;

const OPEN: &[u8] = b"<Event";
const CLOSE: &[u8] = b"</Event>";

pub(super) fn read(mut reader: impl Read, output: &mut Output<'_>) -> Result<(), FramingError> {
    let mut held: Vec<u8> = Vec::new();
    let mut chunk = vec![0; 128 * 1024];
    let mut read = 0_u64;
    loop {
        let count = source::read(&mut reader, &mut chunk, read)?;
        read += count as u64;
        held.extend_from_slice(chunk.get(..count).unwrap_or(&[]));
        let (used, goes_on) = cut(&held, read - held.len() as u64, output);
        if !goes_on {
            return Ok(());
        }
        held.drain(..used);
        if count == 0 {
            break;
        }
        // An element that does not end is cut where a line would be.
        if held.len() > MAX_RECORD_BYTES {
            let offset = read - held.len() as u64;
            output.problem(offset, "an event is longer than 1 MiB or has no end");
            if !output.record(&held, held.len() as u64, Format::WindowsXml, offset) {
                return Ok(());
            }
            held.clear();
        }
    }
    if let Some(start) = next_open(&held) {
        let rest = held.get(start..).unwrap_or(&[]);
        let offset = read - rest.len() as u64;
        output.problem(offset, "the file ends inside an event");
        output.record(rest, rest.len() as u64, Format::WindowsXml, offset);
    }
    Ok(())
}

/// Hands out all whole events; gives how many bytes are done with.
fn cut(held: &[u8], base: u64, output: &mut Output<'_>) -> (usize, bool) {
    let mut used = 0;
    loop {
        let rest = held.get(used..).unwrap_or(&[]);
        let Some(start) = next_open(rest) else {
            // What may be the beginning of a tag must stay.
            return (held.len().saturating_sub(OPEN.len().min(rest.len())), true);
        };
        let event = rest.get(start..).unwrap_or(&[]);
        let Some(end) = memchr::memmem::find(event, CLOSE) else {
            return (used + start, true);
        };
        let length = end + CLOSE.len();
        let offset = base + (used + start) as u64;
        let event = event.get(..length).unwrap_or(event);
        if !output.record(event, length as u64, Format::WindowsXml, offset) {
            return (held.len(), false);
        }
        used += start + length;
    }
}

/// Where the next `<Event>` or `<Event …>` begins; `<Events>` and `<EventData>` are others.
fn next_open(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find_iter(bytes, OPEN).find(|at| {
        let after = bytes.get(at + OPEN.len());
        after.is_none_or(|byte| matches!(byte, b' ' | b'>' | b'\t' | b'\r' | b'\n'))
    })
}
