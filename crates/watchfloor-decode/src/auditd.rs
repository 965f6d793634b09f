//! The Linux audit log: `type=… msg=audit(seconds:serial): key=value …`, one row per line.
//!
//! Values that the kernel wrote as hex because they hold blanks or quotes are decoded; the
//! part after the group separator (0x1d), where auditd adds names for numbers, gives fields
//! of their own (`SYSCALL`, `ARCH`, `UID`).
//!
//! # Source
//! Linux audit documentation, "Audit event fields"; `ausearch-lookup.c`.

use watchfloor_event::AnomalyCode;

use crate::key_value::pairs;
use crate::sink::{Sink, clip};
use crate::time::{parse_any, parse_epoch};

/// Decodes one line; false if it has no audit stamp.
pub(crate) fn decode(sink: &mut Sink<'_>, text: &str) -> bool {
    let text = text.trim_end_matches(['\r', '\n']);
    let Some((head, rest)) = text.split_once("msg=audit(") else {
        return false;
    };
    let mut kind = "";
    for (key, value) in pairs(head) {
        match key {
            "type" => kind = value,
            "node" => sink.text("node", value),
            _ => {}
        }
    }
    stamped(sink, kind, rest)
}

/// Decodes the form that the kernel prints without a daemon: `1400 audit(…): …`.
pub(crate) fn decode_kernel(sink: &mut Sink<'_>, text: &str) -> bool {
    match text.split_once(" audit(") {
        Some((kind, rest)) => stamped(sink, kind.trim(), rest),
        None => false,
    }
}

fn stamped(sink: &mut Sink<'_>, kind: &str, rest: &str) -> bool {
    let Some((stamp, body)) = rest.split_once(')') else {
        return false;
    };
    if kind.is_empty() {
        return false;
    }
    sink.text("type", kind);
    let (time, serial) = stamp.rsplit_once(':').unwrap_or((stamp, ""));
    let received_at = sink.batch.rows().get(sink.row).map(|row| row.received_at);
    // `ausearch -i` writes days and clocks.
    let moment = parse_epoch(time).or_else(|| parse_any(time, received_at?));
    sink.own_time(moment, time);
    sink.scalar("audit.serial", serial);
    let body = body.trim_start();
    let body = body.strip_prefix(':').unwrap_or(body).trim_start();
    let (body, enriched) = body.split_once('\u{1d}').unwrap_or((body, ""));
    let mut decoded = String::new();
    fields(sink, kind, body, &mut decoded, 0);
    for (key, value) in pairs(enriched) {
        sink.text(key, value);
    }
    true
}

/// `avc:  denied  { read write } for …`, under the names that auparse gives the two.
fn access_vector(sink: &mut Sink<'_>, body: &str) {
    let Some(rest) = body.strip_prefix("avc:") else {
        return;
    };
    let Some((result, rest)) = rest.trim_start().split_once('{') else {
        return;
    };
    let Some((permissions, _)) = rest.split_once('}') else {
        return;
    };
    sink.text("seresult", result.trim());
    sink.text("seperms", permissions.trim());
}

fn fields(sink: &mut Sink<'_>, kind: &str, body: &str, decoded: &mut String, depth: u8) {
    access_vector(sink, body);
    // `ausearch -i` writes the arguments apart, without quotes.
    if kind == "PROCTITLE"
        && let Some(title) = body.strip_prefix("proctitle=")
        && !title.starts_with('"')
        && title.contains(' ')
    {
        sink.text("proctitle", title.trim_end());
        return;
    }
    for (key, value) in pairs(body) {
        if key == "msg" && depth == 0 && value.contains('=') {
            fields(sink, kind, value, decoded, depth + 1);
            continue;
        }
        let is_quoted = is_quoted(body, value);
        if !is_quoted && may_be_hex(kind, key) && from_hex(value, decoded) {
            sink.text(key, decoded);
            continue;
        }
        if is_quoted || key == "a0" || key == "a1" {
            sink.text(key, value);
        } else {
            sink.scalar(key, value);
        }
    }
    if body.is_empty() {
        sink.note(AnomalyCode::Malformed, || {
            format!("{} has no fields", clip(kind, 40))
        });
    }
}

/// Whether a value that is a slice of a text has a double quote before it.
fn is_quoted(body: &str, value: &str) -> bool {
    let offset = (value.as_ptr() as usize).wrapping_sub(body.as_ptr() as usize);
    offset
        .checked_sub(1)
        .and_then(|before| body.as_bytes().get(before))
        == Some(&b'"')
}

fn may_be_hex(kind: &str, key: &str) -> bool {
    match key {
        "proctitle" | "exe" | "comm" | "name" | "cwd" | "acct" | "cmd" | "path" | "data"
        | "key" | "dir" | "file" | "ocomm" | "watch" | "vm" => true,
        _ => {
            kind == "EXECVE"
                && key
                    .strip_prefix('a')
                    .is_some_and(|rest| rest.as_bytes().first().is_some_and(u8::is_ascii_digit))
        }
    }
}

/// Decodes hex into text, NUL as blank; false if the value is no hex.
fn from_hex(value: &str, into: &mut String) -> bool {
    let bytes = value.as_bytes();
    let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'A'..=b'F');
    if bytes.len() < 2 || !bytes.len().is_multiple_of(2) || !bytes.iter().all(is_hex) {
        return false;
    }
    let nibble = |byte: u8| {
        if byte <= b'9' {
            byte - b'0'
        } else {
            byte - b'A' + 10
        }
    };
    let mut raw: Vec<u8> = bytes
        .chunks_exact(2)
        .map(|pair| match pair {
            [high, low] => nibble(*high) << 4 | nibble(*low),
            _ => 0,
        })
        .collect();
    while raw.last() == Some(&0) {
        raw.pop();
    }
    for byte in &mut raw {
        if *byte == 0 {
            *byte = b' ';
        }
    }
    into.clear();
    into.push_str(&String::from_utf8_lossy(&raw));
    true
}
