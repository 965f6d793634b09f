//! Routes, wire types, auth, OpenAPI and the built console.
//!
//! What this crate needs of the data plane it asks through the traits of [`ports`]; cases come
//! from `watchfloor-casework`, which also checks permissions. No SQL, no Parquet.

mod console;
mod context;
mod extract;
mod guard;
mod health;
mod ingest;
pub mod memory;
mod openapi;
mod packets;
pub mod ports;
mod problem;
mod routes;
mod state;
mod wire;

pub use openapi::openapi_json;
pub use problem::{FieldProblem, Problem, ProblemCode, QueryPosition};
pub use state::{ApiParts, ApiSettings, ApiState, CookieTransport, HostPolicy, RoleLimits};

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::get;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;

use crate::problem::ApiError;

/// Largest JSON body of `/api/v1`.
const API_BODY_BYTES_MAX: usize = 1024 * 1024;

/// Everything the server answers. Serve it with
/// `router.into_make_service_with_connect_info::<SocketAddr>()`, so that sign-in can be limited
/// by address.
pub fn router(state: ApiState) -> Router {
    let (v1, _) = openapi::split();
    let api = v1
        .route("/api/v1/openapi.json", get(health::openapi))
        .route("/healthz", get(health::healthz))
        .route("/agent/{target}", get(routes::fleet::agent_binary))
        .route("/metrics", get(health::metrics))
        .layer(DefaultBodyLimit::max(API_BODY_BYTES_MAX))
        .layer(CompressionLayer::new());
    Router::new()
        .merge(api)
        .merge(ingest::router())
        .fallback(console::serve)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(CatchPanicLayer::custom(guard::panicked))
        .layer(from_fn(guard::headers))
        .layer(from_fn_with_state(state.clone(), guard::admit))
        .layer(from_fn(guard::number))
        .with_state(state)
}

async fn method_not_allowed() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        ProblemCode::MethodNotAllowed,
        "this route does not know the method",
    )
}
