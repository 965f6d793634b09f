//! Settings of connectors.

use ipnet::IpNet;
use serde::Deserialize;
use url::Url;
use watchfloor_model::{ActionKind, ConnectorKind};

/// Longest wait for an answer in seconds.
const TIMEOUT_S_MAX: u64 = 120;

const fn timeout_s() -> u64 {
    15
}

const fn smtp_port() -> u16 {
    587
}

fn starttls() -> String {
    "starttls".to_owned()
}

fn issue_type() -> String {
    "Task".to_owned()
}

fn incident_table() -> String {
    "incident".to_owned()
}

fn github_url() -> String {
    "https://api.github.com".to_owned()
}

/// Networks, and single addresses.
fn networks<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let network = |text: &String| {
        let address = text.parse::<std::net::IpAddr>().map(IpNet::from);
        address.or_else(|_| text.parse::<IpNet>()).map_err(|_| {
            serde::de::Error::custom(format!("'{text}' is no network such as 10.0.0.0/8"))
        })
    };
    texts.iter().map(network).collect()
}

/// Where a call may go, and how long it may take.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Reach {
    /// Networks beside the public ones that may be called.
    #[serde(default, deserialize_with = "networks")]
    pub(crate) allowed_networks: Vec<IpNet>,
    /// Seconds until an answer.
    #[serde(default = "timeout_s")]
    pub(crate) timeout_s: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Webhook {
    pub(crate) url: Url,
    /// The other side does one key once.
    #[serde(default)]
    pub(crate) honors_idempotency_key: bool,
    #[serde(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Channel {
    #[serde(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Smtp {
    pub(crate) host: String,
    #[serde(default = "smtp_port")]
    pub(crate) port: u16,
    /// `starttls`, `tls` or `none`.
    #[serde(default = "starttls")]
    pub(crate) security: String,
    pub(crate) from: String,
    pub(crate) username: Option<String>,
    #[serde(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Jira {
    pub(crate) url: Url,
    pub(crate) project: String,
    #[serde(default = "issue_type")]
    pub(crate) issue_type: String,
    #[serde(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Servicenow {
    pub(crate) url: Url,
    #[serde(default = "incident_table")]
    pub(crate) table: String,
    #[serde(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Github {
    #[serde(default = "github_url")]
    pub(crate) url: String,
    /// `owner/name`.
    pub(crate) repository: String,
    #[serde(flatten)]
    pub(crate) reach: Reach,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Http {
    /// Only URLs below it are called.
    pub(crate) base_url: Url,
    #[serde(default)]
    pub(crate) honors_idempotency_key: bool,
    #[serde(flatten)]
    pub(crate) reach: Reach,
}

/// A program that may be run.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AllowedProgram {
    /// Name by which actions name it.
    pub(crate) name: String,
    /// Absolute path.
    pub(crate) path: String,
    /// Actions that it does, beside `run_program`.
    #[serde(default)]
    pub(crate) serves: Vec<String>,
    /// Its arguments: texts, or `{name}` for a whole argument of the action. `{arguments}` of
    /// `run_program` stands for the list.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Programs {
    pub(crate) programs: Vec<AllowedProgram>,
    /// Running one twice with the same arguments is as good as once.
    #[serde(default)]
    pub(crate) is_repeatable: bool,
    #[serde(default = "timeout_s")]
    pub(crate) timeout_s: u64,
}

pub(crate) enum Settings {
    Webhook(Webhook),
    Channel(Channel),
    Smtp(Smtp),
    Jira(Jira),
    Servicenow(Servicenow),
    Github(Github),
    Http(Http),
    Program(Programs),
}

const REACH: &[&str] = &["allowed_networks", "timeout_s"];

/// Reads settings; a name that is not known is an error, so that no slip goes unseen.
pub(crate) fn read(kind: ConnectorKind, text: &str) -> Result<Settings, String> {
    fn parse<T: for<'a> Deserialize<'a>>(text: &str, names: &[&str]) -> Result<T, String> {
        let value: serde_json::Value = serde_json::from_str(text)
            .map_err(|error| format!("the settings are no JSON: {error}"))?;
        let map = value.as_object().ok_or("the settings are no JSON object")?;
        let known =
            |name: &&String| names.contains(&name.as_str()) || REACH.contains(&name.as_str());
        if let Some(name) = map.keys().find(|name| !known(name)) {
            return Err(format!(
                "the setting '{name}' is not known; it takes {}, {}",
                names.join(", "),
                REACH.join(", ")
            ));
        }
        serde_json::from_value(value).map_err(|error| format!("the settings do not do: {error}"))
    }
    let settings = match kind {
        ConnectorKind::Webhook => {
            Settings::Webhook(parse(text, &["url", "honors_idempotency_key"])?)
        }
        ConnectorKind::Slack | ConnectorKind::Teams => Settings::Channel(parse(text, &[])?),
        ConnectorKind::Smtp => Settings::Smtp(parse(
            text,
            &["host", "port", "security", "from", "username"],
        )?),
        ConnectorKind::Jira => Settings::Jira(parse(text, &["url", "project", "issue_type"])?),
        ConnectorKind::Servicenow => Settings::Servicenow(parse(text, &["url", "table"])?),
        ConnectorKind::Github => Settings::Github(parse(text, &["url", "repository"])?),
        ConnectorKind::Http => {
            Settings::Http(parse(text, &["base_url", "honors_idempotency_key"])?)
        }
        ConnectorKind::Program => Settings::Program(parse(text, &["programs", "is_repeatable"])?),
    };
    check(&settings)?;
    Ok(settings)
}

fn check(settings: &Settings) -> Result<(), String> {
    let seconds = match settings {
        Settings::Webhook(one) => one.reach.timeout_s,
        Settings::Channel(one) => one.reach.timeout_s,
        Settings::Smtp(one) => one.reach.timeout_s,
        Settings::Jira(one) => one.reach.timeout_s,
        Settings::Servicenow(one) => one.reach.timeout_s,
        Settings::Github(one) => one.reach.timeout_s,
        Settings::Http(one) => one.reach.timeout_s,
        Settings::Program(one) => one.timeout_s,
    };
    if !(1..=TIMEOUT_S_MAX).contains(&seconds) {
        return Err(format!("timeout_s must be from 1 to {TIMEOUT_S_MAX}"));
    }
    let url = match settings {
        Settings::Webhook(one) => Some(one.url.clone()),
        Settings::Jira(one) => Some(one.url.clone()),
        Settings::Servicenow(one) => Some(one.url.clone()),
        Settings::Http(one) => Some(one.base_url.clone()),
        Settings::Github(one) => {
            Some(Url::parse(&one.url).map_err(|error| format!("url: {error}"))?)
        }
        Settings::Channel(_) | Settings::Smtp(_) | Settings::Program(_) => None,
    };
    if let Some(url) = url {
        let is_web = matches!(url.scheme(), "http" | "https") && url.host().is_some();
        if !is_web {
            return Err(format!("{url} is no http or https URL"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("the URL holds credentials; give them as a secret".to_owned());
        }
    }
    match settings {
        Settings::Smtp(one) if !matches!(one.security.as_str(), "starttls" | "tls" | "none") => {
            Err("security is one of starttls, tls, none".to_owned())
        }
        Settings::Smtp(one) => one
            .from
            .parse::<lettre::message::Mailbox>()
            .map(|_| ())
            .map_err(|error| format!("from: {error}")),
        Settings::Program(programs) => check_programs(programs),
        _ => Ok(()),
    }
}

fn check_programs(programs: &Programs) -> Result<(), String> {
    if programs.programs.is_empty() {
        return Err("programs: name at least one".to_owned());
    }
    for one in &programs.programs {
        let name = &one.name;
        if !one.path.starts_with('/') {
            return Err(format!("programs: the path of {name} is not absolute"));
        }
        let file = one.path.rsplit('/').next().unwrap_or_default();
        // A shell would make a line out of an argument again.
        if matches!(
            file,
            "sh" | "bash" | "dash" | "zsh" | "ksh" | "fish" | "csh" | "env" | "xargs"
        ) {
            return Err(format!(
                "programs: {name} is a shell, or starts what its arguments say; name the program itself"
            ));
        }
        for word in &one.serves {
            let kind = ActionKind::parse(word)
                .ok_or_else(|| format!("programs: {name} serves '{word}', which is no action"))?;
            if !ConnectorKind::Program.may_serve(kind) {
                return Err(format!("programs: {name} cannot serve {word}"));
            }
        }
        for argument in &one.arguments {
            let inner = argument
                .strip_prefix('{')
                .and_then(|rest| rest.strip_suffix('}'));
            if inner.is_none() && (argument.contains('{') || argument.contains('}')) {
                return Err(format!(
                    "programs: in {name}, '{argument}' mixes text with a place; a place is a whole argument, such as {{address}}"
                ));
            }
        }
    }
    Ok(())
}
