//! Alerts and incidents over HTTP: the analyst's story.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};
use watchfloor_api::ports::{Event, RuleDetail};

use crate::support::{Server, finding, noon, server};

fn event(id: &str, minute: i64, fields: &[(&str, &str)]) -> Event {
    let time = noon()
        .saturating_sub(jiff::SignedDuration::from_mins(60 - minute))
        .unwrap();
    Event {
        id: id.to_owned(),
        time,
        received_at: time,
        source: "sysmon".to_owned(),
        class_uid: 1007,
        class_name: "Process Activity".to_owned(),
        product: "Sysmon".to_owned(),
        message: "a process started".to_owned(),
        raw: "<Event/>".to_owned(),
        anomalies: Vec::new(),
        fields: fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect::<BTreeMap<_, _>>(),
    }
}

async fn fill(server: &Server) {
    server
        .take(vec![
            finding("1", "a", 5, "ws-1", "eve"),
            finding("2", "b", 9, "ws-1", "eve"),
            finding("3", "c", 20, "ws-9", "bob"),
        ])
        .await;
    let mut contents = server.inner.plane.contents();
    contents.events = vec![
        event(
            "4-0",
            4,
            &[
                ("device.hostname", "ws-1"),
                ("process.pid", "100"),
                ("process.file.path", "C:\\Windows\\explorer.exe"),
            ],
        ),
        event(
            "5-0",
            5,
            &[
                ("device.hostname", "ws-1"),
                ("process.pid", "200"),
                ("process.file.path", "C:\\Windows\\powershell.exe"),
                ("process.cmd_line", "powershell -enc"),
                ("actor.process.pid", "100"),
                ("actor.user.name", "eve"),
            ],
        ),
        event("7-0", 7, &[("device.hostname", "ws-7")]),
    ];
    contents.rule_details.insert(
        "a".to_owned(),
        RuleDetail {
            id: "a".to_owned(),
            title: "Rule a".to_owned(),
            description: "d".to_owned(),
            level: "high".to_owned(),
            version: "0123456789ab".to_owned(),
            yaml: "title: Rule a".to_owned(),
            references: Vec::new(),
            falsepositives: Vec::new(),
            hold: None,
            suspension: None,
        },
    );
}

async fn id_of(server: &Server, cookie: &str, rule: &str) -> String {
    let path = format!("/alerts?rule_id={rule}");
    let list = server.as_user(cookie, "GET", &path, None).await.json();
    list["items"][0]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_queue_filters_sorts_and_pages() {
    let server = server().await;
    let cookie = server.set_up().await;
    fill(&server).await;
    for (query, expected) in [
        ("", vec!["c", "b", "a"]),
        ("?sort=time", vec!["a", "b", "c"]),
        ("?severity=high,critical&status=new", vec!["c", "b", "a"]),
        ("?severity=low", vec![]),
        ("?entity=WS-1", vec!["b", "a"]),
        ("?entity=user:BOB", vec!["c"]),
        ("?entity=host:bob", vec![]),
        ("?q=did%20C%20on", vec!["c"]),
        ("?q=100%25", vec![]),
        ("?assignee=none", vec!["c", "b", "a"]),
        ("?incident_id=none", vec![]),
        (
            "?from=2026-03-02T11:09:00Z&to=2026-03-02T11:20:00Z",
            vec!["b"],
        ),
    ] {
        let answer = server
            .as_user(&cookie, "GET", &format!("/alerts{query}"), None)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{query}");
        let list = answer.json();
        let rules: Vec<&str> = list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| row["rule_id"].as_str().unwrap())
            .collect();
        assert_eq!(rules, expected, "{query}");
        assert_eq!(list["total"], expected.len(), "{query}");
    }
    let page = server
        .as_user(&cookie, "GET", "/alerts?limit=2", None)
        .await
        .json();
    assert_eq!(page["total"], 3);
    let next = page["next"].as_str().unwrap();
    let path = format!("/alerts?limit=2&cursor={next}");
    let page = server.as_user(&cookie, "GET", &path, None).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 1);
    assert_eq!(page["next"], Value::Null);
    for bad in [
        "?sort=mood",
        "?status=odd",
        "?cursor=zz",
        "?from=yesterday",
        "?unknown=1",
    ] {
        let answer = server
            .as_user(&cookie, "GET", &format!("/alerts{bad}"), None)
            .await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{bad}");
        assert_eq!(answer.json()["code"], "invalid", "{bad}");
    }
}

#[tokio::test]
async fn an_alert_shows_why_and_what_else() {
    let server = server().await;
    let cookie = server.set_up().await;
    fill(&server).await;
    let id = id_of(&server, &cookie, "a").await;
    let answer = server
        .as_user(&cookie, "GET", &format!("/alerts/{id}"), None)
        .await;
    let alert = answer.json();
    assert!(!answer.header("etag").is_empty());
    assert_eq!(alert["event"]["id"], "5-0");
    assert_eq!(alert["rule"]["yaml"], "title: Rule a");
    let reason = &alert["reasons"][0];
    assert_eq!(
        alert["event"]["fields"][reason["field"].as_str().unwrap()],
        reason["value"]
    );
    assert!(alert["attachment"]["incident_id"].is_string());
    assert_eq!(alert["history"][0]["action"], "alert.create");

    let path = format!("/alerts/{id}/context?minutes=3");
    let context = server.as_user(&cookie, "GET", &path, None).await.json();
    assert_eq!(context["total"], 2);
    let tree = context["process_tree"].as_array().unwrap();
    assert_eq!(tree.len(), 2);
    assert_eq!(tree[0]["name"], "explorer.exe");
    assert_eq!(tree[1]["parent_id"], tree[0]["id"]);
    assert_eq!(
        (&tree[0]["is_alerted"], &tree[1]["is_alerted"]),
        (&json!(false), &json!(true))
    );
    let missing = server
        .as_user(&cookie, "GET", "/alerts/alr-none", None)
        .await;
    assert_eq!(missing.json()["code"], "not_found");
}

#[tokio::test]
async fn an_alert_is_worked_on() {
    let server = server().await;
    let cookie = server.set_up().await;
    fill(&server).await;
    let id = id_of(&server, &cookie, "a").await;
    let base = format!("/alerts/{id}");
    let seen = server
        .as_user(&cookie, "POST", &format!("{base}/acknowledge"), None)
        .await;
    assert_eq!(seen.json()["status"], "acknowledged");
    let tag = seen.header("etag").to_owned();
    let body = json!({ "assignee": "ada" });
    let given = server
        .as_user(
            &cookie,
            "POST",
            &format!("{base}/assign"),
            Some(body.clone()),
        )
        .await;
    assert_eq!(given.json()["status"], "in_progress");
    let headers = [
        ("cookie", cookie.as_str()),
        ("x-watchfloor", "1"),
        ("if-match", tag.as_str()),
    ];
    let path = format!("/api/v1{base}/assign");
    let stale = server.call("POST", &path, &headers, Some(body)).await;
    assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
    let problem = stale.json();
    assert_eq!(problem["code"], "version_conflict");
    assert_eq!(problem["current"]["assignee"], "ada");
    let close = format!("{base}/close");
    let unsaid = json!({ "verdict": "false_positive" });
    let refused = server.as_user(&cookie, "POST", &close, Some(unsaid)).await;
    assert_eq!(
        (refused.status, refused.json()["code"].clone()),
        (StatusCode::CONFLICT, json!("illegal_state"))
    );
    let said = json!({ "verdict": "false_positive", "reason": "test" });
    let closed = server.as_user(&cookie, "POST", &close, Some(said)).await;
    assert_eq!(closed.json()["verdict"], "false_positive");
    let again = server
        .as_user(&cookie, "POST", &format!("{base}/reopen"), None)
        .await;
    assert_eq!(again.json()["verdict"], Value::Null);
    let note = json!({ "text": "looked at it" });
    let made = server
        .as_user(&cookie, "POST", &format!("{base}/notes"), Some(note))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    let out = server
        .as_user(&cookie, "POST", &format!("{base}/detach"), None)
        .await;
    assert_eq!(out.json()["incident_id"], Value::Null);
    let body = json!({ "incident_id": null });
    let into = server
        .as_user(&cookie, "POST", &format!("{base}/attach"), Some(body))
        .await;
    assert!(into.json()["incident_id"].is_string());
    let ids = json!({ "ids": [id, "alr-x"], "action": "attach" });
    let bulk = server
        .as_user(&cookie, "POST", "/alerts/bulk", Some(ids))
        .await
        .json();
    assert_eq!(bulk["failed"][0]["id"], "alr-x");
    assert!(bulk["incident_id"].is_string());
}

#[tokio::test]
async fn an_incident_runs_its_course() {
    let server = server().await;
    let cookie = server.set_up().await;
    fill(&server).await;
    let list = server
        .as_user(&cookie, "GET", "/incidents", None)
        .await
        .json();
    assert_eq!(list["total"], 2);
    let row = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["alert_count"] == 2)
        .unwrap();
    let base = format!("/incidents/{}", row["id"].as_str().unwrap());
    for (path, body) in [
        ("notes", json!({ "text": "begun" })),
        (
            "tasks",
            json!({ "title": "Isolate ws-1", "assignee": "ada" }),
        ),
        (
            "observables",
            json!({ "kind": "address", "value": "203.0.113.9" }),
        ),
    ] {
        let made = server
            .as_user(&cookie, "POST", &format!("{base}/{path}"), Some(body))
            .await;
        assert_eq!(made.status, StatusCode::CREATED, "{path}");
    }
    let detail = server.as_user(&cookie, "GET", &base, None).await.json();
    assert_eq!(detail["alert_rows"].as_array().unwrap().len(), 2);
    let reasons = &detail["alert_rows"][1]["attachment_reasons"][0];
    assert!(
        reasons
            .as_str()
            .unwrap()
            .contains("shares host ws-1 and user eve"),
        "{reasons}"
    );
    let task = detail["tasks"][0]["id"].as_str().unwrap();
    let path = format!("{base}/tasks/{task}");
    let done = server
        .as_user(&cookie, "PATCH", &path, Some(json!({ "status": "done" })))
        .await;
    assert_eq!(done.json()["status"], "done");
    assert_eq!(done.json()["assignee"], "ada", "an absent field stays");
    let done = server
        .as_user(&cookie, "PATCH", &path, Some(json!({ "assignee": null })))
        .await;
    assert_eq!(done.json()["assignee"], Value::Null);
    let early = server
        .as_user(
            &cookie,
            "PATCH",
            &base,
            Some(json!({ "status": "resolved" })),
        )
        .await;
    assert_eq!(early.json()["code"], "illegal_state");
    let body = json!({ "status": "resolved", "verdict": "true_positive", "assignee": "ada" });
    let resolved = server
        .as_user(&cookie, "PATCH", &base, Some(body))
        .await
        .json();
    assert_eq!(
        (&resolved["status"], &resolved["verdict"]),
        (&json!("resolved"), &json!("true_positive"))
    );
    let html = server
        .as_user(&cookie, "GET", &format!("{base}/report?format=html"), None)
        .await;
    assert!(html.header("content-disposition").contains("attachment"));
    assert!(String::from_utf8_lossy(&html.body).contains("203.0.113.9"));
    let odd = server
        .as_user(&cookie, "GET", &format!("{base}/report?format=doc"), None)
        .await;
    assert_eq!(odd.status, StatusCode::BAD_REQUEST);

    let alerts = detail["alerts"].as_array().unwrap();
    let body = json!({ "alert_ids": [alerts[1]] });
    let split = server
        .as_user(&cookie, "POST", &format!("{base}/split"), Some(body))
        .await;
    assert_eq!(split.status, StatusCode::CREATED);
    let body = json!({ "from": [split.json()["id"]] });
    let merged = server
        .as_user(&cookie, "POST", &format!("{base}/merge"), Some(body))
        .await;
    assert_eq!(merged.json()["alert_count"], 2);
}

#[tokio::test]
async fn suppressions_are_tried_made_and_ended() {
    let server = server().await;
    let cookie = server.set_up().await;
    fill(&server).await;
    let mut body = json!({
        "rule_id": "a",
        "conditions": [{ "field": "entity.user", "value": "e*" }],
        "reason": "known",
        "expires_at": "2026-03-09T12:00:00Z"
    });
    let preview = server
        .as_user(&cookie, "POST", "/suppressions/preview", Some(body.clone()))
        .await;
    let preview = preview.json();
    assert_eq!(preview["alerts_matched"], 1);
    assert_eq!(preview["days"], 30);
    let made = server
        .as_user(&cookie, "POST", "/suppressions", Some(body.clone()))
        .await;
    assert_eq!(made.status, StatusCode::CREATED);
    assert_eq!(made.json()["active"], true);
    body["expires_at"] = json!("2026-03-01T00:00:00Z");
    let past = server
        .as_user(&cookie, "POST", "/suppressions", Some(body))
        .await;
    assert_eq!(past.json()["fields"][0]["field"], "expires_at");
    let path = format!("/suppressions/{}", made.json()["id"].as_str().unwrap());
    let gone = server.as_user(&cookie, "DELETE", &path, None).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    let list = server
        .as_user(&cookie, "GET", "/suppressions", None)
        .await
        .json();
    assert_eq!(list["items"], json!([]));
}
