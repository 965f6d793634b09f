//! The named limits of decoding. Each protects memory and time against hostile input; what
//! lies beyond stays reachable in the raw bytes and is reported as an anomaly.

/// Longest record that is decoded, in bytes. Framing cuts longer records to exactly this
/// length, which is how the decoder knows that one was cut.
pub const MAX_RECORD_BYTES: usize = 1024 * 1024;

/// Limits of one decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Deepest nesting of JSON objects and lists.
    pub depth_max: usize,
    /// Most fields of one event.
    pub fields_max: usize,
    /// Longest value, in bytes.
    pub value_bytes_max: usize,
}

impl Limits {
    /// The limits of the product.
    pub const STANDARD: Self = Self {
        depth_max: 128,
        fields_max: 4096,
        value_bytes_max: MAX_RECORD_BYTES,
    };
}
