//! Converters: from a source value's text to an attribute's, once per distinct value.

use std::borrow::Cow;

use crate::choice::Lookup;
use watchfloor_event::{ValueKind, ValueRef};

/// What becomes of a value on its way.
#[derive(Clone, Debug)]
pub(crate) enum Convert {
    /// Nothing.
    Copy,
    /// Lower case.
    Lower,
    /// Upper case.
    Upper,
    /// A whole number from decimal or `0x` hex.
    Int,
    /// What follows the last `/` or `\`.
    Basename,
    /// `name` of `DOMAIN\name`, `name@domain` or `CN=name,…`.
    UserName,
    /// `DOMAIN` of `DOMAIN\name` or `domain` of `name@domain`.
    UserDomain,
    /// Seconds with a fraction to whole milliseconds.
    SecondsToMs,
    /// An address without the prefix of IPv4 in IPv6, zone or port.
    Ip,
    /// The host of a URL.
    UrlHost,
    /// The path of a URL.
    UrlPath,
    /// The query of a URL.
    UrlQuery,
    /// What follows the last dot, as of `aws.ec2` or a class name.
    LastLabel,
    /// What stands before the first dot: the host of a full name.
    FirstLabel,
    /// The first element of a list.
    First,
    /// The port of an address (`192.0.2.1:443`, `[2001:db8::1]:443`, `192.0.2.1/443`).
    Port,
    /// The port that stands in the same field as the address of an end.
    EndpointPort,
    /// The port of a URL, as written there.
    UrlPort,
    /// A host name: an address gives nothing.
    Hostname,
    /// A name of the DNS without the dot at its end.
    DnsName,
    /// A name that Windows DNS Server writes with the length of each label: `(3)www(0)`.
    DnsLabels,
    /// The name of an IP protocol from its number, in lower case.
    Protocol,
    /// Microseconds to milliseconds.
    MicrosToMs,
    /// Nanoseconds to milliseconds.
    NanosToMs,
    /// Text without blanks and quotes around it.
    Trim,
    /// The first of several values between commas or blanks.
    FirstItem,
    /// An e-mail address out of `Name <address>`.
    Email,
    /// A hardware address with colons, in lower case.
    Mac,
    /// One after the other.
    Chain(Vec<Self>),
    /// By a table; values that are not in it become the default, or nothing.
    Map {
        map: Lookup<String>,
        default: Option<String>,
    },
}

impl Convert {
    /// The names that packs use.
    pub(crate) const NAMES: &'static str = "lower, upper, int, basename, user_name, user_domain, \
        seconds_to_ms, micros_to_ms, nanos_to_ms, ip, port, hostname, dns_name, dns_labels, mac, protocol, \
        url_host, url_port, url_path, url_query, last_label, first_label, first, first_item, \
        email, trim";

    /// The converter of a name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "lower" => Self::Lower,
            "upper" => Self::Upper,
            "int" => Self::Int,
            "basename" => Self::Basename,
            "user_name" => Self::UserName,
            "user_domain" => Self::UserDomain,
            "seconds_to_ms" => Self::SecondsToMs,
            "ip" => Self::Ip,
            "url_host" => Self::UrlHost,
            "url_path" => Self::UrlPath,
            "url_query" => Self::UrlQuery,
            "last_label" => Self::LastLabel,
            "first_label" => Self::FirstLabel,
            "first" => Self::First,
            "port" => Self::Port,
            "url_port" => Self::UrlPort,
            "hostname" => Self::Hostname,
            "dns_name" => Self::DnsName,
            "dns_labels" => Self::DnsLabels,
            "protocol" => Self::Protocol,
            "micros_to_ms" => Self::MicrosToMs,
            "nanos_to_ms" => Self::NanosToMs,
            "trim" => Self::Trim,
            "first_item" => Self::FirstItem,
            "email" => Self::Email,
            "mac" => Self::Mac,
            _ => return None,
        })
    }

    /// The converted text; `None` if the value gives nothing.
    pub(crate) fn apply<'a>(&self, value: ValueRef<'a>) -> Option<Cow<'a, str>> {
        let text = value.text;
        let found = match self {
            Self::Copy => Cow::Borrowed(text),
            Self::Lower => Cow::Owned(text.to_ascii_lowercase()),
            Self::Upper => Cow::Owned(text.to_ascii_uppercase()),
            Self::Int => whole_number(text)?,
            Self::Basename => Cow::Borrowed(text.rsplit(['/', '\\']).next()?),
            Self::UserName => Cow::Borrowed(user_name(text)),
            Self::UserDomain => Cow::Borrowed(match text.split_once('\\') {
                Some((domain, _)) => domain,
                None => text.split_once('@')?.1,
            }),
            Self::SecondsToMs => milliseconds(text, 1000.0)?,
            Self::MicrosToMs => milliseconds(text, 1e-3)?,
            Self::NanosToMs => milliseconds(text, 1e-6)?,
            Self::Ip => Cow::Borrowed(address(text)?),
            Self::UrlHost => Cow::Borrowed(url(text).0?),
            Self::UrlPath => Cow::Borrowed(url(text).1?),
            Self::UrlQuery => Cow::Borrowed(url(text).2?),
            Self::LastLabel => Cow::Borrowed(text.rsplit('.').next()?),
            Self::FirstLabel => Cow::Borrowed(text.split('.').next()?),
            Self::First if value.kind == ValueKind::List => {
                Cow::Owned(value.elements().into_iter().next()?.1)
            }
            Self::First => Cow::Borrowed(text),
            Self::Port => Cow::Borrowed(port(text)?),
            Self::EndpointPort => Cow::Borrowed(endpoint_port(text)?),
            Self::UrlPort => Cow::Borrowed(port(url_authority(text)?)?),
            Self::Hostname => Cow::Borrowed(hostname(text)?),
            Self::DnsName => Cow::Borrowed(text.strip_suffix('.').unwrap_or(text)),
            Self::DnsLabels => dns_labels(text),
            Self::Protocol => protocol(text),
            Self::Trim => Cow::Borrowed(text.trim_matches([' ', '\t', '"', '\''])),
            Self::FirstItem => {
                Cow::Borrowed(text.split([',', ' ', ';']).find(|item| !item.is_empty())?)
            }
            Self::Email => Cow::Borrowed(email(text)?),
            Self::Mac => mac(text)?,
            Self::Chain(steps) => chain(steps, value)?,
            Self::Map { map, default } => Cow::Owned(map.get(text).or(default.as_ref())?.clone()),
        };
        (!found.is_empty()).then_some(found)
    }
}

fn user_name(text: &str) -> &str {
    let starts_with_cn = text
        .get(..3)
        .is_some_and(|head| head.eq_ignore_ascii_case("cn="));
    if let Some(rest) = text.get(3..).filter(|_| starts_with_cn) {
        return rest.split(',').next().unwrap_or(rest);
    }
    match text.split_once('\\') {
        Some((_, name)) => name,
        None => text.split_once('@').map_or(text, |(name, _)| name),
    }
}

/// A whole number in decimal from decimal or hex text.
pub(crate) fn whole_number(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    if let Some(hex) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        let number = i64::from_str_radix(hex, 16).ok()?;
        return Some(Cow::Owned(number.to_string()));
    }
    if text.parse::<i64>().is_ok() {
        return Some(Cow::Borrowed(text));
    }
    // JSON writers that know only floating point give `443.0`.
    let (whole, fraction) = text.split_once('.')?;
    let is_whole = fraction.bytes().all(|byte| byte == b'0') && whole.parse::<i64>().is_ok();
    is_whole.then_some(Cow::Borrowed(whole))
}

fn chain<'a>(steps: &[Convert], value: ValueRef<'a>) -> Option<Cow<'a, str>> {
    let mut steps = steps.iter();
    let mut found = steps.next()?.apply(value)?;
    for step in steps {
        found = Cow::Owned(step.apply(ValueRef::str(&found))?.into_owned());
    }
    Some(found)
}

fn port(text: &str) -> Option<&str> {
    let (address, port) = text.rsplit_once([':', '/', '#'])?;
    // An IPv6 address without brackets has no port that could be told from it.
    let is_bare_v6 = text.parse::<std::net::Ipv6Addr>().is_ok();
    let is_port = !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit());
    (is_port && !is_bare_v6 && !address.is_empty()).then_some(port)
}

fn hostname(text: &str) -> Option<&str> {
    let text = text.trim().trim_start_matches("\\\\");
    // Mail servers and others write `unknown` where no name is found.
    let is_name = !text.is_empty() && text != "unknown" && address(text).is_none();
    is_name.then_some(text.strip_suffix('.').unwrap_or(text))
}

fn dns_labels(text: &str) -> Cow<'_, str> {
    if !text.starts_with('(') {
        return Cow::Borrowed(text.strip_suffix('.').unwrap_or(text));
    }
    let labels = text
        .split('(')
        .filter_map(|part| Some(part.split_once(')')?.1));
    let labels: Vec<&str> = labels.filter(|label| !label.is_empty()).collect();
    Cow::Owned(labels.join("."))
}

fn protocol(text: &str) -> Cow<'_, str> {
    Cow::Borrowed(match text {
        "1" => "icmp",
        "2" => "igmp",
        "4" => "ipip",
        "6" => "tcp",
        "17" => "udp",
        "41" => "ipv6",
        "47" => "gre",
        "50" => "esp",
        "51" => "ah",
        "58" => "ipv6-icmp",
        "89" => "ospf",
        "103" => "pim",
        "112" => "vrrp",
        "132" => "sctp",
        other => return Cow::Owned(other.to_ascii_lowercase()),
    })
}

fn email(text: &str) -> Option<&str> {
    let inside = text
        .rsplit_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
        .map_or(text, |(inside, _)| inside)
        .trim();
    inside.contains('@').then_some(inside)
}

fn mac(text: &str) -> Option<Cow<'_, str>> {
    let text = text.trim();
    let digits: String = text
        .chars()
        .filter(|character| !matches!(character, ':' | '-' | '.'))
        .map(|character| character.to_ascii_lowercase())
        .collect();
    if digits.len() != 12 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = String::with_capacity(17);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 2 == 0 {
            out.push(':');
        }
        out.push(digit);
    }
    Some(Cow::Owned(out))
}

fn url_authority(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    rest.split(['/', '?', '#']).next()
}

fn milliseconds(text: &str, factor: f64) -> Option<Cow<'_, str>> {
    let number: f64 = text.parse().ok()?;
    let ms = number * factor;
    if !ms.is_finite() || ms.abs() > 9.0e15 {
        return None;
    }
    Some(Cow::Owned(format!("{ms:.0}")))
}

/// The address of `192.0.2.1:443`, `[2001:db8::1]:443`, `/192.0.2.1:443` (Java), `192.0.2.1#53`
/// (BIND), `192.0.2.1/24`, `fe80::1%eth0`, `::ffff:192.0.2.1` and the first of a list.
fn address(text: &str) -> Option<&str> {
    let is_address = |text: &str| text.parse::<std::net::IpAddr>().is_ok();
    let text = text.trim_matches([' ', '"', '<', '>', '(', ')']);
    let text = text.strip_prefix('/').unwrap_or(text);
    let text = ["::ffff:", "::FFFF:"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text);
    if is_address(text) {
        return Some(text);
    }
    if let Some(inside) = text.strip_prefix('[') {
        let (inside, _) = inside.split_once(']')?;
        let inside = inside.split('%').next()?;
        return is_address(inside).then_some(inside);
    }
    let bare = text.split(['%', '/', '#', ',', ' ']).next()?;
    if is_address(bare) {
        return Some(bare);
    }
    let bare = bare.split(':').next()?;
    is_address(bare).then_some(bare)
}

/// The port behind an address, where no other reading is possible: a slash begins the length of a
/// network as well.
fn endpoint_port(text: &str) -> Option<&str> {
    let text = text.trim_matches([' ', '"', '<', '>', '(', ')']);
    if !text.contains([':', '#']) || text.contains([',', ' ']) {
        return None;
    }
    address(text)?;
    port(text)
}

/// Host, path and query of a URL.
fn url(text: &str) -> (Option<&str>, Option<&str>, Option<&str>) {
    let (before, query) = match text.split_once('?') {
        Some((before, query)) => (before, Some(query.split('#').next().unwrap_or(query))),
        None => (text, None),
    };
    let Some((_, rest)) = before.split_once("://") else {
        return (None, Some(before), query);
    };
    let (authority, path) = match rest.find('/') {
        Some(at) => (rest.get(..at).unwrap_or(rest), rest.get(at..)),
        None => (rest, None),
    };
    let authority = authority.rsplit('@').next().unwrap_or(authority);
    let host = if let Some(inside) = authority.strip_prefix('[') {
        inside.split(']').next()
    } else {
        authority.split(':').next()
    };
    (host, path, query)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, input: &str, expected: Option<&str>) {
        let convert = Convert::parse(name).expect("a known name");
        let found = convert.apply(ValueRef::str(input));
        assert_eq!(found.as_deref(), expected, "{name} of {input}");
    }

    #[test]
    fn a_port_is_told_from_other_numbers_behind_an_address() {
        for (text, expected) in [
            ("192.0.2.1:443", Some("443")),
            ("/192.0.2.1:443", Some("443")),
            ("192.0.2.1#53", Some("53")),
            ("[2001:db8::1]:443", Some("443")),
            ("192.0.2.1/24", None),
            ("2001:db8::1", None),
            ("::ffff:192.0.2.1", None),
            ("fe80::1%7", None),
            ("192.0.2.1:1, 198.51.100.2:2", None),
            ("example.org:443", None),
        ] {
            assert_eq!(endpoint_port(text), expected, "{text}");
        }
    }

    #[test]
    fn values_are_converted() {
        check("int", "0x1f0", Some("496"));
        check("int", "443.0", Some("443"));
        check("int", "x", None);
        check("basename", "C:\\Windows\\a.exe", Some("a.exe"));
        check("basename", "/usr/bin/", None);
        check("user_name", "CORP\\j.doe", Some("j.doe"));
        check("user_domain", "j.doe@corp.example", Some("corp.example"));
        check("user_domain", "root", None);
        check("user_name", "CN=eve,CN=Users,DC=corp", Some("eve"));
        check("seconds_to_ms", "1.2345", Some("1234"));
        check("ip", "192.0.2.1/443", Some("192.0.2.1"));
        for text in [
            "192.0.2.1:443",
            "/192.0.2.1:443",
            "192.0.2.1#53",
            "192.0.2.1/24",
            "<192.0.2.1>",
            "::FFFF:192.0.2.1",
            "192.0.2.1, 198.51.100.2",
            "192.0.2.1:80/tcp",
        ] {
            check("ip", text, Some("192.0.2.1"));
        }
        check("ip", "[fe80::1%eth0]:22", Some("fe80::1"));
        for text in ["/srv/a", "10.0.0", "v1.2.3.4", "a:1", ":80", ""] {
            check("ip", text, None);
        }
        check("port", "192.0.2.1/443", Some("443"));
        check("port", "[2001:db8::1]:443", Some("443"));
        check("port", "2001:db8::1", None);
        check("url_port", "https://a.example:8443/x", Some("8443"));
        check("hostname", "192.0.2.1", None);
        check("hostname", "unknown", None);
        check("hostname", "\\\\ws-01", Some("ws-01"));
        check("dns_name", "a.example.", Some("a.example"));
        check(
            "dns_labels",
            "(3)www(7)example(3)com(0)",
            Some("www.example.com"),
        );
        check("protocol", "17", Some("udp"));
        check("protocol", "TCP", Some("tcp"));
        check("mac", "0011.2233.AABB", Some("00:11:22:33:aa:bb"));
        check("mac", "00", None);
        check("email", "Eve <eve@corp.example>", Some("eve@corp.example"));
        check("first_item", "192.0.2.1, 192.0.2.2", Some("192.0.2.1"));
        check("micros_to_ms", "2500", Some("2"));
        check("ip", "::ffff:10.0.0.1", Some("10.0.0.1"));
        check("ip", "10.0.0.1:443", Some("10.0.0.1"));
        check("ip", "fe80::1%eth0", Some("fe80::1"));
        check("ip", "LOCAL", None);
        check("url_host", "https://u:p@[::1]:8443/a?b#c", Some("::1"));
        check("url_path", "https://h/a/b?c", Some("/a/b"));
        check("url_query", "/a?b=c", Some("b=c"));
    }
}
