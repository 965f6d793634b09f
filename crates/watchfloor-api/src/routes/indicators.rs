//! What is looked for in every event beside the rules.

use axum::Json;
use axum::extract::State;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiResult;
use super::monitor::may_monitor;
use crate::extract::Caller;
use crate::ports::IndicatorList;
use crate::state::ApiState;
use crate::wire::List;

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list_indicators))
}

/// The lists of indicators, with what they gave and how often they were met.
#[utoipa::path(get, path = "/indicators", tag = "intelligence",
    responses((status = 200, body = List<IndicatorList>)))]
async fn list_indicators(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<IndicatorList>>> {
    may_monitor(&state, &caller)?;
    Ok(Json(List::whole(state.pipeline().indicators())))
}
