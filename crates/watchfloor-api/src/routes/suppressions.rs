//! Suppressions.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{ApiResult, not_blank};
use crate::extract::{ApiJson, ApiPath, Caller, id};
use crate::problem::Problem;
use crate::state::ApiState;
use crate::wire::List;
use crate::wire::suppression::{
    NewSuppression, Suppression, SuppressionPreview, TrySuppression, conditions,
};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list_suppressions, add_suppression))
        .routes(routes!(preview_suppression))
        .routes(routes!(remove_suppression))
}

/// All suppressions, expired ones too.
#[utoipa::path(get, path = "/suppressions", tag = "suppressions",
    responses((status = 200, body = List<Suppression>)))]
async fn list_suppressions(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<Suppression>>> {
    let now = state.casework().now();
    let list = state.casework().suppressions(caller.actor()).await?;
    let rows = list.into_iter().map(|s| Suppression::new(s, now)).collect();
    Ok(Json(List::whole(rows)))
}

/// Makes a suppression.
#[utoipa::path(post, path = "/suppressions", tag = "suppressions", request_body = NewSuppression,
    responses((status = 201, body = Suppression), (status = 400, body = Problem), (status = 403, body = Problem)))]
async fn add_suppression(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewSuppression>,
) -> ApiResult<(StatusCode, Json<Suppression>)> {
    let made = state
        .casework()
        .add_suppression(caller.actor(), body.into())
        .await?;
    let now = state.casework().now();
    Ok((StatusCode::CREATED, Json(Suppression::new(made, now))))
}

/// Says what a suppression would have held back.
#[utoipa::path(post, path = "/suppressions/preview", tag = "suppressions",
    request_body = TrySuppression,
    responses((status = 200, body = SuppressionPreview), (status = 400, body = Problem)))]
async fn preview_suppression(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<TrySuppression>,
) -> ApiResult<Json<SuppressionPreview>> {
    let rule_id = not_blank(body.rule_id);
    let preview = state
        .casework()
        .preview_suppression(
            caller.actor(),
            rule_id.as_deref(),
            &conditions(body.conditions),
            body.window.map(Into::into),
        )
        .await?;
    Ok(Json(preview.into()))
}

/// Ends a suppression.
#[utoipa::path(delete, path = "/suppressions/{id}", tag = "suppressions",
    params(("id" = String, Path)), responses((status = 204), (status = 404, body = Problem)))]
async fn remove_suppression(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(suppression): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let suppression = id(&suppression)?;
    state
        .casework()
        .remove_suppression(caller.actor(), &suppression)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
