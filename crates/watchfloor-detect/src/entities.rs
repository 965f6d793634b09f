//! Who and what took part in an event.

use watchfloor_event::{Column, Entity, EntityKind, EventBatch, Namespace};

/// Where entities stand: attribute, kind, role.
const PLACES: &[(&str, EntityKind, &str)] = &[
    ("device.hostname", EntityKind::Host, "host"),
    ("src_endpoint.hostname", EntityKind::Host, "source"),
    ("dst_endpoint.hostname", EntityKind::Host, "target"),
    ("src_endpoint.ip", EntityKind::Address, "source"),
    ("dst_endpoint.ip", EntityKind::Address, "target"),
    ("process.file.path", EntityKind::Process, "process"),
    ("actor.process.file.path", EntityKind::Process, "actor"),
    ("file.path", EntityKind::File, "file"),
    ("module.file.path", EntityKind::File, "module"),
    ("query.hostname", EntityKind::Domain, "asked for"),
    ("tls.sni", EntityKind::Domain, "target"),
    ("http_request.url.hostname", EntityKind::Domain, "target"),
    ("http_request.url.url_string", EntityKind::Url, "requested"),
];

/// Attributes that name accounts: name, domain, role.
const USERS: &[(&str, &str, &str)] = &[
    ("actor.user.name", "actor.user.domain", "actor"),
    ("user.name", "user.domain", "target"),
    ("process.user.name", "", "owner"),
];

/// Most bytes of an entity's value; longer ones are no names.
const MAX_VALUE_BYTES: usize = 512;

/// The columns of a batch that name entities, found once for all of its events.
#[derive(Debug)]
pub(crate) struct EntityColumns<'a> {
    places: Vec<(&'a Column, EntityKind, &'static str)>,
    /// Name, domain, role.
    users: Vec<(&'a Column, Option<&'a Column>, &'static str)>,
}

impl<'a> EntityColumns<'a> {
    pub(crate) fn of(batch: &'a EventBatch) -> Self {
        let column = |path: &str| batch.column(Namespace::Ocsf, path);
        let places = PLACES.iter();
        let users = USERS.iter();
        Self {
            places: places
                .filter_map(|(path, kind, role)| Some((column(path)?, *kind, *role)))
                .collect(),
            users: users
                .filter_map(|(name, domain, role)| Some((column(name)?, column(domain), *role)))
                .collect(),
        }
    }

    /// Number of places where an entity may stand.
    pub(crate) fn len(&self) -> usize {
        self.places.len() + self.users.len()
    }

    /// The codes that decide what stands at a place in the event of a row; `None` where nothing
    /// does. Equal codes mean the same entity.
    pub(crate) fn codes(&self, place: usize, row: usize) -> Option<(u32, u32)> {
        let codes = match self.places.get(place) {
            Some((column, ..)) => (column.code(row), 0),
            None => {
                let (name, domain, _) = self.users.get(place - self.places.len())?;
                (name.code(row), domain.map_or(0, |domain| domain.code(row)))
            }
        };
        (codes.0 != 0).then_some(codes)
    }

    /// What stands at a place in the event of a row.
    pub(crate) fn entity(&self, place: usize, row: usize) -> Option<Entity> {
        if let Some((column, kind, role)) = self.places.get(place) {
            return entity(*kind, meant(column, row)?, role);
        }
        let (name, domain, role) = self.users.get(place - self.places.len())?;
        let domain = domain.and_then(|domain| meant(domain, row));
        entity(EntityKind::User, &account(meant(name, row)?, domain), role)
    }
}

/// The entities of an event, sorted, without doubles.
pub fn entities_of(batch: &EventBatch, row: usize) -> Vec<Entity> {
    let columns = EntityColumns::of(batch);
    let places = 0..columns.len();
    let mut entities: Vec<Entity> = places
        .filter_map(|place| columns.entity(place, row))
        .collect();
    entities.sort();
    entities.dedup_by(|left, right| left.kind == right.kind && left.value == right.value);
    entities
}

/// An account in the form that is the same in all logs: without domain, in lower case, unless
/// it belongs to the machine itself.
fn account(name: &str, domain: Option<&str>) -> String {
    let plain = name.rsplit_once('\\').map_or(name, |(_, plain)| plain);
    let plain = plain.split_once('@').map_or(plain, |(plain, _)| plain);
    let built_in = |domain: &str| {
        domain.eq_ignore_ascii_case("NT AUTHORITY") || domain.eq_ignore_ascii_case("Window Manager")
    };
    let prefix = name.rsplit_once('\\').map(|(prefix, _)| prefix).or(domain);
    match prefix {
        Some(domain) if built_in(domain) => format!("{domain}\\{plain}"),
        _ => plain.to_lowercase(),
    }
}

fn entity(kind: EntityKind, value: &str, role: &str) -> Option<Entity> {
    let value = match kind {
        EntityKind::Host => host(value),
        EntityKind::Domain => value.trim_end_matches('.').to_lowercase(),
        _ => value.to_owned(),
    };
    let empty = value.is_empty() || value == "-" || value.len() > MAX_VALUE_BYTES;
    // An address in a place for names is an address.
    let kind = if kind == EntityKind::Host && value.parse::<std::net::IpAddr>().is_ok() {
        EntityKind::Address
    } else {
        kind
    };
    (!empty).then(|| Entity {
        kind,
        value,
        role: role.to_owned(),
    })
}

/// The first label of a host name in lower case, so that `WS-042` and `ws-042.corp.example`
/// are one host; addresses stay whole.
fn host(name: &str) -> String {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return name.to_owned();
    }
    let label = name.split('.').next().unwrap_or(name);
    label.to_lowercase()
}

pub(crate) fn text<'a>(batch: &'a EventBatch, path: &str, row: usize) -> Option<&'a str> {
    meant(batch.column(Namespace::Ocsf, path)?, row)
}

/// A value that says something.
fn meant(column: &Column, row: usize) -> Option<&str> {
    let value = column.get(row)?;
    (!value.text.is_empty() && value.text != "-").then_some(value.text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_has_one_form() {
        assert_eq!(account("CORP\\J.Doe", None), "j.doe");
        assert_eq!(account("J.Doe", Some("CORP")), "j.doe");
        assert_eq!(account("j.doe@corp.example", None), "j.doe");
        assert_eq!(
            account("SYSTEM", Some("NT AUTHORITY")),
            "NT AUTHORITY\\SYSTEM"
        );
        assert_eq!(host("WS-042.corp.example"), "ws-042");
        assert_eq!(host("10.1.2.3"), "10.1.2.3");
    }
}
