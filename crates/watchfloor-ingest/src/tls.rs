//! The server's side of TLS: certificates from files, and refusals that a person can act on.
//!
//! # Source
//! RFC 5425 section 4.2 (certificates of syslog senders and receivers).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{self, RootCertStore, ServerConfig};

/// Files of the server's side of TLS, all PEM.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Its certificate, and those between it and its authority.
    pub certificate: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// The authority of senders; with it, a sender without a certificate of it is refused.
    pub client_authority: Option<PathBuf>,
}

/// Why TLS cannot be spoken.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read, or does not hold what it should.
    #[error("{path} cannot be used as {what}: {reason}; it must be PEM and readable")]
    File {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Certificate and key do not belong together, or the like.
    #[error("the certificate {certificate} cannot be used with the key {key}")]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// The key.
        key: PathBuf,
        /// The cause.
        #[source]
        source: rustls::Error,
    },
}

/// Reads the files.
pub(crate) fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let chain = certificates(&files.certificate, "a certificate")?;
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| file_error(&files.key, "a key", &error))?;
    let pair = |source| TlsError::Pair {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
        source,
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(pair)?;
    let builder = match &files.client_authority {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let what = "an authority of senders";
            let mut roots = RootCertStore::empty();
            for certificate in certificates(path, what)? {
                roots
                    .add(certificate)
                    .map_err(|error| file_error(path, what, &error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .build()
                .map_err(|error| file_error(path, what, &error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder.with_single_cert(chain, key).map_err(pair)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| file_error(path, what, &error))?;
    if read.is_empty() {
        return Err(TlsError::File {
            path: path.to_owned(),
            what,
            reason: "it holds no certificate".to_owned(),
        });
    }
    Ok(read)
}

fn file_error(path: &Path, what: &'static str, reason: &dyn std::fmt::Display) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        what,
        reason: reason.to_string(),
    }
}

/// What is said of a sender whose handshake failed.
pub(crate) fn refusal(peer: SocketAddr, error: &std::io::Error) -> String {
    let reason = error.to_string();
    let mend = if reason.contains("peer sent no certificates") {
        "give it a certificate of the client authority"
    } else if reason.contains("invalid peer certificate") {
        "give it a certificate of the client authority that has not expired"
    } else if reason.contains("received fatal alert") {
        "it does not trust this server's certificate: give it the authority, and connect by a name that stands in the certificate"
    } else {
        "check that it speaks TLS 1.2 or 1.3"
    };
    format!("{}: {reason}; {mend}", peer.ip())
}
