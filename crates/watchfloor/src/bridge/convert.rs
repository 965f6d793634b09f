//! Events of the lake as the API shows them.

use std::collections::BTreeMap;

use watchfloor_api::ports::{Event, EventAnomaly, SearchError};
use watchfloor_event::ocsf;
use watchfloor_lake::{ReadError, StoredEvent};
use watchfloor_query::Diagnostic;

/// Longest one-line message made from a raw record, in characters.
const MAX_MESSAGE: usize = 300;

pub(super) fn event(stored: StoredEvent) -> Event {
    let message = message(&stored);
    Event {
        id: stored.id.to_string(),
        time: stored.time,
        received_at: stored.received_at,
        source: stored.source,
        class_uid: stored.class_uid,
        class_name: ocsf::class_name(stored.class_uid).to_owned(),
        product: stored.product,
        message,
        raw: stored.raw,
        anomalies: stored
            .anomalies
            .into_iter()
            .map(|anomaly| EventAnomaly {
                code: anomaly.code.as_str().to_owned(),
                detail: anomaly.detail,
            })
            .collect(),
        fields: stored.fields.into_iter().collect::<BTreeMap<_, _>>(),
    }
}

/// What the record says of itself, or the best one-line view of what it holds.
fn message(stored: &StoredEvent) -> String {
    let field = |name: &str| stored.field(name).filter(|text| !text.is_empty());
    let own = field("message").or_else(|| field("unmapped.message"));
    let made = || {
        let parts = [
            field("process.cmd_line").or_else(|| field("process.file.path")),
            field("api.operation"),
            field("query.hostname"),
            field("http_request.url.path"),
            field("file.path"),
            field("reg_key.path"),
            field("rule.name"),
            field("user.name").or_else(|| field("actor.user.name")),
            field("src_endpoint.ip"),
            field("dst_endpoint.ip"),
        ];
        let parts: Vec<&str> = parts.into_iter().flatten().take(4).collect();
        (!parts.is_empty()).then(|| parts.join(" · "))
    };
    let text = own
        .map(str::to_owned)
        .or_else(made)
        .unwrap_or_else(|| stored.raw.clone());
    let line = text.lines().next().unwrap_or_default();
    line.chars().take(MAX_MESSAGE).collect()
}

pub(super) fn invalid(error: Diagnostic) -> SearchError {
    SearchError::Invalid {
        detail: error.message,
        start: error.start,
        end: error.end,
        hint: Some(error.hint),
    }
}

pub(super) fn unavailable(error: ReadError) -> SearchError {
    SearchError::Unavailable(chain(&error))
}

/// An error with its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}
