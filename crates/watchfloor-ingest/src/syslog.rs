//! Syslog over UDP, TCP and TLS: datagrams and streams into the journal.
//!
//! # Source
//! RFC 5426 (UDP), RFC 6587 (TCP), RFC 5425 (TLS).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::{TcpListener, UdpSocket};
use watchfloor_event::Format;

use crate::datagram::{self, Datagrams};
use crate::framing::Ending;
use crate::record::NewRecord;
use crate::source::{Running, SourceHandle};
use crate::stream::{self, StreamLimits, StreamOptions};
use crate::tls::{self, TlsError, TlsFiles};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// The socket.
    #[error("cannot listen on {address} ({transport}); choose another address")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// `tcp` or `udp`.
        transport: &'static str,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The certificate.
    #[error(transparent)]
    Tls(TlsError),
}

pub(crate) async fn bind_tcp(address: SocketAddr) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError::Socket {
            address,
            transport: "tcp",
            source,
        })
}

pub(crate) async fn bind_udp(address: SocketAddr) -> Result<UdpSocket, ListenError> {
    datagram::bind(address)
        .await
        .map_err(|source| ListenError::Socket {
            address,
            transport: "udp",
            source,
        })
}

/// Listens for syslog until it is cancelled: on UDP and TCP, or on TCP by TLS.
pub struct SyslogListener {
    tcp: TcpListener,
    udp: Option<UdpSocket>,
    options: StreamOptions,
}

impl SyslogListener {
    /// Takes the sockets. With port 0, both transports get the same free port.
    ///
    /// # Errors
    /// If the address cannot be listened on.
    pub async fn bind(address: SocketAddr, limits: StreamLimits) -> Result<Self, ListenError> {
        let tcp = bind_tcp(address).await?;
        let port = tcp.local_addr().map_or(address.port(), |own| own.port());
        let udp = bind_udp(SocketAddr::new(address.ip(), port)).await?;
        Ok(Self {
            tcp,
            udp: Some(udp),
            options: options(limits),
        })
    }

    /// Takes the socket for streams by TLS.
    ///
    /// # Errors
    /// If the address cannot be listened on, or a file cannot be used.
    pub async fn bind_tls(
        address: SocketAddr,
        limits: StreamLimits,
        files: &TlsFiles,
    ) -> Result<Self, ListenError> {
        let acceptor = tls::acceptor(files).map_err(ListenError::Tls)?;
        Ok(Self {
            tcp: bind_tcp(address).await?,
            udp: None,
            options: StreamOptions {
                tls: Some(acceptor),
                ..options(limits)
            },
        })
    }

    /// Serves until the handle says stop.
    pub fn run(self, handle: SourceHandle) -> Running {
        if let Ok(address) = self.tcp.local_addr() {
            handle.listening(address);
        }
        Box::pin(async move {
            let streams = stream::accept(self.tcp, self.options, handle.clone());
            match self.udp {
                Some(udp) => {
                    let datagrams = SyslogDatagrams(handle.clone());
                    tokio::join!(streams, datagram::receive(udp, datagrams, handle));
                }
                None => streams.await,
            }
        })
    }
}

fn options(limits: StreamLimits) -> StreamOptions {
    StreamOptions {
        ending: Ending::CountOrLine,
        format: Format::Syslog,
        limits,
        tls: None,
    }
}

/// One record per datagram.
struct SyslogDatagrams(SourceHandle);

impl Datagrams for SyslogDatagrams {
    fn take(&mut self, peer: SocketAddr, bytes: &[u8], out: &mut Vec<NewRecord>) {
        let end = bytes
            .iter()
            .rposition(|byte| !matches!(byte, b'\n' | b'\r' | 0));
        let bytes = &bytes[..end.map_or(0, |end| end + 1)];
        let source: Arc<str> = self.0.source_of(peer.ip().to_canonical());
        let context = self.0.context_of(&source);
        let bytes = Bytes::copy_from_slice(bytes);
        out.push(
            self.0
                .record(&source, context.as_ref(), Format::Syslog, bytes),
        );
    }
}
