//! The queue, an alert, its context, and what people do with it.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use jiff::SignedDuration;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_casework::{
    AlertFilter, AlertSort, AlertSortKey, BulkAction, CaseworkError, IncidentPart,
};
use watchfloor_model as model;

use super::clocks::clock_filter;
use super::{ApiResult, none_or, not_blank, page, tagged, time, words};
use crate::context;
use crate::extract::{ApiJson, ApiPath, ApiQuery, Caller, IfMatch, id};
use crate::ports::{Event, RelatedRequest};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::alert::{
    Alert, AlertContext, AlertDetail, AlertQuery, Assign, Attach, Attachment, Because, Bulk,
    BulkActionName, BulkFailure, BulkResult, Close, ContextQuery, Judgement, MatchedField,
};
use crate::wire::{self, CountedList, NewNote, Note};

/// Events around an alert in one answer.
const CONTEXT_EVENTS_MAX: u32 = 500;

/// Minutes around an alert.
const CONTEXT_MINUTES: u32 = 15;

/// Most minutes around an alert.
const CONTEXT_MINUTES_MAX: u32 = 1_440;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_alerts))
        .routes(routes!(bulk_alerts))
        .routes(routes!(get_alert))
        .routes(routes!(get_context))
        .routes(routes!(acknowledge_alert))
        .routes(routes!(assign_alert))
        .routes(routes!(close_alert))
        .routes(routes!(reopen_alert))
        .routes(routes!(note_alert))
        .routes(routes!(attach_alert))
        .routes(routes!(detach_alert))
}

fn filter(query: AlertQuery) -> ApiResult<AlertFilter> {
    let incident = match none_or(query.incident_id) {
        Some(Some(text)) => Some(IncidentPart::Of(id(&text)?)),
        Some(None) => Some(IncidentPart::Unattached),
        None => None,
    };
    let entity = not_blank(query.entity).map(|text| match text.split_once(':') {
        Some((kind, value)) if model::EntityKind::parse(kind).is_some() => {
            (model::EntityKind::parse(kind), value.to_owned())
        }
        Some(_) | None => (None, text),
    });
    Ok(AlertFilter {
        statuses: words("status", query.status.as_deref(), model::AlertStatus::parse)?,
        severities: words(
            "severity",
            query.severity.as_deref(),
            model::Severity::parse,
        )?,
        assignee: none_or(query.assignee),
        incident,
        rule_id: not_blank(query.rule_id),
        entity,
        text: not_blank(query.q),
        from: time("from", query.from.as_deref())?,
        to: time("to", query.to.as_deref())?,
        clock: None,
    })
}

fn sort(text: Option<&str>) -> ApiResult<AlertSort> {
    let text = text.filter(|text| !text.is_empty()).unwrap_or("-time");
    let (word, descending) = match text.strip_prefix('-') {
        Some(word) => (word, true),
        None => (text, false),
    };
    let key = AlertSortKey::parse(word)
        .ok_or_else(|| ApiError::invalid("sort", format!("'{word}' is not known")))?;
    Ok(AlertSort { key, descending })
}

/// The queue.
#[utoipa::path(get, path = "/alerts", tag = "alerts", params(AlertQuery), responses(
    (status = 200, body = CountedList<Alert>), (status = 400, body = Problem)))]
async fn list_alerts(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<AlertQuery>,
) -> ApiResult<Json<CountedList<Alert>>> {
    let request = page(query.cursor.as_deref(), query.limit)?;
    let order = sort(query.sort.as_deref())?;
    let clock = clock_filter(&state, &caller, query.clock.as_deref()).await?;
    let filter = AlertFilter {
        clock,
        ..filter(query)?
    };
    let found = state
        .casework()
        .alerts(caller.actor(), &filter, order, &request)
        .await?;
    Ok(Json(CountedList {
        items: found.items.iter().map(Alert::from).collect(),
        next: found.next.map(|cursor| cursor.encode()),
        total: found.total,
    }))
}

/// An alert with everything its page shows at once.
#[utoipa::path(get, path = "/alerts/{id}", tag = "alerts", params(("id" = String, Path)),
    responses((status = 200, body = AlertDetail), (status = 404, body = Problem)))]
async fn get_alert(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(alert): ApiPath<String>,
) -> ApiResult<Response> {
    let detail = state
        .casework()
        .alert_detail(caller.actor(), &id(&alert)?)
        .await?;
    let alert = &detail.alert;
    let event = last_event(&state, alert).await;
    let rule = match state.rules().rule(alert.rule_id.clone()).await {
        Ok(rule) => rule,
        Err(error) => {
            tracing::warn!(%error, "an alert is shown without its rule");
            None
        }
    };
    let body = AlertDetail {
        alert: alert.into(),
        risk_parts: crate::wire::risk_parts(&alert.risk),
        reasons: alert
            .reasons
            .iter()
            .map(|reason| MatchedField {
                field: reason.field.clone(),
                value: reason.value.clone(),
                pattern: reason.pattern.clone(),
                selection: reason.selection.clone(),
            })
            .collect(),
        event,
        rule,
        rule_version: alert.rule_version.clone(),
        verdict_reason: alert.verdict_reason.clone(),
        attachment: alert.attachment.as_ref().map(|a| Attachment {
            incident_id: a.incident_id.to_string(),
            reasons: a.reasons.clone(),
        }),
        history: wire::history(detail.history),
        notes: detail.notes.into_iter().map(Into::into).collect(),
        judgements: detail
            .judgements
            .into_iter()
            .map(|j| Judgement {
                alert_id: j.alert_id.to_string(),
                verdict: j.verdict.into(),
                reason: j.reason,
                actor: j.actor,
                at: j.at,
            })
            .collect(),
        judgement_counts: detail
            .judgement_counts
            .into_iter()
            .map(|(verdict, count)| (verdict.to_string(), count))
            .collect(),
        event_ids: alert.event_ids.clone(),
    };
    Ok(tagged(alert.version, body))
}

/// The event of the first finding (its last, for a correlation). An alert is shown even while
/// the lake cannot answer.
async fn last_event(state: &ApiState, alert: &model::Alert) -> Option<Event> {
    for event_id in alert.event_ids.iter().take(3) {
        match state.events().event(event_id.clone()).await {
            Ok(Some(event)) => return Some(event),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "an alert is shown without its event");
                return None;
            }
        }
    }
    None
}

/// What happened around an alert.
#[utoipa::path(get, path = "/alerts/{id}/context", tag = "alerts",
    params(("id" = String, Path), ContextQuery),
    responses((status = 200, body = AlertContext), (status = 404, body = Problem)))]
async fn get_context(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(alert): ApiPath<String>,
    ApiQuery(query): ApiQuery<ContextQuery>,
) -> ApiResult<Json<AlertContext>> {
    let casework = state.casework();
    casework.authorize(caller.actor(), model::Permission::ReadEvents)?;
    let detail = casework.alert_detail(caller.actor(), &id(&alert)?).await?;
    let alert = &detail.alert;
    let minutes = query
        .minutes
        .unwrap_or(CONTEXT_MINUTES)
        .clamp(1, CONTEXT_MINUTES_MAX);
    let span = SignedDuration::from_mins(i64::from(minutes));
    let request = RelatedRequest {
        values: context::related_values(alert),
        from: alert
            .first_time
            .saturating_sub(span)
            .unwrap_or(alert.first_time),
        to: alert
            .last_time
            .saturating_add(span)
            .unwrap_or(alert.last_time),
        limit: CONTEXT_EVENTS_MAX,
    };
    let related = state.events().related(request).await?;
    // The alert's own events belong into the tree even where the cap left them out.
    let mut shown = related.events.clone();
    for event_id in alert.event_ids.iter().take(context::ALERT_EVENTS_MAX) {
        let known = shown.iter().any(|event| event.id == *event_id);
        if !known && let Some(event) = state.events().event(event_id.clone()).await? {
            shown.push(event);
        }
    }
    let process_tree = context::process_tree(&shown, &alert.event_ids);
    Ok(Json(AlertContext {
        events: related.events,
        total: related.total,
        capped: related.capped,
        process_tree,
        same_rule: detail.same_rule.iter().map(Alert::from).collect(),
    }))
}

/// Adds the record as it is now to a version conflict.
async fn answered(
    state: &ApiState,
    caller: &Caller,
    alert: &model::AlertId,
    result: Result<model::Alert, CaseworkError>,
) -> ApiResult<Response> {
    match result {
        Ok(alert) => Ok(tagged(alert.version, Alert::from(&alert))),
        Err(error) => {
            let error = ApiError::from(error);
            if !error.is_version_conflict() {
                return Err(error);
            }
            let current = state.casework().alert(caller.actor(), alert).await?;
            let current = serde_json::to_value(Alert::from(&current));
            Err(error.with_current(current.unwrap_or_default()))
        }
    }
}

/// Notes that the caller has seen an alert.
#[utoipa::path(post, path = "/alerts/{id}/acknowledge", tag = "alerts", params(("id" = String, Path)),
    responses((status = 200, body = Alert), (status = 409, body = Problem), (status = 412, body = Problem)))]
async fn acknowledge_alert(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(alert): ApiPath<String>,
) -> ApiResult<Response> {
    let alert = id(&alert)?;
    let result = state
        .casework()
        .acknowledge_alert(caller.actor(), &alert, expected)
        .await;
    answered(&state, &caller, &alert, result).await
}

/// Gives an alert to somebody, or to nobody.
#[utoipa::path(post, path = "/alerts/{id}/assign", tag = "alerts", params(("id" = String, Path)),
    request_body = Assign,
    responses((status = 200, body = Alert), (status = 409, body = Problem), (status = 412, body = Problem)))]
async fn assign_alert(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(alert): ApiPath<String>,
    ApiJson(body): ApiJson<Assign>,
) -> ApiResult<Response> {
    let alert = id(&alert)?;
    let result = state
        .casework()
        .assign_alert(caller.actor(), &alert, body.assignee, expected)
        .await;
    answered(&state, &caller, &alert, result).await
}

/// Closes an alert with a verdict.
#[utoipa::path(post, path = "/alerts/{id}/close", tag = "alerts", params(("id" = String, Path)),
    request_body = Close,
    responses((status = 200, body = Alert), (status = 409, body = Problem), (status = 412, body = Problem)))]
async fn close_alert(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(alert): ApiPath<String>,
    ApiJson(body): ApiJson<Close>,
) -> ApiResult<Response> {
    let alert = id(&alert)?;
    let result = state
        .casework()
        .close_alert(
            caller.actor(),
            &alert,
            body.verdict.into(),
            body.reason,
            expected,
        )
        .await;
    answered(&state, &caller, &alert, result).await
}

/// Takes a closed alert up again.
#[utoipa::path(post, path = "/alerts/{id}/reopen", tag = "alerts", params(("id" = String, Path)),
    responses((status = 200, body = Alert), (status = 409, body = Problem), (status = 412, body = Problem)))]
async fn reopen_alert(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(alert): ApiPath<String>,
) -> ApiResult<Response> {
    let alert = id(&alert)?;
    let result = state
        .casework()
        .reopen_alert(caller.actor(), &alert, expected)
        .await;
    answered(&state, &caller, &alert, result).await
}

/// Writes a note on an alert.
#[utoipa::path(post, path = "/alerts/{id}/notes", tag = "alerts", params(("id" = String, Path)),
    request_body = NewNote, responses((status = 201, body = Note), (status = 404, body = Problem)))]
async fn note_alert(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(alert): ApiPath<String>,
    ApiJson(body): ApiJson<NewNote>,
) -> ApiResult<(StatusCode, Json<Note>)> {
    let note = state
        .casework()
        .note_alert(caller.actor(), &id(&alert)?, &body.text)
        .await?;
    Ok((StatusCode::CREATED, Json(note.into())))
}

/// Attaches an alert to an incident, or to a new one.
#[utoipa::path(post, path = "/alerts/{id}/attach", tag = "alerts", params(("id" = String, Path)),
    request_body = Attach, responses((status = 200, body = Alert), (status = 412, body = Problem)))]
async fn attach_alert(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(alert): ApiPath<String>,
    ApiJson(body): ApiJson<Attach>,
) -> ApiResult<Response> {
    let alert = id(&alert)?;
    let incident = body.incident_id.as_deref().map(id).transpose()?;
    let result = state
        .casework()
        .attach_alert(
            caller.actor(),
            &alert,
            incident.as_ref(),
            body.reason.as_deref(),
            expected,
        )
        .await;
    answered(&state, &caller, &alert, result).await
}

/// Takes an alert out of its incident.
#[utoipa::path(post, path = "/alerts/{id}/detach", tag = "alerts",
    params(("id" = String, Path), Because),
    responses((status = 200, body = Alert), (status = 412, body = Problem)))]
async fn detach_alert(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiPath(alert): ApiPath<String>,
    ApiQuery(because): ApiQuery<Because>,
) -> ApiResult<Response> {
    let alert = id(&alert)?;
    let result = state
        .casework()
        .detach_alert(caller.actor(), &alert, because.reason.as_deref(), expected)
        .await;
    answered(&state, &caller, &alert, result).await
}

/// Does one thing to several alerts.
#[utoipa::path(post, path = "/alerts/bulk", tag = "alerts", request_body = Bulk,
    responses((status = 200, body = BulkResult), (status = 400, body = Problem)))]
async fn bulk_alerts(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<Bulk>,
) -> ApiResult<Json<BulkResult>> {
    let action = match body.action {
        BulkActionName::Acknowledge => BulkAction::Acknowledge,
        BulkActionName::Assign => match body.assignee {
            Some(assignee) => BulkAction::Assign(assignee),
            None => return Err(ApiError::invalid("assignee", "is needed for assign")),
        },
        BulkActionName::Close => match body.verdict {
            Some(verdict) => BulkAction::Close(verdict.into(), body.reason),
            None => return Err(ApiError::invalid("verdict", "is needed for close")),
        },
        BulkActionName::Attach => {
            let reason = body.reason.filter(|text| !text.trim().is_empty());
            BulkAction::Attach(body.incident_id.as_deref().map(id).transpose()?, reason)
        }
    };
    let casework = state.casework();
    let outcome = match body.matching {
        Some(_) if !body.ids.is_empty() => {
            return Err(ApiError::invalid("ids", "must be empty beside matching"));
        }
        Some(matching) => {
            let filter = filter(matching.into())?;
            casework
                .bulk_matching(caller.actor(), &filter, action)
                .await?
        }
        None => {
            casework
                .bulk_alerts(caller.actor(), &body.ids, action)
                .await?
        }
    };
    Ok(Json(BulkResult {
        done: outcome.done.iter().map(ToString::to_string).collect(),
        failed: outcome
            .failed
            .into_iter()
            .map(|(id, reason)| BulkFailure { id, reason })
            .collect(),
        incident_id: outcome.incident_id.map(|incident| incident.to_string()),
    }))
}
