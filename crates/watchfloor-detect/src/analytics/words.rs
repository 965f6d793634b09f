//! Figures as people read them.

use jiff::Timestamp;

/// Longest piece of a value in a sentence, in characters.
const MAX_PIECE: usize = 120;

/// A span of time: `60.2 s`, `12 min`, `3.5 h`, `30 days`.
pub(super) fn span(us: i64) -> String {
    let seconds = us as f64 / 1e6;
    let (number, unit) = if seconds < 120.0 {
        (seconds, "s")
    } else if seconds < 2.0 * 3_600.0 {
        (seconds / 60.0, "min")
    } else if seconds < 2.0 * 86_400.0 {
        (seconds / 3_600.0, "h")
    } else {
        (seconds / 86_400.0, "days")
    };
    format!("{} {unit}", short(number))
}

/// A number with one decimal where it has one.
pub(super) fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A share as per cent; very small ones keep a digit that counts.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.1 {
        format!("{percent:.3} %")
    } else {
        format!("{} %", short(percent))
    }
}

/// A point in time, UTC, to the second.
pub(super) fn time(us: i64) -> String {
    let time = Timestamp::from_microsecond(us).unwrap_or(Timestamp::UNIX_EPOCH);
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A value, cut where it is long.
pub(super) fn piece(value: &str) -> String {
    if value.chars().count() <= MAX_PIECE {
        return value.to_owned();
    }
    let mut cut: String = value.chars().take(MAX_PIECE).collect();
    cut.push('\u{2026}');
    cut
}

/// `3 accounts`, `1 account`.
pub(super) fn many(number: u64, one: &str) -> String {
    if number == 1 {
        format!("1 {one}")
    } else {
        format!("{number} {one}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(span(60_200_000), "60.2 s");
        assert_eq!(span(600_000_000), "10 min");
        assert_eq!(span(12_600_000_000), "3.5 h");
        assert_eq!(span(30 * 86_400_000_000), "30 days");
        assert_eq!(percent(0.03), "3 %");
        assert_eq!(percent(0.000_2), "0.020 %");
        assert_eq!(many(1, "event"), "1 event");
    }
}
