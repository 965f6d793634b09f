//! The form of one record in the journal.
//!
//! ```text
//! u32 length of the payload, little endian
//! u32 CRC-32 of the payload
//! payload:
//!   u8  format
//!   i64 time of receipt, microseconds since 1970
//!   u128 idempotency key, 0 for none
//!   u16 length of the source, then the source (UTF-8)
//!   u32 length of the context, then the context (UTF-8); 0 for none
//!   the record's bytes
//! ```

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_event::{Format, RawRecord};

/// Largest record in bytes. Senders of longer ones get an error; file readers cut them.
pub const MAX_RECORD_BYTES: usize = 1 << 20;

/// Length of the frame before the payload.
pub(crate) const HEAD_BYTES: usize = 8;
const FIXED_BYTES: usize = 1 + 8 + 16 + 2 + 4;
/// Bound on a payload; a longer length can only be damage.
const MAX_PAYLOAD_BYTES: usize = MAX_RECORD_BYTES + (1 << 18);

/// A record on its way into the journal.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// Name of the source, at most 255 bytes; a longer one is cut.
    pub source: Arc<str>,
    /// Hint on the form.
    pub format: Format,
    /// Header text that the record needs to be understood, at most 64 KiB.
    pub context: Option<Arc<str>>,
    /// When it arrived.
    pub received_at: Timestamp,
    /// A key that the sender repeats when it sends the record again; 0 for none.
    pub idempotency_key: u128,
    /// The record, at most [`MAX_RECORD_BYTES`].
    pub bytes: Bytes,
}

/// Appends the frame of a record.
pub(crate) fn encode(record: &NewRecord, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    out.push(record.format.to_byte());
    out.extend_from_slice(&record.received_at.as_microsecond().to_le_bytes());
    out.extend_from_slice(&record.idempotency_key.to_le_bytes());
    let source = cut(&record.source, 255);
    out.extend_from_slice(&(source.len() as u16).to_le_bytes());
    out.extend_from_slice(source.as_bytes());
    let context = cut(record.context.as_deref().unwrap_or_default(), 1 << 16);
    out.extend_from_slice(&(context.len() as u32).to_le_bytes());
    out.extend_from_slice(context.as_bytes());
    out.extend_from_slice(&record.bytes);
    let payload = &out[start + HEAD_BYTES..];
    let head = [
        (payload.len() as u32).to_le_bytes(),
        crc32fast::hash(payload).to_le_bytes(),
    ];
    out[start..start + HEAD_BYTES].copy_from_slice(head.as_flattened());
}

fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What stands at a place of a segment.
pub(crate) enum Decoded {
    /// A record and the length of its frame.
    Record(Box<Stored>, usize),
    /// The bytes end within a frame.
    Incomplete,
    /// The bytes are no frame.
    Damaged,
}

/// A record as read back.
pub(crate) struct Stored {
    pub record: RawRecord,
    pub idempotency_key: u128,
}

/// Reads the frame at the start of `bytes`; the record's bytes share its memory.
pub(crate) fn decode(bytes: &Bytes, position: u64, sources: &mut Interned) -> Decoded {
    let (Some(length), Some(crc)) = (read_u32(bytes, 0), read_u32(bytes, 4)) else {
        return Decoded::Incomplete;
    };
    let length = length as usize;
    if !(FIXED_BYTES..=MAX_PAYLOAD_BYTES).contains(&length) {
        return Decoded::Damaged;
    }
    if bytes.len() < HEAD_BYTES + length {
        return Decoded::Incomplete;
    }
    let payload = bytes.slice(HEAD_BYTES..HEAD_BYTES + length);
    if crc32fast::hash(&payload) != crc {
        return Decoded::Damaged;
    }
    match payload_record(&payload, position, sources) {
        Some(stored) => Decoded::Record(Box::new(stored), HEAD_BYTES + length),
        None => Decoded::Damaged,
    }
}

fn payload_record(payload: &Bytes, position: u64, sources: &mut Interned) -> Option<Stored> {
    let format = Format::from_byte(*payload.first()?).unwrap_or(Format::Auto);
    let received_us = i64::from_le_bytes(payload.get(1..9)?.try_into().ok()?);
    let idempotency_key = u128::from_le_bytes(payload.get(9..25)?.try_into().ok()?);
    let source_end = 27 + usize::from(u16::from_le_bytes(payload.get(25..27)?.try_into().ok()?));
    let source = std::str::from_utf8(payload.get(27..source_end)?).ok()?;
    let context_len = read_u32(payload, source_end)? as usize;
    let context_end = source_end.checked_add(4)?.checked_add(context_len)?;
    let context = std::str::from_utf8(payload.get(source_end + 4..context_end)?).ok()?;
    Some(Stored {
        record: RawRecord {
            source: sources.get(source),
            format,
            context: (!context.is_empty()).then(|| sources.get(context)),
            position,
            received_at: Timestamp::from_microsecond(received_us).ok()?,
            bytes: payload.slice(context_end..),
        },
        idempotency_key,
    })
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// Shares the few texts that most records have in common.
#[derive(Default)]
pub(crate) struct Interned {
    recent: Vec<Arc<str>>,
}

impl Interned {
    fn get(&mut self, text: &str) -> Arc<str> {
        const KEPT: usize = 16;
        if let Some(found) = self.recent.iter().position(|known| **known == *text) {
            self.recent.swap(0, found);
            return Arc::clone(&self.recent[0]);
        }
        let shared: Arc<str> = Arc::from(text);
        if self.recent.len() >= KEPT {
            self.recent.pop();
        }
        self.recent.push(Arc::clone(&shared));
        shared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> NewRecord {
        NewRecord {
            source: Arc::from("http"),
            format: Format::Json,
            context: Some(Arc::from("#fields\ta")),
            received_at: Timestamp::from_microsecond(1_700_000_000_123_456).unwrap(),
            idempotency_key: 7,
            bytes: Bytes::from_static(b"{\"a\":1}\xff"),
        }
    }

    #[test]
    fn a_record_comes_back_as_it_went_in() {
        let mut out = Vec::new();
        encode(&record(), &mut out);
        let bytes = Bytes::from(out);
        let Decoded::Record(stored, length) = decode(&bytes, 5, &mut Interned::default()) else {
            panic!("not a record");
        };
        assert_eq!(length, bytes.len());
        assert_eq!(stored.idempotency_key, 7);
        assert_eq!(stored.record.position, 5);
        assert_eq!(stored.record.bytes, record().bytes);
        assert_eq!(stored.record.context, record().context);
        assert_eq!(stored.record.received_at, record().received_at);
    }

    #[test]
    fn every_cut_and_every_flipped_byte_is_noticed() {
        let mut out = Vec::new();
        encode(&record(), &mut out);
        for end in 0..out.len() {
            let cut = Bytes::copy_from_slice(&out[..end]);
            assert!(matches!(
                decode(&cut, 0, &mut Interned::default()),
                Decoded::Incomplete
            ));
        }
        for at in 0..out.len() {
            let mut broken = out.clone();
            broken[at] ^= 0x55;
            let read = decode(&Bytes::from(broken), 0, &mut Interned::default());
            assert!(!matches!(read, Decoded::Record(..)), "byte {at}");
        }
    }
}
