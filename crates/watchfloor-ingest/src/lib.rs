//! The way in: network sources, and the journal that makes a record durable before its sender
//! is answered. Knows no format and no schema.
//!
//! Start at [`Journal`]; sources stand in the frame of [`SourceFrame`].

mod datagram;
mod framing;
mod gelf;
mod journal;
mod local;
mod products;
mod record;
mod segment;
mod source;
mod stream;
mod syslog;
mod tls;
mod unix;

pub use datagram::{DatagramListener, Datagrams};
pub use framing::{Ending, Frame, StreamFraming};
pub use gelf::GelfListener;
pub use journal::{
    AppendError, Appended, Journal, JournalOptions, JournalReader, JournalStats, OpenError,
    ReadError,
};
pub use local::{LocalListener, LocalSender, SendError};
pub use products::{Products, ProductsError};
pub use record::{MAX_RECORD_BYTES, NewRecord};
pub use source::{
    DropSink, Link, Running, SourceFrame, SourceHandle, SourceOptions, SourceReport, SourceStates,
    Trouble,
};
pub use stream::StreamLimits;
pub use syslog::{ListenError, SyslogListener};
pub use tls::{TlsError, TlsFiles};
pub use unix::UnixSocket;
