//! Reading the times that logs write. Pure arithmetic: no clock, no zone data base.

mod forms;

use jiff::Timestamp;

pub use forms::{parse_any, parse_pattern};

/// A point in time as a record names it, not yet judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub seconds: i64,
    /// Nanoseconds on top, below 1,000,000,000.
    pub nanos: u32,
}

/// 1990-01-01T00:00:00Z: no log that matters is older.
const EARLIEST_SECONDS: i64 = 631_152_000;
const DAY_SECONDS: i64 = 86_400;

impl Moment {
    /// The moment as a timestamp if it lies after 1990 and at most one day ahead of receipt.
    pub fn plausible(self, received_at: Timestamp) -> Option<Timestamp> {
        let latest = received_at.as_second().saturating_add(DAY_SECONDS);
        if self.seconds < EARLIEST_SECONDS || self.seconds > latest {
            return None;
        }
        Timestamp::new(self.seconds, i32::try_from(self.nanos).ok()?).ok()
    }
}

/// Reads `2024-05-01T12:00:00.123456Z` and its usual variants: a blank in place of `T`, a
/// comma before the fraction, slashes in the date, `+02:00`, `+0200`, `+02`, ` UTC`, no zone
/// (then UTC is taken), no seconds.
///
/// # Source
/// RFC 3339, ISO 8601.
pub fn parse_iso(text: &str) -> Option<Moment> {
    let (moment, rest) = parse_iso_prefix(text)?;
    rest.trim().is_empty().then_some(moment)
}

/// Reads a time as [`parse_iso`] does at the start of a text, and returns what follows.
pub fn parse_iso_prefix(text: &str) -> Option<(Moment, &str)> {
    let bytes = text.as_bytes();
    let year = digits(bytes, 0, 4)?;
    let separator = *bytes.get(4)?;
    if !matches!(separator, b'-' | b'/') || *bytes.get(7)? != separator {
        return None;
    }
    let month = digits(bytes, 5, 2)?;
    let day = digits(bytes, 8, 2)?;
    if !matches!(bytes.get(10)?, b'T' | b't' | b' ') || *bytes.get(13)? != b':' {
        return None;
    }
    let hour = digits(bytes, 11, 2)?;
    let minute = digits(bytes, 14, 2)?;
    let mut at = 16;
    let mut second = 0;
    if bytes.get(at) == Some(&b':') {
        second = digits(bytes, 17, 2)?;
        at = 19;
    }
    let (nanos, at) = fraction(bytes, at);
    let (offset, at) = zone(bytes, at)?;
    let seconds = civil(year, month, day, hour, minute, second)? - offset;
    Some((Moment { seconds, nanos }, text.get(at..)?))
}

/// Reads `May  1 12:00:00` with the year guessed so that the time is not more than a day
/// ahead of receipt; also a year after the day, a fraction, and the marks `*` and `.` that
/// network devices put in front. Returns what follows.
///
/// # Source
/// RFC 3164, section 4.1.2.
pub fn parse_rfc3164_prefix(text: &str, received_at: Timestamp) -> Option<(Moment, &str)> {
    let text = text.trim_start_matches(['*', '.']);
    let bytes = text.as_bytes();
    // NX-OS writes the year first: `2026 Aug 21 11:29:42`.
    let first = digits(bytes, 0, 4).filter(|_| bytes.get(4) == Some(&b' '));
    let start = if first.is_some() { 5 } else { 0 };
    let month = month_number(text.get(start..start + 3)?)?;
    if *bytes.get(start + 3)? != b' ' {
        return None;
    }
    let mut at = start + 4;
    while bytes.get(at) == Some(&b' ') && at < start + 6 {
        at += 1;
    }
    let (day, length) = digits_up_to(bytes, at, 2)?;
    at += length;
    if *bytes.get(at)? != b' ' {
        return None;
    }
    at += 1;
    let mut year = first;
    if let (Some(named), Some(b' ')) = (digits(bytes, at, 4), bytes.get(at + 4)) {
        year = Some(named);
        at += 5;
    }
    let (hour, minute, second, at) = clock(bytes, at)?;
    let (nanos, at) = fraction(bytes, at);
    let rest = text.get(at..)?;
    let seconds = match year {
        Some(year) => civil(year, month, day, hour, minute, second)?,
        None => {
            let this = year_of(received_at.as_second());
            let limit = received_at.as_second() + DAY_SECONDS;
            (0..5)
                .filter_map(|back| civil(this + 1 - back, month, day, hour, minute, second))
                .find(|seconds| *seconds <= limit)?
        }
    };
    Some((Moment { seconds, nanos }, rest))
}

/// Reads `10/Oct/2000:13:55:36 -0700`.
///
/// # Source
/// Apache HTTP Server documentation, common log format.
pub fn parse_clf(text: &str) -> Option<Moment> {
    let bytes = text.as_bytes();
    let day = digits(bytes, 0, 2)?;
    let month = month_number(text.get(3..6)?)?;
    let year = digits(bytes, 7, 4)?;
    if bytes.get(2) != Some(&b'/') || bytes.get(6) != Some(&b'/') || bytes.get(11) != Some(&b':') {
        return None;
    }
    let (hour, minute, second, at) = clock(bytes, 12)?;
    let (nanos, at) = fraction(bytes, at);
    let blank = usize::from(bytes.get(at) == Some(&b' '));
    let (offset, _) = zone(bytes, at + blank)?;
    let seconds = civil(year, month, day, hour, minute, second)? - offset;
    Some(Moment { seconds, nanos })
}

/// Reads `Wed Oct 11 14:32:52.123456 2000` as Apache's error log and C's `ctime` write it.
pub fn parse_ctime(text: &str) -> Option<Moment> {
    let text = text.get(4..)?;
    let month = month_number(text.get(..3)?)?;
    let rest = text.get(4..)?.trim_start();
    let bytes = rest.as_bytes();
    let (day, length) = digits_up_to(bytes, 0, 2)?;
    let (hour, minute, second, at) = clock(bytes, length + 1)?;
    let (nanos, at) = fraction(bytes, at);
    // `date` writes the zone before the year.
    let year = match digits(bytes, at + 1, 4) {
        Some(year) => year,
        None => {
            let rest = rest.get(at + 1..)?;
            let (_, year) = rest.split_once(' ')?;
            digits(year.as_bytes(), 0, 4)?
        }
    };
    let seconds = civil(year, month, day, hour, minute, second)?;
    Some(Moment { seconds, nanos })
}

/// Reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970, with or
/// without a fraction; the size tells the unit.
pub fn parse_epoch(text: &str) -> Option<Moment> {
    let (whole, fraction_text) = text.split_once('.').unwrap_or((text, ""));
    if whole.is_empty() || !whole.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if !fraction_text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number: i64 = whole.parse().ok()?;
    let unit: i64 = match whole.len() {
        0..=11 => 1,
        12..=14 => 1_000,
        15..=17 => 1_000_000,
        _ => 1_000_000_000,
    };
    let mut nanos = (number % unit) * (1_000_000_000 / unit);
    if unit == 1 {
        let mut scale = 100_000_000;
        for digit in fraction_text.bytes().take(9) {
            nanos += i64::from(digit - b'0') * scale;
            scale /= 10;
        }
    }
    Some(Moment {
        seconds: number / unit,
        nanos: u32::try_from(nanos).ok()?,
    })
}

/// The number of a month by the first three letters of its English name.
pub(crate) fn month_number(name: &str) -> Option<i64> {
    const NAMES: [&str; 12] = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let found = NAMES
        .iter()
        .position(|known| known.eq_ignore_ascii_case(name))?;
    i64::try_from(found + 1).ok()
}

fn clock(bytes: &[u8], at: usize) -> Option<(i64, i64, i64, usize)> {
    if bytes.get(at + 2) != Some(&b':') || bytes.get(at + 5) != Some(&b':') {
        return None;
    }
    let hour = digits(bytes, at, 2)?;
    let minute = digits(bytes, at + 3, 2)?;
    let second = digits(bytes, at + 6, 2)?;
    Some((hour, minute, second, at + 8))
}

fn digits(bytes: &[u8], at: usize, count: usize) -> Option<i64> {
    let mut number = 0_i64;
    for byte in bytes.get(at..at + count)? {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i64::from(byte - b'0');
    }
    Some(number)
}

fn digits_up_to(bytes: &[u8], at: usize, most: usize) -> Option<(i64, usize)> {
    (1..=most)
        .rev()
        .find_map(|count| digits(bytes, at, count).map(|number| (number, count)))
}

fn fraction(bytes: &[u8], at: usize) -> (u32, usize) {
    let next_is_digit = bytes.get(at + 1).is_some_and(u8::is_ascii_digit);
    if !matches!(bytes.get(at), Some(b'.' | b',')) || !next_is_digit {
        return (0, at);
    }
    let mut end = at + 1;
    let mut nanos = 0_u32;
    let mut scale = 100_000_000_u32;
    while let Some(byte) = bytes.get(end).filter(|byte| byte.is_ascii_digit()) {
        nanos += u32::from(byte - b'0') * scale;
        scale /= 10;
        end += 1;
    }
    (nanos, end)
}

/// Seconds east of UTC and where the zone ends; no zone is UTC.
fn zone(bytes: &[u8], at: usize) -> Option<(i64, usize)> {
    let skip = usize::from(bytes.get(at) == Some(&b' '));
    match bytes.get(at + skip) {
        Some(b'Z' | b'z') if skip == 0 => return Some((0, at + 1)),
        Some(b'U' | b'G')
            if matches!(bytes.get(at + skip..at + skip + 3), Some(b"UTC" | b"GMT")) =>
        {
            return Some((0, at + skip + 3));
        }
        Some(b'+' | b'-') => {}
        _ if skip == 1 => return Some(named_zone(bytes, at)),
        _ => return Some((0, at)),
    }
    let sign = if bytes.get(at + skip) == Some(&b'-') {
        -1
    } else {
        1
    };
    let start = at + skip + 1;
    let Some(hours) = digits(bytes, start, 2) else {
        return Some((0, at));
    };
    let colon = usize::from(bytes.get(start + 2) == Some(&b':'));
    match digits(bytes, start + 2 + colon, 2) {
        Some(minutes) => Some((sign * (hours * 3600 + minutes * 60), start + 4 + colon)),
        None => Some((sign * hours * 3600, start + 2)),
    }
}

/// A zone by its usual letters after a blank, as databases write it; anything else is no zone.
fn named_zone(bytes: &[u8], at: usize) -> (i64, usize) {
    const ZONES: [(&[u8], i64); 20] = [
        (b"CEST", 2),
        (b"CET", 1),
        (b"WEST", 1),
        (b"WET", 0),
        (b"EEST", 3),
        (b"EET", 2),
        (b"MSK", 3),
        (b"BST", 1),
        (b"EDT", -4),
        (b"EST", -5),
        (b"CDT", -5),
        (b"CST", -6),
        (b"MDT", -6),
        (b"MST", -7),
        (b"PDT", -7),
        (b"PST", -8),
        (b"AEDT", 11),
        (b"AEST", 10),
        (b"JST", 9),
        (b"KST", 9),
    ];
    let rest = bytes.get(at + 1..).unwrap_or_default();
    let known = ZONES.iter().find(|(name, _)| {
        rest.starts_with(name) && !rest.get(name.len()).is_some_and(u8::is_ascii_alphanumeric)
    });
    known.map_or((0, at), |(name, hours)| (hours * 3600, at + 1 + name.len()))
}

/// Seconds since 1970 of a civil date in the proleptic Gregorian calendar.
fn civil(year: i64, month: i64, day: i64, hour: i64, minute: i64, second: i64) -> Option<i64> {
    const LENGTHS: [i64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *LENGTHS.get(usize::try_from(month - 1).ok()?)?;
    if day < 1 || day > length || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    if month == 2 && day == 29 && !leap {
        return None;
    }
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some(days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}

fn year_of(seconds: i64) -> i64 {
    let days = seconds.div_euclid(DAY_SECONDS) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days - era * 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    year_of_era + era * 400 + i64::from(day_of_year >= 306)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: Option<Moment>, expected: &str) {
        let moment = found.expect("a time");
        let nanos = i32::try_from(moment.nanos).expect("below a second");
        let time = Timestamp::new(moment.seconds, nanos).expect("in range");
        assert_eq!(time.to_string(), expected);
    }

    #[test]
    fn reads_iso_variants() {
        check(
            parse_iso("2024-02-29T23:59:59.5Z"),
            "2024-02-29T23:59:59.5Z",
        );
        check(
            parse_iso("2024-05-01 12:00:00,123"),
            "2024-05-01T12:00:00.123Z",
        );
        check(
            parse_iso("2024-05-01T12:00:00+02:00"),
            "2024-05-01T10:00:00Z",
        );
        check(
            parse_iso("2024/05/01 12:00:00 -0530"),
            "2024-05-01T17:30:00Z",
        );
        check(parse_iso("2024-05-01 12:00:00 UTC"), "2024-05-01T12:00:00Z");
        check(parse_iso("2024-05-01T12:00Z"), "2024-05-01T12:00:00Z");
        check(parse_iso("1601-01-01T00:00:00Z"), "1601-01-01T00:00:00Z");
        for bad in [
            "",
            "2024",
            "2023-02-29T00:00:00Z",
            "2024-13-01T00:00:00Z",
            "2024-05-01T12:00:00 what",
        ] {
            assert_eq!(parse_iso(bad), None, "{bad}");
        }
    }

    #[test]
    fn guesses_the_year_from_the_receipt() {
        let received: Timestamp = "2025-01-01T00:10:00Z".parse().expect("a time");
        let read = |text| parse_rfc3164_prefix(text, received).map(|(moment, _)| moment);
        check(read("Dec 31 23:59:58 host"), "2024-12-31T23:59:58Z");
        check(read("Jan  1 00:00:01 host"), "2025-01-01T00:00:01Z");
        check(
            read("*Mar  1 2023 00:00:00.123: %SYS"),
            "2023-03-01T00:00:00.123Z",
        );
        assert_eq!(read("Foo  1 00:00:01"), None);
        assert_eq!(read("Jan"), None);
    }

    #[test]
    fn reads_the_other_forms() {
        check(
            parse_clf("10/Oct/2000:13:55:36 -0700"),
            "2000-10-10T20:55:36Z",
        );
        check(
            parse_ctime("Wed Oct 11 14:32:52.25 2000"),
            "2000-10-11T14:32:52.25Z",
        );
        check(parse_epoch("1700000000"), "2023-11-14T22:13:20Z");
        check(parse_epoch("1700000000.5"), "2023-11-14T22:13:20.5Z");
        check(parse_epoch("1700000000123"), "2023-11-14T22:13:20.123Z");
        check(
            parse_epoch("1700000000123456"),
            "2023-11-14T22:13:20.123456Z",
        );
        assert_eq!(parse_epoch("-1"), None);
        assert_eq!(parse_epoch("12x"), None);
    }

    #[test]
    fn the_years_1601_and_9999_are_implausible() {
        let received: Timestamp = "2025-01-01T00:10:00Z".parse().expect("a time");
        for text in [
            "1601-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "2025-01-03T00:00:00Z",
        ] {
            let moment = parse_iso(text).expect("readable");
            assert_eq!(moment.plausible(received), None, "{text}");
        }
    }
}
