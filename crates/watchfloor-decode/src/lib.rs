//! Bytes to fields, one folder per format.
//!
//! [`Decoder::decode`] turns one raw record into one or more rows of an
//! [`EventBatch`](watchfloor_event::EventBatch): fields of the source under the names that the
//! source gave them, an own time where the format itself has one, and an anomaly for all that
//! was odd. No record is dropped and none makes it panic. [`framing`] cuts the bytes of files
//! into records. What a field means to a product is the business of the mapping packs.

mod access_log;
mod auditd;
mod decoder;
mod detect;
pub mod framing;
mod journal;
mod json;
mod key_value;
mod limits;
mod sink;
mod syslog;
pub mod time;
mod windows;
mod zeek;

pub use decoder::{Decoder, decode};
pub use detect::{LineForm, line_form};
pub use key_value::pairs;
pub use limits::{Limits, MAX_RECORD_BYTES};
