//! The scanner: a position in a text and the tokens of JSON (RFC 8259). Control characters
//! inside strings are let through, because real logs hold them.

use std::ops::Range;

use watchfloor_event::ValueKind;

use super::Fault;

/// A scalar that is no string.
pub(super) struct Token<'a> {
    pub(super) kind: ValueKind,
    pub(super) text: &'a str,
}

/// Steps of eight bytes before the search for long strings starts.
const SHORT_CHUNKS: usize = 4;

/// The highest bit of each byte of a word that equals `byte`; exact up to and including the
/// first such byte, which is all that is asked.
///
/// # Source
/// H. S. Warren, "Hacker's Delight", 2nd edition, section 6-1, "Find First 0-Byte".
fn equal_bytes(word: u64, byte: u8) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let differing = word ^ (LOW * u64::from(byte));
    differing.wrapping_sub(LOW) & !differing & HIGH
}

/// A position in a text.
pub(super) struct Scan<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: if text.starts_with('\u{feff}') { 3 } else { 0 },
        }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub(super) fn skip_byte(&mut self) {
        self.at += 1;
    }

    pub(super) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// What is still to come.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    #[inline]
    pub(super) fn blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    pub(super) fn fault(&self, reason: &'static str) -> Fault {
        Fault {
            at: self.at,
            reason,
        }
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Fault> {
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        Err(self.fault(match byte {
            b':' => "expected ':'",
            b'"' => "expected a string",
            b'{' => "expected '{'",
            _ => "unexpected byte",
        }))
    }

    /// A string: its text where it has no escapes, else `None` and the text in `buffer`.
    pub(super) fn string(&mut self, buffer: &mut String) -> Result<Option<&'a str>, Fault> {
        self.expect(b'"')?;
        let start = self.at;
        let end = self.next_mark()?;
        if self.bytes.get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(self.text.get(start..end));
        }
        buffer.clear();
        let mut from = start;
        let mut mark = end;
        loop {
            buffer.push_str(self.text.get(from..mark).unwrap_or(""));
            self.at = mark + 1;
            if self.bytes.get(mark) == Some(&b'"') {
                return Ok(None);
            }
            self.escape(buffer)?;
            from = self.at;
            mark = self.next_mark()?;
        }
    }

    /// The next quote or backslash. Most strings are short, so the first bytes are looked at
    /// eight at a time right here; the search for long ones costs more to start than to run.
    fn next_mark(&self) -> Result<usize, Fault> {
        let rest = self.bytes.get(self.at..).unwrap_or(&[]);
        let mut at = 0;
        for chunk in rest.chunks_exact(8).take(SHORT_CHUNKS) {
            let Ok(chunk) = chunk.try_into() else {
                break;
            };
            let word = u64::from_le_bytes(chunk);
            let marks = equal_bytes(word, b'"') | equal_bytes(word, b'\\');
            if marks != 0 {
                return Ok(self.at + at + marks.trailing_zeros() as usize / 8);
            }
            at += 8;
        }
        memchr::memchr2(b'"', b'\\', rest.get(at..).unwrap_or(&[]))
            .map(|offset| self.at + at + offset)
            .ok_or_else(|| self.fault("a string without an end"))
    }

    fn escape(&mut self, buffer: &mut String) -> Result<(), Fault> {
        let byte = self
            .peek()
            .ok_or_else(|| self.fault("an escape without an end"))?;
        self.at += 1;
        match byte {
            b'n' => buffer.push('\n'),
            b't' => buffer.push('\t'),
            b'r' => buffer.push('\r'),
            b'b' => buffer.push('\u{8}'),
            b'f' => buffer.push('\u{c}'),
            b'"' | b'\\' | b'/' => buffer.push(char::from(byte)),
            b'u' => {
                let unit = self.hex4()?;
                buffer.push(self.unit(unit));
            }
            _ => return Err(self.fault("an unknown escape")),
        }
        Ok(())
    }

    /// A UTF-16 unit to a character, taking the second half of a pair along.
    fn unit(&mut self, unit: u32) -> char {
        if (0xd800..0xdc00).contains(&unit) && self.bytes.get(self.at..self.at + 2) == Some(b"\\u")
        {
            let back = self.at;
            self.at += 2;
            match self.hex4() {
                Ok(low) if (0xdc00..0xe000).contains(&low) => {
                    let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                    return char::from_u32(code).unwrap_or('\u{fffd}');
                }
                _ => self.at = back,
            }
        }
        char::from_u32(unit).unwrap_or('\u{fffd}')
    }

    fn hex4(&mut self) -> Result<u32, Fault> {
        let found = self
            .text
            .get(self.at..self.at + 4)
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match found {
            Some(unit) => {
                self.at += 4;
                Ok(unit)
            }
            None => Err(self.fault("a broken \\u escape")),
        }
    }

    /// A number, `true`, `false` or `null`.
    pub(super) fn scalar(&mut self) -> Result<Token<'a>, Fault> {
        let start = self.at;
        while let Some(b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' | b'+' | b'-' | b'.') = self.peek() {
            self.at += 1;
        }
        let text = self.text.get(start..self.at).unwrap_or("");
        let kind = match text.as_bytes() {
            b"true" | b"false" => ValueKind::Bool,
            b"null" => {
                return Ok(Token {
                    kind: ValueKind::Null,
                    text: "",
                });
            }
            [b'-', b'0'..=b'9', rest @ ..] | [b'0'..=b'9', rest @ ..] => {
                if rest.iter().all(u8::is_ascii_digit) {
                    ValueKind::Int
                } else if rest
                    .iter()
                    .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
                {
                    ValueKind::Float
                } else {
                    return Err(self.fault("a broken number"));
                }
            }
            _ => return Err(self.fault("expected a value")),
        };
        Ok(Token { kind, text })
    }

    /// Steps over one value and returns where it stands. Iterative: depth costs no stack.
    pub(super) fn skip_value(&mut self) -> Result<Range<usize>, Fault> {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            self.blanks();
            match self.peek() {
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.at += 1;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.at += 1;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                Some(b'"') => self.skip_string()?,
                Some(_) => {
                    self.scalar()?;
                }
                None => return Err(self.fault("the text ends early")),
            }
            if depth == 0 {
                return Ok(start..self.at);
            }
        }
    }

    pub(super) fn skip_string(&mut self) -> Result<(), Fault> {
        self.expect(b'"')?;
        loop {
            let mark = self.next_mark()?;
            if self.bytes.get(mark) == Some(&b'"') {
                self.at = mark + 1;
                return Ok(());
            }
            self.at = mark + 2;
        }
    }

    pub(super) fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or("")
    }
}
