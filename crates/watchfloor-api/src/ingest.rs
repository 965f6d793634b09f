//! Records from senders over HTTP: `/ingest/ndjson` and the bulk interface of Elasticsearch.
//!
//! Bodies are read within limits, cut into lines, and handed to the `Intake` port; the answer
//! is given once every accepted line is durable.

mod body;
pub(crate) mod bulk;
pub(crate) mod hec;
mod loki;
mod ndjson;
mod otlp;
mod single;
mod submit;

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
        .route("/v1/logs", post(otlp::take))
        .route("/ingest/v1/logs", post(otlp::take))
        .route("/loki/api/v1/push", post(loki::take))
        .route("/ingest/loki/api/v1/push", post(loki::take))
        .route("/gelf", post(single::gelf))
        .route("/ingest/gelf", post(single::gelf))
        .route("/ingest/raw", post(single::raw))
        .route("/ingest/windows-xml", post(single::windows_xml))
        .nest("/services/collector", collector())
        .nest("/ingest/services/collector", collector())
        // Bodies are read by this module under its own limits.
        .layer(DefaultBodyLimit::disable())
}

/// Splunk's HTTP Event Collector.
fn collector() -> Router<ApiState> {
    Router::new()
        .route("/", post(hec::event))
        .route("/event", post(hec::event))
        .route("/event/1.0", post(hec::event))
        .route("/raw", post(hec::raw))
        .route("/raw/1.0", post(hec::raw))
        .route("/ack", post(hec::ack))
        .route("/health", get(hec::health))
        .route("/health/1.0", get(hec::health))
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
        "bearer" | "splunk" => Some(text.to_owned()),
        "basic" => decoded()?.split_once(':').map(|(_, key)| key.to_owned()),
        "apikey" if text.starts_with("wf_") => Some(text.to_owned()),
        "apikey" => decoded()?.split_once(':').map(|(_, key)| key.to_owned()),
        _ => None,
    }
}

/// Source and product that a sender names: in the query, or in `X-Watchfloor-Source` and
/// `X-Watchfloor-Product`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Labels {
    pub(crate) source: Option<String>,
    pub(crate) product: Option<String>,
}

impl Labels {
    /// Nothing is named.
    #[cfg(test)]
    pub(crate) const NONE: Self = Self {
        source: None,
        product: None,
    };
}

/// What senders may say in the query of any way in; other words are the protocol's own.
#[derive(serde::Deserialize)]
struct LabelQuery {
    source: Option<String>,
    product: Option<String>,
}

impl FromRequestParts<ApiState> for Labels {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let crate::extract::ApiQuery(query) =
            crate::extract::ApiQuery::<LabelQuery>::from_request_parts(parts, state).await?;
        let header = |name: &str| -> Result<Option<String>, ApiError> {
            let Some(value) = parts.headers.get(name) else {
                return Ok(None);
            };
            let text = value.to_str().ok().filter(|text| !text.is_empty());
            let text = text.ok_or_else(|| ApiError::invalid(name, "expected text"))?;
            Ok(Some(text.to_owned()))
        };
        let source = match query.source {
            Some(name) => Some(checked_source("source", &name)?),
            None => header("x-watchfloor-source")?
                .map(|name| checked_source("x-watchfloor-source", &name))
                .transpose()?,
        };
        let product = match query.product {
            Some(name) => Some(name),
            None => header("x-watchfloor-product")?,
        };
        if let Some(product) = &product {
            let checked = state.intake().check_product(product);
            checked.map_err(|reason| ApiError::invalid("product", reason))?;
        }
        Ok(Self { source, product })
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
            ("Splunk wf_x", Some("wf_x")),
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
