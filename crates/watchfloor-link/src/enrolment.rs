//! The one-time token of an enrolment: a secret for the server, and how the agent knows that it
//! speaks with the right one.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What stands before a token.
const PREFIX: &str = "wfe1.";

/// Why a text is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("not an enrolment token: it begins with {PREFIX} and has two parts of hexadecimal digits")]
pub struct EnrolmentError;

/// A one-time token: `wfe1.SECRET.PIN`.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentToken {
    /// What the server asks for: 64 hexadecimal digits.
    pub secret: String,
    /// SHA-256 over the certificate (DER) of the authority that signs the server's: 64
    /// hexadecimal digits.
    pub pin: String,
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentToken")
            .field("pin", &self.pin)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}.{}", self.secret, self.pin)
    }
}

impl FromStr for EnrolmentToken {
    type Err = EnrolmentError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rest = text.trim().strip_prefix(PREFIX).ok_or(EnrolmentError)?;
        let (secret, pin) = rest.split_once('.').ok_or(EnrolmentError)?;
        let is_hex = |part: &str| part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
        match is_hex(secret) && is_hex(pin) {
            true => Ok(Self {
                secret: secret.to_owned(),
                pin: pin.to_ascii_lowercase(),
            }),
            false => Err(EnrolmentError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_back_and_another_text_is_refused() {
        let token = EnrolmentToken {
            secret: "ab".repeat(32),
            pin: "01".repeat(32),
        };
        assert_eq!(token.to_string().parse(), Ok(token.clone()));
        for text in ["", "wfe1.", "wfe1.ab.cd", &token.to_string()[1..]] {
            assert_eq!(text.parse::<EnrolmentToken>(), Err(EnrolmentError));
        }
        assert!(!format!("{token:?}").contains(&token.secret));
    }
}
