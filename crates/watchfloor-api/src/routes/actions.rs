//! Actions on the outside world, what waits for approval, and connectors.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_casework as casework;
use watchfloor_model as model;
use watchfloor_model::IncidentId;

use super::{ApiResult, page, tagged, words};
use crate::extract::{ApiJson, ApiPath, ApiQuery, Caller, IfMatch, id};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::playbook::{Approvals, AskedStep, Reason};
use crate::wire::response::{
    Action, ActionPolicy, ActionRecord, ActionsQuery, Connector, ConnectorPatch, Decision,
    NewAction, NewConnector, PolicyChange, Rehearsal, SettleAction, Settlement,
};
use crate::wire::{CountedList, List};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_actions, propose_action))
        .routes(routes!(rehearse_action))
        .routes(routes!(list_policies))
        .routes(routes!(set_policy))
        .routes(routes!(get_action))
        .routes(routes!(get_record))
        .routes(routes!(approve_action))
        .routes(routes!(reject_action))
        .routes(routes!(cancel_action))
        .routes(routes!(undo_action))
        .routes(routes!(settle_action))
        .routes(routes!(list_approvals))
        .routes(routes!(list_connectors, add_connector))
        .routes(routes!(patch_connector, remove_connector))
}

pub(super) fn incident(text: Option<&str>) -> ApiResult<Option<IncidentId>> {
    text.filter(|text| !text.is_empty())
        .map(|text| {
            text.parse()
                .map_err(|_| ApiError::invalid("incident_id", "is no id"))
        })
        .transpose()
}

/// Actions, newest first.
#[utoipa::path(get, path = "/actions", tag = "response", params(ActionsQuery),
    responses((status = 200, body = CountedList<Action>)))]
async fn list_actions(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<ActionsQuery>,
) -> ApiResult<Json<CountedList<Action>>> {
    let statuses = words(
        "status",
        query.status.as_deref(),
        model::ActionStatus::parse,
    )?;
    let of = incident(query.incident_id.as_deref())?;
    let page = page(query.cursor.as_deref(), query.limit)?;
    let casework = state.casework();
    let found = casework
        .actions(caller.actor(), &statuses, of.as_ref(), &page)
        .await?;
    Ok(Json(CountedList {
        items: found.items.iter().map(Into::into).collect(),
        next: found.next.map(|cursor| cursor.encode()),
        total: found.total,
    }))
}

/// Asks for an action. It begins at once where policy wants no second person.
#[utoipa::path(post, path = "/actions", tag = "response", request_body = NewAction,
    responses((status = 201, body = Action), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn propose_action(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewAction>,
) -> ApiResult<Response> {
    let casework = state.casework();
    let action = casework
        .propose_action(caller.actor(), body.into_casework()?)
        .await?;
    Ok((StatusCode::CREATED, Json(Action::from(&action))).into_response())
}

/// Says what an action would do and touch. Nothing is done.
#[utoipa::path(post, path = "/actions/rehearsal", tag = "response", request_body = NewAction,
    responses((status = 200, body = Rehearsal), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn rehearse_action(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewAction>,
) -> ApiResult<Json<Rehearsal>> {
    let new = body.into_casework()?;
    let found = state
        .casework()
        .rehearse_action(caller.actor(), &new)
        .await?;
    Ok(Json(found.into()))
}

/// The closed list of actions: what each takes, and what policy says of it.
#[utoipa::path(get, path = "/actions/policies", tag = "response",
    responses((status = 200, body = List<ActionPolicy>)))]
async fn list_policies(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<ActionPolicy>>> {
    let found = state.casework().action_policies(caller.actor()).await?;
    let rows = found.into_iter();
    Ok(Json(List::whole(
        rows.map(|(kind, policy)| ActionPolicy::new(kind, policy))
            .collect(),
    )))
}

/// Decides which kind of action needs a second person, and for how long it lasts.
#[utoipa::path(put, path = "/actions/policies/{kind}", tag = "response",
    params(("kind" = String, Path)), request_body = PolicyChange,
    responses((status = 204), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn set_policy(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(kind): ApiPath<String>,
    ApiJson(body): ApiJson<PolicyChange>,
) -> ApiResult<StatusCode> {
    let kind = model::ActionKind::parse(&kind)
        .ok_or_else(|| ApiError::not_found("there is no such action"))?;
    let policy = model::ActionPolicy {
        needs_approval: body.needs_approval,
        time_limit_s: body.time_limit_s,
    };
    let casework = state.casework();
    casework
        .set_action_policy(caller.actor(), kind, policy)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// One action.
#[utoipa::path(get, path = "/actions/{id}", tag = "response", params(("id" = String, Path)),
    responses((status = 200, body = Action), (status = 404, body = Problem)))]
async fn get_action(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(action): ApiPath<String>,
) -> ApiResult<Json<Action>> {
    let found = state
        .casework()
        .action(caller.actor(), &id(&action)?)
        .await?;
    Ok(Json((&found).into()))
}

/// The sealed record of an action.
#[utoipa::path(get, path = "/actions/{id}/record", tag = "response", params(("id" = String, Path)),
    responses((status = 200, body = ActionRecord), (status = 404, body = Problem)))]
async fn get_record(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(action): ApiPath<String>,
) -> ApiResult<Json<ActionRecord>> {
    let casework = state.casework();
    let found = casework
        .action_record(caller.actor(), &id(&action)?)
        .await?;
    Ok(Json(found.into()))
}

/// Agrees to an action of somebody else.
#[utoipa::path(post, path = "/actions/{id}/approve", tag = "response", params(("id" = String, Path)),
    request_body = Decision, responses((status = 200, body = Action), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn approve_action(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(action): ApiPath<String>,
    ApiJson(body): ApiJson<Decision>,
) -> ApiResult<Json<Action>> {
    let casework = state.casework();
    let action = casework
        .approve_action(caller.actor(), &id(&action)?, &body.note)
        .await?;
    Ok(Json((&action).into()))
}

/// Refuses an action; the note says why.
#[utoipa::path(post, path = "/actions/{id}/reject", tag = "response", params(("id" = String, Path)),
    request_body = Decision, responses((status = 200, body = Action), (status = 400, body = Problem),
    (status = 403, body = Problem)))]
async fn reject_action(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(action): ApiPath<String>,
    ApiJson(body): ApiJson<Decision>,
) -> ApiResult<Json<Action>> {
    let casework = state.casework();
    let action = casework
        .reject_action(caller.actor(), &id(&action)?, &body.note)
        .await?;
    Ok(Json((&action).into()))
}

/// Takes an action back that was not begun.
#[utoipa::path(post, path = "/actions/{id}/cancel", tag = "response", params(("id" = String, Path)),
    request_body = Decision, responses((status = 200, body = Action), (status = 403, body = Problem),
    (status = 409, body = Problem)))]
async fn cancel_action(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(action): ApiPath<String>,
    ApiJson(body): ApiJson<Decision>,
) -> ApiResult<Json<Action>> {
    let casework = state.casework();
    let action = casework
        .cancel_action(caller.actor(), &id(&action)?, &body.note)
        .await?;
    Ok(Json((&action).into()))
}

/// Undoes an action that was done; answers the action that does it.
#[utoipa::path(post, path = "/actions/{id}/undo", tag = "response", params(("id" = String, Path)),
    request_body = Reason, responses((status = 201, body = Action), (status = 400, body = Problem),
    (status = 403, body = Problem)))]
async fn undo_action(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(action): ApiPath<String>,
    ApiJson(body): ApiJson<Reason>,
) -> ApiResult<Response> {
    let casework = state.casework();
    let undo = casework
        .undo_action(caller.actor(), &id(&action)?, &body.reason)
        .await?;
    Ok((StatusCode::CREATED, Json(Action::from(&undo))).into_response())
}

/// Settles what became of an action, or begins a failed one again.
#[utoipa::path(post, path = "/actions/{id}/settle", tag = "response", params(("id" = String, Path)),
    request_body = SettleAction, responses((status = 200, body = Action), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn settle_action(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(action): ApiPath<String>,
    ApiJson(body): ApiJson<SettleAction>,
) -> ApiResult<Json<Action>> {
    let how = match body.how {
        Settlement::Done => casework::Settlement::Done,
        Settlement::NotDone => casework::Settlement::NotDone,
        Settlement::Again => casework::Settlement::Again,
    };
    let casework = state.casework();
    let action = casework
        .settle_action(caller.actor(), &id(&action)?, how, &body.note)
        .await?;
    Ok(Json((&action).into()))
}

/// What waits for somebody: approvals, uncertain actions, steps of persons, stuck runs.
#[utoipa::path(get, path = "/approvals", tag = "response", responses((status = 200, body = Approvals)))]
async fn list_approvals(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<Approvals>> {
    let casework = state.casework();
    let page = casework::PageRequest::new(None, Some(1_000));
    let proposed = actions_in(&state, &caller, model::ActionStatus::Proposed).await?;
    let uncertain = actions_in(&state, &caller, model::ActionStatus::Uncertain).await?;
    let asked = casework.asked_steps(caller.actor()).await?;
    let running = Some(model::RunStatus::Running);
    let runs = casework.runs(caller.actor(), running, None, &page).await?;
    Ok(Json(Approvals {
        proposed,
        uncertain,
        steps: asked
            .iter()
            .map(|(run, step)| AskedStep {
                run: run.into(),
                step: step.into(),
            })
            .collect(),
        stuck: runs
            .items
            .iter()
            .filter(|run| run.stuck.is_some())
            .map(Into::into)
            .collect(),
    }))
}

async fn actions_in(
    state: &ApiState,
    caller: &Caller,
    status: model::ActionStatus,
) -> ApiResult<Vec<Action>> {
    let page = casework::PageRequest::new(None, Some(1_000));
    let found = state
        .casework()
        .actions(caller.actor(), &[status], None, &page)
        .await?;
    Ok(found.items.iter().map(Into::into).collect())
}

/// Ways to the outside world.
#[utoipa::path(get, path = "/connectors", tag = "response",
    responses((status = 200, body = List<Connector>)))]
async fn list_connectors(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<Connector>>> {
    let found = state.casework().connectors(caller.actor()).await?;
    Ok(Json(List::whole(
        found.into_iter().map(Into::into).collect(),
    )))
}

/// Opens a connector.
#[utoipa::path(post, path = "/connectors", tag = "response", request_body = NewConnector,
    responses((status = 201, body = Connector), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn add_connector(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewConnector>,
) -> ApiResult<Response> {
    let made = state
        .casework()
        .add_connector(caller.actor(), body.into())
        .await?;
    Ok((
        StatusCode::CREATED,
        tagged(made.version, Connector::from(made)),
    )
        .into_response())
}

/// Changes a connector.
#[utoipa::path(patch, path = "/connectors/{id}", tag = "response", params(("id" = String, Path)),
    request_body = ConnectorPatch, responses((status = 200, body = Connector),
    (status = 400, body = Problem), (status = 403, body = Problem), (status = 412, body = Problem)))]
async fn patch_connector(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(connector): ApiPath<String>,
    IfMatch(expected): IfMatch,
    ApiJson(body): ApiJson<ConnectorPatch>,
) -> ApiResult<Response> {
    let casework = state.casework();
    let changed = casework
        .patch_connector(caller.actor(), &id(&connector)?, body.into(), expected)
        .await?;
    Ok(tagged(changed.version, Connector::from(changed)))
}

/// Closes a connector and forgets its secrets.
#[utoipa::path(delete, path = "/connectors/{id}", tag = "response", params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn remove_connector(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(connector): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let casework = state.casework();
    casework
        .remove_connector(caller.actor(), &id(&connector)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
