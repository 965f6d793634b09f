//! Sources, journal, acknowledgement.
