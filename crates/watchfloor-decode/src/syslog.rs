//! Syslog in the forms that are met: RFC 5424 with structured data, RFC 3164 with any of its
//! parts missing, and rsyslog's file format with ISO time stamps.
//!
//! Fields: `syslog.facility`, `syslog.severity`, `syslog.hostname`, `syslog.appname`,
//! `syslog.procid`, `syslog.msgid`, `syslog.sd.<id>.<name>` and `message`.
//!
//! # Source
//! RFC 5424; RFC 3164; rsyslog manual, `RSYSLOG_FileFormat`.

use watchfloor_event::{AnomalyCode, ValueKind};

use crate::detect::{starts_with_month, year_and_month};
use crate::json;
use crate::sink::{Sink, clip};
use crate::time::{Moment, parse_epoch, parse_iso_prefix, parse_rfc3164_prefix};

/// Zones that some devices write in small letters.
const SMALL_ZONES: [&str; 10] = [
    "utc", "gmt", "est", "edt", "cst", "cdt", "mst", "mdt", "pst", "pdt",
];

/// Longest tag that is taken as a program's name, in bytes.
const TAG_BYTES_MAX: usize = 128;

/// Relays that put a header of their own before that of the device; more are not looked into.
const RELAYS_MAX: u8 = 3;

/// Words that stand where a host would, in lines of programs that are no syslog.
const LEVELS: [&str; 14] = [
    "trace", "debug", "info", "notice", "warn", "warning", "error", "err", "fatal", "critical",
    "crit", "severe", "panic", "verbose",
];

/// Facilities of syslog by number, as Solaris and AIX write them into the text.
const FACILITIES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "console", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// Severities of syslog by number, likewise.
const SEVERITIES: [&str; 8] = [
    "emerg", "alert", "crit", "err", "warn", "notice", "info", "debug",
];

/// Decodes one line; false if nothing of it looks like syslog.
pub(crate) fn decode(sink: &mut Sink<'_>, text: &str, buffers: &mut json::Buffers) -> bool {
    decode_relayed(sink, text, buffers, 0)
}

fn decode_relayed(
    sink: &mut Sink<'_>,
    text: &str,
    buffers: &mut json::Buffers,
    relays: u8,
) -> bool {
    let text = text
        .trim_start_matches('\u{feff}')
        .trim_end_matches(['\r', '\n', '\0']);
    let (priority, rest) = match split_priority(text) {
        Some((priority, rest)) => (Some(priority), rest),
        None => (None, text),
    };
    if let Some(priority) = priority {
        put_number(sink, "syslog.facility", priority / 8);
        put_number(sink, "syslog.severity", priority % 8);
    }
    if let Some(rest) = rest.strip_prefix("1 ") {
        if let Some(message) = header_epoch(sink, rest) {
            body(sink, message, buffers);
            return true;
        }
        let is_5424 = priority.is_some() || parse_iso_prefix(rest).is_some();
        if is_5424 && let Some(message) = header_5424(sink, rest) {
            body(sink, message, buffers);
            return true;
        }
    }
    match header_3164(sink, rest, priority.is_some()) {
        Some(message) => {
            let is_relayed = relays < RELAYS_MAX && has_own_header(message);
            if !(is_relayed && decode_relayed(sink, message, buffers, relays + 1)) {
                body(sink, message, buffers);
            }
            true
        }
        None if priority.is_some() => {
            let message = tag(sink, rest.trim_start()).unwrap_or(rest);
            body(sink, message, buffers);
            // Firewalls leave the header out and write the time inside.
            if !sink.has_own_time() {
                sink.note(AnomalyCode::TimeMissing, || "no time stamp".to_owned());
            }
            true
        }
        None => false,
    }
}

/// Whether the message behind a header begins with another: `<166>Nov 24 …` of a device behind a
/// relay, or RFC 5424 without its priority.
fn has_own_header(message: &str) -> bool {
    match split_priority(message) {
        Some((_, rest)) => {
            let rest = rest.strip_prefix("1 ").unwrap_or(rest);
            starts_with_month(rest) || parse_iso_prefix(rest).is_some()
        }
        None => message
            .strip_prefix("1 ")
            .is_some_and(|rest| parse_iso_prefix(rest).is_some()),
    }
}

/// A line with an ISO time and no host behind it is of a program that writes its own log:
/// `2026-11-24 10:01:27,123 WARN [org.keycloak] …`. In a file whose first line is syslog it is met
/// all the same. `rest` is what follows the time.
fn is_of_a_program(rest: &str) -> bool {
    let mut words = rest.split_whitespace();
    let word = words.next().unwrap_or("");
    // ChromeOS writes the level where the host would stand, and then the program.
    if words.next().is_some_and(|next| next.ends_with("]:")) {
        return false;
    }
    let level = word.trim_matches(|letter: char| !letter.is_ascii_alphanumeric());
    let is_level = LEVELS.iter().any(|known| level.eq_ignore_ascii_case(known));
    let begins = word.as_bytes().first();
    let is_marked =
        begins.is_none_or(|byte| matches!(byte, b'[' | b'(' | b'{' | b'|' | b'-' | b','));
    is_level || is_marked || word.ends_with(',')
}

fn split_priority(text: &str) -> Option<(u32, &str)> {
    let rest = text.strip_prefix('<')?;
    let (digits, rest) = rest.split_once('>')?;
    if digits.is_empty() || digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: u32 = digits.parse().ok()?;
    (number <= 191).then_some((number, rest))
}

fn put_number(sink: &mut Sink<'_>, name: &str, number: u32) {
    let digit = |number: u32| b'0' + u8::try_from(number % 10).unwrap_or(0);
    let digits = [digit(number / 10), digit(number)];
    let text = std::str::from_utf8(&digits).unwrap_or("0");
    let text = if number < 10 {
        text.get(1..).unwrap_or("0")
    } else {
        text
    };
    sink.put(name, ValueKind::Int, text);
}

/// The header of Cisco Meraki after `<PRI>1 `: seconds since 1970 with a fraction, host,
/// message.
fn header_epoch<'a>(sink: &mut Sink<'_>, rest: &'a str) -> Option<&'a str> {
    let (time, rest) = rest.split_once(' ')?;
    let moment = (time.len() > 9).then(|| parse_epoch(time)).flatten()?;
    let (host, message) = rest.split_once(' ')?;
    sink.own_time(Some(moment), time);
    sink.text("syslog.hostname", host);
    Some(message)
}

/// The header after `<PRI>1 `; gives the message.
fn header_5424<'a>(sink: &mut Sink<'_>, rest: &'a str) -> Option<&'a str> {
    let mut words = rest.splitn(6, ' ');
    let time = words.next()?;
    let host = words.next()?;
    // CyberArk writes JSON or CEF right after the host.
    let tail = rest.get(time.len() + host.len() + 2..).unwrap_or("");
    if (tail.starts_with('{') || tail.starts_with("CEF:") || tail.starts_with("LEEF:"))
        && let Some(moment) = crate::time::parse_iso(time)
    {
        sink.own_time(Some(moment), time);
        sink.text("syslog.hostname", host);
        return Some(tail);
    }
    let app = words.next()?;
    let process = words.next()?;
    let id = words.next()?;
    let rest = words.next().unwrap_or("-");
    if time != "-" {
        let moment = crate::time::parse_iso(time);
        // A time that is no time means that this is no RFC 5424 after all.
        if moment.is_none() && !time.as_bytes().first()?.is_ascii_digit() {
            return None;
        }
        sink.own_time(moment, time);
    } else {
        sink.note(AnomalyCode::TimeMissing, || "nil time stamp".to_owned());
    }
    for (name, value) in [
        ("syslog.hostname", host),
        ("syslog.appname", app),
        ("syslog.procid", process),
        ("syslog.msgid", id),
    ] {
        if value != "-" && !value.is_empty() {
            sink.scalar(name, value);
        }
    }
    let rest = structured_data(sink, rest);
    Some(
        rest.strip_prefix(' ')
            .unwrap_or(rest)
            .trim_start_matches('\u{feff}'),
    )
}

/// Reads `[id name="value" …]…` or `-` and gives what follows.
fn structured_data<'a>(sink: &mut Sink<'_>, text: &'a str) -> &'a str {
    if let Some(rest) = text.strip_prefix('-') {
        return rest;
    }
    let mut rest = text;
    let mut name = String::new();
    let mut value = String::new();
    while let Some(inside) = rest.strip_prefix('[') {
        let end = inside.find([' ', ']']).unwrap_or(inside.len());
        let (id, mut tail) = inside.split_at_checked(end).unwrap_or((inside, ""));
        // Check Point and others begin their message with a bracket.
        if id.contains([':', '"', '=']) || id.is_empty() {
            return rest;
        }
        let id = short_id(id);
        loop {
            tail = tail.trim_start_matches(' ');
            if let Some(after) = tail.strip_prefix(']') {
                rest = after;
                break;
            }
            let Some((key, after)) = tail.split_once("=\"") else {
                sink.note(AnomalyCode::Malformed, || {
                    "structured data ends early".to_owned()
                });
                return text;
            };
            value.clear();
            let Some(after) = quoted(after, &mut value) else {
                sink.note(AnomalyCode::Malformed, || {
                    "structured data ends early".to_owned()
                });
                return text;
            };
            name.clear();
            name.push_str("syslog.sd.");
            name.push_str(clip(id, 64));
            name.push('.');
            name.push_str(clip(key, 64));
            sink.text(&name, &value);
            tail = after;
        }
    }
    rest
}

/// `name@number` without what a vendor puts after its enterprise number: Juniper writes the
/// model there (`junos@2636.1.1.1.2.129`), and packs need one name for all models.
fn short_id(id: &str) -> &str {
    let Some(at) = id.find('@') else {
        return id;
    };
    let end = id.get(at..).and_then(|number| number.find('.'));
    end.and_then(|end| id.get(..at + end)).unwrap_or(id)
}

/// Reads up to the closing quote; a backslash takes the next character as it is.
fn quoted<'a>(text: &'a str, into: &mut String) -> Option<&'a str> {
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return text.get(at + 1..),
            '\\' => into.push(characters.next()?.1),
            other => into.push(other),
        }
    }
    None
}

/// The time, host and tag of RFC 3164; gives the message, or `None` without a time and for lines
/// of programs, which have no priority before them.
fn header_3164<'a>(sink: &mut Sink<'_>, text: &'a str, has_priority: bool) -> Option<&'a str> {
    let received_at = sink.batch.rows().get(sink.row)?.received_at;
    // ASA and NX-OS may write a lone colon before the time.
    let text = text.strip_prefix(':').map_or(text, str::trim_start);
    // Cisco writes a sequence number, and sometimes the host, before the time.
    let whole = text;
    let text = skip_sequence(sink, text);
    let is_numbered = text.len() < whole.len();
    let (moment, rest) = parse_rfc3164_prefix(text, received_at).or_else(|| {
        parse_iso_prefix(text)
            .filter(|(_, rest)| has_priority || is_numbered || !is_of_a_program(rest))
    })?;
    let shown = text.get(..text.len() - rest.len()).unwrap_or("");
    let (moment, rest) = year_or_offset(text, received_at, (moment, rest));
    sink.own_time(Some(moment), shown);
    let rest = skip_zone(rest);
    let has_colon = rest.starts_with(':');
    let rest = rest.strip_prefix(':').unwrap_or(rest).trim_start();
    // `fw-01: %ASA-6-…`: what looks like a tag is the host.
    if let Some((host, mnemonic)) = rest.split_once(": %")
        && !host.contains(' ')
        && !host.is_empty()
        && mnemonic.contains('-')
    {
        sink.text("syslog.hostname", host);
        return rest.get(host.len() + 2..);
    }
    // Cisco IOS: the host, if it is known, stood before the time.
    if is_numbered && has_colon {
        return Some(rest);
    }
    if let Some(rest) = of_a_system(sink, rest) {
        return Some(tag(sink, rest).unwrap_or(rest));
    }
    if let Some(message) = tag(sink, rest) {
        return Some(message_id(sink, message));
    }
    let (host, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    if !host.is_empty() && host.len() <= 255 {
        sink.text("syslog.hostname", host.trim_end_matches(':'));
    }
    // Cisco ASA puts a lone colon between host and mnemonic.
    let rest = rest.trim_start();
    let rest = rest.strip_prefix(": ").unwrap_or(rest);
    if let Some(rest) = of_a_system(sink, rest) {
        return Some(tag(sink, rest).unwrap_or(rest));
    }
    let message = tag(sink, rest).unwrap_or(rest);
    Some(message_id(sink, message))
}

/// Steps over what AIX writes before the program: `Message forwarded from host: `, whose host is
/// the one that is meant, and `auth|security:info `.
///
/// # Source
/// IBM AIX 7.3, `syslogd` daemon.
fn of_a_system<'a>(sink: &mut Sink<'_>, text: &'a str) -> Option<&'a str> {
    let forwarded = text.strip_prefix("Message forwarded from ");
    let mut rest = text;
    if let Some((host, after)) = forwarded.and_then(|after| after.split_once(": "))
        && !host.contains(' ')
    {
        sink.text("syslog.hostname", host);
        rest = after;
    }
    let word = rest.split(' ').next().unwrap_or("");
    if let Some((facility, severity)) = word.split_once(':')
        && put_level(sink, facility, severity)
    {
        rest = rest.get(word.len()..).unwrap_or("").trim_start();
    }
    if rest.len() == text.len() {
        return None;
    }
    sink.text("syslog.dialect", "aix");
    Some(rest)
}

/// Steps over `[ID 702911 auth.notice] `, which Solaris writes before the text.
///
/// # Source
/// Oracle Solaris 11.4, `syslogd(8)`, `log(4D)`.
fn message_id<'a>(sink: &mut Sink<'_>, text: &'a str) -> &'a str {
    let Some((inside, rest)) = text
        .strip_prefix("[ID ")
        .and_then(|inside| inside.split_once("] "))
    else {
        return text;
    };
    let (id, level) = inside.split_once(' ').unwrap_or((inside, ""));
    let (facility, severity) = level.split_once('.').unwrap_or((level, ""));
    let is_number = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || !put_level(sink, facility, severity) {
        return text;
    }
    sink.text("syslog.msgid", id);
    sink.text("syslog.dialect", "solaris");
    rest
}

/// Whether these are a facility and a severity by name; the numbers are put if no priority gave
/// them.
fn put_level(sink: &mut Sink<'_>, facility: &str, severity: &str) -> bool {
    let facility = if facility == "auth|security" {
        "auth"
    } else {
        facility
    };
    let severity = match severity {
        "error" => "err",
        "warning" => "warn",
        "panic" => "emerg",
        other => other,
    };
    let place = |names: &[&str], name: &str| {
        let found = names.iter().position(|known| *known == name)?;
        u32::try_from(found).ok()
    };
    let Some(severity) = place(&SEVERITIES, severity) else {
        return false;
    };
    let Some(facility) = place(&FACILITIES, facility) else {
        return false;
    };
    if sink.get("syslog.severity").is_none() {
        put_number(sink, "syslog.facility", facility);
        put_number(sink, "syslog.severity", severity);
    }
    true
}

/// What some devices write behind the clock: the year (`Nov 24 10:00:30 2026 H3C`, Comware), or
/// the distance from UTC (`Nov 24 2026 10:00:28+01:00 SW-A`, VRP).
fn year_or_offset<'a>(
    text: &str,
    received_at: jiff::Timestamp,
    (moment, rest): (Moment, &'a str),
) -> (Moment, &'a str) {
    if let Some(distance) = rest.get(..6).and_then(offset_seconds) {
        let seconds = moment.seconds - distance;
        return (Moment { seconds, ..moment }, rest.get(6..).unwrap_or(""));
    }
    let year = rest.get(1..5).filter(|year| {
        rest.starts_with(' ')
            && rest.as_bytes().get(5) == Some(&b' ')
            && (year.starts_with("19") || year.starts_with("20"))
            && year.bytes().all(|byte| byte.is_ascii_digit())
    });
    let (Some(year), Some(clock)) = (year, text.get(..text.len() - rest.len())) else {
        return (moment, rest);
    };
    let clock = clock.trim_start_matches(['*', '.']);
    match parse_rfc3164_prefix(&format!("{year} {clock}"), received_at) {
        Some((moment, "")) => (moment, rest.get(5..).unwrap_or("")),
        _ => (moment, rest),
    }
}

/// Seconds of `+01:00`.
fn offset_seconds(text: &str) -> Option<i64> {
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let number = |part: &str| (part.len() == 2).then(|| part.parse::<i64>().ok())?;
    Some(sign * (number(hours)? * 3_600 + number(minutes)? * 60))
}

/// Steps over the name of a zone, such as ` UTC` or ` UTC+07:30`, before a colon: network devices
/// write it.
fn skip_zone(rest: &str) -> &str {
    let word = rest.strip_prefix(' ').unwrap_or("");
    let end = colon_blank(clip(word, 16)).unwrap_or(0);
    let zone = word.get(..end).unwrap_or("");
    let letters = zone.find(['+', '-']).unwrap_or(end);
    let (name, offset) = zone.split_at_checked(letters).unwrap_or((zone, ""));
    let is_zone = (2..=5).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_uppercase())
        && offset
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b':'));
    if is_zone || SMALL_ZONES.contains(&zone) {
        word.get(end..).unwrap_or(rest)
    } else {
        rest
    }
}

/// Steps over what Cisco writes before the time, the host kept: `6705: `, `172.16.5.10 6705: `,
/// `45: rtr-01: `, `: host-1: 115649616: `. Without a time behind it nothing is stepped over.
fn skip_sequence<'a>(sink: &mut Sink<'_>, text: &'a str) -> &'a str {
    let mut rest = text;
    let mut host = "";
    for _ in 0..4 {
        let is_time = starts_with_month(rest.trim_start_matches(['*', '.']))
            || year_and_month(rest)
            || parse_iso_prefix(rest).is_some();
        if is_time {
            if !host.is_empty() {
                sink.text("syslog.hostname", host);
            }
            return rest;
        }
        let Some(colon) = colon_blank(rest) else {
            return text;
        };
        let head = rest.get(..colon).unwrap_or("");
        let (before, last) = head.rsplit_once(' ').unwrap_or(("", head));
        if before.contains(' ') || head.starts_with('%') {
            return text;
        }
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !before.is_empty() {
            return text;
        }
        let name = if is_number { before } else { last };
        if !name.is_empty() {
            host = name;
        }
        rest = rest.get(colon + 2..).unwrap_or("").trim_start();
    }
    text
}

/// Where the first colon stands that a blank follows.
fn colon_blank(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    memchr::memchr_iter(b':', bytes).find(|at| bytes.get(at + 1) == Some(&b' '))
}

/// Reads `name[pid]: ` and gives what follows; `None` if there is no tag.
fn tag<'a>(sink: &mut Sink<'_>, text: &'a str) -> Option<&'a str> {
    let head = clip(text, TAG_BYTES_MAX);
    // A Cisco mnemonic (`%SYS-5-CONFIG_I: …`) is part of the message.
    if head.starts_with('%') || head.starts_with("CEF:") || head.starts_with("LEEF:") {
        return Some(text);
    }
    if let Some(message) = tag_with_detail(sink, text) {
        return Some(message);
    }
    // After `name[pid]:` the blank may be missing.
    let bracket = head.find("]:").map(|end| end + 1).filter(|end| {
        !head
            .get(..*end)
            .unwrap_or(" ")
            .contains(char::is_whitespace)
    });
    let colon = bracket.or_else(|| colon_blank(head)).or_else(|| {
        let end = head.find(':')?;
        (end + 1 == text.len()).then_some(end)
    })?;
    let word = head.get(..colon)?;
    let (name, process) = match word.split_once('[') {
        Some((name, rest)) => (name, Some(rest.strip_suffix(']')?)),
        None => (word, None),
    };
    // sudo and others write `name (detail): `; a sentence with a colon has more blanks.
    if name.is_empty() || name.contains(char::is_whitespace) {
        return None;
    }
    sink.text("syslog.appname", name);
    if let Some(process) = process {
        sink.scalar("syslog.procid", process);
    }
    Some(text.get(colon + 1..)?.trim_start_matches(' '))
}

/// `krb5kdc[99](info): `, `com.apple.xpc.launchd[1] (com.x): `: a detail between the process and
/// the colon.
fn tag_with_detail<'a>(sink: &mut Sink<'_>, text: &'a str) -> Option<&'a str> {
    let head = clip(text, TAG_BYTES_MAX);
    let (name, rest) = head.split_once('[')?;
    let (process, rest) = rest.split_once(']')?;
    let detail = rest.trim_start_matches(' ').strip_prefix('(')?;
    let (detail, _) = detail.split_once("):")?;
    let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
    if !is_word(name) || !is_word(process) || detail.contains(['(', ')', ':']) {
        return None;
    }
    let end = head.find("):")? + 2;
    sink.text("syslog.appname", name);
    sink.scalar("syslog.procid", process);
    Some(text.get(end..)?.trim_start_matches(' '))
}

/// The message, and the fields of what it wraps.
fn body(sink: &mut Sink<'_>, message: &str, buffers: &mut json::Buffers) {
    sink.text("message", message);
    let inner = message
        .strip_prefix("@cee:")
        .unwrap_or(message)
        .trim_start();
    if inner.starts_with('{') {
        // Fields before a fault stay; the line as a whole is understood.
        let _ = json::decode(sink, inner, buffers);
        crate::windows::complete(sink);
    } else if let Some(rest) = crate::cef::find(inner).and_then(|at| inner.get(at..)) {
        crate::cef::decode(sink, rest);
    } else if let Some(rest) = crate::leef::find(inner).and_then(|at| inner.get(at..)) {
        crate::leef::decode(sink, rest);
    } else if inner.starts_with("type=") && inner.contains("msg=audit(") {
        crate::auditd::decode(sink, inner);
    } else if let Some(rest) = inner.strip_prefix("audit: type=") {
        crate::auditd::decode_kernel(sink, rest);
    } else if inner.starts_with("<Event") {
        crate::windows::xml::decode(sink, inner);
    } else if crate::access_log::looks_like(inner) {
        crate::access_log::decode(sink, inner);
    } else if crate::key_value::looks_like(inner) {
        crate::key_value::decode(sink, inner);
    }
}
