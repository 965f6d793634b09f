//! Notes, tasks and observables of an incident.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiResult;
use crate::extract::{ApiJson, ApiPath, Caller, id};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::wire::incident::{NewObservable, NewTask, Observable, Task, TaskPatch};
use crate::wire::{NewNote, Note};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(note_incident))
        .routes(routes!(add_task))
        .routes(routes!(patch_task))
        .routes(routes!(add_observable))
}

/// Writes a note on an incident.
#[utoipa::path(post, path = "/incidents/{id}/notes", tag = "incidents", params(("id" = String, Path)),
    request_body = NewNote, responses((status = 201, body = Note), (status = 404, body = Problem)))]
async fn note_incident(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(incident): ApiPath<String>,
    ApiJson(body): ApiJson<NewNote>,
) -> ApiResult<(StatusCode, Json<Note>)> {
    let note = state
        .casework()
        .note_incident(caller.actor(), &id(&incident)?, &body.text)
        .await?;
    Ok((StatusCode::CREATED, Json(note.into())))
}

/// Adds a task.
#[utoipa::path(post, path = "/incidents/{id}/tasks", tag = "incidents", params(("id" = String, Path)),
    request_body = NewTask, responses((status = 201, body = Task), (status = 404, body = Problem)))]
async fn add_task(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(incident): ApiPath<String>,
    ApiJson(body): ApiJson<NewTask>,
) -> ApiResult<(StatusCode, Json<Task>)> {
    let task = state
        .casework()
        .add_task(caller.actor(), &id(&incident)?, &body.title, body.assignee)
        .await?;
    Ok((StatusCode::CREATED, Json(task.into())))
}

/// Changes a task.
#[utoipa::path(patch, path = "/incidents/{id}/tasks/{task_id}", tag = "incidents",
    params(("id" = String, Path), ("task_id" = String, Path)),
    request_body = TaskPatch, responses((status = 200, body = Task), (status = 404, body = Problem)))]
async fn patch_task(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath((incident, task)): ApiPath<(String, String)>,
    ApiJson(body): ApiJson<TaskPatch>,
) -> ApiResult<Json<Task>> {
    let task = state
        .casework()
        .patch_task(
            caller.actor(),
            &id(&incident)?,
            &id(&task)?,
            body.status.map(Into::into),
            body.title.as_deref(),
            body.assignee,
        )
        .await?;
    Ok(Json(task.into()))
}

/// Keeps a value with an incident.
#[utoipa::path(post, path = "/incidents/{id}/observables", tag = "incidents",
    params(("id" = String, Path)), request_body = NewObservable,
    responses((status = 201, body = Observable), (status = 409, body = Problem)))]
async fn add_observable(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(incident): ApiPath<String>,
    ApiJson(body): ApiJson<NewObservable>,
) -> ApiResult<(StatusCode, Json<Observable>)> {
    let observable = state
        .casework()
        .add_observable(
            caller.actor(),
            &id(&incident)?,
            body.kind.into(),
            &body.value,
            body.note.as_deref(),
        )
        .await?;
    Ok((StatusCode::CREATED, Json(observable.into())))
}
