//! Events: search, one event, the fields.

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_model::Permission;

use super::ApiResult;
use super::hunt::limits;
use crate::extract::{ApiJson, ApiPath, Caller};
use crate::packets;
use crate::ports::{
    Event, EventOrder, FieldInfo, QueryLimits, RowsRequest, RowsResult, SearchRequest, SearchResult,
};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::List;

/// Events in one answer.
const SEARCH_LIMIT_MAX: u32 = 10_000;

/// Events in one answer when nothing is said.
const SEARCH_LIMIT: u32 = 500;

/// Longest query in bytes.
const QUERY_BYTES_MAX: usize = 16 * 1024;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(search))
        .routes(routes!(query))
        .routes(routes!(get_event))
        .routes(routes!(get_packets))
        .routes(routes!(list_fields))
}

/// Order by time.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    Desc,
    Asc,
}

/// A search.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Search {
    /// Words and `field:value`; empty for all events.
    #[serde(default)]
    pub(crate) query: String,
    /// From this event time (inclusive).
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    /// To this event time (exclusive).
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    /// 1 to 10,000; default 500.
    pub(crate) limit: Option<u32>,
    /// Default `desc`.
    pub(crate) order: Option<Order>,
}

/// Searches events.
#[utoipa::path(post, path = "/search", tag = "events", request_body = Search, responses(
    (status = 200, body = SearchResult), (status = 400, body = Problem)))]
async fn search(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<Search>,
) -> ApiResult<Json<SearchResult>> {
    let limits = limits(&state, &caller)?;
    let request = search_request(body, limits)?;
    Ok(Json(state.events().search(request).await?))
}

/// What a body asks for.
pub(super) fn search_request(body: Search, limits: QueryLimits) -> ApiResult<SearchRequest> {
    let limit = bounded(&body.query, (body.from, body.to), body.limit)?;
    Ok(SearchRequest {
        query: body.query,
        from: body.from,
        to: body.to,
        limit,
        order: match body.order.unwrap_or(Order::Desc) {
            Order::Desc => EventOrder::Descending,
            Order::Asc => EventOrder::Ascending,
        },
        limits,
    })
}

/// A query with verbs.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RowsQuery {
    /// In the pipe form of the hunt language.
    pub(crate) query: String,
    /// From this event time (inclusive).
    #[schema(value_type = String, format = DateTime)]
    pub(crate) from: Timestamp,
    /// To this event time (exclusive).
    #[schema(value_type = String, format = DateTime)]
    pub(crate) to: Timestamp,
    /// 1 to 10,000; default 500.
    pub(crate) limit: Option<u32>,
}

/// Runs a query with verbs.
#[utoipa::path(post, path = "/query", tag = "events", request_body = RowsQuery, responses(
    (status = 200, body = RowsResult), (status = 400, body = Problem)))]
async fn query(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<RowsQuery>,
) -> ApiResult<Json<RowsResult>> {
    let limits = limits(&state, &caller)?;
    let request = rows_request(body, limits)?;
    Ok(Json(state.events().rows(request).await?))
}

/// What a body asks for.
pub(super) fn rows_request(body: RowsQuery, limits: QueryLimits) -> ApiResult<RowsRequest> {
    let limit = bounded(&body.query, (body.from, body.to), body.limit)?;
    Ok(RowsRequest {
        query: body.query,
        from: body.from,
        to: body.to,
        limit,
        limits,
    })
}

/// The limit of an answer, where the bounds of what is asked are in order.
fn bounded(query: &str, (from, to): (Timestamp, Timestamp), limit: Option<u32>) -> ApiResult<u32> {
    let limit = limit.unwrap_or(SEARCH_LIMIT);
    if !(1..=SEARCH_LIMIT_MAX).contains(&limit) {
        return Err(ApiError::invalid("limit", "must be between 1 and 10,000"));
    }
    if from >= to {
        return Err(ApiError::invalid("from", "must lie before 'to'"));
    }
    bounded_query(query)?;
    Ok(limit)
}

/// Refuses a query that is too long.
pub(super) fn bounded_query(query: &str) -> ApiResult<()> {
    if query.len() > QUERY_BYTES_MAX {
        return Err(ApiError::invalid("query", "must be at most 16 KiB"));
    }
    Ok(())
}

/// One event.
#[utoipa::path(get, path = "/events/{id}", tag = "events", params(("id" = String, Path)),
    responses((status = 200, body = Event), (status = 404, body = Problem)))]
async fn get_event(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(event): ApiPath<String>,
) -> ApiResult<Json<Event>> {
    state
        .casework()
        .authorize(caller.actor(), Permission::ReadEvents)?;
    match state.events().event(event).await? {
        Some(event) => Ok(Json(event)),
        None => Err(ApiError::not_found("no event has this id")),
    }
}

/// The packet of an alert of Suricata, as a capture file.
#[utoipa::path(get, path = "/events/{id}/packets", tag = "events", params(("id" = String, Path)),
    responses((status = 200, content_type = "application/vnd.tcpdump.pcap", body = [u8]), (status = 404, body = Problem)))]
async fn get_packets(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(event): ApiPath<String>,
) -> ApiResult<Response> {
    state
        .casework()
        .authorize(caller.actor(), Permission::ReadEvents)?;
    let found = state.events().event(event).await?;
    let found = found.ok_or_else(|| ApiError::not_found("no event has this id"))?;
    let file = packets::of_event(&found);
    let file = file.ok_or_else(|| ApiError::not_found("the event carries no packet"))?;
    // Only what an id has: letters, digits and dashes.
    let name: String = found
        .id
        .chars()
        .filter(|letter| letter.is_ascii_alphanumeric() || *letter == '-')
        .collect();
    let headers = [
        (
            header::CONTENT_TYPE,
            "application/vnd.tcpdump.pcap".to_owned(),
        ),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"event-{name}.pcap\""),
        ),
    ];
    Ok((headers, file).into_response())
}

/// The fields that events can have.
#[utoipa::path(get, path = "/fields", tag = "events", responses((status = 200, body = List<FieldInfo>)))]
async fn list_fields(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<FieldInfo>>> {
    state
        .casework()
        .authorize(caller.actor(), Permission::ReadEvents)?;
    Ok(Json(List::whole(state.events().fields().await?)))
}
