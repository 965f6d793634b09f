//! Rules over HTTP: their pages, the texts they had, and who may change what is in force.

use axum::http::StatusCode;
use serde_json::Value;
use watchfloor_casework::RuleNotice;
use watchfloor_model::{RuleVersion, Scope};

use crate::support::{finding, noon, server};

fn version(rule: &str, version: &str) -> RuleVersion {
    RuleVersion {
        rule_id: rule.to_owned(),
        version: version.to_owned(),
        title: format!("Rule {rule}"),
        path: "rules/a b.yml".to_owned(),
        yaml: format!("title: Rule {rule}\n# {version}\n"),
        first_at: noon(),
        last_at: noon(),
    }
}

#[tokio::test]
async fn the_text_of_an_alert_stays_when_the_rule_goes() {
    let server = server().await;
    let cookie = server.set_up().await;
    // The id of a rule without one is its path.
    let rule = "rules/a b.yml";
    let casework = &server.inner.casework;
    let texts = [version(rule, "0123456789ab"), version(rule, "ffffffffffff")];
    casework.keep_rule_versions(&texts).await.unwrap();
    server
        .take(vec![finding("1", rule, 5, "ws-1", "eve")])
        .await;
    let path = "/rules/rules%2Fa%20b.yml";
    let page = server.as_user(&cookie, "GET", path, None).await.json();
    assert_eq!(page["info"], Value::Null);
    assert_eq!(page["title"], "Rule rules/a b.yml");
    let alerts = |hash: &str| {
        let versions = page["versions"].as_array().unwrap().iter();
        let found = versions.filter(|one| one["version"] == hash);
        found.map(|one| one["alerts"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(alerts("0123456789ab"), [1]);
    assert_eq!(alerts("ffffffffffff"), [0]);
    let path = format!("{path}/versions/0123456789ab");
    let text = server.as_user(&cookie, "GET", &path, None).await.json();
    assert!(text["yaml"].as_str().unwrap().contains("# 0123456789ab"));
    for path in ["/rules/none", "/rules/none/versions/x"] {
        let missing = server.as_user(&cookie, "GET", path, None).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND, "{path}");
    }
}

#[tokio::test]
async fn old_texts_go_unless_an_alert_rests_on_them() {
    let server = server().await;
    let cookie = server.set_up().await;
    let casework = &server.inner.casework;
    let long_ago = noon() - jiff::SignedDuration::from_hours(24 * 100);
    let old = |rule: &str, hash: &str| RuleVersion {
        first_at: long_ago,
        last_at: long_ago,
        ..version(rule, hash)
    };
    server.take(vec![finding("1", "a", 5, "ws-1", "eve")]).await;
    let texts = [old("a", "0123456789ab"), old("a", "000000000000")];
    casework.keep_rule_versions(&texts).await.unwrap();
    let page = server
        .as_user(&cookie, "GET", "/rules/a", None)
        .await
        .json();
    let versions = page["versions"].as_array().unwrap();
    assert_eq!(versions.len(), 1);
    assert_eq!(versions[0]["version"], "0123456789ab");
}

#[tokio::test]
async fn only_those_with_the_right_change_what_is_in_force() {
    let server = server().await;
    for (scope, expected) in [
        (Scope::Read, StatusCode::FORBIDDEN),
        (Scope::Write, StatusCode::FORBIDDEN),
        (Scope::Admin, StatusCode::OK),
    ] {
        let bearer = format!("Bearer {}", server.token(scope).await);
        let headers = [("authorization", bearer.as_str())];
        let answer = server
            .call("POST", "/api/v1/rules/reload", &headers, None)
            .await;
        assert_eq!(answer.status, expected, "{scope}");
        let read = server
            .call("GET", "/api/v1/rules/reloads", &headers, None)
            .await;
        assert_eq!(read.status, StatusCode::OK, "{scope}");
    }
}

#[tokio::test]
async fn a_change_of_rules_is_in_the_audit_log_and_told_live() {
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    let server = server().await;
    let cookie = server.set_up().await;
    let request = Request::builder()
        .uri("/api/v1/live")
        .header("host", "localhost")
        .header("cookie", &cookie)
        .body(axum::body::Body::empty())
        .unwrap();
    let response = server.inner.router.clone().oneshot(request).await.unwrap();
    let casework = &server.inner.casework;
    let notice = RuleNotice {
        action: "rules.reload",
        text: "1 added (New one); 1 in force".to_owned(),
        needs_attention: false,
    };
    casework
        .record_rule_change(&casework.system(), "rules", notice)
        .await
        .unwrap();
    let mut body = response.into_body();
    let mut told = String::new();
    while !told.contains("event: rules") {
        let frame = body.frame().await.unwrap().unwrap();
        told.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap()));
    }
    assert!(told.contains("1 added (New one)"), "{told}");
    let audit = server.as_user(&cookie, "GET", "/audit", None).await.json();
    assert_eq!(audit["items"][0]["action"], "rules.reload");
    assert_eq!(audit["items"][0]["target"], "rules");
}

#[tokio::test]
async fn an_explanation_needs_one_event_and_a_rule() {
    let server = server().await;
    let cookie = server.set_up().await;
    for (rule, body, expected) in [
        (
            "none",
            serde_json::json!({"raw": "{}"}),
            StatusCode::NOT_FOUND,
        ),
        ("none", serde_json::json!({}), StatusCode::BAD_REQUEST),
        (
            "none",
            serde_json::json!({"raw": "{}", "event_id": "1-0"}),
            StatusCode::BAD_REQUEST,
        ),
    ] {
        let path = format!("/rules/{rule}/explain");
        let answer = server
            .as_user(&cookie, "POST", &path, Some(body.clone()))
            .await;
        assert_eq!(answer.status, expected, "{body}");
    }
    let layer = server
        .as_user(&cookie, "GET", "/rules/coverage", None)
        .await;
    assert_eq!(layer.status, StatusCode::OK);
    assert_eq!(layer.json()["versions"]["layer"], "4.5");
}
