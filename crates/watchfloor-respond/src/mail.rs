//! E-mail by SMTP.

use std::collections::BTreeMap;
use std::time::Duration;

use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, Message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use watchfloor_model::{ActionFailure, ActionOutcome, ActionRequest, OpenConnector};

use crate::Guard;
use crate::settings::Smtp;

/// Builds the message; nothing of it reaches a header but what lettre encodes.
fn message(settings: &Smtp, request: &ActionRequest) -> Result<Message, String> {
    let mailbox = |text: &str| {
        text.parse::<Mailbox>()
            .map_err(|error| format!("{text} is no mail address: {error}"))
    };
    let domain = settings
        .from
        .rsplit('@')
        .next()
        .unwrap_or("localhost")
        .trim_end_matches('>');
    let mut builder = Message::builder()
        .from(mailbox(&settings.from)?)
        .subject(request.text("subject"))
        .message_id(Some(format!("<{}@{domain}>", request.idempotency_key)))
        .raw_header(HeaderValue::new(
            HeaderName::new_from_ascii_str("Auto-Submitted"),
            "auto-generated".to_owned(),
        ))
        .header(ContentType::TEXT_PLAIN);
    for to in request.list("to") {
        builder = builder.to(mailbox(to)?);
    }
    builder
        .body(request.text("text").to_owned())
        .map_err(|error| format!("the mail cannot be built: {error}"))
}

/// Sends a mail.
pub(crate) async fn send(
    open: &OpenConnector,
    settings: &Smtp,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let message = message(settings, request).map_err(ActionFailure::refused)?;
    let guard = Guard::new(settings.reach.allowed_networks.clone());
    guard
        .resolve(&settings.host, settings.port)
        .await
        .map_err(ActionFailure::refused)?;
    let tls = || {
        TlsParameters::new(settings.host.clone())
            .map_err(|error| ActionFailure::failed(format!("no TLS: {error}")))
    };
    let tls = match settings.security.as_str() {
        "tls" => Tls::Wrapper(tls()?),
        "none" => Tls::None,
        _ => Tls::Required(tls()?),
    };
    let limit = Duration::from_secs(settings.reach.timeout_s);
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&settings.host)
        .port(settings.port)
        .tls(tls)
        .timeout(Some(limit));
    if let (Some(name), Some(password)) = (&settings.username, open.secrets.get("password")) {
        builder = builder.credentials(Credentials::new(name.clone(), password.clone()));
    }
    let transport = builder.build();
    // The transport's own limit is one per line of the dialog; a server that drips would hold it.
    let sent = tokio::time::timeout(limit, transport.send(message)).await;
    let seconds = settings.reach.timeout_s;
    let response = match sent {
        Err(_) => {
            let reason = format!(
                "the mail server {}:{} did not take the mail within {seconds} s",
                settings.host, settings.port
            );
            return Err(ActionFailure::unknown(reason));
        }
        Ok(Err(error)) => return Err(failure(&error, settings)),
        Ok(Ok(response)) => response,
    };
    let said: Vec<&str> = response.message().collect();
    let evidence = BTreeMap::from([
        ("code".to_owned(), response.code().to_string()),
        ("output".to_owned(), said.join(" ")),
        ("to".to_owned(), request.list("to").join(", ")),
    ]);
    Ok(ActionOutcome {
        summary: format!("{} took the mail: {}", settings.host, response.code()),
        evidence,
    })
}

fn failure(error: &lettre::transport::smtp::Error, settings: &Smtp) -> ActionFailure {
    let at = format!("the mail server {}:{}", settings.host, settings.port);
    let cause = crate::http::chain(error);
    if error.is_permanent() {
        return ActionFailure::refused(format!("{at} refused the mail: {cause}"));
    }
    if error.is_transient() {
        return ActionFailure::failed(format!("{at} did not take the mail just now: {cause}"));
    }
    if error.is_timeout() {
        let seconds = settings.reach.timeout_s;
        return ActionFailure::unknown(format!("{at} did not answer within {seconds} s"));
    }
    if error.is_client() || error.is_tls() {
        return ActionFailure::refused(format!("{at}: {cause}"));
    }
    ActionFailure::failed(format!("{at} cannot be reached, or broke off: {cause}"))
}
