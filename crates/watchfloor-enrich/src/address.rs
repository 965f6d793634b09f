//! Addresses as events write them.

use std::net::IpAddr;

/// The address of a value, IPv4 in IPv6 unwrapped; `None` for anything else.
pub(crate) fn parse(text: &str) -> Option<IpAddr> {
    let text = text.split('%').next().unwrap_or(text);
    let address: IpAddr = text.parse().ok()?;
    Some(address.to_canonical())
}

/// Whether an address may belong to anybody in the world.
///
/// # Source
/// IANA special-purpose address registries (RFC 6890 and its updates).
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let is_shared = a == 100 && (64..128).contains(&b);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_multicast()
                || v4.is_broadcast()
                || v4.is_unspecified()
                || is_shared
                || a == 0)
        }
        IpAddr::V6(v6) => {
            !(v6.is_loopback()
                || v6.is_unspecified()
                || v6.is_multicast()
                || v6.is_unique_local()
                || v6.is_unicast_link_local())
        }
    }
}

/// A hardware address with colons, in small letters; `None` for anything else.
pub(crate) fn parse_mac(text: &str) -> Option<String> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|byte| !matches!(byte, b':' | b'-' | b'.' | b' '))
        .map(|byte| byte.to_ascii_lowercase())
        .collect();
    if digits.len() != 12 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let pairs: Vec<String> = digits
        .chunks(2)
        .map(|pair| String::from_utf8_lossy(pair).into_owned())
        .collect();
    Some(pairs.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_hardware_addresses() {
        assert_eq!(parse("::ffff:192.0.2.1"), "192.0.2.1".parse().ok());
        assert_eq!(parse("fe80::1%eth0"), "fe80::1".parse().ok());
        assert_eq!(parse("host"), None);
        for inside in [
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "fd00::1",
            "169.254.1.1",
        ] {
            assert!(!is_public(parse(inside).unwrap()), "{inside}");
        }
        assert!(is_public(parse("8.8.8.8").unwrap()) && is_public(parse("2001:4860::1").unwrap()));
        for text in ["00-1B-63-84-45-E6", "001b.6384.45e6", "00:1b:63:84:45:e6"] {
            assert_eq!(parse_mac(text).as_deref(), Some("00:1b:63:84:45:e6"));
        }
        assert_eq!(parse_mac("00:1b:63"), None);
    }
}
