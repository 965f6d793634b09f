//! Grok: named patterns in place of regular expressions, `%{IP:src_ip}`.
//!
//! A pattern is put in for its name, and the names of the fields become named groups. The
//! result is a regular expression that takes time in proportion to its text: patterns have no
//! look-around and no back references, and nesting has an end.
//!
//! # Source
//! Logstash, `logstash-patterns-core`, the names of `grok-patterns`.

/// Deepest nesting of patterns within patterns.
const DEPTH_MAX: usize = 16;
/// Longest regular expression that comes out, in bytes.
const EXPANDED_BYTES_MAX: usize = 64 * 1024;

/// Why an expression cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum GrokError {
    #[error("no grok pattern '{0}'")]
    Unknown(String),
    #[error("'%{{' without '}}'")]
    Open,
    #[error("patterns are nested too deep or too long when put in")]
    Size,
    #[error("'{0}' is no name of a field")]
    Name(String),
}

/// Patterns by name; each may use the others.
const PATTERNS: &[(&str, &str)] = &[
    ("USERNAME", r"[a-zA-Z0-9._-]+"),
    ("USER", "%{USERNAME}"),
    ("EMAILLOCALPART", r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}"),
    ("EMAILADDRESS", "%{EMAILLOCALPART}@%{HOSTNAME}"),
    ("HTTPDUSER", r"(?:%{EMAILADDRESS}|%{USER})"),
    ("INT", r"[+-]?[0-9]+"),
    ("BASE10NUM", r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"),
    ("NUMBER", "%{BASE10NUM}"),
    ("BASE16NUM", r"[+-]?(?:0x)?[0-9A-Fa-f]+"),
    ("POSINT", r"[1-9][0-9]*"),
    ("NONNEGINT", r"[0-9]+"),
    ("WORD", r"\b\w+\b"),
    ("NOTSPACE", r"\S+"),
    ("SPACE", r"\s*"),
    ("DATA", r".*?"),
    ("GREEDYDATA", r".*"),
    (
        "QUOTEDSTRING",
        r#"(?:"(?:\\.|[^\\"])*"|'(?:\\.|[^\\'])*'|`(?:\\.|[^\\`])*`)"#,
    ),
    ("QS", "%{QUOTEDSTRING}"),
    (
        "UUID",
        r"[A-Fa-f0-9]{8}-(?:[A-Fa-f0-9]{4}-){3}[A-Fa-f0-9]{12}",
    ),
    ("CISCOMAC", r"(?:[A-Fa-f0-9]{4}\.){2}[A-Fa-f0-9]{4}"),
    ("WINDOWSMAC", r"(?:[A-Fa-f0-9]{2}-){5}[A-Fa-f0-9]{2}"),
    ("COMMONMAC", r"(?:[A-Fa-f0-9]{2}:){5}[A-Fa-f0-9]{2}"),
    ("MAC", "(?:%{CISCOMAC}|%{WINDOWSMAC}|%{COMMONMAC})"),
    (
        "IPV4",
        r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])",
    ),
    (
        "IPV6",
        r"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:[0-9A-Fa-f]{1,4}|%{IPV4})?(?:%[0-9A-Za-z]+)?",
    ),
    ("IP", "(?:%{IPV6}|%{IPV4})"),
    (
        "HOSTNAME",
        r"\b[0-9A-Za-z_][0-9A-Za-z_-]{0,62}(?:\.[0-9A-Za-z_][0-9A-Za-z_-]{0,62})*\.?\b",
    ),
    ("HOST", "%{HOSTNAME}"),
    ("IPORHOST", "(?:%{IP}|%{HOSTNAME})"),
    ("HOSTPORT", "%{IPORHOST}:%{POSINT}"),
    ("UNIXPATH", r"(?:/[^\s/]*)+"),
    ("WINPATH", r"(?:[A-Za-z]+:|\\)(?:\\[^\\?*]*)+"),
    ("PATH", "(?:%{UNIXPATH}|%{WINPATH})"),
    ("TTY", r"(?:/dev/(?:pts|tty(?:[pq])?)(?:\w+)?/?(?:[0-9]+))"),
    ("URIPROTO", r"[A-Za-z](?:[A-Za-z0-9+.-]+)+"),
    ("URIHOST", "%{IPORHOST}(?::%{POSINT})?"),
    ("URIPATH", r"(?:/[A-Za-z0-9$.+!*'(){},~:;=@#%&_-]*)+"),
    ("URIPARAM", r"\?[A-Za-z0-9$.+!*'|(){},~@#%&/=:;_?\[\]<>-]*"),
    ("URIPATHPARAM", "%{URIPATH}(?:%{URIPARAM})?"),
    (
        "URI",
        "%{URIPROTO}://(?:%{USER}(?::[^@]*)?@)?(?:%{URIHOST})?(?:%{URIPATHPARAM})?",
    ),
    (
        "MONTH",
        r"\b(?:[Jj]an(?:uary)?|[Ff]eb(?:ruary)?|[Mm]ar(?:ch)?|[Aa]pr(?:il)?|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug(?:ust)?|[Ss]ep(?:tember)?|[Oo]ct(?:ober)?|[Nn]ov(?:ember)?|[Dd]ec(?:ember)?)\b",
    ),
    ("MONTHNUM", r"(?:0?[1-9]|1[0-2])"),
    ("MONTHNUM2", r"(?:0[1-9]|1[0-2])"),
    ("MONTHDAY", r"(?:3[01]|[12][0-9]|0?[1-9])"),
    (
        "DAY",
        r"(?:Mon(?:day)?|Tue(?:sday)?|Wed(?:nesday)?|Thu(?:rsday)?|Fri(?:day)?|Sat(?:urday)?|Sun(?:day)?)",
    ),
    ("YEAR", r"(?:[0-9]{4}|[0-9]{2})"),
    ("HOUR", r"(?:2[0123]|[01]?[0-9])"),
    ("MINUTE", r"(?:[0-5][0-9])"),
    ("SECOND", r"(?:(?:[0-5]?[0-9]|60)(?:[:.,][0-9]+)?)"),
    ("TIME", "%{HOUR}:%{MINUTE}(?::%{SECOND})?"),
    ("DATE_US", "%{MONTHNUM}[/-]%{MONTHDAY}[/-]%{YEAR}"),
    ("DATE_EU", "%{MONTHDAY}[./-]%{MONTHNUM}[./-]%{YEAR}"),
    ("DATE", "(?:%{DATE_US}|%{DATE_EU})"),
    ("ISO8601_TIMEZONE", r"(?:Z|[+-]%{HOUR}(?::?%{MINUTE}))"),
    (
        "TIMESTAMP_ISO8601",
        "%{YEAR}-%{MONTHNUM}-%{MONTHDAY}[T ]%{HOUR}:?%{MINUTE}(?::?%{SECOND})?%{ISO8601_TIMEZONE}?",
    ),
    ("DATESTAMP", "%{DATE}[- ]%{TIME}"),
    ("TZ", r"(?:[A-Z]{3,4})"),
    (
        "DATESTAMP_RFC822",
        "%{DAY} %{MONTH} %{MONTHDAY} %{YEAR} %{TIME} %{TZ}",
    ),
    (
        "DATESTAMP_RFC2822",
        "%{DAY}, %{MONTHDAY} %{MONTH} %{YEAR} %{TIME} %{ISO8601_TIMEZONE}",
    ),
    (
        "DATESTAMP_OTHER",
        "%{DAY} %{MONTH} %{MONTHDAY} %{TIME} %{TZ} %{YEAR}",
    ),
    ("SYSLOGTIMESTAMP", "%{MONTH} +%{MONTHDAY} %{TIME}"),
    ("PROG", r"[\x21-\x5a\x5c\x5e-\x7e]+"),
    (
        "SYSLOGPROG",
        r"%{PROG:process.name}(?:\[%{POSINT:process.pid}\])?",
    ),
    ("SYSLOGHOST", "%{IPORHOST}"),
    ("SYSLOGFACILITY", "<%{NONNEGINT}.%{NONNEGINT}>"),
    ("HTTPDATE", "%{MONTHDAY}/%{MONTH}/%{YEAR}:%{TIME} %{INT}"),
    (
        "LOGLEVEL",
        r"(?i:alert|trace|debug|notice|info(?:rmation)?|warn(?:ing)?|err(?:or)?|crit(?:ical)?|fatal|severe|emerg(?:ency)?)",
    ),
];

/// The regular expression that a grok expression stands for.
pub(crate) fn expand(text: &str) -> Result<String, GrokError> {
    let mut out = String::new();
    put(text, &mut out, 0)?;
    Ok(out)
}

fn put(text: &str, out: &mut String, depth: usize) -> Result<(), GrokError> {
    if depth > DEPTH_MAX {
        return Err(GrokError::Size);
    }
    let mut rest = text;
    while let Some((before, inside)) = rest.split_once("%{") {
        out.push_str(before);
        let (reference, after) = inside.split_once('}').ok_or(GrokError::Open)?;
        rest = after;
        // The third part, a type, says nothing here: attributes have their own.
        let mut parts = reference.splitn(3, ':');
        let name = parts.next().unwrap_or("").trim();
        let pattern = PATTERNS
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, pattern)| *pattern)
            .ok_or_else(|| GrokError::Unknown(name.to_owned()))?;
        match parts
            .next()
            .map(str::trim)
            .filter(|field| !field.is_empty())
        {
            Some(field) => {
                out.push_str("(?P<");
                out.push_str(&group(field)?);
                out.push('>');
            }
            None => out.push_str("(?:"),
        }
        put(pattern, out, depth + 1)?;
        out.push(')');
        if out.len() > EXPANDED_BYTES_MAX {
            return Err(GrokError::Size);
        }
    }
    out.push_str(rest);
    Ok(())
}

/// The name of a field: `source.ip` stays, `[source][ip]` becomes it.
fn group(field: &str) -> Result<String, GrokError> {
    let name = field
        .trim_start_matches('[')
        .trim_end_matches(']')
        .replace("][", ".");
    let starts_well = name
        .chars()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    let is_name = starts_well
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "._".contains(character));
    if is_name {
        Ok(name)
    } else {
        Err(GrokError::Name(field.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured(pattern: &str, text: &str, name: &str) -> Option<String> {
        let regex = regex::Regex::new(&expand(pattern).expect("expands")).expect("compiles");
        let found = regex.captures(text)?.name(name)?;
        Some(found.as_str().to_owned())
    }

    #[test]
    fn every_pattern_compiles() {
        for (name, _) in PATTERNS {
            let expanded = expand(&format!("%{{{name}:x}}")).expect(name);
            regex::Regex::new(&expanded).expect(name);
        }
    }

    #[test]
    fn fields_are_named() {
        let line = "Nov 24 11:00:00 web-01 sshd[7]: from 2001:db8::7 port 22";
        let pattern = "%{SYSLOGTIMESTAMP:time} %{SYSLOGHOST:host} %{SYSLOGPROG}: from %{IP:[source][ip]} port %{INT:port:int}";
        for (name, expected) in [
            ("time", "Nov 24 11:00:00"),
            ("host", "web-01"),
            ("process.name", "sshd"),
            ("process.pid", "7"),
            ("source.ip", "2001:db8::7"),
            ("port", "22"),
        ] {
            assert_eq!(captured(pattern, line, name).as_deref(), Some(expected));
        }
        assert_eq!(
            captured("^%{HTTPDATE:t}$", "24/Nov/2026:11:00:00 +0000", "t").as_deref(),
            Some("24/Nov/2026:11:00:00 +0000")
        );
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(expand("%{NOPE}"), Err(GrokError::Unknown("NOPE".into())));
        assert_eq!(expand("%{IP"), Err(GrokError::Open));
        assert_eq!(expand("%{IP:a b}"), Err(GrokError::Name("a b".into())));
        assert_eq!(expand("%{URI} ".repeat(400).as_str()), Err(GrokError::Size));
    }
}
