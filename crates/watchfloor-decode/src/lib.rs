//! Bytes to fields, one folder per format.
//!
//! [`Decoder::decode`] turns one raw record into one or more rows of an
//! [`EventBatch`](watchfloor_event::EventBatch): fields of the source under the names that the
//! source gave them, an own time where the format itself has one, and an anomaly for all that
//! was odd. No record is dropped and none makes it panic. [`framing`] cuts the bytes of files
//! into records. What a field means to a product is the business of the mapping packs.

mod access_log;
mod auditd;
mod cef;
mod decoder;
mod delimited;
mod detect;
pub mod envelope;
mod extract;
pub mod flow;
pub mod framing;
mod journal;
mod json;
mod key_value;
mod leef;
mod limits;
mod sink;
mod syslog;
pub mod time;
mod windows;
mod wrapper;
mod zeek;

pub use decoder::{Decoder, PRODUCT_CONTEXT, decode};
pub use delimited::{VALUES_MAX, values};
pub use detect::{LineForm, line_form};
pub use extract::{Part, extract};
pub use key_value::pairs;
pub use limits::{Limits, MAX_RECORD_BYTES};

/// The longest start of a text that is no longer than `bytes` and ends between characters.
pub fn clipped(text: &str, bytes: usize) -> &str {
    sink::clip(text, bytes)
}
