//! The identity of an event: where its raw record stands in the journal.
//!
//! Ids come from position, never from a random source, so that handling a record twice
//! (after a crash, say) yields the same id twice.

use std::fmt;
use std::str::FromStr;

/// Identifies one event: the journal position of its raw record, and the event's place
/// among the events that the record holds (0 for the usual one).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId {
    position: u64,
    part: u32,
}

/// Why a text is no event id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not an event id; expected a form like 1a2b-0")]
pub struct ParseEventIdError(String);

impl EventId {
    /// Builds the id of the `part`-th event of the record at `position`.
    pub const fn new(position: u64, part: u32) -> Self {
        Self { position, part }
    }

    /// Journal position of the raw record.
    pub const fn position(self) -> u64 {
        self.position
    }

    /// Place among the record's events, from 0.
    pub const fn part(self) -> u32 {
        self.part
    }
}

/// Where a record stands in a journal of several partitions, packed into one position: 10 bits of
/// partition, 40 of sequence, 13 of index, so that positions of one partition rise and those of
/// two never meet. The journal of one machine is partition 0, in which positions just count up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct JournalPlace {
    /// Partition, at most [`JournalPlace::PARTITION_MAX`]; 0 is the journal of one machine.
    pub partition: u16,
    /// Number of the message in its partition, at most 2^40 - 1.
    pub sequence: u64,
    /// Place of the record in the message, at most [`JournalPlace::INDEX_MAX`].
    pub index: u16,
}

impl JournalPlace {
    const INDEX_BITS: u32 = 13;
    const SEQUENCE_BITS: u32 = 40;
    /// Largest partition.
    pub const PARTITION_MAX: u16 = (1 << 10) - 1;
    /// Largest index of a record in a message.
    pub const INDEX_MAX: u16 = (1 << Self::INDEX_BITS) - 1;
    /// Largest sequence.
    pub const SEQUENCE_MAX: u64 = (1 << Self::SEQUENCE_BITS) - 1;

    /// The packed position.
    pub const fn position(self) -> u64 {
        ((self.partition as u64) << (Self::SEQUENCE_BITS + Self::INDEX_BITS))
            | ((self.sequence & Self::SEQUENCE_MAX) << Self::INDEX_BITS)
            | (self.index as u64 & Self::INDEX_MAX as u64)
    }

    /// What a position of a partition other than 0 says.
    pub const fn of(position: u64) -> Self {
        Self {
            partition: partition_of(position),
            sequence: (position >> Self::INDEX_BITS) & Self::SEQUENCE_MAX,
            index: (position & Self::INDEX_MAX as u64) as u16,
        }
    }

    /// The first position of a partition.
    pub const fn start_of(partition: u16) -> u64 {
        Self {
            partition,
            sequence: 0,
            index: 0,
        }
        .position()
    }
}

/// The partition of a position.
pub const fn partition_of(position: u64) -> u16 {
    let bits = JournalPlace::SEQUENCE_BITS + JournalPlace::INDEX_BITS;
    (position >> bits) as u16 & JournalPlace::PARTITION_MAX
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{:x}", self.position, self.part)
    }
}

impl FromStr for EventId {
    type Err = ParseEventIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseEventIdError(text.chars().take(64).collect());
        let (position, part) = text.split_once('-').ok_or_else(error)?;
        Ok(Self {
            position: u64::from_str_radix(position, 16).map_err(|_| error())?,
            part: u32::from_str_radix(part, 16).map_err(|_| error())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_rise_within_a_partition_and_never_meet() {
        let place = |partition, sequence, index| JournalPlace {
            partition,
            sequence,
            index,
        };
        let rising = [
            place(1, 0, 0),
            place(1, 0, JournalPlace::INDEX_MAX),
            place(1, 1, 0),
            place(1, JournalPlace::SEQUENCE_MAX, JournalPlace::INDEX_MAX),
            place(2, 0, 0),
            place(JournalPlace::PARTITION_MAX, JournalPlace::SEQUENCE_MAX, 0),
        ];
        for pair in rising.windows(2) {
            assert!(pair[0].position() < pair[1].position(), "{pair:?}");
        }
        for one in rising {
            assert_eq!(JournalPlace::of(one.position()), one);
            assert!(one.position() <= i64::MAX as u64);
        }
        assert_eq!(partition_of(123_456_789), 0);
    }

    #[test]
    fn prints_and_parses_back() {
        let id = EventId::new(0xdead_beef, 17);
        assert_eq!(id.to_string(), "deadbeef-11");
        assert_eq!("deadbeef-11".parse(), Ok(id));
        for bad in ["", "1", "x-1", "1-", "1-x", "11111111111111111-0"] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }
}
