//! The way in: network sources, and the journal that makes a record durable before its sender
//! is answered. Knows no format and no schema.
//!
//! Start at [`Journal`]; sources stand in the frame of [`SourceFrame`].

mod client_tls;
mod datagram;
mod framing;
mod gelf;
mod journal;
mod kafka;
mod local;
mod nats_source;
mod positions;
mod products;
mod record;
mod s3;
mod segment;
mod source;
mod stream;
mod syslog;
mod tls;
mod unix;

pub use client_tls::client_config;
pub use datagram::{DatagramListener, Datagrams};
pub use framing::{Ending, Frame, StreamFraming};
pub use gelf::GelfListener;
pub use journal::{
    AppendError, Appended, Journal, JournalOptions, JournalReader, JournalStats, LEASE,
    LEASE_ROUND, Leases, NatsJournal, NatsLogin, NatsOptions, OpenError, ReadError,
};
pub use kafka::{KafkaAccess, KafkaLogin, KafkaOptions, KafkaStart, run as run_kafka};
pub use local::{LocalListener, LocalSender, SendError};
pub use nats_source::{NatsSourceOptions, run as run_nats};
pub use products::{Products, ProductsError};
pub use record::{MAX_RECORD_BYTES, NewRecord};
pub use s3::{CutRecord, Cutter, S3Error, S3Options, S3Start, TakeRecord, run as run_s3};
pub use source::{
    DropSink, Link, Running, SourceFrame, SourceHandle, SourceOptions, SourceReport, SourceStates,
    Trouble,
};
pub use stream::StreamLimits;
pub use syslog::{ListenError, SyslogListener};
pub use tls::{TlsError, TlsFiles};
pub use unix::UnixSocket;
