//! The routes of `/api/v1`, one file per group.

pub(crate) mod access;
pub(crate) mod actions;
pub(crate) mod alerts;
pub(crate) mod clocks;
pub(crate) mod duty;
pub(crate) mod events;
pub(crate) mod fleet;
pub(crate) mod handover;
pub(crate) mod hunt;
pub(crate) mod incidents;
pub(crate) mod indicators;
pub(crate) mod live;
pub(crate) mod monitor;
pub(crate) mod playbooks;
pub(crate) mod rules;
pub(crate) mod searches;
pub(crate) mod storage;
pub(crate) mod suppressions;
pub(crate) mod treatment;
pub(crate) mod work;

use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Serialize;
use watchfloor_casework::{Cursor, PageRequest};

use crate::problem::ApiError;

pub(crate) type ApiResult<T> = Result<T, ApiError>;

/// A record with its version as `ETag`.
pub(crate) fn tagged<T: Serialize>(version: u64, body: T) -> Response {
    let mut response = Json(body).into_response();
    if let Ok(value) = HeaderValue::try_from(format!("\"{version}\"")) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

pub(crate) fn page(cursor: Option<&str>, limit: Option<u32>) -> ApiResult<PageRequest> {
    let after = match cursor.filter(|text| !text.is_empty()) {
        Some(text) => {
            let decoded = Cursor::decode(text);
            Some(decoded.map_err(|error| ApiError::invalid("cursor", error.to_string()))?)
        }
        None => None,
    };
    Ok(PageRequest::new(after, limit))
}

/// Reads a comma-separated list of words of a closed list.
pub(crate) fn words<T>(
    field: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
) -> ApiResult<Vec<T>> {
    text.unwrap_or_default()
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty())
        .map(|word| {
            parse(word).ok_or_else(|| ApiError::invalid(field, format!("'{word}' is not known")))
        })
        .collect()
}

/// `none` means nobody or nothing; an empty text means no filter.
pub(crate) fn none_or(text: Option<String>) -> Option<Option<String>> {
    text.filter(|text| !text.is_empty())
        .map(|text| (text != "none").then_some(text))
}

pub(crate) fn not_blank(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

pub(crate) fn time(field: &str, text: Option<&str>) -> ApiResult<Option<Timestamp>> {
    text.filter(|text| !text.is_empty())
        .map(|text| {
            text.parse::<Timestamp>()
                .map_err(|_| ApiError::invalid(field, "expected a time as in RFC 3339"))
        })
        .transpose()
}
