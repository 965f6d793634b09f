//! TLS of the listener: agents show the certificate that the authority gave them, new ones none.

use std::sync::Arc;
use std::time::Duration;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use watchfloor_model::AgentDoubt;

use crate::authority::{AuthorityError, begin_of, identity_of};
use crate::{Authority, Desk};

/// The configuration of the listener; certificates that are over are told to the desk.
pub(crate) fn server_config(
    authority: &Authority,
    desk: &Arc<dyn Desk>,
    now: jiff::Timestamp,
) -> Result<ServerConfig, AuthorityError> {
    let fault = |reason: String| AuthorityError::Crypto {
        what: "certificate",
        reason,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots
        .add(authority.certificate().clone())
        .map_err(|error| fault(error.to_string()))?;
    let inner = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .allow_unauthenticated()
        .build()
        .map_err(|error| fault(error.to_string()))?;
    let verifier = Telling {
        inner,
        desk: Arc::clone(desk),
    };
    let (chain, key) = authority.server_chain(now)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| fault(error.to_string()))?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain, key)
        .map_err(|error| fault(error.to_string()))?;
    // Agents stay connected: what would make a second handshake cheap only takes memory here.
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(config)
}

/// Judges certificates as the library does, and tells of agents whose certificate is over.
struct Telling {
    inner: Arc<dyn ClientCertVerifier>,
    desk: Arc<dyn Desk>,
}

impl std::fmt::Debug for Telling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Telling").finish_non_exhaustive()
    }
}

impl Telling {
    /// A certificate that would have been good when it began is the authority's own: then its
    /// name can be believed.
    fn tell(&self, certificate: &CertificateDer<'_>, chain: &[CertificateDer<'_>]) {
        let (Some(who), Some(begin)) = (identity_of(certificate), begin_of(certificate)) else {
            return;
        };
        let then = UnixTime::since_unix_epoch(Duration::from_secs(begin + 1));
        let was_good = self.inner.verify_client_cert(certificate, chain, then);
        if was_good.is_ok() {
            let words = "it came with a certificate that is over; enrol the host again".to_owned();
            self.desk.doubt(&who, AgentDoubt::Expired, words);
        }
    }
}

impl ClientCertVerifier for Telling {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let judged = self
            .inner
            .verify_client_cert(end_entity, intermediates, now);
        if judged.is_err() {
            self.tell(end_entity, intermediates);
        }
        judged
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
