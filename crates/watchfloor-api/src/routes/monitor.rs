//! Ledger, sources, overview, status.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_model::{Permission, Severity};

use super::{ApiResult, not_blank, time};
use crate::extract::{ApiQuery, Caller};
use crate::ports::{HistogramBucket, LakeStats, LedgerEntry, Listener, RuleCounts, SourceInfo};
use crate::problem::ApiError;
use crate::state::ApiState;
use crate::wire::List;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_ledger))
        .routes(routes!(list_sources))
        .routes(routes!(get_overview))
        .routes(routes!(get_status))
}

pub(super) fn may_monitor(state: &ApiState, caller: &Caller) -> ApiResult<()> {
    Ok(state
        .casework()
        .authorize(caller.actor(), Permission::ReadMonitor)?)
}

/// Which part of the ledger.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LedgerQuery {
    /// From this time; default 24 hours ago.
    pub(crate) from: Option<String>,
    /// To this time; default an hour from now, which includes the running hour.
    pub(crate) to: Option<String>,
    /// One source only.
    pub(crate) source: Option<String>,
}

/// The completeness ledger, per source and hour.
#[utoipa::path(get, path = "/ledger", tag = "monitor", params(LedgerQuery),
    responses((status = 200, body = List<LedgerEntry>)))]
async fn get_ledger(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<LedgerQuery>,
) -> ApiResult<Json<List<LedgerEntry>>> {
    may_monitor(&state, &caller)?;
    let now = state.casework().now();
    let hours = SignedDuration::from_hours;
    let from = time("from", query.from.as_deref())?
        .unwrap_or_else(|| now.saturating_sub(hours(24)).unwrap_or(Timestamp::MIN));
    let to = time("to", query.to.as_deref())?
        .unwrap_or_else(|| now.saturating_add(hours(1)).unwrap_or(Timestamp::MAX));
    if from >= to {
        return Err(ApiError::invalid("from", "must lie before 'to'"));
    }
    let rows = state
        .pipeline()
        .ledger(from, to, not_blank(query.source))
        .await?;
    Ok(Json(List::whole(rows)))
}

/// The sources of events.
#[utoipa::path(get, path = "/sources", tag = "monitor", responses((status = 200, body = List<SourceInfo>)))]
async fn list_sources(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<SourceInfo>>> {
    may_monitor(&state, &caller)?;
    Ok(Json(List::whole(state.pipeline().sources().await?)))
}

/// A rule and its alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TopRule {
    pub(crate) rule_id: String,
    pub(crate) title: String,
    pub(crate) count: u64,
}

/// How far the lake is behind the senders.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct IngestState {
    pub(crate) lag_ms: u64,
    pub(crate) journal_pending: u64,
}

/// A tactic and its alerts.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TacticCount {
    pub(crate) tactic: String,
    pub(crate) alerts: u64,
}

/// Median times in seconds, of incidents of the last 30 days.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MedianTimes {
    /// From the earliest evidence; the others from detection.
    #[schema(required)]
    pub(crate) detect_s: Option<i64>,
    #[schema(required)]
    pub(crate) acknowledge_s: Option<i64>,
    #[schema(required)]
    pub(crate) contain_s: Option<i64>,
    #[schema(required)]
    pub(crate) resolve_s: Option<i64>,
}

/// The first page.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Overview {
    pub(crate) alerts_open: u64,
    /// By severity; every severity is there.
    pub(crate) alerts_by_severity: BTreeMap<String, u64>,
    pub(crate) incidents_open: u64,
    pub(crate) events_last_24h: u64,
    pub(crate) events_rate: Vec<HistogramBucket>,
    /// Of the last 7 days.
    pub(crate) top_rules: Vec<TopRule>,
    pub(crate) ingest: IngestState,
    /// Of the last 7 days, in the order of an attack.
    pub(crate) tactics: Vec<TacticCount>,
    #[schema(required)]
    pub(crate) median_times: Option<MedianTimes>,
}

/// The first page.
#[utoipa::path(get, path = "/overview", tag = "monitor", responses((status = 200, body = Overview)))]
async fn get_overview(State(state): State<ApiState>, caller: Caller) -> ApiResult<Json<Overview>> {
    may_monitor(&state, &caller)?;
    let cases = state.casework().overview(caller.actor()).await?;
    let events = state.pipeline().events_overview().await?;
    let counters = state.pipeline().counters();
    let mut by_severity: BTreeMap<String, u64> = Severity::ALL
        .iter()
        .map(|severity| (severity.to_string(), 0))
        .collect();
    for (severity, count) in cases.alerts_by_severity {
        by_severity.insert(severity.to_string(), count);
    }
    Ok(Json(Overview {
        alerts_open: cases.alerts_open,
        alerts_by_severity: by_severity,
        incidents_open: cases.incidents_open,
        events_last_24h: events.events_last_24h,
        events_rate: events.events_rate,
        top_rules: cases
            .top_rules
            .into_iter()
            .map(|(rule_id, title, count)| TopRule {
                rule_id,
                title,
                count,
            })
            .collect(),
        ingest: IngestState {
            lag_ms: counters.lag_ms,
            journal_pending: counters.journal_pending,
        },
        tactics: cases
            .tactics
            .into_iter()
            .map(|(tactic, alerts)| TacticCount { tactic, alerts })
            .collect(),
        median_times: cases.median_times.map(|times| MedianTimes {
            detect_s: times.detect_s,
            acknowledge_s: times.acknowledge_s,
            contain_s: times.contain_s,
            resolve_s: times.resolve_s,
        }),
    }))
}

/// State of the server.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) uptime_s: u64,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) lake: LakeStats,
    pub(crate) rules: RuleCounts,
}

/// State of the server.
#[utoipa::path(get, path = "/status", tag = "monitor", responses((status = 200, body = Status)))]
async fn get_status(State(state): State<ApiState>, _caller: Caller) -> ApiResult<Json<Status>> {
    let plane = state.pipeline().status().await?;
    Ok(Json(Status {
        version: state.settings().version.clone(),
        uptime_s: state.uptime_s(),
        listeners: plane.listeners,
        lake: plane.lake,
        rules: plane.rules,
    }))
}
