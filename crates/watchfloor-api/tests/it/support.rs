//! A server in memory, and calls in short.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt;
use watchfloor_api::memory::MemoryServer;
use watchfloor_casework::FixedClock;
use watchfloor_event::{Entity, EntityKind, EventId, Finding, FindingLevel, MatchReason};
use watchfloor_model::{Actor, Scope, TenantId};

pub(crate) const PASSWORD: &str = "correct horse battery";

pub(crate) struct Server {
    pub(crate) inner: MemoryServer,
    pub(crate) clock: Arc<FixedClock>,
    _folder: tempfile::TempDir,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| {
            panic!("no JSON: {}", String::from_utf8_lossy(&self.body));
        })
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

pub(crate) fn noon() -> Timestamp {
    "2026-03-02T12:00:00Z".parse().unwrap()
}

pub(crate) async fn server() -> Server {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(FixedClock::new(noon()));
    Server {
        inner: MemoryServer::start(folder.path(), clock.clone())
            .await
            .unwrap(),
        clock,
        _folder: folder,
    }
}

impl Server {
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.inner.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: body.collect().await.unwrap().to_bytes().to_vec(),
        }
    }

    /// A call with headers as `name: value`.
    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<Value>,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost:8080");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Some(value) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(value.to_string())
            }
            None => Body::empty(),
        };
        self.send(request.body(body).unwrap()).await
    }

    /// Makes the first admin; returns the cookie.
    pub(crate) async fn set_up(&self) -> String {
        let token = self
            .inner
            .casework
            .setup_link_token()
            .await
            .unwrap()
            .unwrap();
        let body = json!({ "token": token, "name": "ada", "password": PASSWORD });
        let answer = self
            .call("POST", "/api/v1/session/setup", &[], Some(body))
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        cookie_of(&answer)
    }

    /// A call of a signed-in browser.
    pub(crate) async fn as_user(
        &self,
        cookie: &str,
        method: &str,
        path: &str,
        body: Option<Value>,
    ) -> Answer {
        let headers = [("cookie", cookie), ("x-watchfloor", "1")];
        self.call(method, &format!("/api/v1{path}"), &headers, body)
            .await
    }

    pub(crate) async fn token(&self, scope: Scope) -> String {
        let system = Actor::system(TenantId::main());
        let made = self
            .inner
            .casework
            .add_token(&system, "sender", vec![scope], 30)
            .await;
        made.unwrap().secret
    }

    pub(crate) async fn take(&self, findings: Vec<Finding>) {
        self.inner
            .casework
            .take_findings(1, findings)
            .await
            .unwrap();
    }
}

pub(crate) fn cookie_of(answer: &Answer) -> String {
    let line = answer.header("set-cookie");
    assert!(
        line.contains("HttpOnly") && line.contains("SameSite=Strict"),
        "{line}"
    );
    line.split(';').next().unwrap().to_owned()
}

pub(crate) fn finding(id: &str, rule: &str, minute: i64, host: &str, user: &str) -> Finding {
    let time = noon()
        .saturating_sub(SignedDuration::from_mins(60 - minute))
        .unwrap();
    let entity = |kind, value: &str| Entity {
        kind,
        value: value.to_owned(),
        role: "actor".to_owned(),
    };
    Finding {
        id: id.to_owned(),
        rule_id: rule.to_owned(),
        rule_version: "0123456789ab".to_owned(),
        title: format!("Rule {rule}"),
        level: FindingLevel::High,
        time,
        first_time: time,
        source: "sysmon".to_owned(),
        event_ids: vec![EventId::new(minute.unsigned_abs(), 0)],
        event_count: 1,
        summary: format!("{user} did {rule} on {host}"),
        reasons: vec![MatchReason {
            selection: "sel".to_owned(),
            field: "process.cmd_line".to_owned(),
            value: "powershell -enc".to_owned(),
            pattern: "*-enc*".to_owned(),
        }],
        entities: vec![
            entity(EntityKind::Host, host),
            entity(EntityKind::User, user),
        ],
        tactics: vec!["execution".to_owned()],
        techniques: vec!["T1059.001".to_owned()],
    }
}
