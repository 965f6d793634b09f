//! Who and what took part.

use std::fmt;

use crate::grade::words;

/// What kind of thing an entity or observable is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EntityKind {
    /// A machine, by name.
    Host,
    /// An account, by name.
    User,
    /// A process, by the path or name of its program.
    Process,
    /// An IPv4 or IPv6 address.
    Address,
    /// A DNS name.
    Domain,
    /// A file, by path.
    File,
    /// A hash of a file's content.
    Hash,
    /// A URL.
    Url,
}

words!(EntityKind {
    Host = "host",
    User = "user",
    Process = "process",
    Address = "address",
    Domain = "domain",
    File = "file",
    Hash = "hash",
    Url = "url",
});

/// A thing that took part in an alert.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entity {
    /// What kind of thing.
    pub kind: EntityKind,
    /// Its name, as it was seen.
    pub value: String,
    /// Its part, such as `source`, `target`, `actor`, `parent`.
    pub role: String,
}

impl Entity {
    /// The entity without its role and spelling, for comparison.
    pub fn key(&self) -> EntityRef {
        EntityRef::new(self.kind, &self.value)
    }
}

/// A thing regardless of its role; two spellings of one thing compare equal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntityRef {
    /// What kind of thing.
    pub kind: EntityKind,
    /// Its name in lower case, without surrounding space; a user without the domain, a host
    /// without the parent zone, because sources differ in whether they give them.
    pub value: String,
}

impl EntityRef {
    /// Folds a value so that spellings compare equal.
    pub fn new(kind: EntityKind, value: &str) -> Self {
        let whole = value.trim().to_lowercase();
        let value = match kind {
            EntityKind::User => {
                let name = whole.rsplit('\\').next().unwrap_or_default();
                name.split('@').next().unwrap_or_default().to_owned()
            }
            EntityKind::Host if whole.parse::<std::net::IpAddr>().is_err() => {
                whole.split('.').next().unwrap_or_default().to_owned()
            }
            EntityKind::Host
            | EntityKind::Process
            | EntityKind::Address
            | EntityKind::Domain
            | EntityKind::File
            | EntityKind::Hash
            | EntityKind::Url => whole.clone(),
        };
        // A value that is nothing but decoration ("@", ".local") is kept whole.
        let value = if value.is_empty() { whole } else { value };
        Self { kind, value }
    }
}

impl fmt::Display for EntityRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_thing_compare_equal() {
        for (kind, left, right) in [
            (EntityKind::User, "CORP\\J.Doe", "j.doe@corp.example"),
            (EntityKind::Host, "WS-042.corp.example", "ws-042"),
            (EntityKind::Address, " 10.0.0.5", "10.0.0.5"),
        ] {
            assert_eq!(EntityRef::new(kind, left), EntityRef::new(kind, right));
        }
        assert_eq!(
            EntityRef::new(EntityKind::Host, "10.1.2.3").value,
            "10.1.2.3"
        );
        assert_eq!(EntityRef::new(EntityKind::User, "@").value, "@");
    }
}
