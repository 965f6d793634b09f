//! Hunting bit by bit: searches that answer as they go, what arrives, what fields hold, exports,
//! and what can stand at a place of a question.
//!
//! Streams are server-sent events, in answers to `POST` as well: they are not held back by
//! compression, and a client that goes away ends the work.

use std::convert::Infallible;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;
use axum::response::sse::{Event as SseEvent, Sse};
use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, interval};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_model::Permission;

use super::ApiResult;
use super::events::{RowsQuery, Search, bounded_query, rows_request, search_request};
use crate::extract::{ApiJson, ApiQuery, Caller};
use crate::ports::{
    CompletionRequest, Completions, ExportFormat, ExportRequest, FieldsRequest, FieldsResult,
    QueryLimits, RowsPiece, SearchError, SearchPiece, TailPiece, TailRequest,
};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;

/// How often a ping is sent, so that proxies keep the connection.
const PING_EVERY: Duration = Duration::from_secs(15);

/// A tail ends after this long and the browser connects again, which checks that the session
/// still holds.
const STREAM_LIFE: Duration = Duration::from_secs(15 * 60);

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(search_stream))
        .routes(routes!(query_stream))
        .routes(routes!(tail))
        .routes(routes!(search_fields))
        .routes(routes!(export))
        .routes(routes!(completions))
}

/// What the caller's queries may use; refuses those who may not read events.
pub(super) fn limits(state: &ApiState, caller: &Caller) -> ApiResult<QueryLimits> {
    state
        .casework()
        .authorize(caller.actor(), Permission::ReadEvents)?;
    Ok(state.settings().limits.of(caller.actor()))
}

/// Searches events and answers as it goes: `part` (`SearchPart`: files read of files, the total
/// and the histogram so far, further events), then `end` (`SearchEnd`) or `failed` (`Problem`).
/// Closing the connection ends the search.
#[utoipa::path(post, path = "/search/stream", tag = "events", request_body = Search, responses(
    (status = 200, description = "server-sent events", content_type = "text/event-stream", body = String),
    (status = 400, body = Problem)))]
async fn search_stream(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<Search>,
) -> ApiResult<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>> {
    let limits = limits(&state, &caller)?;
    let pieces = state
        .events()
        .search_stream(search_request(body, limits)?)?;
    Ok(Sse::new(pieces.map(|piece| {
        Ok(match piece {
            SearchPiece::Part(part) => json_event("part", &part),
            SearchPiece::End(end) => json_event("end", &end),
            SearchPiece::Failed(error) => failed(error),
        })
    })))
}

/// Runs a query with verbs and answers as it goes: `progress` (`RowsProgress`), `head`
/// (`RowsHead`; what came before it does not count), `rows` (a list of rows), then `end`
/// (`RowsEnd`) or `failed` (`Problem`). Closing the connection ends the query.
#[utoipa::path(post, path = "/query/stream", tag = "events", request_body = RowsQuery, responses(
    (status = 200, description = "server-sent events", content_type = "text/event-stream", body = String),
    (status = 400, body = Problem)))]
async fn query_stream(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<RowsQuery>,
) -> ApiResult<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>> {
    let limits = limits(&state, &caller)?;
    let pieces = state.events().rows_stream(rows_request(body, limits)?)?;
    Ok(Sse::new(pieces.map(|piece| {
        Ok(match piece {
            RowsPiece::Progress(progress) => json_event("progress", &progress),
            RowsPiece::Head(head) => json_event("head", &head),
            RowsPiece::Rows(rows) => json_event("rows", &rows),
            RowsPiece::End(end) => json_event("end", &end),
            RowsPiece::Failed(error) => failed(error),
        })
    })))
}

/// What is followed.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TailQuery {
    /// A query of any form; empty for all events.
    #[serde(default)]
    q: String,
}

/// Follows a query over events as they arrive: `begun` (`TailBegun`), then `events`
/// (`TailEvents`) or `rows` (`TailRows`) as they arrive, or `replaced` (`RowsResult`) every second
/// where the query looks at several events at once; `lagged` (so many events arrived faster than
/// they were taken), `failed` (`Problem`; the end), `ping`.
#[utoipa::path(get, path = "/events/tail", tag = "events", params(TailQuery), responses(
    (status = 200, description = "server-sent events", content_type = "text/event-stream", body = String),
    (status = 400, body = Problem)))]
async fn tail(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    ApiQuery(asked): ApiQuery<TailQuery>,
) -> ApiResult<Sse<impl Stream<Item = Result<SseEvent, Infallible>>>> {
    let limits = limits(&state, &caller)?;
    bounded_query(&asked.q)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let request = TailRequest {
        query: asked.q,
        since: last.and_then(|id| id.parse().ok()),
        limits,
    };
    let follower = Follower {
        pieces: state.events().tail(request)?,
        ping: interval(PING_EVERY),
        ends: tokio::time::Instant::now() + STREAM_LIFE,
    };
    Ok(Sse::new(unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    })))
}

struct Follower {
    pieces: BoxStream<'static, TailPiece>,
    ping: Interval,
    ends: tokio::time::Instant,
}

impl Follower {
    async fn next(&mut self) -> Option<SseEvent> {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(self.ends) => None,
            piece = self.pieces.next() => piece.map(tail_event),
            _ = self.ping.tick() => Some(SseEvent::default().event("ping").data("{}")),
        }
    }
}

fn tail_event(piece: TailPiece) -> SseEvent {
    match piece {
        // A browser that connects again tells where the tail began.
        TailPiece::Begun(begun) => json_event("begun", &begun).id(begun.since.to_string()),
        TailPiece::Events(events) => json_event("events", &events),
        TailPiece::Rows(rows) => json_event("rows", &rows),
        TailPiece::Replaced(rows) => json_event("replaced", &rows),
        TailPiece::Lagged(events) => SseEvent::default().event("lagged").data(events.to_string()),
        TailPiece::Failed(error) => failed(error),
    }
}

/// Events of a span of time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SearchFields {
    /// Words and `field:value`; empty for all events.
    #[serde(default)]
    query: String,
    /// From this event time (inclusive).
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// To this event time (exclusive).
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
}

/// What the fields of all events that match hold.
#[utoipa::path(post, path = "/search/fields", tag = "events", request_body = SearchFields, responses(
    (status = 200, body = FieldsResult), (status = 400, body = Problem)))]
async fn search_fields(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<SearchFields>,
) -> ApiResult<Json<FieldsResult>> {
    let limits = limits(&state, &caller)?;
    bounded_query(&body.query)?;
    let request = FieldsRequest {
        query: body.query,
        from: body.from,
        to: body.to,
        limits,
    };
    Ok(Json(state.events().field_statistics(request).await?))
}

/// A form of exported data.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Format {
    Csv,
    Ndjson,
    Parquet,
}

/// All that a query finds.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Export {
    /// A query of any form; empty for all events.
    #[serde(default)]
    query: String,
    /// From this event time (inclusive).
    #[schema(value_type = String, format = DateTime)]
    from: Timestamp,
    /// To this event time (exclusive).
    #[schema(value_type = String, format = DateTime)]
    to: Timestamp,
    /// Form of the data.
    format: Format,
    /// Most rows; at most, and by default, as many as the caller's role may have.
    limit: Option<u32>,
}

/// Gives all that a query finds as a file. An answer that breaks off is not whole.
#[utoipa::path(post, path = "/export", tag = "events", request_body = Export, responses(
    (status = 200, description = "the file", content_type = "application/octet-stream", body = Vec<u8>),
    (status = 400, body = Problem)))]
async fn export(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<Export>,
) -> ApiResult<Response> {
    let limits = limits(&state, &caller)?;
    bounded_query(&body.query)?;
    if body.from >= body.to {
        return Err(ApiError::invalid("from", "must lie before 'to'"));
    }
    let (format, kind, end) = match body.format {
        Format::Csv => (ExportFormat::Csv, "text/csv; charset=utf-8", "csv"),
        Format::Ndjson => (ExportFormat::Ndjson, "application/x-ndjson", "ndjson"),
        Format::Parquet => (
            ExportFormat::Parquet,
            "application/vnd.apache.parquet",
            "parquet",
        ),
    };
    let most = limits.export_rows;
    let pieces = state.events().export(ExportRequest {
        query: body.query,
        from: body.from,
        to: body.to,
        format,
        limit: body.limit.unwrap_or(most).clamp(1, most.max(1)),
        limits,
    })?;
    // What is wrong at once is a problem and no broken file.
    let mut pieces = Box::pin(pieces.peekable());
    if let Some(Err(error)) = pieces.as_mut().peek().await {
        return Err(error.clone().into());
    }
    let mut response = Response::new(Body::from_stream(pieces));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    let name = format!("attachment; filename=\"watchfloor-export.{end}\"");
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, name);
    }
    Ok(response)
}

/// A query that is being written.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Completing {
    /// The query as far as it is written.
    query: String,
    /// Byte at which the caret stands.
    at: usize,
}

/// What can stand at a place of a query.
#[utoipa::path(post, path = "/completions", tag = "events", request_body = Completing, responses(
    (status = 200, body = Completions), (status = 400, body = Problem)))]
async fn completions(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<Completing>,
) -> ApiResult<Json<Completions>> {
    limits(&state, &caller)?;
    bounded_query(&body.query)?;
    if !body.query.is_char_boundary(body.at) {
        return Err(ApiError::invalid(
            "at",
            "must be the start of a character of the query",
        ));
    }
    let request = CompletionRequest {
        query: body.query,
        at: body.at,
    };
    Ok(Json(state.events().complete(request).await))
}

fn failed(error: SearchError) -> SseEvent {
    json_event("failed", ApiError::from(error).problem())
}

fn json_event(name: &'static str, body: &impl Serialize) -> SseEvent {
    let text = serde_json::to_string(body).unwrap_or_else(|_| "{}".to_owned());
    SseEvent::default().event(name).data(text)
}
