//! Kept questions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::events::bounded_query;
use super::hunt::limits;
use super::{ApiResult, tagged};
use crate::extract::{ApiJson, ApiPath, Caller, IfMatch, id};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::wire::List;
use crate::wire::search::{DraftRule, NewSearch, RuleDraft, SavedSearch};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_searches, add_search))
        .routes(routes!(draft_rule))
        .routes(routes!(get_search, change_search, remove_search))
}

/// The kept questions: one's own, and those that are shared.
#[utoipa::path(get, path = "/searches", tag = "searches",
    responses((status = 200, body = List<SavedSearch>)))]
async fn list_searches(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<SavedSearch>>> {
    let list = state.casework().searches(caller.actor()).await?;
    Ok(Json(List::whole(
        list.into_iter().map(Into::into).collect(),
    )))
}

/// Keeps a question. Sharing and a schedule need the right to work on cases.
#[utoipa::path(post, path = "/searches", tag = "searches", request_body = NewSearch,
    responses((status = 201, body = SavedSearch), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn add_search(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewSearch>,
) -> ApiResult<Response> {
    limits(&state, &caller)?;
    bounded_query(&body.query)?;
    state.events().check(&body.query)?;
    let made = state
        .casework()
        .add_search(caller.actor(), body.into())
        .await?;
    let made = SavedSearch::from(made);
    Ok((StatusCode::CREATED, tagged(made.version, made)).into_response())
}

/// One kept question.
#[utoipa::path(get, path = "/searches/{id}", tag = "searches", params(("id" = String, Path)),
    responses((status = 200, body = SavedSearch), (status = 404, body = Problem)))]
async fn get_search(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(search): ApiPath<String>,
) -> ApiResult<Response> {
    let found = state
        .casework()
        .search(caller.actor(), &id(&search)?)
        .await?;
    Ok(tagged(found.version, SavedSearch::from(found)))
}

/// Changes a kept question.
#[utoipa::path(put, path = "/searches/{id}", tag = "searches", params(("id" = String, Path)),
    request_body = NewSearch, responses((status = 200, body = SavedSearch),
    (status = 400, body = Problem), (status = 403, body = Problem), (status = 412, body = Problem)))]
async fn change_search(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(search): ApiPath<String>,
    IfMatch(expected): IfMatch,
    ApiJson(body): ApiJson<NewSearch>,
) -> ApiResult<Response> {
    limits(&state, &caller)?;
    bounded_query(&body.query)?;
    state.events().check(&body.query)?;
    let casework = state.casework();
    let changed = casework
        .change_search(caller.actor(), &id(&search)?, body.into(), expected)
        .await?;
    Ok(tagged(changed.version, SavedSearch::from(changed)))
}

/// Forgets a kept question.
#[utoipa::path(delete, path = "/searches/{id}", tag = "searches", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn remove_search(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(search): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let casework = state.casework();
    casework
        .remove_search(caller.actor(), &id(&search)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes a Sigma rule of a search, or says which part of it Sigma cannot say.
#[utoipa::path(post, path = "/searches/rule", tag = "searches", request_body = DraftRule,
    responses((status = 200, body = RuleDraft), (status = 400, body = Problem)))]
async fn draft_rule(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<DraftRule>,
) -> ApiResult<Json<RuleDraft>> {
    limits(&state, &caller)?;
    bounded_query(&body.query)?;
    let yaml = state.events().draft_rule(&body.title, &body.query)?;
    Ok(Json(RuleDraft { yaml }))
}
