//! What actions do to the outside world.
//!
//! Each connector takes one request and makes one call. It says plainly whether the call was
//! certainly not made, or whether nobody can know, because on that rests whether it is made again.

mod guard;
mod http;
mod mail;
mod message;
mod program;
mod settings;
mod ticket;

use watchfloor_model::{
    ActionFailure, ActionKind, ActionOutcome, ActionRequest, Connector, ConnectorKind,
    OpenConnector,
};

pub use guard::Guard;

use settings::Settings;

/// Does an action.
///
/// # Errors
/// [`ActionFailure`]: not done, or not known to be done.
pub async fn perform(
    open: &OpenConnector,
    request: &ActionRequest,
) -> Result<ActionOutcome, ActionFailure> {
    let settings = settings::read(open.connector.kind, &open.connector.settings)
        .map_err(ActionFailure::refused)?;
    match settings {
        Settings::Webhook(settings) => message::webhook(open, &settings, request).await,
        Settings::Channel(settings) => message::channel(open, &settings, request).await,
        Settings::Smtp(settings) => mail::send(open, &settings, request).await,
        Settings::Jira(settings) => ticket::jira(open, &settings, request).await,
        Settings::Servicenow(settings) => ticket::servicenow(open, &settings, request).await,
        Settings::Github(settings) => ticket::github(open, &settings, request).await,
        Settings::Http(settings) => http::call(open, &settings, request).await,
        Settings::Program(settings) => program::run(&settings, request).await,
    }
}

/// Says what would be sent where, without doing it.
///
/// # Errors
/// Why it cannot be done this way.
pub fn preview(connector: &Connector, request: &ActionRequest) -> Result<String, String> {
    let settings = settings::read(connector.kind, &connector.settings)?;
    Ok(match settings {
        Settings::Webhook(settings) => {
            format!(
                "POST {} with {}",
                settings.url,
                message::webhook_body(request)
            )
        }
        Settings::Channel(_) => format!("message to {}: {}", connector.name, request.text("text")),
        Settings::Smtp(settings) => format!(
            "mail from {} to {} by {}:{}: {}",
            settings.from,
            request.list("to").join(", "),
            settings.host,
            settings.port,
            request.text("subject")
        ),
        Settings::Jira(settings) => {
            format!(
                "ticket in project {} at {}: {}",
                settings.project,
                settings.url,
                request.text("subject")
            )
        }
        Settings::Servicenow(settings) => {
            format!(
                "record in {} at {}: {}",
                settings.table,
                settings.url,
                request.text("subject")
            )
        }
        Settings::Github(settings) => {
            format!(
                "issue in {} at {}: {}",
                settings.repository,
                settings.url,
                request.text("subject")
            )
        }
        Settings::Http(settings) => {
            http::target(&settings, request)?;
            format!("{} {}", request.text("method"), request.text("url"))
        }
        Settings::Program(settings) => {
            let (path, arguments) = program::line(&settings, request)?;
            format!("{path} with {} arguments: {arguments:?}", arguments.len())
        }
    })
}

/// Whether a connector can do this very action: the URL lies below its own, the program is
/// allowed.
pub fn covers(connector: &Connector, request: &ActionRequest) -> bool {
    let has_own_choice = matches!(connector.kind, ConnectorKind::Http | ConnectorKind::Program);
    connector.is_enabled
        && connector.serves.contains(&request.kind)
        && (!has_own_choice || preview(connector, request).is_ok())
}

/// Whether the same request with the same key may be sent again without doing it twice.
pub fn is_repeatable(connector: &Connector, kind: ActionKind) -> bool {
    match settings::read(connector.kind, &connector.settings) {
        Ok(Settings::Webhook(settings)) => settings.honors_idempotency_key,
        Ok(Settings::Http(settings)) => settings.honors_idempotency_key,
        Ok(Settings::Program(settings)) => settings.is_repeatable,
        // They look for the key first.
        Ok(Settings::Jira(_) | Settings::Servicenow(_) | Settings::Github(_)) => true,
        Ok(Settings::Channel(_) | Settings::Smtp(_)) | Err(_) => {
            // Two mails are a nuisance and no harm, but they are two.
            let _ = kind;
            false
        }
    }
}

/// Checks the settings of a connector and what it is to serve.
///
/// # Errors
/// What, where and how to mend it.
pub fn check(kind: ConnectorKind, settings: &str, serves: &[ActionKind]) -> Result<(), String> {
    settings::read(kind, settings)?;
    match serves.iter().find(|action| !kind.may_serve(**action)) {
        Some(action) => Err(format!("a {kind} connector cannot {}", action.in_words())),
        None => Ok(()),
    }
}

/// Names of the secrets that a kind of connector takes, with what each is.
pub const fn secrets_of(kind: ConnectorKind) -> &'static [(&'static str, &'static str)] {
    match kind {
        ConnectorKind::Webhook => &[
            (
                "signing_key",
                "signs each body: HMAC-SHA-256 in X-Watchfloor-Signature",
            ),
            ("authorization", "value of the header Authorization"),
        ],
        ConnectorKind::Smtp => &[("password", "password of the mail account")],
        ConnectorKind::Slack | ConnectorKind::Teams => &[("url", "URL of the incoming web hook")],
        ConnectorKind::Jira | ConnectorKind::Servicenow | ConnectorKind::Http => {
            &[("authorization", "value of the header Authorization")]
        }
        ConnectorKind::Github => &[("token", "access token")],
        ConnectorKind::Program => &[],
    }
}
