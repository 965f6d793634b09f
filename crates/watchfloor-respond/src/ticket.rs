//! Tickets elsewhere. Each opener looks for the action's key first, so that one action is one
//! ticket, however often it is begun.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;
use watchfloor_model::{ActionFailure, ActionOutcome, ActionRequest, OpenConnector};

use crate::http::{Answer, Call, secret_header, send};
use crate::settings::{Github, Jira, Reach, Servicenow};

fn headers(open: &OpenConnector, secret: &str, prefix: &str) -> Result<HeaderMap, ActionFailure> {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    headers.insert("accept", HeaderValue::from_static("application/json"));
    if let Some(value) = open.secrets.get(secret) {
        headers.insert("authorization", secret_header(&format!("{prefix}{value}"))?);
    }
    Ok(headers)
}

/// A URL below another, with a query.
fn below(base: &str, path: &str, query: &[(&str, &str)]) -> Result<Url, ActionFailure> {
    let text = format!("{}/{path}", base.trim_end_matches('/'));
    let mut url =
        Url::parse(&text).map_err(|error| ActionFailure::refused(format!("{text}: {error}")))?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

async fn get(url: Url, headers: &HeaderMap, reach: &Reach) -> Result<Value, ActionFailure> {
    let answer = send(Call {
        method: Method::GET,
        url,
        headers: headers.clone(),
        body: None,
        reach,
    })
    .await;
    // Looking changes nothing: whatever becomes of it, the ticket was not opened by it.
    let answer = answer.map_err(|failure| match failure {
        ActionFailure::Unknown { reason } => ActionFailure::failed(reason),
        known => known,
    })?;
    parsed(&answer)
}

fn parsed(answer: &Answer) -> Result<Value, ActionFailure> {
    serde_json::from_str(&answer.body).map_err(|_| {
        ActionFailure::unknown(format!(
            "the other side answered {} with no JSON",
            answer.status
        ))
    })
}

async fn post(
    url: Url,
    headers: HeaderMap,
    body: &Value,
    reach: &Reach,
) -> Result<Value, ActionFailure> {
    let call = Call {
        method: Method::POST,
        url,
        headers,
        body: Some(body.to_string()),
        reach,
    };
    parsed(&send(call).await?)
}

fn opened(product: &str, ticket: String, url: Option<String>, is_new: bool) -> ActionOutcome {
    let mut evidence = std::collections::BTreeMap::from([
        ("ticket".to_owned(), ticket.clone()),
        ("output".to_owned(), ticket.clone()),
    ]);
    evidence.extend(url.map(|url| ("url".to_owned(), url)));
    let what = if is_new {
        "was opened"
    } else {
        "was there already, from an earlier attempt"
    };
    ActionOutcome {
        summary: format!("{product} ticket {ticket} {what}"),
        evidence,
    }
}

fn text_of(value: &Value) -> Option<String> {
    value
        .as_str()
        .map(str::to_owned)
        .or_else(|| value.as_u64().map(|number| number.to_string()))
}

/// Jira: the key is a label.
///
/// # Source
/// Jira REST API v2, `/rest/api/2/search` and `/rest/api/2/issue`.
pub(crate) async fn jira(
    open: &OpenConnector,
    settings: &Jira,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let headers = headers(open, "authorization", "")?;
    let base = settings.url.as_str();
    let query = format!("labels = \"{}\"", request.idempotency_key);
    let search = below(
        base,
        "rest/api/2/search",
        &[("jql", &query), ("maxResults", "1"), ("fields", "key")],
    )?;
    let found = get(search, &headers, &settings.reach).await?;
    let browse = |key: &str| format!("{}/browse/{key}", base.trim_end_matches('/'));
    if let Some(key) = found["issues"][0]["key"].as_str() {
        return Ok(opened("Jira", key.to_owned(), Some(browse(key)), false));
    }
    let body = json!({ "fields": {
        "project": { "key": settings.project },
        "issuetype": { "name": settings.issue_type },
        "summary": request.text("subject"),
        "description": request.text("text"),
        "labels": ["watchfloor", request.idempotency_key],
    }});
    let made = post(
        below(base, "rest/api/2/issue", &[])?,
        headers,
        &body,
        &settings.reach,
    )
    .await?;
    match made["key"].as_str() {
        Some(key) => Ok(opened("Jira", key.to_owned(), Some(browse(key)), true)),
        None => Err(ActionFailure::unknown("Jira named no key for the ticket")),
    }
}

/// ServiceNow: the key is the correlation id.
///
/// # Source
/// ServiceNow Table API, `/api/now/table/{table}`.
pub(crate) async fn servicenow(
    open: &OpenConnector,
    settings: &Servicenow,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let headers = headers(open, "authorization", "")?;
    let path = format!("api/now/table/{}", settings.table);
    let base = settings.url.as_str();
    let query = format!("correlation_id={}", request.idempotency_key);
    let search = below(
        base,
        &path,
        &[
            ("sysparm_query", &query),
            ("sysparm_limit", "1"),
            ("sysparm_fields", "number"),
        ],
    )?;
    let found = get(search, &headers, &settings.reach).await?;
    if let Some(number) = text_of(&found["result"][0]["number"]) {
        return Ok(opened("ServiceNow", number, None, false));
    }
    let body = json!({
        "short_description": request.text("subject"),
        "description": request.text("text"),
        "correlation_id": request.idempotency_key,
    });
    let made = post(below(base, &path, &[])?, headers, &body, &settings.reach).await?;
    match text_of(&made["result"]["number"]) {
        Some(number) => Ok(opened("ServiceNow", number, None, true)),
        None => Err(ActionFailure::unknown(
            "ServiceNow named no number for the record",
        )),
    }
}

/// GitHub: the key is a label.
///
/// # Source
/// GitHub REST API, `/repos/{owner}/{repo}/issues`.
pub(crate) async fn github(
    open: &OpenConnector,
    settings: &Github,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let headers = headers(open, "token", "Bearer ")?;
    let path = format!("repos/{}/issues", settings.repository);
    let search = below(
        &settings.url,
        &path,
        &[
            ("labels", &request.idempotency_key),
            ("state", "all"),
            ("per_page", "1"),
        ],
    )?;
    let found = get(search, &headers, &settings.reach).await?;
    let link = |issue: &Value| issue["html_url"].as_str().map(str::to_owned);
    if let Some(number) = text_of(&found[0]["number"]) {
        return Ok(opened(
            "GitHub",
            format!("#{number}"),
            link(&found[0]),
            false,
        ));
    }
    let body = json!({
        "title": request.text("subject"),
        "body": request.text("text"),
        "labels": [request.idempotency_key],
    });
    let made = post(
        below(&settings.url, &path, &[])?,
        headers,
        &body,
        &settings.reach,
    )
    .await?;
    match text_of(&made["number"]) {
        Some(number) => Ok(opened("GitHub", format!("#{number}"), link(&made), true)),
        None => Err(ActionFailure::unknown(
            "GitHub named no number for the issue",
        )),
    }
}
