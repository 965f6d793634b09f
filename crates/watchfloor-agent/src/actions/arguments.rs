//! Arguments of actions, checked: they come over the network and end in system calls.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

use anyhow::{Result, bail};
use serde_json::Value;

/// Longest argument in bytes, rules aside.
const ARGUMENT_BYTES_MAX: usize = 4_096;
/// Longest text of rules in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;
/// Most entries of a list.
const LIST_MAX: usize = 256;

/// Arguments of an action by name.
pub(super) struct Arguments<'a>(pub(super) &'a BTreeMap<String, Value>);

impl Arguments<'_> {
    fn optional(&self, name: &str, most: usize) -> Result<Option<String>> {
        let text = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            // The server's arguments of one value may come as lists of one.
            Some(Value::Array(list)) if list.len() == 1 => match list.first() {
                Some(Value::String(text)) => text.clone(),
                _ => bail!("{name} is no text"),
            },
            Some(_) => bail!("{name} is no text"),
        };
        if text.is_empty() {
            return Ok(None);
        }
        if text.len() > most || text.contains('\0') {
            bail!("{name} is too long or has a zero byte in it");
        }
        Ok(Some(text))
    }

    fn needed(&self, name: &str) -> Result<String> {
        match self.optional(name, ARGUMENT_BYTES_MAX)? {
            Some(text) => Ok(text),
            None => bail!("{name} is missing"),
        }
    }

    /// A long text.
    pub(super) fn text(&self, name: &str) -> Result<String> {
        match self.optional(name, TEXT_BYTES_MAX)? {
            Some(text) => Ok(text),
            None => bail!("{name} is missing"),
        }
    }

    /// An absolute path that must be there.
    pub(super) fn path(&self, name: &str) -> Result<PathBuf> {
        absolute(name, &self.needed(name)?)
    }

    /// An absolute path that may be there.
    pub(super) fn optional_path(&self, name: &str) -> Result<Option<PathBuf>> {
        let text = self.optional(name, ARGUMENT_BYTES_MAX)?;
        text.map(|text| absolute(name, &text)).transpose()
    }

    /// Absolute paths.
    pub(super) fn paths(&self, name: &str) -> Result<Vec<PathBuf>> {
        let texts = self.names(name)?;
        if texts.is_empty() {
            bail!("{name} is missing");
        }
        texts.iter().map(|text| absolute(name, text)).collect()
    }

    /// A list of texts; empty if it is not there.
    pub(super) fn names(&self, name: &str) -> Result<Vec<String>> {
        let list = match self.0.get(name) {
            None | Some(Value::Null) => return Ok(Vec::new()),
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(list)) => {
                let texts = list.iter().map(|one| one.as_str().map(str::to_owned));
                match texts.collect::<Option<Vec<_>>>() {
                    Some(texts) => texts,
                    None => bail!("{name} is no list of texts"),
                }
            }
            Some(_) => bail!("{name} is no list"),
        };
        let is_wrong = |text: &String| text.len() > ARGUMENT_BYTES_MAX || text.contains('\0');
        if list.len() > LIST_MAX || list.iter().any(is_wrong) {
            bail!("{name} is too long or has a zero byte in it");
        }
        Ok(list)
    }

    /// The number of a process that may be ended.
    pub(super) fn pid(&self) -> Result<i32> {
        match self.needed("pid")?.parse::<i32>() {
            Ok(pid) if pid > 0 => Ok(pid),
            _ => bail!("pid is no number of a process"),
        }
    }

    /// An address.
    pub(super) fn address(&self) -> Result<IpAddr> {
        match self.needed("address")?.parse::<IpAddr>() {
            Ok(address) => Ok(address),
            Err(_) => bail!("address is no IPv4 or IPv6 address"),
        }
    }

    /// A DNS name in lower case (RFC 1035, section 2.3.1, with underscores).
    pub(super) fn domain(&self) -> Result<String> {
        let text = self.needed("domain")?.to_ascii_lowercase();
        let text = text.trim_end_matches('.');
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label
                    .bytes()
                    .all(|one| one.is_ascii_alphanumeric() || one == b'-' || one == b'_')
        };
        match text.len() <= 253 && text.contains('.') && text.split('.').all(is_label) {
            true => Ok(text.to_owned()),
            false => bail!("domain is no DNS name"),
        }
    }

    /// The name of an account (`useradd(8)`), which no tool takes for an option.
    pub(super) fn user(&self) -> Result<String> {
        let text = self.needed("user")?;
        let is_right = text.len() <= 64
            && text.starts_with(|one: char| one.is_ascii_alphabetic() || one == '_')
            && text
                .bytes()
                .all(|one| one.is_ascii_alphanumeric() || b"._-$@".contains(&one));
        match is_right {
            true => Ok(text),
            false => bail!("user is no name of an account"),
        }
    }

    /// The name of a service (`systemd.unit(5)`).
    pub(super) fn service(&self) -> Result<String> {
        let text = self.needed("service")?;
        let is_right = text.len() <= 255
            && text.starts_with(|one: char| one.is_ascii_alphanumeric() || one == '_')
            && text
                .bytes()
                .all(|one| one.is_ascii_alphanumeric() || b"._-@:\\".contains(&one));
        match is_right {
            true => Ok(text),
            false => bail!("service is no name of a service"),
        }
    }

    /// A hash in lower case.
    pub(super) fn sha256(&self) -> Result<Option<String>> {
        let Some(text) = self.optional("sha256", ARGUMENT_BYTES_MAX)? else {
            return Ok(None);
        };
        match text.len() == 64 && text.bytes().all(|one| one.is_ascii_hexdigit()) {
            true => Ok(Some(text.to_ascii_lowercase())),
            false => bail!("sha256 is no SHA-256 hash"),
        }
    }
}

fn absolute(name: &str, text: &str) -> Result<PathBuf> {
    let path = Path::new(text);
    let is_plain = path
        .components()
        .all(|one| matches!(one, Component::RootDir | Component::Normal(_)));
    match path.is_absolute() && is_plain {
        true => Ok(path.to_owned()),
        false => bail!("{name} is no absolute path without `..`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn with(name: &str, value: Value) -> BTreeMap<String, Value> {
        BTreeMap::from([(name.to_owned(), value)])
    }

    #[test]
    fn what_could_mean_something_else_is_refused() {
        for (name, value) in [
            ("path", json!("etc/passwd")),
            ("path", json!("/a/../etc/shadow")),
            ("path", json!("/a\0b")),
            ("path", json!(["/a", "/b"])),
            ("path", json!({"a": 1})),
        ] {
            assert!(Arguments(&with(name, value)).path("path").is_err());
        }
        for user in ["-x", "a b", "root;id", "$(id)", "", "ä"] {
            assert!(Arguments(&with("user", json!(user))).user().is_err());
        }
        for service in ["--now", "a b", "a/b", "a;b"] {
            assert!(
                Arguments(&with("service", json!(service)))
                    .service()
                    .is_err()
            );
        }
        for domain in ["a", "a..b", "-a.b", "a b.c", "a.b\nc"] {
            assert!(Arguments(&with("domain", json!(domain))).domain().is_err());
        }
        for pid in [json!(0), json!(-1), json!("x"), json!(1.5)] {
            assert!(Arguments(&with("pid", pid)).pid().is_err());
        }
        assert!(
            Arguments(&with("address", json!("10.0.0.1/8")))
                .address()
                .is_err()
        );
        assert!(Arguments(&with("sha256", json!("ab"))).sha256().is_err());
    }

    #[test]
    fn what_is_right_is_taken() {
        let all = BTreeMap::from(
            [
                ("pid", json!("42")),
                ("path", json!("/tmp/x y")),
                ("user", json!("m.keller")),
                ("domain", json!("Evil.Example.")),
                ("service", json!("getty@tty1.service")),
                ("artifacts", json!(["logs"])),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        let all = Arguments(&all);
        assert_eq!(all.pid().unwrap(), 42);
        assert_eq!(all.path("path").unwrap(), Path::new("/tmp/x y"));
        assert_eq!(all.user().unwrap(), "m.keller");
        assert_eq!(all.domain().unwrap(), "evil.example");
        assert_eq!(all.service().unwrap(), "getty@tty1.service");
        assert_eq!(all.names("artifacts").unwrap(), ["logs"]);
        assert_eq!(all.sha256().unwrap(), None);
        assert_eq!(all.optional_path("program").unwrap(), None);
    }
}
