//! Streams of records from many senders: plain or TLS, with bounds on how many there are, how
//! long one may be silent, and how long a record may take to arrive.
//!
//! A stream has no answer to its sender, so back-pressure is the window: a connection is read
//! on only when what was read is durable.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use watchfloor_event::Format;

use crate::framing::{Ending, Frame, StreamFraming};
use crate::record::NewRecord;
use crate::source::SourceHandle;

/// Most records of one connection in one append.
const MAX_APPEND: usize = 4096;
/// How long a TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// Wait before a connection is accepted again after an error.
const RETRY_WAIT: Duration = Duration::from_millis(200);
/// A connection that was silent for less is not closed for the sake of a new one.
const EVICT_AFTER: Duration = Duration::from_secs(30);

/// Bounds on the connections of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamLimits {
    /// Most connections at once. Beyond it a new one takes the place of the one that was silent
    /// longest.
    pub connections_max: usize,
    /// How long a connection may be silent between records.
    pub idle: Duration,
    /// How long a record may take from its first byte to its last.
    pub record: Duration,
}

impl StreamLimits {
    /// 16,384 connections, an hour of silence, a minute per record.
    pub const STANDARD: Self = Self {
        connections_max: 16_384,
        idle: Duration::from_secs(3600),
        record: Duration::from_secs(60),
    };
}

/// How streams are read.
#[derive(Clone)]
pub(crate) struct StreamOptions {
    pub ending: Ending,
    pub format: Format,
    pub limits: StreamLimits,
    pub tls: Option<TlsAcceptor>,
}

/// What is known of the open connections.
#[derive(Default)]
struct Connections {
    open: BTreeMap<u64, Connection>,
    next: u64,
}

struct Connection {
    last: Instant,
    close: CancellationToken,
}

#[derive(Clone, Default)]
struct Registry(Arc<Mutex<Connections>>);

/// A place among the open connections, given back when it goes.
struct Place {
    registry: Registry,
    id: u64,
    close: CancellationToken,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more; of the full number, the one that was silent longest goes.
    fn enter(&self, most: usize) -> Result<Place, Full> {
        let mut connections = self.lock();
        if connections.open.len() >= most {
            let oldest = connections
                .open
                .iter()
                .filter(|(_, one)| one.last.elapsed() >= EVICT_AFTER)
                .min_by_key(|(_, one)| one.last)
                .map(|(id, _)| *id);
            let one = oldest.and_then(|id| connections.open.remove(&id));
            let Some(one) = one else {
                return Err(Full);
            };
            one.close.cancel();
        }
        let id = connections.next;
        connections.next += 1;
        let close = CancellationToken::new();
        let connection = Connection {
            last: Instant::now(),
            close: close.clone(),
        };
        connections.open.insert(id, connection);
        drop(connections);
        Ok(Place {
            registry: self.clone(),
            id,
            close,
        })
    }
}

struct Full;

impl Place {
    fn touch(&self) {
        if let Some(one) = self.registry.lock().open.get_mut(&self.id) {
            one.last = Instant::now();
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.registry.lock().open.remove(&self.id);
    }
}

/// Takes connections until the handle says stop.
pub(crate) async fn accept(listener: TcpListener, options: StreamOptions, handle: SourceHandle) {
    let registry = Registry::default();
    loop {
        let accepted = tokio::select! {
            () = handle.stop().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                handle.trouble(
                    "not_accepted",
                    format!("a connection cannot be accepted: {error}; raise the limit of open files (ulimit -n)"),
                );
                tokio::time::sleep(RETRY_WAIT).await;
                continue;
            }
        };
        let Ok(place) = registry.enter(options.limits.connections_max) else {
            handle.trouble(
                "connection_limit",
                format!(
                    "{} is refused: {} connections are open, and none was silent for {} s; let senders share connections, or raise connections_max",
                    peer.ip(),
                    options.limits.connections_max,
                    EVICT_AFTER.as_secs()
                ),
            );
            continue;
        };
        let (handle, options) = (handle.clone(), options.clone());
        tokio::spawn(async move {
            serve(stream, peer, place, &options, &handle).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    options: &StreamOptions,
    handle: &SourceHandle,
) {
    let sender = Sender {
        name: peer.ip().to_canonical().to_string(),
        source: handle.source_of(peer.ip().to_canonical()),
    };
    let Some(tls) = &options.tls else {
        return read_stream(stream, &sender, place, options, handle).await;
    };
    let handshake = tokio::select! {
        () = handle.stop().cancelled() => return,
        handshake = tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream)) => handshake,
    };
    match handshake {
        Ok(Ok(stream)) => read_stream(stream, &sender, place, options, handle).await,
        Ok(Err(error)) => handle.trouble("tls_refused", crate::tls::refusal(peer, &error)),
        Err(_) => handle.trouble(
            "tls_refused",
            format!(
                "{} did not finish its handshake within {} s; check that it speaks TLS",
                peer.ip(),
                HANDSHAKE_LIMIT.as_secs()
            ),
        ),
    }
}

/// Takes connections of a Unix socket until the handle says stop.
pub(crate) async fn accept_local(
    listener: UnixListener,
    options: StreamOptions,
    handle: SourceHandle,
) {
    let registry = Registry::default();
    loop {
        let accepted = tokio::select! {
            () = handle.stop().cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else {
            tokio::time::sleep(RETRY_WAIT).await;
            continue;
        };
        let Ok(place) = registry.enter(options.limits.connections_max) else {
            handle.trouble(
                "connection_limit",
                "too many programs write to the socket at once; raise connections_max",
            );
            continue;
        };
        let (handle, options) = (handle.clone(), options.clone());
        tokio::spawn(async move {
            let sender = Sender {
                name: "a program on this machine".to_owned(),
                source: Arc::clone(handle.records_as()),
            };
            read_stream(stream, &sender, place, &options, &handle).await;
        });
    }
}

/// Why a connection ended.
enum End {
    /// Its sender closed it, or it broke.
    Closed,
    /// It was silent for too long, or another needed its place.
    Idle,
    /// A record took too long.
    Slow,
    /// The program ends.
    Stop,
}

/// Who sends on a connection.
struct Sender {
    /// For messages.
    name: String,
    /// What its records are counted under.
    source: Arc<str>,
}

async fn read_stream(
    mut stream: impl AsyncRead + Unpin,
    sender: &Sender,
    place: Place,
    options: &StreamOptions,
    handle: &SourceHandle,
) {
    let mut framing = StreamFraming::new(options.ending);
    let context = handle.context_of(&sender.source);
    // A cut record is kept: its beginning, at most the journal's limit; the decoder notes that
    // it was cut by its length.
    let record = |frame| -> NewRecord {
        let (Frame::Record(bytes) | Frame::TooLong(bytes)) = frame;
        handle.record(&sender.source, context.as_ref(), options.format, bytes)
    };
    let mut last_read = 0;
    let mut record_began: Option<Instant> = None;
    let end = loop {
        let deadline = match record_began {
            Some(began) => began + options.limits.record,
            None => Instant::now() + options.limits.idle,
        };
        let read = tokio::select! {
            () = handle.stop().cancelled() => break End::Stop,
            () = place.close.cancelled() => break End::Idle,
            read = tokio::time::timeout_at(deadline, stream.read_buf(framing.room(last_read))) => read,
        };
        last_read = match read {
            Ok(Ok(got)) if got > 0 => got,
            Ok(_) => break End::Closed,
            Err(_) if record_began.is_some() => break End::Slow,
            Err(_) => break End::Idle,
        };
        place.touch();
        let mut records = Vec::new();
        while let Some(frame) = framing.next_frame() {
            record_began = None;
            records.push(record(frame));
            if records.len() >= MAX_APPEND {
                handle.append_or_count(std::mem::take(&mut records)).await;
            }
        }
        handle.append_or_count(records).await;
        if !framing.is_partial() {
            record_began = None;
        } else if record_began.is_none() {
            record_began = Some(Instant::now());
        } else if record_began.is_some_and(|began| began.elapsed() > options.limits.record) {
            break End::Slow;
        }
    };
    if let Some(frame) = framing.finish() {
        handle.append_or_count(vec![record(frame)]).await;
    }
    tell(&end, sender, options, handle);
}

/// Says why a connection was closed, if not by its sender.
fn tell(end: &End, sender: &Sender, options: &StreamOptions, handle: &SourceHandle) {
    let name = &sender.name;
    match end {
        End::Closed | End::Stop => {}
        End::Idle => handle.trouble(
            "idle_closed",
            format!(
                "the connection of {name} was silent and is closed; it may connect again"
            ),
        ),
        End::Slow => handle.trouble(
            "slow_sender",
            format!(
                "{name} began a record and did not end it within {} s; what came is kept and the connection closed; make it end each record with a line end or a count",
                options.limits.record.as_secs()
            ),
        ),
    }
}
