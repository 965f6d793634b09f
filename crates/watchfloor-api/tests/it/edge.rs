//! What surrounds every request.

use axum::http::StatusCode;
use serde_json::json;
use watchfloor_model::Scope;

use crate::support::server;

#[tokio::test]
async fn headers_and_hosts() {
    let server = server().await;
    for path in ["/", "/alerts/alr-1", "/healthz", "/api/v1/nothing"] {
        let answer = server
            .call("GET", path, &[("accept", "text/html")], None)
            .await;
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'"), "{path}");
        assert!(policy.contains("script-src 'self';"), "{path}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(answer.header("x-request-id").len(), 16, "{path}");
    }
    let request = axum::http::Request::get("/api/v1/session")
        .header("host", "evil.example")
        .body(axum::body::Body::empty())
        .unwrap();
    let rebound = server.send(request).await;
    assert_eq!(rebound.json()["code"], "host_not_allowed");
}

#[tokio::test]
async fn the_console_answers_its_own_routes() {
    let server = server().await;
    for (path, status, kind) in [
        ("/", StatusCode::OK, "text/html; charset=utf-8"),
        (
            "/incidents/inc-1",
            StatusCode::OK,
            "text/html; charset=utf-8",
        ),
        ("/setup", StatusCode::OK, "text/html; charset=utf-8"),
        (
            "/assets/none.js",
            StatusCode::NOT_FOUND,
            "application/problem+json",
        ),
        (
            "/api/v1/none",
            StatusCode::NOT_FOUND,
            "application/problem+json",
        ),
        (
            "/..%2f..%2fetc%2fpasswd",
            StatusCode::NOT_FOUND,
            "application/problem+json",
        ),
    ] {
        let answer = server
            .call("GET", path, &[("accept", "text/html")], None)
            .await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, kind),
            "{path}"
        );
    }
    let page = server
        .call("GET", "/", &[("accept", "text/html")], None)
        .await;
    let tag = page.header("etag").to_owned();
    let headers = [("accept", "text/html"), ("if-none-match", tag.as_str())];
    let known = server.call("GET", "/", &headers, None).await;
    assert_eq!(
        (known.status, known.body.len()),
        (StatusCode::NOT_MODIFIED, 0)
    );
}

#[tokio::test]
async fn bad_requests_are_problems() {
    let server = server().await;
    let token = format!("Bearer {}", server.token(Scope::Admin).await);
    let auth = ("authorization", token.as_str());
    let json_type = ("content-type", "application/json");
    let post = |body: &'static str| {
        axum::http::Request::post("/api/v1/incidents")
            .header("host", "localhost")
            .header(auth.0, auth.1)
            .header(json_type.0, json_type.1)
            .body(axum::body::Body::from(body))
            .unwrap()
    };
    for body in [
        "",
        "{",
        "[]",
        "{\"title\": 1}",
        "{\"title\":\"x\",\"odd\":1}",
    ] {
        let answer = server.send(post(body)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer.json()["code"], "body_invalid", "{body}");
    }
    let large = json!({ "title": "x".repeat(2 * 1024 * 1024) });
    let answer = server
        .call("POST", "/api/v1/incidents", &[auth], Some(large))
        .await;
    assert_eq!(answer.json()["code"], "body_too_large");
    let blank = server
        .call(
            "POST",
            "/api/v1/incidents",
            &[auth],
            Some(json!({ "title": " " })),
        )
        .await;
    assert_eq!(blank.json()["fields"][0]["field"], "title");
    let method = server.call("PUT", "/api/v1/alerts", &[auth], None).await;
    assert_eq!(method.json()["code"], "method_not_allowed");
    let nobody = server
        .call(
            "GET",
            "/api/v1/alerts",
            &[("authorization", "Bearer wf_no")],
            None,
        )
        .await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
}
