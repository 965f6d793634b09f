//! Shift handovers.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use jiff::Timestamp;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_model::{Handover, Permission};

use super::{ApiResult, time};
use crate::extract::{ApiJson, ApiPath, ApiQuery, Caller, id};
use crate::ports::RuleState;
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::List;
use crate::wire::handover::{
    HandoverDetail, HandoverQuery, HandoverRow, HandoverSnapshot, HandoverTrouble, NewHandover,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_handovers, give_handover))
        .routes(routes!(draft_handover))
        .routes(routes!(get_handover))
        .routes(routes!(accept_handover))
}

/// Handovers, newest first.
#[utoipa::path(get, path = "/handovers", tag = "time",
    responses((status = 200, body = List<HandoverRow>)))]
async fn list_handovers(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<HandoverRow>>> {
    let list = state.casework().handovers(caller.actor()).await?;
    Ok(Json(List::whole(
        list.iter().map(HandoverRow::from).collect(),
    )))
}

/// What stands and what changed, as a handover would say it now.
#[utoipa::path(get, path = "/handovers/draft", tag = "time", params(HandoverQuery),
    responses((status = 200, body = HandoverSnapshot), (status = 400, body = Problem)))]
async fn draft_handover(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<HandoverQuery>,
) -> ApiResult<Json<HandoverSnapshot>> {
    let from = time("from", query.from.as_deref())?;
    Ok(Json(snapshot(&state, &caller, from).await?))
}

async fn snapshot(
    state: &ApiState,
    caller: &Caller,
    from: Option<Timestamp>,
) -> ApiResult<HandoverSnapshot> {
    let casework = state.casework();
    let shown = casework.handover_state(caller.actor(), from).await?;
    let mut shown = HandoverSnapshot::from(shown);
    if casework
        .authorize(caller.actor(), Permission::ReadMonitor)
        .is_ok()
    {
        let sources = state.pipeline().sources().await?;
        let quiet = sources.into_iter().filter_map(|source| {
            let quiet = source.quiet?;
            let text = format!(
                "silent for longer than {} s, its longest silence before",
                quiet.usual_silence_s
            );
            Some(HandoverTrouble {
                id: source.name,
                text,
                since: Some(quiet.since),
            })
        });
        shown.quiet_sources = Some(quiet.collect());
        let rules = state.rules().rules().await?;
        let resting = rules
            .into_iter()
            .filter(|rule| matches!(rule.state, RuleState::Suspended | RuleState::Held));
        let resting = resting.map(|rule| HandoverTrouble {
            text: match rule.state {
                RuleState::Held => format!("{}: its file does not load", rule.title),
                _ => format!("{}: suspended", rule.title),
            },
            id: rule.id,
            since: None,
        });
        shown.suspended_rules = Some(resting.collect());
    }
    Ok(shown)
}

fn detail(handover: &Handover, is_sealed: bool) -> ApiResult<Json<HandoverDetail>> {
    let snapshot = serde_json::from_str(&handover.snapshot);
    Ok(Json(HandoverDetail {
        row: handover.into(),
        is_sealed,
        snapshot: snapshot.map_err(|error| ApiError::internal(&error))?,
    }))
}

/// Hands over: what stands now is kept as it is, with a seal in the audit chain.
#[utoipa::path(post, path = "/handovers", tag = "time", request_body = NewHandover,
    responses((status = 201, body = HandoverDetail), (status = 400, body = Problem),
    (status = 403, body = Problem)))]
async fn give_handover(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewHandover>,
) -> ApiResult<(StatusCode, Json<HandoverDetail>)> {
    let shown = snapshot(&state, &caller, body.from).await?;
    let span = (shown.from, shown.to);
    let text = serde_json::to_string(&shown).map_err(|error| ApiError::internal(&error))?;
    let given = state
        .casework()
        .give_handover(caller.actor(), span, &body.notes, text)
        .await?;
    Ok((StatusCode::CREATED, detail(&given, true)?))
}

/// One handover, as it was given.
#[utoipa::path(get, path = "/handovers/{id}", tag = "time", params(("id" = String, Path)),
    responses((status = 200, body = HandoverDetail), (status = 404, body = Problem)))]
async fn get_handover(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(handover): ApiPath<String>,
) -> ApiResult<Json<HandoverDetail>> {
    let casework = state.casework();
    let (found, is_sealed) = casework.handover(caller.actor(), &id(&handover)?).await?;
    detail(&found, is_sealed)
}

/// Takes a handover of somebody else.
#[utoipa::path(post, path = "/handovers/{id}/accept", tag = "time", params(("id" = String, Path)),
    responses((status = 200, body = HandoverRow), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn accept_handover(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(handover): ApiPath<String>,
) -> ApiResult<Json<HandoverRow>> {
    let casework = state.casework();
    let taken = casework
        .accept_handover(caller.actor(), &id(&handover)?)
        .await?;
    Ok(Json(HandoverRow::from(&taken)))
}
