//! Records as syslog messages.
//!
//! A record that is a syslog message goes as it is; any other becomes the text of one. Over
//! streams each message has its length before it; UDP tells nobody whether anything arrived.
//!
//! # Source
//! RFC 5424 (form), RFC 5425 (TLS), RFC 5426 (UDP), RFC 6587 3.4.1 (octet counting).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Mutex;
use tokio_rustls::TlsConnector;

use crate::destination::{Destination, SendError, SetUpError, choose_cryptography};

/// Facility local0, severity informational.
const PRIORITY: u8 = 16 * 8 + 6;
/// Longest wait for a connection, and for a group to be taken.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const WRITE_LIMIT: Duration = Duration::from_secs(30);
/// Longest message in a datagram, in bytes.
const MAX_DATAGRAM: usize = 65_000;

/// How messages travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Datagrams; losses are not noticed.
    Udp,
    /// A stream.
    Tcp,
    /// A stream within TLS; the server is checked by the system's authorities, or this one's.
    Tls {
        /// Certificate of the server's authority (PEM).
        authority: Option<PathBuf>,
    },
}

/// Where and how.
#[derive(Clone, Debug)]
pub struct SyslogTarget {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How.
    pub transport: Transport,
    /// The name of this machine, for records that are no syslog message.
    pub host_name: String,
}

/// A syslog server.
pub struct Syslog {
    target: SyslogTarget,
    tls: Option<TlsConnector>,
    stream: Mutex<Option<Stream>>,
}

type Stream = Box<dyn AsyncWrite + Send + Unpin>;

impl std::fmt::Debug for Syslog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Syslog")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Syslog {
    /// Sets it up; nothing is connected yet.
    ///
    /// # Errors
    /// If the certificates cannot be read.
    pub fn new(target: SyslogTarget) -> Result<Self, SetUpError> {
        let tls = match &target.transport {
            Transport::Tls { authority } => Some(connector(authority.as_ref())?),
            Transport::Udp | Transport::Tcp => None,
        };
        Ok(Self {
            target,
            tls,
            stream: Mutex::default(),
        })
    }

    fn unreachable(&self, reason: impl ToString) -> SendError {
        SendError::Unreachable {
            target: self.describe(),
            reason: reason.to_string(),
        }
    }

    async fn datagrams(&self, records: &[Bytes]) -> Result<(), SendError> {
        let any = if self.target.host.contains(':') {
            "[::]:0"
        } else {
            "0.0.0.0:0"
        };
        let socket = UdpSocket::bind(any).await;
        let socket = socket.map_err(|error| self.unreachable(error))?;
        let address = (self.target.host.as_str(), self.target.port);
        socket
            .connect(address)
            .await
            .map_err(|error| self.unreachable(error))?;
        for record in records {
            let message = self.message(record);
            let cut = message.get(..MAX_DATAGRAM).unwrap_or(&message);
            socket
                .send(cut)
                .await
                .map_err(|error| self.unreachable(error))?;
        }
        Ok(())
    }

    async fn connect(&self) -> Result<Stream, SendError> {
        let address = (self.target.host.as_str(), self.target.port);
        let stream = TcpStream::connect(address).await;
        let stream = stream.map_err(|error| self.unreachable(error))?;
        let Some(tls) = &self.tls else {
            return Ok(Box::new(stream));
        };
        let name = ServerName::try_from(self.target.host.clone());
        let name = name.map_err(|error| self.unreachable(error))?;
        let stream = tls.connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| self.unreachable(error))?))
    }

    async fn frames(&self, records: &[Bytes]) -> Result<(), SendError> {
        let mut body = Vec::new();
        for record in records {
            let message = self.message(record);
            body.extend_from_slice(message.len().to_string().as_bytes());
            body.push(b' ');
            body.extend_from_slice(&message);
        }
        let mut kept = self.stream.lock().await;
        let mut stream = match kept.take() {
            Some(stream) => stream,
            None => {
                let connected = tokio::time::timeout(CONNECT_LIMIT, self.connect()).await;
                connected.map_err(|_| self.slow(CONNECT_LIMIT))??
            }
        };
        let write = async {
            stream.write_all(&body).await?;
            stream.flush().await
        };
        let written = tokio::time::timeout(WRITE_LIMIT, write).await;
        written
            .map_err(|_| self.slow(WRITE_LIMIT))?
            .map_err(|error| self.unreachable(error))?;
        *kept = Some(stream);
        Ok(())
    }

    fn slow(&self, limit: Duration) -> SendError {
        SendError::Slow {
            target: self.describe(),
            seconds: limit.as_secs(),
        }
    }

    /// A record as one message.
    fn message(&self, record: &Bytes) -> Vec<u8> {
        if is_message(record) {
            return record.to_vec();
        }
        let host = &self.target.host_name;
        let head = format!(
            "<{PRIORITY}>1 {} {host} watchfloor - - - ",
            Timestamp::now()
        );
        [head.as_bytes(), record].concat()
    }
}

/// Whether a record begins as syslog does: `<number>`.
fn is_message(record: &[u8]) -> bool {
    let Some(rest) = record.strip_prefix(b"<") else {
        return false;
    };
    let end = rest.iter().take(4).position(|byte| *byte == b'>');
    let digits = end.and_then(|end| rest.get(..end)).unwrap_or_default();
    !digits.is_empty() && digits.iter().all(u8::is_ascii_digit)
}

fn connector(authority: Option<&PathBuf>) -> Result<TlsConnector, SetUpError> {
    choose_cryptography();
    let mut roots = RootCertStore::empty();
    match authority {
        Some(path) => {
            let what = || format!("authority '{}'", path.display());
            let found = CertificateDer::pem_file_iter(path);
            for certificate in found.map_err(|error| SetUpError::new(what(), error))? {
                let certificate = certificate.map_err(|error| SetUpError::new(what(), error))?;
                roots
                    .add(certificate)
                    .map_err(|error| SetUpError::new(what(), error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    if roots.is_empty() {
        let reason = "no authority to check the server by; name one with authority = \"FILE\"";
        return Err(SetUpError::new("TLS", reason));
    }
    let config = ClientConfig::builder()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

impl Destination for Syslog {
    fn send<'a>(&'a self, _: u64, records: &'a [Bytes]) -> BoxFuture<'a, Result<(), SendError>> {
        match self.target.transport {
            Transport::Udp => self.datagrams(records).boxed(),
            Transport::Tcp | Transport::Tls { .. } => self.frames(records).boxed(),
        }
    }

    fn describe(&self) -> String {
        let scheme = match self.target.transport {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls { .. } => "tls",
        };
        format!(
            "syslog {scheme}://{}:{}",
            self.target.host, self.target.port
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn syslog_goes_as_it_is() {
        assert!(is_message(b"<34>1 2026 a"));
        for other in [&b"<>x"[..], b"<12345>x", b"<a>", b"{\"a\":1}", b"<"] {
            assert!(!is_message(other));
        }
    }
}
