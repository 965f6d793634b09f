//! Reads a body within limits, unpacks gzip within limits, cuts it into lines.

use std::io::Read;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use crate::problem::{ApiError, ProblemCode};

/// Largest body, as sent and unpacked.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The ledger's word for a body that was refused as a whole.
pub(crate) const BODY_REFUSED: &str = "body_refused";

pub(crate) fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        ProblemCode::BodyTooLarge,
        "the body is larger than 64 MiB when unpacked; send it in parts",
    )
}

/// Reads the whole body, unpacked.
pub(crate) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, ApiError> {
    let packed = match Limited::new(body, BODY_BYTES_MAX).collect().await {
        Ok(collected) => collected.to_bytes(),
        Err(error) if error.downcast_ref::<LengthLimitError>().is_some() => {
            return Err(too_large());
        }
        Err(error) => {
            return Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                ProblemCode::BodyInvalid,
                format!("the body could not be read: {error}"),
            ));
        }
    };
    let encoding = headers
        .get(header::CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("identity")
        .trim()
        .to_ascii_lowercase();
    match encoding.as_str() {
        "identity" | "" => Ok(packed),
        "gzip" | "x-gzip" => {
            let unpacked = tokio::task::spawn_blocking(move || {
                unpack(MultiGzDecoder::new(&packed[..]), "gzip")
            });
            unpacked.await.map_err(|error| ApiError::internal(&error))?
        }
        // Senders mean zlib by it, as the standard does.
        "deflate" => {
            let unpacked = tokio::task::spawn_blocking(move || {
                unpack(ZlibDecoder::new(&packed[..]), "deflate")
            });
            unpacked.await.map_err(|error| ApiError::internal(&error))?
        }
        other => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ProblemCode::MediaTypeUnsupported,
            format!("content encoding '{other}' is not known; use gzip, deflate or none"),
        )),
    }
}

/// Unpacks within the limit: memory grows with what comes out, never beyond it.
fn unpack(unpacked: impl Read, form: &str) -> Result<Bytes, ApiError> {
    let limit = BODY_BYTES_MAX as u64 + 1;
    let mut plain = Vec::new();
    unpacked
        .take(limit)
        .read_to_end(&mut plain)
        .map_err(|error| {
            ApiError::new(
                StatusCode::BAD_REQUEST,
                ProblemCode::BodyInvalid,
                format!("the body is not well-formed {form}: {error}"),
            )
        })?;
    if plain.len() > BODY_BYTES_MAX {
        return Err(too_large());
    }
    Ok(Bytes::from(plain))
}

/// Cuts into lines, without their ends, each with its number from 1; blank lines are left out.
pub(crate) fn lines(body: &Bytes) -> impl Iterator<Item = (u64, Bytes)> {
    let mut rest = body.clone();
    let mut number = 0_u64;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            number += 1;
            let end = rest.iter().position(|b| *b == b'\n');
            let mut line = match end {
                Some(end) => {
                    let line = rest.split_to(end);
                    let _line_feed = rest.split_to(1);
                    line
                }
                None => std::mem::take(&mut rest),
            };
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if !line.iter().all(u8::is_ascii_whitespace) {
                return Some((number, line));
            }
        }
    })
}

/// Why a line is no JSON, if so. Depth and UTF-8 are the decoder's to judge: such records are
/// stored with an anomaly.
pub(crate) fn json_fault(line: &[u8]) -> Option<String> {
    serde_json::from_slice::<serde::de::IgnoredAny>(line)
        .err()
        .map(|error| format!("not well-formed JSON: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_with_all_kinds_of_ends() {
        let body = Bytes::from_static(b"a\r\n\n  \nb\nc");
        let found: Vec<(u64, Bytes)> = lines(&body).collect();
        assert_eq!(
            found,
            [
                (1, Bytes::from("a")),
                (4, Bytes::from("b")),
                (5, Bytes::from("c"))
            ]
        );
    }

    #[test]
    fn deep_json_is_left_to_the_decoder() {
        let deep = "[".repeat(10_000) + &"]".repeat(10_000);
        assert_eq!(json_fault(deep.as_bytes()), None);
        assert!(json_fault(b"{\"a\":").is_some());
        assert!(json_fault(b"{} {}").is_some());
    }
}
