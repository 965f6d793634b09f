//! Senders over HTTP.

use std::io::Write;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use flate2::Compression;
use flate2::write::GzEncoder;
use watchfloor_model::Scope;

use crate::support::{Answer, Server, server};

async fn post(
    server: &Server,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = Request::post(path).header("host", "localhost");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(body.into()).unwrap()).await
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn ndjson_keeps_what_is_well_formed() {
    let server = server().await;
    let token = format!("Bearer {}", server.token(Scope::Ingest).await);
    let auth = ("authorization", token.as_str());
    let key = ("idempotency-key", "batch-1");
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(1024 * 1024));
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = format!("{{\"a\":1}}\n\n{{\"a\":\n{long}\r\n{deep}\n{{\"a\":2}}");
    let answer = post(
        &server,
        "/ingest/ndjson?source=web",
        &[auth, key],
        body.clone(),
    )
    .await;
    assert_eq!(answer.status, StatusCode::OK);
    let told = answer.json();
    assert_eq!(told["accepted"], 3);
    assert_eq!(told["rejected"][0]["line"], 3);
    assert_eq!(told["rejected"][1]["line"], 4);
    assert!(
        told["rejected"][1]["reason"]
            .as_str()
            .unwrap()
            .contains("1 MiB")
    );
    {
        let contents = server.inner.plane.contents();
        assert_eq!(contents.taken.len(), 3);
        assert_eq!(contents.taken[0].source, "web");
        assert_eq!(contents.taken[0].idempotency.as_deref(), Some("batch-1:1"));
        assert_eq!(
            contents.rejected,
            [
                ("web".to_owned(), "too_long", 1),
                ("web".to_owned(), "malformed_json", 1)
            ]
        );
    }
    // Sent again, it is answered alike and taken once.
    let again = post(&server, "/ingest/ndjson?source=web", &[auth, key], body).await;
    assert_eq!(again.json()["accepted"], 3);
    assert_eq!(server.inner.plane.contents().taken.len(), 3);
    server.inner.plane.contents().busy = true;
    let busy = post(&server, "/ingest/ndjson", &[auth], "{}").await;
    assert_eq!(busy.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(busy.header("retry-after"), "1");
}

#[tokio::test]
async fn only_senders_with_a_token_may_send() {
    let server = server().await;
    let cookie = server.set_up().await;
    let read = format!("Bearer {}", server.token(Scope::Read).await);
    for (headers, status) in [
        (vec![], StatusCode::UNAUTHORIZED),
        (vec![("cookie", cookie.as_str())], StatusCode::UNAUTHORIZED),
        (
            vec![("authorization", "Bearer wf_x")],
            StatusCode::UNAUTHORIZED,
        ),
        (
            vec![("authorization", read.as_str())],
            StatusCode::FORBIDDEN,
        ),
    ] {
        let answer = post(&server, "/ingest/ndjson", &headers, "{}").await;
        assert_eq!(answer.status, status, "{headers:?}");
        let answer = post(&server, "/_bulk", &headers, "{}").await;
        assert_eq!(answer.status, status, "{headers:?}");
    }
}

#[tokio::test]
async fn gzip_within_limits() {
    let server = server().await;
    let token = format!("Bearer {}", server.token(Scope::Ingest).await);
    let headers = [
        ("authorization", token.as_str()),
        ("content-encoding", "gzip"),
    ];
    let answer = post(
        &server,
        "/ingest/ndjson",
        &headers,
        gzip(b"{\"a\":1}\n{\"a\":2}\n"),
    )
    .await;
    assert_eq!(answer.json()["accepted"], 2);
    let bomb = gzip(&vec![b' '; 65 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024);
    let answer = post(&server, "/ingest/ndjson", &headers, bomb).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(answer.json()["code"], "body_too_large");
    let answer = post(&server, "/ingest/ndjson", &headers, "no gzip").await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let odd = [
        ("authorization", token.as_str()),
        ("content-encoding", "br"),
    ];
    let answer = post(&server, "/ingest/ndjson", &odd, "x").await;
    assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(server.inner.plane.contents().taken.len(), 2);
}

#[tokio::test]
async fn bulk_answers_as_its_clients_expect() {
    let server = server().await;
    let token = server.token(Scope::Ingest).await;
    let basic = {
        use base64::Engine;
        let text = base64::engine::general_purpose::STANDARD.encode(format!("elastic:{token}"));
        format!("Basic {text}")
    };
    let headers = [
        ("authorization", basic.as_str()),
        (
            "content-type",
            "application/vnd.elasticsearch+x-ndjson; compatible-with=8",
        ),
        (
            "accept",
            "application/vnd.elasticsearch+json; compatible-with=8",
        ),
    ];
    for path in ["/ingest/", "/ingest", "/"] {
        let info = server.call("GET", path, &headers, None).await;
        assert_eq!(info.header("x-elastic-product"), "Elasticsearch", "{path}");
        assert!(
            info.json()["version"]["number"]
                .as_str()
                .unwrap()
                .starts_with("8."),
            "{path}"
        );
        let head = server.call("HEAD", path, &headers, None).await;
        assert_eq!(
            (head.status, head.body.len()),
            (StatusCode::OK, 0),
            "{path}"
        );
    }
    let body = "{\"create\":{\"_index\":\"logs\",\"_id\":\"7\"}}\n{\"a\":1}\n\
                {\"index\":{}}\n{\"broken\":\n{\"index\":{}}\n{\"a\":2}\n";
    for path in [
        "/_bulk",
        "/ingest/_bulk",
        "/other/_bulk",
        "/ingest/other/_bulk",
    ] {
        let answer = post(&server, path, &headers, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert_eq!(answer.header("x-elastic-product"), "Elasticsearch");
        assert!(
            answer
                .header("content-type")
                .contains("vnd.elasticsearch+json")
        );
        let told = answer.json();
        assert_eq!(told["errors"], true);
        let items = told["items"].as_array().unwrap();
        assert_eq!(items[0]["create"]["status"], 201);
        assert_eq!(items[0]["create"]["_id"], "7");
        assert_eq!(items[1]["index"]["status"], 400);
        assert_eq!(
            items[1]["index"]["error"]["type"],
            "document_parsing_exception"
        );
        assert_eq!(items[2]["index"]["status"], 201);
    }
    {
        let contents = server.inner.plane.contents();
        let created = contents
            .taken
            .iter()
            .filter(|item| item.source == "logs")
            .count();
        assert_eq!(created, 1, "the same _id is one record");
        let sources: Vec<&str> = contents.taken.iter().map(|i| i.source.as_str()).collect();
        assert_eq!(sources, ["logs", "bulk", "bulk", "other", "other"]);
    }
    server.inner.plane.contents().busy = true;
    let busy = post(&server, "/_bulk", &headers, body).await;
    assert_eq!(busy.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(busy.header("retry-after"), "1");
    let empty = post(&server, "/_bulk", &headers, "").await;
    assert_eq!(empty.status, StatusCode::BAD_REQUEST);
    // The Python client cannot read application/problem+json.
    let nobody = post(&server, "/_bulk", &[("authorization", "Bearer wf_x")], body).await;
    assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.header("content-type"), "application/json");
    assert_eq!(nobody.json()["error"]["type"], "security_exception");
    assert_eq!(nobody.header("x-elastic-product"), "Elasticsearch");
}
