//! The OpenAPI 3.1 description, made from the code.

use axum::Router;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

use crate::routes;
use crate::state::ApiState;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Watchfloor",
        version = "1",
        description = "The HTTP API of Watchfloor. Errors are RFC 9457 problems. Sign in with a \
            session cookie (changing calls then need the header `X-Watchfloor: 1`) or send \
            `Authorization: Bearer wf_…`.",
        license(name = "Apache-2.0", identifier = "Apache-2.0")
    ),
    components(schemas(
        crate::wire::incident::ReportFormat,
        crate::ports::SearchPart,
        crate::ports::SearchEnd,
        crate::ports::RowsProgress,
        crate::ports::RowsHead,
        crate::ports::RowsEnd,
        crate::ports::TailBegun,
        crate::ports::TailEvents,
        crate::ports::TailRows
    )),
    tags(
        (name = "access", description = "Sign-in, sessions, users, tokens, audit log"),
        (name = "alerts", description = "The queue"),
        (name = "suppressions", description = "What is held back"),
        (name = "incidents", description = "Managed work"),
        (name = "response", description = "Actions, approvals, connectors"),
        (name = "fleet", description = "Agents on endpoints, what they follow and bring"),
        (name = "playbooks", description = "Playbooks and their runs"),
        (name = "events", description = "Search"),
        (name = "searches", description = "Kept questions"),
        (name = "monitor", description = "Ledger, sources, status"),
        (name = "storage", description = "What the lake takes, keeps, holds and deletes"),
        (name = "rules", description = "What is detected, and whether it can be"),
        (name = "intelligence", description = "Indicators"),
        (name = "time", description = "Service levels, escalation, people on call, handover, times"),
        (name = "live", description = "Server-sent events"),
    )
)]
struct Description;

/// The routes of `/api/v1` with their description.
pub(crate) fn split() -> (Router<ApiState>, utoipa::openapi::OpenApi) {
    let v1 = OpenApiRouter::new()
        .merge(routes::access::router())
        .merge(routes::alerts::router())
        .merge(routes::suppressions::router())
        .merge(routes::incidents::router())
        .merge(routes::work::router())
        .merge(routes::clocks::router())
        .merge(routes::duty::router())
        .merge(routes::handover::router())
        .merge(routes::actions::router())
        .merge(routes::playbooks::router())
        .merge(routes::events::router())
        .merge(routes::hunt::router())
        .merge(routes::searches::router())
        .merge(routes::monitor::router())
        .merge(routes::rules::router())
        .merge(routes::indicators::router())
        .merge(routes::treatment::router())
        .merge(routes::fleet::router())
        .merge(routes::storage::router())
        .merge(routes::live::router());
    OpenApiRouter::with_openapi(Description::openapi())
        .nest("/api/v1", v1)
        .split_for_parts()
}

/// The description as pretty JSON, as `/api/v1/openapi.json` and the golden file hold it.
pub fn openapi_json() -> String {
    let (_, description) = split();
    let mut text = description.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let text = super::openapi_json();
        let description: Value = serde_json::from_str(&text).unwrap();
        let mut found = BTreeSet::new();
        references(&description, &mut found);
        let missing: Vec<_> = found
            .iter()
            .filter(|path| description.pointer(path.trim_start_matches('#')).is_none())
            .collect();
        assert!(missing.is_empty(), "{missing:?}");
    }
}
