//! Splunk's HTTP Event Collector: events, raw lines, acknowledgement and health.
//!
//! An answer is given when the events are durable. So every acknowledgement id that a sender
//! was given stands for durable events, and is acknowledged whenever it asks.
//!
//! # Source
//! Splunk Enterprise 9 REST API reference, "Input endpoint descriptions, services/collector";
//! "About HTTP Event Collector Indexer Acknowledgment"; "Possible error codes".

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use watchfloor_decode::envelope::Enveloped;
use watchfloor_decode::envelope::hec::{HecFault, Metadata, events, lines};

use super::body::{BODY_REFUSED, read};
use super::submit::submit;
use super::{Labels, Sender};
use crate::ports::Format;
use crate::problem::ApiError;
use crate::state::ApiState;

/// Source of events without a kind of source.
const SOURCE: &str = "hec";
/// Channels whose count of answers is kept; of more, the oldest are forgotten.
const CHANNELS_MAX: usize = 10_000;
/// Acknowledgement ids in one question.
const ACKS_MAX: usize = 100_000;

/// How many answers each channel was given.
#[derive(Debug, Default)]
pub(crate) struct Channels(Mutex<BTreeMap<String, u64>>);

impl Channels {
    /// The id of the next answer of a channel.
    fn next(&self, channel: &str) -> u64 {
        let mut channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if channels.len() >= CHANNELS_MAX && !channels.contains_key(channel) {
            channels.pop_first();
        }
        let next = channels.entry(channel.to_owned()).or_default();
        let id = *next;
        *next += 1;
        id
    }

    /// Whether an id stands for durable events: one that this run gave, or an earlier one.
    fn is_durable(&self, channel: &str, id: u64) -> bool {
        let channels = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        channels.get(channel).is_none_or(|next| id < *next)
    }
}

/// An answer of the interface: HTTP status, its code, its words.
pub(crate) struct Fault {
    status: StatusCode,
    code: u8,
    text: String,
    event: Option<usize>,
    retry_after_s: Option<i64>,
}

impl Fault {
    fn new(status: StatusCode, code: u8, text: impl Into<String>) -> Self {
        Self {
            status,
            code,
            text: text.into(),
            event: None,
            retry_after_s: None,
        }
    }
}

impl From<ApiError> for Fault {
    fn from(error: ApiError) -> Self {
        let status = error.status();
        let code = match status {
            StatusCode::UNAUTHORIZED => 3,
            StatusCode::FORBIDDEN => 4,
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => 9,
            status if status.is_client_error() => 6,
            _ => 8,
        };
        let retry_after_s = error.retry_after_s();
        Self {
            retry_after_s,
            ..Self::new(status, code, error.detail())
        }
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let mut body = json!({ "text": self.text, "code": self.code });
        if let Some(event) = self.event {
            body["invalid-event-number"] = json!(event);
        }
        let mut response = (self.status, Json(body)).into_response();
        if let Some(seconds) = self.retry_after_s {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// What the query and the headers say.
struct Asked {
    metadata: Metadata,
    channel: Option<String>,
}

impl Asked {
    fn read(headers: &HeaderMap, uri: &Uri) -> Result<Self, Fault> {
        let mut asked = Self {
            metadata: Metadata::default(),
            channel: None,
        };
        let query = axum::extract::Query::<BTreeMap<String, String>>::try_from_uri(uri);
        let query = query.map(|query| query.0).unwrap_or_default();
        for (name, value) in query {
            let slot = match name.as_str() {
                "host" => &mut asked.metadata.host,
                // `source` is ours too: it names the source of the Sources page.
                "sourcetype" => &mut asked.metadata.sourcetype,
                "index" => &mut asked.metadata.index,
                "channel" => &mut asked.channel,
                _ => continue,
            };
            *slot = Some(value);
        }
        if let Some(channel) = headers.get("x-splunk-request-channel") {
            asked.channel = channel.to_str().ok().map(str::to_owned);
        }
        let is_id = |channel: &String| {
            channel.len() == 36 && channel.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
        };
        if asked
            .channel
            .as_ref()
            .is_some_and(|channel| !is_id(channel))
        {
            return Err(Fault::new(
                StatusCode::BAD_REQUEST,
                11,
                "Invalid data channel: it must be a UUID",
            ));
        }
        Ok(asked)
    }
}

/// Takes events in their envelopes.
pub(crate) async fn event(
    State(state): State<ApiState>,
    sender: Result<Sender, ApiError>,
    labels: Result<Labels, ApiError>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Fault> {
    let labels = admitted(sender, labels, &headers)?;
    let asked = Asked::read(&headers, &uri)?;
    let body = whole(&state, &headers, body).await?;
    let metadata = asked.metadata;
    let found = tokio::task::spawn_blocking(move || events(&body, &metadata));
    let found = found.await.map_err(|error| ApiError::internal(&error))?;
    if found.is_empty() {
        return Err(Fault::new(StatusCode::BAD_REQUEST, 5, "No data"));
    }
    let mut records = Vec::with_capacity(found.len());
    let mut first: Option<(usize, HecFault)> = None;
    for (number, event) in found.into_iter().enumerate() {
        match event {
            Ok(record) => records.push(record),
            Err(fault) => {
                first.get_or_insert((number, fault));
                state.intake().count_rejected(SOURCE, "malformed", 1);
            }
        }
    }
    let taken = take(&state, &labels, asked.channel, records, Format::Json).await?;
    let Some((number, fault)) = first else {
        return Ok(taken);
    };
    let (code, text) = match fault {
        HecFault::Malformed => (6, "Invalid data format"),
        HecFault::EventMissing => (12, "Event field is required"),
        HecFault::EventBlank => (13, "Event field cannot be blank"),
    };
    Err(Fault {
        event: Some(number),
        ..Fault::new(
            StatusCode::BAD_REQUEST,
            code,
            format!("{text}; the other events of the request are kept"),
        )
    })
}

/// Takes lines.
pub(crate) async fn raw(
    State(state): State<ApiState>,
    sender: Result<Sender, ApiError>,
    labels: Result<Labels, ApiError>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Fault> {
    let labels = admitted(sender, labels, &headers)?;
    let asked = Asked::read(&headers, &uri)?;
    let body = whole(&state, &headers, body).await?;
    let records = lines(&body, &asked.metadata);
    if records.is_empty() {
        return Err(Fault::new(StatusCode::BAD_REQUEST, 5, "No data"));
    }
    take(&state, &labels, asked.channel, records, Format::Auto).await
}

/// Says which answers stand for durable events.
pub(crate) async fn ack(
    State(state): State<ApiState>,
    sender: Result<Sender, ApiError>,
    headers: HeaderMap,
    uri: Uri,
    body: Body,
) -> Result<Response, Fault> {
    admitted(sender, Ok(Labels::default()), &headers)?;
    let Some(channel) = Asked::read(&headers, &uri)?.channel else {
        return Err(Fault::new(
            StatusCode::BAD_REQUEST,
            10,
            "Data channel is missing",
        ));
    };
    let body = read(&headers, body).await?;
    let ids: Option<Vec<u64>> = serde_json::from_slice::<Value>(&body)
        .ok()
        .and_then(|body| serde_json::from_value(body.get("acks")?.clone()).ok());
    let Some(ids) = ids.filter(|ids| ids.len() <= ACKS_MAX) else {
        return Err(Fault::new(
            StatusCode::BAD_REQUEST,
            6,
            "Invalid data format: expected {\"acks\": [0, 1]}",
        ));
    };
    let acks: serde_json::Map<String, Value> = ids
        .into_iter()
        .map(|id| {
            let is_durable = state.channels().is_durable(&channel, id);
            (id.to_string(), Value::Bool(is_durable))
        })
        .collect();
    Ok(Json(json!({ "acks": acks })).into_response())
}

/// Says that it listens.
pub(crate) async fn health() -> Response {
    Json(json!({ "text": "HEC is healthy", "code": 17 })).into_response()
}

fn admitted(
    sender: Result<Sender, ApiError>,
    labels: Result<Labels, ApiError>,
    headers: &HeaderMap,
) -> Result<Labels, Fault> {
    if !headers.contains_key(header::AUTHORIZATION) {
        return Err(Fault::new(StatusCode::UNAUTHORIZED, 2, "Token is required"));
    }
    sender.map_err(|error| match error.status() {
        StatusCode::UNAUTHORIZED => Fault::new(StatusCode::FORBIDDEN, 4, "Invalid token"),
        _ => Fault::from(error),
    })?;
    Ok(labels?)
}

async fn whole(state: &ApiState, headers: &HeaderMap, body: Body) -> Result<bytes::Bytes, Fault> {
    let read = read(headers, body).await;
    Ok(read.inspect_err(|_| state.intake().count_rejected(SOURCE, BODY_REFUSED, 1))?)
}

async fn take(
    state: &ApiState,
    labels: &Labels,
    channel: Option<String>,
    records: Vec<Enveloped>,
    format: Format,
) -> Result<Response, Fault> {
    let submitted = submit(state, labels, SOURCE, records, format).await?;
    if let Some(reason) = submitted.reason {
        return Err(Fault::new(StatusCode::BAD_REQUEST, 6, reason));
    }
    let mut answer = json!({ "text": "Success", "code": 0 });
    if let Some(channel) = channel {
        answer["ackId"] = json!(state.channels().next(&channel));
    }
    Ok(Json(answer).into_response())
}
