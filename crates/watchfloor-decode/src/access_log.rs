//! Access logs of web servers (common, combined, with a virtual host in front, with extras
//! behind) and their error logs. The names are those of W3C extended logs, as Sigma uses them.
//!
//! # Source
//! Apache HTTP Server, `mod_log_config`; nginx, `ngx_http_log_module`; W3C extended log
//! file format.

use watchfloor_event::{AnomalyCode, ValueKind};

use crate::sink::{Sink, clip};
use crate::time::{parse_clf, parse_ctime, parse_iso_prefix};

/// Whether a line has the time in brackets and a quoted request that access logs have.
pub(crate) fn looks_like(text: &str) -> bool {
    let head = clip(text, 400);
    let Some((before, rest)) = head.split_once(" [") else {
        return false;
    };
    // The addresses of proxies stand before the client with commas between them.
    let words = before.split(' ').filter(|word| !word.ends_with(','));
    if !(2..=4).contains(&words.count()) {
        return false;
    }
    let Some((time, rest)) = rest.split_once(']') else {
        return false;
    };
    rest.starts_with(" \"") && parse_clf(time).is_some()
}

/// Decodes one line of an access log.
pub(crate) fn decode(sink: &mut Sink<'_>, text: &str) -> bool {
    let text = text.trim_end_matches(['\r', '\n']);
    let Some((before, rest)) = text.split_once(" [") else {
        return false;
    };
    let Some((time, rest)) = rest.split_once(']') else {
        return false;
    };
    sink.own_time(parse_clf(time), time);
    peer(sink, before);
    let mut rest = rest.trim_start();
    let mut value = String::new();
    let Some(after) = rest
        .strip_prefix('"')
        .and_then(|rest| quoted(rest, &mut value))
    else {
        sink.note(AnomalyCode::Malformed, || {
            "the line ends inside the request".to_owned()
        });
        return true;
    };
    request(sink, &value);
    rest = after.trim_start();
    let mut place = 0;
    while !rest.is_empty() {
        let is_quoted = rest.starts_with('"');
        if let Some(inside) = rest.strip_prefix('"') {
            value.clear();
            rest = quoted(inside, &mut value).unwrap_or("").trim_start();
        } else {
            let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
            value.clear();
            value.push_str(word);
            rest = after.trim_start();
        }
        extra(sink, place, is_quoted, &value);
        place += 1;
        if place > 32 {
            break;
        }
    }
    true
}

fn peer(sink: &mut Sink<'_>, before: &str) {
    let words: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).collect();
    let (host, address, user) = match words.as_slice() {
        // `198.51.100.7, 10.0.0.1 - -`: the list of X-Forwarded-For, the client first.
        [first, .., user] if first.ends_with(',') => (None, first.trim_end_matches(','), *user),
        [host, address, _, user] => (Some(*host), *address, *user),
        [address, _, user] => (None, *address, *user),
        [address, user] => (None, *address, *user),
        _ => return,
    };
    if let Some(host) = host {
        let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
        sink.text("cs-host", name);
        if !port.is_empty() {
            sink.scalar("s-port", port);
        }
    }
    sink.text("c-ip", address);
    if user != "-" {
        sink.text("cs-username", user);
    }
}

fn request(sink: &mut Sink<'_>, line: &str) {
    let mut words = line.splitn(2, ' ');
    let method = words.next().unwrap_or("");
    let rest = words.next().unwrap_or("");
    let is_method = !method.is_empty()
        && method.len() <= 32
        && method
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_' || byte == b'-');
    if !is_method || rest.is_empty() {
        sink.text("cs-request", line);
        return;
    }
    let (uri, version) = match rest.rsplit_once(' ') {
        Some((uri, version)) if version.starts_with("HTTP/") => (uri, Some(version)),
        _ => (rest, None),
    };
    sink.text("cs-method", method);
    sink.text("c-uri", uri);
    let (stem, query) = uri.split_once('?').unwrap_or((uri, ""));
    sink.text("cs-uri-stem", stem);
    if !query.is_empty() {
        sink.text("cs-uri-query", query);
    }
    if let Some(version) = version {
        sink.text("cs-version", version);
    }
}

fn extra(sink: &mut Sink<'_>, place: usize, is_quoted: bool, value: &str) {
    if value == "-" {
        return;
    }
    match (place, is_quoted) {
        (0, false) => sink.scalar("sc-status", value),
        (1, false) => sink.scalar("sc-bytes", value),
        (2, true) => sink.text("cs-referer", value),
        (3, true) => sink.text("cs-user-agent", value),
        (_, true)
            if value
                .split(',')
                .all(|part| part.trim().parse::<std::net::IpAddr>().is_ok()) =>
        {
            sink.text("x-forwarded-for", value);
        }
        (_, false) if value.parse::<f64>().is_ok() && sink.get("time-taken").is_none() => {
            let kind = if crate::sink::is_whole_number(value) {
                ValueKind::Int
            } else {
                ValueKind::Float
            };
            sink.put("time-taken", kind, value);
        }
        _ => {
            let mut name = String::from("extra");
            name.push_str(&place.to_string());
            sink.text(&name, value);
        }
    }
}

/// Reads up to the closing quote and resolves `\"`, `\\` and `\xNN`.
fn quoted<'a>(text: &'a str, into: &mut String) -> Option<&'a str> {
    into.clear();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return text.get(at + 1..),
            '\\' => match characters.next() {
                Some((_, mark @ ('"' | '\\'))) => into.push(mark),
                Some((_, other)) => {
                    into.push('\\');
                    into.push(other);
                }
                None => return None,
            },
            other => into.push(other),
        }
    }
    None
}

/// Decodes one line of an error log of nginx or Apache.
pub(crate) fn decode_error(sink: &mut Sink<'_>, text: &str) -> bool {
    let text = text.trim_end_matches(['\r', '\n']);
    if let Some(rest) = text.strip_prefix('[') {
        return apache_error(sink, rest);
    }
    let Some((moment, rest)) = parse_iso_prefix(text) else {
        return false;
    };
    sink.own_time(Some(moment), clip(text, 30));
    let Some((level, rest)) = rest
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once("] "))
    else {
        return false;
    };
    sink.text("level", level);
    let (process, message) = rest.split_once(": ").unwrap_or(("", rest));
    if let Some((pid, _)) = process.split_once('#') {
        sink.scalar("pid", pid);
    }
    sink.text("server", "nginx");
    sink.text("message", message);
    for part in message.split(", ").skip(1) {
        if let Some(("client", address)) = part.split_once(": ") {
            sink.text("c-ip", address);
        }
    }
    true
}

fn apache_error(sink: &mut Sink<'_>, text: &str) -> bool {
    let Some((time, mut rest)) = text.split_once(']') else {
        return false;
    };
    sink.own_time(parse_ctime(time), time);
    let mut place = 0;
    while let Some((part, after)) = rest
        .trim_start()
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        if let Some(client) = part.strip_prefix("client ") {
            apache_client(sink, client);
        } else if let Some(pid) = part.strip_prefix("pid ") {
            sink.scalar("pid", pid.split(':').next().unwrap_or(pid));
        } else if place == 0 {
            sink.text("level", part.rsplit(':').next().unwrap_or(part));
        }
        place += 1;
        rest = after;
    }
    // Errors of the system stand before the client: `(13)Permission denied: [client …] …`.
    if let Some((error, after)) = rest.split_once(": [client ")
        && error.trim_start().starts_with('(')
        && let Some((client, _)) = after.split_once(']')
    {
        apache_client(sink, client);
    }
    sink.text("server", "apache");
    sink.text("message", rest.trim_start());
    true
}

/// The address of a client, and its port since Apache 2.4; a bare IPv6 address has none.
fn apache_client(sink: &mut Sink<'_>, client: &str) {
    let (address, port) = match client.rsplit_once(':') {
        Some((address, port)) if !address.contains(':') || address.starts_with('[') => {
            (address, port)
        }
        Some((address, port)) if address.matches(':').count() == 7 => (address, port),
        _ => (client, ""),
    };
    sink.text("c-ip", address.trim_matches(['[', ']']));
    if !port.is_empty() {
        sink.scalar("c-port", port);
    }
}
