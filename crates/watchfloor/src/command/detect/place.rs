//! Event ids over many files: the file's number and the record's position in it, in one.

use watchfloor_event::EventId;

/// Bits of a record's position in its file: more records than a file can have.
const POSITION_BITS: u32 = 40;

/// The position that stands for a record of a file.
pub(super) const fn of(file: usize, position: u64) -> u64 {
    ((file as u64) << POSITION_BITS) | position
}

/// Where an event's record stands in its file, from 0.
pub(super) const fn position(id: EventId) -> u64 {
    id.position() & ((1 << POSITION_BITS) - 1)
}

/// The number of an event's file.
pub(super) const fn file(id: EventId) -> usize {
    (id.position() >> POSITION_BITS) as usize
}
