//! An indicator as bytes: what is looked for first, then what is known of it.
//!
//! | bytes | what |
//! |---|---|
//! | 1 | low half: kind, 12 for a URL that said `https`; high half: which of the parts below are there |
//! | varint | length of the value |
//! | | the value |
//! | varint | place of its profile (list, source, confidence, level, TLP) |
//! | 4 | valid from, seconds since 1970 (if there) |
//! | 4 | valid until, seconds since 1970 (if there) |
//! | 1 + … | id (if there): 0 and a UUID's 16 bytes for `indicator--UUID`, 1 and them for a bare UUID, 2 + n and n bytes else |
//! | varint | place of its name (if there) |

use crate::IndicatorKind;

const HAS_FROM: u8 = 0x10;
const HAS_UNTIL: u8 = 0x20;
const HAS_ID: u8 = 0x40;
const HAS_NAME: u8 = 0x80;
/// Kind of a URL that said `https`.
const TLS_URL: u8 = 12;
const STIX_PREFIX: &str = "indicator--";
/// Longest id that is kept, in bytes; longer ones are cut.
const MAX_ID_BYTES: usize = 128;

/// A record taken apart, without a copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub kind: IndicatorKind,
    pub is_tls: bool,
    pub key: &'a [u8],
    pub profile: u32,
    /// Seconds since 1970.
    pub valid_from: Option<u32>,
    /// Seconds since 1970.
    pub valid_until: Option<u32>,
    pub id: Option<RecordId<'a>>,
    pub name: Option<u32>,
}

/// An id in the form in which it takes least room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RecordId<'a> {
    Stix([u8; 16]),
    Uuid([u8; 16]),
    Text(&'a [u8]),
}

impl<'a> RecordId<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        if let Some(bytes) = text.strip_prefix(STIX_PREFIX).and_then(uuid) {
            return Self::Stix(bytes);
        }
        if let Some(bytes) = uuid(text) {
            return Self::Uuid(bytes);
        }
        let bytes = text.as_bytes();
        Self::Text(bytes.get(..MAX_ID_BYTES).unwrap_or(bytes))
    }

    pub(super) fn text(self) -> String {
        match self {
            Self::Stix(bytes) => format!("{STIX_PREFIX}{}", uuid_text(bytes)),
            Self::Uuid(bytes) => uuid_text(bytes),
            Self::Text(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        }
    }
}

/// A UUID in its usual form, lower case only, so that it comes back as it was.
fn uuid(text: &str) -> Option<[u8; 16]> {
    let bytes = text.as_bytes();
    let dashes = [8, 13, 18, 23];
    let is_form = bytes.len() == 36
        && bytes.iter().enumerate().all(|(at, byte)| {
            let is_hex = byte.is_ascii_digit() || (b'a'..=b'f').contains(byte);
            if dashes.contains(&at) {
                *byte == b'-'
            } else {
                is_hex
            }
        });
    if !is_form {
        return None;
    }
    let digits: Vec<u8> = bytes.iter().copied().filter(|byte| *byte != b'-').collect();
    let mut uuid = [0; 16];
    hex::decode_to_slice(digits, &mut uuid).ok()?;
    Some(uuid)
}

pub(crate) fn uuid_text(bytes: [u8; 16]) -> String {
    let text = hex::encode(bytes);
    let part = |from: usize, to: usize| text.get(from..to).unwrap_or_default().to_owned();
    [
        part(0, 8),
        part(8, 12),
        part(12, 16),
        part(16, 20),
        part(20, 32),
    ]
    .join("-")
}

impl<'a> Record<'a> {
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let kind = if self.is_tls {
            TLS_URL
        } else {
            self.kind as u8
        };
        let flag = |is_there: bool, flag: u8| if is_there { flag } else { 0 };
        out.push(
            kind | flag(self.valid_from.is_some(), HAS_FROM)
                | flag(self.valid_until.is_some(), HAS_UNTIL)
                | flag(self.id.is_some(), HAS_ID)
                | flag(self.name.is_some(), HAS_NAME),
        );
        push_varint(self.key.len() as u32, out);
        out.extend_from_slice(self.key);
        push_varint(self.profile, out);
        for time in [self.valid_from, self.valid_until].into_iter().flatten() {
            out.extend_from_slice(&time.to_le_bytes());
        }
        match self.id {
            Some(RecordId::Stix(bytes)) => {
                out.push(0);
                out.extend_from_slice(&bytes);
            }
            Some(RecordId::Uuid(bytes)) => {
                out.push(1);
                out.extend_from_slice(&bytes);
            }
            Some(RecordId::Text(text)) => {
                out.push(2 + text.len() as u8);
                out.extend_from_slice(text);
            }
            None => {}
        }
        if let Some(name) = self.name {
            push_varint(name, out);
        }
    }

    /// Takes the record at the start of `bytes` and what follows it. `None` only at the end.
    #[inline]
    pub(super) fn read(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&head, mut rest) = bytes.split_first()?;
        let code = head & 0x0f;
        let is_tls = code == TLS_URL;
        let kind = if is_tls {
            IndicatorKind::Url
        } else {
            IndicatorKind::from_code(code)?
        };
        let len = take_varint(&mut rest)? as usize;
        let key = take(&mut rest, len)?;
        let profile = take_varint(&mut rest)?;
        let valid_from = if head & HAS_FROM != 0 {
            Some(take_u32(&mut rest)?)
        } else {
            None
        };
        let valid_until = if head & HAS_UNTIL != 0 {
            Some(take_u32(&mut rest)?)
        } else {
            None
        };
        let id = if head & HAS_ID != 0 {
            Some(take_id(&mut rest)?)
        } else {
            None
        };
        let name = if head & HAS_NAME != 0 {
            Some(take_varint(&mut rest)?)
        } else {
            None
        };
        let record = Self {
            kind,
            is_tls,
            key,
            profile,
            valid_from,
            valid_until,
            id,
            name,
        };
        Some((record, rest))
    }
}

fn take<'a>(rest: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(taken)
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let bytes = take(rest, 4)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn take_id<'a>(rest: &mut &'a [u8]) -> Option<RecordId<'a>> {
    let form = take(rest, 1)?.first().copied()?;
    Some(match form {
        0 => RecordId::Stix(take(rest, 16)?.try_into().ok()?),
        1 => RecordId::Uuid(take(rest, 16)?.try_into().ok()?),
        len => RecordId::Text(take(rest, usize::from(len) - 2)?),
    })
}

fn push_varint(mut number: u32, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[inline]
fn take_varint(rest: &mut &[u8]) -> Option<u32> {
    let mut number = 0;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_as_it_was() {
        let uuid = "8e2e2d2b-17d4-4cbf-938f-98ee46b3cd3f";
        let ids = [
            None,
            Some(format!("indicator--{uuid}")),
            Some(uuid.to_owned()),
            Some(uuid.to_uppercase()),
            Some("x".repeat(500)),
            Some(String::new()),
        ];
        let mut bytes = Vec::new();
        let mut records = Vec::new();
        for (at, id) in ids.iter().enumerate() {
            let record = Record {
                kind: IndicatorKind::Url,
                is_tls: at % 2 == 0,
                key: &[7; 300],
                profile: 1 << (at * 6),
                valid_from: (at % 3 == 0).then_some(5),
                valid_until: (at % 2 == 0).then_some(u32::MAX),
                id: id.as_deref().map(RecordId::of),
                name: (at == 1).then_some(70_000),
            };
            record.write(&mut bytes);
            records.push(record);
        }
        let mut rest = bytes.as_slice();
        for (expected, id) in records.iter().zip(&ids) {
            let (record, after) = Record::read(rest).unwrap();
            assert_eq!(&record, expected);
            let shown = record.id.map(RecordId::text);
            let cut = id
                .as_ref()
                .map(|id| id.chars().take(MAX_ID_BYTES).collect());
            assert_eq!(shown, cut);
            rest = after;
        }
        assert_eq!(Record::read(rest), None);
        for end in 0..bytes.len() {
            // A cut record is no record, and nothing panics.
            let mut rest = &bytes[..end];
            while let Some((_, after)) = Record::read(rest) {
                rest = after;
            }
        }
    }
}
