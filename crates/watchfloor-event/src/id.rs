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
    fn prints_and_parses_back() {
        let id = EventId::new(0xdead_beef, 17);
        assert_eq!(id.to_string(), "deadbeef-11");
        assert_eq!("deadbeef-11".parse(), Ok(id));
        for bad in ["", "1", "x-1", "1-", "1-x", "11111111111111111-0"] {
            assert!(bad.parse::<EventId>().is_err(), "{bad}");
        }
    }
}
