//! URLs in the one form that is compared.
//!
//! Scheme and host are lower case, `http` and `https` are one (what a proxy logs of a request
//! is often `//host/path`), default ports, user names and fragments are dropped, escapes are
//! upper case and those of unreserved characters are written out.
//!
//! # Source
//! RFC 3986, section 6.2, without the removal of dot segments, which clients do themselves.

use std::net::Ipv6Addr;

use crate::value::push_domain;

/// Longest URL that is looked at, in bytes.
pub(crate) const MAX_URL_BYTES: usize = 8192;

/// What a URL is about beside itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UrlParts {
    /// Whether it said `https`.
    pub is_tls: bool,
    /// Where the host stands in the key.
    pub host: (usize, usize),
}

/// Writes a URL's key to `out`, which is emptied first. Without a scheme it is taken for
/// `http`. `None` if it has no host or is too long.
pub(crate) fn push_url(text: &str, out: &mut Vec<u8>) -> Option<UrlParts> {
    out.clear();
    let text = text.trim();
    if text.is_empty() || text.len() > MAX_URL_BYTES {
        return None;
    }
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
        _ => ("http", text.strip_prefix("//").unwrap_or(text)),
    };
    let is_tls = scheme.eq_ignore_ascii_case("https");
    if !is_tls && !scheme.eq_ignore_ascii_case("http") {
        out.extend(scheme.bytes().map(|byte| byte.to_ascii_lowercase()));
        out.extend_from_slice(b"://");
    }
    let end = rest.find(['/', '?', '#', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let start = out.len();
    let port = push_host(authority, out)?;
    let host = (start, out.len());
    push_port(scheme, port, out)?;
    push_path(path, out);
    Some(UrlParts { is_tls, host })
}

fn is_scheme(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
    text.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        && text.len() <= 32
        && text.bytes().all(is_word)
}

/// Writes the host and gives the port's text.
fn push_host<'a>(authority: &'a str, out: &mut Vec<u8>) -> Option<&'a str> {
    if let Some(bracketed) = authority.strip_prefix('[') {
        let (address, rest) = bracketed.split_once(']')?;
        let address: Ipv6Addr = address.parse().ok()?;
        out.extend_from_slice(format!("[{address}]").as_bytes());
        return Some(rest.strip_prefix(':').unwrap_or(""));
    }
    let (host, port) = authority.split_once(':').unwrap_or((authority, ""));
    push_domain(host, out)?;
    Some(port)
}

fn push_port(scheme: &str, port: &str, out: &mut Vec<u8>) -> Option<()> {
    if port.is_empty() {
        return Some(());
    }
    let port: u16 = port.parse().ok()?;
    let standard = match scheme.to_ascii_lowercase().as_str() {
        "http" => 80,
        "https" => 443,
        "ftp" => 21,
        _ => 0,
    };
    if port != standard {
        out.extend_from_slice(format!(":{port}").as_bytes());
    }
    Some(())
}

fn push_path(path: &str, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let path = path.split('#').next().unwrap_or(path);
    if !path.starts_with(['/', '\\']) {
        out.push(b'/');
    }
    let bytes = path.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        let escaped = (byte == b'%')
            .then(|| escape(bytes.get(at..at + 2)?))
            .flatten();
        match (byte, escaped) {
            (_, Some(plain)) if is_unreserved(plain) => {
                out.push(plain);
                at += 2;
            }
            (_, Some(plain)) => {
                let (high, low) = (usize::from(plain >> 4), usize::from(plain & 15));
                out.extend_from_slice(&[b'%', HEX[high], HEX[low]]);
                at += 2;
            }
            (b'\\', None) => out.push(b'/'),
            (0..=0x20 | 0x7f.., None) => {
                let (high, low) = (usize::from(byte >> 4), usize::from(byte & 15));
                out.extend_from_slice(&[b'%', HEX[high], HEX[low]]);
            }
            (_, None) => out.push(byte),
        }
    }
}

fn escape(pair: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let [high, low] = pair else {
        return None;
    };
    u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let mut out = Vec::new();
        let parts = push_url(text, &mut out);
        let key = parts.map(|_| String::from_utf8(out).unwrap());
        assert_eq!(key.as_deref(), expected, "{text}");
    }

    #[test]
    fn one_url_has_one_key() {
        check(
            "HTTP://Evil.Example:80/A?b=C#frag",
            Some("evil.example/A?b=C"),
        );
        check("https://evil.example:443", Some("evil.example/"));
        check("http://evil.example:443/", Some("evil.example:443/"));
        check("evil.example?q", Some("evil.example/?q"));
        check("//evil.example./x", Some("evil.example/x"));
        check(
            "http://user:pw@evil.example/%7euser/%2f",
            Some("evil.example/~user/%2F"),
        );
        check(
            "http://b\u{fc}cher.example/\u{fc}",
            Some("xn--bcher-kva.example/%C3%BC"),
        );
        check(
            "http://[2001:DB8:0::1]:8080/x",
            Some("[2001:db8::1]:8080/x"),
        );
        check("ftp://evil.example:21/x", Some("ftp://evil.example/x"));
        check("http://1.2.3.4/100%", Some("1.2.3.4/100%"));
        check("http:///x", None);
        check("http://a:b:c/x", None);
        check("", None);
    }
}
