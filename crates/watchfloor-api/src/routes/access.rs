//! Sign-in, sessions, users, tokens, audit log.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use watchfloor_casework::{Credential, SignedIn};

use super::{ApiResult, page};
use crate::extract::{
    ApiJson, ApiPath, ApiQuery, Caller, SESSION_COOKIE, Whence, check_csrf, id, session_cookie,
};
use crate::problem::Problem;
use crate::state::{ApiState, CookieTransport};
use crate::wire::access::{
    AuditRow, NewToken, NewUser, PageQuery, PasswordChange, SessionInfo, SessionRow, Setup, SignIn,
    Token, TokenSecret, User, UserPatch,
};
use crate::wire::{CountedList, List};

pub(crate) fn router() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(get_session, sign_in, sign_out))
        .routes(routes!(set_up))
        .routes(routes!(change_password))
        .routes(routes!(list_sessions))
        .routes(routes!(revoke_session))
        .routes(routes!(list_users, add_user))
        .routes(routes!(patch_user))
        .routes(routes!(list_tokens, add_token))
        .routes(routes!(revoke_token))
        .routes(routes!(list_audit))
}

/// Seconds that the cookie lives; the server ends the session earlier if it must.
const COOKIE_MAX_AGE_S: u32 = 7 * 24 * 3_600;

fn cookie(state: &ApiState, secret: &str, max_age_s: u32) -> Option<HeaderValue> {
    let secure = match state.settings().cookie {
        CookieTransport::Plain => "",
        CookieTransport::TlsOnly => "; Secure",
    };
    HeaderValue::try_from(format!(
        "{SESSION_COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}"
    ))
    .ok()
}

fn signed_in(state: &ApiState, signed_in: &SignedIn) -> Response {
    let mut response = Json(SessionInfo::from(signed_in)).into_response();
    let secret = signed_in.secret.as_deref().unwrap_or_default();
    if let Some(value) = cookie(state, secret, COOKIE_MAX_AGE_S) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}

/// Who is signed in.
#[utoipa::path(get, path = "/session", tag = "access", responses(
    (status = 200, body = SessionInfo), (status = 401, body = Problem)))]
async fn get_session(caller: Caller) -> Json<SessionInfo> {
    Json((&caller.0).into())
}

/// Signs in. Needs no CSRF header: a JSON body from another origin needs a preflight, which is
/// never answered.
#[utoipa::path(post, path = "/session", tag = "access", request_body = SignIn, responses(
    (status = 200, body = SessionInfo), (status = 401, body = Problem), (status = 429, body = Problem)))]
async fn sign_in(
    State(state): State<ApiState>,
    Whence(peer): Whence,
    headers: HeaderMap,
    ApiJson(body): ApiJson<SignIn>,
) -> ApiResult<Response> {
    let earlier = session_cookie(&headers);
    let done = state
        .casework()
        .sign_in(&body.name, &body.password, earlier.as_deref(), &peer)
        .await?;
    Ok(signed_in(&state, &done))
}

/// Makes the first admin with the link that the server printed, and signs in.
#[utoipa::path(post, path = "/session/setup", tag = "access", request_body = Setup, responses(
    (status = 200, body = SessionInfo), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn set_up(
    State(state): State<ApiState>,
    Whence(peer): Whence,
    ApiJson(body): ApiJson<Setup>,
) -> ApiResult<Response> {
    let done = state
        .casework()
        .set_up(&body.token, &body.name, &body.password, &peer)
        .await?;
    Ok(signed_in(&state, &done))
}

/// Signs out.
#[utoipa::path(delete, path = "/session", tag = "access", responses((status = 204)))]
async fn sign_out(State(state): State<ApiState>, headers: HeaderMap) -> ApiResult<Response> {
    if let Some(secret) = session_cookie(&headers) {
        check_csrf(&axum::http::Method::DELETE, &headers)?;
        let credential = Credential::Session(secret);
        if let Some(found) = state.casework().identify(&credential).await? {
            state.casework().sign_out(&found.actor).await?;
        }
    }
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(value) = cookie(&state, "", 0) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    Ok(response)
}

/// Changes the own password; all other sessions end.
#[utoipa::path(post, path = "/session/password", tag = "access", request_body = PasswordChange,
    responses((status = 204), (status = 400, body = Problem), (status = 401, body = Problem)))]
async fn change_password(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<PasswordChange>,
) -> ApiResult<StatusCode> {
    state
        .casework()
        .change_password(caller.actor(), &body.current, &body.new)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The own sessions.
#[utoipa::path(get, path = "/sessions", tag = "access", responses((status = 200, body = List<SessionRow>)))]
async fn list_sessions(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<SessionRow>>> {
    let (sessions, current) = state.casework().own_sessions(caller.actor()).await?;
    let rows = sessions
        .into_iter()
        .map(|session| SessionRow {
            current: session.id == current,
            id: session.id.to_string(),
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
            address: session.address,
            user_agent: session.user_agent,
        })
        .collect();
    Ok(Json(List::whole(rows)))
}

/// Ends one of the own sessions.
#[utoipa::path(delete, path = "/sessions/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn revoke_session(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(session): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let session = id(&session)?;
    state
        .casework()
        .revoke_session(caller.actor(), &session)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All users.
#[utoipa::path(get, path = "/users", tag = "access", responses((status = 200, body = List<User>)))]
async fn list_users(State(state): State<ApiState>, caller: Caller) -> ApiResult<Json<List<User>>> {
    let users = state.casework().users(caller.actor()).await?;
    Ok(Json(List::whole(
        users.into_iter().map(Into::into).collect(),
    )))
}

/// Makes a user.
#[utoipa::path(post, path = "/users", tag = "access", request_body = NewUser, responses(
    (status = 201, body = User), (status = 400, body = Problem), (status = 409, body = Problem)))]
async fn add_user(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewUser>,
) -> ApiResult<(StatusCode, Json<User>)> {
    let user = state
        .casework()
        .add_user(caller.actor(), &body.name, &body.password, body.role.into())
        .await?;
    Ok((StatusCode::CREATED, Json(user.into())))
}

/// Changes role or state of a user.
#[utoipa::path(patch, path = "/users/{id}", tag = "access", params(("id" = String, Path)),
    request_body = UserPatch, responses((status = 200, body = User), (status = 400, body = Problem)))]
async fn patch_user(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(user): ApiPath<String>,
    ApiJson(body): ApiJson<UserPatch>,
) -> ApiResult<Json<User>> {
    let user = state
        .casework()
        .patch_user(
            caller.actor(),
            &id(&user)?,
            body.role.map(Into::into),
            body.disabled,
        )
        .await?;
    Ok(Json(user.into()))
}

/// All API tokens.
#[utoipa::path(get, path = "/tokens", tag = "access", responses((status = 200, body = List<Token>)))]
async fn list_tokens(
    State(state): State<ApiState>,
    caller: Caller,
) -> ApiResult<Json<List<Token>>> {
    let tokens = state.casework().tokens(caller.actor()).await?;
    Ok(Json(List::whole(
        tokens.into_iter().map(Into::into).collect(),
    )))
}

/// Makes an API token.
#[utoipa::path(post, path = "/tokens", tag = "access", request_body = NewToken, responses(
    (status = 201, body = TokenSecret), (status = 400, body = Problem)))]
async fn add_token(
    State(state): State<ApiState>,
    caller: Caller,
    ApiJson(body): ApiJson<NewToken>,
) -> ApiResult<(StatusCode, Json<TokenSecret>)> {
    let scopes = body.scope.into_iter().map(Into::into).collect();
    let made = state
        .casework()
        .add_token(caller.actor(), &body.name, scopes, body.expires_in_days)
        .await?;
    Ok((
        StatusCode::CREATED,
        Json(TokenSecret {
            id: made.token.id.to_string(),
            token: made.secret,
        }),
    ))
}

/// Revokes an API token.
#[utoipa::path(delete, path = "/tokens/{id}", tag = "access", params(("id" = String, Path)),
    responses((status = 204), (status = 404, body = Problem)))]
async fn revoke_token(
    State(state): State<ApiState>,
    caller: Caller,
    ApiPath(token): ApiPath<String>,
) -> ApiResult<StatusCode> {
    let token = id(&token)?;
    state
        .casework()
        .revoke_token(caller.actor(), &token)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The audit log, newest first.
#[utoipa::path(get, path = "/audit", tag = "access", params(PageQuery),
    responses((status = 200, body = CountedList<AuditRow>)))]
async fn list_audit(
    State(state): State<ApiState>,
    caller: Caller,
    ApiQuery(query): ApiQuery<PageQuery>,
) -> ApiResult<Json<CountedList<AuditRow>>> {
    let request = page(query.cursor.as_deref(), query.limit)?;
    let found = state.casework().audit(caller.actor(), &request).await?;
    Ok(Json(CountedList {
        items: found.items.into_iter().map(Into::into).collect(),
        next: found.next.map(|cursor| cursor.encode()),
        total: found.total,
    }))
}
