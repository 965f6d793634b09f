//! Modifiers that encode values: base64 in its forms, UTF-16 in its forms.
//!
//! # Source
//! Sigma specification 2.1, modifiers appendix, "Encoding"; RFC 4648.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::pattern::{Part, Pattern};

/// A value on its way through the transforms.
#[derive(Clone)]
pub(super) enum Working {
    Text(Pattern),
    Bytes(Vec<u8>),
}

pub(super) fn base64(value: Working) -> Working {
    Working::Bytes(STANDARD.encode(bytes_of(value)).into_bytes())
}

pub(super) fn utf16(value: Working, mark: &[u8], order: fn(u16) -> [u8; 2]) -> Working {
    let text = match value {
        Working::Text(pattern) => text_of(&pattern),
        Working::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    let mut bytes = mark.to_vec();
    bytes.extend(text.encode_utf16().flat_map(order));
    Working::Bytes(bytes)
}

/// The parts of the three base64 forms that do not depend on the bytes around the value.
pub(super) fn base64_offsets(value: Working) -> Vec<Working> {
    const START: [usize; 3] = [0, 2, 3];
    const CUT: [usize; 3] = [0, 3, 2];
    let bytes = bytes_of(value);
    (0..3)
        .map(|offset| {
            let mut padded = vec![b' '; offset];
            padded.extend_from_slice(&bytes);
            let encoded = STANDARD.encode(&padded);
            let end = encoded.len().saturating_sub(CUT[padded.len() % 3]);
            let start = START[offset].min(end);
            Working::Bytes(encoded.as_bytes()[start..end].to_vec())
        })
        .collect()
}

fn bytes_of(value: Working) -> Vec<u8> {
    match value {
        Working::Bytes(bytes) => bytes,
        Working::Text(pattern) => text_of(&pattern).into_bytes(),
    }
}

/// Encodings act on the text as written, wildcards taken literally.
pub(super) fn text_of(pattern: &Pattern) -> String {
    let part = |part: &Part| match part {
        Part::Literal(text) => text.clone(),
        Part::Any => "*".to_owned(),
        Part::One => "?".to_owned(),
    };
    pattern.parts().iter().map(part).collect()
}
