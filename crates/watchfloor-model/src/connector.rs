//! Connectors: the ways to the outside world that an administrator opened.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::grade::words;
use crate::{ActionKind, ConnectorId};

/// What a connector speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConnectorKind {
    /// JSON to a URL.
    Webhook,
    /// E-mail by SMTP.
    Smtp,
    /// Slack's incoming web hook.
    Slack,
    /// Teams' incoming web hook.
    Teams,
    /// Jira's REST API.
    Jira,
    /// ServiceNow's table API.
    Servicenow,
    /// GitHub's REST API.
    Github,
    /// Any HTTP API below a URL.
    Http,
    /// Programs of the server's machine.
    Program,
}

words!(ConnectorKind {
    Webhook = "webhook",
    Smtp = "smtp",
    Slack = "slack",
    Teams = "teams",
    Jira = "jira",
    Servicenow = "servicenow",
    Github = "github",
    Http = "http",
    Program = "program",
});

impl ConnectorKind {
    /// The actions that it can do at all; which of them it does is the administrator's choice.
    pub fn may_serve(self, kind: ActionKind) -> bool {
        use ActionKind as K;
        let says = matches!(
            kind,
            K::SendEmail | K::SendMessage | K::OpenTicket | K::HttpRequest | K::RunProgram
        );
        match self {
            Self::Webhook => !says,
            Self::Smtp => kind == K::SendEmail,
            Self::Slack | Self::Teams => kind == K::SendMessage,
            Self::Jira | Self::Servicenow | Self::Github => kind == K::OpenTicket,
            Self::Http => kind == K::HttpRequest,
            Self::Program => kind == K::RunProgram || !(says || kind == K::CallWebhook),
        }
    }
}

/// A way to the outside world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connector {
    /// Its id.
    pub id: ConnectorId,
    /// Its name.
    pub name: String,
    /// What it speaks.
    pub kind: ConnectorKind,
    /// What it may do; some of what its kind can.
    pub serves: Vec<ActionKind>,
    /// Settings as JSON; no secret is among them.
    pub settings: String,
    /// Names of its secrets; the values are sealed elsewhere and never shown again.
    pub secrets: Vec<String>,
    /// Whether it is used.
    pub is_enabled: bool,
    /// Who changed it last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
    /// Raised by each change.
    pub version: u64,
}

/// A connector with its secrets opened, for the moment of its use.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenConnector {
    /// The connector.
    pub connector: Connector,
    /// Its secrets by name.
    pub secrets: BTreeMap<String, String>,
}

impl fmt::Debug for OpenConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenConnector")
            .field("connector", &self.connector.id)
            .finish_non_exhaustive()
    }
}
