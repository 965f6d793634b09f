//! Records out of a byte stream: octet counting or lines, decided per record as senders mix
//! them.
//!
//! # Source
//! RFC 6587 sections 3.4.1 (octet counting) and 3.4.2 (non-transparent framing).

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

/// Splits a stream into records.
#[derive(Debug, Default)]
pub struct StreamFraming {
    buffer: BytesMut,
    /// Bytes of an over-long counted record still to be passed over.
    skip: usize,
    /// Whether an over-long line is being passed over up to its end.
    skip_line: bool,
}

impl StreamFraming {
    /// Adds bytes from the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole record.
    pub fn next_frame(&mut self) -> Option<Frame> {
        loop {
            if !self.pass_over() {
                return None;
            }
            match self.counted() {
                Some(Counted::Frame(frame)) => return Some(frame),
                Some(Counted::Wait) => return None,
                None => {}
            }
            let frame = self.line()?;
            if !matches!(&frame, Frame::Record(bytes) if bytes.is_empty()) {
                return Some(frame);
            }
        }
    }

    /// What is left when the stream ends: a last line without its end.
    pub fn finish(mut self) -> Option<Frame> {
        if self.skip > 0 || self.skip_line || self.buffer.is_empty() {
            return None;
        }
        let bytes = self.buffer.split().freeze();
        Some(Frame::Record(trimmed(bytes)))
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
            match memchr(self.buffer.as_ref()) {
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

    fn line(&mut self) -> Option<Frame> {
        match memchr(self.buffer.as_ref()) {
            Some(end) if end <= MAX_RECORD_BYTES => {
                let line = self.buffer.split_to(end + 1).freeze();
                Some(Frame::Record(trimmed(line)))
            }
            _ if self.buffer.len() > MAX_RECORD_BYTES => {
                let cut = self.buffer.split_to(MAX_RECORD_BYTES).freeze();
                self.skip_line = true;
                Some(Frame::TooLong(cut))
            }
            _ => None,
        }
    }
}

enum Counted {
    Frame(Frame),
    Wait,
}

fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
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
}
