//! What events are enriched from and where they are forwarded to.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiResult;
use super::monitor::may_monitor;
use crate::extract::Caller;
use crate::ports::{EnrichmentFile, ForwardState, MappingPacks};
use crate::state::ApiState;
use crate::wire::List;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_enrichment_files))
        .routes(routes!(list_mapping_packs))
        .routes(routes!(list_forwards))
}

/// The files that events are enriched from, with what could not be read of them.
#[utoipa::path(get, path = "/enrichment", tag = "monitor",
    responses((status = 200, body = List<EnrichmentFile>)))]
async fn list_enrichment_files(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<EnrichmentFile>>> {
    may_monitor(&state, &caller)?;
    Ok(Json(List::whole(state.pipeline().enrichment_files())))
}

/// The mapping packs in force, and why others are not.
#[utoipa::path(get, path = "/mappings", tag = "monitor",
    responses((status = 200, body = MappingPacks)))]
async fn list_mapping_packs(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<MappingPacks>> {
    may_monitor(&state, &caller)?;
    Ok(Json(state.pipeline().mapping_packs()))
}

/// The systems that copies of records are sent to, with how they fare.
#[utoipa::path(get, path = "/forwards", tag = "monitor",
    responses((status = 200, body = List<ForwardState>)))]
async fn list_forwards(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<ForwardState>>> {
    may_monitor(&state, &caller)?;
    Ok(Json(List::whole(state.pipeline().forwards())))
}
