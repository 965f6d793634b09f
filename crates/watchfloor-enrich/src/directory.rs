//! Exports of a directory as LDIF.
//!
//! # Source
//! RFC 2849.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::delimited::Row;

/// Whether a text is LDIF.
pub(crate) fn is_ldif(text: &str) -> bool {
    let mut lines = text.trim_start_matches('\u{feff}').lines();
    let first = lines.find(|line| !line.is_empty() && !line.starts_with('#'));
    first.is_some_and(|line| line.starts_with("dn:") || line.starts_with("version:"))
}

/// One row per entry; values of one attribute are joined by `;`.
pub(crate) fn rows(text: &str) -> (Vec<Row>, Vec<(usize, String)>) {
    let (mut rows, mut faults) = (Vec::new(), Vec::new());
    let mut row = Row::default();
    for (number, line) in logical_lines(text) {
        if line.is_empty() {
            if !row.cells.is_empty() {
                rows.push(std::mem::take(&mut row));
            }
            continue;
        }
        match pair(&line) {
            Ok(Some((name, value))) => {
                if row.cells.is_empty() {
                    row.line = number;
                }
                add(&mut row.cells, name, value);
            }
            Ok(None) => {}
            Err(reason) => faults.push((number, reason)),
        }
    }
    if !row.cells.is_empty() {
        rows.push(row);
    }
    (rows, faults)
}

/// Lines with their continuations, comments left out.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut is_comment = false;
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        if let Some(rest) = line.strip_prefix(' ') {
            if let (false, Some((_, last))) = (is_comment, lines.last_mut()) {
                last.push_str(rest);
            }
            continue;
        }
        is_comment = line.starts_with('#');
        if !is_comment {
            lines.push((number, line.to_owned()));
        }
    }
    lines
}

fn pair(line: &str) -> Result<Option<(String, String)>, String> {
    let (name, value) = line
        .split_once(':')
        .ok_or_else(|| "no ':' in the line".to_owned())?;
    if name == "version" || value.starts_with('<') {
        return Ok(None);
    }
    let name = name.split(';').next().unwrap_or(name).to_owned();
    let Some(encoded) = value.strip_prefix(':') else {
        return Ok(Some((name, value.trim_start().to_owned())));
    };
    let bytes = STANDARD
        .decode(encoded.trim())
        .map_err(|_| format!("the value of '{name}' is no base64"))?;
    if name.eq_ignore_ascii_case("objectsid") {
        return Ok(sid(&bytes).map(|sid| (name, sid)));
    }
    // Pictures and keys are no text; they are of no use here.
    Ok(String::from_utf8(bytes).ok().map(|text| (name, text)))
}

/// A security identifier in its usual form.
///
/// # Source
/// MS-DTYP 2.4.2.
fn sid(bytes: &[u8]) -> Option<String> {
    let revision = *bytes.first()?;
    let count = usize::from(*bytes.get(1)?);
    let authority = bytes
        .get(2..8)?
        .iter()
        .fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let mut text = format!("S-{revision}-{authority}");
    for index in 0..count {
        let part = bytes.get(8 + 4 * index..12 + 4 * index)?;
        let part = u32::from_le_bytes(part.try_into().ok()?);
        text.push_str(&format!("-{part}"));
    }
    Some(text)
}

fn add(row: &mut Vec<(String, String)>, name: String, value: String) {
    if value.is_empty() {
        return;
    }
    match row
        .iter_mut()
        .find(|(known, _)| known.eq_ignore_ascii_case(&name))
    {
        Some((_, known)) => {
            known.push(';');
            known.push_str(&value);
        }
        None => row.push((name, value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_export_becomes_rows() {
        let text = "version: 1\n# people\n#  and more\n\ndn: CN=Ann Lee,DC=corp\ncn:: QW5uIEzDqWU=\n\
            description: a long\n  line\nmemberOf: a\nmemberOf: b\njpegPhoto:: //79\n\
            objectSid:: AQUAAAAAAAUVAAAAAQAAAAIAAAADAAAA6QMAAA==\n\ndn: CN=Bob\nbroken\nmail: b@corp.example\n";
        assert!(is_ldif(text) && !is_ldif("ip,name\n"));
        let (rows, faults) = rows(text);
        let get = |row: usize, name: &str| {
            let found = rows[row].cells.iter().find(|(known, _)| known == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(rows.len(), 2);
        assert_eq!(get(0, "cn"), Some("Ann Lée"));
        assert_eq!(get(0, "description"), Some("a long line"));
        assert_eq!(get(0, "memberOf"), Some("a;b"));
        assert_eq!(get(0, "objectSid"), Some("S-1-5-21-1-2-3-1001"));
        assert_eq!(get(0, "jpegPhoto"), None);
        assert_eq!(get(1, "mail"), Some("b@corp.example"));
        assert_eq!(faults.len(), 1);
    }
}
