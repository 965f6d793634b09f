//! GELF over UDP, whole or in chunks, plain or packed; and over TCP, ended by zero bytes.
//! Puts chunks together and unpacks; the JSON inside is the decoder's business.
//!
//! # Source
//! Graylog documentation, "GELF": chunking, compression, "GELF via TCP".

use std::collections::HashMap;
use std::io::Read;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use flate2::read::{GzDecoder, ZlibDecoder};
use tokio::net::{TcpListener, UdpSocket};
use watchfloor_event::Format;

use crate::datagram::{self, Datagrams};
use crate::framing::Ending;
use crate::record::{MAX_RECORD_BYTES, NewRecord};
use crate::source::{Running, SourceHandle};
use crate::stream::{self, StreamLimits, StreamOptions};
use crate::syslog::{ListenError, bind_tcp, bind_udp};

/// Most chunks of a message, as the format says.
const CHUNKS_MAX: usize = 128;
/// How long the chunks of a message are waited for, as the format says.
const CHUNK_WAIT: Duration = Duration::from_secs(5);
/// Messages of which some chunks are missing.
const WAITING_MAX: usize = 4096;
/// Bytes of chunks that wait.
const WAITING_BYTES_MAX: usize = 64 << 20;

/// Listens for GELF on UDP and TCP.
#[derive(Debug)]
pub struct GelfListener {
    tcp: TcpListener,
    udp: UdpSocket,
    limits: StreamLimits,
}

impl GelfListener {
    /// Takes the sockets. With port 0, both transports get the same free port.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind(address: SocketAddr, limits: StreamLimits) -> Result<Self, ListenError> {
        let tcp = bind_tcp(address).await?;
        let port = tcp.local_addr().map_or(address.port(), |own| own.port());
        let udp = bind_udp(SocketAddr::new(address.ip(), port)).await?;
        Ok(Self { tcp, udp, limits })
    }

    /// Serves until the handle says stop.
    pub fn run(self, handle: SourceHandle) -> Running {
        if let Ok(address) = self.tcp.local_addr() {
            handle.listening(address);
        }
        Box::pin(async move {
            let options = StreamOptions {
                ending: Ending::Nul,
                format: Format::Json,
                limits: self.limits,
                tls: None,
            };
            let streams = stream::accept(self.tcp, options, handle.clone());
            let datagrams = Chunks::new(handle.clone());
            tokio::join!(streams, datagram::receive(self.udp, datagrams, handle));
        })
    }
}

/// A message of which some chunks are missing.
struct Waiting {
    since: Instant,
    pieces: Vec<Option<Bytes>>,
    missing: usize,
    bytes: usize,
}

/// Puts messages together.
struct Chunks {
    handle: SourceHandle,
    waiting: HashMap<(IpAddr, [u8; 8]), Waiting>,
    bytes: usize,
}

/// Why a message is not kept, as the ledger says it.
type Reason = &'static str;

impl Chunks {
    fn new(handle: SourceHandle) -> Self {
        Self {
            handle,
            waiting: HashMap::new(),
            bytes: 0,
        }
    }

    /// A chunk; the message if it is whole with it.
    fn chunk(&mut self, peer: IpAddr, bytes: &[u8]) -> Result<Option<Vec<u8>>, Reason> {
        let (Some(id), Some(number), Some(count), Some(piece)) = (
            bytes.get(2..10).and_then(|id| <[u8; 8]>::try_from(id).ok()),
            bytes.get(10),
            bytes.get(11),
            bytes.get(12..),
        ) else {
            return Err("malformed");
        };
        let (number, count) = (usize::from(*number), usize::from(*count));
        if count == 0 || count > CHUNKS_MAX || number >= count {
            return Err("malformed");
        }
        let key = (peer, id);
        if !self.waiting.contains_key(&key) {
            if self.waiting.len() >= WAITING_MAX || self.bytes + piece.len() > WAITING_BYTES_MAX {
                return Err("chunks_limit");
            }
            let waiting = Waiting {
                since: Instant::now(),
                pieces: vec![None; count],
                missing: count,
                bytes: 0,
            };
            self.waiting.insert(key, waiting);
        }
        let Some(waiting) = self.waiting.get_mut(&key) else {
            return Ok(None);
        };
        if waiting.pieces.len() != count {
            return Err("malformed");
        }
        let slot = &mut waiting.pieces[number];
        if slot.is_none() {
            if self.bytes + piece.len() > WAITING_BYTES_MAX {
                return Err("chunks_limit");
            }
            *slot = Some(Bytes::copy_from_slice(piece));
            waiting.missing -= 1;
            waiting.bytes += piece.len();
            self.bytes += piece.len();
        }
        if waiting.missing > 0 {
            return Ok(None);
        }
        let Some(whole) = self.waiting.remove(&key) else {
            return Ok(None);
        };
        self.bytes -= whole.bytes;
        let pieces: Vec<Bytes> = whole.pieces.into_iter().flatten().collect();
        Ok(Some(pieces.concat()))
    }
}

/// Unpacks a message within the limit of a record; what is beyond it is cut off.
fn unpacked(message: &[u8]) -> Result<Vec<u8>, Reason> {
    let limit = MAX_RECORD_BYTES as u64;
    let mut plain = Vec::new();
    let read = match message {
        [0x1f, 0x8b, ..] => GzDecoder::new(message).take(limit).read_to_end(&mut plain),
        // The header of zlib is a multiple of 31.
        [0x78, second, ..] if (0x7800 + u16::from(*second)) % 31 == 0 => ZlibDecoder::new(message)
            .take(limit)
            .read_to_end(&mut plain),
        _ => {
            let message = message.strip_suffix(&[0]).unwrap_or(message);
            plain.extend_from_slice(&message[..message.len().min(MAX_RECORD_BYTES)]);
            return Ok(plain);
        }
    };
    match read {
        Ok(_) => Ok(plain),
        Err(_) => Err("malformed"),
    }
}

impl Datagrams for Chunks {
    fn take(&mut self, peer: SocketAddr, bytes: &[u8], out: &mut Vec<NewRecord>) {
        let address = peer.ip().to_canonical();
        let source = self.handle.source_of(address);
        let message = if bytes.starts_with(&[0x1e, 0x0f]) {
            self.chunk(address, bytes)
        } else {
            Ok(Some(bytes.to_vec()))
        };
        let plain = message.and_then(|message| message.map(|one| unpacked(&one)).transpose());
        match plain {
            Ok(None) => {}
            Ok(Some(plain)) => {
                let context = self.handle.context_of(&source);
                let plain = Bytes::from(plain);
                out.push(
                    self.handle
                        .record(&source, context.as_ref(), Format::Json, plain),
                );
            }
            Err(reason) => {
                self.handle.dropped(&source, reason, 1);
                self.handle.trouble(
                    "gelf_refused",
                    format!("{address} sent a datagram that is no GELF message ({reason}); check that it sends GELF with at most {CHUNKS_MAX} chunks, and no more than {WAITING_MAX} messages at once"),
                );
            }
        }
    }

    fn tick(&mut self, _out: &mut Vec<NewRecord>) {
        let late: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.since.elapsed() > CHUNK_WAIT)
            .map(|(key, _)| *key)
            .collect();
        for key in late {
            if let Some(waiting) = self.waiting.remove(&key) {
                self.bytes -= waiting.bytes;
                let source = self.handle.source_of(key.0);
                self.handle.dropped(&source, "chunks_missing", 1);
                self.handle.trouble(
                    "chunks_missing",
                    format!("{} of {} chunks of a message from {} did not come within 5 s; send by TCP, or smaller messages", waiting.missing, waiting.pieces.len(), key.0),
                );
            }
        }
    }

    fn finish(&mut self, _out: &mut Vec<NewRecord>) {
        for key in self.waiting.keys() {
            let source = self.handle.source_of(key.0);
            self.handle.dropped(&source, "chunks_missing", 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    fn packed(text: &[u8]) -> Vec<u8> {
        let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(text).unwrap();
        out.finish().unwrap()
    }

    fn piece(id: u8, number: u8, count: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = vec![0x1e, 0x0f, id, 0, 0, 0, 0, 0, 0, 0, number, count];
        out.extend_from_slice(bytes);
        out
    }

    #[tokio::test]
    async fn chunks_in_any_order_and_hostile_ones() {
        let folder = tempfile::tempdir().unwrap();
        let drops: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        let counted = Arc::clone(&drops);
        let sink = move |_: &str, reason: &str, count| {
            *counted
                .lock()
                .unwrap()
                .entry(reason.to_owned())
                .or_default() += count;
        };
        let (handle, _reader) = crate::source::tests::handle(folder.path(), Arc::new(sink));
        let mut chunks = Chunks::new(handle);
        let peer: SocketAddr = "10.0.0.1:5".parse().unwrap();
        let mut out = Vec::new();
        chunks.take(peer, b"{\"a\":1}", &mut out);
        chunks.take(peer, &packed(b"{\"b\":2}"), &mut out);
        let message = packed(b"{\"c\":3}");
        let (left, right) = message.split_at(5);
        chunks.take(peer, &piece(1, 1, 2, right), &mut out);
        chunks.take(peer, &piece(1, 1, 2, right), &mut out);
        assert_eq!(out.len(), 2);
        chunks.take(peer, &piece(1, 0, 2, left), &mut out);
        let texts: Vec<&[u8]> = out.iter().map(|record| &record.bytes[..]).collect();
        assert_eq!(texts, [&b"{\"a\":1}"[..], b"{\"b\":2}", b"{\"c\":3}"]);
        assert_eq!(&*out[0].source, "test:10.0.0.1");
        assert_eq!(chunks.bytes, 0);
        // Broken: no header, a number beyond the count, a bad packing, a bomb.
        out.clear();
        chunks.take(peer, &[0x1e, 0x0f, 1], &mut out);
        chunks.take(peer, &piece(2, 7, 3, b"x"), &mut out);
        chunks.take(peer, &[0x1f, 0x8b, 1, 2, 3], &mut out);
        assert!(out.is_empty());
        assert_eq!(drops.lock().unwrap()["malformed"], 3);
        chunks.take(peer, &packed(&vec![b' '; 50 << 20]), &mut out);
        assert_eq!(out[0].bytes.len(), MAX_RECORD_BYTES);
        for id in 0..=255 {
            for low in 0..20 {
                let mut one = piece(id, 0, 2, b"x");
                one[3] = low;
                chunks.take(peer, &one, &mut out);
            }
        }
        assert_eq!(chunks.waiting.len(), WAITING_MAX);
        assert!(drops.lock().unwrap()["chunks_limit"] > 0);
    }
}
