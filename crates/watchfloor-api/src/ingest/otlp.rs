//! OTLP logs over HTTP: `POST /v1/logs`, binary or JSON.
//!
//! # Source
//! OpenTelemetry, "OTLP specification 1.7", sections OTLP/HTTP request, response, partial
//! success, failures.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use watchfloor_decode::envelope::{EnvelopeError, otlp};

use super::body::{BODY_REFUSED, read};
use super::submit::{Submitted, submit};
use super::{Labels, Sender};
use crate::ports::Format;
use crate::problem::{ApiError, ProblemCode};
use crate::state::ApiState;

/// Source of records whose sender names none.
pub(crate) const SOURCE: &str = "otlp";

/// The two forms.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let kind = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        match kind.split(';').next().unwrap_or_default().trim() {
            "application/x-protobuf" | "application/protobuf" => Ok(Self::Protobuf),
            "application/json" => Ok(Self::Json),
            other => Err(ApiError::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                ProblemCode::MediaTypeUnsupported,
                format!(
                    "content type '{other}' is not known; use application/x-protobuf or application/json"
                ),
            )),
        }
    }

    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }
}

/// Takes a request; answers after its records are durable.
pub(crate) async fn take(
    State(state): State<ApiState>,
    sender: Result<Sender, ApiError>,
    labels: Result<Labels, ApiError>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let form = Form::of(&headers);
    let shown = *form.as_ref().unwrap_or(&Form::Json);
    let result = async {
        let labels = sender.and(labels)?;
        let form = form.inspect_err(|_| state.intake().count_rejected(SOURCE, BODY_REFUSED, 1))?;
        logs(&state, &labels, form, &headers, body).await
    };
    match result.await {
        Ok(submitted) => answer(shown, &submitted),
        Err(error) => fault(shown, &error),
    }
}

async fn logs(
    state: &ApiState,
    labels: &Labels,
    form: Form,
    headers: &HeaderMap,
    body: Body,
) -> Result<Submitted, ApiError> {
    let refused = |_: &ApiError| state.intake().count_rejected(SOURCE, BODY_REFUSED, 1);
    let body = read(headers, body).await.inspect_err(refused)?;
    let records = tokio::task::spawn_blocking(move || match form {
        Form::Protobuf => otlp::from_protobuf(&body),
        Form::Json => otlp::from_json(&body),
    });
    let records = records.await.map_err(|error| ApiError::internal(&error))?;
    let records = records.map_err(malformed).inspect_err(refused)?;
    submit(state, labels, SOURCE, records, Format::Json).await
}

pub(super) fn malformed(error: EnvelopeError) -> ApiError {
    ApiError::new(
        StatusCode::BAD_REQUEST,
        ProblemCode::BodyInvalid,
        error.to_string(),
    )
}

fn answer(form: Form, submitted: &Submitted) -> Response {
    let body = match form {
        Form::Json if submitted.rejected == 0 => b"{}".to_vec(),
        Form::Json => json!({ "partialSuccess": {
            "rejectedLogRecords": submitted.rejected.to_string(),
            "errorMessage": submitted.reason.clone().unwrap_or_default(),
        } })
        .to_string()
        .into_bytes(),
        Form::Protobuf => otlp::partial_success(submitted.rejected, submitted.reason.as_deref()),
    };
    ([(header::CONTENT_TYPE, form.content_type())], body).into_response()
}

/// `google.rpc.Status` in the form of the request.
fn fault(form: Form, error: &ApiError) -> Response {
    // Codes of gRPC: invalid argument, unauthenticated, permission denied, unavailable.
    let code = match error.status() {
        StatusCode::UNAUTHORIZED => 16,
        StatusCode::FORBIDDEN => 7,
        status if status.is_client_error() => 3,
        _ => 14,
    };
    let body = match form {
        Form::Json => json!({ "code": code, "message": error.detail() })
            .to_string()
            .into_bytes(),
        Form::Protobuf => otlp::status(code, error.detail()),
    };
    let mut response = (
        error.status(),
        [(header::CONTENT_TYPE, form.content_type())],
        body,
    )
        .into_response();
    if let Some(seconds) = error.retry_after_s() {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
