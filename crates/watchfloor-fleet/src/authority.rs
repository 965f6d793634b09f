//! The authority of a fleet: it signs the server's certificate, those of agents, and versions of
//! the agent's binary. Its keys stay in the data folder.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName,
    DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, SerialNumber,
};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateSigningRequestDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};

/// Name in the server's certificate, whatever its address.
pub const SERVER_NAME: &str = "watchfloor-fleet";

/// Life of an agent's certificate.
const AGENT_LIFE: SignedDuration = SignedDuration::from_hours(24 * 90);
/// Life of the server's certificate; it is made anew at each start.
const SERVER_LIFE: SignedDuration = SignedDuration::from_hours(24 * 366);
/// Life of the authority.
const AUTHORITY_LIFE: SignedDuration = SignedDuration::from_hours(24 * 3_650);
/// Certificates begin a little in the past: clocks of endpoints lag.
const BACKDATE: SignedDuration = SignedDuration::from_hours(24);
/// Random bytes of a serial number (RFC 5280, section 4.1.2.2: at most 20).
const SERIAL_BYTES: usize = 16;
/// Label of the key that signs versions, in what an agent is given.
const UPDATE_KEY_LABEL: &str = "ED25519 PUBLIC KEY";

/// Why the authority cannot be used.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// A file of the authority.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key or certificate cannot be read or made.
    #[error("the authority's {what} cannot be used: {reason}")]
    Crypto {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

/// Who stands in a certificate that the authority signed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Whose agent.
    pub tenant: String,
    /// Its id.
    pub agent: String,
    /// Serial number of the certificate, hexadecimal.
    pub serial: String,
}

/// A certificate that was made for an agent.
#[derive(Clone, Debug)]
pub struct Issued {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// End.
    pub until: Timestamp,
    /// What the agent is given: its certificate, the authority's, and the key that signs
    /// versions; PEM.
    pub pem: String,
}

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    update_key: Ed25519KeyPair,
    server_key: KeyPair,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority")
            .field("pin", &self.pin())
            .finish_non_exhaustive()
    }
}

impl Authority {
    /// Opens the authority in a folder, or makes it there.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn open(folder: &Path, now: Timestamp) -> Result<Self, AuthorityError> {
        fs::create_dir_all(folder).map_err(file(folder))?;
        let key_pem = kept(&folder.join("authority.key"), || {
            Ok(KeyPair::generate().map_err(crypto("key"))?.serialize_pem())
        })?;
        let key = KeyPair::from_pem(&key_pem).map_err(crypto("key"))?;
        let certificate_pem = kept(&folder.join("authority.pem"), || {
            let made = authority_params(now)?.self_signed(&key);
            Ok(made.map_err(crypto("certificate"))?.pem())
        })?;
        let certificate = CertificateDer::from_pem_slice(certificate_pem.as_bytes())
            .map_err(crypto("certificate"))?;
        let update_pem = kept(&folder.join("updates.key"), || {
            let random = ring::rand::SystemRandom::new();
            let made = Ed25519KeyPair::generate_pkcs8(&random).map_err(crypto("update key"))?;
            Ok(hex::encode(made.as_ref()))
        })?;
        let update = hex::decode(update_pem.trim()).map_err(crypto("update key"))?;
        let update_key =
            Ed25519KeyPair::from_pkcs8_maybe_unchecked(&update).map_err(crypto("update key"))?;
        let issuer = Issuer::from_ca_cert_der(&certificate, key).map_err(crypto("certificate"))?;
        Ok(Self {
            issuer,
            certificate,
            certificate_pem,
            update_key,
            server_key: KeyPair::generate().map_err(crypto("server key"))?,
        })
    }

    /// What stands in enrolment tokens: SHA-256 over the authority's certificate, hexadecimal.
    pub fn pin(&self) -> String {
        hex::encode(Sha256::digest(&self.certificate))
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The server's chain and key for TLS.
    ///
    /// # Errors
    /// [`AuthorityError`].
    pub fn server_chain(
        &self,
        now: Timestamp,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), AuthorityError> {
        let mut params = CertificateParams::new(vec![SERVER_NAME.to_owned()])
            .map_err(crypto("server certificate"))?;
        params.distinguished_name = name(SERVER_NAME, None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        span(&mut params, now, SERVER_LIFE)?;
        let made = params
            .signed_by(&self.server_key, &self.issuer)
            .map_err(crypto("server certificate"))?;
        let key = PrivateKeyDer::try_from(self.server_key.serialize_der())
            .map_err(crypto("server key"))?;
        Ok((vec![made.der().clone(), self.certificate.clone()], key))
    }

    /// Signs an agent's request. Only its key is taken from it; the names are the server's.
    ///
    /// # Errors
    /// [`AuthorityError`] if the request is no PKCS #10 request with a good signature.
    pub fn issue(
        &self,
        tenant: &str,
        agent: &str,
        request: &[u8],
        now: Timestamp,
    ) -> Result<Issued, AuthorityError> {
        let request = CertificateSigningRequestDer::from(request.to_vec());
        let request =
            CertificateSigningRequestParams::from_der(&request).map_err(crypto("request"))?;
        let mut params = CertificateParams::default();
        params.distinguished_name = name(agent, Some(tenant));
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let until = span(&mut params, now, AGENT_LIFE)?;
        let serial = serial()?;
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let made = params
            .signed_by(&request.public_key, &self.issuer)
            .map_err(crypto("agent's certificate"))?;
        Ok(Issued {
            serial: hex::encode(serial),
            until,
            pem: format!(
                "{}{}{}",
                made.pem(),
                self.certificate_pem,
                self.update_key_pem()
            ),
        })
    }

    fn update_key_pem(&self) -> String {
        let key = STANDARD.encode(self.update_key.public_key().as_ref());
        format!("-----BEGIN {UPDATE_KEY_LABEL}-----\n{key}\n-----END {UPDATE_KEY_LABEL}-----\n")
    }

    /// Signs a text with the key that agents know for versions (Ed25519, RFC 8032), hexadecimal.
    pub fn sign(&self, text: &str) -> String {
        hex::encode(self.update_key.sign(text.as_bytes()))
    }
}

/// Who stands in a certificate; its signature is the caller's to judge.
pub(crate) fn identity_of(certificate: &[u8]) -> Option<Identity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let subject = parsed.subject();
    let organization = subject.iter_organization().next()?.as_str().ok()?;
    let common = subject.iter_common_name().next()?.as_str().ok()?;
    Some(Identity {
        tenant: organization.to_owned(),
        agent: common.to_owned(),
        serial: hex::encode(parsed.raw_serial()),
    })
}

/// When a certificate begins, in seconds since 1970.
pub(crate) fn begin_of(certificate: &[u8]) -> Option<u64> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    u64::try_from(parsed.validity().not_before.timestamp()).ok()
}

fn authority_params(now: Timestamp) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = name("Watchfloor fleet authority", None);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    span(&mut params, now, AUTHORITY_LIFE)?;
    Ok(params)
}

fn name(common: &str, organization: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if let Some(organization) = organization {
        name.push(DnType::OrganizationName, organization);
    }
    name
}

/// Sets the span of a certificate; answers its end.
fn span(
    params: &mut CertificateParams,
    now: Timestamp,
    life: SignedDuration,
) -> Result<Timestamp, AuthorityError> {
    let date = |at: Timestamp| {
        let day = jiff::tz::Offset::UTC.to_datetime(at).date();
        rcgen::date_time_ymd(
            i32::from(day.year()),
            day.month().unsigned_abs(),
            day.day().unsigned_abs(),
        )
    };
    let begin = now.checked_sub(BACKDATE).map_err(crypto("clock"))?;
    let end = now.checked_add(life).map_err(crypto("clock"))?;
    // Whole days: the end is cut to midnight.
    params.not_before = date(begin);
    params.not_after = date(end);
    let midnight = end.as_second().div_euclid(86_400) * 86_400;
    Timestamp::from_second(midnight).map_err(crypto("clock"))
}

fn serial() -> Result<[u8; SERIAL_BYTES], AuthorityError> {
    let mut bytes = [0; SERIAL_BYTES];
    getrandom::fill(&mut bytes).map_err(crypto("serial number"))?;
    // Positive, and of full length: what is read back is the same text.
    bytes[0] = (bytes[0] & 0x7f) | 0x40;
    Ok(bytes)
}

/// A text that is kept in a file that only its owner reads; made once.
fn kept(
    path: &Path,
    make: impl FnOnce() -> Result<String, AuthorityError>,
) -> Result<String, AuthorityError> {
    match fs::read_to_string(path) {
        Ok(text) => return Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(file(path)(error)),
    }
    let text = make()?;
    let part = path.with_extension("part");
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut out = options.open(&part).map_err(file(&part))?;
    out.write_all(text.as_bytes()).map_err(file(&part))?;
    out.sync_all().map_err(file(&part))?;
    fs::rename(&part, path).map_err(file(path))?;
    Ok(text)
}

fn file(path: &Path) -> impl FnOnce(std::io::Error) -> AuthorityError {
    let path = path.to_owned();
    move |source| AuthorityError::File { path, source }
}

fn crypto<E: std::fmt::Display>(what: &'static str) -> impl FnOnce(E) -> AuthorityError {
    move |error| AuthorityError::Crypto {
        what,
        reason: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Vec<u8> {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::default();
        params.serialize_request(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_authority_stays_the_same_and_signs_only_its_own_names() {
        let folder = tempfile::tempdir().unwrap();
        let now = Timestamp::now();
        let first = Authority::open(folder.path(), now).unwrap();
        let again = Authority::open(folder.path(), now).unwrap();
        assert_eq!(first.pin(), again.pin());
        let issued = again.issue("main", "agent-7", &request(), now).unwrap();
        let leaf = CertificateDer::from_pem_slice(issued.pem.as_bytes()).unwrap();
        let identity = identity_of(&leaf).unwrap();
        assert_eq!(identity.agent, "agent-7");
        assert_eq!(identity.tenant, "main");
        assert_eq!(identity.serial, issued.serial);
        let days = issued.until.duration_since(now).as_hours() / 24;
        assert!((88..=90).contains(&days), "{days}");
        assert!(issued.pem.contains(UPDATE_KEY_LABEL));
    }

    #[test]
    fn a_request_that_is_none_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open(folder.path(), Timestamp::now()).unwrap();
        let mut damaged = request();
        let last = damaged.len() - 3;
        damaged[last] ^= 1;
        for request in [&b""[..], b"nonsense", &damaged] {
            let made = authority.issue("main", "agent-1", request, Timestamp::now());
            assert!(made.is_err());
        }
    }
}
