//! Loki's push: `POST /loki/api/v1/push`, Snappy-packed Protocol Buffers or JSON.
//!
//! # Source
//! Grafana Loki documentation, "Loki HTTP API, Ingest logs".

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use watchfloor_decode::envelope::{EnvelopeError, Enveloped, loki};

use super::body::{BODY_BYTES_MAX, BODY_REFUSED, read, too_large};
use super::otlp::malformed;
use super::submit::submit;
use super::{Labels, Sender};
use crate::ports::Format;
use crate::problem::{ApiError, ProblemCode};
use crate::state::ApiState;

/// Source of records whose sender names none.
const SOURCE: &str = "loki";

/// Takes a request; answers after its records are durable.
pub(crate) async fn take(
    State(state): State<ApiState>,
    _sender: Sender,
    labels: Labels,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let refused = |_: &ApiError| state.intake().count_rejected(SOURCE, BODY_REFUSED, 1);
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let is_json = match kind.split(';').next().unwrap_or_default().trim() {
        "application/json" => true,
        "application/x-protobuf" => false,
        other => {
            let error = ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ProblemCode::MediaTypeUnsupported,
                format!(
                    "content type '{other}' is not known; use application/json or application/x-protobuf"
                ),
            );
            refused(&error);
            return Err(error);
        }
    };
    let body = read_body(&headers, body, is_json)
        .await
        .inspect_err(refused)?;
    let records = tokio::task::spawn_blocking(move || unpack(&body, is_json));
    let records = records.await.map_err(|error| ApiError::internal(&error))?;
    let records = records.inspect_err(refused)?;
    let submitted = submit(&state, &labels, SOURCE, records, Format::Json).await?;
    match submitted.reason {
        // The sender would send all of it again on an error, so this is not one.
        Some(reason) if submitted.accepted == 0 => Err(ApiError::invalid("streams", reason)),
        _ => Ok(StatusCode::NO_CONTENT),
    }
}

/// Senders name Snappy as the content's encoding or not at all; it belongs to the form.
async fn read_body(headers: &HeaderMap, body: Body, is_json: bool) -> Result<Bytes, ApiError> {
    let mut headers = headers.clone();
    let is_snappy = headers
        .get(header::CONTENT_ENCODING)
        .is_some_and(|value| value == "snappy");
    if is_snappy && !is_json {
        headers.remove(header::CONTENT_ENCODING);
    }
    read(&headers, body).await
}

fn unpack(body: &[u8], is_json: bool) -> Result<Vec<Enveloped>, ApiError> {
    if is_json {
        return loki::from_json(body).map_err(malformed);
    }
    let snappy = |error: snap::Error| {
        malformed(EnvelopeError::Malformed {
            form: "Snappy block",
            reason: error.to_string(),
        })
    };
    if snap::raw::decompress_len(body).map_err(snappy)? > BODY_BYTES_MAX {
        return Err(too_large());
    }
    let plain = snap::raw::Decoder::new()
        .decompress_vec(body)
        .map_err(snappy)?;
    loki::from_protobuf(&plain).map_err(malformed)
}
