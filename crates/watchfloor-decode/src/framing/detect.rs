//! What form a file has, by its content first and by its name second.

use std::sync::Arc;

use watchfloor_event::Format;

use super::FileFormat;
use crate::detect::{LineForm, line_form};

/// Guesses the form of a file from its name and its first bytes (64 KiB are plenty).
pub fn detect_file(name: &str, first: &[u8]) -> FileFormat {
    if is_gzip(first) {
        return FileFormat::Gzip;
    }
    if first.starts_with(b"ElfFile\0") {
        return FileFormat::Evtx;
    }
    if first.starts_with(b"#separator ") || first.starts_with(b"#fields\t") {
        return FileFormat::ZeekTsv;
    }
    if is_w3c(first) {
        return FileFormat::Table;
    }
    if first.starts_with(b"__CURSOR=") || first.starts_with(b"__REALTIME_TIMESTAMP=") {
        return FileFormat::JournalExport;
    }
    let text = String::from_utf8_lossy(first);
    let text = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']);
    let line = text.lines().next().unwrap_or("");
    if line.starts_with('{') || line.starts_with('[') {
        let is_json = line_form(line) == LineForm::Json || matches!(line.trim(), "{" | "[");
        if is_json {
            return json_format(text, line);
        }
    }
    if line.starts_with("<?xml") && text.contains("<Event") {
        return FileFormat::WindowsXml;
    }
    if name.to_ascii_lowercase().ends_with(".evtx") && first.is_empty() {
        return FileFormat::Evtx;
    }
    if table_context(name, line).is_some() {
        return FileFormat::Table;
    }
    FileFormat::Lines(match line_form(line) {
        LineForm::Auditd => Format::Auditd,
        LineForm::Syslog => Format::Syslog,
        LineForm::AccessLog => Format::AccessLog,
        LineForm::WindowsXml => return FileFormat::WindowsXml,
        LineForm::Json => Format::Json,
        LineForm::JournalExport => return FileFormat::JournalExport,
        LineForm::WebErrorLog
        | LineForm::KeyValue
        | LineForm::Cef
        | LineForm::Leef
        | LineForm::Cri
        | LineForm::Plain => Format::Auto,
    })
}

/// W3C extended logs begin with directives.
fn is_w3c(first: &[u8]) -> bool {
    let first = first.strip_prefix("\u{feff}".as_bytes()).unwrap_or(first);
    [&b"#Software:"[..], b"#Version:", b"#Fields:", b"#Date:"]
        .iter()
        .any(|word| first.starts_with(word))
}

/// The context of a table whose first line names its columns: `.csv` and `.tsv` files, and
/// VPC flow logs, whose names stand between blanks.
pub(super) fn table_context(name: &str, line: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let line = line.trim_end_matches(['\r', '\n']);
    let separator = if line.starts_with("version account-id ") || line.starts_with("account-id ") {
        ' '
    } else if name.ends_with(".tsv") {
        '\t'
    } else if !name.ends_with(".csv") {
        return None;
    } else if line.contains(';') && !line.contains(',') {
        ';'
    } else {
        ','
    };
    let mut count = 0;
    for value in crate::delimited::values(line, separator) {
        let value = value.trim();
        // A value that begins with a figure is data, not a name.
        if value.is_empty() || value.len() > 128 || value.starts_with(|c: char| c.is_ascii_digit())
        {
            return None;
        }
        count += 1;
    }
    (count >= 3).then(|| format!("#columns\t{separator}{line}\n"))
}

pub(super) fn is_gzip(first: &[u8]) -> bool {
    first.starts_with(&[0x1f, 0x8b])
}

/// NDJSON has a whole value on its first line; everything else is read value by value.
fn json_format(text: &str, line: &str) -> FileFormat {
    let ends_here = text.len() == line.len();
    let closed = line.trim_end().ends_with(['}', ']']);
    let is_object = line.starts_with('{');
    if is_object && (closed || ends_here) && balanced(line, ends_here) {
        FileFormat::Lines(Format::Json)
    } else {
        FileFormat::JsonValues
    }
}

/// Whether one line is one value; a line that is longer than what was looked at counts as
/// one, since only NDJSON writes lines like that.
fn balanced(line: &str, ends_here: bool) -> bool {
    let mut depth = 0_i64;
    let mut in_string = false;
    let mut is_escaped = false;
    let mut ended = false;
    for byte in line.bytes() {
        if is_escaped {
            is_escaped = false;
        } else if in_string {
            match byte {
                b'\\' => is_escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
        } else {
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => {
                    if ended {
                        return false;
                    }
                    depth += 1;
                }
                b'}' | b']' => {
                    depth -= 1;
                    ended = depth == 0;
                }
                _ => {}
            }
        }
    }
    ended || ends_here
}

/// Zeek's JSON logs do not name their kind; the file's name does (`conn.log`,
/// `dns.00:00:00-01:00:00.log`).
pub(super) fn zeek_json_context(name: &str, format: Format) -> Option<Arc<str>> {
    const KINDS: [&str; 24] = [
        "conn",
        "dns",
        "http",
        "ssl",
        "ssh",
        "files",
        "x509",
        "notice",
        "weird",
        "smb_files",
        "smb_mapping",
        "kerberos",
        "ntlm",
        "dce_rpc",
        "rdp",
        "ftp",
        "smtp",
        "dhcp",
        "snmp",
        "syslog",
        "software",
        "pe",
        "tunnel",
        "sip",
    ];
    if format != Format::Json {
        return None;
    }
    let base = name.rsplit(['/', '\\']).next()?;
    let kind = base.split('.').next()?;
    (base.contains(".log") && KINDS.contains(&kind)).then(|| Arc::from(format!("#path\t{kind}\n")))
}
