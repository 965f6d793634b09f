//! What ties two alerts together.
//!
//! A pair of alerts is bound from [`BINDING_WEIGHT`] up. A host, a user or an internal address
//! alone says little (weight 1); two of them, or one external address, hash or domain, say
//! enough. A program counts only beside the host or user on which it ran. Things that are
//! everywhere count nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;

use jiff::SignedDuration;
use watchfloor_model::{Alert, EntityKind, EntityRef, Severity};

/// Weight from which two alerts are bound.
pub(crate) const BINDING_WEIGHT: u8 = 2;

/// Two grave alerts so near in time need only one thing in common.
const NEAR: SignedDuration = SignedDuration::from_hours(1);

/// Accounts that exist on every machine.
const COMMON_USERS: [&str; 13] = [
    "system",
    "local system",
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

fn weight_alone(entity: &EntityRef) -> u8 {
    match entity.kind {
        EntityKind::Host | EntityKind::User | EntityKind::File => 1,
        EntityKind::Address => 1 + u8::from(is_external(&entity.value)),
        EntityKind::Hash | EntityKind::Url => 2,
        EntityKind::Domain => {
            let inside = INTERNAL_ZONES.iter().any(|end| entity.value.ends_with(end));
            if entity.value.contains('.') && !inside {
                2
            } else {
                0
            }
        }
        EntityKind::Process => 0,
    }
}

const fn is_anchor(kind: EntityKind) -> bool {
    matches!(
        kind,
        EntityKind::Host | EntityKind::User | EntityKind::Address
    )
}

/// How strongly two alerts are bound by what they share.
pub(crate) fn weight(left: &Alert, right: &Alert, shared: &BTreeSet<EntityRef>) -> u8 {
    let alone: u8 = shared.iter().map(weight_alone).fold(0, u8::saturating_add);
    let anchored = shared
        .iter()
        .any(|entity| matches!(entity.kind, EntityKind::Host | EntityKind::User));
    let program = anchored && shared.iter().any(|e| e.kind == EntityKind::Process);
    let grave = left.severity >= Severity::High && right.severity >= Severity::High;
    let near = grave
        && distance(left, right) <= NEAR
        && shared.iter().any(|entity| is_anchor(entity.kind));
    alone
        .saturating_add(u8::from(program))
        .saturating_add(u8::from(near))
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
pub(crate) fn sentence(new: &Alert, other: &Alert, shared: &BTreeSet<EntityRef>) -> String {
    let mut named: Vec<String> = shared
        .iter()
        .take(NAMED_MAX)
        .map(ToString::to_string)
        .collect();
    if shared.len() > NAMED_MAX {
        named.push(format!("{} more", shared.len() - NAMED_MAX));
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
