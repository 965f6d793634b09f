//! Records from senders over HTTP: `/ingest/ndjson` and the bulk interface of Elasticsearch.
//!
//! Bodies are read within limits, cut into lines, and handed to the `Intake` port; the answer
//! is given once every accepted line is durable.

mod body;
pub(crate) mod bulk;
mod ndjson;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::routing::{get, post};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use watchfloor_casework::Credential;
use watchfloor_model::Permission;

use crate::problem::ApiError;
use crate::state::ApiState;

/// Longest record; a longer line is refused alone.
pub(crate) const LINE_BYTES_MAX: usize = 1024 * 1024;

/// Longest name of a source, in bytes.
const SOURCE_BYTES_MAX: usize = 128;

pub(crate) fn router() -> Router<ApiState> {
    Router::new()
        .route("/ingest/ndjson", post(ndjson::take))
        .route("/ingest", get(bulk::info))
        .route("/ingest/", get(bulk::info))
        .route("/ingest/_bulk", post(bulk::take).put(bulk::take))
        .route("/_bulk", post(bulk::take).put(bulk::take))
        .route("/{index}/_bulk", post(bulk::take_into).put(bulk::take_into))
        .route(
            "/ingest/{index}/_bulk",
            post(bulk::take_into).put(bulk::take_into),
        )
        // Bodies are read by this module under its own limits.
        .layer(DefaultBodyLimit::disable())
}

/// A sender with a token that may ingest.
pub(crate) struct Sender;

impl FromRequestParts<ApiState> for Sender {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let token = token_of(&parts.headers).ok_or_else(ApiError::unauthenticated)?;
        let casework = state.casework();
        let found = casework.identify(&Credential::Token(token)).await?;
        let sender = found.ok_or_else(ApiError::unauthenticated)?;
        casework.authorize(&sender.actor, Permission::Ingest)?;
        Ok(Self)
    }
}

/// The token of a sender: as bearer, as password of basic, or as API key of Elasticsearch (plain
/// or as base64 of `id:key`).
fn token_of(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, text) = value.split_once(' ')?;
    let text = text.trim();
    let decoded = || String::from_utf8(STANDARD.decode(text).ok()?).ok();
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(text.to_owned()),
        "basic" => decoded()?.split_once(':').map(|(_, key)| key.to_owned()),
        "apikey" if text.starts_with("wf_") => Some(text.to_owned()),
        "apikey" => decoded()?.split_once(':').map(|(_, key)| key.to_owned()),
        _ => None,
    }
}

/// Checks the name of a source.
pub(crate) fn checked_source(field: &str, name: &str) -> Result<String, ApiError> {
    let plain = !name.is_empty()
        && name.len() <= SOURCE_BYTES_MAX
        && !name.chars().any(|c| c.is_control() || c.is_whitespace());
    if plain {
        return Ok(name.to_owned());
    }
    Err(ApiError::invalid(
        field,
        "expected 1 to 128 bytes without spaces",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens() {
        for (value, expected) in [
            ("Bearer wf_x", Some("wf_x")),
            ("bearer wf_x", Some("wf_x")),
            ("Basic ZWxhc3RpYzp3Zl94", Some("wf_x")),
            ("ApiKey aWQ6d2ZfeA==", Some("wf_x")),
            ("ApiKey wf_x", Some("wf_x")),
            ("Basic %%%", None),
            ("Digest x", None),
            ("wf_x", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            assert_eq!(token_of(&headers).as_deref(), expected, "{value}");
        }
    }
}
