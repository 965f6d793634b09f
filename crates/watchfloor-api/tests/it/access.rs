//! Sign-in over HTTP.

use axum::http::StatusCode;
use serde_json::json;
use watchfloor_model::Scope;

use crate::support::{PASSWORD, cookie_of, server};

#[tokio::test]
async fn from_the_first_link_to_signing_out() {
    let server = server().await;
    let first = server.call("GET", "/api/v1/session", &[], None).await;
    assert_eq!(first.status, StatusCode::UNAUTHORIZED);
    let problem = first.json();
    assert_eq!(problem["code"], "unauthenticated");
    assert_eq!(problem["setup_required"], true);
    assert_eq!(problem["request_id"], first.header("x-request-id"));
    assert_eq!(first.header("content-type"), "application/problem+json");

    let cookie = server.set_up().await;
    let me = server
        .as_user(&cookie, "GET", "/session", None)
        .await
        .json();
    assert_eq!(me["user"]["name"], "ada");
    assert_eq!(me["user"]["role"], "admin");
    assert_eq!(me["user"]["tenant"], "main");

    let wrong = json!({ "name": "ada", "password": "wrong" });
    let answer = server
        .call("POST", "/api/v1/session", &[], Some(wrong.clone()))
        .await;
    assert_eq!(answer.json()["code"], "bad_credentials");
    let right = json!({ "name": "ada", "password": PASSWORD });
    let answer = server
        .call("POST", "/api/v1/session", &[], Some(right.clone()))
        .await;
    assert_eq!(answer.status, StatusCode::OK);
    let other = cookie_of(&answer);

    let sessions = server
        .as_user(&cookie, "GET", "/sessions", None)
        .await
        .json();
    assert_eq!(sessions["items"].as_array().unwrap().len(), 2);
    let out = server.as_user(&other, "DELETE", "/session", None).await;
    assert_eq!(out.status, StatusCode::NO_CONTENT);
    assert!(out.header("set-cookie").contains("Max-Age=0"));
    let gone = server.as_user(&other, "GET", "/session", None).await;
    assert_eq!(gone.status, StatusCode::UNAUTHORIZED);
    assert_eq!(gone.json()["setup_required"], false);

    for _ in 0..5 {
        server
            .call("POST", "/api/v1/session", &[], Some(wrong.clone()))
            .await;
    }
    let slowed = server
        .call("POST", "/api/v1/session", &[], Some(right))
        .await;
    assert_eq!(slowed.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(slowed.json()["code"], "rate_limited");
    assert!(!slowed.header("retry-after").is_empty());
}

#[tokio::test]
async fn a_cookie_alone_changes_nothing() {
    let server = server().await;
    let cookie = server.set_up().await;
    let body = json!({ "title": "x" });
    let headers = [("cookie", cookie.as_str())];
    let answer = server
        .call("POST", "/api/v1/incidents", &headers, Some(body.clone()))
        .await;
    assert_eq!(answer.status, StatusCode::FORBIDDEN);
    assert_eq!(answer.json()["code"], "csrf_header_missing");
    let token = format!("Bearer {}", server.token(Scope::Write).await);
    let headers = [("authorization", token.as_str())];
    let answer = server
        .call("POST", "/api/v1/incidents", &headers, Some(body))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "tokens need no header");
}

#[tokio::test]
async fn users_tokens_and_audit() {
    let server = server().await;
    let cookie = server.set_up().await;
    let bob = json!({ "name": "bob", "password": PASSWORD, "role": "viewer" });
    let made = server
        .as_user(&cookie, "POST", "/users", Some(bob.clone()))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let twice = server.as_user(&cookie, "POST", "/users", Some(bob)).await;
    assert_eq!(twice.json()["code"], "already_exists");
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let raised = server
        .as_user(
            &cookie,
            "PATCH",
            &format!("/users/{id}"),
            Some(json!({ "role": "lead" })),
        )
        .await;
    assert_eq!(raised.json()["role"], "lead");
    let list = server.as_user(&cookie, "GET", "/users", None).await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 2);

    let body = json!({ "name": "collector", "scope": ["ingest"], "expires_in_days": 30 });
    let token = server
        .as_user(&cookie, "POST", "/tokens", Some(body))
        .await
        .json();
    assert!(token["token"].as_str().unwrap().starts_with("wf_"));
    let list = server.as_user(&cookie, "GET", "/tokens", None).await.json();
    assert_eq!(list["items"][0]["scope"], json!(["ingest"]));
    assert!(
        list["items"][0].get("token").is_none(),
        "the secret is shown once"
    );
    let bearer = format!("Bearer {}", token["token"].as_str().unwrap());
    let headers = [("authorization", bearer.as_str())];
    let refused = server.call("GET", "/api/v1/alerts", &headers, None).await;
    assert_eq!(refused.json()["code"], "forbidden");
    let path = format!("/tokens/{}", token["id"].as_str().unwrap());
    let gone = server.as_user(&cookie, "DELETE", &path, None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);

    let page = server
        .as_user(&cookie, "GET", "/audit?limit=2", None)
        .await
        .json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["items"][0]["action"], "token.revoke");
    let next = page["next"].as_str().unwrap();
    let page = server
        .as_user(
            &cookie,
            "GET",
            &format!("/audit?limit=2&cursor={next}"),
            None,
        )
        .await
        .json();
    assert_ne!(page["items"][0]["action"], "token.revoke");
}
