//! What ties two alerts together.
//!
//! A pair of alerts is bound from [`BINDING_POINTS`] on. A host, a user or an internal address
//! alone says little (2 points); two of them, or one external address, hash or domain, say
//! enough. A process that both tell of, or its child, says more than any name (6), a log-on
//! session as much as two names (4). A program counts only beside the host or user on which it
//! ran, and only if it does not come with the system. Things that are everywhere count nothing.
//! Nearness in time counts 2, unless the two name different accounts on the machine they share:
//! people meet on servers. What only a place and a time speak for joins an alert to an incident,
//! but never makes two incidents one. See `docs/adr/0021`.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::SignedDuration;
use watchfloor_model::{Alert, Entity, EntityKind, EntityRef, Severity};

/// Points from which two alerts are bound.
pub(crate) const BINDING_POINTS: u8 = 4;

/// Points of a process, or a child of one, of which both alerts tell.
const POINTS_OF_PROCESS: u8 = 6;

/// Points of a log-on session of which both alerts tell.
const POINTS_OF_SESSION: u8 = 4;

/// Things of a kind from which on each is one of many.
const ONE_OF_MANY: usize = 3;

/// Two grave alerts so near in time need only one thing in common.
const NEAR: SignedDuration = SignedDuration::from_hours(1);

/// What happens on one place so soon, with nothing against it, makes two incidents one.
const SOON: SignedDuration = SignedDuration::from_mins(20);

/// Any two alerts so near in time do.
const MOMENT: SignedDuration = SignedDuration::from_secs(10);

/// Folders of programs that come with the system.
const STOCK_FOLDERS: [&str; 8] = [
    ":\\windows\\system32",
    ":\\windows\\syswow64",
    ":\\program files",
    "/usr/bin",
    "/usr/sbin",
    "/usr/lib",
    "/bin",
    "/sbin",
];

/// Accounts that exist on every machine.
const COMMON_USERS: [&str; 14] = [
    "system",
    "local system",
    "localsystem",
    "local service",
    "localservice",
    "network service",
    "networkservice",
    "anonymous logon",
    "anonymous",
    "root",
    "nobody",
    "nt authority",
    "-",
    "n/a",
];

/// Host names that say nothing.
const COMMON_HOSTS: [&str; 5] = ["localhost", "-", "unknown", "localhost6", "n/a"];

/// Ends of names that exist only inside a network.
const INTERNAL_ZONES: [&str; 6] = [".local", ".lan", ".internal", ".corp", ".home", ".arpa"];

/// Whether a thing is so common that it ties nothing.
pub(crate) fn is_commonplace(entity: &EntityRef) -> bool {
    let value = entity.value.as_str();
    match entity.kind {
        EntityKind::User => {
            COMMON_USERS.contains(&value)
                || value.ends_with('$')
                || value.starts_with("dwm-")
                || value.starts_with("umfd-")
                || value.starts_with("s-1-5-18")
                || value.starts_with("s-1-5-19")
                || value.starts_with("s-1-5-20")
        }
        EntityKind::Host => COMMON_HOSTS.contains(&value),
        EntityKind::Address => value.parse::<IpAddr>().is_ok_and(|ip| {
            let ip = ip.to_canonical();
            ip.is_loopback() || ip.is_unspecified() || ip.is_multicast() || is_link_local(ip)
        }),
        EntityKind::Process
        | EntityKind::Domain
        | EntityKind::File
        | EntityKind::Hash
        | EntityKind::Url => value.is_empty() || value == "-",
    }
}

fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local() || ip.is_broadcast(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

fn is_external(value: &str) -> bool {
    value
        .parse::<IpAddr>()
        .is_ok_and(|ip| match ip.to_canonical() {
            // 100.64/10 is shared address space (RFC 6598).
            IpAddr::V4(ip) => {
                let [first, second, ..] = ip.octets();
                let is_shared = first == 100 && (64..128).contains(&second);
                !ip.is_private() && !is_shared
            }
            IpAddr::V6(ip) => !ip.is_unique_local(),
        })
}

/// Points of a thing that both alerts name. What one of them names as one of many, as guessing
/// does with accounts, counts less.
fn points_of(entity: &EntityRef, is_one_of_many: bool) -> u8 {
    let alone = match entity.kind {
        EntityKind::Host | EntityKind::User => 2,
        EntityKind::File => 2 * u8::from(is_telling_file(&entity.value)),
        EntityKind::Address => 2 + 2 * u8::from(is_external(&entity.value)),
        EntityKind::Hash => 4,
        // A path alone is asked of every server that is scanned.
        EntityKind::Url => 4 * u8::from(entity.value.contains("://")),
        EntityKind::Domain => {
            let inside = INTERNAL_ZONES.iter().any(|end| entity.value.ends_with(end));
            if entity.value.contains('.') && !inside {
                4
            } else {
                0
            }
        }
        EntityKind::Process => 0,
    };
    if is_one_of_many { alone / 2 } else { alone }
}

/// Whether a path names one file of somebody's own: folders, and what comes with the system, are
/// the same everywhere.
fn is_telling_file(path: &str) -> bool {
    let name = path.rsplit(['\\', '/']).next().unwrap_or(path);
    name.contains('.') && !is_stock(path)
}

/// Whether an alert over several events names several things of this kind: then one of them
/// need not be in each event.
fn is_one_of_many(alert: &Alert, kind: EntityKind) -> bool {
    let keys: BTreeSet<EntityRef> = alert
        .entities
        .iter()
        .filter(|entity| entity.kind == kind)
        .map(Entity::key)
        .filter(|key| !is_commonplace(key))
        .collect();
    keys.len() > ONE_OF_MANY || (keys.len() > 1 && alert.event_ids.len() > 1)
}

const fn is_anchor(kind: EntityKind) -> bool {
    matches!(
        kind,
        EntityKind::Host | EntityKind::User | EntityKind::Address
    )
}

/// What two alerts share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shared {
    /// Who and what took part in both.
    pub(crate) entities: BTreeSet<EntityRef>,
    /// Processes and sessions of both.
    pub(crate) traces: BTreeSet<String>,
    /// Those of the entities that are known of the other alert's incident alone.
    pub(crate) own: BTreeSet<EntityRef>,
}

/// What speaks for a bond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ground {
    /// One place, and a time that is near.
    Place,
    /// One goes on from the machine of the other.
    Onward,
    /// Names, processes or sessions that are the same.
    Names,
}

/// How strongly two alerts are bound; the firmer ground is the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bond {
    /// Whether two incidents that an alert is bound to so are one.
    pub(crate) merges: bool,
    /// What speaks for it.
    pub(crate) ground: Ground,
    /// Bound from [`BINDING_POINTS`] on.
    pub(crate) points: u8,
}

impl Bond {
    pub(crate) const fn binds(self) -> bool {
        self.points >= BINDING_POINTS
    }
}

/// Who did something: accounts, and the machines from which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Hands {
    accounts: BTreeSet<EntityRef>,
    sources: BTreeSet<EntityRef>,
}

/// Whether both are known, and nothing is the same.
fn are_disjoint(left: &BTreeSet<EntityRef>, right: &BTreeSet<EntityRef>) -> bool {
    !left.is_empty() && !right.is_empty() && left.is_disjoint(right)
}

impl Hands {
    /// Those that an alert names, without accounts that every machine has.
    pub(crate) fn of(alert: &Alert) -> Self {
        let telling = |entity: &Entity| Some(entity.key()).filter(|key| !is_commonplace(key));
        let all = || alert.entities.iter();
        let users = all().filter(|one| one.kind == EntityKind::User);
        let sources = all().filter(|one| {
            one.role == "source" && matches!(one.kind, EntityKind::Host | EntityKind::Address)
        });
        Self {
            accounts: users.filter_map(telling).collect(),
            sources: sources.filter_map(telling).collect(),
        }
    }

    /// Takes others along.
    pub(crate) fn extend(&mut self, others: Self) {
        self.accounts.extend(others.accounts);
        self.sources.extend(others.sources);
    }

    /// Whether both name somebody, and nobody is the same.
    fn are_others_than(&self, others: &Self) -> bool {
        let is_nobody_same = self.accounts.is_disjoint(&others.accounts)
            && self.sources.is_disjoint(&others.sources);
        is_nobody_same
            && (are_disjoint(&self.accounts, &others.accounts)
                || are_disjoint(&self.sources, &others.sources))
    }
}

/// How strongly a new alert is bound to another by what they share. Beside the new one stand the
/// hands that were at work with it, beside the other those of which its incident tells on the
/// machines that they share.
pub(crate) fn bond(
    (left, left_hands): (&Alert, &Hands),
    (right, right_hands): (&Alert, &Hands),
    shared: &Shared,
) -> Bond {
    let entities = &shared.entities;
    let has = |kind: EntityKind| entities.iter().any(|entity| entity.kind == kind);
    let mut there = Hands::of(right);
    there.extend(right_hands.clone());
    let is_strange =
        shared.traces.is_empty() && !has(EntityKind::User) && left_hands.are_others_than(&there);
    let are_other_accounts = are_disjoint(&left_hands.accounts, &there.accounts);
    let names = points_of_names((left, right), shared, are_other_accounts);
    let won = u8::from(is_won(left, right, entities));
    let program = !is_strange
        && (has(EntityKind::Host) || has(EntityKind::User))
        && entities
            .iter()
            .any(|entity| entity.kind == EntityKind::Process && !is_stock(&entity.value));
    let trace = points_of_traces(&shared.traces);
    let onward = 2 * u8::from(leads_on(left, right, entities));
    let near = (!is_strange || has_external(entities))
        && entities.iter().any(|entity| is_anchor(entity.kind))
        && is_near(left, right);
    let sure = names
        .saturating_add(trace)
        .saturating_add(won)
        .saturating_add(2 * u8::from(program));
    let is_soon = near && distance(left, right) <= SOON;
    let ground = if sure >= BINDING_POINTS || (near && has(EntityKind::User)) {
        Ground::Names
    } else if onward > 0 {
        Ground::Onward
    } else {
        Ground::Place
    };
    Bond {
        merges: ground == Ground::Names || is_soon,
        ground,
        points: sure
            .saturating_add(onward)
            .saturating_add(2 * u8::from(near)),
    }
}

/// Whether the later of two alerts tells of an account at work whose password the earlier one
/// saw tried, within an hour: it may have been found.
fn is_won(left: &Alert, right: &Alert, entities: &BTreeSet<EntityRef>) -> bool {
    let (earlier, later) = if left.time <= right.time {
        (left, right)
    } else {
        (right, left)
    };
    let plays = |alert: &Alert, user: &EntityRef, is_target: bool| {
        let users = alert.entities.iter();
        let mut users = users.filter(|one| one.kind == EntityKind::User && one.key() == *user);
        users.any(|one| (one.role == "target") == is_target)
    };
    distance(left, right) <= NEAR
        && earlier
            .tactics
            .iter()
            .any(|tactic| tactic == "credential-access")
        && entities.iter().any(|user| {
            user.kind == EntityKind::User && plays(earlier, user, true) && plays(later, user, false)
        })
}

fn has_external(entities: &BTreeSet<EntityRef>) -> bool {
    let mut all = entities.iter();
    all.any(|entity| entity.kind == EntityKind::Address && is_external(&entity.value))
}

/// Whether a shared address may be that of a shared machine: both play one part in an alert.
fn is_of_shared_machine(address: &EntityRef, alert: &Alert, shared: &Shared) -> bool {
    let mut roles = alert.entities.iter().filter(|one| one.key() == *address);
    roles.any(|one| {
        let mut hosts = alert
            .entities
            .iter()
            .filter(|host| host.kind == EntityKind::Host);
        hosts.any(|host| host.role == one.role && shared.entities.contains(&host.key()))
    })
}

/// Points of the names that both alerts tell. A machine counts once, though it is told by name
/// and by address. An address from which different accounts came may be the way out of a whole
/// office, and counts half.
fn points_of_names(
    (left, right): (&Alert, &Alert),
    shared: &Shared,
    are_other_accounts: bool,
) -> u8 {
    let (mut hosts, mut addresses, mut others) = (0_u8, 0_u8, 0_u8);
    for entity in &shared.entities {
        let many = is_one_of_many(left, entity.kind) || is_one_of_many(right, entity.kind);
        let mut points = points_of(entity, many);
        let is_outside = entity.kind == EntityKind::Address && is_external(&entity.value);
        if is_outside && are_other_accounts {
            points /= 2;
        }
        if shared.own.contains(entity) && !many && left.severity >= Severity::Low {
            points += 2;
        }
        let sum = match entity.kind {
            EntityKind::Host => &mut hosts,
            EntityKind::Address
                if !is_outside
                    && (is_of_shared_machine(entity, left, shared)
                        || is_of_shared_machine(entity, right, shared)) =>
            {
                &mut addresses
            }
            _ => &mut others,
        };
        *sum = sum.saturating_add(points);
    }
    hosts.max(addresses).saturating_add(others)
}

fn points_of_traces(traces: &BTreeSet<String>) -> u8 {
    let points = traces.iter().map(|trace| {
        if trace.starts_with("session ") {
            POINTS_OF_SESSION
        } else {
            POINTS_OF_PROCESS
        }
    });
    points.max().unwrap_or(0)
}

/// Whether the later of two alerts comes from a machine on which the earlier one saw something
/// run: who holds a machine goes on from there.
fn leads_on(left: &Alert, right: &Alert, entities: &BTreeSet<EntityRef>) -> bool {
    let (earlier, later) = if left.time <= right.time {
        (left, right)
    } else {
        (right, left)
    };
    let plays = |alert: &Alert, host: &EntityRef, role: &str| {
        let mut all = alert.entities.iter();
        all.any(|one| one.role == role && one.kind == EntityKind::Host && one.key() == *host)
    };
    let ran = |alert: &Alert| {
        alert
            .entities
            .iter()
            .any(|one| one.kind == EntityKind::Process)
    };
    earlier.severity >= Severity::High
        && ran(earlier)
        && entities.iter().any(|host| {
            host.kind == EntityKind::Host
                && plays(earlier, host, "host")
                && plays(later, host, "source")
                && !plays(later, host, "host")
        })
}

/// Whether two alerts are of one moment.
pub(crate) fn is_of_the_moment(left: &Alert, right: &Alert) -> bool {
    distance(left, right) <= MOMENT
}

/// Whether two alerts are so near in time that one thing in common is enough: grave ones within
/// an hour, others within a moment.
fn is_near(left: &Alert, right: &Alert) -> bool {
    let apart = distance(left, right);
    let (lesser, greater) = if left.severity <= right.severity {
        (left.severity, right.severity)
    } else {
        (right.severity, left.severity)
    };
    let grave = lesser >= Severity::Medium && greater >= Severity::High;
    (grave && apart <= NEAR) || (lesser >= Severity::Low && apart <= MOMENT)
}

/// Whether a program comes with the system and does what it is told, by anybody.
fn is_stock(path: &str) -> bool {
    let path = path.to_lowercase();
    let folder = path
        .rsplit_once(['\\', '/'])
        .map_or("", |(folder, _)| folder);
    // A bare name says no more than the name of a stock program does.
    folder.is_empty() || STOCK_FOLDERS.iter().any(|stock| folder.contains(stock))
}

/// Time between two alerts; zero when they overlap.
pub(crate) fn distance(left: &Alert, right: &Alert) -> SignedDuration {
    if left.last_time < right.first_time {
        right.first_time.duration_since(left.last_time)
    } else if right.last_time < left.first_time {
        left.first_time.duration_since(right.last_time)
    } else {
        SignedDuration::ZERO
    }
}

/// A span of time in words.
pub(crate) fn span_in_words(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => "at the same time".to_owned(),
        1..=89 => format!("{seconds} s apart"),
        90..=5_399 => format!("{} min apart", (seconds + 30) / 60),
        _ => format!("{} h apart", (seconds + 1_800) / 3_600),
    }
}

/// Things shared that are named in a sentence.
const NAMED_MAX: usize = 4;

/// Why two alerts are bound, as a sentence.
pub(crate) fn sentence(new: &Alert, other: &Alert, shared: &Shared) -> String {
    let all = shared.traces.len() + shared.entities.len();
    let entities = shared.entities.iter().map(ToString::to_string);
    let mut named: Vec<String> = shared
        .traces
        .iter()
        .cloned()
        .chain(entities)
        .take(NAMED_MAX)
        .collect();
    if all > NAMED_MAX {
        named.push(format!("{} more", all - NAMED_MAX));
    }
    let list = match named.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "nothing".to_owned(),
    };
    format!(
        "shares {list} with alert “{}” ({}), {}",
        other.title,
        other.id,
        span_in_words(distance(new, other))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_things() {
        for (kind, value, expected) in [
            (EntityKind::User, "NT AUTHORITY\\SYSTEM", true),
            (EntityKind::User, "CORP\\DC01$", true),
            (EntityKind::User, "CORP\\j.doe", false),
            (EntityKind::User, "root", true),
            (EntityKind::Address, "127.0.0.1", true),
            (EntityKind::Address, "::ffff:127.0.0.1", true),
            (EntityKind::Address, "0.0.0.0", true),
            (EntityKind::Address, "10.0.0.1", false),
            (EntityKind::Host, "localhost", true),
            (EntityKind::Host, "ws-042", false),
        ] {
            assert_eq!(
                is_commonplace(&EntityRef::new(kind, value)),
                expected,
                "{value}"
            );
        }
    }

    #[test]
    fn external_addresses() {
        for (value, expected) in [
            ("203.0.113.9", true),
            ("10.1.2.3", false),
            ("192.168.0.1", false),
            ("100.64.0.1", false),
            ("fd00::1", false),
            ("2001:db8::1", true),
            ("no address", false),
        ] {
            assert_eq!(is_external(value), expected, "{value}");
        }
    }
}
