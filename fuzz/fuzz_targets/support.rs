//! A record around fuzzed bytes, with a fixed clock.

use bytes::Bytes;
use jiff::Timestamp;
use watchfloor_decode::{Decoder, Limits};
use watchfloor_event::{EventBatch, Format, RawRecord};

/// Decodes bytes as a format and checks that no record is lost.
pub(crate) fn decoded(format: Format, context: Option<&str>, bytes: &[u8]) -> EventBatch {
    let mut batch = EventBatch::new();
    let record = RawRecord {
        source: "fuzz".into(),
        format,
        context: context.map(Into::into),
        position: 0,
        received_at: Timestamp::constant(1_795_521_600, 0),
        bytes: Bytes::copy_from_slice(bytes),
    };
    let rows = Decoder::new(Limits::STANDARD).decode(&mut batch, &record);
    assert!(rows > 0 && rows == batch.len());
    batch
}
