//! `/healthz`, `/metrics` and the description of the API.

use std::fmt::Write;

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::ports::{Metric, MetricKind};
use crate::problem::ApiError;
use crate::state::ApiState;

/// Says that the server runs and its records answer.
pub(crate) async fn healthz(State(state): State<ApiState>) -> Result<Response, ApiError> {
    state.casework().setup_required().await?;
    Ok(Json(serde_json::json!({ "status": "ok" })).into_response())
}

/// The description of the API.
pub(crate) async fn openapi() -> Response {
    (
        [(header::CONTENT_TYPE, "application/json")],
        crate::openapi_json(),
    )
        .into_response()
}

/// Values for Prometheus. Open, like `/healthz`: it names no data of cases or events.
pub(crate) async fn metrics(State(state): State<ApiState>) -> Response {
    let mut list = state.pipeline().metrics();
    list.push(Metric {
        name: "watchfloor_uptime_seconds",
        help: "Time since start.",
        kind: MetricKind::Gauge,
        labels: Vec::new(),
        value: state.uptime_s() as f64,
    });
    let text = exposition(list);
    (
        [(
            header::CONTENT_TYPE,
            "text/plain; version=0.0.4; charset=utf-8",
        )],
        text,
    )
        .into_response()
}

/// Writes the text format of Prometheus: values of one name together, under one head.
fn exposition(mut list: Vec<Metric>) -> String {
    list.sort_by(|left, right| (left.name, &left.labels).cmp(&(right.name, &right.labels)));
    let mut text = String::new();
    let mut name = "";
    for metric in &list {
        if metric.name != name {
            name = metric.name;
            let kind = match metric.kind {
                MetricKind::Counter => "counter",
                MetricKind::Gauge => "gauge",
            };
            let help = metric.help;
            let _strings_do_not_fail = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        }
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(label, value)| {
                let value = value
                    .replace('\\', "\\\\")
                    .replace('"', "\\\"")
                    .replace('\n', "\\n");
                format!("{label}=\"{value}\"")
            })
            .collect();
        let labels = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        };
        let _strings_do_not_fail = writeln!(text, "{name}{labels} {}", metric.value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_one_name_stand_together() {
        let metric = |name, source: &str, value| Metric {
            name,
            help: "Help.",
            kind: MetricKind::Counter,
            labels: vec![("source", source.to_owned())],
            value,
        };
        let text = exposition(vec![
            metric("b_total", "x", 1.0),
            metric("a_total", "evil\"\n", 2.0),
            metric("b_total", "y", 3.0),
        ]);
        assert_eq!(
            text,
            "# HELP a_total Help.\n# TYPE a_total counter\na_total{source=\"evil\\\"\\n\"} 2\n\
             # HELP b_total Help.\n# TYPE b_total counter\nb_total{source=\"x\"} 1\n\
             b_total{source=\"y\"} 3\n"
        );
    }
}
