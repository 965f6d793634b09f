//! Arguments of actions: typed, checked once, and never put together to a command line.

use std::collections::BTreeMap;

use crate::ActionKind;

/// Longest argument in bytes.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Longest one-line argument in bytes.
const LINE_BYTES_MAX: usize = 1_000;
/// Most items of a list.
const ITEMS_MAX: usize = 50;

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgumentKind {
    /// Name of a host.
    Host,
    /// Name of an account.
    User,
    /// IPv4 or IPv6 address.
    Address,
    /// DNS name.
    Domain,
    /// Absolute path.
    Path,
    /// SHA-256 in hexadecimal.
    Sha256,
    /// Name of a service.
    Service,
    /// Number from 1 to 4,294,967,295.
    Number,
    /// Short name: letters, digits, `-`, `_`, `.`.
    Name,
    /// List of short names.
    Names,
    /// One line.
    Line,
    /// Text of many lines.
    Text,
    /// List of texts.
    Texts,
    /// List of e-mail addresses.
    Emails,
    /// Method of an HTTP request.
    Method,
    /// `http` or `https` URL.
    Url,
    /// List of header lines.
    Headers,
}

/// One argument that an action takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArgumentSpec {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// Whether it must be there.
    pub is_needed: bool,
    /// For people.
    pub doc: &'static str,
}

impl ArgumentSpec {
    pub(crate) const fn needed(name: &'static str, kind: ArgumentKind, doc: &'static str) -> Self {
        Self {
            name,
            kind,
            is_needed: true,
            doc,
        }
    }

    pub(crate) const fn optional(
        name: &'static str,
        kind: ArgumentKind,
        doc: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            is_needed: false,
            doc,
        }
    }
}

/// A value of an argument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ArgumentValue {
    /// One text.
    One(String),
    /// A list.
    Many(Vec<String>),
}

impl ArgumentValue {
    /// For people: a list is joined by commas.
    pub fn shown(&self) -> String {
        match self {
            Self::One(text) => text.clone(),
            Self::Many(list) => list.join(", "),
        }
    }

    /// The texts of it.
    pub fn items(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(list) => list,
        }
    }
}

/// An argument that does not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("argument {name}: {reason}")]
pub struct ArgumentFault {
    /// Which.
    pub name: String,
    /// Why, and what would do.
    pub reason: String,
}

fn fault(name: &str, reason: impl Into<String>) -> ArgumentFault {
    ArgumentFault {
        name: name.to_owned(),
        reason: reason.into(),
    }
}

/// Checks all arguments of an action.
///
/// # Errors
/// The first [`ArgumentFault`].
pub fn check_arguments(
    kind: ActionKind,
    arguments: &BTreeMap<String, ArgumentValue>,
) -> Result<(), ArgumentFault> {
    let specs = kind.arguments();
    if let Some(name) = arguments
        .keys()
        .find(|name| !specs.iter().any(|one| one.name == *name))
    {
        let known: Vec<_> = specs.iter().map(|one| one.name).collect();
        return Err(fault(
            name,
            format!("{kind} does not know it; it takes {}", known.join(", ")),
        ));
    }
    for spec in specs {
        match arguments.get(spec.name) {
            Some(value) => check_one(spec, value)?,
            None if spec.is_needed => {
                return Err(fault(spec.name, format!("is missing: {}", spec.doc)));
            }
            None => {}
        }
    }
    Ok(())
}

fn check_one(spec: &ArgumentSpec, value: &ArgumentValue) -> Result<(), ArgumentFault> {
    use ArgumentKind as A;
    let is_list = matches!(spec.kind, A::Names | A::Texts | A::Emails | A::Headers);
    match value {
        ArgumentValue::Many(_) if !is_list => {
            return Err(fault(spec.name, "must be one text and not a list"));
        }
        ArgumentValue::Many(list) if list.len() > ITEMS_MAX => {
            return Err(fault(spec.name, format!("has more than {ITEMS_MAX} items")));
        }
        ArgumentValue::Many(list) if list.is_empty() && spec.is_needed => {
            return Err(fault(spec.name, format!("is empty: {}", spec.doc)));
        }
        ArgumentValue::One(_) | ArgumentValue::Many(_) => {}
    }
    for item in value.items() {
        if let Err(reason) = check_text(spec.kind, item) {
            return Err(fault(spec.name, format!("{reason}; expected {}", spec.doc)));
        }
    }
    Ok(())
}

fn check_text(kind: ArgumentKind, text: &str) -> Result<(), String> {
    use ArgumentKind as A;
    let is_long = matches!(kind, A::Text | A::Texts);
    let limit = if is_long {
        TEXT_BYTES_MAX
    } else {
        LINE_BYTES_MAX
    };
    if text.len() > limit {
        return Err(format!("is longer than {limit} bytes"));
    }
    if text.contains('\0') || (!is_long && text.chars().any(char::is_control)) {
        return Err("holds control characters".to_owned());
    }
    if text.trim().is_empty() && !matches!(kind, A::Texts) {
        return Err("is empty".to_owned());
    }
    let is_right = match kind {
        A::Address => text.parse::<std::net::IpAddr>().is_ok(),
        A::Host => is_name(text, "-_."),
        A::User => !text.starts_with('-'),
        A::Domain => is_domain(text),
        A::Path => is_path(text),
        A::Sha256 => text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()),
        A::Service => is_name(text, "-_.@:"),
        A::Number => text.parse::<u32>().is_ok_and(|number| number > 0),
        A::Name | A::Names => is_name(text, "-_."),
        A::Line | A::Text | A::Texts => true,
        A::Emails => is_email(text),
        A::Method => matches!(text, "GET" | "POST" | "PUT" | "PATCH" | "DELETE"),
        A::Url => text.starts_with("https://") || text.starts_with("http://"),
        A::Headers => is_header(text),
    };
    let shown: String = text.chars().take(80).collect();
    is_right
        .then_some(())
        .ok_or_else(|| format!("'{shown}' does not do"))
}

/// Starts with a letter or digit, so that no program takes it for an option.
fn is_name(text: &str, others: &str) -> bool {
    let is_fine = |c: char| c.is_alphanumeric() || others.contains(c);
    text.starts_with(char::is_alphanumeric) && text.len() <= 253 && text.chars().all(is_fine)
}

fn is_domain(text: &str) -> bool {
    let text = text.strip_suffix('.').unwrap_or(text);
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .chars()
                .all(|c| c.is_alphanumeric() || c == '-' || c == '_')
    };
    text.len() <= 253 && text.contains('.') && text.split('.').all(is_label)
}

fn is_path(text: &str) -> bool {
    let is_windows = text.as_bytes().get(1) == Some(&b':')
        && text.starts_with(|c: char| c.is_ascii_alphabetic())
        && matches!(text.as_bytes().get(2), Some(b'\\' | b'/'));
    let is_absolute = text.starts_with('/') || text.starts_with("\\\\") || is_windows;
    // A path that climbs is another path than the one that people see.
    is_absolute && !text.split(['/', '\\']).any(|part| part == "..")
}

fn is_email(text: &str) -> bool {
    let Some((name, domain)) = text.split_once('@') else {
        return false;
    };
    let plain = |c: char| c.is_alphanumeric() || ".!#$%&'*+/=?^_`{|}~-".contains(c);
    !name.is_empty()
        && !name.starts_with('-')
        && name.chars().all(plain)
        && (is_domain(domain) || domain == "localhost")
}

fn is_header(text: &str) -> bool {
    text.split_once(':').is_some_and(|(name, _)| {
        !name.is_empty()
            && name
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: ActionKind, pairs: &[(&str, &str)]) -> Result<(), ArgumentFault> {
        let arguments = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), ArgumentValue::One((*value).to_owned())))
            .collect();
        check_arguments(kind, &arguments)
    }

    #[test]
    fn hostile_arguments_are_refused_or_stay_one_text() {
        for host in [
            "", "-rf", "a b", "a;reboot", "$(id)", "a\nb", "../x", "a`id`",
        ] {
            assert!(
                check(ActionKind::IsolateHost, &[("host", host)]).is_err(),
                "{host:?}"
            );
        }
        for path in [
            "etc/passwd",
            "/tmp/../etc/passwd",
            "C:\\a\\..\\b",
            "",
            "/a\0b",
        ] {
            let pairs = [("host", "ws-1"), ("path", path)];
            assert!(
                check(ActionKind::QuarantineFile, &pairs).is_err(),
                "{path:?}"
            );
        }
        assert!(check(ActionKind::BlockAddress, &[("address", "10.0.0.0/8")]).is_err());
        assert!(check(ActionKind::BlockDomain, &[("domain", "com")]).is_err());
        let mail = [
            ("to", "a@b.example\r\nBcc: x@y.example"),
            ("subject", "s"),
            ("text", "t"),
        ];
        assert!(check(ActionKind::SendEmail, &mail).is_err());
        let unknown = check(
            ActionKind::IsolateHost,
            &[("host", "ws-1"), ("shell", "sh")],
        );
        assert!(unknown.unwrap_err().to_string().contains("it takes host"));
        let missing = check(ActionKind::KillProcess, &[("host", "ws-1")]).unwrap_err();
        assert_eq!(missing.name, "pid");
    }

    #[test]
    fn usual_arguments_do() {
        let file = [("host", "ws-1"), ("path", "C:\\Users\\j.doe\\a b;c.exe")];
        check(ActionKind::QuarantineFile, &file).unwrap();
        check(ActionKind::BlockAddress, &[("address", "2001:db8::1")]).unwrap();
        check(ActionKind::DisableUser, &[("user", "CORP\\j.doe")]).unwrap();
        check(ActionKind::BlockDomain, &[("domain", "evil.example")]).unwrap();
    }
}
