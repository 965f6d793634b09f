//! Who logged in: the records of `utmp(5)`.

use std::net::IpAddr;

/// Bytes of a record on all Linux systems with 32-bit times in it (glibc on 64 bits as well).
pub(crate) const RECORD_BYTES: usize = 384;

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LoginKind {
    /// The machine started.
    Boot,
    /// Somebody logged in, or tried to (`btmp`).
    User,
    /// A login ended.
    Dead,
    /// Something else.
    Other,
}

/// A record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) kind: LoginKind,
    pub(crate) pid: i32,
    pub(crate) line: String,
    pub(crate) user: String,
    pub(crate) host: String,
    pub(crate) address: Option<IpAddr>,
    /// Microseconds since 1970.
    pub(crate) time_us: i64,
}

/// Reads a record.
pub(crate) fn parse(record: &[u8; RECORD_BYTES]) -> Login {
    let int = |at: usize| -> i32 {
        record
            .get(at..at + 4)
            .and_then(|part| part.try_into().ok())
            .map_or(0, i32::from_ne_bytes)
    };
    let text = |at: usize, length: usize| -> String {
        let part = record.get(at..at + length).unwrap_or_default();
        let end = part.iter().position(|byte| *byte == 0).unwrap_or(length);
        String::from_utf8_lossy(part.get(..end).unwrap_or_default()).into_owned()
    };
    let kind = match i16::from_ne_bytes([record[0], record[1]]) {
        2 => LoginKind::Boot,
        6 | 7 => LoginKind::User,
        8 => LoginKind::Dead,
        _ => LoginKind::Other,
    };
    let mut raw = [0; 16];
    raw.copy_from_slice(&record[348..364]);
    Login {
        kind,
        pid: int(4),
        line: text(8, 32),
        user: text(44, 32),
        host: text(76, 256),
        address: address(raw),
        time_us: i64::from(int(340) as u32) * 1_000_000 + i64::from(int(344)),
    }
}

fn address(raw: [u8; 16]) -> Option<IpAddr> {
    let [a, b, c, d, rest @ ..] = raw;
    match (
        raw.iter().all(|byte| *byte == 0),
        rest.iter().all(|byte| *byte == 0),
    ) {
        (true, _) => None,
        (false, true) => Some(IpAddr::from([a, b, c, d])),
        (false, false) => Some(IpAddr::from(raw).to_canonical()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn record(kind: i16, line: &str, user: &str, host: &str) -> [u8; RECORD_BYTES] {
        let mut record = [0; RECORD_BYTES];
        record[..2].copy_from_slice(&kind.to_ne_bytes());
        record[4..8].copy_from_slice(&77i32.to_ne_bytes());
        for (at, text) in [(8, line), (44, user), (76, host)] {
            record[at..at + text.len()].copy_from_slice(text.as_bytes());
        }
        record[340..344].copy_from_slice(&1_700_000_000i32.to_ne_bytes());
        record[348..352].copy_from_slice(&[192, 0, 2, 7]);
        record
    }

    #[test]
    fn a_record_is_read() {
        let login = parse(&record(7, "pts/0", "m.keller", "192.0.2.7"));
        assert_eq!(login.kind, LoginKind::User);
        assert_eq!(
            (login.line.as_str(), login.user.as_str()),
            ("pts/0", "m.keller")
        );
        assert_eq!(login.address, "192.0.2.7".parse().ok());
        assert_eq!(login.time_us, 1_700_000_000_000_000);
        assert_eq!(parse(&[0xff; RECORD_BYTES]).kind, LoginKind::Other);
    }
}
