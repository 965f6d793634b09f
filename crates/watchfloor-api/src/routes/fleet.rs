//! Agents on endpoints: their state, their groups, how they come in, what they brought.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_casework as casework;
use watchfloor_model as model;

use super::{ApiResult, not_blank, page, tagged};
use crate::extract::{ApiJson, ApiPath, ApiQuery, Caller, IfMatch, id};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::fleet::{
    Agent, AgentFile, AgentGroup, AgentGroupPatch, AgentPatch, AgentsQuery, Enrolment, Fleet,
    MadeEnrolment, NewAgentGroup, NewEnrolment,
};
use crate::wire::playbook::Reason;
use crate::wire::{CountedList, List};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_fleet))
        .routes(routes!(list_agents))
        .routes(routes!(get_agent, patch_agent))
        .routes(routes!(revoke_agent))
        .routes(routes!(clear_agent))
        .routes(routes!(add_group))
        .routes(routes!(patch_group))
        .routes(routes!(list_enrolments, add_enrolment))
        .routes(routes!(end_enrolment))
        .routes(routes!(list_files))
        .routes(routes!(get_file))
}

/// How the fleet stands, and its groups.
#[utoipa::path(get, path = "/fleet", tag = "fleet", responses((status = 200, body = Fleet)))]
async fn get_fleet(State(state): State<ApiState>, caller: Caller) -> ApiResult<Json<Fleet>> {
    let actor = caller.actor();
    let groups = state.casework().agent_groups(actor).await?;
    let status = state.fleet().status(&actor.tenant, &groups);
    Ok(Json(Fleet {
        status,
        groups: groups.iter().map(Into::into).collect(),
    }))
}

async fn shown(
    state: &ApiState,
    caller: &Caller,
    agents: &[model::Agent],
) -> ApiResult<Vec<Agent>> {
    let actor = caller.actor();
    let groups = state.casework().agent_groups(actor).await?;
    let ids: Vec<model::AgentId> = agents.iter().map(|agent| agent.id.clone()).collect();
    let connected = state.fleet().connected(&actor.tenant, &ids);
    let policies: Vec<_> = groups
        .iter()
        .map(|group| (&group.id, state.fleet().policy_of(&actor.tenant, group)))
        .collect();
    let policy_of = |agent: &model::Agent| {
        let mut found = policies.iter().filter(|(id, _)| **id == agent.group);
        found.next().and_then(|(_, policy)| *policy)
    };
    let rows = agents.iter().zip(&connected);
    Ok(rows
        .map(|(agent, connected)| Agent::new(agent, connected.as_ref(), policy_of(agent)))
        .collect())
}

async fn one(state: &ApiState, caller: &Caller, agent: model::Agent) -> ApiResult<Response> {
    let version = agent.version;
    let mut shown = shown(state, caller, &[agent]).await?;
    match shown.pop() {
        Some(agent) => Ok(tagged(version, agent)),
        None => Err(ApiError::not_found("there is no such agent")),
    }
}

/// Agents, those enrolled last first.
#[utoipa::path(get, path = "/fleet/agents", tag = "fleet", params(AgentsQuery),
    responses((status = 200, body = CountedList<Agent>)))]
async fn list_agents(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<AgentsQuery>,
) -> ApiResult<Json<CountedList<Agent>>> {
    let status = not_blank(query.status).map(|word| {
        model::AgentStatus::parse(&word)
            .ok_or_else(|| ApiError::invalid("status", "is 'active' or 'revoked'"))
    });
    let group = not_blank(query.group).map(|text| {
        text.parse()
            .map_err(|_| ApiError::invalid("group", "is no id"))
    });
    let filter = casework::AgentFilter {
        host: not_blank(query.host),
        group: group.transpose()?,
        status: status.transpose()?,
    };
    let page = page(query.cursor.as_deref(), query.limit)?;
    let casework = state.casework();
    let found = casework.agents(caller.actor(), &filter, &page).await?;
    Ok(Json(CountedList {
        items: shown(&state, &caller, &found.items).await?,
        next: found.next.map(|cursor| cursor.encode()),
        total: found.total,
    }))
}

/// One agent.
#[utoipa::path(get, path = "/fleet/agents/{id}", tag = "fleet", params(("id" = String, Path)),
    responses((status = 200, body = Agent), (status = 404, body = Problem)))]
async fn get_agent(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(agent): ApiPath<String>,
) -> ApiResult<Response> {
    let found = state.casework().agent(caller.actor(), &id(&agent)?).await?;
    one(&state, &caller, found).await
}

/// Moves an agent to another group.
#[utoipa::path(patch, path = "/fleet/agents/{id}", tag = "fleet", params(("id" = String, Path)),
    request_body = AgentPatch, responses((status = 200, body = Agent), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn patch_agent(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(agent): ApiPath<String>,
    ApiJson(body): ApiJson<AgentPatch>,
) -> ApiResult<Response> {
    let group = body
        .group
        .parse()
        .map_err(|_| ApiError::invalid("group", "is no id"))?;
    let moved = state
        .casework()
        .move_agent(caller.actor(), &id(&agent)?, &group)
        .await?;
    one(&state, &caller, moved).await
}

/// Takes an agent's certificate back; it is hung up on at once and never let in again.
#[utoipa::path(post, path = "/fleet/agents/{id}/revoke", tag = "fleet", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = Agent), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn revoke_agent(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(agent): ApiPath<String>,
    ApiJson(body): ApiJson<Reason>,
) -> ApiResult<Response> {
    let revoked = state
        .casework()
        .revoke_agent(caller.actor(), &id(&agent)?, &body.reason)
        .await?;
    one(&state, &caller, revoked).await
}

/// Says that somebody looked at what is doubtful about an agent and is content.
#[utoipa::path(post, path = "/fleet/agents/{id}/clear", tag = "fleet", params(("id" = String, Path)),
    request_body = Reason, responses((status = 200, body = Agent), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn clear_agent(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(agent): ApiPath<String>,
    ApiJson(body): ApiJson<Reason>,
) -> ApiResult<Response> {
    let cleared = state
        .casework()
        .clear_agent_doubts(caller.actor(), &id(&agent)?, &body.reason)
        .await?;
    one(&state, &caller, cleared).await
}

/// Makes a group of agents, with the standard policy.
#[utoipa::path(post, path = "/fleet/groups", tag = "fleet", request_body = NewAgentGroup,
    responses((status = 201, body = AgentGroup), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 409, body = Problem)))]
async fn add_group(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewAgentGroup>,
) -> ApiResult<Response> {
    let casework = state.casework();
    let group = casework.add_agent_group(caller.actor(), &body.name).await?;
    Ok((StatusCode::CREATED, Json(AgentGroup::from(&group))).into_response())
}

/// Changes a group: its name, its policy, the version that its agents run.
#[utoipa::path(patch, path = "/fleet/groups/{id}", tag = "fleet",
    params(("id" = String, Path), ("If-Match" = Option<String>, Header)), request_body = AgentGroupPatch,
    responses((status = 200, body = AgentGroup), (status = 400, body = Problem), (status = 403, body = Problem),
    (status = 404, body = Problem), (status = 412, body = Problem)))]
async fn patch_group(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(group): ApiPath<String>,
    IfMatch(expected): IfMatch,
    ApiJson(body): ApiJson<AgentGroupPatch>,
) -> ApiResult<Response> {
    let agent_version = match body.agent_version {
        Some(version) if !version.is_empty() && !state.fleet().has_version(&version) => {
            return Err(ApiError::invalid(
                "agent_version",
                "there is no binary of this version; put it into fleet/versions of the data folder",
            ));
        }
        Some(version) => Some(not_blank(Some(version))),
        None => None,
    };
    let patch = casework::GroupPatch {
        name: body.name,
        policy: body.policy.map(|policy| policy.to_string()),
        agent_version,
    };
    let group = state
        .casework()
        .patch_agent_group(caller.actor(), &id(&group)?, patch, expected)
        .await?;
    Ok(tagged(group.version, AgentGroup::from(&group)))
}

/// Rights to enrol that are kept.
#[utoipa::path(get, path = "/fleet/enrolments", tag = "fleet",
    responses((status = 200, body = List<Enrolment>), (status = 403, body = Problem)))]
async fn list_enrolments(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<Enrolment>>> {
    let found = state.casework().enrolments(caller.actor()).await?;
    Ok(Json(List::whole(found.iter().map(Into::into).collect())))
}

/// Makes a right to enrol, and the line that enrols an endpoint; both are shown once.
#[utoipa::path(post, path = "/fleet/enrolments", tag = "fleet", request_body = NewEnrolment,
    responses((status = 201, body = MadeEnrolment), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn add_enrolment(
    State(state): State<ApiState>,
    caller: Caller,
    headers: HeaderMap,
    ApiJson(body): ApiJson<NewEnrolment>,
) -> ApiResult<Response> {
    let group = body.group.as_deref().map(str::parse).transpose();
    let group = group.map_err(|_| ApiError::invalid("group", "is no id"))?;
    let made = state
        .casework()
        .add_enrolment(
            caller.actor(),
            group.as_ref(),
            body.uses.unwrap_or(1),
            body.life_hours.unwrap_or(24),
        )
        .await?;
    let line = state
        .fleet()
        .enrolment_line(&made.secret, &base_of(&headers));
    let body = MadeEnrolment {
        enrolment: (&made.enrolment).into(),
        line,
    };
    Ok((StatusCode::CREATED, Json(body)).into_response())
}

/// The URL under which the server was asked.
fn base_of(headers: &HeaderMap) -> String {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scheme = match text("x-forwarded-proto") {
        Some("https") => "https",
        _ => "http",
    };
    format!("{scheme}://{}", text("host").unwrap_or("localhost"))
}

/// Takes a right to enrol back.
#[utoipa::path(delete, path = "/fleet/enrolments/{id}", tag = "fleet", params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn end_enrolment(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(enrolment): ApiPath<String>,
) -> ApiResult<StatusCode> {
    state
        .casework()
        .end_enrolment(caller.actor(), &id(&enrolment)?)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Files that an action collected.
#[utoipa::path(get, path = "/actions/{id}/files", tag = "fleet", params(("id" = String, Path)),
    responses((status = 200, body = List<AgentFile>)))]
async fn list_files(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(action): ApiPath<String>,
) -> ApiResult<Json<List<AgentFile>>> {
    let found = state
        .casework()
        .agent_files(caller.actor(), &id(&action)?)
        .await?;
    Ok(Json(List::whole(found.iter().map(Into::into).collect())))
}

/// A file that an action collected, as it came.
#[utoipa::path(get, path = "/actions/{id}/files/{name}", tag = "fleet",
    params(("id" = String, Path), ("name" = String, Path)),
    responses((status = 200, body = Vec<u8>, content_type = "application/octet-stream"), (status = 404, body = Problem)))]
async fn get_file(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath((action, name)): ApiPath<(String, String)>,
) -> ApiResult<Response> {
    let action: model::ActionId = id(&action)?;
    let actor = caller.actor();
    let known = state.casework().agent_files(actor, &action).await?;
    let missing = || ApiError::not_found("the action has no such file");
    if known.iter().all(|file| file.name != name) {
        return Err(missing());
    }
    let path = state.fleet().collected(&actor.tenant, &action, &name);
    let path = path.ok_or_else(missing)?;
    let file = tokio::fs::File::open(&path).await.map_err(|_| missing())?;
    Ok(download(file, &name))
}

/// Bytes of a file under its name; the name has plain signs only.
fn download(file: tokio::fs::File, name: &str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (
            header::CONTENT_DISPOSITION,
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    let stream = tokio_util::io::ReaderStream::new(file);
    (headers, Body::from_stream(stream)).into_response()
}

/// The newest binary of the agent for a target; open to all, since it holds no secret.
pub(crate) async fn agent_binary(
    State(state): State<ApiState>,
    axum::extract::Path(target): axum::extract::Path<String>,
) -> ApiResult<Response> {
    let missing = || ApiError::not_found("there is no binary of the agent for this machine");
    let path = state.fleet().binary(&target).ok_or_else(missing)?;
    let file = tokio::fs::File::open(&path).await.map_err(|_| missing())?;
    Ok(download(file, "watchfloor-agent"))
}
