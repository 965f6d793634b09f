//! Extractors whose refusals are problems, the caller of a request, and versions.

use std::net::SocketAddr;

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, StatusCode, header};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use watchfloor_casework::{Credential, Peer, SignedIn};
use watchfloor_model::Actor;

use crate::problem::{ApiError, ProblemCode};
use crate::state::ApiState;

/// Name of the session cookie.
pub(crate) const SESSION_COOKIE: &str = "wf_session";

/// Header that a changing call by cookie needs: a page of another origin cannot set it.
pub(crate) const CSRF_HEADER: &str = "x-watchfloor";

/// A JSON body.
pub(crate) struct ApiJson<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequest<ApiState> for ApiJson<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &ApiState) -> Result<Self, ApiError> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(json_problem(&rejection)),
        }
    }
}

fn json_problem(rejection: &JsonRejection) -> ApiError {
    let (status, code) = match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => (StatusCode::PAYLOAD_TOO_LARGE, ProblemCode::BodyTooLarge),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            ProblemCode::MediaTypeUnsupported,
        ),
        _ => (StatusCode::BAD_REQUEST, ProblemCode::BodyInvalid),
    };
    ApiError::new(status, code, rejection.body_text())
}

/// The query string.
pub(crate) struct ApiQuery<T>(pub(crate) T);

impl<T: DeserializeOwned> FromRequestParts<ApiState> for ApiQuery<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        match Query::<T>::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::invalid("query", rejection.body_text())),
        }
    }
}

/// Parts of the path.
pub(crate) struct ApiPath<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<ApiState> for ApiPath<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        match Path::<T>::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) => Err(ApiError::not_found(rejection.body_text())),
        }
    }
}

/// Tells `null` (the inner `None`) from a field that is not there (the outer).
pub(crate) fn present<'de, T, D>(deserializer: D) -> Result<Option<Option<T>>, D::Error>
where
    T: Deserialize<'de>,
    D: Deserializer<'de>,
{
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Who calls: a signed-in browser or an API token.
pub(crate) struct Caller(pub(crate) SignedIn);

impl Caller {
    pub(crate) fn actor(&self) -> &Actor {
        &self.0.actor
    }
}

impl FromRequestParts<ApiState> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &ApiState) -> Result<Self, ApiError> {
        let casework = state.casework();
        if let Some(token) = bearer(&parts.headers) {
            let found = casework.identify(&Credential::Token(token)).await?;
            return found.map(Self).ok_or_else(ApiError::unauthenticated);
        }
        let found = match session_cookie(&parts.headers) {
            Some(secret) => casework.identify(&Credential::Session(secret)).await?,
            None => None,
        };
        let Some(signed_in) = found else {
            let required = casework.setup_required().await?;
            return Err(ApiError::unauthenticated().with_setup_required(required));
        };
        check_csrf(&parts.method, &parts.headers)?;
        Ok(Self(signed_in))
    }
}

/// Refuses a changing call by cookie without the header that only our own page can set.
pub(crate) fn check_csrf(method: &Method, headers: &HeaderMap) -> Result<(), ApiError> {
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let marked = headers.get(CSRF_HEADER).is_some_and(|value| value == "1");
    if reads || marked {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::FORBIDDEN,
        ProblemCode::CsrfHeaderMissing,
        "changing calls with a session cookie need the header X-Watchfloor: 1",
    ))
}

fn bearer(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = value.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim().to_owned())
}

pub(crate) fn session_cookie(headers: &HeaderMap) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(name, _)| *name == SESSION_COOKIE)
        .map(|(_, value)| value.to_owned())
}

/// Whence a request comes.
pub(crate) struct Whence(pub(crate) Peer);

impl FromRequestParts<ApiState> for Whence {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, Self::Rejection> {
        let address = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or_else(|| "unknown".to_owned(), |info| info.0.ip().to_string());
        let user_agent = parts
            .headers
            .get(header::USER_AGENT)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        Ok(Self(Peer {
            address,
            user_agent,
        }))
    }
}

/// The version that the caller read, by `If-Match`.
pub(crate) struct IfMatch(pub(crate) Option<u64>);

impl FromRequestParts<ApiState> for IfMatch {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &ApiState) -> Result<Self, ApiError> {
        let Some(value) = parts.headers.get(header::IF_MATCH) else {
            return Ok(Self(None));
        };
        let text = value.to_str().unwrap_or_default().trim();
        if text == "*" {
            return Ok(Self(None));
        }
        let number = text.trim_start_matches("W/").trim_matches('"').parse();
        number
            .map(|version| Self(Some(version)))
            .map_err(|_| ApiError::invalid("If-Match", "expected the ETag of the record"))
    }
}

/// Parses an id of a path; one that is malformed names no record.
pub(crate) fn id<T: std::str::FromStr>(text: &str) -> Result<T, ApiError> {
    text.parse()
        .map_err(|_| ApiError::not_found("no record has this id"))
}
