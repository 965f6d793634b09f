//! Functions of times and spans.

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};
use watchfloor_query::pipe::{instant, span};

use super::row_functions::{Entry, Row, Texts, real, whole};

const DAY_US: i64 = 86_400_000_000;

pub(super) const ROWS: &[Entry] = &[
    ("todatetime", 1, 1, Row::Time(|row| instant(row[0]?))),
    ("totimespan", 1, 1, Row::Span(|row| span(row[0]?))),
    (
        "startofday",
        1,
        2,
        Row::Time(|row| edge(row, Unit::Day, false)),
    ),
    (
        "startofweek",
        1,
        2,
        Row::Time(|row| edge(row, Unit::Week, false)),
    ),
    (
        "startofmonth",
        1,
        2,
        Row::Time(|row| edge(row, Unit::Month, false)),
    ),
    (
        "startofyear",
        1,
        2,
        Row::Time(|row| edge(row, Unit::Year, false)),
    ),
    (
        "endofday",
        1,
        2,
        Row::Time(|row| edge(row, Unit::Day, true)),
    ),
    (
        "endofweek",
        1,
        2,
        Row::Time(|row| edge(row, Unit::Week, true)),
    ),
    (
        "endofmonth",
        1,
        2,
        Row::Time(|row| edge(row, Unit::Month, true)),
    ),
    (
        "endofyear",
        1,
        2,
        Row::Time(|row| edge(row, Unit::Year, true)),
    ),
    (
        "datetime_part",
        2,
        2,
        Row::Long(|row| part(row[0]?, row[1]?)),
    ),
    (
        "dayofyear",
        1,
        1,
        Row::Long(|row| part("dayofyear", row[0]?)),
    ),
    (
        "weekofyear",
        1,
        1,
        Row::Long(|row| part("week_of_year", row[0]?)),
    ),
    (
        "datetime_diff",
        3,
        3,
        Row::Long(|row| difference(row[0]?, row[1]?, row[2]?)),
    ),
    (
        "datetime_add",
        3,
        3,
        Row::Time(|row| added(row[0]?, row[1]?, row[2]?)),
    ),
    ("make_datetime", 1, 6, Row::Time(made)),
    ("make_timespan", 2, 4, Row::Span(made_span)),
    (
        "format_datetime",
        2,
        2,
        Row::Text(|row| formatted(row[0]?, row[1]?)),
    ),
    (
        "format_timespan",
        2,
        2,
        Row::Text(|row| formatted_span(row[0]?, row[1]?)),
    ),
    (
        "datetime_utc_to_local",
        2,
        2,
        Row::Time(|row| zoned(row[0]?, row[1]?, true)),
    ),
    (
        "datetime_local_to_utc",
        2,
        2,
        Row::Time(|row| zoned(row[0]?, row[1]?, false)),
    ),
    (
        "unixtime_seconds_todatetime",
        1,
        1,
        Row::Time(|row| unix(row[0], 1e6)),
    ),
    (
        "unixtime_milliseconds_todatetime",
        1,
        1,
        Row::Time(|row| unix(row[0], 1e3)),
    ),
    (
        "unixtime_microseconds_todatetime",
        1,
        1,
        Row::Time(|row| unix(row[0], 1.0)),
    ),
    (
        "unixtime_nanoseconds_todatetime",
        1,
        1,
        Row::Time(|row| unix(row[0], 1e-3)),
    ),
];

#[derive(Clone, Copy)]
enum Unit {
    Day,
    Week,
    Month,
    Year,
}

fn civil(micros: i64) -> Option<DateTime> {
    let time = Timestamp::from_microsecond(micros).ok()?;
    Some(TimeZone::UTC.to_datetime(time))
}

fn micros(time: DateTime) -> Option<i64> {
    Some(TimeZone::UTC.to_timestamp(time).ok()?.as_microsecond())
}

fn unix(text: Option<&str>, factor: f64) -> Option<i64> {
    if let Some(number) = whole(text)
        && factor >= 1.0
    {
        return number.checked_mul(factor as i64);
    }
    Some((real(text)? * factor) as i64)
}

/// The first or last moment of a unit, so many units away.
fn edge(row: Texts<'_>, unit: Unit, is_end: bool) -> Option<i64> {
    let date = civil(instant(row[0]?)?)?.date();
    let away = match row.get(1) {
        Some(away) => whole(*away)?,
        None => 0,
    };
    let first = match unit {
        Unit::Day => date,
        // Kusto's week begins with Sunday.
        Unit::Week => date
            .checked_sub(i64::from(date.weekday().since(Weekday::Sunday)).days())
            .ok()?,
        Unit::Month => date.first_of_month(),
        Unit::Year => date.first_of_year(),
    };
    let by = |count: i64| -> Option<Span> {
        let span = Span::new();
        match unit {
            Unit::Day => span.try_days(count),
            Unit::Week => span.try_weeks(count),
            Unit::Month => span.try_months(count),
            Unit::Year => span.try_years(count),
        }
        .ok()
    };
    let start = |date: Date| micros(date.at(0, 0, 0, 0));
    let first = first.checked_add(by(away)?).ok()?;
    if is_end {
        return Some(start(first.checked_add(by(1)?).ok()?)? - 1);
    }
    start(first)
}

fn part(unit: &str, time: &str) -> Option<i64> {
    let micros = instant(time)?;
    let time = civil(micros)?;
    Some(match unit.to_lowercase().as_str() {
        "year" => i64::from(time.year()),
        "quarter" => (i64::from(time.month()) + 2) / 3,
        "month" => i64::from(time.month()),
        "week_of_year" | "weekofyear" | "week" => i64::from(time.date().iso_week_date().week()),
        "day" | "dayofmonth" => i64::from(time.day()),
        "dayofyear" => i64::from(time.day_of_year()),
        "dayofweek" => i64::from(time.weekday().since(Weekday::Sunday)),
        "hour" => i64::from(time.hour()),
        "minute" => i64::from(time.minute()),
        "second" => i64::from(time.second()),
        "millisecond" => i64::from(time.millisecond()),
        "microsecond" => i64::from(time.subsec_nanosecond()) / 1_000,
        "nanosecond" => i64::from(time.subsec_nanosecond()),
        _ => return None,
    })
}

/// How many bounds of a unit lie between two times.
fn difference(unit: &str, one: &str, two: &str) -> Option<i64> {
    let (one, two) = (instant(one)?, instant(two)?);
    let months = |micros: i64| -> Option<i64> {
        let time = civil(micros)?;
        Some(i64::from(time.year()) * 12 + i64::from(time.month()) - 1)
    };
    let steps = |width: i64, shift: i64| {
        Some((one + shift).div_euclid(width) - (two + shift).div_euclid(width))
    };
    match unit.to_lowercase().as_str() {
        "year" => Some(months(one)?.div_euclid(12) - months(two)?.div_euclid(12)),
        "quarter" => Some(months(one)?.div_euclid(3) - months(two)?.div_euclid(3)),
        "month" => Some(months(one)? - months(two)?),
        // The first of January 1970 was a Thursday; weeks begin with Sunday.
        "week" => steps(7 * DAY_US, 4 * DAY_US),
        "day" => steps(DAY_US, 0),
        "hour" => steps(3_600_000_000, 0),
        "minute" => steps(60_000_000, 0),
        "second" => steps(1_000_000, 0),
        "millisecond" => steps(1_000, 0),
        "microsecond" => Some(one - two),
        "nanosecond" => (one - two).checked_mul(1_000),
        _ => None,
    }
}

fn added(unit: &str, count: &str, time: &str) -> Option<i64> {
    let (count, time) = (whole(Some(count))?, civil(instant(time)?)?);
    let span = Span::new();
    let span = match unit.to_lowercase().as_str() {
        "year" => span.try_years(count),
        "quarter" => span.try_months(count.checked_mul(3)?),
        "month" => span.try_months(count),
        "week" => span.try_weeks(count),
        "day" => span.try_days(count),
        "hour" => span.try_hours(count),
        "minute" => span.try_minutes(count),
        "second" => span.try_seconds(count),
        "millisecond" => span.try_milliseconds(count),
        "microsecond" => span.try_microseconds(count),
        "nanosecond" => span.try_nanoseconds(count),
        _ => return None,
    };
    micros(time.checked_add(span.ok()?).ok()?)
}

fn made(row: Texts<'_>) -> Option<i64> {
    if row.len() == 1 {
        return instant(row[0]?);
    }
    let number = |index: usize, least: i64| -> Option<i64> {
        match row.get(index) {
            Some(value) => whole(*value),
            None => Some(least),
        }
    };
    let seconds = match row.get(5) {
        Some(seconds) => real(*seconds)?,
        None => 0.0,
    };
    let date = DateTime::new(
        i16::try_from(number(0, 1)?).ok()?,
        i8::try_from(number(1, 1)?).ok()?,
        i8::try_from(number(2, 1)?).ok()?,
        i8::try_from(number(3, 0)?).ok()?,
        i8::try_from(number(4, 0)?).ok()?,
        0,
        0,
    );
    Some(micros(date.ok()?)? + (seconds * 1e6) as i64)
}

/// Hours and minutes, seconds behind, days before.
fn made_span(row: Texts<'_>) -> Option<i64> {
    let numbers: Vec<f64> = row.iter().map(|one| real(*one)).collect::<Option<_>>()?;
    let (days, hours, minutes, seconds) = match numbers.as_slice() {
        [hours, minutes] => (0.0, *hours, *minutes, 0.0),
        [hours, minutes, seconds] => (0.0, *hours, *minutes, *seconds),
        [days, hours, minutes, seconds] => (*days, *hours, *minutes, *seconds),
        _ => return None,
    };
    Some((((days * 24.0 + hours) * 60.0 + minutes) * 60e6 + seconds * 1e6) as i64)
}

/// A time in a form such as `yyyy-MM-dd HH:mm:ss.fff`.
fn formatted(time: &str, form: &str) -> Option<String> {
    let time = civil(instant(time)?)?;
    let hour = i64::from(time.hour());
    let half = if hour % 12 == 0 { 12 } else { hour % 12 };
    formed(form, |letter, count| {
        let number = match letter {
            'y' if count <= 2 => i64::from(time.year()) % 100,
            'y' => i64::from(time.year()),
            'M' => i64::from(time.month()),
            'd' => i64::from(time.day()),
            'H' => hour,
            'h' => half,
            'm' => i64::from(time.minute()),
            's' => i64::from(time.second()),
            'f' | 'F' => return Some(fraction(time.subsec_nanosecond(), letter, count)),
            't' => return Some(if hour < 12 { "AM" } else { "PM" }.to_owned()),
            _ => return None,
        };
        Some(format!("{number:0count$}"))
    })
}

fn formatted_span(text: &str, form: &str) -> Option<String> {
    let micros = span(text)?.unsigned_abs();
    let nanos = i32::try_from(micros % 1_000_000 * 1_000).ok()?;
    let seconds = micros / 1_000_000;
    formed(form, |letter, count| {
        let number = match letter {
            'd' => seconds / 86_400,
            'H' | 'h' => seconds / 3_600 % 24,
            'm' => seconds / 60 % 60,
            's' => seconds % 60,
            'f' | 'F' => return Some(fraction(nanos, letter, count)),
            _ => return None,
        };
        Some(format!("{number:0count$}"))
    })
}

fn fraction(nanos: i32, letter: char, count: usize) -> String {
    let digits: String = format!("{nanos:09}").chars().take(count.min(7)).collect();
    if letter == 'F' {
        return digits.trim_end_matches('0').to_owned();
    }
    digits
}

/// Runs of letters as what they stand for, all else as it is.
fn formed(form: &str, of: impl Fn(char, usize) -> Option<String>) -> Option<String> {
    let mut out = String::new();
    let mut rest = form;
    while let Some(letter) = rest.chars().next() {
        let run = rest.chars().take_while(|next| *next == letter).count();
        let length = run * letter.len_utf8();
        match of(letter, run) {
            Some(text) => out.push_str(&text),
            None => out.push_str(&rest[..length]),
        }
        rest = &rest[length..];
    }
    Some(out)
}

/// A time in another zone, as if it were UTC; or back.
fn zoned(time: &str, zone: &str, is_to_local: bool) -> Option<i64> {
    let zone = TimeZone::get(zone).ok()?;
    let time = instant(time)?;
    if is_to_local {
        let time = Timestamp::from_microsecond(time).ok()?;
        return micros(zone.to_datetime(time));
    }
    Some(zone.to_timestamp(civil(time)?).ok()?.as_microsecond())
}
