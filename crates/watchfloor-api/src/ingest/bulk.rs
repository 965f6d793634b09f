//! The bulk interface of Elasticsearch, as far as senders need it.
//!
//! # Source
//! Elasticsearch 8 reference, "Bulk API" and "Info API". A malformed action line, which fails
//! the whole body there, costs only its own item here.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Json, http};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::body::{BODY_REFUSED, json_fault, lines, read};
use super::{LINE_BYTES_MAX, Labels, Sender, checked_source};
use crate::extract::ApiPath;
use crate::guard::request_id;
use crate::ports::{Format, IngestItem, ItemOutcome};
use crate::problem::ApiError;
use crate::state::ApiState;

/// Version of the interface that is spoken.
const SPOKEN_VERSION: &str = "8.15.0";

/// Index of items that name none.
const INDEX: &str = "bulk";

/// Clients refuse a server without this header.
const PRODUCT: (HeaderName, HeaderValue) = (
    HeaderName::from_static("x-elastic-product"),
    HeaderValue::from_static("Elasticsearch"),
);

/// Longest `_id`.
const ID_BYTES_MAX: usize = 512;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Index,
    Create,
    Update,
    Delete,
}

impl Operation {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Index => "index",
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
        }
    }
}

#[derive(Default, Deserialize)]
struct Target {
    #[serde(rename = "_index")]
    index: Option<String>,
    #[serde(rename = "_id")]
    id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ActionLine {
    index: Option<Target>,
    create: Option<Target>,
    update: Option<Target>,
    delete: Option<Target>,
}

impl ActionLine {
    fn parse(line: &[u8]) -> Option<(Operation, Target)> {
        let action: Self = serde_json::from_slice(line).ok()?;
        let mut found = [
            (Operation::Index, action.index),
            (Operation::Create, action.create),
            (Operation::Update, action.update),
            (Operation::Delete, action.delete),
        ]
        .into_iter()
        .filter_map(|(operation, target)| Some((operation, target?)));
        let only = found.next()?;
        found.next().is_none().then_some(only)
    }
}

/// An item of the answer: taken up to the port, or refused here.
struct Item {
    operation: Operation,
    index: String,
    id: Option<String>,
    /// Why it was refused: type and reason.
    fault: Option<(&'static str, String)>,
    /// Under which word the refusal is counted.
    counted: Option<&'static str>,
}

/// Says what this is, as clients ask before they send.
pub(crate) async fn info() -> Response {
    let body = json!({
        "name": "watchfloor",
        "cluster_name": "watchfloor",
        "cluster_uuid": "watchfloor",
        "version": {
            "number": SPOKEN_VERSION,
            "build_flavor": "default",
            "build_type": "watchfloor",
            "lucene_version": "9.11.1",
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0"
        },
        "tagline": "You Know, for Search"
    });
    ([PRODUCT], Json(body)).into_response()
}

/// Takes items that name their index.
pub(crate) async fn take(
    State(state): State<ApiState>,
    sender: Result<Sender, ApiError>,
    labels: Result<Labels, ApiError>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let result = match sender.and(labels) {
        Ok(labels) => bulk(&state, INDEX, labels, &headers, body).await,
        Err(error) => Err(error),
    };
    answered(result, &headers)
}

/// Takes items for the index of the path.
pub(crate) async fn take_into(
    State(state): State<ApiState>,
    sender: Result<Sender, ApiError>,
    labels: Result<Labels, ApiError>,
    ApiPath(index): ApiPath<String>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let result = match sender.and(labels) {
        Ok(labels) => bulk(&state, &index, labels, &headers, body).await,
        Err(error) => Err(error),
    };
    answered(result, &headers)
}

/// Answers in the form that clients read: errors too, because they refuse the media type of
/// problems; and in their own media type, which those of version 8 ask for.
fn answered(result: Result<Answer, ApiError>, headers: &HeaderMap) -> Response {
    let mut response = match result {
        Ok(body) => Json(body).into_response(),
        Err(error) => fault(&error),
    };
    let wants_vendor = headers
        .get(http::header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|text| text.contains("vnd.elasticsearch+json"));
    let out = response.headers_mut();
    if wants_vendor {
        out.insert(
            http::header::CONTENT_TYPE,
            HeaderValue::from_static("application/vnd.elasticsearch+json;compatible-with=8"),
        );
    }
    out.insert(PRODUCT.0, PRODUCT.1);
    response
}

fn fault(error: &ApiError) -> Response {
    // Clients wait and try again on 429 only.
    let status = match error.status() {
        StatusCode::SERVICE_UNAVAILABLE => StatusCode::TOO_MANY_REQUESTS,
        status => status,
    };
    let kind = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "security_exception",
        StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
        status if status.is_client_error() => "illegal_argument_exception",
        _ => "exception",
    };
    let cause = json!({ "type": kind, "reason": error.detail() });
    let body = json!({
        "error": { "root_cause": [cause], "type": kind, "reason": error.detail() },
        "status": status.as_u16()
    });
    let mut response = (status, Json(body)).into_response();
    let out = response.headers_mut();
    if status == StatusCode::UNAUTHORIZED {
        out.insert(
            http::header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"watchfloor\", Bearer, ApiKey"),
        );
    }
    if let Some(seconds) = error.retry_after_s() {
        out.insert(http::header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

async fn bulk(
    state: &ApiState,
    index: &str,
    labels: Labels,
    headers: &HeaderMap,
    body: Body,
) -> Result<Answer, ApiError> {
    let started = std::time::Instant::now();
    let index = checked_source("index", index)?;
    let body = read(headers, body).await.inspect_err(|_| {
        state.intake().count_rejected(&index, BODY_REFUSED, 1);
    })?;
    // Looking at up to 64 MiB takes longer than the runtime may be held.
    let default_index = index.clone();
    let (mut items, records) =
        tokio::task::spawn_blocking(move || cut(&body, &default_index, &labels))
            .await
            .map_err(|error| ApiError::internal(&error))?;
    if items.is_empty() {
        return Err(ApiError::invalid("body", "holds no action"));
    }
    for item in &items {
        if let Some(reason) = item.counted {
            // A name that is refused as a source must not become a label of the ledger.
            let source = checked_source("_index", &item.index).unwrap_or_else(|_| index.clone());
            state.intake().count_rejected(&source, reason, 1);
        }
    }
    if !records.is_empty() {
        let outcomes = state.intake().take(records).await?;
        let taken = items.iter_mut().filter(|item| item.fault.is_none());
        for (item, outcome) in taken.zip(outcomes) {
            if let ItemOutcome::Rejected { reason } = outcome {
                item.fault = Some(("illegal_argument_exception", reason));
            }
        }
    }
    let errors = items.iter().any(|item| item.fault.is_some());
    let request = request_id();
    let rows = items.into_iter().enumerate();
    Ok(Answer {
        took: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        errors,
        items: rows
            .map(|(place, item)| row(item, &request, place))
            .collect(),
    })
}

/// What a body became.
#[derive(Serialize)]
struct Answer {
    took: u64,
    errors: bool,
    items: Vec<Row>,
}

/// What an item became, below the name of its operation.
struct Row(Operation, Outcome);

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map([(self.0.as_str(), &self.1)])
    }
}

#[derive(Serialize)]
struct Outcome {
    #[serde(rename = "_index")]
    index: String,
    #[serde(rename = "_id")]
    id: String,
    status: u16,
    #[serde(flatten)]
    result: ItemResult,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ItemResult {
    Created {
        #[serde(rename = "_version")]
        version: u8,
        result: &'static str,
        #[serde(rename = "_shards")]
        shards: Shards,
        #[serde(rename = "_seq_no")]
        place: usize,
        #[serde(rename = "_primary_term")]
        term: u8,
    },
    Refused {
        error: Refusal,
    },
}

#[derive(Serialize)]
struct Shards {
    total: u8,
    successful: u8,
    failed: u8,
}

#[derive(Serialize)]
struct Refusal {
    #[serde(rename = "type")]
    kind: &'static str,
    reason: String,
}

fn row(item: Item, request: &str, place: usize) -> Row {
    let (status, result) = match item.fault {
        Some((kind, reason)) => {
            let error = Refusal { kind, reason };
            (400, ItemResult::Refused { error })
        }
        None => (
            201,
            ItemResult::Created {
                version: 1,
                result: "created",
                shards: Shards {
                    total: 1,
                    successful: 1,
                    failed: 0,
                },
                place,
                term: 1,
            },
        ),
    };
    let outcome = Outcome {
        index: item.index,
        id: item.id.unwrap_or_else(|| format!("{request}-{place}")),
        status,
        result,
    };
    Row(item.operation, outcome)
}

/// Cuts a body into items, and the records of those that are in order.
fn cut(body: &Bytes, default_index: &str, labels: &Labels) -> (Vec<Item>, Vec<IngestItem>) {
    let mut items = Vec::new();
    let mut records = Vec::new();
    let mut rest = lines(body).peekable();
    while let Some((number, line)) = rest.next() {
        let Some((operation, target)) = ActionLine::parse(&line) else {
            // What follows is this item's document, unless it is the next action.
            rest.next_if(|(_, next)| ActionLine::parse(next).is_none());
            items.push(Item {
                operation: Operation::Index,
                index: default_index.to_owned(),
                id: None,
                fault: Some((
                    "illegal_argument_exception",
                    format!("line {number} is no action; expected create or index"),
                )),
                counted: Some("malformed"),
            });
            continue;
        };
        let mut item = Item {
            operation,
            index: target.index.unwrap_or_else(|| default_index.to_owned()),
            id: target.id,
            fault: None,
            counted: None,
        };
        let document = (operation != Operation::Delete)
            .then(|| rest.next())
            .flatten();
        let (fault, counted) = judge(&item, number, document.as_ref());
        item.fault = fault;
        item.counted = counted;
        if let (None, Some((_, bytes))) = (&item.fault, document) {
            // Only `create` promises to be done once; `index` may be sent again on purpose.
            let idempotency = item
                .id
                .as_ref()
                .filter(|_| operation == Operation::Create)
                .map(|id| format!("{}/{id}", item.index));
            records.push(IngestItem {
                bytes,
                source: labels.source.clone().unwrap_or_else(|| item.index.clone()),
                format: Format::Auto,
                product: labels.product.clone(),
                idempotency,
            });
        }
        items.push(item);
    }
    (items, records)
}

type Fault = Option<(&'static str, String)>;

/// Why an item is refused, and under which word that is counted.
fn judge(
    item: &Item,
    number: u64,
    document: Option<&(u64, Bytes)>,
) -> (Fault, Option<&'static str>) {
    let refused = |reason: String| Some(("illegal_argument_exception", reason));
    if matches!(item.operation, Operation::Update | Operation::Delete) {
        let name = item.operation.as_str();
        let reason = format!("{name} is not possible: events are only added");
        return (refused(reason), None);
    }
    let Some((line, bytes)) = document else {
        let reason = format!("line {number} is an action without a document");
        return (refused(reason), Some("malformed"));
    };
    if checked_source("_index", &item.index).is_err() {
        let reason = "_index must have 1 to 128 bytes without spaces".to_owned();
        return (refused(reason), Some("malformed"));
    }
    if item.id.as_ref().is_some_and(|id| id.len() > ID_BYTES_MAX) {
        let reason = "_id must have at most 512 bytes".to_owned();
        return (refused(reason), Some("malformed"));
    }
    if bytes.len() > LINE_BYTES_MAX {
        let reason = format!("line {line} is longer than 1 MiB ({} bytes)", bytes.len());
        return (refused(reason), Some("too_long"));
    }
    match json_fault(bytes) {
        Some(reason) => (
            Some((
                "document_parsing_exception",
                format!("line {line}: {reason}"),
            )),
            Some("malformed_json"),
        ),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_lines_cost_only_their_item() {
        let body = Bytes::from_static(
            b"{\"create\":{\"_id\":\"1\"}}\n{\"a\":1}\n\
              this is no action\n{\"index\":{\"_index\":\"x\"}}\n{\"a\":2}\n\
              {\"bad\":{}}\n{\"orphan\":1}\n\
              {\"create\":{}}\n{\"broken\":\n\
              {\"delete\":{\"_id\":\"9\"}}\n\
              {\"index\":{}}\n{\"a\":3}\n\
              {\"index\":{}}",
        );
        let (items, records) = cut(&body, "main", &Labels::NONE);
        let faults: Vec<bool> = items.iter().map(|item| item.fault.is_some()).collect();
        assert_eq!(faults, [false, true, false, true, true, true, false, true]);
        let kept: Vec<(&[u8], &str, Option<&str>)> = records
            .iter()
            .map(|r| (&r.bytes[..], r.source.as_str(), r.idempotency.as_deref()))
            .collect();
        assert_eq!(
            kept,
            [
                (&b"{\"a\":1}"[..], "main", Some("main/1")),
                (&b"{\"a\":2}"[..], "x", None),
                (&b"{\"a\":3}"[..], "main", None),
            ]
        );
    }
}
