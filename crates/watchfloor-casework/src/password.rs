//! Passwords: argon2id, off the async runtime, few at a time.

use argon2::password_hash::phc::PasswordHash;
use argon2::{Argon2, PasswordHasher, PasswordVerifier};

use crate::{Casework, CaseworkError};

/// Shortest password in characters (NIST SP 800-63B-4, 3.1.1.2, for a sole factor asks 15; 12
/// is the compromise with those who type it on a console).
const PASSWORD_CHARS_MIN: usize = 12;

/// Longest password in bytes.
const PASSWORD_BYTES_MAX: usize = 1_024;

/// Passwords that guessers try first.
const GUESSED: [&str; 8] = [
    "password",
    "watchfloor",
    "123456789012",
    "qwertyuiop",
    "letmein",
    "changeme",
    "administrator",
    "welcome",
];

/// Checks a new password.
pub(crate) fn check_new(name: &str, password: &str) -> Result<(), CaseworkError> {
    let invalid = |reason: &str| CaseworkError::Invalid {
        field: "password",
        reason: reason.to_owned(),
    };
    if password.chars().count() < PASSWORD_CHARS_MIN {
        return Err(invalid("must have at least 12 characters"));
    }
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(invalid("must be at most 1,024 bytes"));
    }
    let folded = password.to_lowercase();
    let bare: String = folded.chars().filter(|c| c.is_alphabetic()).collect();
    let is_name = !name.is_empty() && bare == name.to_lowercase();
    let one_character = folded.chars().all(|c| folded.starts_with(c));
    if GUESSED.contains(&bare.as_str())
        || GUESSED.contains(&folded.as_str())
        || is_name
        || one_character
    {
        return Err(invalid("is one of the first that a guesser tries"));
    }
    Ok(())
}

impl Casework {
    /// Hashes a password.
    pub(crate) async fn hash_password(&self, password: String) -> Result<String, CaseworkError> {
        let failed = |what| CaseworkError::System { what };
        let _permit = self
            .password_checks()
            .acquire()
            .await
            .map_err(|_| failed("password worker"))?;
        let work = move || {
            let hash: Result<argon2::password_hash::phc::PasswordHash, _> =
                Argon2::default().hash_password(password.as_bytes());
            hash.map(|hash| hash.to_string())
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| failed("password worker"))?
            .map_err(|_| failed("password hash"))
    }

    /// Checks a password. Without a hash (no such user) it takes as long and says no.
    pub(crate) async fn verify_password(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, CaseworkError> {
        let failed = |what| CaseworkError::System { what };
        if password.len() > PASSWORD_BYTES_MAX {
            return Ok(false);
        }
        let Some(hash) = hash else {
            self.hash_password(password).await?;
            return Ok(false);
        };
        let _permit = self
            .password_checks()
            .acquire()
            .await
            .map_err(|_| failed("password worker"))?;
        let work = move || {
            PasswordHash::new(&hash).is_ok_and(|parsed| {
                Argon2::default()
                    .verify_password(password.as_bytes(), &parsed)
                    .is_ok()
            })
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| failed("password worker"))
    }
}
