//! Service levels, escalation and the times that the floor takes.

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_casework as casework;
use watchfloor_casework::ClockFilter;
use watchfloor_model as model;

use super::{ApiResult, not_blank, tagged, time};
use crate::extract::{ApiJson, ApiQuery, Caller, IfMatch};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::List;
use crate::wire::clock::{
    Escalation, EscalationPolicy, EscalationQuery, NewEscalationPolicy, NewServiceLevels,
    Performance, PerformanceQuery, ServiceLevels, TimesWeek,
};

/// Days over which escalations are listed.
const ESCALATION_DAYS: i64 = 7;
/// Days over which times are computed.
const PERFORMANCE_DAYS: i64 = 12 * 7;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_service_levels, set_service_levels))
        .routes(routes!(get_escalation, set_escalation))
        .routes(routes!(list_escalations))
        .routes(routes!(get_performance))
}

/// Reads `at_risk` or `breached`, against the service levels that hold now.
pub(super) async fn clock_filter(
    state: &ApiState,
    caller: &Caller,
    text: Option<&str>,
) -> ApiResult<Option<ClockFilter>> {
    let Some(word) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let casework = state.casework();
    let levels = casework.service_levels(caller.actor()).await?;
    match word {
        "at_risk" => Ok(Some(ClockFilter::AtRisk(levels, casework.now()))),
        "breached" => Ok(Some(ClockFilter::Breached(levels, casework.now()))),
        _ => Err(ApiError::invalid("clock", "must be at_risk or breached")),
    }
}

/// Reads conclusions; `none` is none yet.
pub(super) fn verdicts(text: Option<&str>) -> ApiResult<Vec<Option<model::Verdict>>> {
    super::words("verdict", text, |word| match word {
        "none" => Some(None),
        word => model::Verdict::parse(word).map(Some),
    })
}

fn days_ago(now: Timestamp, days: i64) -> Timestamp {
    now.saturating_sub(SignedDuration::from_hours(24 * days))
        .unwrap_or(Timestamp::MIN)
}

/// Until when incidents are to be acknowledged, contained and resolved.
#[utoipa::path(get, path = "/service-levels", tag = "time",
    responses((status = 200, body = ServiceLevels)))]
async fn get_service_levels(State(state): State<ApiState>, caller: Caller) -> ApiResult<Response> {
    let levels = state.casework().service_levels(caller.actor()).await?;
    Ok(tagged(levels.version, ServiceLevels::from(levels)))
}

/// Changes the targets.
#[utoipa::path(put, path = "/service-levels", tag = "time", request_body = NewServiceLevels,
    responses((status = 200, body = ServiceLevels), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 412, body = Problem)))]
async fn set_service_levels(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiJson(body): ApiJson<NewServiceLevels>,
) -> ApiResult<Response> {
    let casework = state.casework();
    let set = casework
        .set_service_levels(caller.actor(), body.into(), expected)
        .await?;
    Ok(tagged(set.version, ServiceLevels::from(set)))
}

/// Whom to tell, and when, if nobody answers.
#[utoipa::path(get, path = "/escalation", tag = "time",
    responses((status = 200, body = EscalationPolicy)))]
async fn get_escalation(State(state): State<ApiState>, caller: Caller) -> ApiResult<Response> {
    let policy = state.casework().escalation_policy(caller.actor()).await?;
    Ok(tagged(policy.version, EscalationPolicy::from(policy)))
}

/// Changes whom to tell.
#[utoipa::path(put, path = "/escalation", tag = "time", request_body = NewEscalationPolicy,
    responses((status = 200, body = EscalationPolicy), (status = 400, body = Problem),
    (status = 403, body = Problem), (status = 412, body = Problem)))]
async fn set_escalation(
    State(state): State<ApiState>,
    caller: Caller,
    IfMatch(expected): IfMatch,
    ApiJson(body): ApiJson<NewEscalationPolicy>,
) -> ApiResult<Response> {
    let casework = state.casework();
    let set = casework
        .set_escalation_policy(caller.actor(), body.try_into()?, expected)
        .await?;
    Ok(tagged(set.version, EscalationPolicy::from(set)))
}

/// Who was told that a clock runs out, newest first.
#[utoipa::path(get, path = "/escalations", tag = "time", params(EscalationQuery),
    responses((status = 200, body = List<Escalation>)))]
async fn list_escalations(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<EscalationQuery>,
) -> ApiResult<Json<List<Escalation>>> {
    let casework = state.casework();
    let from = time("from", query.from.as_deref())?;
    let from = from.unwrap_or_else(|| days_ago(casework.now(), ESCALATION_DAYS));
    let subject = not_blank(query.subject);
    let list = casework
        .escalations(caller.actor(), from, subject.as_deref())
        .await?;
    Ok(Json(List::whole(
        list.into_iter().map(Into::into).collect(),
    )))
}

/// Times to detect, acknowledge, contain and resolve: median and ninetieth percentile, by
/// severity and week. Merged incidents count once; time that one stood resolved counts not.
#[utoipa::path(get, path = "/performance", tag = "time", params(PerformanceQuery),
    responses((status = 200, body = Performance), (status = 400, body = Problem)))]
async fn get_performance(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PerformanceQuery>,
) -> ApiResult<Json<Performance>> {
    let casework = state.casework();
    let zone = match not_blank(query.zone) {
        Some(name) => TimeZone::get(&name)
            .map_err(|_| ApiError::invalid("zone", "names no time zone of the IANA database"))?,
        None => TimeZone::UTC,
    };
    let now = casework.now();
    let from = time("from", query.from.as_deref())?;
    let asked = casework::PerformanceQuery {
        from: from.unwrap_or_else(|| days_ago(now, PERFORMANCE_DAYS)),
        to: time("to", query.to.as_deref())?.unwrap_or(now),
        verdicts: verdicts(query.verdict.as_deref())?,
        zone,
    };
    let found = casework.performance(caller.actor(), &asked).await?;
    let by_severity = found.by_severity.into_iter();
    let by_week = found.by_week.into_iter();
    let verdict = |verdict: Option<model::Verdict>| verdict.map_or("none", |one| one.as_str());
    Ok(Json(Performance {
        from: asked.from,
        to: asked.to,
        all: found.all.into(),
        by_severity: by_severity
            .map(|(severity, figures)| (severity.to_string(), figures.into()))
            .collect(),
        by_week: by_week
            .map(|(from, to, figures)| TimesWeek {
                from,
                to,
                figures: figures.into(),
            })
            .collect(),
        verdicts: found
            .verdicts
            .into_iter()
            .map(|(one, count)| (verdict(one).to_owned(), count))
            .collect(),
        capped: found.is_capped,
    }))
}
