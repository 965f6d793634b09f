//! Functions of addresses and networks.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;

use super::row_functions::{Entry, MANY, Row, Texts};
use super::texts::{in_range, is_private, items};

pub(super) const ROWS: &[Entry] = &[
    (
        "ipv4_is_private",
        1,
        1,
        Row::Bool(|row| {
            let (address, length) = with_length(row[0]?)?;
            let first = network(address, length)?;
            Some(is_private(IpAddr::V4(address)) && is_private(IpAddr::V4(first)))
        }),
    ),
    (
        "ipv6_is_private",
        1,
        1,
        Row::Bool(|row| Some(is_private(row[0]?.parse().ok()?))),
    ),
    (
        "ipv4_is_in_range",
        2,
        2,
        Row::Bool(|row| in_range(row[0]?, row[1]?)),
    ),
    (
        "ipv6_is_in_range",
        2,
        2,
        Row::Bool(|row| in_range(row[0]?, row[1]?)),
    ),
    ("ipv4_is_in_any_range", 2, MANY, Row::Bool(in_any_range)),
    ("ipv6_is_in_any_range", 2, MANY, Row::Bool(in_any_range)),
    (
        "ipv4_is_match",
        2,
        3,
        Row::Bool(|row| Some(compared(row)? == 0)),
    ),
    ("ipv4_compare", 2, 3, Row::Long(compared)),
    (
        "ipv6_is_match",
        2,
        3,
        Row::Bool(|row| in_range(row[0]?, row[1]?)),
    ),
    (
        "parse_ipv4",
        1,
        1,
        Row::Long(|row| {
            let (address, length) = with_length(row[0]?)?;
            Some(i64::from(u32::from(network(address, length)?)))
        }),
    ),
    (
        "parse_ipv4_mask",
        2,
        2,
        Row::Long(|row| {
            let address = row[0]?.parse().ok()?;
            Some(i64::from(u32::from(network(
                address,
                row[1]?.parse().ok()?,
            )?)))
        }),
    ),
    (
        "format_ipv4",
        1,
        2,
        Row::Text(|row| {
            let (address, length) = formatted(row)?;
            Some(network(address, length)?.to_string())
        }),
    ),
    (
        "format_ipv4_mask",
        1,
        2,
        Row::Text(|row| {
            let (address, length) = formatted(row)?;
            Some(format!("{}/{length}", network(address, length)?))
        }),
    ),
    (
        "ipv4_netmask_suffix",
        1,
        1,
        Row::Long(|row| Some(i64::from(with_length(row[0]?)?.1))),
    ),
    (
        "parse_ipv6",
        1,
        1,
        Row::Text(|row| {
            let address = match row[0]?.parse().ok()? {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            let parts = address.segments().map(|part| format!("{part:04x}"));
            Some(parts.join(":"))
        }),
    ),
    (
        "has_ipv4",
        2,
        2,
        Row::Bool(|row| Some(addresses(row[0]?).any(|one| Some(one) == row[1]))),
    ),
    (
        "has_any_ipv4",
        2,
        MANY,
        Row::Bool(|row| {
            let sought = sought(row);
            Some(addresses(row[0]?).any(|one| sought.iter().any(|other| other == one)))
        }),
    ),
    (
        "has_ipv4_prefix",
        2,
        2,
        Row::Bool(|row| {
            let prefix = row[1]?;
            Some(addresses(row[0]?).any(|one| one.starts_with(prefix)))
        }),
    ),
    (
        "has_any_ipv4_prefix",
        2,
        MANY,
        Row::Bool(|row| {
            let sought = sought(row);
            Some(addresses(row[0]?).any(|one| sought.iter().any(|prefix| one.starts_with(prefix))))
        }),
    ),
];

fn sought(row: Texts<'_>) -> Vec<String> {
    let rest = row.iter().skip(1).flatten();
    rest.flat_map(|one| items(one).unwrap_or_else(|| vec![(*one).to_owned()]))
        .collect()
}

fn in_any_range(row: Texts<'_>) -> Option<bool> {
    let address = row[0]?;
    let _: IpAddr = address.parse().ok()?;
    let ranges = sought(row);
    Some(
        ranges
            .iter()
            .any(|range| in_range(address, range) == Some(true)),
    )
}

/// An address with the length of its network, 32 where none is written.
fn with_length(text: &str) -> Option<(Ipv4Addr, u8)> {
    match text.split_once('/') {
        Some((address, length)) => {
            let length: u8 = length.trim().parse().ok()?;
            (length <= 32).then_some((address.trim().parse().ok()?, length))
        }
        None => Some((text.trim().parse().ok()?, 32)),
    }
}

/// The first address of the network of a length in which an address lies.
fn network(address: Ipv4Addr, length: u8) -> Option<Ipv4Addr> {
    match IpNet::new(IpAddr::V4(address), length).ok()?.network() {
        IpAddr::V4(first) => Some(first),
        IpAddr::V6(_) => None,
    }
}

/// How two addresses stand to each other, over as many bits as all lengths have.
fn compared(row: Texts<'_>) -> Option<i64> {
    let (one, of_one) = with_length(row[0]?)?;
    let (two, of_two) = with_length(row[1]?)?;
    let asked = match row.get(2) {
        Some(length) => (*length)?.parse().ok()?,
        None => 32_u8,
    };
    let length = of_one.min(of_two).min(asked);
    let (one, two) = (network(one, length)?, network(two, length)?);
    Some(one.cmp(&two) as i64)
}

/// An address as text or number, and the length that is asked for.
fn formatted(row: Texts<'_>) -> Option<(Ipv4Addr, u8)> {
    let text = row[0]?;
    let (address, length) = match text.parse::<u32>() {
        Ok(number) => (Ipv4Addr::from(number), 32),
        Err(_) => with_length(text)?,
    };
    let asked = match row.get(1) {
        Some(asked) => (*asked)?.parse().ok()?,
        None => length,
    };
    (asked <= 32).then_some((address, asked))
}

/// The addresses within a text.
fn addresses(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split(|next: char| !next.is_ascii_alphanumeric() && next != '.');
    let parts = parts.map(|part| part.trim_matches('.'));
    parts.filter(|part| part.parse::<Ipv4Addr>().is_ok())
}
