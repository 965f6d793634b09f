//! Reads the wire form of Protocol Buffers field by field, without a schema.
//!
//! # Source
//! Protocol Buffers documentation, "Encoding".

use super::EnvelopeError;

/// One field of a message.
pub(super) enum Field<'a> {
    /// A whole number.
    Varint(u64),
    /// Eight bytes, little endian.
    Fixed64(u64),
    /// Four bytes, little endian.
    Fixed32(u32),
    /// Bytes, a text or a message.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(super) fn bytes(&self) -> &'a [u8] {
        match self {
            Field::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    pub(super) fn number(&self) -> u64 {
        match self {
            Field::Varint(number) | Field::Fixed64(number) => *number,
            Field::Fixed32(number) => u64::from(*number),
            Field::Bytes(_) => 0,
        }
    }

    /// As text; bytes that are no UTF-8 are replaced.
    pub(super) fn text(&self) -> std::borrow::Cow<'a, str> {
        String::from_utf8_lossy(self.bytes())
    }
}

/// The fields of a message in the order in which they stand.
pub(super) struct Message<'a> {
    rest: &'a [u8],
}

impl<'a> Message<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field with its number; `None` at the end.
    pub(super) fn next(&mut self) -> Result<Option<(u32, Field<'a>)>, EnvelopeError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number =
            u32::try_from(key >> 3).map_err(|_| malformed("a field's number is too large"))?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                let bytes = self.take(8)?;
                Field::Fixed64(u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
            }
            2 => {
                let length = self.varint()?;
                let length = usize::try_from(length).unwrap_or(usize::MAX);
                Field::Bytes(self.take(length)?)
            }
            5 => {
                let bytes = self.take(4)?;
                Field::Fixed32(u32::from_le_bytes(bytes.try_into().unwrap_or_default()))
            }
            other => return Err(malformed(&format!("wire type {other} is not known"))),
        };
        Ok(Some((number, field)))
    }

    fn varint(&mut self) -> Result<u64, EnvelopeError> {
        let mut value = 0_u64;
        for shift in 0..10 {
            let (byte, rest) = self
                .rest
                .split_first()
                .ok_or_else(|| malformed("it ends inside a number"))?;
            self.rest = rest;
            value |= u64::from(byte & 0x7f) << (7 * shift).min(63);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(malformed("a number is longer than 10 bytes"))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], EnvelopeError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| malformed("it ends inside a field"))?;
        self.rest = rest;
        Ok(taken)
    }
}

fn malformed(reason: &str) -> EnvelopeError {
    EnvelopeError::Malformed {
        form: "Protocol Buffers message",
        reason: reason.to_owned(),
    }
}
