//! Bodies that are one record or a file of them: GELF over HTTP, lines of any kind, and Windows
//! events as XML, as forwarders post them.
//!
//! # Source
//! Graylog documentation, "GELF via HTTP"; Microsoft, "Windows Event Schema".

use std::ops::ControlFlow;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde::Serialize;
use watchfloor_decode::envelope::Enveloped;
use watchfloor_decode::framing::{FileFormat, read_records};

use super::body::{BODY_REFUSED, json_fault, lines, read};
use super::submit::submit;
use super::{Labels, Sender};
use crate::ports::Format;
use crate::problem::{ApiError, ProblemCode};
use crate::state::ApiState;

/// What became of a body.
#[derive(Serialize)]
pub(crate) struct Answer {
    accepted: u64,
    rejected: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `POST /gelf`: one GELF message, or several on lines of their own.
pub(crate) async fn gelf(
    State(state): State<ApiState>,
    _sender: Sender,
    labels: Labels,
    headers: HeaderMap,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let refused = |_: &ApiError| state.intake().count_rejected("gelf", BODY_REFUSED, 1);
    let body = read(&headers, body).await.inspect_err(refused)?;
    let whole = json_fault(&body).is_none();
    let mut records = Vec::new();
    if whole {
        records.push(enveloped(&body));
    } else {
        for (number, line) in lines(&body) {
            if let Some(reason) = json_fault(&line) {
                let error = ApiError::new(
                    StatusCode::BAD_REQUEST,
                    ProblemCode::BodyInvalid,
                    format!(
                        "line {number} is no GELF message: {reason}; nothing of the body is kept"
                    ),
                );
                refused(&error);
                return Err(error);
            }
            records.push(enveloped(&line));
        }
    }
    let submitted = submit(&state, &labels, "gelf", records, Format::Json).await?;
    match submitted.reason {
        Some(reason) => Err(ApiError::invalid("body", reason)),
        None => Ok(StatusCode::ACCEPTED),
    }
}

/// `POST /ingest/raw`: lines of any kind.
pub(crate) async fn raw(
    State(state): State<ApiState>,
    _sender: Sender,
    labels: Labels,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    let refused = |_: &ApiError| state.intake().count_rejected("http", BODY_REFUSED, 1);
    let body = read(&headers, body).await.inspect_err(refused)?;
    let records = lines(&body).map(|(_, line)| enveloped(&line)).collect();
    answer(&state, &labels, "http", records, Format::Auto).await
}

/// `POST /ingest/windows-xml`: `<Event>` elements, one or many, with or without a root around
/// them, in UTF-8 or UTF-16.
pub(crate) async fn windows_xml(
    State(state): State<ApiState>,
    _sender: Sender,
    labels: Labels,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    let refused = |_: &ApiError| {
        state
            .intake()
            .count_rejected("windows-xml", BODY_REFUSED, 1)
    };
    let body = read(&headers, body).await.inspect_err(refused)?;
    let records = tokio::task::spawn_blocking(move || events(&body));
    let records = records.await.map_err(|error| ApiError::internal(&error))?;
    let records = records.inspect_err(refused)?;
    answer(&state, &labels, "windows-xml", records, Format::WindowsXml).await
}

async fn answer(
    state: &ApiState,
    labels: &Labels,
    protocol: &str,
    records: Vec<Enveloped>,
    format: Format,
) -> Result<Json<Answer>, ApiError> {
    let submitted = submit(state, labels, protocol, records, format).await?;
    Ok(Json(Answer {
        accepted: submitted.accepted,
        rejected: submitted.rejected,
        reason: submitted.reason,
    }))
}

fn events(body: &[u8]) -> Result<Vec<Enveloped>, ApiError> {
    let utf8 = match body {
        [0xff, 0xfe, rest @ ..] => Some(utf16(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Some(utf16(rest, u16::from_be_bytes)),
        _ => None,
    };
    let text = utf8.as_deref().unwrap_or(body);
    let mut records = Vec::new();
    let read = read_records(text, "", Some(FileFormat::WindowsXml), &mut |record| {
        records.push(enveloped(record.bytes));
        ControlFlow::Continue(())
    });
    let fault = match read {
        Err(error) => Some(error.to_string()),
        Ok(_) if records.is_empty() => Some("it holds no <Event> element".to_owned()),
        Ok(_) => None,
    };
    match fault {
        Some(reason) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            ProblemCode::BodyInvalid,
            format!("the body is not Windows events as XML: {reason}"),
        )),
        None => Ok(records),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Vec<u8> {
    let units = bytes.chunks_exact(2).map(|two| unit([two[0], two[1]]));
    char::decode_utf16(units)
        .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
        .collect::<String>()
        .into_bytes()
}

fn enveloped(bytes: &[u8]) -> Enveloped {
    Enveloped {
        bytes: bytes.to_vec(),
        label: None,
    }
}
