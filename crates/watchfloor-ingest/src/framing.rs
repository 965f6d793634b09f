//! Records out of a byte stream: octet counting or lines, decided per record as senders mix
//! them; or texts that end with a zero byte.
//!
//! # Source
//! RFC 6587 sections 3.4.1 (octet counting) and 3.4.2 (non-transparent framing); RFC 5425
//! section 4.3; Graylog, "GELF via TCP".

use bytes::{Buf, Bytes, BytesMut};

use crate::record::MAX_RECORD_BYTES;

/// One record of a stream.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// A whole record.
    Record(Bytes),
    /// A record longer than [`MAX_RECORD_BYTES`]: its beginning; the rest is passed over.
    TooLong(Bytes),
}

/// How the records of a stream end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// As syslog over streams: counted, or with a line end.
    #[default]
    CountOrLine,
    /// With a zero byte.
    Nul,
}

/// Splits a stream into records.
#[derive(Debug, Default)]
pub struct StreamFraming {
    buffer: BytesMut,
    ending: Ending,
    /// Bytes at the start of the buffer that are known to hold no end.
    searched: usize,
    /// Bytes of an over-long counted record still to be passed over.
    skip: usize,
    /// Whether an over-long line is being passed over up to its end.
    skip_line: bool,
}

/// Room that a stream is read with at first, in bytes: ten thousand idle streams must not take
/// much memory.
const SMALL_READ: usize = 4 << 10;
/// Room that a busy stream is read with, in bytes.
const LARGE_READ: usize = 256 << 10;

impl StreamFraming {
    /// Splits by the given ends.
    pub fn new(ending: Ending) -> Self {
        Self {
            ending,
            ..Self::default()
        }
    }

    /// Adds bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The buffer with room to read into, more if the last read filled what it had.
    pub(crate) fn room(&mut self, last_read: usize) -> &mut BytesMut {
        let room = if last_read >= SMALL_READ {
            LARGE_READ
        } else {
            SMALL_READ
        };
        if self.buffer.is_empty() && self.buffer.capacity() > room {
            self.buffer = BytesMut::new();
        }
        self.buffer.reserve(room);
        &mut self.buffer
    }

    /// Whether a record has begun and not ended.
    pub(crate) fn is_partial(&self) -> bool {
        !self.buffer.is_empty() || self.skip > 0 || self.skip_line
    }

    /// The next whole record.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if !self.pass_over() {
                return None;
            }
            if self.ending == Ending::CountOrLine {
                match self.counted() {
                    Some(Counted::Frame(frame)) => return Some(frame),
                    Some(Counted::Wait) => return None,
                    None => {}
                }
            }
            let frame = self.ended()?;
            if !matches!(&frame, Frame::Record(bytes) if bytes.is_empty()) {
                return Some(frame);
            }
        }
    }

    /// What is left when the stream ends: a last record without its end.
    pub fn finish(mut self) -> Option<Frame> {
        if self.skip > 0 || self.skip_line || self.buffer.is_empty() {
            return None;
        }
        let bytes = trimmed(self.buffer.split().freeze());
        (!bytes.is_empty()).then_some(Frame::Record(bytes))
    }

    fn end(&self) -> u8 {
        match self.ending {
            Ending::CountOrLine => b'\n',
            Ending::Nul => 0,
        }
    }

    /// Drops what is to be passed over; `false` if more bytes are needed for it.
    fn pass_over(&mut self) -> bool {
        let now = self.skip.min(self.buffer.len());
        self.buffer.advance(now);
        self.skip -= now;
        if self.skip > 0 {
            return false;
        }
        if self.skip_line {
            match memchr::memchr(self.end(), &self.buffer) {
                Some(end) => {
                    self.buffer.advance(end + 1);
                    self.skip_line = false;
                }
                None => {
                    self.buffer.clear();
                    return false;
                }
            }
        }
        true
    }

    fn counted(&mut self) -> Option<Counted> {
        let head = &self.buffer[..self.buffer.len().min(9)];
        let space = head.iter().position(|byte| *byte == b' ')?;
        // A count has no leading zero and is followed by the record's "<".
        if space == 0 || head[0] == b'0' || !head[..space].iter().all(u8::is_ascii_digit) {
            return None;
        }
        let count: usize = std::str::from_utf8(&head[..space]).ok()?.parse().ok()?;
        match self.buffer.get(space + 1) {
            Some(b'<') => {}
            Some(_) => return None,
            None => return Some(Counted::Wait),
        }
        let start = space + 1;
        if count > MAX_RECORD_BYTES {
            if self.buffer.len() < start + MAX_RECORD_BYTES {
                return Some(Counted::Wait);
            }
            self.buffer.advance(start);
            let cut = self.buffer.split_to(MAX_RECORD_BYTES).freeze();
            self.skip = count - MAX_RECORD_BYTES;
            return Some(Counted::Frame(Frame::TooLong(cut)));
        }
        if self.buffer.len() < start + count {
            return Some(Counted::Wait);
        }
        self.buffer.advance(start);
        let record = self.buffer.split_to(count).freeze();
        Some(Counted::Frame(Frame::Record(trimmed(record))))
    }

    fn ended(&mut self) -> Option<Frame> {
        let searched = std::mem::take(&mut self.searched).min(self.buffer.len());
        let found = memchr::memchr(self.end(), &self.buffer[searched..]);
        match found.map(|at| at + searched) {
            Some(end) if end <= MAX_RECORD_BYTES => {
                let record = self.buffer.split_to(end + 1).freeze();
                Some(Frame::Record(trimmed(record)))
            }
            _ if self.buffer.len() > MAX_RECORD_BYTES => {
                let cut = self.buffer.split_to(MAX_RECORD_BYTES).freeze();
                self.skip_line = true;
                Some(Frame::TooLong(cut))
            }
            _ => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}

enum Counted {
    Frame(Frame),
    Wait,
}

/// Without line ends and the NUL that some senders close with.
fn trimmed(bytes: Bytes) -> Bytes {
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0));
    bytes.slice(..end.map_or(0, |end| end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(chunks: &[&[u8]], expected: &[&str]) {
        let mut framing = StreamFraming::default();
        let mut found = Vec::new();
        let text = |frame: Frame| match frame {
            Frame::Record(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Frame::TooLong(bytes) => format!("too long: {}", bytes.len()),
        };
        for chunk in chunks {
            framing.push(chunk);
            while let Some(frame) = framing.next_frame() {
                found.push(text(frame));
            }
        }
        found.extend(framing.finish().map(text));
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_and_counts_in_any_pieces() {
        check(&[b"<1>a\n<1>b\r\n\n<1>c"], &["<1>a", "<1>b", "<1>c"]);
        check(&[b"4 <1>a5 <1>bc<1>d\n"], &["<1>a", "<1>bc", "<1>d"]);
        let bytes = b"4 <1>a<1>line\n6 <1>x\ny";
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        check(&single, &["<1>a", "<1>line", "<1>x\ny"]);
        check(&[b"12 monkeys\n"], &["12 monkeys"]);
    }

    #[test]
    fn an_overlong_record_is_cut_and_the_next_is_whole() {
        let mut long = vec![b'a'; 3 * MAX_RECORD_BYTES];
        long.extend_from_slice(b"\n<1>next\n");
        let chunks: Vec<&[u8]> = long.chunks(70_000).collect();
        check(&chunks, &["too long: 1048576", "<1>next"]);
        let mut counted = format!("{} <", 2 * MAX_RECORD_BYTES).into_bytes();
        counted.extend(vec![b'b'; 2 * MAX_RECORD_BYTES - 1]);
        counted.extend_from_slice(b"<1>next\n");
        check(&[&counted], &["too long: 1048576", "<1>next"]);
    }

    #[test]
    fn zero_bytes_end_records_that_hold_lines() {
        let mut framing = StreamFraming::new(Ending::Nul);
        framing.push(b"{\"a\":\n1}\0\0{\"b\"");
        assert_eq!(
            framing.next_frame(),
            Some(Frame::Record(Bytes::from_static(b"{\"a\":\n1}")))
        );
        assert_eq!(framing.next_frame(), None);
        framing.push(b":2}");
        assert_eq!(framing.next_frame(), None);
        assert_eq!(
            framing.finish(),
            Some(Frame::Record(Bytes::from_static(b"{\"b\":2}")))
        );
    }
}
