//! Bodies in which senders put many records at once, each in an envelope of the protocol:
//! Splunk's HEC, OTLP, Loki's push. They are cut into JSON records that hold the innermost
//! event, and beside it, in one object (`hec`, `otel`, `loki`), all that the envelope says.
//!
//! An event that is an object keeps its fields where the packs look for them; one that is text
//! becomes `message`, and is decoded as the line that it is.

pub mod hec;
pub mod loki;
pub mod otlp;
pub(crate) mod out;
mod protobuf;

/// A record out of an envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enveloped {
    /// The record: JSON, or the line as it was sent.
    pub bytes: Vec<u8>,
    /// What the envelope calls the kind or program of it, for the name of the source.
    pub label: Option<String>,
}

/// Why a body holds nothing that can be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// It is not of the form.
    #[error("not a well-formed {form}: {reason}")]
    Malformed {
        /// Which form was expected.
        form: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// Messages lie deeper in each other than any sender does it.
    #[error("values are nested deeper than {DEPTH_MAX}")]
    TooDeep,
}

/// Deepest nesting of values in an envelope.
pub const DEPTH_MAX: usize = 64;

/// Records of one body; more are refused as a whole.
pub const RECORDS_MAX: usize = 1_000_000;
