//! Service levels, people on call, handovers and times over HTTP.

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};
use watchfloor_event::FindingLevel;
use watchfloor_model::Scope;

use crate::support::{finding, server};

#[tokio::test]
async fn targets_lists_and_times() {
    let server = server().await;
    let cookie = server.set_up().await;
    let call = async |method: &str, path: &str, body: Option<Value>| {
        server.as_user(&cookie, method, path, body).await
    };
    let levels = call("GET", "/service-levels", None).await;
    assert_eq!(levels.header("etag"), "\"0\"");
    let mut targets = levels.json()["targets"].clone();
    assert_eq!(targets["critical"]["acknowledge"], 15);
    targets["high"]["acknowledge"] = json!(10);
    targets["low"]["acknowledge"] = json!(10);
    let headers = [
        ("cookie", cookie.as_str()),
        ("x-watchfloor", "1"),
        ("if-match", "\"7\""),
    ];
    let body = Some(json!({ "targets": targets }));
    let path = "/api/v1/service-levels";
    let stale = server.call("PUT", path, &headers, body.clone()).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    assert_eq!(stale.json()["code"], "version_conflict");
    let set = call("PUT", "/service-levels", body.clone()).await;
    assert_eq!(set.header("etag"), "\"1\"");
    let token = format!("Bearer {}", server.token(Scope::Write).await);
    let headers = [("authorization", token.as_str())];
    let refused = server.call("PUT", path, &headers, body).await;
    assert_eq!(refused.json()["code"], "forbidden");

    // A low alert opens no incident by itself.
    let mut lone = finding("f-3", "c", 2, "alone", "bob");
    lone.level = FindingLevel::Low;
    let findings = vec![
        finding("f-1", "a", 0, "ws-1", "eve"),
        finding("f-2", "b", 1, "ws-1", "eve"),
        lone,
    ];
    server.take(findings).await;
    server.clock.advance(SignedDuration::from_mins(11));
    let late = call("GET", "/incidents?clock=breached&sort=due", None)
        .await
        .json();
    assert_eq!(late["total"], 1);
    let id = late["items"][0]["id"].as_str().unwrap().to_owned();
    let late = call("GET", "/alerts?clock=breached&sort=due&limit=1", None)
        .await
        .json();
    assert_eq!(
        (&late["total"], &late["items"][0]["rule_id"]),
        (&json!(1), &json!("c"))
    );
    let bad = call("GET", "/incidents?clock=soon", None).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let detail = call("GET", &format!("/incidents/{id}"), None).await.json();
    assert_eq!(detail["faces"][0]["state"], "breached");
    assert_eq!(detail["faces"][0]["target_min"], 10);

    let times = call("GET", "/performance?zone=Europe/Berlin", None)
        .await
        .json();
    assert_eq!(times["all"]["incidents"], 1);
    assert_eq!(times["all"]["detect"]["median_s"], 3_600);
    assert_eq!(times["by_week"][0]["from"], "2026-03-01T23:00:00Z");
    assert_eq!(times["verdicts"]["none"], 1);
    let bad = call("GET", "/performance?zone=Nowhere", None).await;
    assert_eq!(bad.json()["code"], "invalid");
}

#[tokio::test]
async fn on_call_and_handover() {
    let server = server().await;
    let cookie = server.set_up().await;
    let call = async |method: &str, path: &str, body: Option<Value>| {
        server.as_user(&cookie, method, path, body).await
    };
    let rotation = json!({ "name": "First", "members": ["ada"], "starts_on": "2026-03-01",
        "handover_minute": 480, "turn_hours": 24, "zone": "Europe/Berlin" });
    let made = call("POST", "/rotations", Some(rotation.clone())).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let twice = call("POST", "/rotations", Some(rotation)).await;
    assert_eq!(twice.json()["code"], "already_exists");
    let roster = call("GET", "/on-call", None).await.json();
    assert_eq!(roster["items"][0]["now"]["name"], "ada");
    assert_eq!(roster["items"][0]["now"]["from"], "2026-03-02T07:00:00Z");
    let policy = json!({ "is_on": true, "primary": "rot-1", "secondary": null, "levels": [
        { "clock": "acknowledge", "after_percent": 100, "after_minutes": null,
          "severity_min": "high", "recipient": "primary", "connector_id": null }] });
    let set = call("PUT", "/escalation", Some(policy)).await;
    assert_eq!(set.status, StatusCode::OK);
    let refused = call("DELETE", "/rotations/rot-1", None).await;
    assert_eq!(
        refused.status,
        StatusCode::BAD_REQUEST,
        "escalation goes there"
    );
    let findings = vec![
        finding("f-1", "a", 0, "ws-1", "eve"),
        finding("f-2", "b", 1, "ws-1", "eve"),
    ];
    server.take(findings).await;
    server.clock.advance(SignedDuration::from_mins(31));
    assert_eq!(server.inner.casework.escalation_round().await.unwrap(), 1);
    let list = call("GET", "/escalations", None).await.json();
    assert_eq!(list["items"][0]["recipients"], json!(["ada"]));

    let draft = call("GET", "/handovers/draft", None).await.json();
    assert_eq!(
        (&draft["open"]["total"], &draft["breaches"]["total"]),
        (&json!(1), &json!(1))
    );
    assert!(draft["quiet_sources"].is_array());
    let given = call("POST", "/handovers", Some(json!({ "notes": "calm" }))).await;
    assert_eq!(given.status, StatusCode::CREATED);
    let path = format!("/handovers/{}", given.json()["id"].as_str().unwrap());
    let kept = call("GET", &path, None).await.json();
    assert_eq!(
        (&kept["is_sealed"], &kept["notes"]),
        (&json!(true), &json!("calm"))
    );
    assert_eq!(kept["snapshot"]["open"], draft["open"]);
    let own = call("POST", &format!("{path}/accept"), None).await;
    assert_eq!(own.status, StatusCode::BAD_REQUEST);
}
