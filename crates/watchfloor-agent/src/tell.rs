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
