//! Rules: lists, pages, the texts they had, and reading their files again.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_casework::check_conditions;
use watchfloor_model::{Permission, Suppression};

use super::monitor::may_monitor;
use super::{ApiResult, not_blank};
use crate::extract::{ApiJson, ApiPath, ApiQuery, Caller};
use crate::ports::{
    BacktestReport, BacktestRequest, Canary, ExplainedEvent, LivenessReport, RefusedRule, RuleInfo,
    RuleReload,
};
use crate::problem::{ApiError, Problem};
use crate::state::ApiState;
use crate::wire::List;
use crate::wire::rule::{
    Backtest, Explain, RulePage, RuleQuery, RuleText, RuleVersionRow, SuspendRule,
};
use crate::wire::suppression::{self, conditions};

/// Most days that a backtest looks back.
const BACKTEST_DAYS_MAX: u32 = 366;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_rules))
        .routes(routes!(list_refused_rules))
        .routes(routes!(reload_rules))
        .routes(routes!(list_reloads))
        .routes(routes!(get_liveness))
        .routes(routes!(backtest_rule))
        .routes(routes!(get_coverage))
        .routes(routes!(explain_rule))
        .routes(routes!(get_rule))
        .routes(routes!(get_rule_text))
        .routes(routes!(run_canary))
        .routes(routes!(suspend_rule))
        .routes(routes!(resume_rule))
}

/// The loaded rules.
#[utoipa::path(get, path = "/rules", tag = "rules", params(RuleQuery),
    responses((status = 200, body = List<RuleInfo>)))]
async fn list_rules(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<RuleQuery>,
) -> ApiResult<Json<List<RuleInfo>>> {
    may_monitor(&state, &caller)?;
    let mut rules = state.rules().rules().await?;
    if let Some(text) = not_blank(query.q) {
        let wanted = text.to_lowercase();
        rules.retain(|rule| {
            [&rule.title, &rule.id, &rule.logsource, &rule.path]
                .into_iter()
                .chain(&rule.tags)
                .any(|value| value.to_lowercase().contains(&wanted))
        });
    }
    Ok(Json(List::whole(rules)))
}

/// The rules that were not loaded, and why.
#[utoipa::path(get, path = "/rules/refused", tag = "rules",
    responses((status = 200, body = List<RefusedRule>)))]
async fn list_refused_rules(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<RefusedRule>>> {
    may_monitor(&state, &caller)?;
    Ok(Json(List::whole(state.rules().refused().await?)))
}

/// Reads the rule files now, without waiting for the next look at them.
#[utoipa::path(post, path = "/rules/reload", tag = "rules",
    responses((status = 200, body = RuleReload), (status = 403, body = Problem)))]
async fn reload_rules(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<RuleReload>> {
    state
        .casework()
        .authorize(caller.actor(), Permission::ManageRules)?;
    let name = caller.actor().name.clone();
    Ok(Json(state.rules().reload(name).await?))
}

/// The last times that rules were read and something changed, newest first.
#[utoipa::path(get, path = "/rules/reloads", tag = "rules",
    responses((status = 200, body = List<RuleReload>)))]
async fn list_reloads(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<RuleReload>>> {
    may_monitor(&state, &caller)?;
    Ok(Json(List::whole(state.rules().reloads().await?)))
}

/// Whether each rule could have fired on the events of the last 24 hours, and whether its canary
/// does.
#[utoipa::path(get, path = "/rules/liveness", tag = "rules",
    responses((status = 200, body = LivenessReport)))]
async fn get_liveness(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<LivenessReport>> {
    may_monitor(&state, &caller)?;
    Ok(Json(state.rules().liveness().await?))
}

/// Sends a rule's positive case through decoding, normalising and all rules in force, outside of
/// real data.
#[utoipa::path(post, path = "/rules/{id}/canary", tag = "rules", params(("id" = String, Path)),
    responses((status = 200, body = Canary), (status = 404, body = Problem)))]
async fn run_canary(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(rule): ApiPath<String>,
) -> ApiResult<Json<Canary>> {
    may_monitor(&state, &caller)?;
    let canary = state.rules().run_canary(rule).await?;
    canary
        .map(Json)
        .ok_or_else(|| ApiError::not_found("no rule in force has this id"))
}

/// Runs a rule over stored events: the alerts that it would have made, per day, by host and user,
/// and what a proposed exception would have held back. The rule need not be in force.
#[utoipa::path(post, path = "/rules/backtest", tag = "rules", request_body = Backtest,
    responses((status = 200, body = BacktestReport), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
async fn backtest_rule(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<Backtest>,
) -> ApiResult<Json<BacktestReport>> {
    may_monitor(&state, &caller)?;
    let casework = state.casework();
    casework.authorize(caller.actor(), Permission::ReadEvents)?;
    if !(1..=BACKTEST_DAYS_MAX).contains(&body.days) {
        return Err(ApiError::invalid("days", "must be 1 to 366"));
    }
    let now = casework.now();
    let rule_id = not_blank(body.rule_id);
    let yaml = body.yaml.filter(|text| !text.trim().is_empty());
    if rule_id.is_none() && yaml.is_none() {
        return Err(ApiError::invalid("yaml", "a rule is needed, by text or id"));
    }
    let conditions = conditions(body.conditions);
    let window = body.window.map(Into::into);
    let is_proposed = !conditions.is_empty() || window.is_some();
    if is_proposed {
        check_conditions(rule_id.as_deref().or(Some("proposed")), &conditions)?;
    }
    let span = SignedDuration::from_hours(24 * i64::from(body.days));
    let request = BacktestRequest {
        rule_id,
        yaml,
        from: now.saturating_sub(span).unwrap_or(Timestamp::MIN),
        // Events of this very moment are meant as well.
        to: now
            .saturating_add(SignedDuration::from_mins(5))
            .unwrap_or(Timestamp::MAX),
        exception: is_proposed.then(|| Suppression::proposed(conditions, window, now)),
    };
    Ok(Json(state.rules().backtest(request).await?))
}

/// Says condition by condition why a rule matches an event, or does not: the fields with the
/// places where the event has them, their values, and what each question was answered with.
#[utoipa::path(post, path = "/rules/{id}/explain", tag = "rules", params(("id" = String, Path)),
    request_body = Explain,
    responses((status = 200, body = serde_json::Value), (status = 400, body = Problem),
        (status = 404, body = Problem)))]
async fn explain_rule(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(rule): ApiPath<String>,
    ApiJson(body): ApiJson<Explain>,
) -> ApiResult<Json<serde_json::Value>> {
    may_monitor(&state, &caller)?;
    state
        .casework()
        .authorize(caller.actor(), Permission::ReadEvents)?;
    let raw = body.raw.filter(|text| !text.trim().is_empty());
    let event = match (not_blank(body.event_id), raw) {
        (Some(id), None) => ExplainedEvent::Stored(id),
        (None, Some(text)) => ExplainedEvent::Raw {
            text,
            format: not_blank(body.format),
        },
        (Some(_), Some(_)) | (None, None) => {
            return Err(ApiError::invalid(
                "event_id",
                "an event is needed, by event_id or raw, not by both",
            ));
        }
    };
    Ok(Json(state.rules().explain(rule, event).await?))
}

/// ATT&CK coverage as a Navigator layer (format 4.5): for each technique whether there is data,
/// a rule, a tested rule, a finding in the last 30 days.
#[utoipa::path(get, path = "/rules/coverage", tag = "rules",
    responses((status = 200, body = serde_json::Value)))]
async fn get_coverage(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<(HeaderMap, Json<serde_json::Value>)> {
    may_monitor(&state, &caller)?;
    let mut headers = HeaderMap::new();
    headers.insert(
        header::CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"watchfloor-coverage.json\""),
    );
    Ok((headers, Json(state.rules().coverage().await?)))
}

/// Takes a rule out of force until somebody resumes it.
#[utoipa::path(post, path = "/rules/{id}/suspend", tag = "rules", params(("id" = String, Path)),
    request_body = SuspendRule,
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn suspend_rule(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(rule): ApiPath<String>,
    ApiJson(body): ApiJson<SuspendRule>,
) -> ApiResult<StatusCode> {
    let actor = caller.actor();
    state.casework().authorize(actor, Permission::ManageRules)?;
    let reason = not_blank(Some(body.reason))
        .ok_or_else(|| ApiError::invalid("reason", "must not be empty"))?;
    let done = state.rules().suspend(rule, reason, actor.name.clone());
    if done.await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("no rule in force has this id"))
    }
}

/// Takes a suspended rule into force again. The events that it missed are looked through; their
/// findings have the ids that they would have had.
#[utoipa::path(post, path = "/rules/{id}/resume", tag = "rules", params(("id" = String, Path)),
    responses((status = 204), (status = 403, body = Problem), (status = 404, body = Problem)))]
async fn resume_rule(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(rule): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let actor = caller.actor();
    state.casework().authorize(actor, Permission::ManageRules)?;
    if state.rules().resume(rule, actor.name.clone()).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(ApiError::not_found("no suspended rule has this id"))
    }
}

/// A rule with everything its page shows at once.
#[utoipa::path(get, path = "/rules/{id}", tag = "rules", params(("id" = String, Path)),
    responses((status = 200, body = RulePage), (status = 404, body = Problem)))]
async fn get_rule(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(rule): ApiPath<String>,
) -> ApiResult<Json<RulePage>> {
    may_monitor(&state, &caller)?;
    let casework = state.casework();
    let rules = state.rules().rules().await?;
    let info = rules.into_iter().find(|info| info.id == rule);
    let detail = state.rules().rule(rule.clone()).await?;
    let facts = state.rules().facts(rule.clone()).await?;
    let versions = casework.rule_versions(caller.actor(), &rule).await?;
    let title = detail
        .as_ref()
        .map(|detail| detail.title.clone())
        .or_else(|| versions.first().map(|one| one.version.title.clone()))
        .ok_or_else(|| ApiError::not_found("no rule has this id"))?;
    let now = casework.now();
    let exceptions = casework.suppressions(caller.actor()).await?;
    Ok(Json(RulePage {
        id: rule.clone(),
        title,
        info,
        detail,
        facts,
        versions: versions.into_iter().map(RuleVersionRow::from).collect(),
        exceptions: exceptions
            .into_iter()
            .filter(|one| one.rule_id.as_ref().is_none_or(|id| *id == rule))
            .map(|one| suppression::Suppression::new(one, now))
            .collect(),
    }))
}

/// One of the texts that a rule had.
#[utoipa::path(get, path = "/rules/{id}/versions/{version}", tag = "rules",
    params(("id" = String, Path), ("version" = String, Path)),
    responses((status = 200, body = RuleText), (status = 404, body = Problem)))]
async fn get_rule_text(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath((rule, version)): ApiPath<(String, String)>,
) -> ApiResult<Json<RuleText>> {
    let found = state
        .casework()
        .rule_version(caller.actor(), &rule, &version)
        .await?;
    found
        .map(|version| Json(version.into()))
        .ok_or_else(|| ApiError::not_found("the rule had no such text, or it was forgotten"))
}
