//! TLS towards servers that records are pulled from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Settings of a client: who is trusted beside the authorities of the system, and the own
/// certificate and key.
///
/// # Errors
/// Which file cannot be used, and why.
pub fn client_config(
    authority: Option<&Path>,
    identity: Option<&(PathBuf, PathBuf)>,
) -> Result<Arc<ClientConfig>, String> {
    let read = |path: &Path| {
        let certificates = CertificateDer::pem_file_iter(path)
            .and_then(Iterator::collect::<Result<Vec<CertificateDer<'static>>, _>>);
        certificates.map_err(|error| format!("{} holds no certificate: {error}", path.display()))
    };
    let mut roots = RootCertStore::empty();
    match authority {
        Some(path) => {
            roots.add_parsable_certificates(read(path)?);
            if roots.is_empty() {
                return Err(format!("{} holds no certificate", path.display()));
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let private = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| format!("{} holds no key: {error}", key.display()))?;
            builder
                .with_client_auth_cert(read(certificate)?, private)
                .map_err(|error| format!("{}: {error}", certificate.display()))?
        }
    };
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_certificate_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let refused = client_config(Some(file.path()), None).unwrap_err();
        assert!(refused.contains("holds no certificate"), "{refused}");
        assert!(client_config(None, None).is_ok());
    }
}
