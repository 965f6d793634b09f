//! Where secrets are sealed: AES-256-GCM under a key in the data folder.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Bytes of a key.
const KEY_BYTES: usize = 32;
/// Name of the key's file in the data folder.
const FILE: &str = "secrets.key";

/// Why the vault does not open.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key's file cannot be read or made.
    #[error("cannot use {path}; check its owner and rights")]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        source: std::io::Error,
    },
    /// The key's file holds something else.
    #[error("{path} is no key of 32 bytes in hexadecimal; restore it from a backup")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The operating system gave no random bytes.
    #[error("the system gave no random bytes")]
    Random,
}

/// Seals and opens secrets. What is sealed for one owner and name opens for no other.
pub struct Vault {
    key: LessSafeKey,
}

impl Vault {
    /// Opens the vault of a data folder; makes its key at the first time.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn open(folder: &Path) -> Result<Self, VaultError> {
        let path = folder.join(FILE);
        let failed = |source| VaultError::File {
            path: path.clone(),
            source,
        };
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let mut bytes = [0_u8; KEY_BYTES];
                getrandom::fill(&mut bytes).map_err(|_| VaultError::Random)?;
                let text = hex::encode(bytes);
                write_private(&path, &text).map_err(failed)?;
                text
            }
            Err(error) => return Err(failed(error)),
        };
        let bytes = hex::decode(text.trim())
            .ok()
            .filter(|bytes| bytes.len() == KEY_BYTES);
        let key = bytes.and_then(|bytes| UnboundKey::new(&AES_256_GCM, &bytes).ok());
        match key {
            Some(key) => Ok(Self {
                key: LessSafeKey::new(key),
            }),
            None => Err(VaultError::Key { path }),
        }
    }

    /// Seals a secret.
    ///
    /// # Errors
    /// [`VaultError::Random`].
    pub fn seal(&self, owner: &str, name: &str, secret: &str) -> Result<String, VaultError> {
        let mut nonce = [0_u8; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| VaultError::Random)?;
        let mut sealed = secret.as_bytes().to_vec();
        let aad = Aad::from(format!("{owner}\n{name}"));
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed)
            .map_err(|_| VaultError::Random)?;
        let whole: Vec<u8> = nonce.into_iter().chain(sealed).collect();
        Ok(STANDARD.encode(whole))
    }

    /// Opens a secret; `None` when it was sealed under another key, or for another owner or name.
    pub fn unseal(&self, owner: &str, name: &str, sealed: &str) -> Option<String> {
        let whole = STANDARD.decode(sealed).ok()?;
        let (nonce, sealed) = whole.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = sealed.to_vec();
        let aad = Aad::from(format!("{owner}\n{name}"));
        let plain = self.key.open_in_place(nonce, aad, &mut bytes).ok()?;
        String::from_utf8(plain.to_vec()).ok()
    }
}

#[cfg(unix)]
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

#[cfg(not(unix))]
fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    std::fs::write(path, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_only_in_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::open(folder.path()).unwrap();
        let sealed = vault.seal("con-1", "token", "hunter2").unwrap();
        assert!(!sealed.contains("hunter2"));
        assert_ne!(sealed, vault.seal("con-1", "token", "hunter2").unwrap());
        let again = Vault::open(folder.path()).unwrap();
        assert_eq!(
            again.unseal("con-1", "token", &sealed).as_deref(),
            Some("hunter2")
        );
        assert_eq!(again.unseal("con-2", "token", &sealed), None);
        assert_eq!(again.unseal("con-1", "other", &sealed), None);
        assert_eq!(again.unseal("con-1", "token", "AAAA"), None);
        let other = tempfile::tempdir().unwrap();
        assert_eq!(
            Vault::open(other.path())
                .unwrap()
                .unseal("con-1", "token", &sealed),
            None
        );
        std::fs::write(folder.path().join(FILE), "short").unwrap();
        assert!(matches!(
            Vault::open(folder.path()),
            Err(VaultError::Key { .. })
        ));
    }
}
