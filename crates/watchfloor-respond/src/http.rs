//! One request over HTTP: guarded, bounded in time and size, and honest about what is known of it.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::{Client, Method, StatusCode, redirect};
use url::Url;
use watchfloor_model::{ActionFailure, ActionOutcome, ActionRequest, OpenConnector};

use crate::Guard;
use crate::settings::{self, Reach};

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that are kept of an answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Characters of an answer that are quoted in an error.
const QUOTE_CHARS: usize = 300;
/// Redirects that keep method and body, followed in a row.
const REDIRECTS_MAX: usize = 3;

/// A request to be sent.
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<String>,
    pub(crate) reach: &'a Reach,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: String,
}

impl Answer {
    /// What proves that the request was taken.
    pub(crate) fn evidence(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("status".to_owned(), self.status.to_string()),
            ("output".to_owned(), self.body.clone()),
        ])
    }
}

/// A header whose value may be a secret: it is never shown.
pub(crate) fn secret_header(value: &str) -> Result<HeaderValue, ActionFailure> {
    let mut value = HeaderValue::from_str(value).map_err(|_| {
        ActionFailure::refused("a secret of the connector cannot stand in a header; set it again")
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// Sends a request. A status that is no success is a failure with the first words of the answer.
pub(crate) async fn send(call: Call<'_>) -> Result<Answer, ActionFailure> {
    let answer = exchange(call).await?;
    if answer.status.is_success() {
        return Ok(answer);
    }
    let quote: String = answer.body.chars().take(QUOTE_CHARS).collect();
    let reason = format!("the other side answered {}: {quote}", answer.status);
    // It read the request and said no; the same words again get the same answer, except where it
    // asks for patience.
    let may_retry = answer.status.is_server_error()
        || matches!(
            answer.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT
        );
    Err(ActionFailure::NotDone { reason, may_retry })
}

/// Sends a request and takes any answer.
pub(crate) async fn exchange(call: Call<'_>) -> Result<Answer, ActionFailure> {
    let guard = Guard::new(call.reach.allowed_networks.clone());
    let client = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(Duration::from_secs(call.reach.timeout_s))
        .redirect(redirect::Policy::none())
        .dns_resolver(guard.clone())
        .no_proxy()
        .user_agent(concat!("watchfloor/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| ActionFailure::failed(format!("no HTTP client: {}", chain(&error))))?;
    let mut url = call.url.clone();
    for _ in 0..=REDIRECTS_MAX {
        guard.check_url(&url).map_err(ActionFailure::refused)?;
        let mut request = client
            .request(call.method.clone(), url.clone())
            .headers(call.headers.clone());
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return Err(failure(&error, &guard, call.reach)),
        };
        let status = response.status();
        if !status.is_redirection() {
            return Ok(Answer {
                status,
                body: body_of(response).await,
            });
        }
        let next = response
            .headers()
            .get(LOCATION)
            .and_then(|value| value.to_str().ok());
        url = next_url(&url, status, next)?;
    }
    Err(ActionFailure::refused(format!(
        "the other side redirects more than {REDIRECTS_MAX} times"
    )))
}

/// Only redirects that keep method and body are followed, and never to another origin with the
/// secrets of this one.
fn next_url(url: &Url, status: StatusCode, next: Option<&str>) -> Result<Url, ActionFailure> {
    let refused = |why: &str| {
        let to = next.unwrap_or("nowhere");
        Err(ActionFailure::refused(format!(
            "the other side redirects ({status}) to {to}, {why}"
        )))
    };
    if !matches!(
        status,
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT
    ) {
        return refused("which is not followed; set the URL to where it leads");
    }
    let Some(to) = next.and_then(|next| url.join(next).ok()) else {
        return refused("which is no URL");
    };
    if to.host_str() != url.host_str() || to.scheme() != url.scheme() {
        return refused("which is another host and is not followed; set the URL to where it leads");
    }
    Ok(to)
}

/// Says what a client's error means for whether the request was taken.
fn failure(error: &reqwest::Error, guard: &Guard, reach: &Reach) -> ActionFailure {
    if let Some(reason) = guard.refusal() {
        return ActionFailure::refused(reason);
    }
    if error.is_builder() {
        return ActionFailure::refused(format!("the request cannot be built: {}", chain(error)));
    }
    if error.is_connect() {
        return ActionFailure::failed(format!("cannot connect: {}", chain(error)));
    }
    if error.is_timeout() {
        let seconds = reach.timeout_s;
        return ActionFailure::unknown(format!(
            "there was no answer within {seconds} s after the request was sent"
        ));
    }
    ActionFailure::unknown(format!(
        "the connection broke after the request was sent: {}",
        chain(error)
    ))
}

/// An error with its causes. The URL stays away: it may be a secret.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts = Vec::new();
    let mut at = Some(error);
    while let Some(error) = at {
        let text = match error.downcast_ref::<reqwest::Error>() {
            Some(_) => "the request failed".to_owned(),
            None => error.to_string(),
        };
        if !parts.contains(&text) {
            parts.push(text);
        }
        at = error.source();
    }
    parts.join(": ")
}

async fn body_of(mut response: reqwest::Response) -> String {
    let mut bytes: Vec<u8> = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() >= ANSWER_BYTES_MAX {
            bytes.truncate(ANSWER_BYTES_MAX);
            break;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The URL of a request, which lies below the connector's own.
pub(crate) fn target(settings: &settings::Http, request: &ActionRequest) -> Result<Url, String> {
    let text = request.text("url");
    let url = Url::parse(text).map_err(|error| format!("{text} is no URL: {error}"))?;
    let base = &settings.base_url;
    let prefix = base.path().trim_end_matches('/');
    let is_below = url.path() == prefix || url.path().starts_with(&format!("{prefix}/"));
    if url.origin() != base.origin() || !is_below || !url.username().is_empty() {
        return Err(format!("{url} does not lie below {base}"));
    }
    Ok(url)
}

/// Does an `http_request`.
pub(crate) async fn call(
    open: &OpenConnector,
    settings: &settings::Http,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let url = target(settings, request).map_err(ActionFailure::refused)?;
    let method = request.text("method").parse::<Method>();
    let method = method.map_err(|_| ActionFailure::refused("the method is none of HTTP"))?;
    let mut headers = HeaderMap::new();
    for line in request.list("headers") {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let parts = (
            HeaderName::try_from(name.trim()),
            HeaderValue::try_from(value.trim()),
        );
        let (Ok(name), Ok(value)) = parts else {
            return Err(ActionFailure::refused(format!(
                "the header {} does not do",
                name.trim()
            )));
        };
        headers.append(name, value);
    }
    if let Some(secret) = open.secrets.get("authorization") {
        headers.insert("authorization", secret_header(secret)?);
    }
    if let Ok(key) = HeaderValue::try_from(&request.idempotency_key) {
        headers.insert("idempotency-key", key);
    }
    let body = request.text("body");
    let body = (!body.is_empty()).then(|| body.to_owned());
    if body.is_some() && !headers.contains_key("content-type") {
        headers.insert("content-type", HeaderValue::from_static("application/json"));
    }
    let shown = format!("{method} {url}");
    let answer = send(Call {
        method,
        url,
        headers,
        body,
        reach: &settings.reach,
    })
    .await?;
    Ok(ActionOutcome {
        summary: format!("{shown} answered {}", answer.status),
        evidence: answer.evidence(),
    })
}
