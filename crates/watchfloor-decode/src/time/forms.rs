//! Times of any known form, and times by a pattern that a mapping pack gives.

use jiff::Timestamp;
use jiff::fmt::strtime::BrokenDownTime;

use super::{
    DAY_SECONDS, Moment, civil, clock, digits, digits_up_to, fraction, month_number, parse_clf,
    parse_ctime, parse_epoch, parse_iso, parse_rfc3164_prefix, year_of, zone,
};

/// Longest text that is read as a time, in bytes.
const TEXT_BYTES_MAX: usize = 96;

/// Reads a time in any of the forms that this module knows: ISO 8601 and its kin, seconds
/// since 1970 and their fractions, access logs, RFC 3164, RFC 2822, C's `ctime`, a day before
/// or after the name of its month, and American dates with or without AM and PM.
///
/// ```
/// # let received: jiff::Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
/// let moment = watchfloor_decode::time::parse_any("24-Nov-2026 11:00:00.5", received).unwrap();
/// assert_eq!(moment.seconds, 1_795_518_000);
/// ```
pub fn parse_any(text: &str, received_at: Timestamp) -> Option<Moment> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    match text.as_bytes().first()? {
        b'0'..=b'9' => parse_iso(text)
            .or_else(|| parse_epoch(text))
            .or_else(|| parse_clf(text))
            .or_else(|| parse_day_month(text))
            .or_else(|| parse_american(text))
            .or_else(|| parse_compact(text)),
        b'[' => parse_any(text.strip_prefix('[')?.strip_suffix(']')?, received_at),
        _ => parse_rfc3164_prefix(text, received_at)
            .map(|(moment, _)| moment)
            .or_else(|| parse_ctime(text))
            .or_else(|| {
                // `Tue, 24 Nov 2026 …` and `Tue 24 Nov 2026 …`
                let (_, rest) = text.split_once([',', ' '])?;
                parse_day_month(rest.trim_start())
            }),
    }
}

/// Reads a time by a pattern of `strptime`; what the pattern does not name is taken from the
/// receipt (year) or is UTC (zone). Returns nothing if the text does not hold to the pattern.
pub fn parse_pattern(pattern: &str, text: &str, received_at: Timestamp) -> Option<Moment> {
    let text = text.trim();
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let (mut broken, _) = BrokenDownTime::parse_prefix(pattern, text).ok()?;
    if let Some(time) = broken.timestamp() {
        return moment_of(time);
    }
    if broken.hour().is_none() {
        broken.set_hour(Some(0)).ok()?;
    }
    if broken.year().is_some() {
        return civil_of(&broken);
    }
    let latest = received_at.as_second().saturating_add(DAY_SECONDS);
    let this = i16::try_from(year_of(received_at.as_second())).ok()?;
    (0..5).find_map(|back| {
        broken.set_year(Some(this + 1 - back)).ok()?;
        civil_of(&broken).filter(|moment| moment.seconds <= latest)
    })
}

fn civil_of(broken: &BrokenDownTime) -> Option<Moment> {
    let offset = broken.offset().unwrap_or(jiff::tz::Offset::UTC);
    let time = offset.to_timestamp(broken.to_datetime().ok()?).ok()?;
    moment_of(time)
}

fn moment_of(time: Timestamp) -> Option<Moment> {
    let nanos = time.subsec_nanosecond();
    // A time before 1970 counts its fraction backwards.
    let (seconds, nanos) = if nanos < 0 {
        (time.as_second() - 1, nanos + 1_000_000_000)
    } else {
        (time.as_second(), nanos)
    };
    Some(Moment {
        seconds,
        nanos: u32::try_from(nanos).ok()?,
    })
}

/// Reads `24-Nov-2026 11:00:00.123`, `24 Nov 2026 11:00:00 +0000` and `24/Nov/2026 11:00:00`.
fn parse_day_month(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let (day, length) = digits_up_to(bytes, 0, 2)?;
    let mut at = length;
    if !matches!(bytes.get(at)?, b'-' | b' ' | b'/') {
        return None;
    }
    let month = month_number(text.get(at + 1..at + 4)?)?;
    at += 4;
    if !matches!(bytes.get(at)?, b'-' | b' ' | b'/') {
        return None;
    }
    let (year, at) = year(bytes, at + 1)?;
    if !matches!(bytes.get(at)?, b' ' | b':' | b'T') {
        return None;
    }
    let (hour, minute, second, at) = clock(bytes, at + 1)?;
    let (nanos, at) = fraction(bytes, at);
    let (offset, _) = zone(bytes, at)?;
    let seconds = civil(year, month, day, hour, minute, second)? - offset;
    Some(Moment { seconds, nanos })
}

/// A year of four digits, or of two from 1970 to 2069.
fn year(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    if let Some(year) = digits(bytes, at, 4) {
        return Some((year, at + 4));
    }
    let short = digits(bytes, at, 2)?;
    let century = if short < 70 { 2000 } else { 1900 };
    Some((century + short, at + 2))
}

/// Reads `11/24/2026 11:00:00 AM`, `11/24/26,11:00:00` and `24.11.2026 11:00:00`. The month
/// stands first unless its number says otherwise; with dots the day does.
fn parse_american(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let (first, length) = digits_up_to(bytes, 0, 2)?;
    let mut at = length;
    let separator = *bytes.get(at)?;
    if !matches!(separator, b'/' | b'-' | b'.') {
        return None;
    }
    let (second, length) = digits_up_to(bytes, at + 1, 2)?;
    at += 1 + length;
    if *bytes.get(at)? != separator {
        return None;
    }
    let (year, mut at) = year(bytes, at + 1)?;
    while matches!(bytes.get(at), Some(b' ' | b',' | b'-')) {
        at += 1;
    }
    let (month, day) = if first > 12 || separator == b'.' {
        (second, first)
    } else {
        (first, second)
    };
    let (mut hour, length) = digits_up_to(bytes, at, 2)?;
    at += length;
    if *bytes.get(at)? != b':' {
        return None;
    }
    let minute = digits(bytes, at + 1, 2)?;
    at += 3;
    let mut seconds = 0;
    if bytes.get(at) == Some(&b':') {
        seconds = digits(bytes, at + 1, 2)?;
        at += 3;
    }
    let (nanos, at) = fraction(bytes, at);
    let half = text.get(at..)?.trim_start();
    let half = half.get(..2).unwrap_or("");
    if half.eq_ignore_ascii_case("pm") && hour < 12 {
        hour += 12;
    } else if half.eq_ignore_ascii_case("am") && hour == 12 {
        hour = 0;
    }
    let (offset, _) = if half.eq_ignore_ascii_case("pm") || half.eq_ignore_ascii_case("am") {
        (0, at)
    } else {
        zone(bytes, at)?
    };
    let seconds = civil(year, month, day, hour, minute, seconds)? - offset;
    Some(Moment { seconds, nanos })
}

/// Reads `20261124T110000Z` and `20261124 11:00:00`.
fn parse_compact(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let (year, month, day) = (
        digits(bytes, 0, 4)?,
        digits(bytes, 4, 2)?,
        digits(bytes, 6, 2)?,
    );
    if !matches!(bytes.get(8)?, b'T' | b' ' | b'-' | b'_') {
        return None;
    }
    let (hour, minute, second, at) = match clock(bytes, 9) {
        Some(found) => found,
        None => (
            digits(bytes, 9, 2)?,
            digits(bytes, 11, 2)?,
            digits(bytes, 13, 2)?,
            15,
        ),
    };
    let (nanos, at) = fraction(bytes, at);
    let (offset, _) = zone(bytes, at)?;
    let seconds = civil(year, month, day, hour, minute, second)? - offset;
    Some(Moment { seconds, nanos })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECEIVED: &str = "2026-11-24T12:00:00Z";

    fn check(text: &str, expected: &str) {
        let received: Timestamp = RECEIVED.parse().expect("a time");
        let moment = parse_any(text, received).expect(text);
        let nanos = i32::try_from(moment.nanos).expect("below a second");
        let time = Timestamp::new(moment.seconds, nanos).expect("in range");
        assert_eq!(time.to_string(), expected, "{text}");
    }

    #[test]
    fn every_form_is_read() {
        for text in [
            "2026-11-24T11:00:00Z",
            "1795518000",
            "1795518000000",
            "24/Nov/2026:11:00:00 +0000",
            "[24/Nov/2026:12:00:00 +0100]",
            "24-Nov-2026 11:00:00",
            "24 Nov 2026 11:00:00 +0000",
            "Tue, 24 Nov 2026 11:00:00 GMT",
            "Tue Nov 24 11:00:00 2026",
            "Tue Nov 24 11:00:00 UTC 2026",
            "Nov 24 11:00:00",
            "Nov 24 2026 11:00:00 UTC",
            "11/24/2026 11:00:00 AM",
            "11/24/26,11:00:00",
            "24.11.2026 11:00:00",
            "24/11/2026 11:00:00",
            "20261124T110000Z",
            "20261124 11:00:00",
        ] {
            check(text, "2026-11-24T11:00:00Z");
        }
        check("11/24/2026 1:05:09 PM", "2026-11-24T13:05:09Z");
        check("11/24/2026 12:05:09 AM", "2026-11-24T00:05:09Z");
        let received: Timestamp = RECEIVED.parse().expect("a time");
        for text in [
            "",
            "x",
            "99/99/2026 11:00:00",
            "24-Nov",
            "11/24/2026",
            "[x",
            "é",
        ] {
            assert_eq!(parse_any(text, received), None, "{text}");
        }
    }

    #[test]
    fn patterns_lend_the_year_from_the_receipt() {
        let received: Timestamp = RECEIVED.parse().expect("a time");
        let read = |pattern, text| {
            parse_pattern(pattern, text, received)
                .and_then(|moment| Timestamp::new(moment.seconds, 0).ok())
                .map(|time| time.to_string())
        };
        let eleven = Some("2026-11-24T11:00:00Z".to_owned());
        assert_eq!(read("%m/%d-%H:%M:%S%.f", "11/24-11:00:00.123456"), eleven);
        assert_eq!(read("%y%m%d %H:%M:%S", "261124 11:00:00"), eleven);
        assert_eq!(
            read("%Y-%m-%d %H:%M:%S %z", "2026-11-24 12:00:00 +0100"),
            eleven
        );
        assert_eq!(
            read("%m/%d-%H:%M:%S", "12/31-23:00:00"),
            Some("2025-12-31T23:00:00Z".to_owned())
        );
        assert_eq!(read("%Y", "x"), None);
    }
}
