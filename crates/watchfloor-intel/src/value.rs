//! Values of indicators in the one form that is compared, and the forms in which people write
//! them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::IndicatorKind;
use crate::url::push_url;

/// Longest value of an indicator, in bytes as written.
const MAX_VALUE_BYTES: usize = 4096;
/// Longest domain name (RFC 1035, section 2.3.4).
const MAX_DOMAIN_BYTES: usize = 253;
/// Shortest prefixes of networks: shorter ones would be met by every second event.
const MIN_PREFIX_V4: u8 = 8;
const MIN_PREFIX_V6: u8 = 16;
/// Whole private ranges (RFC 1918): a list of networks that nobody should be seen in would make
/// every event of a company one.
const PRIVATE: [(Ipv4Addr, u8); 3] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// A value in the form that is compared: an address or hash as bytes, a name in lower case and
/// ASCII, a URL normalised.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Value {
    kind: IndicatorKind,
    is_tls: bool,
    key: Vec<u8>,
}

/// Why a text is no value of an indicator. `Display` is a sentence for the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueError {
    /// Nothing is there.
    Empty,
    /// More than 4,096 bytes.
    TooLong,
    /// It has the form of no kind.
    Unknown,
    /// It is not of the kind that it is said to be.
    NotA(IndicatorKind),
    /// A name of one label, such as `localhost`.
    OneLabel,
    /// Such as 127.0.0.1 or 0.0.0.0.
    NoRemote,
    /// A network so large that it says nothing.
    TooWide,
    /// A whole private range.
    Private,
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("the value is empty"),
            Self::TooLong => write!(f, "the value has more than {MAX_VALUE_BYTES} bytes"),
            Self::Unknown => f.write_str(
                "no address, network, domain, URL, e-mail address, MD5, SHA-1, SHA-256, SHA-512 or JA4",
            ),
            Self::NotA(kind) => write!(f, "no value of the kind {kind}"),
            Self::OneLabel => f.write_str("a domain needs at least two labels"),
            Self::NoRemote => {
                f.write_str("an unspecified, loopback or broadcast address says nothing")
            }
            Self::TooWide => write!(
                f,
                "the network is too wide; at least /{MIN_PREFIX_V4} for IPv4 and /{MIN_PREFIX_V6} for IPv6"
            ),
            Self::Private => f.write_str("the network covers a whole private range (RFC 1918)"),
        }
    }
}

impl std::error::Error for ValueError {}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {self}", self.kind)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_key(f, self.kind, self.is_tls, &self.key)
    }
}

impl Value {
    /// A value whose kind is told by its form. Defanged forms (`hxxp://`, `[.]`, `[at]`) are
    /// read as what they stand for; 32 hex digits are taken for an MD5.
    ///
    /// # Errors
    /// If it has the form of no kind, or says nothing (`localhost`, `0.0.0.0/0`).
    pub fn detect(text: &str) -> Result<Self, ValueError> {
        let text = bounded(text)?;
        let kind = form_of(&text).ok_or(ValueError::Unknown)?;
        Self::read(kind, &text)
    }

    /// A value of a kind; `Address` and `Network` take each other's forms.
    ///
    /// # Errors
    /// If the text is no value of that kind.
    pub fn parse(kind: IndicatorKind, text: &str) -> Result<Self, ValueError> {
        Self::read(kind, &bounded(text)?)
    }

    /// What kind of value it is.
    pub fn kind(&self) -> IndicatorKind {
        self.kind
    }

    /// Whether a URL said `https`.
    pub(crate) fn is_tls(&self) -> bool {
        self.is_tls
    }

    /// The bytes that are compared.
    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn from_parts(kind: IndicatorKind, is_tls: bool, key: &[u8]) -> Self {
        Self {
            kind,
            is_tls,
            key: key.to_vec(),
        }
    }

    fn read(kind: IndicatorKind, text: &str) -> Result<Self, ValueError> {
        use IndicatorKind as K;
        match kind {
            K::Address | K::Network => address_or_network(text),
            K::Domain => domain(text),
            K::Url => {
                let mut key = Vec::with_capacity(text.len());
                let parts = push_url(text, &mut key).ok_or(ValueError::NotA(kind))?;
                key.shrink_to_fit();
                let is_tls = parts.is_tls;
                Ok(Self { kind, is_tls, key })
            }
            K::Email => {
                let mut key = Vec::new();
                let start = push_email(text, &mut key).ok_or(ValueError::NotA(kind))?;
                if !is_domain(key.get(start..).unwrap_or_default()) {
                    return Err(ValueError::NotA(kind));
                }
                Ok(Self::from_parts(kind, false, &key))
            }
            K::Md5 | K::Sha1 | K::Sha256 | K::Sha512 | K::Ja3 | K::Ja3s => {
                let mut key = Vec::new();
                let is_hash = push_hex(text, &mut key).is_some() && key.len() == digest_len(kind);
                is_hash
                    .then(|| Self::from_parts(kind, false, &key))
                    .ok_or(ValueError::NotA(kind))
            }
            K::Ja4 => {
                let key = text.to_ascii_lowercase();
                is_ja4(&key)
                    .then(|| Self::from_parts(kind, false, key.as_bytes()))
                    .ok_or(ValueError::NotA(kind))
            }
        }
    }
}

/// Writes a stored key as a person would.
pub(crate) fn write_key(
    out: &mut dyn fmt::Write,
    kind: IndicatorKind,
    is_tls: bool,
    key: &[u8],
) -> fmt::Result {
    use IndicatorKind as K;
    let text = || String::from_utf8_lossy(key);
    match kind {
        K::Address => match address_of(key) {
            Some(address) => write!(out, "{address}"),
            None => Ok(()),
        },
        K::Network => match key.split_last() {
            Some((prefix, address)) => match address_of(address) {
                Some(address) => write!(out, "{address}/{prefix}"),
                None => Ok(()),
            },
            None => Ok(()),
        },
        K::Url
            if key
                .windows(3)
                .position(|part| part == b"://")
                .is_some_and(|at| {
                    key.iter()
                        .take(at)
                        .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(byte))
                }) =>
        {
            out.write_str(&text())
        }
        K::Url => write!(out, "http{}://{}", if is_tls { "s" } else { "" }, text()),
        K::Domain | K::Email | K::Ja4 => out.write_str(&text()),
        K::Md5 | K::Sha1 | K::Sha256 | K::Sha512 | K::Ja3 | K::Ja3s => {
            out.write_str(&hex::encode(key))
        }
    }
}

fn address_of(key: &[u8]) -> Option<IpAddr> {
    if let Ok(bytes) = <[u8; 4]>::try_from(key) {
        return Some(IpAddr::from(bytes));
    }
    <[u8; 16]>::try_from(key).ok().map(IpAddr::from)
}

/// The value without what stands around it, with defanged parts mended.
fn bounded(text: &str) -> Result<String, ValueError> {
    let text = text.trim().trim_matches(['"', '\'', '`', '<', '>']).trim();
    if text.is_empty() {
        return Err(ValueError::Empty);
    }
    if text.len() > MAX_VALUE_BYTES {
        return Err(ValueError::TooLong);
    }
    Ok(refanged(text))
}

/// Undoes what people do to values so that nobody opens them by mistake.
fn refanged(text: &str) -> String {
    const MENDS: [(&str, &str); 13] = [
        ("[.]", "."),
        ("(.)", "."),
        ("{.}", "."),
        ("[dot]", "."),
        ("(dot)", "."),
        ("[:]", ":"),
        ("[://]", "://"),
        ("[/]", "/"),
        ("[@]", "@"),
        ("[at]", "@"),
        ("(at)", "@"),
        ("\\.", "."),
        ("[.", "."),
    ];
    let mut text = text.to_owned();
    if text.contains(['[', '(', '{', '\\']) && !text.contains("://[") {
        for (from, to) in MENDS {
            if text.contains(from) {
                text = text.replace(from, to);
            }
        }
    }
    let is_defanged = text.get(..4).is_some_and(|start| {
        ["hxxp", "h**p", "hXXp", "htxp", "meow"]
            .iter()
            .any(|word| start.eq_ignore_ascii_case(word))
    });
    if is_defanged {
        let rest = text.get(4..).unwrap_or_default();
        text = format!("http{rest}");
    }
    text
}

/// The kind whose form a text has.
fn form_of(text: &str) -> Option<IndicatorKind> {
    use IndicatorKind as K;
    if text.contains("://") {
        return Some(K::Url);
    }
    if parse_address(text).is_some() {
        return Some(K::Address);
    }
    if let Some((address, prefix)) = text.split_once('/') {
        let is_number = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
        if is_number && address.parse::<IpAddr>().is_ok() {
            return Some(K::Network);
        }
        return Some(K::Url);
    }
    if text.contains('@') {
        return Some(K::Email);
    }
    if text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return match text.len() {
            32 => Some(K::Md5),
            40 => Some(K::Sha1),
            64 => Some(K::Sha256),
            128 => Some(K::Sha512),
            _ => None,
        };
    }
    if is_ja4(&text.to_ascii_lowercase()) {
        return Some(K::Ja4);
    }
    Some(K::Domain).filter(|_| !text.contains(char::is_whitespace))
}

/// Bytes of a hash of this kind.
fn digest_len(kind: IndicatorKind) -> usize {
    use IndicatorKind as K;
    match kind {
        K::Sha1 => 20,
        K::Sha256 => 32,
        K::Sha512 => 64,
        _ => 16,
    }
}

/// Whether a text has the form of a JA4: `t13d1516h2_8daaf6152771_b186095e22b6`.
///
/// # Source
/// FoxIO, JA4 technical details.
fn is_ja4(text: &str) -> bool {
    let mut parts = text.split('_');
    let (Some(first), Some(second), Some(third), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_hash =
        |part: &str| part.len() == 12 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    first.len() == 10
        && first.starts_with(['t', 'q', 'd'])
        && first.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && is_hash(second)
        && is_hash(third)
}

fn address_or_network(text: &str) -> Result<Value, ValueError> {
    let not = ValueError::NotA(IndicatorKind::Address);
    if let Some((address, prefix)) = text.split_once('/') {
        let address: IpAddr = address.trim().parse().map_err(|_| not)?;
        let prefix: u8 = prefix.trim().parse().map_err(|_| not)?;
        return network(address, prefix);
    }
    let address = parse_address(text).ok_or(not)?;
    address_value(address)
}

fn address_value(address: IpAddr) -> Result<Value, ValueError> {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    if address.is_unspecified() || address.is_loopback() || is_broadcast {
        return Err(ValueError::NoRemote);
    }
    let (bytes, len) = address_bytes(address);
    let key = bytes.get(..len).unwrap_or_default();
    Ok(Value::from_parts(IndicatorKind::Address, false, key))
}

fn network(address: IpAddr, prefix: u8) -> Result<Value, ValueError> {
    // A mapped network is one of IPv4.
    let (address, prefix) = match address {
        IpAddr::V6(v6) if prefix >= 96 => match v6.to_ipv4_mapped() {
            Some(v4) => (IpAddr::V4(v4), prefix - 96),
            None => (address, prefix),
        },
        _ => (address, prefix),
    };
    let (bits, least) = match address {
        IpAddr::V4(_) => (32, MIN_PREFIX_V4),
        IpAddr::V6(_) => (128, MIN_PREFIX_V6),
    };
    if prefix > bits {
        return Err(ValueError::NotA(IndicatorKind::Network));
    }
    if prefix == bits {
        return address_value(address);
    }
    if prefix < least {
        return Err(ValueError::TooWide);
    }
    let key = network_key(address, prefix);
    let covers = |(net, len): &(Ipv4Addr, u8)| {
        matches!(address, IpAddr::V4(_))
            && prefix <= *len
            && network_key(IpAddr::V4(*net), prefix) == key
    };
    if PRIVATE.iter().any(covers) {
        return Err(ValueError::Private);
    }
    if address.is_loopback() {
        return Err(ValueError::NoRemote);
    }
    let (bytes, len) = key;
    let key = bytes.get(..len).unwrap_or_default();
    Ok(Value::from_parts(IndicatorKind::Network, false, key))
}

/// The bytes of an address, and how many they are.
pub(crate) fn address_bytes(address: IpAddr) -> ([u8; 16], usize) {
    match address {
        IpAddr::V4(address) => {
            let mut bytes = [0; 16];
            bytes[..4].copy_from_slice(&address.octets());
            (bytes, 4)
        }
        IpAddr::V6(address) => (address.octets(), 16),
    }
}

/// The key of the network of that prefix in which an address is: its leading bits and the
/// prefix's length.
pub(crate) fn network_key(address: IpAddr, prefix: u8) -> ([u8; 17], usize) {
    let mut key = [0; 17];
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(prefix.min(32)))
                .unwrap_or(0);
            key[..4].copy_from_slice(&(u32::from(address) & mask).to_be_bytes());
            key[4] = prefix;
            (key, 5)
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(prefix.min(128)))
                .unwrap_or(0);
            key[..16].copy_from_slice(&(u128::from(address) & mask).to_be_bytes());
            key[16] = prefix;
            (key, 17)
        }
    }
}

/// An address as events write it: with a port, in brackets, with a zone, or an IPv4 address in
/// IPv6 form.
pub(crate) fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    // Longer texts with zone and port are no addresses; most values end here.
    if text.len() < 2 || text.len() > 64 {
        return None;
    }
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(plain(address));
    }
    if !text.starts_with(|first: char| first.is_ascii_hexdigit() || first == '[' || first == ':') {
        return None;
    }
    if let Some(rest) = text.strip_prefix('[') {
        let address = rest.split(']').next()?;
        return without_zone(address)
            .parse::<Ipv6Addr>()
            .ok()
            .map(|v6| plain(v6.into()));
    }
    if let Some((address, port)) = text.split_once(':') {
        let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
        if is_port && let Ok(address) = address.parse::<Ipv4Addr>() {
            return Some(address.into());
        }
    }
    let address: Ipv6Addr = text
        .contains('%')
        .then(|| without_zone(text).parse().ok())??;
    Some(plain(address.into()))
}

fn without_zone(text: &str) -> &str {
    text.split('%').next().unwrap_or(text)
}

fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn domain(text: &str) -> Result<Value, ValueError> {
    let kind = IndicatorKind::Domain;
    let text = text.strip_prefix("||").unwrap_or(text);
    let text = text.trim_end_matches('^');
    let text = text.strip_prefix("*.").unwrap_or(text);
    let text = text.strip_prefix('.').unwrap_or(text);
    let text = match text.split_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => text,
    };
    let mut key = Vec::with_capacity(text.len());
    push_domain(text, &mut key).ok_or(ValueError::NotA(kind))?;
    if !is_domain(&key) {
        let is_label = !key.contains(&b'.') && key.iter().all(is_name_byte);
        return Err(if is_label {
            ValueError::OneLabel
        } else {
            ValueError::NotA(kind)
        });
    }
    Ok(Value::from_parts(kind, false, &key))
}

fn is_name_byte(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

/// Whether a name in lower case has two labels or more, all well-formed, the last no number.
fn is_domain(key: &[u8]) -> bool {
    let mut labels = key.split(|byte| *byte == b'.');
    let last = key.rsplit(|byte| *byte == b'.').next().unwrap_or_default();
    key.contains(&b'.')
        && key.iter().all(is_name_byte)
        && labels.all(|label| (1..=63).contains(&label.len()))
        && last.iter().any(u8::is_ascii_alphabetic)
}

/// Appends a domain in lower case and ASCII, without a trailing dot; `None` if it is empty, too
/// long, or cannot be written in ASCII (UTS 46).
pub(crate) fn push_domain(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let text = text.strip_suffix('.').unwrap_or(text);
    if text.is_empty() || text.len() > MAX_DOMAIN_BYTES * 4 {
        return None;
    }
    let start = out.len();
    if text.is_ascii() {
        out.extend(text.bytes().map(|byte| byte.to_ascii_lowercase()));
    } else {
        let ascii = idna::domain_to_ascii(text).ok()?;
        out.extend_from_slice(ascii.strip_suffix('.').unwrap_or(&ascii).as_bytes());
    }
    let len = out.len() - start;
    (len > 0 && len <= MAX_DOMAIN_BYTES).then_some(())
}

/// Writes an e-mail address in lower case to `out`, which is emptied first; takes it out of
/// `Name <address>`. Gives where its domain starts.
pub(crate) fn push_email(text: &str, out: &mut Vec<u8>) -> Option<usize> {
    out.clear();
    let text = text.trim();
    let text = match text.rsplit_once('<') {
        Some((_, address)) => address.split('>').next().unwrap_or(address),
        None => text,
    };
    let text = text.trim_matches(|c: char| matches!(c, '"' | '\'' | ';' | ',' | '<' | '>' | ' '));
    let scheme = text
        .get(..7)
        .filter(|start| start.eq_ignore_ascii_case("mailto:"));
    let text = scheme.map_or(text, |start| text.get(start.len()..).unwrap_or_default());
    let (user, domain) = text.rsplit_once('@')?;
    if user.is_empty()
        || user.len() > 256
        || user.contains(['"', '`', ':', '<', '>'])
        || text.contains(char::is_whitespace)
    {
        return None;
    }
    out.extend_from_slice(user.to_lowercase().as_bytes());
    out.push(b'@');
    let start = out.len();
    push_domain(domain, out)?;
    Some(start)
}

/// Writes hex digits as bytes to `out`, which is emptied first.
pub(crate) fn push_hex(text: &str, out: &mut Vec<u8>) -> Option<()> {
    out.clear();
    if !matches!(text.len(), 32 | 40 | 64 | 128) {
        return None;
    }
    out.resize(text.len() / 2, 0);
    hex::decode_to_slice(text, out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Result<(IndicatorKind, &str), ValueError>) {
        let found = Value::detect(text);
        let found = found.map(|value| (value.kind(), value.to_string()));
        assert_eq!(
            found,
            expected.map(|(kind, text)| (kind, text.to_owned())),
            "{text}"
        );
    }

    #[test]
    fn forms_tell_kinds() {
        use IndicatorKind as K;
        check("203.0.113.7", Ok((K::Address, "203.0.113.7")));
        check("203.0.113.7:8080", Ok((K::Address, "203.0.113.7")));
        check("203[.]0.113[.]7", Ok((K::Address, "203.0.113.7")));
        check("::ffff:203.0.113.7", Ok((K::Address, "203.0.113.7")));
        check("2001:DB8::7", Ok((K::Address, "2001:db8::7")));
        check("[2001:db8::7]:443", Ok((K::Address, "2001:db8::7")));
        check("203.0.113.77/24", Ok((K::Network, "203.0.113.0/24")));
        check("203.0.113.7/32", Ok((K::Address, "203.0.113.7")));
        check("2001:db8:1::/48", Ok((K::Network, "2001:db8:1::/48")));
        check("Evil.Example.", Ok((K::Domain, "evil.example")));
        check("*.evil.example", Ok((K::Domain, "evil.example")));
        check("||evil.example^", Ok((K::Domain, "evil.example")));
        check("evil[.]example:443", Ok((K::Domain, "evil.example")));
        check(
            "b\u{fc}cher.example",
            Ok((K::Domain, "xn--bcher-kva.example")),
        );
        check(
            "hxxps://evil[.]example/A",
            Ok((K::Url, "https://evil.example/A")),
        );
        check("evil.example/a", Ok((K::Url, "http://evil.example/a")));
        check("ftp://evil.example/a", Ok((K::Url, "ftp://evil.example/a")));
        check(
            "Bad.Person[at]Evil[.]example",
            Ok((K::Email, "bad.person@evil.example")),
        );
        check(&"Ab".repeat(16), Ok((K::Md5, &"ab".repeat(16))));
        check(&"Ab".repeat(32), Ok((K::Sha256, &"ab".repeat(32))));
        check(
            "t13d1516h2_8daaf6152771_b186095e22b6",
            Ok((K::Ja4, "t13d1516h2_8daaf6152771_b186095e22b6")),
        );
    }

    #[test]
    fn what_says_nothing_is_refused() {
        check("", Err(ValueError::Empty));
        check("localhost", Err(ValueError::OneLabel));
        check("127.0.0.1", Err(ValueError::NoRemote));
        check("0.0.0.0/0", Err(ValueError::TooWide));
        check("10.0.0.0/8", Err(ValueError::Private));
        check("192.168.0.0/16", Err(ValueError::Private));
        check("::/0", Err(ValueError::TooWide));
        check("1.2.3.4/40", Err(ValueError::NotA(IndicatorKind::Network)));
        check("256.1.1.1", Err(ValueError::NotA(IndicatorKind::Domain)));
        check("two words", Err(ValueError::Unknown));
        check("abcdef0123", Err(ValueError::Unknown));
        check(&"a".repeat(5000), Err(ValueError::TooLong));
        assert!(Value::parse(IndicatorKind::Ja3, "zz").is_err());
    }

    #[test]
    fn addresses_are_read_as_events_write_them() {
        for text in ["fe80::1%eth0", "[fe80::1%25eth0]:53", "fe80::1"] {
            assert_eq!(parse_address(text), "fe80::1".parse().ok(), "{text}");
        }
        for text in [
            "1.2.3",
            "::ffff:1.2.3.4.5",
            "a.b.c.d",
            "-",
            "1.2.3.4:x",
            "\u{fc}:1",
        ] {
            assert_eq!(parse_address(text), None, "{text}");
        }
    }
}
