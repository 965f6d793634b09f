//! An agent without an endpoint: it enrols, connects and says what a test wants, also what no
//! agent of ours would.

use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use rcgen::{CertificateParams, KeyPair};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use watchfloor_link::{
    EnrolmentToken, Frame, HEAD_BYTES, Head, HostIdentity, PROTOCOL, RefusalCode, ToAgent, ToServer,
};

/// Name in the certificate of every server.
const SERVER_NAME: &str = "watchfloor-fleet";

/// Let in, or sent away.
#[derive(Debug)]
pub enum Entry<T> {
    /// Let in.
    In(T),
    /// Sent away: code and words.
    Out(RefusalCode, String),
}

impl<T> Entry<T> {
    /// What it is, where it must have been let in.
    ///
    /// # Errors
    /// If it was sent away.
    pub fn let_in(self) -> Result<T> {
        match self {
            Self::In(inside) => Ok(inside),
            Self::Out(code, words) => bail!("sent away: {code:?}: {words}"),
        }
    }
}

/// A connection of an agent.
#[derive(Debug)]
pub struct AgentLink {
    stream: TlsStream<TcpStream>,
    buffer: Vec<u8>,
}

/// An agent that has a certificate.
#[derive(Clone, Debug)]
pub struct EnrolledAgent {
    /// Its id.
    pub id: String,
    /// What it says its host is.
    pub host: HostIdentity,
    config: Arc<ClientConfig>,
}

/// A host that tests make up.
pub fn host(name: &str) -> HostIdentity {
    HostIdentity {
        name: name.to_owned(),
        machine: hex::encode(Sha256::digest(name)),
        boot: "boot-1".to_owned(),
        addresses: vec!["10.1.2.3".to_owned()],
        os: "linux".to_owned(),
        os_name: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        kernel: "6.1.0".to_owned(),
        arch: "x86_64".to_owned(),
    }
}

impl EnrolledAgent {
    /// Enrols a host.
    ///
    /// # Errors
    /// If the server cannot be spoken with.
    pub async fn enrol(
        server: &str,
        token: &EnrolmentToken,
        host: HostIdentity,
    ) -> Result<Entry<Self>> {
        let pin = Pinned(token.pin.clone());
        let config = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(pin))
            .with_no_client_auth();
        let mut link = AgentLink::dial(server, Arc::new(config)).await?;
        let key = KeyPair::generate()?;
        let request = CertificateParams::default().serialize_request(&key)?;
        link.send(Frame {
            message: ToServer::Enrol {
                secret: token.secret.clone(),
                host: host.clone(),
            },
            payload: request.der().to_vec(),
        })
        .await?;
        let answer = link.next().await?;
        match answer.message {
            ToAgent::Certificate { agent } => {
                let config = Arc::new(mutual(&answer.payload, &key)?);
                Ok(Entry::In(Self {
                    id: agent,
                    host,
                    config,
                }))
            }
            ToAgent::Refused { code, message } => Ok(Entry::Out(code, message)),
            other => bail!("enrolled with {other:?}"),
        }
    }

    /// An agent with a certificate that a test had made for `key`.
    ///
    /// # Errors
    /// If certificate and key do not fit.
    pub fn with_certificate(
        id: &str,
        host: HostIdentity,
        pem: &str,
        key: &KeyPair,
    ) -> Result<Self> {
        Ok(Self {
            id: id.to_owned(),
            host,
            config: Arc::new(mutual(pem.as_bytes(), key)?),
        })
    }

    /// Connects and says hello with its host, with the policy that it has.
    ///
    /// # Errors
    /// If the server cannot be spoken with.
    pub async fn connect(&self, server: &str, policy: u64) -> Result<Entry<AgentLink>> {
        let clock_ms = now_ms();
        self.connect_as(server, self.host.clone(), policy, clock_ms)
            .await
    }

    /// As [`EnrolledAgent::connect`], as a host and at a time of its choice.
    ///
    /// # Errors
    /// If the server cannot be spoken with.
    pub async fn connect_as(
        &self,
        server: &str,
        host: HostIdentity,
        policy: u64,
        clock_ms: i64,
    ) -> Result<Entry<AgentLink>> {
        let mut link = AgentLink::dial(server, Arc::clone(&self.config)).await?;
        let hello = ToServer::Hello {
            protocol: PROTOCOL,
            version: "0.1.0".to_owned(),
            host,
            clock_ms,
            policy,
        };
        link.send(hello).await?;
        match link.next().await?.message {
            ToAgent::Welcome { .. } => Ok(Entry::In(link)),
            ToAgent::Refused { code, message } => Ok(Entry::Out(code, message)),
            other => bail!("welcomed with {other:?}"),
        }
    }
}

impl AgentLink {
    /// Dials without a certificate, to say what it wants.
    ///
    /// # Errors
    /// If there is no TLS.
    pub async fn dial(server: &str, config: Arc<ClientConfig>) -> Result<Self> {
        let stream = TcpStream::connect(server)
            .await
            .with_context(|| format!("cannot connect to {server}"))?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(SERVER_NAME)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send(&mut self, frame: impl Into<Frame<ToServer>>) -> Result<()> {
        self.send_bytes(&frame.into().encode()?).await
    }

    /// Sends any bytes.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).await?;
        Ok(self.stream.flush().await?)
    }

    /// The next frame. Nothing is lost when the waiting is given up.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn next(&mut self) -> Result<Frame<ToAgent>> {
        loop {
            if let Some(head) = self.buffer.first_chunk::<HEAD_BYTES>() {
                let head = Head::parse(*head)?;
                let whole = HEAD_BYTES + head.rest();
                if self.buffer.len() >= whole {
                    let rest = self.buffer[HEAD_BYTES..whole].to_vec();
                    self.buffer.drain(..whole);
                    return Ok(Frame::decode(head, rest)?);
                }
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                bail!("the server hung up");
            }
        }
    }

    /// Sends records, numbered from `first` of a spool.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn send_records(&mut self, epoch: u64, first: u64, records: &[Value]) -> Result<()> {
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for record in records {
            writeln!(out, "{record}")?;
        }
        self.send(Frame {
            message: ToServer::Records {
                epoch,
                first,
                count: u32::try_from(records.len())?,
            },
            payload: out.finish()?,
        })
        .await
    }

    /// The next message that a test is interested in; others are passed over.
    ///
    /// # Errors
    /// If the connection is gone.
    pub async fn next_that(&mut self, wanted: impl Fn(&ToAgent) -> bool) -> Result<ToAgent> {
        loop {
            let message = self.next().await?.message;
            if wanted(&message) {
                return Ok(message);
            }
        }
    }
}

/// Now in milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?)
}

fn mutual(pem: &[u8], key: &KeyPair) -> Result<ClientConfig> {
    let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>()?;
    let [own, authority] = &certificates[..] else {
        bail!("{} certificates came", certificates.len());
    };
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone())?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    Ok(builder()?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![own.clone()], key)?)
}

/// Believes the server whose authority has this hash.
#[derive(Debug)]
struct Pinned(String);

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_known = |one: &CertificateDer<'_>| hex::encode(Sha256::digest(one)) == self.0;
        match intermediates.iter().any(is_known) {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(rustls::Error::General("another authority".to_owned())),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(rustls::Error::General("TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let provider = rustls::crypto::ring::default_provider();
        let algorithms = &provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let provider = rustls::crypto::ring::default_provider();
        provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
