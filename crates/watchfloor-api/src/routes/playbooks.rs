//! Playbooks and their runs.

use axum::Json;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_model as model;

use super::actions::incident;
use super::{ApiResult, page, tagged};
use crate::extract::{ApiJson, ApiPath, ApiQuery, Caller, IfMatch, id};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::playbook::{
    NewRun, NewTrial, Playbook, PlaybookFaults, PlaybookRow, Reason, Run, RunRow, RunsQuery,
    StepAnswer, Trial, faults,
};
use crate::wire::{CountedList, List};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_playbooks, save_playbook))
        .routes(routes!(check_playbook))
        .routes(routes!(rehearse_playbook))
        .routes(routes!(get_playbook, remove_playbook))
        .routes(routes!(export_playbook))
        .routes(routes!(list_runs, start_run))
        .routes(routes!(get_run))
        .routes(routes!(answer_step))
        .routes(routes!(cancel_run))
}

/// All playbooks, by name.
#[utoipa::path(get, path = "/playbooks", tag = "playbooks",
    responses((status = 200, body = List<PlaybookRow>)))]
async fn list_playbooks(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<PlaybookRow>>> {
    let found = state.casework().playbooks(caller.actor()).await?;
    Ok(Json(List::whole(found.iter().map(Into::into).collect())))
}

/// Keeps a playbook, new or changed, by the id in the document. One with errors is kept as a
/// draft and cannot be run; secrets that stand in it are sealed.
#[utoipa::path(post, path = "/playbooks", tag = "playbooks",
    request_body(content = Object, content_type = "application/json", description = "CACAO 2.0"),
    responses((status = 200, body = Playbook), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 412, body = Problem)))]
async fn save_playbook(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    body: Bytes,
) -> ApiResult<Response> {
    let casework = state.casework();
    let saved = casework
        .save_playbook(caller.actor(), &body, expected)
        .await?;
    Ok(tagged(saved.record.version, Playbook::from(saved)))
}

/// Says what is wrong with a document. Nothing is kept.
#[utoipa::path(post, path = "/playbooks/check", tag = "playbooks",
    request_body(content = Object, content_type = "application/json", description = "CACAO 2.0"),
    responses((status = 200, body = PlaybookFaults)))]
async fn check_playbook(
    State(state): State<ApiState>,
    caller: Caller,
    body: Bytes,
) -> ApiResult<Json<PlaybookFaults>> {
    let found = state
        .casework()
        .check_playbook(caller.actor(), &body)
        .await?;
    Ok(Json(PlaybookFaults {
        faults: faults(found),
    }))
}

/// Says what a run would do, by whom, and who would have to agree. Nothing is done.
#[utoipa::path(post, path = "/playbooks/rehearsal", tag = "playbooks", request_body = NewTrial,
    responses((status = 200, body = Trial), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn rehearse_playbook(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewTrial>,
) -> ApiResult<Json<Trial>> {
    let of = incident(body.incident_id.as_deref())?;
    let text = body.document.map(|document| document.to_string());
    let playbook = match (&text, &body.playbook_id) {
        (Some(text), _) => Err(text.as_bytes()),
        (None, Some(id)) => Ok(id.as_str()),
        (None, None) => {
            return Err(ApiError::invalid(
                "playbook_id",
                "name a playbook, or give a document",
            ));
        }
    };
    let casework = state.casework();
    let trial = casework
        .rehearse_playbook(caller.actor(), playbook, &body.inputs, of.as_ref())
        .await?;
    Ok(Json(trial.into()))
}

/// One playbook, with what is wrong with it.
#[utoipa::path(get, path = "/playbooks/{id}", tag = "playbooks", params(("id" = String, Path)),
    responses((status = 200, body = Playbook), (status = 404, body = Problem)))]
async fn get_playbook(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(playbook): ApiPath<String>,
) -> ApiResult<Response> {
    let found = state.casework().playbook(caller.actor(), &playbook).await?;
    Ok(tagged(found.record.version, Playbook::from(found)))
}

/// Forgets a playbook; its runs stay.
#[utoipa::path(delete, path = "/playbooks/{id}", tag = "playbooks", params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove_playbook(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(playbook): ApiPath<String>,
) -> ApiResult<StatusCode> {
    state
        .casework()
        .remove_playbook(caller.actor(), &playbook)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The document of a playbook, to be given to others.
#[utoipa::path(get, path = "/playbooks/{id}/export", tag = "playbooks", params(("id" = String, Path)),
    responses((status = 200, body = Object, content_type = "application/cacao+json"),
    (status = 404, body = Problem)))]
async fn export_playbook(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(playbook): ApiPath<String>,
) -> ApiResult<Response> {
    let found = state.casework().playbook(caller.actor(), &playbook).await?;
    let mut response = found.record.document.into_response();
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/cacao+json;version=2.0"),
    );
    Ok(response)
}

/// Runs, newest first.
#[utoipa::path(get, path = "/playbook-runs", tag = "playbooks", params(RunsQuery),
    responses((status = 200, body = CountedList<RunRow>)))]
async fn list_runs(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<RunsQuery>,
) -> ApiResult<Json<CountedList<RunRow>>> {
    let status = query.status.as_deref().filter(|text| !text.is_empty());
    let status = status
        .map(|word| {
            model::RunStatus::parse(word)
                .ok_or_else(|| ApiError::invalid("status", format!("'{word}' is not known")))
        })
        .transpose()?;
    let of = incident(query.incident_id.as_deref())?;
    let page = page(query.cursor.as_deref(), query.limit)?;
    let casework = state.casework();
    let found = casework
        .runs(caller.actor(), status, of.as_ref(), &page)
        .await?;
    Ok(Json(CountedList {
        items: found.items.iter().map(Into::into).collect(),
        next: found.next.map(|cursor| cursor.encode()),
        total: found.total,
    }))
}

/// Begins a run.
#[utoipa::path(post, path = "/playbook-runs", tag = "playbooks", request_body = NewRun,
    responses((status = 201, body = RunRow), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn start_run(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewRun>,
) -> ApiResult<Response> {
    let of = incident(body.incident_id.as_deref())?;
    let casework = state.casework();
    let run = casework
        .start_run(caller.actor(), &body.playbook_id, body.inputs, of)
        .await?;
    Ok((StatusCode::CREATED, Json(RunRow::from(&run))).into_response())
}

/// One run with its steps and actions.
#[utoipa::path(get, path = "/playbook-runs/{id}", tag = "playbooks", params(("id" = String, Path)),
    responses((status = 200, body = Run), (status = 404, body = Problem)))]
async fn get_run(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(run): ApiPath<String>,
) -> ApiResult<Json<Run>> {
    let found = state.casework().run(caller.actor(), &id(&run)?).await?;
    Ok(Json(found.into()))
}

/// Says how a step went that a person does.
#[utoipa::path(post, path = "/playbook-runs/{id}/steps/{instance}", tag = "playbooks",
    params(("id" = String, Path), ("instance" = u64, Path)), request_body = StepAnswer,
    responses((status = 200, body = Run), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn answer_step(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath((run, instance)): ApiPath<(String, u64)>,
    ApiJson(body): ApiJson<StepAnswer>,
) -> ApiResult<Json<Run>> {
    let casework = state.casework();
    let found = casework
        .answer_step(caller.actor(), &id(&run)?, instance, body.into())
        .await?;
    Ok(Json(found.into()))
}

/// Ends a run: nothing more of it begins.
#[utoipa::path(post, path = "/playbook-runs/{id}/cancel", tag = "playbooks", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = RunRow), (status = 400, body = Problem),
    (status = 403, body = Problem)))]
async fn cancel_run(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(run): ApiPath<String>,
    ApiJson(body): ApiJson<Reason>,
) -> ApiResult<Json<RunRow>> {
    let casework = state.casework();
    let ended = casework
        .cancel_run(caller.actor(), &id(&run)?, &body.reason)
        .await?;
    Ok(Json((&ended).into()))
}
