//! Which form a text record has, judged by its first bytes; cheap enough for every record.

use crate::time::{month_number, parse_iso_prefix};

/// The form of one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineForm {
    /// A JSON object or list.
    Json,
    /// Syslog in one of its forms.
    Syslog,
    /// A Windows event as XML.
    WindowsXml,
    /// The Linux audit log.
    Auditd,
    /// A web server's access log.
    AccessLog,
    /// A web server's error log.
    WebErrorLog,
    /// An entry of the journal export format.
    JournalExport,
    /// ArcSight's Common Event Format, with or without something before it.
    Cef,
    /// IBM's Log Event Extended Format, likewise.
    Leef,
    /// A line of a container as the CRI writes it: time, stream, tag, text.
    Cri,
    /// `key=value` pairs.
    KeyValue,
    /// Nothing known.
    Plain,
}

/// Judges the form of a record.
pub fn line_form(text: &str) -> LineForm {
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let bytes = text.as_bytes();
    match bytes.first() {
        None => LineForm::Plain,
        Some(b'{') => LineForm::Json,
        Some(b'[') => bracket_form(text),
        Some(b'<') => angle_form(bytes),
        Some(b'_') if text.starts_with("__CURSOR=") || text.starts_with("__REALTIME") => {
            LineForm::JournalExport
        }
        Some(b't') if text.starts_with("type=") && audit_stamp(text) => LineForm::Auditd,
        Some(b'n') if text.starts_with("node=") && audit_stamp(text) => LineForm::Auditd,
        Some(b'C') if crate::cef::find(text) == Some(0) => LineForm::Cef,
        Some(b'L') if crate::leef::find(text) == Some(0) => LineForm::Leef,
        Some(b'0'..=b'9') => number_form(text),
        Some(b'A'..=b'Z' | b'*') if starts_with_month(text) => LineForm::Syslog,
        _ if crate::access_log::looks_like(text) => LineForm::AccessLog,
        _ if has_mnemonic(text) => LineForm::Syslog,
        _ if crate::cef::find(text).is_some() => LineForm::Cef,
        _ if crate::leef::find(text).is_some() => LineForm::Leef,
        _ if crate::key_value::looks_like(text) => LineForm::KeyValue,
        _ => LineForm::Plain,
    }
}

fn audit_stamp(text: &str) -> bool {
    crate::sink::clip(text, 200).contains("msg=audit(")
}

fn bracket_form(text: &str) -> LineForm {
    let next = text.trim_start_matches('[').trim_start().as_bytes().first();
    match next {
        Some(b'{' | b'"' | b']') => LineForm::Json,
        _ if text.get(1..).and_then(crate::time::parse_ctime).is_some() => LineForm::WebErrorLog,
        Some(b'0'..=b'9' | b'-') if is_number_list(text) => LineForm::Json,
        _ => LineForm::Plain,
    }
}

/// `[1, 2]`, and not `[2026-11-24T08:38:01][WARN ][x]`.
fn is_number_list(text: &str) -> bool {
    let inside = text.trim_start_matches('[');
    let first = inside.split([',', ']']).next().unwrap_or("");
    text.ends_with(']') && first.trim().parse::<f64>().is_ok()
}

fn angle_form(bytes: &[u8]) -> LineForm {
    match bytes.get(1) {
        Some(b'0'..=b'9') => LineForm::Syslog,
        Some(b'E') if bytes.starts_with(b"<Event") => LineForm::WindowsXml,
        Some(b'?') => {
            let head = bytes.get(..400.min(bytes.len())).unwrap_or(bytes);
            if memchr::memmem::find(head, b"<Event").is_some() {
                LineForm::WindowsXml
            } else {
                LineForm::Plain
            }
        }
        _ => LineForm::Plain,
    }
}

fn number_form(text: &str) -> LineForm {
    if crate::access_log::looks_like(text) {
        return LineForm::AccessLog;
    }
    // RFC 5424 without its priority.
    if let Some(rest) = text.strip_prefix("1 ")
        && parse_iso_prefix(rest).is_some()
    {
        return LineForm::Syslog;
    }
    let Some((_, rest)) = parse_iso_prefix(text) else {
        return if has_mnemonic(text) {
            LineForm::Syslog
        } else if crate::cef::find(text).is_some() {
            LineForm::Cef
        } else if crate::leef::find(text).is_some() {
            LineForm::Leef
        } else if crate::key_value::looks_like(text) || pairs_after_address(text) {
            LineForm::KeyValue
        } else if year_and_month(text) {
            LineForm::Syslog
        } else {
            LineForm::Plain
        };
    };
    let rest = rest.trim_start();
    if text.as_bytes().get(4) == Some(&b'/') && rest.starts_with('[') {
        return LineForm::WebErrorLog;
    }
    if is_cri(rest) {
        return LineForm::Cri;
    }
    if crate::cef::find(text).is_some() {
        return LineForm::Cef;
    }
    if crate::leef::find(text).is_some() {
        return LineForm::Leef;
    }
    // rsyslog's file format: ISO time, host, tag with a colon.
    let mut words = rest.split(' ');
    let host = words.next().unwrap_or("");
    let tag = words.next().unwrap_or("");
    let is_host = !host.is_empty() && !host.starts_with('[') && !host.ends_with(':');
    if text.as_bytes().get(10) == Some(&b'T') && is_host && tag.ends_with(':') {
        LineForm::Syslog
    } else {
        LineForm::Plain
    }
}

/// `192.0.2.1 id=firewall sn=…`: a relay wrote the sender's address before the pairs.
fn pairs_after_address(text: &str) -> bool {
    text.split_once(' ').is_some_and(|(first, rest)| {
        first.parse::<std::net::IpAddr>().is_ok() && crate::key_value::looks_like(rest.trim_start())
    })
}

/// `2026 Aug 21 11:29:42 switch %ETHPORT-5-IF_UP: …`, as Cisco NX-OS writes the time.
pub(crate) fn year_and_month(text: &str) -> bool {
    let is_year = |year: &str| year.bytes().all(|byte| byte.is_ascii_digit());
    text.get(..4).is_some_and(is_year)
        && text.as_bytes().get(4) == Some(&b' ')
        && text.get(5..).is_some_and(starts_with_month)
}

/// Whether `stdout F ` or its like follows the time.
fn is_cri(rest: &str) -> bool {
    let mut words = rest.splitn(3, ' ');
    matches!(words.next(), Some("stdout" | "stderr")) && matches!(words.next(), Some("F" | "P"))
}

/// Whether a line holds a mnemonic of network devices, such as `: %SYS-5-CONFIG_I: `.
fn has_mnemonic(text: &str) -> bool {
    let head = crate::sink::clip(text, 160);
    let Some((_, rest)) = head.split_once(": %") else {
        return false;
    };
    let mut parts = rest.splitn(3, '-');
    let facility = parts.next().unwrap_or("");
    let severity = parts.next().unwrap_or("");
    !facility.is_empty()
        && facility
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
        && matches!(severity.as_bytes(), [b'0'..=b'7'])
}

pub(crate) fn starts_with_month(text: &str) -> bool {
    let text = text.trim_start_matches('*');
    let bytes = text.as_bytes();
    text.get(..3)
        .is_some_and(|name| month_number(name).is_some())
        && bytes.get(3) == Some(&b' ')
        && bytes
            .get(4)
            .is_some_and(|byte| *byte == b' ' || byte.is_ascii_digit())
        && bytes
            .get(5)
            .is_some_and(|byte| *byte == b' ' || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_told_apart() {
        let cases = [
            ("{\"a\":1}", LineForm::Json),
            ("[{\"a\":1}]", LineForm::Json),
            ("[1, 2]", LineForm::Json),
            ("[2026-11-24T08:38:01,123][WARN ][x]", LineForm::Plain),
            ("<34>Oct 11 22:14:15 mymachine su: x", LineForm::Syslog),
            ("<Event xmlns='x'>", LineForm::WindowsXml),
            ("type=SYSCALL msg=audit(1:2): a0=1", LineForm::Auditd),
            ("May  1 12:00:00 web-01 sshd[1]: x", LineForm::Syslog),
            (
                "2024-05-01T12:00:00.1+02:00 web-01 sshd[1]: x",
                LineForm::Syslog,
            ),
            (
                "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 1",
                LineForm::AccessLog,
            ),
            (
                "2024/05/01 12:00:00 [error] 1#1: *5 open() failed",
                LineForm::WebErrorLog,
            ),
            (
                "[Wed Oct 11 14:32:52 2000] [error] x",
                LineForm::WebErrorLog,
            ),
            ("date=2024-05-01 devname=fw action=deny", LineForm::KeyValue),
            (
                "172.16.5.10 67: Feb 17 13:40:03.6: %SYS-5-CONFIG_I: x",
                LineForm::Syslog,
            ),
            ("CEF:0|V|P|1|2|n|3|a=b", LineForm::Cef),
            (
                "2026-11-24T11:00:00Z fw CEF:0|V|P|1|2|n|3|a=b",
                LineForm::Cef,
            ),
            ("LEEF:2.0|V|P|1|2|^|a=b", LineForm::Leef),
            ("see CEF: the format", LineForm::Plain),
            ("1 2026-11-24T11:00:00Z h a - - - m", LineForm::Syslog),
            ("2026-11-24T11:00:00.1Z stdout F hello", LineForm::Cri),
            ("A new process has been created", LineForm::Plain),
            ("", LineForm::Plain),
        ];
        for (line, expected) in cases {
            assert_eq!(line_form(line), expected, "{line}");
        }
    }
}
