//! Any bytes as JSON, alone and inside an object.
#![no_main]

mod support;

use libfuzzer_sys::fuzz_target;
use watchfloor_event::{Format, Namespace};

fuzz_target!(|data: &[u8]| {
    for (before, after) in [
        ("", ""),
        ("{\"a\":", "}"),
        ("{\"Records\":[", "]}"),
        ("[{\"a\":", "}]"),
    ] {
        let text = [before.as_bytes(), data, after.as_bytes()].concat();
        let batch = support::decoded(Format::Json, None, &text);
        for column in batch.columns(Namespace::Source) {
            for value in column.dictionary().values() {
                value.elements();
            }
        }
    }
});
