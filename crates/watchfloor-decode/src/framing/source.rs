//! Peeking into a reader, and reading with an error that says where.

use std::io::{Chain, Cursor, ErrorKind, Read};

use super::FramingError;

/// Most growth of gzip data that is taken for honest; real logs stay below 100.
pub const GZIP_RATIO_MAX: u64 = 400;
/// How much of a file is looked at to find its form, in bytes.
const PEEK_BYTES: usize = 64 * 1024;

/// A reader with its first bytes put back.
type Whole<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes of a reader, and a reader that still gives all.
pub(super) fn peek<R: Read>(mut reader: R) -> Result<(Vec<u8>, Whole<R>), FramingError> {
    let mut head = vec![0; PEEK_BYTES];
    let mut length = 0;
    while length < PEEK_BYTES {
        let Some(space) = head.get_mut(length..) else {
            break;
        };
        let count = read(&mut reader, space, length as u64)?;
        if count == 0 {
            break;
        }
        length += count;
    }
    head.truncate(length);
    let whole = Cursor::new(head.clone()).chain(reader);
    Ok((head, whole))
}

/// One read, again after an interruption.
pub(super) fn read(
    reader: &mut impl Read,
    into: &mut [u8],
    offset: u64,
) -> Result<usize, FramingError> {
    loop {
        match reader.read(into) {
            Ok(count) => return Ok(count),
            Err(cause) if cause.kind() == ErrorKind::Interrupted => {}
            Err(cause) if super::gzip::is_bomb(&cause) => return Err(FramingError::GzipBomb),
            Err(cause) => return Err(FramingError::Read { offset, cause }),
        }
    }
}

/// Fills a buffer as far as the reader goes.
pub(super) fn fill(
    reader: &mut impl Read,
    into: &mut [u8],
    offset: u64,
) -> Result<usize, FramingError> {
    let mut length = 0;
    while let Some(space) = into.get_mut(length..).filter(|space| !space.is_empty()) {
        let count = read(reader, space, offset + length as u64)?;
        if count == 0 {
            break;
        }
        length += count;
    }
    Ok(length)
}
