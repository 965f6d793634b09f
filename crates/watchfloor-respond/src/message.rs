//! Web hooks, and messages to channels.

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use ring::hmac;
use serde_json::{Value, json};
use url::Url;
use watchfloor_model::{
    ActionFailure, ActionOutcome, ActionRequest, ArgumentValue, ConnectorKind, OpenConnector,
};

use crate::http::{Call, secret_header, send};
use crate::settings;

/// What a web hook is told: the whole action, so that whoever gets it can carry it out.
pub(crate) fn webhook_body(request: &ActionRequest) -> String {
    let arguments: serde_json::Map<String, Value> = request
        .arguments
        .iter()
        .map(|(name, value)| {
            let value = match value {
                ArgumentValue::One(text) => json!(text),
                ArgumentValue::Many(list) => json!(list),
            };
            (name.clone(), value)
        })
        .collect();
    json!({
        "action": request.kind.as_str(),
        "target": request.target,
        "arguments": arguments,
        "reason": request.reason,
        "incident_id": request.incident_id.as_ref().map(ToString::to_string),
        "action_id": request.id.to_string(),
        "idempotency_key": request.idempotency_key,
        "expires_at": request.expires_at.map(|at| at.to_string()),
    })
    .to_string()
}

fn json_headers(request: &ActionRequest) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Ok(key) = HeaderValue::try_from(&request.idempotency_key) {
        headers.insert("idempotency-key", key);
    }
    headers
}

/// Calls a web hook with an action.
pub(crate) async fn webhook(
    open: &OpenConnector,
    settings: &settings::Webhook,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let body = webhook_body(request);
    let mut headers = json_headers(request);
    if let Some(secret) = open.secrets.get("signing_key") {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let signature = hex::encode(hmac::sign(&key, body.as_bytes()));
        headers.insert(
            "x-watchfloor-signature",
            secret_header(&format!("sha256={signature}"))?,
        );
    }
    if let Some(secret) = open.secrets.get("authorization") {
        headers.insert("authorization", secret_header(secret)?);
    }
    let answer = send(Call {
        method: Method::POST,
        url: settings.url.clone(),
        headers,
        body: Some(body),
        reach: &settings.reach,
    })
    .await?;
    Ok(ActionOutcome {
        summary: format!(
            "the web hook {} took it: {}",
            open.connector.name, answer.status
        ),
        evidence: answer.evidence(),
    })
}

/// The message in the form of the channel's product.
fn channel_body(kind: ConnectorKind, text: &str) -> Value {
    match kind {
        // An adaptive card is what Teams' workflows take; plain text blocks show no markup.
        ConnectorKind::Teams => json!({
            "type": "message",
            "attachments": [{
                "contentType": "application/vnd.microsoft.card.adaptive",
                "content": {
                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                    "type": "AdaptiveCard",
                    "version": "1.4",
                    "body": [{ "type": "TextBlock", "text": text, "wrap": true }],
                },
            }],
        }),
        // Text of events must not become mentions or links.
        _ => {
            let escaped = text
                .replace('&', "&amp;")
                .replace('<', "&lt;")
                .replace('>', "&gt;");
            json!({ "text": escaped, "mrkdwn": false, "unfurl_links": false })
        }
    }
}

/// Sends a message to a channel.
pub(crate) async fn channel(
    open: &OpenConnector,
    settings: &settings::Channel,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let url = open.secrets.get("url").ok_or_else(|| {
        ActionFailure::refused(
            "the connector has no secret 'url': the URL of the incoming web hook",
        )
    })?;
    let url = Url::parse(url)
        .map_err(|_| ActionFailure::refused("the secret 'url' is no URL; set it again"))?;
    let body = channel_body(open.connector.kind, request.text("text")).to_string();
    let answer = send(Call {
        method: Method::POST,
        url,
        headers: json_headers(request),
        body: Some(body),
        reach: &settings.reach,
    })
    .await?;
    Ok(ActionOutcome {
        summary: format!(
            "{} took the message: {}",
            open.connector.name, answer.status
        ),
        evidence: answer.evidence(),
    })
}
