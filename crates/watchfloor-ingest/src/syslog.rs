//! Syslog over UDP and TCP: datagrams and streams into the journal.
//!
//! TCP has no answer to a sender, so its back-pressure is the window: a connection is read
//! on only when what was read is durable. UDP has none at all; what cannot be taken is
//! counted as dropped.
//!
//! # Source
//! RFC 5426 (UDP), RFC 6587 (TCP).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use watchfloor_event::Format;

use crate::framing::{Frame, StreamFraming};
use crate::journal::{AppendError, Journal};
use crate::record::NewRecord;

/// Most TCP connections at once.
const MAX_CONNECTIONS: usize = 1024;
/// Most records of one connection in one append.
const MAX_APPEND: usize = 4096;
/// Datagrams gathered before an append.
const MAX_DATAGRAMS: usize = 1024;
/// How long a connection may be silent.
const IDLE_LIMIT: Duration = Duration::from_secs(3600);
/// Wait before an append that met a full journal is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(200);

/// Told of records that are not kept: source, reason, count.
pub type DropSink = Arc<dyn Fn(&str, &str, u64) + Send + Sync>;

/// Where and how to listen.
#[derive(Clone)]
pub struct SyslogOptions {
    /// Address for datagrams and streams alike.
    pub address: SocketAddr,
    /// Told of drops.
    pub on_drop: DropSink,
}

/// Why syslog cannot be listened for.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen for syslog on {address} ({transport})")]
pub struct SyslogError {
    address: SocketAddr,
    transport: &'static str,
    #[source]
    source: std::io::Error,
}

/// Listens for syslog until it is cancelled.
#[derive(Debug)]
pub struct SyslogListener {
    tcp: TcpListener,
    udp: UdpSocket,
}

impl SyslogListener {
    /// Takes the sockets. With port 0, both transports get the same free port.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind(options: &SyslogOptions) -> Result<Self, SyslogError> {
        let error = |transport| {
            move |source| SyslogError {
                address: options.address,
                transport,
                source,
            }
        };
        let tcp = TcpListener::bind(options.address)
            .await
            .map_err(error("tcp"))?;
        let port = tcp.local_addr().map_err(error("tcp"))?.port();
        let udp_address = SocketAddr::new(options.address.ip(), port);
        let udp = UdpSocket::bind(udp_address).await.map_err(error("udp"))?;
        Ok(Self { tcp, udp })
    }

    /// The address that is listened on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.tcp.local_addr().ok()
    }

    /// Serves both transports until `stop`.
    pub async fn run(self, journal: Journal, options: SyslogOptions, stop: CancellationToken) {
        let streams = accept(
            self.tcp,
            journal.clone(),
            options.on_drop.clone(),
            stop.clone(),
        );
        let datagrams = receive(self.udp, journal, options.on_drop, stop);
        tokio::join!(streams, datagrams);
    }
}

async fn accept(
    listener: TcpListener,
    journal: Journal,
    on_drop: DropSink,
    stop: CancellationToken,
) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "syslog connection cannot be accepted");
                tokio::time::sleep(RETRY_WAIT).await;
                continue;
            }
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            on_drop(&source_of(peer), "connection_limit", 1);
            continue;
        };
        let (journal, on_drop, stop) = (journal.clone(), on_drop.clone(), stop.clone());
        tokio::spawn(async move {
            read_stream(stream, peer, &journal, &on_drop, &stop).await;
            drop(slot);
        });
    }
}

async fn read_stream(
    mut stream: TcpStream,
    peer: SocketAddr,
    journal: &Journal,
    on_drop: &DropSink,
    stop: &CancellationToken,
) {
    let source: Arc<str> = Arc::from(source_of(peer));
    let mut framing = StreamFraming::default();
    let mut chunk = vec![0; 256 << 10];
    loop {
        let read = tokio::select! {
            () = stop.cancelled() => break,
            read = tokio::time::timeout(IDLE_LIMIT, stream.read(&mut chunk)) => read,
        };
        let got = match read {
            Ok(Ok(got)) if got > 0 => got,
            _ => break,
        };
        framing.push(&chunk[..got]);
        let mut records = Vec::new();
        while let Some(frame) = framing.next_frame() {
            records.push(record(&source, frame));
            if records.len() >= MAX_APPEND {
                append_until_done(
                    journal,
                    std::mem::take(&mut records),
                    &source,
                    on_drop,
                    stop,
                )
                .await;
            }
        }
        append_until_done(journal, records, &source, on_drop, stop).await;
    }
    if let Some(frame) = framing.finish() {
        append_until_done(
            journal,
            vec![record(&source, frame)],
            &source,
            on_drop,
            stop,
        )
        .await;
    }
}

/// A cut record is kept: its beginning, at most the journal's limit; the decoder notes that
/// it was cut by its length.
fn record(source: &Arc<str>, frame: Frame) -> NewRecord {
    let (Frame::Record(bytes) | Frame::TooLong(bytes)) = frame;
    new_record(source, bytes)
}

fn new_record(source: &Arc<str>, bytes: Bytes) -> NewRecord {
    NewRecord {
        source: Arc::clone(source),
        format: Format::Syslog,
        context: None,
        received_at: Timestamp::now(),
        idempotency_key: 0,
        bytes,
    }
}

/// The journal holds a connection back while it is full or the disk refuses.
async fn append_until_done(
    journal: &Journal,
    records: Vec<NewRecord>,
    source: &str,
    on_drop: &DropSink,
    stop: &CancellationToken,
) {
    let count = records.len() as u64;
    if count == 0 {
        return;
    }
    loop {
        match journal.append(records.clone()).await {
            Ok(_) => return,
            Err(AppendError::Closed) => break,
            Err(AppendError::Full { .. } | AppendError::Write { .. }) if !stop.is_cancelled() => {
                tokio::time::sleep(RETRY_WAIT).await;
            }
            Err(_) => break,
        }
    }
    on_drop(source, "shutdown", count);
}

async fn receive(socket: UdpSocket, journal: Journal, on_drop: DropSink, stop: CancellationToken) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        let first = tokio::select! {
            () = stop.cancelled() => return,
            first = socket.recv_from(&mut buffer) => first,
        };
        let Ok((got, peer)) = first else {
            continue;
        };
        let mut records = vec![datagram(peer, &buffer[..got])];
        while records.len() < MAX_DATAGRAMS
            && let Ok((got, peer)) = socket.try_recv_from(&mut buffer)
        {
            records.push(datagram(peer, &buffer[..got]));
        }
        let sources: Vec<Arc<str>> = records
            .iter()
            .map(|record| Arc::clone(&record.source))
            .collect();
        if let Err(error) = journal.append(records).await {
            let reason = match error {
                AppendError::Full { .. } => "journal_full",
                AppendError::Write { .. } => "journal_write",
                AppendError::Closed => "shutdown",
            };
            for source in sources {
                on_drop(&source, reason, 1);
            }
        }
    }
}

fn datagram(peer: SocketAddr, bytes: &[u8]) -> NewRecord {
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0));
    let bytes = &bytes[..end.map_or(0, |end| end + 1)];
    new_record(&Arc::from(source_of(peer)), Bytes::copy_from_slice(bytes))
}

fn source_of(peer: SocketAddr) -> String {
    format!("syslog:{}", peer.ip().to_canonical())
}
