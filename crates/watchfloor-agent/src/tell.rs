//! What the agent says to whoever started it: one line each, on standard error.

use std::fmt;
use std::io::Write;

use jiff::Timestamp;

/// Says a line. Lines of a closed standard error are lost.
pub(crate) fn tell(words: fmt::Arguments<'_>) {
    let text = words.to_string();
    let clean: String = text
        .chars()
        .map(|one| if one.is_control() { '\u{fffd}' } else { one })
        .collect();
    let now = Timestamp::now();
    let _ = writeln!(std::io::stderr(), "{now:.3} {clean}");
}

/// The whole chain of an error, cause after cause.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
