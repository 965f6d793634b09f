//! Gzip with a limit on its growth, streamed.

use std::cell::Cell;
use std::fmt;
use std::io::{Error, Read};
use std::rc::Rc;

use flate2::read::MultiGzDecoder;

use super::source::GZIP_RATIO_MAX;

/// Output below this many bytes is never refused: small files of one repeated line grow a
/// lot and do no harm.
const FREE_BYTES: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
struct Bomb;

impl fmt::Display for Bomb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gzip bomb")
    }
}

impl std::error::Error for Bomb {}

/// Whether an error of a reader is our refusal.
pub(super) fn is_bomb(cause: &Error) -> bool {
    cause.get_ref().is_some_and(|inner| inner.is::<Bomb>())
}

/// Unpacks gzip members one after another and fails when they grow too much.
pub(super) fn bounded(reader: impl Read) -> impl Read {
    let taken = Rc::new(Cell::new(0_u64));
    Bounded {
        inner: MultiGzDecoder::new(Counted {
            inner: reader,
            taken: Rc::clone(&taken),
        }),
        taken,
        given: 0,
    }
}

struct Counted<R> {
    inner: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.taken.set(self.taken.get() + count as u64);
        Ok(count)
    }
}

struct Bounded<R> {
    inner: R,
    taken: Rc<Cell<u64>>,
    given: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.given += count as u64;
        if self.given > FREE_BYTES && self.given / GZIP_RATIO_MAX > self.taken.get() {
            return Err(Error::other(Bomb));
        }
        Ok(count)
    }
}
