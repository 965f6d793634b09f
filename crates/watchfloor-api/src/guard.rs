//! What surrounds every request: its id, the check of the `Host` header, security headers, and
//! an answer even when a handler panics.

use std::any::Any;

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::problem::{ApiError, ProblemCode};
use crate::state::{ApiState, HostPolicy};

/// Header with the request id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Scripts only from our own files, nothing from elsewhere, no frames. Inline style is allowed
/// because the component library writes its theme into a style element; inline script is not.
const CONTENT_SECURITY_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; manifest-src 'self'; worker-src 'self'; base-uri 'none'; \
     form-action 'self'; frame-ancestors 'none'",
);

tokio::task_local! {
    static CURRENT_ID: String;
}

/// Id of the request being answered; empty outside of one.
pub(crate) fn request_id() -> String {
    CURRENT_ID.try_with(Clone::clone).unwrap_or_default()
}

/// Gives the request an id and logs how it ended.
pub(crate) async fn number(request: Request, next: Next) -> Response {
    let mut bytes = [0_u8; 8];
    // Without random bytes ids repeat, which only makes the log harder to read.
    let _id_may_be_zero = getrandom::fill(&mut bytes);
    let id = hex::encode(bytes);
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let started = std::time::Instant::now();
    let mut response = CURRENT_ID.scope(id.clone(), next.run(request)).await;
    tracing::debug!(
        request_id = %id,
        %method,
        path,
        status = response.status().as_u16(),
        took_ms = started.elapsed().as_millis(),
        "request"
    );
    if let Ok(value) = HeaderValue::try_from(id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Refuses requests that were sent to another name: a page that makes its name point to this
/// machine (DNS rebinding) gets no answer.
pub(crate) async fn admit(State(state): State<ApiState>, request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|value| value.to_str().ok())
        .or_else(|| request.uri().host())
        .unwrap_or_default();
    if is_allowed(&state.settings().hosts, host) {
        return next.run(request).await;
    }
    ApiError::new(
        StatusCode::MISDIRECTED_REQUEST,
        ProblemCode::HostNotAllowed,
        "the Host header names another server; add the name to the configuration",
    )
    .into_response()
}

fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split(']').next().unwrap_or_default();
    }
    host.split(':').next().unwrap_or_default()
}

fn is_allowed(policy: &HostPolicy, host: &str) -> bool {
    let name = without_port(host);
    let is_loopback = name.eq_ignore_ascii_case("localhost")
        || name
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback());
    match policy {
        HostPolicy::Any => true,
        HostPolicy::Loopback => is_loopback,
        HostPolicy::Names(names) => {
            is_loopback || names.iter().any(|known| known.eq_ignore_ascii_case(name))
        }
    }
}

/// Adds the security headers.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            HeaderValue::from_static("same-origin"),
        ),
        (
            HeaderName::from_static("permissions-policy"),
            HeaderValue::from_static("camera=(), microphone=(), geolocation=(), payment=()"),
        ),
    ] {
        headers.insert(name, value);
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

/// Answers when a handler panicked.
pub(crate) fn panicked(cause: Box<dyn Any + Send + 'static>) -> Response {
    let text = cause
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| cause.downcast_ref::<&str>().copied())
        .unwrap_or("no reason given");
    tracing::error!(request_id = %request_id(), cause = text, "a handler panicked");
    ApiError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        ProblemCode::Internal,
        "the server failed; its log has more under the request id",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        let names = HostPolicy::Names(vec!["soc.example".to_owned()]);
        for (policy, host, expected) in [
            (&HostPolicy::Loopback, "localhost:8080", true),
            (&HostPolicy::Loopback, "127.0.0.1:1", true),
            (&HostPolicy::Loopback, "[::1]:80", true),
            (&HostPolicy::Loopback, "evil.example", false),
            (&HostPolicy::Loopback, "", false),
            (&names, "SOC.example:443", true),
            (&names, "other.example", false),
            (&HostPolicy::Any, "anything", true),
        ] {
            assert_eq!(is_allowed(policy, host), expected, "{host}");
        }
    }
}
