//! Incidents: list, page, change, merge, split, report.

use std::collections::{BTreeMap, BTreeSet};

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_casework::{CaseworkError, IncidentFilter, IncidentSort};
use watchfloor_model as model;

use super::clocks::{clock_filter, verdicts};
use super::{ApiResult, none_or, not_blank, page, tagged, time, words};
use crate::extract::{ApiJson, ApiPath, ApiQuery, Caller, IfMatch, id};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::incident::{
    HostStep, HostTree, Incident, IncidentContext, IncidentDetail, IncidentPatch, IncidentQuery,
    IndicatorMet, Mention, Merge, NewIncident, OpenVulnerability, Presence, Present, ReportFormat,
    ReportQuery, SimilarIncident, Split,
};
use crate::wire::{CountedList, List};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_incidents, create_incident))
        .routes(routes!(get_incident, patch_incident))
        .routes(routes!(merge_incidents))
        .routes(routes!(split_incident))
        .routes(routes!(get_report))
        .routes(routes!(similar_incidents))
        .routes(routes!(incident_context))
        .routes(routes!(note_presence))
        .routes(routes!(get_mentions))
        .routes(routes!(see_mentions))
}

/// Incidents, in the order asked for.
#[utoipa::path(get, path = "/incidents", tag = "incidents", params(IncidentQuery), responses(
    (status = 200, body = CountedList<Incident>), (status = 400, body = Problem)))]
async fn list_incidents(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<IncidentQuery>,
) -> ApiResult<Json<CountedList<Incident>>> {
    let request = page(query.cursor.as_deref(), query.limit)?;
    let filter = IncidentFilter {
        statuses: words(
            "status",
            query.status.as_deref(),
            model::IncidentStatus::parse,
        )?,
        severities: words(
            "severity",
            query.severity.as_deref(),
            model::Severity::parse,
        )?,
        assignee: none_or(query.assignee),
        text: not_blank(query.q),
        clock: clock_filter(&state, &caller, query.clock.as_deref()).await?,
        verdicts: verdicts(query.verdict.as_deref())?,
        detected_from: time("detected_from", query.detected_from.as_deref())?,
        detected_to: time("detected_to", query.detected_to.as_deref())?,
        reached: words("reached", query.reached.as_deref(), model::ClockKind::parse)?.pop(),
    };
    let casework = state.casework();
    let sort = match query.sort.as_deref().filter(|text| !text.is_empty()) {
        None | Some("-last_time") => IncidentSort::LastTime,
        Some("-risk") => IncidentSort::Risk,
        Some("-severity") => IncidentSort::Severity,
        Some("due") => IncidentSort::Due(casework.service_levels(caller.actor()).await?),
        Some(_) => {
            let words = "expected -last_time, -risk, -severity or due";
            return Err(ApiError::invalid("sort", words));
        }
    };
    let found = casework
        .incidents(caller.actor(), &filter, &sort, &request)
        .await?;
    Ok(Json(CountedList {
        items: found.items.iter().map(Incident::from).collect(),
        next: found.next.map(|cursor| cursor.encode()),
        total: found.total,
    }))
}

/// Opens an incident by hand.
#[utoipa::path(post, path = "/incidents", tag = "incidents", request_body = NewIncident, responses(
    (status = 201, body = Incident), (status = 400, body = Problem)))]
async fn create_incident(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewIncident>,
) -> ApiResult<Response> {
    let alerts = ids(&body.alert_ids)?;
    let incident = state
        .casework()
        .create_incident(
            caller.actor(),
            &body.title,
            body.severity.map(Into::into),
            &alerts,
        )
        .await?;
    let mut response = tagged(incident.version, Incident::from(&incident));
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

fn ids<T: std::str::FromStr>(texts: &[String]) -> ApiResult<Vec<T>> {
    texts.iter().map(|text| id(text)).collect()
}

/// An incident with everything its page shows.
#[utoipa::path(get, path = "/incidents/{id}", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = IncidentDetail), (status = 404, body = Problem)))]
async fn get_incident(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(incident): ApiPath<String>,
) -> ApiResult<Response> {
    let detail = state
        .casework()
        .incident_detail(caller.actor(), &id(&incident)?)
        .await?;
    Ok(tagged(
        detail.incident.version,
        IncidentDetail::from(detail),
    ))
}

async fn answered(
    state: &ApiState,
    caller: &Caller,
    incident: &model::IncidentId,
    result: Result<model::Incident, CaseworkError>,
) -> ApiResult<Response> {
    match result {
        Ok(incident) => Ok(tagged(incident.version, Incident::from(&incident))),
        Err(error) => {
            let error = ApiError::from(error);
            if !error.is_version_conflict() {
                return Err(error);
            }
            let current = state.casework().incident(caller.actor(), incident).await?;
            let current = serde_json::to_value(Incident::from(&current));
            Err(error.with_current(current.unwrap_or_default()))
        }
    }
}

/// Changes an incident.
#[utoipa::path(patch, path = "/incidents/{id}", tag = "incidents", params(("id" = String, Path)),
    request_body = IncidentPatch, responses((status = 200, body = Incident),
    (status = 409, body = Problem), (status = 412, body = Problem)))]
async fn patch_incident(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(incident): ApiPath<String>,
    ApiJson(body): ApiJson<IncidentPatch>,
) -> ApiResult<Response> {
    let incident = id(&incident)?;
    let patch = watchfloor_casework::IncidentPatch {
        title: body.title,
        summary: body.summary,
        severity: body.severity.map(Into::into),
        status: body.status.map(Into::into),
        assignee: body.assignee,
        verdict: body.verdict.map(|verdict| verdict.map(Into::into)),
    };
    let result = state
        .casework()
        .patch_incident(caller.actor(), &incident, patch, expected)
        .await;
    answered(&state, &caller, &incident, result).await
}

/// Merges other incidents into this one.
#[utoipa::path(post, path = "/incidents/{id}/merge", tag = "incidents", params(("id" = String, Path)),
    request_body = Merge, responses((status = 200, body = Incident), (status = 400, body = Problem)))]
async fn merge_incidents(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(incident): ApiPath<String>,
    ApiJson(body): ApiJson<Merge>,
) -> ApiResult<Response> {
    let incident = id(&incident)?;
    let from = ids(&body.from)?;
    let result = state
        .casework()
        .merge_incidents(
            caller.actor(),
            &incident,
            &from,
            body.reason.as_deref(),
            expected,
        )
        .await;
    answered(&state, &caller, &incident, result).await
}

/// Takes alerts out into an incident of their own, which is the answer.
#[utoipa::path(post, path = "/incidents/{id}/split", tag = "incidents", params(("id" = String, Path)),
    request_body = Split, responses((status = 201, body = Incident), (status = 400, body = Problem)))]
async fn split_incident(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(incident): ApiPath<String>,
    ApiJson(body): ApiJson<Split>,
) -> ApiResult<Response> {
    let incident = id(&incident)?;
    let alerts = ids(&body.alert_ids)?;
    let result = state
        .casework()
        .split_incident(
            caller.actor(),
            &incident,
            &alerts,
            body.reason.as_deref(),
            expected,
        )
        .await;
    let mut response = answered(&state, &caller, &incident, result).await?;
    *response.status_mut() = StatusCode::CREATED;
    Ok(response)
}

/// The report of an incident, as a download.
#[utoipa::path(get, path = "/incidents/{id}/report", tag = "incidents",
    params(("id" = String, Path), ReportQuery), responses(
    (status = 200, description = "the document", content((Vec<u8> = "application/pdf"), (String = "text/html"))),
    (status = 404, body = Problem)))]
async fn get_report(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(incident): ApiPath<String>,
    ApiQuery(query): ApiQuery<ReportQuery>,
) -> ApiResult<Response> {
    let (format, media, end) = match query.format {
        ReportFormat::Html => (
            watchfloor_casework::ReportFormat::Html,
            "text/html; charset=utf-8",
            "html",
        ),
        ReportFormat::Pdf => (
            watchfloor_casework::ReportFormat::Pdf,
            "application/pdf",
            "pdf",
        ),
    };
    let (number, bytes) = state
        .casework()
        .incident_report(caller.actor(), &id(&incident)?, format)
        .await?;
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media));
    let name = format!("attachment; filename=\"incident-{number}.{end}\"");
    if let Ok(value) = HeaderValue::try_from(name) {
        headers.insert(header::CONTENT_DISPOSITION, value);
    }
    Ok(response)
}

/// Incidents like this one, of the last half year, with what both have.
#[utoipa::path(get, path = "/incidents/{id}/similar", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = List<SimilarIncident>), (status = 404, body = Problem)))]
async fn similar_incidents(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(incident): ApiPath<String>,
) -> ApiResult<Json<List<SimilarIncident>>> {
    let found = state
        .casework()
        .similar_incidents(caller.actor(), &id(&incident)?)
        .await?;
    let found = found.iter().map(|one| SimilarIncident {
        incident: (&one.incident).into(),
        reasons: one.reasons.clone(),
    });
    Ok(Json(List::whole(found.collect())))
}

/// Says that the caller looks at an incident, which holds for 45 s, or does no more; answers who
/// looks at it now. Others hear of it as `presence` on the live stream.
#[utoipa::path(post, path = "/incidents/{id}/presence", tag = "incidents", params(("id" = String, Path)),
    request_body = Presence, responses((status = 200, body = Present), (status = 404, body = Problem)))]
async fn note_presence(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(incident): ApiPath<String>,
    ApiJson(body): ApiJson<Presence>,
) -> ApiResult<Json<Present>> {
    let names = state
        .casework()
        .note_presence(caller.actor(), &id(&incident)?, body.is_there)
        .await?;
    Ok(Json(Present { names }))
}

/// Notes that mention the caller, newest first.
#[utoipa::path(get, path = "/mentions", tag = "incidents",
    responses((status = 200, body = List<Mention>)))]
async fn get_mentions(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<Mention>>> {
    let found = state.casework().mentions(caller.actor()).await?;
    Ok(Json(List::whole(
        found.into_iter().map(Into::into).collect(),
    )))
}

/// Notes that the caller has seen what mentions them.
#[utoipa::path(post, path = "/mentions/seen", tag = "incidents", responses((status = 204)))]
async fn see_mentions(State(state): State<ApiState>, caller: Caller) -> ApiResult<StatusCode> {
    state.casework().see_mentions(caller.actor()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Events that are read for the process trees of an incident.
const TREE_EVENTS_MAX: usize = 200;

/// Events of one alert that are read for them.
const TREE_EVENTS_PER_ALERT: usize = 5;

/// Process trees across machines, ways between machines, what is open on them, indicators met.
#[utoipa::path(get, path = "/incidents/{id}/context", tag = "incidents", params(("id" = String, Path)),
    responses((status = 200, body = IncidentContext), (status = 404, body = Problem)))]
async fn incident_context(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(incident): ApiPath<String>,
) -> ApiResult<Json<IncidentContext>> {
    let casework = state.casework();
    casework.authorize(caller.actor(), model::Permission::ReadEvents)?;
    let incident = id(&incident)?;
    let detail = casework.incident_detail(caller.actor(), &incident).await?;
    let alerts: Vec<&model::Alert> = detail.alerts.iter().map(|row| &row.alert).collect();
    let ids: Vec<&String> = alerts
        .iter()
        .flat_map(|alert| alert.event_ids.iter().take(TREE_EVENTS_PER_ALERT))
        .collect();
    let mut by_host: BTreeMap<String, Vec<crate::ports::Event>> = BTreeMap::new();
    let mut read: BTreeSet<&String> = BTreeSet::new();
    for event_id in &ids {
        if read.len() >= TREE_EVENTS_MAX || !read.insert(event_id) {
            continue;
        }
        let Some(event) = state.events().event((*event_id).clone()).await? else {
            continue;
        };
        if let Some(host) = event.fields.get("device.hostname") {
            let host = model::EntityRef::new(model::EntityKind::Host, host).value;
            by_host.entry(host).or_default().push(event);
        }
    }
    let alerted: Vec<String> = ids.iter().map(|one| (*one).clone()).collect();
    let hosts = by_host
        .into_iter()
        .map(|(host, events)| HostTree {
            host,
            processes: crate::context::process_tree(&events, &alerted),
        })
        .filter(|tree| !tree.processes.is_empty())
        .collect();
    let open = casework
        .vulnerabilities_of(caller.actor(), &incident)
        .await?;
    Ok(Json(IncidentContext {
        hosts,
        steps: steps(&alerts),
        vulnerabilities: open.into_iter().map(vulnerability).collect(),
        indicators: indicators(&alerts),
        events_read: read.len() as u64,
        is_capped: read.len() >= TREE_EVENTS_MAX,
    }))
}

fn vulnerability(open: watchfloor_casework::OpenVulnerability) -> OpenVulnerability {
    OpenVulnerability {
        host: open.host,
        name: open.name,
        severity: open.severity.into(),
        is_exploited: open.is_exploited,
    }
}

/// Ways between machines that alerts tell of: from the machine that reached out to the one on
/// which it was seen. The first of each way.
fn steps(alerts: &[&model::Alert]) -> Vec<HostStep> {
    let mut known: BTreeSet<(String, String)> = BTreeSet::new();
    let mut steps = Vec::new();
    for alert in alerts {
        let hosts = |roles: &'static [&'static str]| {
            let all = alert.entities.iter();
            all.filter(move |one| {
                one.kind == model::EntityKind::Host && roles.contains(&one.role.as_str())
            })
            .map(|one| one.key().value)
        };
        for from in hosts(&["source"]) {
            for to in hosts(&["host", "target"]) {
                if from != to && known.insert((from.clone(), to.clone())) {
                    steps.push(HostStep {
                        from: from.clone(),
                        to,
                        at: alert.time,
                        alert_id: alert.id.to_string(),
                        title: alert.title.clone(),
                    });
                }
            }
        }
    }
    steps
}

fn indicators(alerts: &[&model::Alert]) -> Vec<IndicatorMet> {
    let met = |alert: &&&model::Alert| {
        let part = alert.risk.part(model::RiskKind::Indicator)?;
        (part.points > 0).then(|| IndicatorMet {
            text: part.reason.clone(),
            alert_id: alert.id.to_string(),
            title: alert.title.clone(),
        })
    };
    alerts.iter().filter_map(|alert| met(&alert)).collect()
}
