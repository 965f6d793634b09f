//! Errors as RFC 9457 problems with codes from one closed list.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;
use watchfloor_casework::{CaseworkError, SignInError, StoreError};

use crate::guard::request_id;
use crate::ports::{BacktestError, ExplainError, IntakeError, SearchError, StatusError};

/// Every code a problem can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProblemCode {
    /// No credential, or one that opens nothing any more.
    Unauthenticated,
    /// Name or password is wrong.
    BadCredentials,
    /// The set-up link is wrong, used or over.
    BadSetupLink,
    /// Too many tries.
    RateLimited,
    /// The right is missing.
    Forbidden,
    /// A changing call by cookie without the header `X-Watchfloor`.
    CsrfHeaderMissing,
    /// The `Host` header names another server.
    HostNotAllowed,
    /// No such record.
    NotFound,
    /// No such route.
    RouteNotFound,
    /// The route exists, not with this method.
    MethodNotAllowed,
    /// A value does not do.
    Invalid,
    /// The body is no JSON of the expected form.
    BodyInvalid,
    /// The body has another media type than expected.
    MediaTypeUnsupported,
    /// The body is larger than allowed.
    BodyTooLarge,
    /// The query does not parse.
    QueryInvalid,
    /// The search was stopped at a limit.
    SearchTooCostly,
    /// The record changed since it was read.
    VersionConflict,
    /// The state machine refuses.
    IllegalState,
    /// Another record has this name or value.
    AlreadyExists,
    /// The server cannot take more just now.
    Busy,
    /// The server failed; the log has the chain under the request id.
    Internal,
}

/// A value that does not do.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct FieldProblem {
    /// Field of the call.
    pub field: String,
    /// Why not.
    pub reason: String,
}

/// A place in a query.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub struct QueryPosition {
    /// First byte.
    pub start: usize,
    /// Byte after the last.
    pub end: usize,
}

/// What went wrong.
///
/// # Source
/// RFC 9457, section 3.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`; the code says which.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// The status in words.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// What went wrong, for a person.
    pub detail: String,
    /// Which problem, for a program.
    pub code: ProblemCode,
    /// Under which the log has more.
    pub request_id: String,
    /// Values that do not do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldProblem>,
    /// Whether the first admin is still to be made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub setup_required: Option<bool>,
    /// Where the query is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<QueryPosition>,
    /// How to mend the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// The record as it is now.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub current: Option<serde_json::Value>,
}

/// A problem on its way out.
#[derive(Clone, Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    problem: Box<Problem>,
    retry_after_s: Option<i64>,
}

impl ApiError {
    /// Builds a problem.
    pub(crate) fn new(status: StatusCode, code: ProblemCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            problem: Box::new(Problem {
                kind: "about:blank",
                title: status.canonical_reason().unwrap_or("Error").to_owned(),
                status: status.as_u16(),
                detail: detail.into(),
                code,
                request_id: String::new(),
                fields: Vec::new(),
                setup_required: None,
                position: None,
                hint: None,
                current: None,
            }),
            retry_after_s: None,
        }
    }

    /// A value that does not do.
    pub(crate) fn invalid(field: &str, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        let mut error = Self::new(
            StatusCode::BAD_REQUEST,
            ProblemCode::Invalid,
            format!("{field}: {reason}"),
        );
        error.problem.fields.push(FieldProblem {
            field: field.to_owned(),
            reason,
        });
        error
    }

    /// No such record.
    pub(crate) fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, ProblemCode::NotFound, detail)
    }

    /// A fault of the server; the chain goes to the log only.
    pub(crate) fn internal(error: &dyn std::error::Error) -> Self {
        let mut chain = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            chain.push_str(": ");
            chain.push_str(&inner.to_string());
            cause = inner.source();
        }
        tracing::error!(request_id = %request_id(), error = %chain, "request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            ProblemCode::Internal,
            "the server failed; its log has more under the request id",
        )
    }

    /// Nobody is signed in.
    pub(crate) fn unauthenticated() -> Self {
        Self::new(
            StatusCode::UNAUTHORIZED,
            ProblemCode::Unauthenticated,
            "sign in, or send an API token",
        )
    }

    pub(crate) fn with_setup_required(mut self, required: bool) -> Self {
        self.problem.setup_required = Some(required);
        self
    }

    pub(crate) fn with_current(mut self, current: serde_json::Value) -> Self {
        self.problem.current = Some(current);
        self
    }

    fn with_retry_after(mut self, seconds: i64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// HTTP status.
    pub(crate) const fn status(&self) -> StatusCode {
        self.status
    }

    /// What went wrong, for a person.
    pub(crate) fn problem(&self) -> &Problem {
        &self.problem
    }

    pub(crate) fn detail(&self) -> &str {
        &self.problem.detail
    }

    /// Seconds to wait, where waiting helps.
    pub(crate) const fn retry_after_s(&self) -> Option<i64> {
        self.retry_after_s
    }

    /// Whether the record changed since the caller read it.
    pub(crate) fn is_version_conflict(&self) -> bool {
        self.problem.code == ProblemCode::VersionConflict
    }
}

impl IntoResponse for ApiError {
    fn into_response(mut self) -> Response {
        self.problem.request_id = request_id();
        let mut response = (self.status, Json(&*self.problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// When a caller may try again while the record store is away, in seconds.
const STORE_RETRY_AFTER_S: i64 = 5;

fn reason_of(error: &StoreError) -> String {
    std::error::Error::source(error).map_or_else(String::new, ToString::to_string)
}

impl From<CaseworkError> for ApiError {
    fn from(error: CaseworkError) -> Self {
        match &error {
            CaseworkError::Forbidden { .. } => Self::new(
                StatusCode::FORBIDDEN,
                ProblemCode::Forbidden,
                error.to_string(),
            ),
            CaseworkError::Missing { .. } => Self::not_found(error.to_string()),
            CaseworkError::VersionConflict { .. } => Self::new(
                StatusCode::PRECONDITION_FAILED,
                ProblemCode::VersionConflict,
                error.to_string(),
            ),
            CaseworkError::Invalid { field, reason } => Self::invalid(field, reason.clone()),
            CaseworkError::Illegal(cause) => Self::new(
                StatusCode::CONFLICT,
                ProblemCode::IllegalState,
                cause.to_string(),
            ),
            CaseworkError::Taken { .. } => Self::new(
                StatusCode::CONFLICT,
                ProblemCode::AlreadyExists,
                error.to_string(),
            ),
            CaseworkError::Store(cause @ StoreError::Unavailable(_)) => {
                tracing::warn!(error = %cause, reason = %reason_of(cause), "the records are away");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ProblemCode::Busy,
                    cause.to_string(),
                )
                .with_retry_after(STORE_RETRY_AFTER_S)
            }
            CaseworkError::Store(_) | CaseworkError::Report(_) | CaseworkError::System { .. } => {
                Self::internal(&error)
            }
        }
    }
}

impl From<SignInError> for ApiError {
    fn from(error: SignInError) -> Self {
        match error {
            SignInError::BadCredentials => Self::new(
                StatusCode::UNAUTHORIZED,
                ProblemCode::BadCredentials,
                error.to_string(),
            ),
            SignInError::RateLimited { retry_after_s } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                ProblemCode::RateLimited,
                error.to_string(),
            )
            .with_retry_after(retry_after_s),
            SignInError::BadSetupLink => Self::new(
                StatusCode::UNAUTHORIZED,
                ProblemCode::BadSetupLink,
                error.to_string(),
            ),
            SignInError::Casework(error) => error.into(),
        }
    }
}

impl From<SearchError> for ApiError {
    fn from(error: SearchError) -> Self {
        match &error {
            SearchError::Invalid {
                start, end, hint, ..
            } => {
                let mut out = Self::new(
                    StatusCode::BAD_REQUEST,
                    ProblemCode::QueryInvalid,
                    error.to_string(),
                );
                out.problem.position = Some(QueryPosition {
                    start: *start,
                    end: *end,
                });
                out.problem.hint.clone_from(hint);
                out
            }
            SearchError::TooCostly { .. } => Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                ProblemCode::SearchTooCostly,
                error.to_string(),
            ),
            SearchError::Unavailable(_) => Self::internal(&error),
        }
    }
}

impl From<StatusError> for ApiError {
    fn from(error: StatusError) -> Self {
        Self::internal(&error)
    }
}

impl From<BacktestError> for ApiError {
    fn from(error: BacktestError) -> Self {
        match &error {
            BacktestError::Missing => Self::not_found(error.to_string()),
            BacktestError::Refused { .. } => Self::invalid("yaml", error.to_string()),
            BacktestError::Busy => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ProblemCode::Busy,
                error.to_string(),
            ),
            BacktestError::Failed(_) => Self::internal(&error),
        }
    }
}

impl From<ExplainError> for ApiError {
    fn from(error: ExplainError) -> Self {
        match &error {
            ExplainError::NoRule | ExplainError::NoEvent => Self::not_found(error.to_string()),
            ExplainError::NoFormat(_) => Self::invalid("format", error.to_string()),
            ExplainError::Failed(_) => Self::internal(&error),
        }
    }
}

impl From<IntakeError> for ApiError {
    fn from(error: IntakeError) -> Self {
        match &error {
            IntakeError::Busy { retry_after_s } => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ProblemCode::Busy,
                error.to_string(),
            )
            .with_retry_after(i64::from(*retry_after_s)),
            // Most often a full disk: what to do stands in the answer, and it passes by itself.
            IntakeError::Failed(_) => {
                tracing::error!(%error, "records are not taken");
                Self::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    ProblemCode::Busy,
                    format!("{error}; make room on the disk of the data folder, then send again: records are taken again by themselves"),
                )
                .with_retry_after(STORE_RETRY_AFTER_S)
            }
        }
    }
}
