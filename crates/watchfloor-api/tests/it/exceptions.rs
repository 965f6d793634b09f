//! Exceptions over HTTP: any field of the event, hours of the day, thresholds, ends, and what
//! they would have held back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use axum::http::StatusCode;
use jiff::SignedDuration;
use serde_json::{Value, json};
use watchfloor_casework::{EventFieldsFuture, EventLookup};

use crate::support::{Server, finding, noon, server};

/// Events whose only field tells their position.
struct Events;

impl EventLookup for Events {
    fn fields(&self, event_ids: Vec<String>) -> EventFieldsFuture<'_> {
        Box::pin(async move {
            let fields = event_ids.into_iter().map(|id| {
                let value = format!("Tool {id}");
                (id, BTreeMap::from([("unmapped.tool".to_owned(), value)]))
            });
            Ok(fields.collect::<HashMap<_, _>>())
        })
    }
}

async fn add(server: &Server, cookie: &str, body: Value) -> Value {
    let made = server
        .as_user(cookie, "POST", "/suppressions", Some(body))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.json());
    made.json()
}

async fn alerts(server: &Server, cookie: &str) -> Vec<Value> {
    let list = server.as_user(cookie, "GET", "/alerts", None).await.json();
    list["items"].as_array().cloned().unwrap()
}

async fn held_back(server: &Server, cookie: &str) -> Vec<Value> {
    let path = "/suppressions";
    let list = server.as_user(cookie, "GET", path, None).await.json();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|one| one["count"].clone()).collect()
}

#[tokio::test]
async fn any_field_of_the_event_is_a_condition() {
    let server = server().await;
    let cookie = server.set_up().await;
    server.inner.casework.look_events_up_with(Arc::new(Events));
    server.take(vec![finding("1", "a", 5, "ws-1", "eve")]).await;
    server.take(vec![finding("2", "a", 6, "ws-2", "bob")]).await;
    let conditions = json!([{"field": "unmapped.tool", "op": "ends_with", "value": " 5-0"}]);
    let body = json!({"rule_id": "a", "conditions": conditions});
    let preview = server
        .as_user(&cookie, "POST", "/suppressions/preview", Some(body))
        .await
        .json();
    assert_eq!(preview["alerts_matched"], 1);
    assert_eq!(preview["alerts_total"], 2);
    assert_eq!(preview["examples"][0]["summary"], "eve did a on ws-1");
    assert_eq!(preview["capped"], false);
    let made = add(
        &server,
        &cookie,
        json!({
            "rule_id": "a", "reason": "the tool of the backup",
            "conditions": [{"field": "unmapped.tool", "op": "starts_with", "value": "TOOL 7"}],
        }),
    )
    .await;
    assert_eq!(made["expires_at"], Value::Null, "without an end");
    assert_eq!(made["conditions"][0]["op"], "starts_with");
    server.take(vec![finding("3", "a", 7, "ws-3", "ann")]).await;
    server.take(vec![finding("4", "a", 8, "ws-4", "ann")]).await;
    assert_eq!(alerts(&server, &cookie).await.len(), 3);
    assert_eq!(held_back(&server, &cookie).await, [1]);
    let page = server.as_user(&cookie, "GET", "/audit", None).await.json();
    let actions = page["items"].as_array().unwrap().iter();
    assert!(
        actions
            .into_iter()
            .any(|one| one["action"] == "suppression.hold_back")
    );
}

#[tokio::test]
async fn a_threshold_lets_the_nth_finding_through() {
    let server = server().await;
    let cookie = server.set_up().await;
    add(
        &server,
        &cookie,
        json!({
            "rule_id": "a", "reason": "only when it piles up", "expires_at": "2026-03-09T12:00:00Z",
            "threshold": {"count": 3, "within_s": 600, "per": "entity.host"},
        }),
    )
    .await;
    // Two on one host, one on another: nothing piles up.
    server.take(vec![finding("1", "a", 1, "ws-1", "eve")]).await;
    server.take(vec![finding("2", "a", 2, "ws-1", "bob")]).await;
    server.take(vec![finding("3", "a", 3, "ws-2", "eve")]).await;
    assert_eq!(alerts(&server, &cookie).await.len(), 0);
    // Too late to be the third of ten minutes.
    server
        .take(vec![finding("4", "a", 20, "ws-1", "ann")])
        .await;
    assert_eq!(alerts(&server, &cookie).await.len(), 0);
    server
        .take(vec![finding("5", "a", 21, "ws-1", "ann")])
        .await;
    server
        .take(vec![finding("6", "a", 22, "ws-1", "ann")])
        .await;
    let list = alerts(&server, &cookie).await;
    assert_eq!(list.len(), 1);
    let summary = list[0]["summary"].as_str().unwrap();
    assert!(
        summary.ends_with("(3 findings within 600 s for ws-1)"),
        "{summary}"
    );
    // The same finding once more counts for nothing.
    server
        .take(vec![finding("6", "a", 22, "ws-1", "ann")])
        .await;
    assert_eq!(held_back(&server, &cookie).await, [5]);
}

#[tokio::test]
async fn hours_of_the_day_are_those_of_the_zone() {
    let server = server().await;
    let cookie = server.set_up().await;
    // Findings lie between 11:00 and 12:00 UTC, which is 12:00 to 13:00 in Berlin in March.
    add(
        &server,
        &cookie,
        json!({
            "rule_id": "a", "reason": "maintenance",
            "window": {"from_minute": 12 * 60, "to_minute": 12 * 60 + 30, "zone": "Europe/Berlin"},
        }),
    )
    .await;
    server
        .take(vec![finding("1", "a", 10, "ws-1", "eve")])
        .await;
    assert_eq!(alerts(&server, &cookie).await.len(), 0);
    server
        .take(vec![finding("2", "a", 40, "ws-1", "eve")])
        .await;
    assert_eq!(alerts(&server, &cookie).await.len(), 1);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_by_name() {
    let server = server().await;
    let cookie = server.set_up().await;
    for (field, extra) in [
        (
            "window",
            json!({"window": {"from_minute": 5, "to_minute": 5, "zone": "UTC"}}),
        ),
        (
            "window",
            json!({"window": {"from_minute": 5, "to_minute": 9, "zone": "Mars/Base"}}),
        ),
        (
            "window",
            json!({"window": {"from_minute": 5, "to_minute": 2000, "zone": "UTC"}}),
        ),
        (
            "threshold",
            json!({"threshold": {"count": 1, "within_s": 5}}),
        ),
        (
            "threshold",
            json!({"threshold": {"count": 5, "within_s": 0}}),
        ),
        (
            "threshold",
            json!({"rule_id": null, "conditions": [{"field": "source", "value": "x"}],
            "threshold": {"count": 5, "within_s": 60}}),
        ),
        ("reason", json!({"reason": " "})),
        ("expires_at", json!({"expires_at": "2026-03-01T00:00:00Z"})),
    ] {
        let mut body = json!({"rule_id": "a", "reason": "r"});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        let refused = server
            .as_user(&cookie, "POST", "/suppressions", Some(body))
            .await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{extra}");
        assert_eq!(refused.json()["fields"][0]["field"], field, "{extra}");
    }
}

#[tokio::test]
async fn one_that_has_ended_holds_nothing_back() {
    let server = server().await;
    let cookie = server.set_up().await;
    let soon = noon() + SignedDuration::from_mins(1);
    add(
        &server,
        &cookie,
        json!({"rule_id": "a", "reason": "r", "expires_at": soon.to_string()}),
    )
    .await;
    server.take(vec![finding("1", "a", 1, "ws-1", "eve")]).await;
    assert_eq!(alerts(&server, &cookie).await.len(), 0);
    server.clock.advance(SignedDuration::from_mins(2));
    server.take(vec![finding("2", "a", 2, "ws-1", "eve")]).await;
    assert_eq!(alerts(&server, &cookie).await.len(), 1);
    let list = server.as_user(&cookie, "GET", "/suppressions", None).await;
    assert_eq!(list.json()["items"][0]["active"], false);
}
