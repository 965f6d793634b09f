//! What the lake takes, how long it keeps, what is held, and deletion on demand.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_model::{Actor, Permission};

use super::ApiResult;
use super::monitor::may_monitor;
use crate::extract::{ApiJson, ApiPath, Caller, id};
use crate::ports::ErasureCount;
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::storage::{
    Erasure, LegalHold, NewErasure, NewLegalHold, NewRetention, ReleaseHold, Retention, Storage,
    TryErasure, end_of,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_storage))
        .routes(routes!(set_retention))
        .routes(routes!(add_hold))
        .routes(routes!(release_hold))
        .routes(routes!(preview_erasure))
        .routes(routes!(erase))
}

/// What the lake takes and how it grows, how long events are kept, holds and deletions.
#[utoipa::path(get, path = "/storage", tag = "storage", responses((status = 200, body = Storage)))]
async fn get_storage(State(state): State<ApiState>, caller: Caller) -> ApiResult<Json<Storage>> {
    may_monitor(&state, &caller)?;
    let casework = state.casework();
    let actor = caller.actor();
    let holds = casework.legal_holds(actor).await?;
    let erasures = casework.erasures(actor).await?;
    Ok(Json(Storage {
        usage: state.keeper().usage().await?,
        retention: casework.retention(actor).await?.into(),
        holds: holds.into_iter().map(Into::into).collect(),
        erasures: erasures.into_iter().map(Into::into).collect(),
    }))
}

/// Changes how long events are kept.
#[utoipa::path(put, path = "/storage/retention", tag = "storage", request_body = NewRetention,
    responses((status = 200, body = Retention), (status = 400, body = Problem), (status = 403, body = Problem),
        (status = 412, body = Problem)))]
async fn set_retention(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewRetention>,
) -> ApiResult<Json<Retention>> {
    let casework = state.casework();
    let changed = casework.set_retention(caller.actor(), body.into()).await?;
    state.keeper().wake();
    Ok(Json(changed.into()))
}

/// Holds events: nothing deletes them until the hold is released.
#[utoipa::path(post, path = "/storage/holds", tag = "storage", request_body = NewLegalHold,
    responses((status = 201, body = LegalHold), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn add_hold(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewLegalHold>,
) -> ApiResult<(StatusCode, Json<LegalHold>)> {
    may_manage(&state, caller.actor())?;
    state.keeper().check(&body.query)?;
    let casework = state.casework();
    let hold = casework.add_legal_hold(caller.actor(), body.into()).await?;
    Ok((StatusCode::CREATED, Json(hold.into())))
}

/// Releases a hold.
#[utoipa::path(post, path = "/storage/holds/{id}/release", tag = "storage", request_body = ReleaseHold,
    params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn release_hold(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(hold): ApiPath<String>,
    ApiJson(body): ApiJson<ReleaseHold>,
) -> ApiResult<StatusCode> {
    let hold = id(&hold)?;
    let casework = state.casework();
    casework
        .release_legal_hold(caller.actor(), &hold, &body.reason)
        .await?;
    state.keeper().wake();
    Ok(StatusCode::NO_CONTENT)
}

/// Says what a deletion would delete.
#[utoipa::path(post, path = "/storage/erasures/preview", tag = "storage", request_body = TryErasure,
    responses((status = 200, body = ErasureCount), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn preview_erasure(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<TryErasure>,
) -> ApiResult<Json<ErasureCount>> {
    may_manage(&state, caller.actor())?;
    check(&state, &body.query)?;
    let holds = state.casework().legal_holds(caller.actor()).await?;
    Ok(Json(state.keeper().would_erase(body.query, holds).await?))
}

/// Deletes the events that a search finds, such as one person's data. The answer comes at once;
/// the record says when it is done.
#[utoipa::path(post, path = "/storage/erasures", tag = "storage", request_body = NewErasure,
    responses((status = 202, body = Erasure), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn erase(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewErasure>,
) -> ApiResult<(StatusCode, Json<Erasure>)> {
    let actor = caller.actor();
    may_manage(&state, actor)?;
    check(&state, &body.query)?;
    let casework = state.casework();
    let holds = casework.legal_holds(actor).await?;
    let erasure = casework
        .begin_erasure(actor, &body.query, &body.reason)
        .await?;
    let run = state
        .keeper()
        .erase(erasure.query.clone().unwrap_or_default(), holds);
    let (casework, actor, begun) = (casework.clone(), actor.clone(), erasure.clone());
    tokio::spawn(async move {
        let end = end_of(run.await);
        if let Err(error) = casework.end_erasure(&actor, &begun, end).await {
            tracing::error!(%error, id = %begun.id, "the end of a deletion cannot be written down");
        }
    });
    Ok((StatusCode::ACCEPTED, Json(erasure.into())))
}

/// What is to be deleted is named: an empty query would find everything.
fn check(state: &ApiState, query: &str) -> ApiResult<()> {
    if query.trim().is_empty() {
        return Err(ApiError::invalid("query", "must say which events"));
    }
    Ok(state.keeper().check(query)?)
}

fn may_manage(state: &ApiState, actor: &Actor) -> ApiResult<()> {
    state.casework().authorize(actor, Permission::ManageData)?;
    Ok(())
}
