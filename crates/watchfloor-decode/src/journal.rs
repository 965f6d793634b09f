//! The systemd journal: its export format, and what its fields mean for syslog names.
//!
//! # Source
//! systemd, "Journal Export Formats" and `systemd.journal-fields(7)`.

use watchfloor_event::{AnomalyCode, ValueKind};

use crate::sink::Sink;
use crate::time::parse_epoch;

/// Decodes one entry: `NAME=value` lines, and `NAME`, a 64-bit length and bytes for values
/// with line ends.
pub(crate) fn decode(sink: &mut Sink<'_>, bytes: &[u8]) -> bool {
    let mut rest = bytes;
    let mut count = 0;
    while !rest.is_empty() {
        let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let line = rest.get(..end).unwrap_or(&[]);
        rest = rest.get(end + 1..).unwrap_or(&[]);
        if line.is_empty() {
            continue;
        }
        if let Some(at) = memchr::memchr(b'=', line) {
            put(sink, line.get(..at), line.get(at + 1..));
            count += 1;
            continue;
        }
        let length = rest
            .first_chunk::<8>()
            .and_then(|head| usize::try_from(u64::from_le_bytes(*head)).ok());
        let value = length.and_then(|length| rest.get(8..8_usize.checked_add(length)?));
        let Some(value) = value else {
            sink.note(AnomalyCode::Malformed, || {
                "a binary field ends early".to_owned()
            });
            break;
        };
        put(sink, Some(line), Some(value));
        count += 1;
        rest = rest.get(8 + value.len()..).unwrap_or(&[]);
        rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    }
    if count > 0 {
        complete(sink);
    }
    count > 0
}

fn put(sink: &mut Sink<'_>, name: Option<&[u8]>, value: Option<&[u8]>) {
    let (Some(name), Some(value)) = (name, value) else {
        return;
    };
    let name = String::from_utf8_lossy(name);
    if name.len() <= 64 {
        sink.text(&name, &String::from_utf8_lossy(value));
    }
}

/// Gives a journal entry, from export or from JSON, the names of syslog and its own time.
pub(crate) fn complete(sink: &mut Sink<'_>) {
    let Some(time) = sink.get("__REALTIME_TIMESTAMP") else {
        return;
    };
    let own = sink
        .get("_SOURCE_REALTIME_TIMESTAMP")
        .unwrap_or(time)
        .text
        .to_owned();
    sink.own_time(parse_epoch(&own), &own);
    for (journal, name) in [
        ("PRIORITY", "syslog.severity"),
        ("SYSLOG_FACILITY", "syslog.facility"),
        ("_HOSTNAME", "syslog.hostname"),
        ("_COMM", "syslog.appname"),
        ("SYSLOG_IDENTIFIER", "syslog.appname"),
        ("_PID", "syslog.procid"),
        ("MESSAGE", "message"),
    ] {
        let Some(value) = sink.get(journal) else {
            continue;
        };
        // Text that is no UTF-8 comes as a list of bytes in JSON.
        let text = if value.kind == ValueKind::List {
            let bytes: Vec<u8> = value
                .elements()
                .iter()
                .filter_map(|(_, number)| number.parse().ok())
                .collect();
            String::from_utf8_lossy(&bytes).into_owned()
        } else {
            value.text.to_owned()
        };
        sink.scalar(name, &text);
    }
}
