//! The way in: network sources, and the journal that makes a record durable before its sender
//! is answered. Knows no format and no schema.
//!
//! Start at [`Journal`].

mod framing;
mod journal;
mod local;
mod record;
mod segment;
mod syslog;

pub use framing::{Frame, StreamFraming};
pub use journal::{
    AppendError, Appended, Journal, JournalOptions, JournalReader, JournalStats, OpenError,
    ReadError,
};
pub use local::{LocalListener, LocalSender, SendError};
pub use record::{MAX_RECORD_BYTES, NewRecord};
pub use syslog::{DropSink, SyslogError, SyslogListener, SyslogOptions};
