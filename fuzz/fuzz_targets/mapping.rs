//! Any text as a pack, and any record through whatever loads.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use watchfloor_event::Format;
use watchfloor_normalize::{PackSet, to_ocsf_json};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (pack, line) = text
        .split_once('\0')
        .unwrap_or((&text, "{\"a\":1,\"message\":\"x y\"}"));
    let (set, _) = PackSet::load([("fuzz.yaml", pack)]);
    let mut batch = support::decoded(Format::Auto, None, line.as_bytes());
    set.normalize(&mut batch);
    for row in 0..batch.len() {
        to_ocsf_json(&batch, row);
    }
});
