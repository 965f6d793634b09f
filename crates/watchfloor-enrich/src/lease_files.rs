//! The files in which DHCP servers keep their leases.
//!
//! # Source
//! dhcpd.leases(5); Kea Administrator Reference Manual, memfile; dnsmasq(8), `--dhcp-leasefile`.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;

use crate::leases::{Lease, Leases};
use crate::{address, delimited};

/// Term that is taken where a file gives the end of a lease alone, in microseconds: one day.
const TERM_US: i64 = 24 * 3600 * 1_000_000;

/// Adds the leases of a file: of ISC dhcpd, Kea (CSV) or dnsmasq. Gives how many there were;
/// 0 if the text is none of them.
pub fn read_leases(name: &str, text: &str, into: &mut Leases) -> usize {
    let provider: Arc<str> = Arc::from(name);
    let leases = if text.contains("lease ") && text.contains('{') {
        dhcpd(text, &provider)
    } else if text.starts_with("address,") {
        kea(text, &provider)
    } else {
        dnsmasq(text, &provider)
    };
    let count = leases.len();
    leases.into_iter().for_each(|lease| into.add(lease));
    count
}

fn dhcpd(text: &str, provider: &Arc<str>) -> Vec<Lease> {
    let mut leases = Vec::new();
    let mut open: Option<Lease> = None;
    let mut is_active = true;
    for line in text.lines() {
        let line = line.trim().trim_end_matches(';');
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "lease" => {
                let address = address::parse(rest.trim_end_matches('{').trim());
                is_active = true;
                open = address.map(|address| Lease {
                    address,
                    from_us: i64::MIN,
                    to_us: None,
                    host: String::new(),
                    mac: String::new(),
                    user: String::new(),
                    provider: Arc::clone(provider),
                });
            }
            "}" => leases.extend(
                open.take()
                    .filter(|lease| is_active && lease.from_us > i64::MIN),
            ),
            // Such leases stand there beside the one that was given: nobody held them.
            "binding" => is_active = !matches!(rest, "state backup" | "state abandoned"),
            _ => {
                if let Some(lease) = &mut open {
                    dhcpd_statement(lease, word, rest);
                }
            }
        }
    }
    leases
}

fn dhcpd_statement(lease: &mut Lease, word: &str, rest: &str) {
    match word {
        "starts" => lease.from_us = dhcpd_time(rest).unwrap_or(i64::MIN),
        "ends" => lease.to_us = dhcpd_time(rest),
        "hardware" => {
            let mac = rest.split(' ').nth(1).and_then(address::parse_mac);
            lease.mac = mac.unwrap_or_default();
        }
        "client-hostname" => rest.trim_matches('"').clone_into(&mut lease.host),
        _ => {}
    }
}

/// `4 2026/11/26 10:00:00` in UTC, or `epoch 1789000000`; `never` has no end.
fn dhcpd_time(text: &str) -> Option<i64> {
    let (first, rest) = text.split_once(' ')?;
    if first == "epoch" {
        let seconds: i64 = rest.split(' ').next()?.parse().ok()?;
        return seconds.checked_mul(1_000_000);
    }
    let time = DateTime::strptime("%Y/%m/%d %H:%M:%S", rest.trim()).ok()?;
    let time = jiff::tz::Offset::UTC.to_timestamp(time).ok()?;
    Some(time.as_microsecond())
}

fn kea(text: &str, provider: &Arc<str>) -> Vec<Lease> {
    let (rows, _) = delimited::rows(text);
    let leases = rows.iter().filter_map(|row| {
        let get = |name: &str| {
            let found = row.cells.iter().find(|(known, _)| known == name);
            found.map_or("", |(_, value)| value.as_str())
        };
        // States beside 0 are declined, reclaimed, released, registered.
        if !matches!(get("state"), "" | "0") {
            return None;
        }
        let seconds = |name: &str| get(name).parse::<i64>().ok();
        let to_us = seconds("expire")?.checked_mul(1_000_000)?;
        let term = seconds("valid_lifetime").and_then(|term| term.checked_mul(1_000_000));
        Some(Lease {
            address: address::parse(get("address"))?,
            from_us: to_us.saturating_sub(term.unwrap_or(TERM_US)),
            to_us: Some(to_us),
            host: get("hostname").trim_end_matches('.').to_owned(),
            mac: address::parse_mac(get("hwaddr")).unwrap_or_default(),
            user: String::new(),
            provider: Arc::clone(provider),
        })
    });
    leases.collect()
}

fn dnsmasq(text: &str, provider: &Arc<str>) -> Vec<Lease> {
    let leases = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let expires: i64 = words.next()?.parse().ok()?;
        let mac = address::parse_mac(words.next()?);
        let address = address::parse(words.next()?)?;
        let host = words.next().filter(|host| *host != "*").unwrap_or_default();
        let to_us = Timestamp::from_second(expires).ok()?.as_microsecond();
        Some(Lease {
            address,
            from_us: if expires == 0 {
                0
            } else {
                to_us.saturating_sub(TERM_US)
            },
            to_us: (expires != 0).then_some(to_us),
            host: host.to_owned(),
            mac: mac.unwrap_or_default(),
            user: String::new(),
            provider: Arc::clone(provider),
        })
    });
    leases.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(text: &str, time: &str) -> Option<(String, String)> {
        let mut leases = Leases::default();
        assert!(read_leases("file", text, &mut leases) > 0);
        let time: Timestamp = time.parse().unwrap();
        let lease = leases.at("10.0.0.5".parse().unwrap(), time.as_microsecond())?;
        Some((lease.host.clone(), lease.mac.clone()))
    }

    #[test]
    fn files_of_three_servers() {
        let wanted = Some(("ws-042".to_owned(), "00:1b:63:84:45:e6".to_owned()));
        let dhcpd = "# comment\nlease 10.0.0.5 {\n  starts 4 2026/11/26 10:00:00;\n  ends 4 2026/11/26 22:00:00;\n  \
            binding state active;\n  hardware ethernet 00:1b:63:84:45:e6;\n  client-hostname \"ws-042\";\n}\n\
            lease 10.0.0.5 {\n  starts 5 2026/11/27 10:00:00;\n  ends never;\n  binding state backup;\n}\n";
        assert_eq!(held(dhcpd, "2026-11-26T12:00:00Z"), wanted);
        assert_eq!(held(dhcpd, "2026-11-27T12:00:00Z"), None);
        let kea = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n\
            10.0.0.5,00:1b:63:84:45:e6,,43200,1795730400,1,0,0,ws-042.,0,,0\n10.0.0.5,aa:bb:cc:dd:ee:ff,,43200,1795816800,1,0,0,x,1,,0\n";
        assert_eq!(held(kea, "2026-11-26T12:00:00Z"), wanted);
        let dnsmasq =
            "1795730400 00:1b:63:84:45:e6 10.0.0.5 ws-042 01:00:1b:63:84:45:e6\nduid 00:01\n";
        assert_eq!(held(dnsmasq, "2026-11-26T12:00:00Z"), wanted);
        assert_eq!(read_leases("x", "nonsense\n\n{", &mut Leases::default()), 0);
    }
}
