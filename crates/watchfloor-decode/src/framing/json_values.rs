//! JSON values one after another, or the elements of one outer list, over any lines.

use std::io::Read;

use watchfloor_event::Format;

use super::{FramingError, Output, source};
use crate::MAX_RECORD_BYTES;

pub(super) fn read(mut reader: impl Read, output: &mut Output<'_>) -> Result<(), FramingError> {
    let mut values = Values::default();
    let mut chunk = vec![0; 128 * 1024];
    loop {
        let count = source::read(&mut reader, &mut chunk, values.offset)?;
        if count == 0 {
            break;
        }
        for byte in chunk.get(..count).unwrap_or(&[]) {
            if !values.push(*byte, output) {
                return Ok(());
            }
        }
    }
    values.end(output);
    Ok(())
}

#[derive(Default)]
struct Values {
    value: Vec<u8>,
    length: u64,
    start: u64,
    offset: u64,
    depth: u64,
    in_string: bool,
    is_escaped: bool,
    in_list: bool,
    has_begun: bool,
}

impl Values {
    fn push(&mut self, byte: u8, output: &mut Output<'_>) -> bool {
        let at = self.offset;
        self.offset += 1;
        if self.in_string {
            self.keep(byte);
            if self.is_escaped {
                self.is_escaped = false;
            } else if byte == b'\\' {
                self.is_escaped = true;
            } else if byte == b'"' {
                self.in_string = false;
                if self.depth == 0 {
                    return self.flush(output);
                }
            }
            return true;
        }
        match byte {
            b'[' if self.depth == 0 && self.length == 0 && !self.in_list && !self.has_begun => {
                self.in_list = true;
                self.has_begun = true;
                return true;
            }
            b']' if self.depth == 0 && self.in_list => {
                self.in_list = false;
                self.has_begun = false;
                return self.flush(output);
            }
            b' ' | b'\t' | b'\r' | b'\n' | b',' if self.depth == 0 => return self.flush(output),
            0xef | 0xbb | 0xbf if self.depth == 0 && at < 3 => return true,
            _ => {}
        }
        if self.length == 0 {
            self.start = at;
            self.has_begun |= !self.in_list;
        }
        self.keep(byte);
        match byte {
            b'"' => self.in_string = true,
            b'{' | b'[' => self.depth += 1,
            b'}' | b']' => {
                self.depth = self.depth.saturating_sub(1);
                if self.depth == 0 {
                    let goes_on = self.flush(output);
                    self.has_begun = self.in_list;
                    return goes_on;
                }
            }
            _ => {}
        }
        true
    }

    fn keep(&mut self, byte: u8) {
        self.length += 1;
        if self.value.len() < MAX_RECORD_BYTES {
            self.value.push(byte);
        }
    }

    fn flush(&mut self, output: &mut Output<'_>) -> bool {
        if self.length == 0 {
            return true;
        }
        let goes_on = output.record(&self.value, self.length, Format::Json, self.start);
        self.value.clear();
        self.length = 0;
        goes_on
    }

    fn end(&mut self, output: &mut Output<'_>) {
        if self.depth > 0 || self.in_string {
            output.problem(self.start, "the file ends inside a JSON value");
        }
        self.flush(output);
    }
}
