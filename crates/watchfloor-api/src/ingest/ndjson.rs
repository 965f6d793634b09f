//! `POST /ingest/ndjson`: one JSON record per line.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Serialize;

use super::body::{BODY_REFUSED, json_fault, lines, read};
use super::{LINE_BYTES_MAX, Labels, Sender};
use crate::ports::{Format, IngestItem, ItemOutcome};
use crate::problem::ApiError;
use crate::state::ApiState;

/// Refused lines that are named; further ones are only counted.
const REJECTED_NAMED_MAX: usize = 1_000;

/// Source of records that name none.
const SOURCE: &str = "http";

/// Longest `Idempotency-Key`.
const KEY_BYTES_MAX: usize = 256;

#[derive(Serialize)]
pub(crate) struct RejectedLine {
    line: u64,
    reason: String,
}

#[derive(Serialize)]
pub(crate) struct Answer {
    accepted: u64,
    rejected: Vec<RejectedLine>,
    /// Refused lines that are not named, because there are too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejected_unnamed: Option<u64>,
}

/// Lines cut from a body.
struct Cut {
    items: Vec<IngestItem>,
    numbers: Vec<u64>,
    rejected: Vec<RejectedLine>,
    too_long: u64,
    malformed: u64,
}

/// Takes records; answers after the accepted ones are durable.
pub(crate) async fn take(
    State(state): State<ApiState>,
    _sender: Sender,
    labels: Labels,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Answer>, ApiError> {
    let source = labels.source.unwrap_or_else(|| SOURCE.to_owned());
    let product = labels.product;
    let key = match headers.get("idempotency-key") {
        Some(value) => match value.to_str().ok().filter(|text| !text.is_empty()) {
            Some(text) if text.len() <= KEY_BYTES_MAX => Some(text.to_owned()),
            Some(_) | None => {
                return Err(ApiError::invalid(
                    "Idempotency-Key",
                    "expected 1 to 256 bytes of text",
                ));
            }
        },
        None => None,
    };
    let body = read(&headers, body).await.inspect_err(|_| {
        // How many records it held is not known; the ledger counts the body as one.
        state.intake().count_rejected(&source, BODY_REFUSED, 1);
    })?;
    let counted_under = source.clone();
    // Looking at up to 64 MiB takes longer than the runtime may be held.
    let cut = tokio::task::spawn_blocking(move || {
        cut(&body, &source, product.as_deref(), key.as_deref())
    })
    .await
    .map_err(|error| ApiError::internal(&error))?;
    let mut rejected = cut.rejected;
    for (reason, records) in [
        ("too_long", cut.too_long),
        ("malformed_json", cut.malformed),
    ] {
        if records > 0 {
            state
                .intake()
                .count_rejected(&counted_under, reason, records);
        }
    }
    let mut accepted = 0;
    if !cut.items.is_empty() {
        let outcomes = state.intake().take(cut.items).await?;
        for (line, outcome) in cut.numbers.into_iter().zip(outcomes) {
            match outcome {
                ItemOutcome::Durable => accepted += 1,
                ItemOutcome::Rejected { reason } => rejected.push(RejectedLine { line, reason }),
            }
        }
    }
    rejected.sort_by_key(|row| row.line);
    let unnamed = rejected.len().saturating_sub(REJECTED_NAMED_MAX) as u64;
    rejected.truncate(REJECTED_NAMED_MAX);
    Ok(Json(Answer {
        accepted,
        rejected,
        rejected_unnamed: (unnamed > 0).then_some(unnamed),
    }))
}

fn cut(body: &bytes::Bytes, source: &str, product: Option<&str>, key: Option<&str>) -> Cut {
    let mut cut = Cut {
        items: Vec::new(),
        numbers: Vec::new(),
        rejected: Vec::new(),
        too_long: 0,
        malformed: 0,
    };
    for (line, bytes) in lines(body) {
        if bytes.len() > LINE_BYTES_MAX {
            cut.too_long += 1;
            let reason = format!("longer than 1 MiB ({} bytes)", bytes.len());
            cut.rejected.push(RejectedLine { line, reason });
        } else if let Some(reason) = json_fault(&bytes) {
            cut.malformed += 1;
            cut.rejected.push(RejectedLine { line, reason });
        } else {
            cut.numbers.push(line);
            cut.items.push(IngestItem {
                bytes,
                source: source.to_owned(),
                format: Format::Auto,
                product: product.map(str::to_owned),
                idempotency: key.map(|key| format!("{key}:{line}")),
            });
        }
    }
    cut
}
