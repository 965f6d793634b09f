//! One module per command.

pub(crate) mod admin;
pub(crate) mod backtest;
pub(crate) mod cluster;
pub(crate) mod coverage;
pub(crate) mod demo;
pub(crate) mod detect;
pub(crate) mod explain;
pub(crate) mod hunt;
pub(crate) mod import;
pub(crate) mod intel;
pub(crate) mod junit;
pub(crate) mod lake;
pub(crate) mod mapping;
pub(crate) mod mapping_coverage;
pub(crate) mod normalize;
pub(crate) mod playbook;
pub(crate) mod rules;
pub(crate) mod sensor;
pub(crate) mod serve;

use std::future::Future;

use anyhow::{Context, Result};

/// Worker threads on small machines: a long search may hold two of them, and senders must be
/// answered all the same.
const MIN_WORKERS: usize = 4;

/// Runs a future on a runtime of its own.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cores.max(MIN_WORKERS))
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let result = runtime.block_on(future);
    // What still runs is a background task without an owner; it must not hold the exit back.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// Text from events as a terminal may see it: control characters, escape sequences among
/// them, and characters that turn the direction of text are written out.
pub(crate) fn visible(text: &str) -> String {
    let is_hidden = |character: char| {
        character.is_control()
            || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

/// A CSV field; one that a spreadsheet would take for a formula is disarmed.
pub(crate) fn csv_field(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let text = if is_formula {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_is_disarmed() {
        assert_eq!(visible("a\u{1b}[31m\u{202e}b"), "a\\u{1b}[31m\\u{202e}b");
        assert_eq!(csv_field("=cmd()"), "'=cmd()");
        assert_eq!(csv_field("a,\"b\""), "\"a,\"\"b\"\"\"");
    }
}
