//! Events, monitor and live data over HTTP.

use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::json;
use tower::ServiceExt;
use watchfloor_api::ports::{IndicatorList, LedgerEntry, RefusedIndicator, RefusedRule};

use crate::support::{finding, noon, server};

#[tokio::test]
async fn searches() {
    let server = server().await;
    let cookie = server.set_up().await;
    let body = json!({ "query": "", "from": "2026-03-01T00:00:00Z", "to": "2026-03-03T00:00:00Z" });
    let found = server
        .as_user(&cookie, "POST", "/search", Some(body.clone()))
        .await
        .json();
    assert_eq!(found["total"], 0);
    assert_eq!(found["capped"], false);
    let mut bad = body.clone();
    bad["query"] = json!("a (b");
    let refused = server.as_user(&cookie, "POST", "/search", Some(bad)).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);
    let problem = refused.json();
    assert_eq!(problem["code"], "query_invalid");
    assert_eq!(problem["position"], json!({ "start": 2, "end": 3 }));
    assert_eq!(problem["hint"], "close it with )");
    for (field, value) in [
        ("limit", json!(10_001)),
        ("to", json!("2026-02-01T00:00:00Z")),
    ] {
        let mut bad = body.clone();
        bad[field] = value;
        let refused = server.as_user(&cookie, "POST", "/search", Some(bad)).await;
        assert_eq!(refused.json()["code"], "invalid", "{field}");
    }
    let missing = server.as_user(&cookie, "GET", "/events/1-0", None).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    let fields = server.as_user(&cookie, "GET", "/fields", None).await.json();
    assert_eq!(fields["items"][0]["type"], "text");
}

#[tokio::test]
async fn monitors() {
    let server = server().await;
    let cookie = server.set_up().await;
    server.take(vec![finding("1", "a", 5, "ws-1", "eve")]).await;
    {
        let mut contents = server.inner.plane.contents();
        contents.ledger.push(LedgerEntry {
            source: "http".to_owned(),
            hour: noon(),
            received: 3,
            decoded: 2,
            undecoded: 1,
            stored: 3,
            evaluated: 3,
            dropped: [("too_long".to_owned(), 0)].into(),
        });
        contents.indicators.push(IndicatorList {
            name: "feed".to_owned(),
            path: "feed.txt".to_owned(),
            format: Some("text".to_owned()),
            indicators: 2,
            kinds: [("domain".to_owned(), 2)].into(),
            refused: 1,
            refused_lines: vec![RefusedIndicator {
                line: 3,
                reason: "the value is empty".to_owned(),
            }],
            not_understood: [].into(),
            trouble: None,
            loaded_at: jiff::Timestamp::UNIX_EPOCH,
            matches: 0,
        });
        contents.refused.push(RefusedRule {
            path: "x.yml".to_owned(),
            line: None,
            rule: String::new(),
            reason: "no title".to_owned(),
            held_since: None,
        });
    }
    let lists = server
        .as_user(&cookie, "GET", "/indicators", None)
        .await
        .json();
    let list = &lists["items"][0];
    assert_eq!(
        (&list["name"], &list["indicators"]),
        (&json!("feed"), &json!(2))
    );
    assert_eq!(list["kinds"], json!({ "domain": 2 }));
    assert_eq!(list["refused_lines"][0]["line"], 3);
    assert_eq!(list["trouble"], serde_json::Value::Null);
    let ledger = server.as_user(&cookie, "GET", "/ledger", None).await.json();
    assert_eq!(ledger["items"][0]["received"], 3);
    assert_eq!(ledger["next"], serde_json::Value::Null);
    let none = server
        .as_user(&cookie, "GET", "/ledger?source=other", None)
        .await
        .json();
    assert_eq!(none["items"], json!([]));
    let refused = server
        .as_user(&cookie, "GET", "/rules/refused", None)
        .await
        .json();
    assert_eq!(refused["items"][0]["line"], serde_json::Value::Null);
    for path in ["/sources", "/rules?q=x"] {
        let answer = server.as_user(&cookie, "GET", path, None).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
    }
    let overview = server
        .as_user(&cookie, "GET", "/overview", None)
        .await
        .json();
    assert_eq!(overview["alerts_open"], 1);
    assert_eq!(overview["alerts_by_severity"]["high"], 1);
    assert_eq!(overview["alerts_by_severity"]["low"], 0);
    assert_eq!(
        overview["tactics"][0],
        json!({ "tactic": "execution", "alerts": 1 })
    );
    let status = server.as_user(&cookie, "GET", "/status", None).await.json();
    assert_eq!(status["rules"]["refused"], 1);
    let health = server.call("GET", "/healthz", &[], None).await;
    assert_eq!(health.json()["status"], "ok");
    let metrics = server.call("GET", "/metrics", &[], None).await;
    let text = String::from_utf8(metrics.body).unwrap();
    assert!(
        text.contains("# TYPE watchfloor_records_received_total counter"),
        "{text}"
    );
}

#[tokio::test]
async fn a_new_alert_arrives_live() {
    let server = server().await;
    let cookie = server.set_up().await;
    let request = Request::get("/api/v1/live")
        .header("host", "localhost")
        .header("cookie", &cookie)
        .body(axum::body::Body::empty())
        .unwrap();
    let response = server.inner.router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut body = response.into_body();
    server.take(vec![finding("1", "a", 5, "ws-1", "eve")]).await;
    let mut text = String::new();
    let wanted = ["event: alert\n", "event: incident\n", "event: ledger\n"];
    while !wanted.iter().all(|name| text.contains(name)) {
        let frame = body.frame().await.unwrap().unwrap();
        text.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
    }
}

#[tokio::test]
async fn queries_with_verbs_give_rows() {
    let server = server().await;
    let cookie = server.set_up().await;
    let body = json!({ "query": "failed | count", "from": "2026-03-01T00:00:00Z", "to": "2026-03-03T00:00:00Z" });
    let found = server
        .as_user(&cookie, "POST", "/query", Some(body.clone()))
        .await
        .json();
    assert_eq!(
        found["columns"],
        json!([{ "name": "Count", "kind": "long" }])
    );
    assert_eq!(found["rows"], json!([[0]]));
    assert_eq!(found["render"], json!(null));
    for (field, value, code) in [
        ("query", json!("failed | wear"), "query_invalid"),
        ("limit", json!(0), "invalid"),
        ("to", json!("2026-02-01T00:00:00Z"), "invalid"),
    ] {
        let mut bad = body.clone();
        bad[field] = value;
        let refused = server.as_user(&cookie, "POST", "/query", Some(bad)).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST);
        assert_eq!(refused.json()["code"], code, "{field}");
    }
}
