//! Who the server is, and who the agent is: TLS 1.3 only, one authority, no names of hosts.

use std::sync::Arc;

use anyhow::{Context, Result, anyhow, bail};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};
use ring::digest::{SHA256, digest};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// Name in the server's certificate, whatever its address.
const SERVER_NAME: &str = "watchfloor-fleet";
/// Label of the key that signs versions, behind the certificates.
const UPDATE_KEY_LABEL: &str = "ED25519 PUBLIC KEY";

/// The name that the server's certificate must have.
pub(crate) fn server_name() -> Result<ServerName<'static>> {
    ServerName::try_from(SERVER_NAME).context("the server's name is no name")
}

/// The provider is named: another one may be in the same program.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// A key and a request for a certificate (PKCS #10, DER).
pub(crate) struct Request {
    pub(crate) key_pem: String,
    pub(crate) der: Vec<u8>,
}

/// Makes a P-256 key and a request with it. The server gives the name.
pub(crate) fn request() -> Result<Request> {
    let key = KeyPair::generate().context("no key could be made")?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "watchfloor-agent");
    let request = params
        .serialize_request(&key)
        .context("no request could be made")?;
    Ok(Request {
        key_pem: key.serialize_pem(),
        der: request.der().to_vec(),
    })
}

/// What came with a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Granted {
    /// The agent's certificate.
    pub(crate) certificate: CertificateDer<'static>,
    /// The authority's.
    pub(crate) authority: CertificateDer<'static>,
    /// 32 bytes, hexadecimal; empty if there was none.
    pub(crate) update_key: String,
}

/// Reads what came with a certificate.
pub(crate) fn granted(pem: &[u8]) -> Result<Granted> {
    let mut certificates = CertificateDer::pem_slice_iter(pem);
    let mut next = |what: &str| -> Result<CertificateDer<'static>> {
        certificates
            .next()
            .ok_or_else(|| anyhow!("the server sent no certificate of {what}"))?
            .with_context(|| format!("the certificate of {what} cannot be read"))
    };
    Ok(Granted {
        certificate: next("the agent")?,
        authority: next("the authority")?,
        update_key: update_key(pem)?,
    })
}

fn update_key(pem: &[u8]) -> Result<String> {
    let text = std::str::from_utf8(pem).context("the certificates are no text")?;
    let begin = format!("-----BEGIN {UPDATE_KEY_LABEL}-----");
    let end = format!("-----END {UPDATE_KEY_LABEL}-----");
    let Some((_, behind)) = text.split_once(&begin) else {
        return Ok(String::new());
    };
    let (body, _) = behind.split_once(&end).context("the update key is cut")?;
    let bytes = base64(body).context("the update key is no base64")?;
    if bytes.len() != 32 {
        bail!("the update key has {} bytes and not 32", bytes.len());
    }
    Ok(hex::encode(bytes))
}

/// Base64 (RFC 4648, section 4), with blanks and line ends in it.
fn base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut bits, mut count) = (0u32, 0u32);
    for one in text.bytes().filter(|one| !one.is_ascii_whitespace()) {
        let value = match one {
            b'A'..=b'Z' => one - b'A',
            b'a'..=b'z' => one - b'a' + 26,
            b'0'..=b'9' => one - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => break,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
            bits &= (1 << count) - 1;
        }
    }
    Some(bytes)
}

/// TLS without a certificate, to a server whose authority has this hash.
pub(crate) fn pinned(pin: &str) -> Result<ClientConfig> {
    let provider = provider();
    let verifier = Pinned {
        pin: pin.to_owned(),
        provider: Arc::clone(&provider),
    };
    Ok(ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("TLS 1.3 is not there")?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth())
}

/// TLS with the agent's certificate, to a server that its authority signed.
pub(crate) fn mutual(identity_pem: &[u8]) -> Result<ClientConfig> {
    let granted = granted(identity_pem)?;
    let key = PrivateKeyDer::from_pem_slice(identity_pem).context("the key cannot be read")?;
    let mut roots = RootCertStore::empty();
    roots
        .add(granted.authority)
        .context("the authority's certificate is none")?;
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .context("TLS 1.3 is not there")?
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![granted.certificate], key)
        .context("key and certificate do not fit")
}

/// Trusts the authority whose certificate has a hash, and no other.
#[derive(Debug)]
struct Pinned {
    pin: String,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let is_pinned =
            |one: &&CertificateDer<'_>| hex::encode(digest(&SHA256, one).as_ref()) == self.pin;
        let Some(authority) = intermediates.iter().find(is_pinned) else {
            return Err(Error::InvalidCertificate(CertificateError::UnknownIssuer));
        };
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, &[], server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Begin and end of a certificate's life in seconds since 1970 (RFC 5280, section 4.1.2.5).
pub(crate) fn life(certificate: &[u8]) -> Option<(i64, i64)> {
    let (outer, _) = Der(certificate).next(0x30)?;
    let (mut body, _) = outer.next(0x30)?;
    if let Some((_, rest)) = body.next(0xa0) {
        body = rest;
    }
    // Serial number, algorithm of the signature, issuer.
    for tag in [0x02, 0x30, 0x30] {
        body = body.next(tag)?.1;
    }
    let (validity, _) = body.next(0x30)?;
    let (begin, rest) = validity.time()?;
    let (end, _) = rest.time()?;
    Some((begin, end))
}

/// Just enough of DER (X.690) to find two times.
#[derive(Clone, Copy)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The content of the next value if it has this tag, and what is behind it.
    fn next(self, tag: u8) -> Option<(Self, Self)> {
        let (first, rest) = self.0.split_first()?;
        if *first != tag {
            return None;
        }
        let (length, rest) = rest.split_first()?;
        let (length, rest) = match length {
            0..=0x7f => (usize::from(*length), rest),
            0x81 | 0x82 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
                let fold = |sum: usize, byte: &u8| (sum << 8) | usize::from(*byte);
                (bytes.iter().fold(0, fold), rest)
            }
            _ => return None,
        };
        let (content, behind) = rest.split_at_checked(length)?;
        Some((Der(content), Der(behind)))
    }

    fn time(self) -> Option<(i64, Self)> {
        let (text, rest, is_long) = match self.next(0x17) {
            Some((text, rest)) => (text, rest, false),
            None => {
                let (text, rest) = self.next(0x18)?;
                (text, rest, true)
            }
        };
        let text = std::str::from_utf8(text.0).ok()?;
        let text = match is_long {
            true => text.to_owned(),
            // Two digits: 50 to 99 are of the last century.
            false if text.get(..2)? >= "50" => format!("19{text}"),
            false => format!("20{text}"),
        };
        let time = jiff::civil::DateTime::strptime("%Y%m%d%H%M%SZ", &text).ok()?;
        let time = jiff::tz::TimeZone::UTC.to_timestamp(time).ok()?;
        Some((time.as_second(), rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_life_of_a_certificate_is_read() {
        let key = KeyPair::generate().unwrap();
        for (begin, end) in [(2026, 2027), (2030, 2055)] {
            let mut params = CertificateParams::default();
            params.not_before = rcgen::date_time_ymd(begin, 3, 4);
            params.not_after = rcgen::date_time_ymd(end, 1, 1);
            let made = params.self_signed(&key).unwrap();
            let seconds = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
            assert_eq!(
                life(made.der()),
                Some((
                    seconds(&format!("{begin}-03-04T00:00:00Z")),
                    seconds(&format!("{end}-01-01T00:00:00Z"))
                ))
            );
        }
        assert_eq!(life(b"\x30\x82\xff"), None);
        assert_eq!(life(b""), None);
    }

    #[test]
    fn base64_is_read_with_its_line_ends() {
        assert_eq!(base64("aGVs\nbG8="), Some(b"hello".to_vec()));
        assert_eq!(base64("a*"), None);
        let pem =
            format!("-----BEGIN {UPDATE_KEY_LABEL}-----\nAA==\n-----END {UPDATE_KEY_LABEL}-----\n");
        assert!(update_key(pem.as_bytes()).is_err());
        assert_eq!(update_key(b"").unwrap(), "");
    }
}
