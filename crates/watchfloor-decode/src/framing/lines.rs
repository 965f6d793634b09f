//! Lines ended by LF or CRLF, and those of Zeek's TSV, W3C extended logs and CSV, whose header
//! lines become the context of the lines after them.

use std::io::Read;
use std::sync::Arc;

use watchfloor_event::Format;

use super::{FramingError, Output, detect, source};
use crate::MAX_RECORD_BYTES;

/// Longest Zeek header that is kept, in bytes.
const HEADER_BYTES_MAX: usize = 256 * 1024;

pub(super) fn read(
    reader: impl Read,
    format: Format,
    output: &mut Output<'_>,
) -> Result<(), FramingError> {
    let header = match format {
        Format::ZeekTsv => HeaderLines::Marked,
        _ => HeaderLines::None,
    };
    read_with(reader, format, header, output)
}

/// Reads a table: a W3C extended log, or lines below a line of names.
pub(super) fn read_table(
    reader: impl Read,
    name: &str,
    output: &mut Output<'_>,
) -> Result<(), FramingError> {
    let header = HeaderLines::First(name.to_owned());
    read_with(reader, Format::Text, header, output)
}

/// Where the lines stand that give the names.
enum HeaderLines {
    /// Nowhere.
    None,
    /// They begin with `#`.
    Marked,
    /// They begin with `#`, or it is the first line of the file of this name.
    First(String),
}

fn read_with(
    mut reader: impl Read,
    format: Format,
    header_lines: HeaderLines,
    output: &mut Output<'_>,
) -> Result<(), FramingError> {
    let mut lines = Lines {
        format,
        header_lines,
        line: Vec::new(),
        length: 0,
        start: 0,
        header: String::new(),
        in_header: false,
    };
    let mut chunk = vec![0; 128 * 1024];
    let mut offset = 0_u64;
    loop {
        let count = source::read(&mut reader, &mut chunk, offset)?;
        if count == 0 {
            break;
        }
        let mut rest = chunk.get(..count).unwrap_or(&[]);
        while let Some(end) = memchr::memchr(b'\n', rest) {
            let (line, after) = rest.split_at(end);
            offset += end as u64 + 1;
            rest = after.get(1..).unwrap_or(&[]);
            let goes_on = lines.end(line, output);
            lines.start = offset;
            if !goes_on {
                return Ok(());
            }
        }
        lines.push(rest);
        offset += rest.len() as u64;
    }
    if lines.length > 0 {
        lines.end(&[], output);
    }
    Ok(())
}

struct Lines {
    format: Format,
    header_lines: HeaderLines,
    line: Vec<u8>,
    length: u64,
    start: u64,
    header: String,
    in_header: bool,
}

impl Lines {
    /// Takes a piece of a line; beyond the limit only its length is counted.
    fn push(&mut self, piece: &[u8]) {
        let space = MAX_RECORD_BYTES.saturating_sub(self.line.len());
        self.line
            .extend_from_slice(piece.get(..space).unwrap_or(piece));
        self.length += piece.len() as u64;
    }

    /// Ends the line with its last piece.
    fn end(&mut self, piece: &[u8], output: &mut Output<'_>) -> bool {
        let goes_on = if self.line.is_empty() && piece.len() <= MAX_RECORD_BYTES {
            let piece = piece.strip_suffix(b"\r").unwrap_or(piece);
            self.whole(piece, piece.len() as u64, output)
        } else {
            self.push(piece);
            let mut line = std::mem::take(&mut self.line);
            let mut length = self.length;
            if line.last() == Some(&b'\r') && line.len() as u64 == length {
                line.pop();
                length -= 1;
            }
            let goes_on = self.whole(&line, length, output);
            line.clear();
            line.shrink_to(MAX_RECORD_BYTES / 8);
            self.line = line;
            goes_on
        };
        self.length = 0;
        goes_on
    }

    fn whole(&mut self, line: &[u8], length: u64, output: &mut Output<'_>) -> bool {
        if line.iter().all(u8::is_ascii_whitespace) {
            return true;
        }
        if !matches!(self.header_lines, HeaderLines::None) && line.first() == Some(&b'#') {
            self.header_line(line);
            return true;
        }
        if let HeaderLines::First(name) = &self.header_lines {
            let text = String::from_utf8_lossy(line);
            let found = detect::table_context(name, text.trim_start_matches('\u{feff}'));
            let is_known = output.context.is_some() || self.in_header;
            self.header_lines = HeaderLines::Marked;
            if let (false, Some(context)) = (is_known, found) {
                output.context = Some(Arc::from(context));
                return true;
            }
        }
        if self.in_header {
            self.in_header = false;
            output.context = Some(Arc::from(self.header.as_str()));
        }
        output.record(line, length, self.format, self.start)
    }

    fn header_line(&mut self, line: &[u8]) {
        if !self.in_header {
            self.header.clear();
            self.in_header = true;
        }
        // The end mark `#close` stands alone and must not wipe the header.
        if self.header.len() + line.len() < HEADER_BYTES_MAX {
            self.header.push_str(&String::from_utf8_lossy(line));
            self.header.push('\n');
        }
    }
}
