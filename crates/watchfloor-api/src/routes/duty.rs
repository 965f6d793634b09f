//! People on call.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::SignedDuration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ApiResult, tagged, time};
use crate::extract::{ApiJson, ApiPath, ApiQuery, Caller, IfMatch, id};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::List;
use crate::wire::duty::{Contact, NewRotation, NewStandIn, Roster, RosterQuery, Rotation, StandIn};

/// Days of turns in an answer, unless asked for.
const DAYS: i64 = 28;
/// Most days of turns.
const DAYS_MAX: i64 = 190;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_on_call))
        .routes(routes!(add_rotation))
        .routes(routes!(change_rotation, remove_rotation))
        .routes(routes!(add_stand_in))
        .routes(routes!(remove_stand_in))
        .routes(routes!(list_contacts, set_contact))
}

/// Who is on call now and next, and the turns of a time.
#[utoipa::path(get, path = "/on-call", tag = "time", params(RosterQuery),
    responses((status = 200, body = List<Roster>), (status = 400, body = Problem)))]
async fn get_on_call(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<RosterQuery>,
) -> ApiResult<Json<List<Roster>>> {
    let casework = state.casework();
    let from = time("from", query.from.as_deref())?.unwrap_or_else(|| casework.now());
    let later = from.saturating_add(SignedDuration::from_hours(24 * DAYS));
    let to = time("to", query.to.as_deref())?.unwrap_or_else(|| later.unwrap_or(from));
    if from > to || to.duration_since(from).as_hours() > DAYS_MAX * 24 {
        return Err(ApiError::invalid(
            "to",
            "must lie after from, at most half a year",
        ));
    }
    let list = casework.rosters(caller.actor(), from, to).await?;
    Ok(Json(List::whole(
        list.into_iter().map(Into::into).collect(),
    )))
}

/// Makes a rotation.
#[utoipa::path(post, path = "/rotations", tag = "time", request_body = NewRotation,
    responses((status = 201, body = Rotation), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn add_rotation(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewRotation>,
) -> ApiResult<Response> {
    let casework = state.casework();
    let made = casework.add_rotation(caller.actor(), body.into()).await?;
    let made = Rotation::from(made);
    Ok((StatusCode::CREATED, tagged(made.version, made)).into_response())
}

/// Changes a rotation.
#[utoipa::path(put, path = "/rotations/{id}", tag = "time", params(("id" = String, Path)),
    request_body = NewRotation, responses((status = 200, body = Rotation),
    (status = 400, body = Problem), (status = 403, body = Problem), (status = 412, body = Problem)))]
async fn change_rotation(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(rotation): ApiPath<String>,
    IfMatch(expected): IfMatch,
    ApiJson(body): ApiJson<NewRotation>,
) -> ApiResult<Response> {
    let casework = state.casework();
    let changed = casework
        .change_rotation(caller.actor(), &id(&rotation)?, body.into(), expected)
        .await?;
    Ok(tagged(changed.version, Rotation::from(changed)))
}

/// Forgets a rotation.
#[utoipa::path(delete, path = "/rotations/{id}", tag = "time", params(("id" = String, Path)),
    responses((status = 204), (status = 400, body = Problem), (status = 404, body = Problem)))]
async fn remove_rotation(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(rotation): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let casework = state.casework();
    casework
        .remove_rotation(caller.actor(), &id(&rotation)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes down that somebody stands in: oneself, or anybody for who manages duty.
#[utoipa::path(post, path = "/rotations/{id}/stand-ins", tag = "time", params(("id" = String, Path)),
    request_body = NewStandIn, responses((status = 201, body = StandIn),
    (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn add_stand_in(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(rotation): ApiPath<String>,
    ApiJson(body): ApiJson<NewStandIn>,
) -> ApiResult<(StatusCode, Json<StandIn>)> {
    let casework = state.casework();
    let made = casework
        .add_stand_in(caller.actor(), &id(&rotation)?, body.into())
        .await?;
    Ok((StatusCode::CREATED, Json(made.into())))
}

/// Takes back that somebody stands in.
#[utoipa::path(delete, path = "/stand-ins/{id}", tag = "time", params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove_stand_in(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(stand_in): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let casework = state.casework();
    casework
        .remove_stand_in(caller.actor(), &id(&stand_in)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// How people are reached outside of the console.
#[utoipa::path(get, path = "/contacts", tag = "time",
    responses((status = 200, body = List<Contact>)))]
async fn list_contacts(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<Contact>>> {
    let list = state.casework().contacts(caller.actor()).await?;
    Ok(Json(List::whole(
        list.into_iter().map(Into::into).collect(),
    )))
}

/// Sets how somebody is reached: oneself, or anybody for who manages duty.
#[utoipa::path(put, path = "/contacts", tag = "time", request_body = Contact,
    responses((status = 200, body = Contact), (status = 400, body = Problem),
    (status = 403, body = Problem)))]
async fn set_contact(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<Contact>,
) -> ApiResult<Json<Contact>> {
    let casework = state.casework();
    let set = casework.set_contact(caller.actor(), body.into()).await?;
    Ok(Json(set.into()))
}
