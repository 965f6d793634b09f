//! Secrets for sessions, tokens and the set-up link: 32 random bytes, kept only as SHA-256.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use crate::CaseworkError;

/// Random bytes of a secret.
const SECRET_BYTES: usize = 32;

/// Longest secret that is looked at.
const SECRET_TEXT_MAX: usize = 200;

/// A new secret, URL-safe.
pub(crate) fn new_secret() -> Result<String, CaseworkError> {
    let mut bytes = [0_u8; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| CaseworkError::System {
        what: "random bytes",
    })?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// What is kept of a secret. Plain SHA-256 is enough for 256 random bits.
pub(crate) fn hash(secret: &str) -> Option<String> {
    (secret.len() <= SECRET_TEXT_MAX).then(|| hex::encode(Sha256::digest(secret)))
}
